"""A maintainer's commands, on lessons of one cell."""

import subprocess
import sys

import nbformat
import pytest

from nnopt_lab.course import builder, record, recordings, runner
from nnopt_lab.course.runner import Result
from nnopt_lab.lessons import shipped
from nnopt_lab.workbench.paths import PACKAGE
from tests.cli.common import FINE, a_sentence


def test_run_tells_what_failed_and_what_did_not_hold_with_status_1(nnopt, course, monkeypatch):
    one, failure = {"one is one": True}, "cell 0 failed with ValueError: [red]no[/red]"
    found = {
        "97_fine": Result("97_fine", 1.0, 0, 0, 0, one),
        "98_false": Result("98_false", 1.0, 0, 0, 0, one | {"[b]two[/b] is three": False}),
        "99_failing": Result("99_failing", 1.0, 0, 0, 0, {}, failure),
    }
    for name in found:
        course(name, FINE)
    monkeypatch.setattr(runner, "run", lambda lesson, *_: found[lesson])
    status, out, _ = nnopt("run")
    assert status == 1 and "failed" in out and "1 of 1" in out and "1 of 2" in out and "97_fine: " not in out
    assert "98_false: ✘ [b]two[/b] is three\n" in out
    assert "99_failing: cell 0 failed with ValueError: [red]no[/red]\n" in out


def test_claims_that_do_not_apply_are_counted_apart_and_are_no_failure(nnopt, course, monkeypatch):
    course("98_tiny", "# %%\n1\n")
    claims = {"a": True, "b": True, "c": None}
    timed = {"d": True, "e": None, "f": record.NOT_JUDGED}
    monkeypatch.setattr(runner, "run", lambda *a: Result("98_tiny", 1.0, 0, 0, 0, claims, timing_claims=timed))
    status, out, _ = nnopt("run")
    row = [line for line in out.splitlines() if "98_tiny" in line][-2]
    assert status == 0
    assert [cell.strip() for cell in row.strip("│").split("│")][-4:] == ["2 of 2", "1 of 1", "1", "2"]
    assert "98_tiny: ○ not judged: busy: f\n" in out


def test_a_false_claim_on_times_is_a_failure(nnopt, course, monkeypatch):
    course("98_tiny", "# %%\n1\n")
    timed = {"faster": False, "slower": True}
    monkeypatch.setattr(runner, "run", lambda *a: Result("98_tiny", 1.0, 0, 0, 0, {}, timing_claims=timed))
    status, out, _ = nnopt("run")
    assert status == 1 and "1 of 2" in out and "98_tiny: ✘ faster\n" in out


@pytest.mark.parametrize(("failure", "status"), [("", 0), ("cell 0 failed", 1)])
def test_in_smoke_mode_only_a_failing_cell_is_a_failure(nnopt, course, monkeypatch, failure, status):
    course("98_tiny", "# %%\n1\n")
    found = Result("98_tiny", 1.0, 0, 0, 0, {"c": False}, failure, timing_claims={"d": False})
    monkeypatch.setattr(runner, "run", lambda *a: found)
    monkeypatch.setenv("NNOPT_SMOKE", "1")
    got, out, _ = nnopt("run")
    assert got == status and "✘" not in out and "smoke mode" in out
    monkeypatch.delenv("NNOPT_SMOKE")
    got, out, _ = nnopt("run")
    assert got == 1 and out.count("✘") == 2


@pytest.mark.parametrize("result", ["false claim", "failing cell"])
def test_each_of_the_two_alone_is_a_failure(nnopt, course, monkeypatch, result):
    course("98_tiny", "# %%\n1\n")
    claims, failure = ({"c": False}, "") if result == "false claim" else ({"c": True}, "cell 0 failed")
    monkeypatch.setattr(runner, "run", lambda *a: Result("98_tiny", 1.0, 0, 0, 0, claims, failure))
    assert nnopt("run")[0] == 1


