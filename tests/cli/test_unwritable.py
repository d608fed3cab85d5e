"""Whatever a command can't write is told in one sentence, before the work that it was to hold where that takes long."""

import os
import subprocess
import sys

import pytest

from nnopt_lab.course import recordings, workspace
from nnopt_lab.grading.gradebook import FILE
from nnopt_lab.lessons import shipped
from nnopt_lab.lessons.capstone import entries
from tests.cli.common import a_sentence
from tests.grading.classroom import LESSON, hand_in, linux, notebook

TOO_LATE = "the work began before the file was looked at"


@pytest.fixture
def places(tmp_path):
    """Where nothing can be written, by what is wrong there."""
    (tmp_path / "file").write_text("mine")
    return [tmp_path / "file", tmp_path / "file" / "below", "/proc/nnopt", tmp_path / ("x" * 300)]


def refused(nnopt, *arguments) -> str:
    code, said, error = nnopt(*arguments)
    assert code == 2 and a_sentence(error) and "Errno" not in error, (arguments, said, error)
    return error


@linux
@pytest.mark.parametrize(
    "command",
    [
        ("release", "{}"),
        ("grade", "in", "--out", "{}", "--jobs", 1),
        ("grade", "in", "--out", "{}", "--jobs", 1, "--fresh"),
        ("reset", "01", "--workspace", "{}"),
        ("lab", "--workspace", "{}", "--no-browser", "--port", 18733),
        ("optimize", "script.py:model", "--data", "script.py:data", "--out", "{}"),
        ("capstone", "--plot", "{}/board.png"),
    ],
)
def test_a_folder_that_can_t_be_made_is_told(nnopt, places, monkeypatch, command):
    hand_in(places[0].parent / "here" / "in", "alice", notebook({}))
    (places[0].parent / "here" / "script.py").write_text(f"def model():\n    raise AssertionError({TOO_LATE!r})\n")
    monkeypatch.setattr("nnopt_lab.grading.pool.WorkerPool", lambda *_: pytest.fail(TOO_LATE))
    monkeypatch.setattr("nnopt_lab.grading.capstone.judge", lambda *_, **__: pytest.fail(TOO_LATE))
    monkeypatch.setattr("nnopt_lab.cli.learner._wait", lambda server: server.kill() or pytest.fail(TOO_LATE))
    for place in places:
        refused(nnopt, *(str(part).format(place) for part in command))
    assert places[0].read_text() == "mine"


@linux
@pytest.mark.parametrize(
    "options",
    [
        ("--late", "10%"),
        ("--late", "often", "--due", "2026-12-01"),
        ("--due", "soon"),
        ("--format", "excel"),
        ("--isolation", "wall"),
        ("--late", "10%", "--fresh"),
        ("--seed", 6),
    ],
)
def test_options_are_looked_at_before_a_sandbox_starts(nnopt, tmp_path, monkeypatch, options):
    hand_in(tmp_path / "in", "alice", notebook({}))
    assert nnopt("grade", tmp_path / "in", "--out", tmp_path / "out", "--jobs", 1, "--seed", 5)[0] == 0
    monkeypatch.setattr("nnopt_lab.grading.pool.WorkerPool", lambda *_: pytest.fail(TOO_LATE))
    refused(nnopt, "grade", tmp_path / "in", "--out", tmp_path / "out", *options)
    assert not list((tmp_path / "out").glob("gradebook.20*"))  # --fresh has put nothing away


@linux
def test_a_folder_where_a_file_belongs_is_told(nnopt, tmp_path):
    hand_in(tmp_path / "in", "alice", notebook({}))
    for name in ("marks.csv", "grades.csv", "class.html", ".lock", FILE):
        out = tmp_path / f"out of {name}"
        (out / name).mkdir(parents=True)
        assert name in refused(nnopt, "grade", tmp_path / "in", "--out", out, "--jobs", 1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "feedback").write_text("mine")
    assert "feedback" in refused(nnopt, "grade", tmp_path / "in", "--out", tmp_path / "out", "--jobs", 1)
    assert "is a folder" in refused(nnopt, "mark", "alice", LESSON, "--out", tmp_path / f"out of {FILE}")


