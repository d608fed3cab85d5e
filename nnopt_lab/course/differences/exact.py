"""Compare numbers exactly, without the rounding that a conversion to float would bring."""

import math
from fractions import Fraction

import torch
from torch import Tensor

EXACT = 2**53  # up to here, a double represents every integer


def close(got: float, wanted: float, tolerance: float) -> bool:
    """Whether two numbers agree within the tolerance, which is relative above 1 if the expected one is a float."""
    if got == wanted or (got != got and wanted != wanted):
        return True
    # A count is either right or wrong, so for integers the tolerance does not grow with their size.
    size = 1.0 if isinstance(wanted, int) else max(1.0, abs(wanted))
    return math.isfinite(wanted) and gap(got, wanted) <= tolerance * size


def gap(a: float, b: float) -> float:
    """|a − b|; if one of the two is an integer, without the rounding of a conversion to float."""
    if isinstance(a, int) != isinstance(b, int) and math.isfinite(a) and math.isfinite(b):
        return abs(Fraction(a) - Fraction(b))
    return abs(a - b)


def wrong_integers(got: Tensor, wanted: Tensor, tolerance: float) -> Tensor:
    """Mask of the integers, of one shape and any dtypes, that differ by more than the tolerance.

    A double would round them beyond 2^53, and the upper half of uint64 wraps to negative numbers in int64, so a flag
    distinguishes these.
    """
    upper = torch.uint64
    (a, a_wraps), (b, b_wraps) = ((t.long(), (t.long() < 0) & (t.dtype == upper)) for t in (got, wanted))
    apart = a - b
    overflows = ((a < 0) != (b < 0)) & ((apart < 0) != (a < 0))
    most = int(min(tolerance, EXACT))
    return (a_wraps != b_wraps) | overflows | (apart > most) | (apart < -most)


def fit_doubles(*tensors: Tensor) -> bool:
    """Whether doubles represent all numbers exactly."""
    return all(t.is_floating_point() or not wrong_integers(t, t.double().long(), 0.0).any() for t in tensors)
