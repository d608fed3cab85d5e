"""Multiply integers by a real number in integer arithmetic: a product with a 32-bit number and a right shift.

A layer's sums have the scale s_w·s_x, its output has another. The sums are multiplied by the ratio of the two, a real
number usually far below 1.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", section 2.2, https://arxiv.org/abs/1712.05877. Rounding is TensorFlow Lite's with TFLITE_SINGLE_ROUNDING:
the 64-bit product is rounded once, half up (gemmlowp, which the paper describes, rounds twice and may be off by one).
"""

import math

import torch
from torch import Tensor

LARGEST_SHIFT = 62  # so that the sum of product and rounding term stays below 2^63


def fixed_point(real: float) -> tuple[int, int]:
    """Find the integers (multiplier, shift) for which multiplier / 2^shift is nearest to `real`.

    The multiplier is in [2^30, 2^31), so the relative error is at most 2^−31. If `real` is below 2^−32, at which any
    32-bit sum rounds to zero, the shift stays at 62 and the multiplier is smaller.

    Raises:
        ValueError: `real` is not above 0 and below 2^30.
    """
    if not 0 < real < 2**30:
        raise ValueError(f"real={real} must be above 0 and below 2^30.")
    shift = min(31 - math.frexp(real)[1], LARGEST_SHIFT)
    multiplier = round(math.ldexp(real, shift))
    return (2**30, shift - 1) if multiplier == 2**31 else (multiplier, shift)


def requantize(
    sums: Tensor, multiplier: Tensor, shift: Tensor, zero_point: int, low: int = 0, high: int = 255
) -> Tensor:
    """Compute sums · multiplier / 2^shift, rounded half up, plus zero_point, clamped to [low, high].

    Args:
        sums: int32 [C, …].
        multiplier, shift: integer tensors from `fixed_point`, of a shape that broadcasts against `sums`.
        zero_point, low, high: of the result, 0 to 255.

    Returns:
        uint8, the shape of `sums`.
    """
    shift = shift.long()
    scaled = sums.long().mul_(multiplier).add_(1 << (shift - 1)).bitwise_right_shift_(shift)
    return scaled.add_(zero_point).clamp_(low, high).to(torch.uint8)
