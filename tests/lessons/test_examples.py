"""The examples in exercises' docstrings: the solved cell gives what they show."""

import doctest

import pytest

from nnopt_lab.course.exercises import exercises
from tests.lessons.cells import solved_answer

EXERCISES = exercises()
PROMPT = ">>> "


@pytest.mark.parametrize("id", EXERCISES)
def test_the_example_of_an_exercise_shows_what_its_answer_returns(id):
    answer = solved_answer(EXERCISES[id])
    example = doctest.DocTestParser().get_doctest(answer.__doc__, dict(answer.__globals__), id, None, None)
    said = []
    doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert not said, "".join(said)


@pytest.mark.parametrize("id", EXERCISES)
def test_an_example_ends_its_docstring_since_nothing_behind_it_is_translated(id):
    _, prompt, example = (solved_answer(EXERCISES[id]).__doc__ or "").partition(PROMPT)
    assert "\n\n" not in f"{prompt}{example}".strip()
