"""Numbers of a lesson, counted by hand on a small one."""

import pytest

from nnopt_lab.course.lesson_files import lesson_names
from nnopt_lab.course.statistics import WIDTH, expected_minutes, statistics

OWN_WORK = {"15_capstone": 30}  # minutes for the learner's own file, beside exercises

SOURCE = """
    # %% [markdown]
    # # A title of four words
    #
    # Let $x^2$ be `squared`, as in [a paper](https://example.org/not-words): 3 times.

    # %%
    x = 1

    y = 2
    claim("a", x)

    # %% [markdown]
    # ## Second
    #
    # $$a = b$$

    # %%
    # Claims: four
    claim("b", x)
    claim("c", x)
    claim("d", x)
    claim("e", x)

    # %%
    # Claims: one
    claim("f", x)

    # %% tags=["fold"]
    # Plot: x
    plot(x)
    print("a line that is too wide for the cell of a notebook, which has eighty-eight columns, and no more")

    # %% [markdown]
    # ## Third

    # %% exercise="a.b"
    def f(x):
        ### BEGIN SOLUTION
        return 1
        return 2
        return 3
        ### END SOLUTION
"""


def test_what_is_counted(course):
    course("98_tiny", SOURCE)
    counted = statistics("98_tiny")
    assert (counted.lesson, counted.minutes) == ("98_tiny", 0)
    assert counted.words == 5 + 8 + 2  # title, paragraph, headings: no formula, number, code or address
    assert counted.lines_shown == 3 + 3, "the learner's notebook has a stub in the place of the answer"
    assert counted.lines_folded == 5 + 2 + 3
    assert (counted.claims, counted.claims_shown) == (6, 1 + 3 + 1)
    assert counted.crowded == ["Second"]
    assert [line[:5] for line in counted.too_wide] == ["print"] and len(counted.too_wide[0]) > WIDTH


def test_a_lesson_that_there_is_not(course):
    course("98_tiny", SOURCE)
    with pytest.raises(FileNotFoundError):
        statistics("99_nowhere")


@pytest.mark.parametrize("lesson", lesson_names())
def test_every_lesson_can_be_counted(lesson):
    counted = statistics(lesson)
    assert counted.minutes and counted.words > 500 and counted.claims_shown <= counted.claims
    assert counted.lines_shown > 0


@pytest.mark.parametrize("lesson", lesson_names())
def test_the_minutes_of_lessons_follow_one_rule(lesson):
    expected = expected_minutes(lesson) + OWN_WORK.get(lesson, 0)
    assert abs(statistics(lesson).minutes - expected) <= 5, f"about {expected} minutes"
