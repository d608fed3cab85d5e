"""Round values to a grid, and measure what rounding loses.

Rounding is half to even and values outside the range saturate, as in torch's own operators, with which `quantize` and
`dequantize` agree bit for bit.

Source: Bengio et al. 2013, "Estimating or Propagating Gradients Through Stochastic Neurons" (straight-through
gradient).
"""

import torch
from torch import Tensor

from nnopt_lab.techniques.quantization.grids import Grid, check_values, rows_of


def quantize(x: Tensor, grid: Grid) -> Tensor:
    """The integers that stand for `x`: round(x/scale) + zero_point, saturated; `grid.dtype`, the shape of `x`.

    Raises:
        ValueError: `x` is empty, not of a floating-point dtype, has values that are NaN, or doesn't fit the grid.
    """
    check_values(x, infinite=True)
    return _like(_unclamped(x, grid).clamp(grid.low, grid.high).to(grid.dtype), x, grid)


def dequantize(q: Tensor, grid: Grid) -> Tensor:
    """The real numbers that `q` stands for: float32, the shape of `q`.

    Raises:
        ValueError: `q` is not of an integer dtype, lies outside `grid`, or doesn't fit it.
    """
    if q.is_floating_point() or q.is_complex() or q.dtype == torch.bool:
        raise ValueError(f"q has dtype {q.dtype}; it must hold integers, such as `quantize` returns.")
    if q.numel() and not (grid.low <= q.min() and q.max() <= grid.high):
        raise ValueError(f"q goes from {q.min()} to {q.max()}; the grid holds {grid.low} to {grid.high}.")
    return _like(_real(_fitting(q.to(torch.int32), grid), grid), q, grid)


def fake_quantize(x: Tensor, grid: Grid) -> Tensor:
    """`dequantize(quantize(x))`: floats that the grid holds, float32, the shape of `x`.

    The gradient passes straight through where `x` lies inside the grid's range and is zero outside, as in
    `torch.fake_quantize_per_tensor_affine`.
    """
    return _FakeQuantize.apply(x, grid)


def signal_to_noise(x: Tensor, approximation: Tensor) -> float:
    """10·log₁₀(Σx² / Σ(x − approximation)²), in decibels: 6 more are one bit more; infinite where both are equal."""
    noise = (x.detach() - approximation.detach()).double().square().sum()
    return float(10 * torch.log10(x.detach().double().square().sum() / noise))


def _unclamped(x: Tensor, grid: Grid) -> Tensor:
    # Times the reciprocal, as in torch's kernels: a division rounds otherwise near the middle between two numbers.
    return (_fitting(x.detach().float(), grid) * (1 / grid.scale)).round() + grid.zero_point


def _real(q: Tensor, grid: Grid) -> Tensor:
    return (q - grid.zero_point) * grid.scale


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, grid):
        check_values(x, infinite=True)
        unclamped = _unclamped(x, grid)
        q = unclamped.clamp(grid.low, grid.high)
        ctx.save_for_backward(_like(q == unclamped, x, grid))
        return _like(_real(q.to(torch.int32), grid), x, grid)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0], None


def _fitting(x: Tensor, grid: Grid) -> Tensor:
    """`x` in the shape that the grid's scales broadcast against."""
    rows = rows_of(x, grid.group)
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
