"""Masks for one weight: keep the highest scores, or n of every m.

Source: Mishra et al. 2021, "Accelerating Sparse Deep Neural Networks" (2:4 sparsity).
"""

from torch import Tensor

from nnopt_lab.techniques.pruning.scores import ranks


def magnitude_mask(scores: Tensor, keep: int) -> Tensor:
    """Mask of the `keep` highest scores: bool, the shape of `scores`, exactly `keep` of them True.

    Of equal scores the one further back in the tensor is kept.

    Raises:
        ValueError: `keep` is not between 0 and the number of scores.
    """
    check_keep(keep, scores.numel())
    return ranks(scores) >= scores.numel() - keep


def n_m_mask(weight: Tensor, n: int = 2, m: int = 4) -> Tensor:
    """Mask that keeps the `n` largest magnitudes in every group of `m` consecutive inputs: bool, `weight`'s shape.

    Groups run along a row of the matrix that the layer multiplies with, [out, in·kh·kw]. Of equal magnitudes the
    one further back is kept. With n = 2, m = 4 this is the pattern that sparse tensor cores run (Mishra et al. 2021).

    Raises:
        ValueError: `n` is not between 0 and `m`, or a row cannot be cut into groups of `m`.
    """
    rows = weight.detach().flatten(1)
    if not 0 <= n <= m or m < 1:
        raise ValueError(f"n={n} must be between 0 and m={m}.")
    if rows.shape[1] % m:
        raise ValueError(f"weight has {rows.shape[1]} inputs per row, which cannot be cut into groups of m={m}.")
    groups = rows.abs().reshape(-1, m)
    places = groups.argsort(dim=1, stable=True).argsort(dim=1)
    return (places >= m - n).reshape(weight.shape)


def check_keep(keep: int, left: int) -> None:
    """Raise ValueError if `keep` weights cannot be kept of the `left` ones that are left."""
    if not 0 <= keep <= left:
        raise ValueError(f"keep={keep} must be between 0 and the {left} weights that are left.")
