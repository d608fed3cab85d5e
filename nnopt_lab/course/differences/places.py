"""List the places where a long result differs from the expected one, as the rows of one small table."""

import math
from collections.abc import Iterator
from contextlib import suppress

from torch import Tensor

from nnopt_lab.course.differences.comparison import agree
from nnopt_lab.course.differences.tensors import wrong_values
from nnopt_lab.course.differences.values import comparable, size
from nnopt_lab.course.display import show
from nnopt_lab.course.tensor_text import heading
from nnopt_lab.workbench.language import Message, counted_message, joined

_LISTED = 8
_LONGEST = 32  # characters of a value

Place = tuple[str, object, object]


def differing(got, wanted, tolerance: float, at: str = "") -> Iterator[Place]:
    """The places that differ, each as (index, result, expected); a part of another kind or size is one place."""
    if isinstance(wanted, Tensor) and wanted.ndim and comparable(got, wanted):
        mine, its = got.detach().cpu(), wanted.detach()
        for index in wrong_values(mine, its, tolerance).nonzero().tolist():
            yield f"{at}{index}", mine[tuple(index)].item(), its[tuple(index)].item()
    elif isinstance(wanted, (list, tuple)) and comparable(got, wanted) and len(got) == len(wanted):
        for n, (g, w) in enumerate(zip(got, wanted, strict=True)):
            if not agree(g, w, tolerance):
                yield from differing(g, w, tolerance, f"{at}[{n}]")
    else:
        yield at, got, wanted


def summary(wanted, places: list[Place]) -> Message:
    """How many values differ, and by how much."""
    largest = max((gap for _at, g, w in places for gap in _gap(g, w)), default=None)
    told = counted_message(
        len(places), "{count} of {all} values differs.", "{count} of {all} values differ.", all=size(wanted)
    )
    if largest is not None:
        told = joined(told, Message("The largest difference is {gap}.", gap=show(largest)))
    return Message("`{tensor}`: {told}", tensor=heading(wanted), told=told) if isinstance(wanted, Tensor) else told


def _gap(got, wanted) -> Iterator[float]:
    """The difference of two numbers, unless it is infinite, NaN, or an integer beyond every float."""
    if {type(got), type(wanted)} <= {int, float}:
        with suppress(OverflowError):
            if math.isfinite(gap := abs(got - wanted)):
                yield gap


def table(places: list[Place]) -> Message:
    """The first places, a line each with a tab between columns, below a line with the columns' names."""
    rows = "\n".join(f"{at}\t{_short(g)}\t{_short(w)}" for at, g, w in places[:_LISTED])
    left = len(places) - _LISTED
    return Message(
        "{index}\t{yours}\t{expected}\n{rows}{more}",
        index=Message("index"),
        yours=Message("yours"),
        expected=Message("expected"),
        rows=rows,
        more=Message("\n… and {count} more\t\t", count=left) if left > 0 else "",
    )


def _short(value) -> str:
    if isinstance(value, Tensor) and value.ndim:
        return heading(value)
    text = " ".join(show(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
