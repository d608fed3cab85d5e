"""The set-up: create or complete a virtual environment for the course, then run the command in it.

Only the standard library is imported until the environment is complete.
"""

import errno
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from nnopt_lab import requirements

CLONE = Path(__file__).resolve().parent.parent
GIGABYTES, CUDA_GIGABYTES = 2.2, 5.4  # on disk, measured with torch 2.13 for the CPU and for CUDA on Linux
NO_SPACE = re.compile(r"No space left|Errno 28\b|os error 28\b|[Qq]uota exceeded|not enough space", re.ASCII)
NO_NETWORK = re.compile(
    r"name resolution|NewConnectionError|ConnectTimeout|ReadTimeout|Connection(Error| refused| reset)|ProxyError|"
    r"Failed to (fetch|establish|connect)|Network is unreachable|No matching distribution|dns error|timed out"
)
PROBE_SECONDS = 15


def ensure() -> None:
    """Create or complete the environment if it is missing or out of date; goes on in it, and may then not return."""
    for stream in (sys.stdout, sys.stderr):  # a Latin-1 terminal cannot show every character of the course
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    pyproject = CLONE / "pyproject.toml"
    extra = "test" if sys.argv[1:2] == ["test"] else ""
    if pyproject.is_file():
        lines = requirements.requirements(pyproject, extra)
        check_pythonpath(lines)
        if requirements.unsatisfied(lines):
            folder = CLONE / ".venv"
            inside = Path(sys.prefix).resolve() == folder
            try:
                python = prepare(folder, pyproject, extra, again=inside)
            except KeyboardInterrupt:
                stop("Interrupted. The same command continues from here.")
            except OSError as error:
                stop(f"The set-up stopped: {_cause(error)}. The same command continues from here.")
            if not inside:
                run_in(python)
    else:
        check_pythonpath(requirements.of_installed_package())
    # Jupyter's kernels start in other folders and must find this package there, not that of another clone or kit, whose
    # environment may be the active one.
    if pyproject.is_file() or requirements.installed_version("nnopt-lab") is None:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(CLONE), os.environ.get("PYTHONPATH"))))