def test_run_takes_the_notebook_that_is_asked_for(nnopt, course, monkeypatch):
    course("97_fine", "# %%\n1\n")
    course("98_tiny", "# %%\n1\n")
    asked = []

    def run(lesson, solved, on_cell):
        asked.append((lesson, solved))
        on_cell(1, 1)
        return Result(lesson, 1.0, 0, 0, 0, {})

    monkeypatch.setattr(runner, "run", run)
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


def test_build_stats_counts_and_builds_nothing(nnopt, course):
    root = course("98_tiny", FINE)
    before = {path: path.read_bytes() for path in root.rglob("*.ipynb")}
    status, out, _ = nnopt("build", "--stats")
    row = next(line for line in out.splitlines() if "98_tiny" in line)
    assert status == 0 and [cell.strip() for cell in row.strip("│").split("│")][3:7] == ["0", "3", "1", "1"]
    assert {path: path.read_bytes() for path in root.rglob("*.ipynb")} == before


def test_build_check_refuses_a_learners_notebook_with_outputs(nnopt, course):
    path = course("98_tiny", "# %%\n1\n") / "notebooks" / "98_tiny.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].execution_count = 1
    nbformat.write(notebook, path)
    status, out, _ = nnopt("build", "--check")
    assert status == 1
    assert out == "notebooks/98_tiny.ipynb has outputs, which reveal answers: run nnopt build 98_tiny.\n"


def test_build_check_names_outputs_that_were_edited(nnopt, course):
    path = course("98_tiny", "# %%\n1\n") / "solutions" / "98_tiny.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].outputs = [nbformat.v4.new_output("stream", text="1\n", name="stdout")]
    nbformat.write(notebook, path)
    status, out, _ = nnopt("build", "--check")
    edited = "solutions/98_tiny.ipynb has other outputs than it was built with in cell 0: run nnopt build 98_tiny.\n"
    assert (status, out) == (1, edited)


def test_build_check_names_strays_and_broken_names(nnopt, course):
    root = course("98_tiny", "# %%\n1\n")
    (root / "notebooks" / "99_stray.ipynb").write_bytes((root / "notebooks" / "98_tiny.ipynb").read_bytes())
    assert nnopt("build", "--check") == (
        1,
        "notebooks/99_stray.ipynb has no source, solutions/99_stray.py: delete it or move it elsewhere.\n",
        "",
    )
    assert nnopt("build", "--check", "tiny")[0] == 0
    status, _, err = nnopt("build", "--check", "stray")
    assert status == 2 and a_sentence(err) and "no source solutions/99_stray.py" in err
    (root / "notebooks" / "99_stray.ipynb").unlink()
    (root / "notebooks" / "98_tiny.ipynb").rename(root / "notebooks" / "98_tinny.ipynb")
    status, out, _ = nnopt("build", "--check")
    assert status == 1 and out.splitlines() == [
        "notebooks/98_tinny.ipynb is not named as its source, solutions/98_tiny.py: rename it to 98_tiny.ipynb.",
        "notebooks/98_tiny.ipynb is missing: run nnopt build 98_tiny.",
    ]


def test_build_refuses_a_false_claim_in_words_and_writes_nothing(nnopt, course, monkeypatch):
    root = course("98_false", FINE)
    found = Result("98_false", 1.0, 0, 0, 0, {"one is one": False})
    monkeypatch.setattr(builder, "run_notebook", lambda *arguments: found)
    before = {path: path.read_bytes() for path in root.rglob("*.ipynb")}
    status, _, err = nnopt("build", "false")
    assert status == 2 and a_sentence(err) and "false claims: ['one is one']" in err
    assert {path: path.read_bytes() for path in root.rglob("*.ipynb")} == before


