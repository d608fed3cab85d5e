"""The late penalty: a policy in a few characters, and a due date."""

import math
import re
from dataclasses import dataclass
from datetime import datetime, tzinfo

from nnopt_lab.grading.times import moment

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

    def share(
        self, submitted_at: str, marked_late: bool | None = None, extension: datetime | None = None
    ) -> tuple[float, str]:
        """Compute the share of the points that remains, 0 to 1, and describe how late it was ("" if it was not).

        Args:
            submitted_at: ISO format; "" if unknown, which counts as on time.
            marked_late: whether the learning platform marked it as late, by at least one period; None if the platform
                marks nothing. A mark comes before the file's date, which is often that of the download.
            extension: until when this learner has time, if that is after the due date; it comes before a mark.
        """
        extended = extension is not None and (self.due is None or extension > self.due)
        hours = self._hours_late(submitted_at, extension if extended else self.due)
        is_late = hours > 0 if marked_late is None or (extended and submitted_at) else marked_late
        if not is_late:
            return 1.0, ""
        periods = 1 if self.hours is None else max(1, math.ceil(hours / self.hours))
        return max(0.0, 1 - self.percent * periods / 100), _in_words(hours)

    def _hours_late(self, submitted_at: str, due: datetime | None) -> float:
        if due is None or not submitted_at:
            return 0.0
        return max(0.0, (datetime.fromisoformat(submitted_at) - due).total_seconds() / 3600)


def policy(text: str, due: str | None = None, zone: tzinfo | None = None) -> Policy:
    """Parse a policy and a due date, as for `times.moment`; a date without a zone is in `zone`.

    Raises:
        ValueError: either can't be read, or a policy other than none has no due date.
    """
    try:
        when = None if due is None else moment(due, zone)
    except ValueError as error:
        raise ValueError(f"due={due!r} {error}.") from None
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
