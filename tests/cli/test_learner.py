"""A learner's commands, with a stand-in for JupyterLab."""

import json
import os
import pydoc
import socket
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from rich.console import Console

from nnopt_lab.cli import learner
from nnopt_lab.course import record, sharing, workspace
from nnopt_lab.course.exercises import exercises, questions
from nnopt_lab.course.record import FILE
from nnopt_lab.course.workspace import MANIFEST, fill
from nnopt_lab.grading.capstone import Leaderboard
from nnopt_lab.grading.sandbox import Limits
from nnopt_lab.techniques.search.datasets import as_split
from nnopt_lab.workbench.language import set_language
from tests.cli.common import a_sentence
from tests.grading.capstone.boards import BOARD
from tests.grading.live.classes import running

ID = next(iter(exercises()))


@pytest.mark.parametrize("command", ["lab", "reset", "progress"])
def test_a_workspace_that_can_not_be_one_is_answered_with_one_sentence(nnopt, course, tmp_path, command, monkeypatch):
    course("98_tiny", "# %%\n1\n")
    monkeypatch.setattr(learner, "_check_free", lambda port: None)
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail("the server was started"))
    (tmp_path / "file").write_text("mine")
    status, out, err = nnopt(command, *(["98_tiny"] if command == "reset" else []), "--workspace", tmp_path / "file")
    if command == "progress":
        assert status == 0 and "00  Start here" in out
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
    assert status == 0 and out == f"98_tiny is fresh. Your earlier copy was kept as {kept.name}.\n"
    assert kept.read_text() == "my answers" and mine.read_bytes() == (root / "notebooks" / mine.name).read_bytes()


def test_reset_opens_the_guesses_that_were_never_made(nnopt, course):
    here = course("98_tiny", "# %%\n1\n").parent / "here" / "work"
    entry = {"unit": "×", "measured": 2.0, "low": 2.0, "high": 2.0}
    with record.change(here) as contents:
        for name, lesson, guess in (("a", "98_tiny", None), ("b", "98_tiny", 1.0), ("c", "01_pruning", None)):
            contents["predictions"][name] = {"lesson": lesson, "guess": guess, **entry}
    assert nnopt("reset", "98")[0] == 0
    assert list(record.read(here)["predictions"]) == ["b", "c"]


def test_update_takes_the_newer_texts_of_all_lessons_and_tells_of_those_that_it_cannot(nnopt, course, monkeypatch):
    for name in ("97_small", "98_tiny", "99_last"):
        root = course(name, f"# %%\n'{name}'\n")
    work = root.parent / "here" / "work"
    for name in ("97_small", "98_tiny", "99_last"):
        nnopt("reset", name)
    mine, broken = work / "98_tiny.ipynb", work / "99_last.ipynb"
    content = json.loads(mine.read_text(encoding="utf-8"))
    content["cells"].append(content["cells"][0] | {"id": "own", "source": "my_own = 1"})
    mine.write_text(json.dumps(content), encoding="utf-8")
    broken.write_text("broken")
    names = ("97", "tiny", "last")
    status, out, err = nnopt("update", "98")
    assert status == 0 and out == "It has the latest text already; nothing was changed.\n" and not err
    for name in ("97_small", "98_tiny", "99_last"):
        course(name, f"# %%\n'{name}'\n\n# %% [markdown]\n# New in {name}\n")
    held = {path.name: path.read_bytes() for path in work.iterdir()}
    status, out, err = nnopt("update", *names, "--dry-run")
    assert status == 2 and "Nothing was written." in out and a_sentence(err) and "99_last.ipynb" in err
    assert {path.name: path.read_bytes() for path in work.iterdir()} == held
    status, out, err = nnopt("update", *names)
    assert status == 2 and "97_small: the latest text" in out and "98_tiny: 1 cell of the lesson is new" in out
    assert "Kept: 0 answers and 1 cell of your own." in out and "Your earlier copy is 98_tiny.20" in out
    assert a_sentence(err) and "nnopt reset 99_last" in err and broken.read_text() == "broken"
    assert "my_own = 1" in mine.read_text() and "New in 98_tiny" in mine.read_text()
    status, out, err = nnopt("update", "97", "98")
    assert status == 0 and out == "They have the latest text already; nothing was changed.\n"


