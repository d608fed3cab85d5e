"""`python3 -m nnopt_lab …` on a machine with only Python: set up the environment once, then run the command.

Only the standard library is imported until the environment is complete.
"""

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

CLONE = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)


def main() -> None:
    """Run a command of the course, in an environment that is created first if it is missing."""
    if sys.version_info < OLDEST:
        stop(f"The course needs Python {'.'.join(map(str, OLDEST))} or newer; this is {sys.version.split()[0]}.")
    pyproject = CLONE / "pyproject.toml"
    extra = "test" if sys.argv[1:2] == ["test"] else ""
    if pyproject.is_file() and missing(pyproject, extra):
        folder = CLONE / ".venv"
        inside = Path(sys.prefix).resolve() == folder
        try:
            python = prepare(folder, pyproject, extra, again=inside)
        except KeyboardInterrupt:
            stop("Interrupted. The same command continues from here.")
        if not inside:
            run_in(python)
    if not _installed("nnopt-lab"):  # Jupyter's kernels start in other folders, and must find the package there too
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(CLONE), os.environ.get("PYTHONPATH"))))
    from nnopt_lab.cli import main as command

    command()


def requirements(pyproject: Path, extra: str = "") -> list[str]:
    """Names of the distributions that pyproject.toml requires, including those of an extra."""
    import tomllib

    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + project["optional-dependencies"].get(extra, [])
    return [re.match(r"[\w.-]+", line).group() for line in lines]


def missing(pyproject: Path, extra: str = "") -> list[str]:
    """The required distributions that this interpreter does not have."""
    return [name for name in requirements(pyproject, extra) if not _installed(name)]


def prepare(folder: Path, pyproject: Path, extra: str = "", again: bool = False) -> Path:
    """Create or complete a virtual environment with the project and its requirements; returns its interpreter.

    A stamp in the folder, written last, records what was installed: an interrupted set-up has none and is repeated.
    With `again`, the stamp is ignored.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / f"nnopt-lab{'-' + extra if extra else ''}.stamp"
    wanted = hashlib.sha256(pyproject.read_bytes()).hexdigest()
    if python.exists() and not again and stamp.is_file() and stamp.read_text() == wanted:
        return python
    if not (python.exists() and _has_pip(python)):
        print(f"Creating a virtual environment in {folder.name} …", flush=True)
        try:
            # One without pip was interrupted, or lacked python3-venv: it is completed, not cleared. Links as
            # `python -m venv` makes them, because a copy of some Pythons does not find its own library.
            venv.create(folder, clear=not python.exists(), symlinks=os.name != "nt", with_pip=True)
        except (subprocess.CalledProcessError, ImportError) as error:
            stop(
                f"The virtual environment {folder} could not be created ({type(error).__name__}): "
                "on Debian or Ubuntu install python3-venv first."
            )
        except (OSError, ValueError) as error:
            stop(f"The virtual environment {folder} could not be created: {error}")
    print("Installing the course and what it needs; the first time this takes a few minutes …", flush=True)
    target = f"{pyproject.parent}[{extra}]" if extra else str(pyproject.parent)
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--editable", target]
    if install(pip):
        stop(
            "pip could not install the course (see its output above): is there a network? "
            "The same command continues from here."
        )
    stamp.write_text(wanted)
    print("Ready.", flush=True)
    return python


def install(command: list[str]) -> int:
    """Run pip and show what it is busy with, a line for each package; all it said where it failed. Its exit status."""
    said, on_screen = [], sys.stdout.isatty()
    # A longer line would wrap, and then \r could not take it back.
    width = shutil.get_terminal_size().columns - 1
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout:
            said.append(line)
            if match := re.match(r"(Collecting|Downloading|Building|Installing) (.+?)( \(from |$)", line.strip()):
                busy = f"  {match[1].lower()} {match[2]}"[:width]
                print(f"\r\033[K{busy}" if on_screen else ".", end="", flush=True)
    print("\r\033[K" if on_screen else "\n", end="", flush=True)
    if pip.returncode:
        print("".join(said[-20:]), file=sys.stderr)
    return pip.returncode


def run_in(python: Path) -> None:
    """Hand over to another interpreter; does not return."""
    command = [str(python), "-m", "nnopt_lab", *sys.argv[1:]]
    if os.name == "nt":  # there exec would leave the shell's prompt fighting over the terminal
        sys.exit(subprocess.call(command))
    os.execv(command[0], command)


def stop(sentence: str) -> None:
    """End with one sentence and status 1."""
    print(sentence, file=sys.stderr)
    sys.exit(1)


def _has_pip(python: Path) -> bool:
    return subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True).returncode == 0


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
