"""Values that the plots accept: a number, or a number with an interval around it."""

from collections.abc import Iterable


def middle_low_high(value) -> tuple[float, float, float]:
    """Return a value's middle and both ends of its interval.

    Args:
        value: a number, whose ends are the number itself; (middle, low, high); an `Interval` or `Ratio` of
            `workbench.measure`; or a `Timing`, whose ends are its quartiles.

    Raises:
        ValueError: it is none of these, or the middle lies outside the interval.
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
        raise ValueError(f"value={value!r} must be a number or (middle, low, high).") from None
    if not low <= middle <= high:
        raise ValueError(f"value={value!r}: the middle {middle:g} must lie between {low:g} and {high:g}.")
    return middle, low, high


def whiskers(values) -> tuple[list[float], list[list[float]]]:
    """The middles, and the distances to the ends below and above, in the form that `errorbar` takes."""
    found = [middle_low_high(value) for value in values]
    return [m for m, _, _ in found], [[m - low for m, low, _ in found], [high - m for m, _, high in found]]
