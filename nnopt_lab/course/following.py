"""The start page follows the learner through a lesson: after each cell that ran, it leads to that cell's section.

Cells above the first section, which open the lesson, change no place. Nor does a run of many cells at once from the
top, which is no reading, or one that renews results below the reader's place. After one of the whole lesson, the page
leads to the first thing that is unfinished.
"""

from contextlib import suppress
from datetime import datetime

from nnopt_lab.course import last_work, start_page
from nnopt_lab.course.cell_output import shell
from nnopt_lab.course.open_section import code_cells, section_of
from nnopt_lab.course.session import current_lesson
from nnopt_lab.course.workspace import edition_folder, workspace

AT_ONCE = 0.3  # seconds between the requests of two cells that were run with one command

_run: list = []  # the first cell of the last command, and when the last cell was asked for
_staying: list[str] = []  # a cell that renews results, until a cell has run that was not asked for with it


def follow_cells() -> None:
    """Follow the cells that run in this kernel from now on, if it is a notebook's."""
    if hasattr(shell(), "kernel"):
        shell().events.register("post_run_cell", _end_cell)


def stay() -> None:
    """Keep the place where it is for the cell that runs, and those that were run with the same command."""
    _staying[:] = [last_work.running_cell()]


def _end_cell(result) -> None:
    with suppress(Exception):  # where to go on is never worth an error under a learner's cell
        if cell := last_work.running_cell():
            _follow(cell, shell().kernel.get_parent()["header"]["date"])


def _follow(cell: str, asked: datetime) -> None:
    together = bool(_run) and (asked - _run[1]).total_seconds() < AT_ONCE
    _run[:] = [_run[0] if together else cell, asked]
    if not together and _staying != [cell]:
        _staying.clear()
    folder, lesson = workspace(), current_lesson()
    copy = edition_folder(folder) / f"{lesson}.ipynb"
    cells = code_cells(copy)
    from_top = together and _run[0] in cells[:2]  # the second opens the lesson, and cells before are not followed
    if from_top and cell == cells[-1]:
        place = ""
    else:
        leads = any(section_of(copy, cell)) and not from_top and not _staying
        place = cell if leads else last_work.place(folder, lesson)
    start_page.follow(folder, lesson, place)
