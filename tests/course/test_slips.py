"""Slips without a declared sentence: each kind is named where it fits all inputs, and only there."""

import math

import pytest
import torch

from nnopt_lab.course.checking import CASES, Outcome, compare, examine
from nnopt_lab.course.draws import randint, uniform
from nnopt_lab.course.exercises import WrongAnswer, exercises
from nnopt_lab.course.slips import slip
from tests.course.test_checking import exercise

SEEDS = range(CASES)


def the_matrix(g):
    return (torch.randn(randint(g, 2, 4), randint(g, 2, 4), generator=g),)


def two_numbers(g):
    return uniform(g, 1, 9), uniform(g, 10, 99)


DOUBLED = exercise(lambda x: 2 * x, the_matrix)
COUNT = exercise(lambda n: 3 * n, lambda g: (randint(g, 1, 50),))
RATIO = exercise(lambda a, b: a / b, two_numbers)
PAIR = exercise(lambda a, b: (a + b, a * b), two_numbers)
THREE = exercise(lambda a, b: (a, b, a * b), two_numbers)
RANGE = exercise(lambda n: list(range(n)), lambda g: (randint(g, 3, 9),))
STEPS = exercise(lambda x: x.flatten().sort().values, the_matrix)
MASK = exercise(lambda x: x > 0, the_matrix)


@pytest.mark.parametrize(
    ("asked", "answer", "sentence"),
    [
        (PAIR, lambda a, b: (a * b, a + b), "Your two results are right, but swapped."),
        (PAIR, lambda a, b: [a * b, a + b], "swapped"),
        (THREE, lambda a, b: (a * b, a, b), "right, but in another order"),
        (RATIO, lambda a, b: b / a, "Your result is right for `a` and `b` exchanged."),
        (RATIO, lambda a, b: 100 * a / b, "The result is 100 times too large. Are fractions and percent mixed up?"),
        (RATIO, lambda a, b: a / b / 1e6, "The result is 1,000,000 times too small. Check the units."),
        (RATIO, lambda a, b: a / b * 1024**2, "The result is 1,048,576 times too large. Check the units."),
        (RATIO, lambda a, b: a / b * 1.024**2, "Are 1000 and 1024 mixed up?"),
        (RATIO, lambda a, b: a / b / 8, "The result is 8 times too small. Are bits and bytes mixed up?"),
        (RATIO, lambda a, b: a / b * math.log(2), "Check the base of the logarithm."),
        (RATIO, lambda a, b: -a / b, "The sign is flipped."),
        (RATIO, lambda a, b: float(b) / a, "exchanged"),
        (COUNT, lambda n: 1 / (3 * n), "The result is the reciprocal of the expected one."),
        (RATIO, lambda a, b: 1 - a / b, "The result is 1 minus the expected one."),
        (RATIO, lambda a, b: 100 - a / b, "The result is 100 minus the expected one."),
        (COUNT, lambda n: 3 * n + 1, "The result is one too large. Check where the count begins and ends."),
        (COUNT, lambda n: 3 * n - 1, "The result is one too small."),
        (COUNT, lambda n: 3 * n + 7, "The result is off by 7."),
        (COUNT, lambda n: 24 * n, "Are bits and bytes mixed up?"),
        (COUNT, lambda n: 15 * n, "The result is 5 times too large."),
        (DOUBLED, lambda x: 3 * x, "Every value is 1.5 times the expected one."),
        (DOUBLED, lambda x: -2 * x, "All signs are flipped."),
        (DOUBLED, lambda x: 2 * x + 1, "Every value is one too large."),
        (DOUBLED, lambda x: 2 * x.T, "The axes are reversed"),
        (DOUBLED, lambda x: 2 * x.flip(1), "in reverse order along axis 1"),
        (DOUBLED, lambda x: 2 * x.roll(1, 0), "along axis 0"),
        (DOUBLED, lambda x: torch.cat([2 * x, x[:1]]), "one value too many at the end along axis 0"),
        (DOUBLED, lambda x: 2 * x[:, :-1], "The last value is missing"),
        (STEPS, lambda x: x.flatten().sort(descending=True).values, "The values are in reverse order."),
        (STEPS, lambda x: x.flatten().sort().values.roll(-1), "Every value is shifted by one place."),
        (RANGE, lambda n: list(range(n + 1)), "one value too many at the end"),
        (RANGE, lambda n: list(range(n - 1)), "The last value is missing."),
        (RANGE, lambda n: list(range(1, n)), "The first value is missing."),
        (RANGE, lambda n: list(range(1, n + 1)), "Every value is one too large."),
        (RANGE, lambda n: list(range(n))[::-1], "The values are in reverse order."),
        (MASK, lambda x: x <= 0, "The mask is inverted"),
        (PAIR, lambda a, b: (a + b, -a * b), "In value 1: The sign is flipped."),
        (PAIR, lambda a, b: (100 * (a + b), a * b), "In value 0: The result is 100 times too large."),
    ],
)
def test_a_slip_is_named_where_it_fits_all_inputs(asked, answer, sentence):
    verdict = examine(asked, answer, SEEDS)
    assert verdict.state == "failed" and sentence in verdict.mistake


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (COUNT, lambda n: 3 * n + (1 if n > 25 else 2)),
        (COUNT, lambda n: 4 * n - (n // 2)),
        (RATIO, lambda a, b: a / b * (100 if a < 5 else 10)),
        (DOUBLED, lambda x: 2 * x.T if x.shape[0] != x.shape[1] else 2 * x + 3),
        (PAIR, lambda a, b: (a * b, a + b) if a < 5 else (a + b, a)),
    ],
)
def test_a_slip_on_some_inputs_is_not_named(asked, answer):
    mistake = examine(asked, answer, SEEDS).mistake
    assert mistake.startswith(("Expected", "In value", "1 of", "4 of", "6 of"))
    assert not any(word in mistake for word in ("times", "one too", "axes", "swapped", "order"))


