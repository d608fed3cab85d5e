"""When and where each lesson was worked on last: the last cell that ran, or answer or guess, saved or not."""

import json
import math
import time
from pathlib import Path

from nnopt_lab.course.cell_output import shell
from nnopt_lab.course.workspace import write_atomically

FILE = ".nnopt-worked.json"


def note(folder: Path, lesson: str, place: str | None = None) -> None:
    """Note that a lesson has just been worked on.

    Args:
        folder: the workspace.
        lesson: its name.
        place: the id of the cell, "" for none; default the cell that runs. A press in a box runs none: the place stays.

    Raises:
        OSError: the note can't be written.
    """
    noted = _read(folder)
    if place is None:
        place = running_cell() or noted.get(lesson, (0, ""))[1]
    write_atomically(Path(folder) / FILE, json.dumps(noted | {lesson: (time.time(), place)}))


def times(folder: Path) -> dict[str, float]:
    """When each lesson was worked on last, in seconds, as far as it is known."""
    return {lesson: when for lesson, (when, _) in _read(folder).items()}


def place(folder: Path, lesson: str) -> str:
    """The id of the cell in which a lesson was worked on last, "" if unknown."""
    return _read(folder).get(lesson, (0, ""))[1]


def _read(folder: Path) -> dict[str, tuple[float, str]]:
    try:
        found = json.loads((Path(folder) / FILE).read_text(encoding="utf-8"))
        entries = {lesson: entry if isinstance(entry, list) else (entry, "") for lesson, entry in found.items()}
        noted = {lesson: (float(when), str(cell)) for lesson, (when, cell) in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}
    return {lesson: entry for lesson, entry in noted.items() if math.isfinite(entry[0])}


def running_cell() -> str:
    """The id of the notebook's cell that runs, "" outside one."""
    try:
        return str(shell().kernel.get_parent()["metadata"].get("cellId", ""))
    except (AttributeError, KeyError, TypeError):
        return ""
