"""Integer layers against exact sums."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from nnopt_lab.techniques.quantization import (
    dequantize,
    grid_of_range,
    integer_layers,
)

seeds = st.integers(0, 10_000)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def exact_layer(layer, q, window=None):
    """Sums in 64-bit whole numbers by torch's own convolution in float64, which holds these numbers exactly."""
    shifted = q.double() - float(layer.zero_points[0])
    if window is None:
        sums = layer.weight.double() @ shifted
        return (sums + layer.bias).long()
    channels = len(q)
    weight = layer.weight.double().view(len(layer.weight), channels, *window["kernel_size"])
    sums = F.conv2d(shifted.transpose(0, 1), weight, **{k: v for k, v in window.items() if k != "kernel_size"})
    return (sums.transpose(0, 1) + layer.bias.view(-1, 1, 1, 1)).long()


class TestLayer:
    @settings(max_examples=25, deadline=None)
    @given(
        seeds,
        st.tuples(st.integers(1, 3), st.integers(1, 3)),
        st.integers(1, 2),
        st.integers(0, 2),
        st.integers(1, 2),
        st.booleans(),
    )
    def test_a_convolution_is_exact_whatever_its_window(self, seed, kernel, stride, padding, dilation, bias):
        window = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        torch.manual_seed(seed)
        conv = nn.Conv2d(2, 3, bias=bias, **window)
        layer = integer_layers.IntegerLayer(conv, grid_of_range(-1, 2), grid_of_range(-3, 3))
        q = torch.randint(0, 256, (2, 3, 7, 6), generator=generator(seed), dtype=torch.uint8)
        assert torch.equal(layer.sums(q).long(), exact_layer(layer, q, window))

    @settings(max_examples=25, deadline=None)
    @given(seeds, st.integers(1, 40), st.integers(1, 9), st.integers(1, 5))
    def test_a_linear_layer_is_exact(self, seed, inputs, outputs, pictures):
        torch.manual_seed(seed)
        layer = integer_layers.IntegerLayer(nn.Linear(inputs, outputs), grid_of_range(-1, 2), grid_of_range(-3, 3))
        q = torch.randint(0, 256, (inputs, pictures), generator=generator(seed), dtype=torch.uint8)
        sums = exact_layer(layer, q)
        assert torch.equal(layer.sums(q).long(), sums)
        wanted = [
            [
                min(max(((int(s) * int(m) + (1 << int(k) - 1)) >> int(k)) + int(layer.zero_points[1]), 0), 255)
                for s in row
            ]
            for row, m, k in zip(sums, layer.multiplier, layer.shift, strict=True)
        ]
        assert layer(q).tolist() == wanted

    def test_the_largest_sums_fit(self):
        linear = nn.Linear(33_000, 2)
        nn.init.constant_(linear.weight, 1.0)
        with torch.no_grad():
            linear.weight[1] = -1
        for zero, value in ((0, 255), (255, 0)):
            source = grid_of_range(*((0, 1) if zero == 0 else (-1, 0)))
            layer = integer_layers.IntegerLayer(linear, source, grid_of_range(-1, 1))
            q = torch.full((33_000, 1), value, dtype=torch.uint8)
            assert torch.equal(layer.sums(q).long(), exact_layer(layer, q))
        with pytest.raises(ValueError, match="sums 33,200 products, which may overflow 32 bits"):
            integer_layers.IntegerLayer(nn.Linear(33_200, 2), source, source)

    def test_a_channel_without_weights_keeps_its_bias(self):
        linear = nn.Linear(3, 3)
        with torch.no_grad():
            linear.weight.zero_()
            linear.bias.copy_(torch.tensor([0.7, 0.0, -0.3]))
            linear.weight[2] = 1e-12
        target = grid_of_range(-1, 1)
        layer = integer_layers.IntegerLayer(linear, grid_of_range(0, 1), target)
        out = dequantize(layer(torch.full((3, 1), 200, dtype=torch.uint8)), target)
        torch.testing.assert_close(out.flatten(), linear.bias.detach(), atol=float(target.scale) / 2 + 1e-6, rtol=0)

    def test_relu_is_a_clamp_at_zero_even_where_the_grid_goes_below(self):
        linear, target = nn.Linear(1, 1, bias=False), grid_of_range(-1, 1)
        nn.init.constant_(linear.weight, -1.0)
        q = torch.tensor([[0, 100, 255]], dtype=torch.uint8)
        plain, clamped = (
            integer_layers.IntegerLayer(linear, grid_of_range(0, 1), target, relu)(q) for relu in (False, True)
        )
        assert (dequantize(plain, target) < 0).any()
        assert torch.equal(dequantize(clamped, target), dequantize(plain, target).relu())

    @pytest.mark.parametrize(
        ("layer", "sentence"),
        [
            (nn.Conv2d(2, 2, 3, groups=2), "needs groups=1"),
            (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), "zero padding"),
            (nn.Conv2d(2, 2, 3, padding="same"), "zero padding"),
        ],
    )
    def test_refuses_layers(self, layer, sentence):
        with pytest.raises(ValueError, match=sentence):
            integer_layers.IntegerLayer(layer, grid_of_range(0, 1), grid_of_range(0, 1))

    @pytest.mark.parametrize("grid", [grid_of_range(-1, 1, symmetric=True), grid_of_range(0, 1, 9)])
    def test_refuses_grids(self, grid):
        with pytest.raises(ValueError, match="affine grids of at most 8 bits"):
            integer_layers.IntegerLayer(nn.Linear(2, 2), grid, grid_of_range(0, 1))