def test_update_without_names_is_for_all_that_are_there_and_needs_a_workspace(nnopt, tmp_path, monkeypatch):
    status, _, err = nnopt("update")
    assert status == 2 and a_sentence(err) and "There is no workspace" in err
    status, _, err = nnopt("update", "cooking")
    assert status == 2 and "no workspace" in err
    fill(tmp_path / "here" / "work")
    assert nnopt("update") == (0, "Your lessons have the latest text already; nothing was changed.\n", "")
    status, _, err = nnopt("update", "cooking")
    assert status == 2 and "is not a lesson" in err


def test_progress_shows_the_map_of_the_workspace_that_is_named(nnopt, tmp_path):
    _, blank, _ = nnopt("progress")
    assert "00  Start here" in blank and "░" * 20 in blank
    (tmp_path / "theirs").mkdir()
    held = {"exercises": {ID: {"passed": True, "points": 1, "attempts": 1}}}
    (tmp_path / "theirs" / FILE).write_text(json.dumps(held))
    status, out, _ = nnopt("progress", "--workspace", tmp_path / "theirs")
    assert status == 0 and f" {exercises()[ID].points} of " in out.splitlines()[1] and out != blank
    assert not (tmp_path / "here" / "work").exists()


def test_progress_names_the_next_step_and_the_command_that_opens_it(nnopt, tmp_path):
    mine = tmp_path / "mine"
    fill(mine)
    step = lambda: nnopt("progress", "--workspace", mine)[1].splitlines()[-1]  # noqa: E731
    assert step().startswith("Next: lesson 00, section ") and step().endswith(": nnopt lab 00")
    held = {"exercises": {}, "questions": {}}
    for name in ("00_start_here", "01_pruning"):
        for part, items in (("exercises", exercises(name)), ("questions", questions(name))):
            held[part] |= {id: {"passed": True, "points": item.points, "attempts": 1} for id, item in items.items()}
    (mine / FILE).write_text(json.dumps(held))
    assert step().startswith("Next: lesson 02, section ") and step().endswith(": nnopt lab 02")
    (mine / "02_convolutions.ipynb").write_text("{")
    os.utime(mine / "02_convolutions.ipynb", (2_000_000_000, 2_000_000_000))
    assert step() == "Next: lesson 02: nnopt lab 02"


@pytest.mark.parametrize("how", ["by the variable", "by standing in it"])
def test_reset_and_progress_find_the_workspace(nnopt, course, tmp_path, monkeypatch, how):
    course("98_tiny", "# %%\n1\n")
    mine = tmp_path / "mine" / "work"
    mine.mkdir(parents=True)
    if how == "by the variable":
        monkeypatch.setenv("NNOPT_WORKSPACE", str(mine))
    else:
        monkeypatch.chdir(mine)
    _, out, err = nnopt("progress")
    assert "There is no workspace in" in err and str(mine) in err and "00  Start here" in out
    _, out, err = nnopt("reset", "tiny")
    assert out == "98_tiny is fresh.\n" and "There was no workspace" in err
    assert nnopt("reset", "tiny") == (0, "98_tiny is fresh.\n", "")
    assert [path.name for path in mine.glob("*tiny*")] == ["98_tiny.ipynb"] and not list(mine.glob("work"))
    held = {"exercises": {ID: {"passed": True, "points": 1, "attempts": 1}}}
    (mine / FILE).write_text(json.dumps(held))
    _, out, err = nnopt("progress")
    assert f" {exercises()[ID].points} of " in out.splitlines()[1] and err == ""
    assert not list((tmp_path / "here").iterdir())


class Server:
    """Stands in for JupyterLab."""

    started = None
    while_running = staticmethod(lambda: None)

    def __init__(self, command, env):
        Server.started = self
        self.command, self.env, self.waits, self.ended = command, env, 0, False

    def wait(self):
        self.waits += 1
        if self.waits == 1:
            Server.while_running()
            raise KeyboardInterrupt
        return 7

    def terminate(self):
        self.ended = True


@pytest.fixture
def server(monkeypatch, course):
    course("00_start_here", "# %%\n1\n")
    monkeypatch.setattr(subprocess, "Popen", Server)
    monkeypatch.setattr(learner, "_check_free", lambda port: None)
    monkeypatch.setattr(Server, "started", None)
    monkeypatch.setattr(Server, "while_running", staticmethod(lambda: None))
    return Server


