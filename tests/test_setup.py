"""`python3 -m nnopt_lab` on a machine that has nothing: one environment, made once, repaired if it was interrupted."""

import ast
import contextlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from nnopt_lab import __main__ as first
from nnopt_lab import environment as setup
from nnopt_lab.workbench.paths import PACKAGE

CLONE = PACKAGE.parent


@pytest.fixture
def pyproject(tmp_path):
    path = tmp_path / "clone" / "pyproject.toml"
    path.parent.mkdir()
    write(path, "pytest>=8")
    return path


def write(pyproject: Path, *names: str) -> None:
    lines = ", ".join(f'"{name}"' for name in names)
    pyproject.write_text(
        f'[project]\ndependencies = [{lines}]\n[project.optional-dependencies]\ntest = ["no-such-package-for-tests"]\n'
    )


class Machine:
    """Stands in for venv and pip, and notes what was asked of them."""

    def __init__(self, folder: Path):
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.done, self.pip, self.said, self.trouble = [], False, None, None

    def create(self, folder, clear, symlinks, with_pip):
        self.done.append("cleared" if clear else "completed")
        if isinstance(self.trouble, BaseException):
            raise self.trouble
        self.python.parent.mkdir(parents=True, exist_ok=True)
        self.python.touch()
        self.pip = with_pip

    def install(self, command, quiet=False):
        assert self.pip
        self.done.append(command[-1])
        if self.trouble == "Ctrl-C in pip":
            raise KeyboardInterrupt
        return self.said


@pytest.fixture
def machine(pyproject, monkeypatch):
    made = Machine(pyproject.parent / ".venv")
    monkeypatch.setattr(venv, "create", made.create)
    monkeypatch.setattr(setup, "install", made.install)
    monkeypatch.setattr(setup, "_has_pip", lambda python: made.pip)
    monkeypatch.setattr(setup, "find_uv", lambda python: None)
    return made


def prepare(pyproject, extra="", **keywords):
    return setup.prepare(pyproject.parent / ".venv", pyproject, extra, **keywords)


def ended(call, capsys):
    """The one sentence with which a call ends the process."""
    with pytest.raises(SystemExit) as end:
        call()
    said = capsys.readouterr().err
    assert end.value.code == 1 and said.count("\n") == 1
    return said


def test_the_first_call_makes_and_installs_and_the_second_does_nothing(pyproject, machine, capsys):
    assert prepare(pyproject) == machine.python
    assert machine.done == ["cleared", str(pyproject.parent)]
    assert capsys.readouterr().out.splitlines()[-1] == "Ready."
    assert prepare(pyproject) == machine.python
    assert len(machine.done) == 2 and capsys.readouterr().out == ""


def test_changed_requirements_are_installed_into_the_environment_that_is_there(pyproject, machine):
    prepare(pyproject)
    write(pyproject, "pytest", "hypothesis")
    prepare(pyproject)
    prepare(pyproject)
    assert machine.done == ["cleared", str(pyproject.parent), str(pyproject.parent)]


def test_the_tests_requirements_are_installed_once_more_and_stay(pyproject, machine):
    prepare(pyproject)
    prepare(pyproject, "test")
    prepare(pyproject)
    prepare(pyproject, "test")
    assert machine.done == ["cleared", str(pyproject.parent), f"{pyproject.parent}[test]"]


def test_with_again_the_stamp_is_not_believed(pyproject, machine):
    prepare(pyproject)
    prepare(pyproject, again=True)
    assert machine.done[2:] == [str(pyproject.parent)]


@pytest.mark.parametrize("interruption", ["Ctrl-C in pip", KeyboardInterrupt()])
def test_an_interrupted_set_up_goes_on_with_the_next_call(pyproject, machine, interruption):
    machine.trouble = interruption
    with pytest.raises(KeyboardInterrupt):
        prepare(pyproject)
    machine.trouble = None
    prepare(pyproject)
    assert machine.done[-1] == str(pyproject.parent)
    count = len(machine.done)
    prepare(pyproject)
    assert len(machine.done) == count


