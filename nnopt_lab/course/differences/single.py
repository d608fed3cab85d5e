"""Describe how a single number differs from the expected one."""

import contextlib

from nnopt_lab.course.differences.exact import close
from nnopt_lab.course.differences.kinds import kind_difference, pair
from nnopt_lab.course.differences.patterns import number_pattern
from nnopt_lab.course.differences.values import unwrapped
from nnopt_lab.course.display import show
from nnopt_lab.workbench.language import Message


def number_difference(got, wanted, tolerance: float, named: bool) -> str | None:
    """As `difference`, for an expected number."""
    got = unwrapped(got)
    if isinstance(got, bool) or not isinstance(got, (int, float)):
        return kind_difference(got, wanted)
    if got != got and wanted == wanted:
        return Message("The result is NaN, such as from 0/0, ∞ − ∞, or the logarithm or root of a negative number.")
    with contextlib.suppress(OverflowError):  # an integer beyond every float
        return None if close(got, wanted, tolerance) else number_sentence(got, wanted, named)
    return pair(got, wanted)


def number_sentence(got: float, wanted: float, named: bool) -> str:
    """Describe two numbers that differ."""
    pattern = number_pattern(got, wanted) if named else None
    if pattern is None:
        return pair(got, wanted)
    return Message("{pattern}: expected {wanted}, got {got}.", pattern=pattern, wanted=show(wanted), got=show(got))
