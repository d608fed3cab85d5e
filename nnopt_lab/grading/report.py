"""Write everything from a gradebook: tables for other systems, and pages for teachers and learners."""

from dataclasses import dataclass
from pathlib import Path

from nnopt_lab.grading import exports, marks, pages
from nnopt_lab.grading.gradebook import Gradebook
from nnopt_lab.grading.grades import Grade, final, missing
from nnopt_lab.grading.lateness import policy
from nnopt_lab.grading.roster import Roster


@dataclass(frozen=True)
class Report:
    """What was written, and what a teacher should look at.

    Attributes:
        grades: of every learner, including those on the roster who handed in nothing.
        files: those that a teacher opens first.
        unknown: learners who handed in something and are not on the roster; empty without a roster.
    """

    grades: list[Grade]
    files: list[Path]
    unknown: list[str]


def graded(book: Gradebook, folder: Path) -> tuple[list[Grade], list[str], list[str]]:
    """Compute the grades with the gradebook's settings and the teacher's marks, sorted by learner and lesson.

    Returns:
        The grades, including those of people on the roster who handed in nothing; the learners who are not on the
        roster; and the titles of the roster's columns.

    Raises:
        ValueError: the file of marks is invalid.
    """
    late = policy(book.setting("late") or "none", book.setting("due") or None)
    given, attempt, text = marks.read(folder), book.setting("attempt") or "last", book.setting("roster")
    if not text:
        return final(book.entries(), given, late, attempt=attempt), [], []
    roster = Roster(text)
    entries, people, unknown = roster.named(book.entries())
    grades = final(entries, given, late, people, attempt)
    absent = missing(grades, roster.people, given)
    return sorted([*grades, *absent], key=lambda g: (g.learner, g.lesson)), unknown, roster.titles


def write(book: Gradebook, folder: Path) -> Report:
    """Rewrite every table and page.

    Raises:
        ValueError: the file of marks is invalid.
        OSError: a file can't be written.
    """
    grades, unknown, titles = graded(book, folder)
    written = exports.write(grades, folder, (book.setting("formats") or "").split(), titles)
    due = policy("none", book.setting("due") or None).due
    return Report(grades, [*written, pages.write(grades, folder, book.seed, due)], unknown)