def test_an_environment_without_pip_is_completed_not_cleared(pyproject, machine):
    machine.create(None, True, True, False)
    prepare(pyproject)
    assert machine.done[1:] == ["completed", str(pyproject.parent)]


def test_an_environment_whose_python_is_gone_is_made_anew(pyproject, machine):
    prepare(pyproject)
    machine.python.unlink()
    prepare(pyproject)
    assert machine.done[2:] == ["cleared", str(pyproject.parent)]


FAILURES = [
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
    ("error: failed to write to file: No space left on device (os error 28)", "the disk is full"),
    ("OSError: [Errno 122] Disk quota exceeded", "the disk is full"),
    ("Temporary failure in name resolution\nERROR: No matching distribution found for torch", "is there a network?"),
    ("error: Failed to fetch: `torch`\n  Caused by: dns error", "is there a network?"),
    ("PermissionError: [Errno 13] Permission denied: '/x'", "a folder cannot be written"),
    ("OSError: [Errno 30] Read-only file system: '/x'", "a folder cannot be written"),
    ("error: a compiler crashed", "see the output above"),
]


@pytest.mark.parametrize(("said", "reason"), FAILURES)
def test_a_failing_installer_is_told_in_a_sentence_and_tried_again(pyproject, machine, capsys, said, reason):
    machine.said = said
    sentence = ended(lambda: prepare(pyproject), capsys)
    assert sentence.startswith("The course could not be installed: ") and reason in sentence
    assert ("network" in sentence) == ("network" in reason)
    machine.said = None
    prepare(pyproject)
    assert machine.done == ["cleared", str(pyproject.parent), str(pyproject.parent)]


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (subprocess.CalledProcessError(1, "ensurepip"), "install python3-venv first"),
        (ImportError("ensurepip"), "install python3-venv first"),
        (PermissionError(13, "Permission denied"), "could not be created: [Errno 13] Permission denied"),
        (OSError(28, "No space left on device"), "could not be created: the disk is full"),
        (ValueError("no place for it"), "could not be created: no place for it"),
    ],
)
def test_an_environment_that_can_not_be_made_is_told_in_a_sentence(pyproject, machine, trouble, sentence, capsys):
    machine.trouble = trouble
    assert sentence in ended(lambda: prepare(pyproject), capsys)
    machine.trouble = None
    prepare(pyproject)


def test_pip_is_asked_for_with_the_new_environments_own_interpreter(pyproject, machine, monkeypatch):
    commands = []
    monkeypatch.setattr(setup, "install", lambda command: commands.append(command))
    prepare(pyproject, "test")
    assert commands[0][:4] == [str(machine.python), "-m", "pip", "install"]
    assert commands[0][-2:] == ["--editable", f"{pyproject.parent}[test]"]


PIP = (
    "print('Collecting torch>=2 (from nnopt-lab==0.1)\\n  Downloading torch.whl (1 kB)\\nnoise\\n"
    "Collecting ' + 'x' * 200 + '\\nERROR: no space', flush=True); raise SystemExit({})"
)


@pytest.mark.parametrize("status", [0, 3])
def test_pips_words_are_shown_where_it_failed_and_only_there(capsys, status):
    assert bool(setup.install([sys.executable, "-c", PIP.format(status)])) == bool(status)
    out, err = capsys.readouterr()
    assert out == "...\n"
    assert ("ERROR: no space" in err) == bool(status) and bool(err) == bool(status)


def test_on_a_screen_one_line_says_what_pip_is_busy_with(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    setup.install([sys.executable, "-c", PIP.format(0)])
    out = capsys.readouterr().out
    lines = out.split("\r\033[K")
    assert lines[1:3] == ["  collecting torch>=2", "  downloading torch.whl (1 kB)"]
    assert max(map(len, lines)) == 39 and lines[-1] == "" and "\n" not in out


class Handover(Exception):
    """Raised where the process would go on as another one."""


@pytest.fixture
def start(pyproject, monkeypatch):
    """Runs `main` in a clone with the fixture's pyproject; what it would go on with is returned."""
    monkeypatch.setattr(setup, "CLONE", pyproject.parent)
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    went_on = []

    def hand_over(python):
        went_on.append(python)
        raise Handover

    monkeypatch.setattr(setup, "run_in", hand_over)
    monkeypatch.setattr("nnopt_lab.cli.main", lambda: went_on.append("here"))

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["nnopt_lab", *arguments])
        went_on.clear()
        with contextlib.suppress(Handover):
            first.main()
        return went_on

    return call


