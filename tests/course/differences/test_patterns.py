"""Common mistakes that all values of a tensor show."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnopt_lab.course.differences import difference

TOLERANCE = 1e-5


@given(st.permutations([1.5, -2.0, 3.0, 7.25]), st.sampled_from([-1.0, 2.0, 0.5]), st.sampled_from([-4.0, 0.25]))
@settings(max_examples=50)
def test_signs_factors_and_shifts_are_recognised_in_any_shape(numbers, factor, shift):
    wanted = torch.tensor(numbers).reshape(2, 2)
    scaled = "All signs" if factor == -1 else f"Every value is {factor:g} times"
    assert difference(wanted * factor, wanted, TOLERANCE).startswith(scaled)
    assert difference(wanted + shift, wanted, TOLERANCE).startswith(f"Every value is off by {shift:g}")
    assert difference(wanted.flip(0, 1), wanted, TOLERANCE).startswith("The right numbers in the wrong order")
