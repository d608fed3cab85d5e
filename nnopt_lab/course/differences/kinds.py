"""Sentences about two values that have different kinds, or no more in common than their kind."""

from nnopt_lab.course.display import kind, show
from nnopt_lab.workbench.language import Message


def pair(got, wanted) -> str:
    """Say which of two values of one kind was expected."""
    return Message("Expected {wanted}, got {got}.", wanted=show(wanted), got=show(got))


def kind_difference(got, wanted) -> str:
    """Describe two values that differ, or have different kinds."""
    if got is None:
        return Message("Your function returned nothing: is the `return` missing?")
    if type(got) is type(wanted):
        return pair(got, wanted)
    return different_kinds(got, wanted)


def different_kinds(got, wanted) -> Message:
    """Say that a value has another kind than the expected one."""
    return Message("Expected {wanted}, but got {got}.", wanted=kind(wanted), got=kind(got))
