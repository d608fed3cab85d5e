"""Round values to a grid, and measure the rounding noise.

Ties round to even and values outside the range saturate, so that `quantize` and `dequantize` agree with torch's own
operators bit for bit.

Source: Bengio et al. 2013, "Estimating or Propagating Gradients Through Stochastic Neurons",
https://arxiv.org/abs/1308.3432 (straight-through gradient).
"""

import torch
from torch import Tensor

from nnopt_lab.techniques.quantization.grids import Grid, check_values, rows_of


def quantize(x: Tensor, grid: Grid) -> Tensor:
    """Convert reals to integers: round(x/scale) + zero_point, saturated.

    Args:
        x: float, any shape that matches the grid's scales.
        grid: from `grids`.

    Returns:
        `grid.dtype`, the shape of `x`.

    Raises:
        ValueError: `x` is empty, not floating-point, contains NaN, or doesn't match the grid.
    """
    check_values(x, infinite=True)
    return _like(_unclamped(x, grid).clamp(grid.low, grid.high).to(grid.dtype), x, grid)


def dequantize(q: Tensor, grid: Grid) -> Tensor:
    """Convert integers to the real numbers that they represent: float32, the shape of `q`.

    Raises:
        ValueError: `q` has no integer dtype, is outside `grid`, or doesn't match it.
    """
    if q.is_floating_point() or q.is_complex() or q.dtype == torch.bool:
        raise ValueError(f"q has dtype {q.dtype}; it must contain integers, such as `quantize` returns.")
    if q.numel() and not (grid.low <= q.min() and q.max() <= grid.high):
        raise ValueError(f"q goes from {q.min()} to {q.max()}; the grid has {grid.low} to {grid.high}.")
    return _like(_real(_fitting(q.to(torch.int32), grid), grid), q, grid)


def fake_quantize(x: Tensor, grid: Grid) -> Tensor:
    """Compute `dequantize(quantize(x))`: floats on the grid, float32, the shape of `x`.

    The gradient passes straight through inside the grid's range and is zero outside, as in
    `torch.fake_quantize_per_tensor_affine`.

    Raises:
        ValueError: as in `quantize`.
    """
    return _FakeQuantize.apply(x, grid)


def signal_to_noise(x: Tensor, approximation: Tensor) -> float:
    """Compute 10·log₁₀(Σx² / Σ(x − approximation)²) in decibels: 6 dB per bit; infinite if both are equal."""
    noise = (x.detach() - approximation.detach()).double().square().sum()
    return float(10 * torch.log10(x.detach().double().square().sum() / noise))


def _unclamped(x: Tensor, grid: Grid) -> Tensor:
    # Times the reciprocal, as in torch's kernels: a division may round differently near a tie.
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
    """Reshape `x` so that the grid's scales broadcast against it."""
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
