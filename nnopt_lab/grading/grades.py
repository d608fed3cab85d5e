"""Final grades: the last submission per learner and lesson, with the teacher's marks and the late penalty."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from nnopt_lab.course.exercises import exercises, lesson_points, questions
from nnopt_lab.grading.gradebook import Entry
from nnopt_lab.grading.lateness import Policy
from nnopt_lab.grading.marks import FILE, Mark
from nnopt_lab.grading.results import Result


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

    @property
    def learner(self) -> str:
        return self.entry.learner

    @property
    def lesson(self) -> str:
        return self.entry.graded.lesson

    @property
    def percent(self) -> float:
        return 100 * self.points / self.possible if self.possible else 0.0


def final(entries: Iterable[Entry], marks: dict[tuple[str, str], Mark], late: Policy) -> list[Grade]:
    """Compute grades per learner and lesson, sorted by name; points never fall below 0.

    Args:
        entries: of the gradebook.
        marks: by (learner, item); if no learner has exactly that name, spaces around it are ignored.
        late: the late penalty.
    """
    by_key: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        by_key.setdefault((entry.learner, entry.graded.lesson), []).append(entry)
    learners = {learner for learner, _ in by_key}
    trimmed = {(name.strip(), item): mark for (name, item), mark in marks.items() if name not in learners}
    marks = trimmed | {key: mark for key, mark in marks.items() if key[0] in learners}
    order = {id: place for place, id in enumerate((*exercises(), *questions()))}
    return [_grade(by_key[key], marks, late, order) for key in sorted(by_key)]


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


def _grade(entries: list[Entry], marks: dict[tuple[str, str], Mark], late: Policy, order: dict[str, int]) -> Grade:
    last = max(entries, key=_rank)
    results = sorted(last.graded.results, key=lambda result: order.get(result.id, len(order)))
    answers = tuple(_answer(result, marks.get((last.learner, result.id), Mark())) for result in results)
    whole = marks.get((last.learner, last.graded.lesson), Mark())
    earned = sum(answer.points for answer in answers)
    share, words = late.share(last.submitted_at, last.late)
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
    )


def _rank(entry: Entry) -> tuple:
    """The order in which submissions count: readable before unreadable, then later before earlier.

    Files of the same time are ordered by name, so that the order of grading never matters.
    """
    earned = sum(result.points for result in entry.graded.results)
    return entry.graded.state != "malformed", entry.submitted_at, entry.name.removesuffix(".ipynb"), earned


def _answer(result: Result, mark: Mark) -> Answer:
    manual = mark.points is not None
    return Answer(result, mark.points if manual else result.points, manual, mark.comment)
