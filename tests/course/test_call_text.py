"""A call as code that can be copied."""

import pytest
import torch

from nnopt_lab.course.call_text import call_text
from nnopt_lab.course.differences import agree
from nnopt_lab.course.exercises import exercises

T = torch.tensor


@pytest.mark.parametrize(
    "inputs",
    [
        (3, -0.1 + 0.3, "a'b"),
        (True, None, (1,)),
        ([1.5, [2, ()]], float("-inf"), []),
        (T([0.1, -1e-9]), T([[1, 2]]), T([True])),
        (T([0.1], dtype=torch.float16), T(3, dtype=torch.uint8), T([], dtype=torch.int64)),
        (T([0.1], dtype=torch.bfloat16), T([0.1], dtype=torch.double), T(2.5)),
        (T([float("nan"), float("inf")]), "x" * 60, "y" * 60),
    ],
)
def test_the_code_calls_the_function_with_exactly_these_inputs(inputs):
    text = call_text("f", ("a", "b", "c"), inputs)
    given = eval(text, {"torch": torch, "f": lambda a, b, c: (a, b, c)})
    assert agree(given, inputs, 0.0)
    for mine, its in zip(given, inputs, strict=True):
        assert type(mine) is type(its) and getattr(mine, "dtype", None) == getattr(its, "dtype", None)


def test_float32_numbers_have_no_digits_of_doubles():
    assert call_text("f", ("x",), (T([0.1, 0.2]),)) == "f(x=torch.tensor([0.1, 0.2]))"


def test_a_long_call_has_several_lines():
    one = call_text("function", tuple(f"argument_{n}" for n in range(6)), (1,) * 6)
    assert one.splitlines()[0] == "function(" and len(one.splitlines()) == 3
    many = call_text("function", tuple(f"argument_{n}" for n in range(9)), (1,) * 9)
    assert many.splitlines()[1:] == [
        "    argument_0=1, argument_1=1, argument_2=1, argument_3=1, argument_4=1, argument_5=1,",
        "    argument_6=1, argument_7=1, argument_8=1,",
        ")",
    ]


def test_too_many_numbers_make_no_call():
    assert call_text("f", ("x",), (torch.zeros(33),)) == call_text("f", ("x",), ([1] * 500,)) == ""


@pytest.mark.parametrize("exercise", exercises().values(), ids=lambda exercise: exercise.id)
def test_the_call_of_an_exercise_gives_the_expected_result(exercise):
    inputs = exercise.generate(torch.Generator().manual_seed(1))
    text = call_text(exercise.name, exercise.arguments, inputs)
    given = text and eval(text, {"torch": torch, exercise.name: exercise.reference})
    assert not text or agree(given, exercise.reference(*inputs), 0.0)
