"""Errors of the course's own, said in the language in use."""

import pytest

from nnopt_lab.course.spoken_errors import spoken_card
from nnopt_lab.workbench import measure, models

SAID = {"name={0} is not a network of this course; choose one of {1}.": "课程里没有网络 name={0}；请从 {1} 中选。"}


def card(call):
    with pytest.raises(ValueError) as found:
        call()
    return spoken_card(found.value, found.value.__traceback__)


def test_an_error_of_the_course_is_said_in_the_language_and_others_stay(chinese):
    wrong = lambda: models.trained("nothing")  # noqa: E731
    assert card(wrong) is None
    chinese(SAID)
    assert card(wrong).title.startswith("课程里没有网络 name='nothing'；请从 ") and card(wrong).mood == "bad"
    assert card(lambda: measure.disk_bytes(models.MyNet(), True, level=99)) is None  # without a translation
    assert card(lambda: int("three")) is None
