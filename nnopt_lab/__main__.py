"""`python3 -m nnopt_lab …` on a machine that has nothing but Python: set up once, then run the command.

Only the standard library is imported until the environment is right.
"""

import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

CLONE = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)


def main() -> None:
    """Run a command of the course, in an environment that is made first where it is missing."""
    if sys.version_info < OLDEST:
        stop(f"Python {'.'.join(map(str, OLDEST))} or newer is needed; this is {sys.version.split()[0]}.")
    pyproject = CLONE / "pyproject.toml"
    extra = "test" if sys.argv[1:2] == ["test"] else ""
    if pyproject.is_file() and missing(pyproject, extra):
        folder = CLONE / ".venv"
        inside = Path(sys.prefix).resolve() == folder
        python = prepare(folder, pyproject, extra, again=inside)
        if not inside:
            run_in(python)
    from nnopt_lab.cli import main as command

    command()


def requirements(pyproject: Path, extra: str = "") -> list[str]:
    """Names of the distributions that pyproject.toml asks for, with those of an extra."""
    import tomllib

    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + project["optional-dependencies"].get(extra, [])
    return [re.match(r"[\w.-]+", line).group() for line in lines]


def missing(pyproject: Path, extra: str = "") -> list[str]:
    """The required distributions that the running interpreter does not have."""
    return [name for name in requirements(pyproject, extra) if not _installed(name)]


def prepare(folder: Path, pyproject: Path, extra: str = "", again: bool = False) -> Path:
    """The interpreter of a virtual environment with the project and its requirements; made or completed if need be.

    A stamp in the folder, written last, names what was installed: an interrupted set-up has none and is done again.
    With `again` the stamp is not believed.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / f"nnopt-lab{'-' + extra if extra else ''}.stamp"
    wanted = hashlib.sha256(pyproject.read_bytes()).hexdigest()
    if python.exists() and not again and stamp.is_file() and stamp.read_text() == wanted:
        return python
    if not python.exists():
        print(f"Making a virtual environment in {folder.name} …", flush=True)
        try:
            venv.create(folder, clear=True, with_pip=True)
        except (subprocess.CalledProcessError, ImportError, OSError) as error:
            stop(
                f"The virtual environment {folder} could not be made ({type(error).__name__}): "
                "on Debian or Ubuntu install python3-venv first."
            )
    print("Installing the course and what it needs; the first time this takes a few minutes …", flush=True)
    target = f"{pyproject.parent}[{extra}]" if extra else str(pyproject.parent)
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--editable", target]
    if install(pip):
        stop(
            "pip could not install the course (its own words are above): is there a network? The same command goes on."
        )
    stamp.write_text(wanted)
    print("Ready.", flush=True)
    return python


def install(command: list[str]) -> int:
    """Run pip and show what it is busy with, a line for each package; all it said where it failed. Its exit status."""
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout:
            said.append(line)
            if match := re.match(r"(Collecting|Downloading|Building|Installing) (.+)", line.strip()):
                print(
                    f"\r\033[K  {match[1].lower()} {match[2][:90]}" if sys.stdout.isatty() else ".", end="", flush=True
                )
    print("\r\033[K" if sys.stdout.isatty() else "", flush=True)
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


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
