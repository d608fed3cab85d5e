"""`python3 -m nnopt_lab` on a machine that has nothing: one environment, made once, repaired if it was interrupted."""

import contextlib
import importlib.metadata
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from nnopt_lab import __main__ as setup
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
        self.done, self.pip, self.status, self.trouble = [], False, 0, None

    def create(self, folder, clear, symlinks, with_pip):
        self.done.append("cleared" if clear else "completed")
        if isinstance(self.trouble, BaseException):
            raise self.trouble
        self.python.parent.mkdir(parents=True, exist_ok=True)
        self.python.touch()
        self.pip = with_pip

    def install(self, command):
        assert self.pip
        self.done.append(command[-1])
        if self.trouble == "Ctrl-C in pip":
            raise KeyboardInterrupt
        return self.status


@pytest.fixture
def machine(pyproject, monkeypatch):
    made = Machine(pyproject.parent / ".venv")
    monkeypatch.setattr(venv, "create", made.create)
    monkeypatch.setattr(setup, "install", made.install)
    monkeypatch.setattr(setup, "_has_pip", lambda python: made.pip)
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


def test_the_requirements_are_those_of_the_project(pyproject):
    names = setup.requirements(CLONE / "pyproject.toml")
    assert {"torch", "jupyterlab", "typer", "filelock"} <= set(names) and "pytest" not in names
    assert set(setup.requirements(CLONE / "pyproject.toml", "test")) - set(names) >= {"pytest", "ruff", "nbval"}
    write(pyproject, "a-b_c.d[extra]>=1,<2; python_version > '3'", "simple", "spaced >= 3")
    assert setup.requirements(pyproject) == ["a-b_c.d", "simple", "spaced"]
    assert setup.requirements(pyproject, "an extra that there is not") == ["a-b_c.d", "simple", "spaced"]


def test_what_is_missing_is_what_the_interpreter_does_not_have(pyproject):
    assert setup.missing(pyproject) == []
    assert setup.missing(pyproject, "test") == ["no-such-package-for-tests"]
    write(pyproject, "no-such-package-for-tests>=1", "pytest", "Hypothesis")
    assert setup.missing(pyproject) == ["no-such-package-for-tests"]


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


def test_a_failing_pip_is_told_in_a_sentence_and_tried_again(pyproject, machine, capsys):
    machine.status = 1
    assert "pip could not install the course" in ended(lambda: prepare(pyproject), capsys)
    machine.status = 0
    prepare(pyproject)
    assert machine.done == ["cleared", str(pyproject.parent), str(pyproject.parent)]


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (subprocess.CalledProcessError(1, "ensurepip"), "install python3-venv first"),
        (ImportError("ensurepip"), "install python3-venv first"),
        (PermissionError(13, "Permission denied"), "could not be created: [Errno 13] Permission denied"),
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
    monkeypatch.setattr(setup, "install", lambda command: commands.append(command) or 0)
    prepare(pyproject, "test")
    assert commands[0][:4] == [str(machine.python), "-m", "pip", "install"]
    assert commands[0][-2:] == ["--editable", f"{pyproject.parent}[test]"]


PIP = (
    "print('Collecting torch>=2 (from nnopt-lab==0.1)\\n  Downloading torch.whl (1 kB)\\nnoise\\n"
    "Collecting ' + 'x' * 200 + '\\nERROR: no space', flush=True); raise SystemExit({})"
)


@pytest.mark.parametrize("status", [0, 3])
def test_pips_words_are_shown_where_it_failed_and_only_there(capsys, status):
    assert setup.install([sys.executable, "-c", PIP.format(status)]) == status
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
            setup.main()
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
    wanted = "/elsewhere" if installed else f"{pyproject.parent}{os.pathsep}/elsewhere"
    assert os.environ["PYTHONPATH"] == wanted


def test_an_old_python_is_told_so(start, monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert ended(lambda: start("lab"), capsys).startswith("The course needs Python 3.11 or newer; this is ")


def test_only_the_standard_library_is_needed_until_the_environment_is_right():
    code = (
        f"import sys; sys.path.insert(0, {str(CLONE)!r}); import nnopt_lab.__main__\n"
        "print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    )
    answer = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert set(answer.stdout.split()) <= {"nnopt_lab", "__main__"}


def test_the_handover_keeps_the_arguments(tmp_path):
    """For real, with this interpreter in the environment's place."""
    code = (
        f"import sys; sys.path.insert(0, {str(CLONE)!r}); from pathlib import Path; import nnopt_lab.__main__ as s; "
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
