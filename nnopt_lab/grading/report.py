"""Write everything from a gradebook: tables for other systems, and pages for teachers and learners."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from nnopt_lab.course.lesson import lessons
from nnopt_lab.grading import exports, marks, pages
from nnopt_lab.grading.gradebook import Entry, Gradebook
from nnopt_lab.grading.grades import Grade, final, missing
from nnopt_lab.grading.lateness import Policy, policy
from nnopt_lab.grading.roster import Person, Roster


@dataclass(frozen=True)
class Submitted:
    """The contents of a gradebook, on which marks have no effect.

    Attributes:
        entries: with the learners' names on the roster.
        people: those on the roster who handed in something, by name.
        roster: or None.
        unknown: learners who handed in something and are not on the roster; empty without a roster.
        late, attempt, zone: the gradebook's settings.
    """

    entries: list[Entry]
    people: dict[str, Person]
    roster: Roster | None
    unknown: list[str]
    late: Policy
    attempt: str
    zone: tzinfo | None

    def grades(self, given: dict[tuple[str, str], marks.Mark]) -> list[Grade]:
        """The grades of every learner, including those on the roster who handed in nothing, by learner and lesson."""
        grades = final(self.entries, given, self.late, self.people, self.attempt)
        absent = missing(grades, self.roster.people, given) if self.roster else []
        return sorted([*grades, *absent], key=lambda g: (g.learner, g.lesson))

    def items(self) -> dict[str, set[str]]:
        """What a mark can change: each learner's lessons, and the answers in them."""
        found = defaultdict(set)
        for entry in self.entries:
            own = found[entry.learner]
            own.update(result.id for result in entry.graded.results)
            own.update(name for name in (entry.graded.lesson,) if name)
        every = {name for own in found.values() for name in own if name in lessons()}
        for person in self.roster.people if self.roster else ():
            found[person.name] |= every
        return dict(found)


@dataclass(frozen=True)
class Report:
    """What was written, and what a teacher should look at.

    Attributes:
        grades: of every learner, including those on the roster who handed in nothing.
        files: those that a teacher opens first.
        unknown: learners who handed in something and are not on the roster; empty without a roster.
        zone: in which times are shown; None for this machine's.
    """

    grades: list[Grade]
    files: list[Path]
    unknown: list[str]
    zone: tzinfo | None = None


def submitted(book: Gradebook) -> Submitted:
    """Read a gradebook.

    Raises:
        ValueError: it is damaged.
    """
    late = policy(book.setting("late") or "none", book.setting("due") or None)
    entries, attempt, text, zone = (
        list(book.entries()),
        book.setting("attempt") or "last",
        book.setting("roster"),
        book.zone,
    )
    if not text:
        return Submitted(entries, {}, None, [], late, attempt, zone)
    roster = Roster(text, zone=zone)
    entries, people, unknown = roster.named(entries)
    return Submitted(entries, people, roster, unknown, late, attempt, zone)


def write(book: Gradebook, folder: Path, read: Submitted | None = None) -> Report:
    """Rewrite every table and page.

    Args:
        book: the gradebook.
        folder: of marks, tables and pages.
        read: what `submitted` returned for this gradebook, if it was called before.

    Raises:
        ValueError: the file of marks is invalid.
        OSError: a file can't be written.
    """
    read = read or submitted(book)
    grades = read.grades(marks.read(folder))
    titles = read.roster.titles if read.roster else ()
    written = exports.write(grades, folder, (book.setting("formats") or "").split(), titles)
    page = pages.write(grades, folder, book.seed, read.late.due, read.zone)
    return Report(grades, [*written, page], read.unknown, read.zone)
