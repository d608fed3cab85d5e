"""Sealed questions are judged and commented on as open ones are, and show nothing."""

import json
import math
import random

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from nnopt_lab.course.checking import judge_answer
from nnopt_lab.course.exercises import Question, questions
from nnopt_lab.course.number_comments import UNKNOWN, number_comment
from nnopt_lab.course.seals import opened, sealed
from nnopt_lab.workbench.language import set_language, translated

ALL = list(questions().values())
LETTERS, NUMBERS = ([q for q in ALL if bool(q.choices) is kind] for kind in (True, False))
finite = st.floats(allow_nan=False, allow_infinity=False)


def number(right, tolerance=0.0, comments=None):
    return Question("x.q", "00_start_here", 1, "?", right, "Because.", comments=comments or {}, tolerance=tolerance)


@pytest.mark.parametrize("question", ALL, ids=lambda q: q.id)
def test_a_seal_shows_neither_the_answer_nor_a_text_about_it_and_survives_json(question):
    shut = sealed(question, "salt")
    assert (shut.answer, shut.explanation, shut.comments) == (None, "", {})
    assert (shut.text, shut.choices, shut.points, shut.allowed) == (
        question.text,
        question.choices,
        question.points,
        question.allowed,
    )
    said = json.dumps(shut.seal, ensure_ascii=False)
    assert json.loads(said) == shut.seal
    for text in (question.explanation, *question.comments.values()):
        assert text[:20] not in said
    assert len({len(lock) for lock in shut.seal["locks"].values()}) == 1, "a length would tell"


@pytest.mark.parametrize("question", LETTERS, ids=lambda q: q.id)
def test_each_letter_gets_what_it_gets_without_a_seal(question):
    shut = sealed(question, "salt")
    for letter in (*question.choices, "z", "", "ab", 1, None):
        assert judge_answer(shut, letter) is judge_answer(question, letter)
    for letter in question.choices:
        found = opened(shut, letter)
        if letter == question.answer:
            assert found.explanation == question.explanation
        else:
            assert found.explanation == "" and found.comment_on(letter) == question.comment_on(letter)
            assert str(question.answer) != found.answer
            others = [text for other, text in question.comments.items() if other != letter]
            assert not any(text in found.comments.values() for text in others)


def test_two_kits_have_no_hash_in_common():
    question = LETTERS[0]
    first, second = (sealed(question, salt).seal["locks"] for salt in ("one", "two"))
    assert not first.keys() & second.keys() and not set(first.values()) & set(second.values())


def mistakes(right):
    return (
        -right,
        right * 100,
        right / 100,
        right * 1e3,
        right / 1024,
        right + 1,
        right - 1,
        100 - right,
        1 - right,
        8 * right,
    )


@pytest.mark.parametrize("question", NUMBERS, ids=lambda q: q.id)
def test_each_number_gets_what_it_gets_without_a_seal(question):
    right, width = question.answer, question.tolerance
    near = [right + width * k for k in (-1.001, -1, -0.999, 0, 0.999, 1, 1.001)]
    for seed in range(5):
        shut = sealed(question, "salt", random.Random(seed))
        for answered in (*near, *mistakes(right), *question.comments, 3.7 * right, 0, -5, 1e300, math.inf, math.nan):
            assert judge_answer(shut, answered) is judge_answer(question, answered), answered
            if judge_answer(question, answered):
                assert opened(shut, answered).explanation == question.explanation
            else:
                assert opened(shut, answered).comment_on(answered) in (question.comment_on(answered), UNKNOWN), answered


@given(finite, finite, st.floats(0, 1e6), st.randoms(use_true_random=False))
@example(0.0, 0.0, 0.0, random.Random(0))
@example(1e308, -1e308, 0.0, random.Random(0))
@example(0.1 + 0.2, 0.3, 0.0, random.Random(0))
def test_any_number_is_judged_as_without_a_seal(right, answer, tolerance, chance):
    question = number(right, tolerance)
    shut = sealed(question, "salt", chance)
    for answered in (answer, right, right + tolerance, right - tolerance, math.nextafter(right, math.inf)):
        assert judge_answer(shut, answered) is judge_answer(question, answered)


@given(st.integers(-1000, 1000) | st.floats(-1e4, 1e4), st.integers(-1000, 1000) | st.floats(-1e4, 1e4), st.randoms())
def test_a_mistake_that_is_named_without_a_seal_is_named_with_one(right, answer, chance):
    assume(abs(answer - right) > 0.01)
    said = number_comment(answer, right, 0.01)
    shut = sealed(number(right, 0.01), "salt", chance)
    assert opened(shut, answer).comment_on(answer) in ((said, UNKNOWN) if "too " in said.lower()[-12:] else (said,))


def test_comments_whose_ranges_overlap_are_kept_apart():
    question = number(15, 1.0, {30: "thirty", 31.5: "thirty-one", 29: "twenty-nine"})
    shut = sealed(question, "salt")
    for answered in (28, 29, 30, 30.6, 31, 31.1, 32.5):
        assert opened(shut, answered).comment_on(answered) == question.comment_on(answered)


def test_no_number_in_a_seal_tells_the_answer():
    middles, widths = set(), set()
    for seed in range(50):
        seal = sealed(number(56.25, 0.3), "salt", random.Random(seed)).seal
        low, high = seal["between"]
        widths.add(round(seal["near"][0], 1))
        assert low < 56.25 / 1.4 and high > 56.25 * 1.4
        middles.add(round(math.sqrt(low * high)))
    assert len(middles) > 10 and len(widths) > 10


def test_a_question_without_a_seal_stays_as_it_is():
    assert opened(NUMBERS[0], 3) is NUMBERS[0]


@pytest.mark.parametrize("question", [LETTERS[0], number(12.0, comments={77.0: "Not that."})], ids=lambda q: q.id)
def test_an_answer_opens_its_text_in_every_language(question, chinese):
    wrong = next((letter for letter in question.choices if letter != question.answer), 77.0)
    comment = question.comment_on(wrong)
    chinese({question.explanation: "解释在此", comment: "评语在此"})
    shut = sealed(question, "salt", random.Random(0))  # with other ranges, 77 could be read as the right number
    assert "解释" not in json.dumps(shut.seal, ensure_ascii=False)
    assert len({len(lock) for lock in shut.seal["locks"].values()}) == 1
    chinese({})  # the catalogue of a kit has neither
    assert translated(opened(shut, wrong).comment_on(wrong)) == "评语在此"
    assert translated(question.explanation) == question.explanation
    found = opened(shut, question.answer)
    assert found.explanation == question.explanation and translated(found.explanation) == "解释在此"
    set_language("en")
    assert translated(found.explanation) == question.explanation
