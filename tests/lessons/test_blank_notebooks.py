"""Learners' notebooks, with every exercise blank: they run from top to bottom and earn nothing.

They run in smoke mode, where a lesson takes seconds and its numbers mean nothing. The solved notebooks, whose other
cells are the same, show that the outputs and claims are true.
"""

import pytest

from nnopt_lab.course import runner
from nnopt_lab.course.lesson_files import lesson_names


@pytest.mark.parametrize("lesson", lesson_names())
def test_a_blank_notebook_runs_and_earns_nothing(lesson, monkeypatch):
    monkeypatch.setenv("NNOPT_SMOKE", "1")  # the kernel inherits it
    result = runner.run(lesson)
    assert (result.failure, result.points) == ("", 0)
    assert result.claims
