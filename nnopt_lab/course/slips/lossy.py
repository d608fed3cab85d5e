"""Slips that lose something, so that they can't be undone: the expected results are changed instead."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nnopt_lab.course.differences import agree
from nnopt_lab.course.display import ignoring_faults
from nnopt_lab.course.slips.values import flat
from nnopt_lab.workbench.language import Message

_CHANGES = (
    (Message("Your values are the expected ones without their fractions: does a cast or `//` drop them?"), torch.trunc),
    (Message("Your values are the expected ones rounded down: is a `//` where `/` is needed?"), torch.floor),
    (Message("Your values are the expected ones rounded up."), torch.ceil),
    (Message("Your values are the expected ones rounded to integers."), torch.round),
    (Message("Your values are the magnitudes of the expected ones: the signs are lost."), torch.abs),
    (Message("You have 0 where a negative value is expected; the others are right."), lambda x: x.clamp(min=0)),
    (Message("You have 0 where a positive value is expected; the others are right."), lambda x: x.clamp(max=0)),
)
_WHERE = (
    (Message("Only the first value is wrong."), lambda w: torch.arange(len(w)) == 0),
    (Message("Only the last value is wrong."), lambda w: torch.arange(len(w)) == len(w) - 1),
    (Message("Only the first value is right."), lambda w: torch.arange(len(w)) > 0),
    (Message("Only the last value is right."), lambda w: torch.arange(len(w)) < len(w) - 1),
    (Message("Your values are wrong exactly where NaN is expected."), torch.isnan),
    (Message("Your values are wrong exactly where 0 is expected."), lambda w: w == 0),
    (Message("Your values are wrong exactly where a negative one is expected."), lambda w: w < 0),
    (Message("Your values are wrong exactly where a positive one is expected."), lambda w: w > 0),
)
FEWEST = 3  # cases that must show it: fewer may do so by chance


def lost(values: Sequence, wanted: Sequence, tolerance: float) -> str | None:
    """A sentence if all results are the expected ones after a loss, such as rounding, else None.

    Args:
        values: the results, one per case.
        wanted: the reference's results.
        tolerance: of the exercise.
    """
    return _first(_CHANGES, _alike, values, wanted, tolerance)


def misplaced(values: Sequence, wanted: Sequence, tolerance: float) -> str | None:
    """A sentence if all results are wrong in the same places, such as the first, else None; arguments as in `lost`."""
    return _first(_WHERE, _same_places, values, wanted, tolerance)


def _first(losses: Sequence, explains: Callable, values: Sequence, wanted: Sequence, tolerance: float) -> str | None:
    with ignoring_faults():  # results of another structure
        pairs = [flat(value, its) for value, its in zip(values, wanted, strict=True)]
        return next((sentence for sentence, change in losses if explains(pairs, change, tolerance)), None)
    return None


def _alike(pairs: list[tuple[Tensor, Tensor]], change: Callable, tolerance: float) -> bool:
    changed = sum(not torch.equal(change(w), w) for _g, w in pairs)
    return changed >= FEWEST and all(agree(g, change(w), tolerance) for g, w in pairs)


def _same_places(pairs: list[tuple[Tensor, Tensor]], where: Callable, tolerance: float) -> bool:
    shown = 0
    for got, wanted in pairs:
        wrong = ~torch.isclose(got, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)
        expected = where(wanted)
        if not torch.equal(wrong, expected):
            return False
        shown += bool(wrong.any() and wanted[~wrong].any())  # a 0 may be right by chance
    return shown >= FEWEST
