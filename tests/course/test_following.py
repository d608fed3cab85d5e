"""The start page follows the cells that run."""

from datetime import datetime, timedelta
from types import SimpleNamespace

import nbformat
import pytest

from nnopt_lab.course import following, last_work, session
from nnopt_lab.course.exercises import cell_id
from nnopt_lab.course.start_page import write
from nnopt_lab.course.workspace import START_PAGE, fill

LESSON = "00_start_here"
START = datetime(2026, 1, 1)


@pytest.fixture
def run(own_workspace, monkeypatch):
    """Run cells of a new workspace's first lesson: by their ids, with the seconds between them, or all of them."""
    write(own_workspace, fill(own_workspace))
    parent, hooks, clock = {"header": {}, "metadata": {}}, [], [START]
    notebook_shell = SimpleNamespace(
        kernel=SimpleNamespace(get_parent=lambda: parent),
        events=SimpleNamespace(register=lambda event, hook: hooks.append(hook)),
    )
    for module in (following, last_work):
        monkeypatch.setattr(module, "shell", lambda: notebook_shell)
    monkeypatch.setattr(following, "_run", [])
    monkeypatch.setattr(following, "_staying", [])
    monkeypatch.setattr(session, "_lesson", LESSON)
    following.follow_cells()

    def run(*cells: str, seconds: float = 5, renews: str = "") -> None:
        for cell in cells:
            clock[0] += timedelta(seconds=seconds)
            parent["metadata"]["cellId"], parent["header"]["date"] = cell, clock[0]
            if cell == renews:
                following.stay()
            for hook in hooks:
                hook(SimpleNamespace())

    return run


@pytest.fixture
def cells(own_workspace, run) -> list[str]:
    """The ids of the first lesson's code cells."""
    return [cell.id for cell in nbformat.read(own_workspace / f"{LESSON}.ipynb", 4).cells if cell.cell_type == "code"]


def goes_on(folder) -> str:
    page = (folder / START_PAGE).read_text(encoding="utf-8")
    return next(line for line in page.splitlines() if line.startswith("> **"))


def test_each_cell_leads_to_its_section_though_nothing_is_answered_or_saved(own_workspace, run, cells):
    run(cells[3])
    assert f"section 1. The network and the pictures]({LESSON}.ipynb#cell-id={cells[3]})" in goes_on(own_workspace)
    run(*cells[4:-1])
    assert f"#cell-id={cells[-2]})**<br>You were there last. First unfinished: [section 2." in goes_on(own_workspace)


def test_the_lesson_whose_cell_ran_last_counts(own_workspace, run, cells, monkeypatch):
    run(cells[5])
    monkeypatch.setattr(session, "_lesson", "09_distillation")
    path = own_workspace / "09_distillation.ipynb"
    run(nbformat.read(path, 4).cells[-1].id)
    (own_workspace / f"{LESSON}.ipynb").touch()
    assert "[09 Distillation, section" in goes_on(own_workspace)
    monkeypatch.setattr(session, "_lesson", LESSON)
    run(cells[0])
    assert f"#cell-id={cells[5]})" in goes_on(own_workspace), "cells that open a lesson change no place in it"


def test_a_run_of_all_cells_leads_to_the_first_unfinished(own_workspace, run, cells):
    first = cell_id("exercise", "start.conv_parameters")
    path = own_workspace / f"{LESSON}.ipynb"
    path.write_text(path.read_text() + " ")  # as saved
    for begin in (0, 1):  # in a new kernel, only the second opens the lesson
        run(cells[9])
        assert "You were there last." in goes_on(own_workspace)
        run(cells[begin])
        run(*cells[begin + 1 :], seconds=0.01)
        assert "section 2. The cost of a layer]" in goes_on(own_workspace) and first in cells
        assert "It is the first section with something unfinished." in goes_on(own_workspace)


def test_a_run_of_many_cells_from_the_top_changes_no_place_also_if_it_ends_early(own_workspace, run, cells):
    run(cells[5])
    run(cells[0])
    run(*cells[1:10], seconds=0.01)
    assert f"#cell-id={cells[5]})" in goes_on(own_workspace)
    run(cells[6])
    assert f"#cell-id={cells[6]})" in goes_on(own_workspace)


def test_a_run_that_renews_results_leaves_the_place_above_them(own_workspace, run, cells):
    run(cells[5])
    run(cells[6])
    run(cells[7])
    run(*cells[8:], seconds=0.01, renews=cells[8])
    assert f"#cell-id={cells[7]})" in goes_on(own_workspace)
    run(cells[9])
    assert f"#cell-id={cells[9]})" in goes_on(own_workspace)


def test_a_cell_that_no_copy_has_and_a_damaged_copy_disturb_nothing(own_workspace, run, cells):
    run(cells[5], "gone")
    assert f"#cell-id={cells[5]})" in goes_on(own_workspace)
    (own_workspace / f"{LESSON}.ipynb").write_text("{")
    run(cells[6])
    assert "Continue with [00 Start here]" in goes_on(own_workspace)
