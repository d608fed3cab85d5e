"""What the plots take as a value: a number, or one with an interval around it."""

from collections.abc import Iterable


def middle_low_high(value) -> tuple[float, float, float]:
    """A value's middle and both ends of its interval.

    Args:
        value: a number, whose interval is itself; (middle, low, high); an interval or ratio of `workbench.measure`; a
            `Timing`, with its quartiles.

    Raises:
        ValueError: it is none of these, or the middle lies outside of its interval.
    """
    if hasattr(value, "low"):
        found = (value.estimate, value.low, value.high)
    elif hasattr(value, "quartiles"):
        found = (value.median, *value.quartiles)
    elif isinstance(value, str):
        found = ()
    elif isinstance(value, Iterable) and getattr(value, "ndim", 1):
        found = tuple(value)
    else:
        found = (value, value, value)
    try:
        middle, low, high = map(float, found)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} must be a number, or a middle with both ends of its interval.") from None
    if not low <= middle <= high:
        raise ValueError(f"{value!r}: the middle {middle:g} must lie between {low:g} and {high:g}.")
    return middle, low, high


def whiskers(values) -> tuple[list[float], list[list[float]]]:
    """The middles, and how far the ends are below and above: what `errorbar` wants."""
    found = [middle_low_high(value) for value in values]
    return [m for m, _, _ in found], [[m - low for m, low, _ in found], [high - m for m, _, high in found]]
