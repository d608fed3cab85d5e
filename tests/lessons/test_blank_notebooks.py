"""Learners' notebooks, with every exercise blank: they run from top to bottom and earn nothing.

They run in smoke mode, where a lesson takes seconds and its numbers mean nothing. The solved notebooks, whose other
cells are the same, show that the outputs and claims are true.
"""

import nbformat
import pytest

from nnopt_lab.course.lesson_files import lesson_names, paths
from nnopt_lab.course.runner import run_notebook
from tests.lessons.cells import calls, shown


@pytest.mark.parametrize("lesson", lesson_names())
def test_a_blank_notebook_runs_and_earns_nothing(lesson, monkeypatch):
    monkeypatch.setenv("NNOPT_SMOKE", "1")  # the kernel inherits it
    notebook = nbformat.read(paths(lesson)[False], as_version=4)
    result = run_notebook(lesson, notebook)
    assert (result.failure, result.points) == ("", 0)
    assert result.claims
    asked = [cell for cell in notebook.cells if calls(cell, "check") + calls(cell, "question")]
    assert asked and not [cell.id for cell in asked if "not answered yet" not in shown(cell) or "✘" in shown(cell)]
