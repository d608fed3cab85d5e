"""Rounding to a grid as torch's operators do."""

import warnings

import torch
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.techniques.quantization import Grid, dequantize, fake_quantize, grid_of, quantize
from tests.techniques.quantization.samples import tensor

seeds = st.integers(0, 2**32 - 1)
widths = st.integers(1, 16)


def torchs(quantise, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's quantised tensors are deprecated, and still the reference
        return quantise(*arguments)


class TestAgainstTorch:
    @given(seeds)
    def test_affine_8_bits_per_tensor(self, seed):
        x = tensor(seed, 7, 5)
        grid = grid_of(x, symmetric=False)
        theirs = torchs(torch.quantize_per_tensor, x, float(grid.scale), int(grid.zero_point), torch.quint8)
        assert torch.equal(quantize(x, grid), theirs.int_repr())
        assert torch.equal(dequantize(quantize(x, grid), grid), theirs.dequantize())

    @given(seeds, st.integers(-100, 100))
    def test_symmetric_8_bits_per_channel_with_any_zero_point(self, seed, zero):
        x = tensor(seed, 4, 3, 2)
        made = grid_of(x, per="channel")
        grid = Grid(made.scale, made.zero_point + zero, -128, 127)
        theirs = torchs(torch.quantize_per_channel, x, grid.scale.flatten(), grid.zero_point.flatten(), 0, torch.qint8)
        assert torch.equal(quantize(x, grid), theirs.int_repr())
        assert torch.equal(dequantize(quantize(x, grid), grid), theirs.dequantize())

    @given(seeds, widths, st.booleans())
    def test_fake_quantisation_and_its_gradient_at_any_width(self, seed, bits, narrower):
        grid = grid_of(tensor(seed, 6, 6), bits, symmetric=False)
        if narrower:  # so that some values saturate
            grid = Grid(grid.scale / 2, grid.zero_point // 2, grid.low, grid.high)
        results = []
        for operator in (
            lambda x: fake_quantize(x, grid),
            lambda x: torch.fake_quantize_per_tensor_affine(x, grid.scale, grid.zero_point, grid.low, grid.high),
        ):
            x = tensor(seed, 6, 6).requires_grad_()
            y = operator(x)
            y.backward(torch.arange(36.0).reshape(6, 6))
            results.append((y.detach(), x.grad))
        assert torch.equal(results[0][0], results[1][0])
        assert torch.equal(results[0][1], results[1][1])

    def test_rounding_is_half_to_even_and_saturates(self):
        grid = Grid(torch.tensor(1.0), torch.tensor(0, dtype=torch.int32), -127, 127)
        x = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 200.0, -200.0, torch.inf, -torch.inf])
        assert quantize(x, grid).tolist() == [0, 2, 2, 0, -2, 127, -127, 127, -127]
