"""Answers with two mistakes, or right for some inputs only: what the check says where nothing declared fits alone."""

import math

import pytest
import torch

from nnopt_lab.course.checking import CASES, examine
from nnopt_lab.course.draws import randint, uniform
from nnopt_lab.course.exercises import WrongAnswer, exercises
from tests.course.test_checking import exercise

SEEDS = range(CASES)
NO_SQUARE = "The kernel is square: square its size."
NO_FILTERS = "You left out the filters."
ROUNDED_UP = "You rounded up."


def three_numbers(g):
    return randint(g, 2, 9), randint(g, 2, 9), randint(g, 2, 9)


def one_number(g):
    return (uniform(g, -9, 9),)


def a_row(g):
    return (torch.randn(randint(g, 3, 6), generator=g),)


WEIGHTS = exercise(
    lambda i, o, k: i * o * k * k,
    three_numbers,
    wrong_answers=(
        WrongAnswer(lambda i, o, k: i * o * k, NO_SQUARE),
        WrongAnswer(lambda i, o, k: i * k * k, NO_FILTERS),
    ),
)
BATCHES = exercise(
    lambda n, size: n // size,
    lambda g: (randint(g, 10, 99), randint(g, 2, 6)),
    wrong_answers=(WrongAnswer(lambda n, size: math.ceil(n / size), ROUNDED_UP),),
)
TENTH = exercise(lambda x: x / 10, one_number)
MATRIX = exercise(lambda x: 2 * x, lambda g: (torch.randn(randint(g, 2, 3), 4, generator=g),))
ROW = exercise(lambda x: 3 * x, a_row)
FLAG = exercise(lambda n, bias: n + bias, lambda g: (randint(g, 2, 50), randint(g, 0, 1) == 1))


@pytest.mark.parametrize(
    ("asked", "answer", "parts"),
    [
        (WEIGHTS, lambda i, o, k: 4 * i * o * k, (NO_SQUARE, "The result is 4 times too large.")),
        (WEIGHTS, lambda i, o, k: i * o * k + 1, (NO_SQUARE, "The result is one too large.")),
        (WEIGHTS, lambda i, o, k: i * k, (NO_SQUARE, NO_FILTERS)),
        (TENTH, lambda x: 1 / x, ("(1) The result is 10 times too large.", "(2) The result is the reciprocal")),
        (MATRIX, lambda x: -2 * x.T, ("signs are flipped", "The axes are reversed")),
    ],
)
def test_two_mistakes_at_once_are_both_named(asked, answer, parts):
    verdict = examine(asked, answer, SEEDS)
    assert verdict.wrong_answer is None
    assert verdict.mistake.startswith("Two mistakes at once: (1) ")
    assert all(part in verdict.mistake for part in parts), verdict.mistake


@pytest.mark.parametrize(
    ("asked", "answer", "sentence"),
    [
        (TENTH, lambda x: 3 * x + 2, "The result is 30 times the expected one, shifted by 2."),
        (TENTH, lambda x: float(math.trunc(x / 10 * 7)), None),
        (exercise(lambda x: 7 * x, one_number), lambda x: math.floor(7 * x), "rounded down: is a `//`"),
        (exercise(lambda x: 7 * x, one_number), lambda x: int(7 * x), "without their fractions"),
        (exercise(lambda x: 7 * x, one_number), lambda x: abs(7 * x), "the signs are lost"),
        (ROW, lambda x: (3 * x).clamp(min=0), "You have 0 where a negative value is expected"),
        (ROW, lambda x: torch.cat([x[:1], 3 * x[1:]]), "Only the first value is wrong."),
        (ROW, lambda x: torch.cat([3 * x[:-1], x[-1:]]), "Only the last value is wrong."),
        (ROW, lambda x: torch.where(x < 0, x, 3 * x), "wrong exactly where a negative one is expected"),
    ],
)
def test_a_loss_is_named_where_it_fits_all_inputs(asked, answer, sentence):
    said = examine(asked, answer, SEEDS).mistake
    assert sentence in said if sentence else said.startswith(("Your result is right for", "Expected"))


def test_an_answer_that_is_right_for_some_inputs_says_for_which():
    said = examine(FLAG, lambda n, bias: n, SEEDS).mistake
    assert " of 16 inputs, and wrong exactly where `bias` is True. " in said
    said = examine(FLAG, lambda n, bias: n + bias if n % 2 else n * n, SEEDS).mistake
    assert "wrong exactly where `n` is even" in said
    said = examine(FLAG, lambda n, bias: n + bias if n < 25 else n * n, SEEDS).mistake
    assert "wrong exactly where `n` is above " in said
    said = examine(FLAG, lambda n, bias: n + bias if (7 * n) % 5 else n * n, SEEDS).mistake
    assert " of 16 inputs. Expected " in said


def test_wrong_results_of_a_declared_mistake_are_named_by_it():
    said = examine(BATCHES, lambda n, size: math.ceil(n / size) if n % 3 else n // size, SEEDS).mistake
    assert f"The wrong ones look like this mistake: {ROUNDED_UP}" in said


def test_results_that_hardly_vary_prove_nothing():
    flag = exercise(lambda n: n % 2, lambda g: (randint(g, 1, 50),), wrong_answers=(WrongAnswer(lambda n: 5, "No."),))
    said = examine(flag, lambda n: 10 if n % 2 else 3, SEEDS).mistake
    assert said.startswith("Expected ")


def test_results_that_vary_less_than_the_tolerance_prove_nothing():
    tiny = exercise(lambda x: x, one_number, wrong_answers=(WrongAnswer(lambda x: x / 1e9, "Too small."),))
    assert "Too small." not in examine(tiny, lambda x: x * x, SEEDS).mistake


def test_an_endless_result_is_only_wrong():
    pair = exercise(lambda x: [x, 2 * x], one_number)
    assert examine(pair, lambda x: iter(int, 1), SEEDS).state == "failed"


def test_right_numbers_of_another_dtype_are_no_two_mistakes():
    asked = exercises()["by_hand.quantize"]
    mistake = examine(asked, lambda *inputs: asked.reference(*inputs).float(), SEEDS).mistake
    assert mistake == "Expected a tensor of int64, but got a tensor of float32."
