"""Sentences about differences: each kind is named, and any two values can be compared."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnopt_lab.course.differences import agree, difference
from nnopt_lab.course.display import show

TOLERANCE = 1e-5
T = torch.tensor


@pytest.mark.parametrize(
    ("got", "wanted", "sentence"),
    [
        (None, T([1.0]), "returned nothing: is the `return` missing?"),
        (None, 1.0, "returned nothing"),
        ([1.0, 2.0], T([1.0, 2.0]), "Expected a tensor of float32, but got a list."),
        (np.ones(2), T([1.0, 1.0]), "Expected a tensor of float32, but got a NumPy array."),
        (T([1.0, 2.0]), 1.0, "Expected a number, but got a tensor of float32."),
        ("3", 3, "Expected an integer, but got a string."),
        (True, 1, "Expected an integer, but got a bool."),
        (1, True, "Expected a bool, but got an integer."),
        (1 + 2j, 1.0, "Expected a number, but got a complex number."),
        (3, (3, 4), "Expected a tuple, but got an integer."),
        ("left", "right", "Expected 'right', got 'left'."),
        (0, None, "Expected nothing (None), but got an integer."),
        (torch.ones(3, 2), torch.ones(2, 3), "Expected shape [2, 3], got [3, 2]: the axes are reversed."),
        (torch.ones(6), torch.ones(2, 3), "the numbers are there, but arranged differently"),
        (torch.ones(()), torch.ones(3), "ran over too many axes"),
        (torch.ones(3, 2), torch.ones(3), "ran over too few axes"),
        (torch.ones(2), torch.ones(3), "check which axis you worked along"),
        (T([1, 2]), T([1.0, 2.0]), "Expected a tensor of float32, but got a tensor of int64."),
        (T([1.0]), T([True]), "Expected a tensor of bool, but got a tensor of float32."),
        (T([1 + 0j]), T([1]), "Expected a tensor of int64, but got a tensor of complex64."),
        (T([1.0, 2.0]).to_sparse(), T([1.0, 2.0]), "got a sparse one"),
        (torch.ones(2, device="meta"), T([1.0, 1.0]), "got a meta one"),
        (torch.ones(1, device="meta"), 1.0, "Expected a number"),
        (T([1.0, math.nan]), T([1.0, 2.0]), "contains NaN"),
        (math.nan, 1.0, "is NaN"),
        (T([-1.0, -2.0, 3.5]), T([1.0, 2.0, -3.5]), "All signs are flipped; the first at [0]"),
        (-2.5, 2.5, "The sign is flipped"),
        (T([3.0, 0.0, 9.0]), T([1.0, 0.0, 3.0]), "Every value is 3 times the expected one"),
        (500.0, 5.0, "100 times too large"),
        (0.5, 1.5, "3 times too small"),
        (T([1.5, 2.5, 4.5]), T([1.0, 2.0, 4.0]), "Every value is off by 0.5"),
        (T([3, 1, 2]), T([1, 2, 3]), "The right numbers in the wrong order"),
        (T([1.0, 2.0, 5.0]), T([1.0, 2.0, 0.0]), "1 of 3 values differs; the first at [2]: expected 0, got 5."),
        (T([2.0, 4.0, 5.0]), T([1.0, 2.0, 0.0]), "3 of 3 values differ"),
        (T([[1, 2], [3, 9]]), T([[1, 2], [3, 4]]), "1 of 4 values differs; the first at [1, 1]"),
        (T(3.0), T(4.0), "Expected 4, got 3."),
        (T([False, True]), T([True, False]), "The mask is inverted"),
        (T([True, True, True]), T([True, False, False]), "The mask keeps 3 of 3 instead of 1."),
        (T([True, False, False]), T([False, True, False]), "the right number (1), but the wrong ones"),
        ((1,), (1, 2), "Expected 2 values, but got 1."),
        ((2, 1), (1, 2), "in another order: value 1 is at position 0."),
        ([T([3.0]), 2, "b"], [T([3.0]), "b", 2], "in another order: value 2 is at position 1."),
        ((0, 5, 0), (0, 0, 5), "in another order: value 2 is at position 1."),
        ([[1, 2], [3, 4]], [[3, 4], [1, 2]], "The results are right, but in another order"),
        ((T([1.0]), T([1.0])), (T([1.0]), T([2.0])), "In result 2: "),
        ([2, 4.0, 6], [1, 2.0, 3], "Every value is 2 times the expected one; value 0: expected 1, got 2."),
        ([2, 3, 4], [1, 2, 3], "Every value is one too large"),
        ([True, 4], [1, 2], "In value 0: Expected an integer, but got a bool."),
        ((1, (2, T([5.0]))), (1, (2, T([4.0]))), "In value 1: In result 2:"),
        (1.0, math.inf, "Expected inf, got 1."),
        (10**400, 1.0, "Expected 1, got 1000"),
        pytest.param(10**5000, 7, "Expected 7, got an integer that cannot be shown.", id="5001 digits"),
        # A count is exact, however large: a tolerance that grew with it would let an off-by-one through.
        (1_885_441, 1_885_440, "The result is one too large: expected 1885440, got 1885441."),
        (7, 8, "The result is one too small"),
        (T(7), T(8), "The result is one too small"),
        (T([2, 4, 1]), T([1, 3, 0]), "Every value is one too large; the first at [0]: expected 1, got 2."),
        (T([200_001, 7]), T([200_000, 7]), "1 of 2 values differs"),
    ],
)
def test_each_kind_of_difference_is_named(got, wanted, sentence):
    assert sentence in difference(got, wanted, TOLERANCE)


@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        (3, 3.0),
        (3.0, 3),
        (0.1 * 30, 3),
        (1e6 + 1, 1e6),
        (T(2.5), 2.5),
        (T([2.5], requires_grad=True), 2.5),
        (T(3), 3),
        (np.float32(2.5), 2.5),
        (np.int64(3), 3),
        (np.array(3), 3),
        (np.True_, True),
        (T(False), False),
        ([1, 2.0], (1, 2)),
        (math.inf, math.inf),
        (math.nan, math.nan),
        (T([1.0, math.nan]), T([1.0, math.nan])),
        (T([1.0], dtype=torch.float64, requires_grad=True), T([1.0])),
        (T([1], dtype=torch.int8), T([1])),
        (torch.ones(0), torch.ones(0)),
    ],
)
def test_what_means_the_same_is_accepted(got, wanted):
    assert difference(got, wanted, TOLERANCE) is None


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_a_tensor_of_torchs_quantized_types_is_named():
    quantized = torch.quantize_per_tensor(T([1.0]), 1.0, 0, torch.qint8)
    assert "got a quantized one" in difference(quantized, T([1]), TOLERANCE)


numbers = st.floats(width=32) | st.integers(-(2**70), 2**70) | st.booleans() | st.text(max_size=3) | st.none()
shapes = st.lists(st.integers(0, 3), max_size=3)


@st.composite
def tensors(draw):
    shape = draw(shapes)
    kind, element = draw(
        st.sampled_from(
            [
                (torch.float32, st.floats(width=32)),
                (torch.float64, st.floats()),
                (torch.int64, st.integers(-(2**63), 2**63 - 1)),
                (torch.uint64, st.integers(0, 2**64 - 1)),
                (torch.complex128, st.complex_numbers(max_magnitude=1e6)),
                (torch.bool, st.booleans()),
            ]
        )
    )
    count = math.prod(shape)
    return torch.tensor(draw(st.lists(element, min_size=count, max_size=count)), dtype=kind).reshape(shape)


values = st.recursive(
    numbers | tensors(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)


def moved(value):
    """Something that is certainly not the value, but of its kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1 if value not in (2**63 - 1, 2**64 - 1) else value - 1
    if isinstance(value, complex):
        return value + 1j * 0.01 * max(1.0, abs(value))
    if isinstance(value, str):
        return value + "x"
    if value is None:
        return 0
    return value + 0.01 * max(1.0, abs(value)) if math.isfinite(value) else 1.0


def perturbed(value):
    """The value with one element changed, once for every element."""
    if isinstance(value, torch.Tensor):
        for place, element in enumerate(value.flatten().tolist()):
            other = value.flatten().to(torch.float64 if value.is_floating_point() else value.dtype, copy=True)
            other[place] = moved(element)
            yield other.reshape(value.shape)
    elif isinstance(value, (list, tuple)):
        for place, element in enumerate(value):
            for other in perturbed(element):
                yield type(value)([*value[:place], other, *value[place + 1 :]])
    else:
        yield moved(value)


@given(values)
@settings(max_examples=150)
def test_a_value_agrees_with_itself_and_with_no_value_that_differs_in_one_element(value):
    assert difference(value, copy.deepcopy(value), TOLERANCE) is None
    assert difference(value, copy.deepcopy(value), 0.0) is None
    for other in perturbed(value):
        assert difference(other, value, TOLERANCE) and not agree(other, value, TOLERANCE)


@given(values, values)
@settings(max_examples=150)
def test_any_two_values_can_be_compared_and_shown(got, wanted):
    sentence = difference(got, wanted, TOLERANCE)
    assert agree(got, wanted, TOLERANCE) == (sentence is None) and (sentence is None or sentence.strip())
    assert isinstance(show(got), str)
