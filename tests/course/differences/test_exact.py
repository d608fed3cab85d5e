"""Comparisons of numbers that a double can't hold, and of numbers of two kinds."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnopt_lab.course.differences import agree, as_wanted, difference

T = torch.tensor

EDGES = [0, 1, -1, 2**31, -(2**31), 2**53, 2**53 + 1, -(2**53) - 1, 2**60 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1]
INTEGERS = (torch.int8, torch.uint8, torch.int16, torch.uint16, torch.int32, torch.uint32, torch.int64, torch.uint64)
RANGES = {dtype: torch.iinfo(dtype) for dtype in INTEGERS}


@given(st.data())
@settings(max_examples=300)
def test_integers_of_any_size_and_dtype_are_compared_exactly(data):
    any_integer = st.sampled_from(EDGES) | st.integers(-(2**63), 2**64 - 1)
    a = data.draw(any_integer)
    b = data.draw(any_integer | st.sampled_from([a - 1, a, a + 1]))
    tolerance = data.draw(st.sampled_from([0.0, 1e-5, 0.9]))
    kinds = [[dtype for dtype, fits in RANGES.items() if fits.min <= number <= fits.max] for number in (a, b)]
    assert agree(a, b, tolerance) == agree([a], [b], tolerance) == (a == b)
    if all(kinds):
        x, y = (T([n, n], dtype=data.draw(st.sampled_from(kind))) for n, kind in zip((a, b), kinds, strict=True))
        results = [agree(x, y, tolerance), agree(x[0], y[0], tolerance), agree([(x, 1)], [(y, 1)], tolerance)]
        results += [agree(x[0], b, tolerance), agree(a, b, tolerance)]
        assert results == [a == b] * 5
        sentence = difference(x, y, tolerance)
        assert (sentence is None) == (a == b) and (a == b or str(a) in sentence or "All signs" in sentence)
        assert as_wanted(x, y) is x or as_wanted(x, y).tolist() == [a, a]


@pytest.mark.parametrize(
    ("got", "wanted", "agrees"),
    [
        (2.0**53, 2**53 + 1, False),
        (2**53 + 1, 2.0**53, False),
        (2.0**60, 2**60, True),
        (2.0**53, 2**53 + 0.0, True),
        (math.inf, 2**63, False),
        (10**400, 1.0, False),
        (0.1 * 30, 3, True),
        (T(2.0**53, dtype=torch.float64), 2**53 + 1, False),
        (np.float64(2**53), 2**53 + 1, False),
        (np.uint64(2**64 - 1), 2**64 - 1, True),
        (np.uint64(2**64 - 2), 2**64 - 1, False),
        (T([2.0**53], dtype=torch.float64), T([2**53 + 1]), False),
        (T([1 + 2j]), T([1 + 3j]), False),
        (T([1 + 2j]).conj(), T([1 - 2j]), True),
        (T([[1 + 2j, 0]]).imag, T([[2.0, 0.0]]), True),
    ],
)
def test_numbers_of_two_kinds_are_compared_exactly_too(got, wanted, agrees):
    assert agree(got, wanted, 0.0 if isinstance(wanted, float) else 1e-9) == agrees


def test_a_tolerance_of_whole_numbers_holds_for_integers_of_any_size():
    for a, b in [(2**60, 2**60 + 2), (7, 9), (-(2**63), -(2**63) + 2), (2**64 - 3, 2**64 - 1)]:
        dtype = torch.uint64 if b > 2**63 else torch.int64
        assert agree(T([a], dtype=dtype), T([b], dtype=dtype), 2.0) and agree(a, b, 2.0)
        assert not agree(T([a], dtype=dtype), T([b], dtype=dtype), 1.5) and not agree(a, b, 1.5)
    assert not agree(T([-(2**63)]), T([2**63 - 1]), 5.0)


def test_integers_that_look_alike_as_doubles_are_shown_with_all_digits():
    got, wanted = T([2**60, 2**60 + 2]), T([2**60, 2**60 + 1])
    assert difference(got, wanted, 0.0) == (
        f"1 of 2 values differs; the first at [1]: expected {2**60 + 1}, got {2**60 + 2}."
    )
    assert "one too large" in difference(2**60 + 1, 2**60, 0.0)
    assert "In value 1: " in difference([1, 2**60 + 1, 2], [1, 2**60, 2], 0.0)
