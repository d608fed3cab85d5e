"""The grade that everyone must reach."""

import pytest

from nnopt_lab.course.exercises import lesson_points
from nnopt_lab.grading.grades import final
from nnopt_lab.grading.lateness import policy
from nnopt_lab.grading.threshold import below, parse
from tests.grading.classroom import LESSON, entry


def grades(*points, state="graded"):
    return final([entry(f"l{n}", points=p, state=state) for n, p in enumerate(points)], {}, policy("none"))


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("0", True),
        ("5", True),
        ("5.0", True),
        (" 4.99 ", True),
        (".5", True),
        ("5.01", False),
        ("24", False),
        ("20%", True),
        ("20.8 %", True),
        ("21%", False),
        ("100%", False),
        ("0%", True),
    ],
)
def test_points_and_percent(text, passes):
    (grade,) = grades(3)  # 5 of 24 points, 20.83 %
    assert parse(text).passes(grade) == passes
    assert (below([grade], parse(text)) == "") == passes


@pytest.mark.parametrize("text", ["", "x", "-1", "-5%", "nan", "inf", "1e3", "50 points", "50%%", "%", "1,5", "٣"])
def test_what_is_neither_is_refused(text):
    with pytest.raises(ValueError, match=r"fail_under=.* must be points such as 12, or percent such as 50%"):
        parse(text)


@pytest.mark.parametrize(("text", "lesson"), [("101%", None), ("1000", None), ("24.5", LESSON), ("100.1%", LESSON)])
def test_more_than_anybody_can_reach_is_refused(text, lesson):
    with pytest.raises(ValueError, match=r"must be at most (100 %|24 points, the most that (01_pruning|a lesson) has)"):
        parse(text, lesson)
    assert parse(str(lesson_points(LESSON)), LESSON).number == 24


def test_the_sentence_names_the_lowest_first_and_counts_the_rest():
    assert below(grades(3, 3), parse("6")) == (
        "2 of 2 grades are below 6 points: l0 in 01_pruning (5 of 24), l1 in 01_pruning (5 of 24)."
    )
    assert below(grades(0, 3), parse("20%")) == "1 of 2 grades is below 20 %: l0 in 01_pruning (2 of 24)."
    assert below(grades(*range(3, -1, -1), 0, 0, 0), parse("24")).endswith(" and 2 more.")


def test_a_file_that_is_no_notebook_is_below_everything_but_nothing():
    assert below(grades(0, state="malformed"), parse("1%")) == "1 of 1 grades is below 1 %: l0 (0 of 0)."
    assert below(grades(0, state="malformed"), parse("0")) == ""


def test_points_that_are_sums_of_fractions_reach_their_sum():
    assert parse("2.3").passes(grades(0.1 + 0.2)[0])
