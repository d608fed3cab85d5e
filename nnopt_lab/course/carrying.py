"""Carry a learner's answers from a copy of a lesson in one language to the copy in another."""

import json
from contextlib import suppress
from pathlib import Path

from nnopt_lab.course.bare_code import bare, is_blank
from nnopt_lab.course.cell_prints import text_of
from nnopt_lab.course.lesson_files import notebook_text
from nnopt_lab.course.merging import ANSWER, marks_of
from nnopt_lab.course.workspace import edition_folder, other_copies, other_editions, shipped, write_atomically


def carry_answers(folder: Path) -> dict[str, int]:
    """Copy answers into those cells that are not answered in the language in use, but in another one.

    An answer that is already there stays as it is. A notebook that can't be read or written is left out.

    Args:
        folder: the workspace.

    Returns:
        By lesson, the number of answers that were copied, where there are any.
    """
    counts = {}
    for mine in sorted(edition_folder(folder).glob("[0-9][0-9]_*.ipynb")):
        for other in other_copies(mine.stem, folder):
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                counts[mine.stem] = counts.get(mine.stem, 0) + _carry(other, mine, shipped(mine.stem))
    return {lesson: count for lesson, count in counts.items() if count}


def _carry(other: Path, mine: Path, original: Path) -> int:
    notebook, count = _read(mine), 0
    own, theirs, blank = (_answers(found) for found in (notebook, _read(other), _read(original)))
    editions = [_answers(_read(path)) for path in other_editions(mine.stem)]
    for key in own.keys() & theirs.keys() & blank.keys():
        cell, answer = own[key], text_of(theirs[key])
        stubs = [text_of(cells[key]) for cells in (blank, *editions) if key in cells]
        if is_blank(text_of(cell), stubs) and bare(answer) and bare(answer) not in map(bare, stubs):
            cell.update(source=theirs[key]["source"], outputs=[], execution_count=None)
            count += 1
    if count:
        write_atomically(mine.resolve(), notebook_text(notebook))
    return count


def _answers(notebook: dict) -> dict[str, dict]:
    """The code cells of exercises and questions, by the ids that they have in every language."""
    found: dict[str, dict] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            for key in (cell.get("id"), *marks_of(cell)):
                if isinstance(key, str) and ANSWER.match(key):
                    found.setdefault(key, cell)
    return found


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8-sig"))
