"""The command line: what a learner types, and one sentence for what can not be done."""

import json
import os
import socket
import subprocess
import sys
from textwrap import dedent

import nbformat
import pytest

from nnopt_lab import cli
from nnopt_lab.course import builder, recordings
from nnopt_lab.course import workspace as workspace_module
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.record import FILE
from nnopt_lab.lessons import shipped
from nnopt_lab.workbench import paths

ID = next(iter(exercises()))


@pytest.fixture
def nnopt(monkeypatch, capsys, tmp_path):
    """Runs a command in this process, in an empty current folder: (status, stdout, stderr)."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["nnopt", *map(str, arguments)])
        # Else click would name what runs the tests, such as "python -m pytest".
        monkeypatch.setattr(sys.modules["__main__"], "__package__", None, raising=False)
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course without lessons; the fixture's value writes a source and its learner's notebook, not executed."""
    root = tmp_path / "course"
    for folder in ("solutions", "notebooks"):
        (root / folder).mkdir(parents=True)
    for module in (builder, workspace_module):
        monkeypatch.setattr(module, "root", lambda: root)
    monkeypatch.setattr(paths, "root", lambda: root)

    def write(name: str, source: str):
        (root / "solutions" / f"{name}.py").write_text(dedent(source).lstrip())
        for solved, path in builder.paths(name).items():
            nbformat.write(builder.to_notebook(root / "solutions" / f"{name}.py", solved), path)
        return root

    return write


def a_sentence(text: str) -> bool:
    return text.count("\n") == 1 and text.strip() and "Traceback" not in text


def test_help_comes_at_once_and_from_any_folder(tmp_path):
    """In a process of its own: nothing that it needs may come from the current folder."""
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nnopt_lab", "--help"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(paths.PACKAGE.parent)},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0
    for command in ("lab", "reset", "run", "build", "test", "train", "record", "make-data", "progress"):
        assert f" {command} " in answer.stdout
    assert "| torch" not in answer.stderr and "| jupytext" not in answer.stderr


def test_without_a_command_there_is_help(nnopt):
    _, out, err = nnopt()
    assert "Usage: nnopt" in out + err and "progress" in out + err


@pytest.mark.parametrize("command", ["run", "build", "reset", "record", "train"])
def test_an_unknown_name_is_answered_with_one_sentence_and_status_2(nnopt, command):
    status, _, err = nnopt(command, "nope")
    assert status == 2 and a_sentence(err) and "nope" in err


def test_an_unknown_lesson_has_no_traceback_in_a_process_of_its_own_either():
    answer = subprocess.run([sys.executable, "-m", "nnopt_lab", "run", "nope"], capture_output=True, text=True)
    assert answer.returncode == 2 and a_sentence(answer.stderr)
    assert answer.stderr.startswith("lesson='nope' is not a lesson; there are 00_start_here, ")


@pytest.mark.parametrize("command", ["lab", "reset", "progress"])
def test_a_workspace_that_can_not_be_one_is_answered_with_one_sentence(nnopt, course, tmp_path, command, monkeypatch):
    course("98_tiny", "# %%\n1\n")
    monkeypatch.setattr(cli, "_check_free", lambda port: None)
    monkeypatch.setattr(cli.subprocess, "Popen", lambda *a, **k: pytest.fail("the server was started"))
    (tmp_path / "file").write_text("mine")
    status, out, err = nnopt(command, *(["98_tiny"] if command == "reset" else []), "--workspace", tmp_path / "file")
    if command == "progress":
        assert status == 0 and "00_start_here" in out
    else:
        assert status == 2 and a_sentence(err)
    assert (tmp_path / "file").read_text() == "mine"


def test_reset_brings_a_fresh_copy_and_names_the_kept_one(nnopt, course):
    root = course("98_tiny", "# %%\n1\n")
    status, out, _ = nnopt("reset", "tiny")
    assert (status, out) == (0, "98_tiny is fresh.\n")
    mine = root.parent / "here" / "work" / "98_tiny.ipynb"
    mine.write_text("my answers")
    status, out, _ = nnopt("reset", "98")
    (kept,) = mine.parent.glob("98_tiny.*.ipynb")
    assert status == 0 and out == f"98_tiny is fresh. Your earlier copy is kept as {kept.name}.\n"
    assert kept.read_text() == "my answers" and mine.read_bytes() == (root / "notebooks" / mine.name).read_bytes()


