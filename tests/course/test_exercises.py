"""Declarations of exercises and questions; see tests/lessons/test_exercises.py for those that ship."""

import re

import pytest

from nnopt_lab.course import exercises as declarations
from nnopt_lab.course.exercises import (
    Exercise,
    Question,
    WrongAnswer,
    cell_id,
    declare,
    exercises,
    lesson_points,
    questions,
)

TINY = """
    from nnopt_lab.course.exercises import exercise, question
    from nnopt_lab.course.wrong_answers import scaled


    @exercise(
        "tiny.double",
        points=2,
        inputs=lambda g: (3, 4),
        hints=("1", "2", "3"),
        wrong={"half": scaled(0.5), "once": lambda x, y: x, "recursive": lambda x, y: double(x, x)},
    )
    def double(x, y):
        '''Twice x.

        It is
        so.
        '''
        return 2 * x


    question("tiny.number", points=1, text="?", answer=3.0, explanation="!")
"""


def test_a_decorated_reference_is_a_whole_declaration(lesson_package):
    lesson_package(
        "tiny",
        __init__="from nnopt_lab.course.lesson import Lesson\n\nLESSON = Lesson(98, 'Tiny', minutes=1)\n",
        exercises=TINY,
    )
    found = exercises("98_tiny")["tiny.double"]
    assert (found.lesson, found.title, found.debrief, found.points) == ("98_tiny", "Twice x", "It is so.", 2)
    assert (found.name, found.arguments) == ("double", ("x", "y"))
    assert [(w.sentence, w.function(3, 4)) for w in found.wrong_answers] == [("half", 3), ("once", 3), ("recursive", 6)]
    assert questions("98_tiny")["tiny.number"].answer == 3.0 and lesson_points("98_tiny") == 3


def test_the_order_is_the_courses_whichever_lesson_was_imported_first(monkeypatch):
    before = list(exercises()), list(questions())
    for name in ("_exercises", "_questions"):
        declared = getattr(declarations, name).items()
        last_first = sorted(declared, key=lambda named: named[1].lesson, reverse=True)
        monkeypatch.setattr(declarations, name, dict(last_first))
    assert (list(exercises()), list(questions())) == before
    assert [e.lesson for e in exercises().values()] == sorted(e.lesson for e in exercises().values())


def test_cell_ids_are_such_as_the_format_allows():
    assert cell_id("exercise", "a.b_c") == "exercise-a-b_c"
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell_id("question", "é.x/" * 40))


def _question(**changes):
    fields = {"id": "x.q", "lesson": "00_start_here", "points": 1, "text": "?", "answer": 1.0, "explanation": "!"}
    return Question(**(fields | changes))


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (_question(id="pruning.levels"), "declared twice"),
        (_question(lesson="99_nowhere"), "not a lesson"),
        (_question(points=6), "must be 1 to 5"),
        (_question(choices={"a": "A"}, answer="b"), "one of its choices"),
        (
            Exercise("x.e", "00_start_here", "t", 1, abs, None, ("1", "2"), (WrongAnswer(abs, "no"),) * 3, "d"),
            "three hints",
        ),
    ],
)
def test_a_bad_declaration_is_refused(item, sentence):
    with pytest.raises(ValueError, match=sentence):
        declare(item)
