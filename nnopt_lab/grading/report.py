"""Write everything from a gradebook: tables for other systems, and pages for teachers and learners."""

from pathlib import Path

from nnopt_lab.grading import exports, marks, pages
from nnopt_lab.grading.gradebook import Gradebook
from nnopt_lab.grading.grades import Grade, final
from nnopt_lab.grading.lateness import policy


def write(book: Gradebook, folder: Path) -> tuple[list[Grade], list[Path]]:
    """Rewrite every table and page, with the gradebook's settings and the teacher's marks.

    Returns:
        The grades, and the files that a teacher opens first.

    Raises:
        ValueError: the file of marks is invalid.
        OSError: a file can't be written.
    """
    late = policy(book.setting("late") or "none", book.setting("due") or None)
    grades = final(book.entries(), marks.read(folder), late)
    written = exports.write(grades, folder, (book.setting("formats") or "").split())
    return grades, [*written, pages.write(grades, folder, book.seed)]