def test_where_everything_is_there_no_environment_is_made(start, machine, pyproject):
    assert start("progress") == ["here"]
    assert machine.done == [] and [path.name for path in pyproject.parent.iterdir()] == ["pyproject.toml"]


def test_where_something_is_missing_an_environment_goes_on(start, machine, pyproject):
    assert start("test", "-x") == [machine.python]
    assert machine.done == ["cleared", f"{pyproject.parent}[test]"]
    assert start("test") == [machine.python] and len(machine.done) == 2
    write(pyproject, "no-such-package-for-tests")
    assert start("lab") == [machine.python]
    assert machine.done[2:] == [str(pyproject.parent)]


def test_an_environment_that_lost_a_package_repairs_itself(start, machine, pyproject, monkeypatch):
    start("test")
    monkeypatch.setattr(sys, "prefix", str(pyproject.parent / ".venv"))
    assert start("test") == ["here"]
    assert machine.done[2:] == [f"{pyproject.parent}[test]"]


def test_an_installed_package_has_nothing_to_set_up(start, machine, pyproject):
    pyproject.unlink()
    assert start("test") == ["here"] and machine.done == []


def test_ctrl_c_while_it_sets_up_is_one_sentence(start, machine, capsys):
    machine.trouble = KeyboardInterrupt()
    assert ended(lambda: start("test"), capsys) == "Interrupted. The same command continues from here.\n"


@pytest.mark.parametrize("installed", [True, False])
def test_kernels_find_the_package_also_where_it_is_not_installed(start, machine, pyproject, monkeypatch, installed):
    version = importlib.metadata.version

    def pretend(name):
        if name == "nnopt-lab" and not installed:
            raise importlib.metadata.PackageNotFoundError
        return "1" if name == "nnopt-lab" else version(name)

    monkeypatch.setattr(importlib.metadata, "version", pretend)
    start("lab")
    assert os.environ["PYTHONPATH"] == f"{pyproject.parent}{os.pathsep}/elsewhere", "also where another clone's is"


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 8, 18), (3, 10, 4)])
def test_an_old_python_is_told_so(monkeypatch, capsys, version):
    monkeypatch.setattr(sys, "version_info", version)
    assert ended(first.main, capsys).startswith("The course needs Python 3.11 or newer; this is ")


IMPORTED_FIRST = ["__init__.py", "__main__.py", "workbench/__init__.py"]
IMPORTED_FIRST += ["workbench/allocator.py", "workbench/cores.py", "workbench/torchvision_repair.py"]


@pytest.mark.parametrize("name", IMPORTED_FIRST)
def test_what_an_old_python_reads_compiles_there(name):
    ast.parse((PACKAGE / name).read_text(encoding="utf-8"), feature_version=(3, 6))


def test_an_old_python_reads_no_other_file():
    code = f"import sys; sys.path.insert(0, {str(CLONE)!r}); import nnopt_lab.__main__\n"
    code += "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('nnopt_lab')), sep='\\n')"
    answer = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    files = {Path(line).relative_to(PACKAGE).as_posix() for line in answer.stdout.splitlines()}
    assert files == set(IMPORTED_FIRST)


@pytest.mark.parametrize("version", ["3.6", "3.7", "3.8", "3.9", "3.10"])
def test_a_real_old_python_says_one_sentence(version):
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    python = next(map(str, found), None) or shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "--version"], capture_output=True).returncode:
        pytest.skip(f"this machine has no Python {version}")
    answer = subprocess.run([python, "-m", "nnopt_lab", "lab"], cwd=CLONE, capture_output=True, text=True)
    assert answer.returncode == 1 and answer.stdout == ""
    assert answer.stderr.startswith(f"The course needs Python 3.11 or newer; this is {version}.")
    assert answer.stderr.count("\n") == 1


