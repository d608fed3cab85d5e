"""Whole numbers for weights: a grid of equally spaced values, its range, and its granularity.

The article's section 3.3.1 (1). A real number is stored as a whole number q in [low, high] that stands for
scale · (q − zero_point). Rounding is half to even and what lies outside saturates, as in torch's own operators, with
which `quantize` and `dequantize` agree bit for bit.

Sources: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference" (affine grids, eq. 1); Krishnamoorthi 2018, "Quantizing deep convolutional networks" (granularity);
Bengio et al. 2013, "Estimating or Propagating Gradients Through Stochastic Neurons" (straight-through gradient);
Zhou et al. 2017, "Incremental Network Quantization" (powers of two).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

QUANTIZABLE = (nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Grid:
    """The real numbers that whole numbers stand for: scale · (q − zero_point), q from `low` to `high`.

    `scale` is float32 and `zero_point` int32, both of shape [] for one grid a tensor, [C, 1, …] for one a channel,
    [out, groups, 1] for one in each `group` consecutive inputs of a row of `weight.flatten(1)`.
    """

    scale: Tensor
    zero_point: Tensor
    low: int
    high: int
    group: int | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The smallest integer dtype that holds `low` to `high`."""
        for dtype in (torch.int8, torch.uint8, torch.int16):
            if torch.iinfo(dtype).min <= self.low and self.high <= torch.iinfo(dtype).max:
                return dtype
        return torch.int32