def test_progress_shows_the_map_of_the_workspace_that_is_named(nnopt, tmp_path):
    _, blank, _ = nnopt("progress")
    assert "00_start_here" in blank and "░" * 20 in blank
    (tmp_path / "theirs").mkdir()
    held = {"exercises": {ID: {"passed": True, "points": 1, "attempts": 1}}}
    (tmp_path / "theirs" / FILE).write_text(json.dumps(held))
    status, out, _ = nnopt("progress", "--workspace", tmp_path / "theirs")
    assert status == 0 and f" {exercises()[ID].points} of " in out.splitlines()[0] and out != blank
    assert not (tmp_path / "here" / "work").exists()


FINE = """
    # %%
    from nnopt_lab.course.calls import claim

    claim("one is one", True)
"""


def test_run_tells_what_failed_and_what_did_not_hold_with_status_1_and_0_if_all_is_well(nnopt, course):
    course("97_fine", FINE)
    course("98_false", FINE + "    claim('[b]two[/b] is three', False)\n")
    course("99_failing", "# %%\nraise ValueError('[red]no[/red]')\n")
    status, out, _ = nnopt("run", "fine")
    assert status == 0 and "97_fine" in out and "1 of 1" in out and "✘" not in out
    status, out, _ = nnopt("run")
    assert status == 1 and "failed" in out and "1 of 2" in out
    assert "98_false: ✘ [b]two[/b] is three\n" in out
    assert "99_failing: cell 0 failed with ValueError: [red]no[/red]\n" in out


@pytest.mark.parametrize("result", ["false claim", "failing cell"])
def test_each_of_the_two_alone_is_a_failure(nnopt, course, monkeypatch, result):
    course("98_tiny", "# %%\n1\n")
    claims, failure = ({"c": False}, "") if result == "false claim" else ({"c": True}, "cell 0 failed")
    monkeypatch.setattr(builder, "run", lambda *a: builder.Result("98_tiny", 1.0, 0, 0, 0, claims, failure))
    assert nnopt("run")[0] == 1


def test_run_takes_the_notebook_that_is_asked_for(nnopt, course, monkeypatch):
    course("97_fine", "# %%\n1\n")
    course("98_tiny", "# %%\n1\n")
    asked = []

    def run(lesson, solved, on_cell):
        asked.append((lesson, solved))
        on_cell(1, 1)
        return builder.Result(lesson, 1.0, 0, 0, 0, {})

    monkeypatch.setattr(builder, "run", run)
    assert nnopt("run", "98", "fine", "--solved")[0] == 0 and nnopt("run")[0] == 0
    assert asked == [("98_tiny", True), ("97_fine", True), ("97_fine", False), ("98_tiny", False)]


def test_a_lesson_that_has_not_been_built_is_named_with_the_command(nnopt, course):
    root = course("98_tiny", "# %%\n1\n")
    (root / "notebooks" / "98_tiny.ipynb").unlink()
    status, _, err = nnopt("run", "98_tiny")
    assert status == 2 and err == "98_tiny.ipynb has not been built: run nnopt build 98_tiny.\n"


def test_build_check_names_what_is_out_of_step(nnopt, course):
    root = course("98_tiny", "# %%\n1\n")
    assert nnopt("build", "--check") == (0, "", "")
    (root / "solutions" / "98_tiny.py").write_text("# %%\n2\n")
    status, out, _ = nnopt("build", "--check")
    assert status == 1 and out.splitlines() == [
        "solutions/98_tiny.ipynb differs from its source: run nnopt build 98_tiny.",
        "notebooks/98_tiny.ipynb differs from its source: run nnopt build 98_tiny.",
    ]


def test_build_refuses_a_false_claim_in_words_and_writes_nothing(nnopt, course):
    root = course("98_false", FINE.replace("True", "1 == 2"))
    before = {path: path.read_bytes() for path in root.rglob("*.ipynb")}
    status, _, err = nnopt("build", "false")
    assert status == 2 and a_sentence(err) and "claims that do not hold: ['one is one']" in err
    assert {path: path.read_bytes() for path in root.rglob("*.ipynb")} == before


class Server:
    """Stands in for JupyterLab."""

    started = None

    def __init__(self, command, env):
        Server.started = self
        self.command, self.env, self.waits, self.ended = command, env, 0, False

    def wait(self):
        self.waits += 1
        if self.waits == 1:
            raise KeyboardInterrupt
        return 7

    def terminate(self):
        self.ended = True