def test_only_the_standard_library_is_needed_until_the_environment_is_right():
    code = (
        f"import sys; sys.path.insert(0, {str(CLONE)!r}); import nnopt_lab.environment, nnopt_lab.__main__\n"
        "print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    )
    answer = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert set(answer.stdout.split()) <= {"nnopt_lab", "__main__"}


def test_the_handover_keeps_the_arguments(tmp_path):
    """For real, with this interpreter in the environment's place."""
    code = (
        f"import sys; sys.path.insert(0, {str(CLONE)!r}); from pathlib import Path; import nnopt_lab.environment as s; "
        "sys.argv = ['x', 'run', 'nope']; s.run_in(Path(sys.executable)); print('came back')"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(CLONE)},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 2 and "lesson='nope' is not a lesson" in answer.stderr
    assert "came back" not in answer.stdout


def test_a_changed_bound_is_noticed_inside_the_active_environment_too(start, machine, pyproject, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(pyproject.parent / ".venv"))
    assert start("progress") == ["here"] and machine.done == []
    write(pyproject, "pytest>=999")
    assert start("progress") == ["here"]
    assert machine.done == ["cleared", str(pyproject.parent)]


@pytest.mark.parametrize("with_metadata", [True, False])
def test_an_old_package_on_the_path_is_told_in_a_sentence(
    start, machine, pyproject, tmp_path, monkeypatch, capsys, with_metadata
):
    write(pyproject, "pytest>=8", "torch>=2.11,<99")
    old = tmp_path / "old"
    (old / "torch").mkdir(parents=True)
    (old / "torch" / "__init__.py").write_text("" if with_metadata else '__version__ = "1.13.1+cu117"\n')
    if with_metadata:
        (old / "torch-1.13.1.dist-info").mkdir()
        (old / "torch-1.13.1.dist-info" / "METADATA").write_text("Name: torch\nVersion: 1.13.1\n")
    monkeypatch.setenv("PYTHONPATH", f"/elsewhere{os.pathsep}{old}")
    said = ended(lambda: start("progress"), capsys)
    assert "torch>=2.11,<99" in said and "torch 1.13.1" in said and str(old) in said and "PYTHONPATH" in said
    write(pyproject, "pytest>=8", "torch>=1.13")
    assert start("progress") == ["here"] and machine.done == []


def test_a_latin_terminal_gets_every_line(tmp_path):
    answer = subprocess.run(
        [sys.executable, "-m", "nnopt_lab", "reset", "—…"],
        env=os.environ | {"PYTHONPATH": str(CLONE), "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
        cwd=tmp_path,
        capture_output=True,
    )
    assert answer.returncode == 2 and b"Traceback" not in answer.stderr


def test_a_path_that_a_locale_can_not_read_is_made_relative(tmp_path, monkeypatch):
    clone = tmp_path / "José 李"
    packages = clone / ".venv" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    link = packages / "_editable_impl_nnopt_lab.pth"
    link.write_text(f"{clone}\n", encoding="utf-8")
    monkeypatch.setattr(setup, "CLONE", clone)
    setup.make_path_plain(clone / ".venv")
    assert link.read_bytes().isascii()
    assert (packages / link.read_text().strip()).resolve() == clone.resolve()
    link.write_text("/plain\n")
    setup.make_path_plain(clone / ".venv")
    assert link.read_text() == "/plain\n"


def test_an_environment_in_a_folder_with_an_accent_starts_with_the_c_locale(tmp_path, monkeypatch):
    """For real: Python reads the link at its start, and before the repair it ends there."""
    clone = tmp_path / "café"
    clone.mkdir()
    (clone / "found_it.py").write_text("print('found')")
    venv.create(clone / ".venv", symlinks=os.name != "nt")
    packages = next((clone / ".venv").glob("[Ll]ib/**/site-packages"))
    (packages / "_editable_impl_nnopt_lab.pth").write_text(f"{clone}\n", encoding="utf-8")
    monkeypatch.setattr(setup, "CLONE", clone)
    setup.make_path_plain(clone / ".venv")
    python = clone / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONUTF8")}
    answer = subprocess.run(
        [str(python), "-m", "found_it"], env=environment | {"LC_ALL": "C"}, cwd="/", capture_output=True, text=True
    )
    assert answer.stdout == "found\n" and answer.stderr == ""


class Installers:
    """Stands in for uv and pip, and notes what was asked of them."""

    def __init__(self, monkeypatch, nvidia, uv, reaches=True, finishes=True):
        self.commands, self.probes, self.finishes, self.reaches = [], [], finishes, reaches
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(setup, "has_nvidia", lambda: nvidia)
        monkeypatch.setattr(shutil, "which", lambda name: "/bin/uv" if name == "uv" and uv else None)
        monkeypatch.setattr(setup, "install", self.install)
        monkeypatch.setattr(setup, "_succeeds", self.succeeds)

    def install(self, command, quiet=False):
        self.commands.append(command)
        return None if self.finishes or ("-m" in command and "pip" in command[2]) else "no"

    def succeeds(self, command, seconds, **variables):
        self.probes.append(command)
        assert seconds <= 60
        return self.reaches


def test_uv_takes_the_build_of_torch_that_fits(monkeypatch, capsys):
    for nvidia in (True, False):
        made = Installers(monkeypatch, nvidia, uv=True)
        assert setup.install_all(Path("python"), "here") is None
        assert [c[0] for c in made.commands] == ["/bin/uv"] and "--torch-backend=auto" in made.commands[0]
        size = setup.CUDA_GIGABYTES if nvidia else setup.GIGABYTES
        assert f"about {size:g} GB" in capsys.readouterr().out


def test_without_uv_it_is_fetched_where_it_saves_gigabytes(monkeypatch):
    made = Installers(monkeypatch, False, uv=False)
    assert setup.install_all(Path("python"), "here") is None
    assert made.probes[0][-1] == "uv" and made.commands[0][:3] == ["python", "-m", "uv"]
    made = Installers(monkeypatch, True, uv=False)
    assert setup.install_all(Path("python"), "here") is None
    assert made.probes == [] and made.commands[0][:3] == ["python", "-m", "pip"]


@pytest.mark.parametrize("uv", [True, False])
def test_where_uv_reaches_nothing_pip_goes_on_after_a_sentence(monkeypatch, capsys, uv):
    made = Installers(monkeypatch, False, uv, reaches=False)
    assert setup.install_all(Path("python"), "here") is None
    assert [c[1:3] for c in made.commands] == [["-m", "pip"]]
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("uv cannot reach") and f"about {setup.CUDA_GIGABYTES:g} GB" in out[1] and len(out) == 2


@pytest.mark.parametrize(("version", "is_usable"), [("2.13.0+cpu", True), ("1.9.0", False), (None, False)])
def test_an_environment_with_a_usable_torch_is_only_completed(monkeypatch, tmp_path, capsys, version, is_usable):
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    if version:
        (packages / f"torch-{version}.dist-info").mkdir()
        (packages / f"torch-{version}.dist-info" / "METADATA").write_text(f"Name: torch\nVersion: {version}\n")
    made = Installers(monkeypatch, False, uv=True)
    assert setup.install_all(tmp_path / "bin" / "python", "here") is None
    assert (made.probes == []) == is_usable and (" GB on disk" in capsys.readouterr().out) != is_usable


def test_where_uv_breaks_off_pip_goes_on(monkeypatch, capsys):
    made = Installers(monkeypatch, False, uv=True, finishes=False)
    assert setup.install_all(Path("python"), "here") is None
    assert [c[0] for c in made.commands] == ["/bin/uv", "python"] and "pip continues" in capsys.readouterr().out


def test_a_probe_that_hangs_or_does_not_exist_has_failed():
    assert not setup._succeeds([sys.executable, "-c", "import time; time.sleep(60)"], 0.2)
    assert not setup._succeeds(["/no/such/program"], 5)
    assert setup._succeeds([sys.executable, "-c", "import os; assert os.environ['X'] == '1'"], 60, X="1")


def test_too_little_room_is_said_before_it_begins(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 9, 10**9))
    setup._announce(2.2)
    out = capsys.readouterr().out
    assert "Only 1.0 GB are free" in out and "minutes" in out
