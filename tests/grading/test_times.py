"""Times as they are shown."""

import time
from datetime import UTC, datetime

import pytest

from nnopt_lab.grading.times import local


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows has no tzset")
@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "2026-07-01 22:30 UTC"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-07-02 00:30 CEST"),
        ("EST5", "2026-07-01 17:30 EST"),
        ("<-0330>3:30", "2026-07-01 19:00 UTC-0330"),
    ],
)
def test_a_time_is_local_and_names_its_zone(monkeypatch, zone, shown):
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        found = local("2026-07-01T22:30:00+00:00"), local(datetime(2026, 7, 1, 22, 30, tzinfo=UTC)), local("")
    time.tzset()
    assert found == (shown, shown, "")