def test_the_figures_file_is_looked_at_before_the_judging(nnopt, tmp_path, monkeypatch):
    monkeypatch.setattr("nnopt_lab.grading.capstone.judge", lambda *_, **__: pytest.fail(TOO_LATE))
    assert "is a folder" in refused(nnopt, "capstone", "--plot", tmp_path)
    assert ".png" in refused(nnopt, "capstone", "--plot", "board.word")
    assert not list(tmp_path.glob("here/*"))


@pytest.mark.parametrize("command", [("train", "mynet"), ("train", "capstone_small"), ("record", "pruning_sweep")])
def test_shipped_files_are_looked_at_before_they_are_made(nnopt, tmp_path, monkeypatch, command):
    (tmp_path / "data").write_text("no folder")
    for module in ("lessons.shipped", "course.recordings", "lessons.capstone.entries"):
        monkeypatch.setattr(f"nnopt_lab.{module}.data_dir", lambda: tmp_path / "data")
    monkeypatch.setitem(shipped.TRAINERS, "mynet", lambda seed: pytest.fail(TOO_LATE))
    monkeypatch.setitem(recordings.experiments(), "pruning_sweep", lambda: pytest.fail(TOO_LATE))
    monkeypatch.setitem(entries.ENTRIES, "capstone_small", lambda *_: pytest.fail(TOO_LATE))
    refused(nnopt, *command)


def test_damaged_pictures_are_told(nnopt, tmp_path):
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(b"\x1f\x8b no pictures")
    assert "train-images" in refused(nnopt, "make-data", "--source", tmp_path)


@linux
def test_a_full_disk_is_told(nnopt, tmp_path, monkeypatch):
    """As if the disk got full in the middle of a file: what is begun is removed, and what was there stays."""
    real = os.fsync

    def full(descriptor):
        real(descriptor)
        raise OSError(28, "No space left on device")

    hand_in(tmp_path / "in", "alice", notebook({}))
    out = tmp_path / "out"
    assert nnopt("grade", tmp_path / "in", "--out", out, "--jobs", 1)[0] == 0
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix in (".csv", ".html")}
    monkeypatch.setattr(workspace.os, "fsync", full)
    said = refused(nnopt, "grade", tmp_path / "in", "--out", out, "--jobs", 1)
    assert "grades.csv can't be used: no space left on device." in said
    assert "marks.csv" in refused(nnopt, "mark", "alice", LESSON, "--points", 1, "--out", out)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.suffix in (".csv", ".html")} == before
    monkeypatch.setattr("nnopt_lab.grading.release.write_data", lambda folder: (folder / "x").mkdir() or full(1))
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    assert "kit can't be used: no space" in refused(nnopt, "release", tmp_path / "kit")
    assert not list((tmp_path / "kit").iterdir())


@linux
@pytest.mark.parametrize("into", ["/dev/full", "closed"])
def test_an_output_that_can_t_be_written_is_told(into):
    """As a shell runs it: in this process the tests' own output would be in the way."""
    command = [sys.executable, "-m", "nnopt_lab", "progress"]
    read, write = os.pipe()
    os.close(read)
    with open("/dev/full", "wb") as full, os.fdopen(write, "wb") as closed:
        target = full if into == "/dev/full" else closed
        ended = subprocess.run(command, stdout=target, stderr=subprocess.PIPE, text=True)
    assert "Traceback" not in ended.stderr and "Exception" not in ended.stderr
    said = [line for line in ended.stderr.splitlines() if "There is no workspace" not in line]
    assert (ended.returncode, len(said)) == ((2, 1) if into == "/dev/full" else (1, 0))