@pytest.mark.parametrize("named", ["00", "0", "start_here", "00_start_here"])
def test_lab_opens_the_lesson_that_is_named(nnopt, server, tmp_path, named):
    nnopt("lab", named, "--workspace", "mine")
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in server.started.command
    assert (tmp_path / "here" / "mine" / "course.md").is_file()


def test_lab_with_a_name_that_is_no_lesson_says_which_there_are_and_starts_nothing(nnopt, server):
    status, _, err = nnopt("lab", "Anna")
    assert status == 2 and "lesson='Anna' is not a lesson; there are:" in err and server.started is None


@pytest.mark.parametrize("root_user", [True, False])
@pytest.mark.parametrize("browser", [True, False])
def test_lab_opens_jupyterlab_in_the_workspace(nnopt, server, tmp_path, monkeypatch, root_user, browser):
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root_user else 1000, raising=False)
    _, out, _ = nnopt("lab", "--workspace", "mine", "--port", "8123", *([] if browser else ["--no-browser"]))
    mine = tmp_path / "here" / "mine"
    command, env = server.started.command, server.started.env
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert {f"--ServerApp.root_dir={mine}", "--port=8123", "--ServerApp.port_retries=0"} <= set(command)
    assert "--LabApp.default_url=/lab/tree/course.md" in command and (mine / "course.md").is_file()
    hook = "nnopt_lab.course.static_outputs.before_save"
    assert f"--ContentsManager.pre_save_hook={hook}" in command and callable(pydoc.locate(hook))
    (layout,) = [part.partition("=")[2] for part in command if part.startswith("--LabApp.workspaces_dir=")]
    assert Path(layout).is_relative_to(mine) and any(Path(layout).iterdir())
    assert ("--no-browser" in command) == (not browser)
    assert ("Opening JupyterLab" in out) == browser
    if not browser:
        address = f"http://localhost:8123/lab/tree/course.md?token={env['JUPYTER_TOKEN']}"
        assert f"Open this address: {address}" in out.splitlines()
    assert ("--allow-root" in command) == root_user
    assert env["NNOPT_WORKSPACE"] == str(mine) and env.items() >= {"PATH": os.environ["PATH"]}.items()
    assert (mine / "00_start_here.ipynb").is_file()
    assert "00_start_here: new" in out and str(mine) in out.replace("\n", "")


def test_lab_inside_a_workspace_opens_that_one(nnopt, server, tmp_path, monkeypatch):
    nnopt("lab")
    mine = tmp_path / "here" / "work"
    monkeypatch.chdir(mine)
    nnopt("lab")
    assert server.started.env["NNOPT_WORKSPACE"] == str(mine) and not (mine / "work").exists()


def test_lab_does_not_list_lessons_that_are_new_all_at_once(nnopt, server, monkeypatch):
    fill = workspace.fill
    monkeypatch.setattr(workspace, "fill", lambda folder: [*fill(folder), ("01_pruning", workspace.NEW)])
    _, out, _ = nnopt("lab")
    assert "00_start_here" not in out and "01_pruning" not in out


def test_lab_ends_with_ctrl_c_and_with_the_servers_status(nnopt, server):
    status, _, err = nnopt("lab")
    assert status == 7 and server.started.ended and "Traceback" not in err


def test_lab_says_on_the_second_day_only_what_is_new(nnopt, server, tmp_path):
    nnopt("lab")
    mine = tmp_path / "here" / "work" / "00_start_here.ipynb"
    mine.write_text("my answers")
    _, out, _ = nnopt("lab")
    assert "00_start_here:" not in out and mine.read_text() == "my answers"
    manifest = tmp_path / "here" / "work" / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"00_start_here": "an older text"}))
    _, out, _ = nnopt("lab")
    (line,) = [line for line in out.splitlines() if "nnopt update" in line]
    assert "Newer texts are there of 00_start_here: " in line and mine.read_text() == "my answers"


