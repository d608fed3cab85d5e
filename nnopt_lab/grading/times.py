"""Show points in time in this machine's time zone, which is also that of a due date without one."""

import re
from datetime import datetime


def local(when: datetime | str) -> str:
    """Format a time as "2026-12-01 18:00 CET".

    Args:
        when: with its time zone; a string in ISO format, or "", which stays "".
    """
    if isinstance(when, str):
        if not when:
            return ""
        when = datetime.fromisoformat(when)
    here = when.astimezone()
    zone = here.tzname() or "UTC"
    return f"{here:%Y-%m-%d %H:%M} {f'UTC{zone}' if re.fullmatch(r'[+-][0-9:]+', zone) else zone}"
