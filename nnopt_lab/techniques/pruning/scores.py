"""Score the weights of one layer by norm, and order the scores by rank or in levels.

Source: Li et al. 2017, "Pruning Filters for Efficient ConvNets", https://arxiv.org/abs/1608.08710 (norms of filters).
"""

import torch
from torch import Tensor


def importance(weight: Tensor, norm: int = 1, per: str = "weight") -> Tensor:
    """Compute the importance of the parts of one layer's weight, by their L1 or L2 norm.

    Args:
        weight: float [out, in, …].
        norm: 1 for Σ|w|, 2 for √Σw². For single weights both are |w|.
        per: "weight" → the weight's own shape; "filter" → [out], one norm per filter; "layer" → [], one norm for the
            whole layer.

    Raises:
        ValueError: `norm` or `per` is none of these.
    """
    if norm not in (1, 2):
        raise ValueError(f"norm={norm!r} must be 1 or 2.")
    if per == "weight":
        return weight.detach().abs()
    if per == "filter":
        return torch.linalg.vector_norm(weight.detach().flatten(1), norm, dim=1)
    if per == "layer":
        return torch.linalg.vector_norm(weight.detach(), norm)
    raise ValueError(f"per={per!r} must be 'weight', 'filter' or 'layer'.")


def ranks(scores: Tensor) -> Tensor:
    """Rank each score in ascending order, 0 for the lowest, ties in order of position: int64, the shape of `scores`."""
    order = scores.detach().flatten().argsort(stable=True)
    places = torch.empty_like(order)
    places[order] = torch.arange(order.numel(), device=order.device)
    return places.reshape(scores.shape)


def levels(scores: Tensor, count: int) -> Tensor:
    """Sort scores into `count` levels of equal size, level 0 the least important.

    Equal scores are ordered by position, so every score belongs to exactly one level, and level sizes differ by at
    most one.

    Args:
        scores: float, any shape.
        count: at least 1.

    Returns:
        int64, the shape of `scores`, values 0 to count − 1.

    Raises:
        ValueError: `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"count={count} must be at least 1.")
    return (ranks(scores) * count) // max(scores.numel(), 1)
