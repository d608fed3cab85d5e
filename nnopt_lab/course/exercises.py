"""Exercises and questions: each is declared once, for checks, hints and the grader.

A lesson declares them in `nnopt_lab/lessons/NAME/exercises.py` with `exercise` and `question`.
"""

import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from nnopt_lab.course.lesson import lesson_of, lessons, modules
from nnopt_lab.course.number_comments import number_comment
from nnopt_lab.course.wrong_answers import OfReference


@dataclass(frozen=True)
class WrongAnswer:
    """A misconception as code, and the comment for a learner who wrote it."""

    function: Callable
    sentence: str


@dataclass(frozen=True)
class Property:
    """A condition `holds(result, *inputs)` on every result; `sentence` states it.

    `credit` is the share of the points, at least 0 and below 1, for a wrong answer that always satisfies it. Give
    credit only for conditions that an answer can't satisfy without using the inputs.
    """

    sentence: str
    holds: Callable[..., bool]
    credit: float = 0.0


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        id: "topic.name".
        lesson: "01_pruning", for example.
        title: the task in a few words.
        points: 1 to 5.
        reference: the right answer, with the name and signature of the learner's function. It takes and returns only
            tensors, numbers, booleans, strings, and lists or tuples of them.
        generate: a function torch.Generator → tuple of fresh inputs, small enough to show on a card.
        tolerance: largest allowed |difference| for floats, relative to the expected value if that is above 1.
        properties: conditions besides agreement with the reference.
        compare: if several answers are right (because of ties, for example), a function (result, wanted, *inputs) →
            None, or a sentence about the mistake; it replaces the comparison with the reference's result.
        hints: three, each revealing more than the one before.
        wrong_answers: at least three.
        debrief: text for a learner after a pass.
    """

    id: str
    lesson: str
    title: str
    points: int
    reference: Callable
    generate: Callable
    hints: tuple[str, str, str]
    wrong_answers: tuple[WrongAnswer, ...]
    debrief: str
    tolerance: float = 1e-5
    properties: tuple[Property, ...] = ()
    compare: Callable | None = None
    arguments: tuple[str, ...] = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "arguments", tuple(inspect.signature(self.reference).parameters))

    @property
    def name(self) -> str:
        """The name of the learner's function."""
        return self.reference.__name__


@dataclass(frozen=True)
class Question:
    """A question to answer by reasoning.

    Attributes:
        id, lesson, points: as in `Exercise`.
        text: the question.
        answer: the letter of the right choice, or a number.
        explanation: shown after a right answer, and after the second wrong number.
        choices: letter → text; empty if the answer is a number.
        comments: wrong letter or number → what is wrong about it.
        tolerance: largest allowed |difference| of a number.
        seal: in a learner's kit, where the answer is None: what `nnopt_lab.course.seals` opens with the learner's.
    """

    id: str
    lesson: str
    points: int
    text: str
    answer: str | float | None
    explanation: str
    choices: dict[str, str] = field(default_factory=dict)
    comments: dict[str | float, str] = field(default_factory=dict)
    tolerance: float = 0.0
    seal: dict | None = None

    @property
    def allowed(self) -> str:
        """The allowed kind of answer, as text."""
        return f"a letter: {', '.join(self.choices)}" if self.choices else "a number"

    def letter(self, answer) -> str:
        """The letter that an answer means: "B", "b)" and " b. " are all b."""
        return str(answer).strip().lower().rstrip(").")

    def comment_on(self, answer) -> str:
        """The comment on a wrong answer of the allowed kind; it does not reveal the right one."""
        if self.choices:
            return self.comments.get(self.letter(answer), "Read the other choices again.")
        given = float(answer)
        own = (text for number, text in self.comments.items() if abs(given - number) <= self.tolerance)
        return next(own, None) or number_comment(given, self.answer, self.tolerance)


