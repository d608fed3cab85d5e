"""NaN and infinity: wherever in a result they stand, no exercise takes them for right, and no credit is given for them.

A comparison is false for NaN, so that one which asks "is it too far off?" lets NaN pass.
"""

import itertools
import math
from functools import cache, partial

import pytest
import torch
from torch import Tensor

from nnopt_lab.course.checking import Outcome, compare
from nnopt_lab.course.exercises import exercises

CASES = 4
VALUES = (math.nan, math.inf, -math.inf)
DIVIDING = "NaN: probably a division by zero"


def leaves(value) -> int:
    return sum(map(leaves, value)) if isinstance(value, (list, tuple)) else 1


def spoiled(value, spoil, places, start=0):
    """The value with `spoil` applied to the leaves at these places, counted from the left."""
    if isinstance(value, (list, tuple)):
        parts = []
        for part in value:
            parts.append(spoiled(part, spoil, places, start))
            start += leaves(part)
        return type(value)(parts)
    return spoil(value) if start in places else value


def everywhere(value, number):
    """A number instead of a leaf, or in all places of one that is a tensor."""
    if not isinstance(value, Tensor):
        return number
    return torch.full_like(value, number, dtype=value.dtype if value.dtype.is_floating_point else torch.float32)


def in_one_place(value, number, place):
    if not isinstance(value, Tensor) or not value.numel():
        return everywhere(value, number)
    changed = (value if value.dtype.is_floating_point else value.float()).contiguous().clone()
    changed.view(-1)[place] = number
    return changed


@cache
def drawn(id):
    exercise = exercises()[id]
    cases = [exercise.generate(torch.Generator().manual_seed(seed)) for seed in range(CASES)]
    return cases, [exercise.reference(*inputs) for inputs in cases]


def variants(results):
    """Names and results: each leaf by itself and all of them, one place of a tensor and all, each of the numbers."""
    for number in VALUES:
        for place in (*range(max(map(leaves, results))), None):
            places = range(1000) if place is None else (place,)
            yield (
                f"{number} everywhere in {place}",
                [spoiled(r, partial(everywhere, number=number), places) for r in results],
            )
            for at in (0, -1):
                yield (
                    f"{number} at {at} of {place}",
                    [spoiled(r, partial(in_one_place, number=number, place=at), places) for r in results],
                )


@pytest.mark.parametrize("id", exercises())
def test_no_result_that_holds_nan_or_infinity_passes(id):
    cases, results = drawn(id)
    for name, got in variants(results):
        if repr(got) != repr(results):  # an expected result may hold an infinity
            assert not compare(exercises()[id], cases, [Outcome(value) for value in got]).passed, name


@pytest.mark.parametrize("id", exercises())
def test_no_share_of_the_points_is_given_for_nan_alone(id):
    cases, results = drawn(id)
    for number in VALUES:
        got = [spoiled(r, partial(everywhere, number=number), range(1000)) for r in results]
        assert compare(exercises()[id], cases, [Outcome(value) for value in got]).credit == 0


@pytest.mark.parametrize("id", [id for id, e in exercises().items() if e.properties])
def test_a_property_that_a_number_can_break_is_broken_by_nan(id):
    """A property that 10⁶ or −10⁶ breaks, in some place, says something about numbers, and NaN there is none."""
    exercise = exercises()[id]
    cases, results = drawn(id)

    def held(must, value, inputs):
        try:
            return bool(must.holds(value, *inputs))
        except Exception:
            return False

    for must, (inputs, right) in itertools.product(exercise.properties, zip(cases, results, strict=True)):
        for place, at in itertools.product(range(leaves(right)), (0, -1)):
            large, small, nan = (
                spoiled(right, partial(in_one_place, number=number, place=at), (place,))
                for number in (1e6, -1e6, math.nan)
            )
            if not (held(must, large, inputs) and held(must, small, inputs)):
                assert not held(must, nan, inputs), must.sentence


def test_a_product_that_is_no_number_is_no_product():
    exercise = exercises()["convolutions.thin_factors"]
    cases, results = drawn(exercise.id)
    got = [(first * math.nan, second) for first, second in results]
    verdict = compare(exercise, cases, [Outcome(value) for value in got])
    assert (verdict.state, verdict.credit) == ("failed", 0) and DIVIDING in verdict.mistake
