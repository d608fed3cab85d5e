"""The late penalty: policies, due dates, and the share of the points that remains."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.grading.lateness import policy
from tests.grading.classroom import DUE, IN_TIME, LATE


@pytest.mark.parametrize(
    ("text", "share", "words"),
    [
        ("none", 1.0, "36 hours late"),
        ("zero", 0.0, "36 hours late"),
        ("10%", 0.9, "36 hours late"),
        ("10%/day", 0.8, "36 hours late"),
        ("5%/hour", 0.0, "36 hours late"),
        ("1%/hour", 0.64, "36 hours late"),
    ],
)
def test_what_a_late_submission_loses(text, share, words):
    assert policy(text, DUE).share(LATE) == (pytest.approx(share), words)
    assert policy(text, DUE).share(IN_TIME) == (1.0, "")


def test_what_another_system_marked_as_late_is_late_by_one_period_at_least():
    assert policy("10%/day", DUE).share(IN_TIME, marked_late=True)[0] == 0.9
    assert policy("10%/day", DUE).share(LATE, marked_late=True)[0] == 0.8


def test_a_date_without_a_zone_is_local():
    assert policy("none", "2026-12-01T18:00").due.tzinfo is not None


@pytest.mark.parametrize("text", ["10", "x", "10%/week", "200%", "-5%", ""])
def test_a_policy_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="must be none, zero"):
        policy(text, DUE)


def test_a_policy_without_a_date_and_a_date_that_is_none_are_refused():
    with pytest.raises(ValueError, match="needs a due date"):
        policy("10%")
    with pytest.raises(ValueError, match="must be a date and time"):
        policy("none", "tomorrow")


@given(st.integers(0, 100), st.floats(0.001, 10_000))
def test_one_more_hour_costs_its_percent_until_nothing_is_left(percent, hours):
    rule = policy(f"{percent}%/hour", DUE)
    shares = [rule.share((datetime.fromisoformat(DUE) + timedelta(hours=h)).isoformat())[0] for h in (hours, hours + 1)]
    assert shares[0] - shares[1] == pytest.approx(min(percent / 100, shares[0]))
