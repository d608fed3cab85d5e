"""Random inputs for exercises, all from the given generator, so that a seed reproduces them."""

from collections.abc import Sequence

import torch
from torch import Tensor


def randint(g: torch.Generator, low: int, high: int) -> int:
    """An integer from `low` to `high`, inclusive."""
    return int(torch.randint(low, high + 1, (), generator=g))


def randints(g: torch.Generator, *ranges: tuple[int, int]) -> tuple[int, ...]:
    """One integer per range, ends inclusive."""
    return tuple(randint(g, low, high) for low, high in ranges)


def uniform(g: torch.Generator, low: float, high: float) -> float:
    """A number from `low` to below `high`."""
    return low + (high - low) * float(torch.rand((), generator=g))


def choice(g: torch.Generator, options: Sequence):
    """One of the options, all equally likely."""
    return options[randint(g, 0, len(options) - 1)]


def decimals(g: torch.Generator, *shape: int, places: int = 1) -> Tensor:
    """float32 of that shape: standard normal, rounded to a few decimal places so that a card can show them."""
    return torch.randn(*shape, generator=g).round(decimals=places)


def signs(g: torch.Generator, *shape: int) -> Tensor:
    """float32 of that shape: −1 or 1, equally likely."""
    return 1 - 2 * torch.randint(0, 2, shape, generator=g).float()


def subset(g: torch.Generator, count: int, size: int) -> Tensor:
    """int64 [size]: `size` different numbers from 0 to `count` − 1, ascending."""
    return torch.randperm(count, generator=g)[:size].sort().values
