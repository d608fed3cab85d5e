"""Families of wrong answers: the reference with one mistake.

An exercise's `wrong` is evaluated before its reference exists, so the wrong answers are made later: the decorator
`exercise` calls `make` with the reference.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class OfReference:
    """A wrong answer made from the reference: `make(reference)` is the function."""

    make: Callable[[Callable], Callable]


def changed(change: Callable) -> OfReference:
    """`change(result)` of the reference's result."""
    return OfReference(lambda reference: lambda *inputs: change(reference(*inputs)))


def scaled(factor: float) -> OfReference:
    """`factor` times the reference's result."""
    return changed(lambda result: result * factor)


def off_by(amount: float) -> OfReference:
    """The reference's result, plus `amount`."""
    return changed(lambda result: result + amount)


def swapped() -> OfReference:
    """The reference's results in the opposite order."""
    return changed(lambda result: result[::-1])


def called_with(change: Callable) -> OfReference:
    """The reference called with other arguments: `change(*inputs)` returns all of them as a tuple."""
    return OfReference(lambda reference: lambda *inputs: reference(*change(*inputs)))
