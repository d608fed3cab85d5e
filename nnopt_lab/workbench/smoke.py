"""Smoke mode, `NNOPT_SMOKE=1`: the library shortens long work, so that any lesson runs in seconds.

It only shows that a notebook's cells run without an error. Results keep their types and shapes, but their numbers are
meaningless. Slow code passes its amount of work through these functions, which change nothing outside smoke mode.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import islice

from torch import Tensor

FEW = 32  # pictures


def on() -> bool:
    """Whether smoke mode is on: `NNOPT_SMOKE=1` in the environment."""
    return os.environ.get("NNOPT_SMOKE") == "1"


def cap(number, limit):
    """`number`, but in smoke mode at most `limit`."""
    return min(number, limit) if on() else number


def few(rows, limit: int = FEW):
    """All rows of a tensor or split, but in smoke mode only the first `limit`."""
    return rows[:limit] if on() else rows


def few_batches(loader: Iterable[tuple[Tensor, object]]) -> Iterator[tuple[Tensor, object]]:
    """A loader's batches (inputs, targets), but in smoke mode only the start of the first two."""
    if not on():
        return iter(loader)
    return ((few(inputs), _few_targets(targets)) for inputs, targets in islice(loader, 2))


def repeat_rows(rows: Tensor, count: int) -> Tensor:
    """Repeat rows [N, …] until there are `count`: a result for a few pictures gets its full length."""
    return rows if len(rows) == count else rows.repeat(-(-count // len(rows)), *[1] * (rows.dim() - 1))[:count]


def _few_targets(targets):
    return type(targets)(few(t) for t in targets) if isinstance(targets, (tuple, list)) else few(targets)