def integer_range(bits: int, *, signed: bool = True, narrow: bool = False) -> tuple[int, int]:
    """Smallest and largest whole number of `bits` bits; `narrow` leaves out the smallest, so that −q exists for each q.

    Raises:
        ValueError: `bits` is not 1 to 16.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= 16:
        raise ValueError(f"bits={bits!r} must be a whole number from 1 to 16.")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return low + narrow, high


def grid_of_range(smallest: Tensor | float, largest: Tensor | float, bits: int = 8, *, symmetric: bool = False) -> Grid:
    """The grid that just covers the range from `smallest` to `largest` and zero, zero exactly.

    A range of nothing but zero has scale 1.

    Args:
        smallest, largest: of one tensor, or tensors of one number a channel or group.
        bits: 1 to 16; 2 to 16 where symmetric.
        symmetric: True → zero point 0, scale = max(−smallest, largest)/high, q from −high to high, where
            high = 2^(bits−1) − 1. False → affine: q from 0 to 2^bits − 1.

    Raises:
        ValueError: `bits` is out of range, or the range is not finite, empty, or wider than float32 holds.
    """
    smallest, largest = (torch.as_tensor(x).detach().to(torch.float32) for x in (smallest, largest))
    if not (smallest.isfinite().all() and largest.isfinite().all()) or (smallest > largest).any():
        raise ValueError("smallest and largest must be finite numbers, and smallest not above largest.")
    smallest, largest = smallest.clamp(max=0), largest.clamp(min=0)
    low, high = integer_range(bits, signed=symmetric, narrow=symmetric)
    if low == high:
        raise ValueError("bits=1 has no symmetric grid with a zero in it; use symmetric=False, or binary weights.")
    span = torch.maximum(-smallest, largest) / high if symmetric else largest / (high - low) - smallest / (high - low)
    # Below the smallest normal number, 1/scale would be infinite.
    scale = torch.where(span == 0, 1.0, span.clamp(min=torch.finfo(torch.float32).tiny))
    zero_point = torch.zeros_like(scale) if symmetric else (low - smallest / scale).round().clamp(low, high)
    return Grid(scale, zero_point.to(torch.int32), low, high)


def grid_of(x: Tensor, bits: int = 8, *, symmetric: bool = True, per: str = "tensor", group: int | None = None) -> Grid:
    """The grid between the smallest and the largest value of `x`, or one for each of its channels or groups.

    Args:
        x: float, any shape; [out, in, …] where `per` is not "tensor".
        bits, symmetric: as in `grid_of_range`.
        per: "tensor" → one grid; "channel" → one for each of `x`'s rows, axis 0; "group" → one for each `group`
            consecutive inputs of a row.
        group: inputs a group; the last one of a row may have fewer.

    Raises:
        ValueError: `x` is empty, not of a floating-point dtype, or has values that are not finite; an argument is out
            of its range.
    """
    _check_values(x)
    if per not in ("tensor", "channel", "group"):
        raise ValueError(f"per={per!r} must be 'tensor', 'channel' or 'group'.")
    if (group is not None) != (per == "group"):
        raise ValueError(f"group={group} must be given with per='group', and only there.")
    if per == "tensor":
        return grid_of_range(*x.aminmax(), bits, symmetric=symmetric)
    if x.dim() == 0:
        raise ValueError(f"x is a single number, which has no rows: per={per!r} needs [out, …].")
    rows = _rows(x, group)
    inputs = tuple(range(1, rows.dim())) if group is None else -1
    ends = (rows.amin(inputs, keepdim=True), rows.amax(inputs, keepdim=True)) if rows.dim() > 1 else (rows, rows)
    return replace(grid_of_range(*ends, bits, symmetric=symmetric), group=group)


def quantize(x: Tensor, grid: Grid) -> Tensor:
    """The whole numbers that stand for `x`: round(x/scale) + zero_point, saturated; `grid.dtype`, the shape of `x`.

    Raises:
        ValueError: `x` is empty, not of a floating-point dtype, has values that are NaN, or doesn't fit the grid.
    """
    _check_values(x, infinite=True)
    return _like(_unclamped(x, grid).clamp(grid.low, grid.high).to(grid.dtype), x, grid)


def dequantize(q: Tensor, grid: Grid) -> Tensor:
    """The real numbers that `q` stands for: float32, the shape of `q`.

    Raises:
        ValueError: `q` is not of an integer dtype, lies outside `grid`, or doesn't fit it.
    """
    if q.is_floating_point() or q.is_complex() or q.dtype == torch.bool:
        raise ValueError(f"q has dtype {q.dtype}; it must be whole numbers, such as `quantize` returns.")
    if q.numel() and not (grid.low <= q.min() and q.max() <= grid.high):
        raise ValueError(f"q goes from {q.min()} to {q.max()}; the grid holds {grid.low} to {grid.high}.")
    return _like(_real(_fitting(q.to(torch.int32), grid), grid), q, grid)


def fake_quantize(x: Tensor, grid: Grid) -> Tensor:
    """`dequantize(quantize(x))`: floats that the grid holds, float32, the shape of `x`.

    The gradient passes straight through where `x` lies inside the grid's range and is zero outside, as in
    `torch.fake_quantize_per_tensor_affine`.
    """
    return _FakeQuantize.apply(x, grid)


def _unclamped(x: Tensor, grid: Grid) -> Tensor:
    # Times the reciprocal, as in torch's kernels: a division rounds otherwise near the middle between two numbers.
    return (_fitting(x.detach().float(), grid) * (1 / grid.scale)).round() + grid.zero_point


def _real(q: Tensor, grid: Grid) -> Tensor:
    return (q - grid.zero_point) * grid.scale


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, grid):
        _check_values(x, infinite=True)
        unclamped = _unclamped(x, grid)
        q = unclamped.clamp(grid.low, grid.high)
        ctx.save_for_backward(_like(q == unclamped, x, grid))
        return _like(_real(q.to(torch.int32), grid), x, grid)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0], None


def power_of_two(weight: Tensor, bits: int = 4) -> Tensor:
    """Each weight as 0 or ±2^e: float32, the shape of `weight`. What the article's `quantize` meant.

    One of the 2^bits codes is zero; the others are ± the 2^(bits−1) − 1 powers from the one nearest to the largest
    weight downwards. The nearest of these values is taken; a product with such a weight is a shift of bits.

    Args:
        weight: float, any shape.
        bits: 2 to 8.

    Raises:
        ValueError: `bits` is out of range; `weight` is empty, not of a floating-point dtype, or not finite.
    """
    _check_values(weight)
    if integer_range(bits)[1] < 1 or bits > 8:
        raise ValueError(f"bits={bits} must be 2 to 8.")
    weight = weight.detach().float()
    if not weight.any():
        return torch.zeros_like(weight)
    largest = (weight.abs().max() * 4 / 3).log2().floor()  # 4/3: from 1.5·2^e on, 2^(e+1) is at least as near
    smallest = max(float(largest) - (2 ** (bits - 1) - 2), -126.0)
    exponent = (weight.abs() * 4 / 3).log2().floor().clamp(smallest, float(largest))
    return torch.where(weight.abs() < 2.0 ** (smallest - 1), 0.0, weight.sign() * torch.exp2(exponent))


@torch.no_grad()
def quantize_weights(
    model: nn.Module, bits: int = 8, *, symmetric: bool = True, per: str = "channel", group: int | None = None
) -> nn.Module:
    """Put the weights of all convolutions and linear layers on grids, in place; biases stay. Returns the model.

    The weights remain float32, so that the model still runs everywhere; what they lose they have lost.

    Args:
        bits, symmetric, per, group: as in `grid_of`.
    """
    for layer in model.modules():
        if isinstance(layer, QUANTIZABLE):
            grid = grid_of(layer.weight, bits, symmetric=symmetric, per=per, group=group)
            layer.weight.copy_(fake_quantize(layer.weight, grid))
    return model


def signal_to_noise(x: Tensor, approximation: Tensor) -> float:
    """10·log₁₀(Σx² / Σ(x − approximation)²), in decibels: 6 more are one bit more; infinite where both are equal."""
    noise = (x.detach() - approximation.detach()).double().square().sum()
    return float(10 * torch.log10(x.detach().double().square().sum() / noise))


def _rows(x: Tensor, group: int | None) -> Tensor:
    """`x` cut into groups, [out, groups, group], the last filled up with zeros; `x` itself where group is None."""
    if group is None:
        return x
    if group < 1 or x.dim() == 0:
        raise ValueError(
            f"group={group} must be at least 1, and the tensor must have rows; its shape is {list(x.shape)}."
        )
    rows = x.reshape(len(x), -1)
    return nn.functional.pad(rows, (0, -rows.shape[1] % group)).reshape(len(x), -1, group)


def _fitting(x: Tensor, grid: Grid) -> Tensor:
    """`x` in the shape that the grid's scales broadcast against."""
    rows = _rows(x, grid.group)
    fits = len(grid.scale.shape) <= rows.dim() and all(
        theirs in (1, ours) for theirs, ours in zip(grid.scale.shape[::-1], rows.shape[::-1], strict=False)
    )
    if not fits:
        raise ValueError(
            f"The tensor has shape {list(x.shape)}; the grid's scales have shape {list(grid.scale.shape)}."
        )
    return rows


def _like(rows: Tensor, x: Tensor, grid: Grid) -> Tensor:
    """Undo `_fitting`."""
    return rows if grid.group is None else rows.flatten(1)[:, : x[0].numel()].reshape(x.shape)


def _check_values(x: Tensor, infinite: bool = False) -> None:
    if not x.is_floating_point():
        raise ValueError(f"The tensor has dtype {x.dtype}; quantising needs floating-point values.")
    if x.numel() == 0:
        raise ValueError(f"The tensor of shape {list(x.shape)} is empty: it has no range to quantise.")
    if x.isnan().any() or (not infinite and x.isinf().any()):
        raise ValueError("The tensor has values that are NaN or infinite; they have no place on a grid.")
