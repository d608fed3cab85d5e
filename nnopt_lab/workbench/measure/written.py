"""Write numbers for readers: true minus signs, no sign before zero, and as many decimals in an estimate as in its ends.

Python writes a hyphen for a minus, which is shorter than a plus sign, may break at the end of a line, and in "-0.00"
says something about nothing.
"""

import math
import re


def number(value: float, spec: str = ".2f") -> str:
    """Format a number, such as "−0.50" or, with spec "+.1f", "+3.2"; what rounds to zero has no sign.

    Args:
        value: any number; inf becomes "∞" and nan "not a number".
        spec: of Python's format language, without a width.

    Raises:
        ValueError: `spec` is not of that language.
    """
    value = float(value)
    text = format(value, spec)
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "−∞" if value < 0 else "∞"
    if not re.search("[1-9]", text):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def with_interval(value, spec: str = ".2f", unit: str = "") -> str:
    """Format an estimate with the ends of its interval, such as "−0.21 (−0.50 to 0.08)".

    Args:
        value: an `Interval` or `Ratio`, or (estimate, low, high).
        spec: of Python's format language, the same for all three.
        unit: directly behind the estimate, such as "×" or " ms".

    Raises:
        ValueError: `value` is not of three numbers, or `spec` is not of the format language.
    """
    try:
        found = (value.estimate, value.low, value.high) if hasattr(value, "low") else tuple(map(float, value))
        estimate, low, high = found
    except (TypeError, ValueError):
        raise ValueError(f"value={value!r} must be an Interval or (estimate, low, high).") from None
    return f"{number(estimate, spec)}{unit} ({number(low, spec)} to {number(high, spec)})"


def times_as_fast(value) -> str:
    """Format a `Ratio` in the shortest form, for tables, such as "2.19× (2.02–2.24)" or "31.0× (30.2–33.1)".

    It has at most two decimals, unless it needs more for two digits, as in "0.042× (0.040–0.043)".
    """
    three, two = (decimals(value.estimate, value.low, value.high, digits=digits) for digits in (3, 2))
    form = f".{max(min(2, three), two)}f"
    return f"{number(value.estimate, form)}× ({number(value.low, form)}–{number(value.high, form)})"


def decimals(*values: float, digits: int = 3) -> int:
    """The decimals that give the largest of some numbers `digits` digits: 3 for 0.123, 1 for 12.3, at least 0."""
    largest = max((abs(v) for v in values if math.isfinite(v)), default=0)
    return max(0, digits - 1 - math.floor(math.log10(largest))) if largest > 0 else 0
