"""Points in time as a teacher writes and reads them: in the course's time zone, by default this machine's."""

import re
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

EXAMPLE = "2026-12-01T18:00"
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d\d))?")
_CLOCKS = ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "%I %p", "")
# As spreadsheets and learning platforms write them, once commas are gone; ISO format comes first. A two-digit year is
# read only after dots: 04.12.26 is a date in German spreadsheets.
_DAYS = (
    *("%d.%m.%Y", "%d.%m.%y", "%Y/%m/%d", "%Y.%m.%d", "%d %B %Y", "%d %b %Y", "%d-%b-%Y", "%B %d %Y", "%b %d %Y"),
    *("%A %d %B %Y", "%a %d %b %Y", "%A %B %d %Y", "%a %b %d %Y"),
)
_SLASHES = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(.*)")
_DAY_ALONE = re.compile(r"\d{4}-?\d\d-?\d\d")


def time_zone(text: str) -> tzinfo:
    """Find a time zone by its name, such as Europe/Berlin or UTC, or by its offset, such as +09:00.

    Raises:
        ValueError: there is none.
    """
    if found := _OFFSET.fullmatch(text.strip()):
        sign, hours, minutes = found[1], int(found[2]), int(found[3] or 0)
        if hours <= 14 and minutes < 60:
            return timezone((-1 if sign == "-" else 1) * timedelta(hours=hours, minutes=minutes))
    try:
        return ZoneInfo(text.strip())
    except (ValueError, OSError, KeyError):  # the last one is for an unknown name
        raise ValueError(
            f"zone={text!r} must be a time zone such as Europe/Berlin, UTC or +09:00 (an offset keeps no summer time)."
        ) from None


def course_zone(name: str, due: str) -> tzinfo | None:
    """The zone in which times without one are read and all times are shown; None for this machine's.

    Args:
        name: that the teacher gave, or "".
        due: when it was due, in ISO format with its offset, or "". If it differs from this machine's offset, the
            teacher wrote it in another zone, or on another machine.
    """
    if name:
        return time_zone(name)
    if due:
        when = datetime.fromisoformat(due)
        if when.utcoffset() not in (None, when.astimezone().utcoffset()):
            return timezone(when.utcoffset())
    return None


def moment(text: str, zone: tzinfo | None = None) -> datetime:
    """Parse a date and time: in ISO format, or as spreadsheets and learning platforms write it.

    Args:
        text: such as 2026-12-01T18:00, 2026-12-01 18:00+01:00, 01.12.2026 18:00, 1 December 2026, 6:00 PM. A date
            alone ends with its day. With slashes it must be clear which number is the day: 12/24/2026.
        zone: of a text without one; None for this machine's.

    Raises:
        ValueError: it can't be read, or could be two dates. The message goes on after the text: "must be …".
    """
    text = text.strip()
    try:
        found = datetime.fromisoformat(text)
        is_day = _DAY_ALONE.fullmatch(text) is not None
    except ValueError:
        found, is_day = _written(" ".join(text.replace(",", " ").split()))
    if is_day:
        found = found.replace(hour=23, minute=59, second=59)
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone)
    try:
        return found if found.tzinfo else found.astimezone()
    except (OverflowError, OSError):
        raise ValueError(f"must be a date and time such as {EXAMPLE}") from None


def _written(text: str) -> tuple[datetime, bool]:
    """The time that a text means, and whether it is a day without a time."""
    if slashes := _SLASHES.fullmatch(text):
        first, second = int(slashes[1]), int(slashes[2])
        if first <= 12 and second <= 12 and first != second:
            raise ValueError(f"could be two dates: write it as in {EXAMPLE}")
        day, month = (first, second) if first > 12 else (second, first)
        text = f"{day:02}.{month:02}.{slashes[3]}{slashes[4]}"
    for day in _DAYS:
        for clock in _CLOCKS:
            try:
                return datetime.strptime(text, f"{day} {clock}".strip()), not clock
            except ValueError:
                continue
    raise ValueError(f"must be a date and time such as {EXAMPLE}")


def local(when: datetime | str, zone: tzinfo | None = None) -> str:
    """Format a time as "2026-12-01 18:00 CET".

    Args:
        when: with its time zone; a string in ISO format, or "", which stays "".
        zone: in which it is shown; None for this machine's.
    """
    if isinstance(when, str):
        if not when:
            return ""
        when = datetime.fromisoformat(when)
    here = when.astimezone(zone)
    name = here.tzname() or "UTC"
    return f"{here:%Y-%m-%d %H:%M} {f'UTC{name}' if re.fullmatch(r'[+-][0-9:]+', name) else name}"