def check_pythonpath(lines: list[str]) -> None:
    """End with a sentence if PYTHONPATH hides a required package behind a version that the course can't use."""
    folders = [os.path.abspath(folder) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    for line, version, folder in requirements.shadows(lines, [f for f in folders if Path(f) != CLONE]):
        name = requirements.distribution(line)
        stop(f"The course needs {line}, but PYTHONPATH has {name} {version} in {folder}: unset PYTHONPATH.")


def prepare(folder: Path, pyproject: Path, extra: str = "", again: bool = False) -> Path:
    """Create or complete a virtual environment with the project and its requirements; returns its interpreter.

    A stamp in the folder, written last, records what was installed: an interrupted set-up has none and is repeated.
    With `again`, the stamp is ignored.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / f"nnopt-lab{'-' + extra if extra else ''}.stamp"
    wanted = hashlib.sha256(pyproject.read_bytes()).hexdigest()
    make_path_plain(folder)
    if python.exists() and not again and stamp.is_file() and stamp.read_text() == wanted:
        return python
    if not (python.exists() and _has_pip(python)):
        print(f"Creating a virtual environment in {folder.name} …", flush=True)
        try:
            # One without pip was interrupted, or lacked python3-venv: it is completed, not cleared. Links as
            # `python -m venv` makes them, because a copy of some Pythons does not find its own library.
            venv.create(folder, clear=not python.exists(), symlinks=os.name != "nt", with_pip=True)
        except (subprocess.CalledProcessError, ImportError) as error:
            if _is_full(folder.parent):
                stop(f"The virtual environment {folder} could not be created: the disk is full.")
            stop(
                f"The virtual environment {folder} could not be created ({type(error).__name__}): "
                "on Debian or Ubuntu install python3-venv first."
            )
        except (OSError, ValueError) as error:
            stop(f"The virtual environment {folder} could not be created: {_cause(error)}")
    target = f"{pyproject.parent}[{extra}]" if extra else str(pyproject.parent)
    said = install_all(python, target)
    if said is not None:
        stop(f"The course could not be installed: {reason(said)} The same command continues from here.")
    make_path_plain(folder)
    stamp.write_text(wanted)
    print("Ready.", flush=True)
    return python


def install_all(python: Path, target: str) -> str | None:
    """Install the project with the build of torch that fits this machine; returns None, or what was said on failure.

    Ordinary pip takes the CUDA build on Linux, which a machine without an NVIDIA device cannot use. uv finds the right
    build; where it is missing, or cannot reach what it needs, pip goes on. Neither compiles what it installs: Python
    does that when a module is first imported, and the course imports a third of them.
    """
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-compile", "--editable", target]
    if has_torch(python):
        print("Installing what has changed …", flush=True)
        return install(pip)
    if sys.platform != "linux":  # elsewhere the ordinary build is the one for the CPU, or for Apple's GPU
        _announce(GIGABYTES)
        return install(pip)
    uv = find_uv(python)
    if uv:
        _announce(CUDA_GIGABYTES if has_nvidia() else GIGABYTES)
        command = [*uv, "pip", "install", "--python", str(python), "--torch-backend=auto", "--editable", target]
        if install(command, quiet=True) is None:
            return None
        print("uv could not finish; pip continues.", flush=True)
    elif not has_nvidia():
        print("uv cannot reach torch's builds for the CPU; pip takes the ordinary build, which has CUDA.", flush=True)
    if not uv:
        _announce(CUDA_GIGABYTES)
    return install(pip)


def has_torch(python: Path) -> bool:
    """Whether the interpreter's environment has a torch that the course can use, so that no build must be chosen."""
    folders = [str(path) for path in python.parent.parent.glob("[Ll]ib*/**/site-packages")]
    found = [d.version for d in importlib.metadata.distributions(name="torch", path=folders)]
    lines = requirements.requirements(CLONE / "pyproject.toml")
    wanted = [line for line in lines if requirements.distribution(line) == "torch"]
    return bool(found) and all(requirements.is_met(line, found[0]) for line in wanted)


def find_uv(python: Path) -> list[str] | None:
    """A command that starts a uv which reaches the builds of torch; None if there is none. Takes seconds.

    Where the machine has no NVIDIA device and no uv, uv is installed into the environment, because the CPU's build
    saves gigabytes.
    """
    if found := shutil.which("uv"):
        uv = [found]
    elif has_nvidia():
        return None
    else:
        uv = [str(python), "-m", "uv"]
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--retries=0", "--timeout=5", "uv"]
        if not _succeeds(pip, 4 * PROBE_SECONDS):
            return None
    probe = [*uv, "pip", "install", "--python", str(python), "--dry-run", "--no-deps", "--torch-backend=auto", "torch"]
    return uv if _succeeds(probe, PROBE_SECONDS, UV_HTTP_RETRIES="0", UV_HTTP_TIMEOUT="5") else None


def has_nvidia() -> bool:
    """Whether this machine has an NVIDIA device, judged by its driver."""
    files = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/usr/lib/wsl/lib/libcuda.so.1")
    return any(map(os.path.exists, files)) or shutil.which("nvidia-smi") is not None


def make_path_plain(folder: Path) -> None:
    """Make the environment's link to this clone relative, so that it has no character which a locale cannot read.

    An editable installation writes the clone's path into a `.pth` file in UTF-8, and Python reads that with the
    locale's encoding at every start: with `LC_ALL=C` and a path such as /home/José, it ends in a traceback.
    """
    for path in folder.glob("[Ll]ib*/**/site-packages/_editable_impl_nnopt_lab.pth"):
        plain = os.path.relpath(CLONE, path.parent.resolve())
        if not path.read_bytes().isascii() and plain.isascii():
            path.write_text(plain + "\n", encoding="ascii")


def reason(said: str) -> str:
    """Why an installation failed, in a sentence, from the installer's output."""
    if NO_SPACE.search(said) or _is_full(CLONE):
        return f"the disk is full. {GIGABYTES:g} GB are needed here, and room in the temporary folder."
    if NO_NETWORK.search(said):
        return "is there a network?"
    if re.search(r"Permission denied|Errno 13\b|Read-only file system|Errno 30\b", said):
        return "a folder cannot be written (see the output above)."
    return "see the output above."


def install(command: list[str], quiet: bool = False) -> str | None:
    """Run pip or uv and show what it is busy with, a line for each package.

    Returns:
        None, or all it said if it failed; the end of that is shown too, unless `quiet`.
    """
    said, on_screen = [], sys.stdout.isatty()
    # A longer line would wrap, and then \r could not take it back.
    width = shutil.get_terminal_size().columns - 1
    environment = os.environ | {"PYTHONUTF8": "1"}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=environment,
    ) as pip:
        for line in pip.stdout:
            said.append(line)
            if match := re.match(
                r"(Collecting|Downloading|Building|Installing|Resolved|Prepared) (.+?)( \(from |$)", line.strip()
            ):
                busy = f"  {match[1].lower()} {match[2]}"[:width]
                print(f"\r\033[K{busy}" if on_screen else ".", end="", flush=True)
    print("\r\033[K" if on_screen else "\n", end="", flush=True)
    if not pip.returncode:
        return None
    if not quiet:
        print("".join(said[-20:]), file=sys.stderr)
    return "".join(said)


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


def _announce(gigabytes: float) -> None:
    """Say what the set-up costs, before it begins."""
    room = shutil.disk_usage(CLONE).free / 1e9
    if room < gigabytes:
        print(f"Only {room:.1f} GB are free here, and about {gigabytes:g} GB are needed.", flush=True)
    minutes = "2 to 5" if gigabytes < 3 else "5 to 15"
    print(f"Installing the course: about {gigabytes:g} GB on disk, {minutes} minutes the first time …", flush=True)


def _cause(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full"
    return str(error)


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < 50e6


def _succeeds(command: list[str], seconds: float, **variables: str) -> bool:
    try:
        return (
            subprocess.run(
                command, capture_output=True, timeout=seconds, env=os.environ | {"PYTHONUTF8": "1"} | variables
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _has_pip(python: Path) -> bool:
    return subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True).returncode == 0
