"""Masks for one weight: keep the highest scores, or n of every m.

Source: Mishra et al. 2021, "Accelerating Sparse Deep Neural Networks", https://arxiv.org/abs/2104.08378 (2:4 sparsity).
"""

from torch import Tensor

from nnopt_lab.techniques.pruning.scores import ranks


def magnitude_mask(scores: Tensor, keep: int) -> Tensor:
    """Make a mask of the `keep` highest scores: bool, the shape of `scores`, exactly `keep` entries True.

    Among equal scores, those later in the tensor are kept.

    Raises:
        ValueError: `keep` is not between 0 and the number of scores.
    """
    check_keep(keep, scores.numel())
    return ranks(scores) >= scores.numel() - keep


def n_m_mask(weight: Tensor, n: int = 2, m: int = 4) -> Tensor:
    """Make a mask of the `n` largest magnitudes in every `m` consecutive inputs: bool, the shape of `weight`.

    Groups run along the rows of the layer's matrix [out, in·kh·kw]. Among equal magnitudes, later ones are kept. With
    n = 2 and m = 4, this is the pattern of sparse tensor cores (Mishra et al. 2021).

    Raises:
        ValueError: `n` is not between 0 and `m`, or the length of a row is not a multiple of `m`.
    """
    rows = weight.detach().flatten(1)
    if not 0 <= n <= m or m < 1:
        raise ValueError(f"n={n} must be between 0 and m={m}.")
    if rows.shape[1] % m:
        raise ValueError(f"weight has {rows.shape[1]} inputs per row, which cannot be divided into groups of m={m}.")
    groups = rows.abs().reshape(-1, m)
    places = groups.argsort(dim=1, stable=True).argsort(dim=1)
    return (places >= m - n).reshape(weight.shape)


def check_keep(keep: int, left: int) -> None:
    """Raise a ValueError unless `keep` is between 0 and the `left` weights that are left."""
    if not 0 <= keep <= left:
        raise ValueError(f"keep={keep} must be between 0 and the {left} weights that are left.")
