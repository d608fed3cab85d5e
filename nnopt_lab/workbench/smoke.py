"""Smoke mode, `NNOPT_SMOKE=1`: the library cuts its long work short, so that any lesson runs in seconds.

It shows that a notebook's cells go through, nothing else. Results keep their types and shapes; their numbers mean
nothing. Code that takes long asks here how much to do, and outside smoke mode gets back what it passed in.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import islice

from torch import Tensor

FEW = 32  # pictures


def on() -> bool:
    """Whether the environment asks for smoke mode."""
    return os.environ.get("NNOPT_SMOKE") == "1"


def cap(number, limit):
    """`number`, but in smoke mode `limit` at most."""
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
    """Rows [N, …] again and again until there are `count`: gives what was computed for a few its full length."""
    return rows if len(rows) == count else rows.repeat(-(-count // len(rows)), *[1] * (rows.dim() - 1))[:count]


def _few_targets(targets):
    return type(targets)(few(t) for t in targets) if isinstance(targets, (tuple, list)) else few(targets)
