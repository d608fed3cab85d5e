"""Quantisers: gradients against the papers' formulas and torch's kernels."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.techniques import quantization
from nnopt_lab.techniques.quantization import qat, quantizers

seeds, widths = st.integers(0, 10_000), st.integers(2, 8)


def values(seed, count=50, width=1.0):
    return torch.randn(count, generator=torch.Generator().manual_seed(seed)) * width


def with_gradients(function, x, step):
    x, step = x.clone().requires_grad_(), torch.tensor(step, requires_grad=True)
    out = function(x, step)
    out.backward(values(len(x)))
    return out.detach(), x.grad, step.grad


class TestLearnedStep:
    @given(seeds, widths, st.booleans(), st.floats(0.05, 2))
    def test_gradients_are_the_formula_of_the_paper(self, seed, bits, signed, step):
        low, high = quantization.integer_range(bits, signed=signed)
        x, scale, incoming = values(seed), 0.1, values(50)
        out, for_x, for_step = with_gradients(lambda x, s: quantizers.learned_step(x, s, low, high, scale), x, step)
        ratio = x / step
        each = torch.where(ratio <= low, low, torch.where(ratio >= high, high, ratio.round() - ratio))
        torch.testing.assert_close(out, ratio.clamp(low, high).round() * step)
        torch.testing.assert_close(for_x, incoming * ((low <= ratio) & (ratio <= high)))
        torch.testing.assert_close(for_step, (incoming * each).sum() * scale, rtol=1e-4, atol=1e-5)

    @given(seeds, widths)
    def test_agrees_with_torchs_own_kernel(self, seed, bits):
        low, high = quantization.integer_range(bits)
        zero = torch.zeros(1)

        def torchs(x, step):
            return torch._fake_quantize_learnable_per_tensor_affine(x, step.reshape(1), zero, low, high, 0.01)

        # Half a step beyond the ends, torch's kernel still counts a value as inside, because it is after rounding.
        x = values(seed)
        ratio = x / 0.703
        x = torch.where(((high <= ratio) & (ratio < high + 0.51)) | ((low - 0.51 < ratio) & (ratio <= low)), 0.0, x)
        ours = with_gradients(lambda x, s: quantizers.learned_step(x, s, low, high, 0.01), x, 0.703)
        for mine, theirs in zip(ours, with_gradients(torchs, x, 0.703), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)

    def test_the_step_follows_its_gradient_to_a_smaller_error(self):
        x = values(1, 2000)
        quantizer = quantizers.LearnedStep(3, 5 * x, len(x))
        optimizer = torch.optim.SGD(quantizer.parameters(), lr=0.01)
        errors = []
        for _ in range(300):
            optimizer.zero_grad()
            errors.append((quantizer(x) - x).square().sum())
            errors[-1].backward()
            optimizer.step()
        best = min(
            float((quantizers.learned_step(x, s, -4, 3) - x).square().sum()) for s in torch.linspace(0.1, 2, 200)
        )
        assert errors[0] > 2 * errors[-1] and errors[-1] < 1.02 * best

    def test_starts_as_the_paper_says(self):
        x = values(2)
        quantizer = quantizers.LearnedStep(4, x, 50)
        torch.testing.assert_close(quantizer.step.detach(), 2 * x.abs().mean() / math.sqrt(7))
        assert quantizer.gradient_scale == 1 / math.sqrt(50 * 7)
        assert (quantizer.low, quantizer.high) == (-8, 7)
        assert (
            quantizers.LearnedStep(4, x, 50, signed=False).low,
            quantizers.LearnedStep(4, x, 50, signed=False).high,
        ) == (0, 15)

    def test_an_example_of_zeros_gives_no_nan(self):
        assert torch.equal(quantizers.LearnedStep(4, torch.zeros(3), 3)(torch.zeros(3)), torch.zeros(3))

    def test_refuses_a_signed_bit(self):
        with pytest.raises(ValueError, match="bits=1 has no positive value"):
            quantizers.LearnedStep(1, torch.ones(2), 2)


class TestMinMax:
    @given(seeds, widths)
    def test_value_and_straight_through_gradient_are_torchs(self, seed, bits):
        weight = values(seed)
        high = 2 ** (bits - 1) - 1
        mine, theirs = weight.clone().requires_grad_(), weight.clone().requires_grad_()
        out = quantizers.MinMaxWeight(bits)(mine)
        wanted = torch.fake_quantize_per_tensor_affine(theirs, float(weight.abs().max() / high), 0, -high, high)
        assert torch.equal(out, wanted)
        assert torch.equal(out, quantization.fake_quantize(weight, quantization.grid_of(weight, bits)))
        out.backward(values(1))
        wanted.backward(values(1))
        assert torch.equal(mine.grad, theirs.grad)

    def test_the_range_of_inputs_moves_in_training_only(self):
        quantizer = quantizers.MinMaxInput(8, torch.tensor([0.0, 1.0]), momentum=0.5)
        quantizer(torch.tensor([-1.0, 3.0]))
        assert quantizer.range.tolist() == [-0.5, 2.0]
        quantizer.eval()(torch.tensor([-9.0, 9.0]))
        assert quantizer.range.tolist() == [-0.5, 2.0]

    def test_no_gradient_comes_from_beyond_the_range(self):
        x = torch.tensor([0.5, 5.0], requires_grad=True)
        quantizers.MinMaxInput(8, torch.tensor([0.0, 1.0])).eval()(x).sum().backward()
        assert x.grad.tolist() == [1.0, 0.0]


class TestCodes:
    @given(seeds)
    def test_binary_is_the_nearest_of_all_plus_minus_alpha(self, seed):
        weight = values(seed)
        best = (quantizers.binary(weight) - weight).square().sum()
        assert len(quantizers.binary(weight).abs().unique()) == 1
        for factor in (0.9, 1.1):
            assert best <= (factor * quantizers.binary(weight) - weight).square().sum()

    def test_binary_has_no_zero(self):
        assert quantizers.binary(torch.tensor([0.0, -0.0, 2.0, -2.0])).tolist() == [1.0, 1.0, 1.0, -1.0]

    def test_ternary_by_hand(self):
        weight = torch.tensor([1.0, -2.0, 0.2, -0.1, 0.7])  # mean magnitude 0.8, threshold 0.56
        torch.testing.assert_close(quantizers.ternary(weight), torch.tensor([1.0, -1.0, 0.0, 0.0, 1.0]) * 3.7 / 3)
        assert quantizers.ternary(torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]

    @pytest.mark.parametrize("code", qat.CODES)
    def test_the_gradient_passes_straight_through(self, code):
        weight = values(3).requires_grad_()
        quantizers.CodedWeight(code)(weight).backward(values(4))
        torch.testing.assert_close(weight.grad, values(4))