def exercise(
    id: str,
    *,
    points: int,
    inputs: Callable,
    hints: tuple[str, str, str],
    wrong: dict[str, Callable | OfReference],
    tolerance: float = 1e-5,
    properties: tuple[Property, ...] = (),
    compare: Callable | None = None,
) -> Callable[[Callable], Callable]:
    """Declare the exercise whose reference is the decorated function; `Exercise` explains the arguments.

    The learner's function has the same name and arguments. The first line of the docstring is the title, the rest the
    debrief. The exercise belongs to the lesson whose package contains the function.

    Args:
        inputs: `Exercise.generate`.
        wrong: `Exercise.wrong_answers`, as sentence → function. It is evaluated before the reference is bound to its
            name: call the reference inside a lambda, or use a family of `nnopt_lab.course.wrong_answers`.

    Raises:
        ValueError: as in `declare`.
    """

    def declared(reference: Callable) -> Callable:
        functions = {s: f.make(reference) if isinstance(f, OfReference) else f for s, f in wrong.items()}
        title, _, debrief = inspect.getdoc(reference).partition("\n")
        declare(
            Exercise(
                id=id,
                lesson=lesson_of(reference.__module__),
                title=title.removesuffix("."),
                points=points,
                reference=reference,
                generate=inputs,
                hints=hints,
                wrong_answers=tuple(WrongAnswer(function, sentence) for sentence, function in functions.items()),
                debrief=" ".join(debrief.split()),
                tolerance=tolerance,
                properties=properties,
                compare=compare,
            )
        )
        return reference

    return declared


def question(id: str, **fields) -> None:
    """Declare a question of the lesson whose package contains the caller; `fields` are those of `Question`."""
    declare(Question(id=id, lesson=lesson_of(sys._getframe(1).f_globals["__name__"]), **fields))


_exercises: dict[str, Exercise] = {}
_questions: dict[str, Question] = {}


def declare(item: Exercise | Question) -> None:
    """Register an exercise or a question under its id.

    Raises:
        ValueError: the id is taken, the lesson unknown, or the points, hints, wrong answers or credits are invalid.
    """
    if item.id in _exercises or item.id in _questions:
        raise ValueError(f"id={item.id!r} is declared twice.")
    if item.lesson not in lessons():
        raise ValueError(f"lesson={item.lesson!r} of {item.id} is not a lesson.")
    if not 1 <= item.points <= 5:
        raise ValueError(f"points={item.points} of {item.id} must be 1 to 5.")
    if isinstance(item, Question):
        if item.choices and item.seal is None and item.answer not in item.choices:
            raise ValueError(
                f"answer={item.answer!r} of {item.id} must be one of its choices {', '.join(item.choices)}."
            )
        _questions[item.id] = item
        return
    if len(item.hints) != 3 or len(item.wrong_answers) < 3:
        raise ValueError(f"{item.id} must have three hints and at least three wrong answers.")
    if not 0 <= sum(p.credit for p in item.properties) < 1:
        raise ValueError(f"The properties of {item.id} must have credits whose sum is at least 0 and below 1.")
    _exercises[item.id] = item


def exercises(lesson: str | None = None) -> dict[str, Exercise]:
    """The declared exercises by id, of one lesson or of all, in the course's order."""
    return _in_order(_exercises, lesson)


def questions(lesson: str | None = None) -> dict[str, Question]:
    """The declared questions by id, of one lesson or of all, in the course's order."""
    return _in_order(_questions, lesson)


def _in_order(declared: dict, lesson: str | None) -> dict:
    _load_declared()
    # A lesson that was imported before all were loaded, as a notebook's own is, has declared its items first.
    found = sorted(declared.items(), key=lambda named: named[1].lesson)
    return {id: item for id, item in found if lesson in (None, item.lesson)}


def cell_id(kind: str, id: str) -> str:
    """The id of the notebook cell that answers an "exercise" or a "question"; graders find it by this."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", f"{kind}-{id}")[:64]


def lesson_points(lesson: str) -> int:
    """The total points of a lesson's exercises and questions."""
    return sum(item.points for item in (*exercises(lesson).values(), *questions(lesson).values()))


def earned_points(contents: dict, lesson: str) -> int:
    """The points of a lesson's exercises and questions that are passed in the contents of a progress file."""
    parts = (("exercises", exercises(lesson)), ("questions", questions(lesson)))
    return sum(item.points for part, items in parts for id, item in items.items() if is_passed(contents, part, id))


def is_passed(contents: dict, part: str, id: str) -> bool:
    """Whether an item of a part, "exercises" or "questions", is passed in the contents of a progress file."""
    return bool(contents[part].get(id, {}).get("passed"))


@cache
def _load_declared() -> None:
    for _ in modules("exercises"):
        pass
