"""Results as text, which is how they come back from a cluster."""

import pytest

from nnopt_lab.grading.results import Graded, Result, reason_in_words
from nnopt_lab.workbench.language import set_language
from tests.grading.classroom import LESSON


def test_a_grade_comes_back_from_its_text():
    result = Result("pruning.levels", "failed", 0.5, 3, "wrong", 2, {"scores": "1"}, "2", "3", "hm", "x = '\ud800'")
    graded = Graded(LESSON, "partly graded", "why", (result, Result("pruning.l1_importance", "passed", 2, 2)))
    assert Graded.from_json(graded.to_json()) == graded


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("", ""),
        ("It was late.", "它迟了。"),
        ("a.b: It was late.", "a.b：它迟了。"),
        ("a.b: timed out; c.d_e: It was late.", "a.b：超时；c.d_e：它迟了。"),
        ("It was late. a.b: It gave 1; 2 before.", "它迟了。 a.b：It gave 1; 2 before."),
    ],
)
def test_a_reason_is_told_per_exercise_in_the_language_in_use(chinese, reason, said):
    assert reason_in_words(reason) == reason
    words = {"{exercise}: {reason}": "{exercise}：{reason}", "; ": "；", "timed out": "超时"}
    chinese(words | {"It was late.": "它迟了。"})
    set_language("zh")
    assert reason_in_words(reason) == said
