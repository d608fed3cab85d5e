"""Learners' notebooks, with every exercise blank: they run from top to bottom and earn nothing.

The solved notebooks, whose other cells are the same, show that the outputs and claims are true. Here a lesson does all
long work in_a_hurry.py, so that it takes seconds; its numbers are not looked at.
"""

from pathlib import Path

import nbformat
import pytest

from nnopt_lab.course import runner
from nnopt_lab.course.lesson_files import lesson_names, paths

WHOLE = ("04_batch_sizes", "05_integers_by_hand", "09_mixed_precision")  # these ask for pictures by their places
IN_A_HURRY = Path(__file__).with_name("in_a_hurry.py")


def hurried(lesson):
    """The blank notebook, with what makes it quick in front."""
    stored = nbformat.read(paths(lesson)[False], as_version=4)
    keep = 18_000 if lesson in WHOLE else 3_000
    stored.cells.insert(0, nbformat.v4.new_code_cell(f"KEEP = {keep}\n{IN_A_HURRY.read_text(encoding='utf-8')}"))
    return stored


@pytest.mark.parametrize("lesson", lesson_names())
def test_a_blank_notebook_runs_and_earns_nothing(lesson):
    result = runner.run_notebook(lesson, hurried(lesson))
    assert (result.failure, result.points) == ("", 0)
    assert result.claims