def test_test_gives_further_arguments_to_pytest_and_needs_a_clone(nnopt, course, monkeypatch):
    called = []
    monkeypatch.setattr(subprocess, "call", lambda command, cwd: called.append((command, cwd)) or 5)
    root = course("98_tiny", "# %%\n1\n")
    status, _, err = nnopt("test")
    assert status == 2 and a_sentence(err) and "in a clone" in err
    (root / "tests").mkdir()
    for arguments in (["-k", "tiny", "-x"], ["solutions/98_tiny.ipynb"]):
        called.clear()
        assert nnopt("test", *arguments)[0] == 5
        assert called == [([sys.executable, "-m", "pytest", *arguments], root)]


def test_test_runs_most_tests_side_by_side_and_the_others_one_by_one(nnopt, course, monkeypatch):
    called, statuses = [], iter([1, 0])
    monkeypatch.setattr(subprocess, "call", lambda command, cwd: called.append(command[3:]) or next(statuses))
    (course("98_tiny", "# %%\n1\n") / "tests").mkdir()
    assert nnopt("test")[0] == 1  # red tests stay red where the notebooks are green
    parallel, serial = called
    assert parallel[parallel.index("-m") + 1] == "not serial" and "-n" in parallel
    assert serial == ["-m", "serial", "solutions"]
    marked = [path for path in (PACKAGE.parent / "tests").rglob("*.py") if "mark.serial" in path.read_text("utf-8")]
    assert sorted(path.name for path in marked) == ["plugin.py", "test_maintainer.py"], "only notebooks are serial"


def test_test_of_lessons_chooses_their_tests_and_notebooks(nnopt, course, monkeypatch):
    called = []
    monkeypatch.setattr(subprocess, "call", lambda command, cwd: called.append(command[3:]) or 1)
    root = course("01_pruning", "# %%\n1\n")
    course("98_tiny", "# %%\n1\n")
    (root / "tests").mkdir()
    assert nnopt("test", "pruning", "98", "-x")[0] == 1
    (arguments,) = called
    *where, option, names, last = arguments
    assert where == ["tests/lessons", "solutions/01_pruning.ipynb", "solutions/98_tiny.ipynb"]
    assert (option, last) == ("-k", "-x")
    chosen = names.split(" or ")
    assert {"01_pruning", "test_pruning.py", "pruning.levels", "98_tiny", "test_tiny.py"} <= set(chosen)
    assert not any(word.startswith("batches.") for word in chosen)


def test_new_writes_a_lesson_and_says_what_comes_next(nnopt, course, tmp_path):
    root = course("98_tiny", "# %%\n1\n")
    for folder in ("nnopt_lab/lessons", "tests/lessons"):
        (root / folder).mkdir(parents=True)
    status, _, err = nnopt("new", "demo")
    assert status == 2 and a_sentence(err)
    (root / "pyproject.toml").touch()
    status, out, _ = nnopt("new", "demo", "--title", "A demo", "--minutes", "30")
    assert status == 0 and "  solutions/99_demo.py\n" in out and "run nnopt build demo, then nnopt test demo" in out
    assert 'Lesson(99, "A demo", minutes=30, draft=True)' in (root / "nnopt_lab/lessons/demo/__init__.py").read_text()
    status, _, err = nnopt("new", "demo", "--number", "5")
    assert status == 2 and err == "name='demo' is taken.\n"


def test_train_record_and_make_data_hand_over_what_they_were_given(nnopt, monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "train_shipped", lambda name, seed: f"trained {name} {seed}")
    monkeypatch.setattr(recordings, "record", lambda name: f"recorded {name}")
    monkeypatch.setattr(shipped, "make_fashion_file", lambda source: source / "fashion.npz")
    assert nnopt("train", "mynet", "--seed", "3")[:2] == (0, "trained mynet 3\n")
    assert nnopt("record", "tiny")[:2] == (0, "recorded tiny\n")
    assert nnopt("make-data", "--source", tmp_path)[:2] == (0, "Wrote fashion.npz.\n")