def test_lab_with_an_occupied_port_says_so_and_starts_nothing(nnopt, course, tmp_path, monkeypatch):
    course("00_start_here", "# %%\n1\n")
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail("the server was started"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        status, _, err = nnopt("lab", "--port", port, "--workspace", tmp_path / "mine")
    assert status == 2 and a_sentence(err)
    assert err.startswith(f"port={port} cannot be used (") and err.endswith("choose another one with --port.\n")
    assert not (tmp_path / "mine").exists()
    learner._check_free(port)


@pytest.mark.parametrize("port", ["0", "65536", "many"])
def test_a_port_that_there_is_not_is_refused(nnopt, server, port):
    assert nnopt("lab", "--port", port)[0] == 2 and server.started is None


def test_lab_shares_only_when_asked_and_says_what_first(nnopt, server, tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "post", lambda *_: pytest.fail("something was sent"))
    _, out, _ = nnopt("lab")
    assert "sends" not in out and not (tmp_path / "here" / "work" / ".sharing.jsonl").exists()


def test_lab_shares_while_it_runs(nnopt, server, tmp_path):
    with running() as here:
        shown = []
        server.while_running = staticmethod(lambda: shown.extend(here.board.view(time.time())["learners"]))
        status, out, err = nnopt("lab", "--share", here.learners_address, "Anna Lee", "--workspace", "mine")
        (row,) = here.board.view(time.time())["learners"]
    assert status == 7 and "Traceback" not in err
    assert out.index("it sends the class: the name Anna Lee") < out.index("Opening JupyterLab")
    assert [one["state"] for one in shown] == ["here"] and (row["name"], row["state"]) == ("Anna Lee", "left")
    assert not (tmp_path / "here" / "mine" / ".sharing.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--share", "http://127.0.0.1:1/code"], "--share needs the class's address and your name"),
        (["--share", "http://127.0.0.1:1/code", "--port", "8123"], "--share needs the class's address and your name"),
        (["--share", "http://127.0.0.1:1/code", " "], "name=' ' must have 1 to 60 characters"),
        (["--share", "Anna", "http://127.0.0.1:1/code"], "address='Anna' must be the one"),
        (["--share", "", "Anna"], "address='' must be the one"),
        (["--share", "http://127.0.0.1:1/code", "Anna"], "does not answer"),
    ],
)
def test_lab_with_nobody_to_share_with_says_so_in_one_sentence_and_starts_nothing(nnopt, server, options, said):
    status, _, err = nnopt("lab", *options)
    assert status == 2 and a_sentence(err) and said in err and server.started is None


def test_capstone_shows_the_board_and_writes_the_figure(nnopt, tmp_path, monkeypatch):
    asked, figures, plot = [], [], Leaderboard.plot
    monkeypatch.setattr(
        "nnopt_lab.grading.capstone.judge", lambda *paths, **more: asked.append((*paths, more)) or BOARD
    )
    monkeypatch.setattr(Leaderboard, "plot", lambda board: figures.append(plot(board)) or figures[-1])
    arguments = ("mine.onnx", "--plot", tmp_path / "b.png", "--isolation", "none", "--seconds", 20)
    status, out, _ = nnopt("capstone", *arguments)
    assert asked == [([Path("mine.onnx")], {"isolation": "none", "limits": Limits(20, 1024)})]
    assert status == 0 and all(entry.name in out for entry in BOARD.entries)
    names = {text.get_text() for axes in figures[0].axes for text in axes.texts}
    assert names == {entry.name for entry in BOARD.entries}
    assert (tmp_path / "b.png").stat().st_size > 10_000


NETWORK_AND_DATA = """
    import torch
    from torch import nn


    def build():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))


    def load():
        g = torch.Generator().manual_seed(0)
        x, y = torch.randn(80, 3, 8, 8, generator=g), torch.randint(0, 3, (80,), generator=g)
        return (x[:60], y[:60]), (x[60:], y[60:])
"""


