"""The picture on the card of a reveal."""

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.course import session
from nnopt_lab.course.ledger import Prediction
from nnopt_lab.course.predictions import predict, reveal
from nnopt_lab.course.reveal_picture import Axis, picture

NUMBERS = st.floats(-1e100, 1e100)


def made(guess, measured, low=None, high=None, unit="×"):
    low, high = (measured if end is None else end for end in (low, high))
    return Prediction("01_pruning", unit, guess, measured, low, high)


def test_a_card_has_the_picture_only_with_a_guess_and_says_the_same_in_words(own_workspace):
    session.enter("01_pruning")
    assert "<svg" not in reveal("loss", 2, 1.9, 2.1)._repr_html_()
    predict("gain", 3)
    card = reveal("gain", 2, 1.9, 2.1)
    shown = card._repr_html_()
    assert shown.index("<svg") < shown.index("Measured: 2.0× (interval 1.9 to 2.1).") < shown.index("You guessed 3×")
    assert 'role="img" aria-label="The guess and the measured value on one axis."' in shown
    assert "svg" not in repr(card)


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS))
def test_every_number_lies_on_the_axis_and_a_larger_one_never_left_of_a_smaller(numbers):
    axis = Axis(numbers)
    places = [float(axis.percent(number)[:-1]) for number in sorted(numbers)]
    assert all(0 <= place <= 100 for place in places) and places == sorted(places)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 7 and axis.percent(ticks[0]) == "0.00%" and axis.percent(ticks[-1]) == "100.00%"


@pytest.mark.parametrize(
    ("numbers", "is_log", "ticks"),
    [
        ((3, 5.71, 5.5, 5.85), False, [0, 2, 4, 6]),
        ((3, 2.85), False, [0, 1, 2, 3]),
        ((85, 8.38), False, [0, 20, 40, 60, 80, 100]),
        ((0, 0), False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ((0.05, 3.2), True, [0.01, 0.1, 1, 10]),
        ((1, 350, 20, 12000), True, [1, 10, 100, 1000, 10000, 100000]),
        ((-3, 55), False, [-20, 0, 20, 40, 60]),
    ],
)
def test_the_axis_is_logarithmic_where_numbers_are_orders_apart_and_its_ticks_are_round(numbers, is_log, ticks):
    axis = Axis(numbers)
    assert axis.is_log == is_log
    assert axis.ticks() == pytest.approx(ticks)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan, 1e300])
@pytest.mark.parametrize("place", range(4))
def test_a_number_that_cannot_be_drawn_leaves_the_words_alone(bad, place):
    numbers = [2.0, 2.0, 1.9, 2.1]
    numbers[place] = bad
    assert picture(made(*numbers)) == ""
    assert picture(made(None, 2.0)) == ""


@pytest.mark.parametrize(
    ("unit", "shown"),
    [("×", "2×"), ("% of the float32 file", "2 %"), ("(largest)", "2"), ("points lost", "2 points"), ("ms", "2 ms")],
)
def test_a_long_unit_is_cut_to_its_first_word(unit, shown):
    found = re.findall(r">([^<>]+)</span>", picture(made(2, 2, unit=unit)))
    assert found[:4] == ["guess", shown, "measured", shown]


def test_ticks_of_a_logarithmic_axis_are_apart():
    for low, high in itertools.combinations((1e-90, 1e-6, 0.02, 1, 30, 4e5, 1e80), 2):
        assert 2 <= len(Axis((low, high)).ticks()) <= 7


def test_an_axis_of_accuracies_ends_at_100_percent_and_any_other_linear_one_holds_0():
    def labels(guess, measured, unit):
        return re.findall(r">([−\d.]+)</span>", picture(made(guess, measured, unit=unit)).split("</svg>")[-1])

    assert labels(95, 91, "%") == ["90", "92", "94", "96", "98", "100"]
    assert labels(10, 12, "%")[0] == labels(95, 91, "ms")[0] == "0"
    assert labels(-3, -2, "points")[-1] == "0"


@pytest.mark.parametrize(
    ("numbers", "places"),
    [
        ((85, 8.38), ["right:calc(15.00% + 12px)", "left:calc(8.38% + 12px)"]),
        ((0, 100), ["left:calc(0.00% + 12px)", "right:calc(0.00% + 12px)"]),
        ((50, 60, 6, 98), ["left:calc(50.00% + 12px)", "left:calc(100% + 12px)"]),
    ],
)
def test_a_value_stands_beside_its_marker_and_interval(numbers, places):
    assert re.findall(r"(?:left|right):calc\([^)]*\)", picture(made(*numbers, unit="ms"))) == places
