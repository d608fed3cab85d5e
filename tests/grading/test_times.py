"""Times as they are shown."""

import time
from datetime import UTC, datetime

import pytest

from nnopt_lab.grading.times import course_zone, local, moment, time_zone


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


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-12-01T18:00", "2026-12-01T17:00"),
        ("2026-12-01 18:00", "2026-12-01T17:00"),
        ("2026-12-01T18:00Z", "2026-12-01T18:00"),
        ("2026-12-01T18:00+09:00", "2026-12-01T09:00"),
        ("2026-07-01T18:00", "2026-07-01T16:00"),  # in summer
        ("2026-12-01", "2026-12-01T22:59:59"),
        ("20261201", "2026-12-01T22:59:59"),
        ("01.12.2026", "2026-12-01T22:59:59"),
        ("1.12.2026 18:00", "2026-12-01T17:00"),
        ("01.12.26 18:00", "2026-12-01T17:00"),
        ("12/24/2026 6:00 PM", "2026-12-24T17:00"),
        ("24/12/2026 18:00:30", "2026-12-24T17:00:30"),
        ("12/12/2026", "2026-12-12T22:59:59"),  # the same both ways
        ("2026/12/01 18:00", "2026-12-01T17:00"),
        ("1 Dec 2026 18:00", "2026-12-01T17:00"),
        ("Dec 1, 2026, 6:00 PM", "2026-12-01T17:00"),
        ("Tuesday, 1 December 2026, 6:00 PM", "2026-12-01T17:00"),
        ("December 1, 2026 6 pm", "2026-12-01T17:00"),
        ("1-Dec-2026", "2026-12-01T22:59:59"),
    ],
)
def test_a_time_as_people_and_spreadsheets_write_it(text, utc):
    berlin = time_zone("Europe/Berlin")
    assert moment(text, berlin) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "12/1/2026", "1/12/2026 18:00", "31.02.2026", "2026-13-01", "18:00", "5", "46360.75", "13/13/2026"],
)
def test_what_is_no_time_or_could_be_two_is_refused(text):
    with pytest.raises(ValueError):
        moment(text)


@pytest.mark.parametrize(
    ("text", "hours"), [("UTC", 0), ("+09:00", 9), ("-03:30", -3.5), ("UTC+2", 2), ("GMT-5", -5), ("Asia/Tokyo", 9)]
)
def test_a_zone_has_a_name_or_an_offset(text, hours):
    assert datetime(2026, 12, 1, tzinfo=time_zone(text)).utcoffset().total_seconds() == 3600 * hours


@pytest.mark.parametrize(
    "text", ["", "Mars/Base", "../etc/passwd", "/etc/localtime", "+25:00", "+09:75", "\0", "x" * 500]
)
def test_what_is_no_zone_is_refused(text):
    with pytest.raises(ValueError, match=r"zone=.* must be a time zone such as Europe/Berlin"):
        time_zone(text)


def test_the_course_s_zone_is_the_named_one_or_that_of_the_due_date_or_the_machine_s():
    here = datetime(2026, 12, 1).astimezone().isoformat()
    assert course_zone("", "") is None and course_zone("", here) is None
    for due, name, hours in (("2026-12-01T18:00+13:00", "", 13), ("2026-12-01T18:00+13:00", "Asia/Tokyo", 9)):
        zone = course_zone(name, due)
        assert datetime(2026, 12, 5, tzinfo=zone).utcoffset().total_seconds() == 3600 * hours
    assert local("2026-12-01T18:00+13:00", course_zone("", "2026-12-01T18:00+13:00")) == "2026-12-01 18:00 UTC+13:00"
    assert local("2026-12-01T17:00+00:00", time_zone("Europe/Berlin")) == "2026-12-01 18:00 CET"