class TestOptimize:
    OPTIONS = ("--data", "mine.py:load", "--target", "bytes", "--max-drop", "100", "--trials", "1")

    @pytest.fixture(autouse=True)
    def script(self, nnopt):
        Path("mine.py").write_text(dedent(NETWORK_AND_DATA))

    def stand_in(self, monkeypatch):
        """The calls of `optimize`, which searches nothing."""
        calls = []

        def search(*given, **options):
            calls.append((given, options))
            raise ValueError("That is enough.")

        monkeypatch.setattr("nnopt_lab.techniques.search.autotune.optimize", search)
        return calls

    def test_it_writes_the_best_network_and_its_report(self, nnopt):
        status, out, _ = nnopt("optimize", "mine.py:build", *self.OPTIONS, "--storage", "search.db", "--out", "small")
        assert status == 0 and "(best)" in out and "weights.nndc" in out
        assert Path("small", "report.md").is_file() and Path("search.db").is_file()

    @pytest.mark.parametrize(
        ("options", "wanted"),
        [
            ((), {"preset": "balanced", "trials": 40, "epochs": 2, "seconds": None, "seed": 0}),
            (
                ("--preset", "quick", "--epochs", "3", "--seed", "7"),
                {"trials": 8, "epochs": 3, "seconds": 600, "seed": 7},
            ),
            (("--trials", "9", "--minutes", "0.5"), {"trials": 9, "seconds": 30.0}),
        ],
    )
    def test_the_effort_is_the_presets_unless_it_is_given(self, nnopt, monkeypatch, options, wanted):
        given = []

        def search(*_, **options):
            given.append(options)
            raise ValueError("That is enough.")

        monkeypatch.setattr("nnopt_lab.techniques.search.autotune.optimize", search)
        nnopt("optimize", "mine.py:build", "--data", "mine.py:load", *options)
        assert given[0] | wanted == given[0]

    @pytest.mark.parametrize("given", ["weights", "labels"])
    def test_a_librarys_network_has_the_classes_of_its_weights_or_of_the_labels(self, nnopt, monkeypatch, given):
        from torchvision import models

        classes, options = (3, ()) if given == "labels" else (9, ("--weights", "net.pth"))
        trained = models.mobilenet_v3_small(num_classes=classes)
        torch.save(trained.state_dict(), "net.pth")
        searched = self.stand_in(monkeypatch)
        status, _, err = nnopt("optimize", "torchvision:mobilenet_v3_small", *self.OPTIONS, *options)
        assert status == 2 and ("has random weights and 3 classes" in err) == (given == "labels")
        state = searched[0][0][0].state_dict()
        assert state["classifier.3.bias"].shape == (classes,)
        same = [torch.equal(value, state[name]) for name, value in trained.state_dict().items()]
        assert all(same) if given == "weights" else not all(same)

    def test_a_dry_run_shows_what_would_be_searched_on_a_screen_and_stops(self, nnopt, monkeypatch):
        searched = self.stand_in(monkeypatch)
        monkeypatch.setattr("nnopt_lab.cli.screen.console", Console(width=80))
        status, out, _ = nnopt("optimize", "mine.py:build", *self.OPTIONS, "--dry-run", "--storage", "search.db")
        assert status == 0 and len(out.splitlines()) <= 24 and max(map(len, out.splitlines())) <= 80
        for said in (
            "60 pictures to train on and 20",
            "1 group: 0 (8)",
            "2 layers: 0, 3",
            "eager float32",
            "for 1 trial",
        ):
            assert said in out
        assert not searched and not Path("optimized").exists() and not Path("search.db").exists()

    def test_a_dry_run_of_a_large_network_fits_too(self, nnopt, monkeypatch):
        monkeypatch.setattr("nnopt_lab.cli.screen.console", Console(width=80))
        options = ("--data", "mine.py:load", "--dry-run", "--max-bytes", 10**6, "--engine", "bf16")
        status, out, _ = nnopt("optimize", "torchvision:mobilenet_v3_small", *options)
        assert status == 0 and len(out.splitlines()) <= 24 and "and 24 more" in out

    @pytest.mark.parametrize("model", ["mine.py:build", "torchvision:squeezenet1_1"])
    def test_data_by_name(self, nnopt, model, monkeypatch):
        from PIL import Image

        searched = self.stand_in(monkeypatch)
        for part in ("train", "val"):
            for index in range(8):
                where = Path("data", part, ("ant", "bee")[index % 2])
                where.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (40 + index, 40), (255, 0, 0)).save(where / f"{index}.png")
        size = () if model.startswith("torchvision") else ("--size", 8)
        nnopt("optimize", model, "--data", "data", *size)
        (network, train, _), options = searched[0]
        assert options["class_names"] == ("ant", "bee")
        images = as_split(train).images
        inputs = options["to_input"](images)
        if size:
            assert images.shape == (8, 3, 8, 8) and inputs[0, :, 0, 0].tolist() == [1, 0, 0]
        else:
            assert images.shape == (8, 3, 224, 224) and network(inputs).shape == (8, 2)
            assert inputs[0, :, 0, 0].tolist() == pytest.approx([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225])

    def test_data_are_read_once(self, nnopt, monkeypatch):
        Path("counting.py").write_text(
            "import torch\n\nread = []\n\n\nclass Counting(torch.utils.data.Dataset):\n"
            "    classes = ('ant', 'bee', 'cat', 'dog')\n\n    def __len__(self):\n        return 8\n\n"
            "    def __getitem__(self, i):\n        read.append(i)\n        return torch.zeros(3, 32, 32), i % 3\n\n\n"
            "def load():\n    return Counting(), Counting()\n"
        )
        searched = self.stand_in(monkeypatch)
        nnopt("optimize", "torchvision:squeezenet1_1", "--data", "counting.py:load")
        (network, train, _), options = searched[0]
        read = sys.modules.pop("counting").read
        before = len(read)
        assert before in (8, 9) and as_split(train) is train and len(read) == before
        assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 4) and options["class_names"] == (
            "ant",
            "bee",
            "cat",
            "dog",
        )

    @pytest.mark.parametrize(
        ("source", "sentence"),
        [
            ("def build(:\n", "faulty.py failed in line 1 (SyntaxError: "),
            ("import nothing_of_this_name\n", "faulty.py failed in line 1 (ModuleNotFoundError: No module named "),
            ("def build():\n    return net\n", "faulty.py failed in line 2 (NameError: name 'net' is not defined)."),
            ("def build(wide):\n    return wide\n", "faulty.py failed (TypeError: build() missing 1 required"),
            ("def build():\n    raise SystemExit\n", "faulty.py failed in line 2 (SystemExit)."),
            ("assert 1 > 2\n", "faulty.py failed in line 1 (AssertionError)."),
            ("build = 3\n", "faulty.py has no function 'build'."),
            ("def build():\n    pass\n", "model is NoneType; it must be a classifier"),
            (
                "import mine\ndef build():\n    return mine.build().to('meta')\n",
                "model has 0.weight on the meta device",
            ),
            ("import mine\ndef build():\n    return mine.build().requires_grad_(False)\n", "call model.requires_grad_"),
            (
                "import mine\ndef build():\n    model = mine.build()\n    inner = model.forward\n"
                "    model.forward = lambda x: {'logits': inner(x)}\n    return model\n",
                "Sequential returns a dict; it must return one tensor",
            ),
        ],
    )
    def test_a_faulty_script_or_network_is_told_in_a_sentence(self, nnopt, source, sentence):
        Path("faulty.py").write_text(source)
        status, _, err = nnopt("optimize", "faulty.py:build", *self.OPTIONS)
        assert status == 2 and a_sentence(err) and sentence in err

    def test_faulty_data_are_told_in_a_sentence(self, nnopt):
        Path("faulty.py").write_text("def load():\n    return 1 / 0\n")
        status, _, err = nnopt("optimize", "mine.py:build", "--data", "faulty.py:load")
        assert status == 2 and err == "faulty.py failed in line 2 (ZeroDivisionError: division by zero).\n"
        Path("notes.txt").write_text("3")
        status, _, err = nnopt("optimize", "notes.txt:build", "--data", "faulty.py:load")
        assert status == 2 and a_sentence(err)

    @pytest.mark.parametrize("storage", ["none/search.db", "damaged.db", "postgres://", "."])
    def test_a_storage_that_cannot_be_used_is_told_in_a_sentence(self, nnopt, storage):
        Path("damaged.db").write_text("damaged" * 1000)
        status, _, err = nnopt("optimize", "mine.py:build", *self.OPTIONS, "--storage", storage)
        assert status == 2 and a_sentence(err) and f"storage='{storage}'" in err

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("mine.py:nothing", *OPTIONS), "mine.py has no function 'nothing'."),
            (("other.py:build", *OPTIONS), "must be script.py:function"),
            (("mine.py:build", "--data", "fashon"), "or one of fashion"),
            (("mine.py:load", "--data", "mine.py:build"), "it must return a tuple (train, validation)"),
            (("torchvision:resnet19", *OPTIONS), "has no classifier 'resnet19'; similar names are"),
            (("torchvision:resnet18", *OPTIONS, "--weights", "no.pth"), "weights='no.pth' must be an existing file"),
            (
                ("mine.py:build", *OPTIONS, "--weights", "mine.pth"),
                "is for timm:NAME or torchvision:NAME, but the model",
            ),
            (("mine.py:nothing", *OPTIONS, "--size", 8), "are for data by name (torchvision:NAME:FOLDER, a folder"),
            (("mine.py:nothing", *OPTIONS, "--download"), "but data='mine.py:load'."),
            (("mine.py:nothing", "--data", "a.npz", "--mean", "x"), "mean='x' must be numbers with commas between"),
            (("mine.py:nothing", "--data", "a.npz", "--mean", "1,2"), "must be equally many numbers"),
            (("mine.py:build", "--data", "a.npz"), "data='a.npz' must be an existing file."),
            (("mine.py:build", "--data", "torchvision:MNIST:no"), "its files are not in 'no' or damaged"),
            (("mine.py:nothing", *OPTIONS, "--engine", "abacus"), "names contains 'abacus'"),
            (("mine.py:nothing", *OPTIONS, "--preset", "fast"), "preset='fast' must be one of 'quick', 'balanced'"),
            (("mine.py:nothing", *OPTIONS, "--device", "cuda:99"), "device='cuda:99' is not there; this machine has"),
            (("mine.py:nothing", *OPTIONS, "--device", "gpu"), "device='gpu' must be 'cpu', 'accelerator' or"),
        ],
    )
    def test_a_slip_is_named_in_a_sentence(self, nnopt, arguments, sentence):
        status, _, err = nnopt("optimize", *arguments)
        assert status == 2 and a_sentence(err) and sentence in err


