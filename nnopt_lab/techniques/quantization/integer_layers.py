"""Compute a convolution or a linear layer in integers.

Each real number is scale · (q − z), where z is the zero point. A layer's Σ w·x + b is s_w·s_x times
Σ q_w·(q_x − z_x) + q_b: products of 8-bit numbers, whose sum fits in 32 bits exactly, and a bias at the scale s_w·s_x.
`requantization` converts these sums to the scale of the layer's output.

Activations are stored channels first, [C, N, H, W], so that a layer is one matrix product, weight [out, inputs] times
patches [inputs, N·H·W], and each row of the result has one multiplier.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", sections 2.2 to 2.4, https://arxiv.org/abs/1712.05877
"""

from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from nnopt_lab.techniques.network_checks import current_value
from nnopt_lab.techniques.quantization.grids import Grid, grid_of_range
from nnopt_lab.techniques.quantization.requantization import fixed_point, requantize
from nnopt_lab.techniques.quantization.rounding import quantize

LARGEST_BIAS = 2**30  # leaves the other half of the range to the products
PART = 2**14  # sums requantised at a time, so that their 64-bit products stay in the cache


class IntegerLayer(nn.Module):
    """A convolution or linear layer on uint8 activations, with the ReLU and max-poolings that follow it.

    Args:
        layer: nn.Linear, or nn.Conv2d with groups=1 and zero padding.
        source, target: affine grids of at most 8 bits, for the layer's input and output.
        relu: whether the output is clamped at its zero.
        pools: max-poolings. They work on the sums: requantising and ReLU preserve order, so they may come after the
            maximum, where fewer numbers are left.

    Raises:
        ValueError: a layer or grid is of another kind, or a sum might overflow 32 bits.
    """

    def __init__(self, layer: nn.Conv2d | nn.Linear, source: Grid, target: Grid, relu=False, pools=()):
        super().__init__()
        if isinstance(layer, nn.Conv2d) and (
            layer.groups != 1 or layer.padding_mode != "zeros" or isinstance(layer.padding, str)
        ):
            raise ValueError(f"{layer} can't be converted: it needs groups=1 and zero padding given as numbers.")
        if any(pool.dilation != 1 or pool.ceil_mode or pool.return_indices for pool in pools):
            raise ValueError(f"{pools} can't be converted: only kernel_size, stride and padding are supported.")
        if any(grid.dtype != torch.uint8 or grid.scale.dim() for grid in (source, target)):
            raise ValueError("source and target must be affine grids of at most 8 bits with one scale each.")
        weight, bias = current_value(layer).flatten(1), current_value(layer, "bias")
        if weight.shape[1] * 127 * 255 > 2**31 - 1 - LARGEST_BIAS:
            raise ValueError(f"{layer} sums {weight.shape[1]:,} products, which may overflow 32 bits.")
        bias = weight.new_zeros(len(weight)) if bias is None else bias
        # A channel of tiny weights gets a scale that is large enough for its bias.
        largest = torch.maximum(weight.abs().amax(1), bias.abs() / source.scale * (127 / LARGEST_BIAS))[:, None]
        grid = grid_of_range(-largest, largest, symmetric=True)
        scale = source.scale.double() * grid.scale.double()
        q, bias = quantize(weight, grid), (bias[:, None] / scale).round().to(torch.int32)
        numbers = [fixed_point(real) for real in (scale / target.scale).flatten().tolist()]
        multiplier, shift = torch.tensor(numbers).T[..., None]
        self.register_buffer("weight", q)  # int8 [out, inputs]
        self.register_buffer("bias", bias)  # int32 [out, 1], as the next two
        self.register_buffer("multiplier", multiplier.to(torch.int32))
        self.register_buffer("shift", shift.to(torch.int8))
        self.register_buffer("zero_points", torch.stack([source.zero_point, target.zero_point]).to(torch.uint8))
        # Σ q_w·(q_x − z) + q_b = Σ q_w·(q_x − 128) + [q_b + (128 − z)·Σ q_w]: the bracket is constant.
        zeros_part = (128 - source.zero_point) * q.sum(1, keepdim=True, dtype=torch.int32)
        self.register_buffer("folded", bias + zeros_part, persistent=False)
        self.window = _window(layer) if isinstance(layer, nn.Conv2d) else None
        self.pools = [tuple(zip(*map(_pair, (p.kernel_size, p.stride, p.padding)), strict=True)) for p in pools]
        self.low = max(target.low, int(target.zero_point)) if relu else target.low
        self.high = target.high

    def sums(self, q: Tensor) -> Tensor:
        """Compute the exact sums Σ q_w·(q_x − z) + q_b: uint8 [C, N, H, W] or [inputs, N] → int32 [out, N, …].

        Raises:
            ValueError: a convolution gets rows, or a linear layer gets pictures or sequences.
        """
        if q.dim() != (4 if self.window else 2):
            wanted = "[C, N, H, W]" if self.window else "[inputs, N]"
            raise ValueError(f"q has the shape {list(q.shape)}; this layer needs {wanted}.")
        # Flipping the top bit subtracts 128: 0 to 255 becomes −128 to 127, the range of _int_mm.
        q = (q ^ 128).view(torch.int8)
        shape = (q.shape[-1],)
        if self.window:
            q = _patches(q, *self.window, int(self.zero_points[0]) - 128)
            shape = q.shape[3:]
        columns = q.reshape(self.weight.shape[1], -1)
        return torch._int_mm(self.weight, columns).add_(self.folded).view(-1, *shape)

    def forward(self, q: Tensor) -> Tensor:
        """Run the layer: uint8 [C, N, H, W] or [inputs, N] → uint8 [out, N, H', W'] or [out, N]."""
        sums = self.sums(q)
        for pool in self.pools:
            for axis, (size, stride, padding) in zip((2, 3), pool, strict=True):
                sums = _maximum(sums, axis, size, stride, padding)
        to_target = (self.multiplier, self.shift, int(self.zero_points[1]), self.low, self.high)
        parts = [requantize(part, *to_target) for part in sums.flatten(1).split(max(1, PART // len(sums)), 1)]
        return torch.cat(parts, 1).view(sums.shape)


class Flatten(nn.Module):
    """Flatten uint8 [C, N, H, W] → uint8 [C·H·W, N]; a flat input is returned unchanged."""

    def forward(self, q: Tensor) -> Tensor:
        return q.permute(0, 2, 3, 1).flatten(0, 2) if q.dim() == 4 else q


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)


def _window(layer: nn.Conv2d) -> tuple[tuple[int, int], ...]:
    return layer.kernel_size, layer.stride, layer.padding, layer.dilation


def _patches(q: Tensor, size, stride, padding, dilation, zero: int) -> Tensor:
    """The patches that a kernel covers, a view [C, kh, kw, N, H', W'] of [C, N, H, W]; the padding is `zero`."""
    q = pad(q, (padding[1], padding[1], padding[0], padding[0]), value=zero)
    spans = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    windows = q.unfold(2, spans[0], stride[0]).unfold(3, spans[1], stride[1])
    return windows[..., :: dilation[0], :: dilation[1]].permute(0, 4, 5, 1, 2, 3)


def _maximum(x: Tensor, axis: int, size: int, stride: int, padding: int) -> Tensor:
    """The largest of every `size` neighbours along one axis."""
    if padding:
        around = (0, 0) * (3 - axis) + (padding, padding)
        x = pad(x, around, value=torch.iinfo(x.dtype).min)
    count = (x.shape[axis] - size) // stride + 1
    step = [slice(None)] * axis
    return reduce(torch.maximum, (x[(*step, slice(i, i + (count - 1) * stride + 1, stride))] for i in range(size)))
