"""The late penalty: a policy in a few characters, and a due date."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime

_RATE = re.compile(r"(\d{1,3})%(?:/(day|hour))?")
_HOURS = {"day": 24.0, "hour": 1.0}
ALLOWED = 'none, zero, "10%" (once), "10%/day" or "10%/hour" (for each day or hour begun)'


@dataclass(frozen=True)
class Policy:
    """A late penalty; `ALLOWED` describes its text form.

    Attributes:
        text: as the teacher wrote it.
        percent: percent of the points lost, once or per period.
        hours: length of a period; None if lost once, however late.
        due: the due date, or None.
    """

    text: str = "none"
    percent: int = 0
    hours: float | None = None
    due: datetime | None = None

    def share(self, submitted_at: str, marked_late: bool = False) -> tuple[float, str]:
        """Compute the share of the points that remains, 0 to 1, and describe how late it was ("" if it was not).

        Args:
            submitted_at: ISO format; "" if unknown, which counts as on time.
            marked_late: whether the learning platform marked it as late, by at least one period.
        """
        hours = 0.0
        if self.due is not None and submitted_at:
            hours = max(0.0, (datetime.fromisoformat(submitted_at) - self.due).total_seconds() / 3600)
        if not hours and not marked_late:
            return 1.0, ""
        periods = 1 if self.hours is None else max(1, math.ceil(hours / self.hours))
        return max(0.0, 1 - self.percent * periods / 100), _in_words(hours)


def policy(text: str, due: str | None = None) -> Policy:
    """Parse a policy and a due date (ISO format; local time if it has no time zone).

    Raises:
        ValueError: either can't be read, or a policy other than none has no due date.
    """
    try:
        when = None if due is None else datetime.fromisoformat(due).astimezone(UTC)
    except ValueError:
        raise ValueError(f"due={due!r} must be a date and time such as 2026-12-01T18:00.") from None
    if text == "none":
        return Policy(due=when)
    rate = _RATE.fullmatch("100%" if text == "zero" else text)
    if rate is None or int(rate[1]) > 100:
        raise ValueError(f"late={text!r} must be {ALLOWED}.")
    if when is None:
        raise ValueError(f"late={text!r} needs a due date: --due 2026-12-01T18:00.")
    return Policy(text, int(rate[1]), _HOURS.get(rate[2]), when)


def _in_words(hours: float) -> str:
    if not hours:
        return "marked late by the learning platform"
    if hours < 48:
        return f"{hours:.0f} hours late" if hours >= 1.5 else f"{max(1, round(hours * 60))} minutes late"
    return f"{hours / 24:.1f} days late"