@pytest.fixture
def chinese_course(course, chinese):
    """A course of one lesson in two languages; English is spoken unless a command is told otherwise."""
    root = course("00_start_here", "# %% [markdown]\n# # Title\n\n# %%\n1\n")
    notebook = json.loads((root / "notebooks" / "00_start_here.ipynb").read_text())
    notebook["cells"][0]["source"] = "# 标题"
    (root / "notebooks" / "zh").mkdir()
    (root / "notebooks" / "zh" / "00_start_here.ipynb").write_text(json.dumps(notebook, ensure_ascii=False))
    chinese(
        {"Your lessons are in {folder}": "课程在 {folder}", "{lesson} is fresh.": "{lesson} 是新的。", "new.": "新。"}
    )
    set_language(None)
    return root


@pytest.mark.parametrize("way", ["option", "variable", "locale"])
def test_lab_opens_the_lessons_in_a_language(nnopt, server, chinese_course, tmp_path, monkeypatch, way):
    if way == "variable":
        monkeypatch.setenv("NNOPT_LANGUAGE", "zh")
    if way == "locale":
        monkeypatch.delenv("NNOPT_LANGUAGE")
        monkeypatch.setenv("LANG", "zh_CN.UTF-8")
        for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES"):
            monkeypatch.delenv(name, raising=False)
    _, out, _ = nnopt("lab", *(["--language", "zh"] if way == "option" else []))
    mine = tmp_path / "here" / "work"
    assert "课程在 " in out and "00_start_here：新\n" in out
    assert "标题" in (mine / "zh" / "00_start_here.ipynb").read_text() and not (mine / "00_start_here.ipynb").exists()
    env = server.started.env
    assert env["NNOPT_LANGUAGE"] == "zh" and env["NNOPT_WORKSPACE"] == str(mine)
    assert "--LabApp.default_url=/lab/tree/zh/course.md" in server.started.command
    assert (mine / "zh" / "course.md").is_file()