@pytest.fixture
def server(monkeypatch, course):
    course("00_start_here", "# %%\n1\n")
    monkeypatch.setattr(cli.subprocess, "Popen", Server)
    monkeypatch.setattr(cli, "_check_free", lambda port: None)
    monkeypatch.setattr(Server, "started", None)
    return Server


@pytest.mark.parametrize("root_user", [True, False])
@pytest.mark.parametrize("browser", [True, False])
def test_lab_opens_jupyterlab_in_the_workspace(nnopt, server, tmp_path, monkeypatch, root_user, browser):
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root_user else 1000, raising=False)
    _, out, _ = nnopt("lab", "--workspace", "mine", "--port", "8123", *([] if browser else ["--no-browser"]))
    mine = tmp_path / "here" / "mine"
    command, env = server.started.command, server.started.env
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert {f"--ServerApp.root_dir={mine}", "--port=8123", "--ServerApp.port_retries=0"} <= set(command)
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in command
    assert ("--no-browser" in command) == (not browser)
    assert ("--allow-root" in command) == root_user
    assert env["NNOPT_WORKSPACE"] == str(mine) and env.items() >= {"PATH": os.environ["PATH"]}.items()
    assert (mine / "00_start_here.ipynb").is_file()
    assert "00_start_here: new" in out and str(mine) in out.replace("\n", "")


def test_lab_ends_with_ctrl_c_and_with_the_servers_status(nnopt, server):
    status, _, err = nnopt("lab")
    assert status == 7 and server.started.ended and "Traceback" not in err


def test_lab_says_on_the_second_day_only_what_is_new(nnopt, server, tmp_path):
    nnopt("lab")
    mine = tmp_path / "here" / "work" / "00_start_here.ipynb"
    mine.write_text("my answers")
    _, out, _ = nnopt("lab")
    assert "00_start_here:" not in out and mine.read_text() == "my answers"


def test_lab_with_an_occupied_port_says_so_and_starts_nothing(nnopt, course, tmp_path, monkeypatch):
    course("00_start_here", "# %%\n1\n")
    monkeypatch.setattr(cli.subprocess, "Popen", lambda *a, **k: pytest.fail("the server was started"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        status, _, err = nnopt("lab", "--port", port, "--workspace", tmp_path / "mine")
    assert status == 2 and a_sentence(err)
    assert err.startswith(f"port={port} cannot be used (") and err.endswith("name another one with --port.\n")
    assert not (tmp_path / "mine").exists()
    cli._check_free(port)


@pytest.mark.parametrize("port", ["0", "65536", "many"])
def test_a_port_that_there_is_not_is_refused(nnopt, server, port):
    assert nnopt("lab", "--port", port)[0] == 2 and server.started is None


def test_test_gives_further_arguments_to_pytest_and_needs_a_clone(nnopt, course, monkeypatch):
    called = []
    monkeypatch.setattr(cli.subprocess, "call", lambda command, cwd: called.append((command, cwd)) or 5)
    root = course("98_tiny", "# %%\n1\n")
    status, _, err = nnopt("test")
    assert status == 2 and a_sentence(err) and "in a clone" in err
    (root / "tests").mkdir()
    assert nnopt("test", "-k", "cards", "-x")[0] == 5
    assert called == [([sys.executable, "-m", "pytest", "-k", "cards", "-x"], root)]


def test_test_runs_most_tests_side_by_side_and_the_others_one_by_one(nnopt, course, monkeypatch):
    called, statuses = [], iter([1, 0])
    monkeypatch.setattr(cli.subprocess, "call", lambda command, cwd: called.append(command[3:]) or next(statuses))
    (course("98_tiny", "# %%\n1\n") / "tests").mkdir()
    assert nnopt("test")[0] == 1  # red tests stay red where the notebooks are green
    parallel, serial = called
    assert parallel[parallel.index("-m") + 1] == "not serial" and "-n" in parallel
    assert serial[serial.index("-m") + 1] == "serial" and "-n" not in serial


def test_train_record_and_make_data_hand_over_what_they_were_given(nnopt, monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "train_shipped", lambda name, seed: f"trained {name} {seed}")
    monkeypatch.setattr(recordings, "record", lambda name: f"recorded {name}")
    monkeypatch.setattr(shipped, "make_fashion_file", lambda source: source / "fashion.npz")
    assert nnopt("train", "mynet", "--seed", "3")[:2] == (0, "trained mynet 3\n")
    assert nnopt("record", "tiny")[:2] == (0, "recorded tiny\n")
    assert nnopt("make-data", "--source", tmp_path)[:2] == (0, "Wrote fashion.npz.\n")
