"""Results as text, which is how they come back from a cluster."""

from nnopt_lab.grading.results import Graded, Result
from tests.grading.classroom import LESSON


def test_a_grade_comes_back_from_its_text():
    result = Result("pruning.levels", "failed", 0.5, 3, "wrong", 2, {"scores": "1"}, "2", "3", "hm", "x = '\ud800'")
    graded = Graded(LESSON, "partly graded", "why", (result, Result("pruning.l1_importance", "passed", 2, 2)))
    assert Graded.from_json(graded.to_json()) == graded
