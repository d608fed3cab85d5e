"""Families of wrong answers: the reference with one thing wrong."""

import pytest

from nnopt_lab.course.wrong_answers import called_with, changed, off_by, scaled, swapped


def double_and_sum(a, b):
    return 2 * a, a + b


@pytest.mark.parametrize(
    ("family", "result"),
    [
        (changed(lambda pair: pair[0]), 6),
        (changed(sum), 10),
        (swapped(), (4, 6)),
        (called_with(lambda a, b: (b, a)), (2, 4)),
    ],
)
def test_each_changes_the_reference_in_its_way(family, result):
    assert family.make(double_and_sum)(3, 1) == result


def test_numbers_are_scaled_and_shifted():
    assert scaled(0.5).make(max)(3, 4) == 2 and off_by(-1).make(max)(3, 4) == 3
