"""The README names every command, every finished lesson, only files that are there, and only measured results.

The guide for contributors names only files that are there, too.
"""

import ast
import json
import re
import shlex
import subprocess
import sys
from statistics import median

import nbformat
import numpy
import pytest
import torch

from nnopt_lab.cli import COMMANDS
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.recordings import recorded
from nnopt_lab.workbench import measure
from nnopt_lab.workbench.paths import PACKAGE
from tests.cli.conftest import nnopt  # noqa: F401 - a fixture
from tests.techniques.search.small_search import build, pictures

CLONE = PACKAGE.parent
TEXT = (CLONE / "README.md").read_text(encoding="utf-8")
GUIDE = (CLONE / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_command_is_in_the_table():
    for name in (name for panel in COMMANDS.values() for name in panel):
        assert re.search(rf"^\| .*`nnopt {name}\b", TEXT, re.MULTILINE), name


def test_every_finished_lesson_is_in_the_table_with_its_minutes_and_one_of_its_claims():
    for name, lesson in lessons().items():
        done = lesson.summary[:1].lower() + lesson.summary[1:].removesuffix(".")
        start = f"| {name[:2]} {name[3:].replace('_', ' ')} | {lesson.minutes} | {done} | "
        found = [line.removeprefix(start) for line in TEXT.splitlines() if line.startswith(start)]
        assert len(found) == (not lesson.draft), start
        source = (CLONE / "solutions" / f"{name}.py").read_text(encoding="utf-8")
        assert all(result.removesuffix(" |") in claims(source) for result in found), found


def claims(source):
    """The claims of a lesson that are plain texts."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    stated = [call.args[0] for call in calls if getattr(call.func, "id", "") == "claim"]
    return {text.value for text in stated if isinstance(text, ast.Constant)}


def test_the_files_that_it_and_the_guide_name_are_there():
    named = set(re.findall(r"`((?:nnopt_lab|tests|solutions|notebooks|data)/[a-z0-9_/.]*)`", TEXT + GUIDE))
    assert len(named) >= 8
    assert not {path for path in named if not (CLONE / path).exists()}


@pytest.mark.parametrize("file", ["README.md", ".github/README.zh.md"])
def test_its_links_to_sections_lead_to_headings(file):
    text = (CLONE / file).read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


def row(name):
    """The cells of the results' row that begins with this name."""
    return next(line for line in TEXT.splitlines() if line.startswith(f"| {name} |")).split("|")[2:4]


def stored_output(lesson):
    cells = nbformat.read(CLONE / "solutions" / f"{lesson}.ipynb", as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "\n".join(o.get("text", "") + o.get("data", {}).get("text/plain", "") for o in outputs)


def test_the_time_of_the_fastest_network_is_what_lesson_12_stores():
    for size, name in ((256, "time for 256 pictures, one thread"), (1, "time for one picture, one thread")):
        # "batch 256" starts a ladder's rows; the last one ends "31.3× (30.0–36.4)  +0.77 (−0.24 to +1.78)"
        rows = re.search(rf"^batch {size} .*?(?=^batch |\Z)", stored_output("12_hardware"), re.MULTILINE | re.DOTALL)
        top = re.findall(r"([\d.]+)× \(([\d.]+)–([\d.]+)\)  +(?=[+−\d])", rows[0])[-1]
        assert top == re.search(r"([\d.]+)× faster \(([\d.]+) to ([\d.]+)\)", row(name)[0]).groups()


def test_the_bytes_and_accuracies_are_those_of_the_shipped_files():
    gain, change = row("bytes of the file")
    size = (CLONE / "data/capstone/small.onnx").stat().st_size
    assert f"{size:,} instead of 1,075,114" in gain and f"{1_075_114 / size:.0f}× smaller" in gain
    board = stored_output("15_capstone")
    assert (
        change.strip() in board and row("time for one picture, one thread")[1].strip() in board and "1,075,114" in board
    )
    accuracy = json.loads((CLONE / "data/capstone/fastest.json").read_text())["test_accuracy"]
    assert f"{accuracy - 88.87:+.2f} (".replace("-", "−") in row("time for one picture, one thread")[1]


def test_the_accuracy_within_ten_thousand_bytes_is_that_of_the_shipped_file():
    gain, change = row("accuracy within 10,000 bytes")
    record = json.loads((CLONE / "data/capstone/accurate.json").read_text())
    assert gain.strip() == f"{record['test_accuracy']:.2f} % in {record['bytes']:,} bytes"
    assert change.strip() in stored_output("15_capstone")


@pytest.mark.parametrize(
    ("name", "recording", "digits"),
    [("time to train", "training_ladder", 1), ("time to train on an H100", "accelerator_training", 0)],
)
def test_the_time_to_train_is_the_recorded_one(name, recording, digits):
    first, *tried = recorded(recording)["result"]["rungs"]
    last = [rung for rung in tried if rung["kept"]][-1]
    less = sorted(a / b for a, b in zip(first["seconds"], last["seconds"], strict=True))
    gain, change = row(name)
    assert f"{median(less):.{digits}f}× less ({less[0]:.{digits}f} to {less[-1]:.{digits}f})" in gain
    seconds = re.search(r"([\d.]+) s instead of ([\d.]+)", gain)
    assert seconds is None or seconds.groups() == (f"{median(last['seconds']):.2f}", f"{median(first['seconds']):.1f}")
    lost = measure.mean_difference(first["test"], last["test"])
    assert change.strip() == f"{lost.estimate:+.2f} ({lost.low:+.2f} to {lost.high:+.2f})".replace("-", "−")


def test_the_example_of_optimize_works_as_it_stands_there(nnopt, tmp_path, monkeypatch):  # noqa: F811
    section = TEXT.split("## Optimize your own network")[1].split("\n## ")[0]
    code = {kind: re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL) for kind in ("python", "sh")}
    (tmp_path / "mine.py").write_text(*code["python"], encoding="utf-8")
    torch.save(build(), tmp_path / "trained.pt")
    torch.save(pictures(1000, 3), tmp_path / "pictures.pt")
    lines = [line for block in code["sh"] for line in block.splitlines()]
    dry, search, load = (shlex.split(line, comments=True) for line in lines)
    assert dry[0] == search[0] == "nnopt" and load[:4] == ["cd", "optimized", "&&", "python"]
    little = ["--trials", "1", "--epochs", "1", "--engine", "ONNX Runtime float32"]
    monkeypatch.chdir(tmp_path)
    status, _, err = nnopt(*dry[1:])
    assert status == 0 and not (tmp_path / "optimized").exists(), err
    status, _, err = nnopt(*search[1:], *little)
    assert status == 0, err
    numpy.save(tmp_path / "optimized" / "batch.npy", pictures(5, 4)[0].numpy())
    command = [sys.executable, *load[4:]]
    done = subprocess.run(command, cwd=tmp_path / "optimized", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and len(done.stdout.split()) == 5, done.stderr
    named = re.findall(r"`((?:report|weights|model|load)\.[a-z0-9]+)`", section)
    assert len(named) == 5 and all((tmp_path / "optimized" / name).is_file() for name in named)
