"""Marks that a teacher gives by hand, in a CSV file beside the gradebook, which grading only reads."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from nnopt_lab.course.exercises import exercises, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.workspace import write_atomically
from nnopt_lab.grading.formulas import defuse, restore

FILE = "marks.csv"
COLUMNS = ("learner", "item", "points", "comment")


@dataclass(frozen=True)
class Mark:
    """A teacher's mark.

    Attributes:
        points: replace the answer's own; for a whole lesson, they are added to its total. None: unchanged.
        comment: shown to the learner.
    """

    points: float | None = None
    comment: str = ""


def read(folder: Path) -> dict[tuple[str, str], Mark]:
    """Marks by (learner, id of the exercise, question or lesson); of several for the same, the last one counts.

    Raises:
        ValueError: the file is no such table, or a line can't be parsed.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        text = path.read_bytes().decode("utf-8-sig")  # spreadsheets write a byte-order mark, and some write semicolons
        first = text.partition("\n")[0]
        delimiter = ";" if first.count(";") > first.count(",") else ","
        return _marks_in(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
    except UnicodeDecodeError:
        raise ValueError(f"{FILE} is not UTF-8 text: save it as “CSV UTF-8”.") from None
    except csv.Error as error:
        raise ValueError(f"{FILE} can't be read as a table: {error}.") from None


def write(folder: Path, learner: str, item: str, mark: Mark) -> None:
    """Write a mark, which replaces an earlier one for the same.

    Raises:
        ValueError: there is no such item, or the points are no number.
    """
    points = "" if mark.points is None else f"{mark.points:g}"
    _parse({"learner": learner, "item": item, "points": points, "comment": mark.comment}, "The mark")
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")  # with which a name that holds either is quoted
    table.writerow(COLUMNS)
    for (whose, what), kept in (read(folder) | {(learner, item): mark}).items():
        points = "" if kept.points is None else f"{kept.points:g}"
        table.writerow((defuse(whose), what, points, defuse(kept.comment)))
    write_atomically(folder / FILE, text.getvalue())


def _marks_in(rows: csv.DictReader) -> dict[tuple[str, str], Mark]:
    if set(COLUMNS) - set(rows.fieldnames or ()):
        raise ValueError(f"{FILE} must begin with the columns {','.join(COLUMNS)}.")
    found = {}
    for row in rows:
        values = {name: restore(row[name] or "") for name in COLUMNS}
        # Only here: two learners' names may differ in nothing but a space at the end.
        values |= {name: values[name].strip() for name in COLUMNS if name != "learner"}
        if any(map(str.strip, values.values())):
            key, mark = _parse(values, f"{FILE}, line {rows.line_num}")
            found[key] = mark
    return found


def _parse(values: dict[str, str], where: str) -> tuple[tuple[str, str], Mark]:
    if not values["learner"].strip():
        raise ValueError(f"{where}: the learner is missing.")
    items = {**exercises(), **questions(), **lessons()}
    if values["item"] not in items:
        raise ValueError(f"{where}: item={values['item']!r} is no exercise, question or lesson.")
    try:
        points = float(values["points"].replace(",", ".")) if values["points"] else None
        if points is not None and not -1000 < points < 1000:
            raise ValueError
    except ValueError:
        raise ValueError(f"{where}: points={values['points']!r} must be a number, or empty.") from None
    return (values["learner"], values["item"]), Mark(points, values["comment"])
