"""Numbers as readers see them: true minus signs, no sign before zero, and the same decimals for an interval's ends."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.workbench.measure import Interval, Ratio, number, times_as_fast, with_interval
from nnopt_lab.workbench.measure.written import decimals

FINITE = st.floats(-1e9, 1e9)


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (7.137000000000001, ".3f", "7.137"),
        (-0.5, ".2f", "−0.50"),
        (0.5, "+.2f", "+0.50"),
        (-0.001, "+.2f", "0.00"),
        (0.0, "+.1f", "0.0"),
        (-1234.5, ",.1f", "−1,234.5"),
        (1e-7, ".1e", "1.0e−07"),
        (math.inf, "+.2f", "∞"),
        (-math.inf, ".2f", "−∞"),
        (math.nan, ".2f", "not a number"),
    ],
)
def test_a_number(value, spec, text):
    assert number(value, spec) == text


@given(FINITE, st.integers(0, 6))
def test_a_number_reads_back_as_what_was_rounded(value, places):
    text = number(value, f"+.{places}f")
    assert "-" not in text and float(text.replace("−", "-")) == float(f"{value:.{places}f}")


@given(st.tuples(FINITE, FINITE, FINITE).map(sorted), st.integers(0, 4))
def test_an_estimate_has_as_many_decimals_as_its_ends(ends, places):
    low, middle, high = ends
    shown = re.findall(r"[\d.]+", with_interval((middle, low, high), f".{places}f", " ms"))
    assert len(shown) == 3 and {len(text.partition(".")[2]) for text in shown} == {places}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (Interval(-0.214, -0.5, 0.083, 0.95), "", "−0.21 (−0.50 to 0.08)"),
        (Ratio(2, 1.5, 2.5, 0.95), "×", "2.00× (1.50 to 2.50)"),
        ([1, 0, 2], " ms", "1.00 ms (0.00 to 2.00)"),
    ],
)
def test_an_interval(value, unit, text):
    assert with_interval(value, unit=unit) == text


@pytest.mark.parametrize("value", [None, 3.0, (1, 2), (1, 2, 3, 4), "abc", ("a", "b", "c")])
def test_what_is_no_interval_is_refused(value):
    with pytest.raises(ValueError, match=r"must be an Interval or \(estimate, low, high\)"):
        with_interval(value)


@pytest.mark.parametrize(
    ("values", "places"),
    [((0.123,), 3), ((12.3, -0.001), 1), ((1234,), 0), ((0, 0), 0), ((0.5, -0.25, 1.25), 2), ((), 0)],
)
def test_decimals_follow_the_largest(values, places):
    assert decimals(*values) == places


@given(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)).map(sorted))
def test_the_text_of_an_interval_has_equal_decimals(ends):
    low, middle, high = ends
    shown = re.findall(r"(?<![\d.])\d+(?:\.\d+)?", str(Interval(middle, low, high, 0.95)).replace("95 %", ""))
    assert len({len(text.partition(".")[2]) for text in shown}) == 1


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (Ratio(2.187, 2.02, 2.24, 0.95), "2.19× (2.02–2.24)"),
        (Ratio(31.02, 30.16, 33.149, 0.95), "31.0× (30.2–33.1)"),
        (Ratio(0.0312, 0.03, 0.04, 0.95), "0.031× (0.030–0.040)"),
        (Ratio(207.4, 200, 210, 0.95), "207× (200–210)"),
    ],
)
def test_a_ratio_in_a_table_is_short_and_has_equal_decimals(ratio, text):
    assert times_as_fast(ratio) == text
