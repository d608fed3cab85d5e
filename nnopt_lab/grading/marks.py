"""A teacher's manual marks, in a CSV file beside the gradebook, which grading only reads."""

import csv
import io
import math
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from nnopt_lab.course.exercises import Exercise, Question, exercises, lesson_points, questions
from nnopt_lab.course.lesson import Lesson, lessons
from nnopt_lab.course.workspace import write_atomically
from nnopt_lab.grading import tables
from nnopt_lab.grading.formulas import defuse, restore
from nnopt_lab.workbench.files import make_folder

FILE = "marks.csv"
COLUMNS = ("learner", "item", "points", "comment")


@dataclass(frozen=True)
class Mark:
    """A teacher's mark.

    Attributes:
        points: replace the answer's points, or for a whole lesson, are added to its total; None for no change.
        comment: shown to the learner.
    """

    points: float | None = None
    comment: str = ""


@dataclass
class _Table:
    """The file's contents, including columns that a teacher has added."""

    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    delimiter: str = ","
    mark: str = ""  # the byte-order mark at the start, if any

    def values(self, row: list[str]) -> dict[str, str]:
        """The cells in our columns, as passed to `write`."""
        cells = {name: restore(row[self.place(name)]) if self.place(name) < len(row) else "" for name in COLUMNS}
        # Two learners' names may differ only in a space at the end.
        return cells | {name: cells[name].strip() for name in COLUMNS if name != "learner"}

    def place(self, name: str) -> int:
        return self.columns.index(name)

    def filled(self, row: list[str], values: dict[str, str]) -> list[str]:
        """A row with other values in our columns."""
        row = row + [""] * (len(self.columns) - len(row))
        for name, value in values.items():
            row[self.place(name)] = defuse(value) if name in ("learner", "comment") else value
        return row


def read(folder: Path) -> dict[tuple[str, str], Mark]:
    """Read the marks by (learner, id of the exercise, question or lesson); of several for the same, the last counts.

    Raises:
        ValueError: the file is not such a table, or a line can't be parsed.
    """
    table, found = _load(folder), {}
    for row, line in zip(table.rows, table.lines, strict=True):
        values = table.values(row)
        if any(map(str.strip, values.values())):
            key, mark = _parse(values, f"{FILE}, line {line}")
            found[key] = mark
    return found


def changed(folder: Path, learner: str, item: str, points: float | None, comment: str | None) -> Mark:
    """The mark for an item with new points or a new comment; what is None stays as it is in the file.

    Raises:
        ValueError: as for `read`.
    """
    earlier = read(folder).get((unicodedata.normalize("NFC", learner), item), Mark())
    return Mark(earlier.points if points is None else points, earlier.comment if comment is None else comment)


def write(folder: Path, learner: str, item: str, mark: Mark) -> None:
    """Write a mark, which replaces an earlier one for the same item; the rest of the file is unchanged.

    Raises:
        ValueError: there is no such item, the points are not a number or are outside the item's range, or the file is
            not a table of marks.
        OSError: the file can't be written.
    """
    points = "" if mark.points is None else f"{mark.points:g}"
    values = {"learner": learner, "item": item, "points": points, "comment": mark.comment}
    key, _ = _parse(values, "The mark")
    read(folder)
    table = _load(folder)
    if table.delimiter == ";":  # from spreadsheets with decimal commas, which read 1.5 as a day in May
        values["points"] = points.replace(".", ",")
    same = [n for n, row in enumerate(table.rows) if _key(table.values(row)) == key]
    if same:
        table.rows[same[-1]] = table.filled(table.rows[same[-1]], values)
    else:
        table.rows.append(table.filled([], values))
    make_folder(folder)
    text = io.StringIO()
    text.write(table.mark)
    writer = csv.writer(text, delimiter=table.delimiter, lineterminator="\r\n")  # names with these are quoted
    writer.writerow(table.columns)
    for row in table.rows:
        ours = table.values(row)
        # A formula in another column is the teacher's and stays.
        writer.writerow(table.filled(row, {name: ours[name] for name in ("learner", "comment")}))
    write_atomically(folder / FILE, text.getvalue())


def _load(folder: Path) -> _Table:
    path = folder / FILE
    if not path.exists():
        return _Table(list(COLUMNS), [], [])
    try:
        data = path.read_bytes()  # spreadsheets add a byte-order mark, and some use semicolons
        text = tables.decoded(data, FILE)
        mark = "\ufeff" if data.startswith(tables.MARKS) else ""
        delimiter = tables.delimiter(text)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        columns = next(reader, [])
        table = _Table([name.strip() for name in columns], [], [], delimiter, mark)
        for row in reader:
            table.rows.append(row)
            table.lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(f"{FILE} can't be read as a table: {error}.") from None
    table.columns = [name.lower() if name.lower() in COLUMNS else name for name in table.columns]
    if set(COLUMNS) - set(table.columns):
        raise ValueError(f"{FILE} must begin with the columns {','.join(COLUMNS)}.")
    return table


def _key(values: dict[str, str]) -> tuple[str, str]:
    return unicodedata.normalize("NFC", values["learner"]), values["item"]


def _parse(values: dict[str, str], where: str) -> tuple[tuple[str, str], Mark]:
    if not values["learner"].strip():
        raise ValueError(f"{where}: the learner is missing.")
    items = {**exercises(), **questions(), **lessons()}
    if values["item"] not in items:
        raise ValueError(f"{where}: item={values['item']!r} is not an exercise, question or lesson.")
    try:
        points = float(values["points"].replace(",", ".")) if values["points"] else None
        if points is not None and not math.isfinite(points):
            raise ValueError
    except ValueError:
        raise ValueError(f"{where}: points={values['points']!r} must be a number, or empty.") from None
    if points is not None:
        _check(points, items[values["item"]], values["item"], where)
    return _key(values), Mark(points, values["comment"])


def _check(points: float, item: Exercise | Question | Lesson, name: str, where: str) -> None:
    """Raise ValueError for points that the item can't have; only a lesson's may be negative, because they are added."""
    least, most = (-lesson_points(name), lesson_points(name)) if isinstance(item, Lesson) else (0, item.points)
    if not least <= points <= most:
        whole = "" if isinstance(item, Lesson) else "; to give more, add points to its lesson"
        raise ValueError(f"{where}: points={points:g} for {name} must be from {least} to {most}{whole}.")
