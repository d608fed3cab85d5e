"""Choose a grid of equally spaced values: its range, its bits, and its granularity.

Sources: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", https://arxiv.org/abs/1712.05877 (affine grids, eq. 1); Krishnamoorthi 2018, "Quantizing deep convolutional
networks", https://arxiv.org/abs/1806.08342 (granularity).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Grid:
    """A grid of real numbers that integers represent: scale · (q − zero_point), q from `low` to `high`.

    `scale` is float32 and `zero_point` int32, both of shape [] for one grid per tensor, [C, 1, …] for one per channel,
    or [out, groups, 1] for one per `group` consecutive inputs of a row of `weight.flatten(1)`.
    """

    scale: Tensor
    zero_point: Tensor
    low: int
    high: int
    group: int | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The smallest integer dtype with the range `low` to `high`."""
        for dtype in (torch.int8, torch.uint8, torch.int16):
            if torch.iinfo(dtype).min <= self.low and self.high <= torch.iinfo(dtype).max:
                return dtype
        return torch.int32


def integer_range(bits: int, *, signed: bool = True, narrow: bool = False) -> tuple[int, int]:
    """Smallest and largest integer of `bits` bits; `narrow` excludes the smallest, so that every q has a −q.

    Raises:
        ValueError: `bits` is not 1 to 16.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= 16:
        raise ValueError(f"bits={bits!r} must be an integer from 1 to 16.")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return low + narrow, high


def grid_of_range(smallest: Tensor | float, largest: Tensor | float, bits: int = 8, *, symmetric: bool = False) -> Grid:
    """Make the smallest grid that covers `smallest`, `largest` and zero, and contains zero exactly.

    If the range is just zero, the scale is 1.

    Args:
        smallest, largest: numbers, or tensors with one number per channel or group.
        bits: 1 to 16, or 2 to 16 if symmetric.
        symmetric: True → zero point 0, scale = max(−smallest, largest)/high, q from −high to high, where
            high = 2^(bits−1) − 1. False → affine: q from 0 to 2^bits − 1.

    Raises:
        ValueError: `bits` is out of range, or the range is empty or not finite in float32.
    """
    smallest, largest = (torch.as_tensor(x).detach().to(torch.float32) for x in (smallest, largest))
    if not (smallest.isfinite().all() and largest.isfinite().all()) or (smallest > largest).any():
        raise ValueError("smallest and largest must be finite, and smallest at most largest.")
    smallest, largest = smallest.clamp(max=0), largest.clamp(min=0)
    low, high = integer_range(bits, signed=symmetric, narrow=symmetric)
    if low == high:
        raise ValueError("bits=1 has no symmetric grid that contains zero; use symmetric=False, or binary weights.")
    span = torch.maximum(-smallest, largest) / high if symmetric else largest / (high - low) - smallest / (high - low)
    # Below the smallest normal number, 1/scale would be infinite.
    scale = torch.where(span == 0, 1.0, span.clamp(min=torch.finfo(torch.float32).tiny))
    zero_point = torch.zeros_like(scale) if symmetric else (low - smallest / scale).round().clamp(low, high)
    return Grid(scale, zero_point.to(torch.int32), low, high)


def grid_of(x: Tensor, bits: int = 8, *, symmetric: bool = True, per: str = "tensor", group: int | None = None) -> Grid:
    """Make the grid from the smallest to the largest value of `x`, or one grid per channel or group.

    Args:
        x: float, any shape; [out, in, …] unless `per` is "tensor".
        bits, symmetric: as in `grid_of_range`.
        per: "tensor" → one grid; "channel" → one per row of `x`, along axis 0; "group" → one per `group` consecutive
            inputs of a row.
        group: inputs per group, at least 1, only for per="group"; the last group of a row may have fewer.

    Raises:
        ValueError: `x` is empty, not floating-point, or not finite; or an argument is out of its range.
    """
    check_values(x)
    if per not in ("tensor", "channel", "group"):
        raise ValueError(f"per={per!r} must be 'tensor', 'channel' or 'group'.")
    if (group is not None) != (per == "group"):
        raise ValueError(f"group={group} must be given if per='group', and only then; per is {per!r}.")
    if per == "tensor":
        return grid_of_range(*x.aminmax(), bits, symmetric=symmetric)
    if x.dim() == 0:
        raise ValueError(f"x is a single number without rows; per={per!r} needs [out, …].")
    rows = rows_of(x, group)
    inputs = tuple(range(1, rows.dim())) if group is None else -1
    ends = (rows.amin(inputs, keepdim=True), rows.amax(inputs, keepdim=True)) if rows.dim() > 1 else (rows, rows)
    return replace(grid_of_range(*ends, bits, symmetric=symmetric), group=group)


def rows_of(x: Tensor, group: int | None) -> Tensor:
    """`x` divided into groups, [out, groups, group], the last padded with zeros; `x` itself if `group` is None."""
    if group is None:
        return x
    if group < 1 or x.dim() == 0:
        raise ValueError(
            f"group={group} must be at least 1, and the tensor must have rows; its shape is {list(x.shape)}."
        )
    rows = x.reshape(len(x), -1)
    return nn.functional.pad(rows, (0, -rows.shape[1] % group)).reshape(len(x), -1, group)


def check_values(x: Tensor, infinite: bool = False) -> None:
    """Raise a ValueError unless `x` is floating-point, not empty, without NaN, and by default without infinities."""
    if not x.is_floating_point():
        raise ValueError(f"The tensor has dtype {x.dtype}; quantising needs floating-point values.")
    if x.numel() == 0:
        raise ValueError(f"The tensor of shape {list(x.shape)} is empty, so it has no range to quantise.")
    if x.isnan().any() or (not infinite and x.isinf().any()):
        raise ValueError("The tensor has values that are NaN or infinite, which can't be quantised.")
