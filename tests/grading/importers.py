"""What Canvas and Moodle do with a file of grades, as their importers document and program it.

Canvas: https://community.canvaslms.com, “How do I import grades in the Gradebook?”, and `lib/gradebook_importer.rb`:
the first columns are Student, ID, SIS User ID, SIS Login ID and Section; a row "Points Possible" may follow; students
are found by ID, else by SIS User ID, else by SIS Login ID; an assignment is the one whose id is in the title's last
parentheses, else the one with exactly this title, else a new one. An empty cell clears the grade.

Moodle: `mod/assign/feedback/offline/importgradeslib.php`: the titles must be the site's own for Identifier, Grade and
Last modified (grade); rows are found by the number in the identifier; a grade that is empty or "-" is skipped, one
below 0 or above the maximum is an error; a grade whose time is older than the assignment's own is skipped.
"""

import csv
import re
from pathlib import Path

from nnopt_lab.course.exercises import lesson_points


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        titles, *rows = csv.reader(file)
    assert len(set(titles)) == len(titles) and all(len(row) == len(titles) for row in rows)
    return titles, rows


def canvas(path: Path, learners, lesson: str, grades: dict[int, float], id: int = 4711) -> dict[int, float]:
    """The assignment's grades by user id, after an import into those before.

    Raises:
        AssertionError: Canvas would refuse the file, or make a new assignment.
    """
    titles, rows = _read(path)
    assert titles[:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    (column,) = titles[5:]
    found = re.fullmatch(r"(.*) \((\d+)\)", column)
    assert found and int(found[2]) == id, f"Canvas would make a new assignment {column!r}"
    if "points possible" in rows[0][0].lower():
        points, *_ = rows[0][5:]
        assert float(points) == lesson_points(lesson)
        rows = rows[1:]
    by_id = {str(x.canvas): x for x in learners}
    by_sis = {f"s{x.number}": x for x in learners}
    by_login = {x.login: x for x in learners}
    grades = dict(grades)
    for _, user, sis, login, _, value in rows:
        learner = by_id[user] if user else by_sis.get(sis) or by_login[login]
        grades.pop(learner.canvas, None)
        if value.strip():
            grades[learner.canvas] = float(value)
    return grades


def moodle(path: Path, learners, lesson: str, grades: dict[int, float]) -> dict[int, float]:
    """The assignment's grades by participant, after an import into those before; `canvas` says when it fails."""
    titles, rows = _read(path)
    place = {title: n for n, title in enumerate(titles)}
    assert {"Identifier", "Grade", "Last modified (grade)"} <= place.keys()
    known = {str(x.moodle) for x in learners}
    grades = dict(grades)
    for row in rows:
        number = re.fullmatch(r"Participant (\d+)", row[place["Identifier"]])
        assert number and number[1] in known, row
        assert row[place["Last modified (grade)"]] == "-"  # never older than the assignment's own
        value = row[place["Grade"]]
        if value in ("", "-"):
            continue
        assert 0 <= float(value) <= lesson_points(lesson)
        assert float(row[place["Maximum Grade"]]) == lesson_points(lesson)
        grades[int(number[1])] = float(value)
    return grades
