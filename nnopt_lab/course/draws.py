"""What the exercises' inputs are drawn with."""

import torch


def number(g: torch.Generator, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (), generator=g))
