"""Write grades as a spreadsheet, grades.xlsx: a sheet of grades and one of answers."""

import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path

from nnopt_lab.grading.formulas import defuse, without_controls
from nnopt_lab.grading.grades import Grade

MAX_CHARACTERS = 32_767  # of a cell
MAX_ROWS = 1_048_576  # of a sheet
_WIDTHS = (10, 60)
_ANSWERS = ("learner", "lesson", "answer", "points", "possible", "state", "manual", "mistake", "comment")


def check() -> None:
    """Raise ValueError if openpyxl is missing."""
    if importlib.util.find_spec("openpyxl") is None:
        raise ValueError("format='xlsx' needs openpyxl: pip install 'nnopt-lab[xlsx]'.")


def write(path: Path, table: Iterable[Sequence], grades: list[Grade]) -> Path:
    """Write a workbook with two sheets; texts never become formulas, and numbers stay numbers.

    Args:
        path: of the workbook.
        table: the rows of the sheet of grades; the first has the names of the columns.
        grades: whose answers are on the other sheet.

    Raises:
        ValueError: openpyxl is missing, or there are more rows than a sheet can have.
        OSError: the file can't be written.
    """
    check()
    from openpyxl import Workbook

    workbook = Workbook()
    workbook.remove(workbook.active)
    _fill(workbook.create_sheet("Grades"), table)
    _fill(workbook.create_sheet("Answers"), (_ANSWERS, *(row for g in grades for row in _answers(g))))
    whole = path.with_name(f"{path.name}.part")
    workbook.save(whole)
    whole.replace(path)
    return path


def _answers(g: Grade) -> Iterable[tuple]:
    for a in g.answers:
        numbers = (a.points, a.result.possible)
        manual = "yes" if a.manual else ""
        yield (g.learner, g.lesson, a.result.id, *numbers, a.result.state, manual, a.result.mistake, a.comment)


def _fill(sheet, rows: Iterable[Sequence]) -> None:
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    widths: dict[int, int] = {}
    for y, row in enumerate(rows, 1):
        if y > MAX_ROWS:
            raise ValueError(f"grades.xlsx: a sheet has at most {MAX_ROWS} rows; use grades.csv.")
        for x, value in enumerate(row, 1):
            cell = sheet.cell(y, x)
            if isinstance(value, int | float):
                cell.value = value
            elif value:
                # The type is set explicitly, because openpyxl takes some texts for formulas or errors.
                cell.value, cell.data_type = _text(str(value)), "s"
            widths[x] = max(widths.get(x, 0), len(str(value)))
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for x, width in widths.items():
        sheet.column_dimensions[get_column_letter(x)].width = min(max(width + 2, _WIDTHS[0]), _WIDTHS[1])
    sheet.freeze_panes = "B2"
    sheet.auto_filter.ref = sheet.dimensions


def _text(value: str) -> str:
    return "".join("�" if c in "\ufffe\uffff" else c for c in defuse(without_controls(value)))[:MAX_CHARACTERS]
