"""A field for a number takes what people type, also on a Chinese keyboard."""

import pytest

from nnopt_lab.course.boxes import number_row


@pytest.mark.parametrize(
    ("typed", "unit", "committed"),
    [
        ("56.25%", "", "56.25"),
        ("56,25 %", "%", "56.25"),
        ("５６．２５％", "%", "56.25"),
        (" 3 ", "ms", "3"),
        ("3%", "ms", "3%"),
        ("five", "", "five"),
        ("", "%", ""),
    ],
)
def test_a_percent_sign_falls_away_where_it_can_mean_nothing_else(typed, unit, committed):
    seen = []
    field, _, button = number_row("label", "", "Answer", unit, seen.append).children
    field.value = typed
    button.click()
    assert seen == [committed]
