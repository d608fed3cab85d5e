"""Comments on wrong numbers: they name the kind of mistake and never the right number."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nnopt_lab.course.exercises import Question, questions
from nnopt_lab.course.number_comments import number_comment

NUMBERS = [q for q in questions().values() if not q.choices]


@pytest.mark.parametrize(
    ("given", "right", "sentence"),
    [
        (-56.25, 56.25, "the sign is not"),
        (0.5625, 56.25, "100 times too small. Is it a fraction"),
        (139, 13.9, "10 times too large. Check the units and the decimal point."),
        (2e6, 2000, "1,000 times too large"),
        (2e-9, 2, "1,000,000,000 times too small"),
        (7168, 7, "1,024 times too large. Check the units."),
        (7 * 1.024**2, 7, "1000 instead of 1024"),
        (56, 7, "8 times too large. Are bits and bytes mixed up?"),
        (0.25, 4, "the reciprocal"),
        (43.75, 56.25, "100 % minus the answer"),
        (0.3, 0.7, "1 minus the answer"),
        (119, 120, "off by one"),
        (121, 120, "off by one"),
        (240, 120, "twice"),
        (60, 120, "half"),
        (256, 16, "the square"),
        (11, 121, "the square root"),
        (193, 139, "Two digits are swapped"),
        (117, 120, "You are close"),
        (1, 120, "too small"),
        (500, 120, "too large"),
        (-500, 120, "The sign is wrong"),
        (0, 120, "too small"),
        (5, 0, "too large"),
        (1, 0, "1 minus the answer"),
        (math.nan, 3, "finite"),
        (-math.inf, 3, "finite"),
    ],
)
def test_each_kind_of_wrong_number_is_named(given, right, sentence):
    assert sentence in number_comment(given, right, 0.0)


def test_a_rounded_number_is_wrong_in_the_same_way_as_an_exact_one():
    assert "100 times too small" in number_comment(0.56, 56.25, 0.3)
    assert "100 times too large" not in number_comment(5700, 56.25, 0.3)


@given(st.floats() | st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.floats(0, 10))
def test_any_number_gets_a_sentence(given, right, tolerance):
    assume(not abs(given - right) <= tolerance)
    assert number_comment(given, right, tolerance).endswith((".", "?"))


@pytest.mark.parametrize("question", NUMBERS, ids=lambda q: q.id)
def test_no_comment_on_a_question_of_the_course_tells_its_answer(question):
    right = question.answer
    wrong = [f(right) for f in (lambda x: -x, lambda x: 100 * x, lambda x: x / 10, lambda x: x + 1, lambda x: 3.7 * x)]
    for answer in (*wrong, 0, math.inf, 1e300):
        if abs(answer - right) > question.tolerance:
            words = question.comment_on(answer).replace(",", "").rstrip(".?").split()
            assert f"{right:g}" not in words and question.explanation not in question.comment_on(answer)


def test_a_comment_that_the_question_declares_comes_first():
    asked = Question(
        "x.q", "00_start_here", 1, "?", 8.0, "!", comments={4: "That is the size of a float32."}, tolerance=0.1
    )
    assert asked.comment_on("4.05") == "That is the size of a float32."
    assert "twice" in asked.comment_on(16)