def test_an_option_goes_before_the_variable_and_both_copies_stay(nnopt, server, chinese_course, tmp_path, monkeypatch):
    monkeypatch.setenv("NNOPT_LANGUAGE", "zh")
    nnopt("lab", "--language", "en")
    assert server.started.env["NNOPT_LANGUAGE"] == "en"
    mine = tmp_path / "here" / "work"
    (mine / "00_start_here.ipynb").write_text("my answers")
    set_language(None)
    nnopt("lab")
    status, out, _ = nnopt("reset", "0")
    assert status == 0 and "00_start_here 是新的。" in out
    assert (mine / "00_start_here.ipynb").read_text() == "my answers"
    assert "标题" in (mine / "zh" / "00_start_here.ipynb").read_text()


@pytest.mark.parametrize("command", [["lab"], ["reset", "0"], ["update"], ["progress"]])
def test_an_unknown_language_is_refused_in_one_sentence(nnopt, server, chinese_course, monkeypatch, command):
    status, _, err = nnopt(*command, "--language", "fr")
    assert status == 2 and err == "language='fr' must be one of: en, zh.\n" and server.started is None
    monkeypatch.setenv("NNOPT_LANGUAGE", "fr")
    status, _, err = nnopt(*command)
    assert status == 2 and err == "NNOPT_LANGUAGE='fr' must be one of: en, zh.\n"
