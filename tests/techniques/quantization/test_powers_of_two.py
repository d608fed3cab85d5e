"""Powers of two: the nearest of them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.techniques import quantization
from tests.techniques.quantization.samples import tensor

seeds = st.integers(0, 2**32 - 1)


class TestPowersOfTwo:
    @given(seeds, st.integers(2, 8))
    def test_each_weight_takes_the_nearest_of_the_allowed_values(self, seed, bits):
        w = tensor(seed, 40)
        y = quantization.power_of_two(w, bits)
        if not w.any():
            assert not y.any()
            return
        top = math.floor(math.log2(w.abs().max().item() * 4 / 3))
        powers = torch.exp2(torch.arange(top, top - 2 ** (bits - 1) + 1, -1.0))
        allowed = torch.cat([powers, torch.zeros(1), -powers])
        best = (w[:, None] - allowed).abs().min(1).values
        assert torch.allclose((w - y).abs(), best, rtol=1e-5, atol=0)
        assert torch.isin(y, allowed).all()

    def test_the_largest_weight_chooses_the_powers(self):
        w = torch.tensor([1.4, -1.6, 0.1, 0.0, 0.3])
        assert quantization.power_of_two(w, 3).tolist() == [1, -2, 0, 0, 0.5]

    def test_bits(self):
        for bits in (1, 9):
            with pytest.raises(ValueError, match="bits="):
                quantization.power_of_two(torch.ones(2), bits)
