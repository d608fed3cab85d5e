"""A field for a number takes what people type, also on a Chinese keyboard."""

from types import SimpleNamespace

import pytest

from nnopt_lab.course.boxes import box, number_row
from nnopt_lab.course.cards import Card


@pytest.mark.parametrize(
    ("typed", "unit", "committed"),
    [
        ("56.25%", "", "56.25"),
        ("56,25 %", "%", "56.25"),
        ("５６．２５％", "%", "56.25"),
        (" 3 ", "ms", "3"),
        ("3 ms", "ms", "3"),
        ("3%", "ms", "3%"),
        ("1,8x", "×", "1.8"),
        ("1.8 ×", "×", "1.8"),
        ("five", "", "five"),
        ("", "%", ""),
    ],
)
def test_a_unit_falls_away_where_it_can_mean_nothing_else(typed, unit, committed):
    seen = []
    field, _, button = number_row("label", "", "Answer", unit, seen.append).children
    field.value = typed
    button.click()
    assert seen == [committed]


def test_a_card_takes_the_place_of_a_box_that_is_shown(monkeypatch):
    placed = []
    handle = SimpleNamespace(update=lambda forms, raw: placed.append(forms))
    monkeypatch.setattr("IPython.display.display", lambda *_, **more: handle)
    made, card = box([], Card("Asked")), Card("Answered")
    made.replace(card)
    assert placed == []
    made._ipython_display_()
    made.replace(card)
    assert placed == [{"text/plain": "▸ Answered", "text/html": card._repr_html_()}]
