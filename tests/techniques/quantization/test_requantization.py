"""Requantisation against exact rational arithmetic."""

from fractions import Fraction

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from nnopt_lab.techniques.quantization.requantization import fixed_point, requantize


class TestFixedPoint:
    @given(st.floats(2.0**-32, 2.0**20))
    @example(0.5)
    @example(1.0)
    @example(1 - 2.0**-53)  # rounds up to the next power of two
    def test_is_the_nearest_with_31_bits(self, real):
        multiplier, shift = fixed_point(real)
        assert 2**30 <= multiplier < 2**31 and 0 < shift <= 62
        assert abs(Fraction(multiplier, 2**shift) - Fraction(real)) <= Fraction(real) / 2**31

    @given(st.floats(5e-324, 2.0**-32))
    def test_tiny_numbers_still_make_every_sum_zero(self, real):
        multiplier, shift = fixed_point(real)
        assert shift == 62 and abs(multiplier) <= 2**30
        sums = torch.tensor([1 - 2**31, 2**31 - 1], dtype=torch.int32)
        assert requantize(sums, torch.tensor(multiplier), torch.tensor(shift), 7).tolist() == [7, 7]

    @pytest.mark.parametrize("real", [0.0, -0.5, float("nan"), float("inf"), 2.0**30])
    def test_refuses(self, real):
        with pytest.raises(ValueError, match="must be above 0 and below 2"):
            fixed_point(real)


class TestRequantize:
    @given(
        st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=8),
        st.floats(1e-12, 2.0**20),
        st.integers(0, 255),
    )
    @example([-(2**31), 2**31 - 1], 2.0**20, 0)
    def test_is_exact_whatever_the_sum(self, sums, real, zero_point):
        multiplier, shift = fixed_point(real)
        got = requantize(
            torch.tensor(sums, dtype=torch.int32), torch.tensor(multiplier), torch.tensor(shift), zero_point
        )
        for q, total in zip(got.tolist(), sums, strict=True):
            exact = (Fraction(total * multiplier, 2**shift) + Fraction(1, 2)).__floor__() + zero_point
            assert q == min(max(exact, 0), 255)
        assert got.dtype == torch.uint8

    @given(st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=8), st.floats(1e-5, 0.5))
    def test_is_at_most_half_a_step_from_the_real_product(self, sums, real):
        multiplier, shift = (torch.tensor(number) for number in fixed_point(real))
        got = requantize(torch.tensor(sums, dtype=torch.int32), multiplier, shift, 128)
        wanted = (torch.tensor(sums, dtype=torch.float64) * real + 128).clamp(0, 255)
        assert ((got.double() - wanted).abs() <= 0.5 + 1e-3).all()

    def test_one_multiplier_for_each_channel_and_a_clamp(self):
        sums = torch.tensor([[100, -100], [100, -100]], dtype=torch.int32)
        multiplier, shift = torch.tensor([fixed_point(0.5), fixed_point(0.25)]).T[..., None]
        assert requantize(sums, multiplier, shift, 10, low=10).tolist() == [[60, 10], [35, 10]]
