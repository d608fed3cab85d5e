"""Singular values and closest low-rank factors of a matrix, from the eigenvalues of its Gram matrix, and remembered.

A large layer is much longer than wide: VGG's first linear layer has 25,088 × 4,096 weights. The eigenvalues of the Gram
matrix AᵀA, here 4,096 × 4,096, are the squares of A's singular values, and cost a third of the time of the singular
value decomposition (Golub & Van Loan 2013, "Matrix Computations", section 8.6). Squaring costs accuracy: with rounding
errors ε, the relative error of a singular value σ is about ε(σ₁/σ)². So the Gram matrix of float32 numbers is computed
in float64, and in float32 only if all its eigenvalues then turn out to be large enough.

Results are kept by the matrix's contents, so that all candidates of a search share them, copies of a network included,
and a changed weight is noticed however it was changed.
"""

import hashlib
from collections import OrderedDict

import torch
from scipy.linalg import blas
from torch import Tensor

LARGE = 1024  # rows and columns from which float32 is tried first, if the matrix is at least twice as long as wide
CONDITION = 100  # σ₁/σ up to which float32 is exact enough
KEPT_BYTES = 2**28  # of all results together


def singular_values(matrix: Tensor) -> Tensor:
    """The singular values of a matrix, descending.

    The relative error of those above 10⁻⁵ of the largest is below 5·10⁻⁵, at most about that of
    `torch.linalg.svdvals` for float32.

    Args:
        matrix: float32 or float64 [m, n], finite, m and n at least 1; left unchanged.

    Returns:
        float64 [min(m, n)], on the CPU.
    """
    return _remembered("values", matrix, _values)


def closest_factors(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Factors [m, r] and [r, n] of the closest matrix of rank r; each contains the root of the singular values.

    Args:
        matrix: float32 or float64 [m, n], finite; left unchanged.
        rank: 1 to min(m, n).
    """
    vectors = _remembered("vectors", matrix, _vectors)[:, :rank].to(matrix)
    root = singular_values(matrix)[:rank].to(matrix)
    root = root.clamp(min=float(root[0]) * 1e-6 or 1.0).sqrt()  # vanishing ones would be divided by zero
    if _is_wide(matrix):
        return vectors * root, (vectors.T @ matrix) / root[:, None]
    return (matrix @ vectors) / root, root[:, None] * vectors.T


_results: OrderedDict[tuple, Tensor] = OrderedDict()


def _remembered(kind: str, matrix: Tensor, compute) -> Tensor:
    """The kept result for a matrix of the same contents, else a new one; the least recently used ones are dropped."""
    matrix = matrix.detach().cpu().contiguous()
    key = kind, tuple(matrix.shape), matrix.dtype, hashlib.blake2b(matrix.numpy().data).digest()
    if key not in _results:
        _results[key] = compute(matrix)
    _results.move_to_end(key)
    while len(_results) > 1 and sum(result.nbytes for result in _results.values()) > KEPT_BYTES:
        _results.popitem(last=False)
    return _results[key]


def _values(matrix: Tensor) -> Tensor:
    if matrix.dtype == torch.float64:
        return torch.linalg.svdvals(matrix)
    if _is_large(matrix):
        eigenvalues = torch.linalg.eigvalsh(_gram(matrix).double())
        if _is_exact(eigenvalues):
            return _roots(eigenvalues)
    return _roots(torch.linalg.eigvalsh(_gram(matrix.double())))


def _vectors(matrix: Tensor) -> Tensor:
    """The singular vectors of a matrix's shorter side [min(m, n), min(m, n)], as columns, largest value first."""
    if matrix.dtype == torch.float64:
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        return left if _is_wide(matrix) else right.T
    if _is_large(matrix) and singular_values(matrix)[-1] * CONDITION >= singular_values(matrix)[0]:
        return torch.linalg.eigh(_gram(matrix)).eigenvectors.flip(1)
    return torch.linalg.eigh(_gram(matrix.double())).eigenvectors.flip(1).float()


def _is_large(matrix: Tensor) -> bool:
    """Whether float32 is worth a try; a square matrix nearly always has singular values that are too small for it."""
    return min(matrix.shape) >= LARGE and max(matrix.shape) >= 2 * min(matrix.shape)


def _is_exact(eigenvalues: Tensor) -> bool:
    return bool(eigenvalues[0] * CONDITION**2 >= eigenvalues[-1])


def _roots(eigenvalues: Tensor) -> Tensor:
    return eigenvalues.flip(0).clamp(min=0).sqrt()


def _is_wide(matrix: Tensor) -> bool:
    return matrix.shape[0] < matrix.shape[1]


def _gram(matrix: Tensor) -> Tensor:
    """The lower triangle of AᵀA, or of AAᵀ if that is smaller; the upper one is undefined."""
    update = blas.dsyrk if matrix.dtype == torch.float64 else blas.ssyrk
    return torch.from_numpy(update(1.0, matrix.numpy().T, trans=int(_is_wide(matrix)), lower=1))
