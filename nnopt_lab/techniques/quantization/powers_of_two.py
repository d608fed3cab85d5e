"""Round weights to powers of two, so that products become bit shifts.

Source: Zhou et al. 2017, "Incremental Network Quantization", https://arxiv.org/abs/1702.03044
"""

import torch
from torch import Tensor

from nnopt_lab.techniques.quantization.grids import check_values, integer_range


def power_of_two(weight: Tensor, bits: int = 4) -> Tensor:
    """Round each weight to 0 or ±2^e, as the article's `quantize` intends.

    One of the 2^bits codes is zero; the others are ± the 2^(bits−1) − 1 powers of two from the one nearest to the
    largest weight downwards. Each weight becomes the nearest of these values.

    Args:
        weight: float, any shape.
        bits: 2 to 8.

    Returns:
        float32, the shape of `weight`.

    Raises:
        ValueError: `bits` is out of range; or `weight` is empty, not floating-point, or not finite.
    """
    check_values(weight)
    if integer_range(bits)[1] < 1 or bits > 8:
        raise ValueError(f"bits={bits} must be 2 to 8.")
    weight = weight.detach().float()
    if not weight.any():
        return torch.zeros_like(weight)
    largest = (weight.abs().max() * 4 / 3).log2().floor()  # 4/3: from 1.5·2^e on, 2^(e+1) is at least as near
    smallest = max(float(largest) - (2 ** (bits - 1) - 2), -126.0)
    exponent = (weight.abs() * 4 / 3).log2().floor().clamp(smallest, float(largest))
    return torch.where(weight.abs() < 2.0 ** (smallest - 1), 0.0, weight.sign() * torch.exp2(exponent))
