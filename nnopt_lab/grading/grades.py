"""Final grades: one submission per learner and lesson, with the teacher's marks and the late penalty."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nnopt_lab.course.exercises import exercises, lesson_points, questions
from nnopt_lab.grading.gradebook import Entry
from nnopt_lab.grading.lateness import Policy
from nnopt_lab.grading.marks import FILE, Mark
from nnopt_lab.grading.results import Graded, Result
from nnopt_lab.grading.roster import Person

ATTEMPTS = ("last", "best")
MISSING = "missing"


@dataclass(frozen=True)
class Answer:
    """One answer with its final points, from the judge, or from the teacher if `manual`."""

    result: Result
    points: float
    manual: bool
    comment: str


@dataclass(frozen=True)
class Grade:
    """A learner's grade for a lesson.

    Attributes:
        entry: the submission that counts.
        answers: in the order of the lesson.
        points, possible: final points, and their maximum.
        added: points that the teacher added to the total.
        comment: the teacher's comment on the whole.
        late, lost: how late it was, as text, and the points that this cost.
        earlier: number of other submissions, which don't count.
        best: points that the best of all submissions earned, before marks and the late penalty.
        person: the learner on the roster, or None.
    """

    entry: Entry
    answers: tuple[Answer, ...]
    points: float
    possible: int
    added: float = 0.0
    comment: str = ""
    late: str = ""
    lost: float = 0.0
    earlier: int = 0
    best: float = 0.0
    person: Person | None = None

    @property
    def learner(self) -> str:
        return self.entry.learner

    @property
    def lesson(self) -> str:
        return self.entry.graded.lesson

    @property
    def percent(self) -> float:
        return 100 * self.points / self.possible if self.possible else 0.0


def final(
    entries: Iterable[Entry],
    marks: dict[tuple[str, str], Mark],
    late: Policy,
    people: Mapping[str, Person] | None = None,
    attempt: str = "last",
) -> list[Grade]:
    """Compute grades per learner and lesson, sorted by name; points never fall below 0.

    Args:
        entries: of the gradebook.
        marks: by (learner, item); if no learner has exactly that name, spaces around it are ignored.
        late: the late penalty.
        people: the learners on the roster, by name.
        attempt: which submission counts, the "last" or the "best"; one that can be read before one that can't.
    """
    by_key: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        by_key.setdefault((entry.learner, entry.graded.lesson), []).append(entry)
    learners = {learner for learner, _ in by_key}
    trimmed = {(name.strip(), item): mark for (name, item), mark in marks.items() if name not in learners}
    marks = trimmed | {key: mark for key, mark in marks.items() if key[0] in learners}
    order = {id: place for place, id in enumerate((*exercises(), *questions()))}
    rank = _rank if attempt == "last" else _by_points
    people = people or {}
    return [
        _grade(found, max(found, key=rank), marks, late, order, people.get(learner))
        for (learner, _), found in sorted(by_key.items())
    ]


def missing(
    grades: Iterable[Grade], people: Iterable[Person], marks: Mapping[tuple[str, str], Mark] = MappingProxyType({})
) -> list[Grade]:
    """A grade for each person on the roster and each lesson that others, but not this person, handed in.

    Its points are 0, or those that the teacher marked for the whole lesson.
    """
    handed_in = {(g.learner, g.lesson) for g in grades if g.lesson}
    absent = [
        (person, lesson)
        for lesson in sorted({lesson for _, lesson in handed_in})
        for person in people
        if (person.name, lesson) not in handed_in
    ]
    return [_missing(person, lesson, marks.get((person.name, lesson), Mark())) for person, lesson in absent]


def _missing(person: Person, lesson: str, mark: Mark) -> Grade:
    graded = Graded(lesson, MISSING, "Nothing was handed in.")
    points = mark.points or 0.0
    return Grade(
        Entry(person.name, "", "", "", "", False, graded),
        (),
        max(0.0, points),
        lesson_points(lesson),
        added=points,
        comment=mark.comment,
        person=person,
    )


def worse_than_earlier(grades: Iterable[Grade]) -> list[str]:
    """A sentence for each learner whose submission that counts earned fewer points than another one."""
    return [
        f"{g.learner}, {g.lesson}: {g.entry.name} counts, with {_earned(g.entry):g} points; another submission earned "
        f"{g.best:g}. To count the best one, use --attempt best."
        for g in grades
        if g.best > _earned(g.entry)
    ]


def unapplied(marks: dict[tuple[str, str], Mark], grades: Iterable[Grade]) -> list[str]:
    """A sentence for each mark without effect, because its item was not handed in."""
    items = {(g.learner, item) for g in grades for item in (g.lesson, *(answer.result.id for answer in g.answers))}
    learners = {learner for learner, _ in items}
    by_trimmed = {learner.strip(): learner for learner in learners} | {learner: learner for learner in learners}
    said = []
    for learner, item in marks:
        known = learner if learner in learners else by_trimmed.get(learner.strip())
        if known is None:
            close = difflib.get_close_matches(learner, learners, 1)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            said.append(f"{FILE}: {learner!r} handed in nothing, so the mark for {item} has no effect.{meant}")
        elif (known, item) not in items:
            said.append(f"{FILE}: {learner!r} did not hand in {item}, so the mark for it has no effect.")
    return said


def _grade(
    entries: list[Entry],
    last: Entry,
    marks: dict[tuple[str, str], Mark],
    late: Policy,
    order: dict[str, int],
    person: Person | None,
) -> Grade:
    results = sorted(last.graded.results, key=lambda result: order.get(result.id, len(order)))
    answers = tuple(_answer(result, marks.get((last.learner, result.id), Mark())) for result in results)
    whole = marks.get((last.learner, last.graded.lesson), Mark())
    earned = sum(answer.points for answer in answers)
    # Canvas marks late files, so that no mark says something, too.
    marked = last.late if last.late or last.system == "canvas" else None
    share, words = late.share(last.submitted_at, marked, person.extension if person else None)
    lost = round(earned * (1 - share), 2)
    return Grade(
        last,
        answers,
        max(0.0, round(earned - lost + (whole.points or 0), 2)),
        lesson_points(last.graded.lesson) if last.graded.lesson else 0,
        whole.points or 0.0,
        whole.comment,
        words,
        lost,
        len(entries) - 1,
        max(map(_earned, entries)),
        person,
    )


def _rank(entry: Entry) -> tuple:
    """The order in which submissions count: readable before unreadable, then later before earlier.

    Files of the same time are ordered by name, so that the order of grading never matters.
    """
    stem = entry.name.removesuffix(".ipynb")
    return entry.graded.state != "malformed", entry.submitted_at, stem, _earned(entry)


def _by_points(entry: Entry) -> tuple:
    return entry.graded.state != "malformed", _earned(entry), *_rank(entry)


def _earned(entry: Entry) -> float:
    return sum(result.points for result in entry.graded.results)


def _answer(result: Result, mark: Mark) -> Answer:
    manual = mark.points is not None
    return Answer(result, mark.points if manual else result.points, manual, mark.comment)