def test_an_exercises_own_sentences_come_first():
    named = exercise(lambda n: 3 * n, COUNT.generate, wrong_answers=(WrongAnswer(lambda n: -3 * n, "You fell."),))
    assert examine(named, lambda n: -3 * n, SEEDS).mistake == "You fell."
    own = exercise(lambda n: 3 * n, COUNT.generate, compare=lambda got, wanted, n: None if got == wanted else "Not 3n.")
    assert examine(own, lambda n: -3 * n, SEEDS).mistake == "Not 3n."


def test_right_answers_and_inputs_changed_in_place_are_no_slips():
    assert examine(DOUBLED, lambda x: x + x, SEEDS).passed
    zeros = exercise(lambda x: 0 * x, the_matrix)
    assert "in place" in examine(zeros, lambda x: x.zero_(), SEEDS).mistake


def scaled(value, factor):
    if isinstance(value, (list, tuple)):
        return type(value)(scaled(v, factor) for v in value)
    return value * factor


@pytest.mark.parametrize("id", exercises())
def test_no_exercise_takes_long_over_a_wrong_answer_or_lets_it_pass(id):
    """A result that is scaled beyond any tolerance gets a sentence; that a declared one comes first is tested there."""
    asked = exercises()[id]
    cases = [asked.generate(torch.Generator().manual_seed(seed)) for seed in SEEDS]
    values = [asked.reference(*inputs) for inputs in cases]
    if any(isinstance(value, (str, bool)) for value in values):
        return
    for factor in (-3, 1024, 1e-3):
        try:
            outcomes = [Outcome(scaled(value, factor)) for value in values]
        except (RuntimeError, TypeError):  # a mask
            continue
        verdict = compare(asked, cases, outcomes)
        assert verdict.state == "failed" and verdict.mistake


def test_a_huge_result_costs_no_time():
    tried = []
    huge = torch.zeros(1).expand(10**12)
    assert slip([huge], [torch.ones(3)], 0, lambda n, value: tried.append(n)) is None and not tried


@pytest.mark.parametrize("value", [range(10**12), "long" * 10, {1: 2}, None, iter([1])])
def test_what_is_no_result_is_no_slip(value):
    for wanted in (torch.ones(3), [1, 2], 3):
        assert slip([value], [wanted], 0, lambda n, value: isinstance(value, (list, torch.Tensor))) is None
