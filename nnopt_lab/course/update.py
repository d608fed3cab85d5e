"""Give a learner's copies of lessons the latest text, and keep answers, changes and added cells; see `merging`."""

import json
import shutil
import stat
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nnopt_lab.course.cell_prints import text_of
from nnopt_lab.course.exercises import cell_id, exercises, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.lesson_files import notebook_text
from nnopt_lab.course.merging import ANSWER, Merged, marks_of, merge
from nnopt_lab.course.workspace import (
    copied_cells,
    edition_folder,
    free_name,
    is_outdated,
    is_unchanged,
    note_copied,
    other_editions,
    refresh,
    shipped,
    write_atomically,
)
from nnopt_lab.workbench.files import naming
from nnopt_lab.workbench.language import _, counted

FORMAT = 4
SECONDS_TO_ASK = 2.0  # for an answer of a running JupyterLab


@dataclass(frozen=True)
class Updated:
    """What an update did to a lesson, or would do.

    Attributes:
        lesson: its name.
        merged: the new cells; None if the learner had changed nothing, and the copy was replaced.
        backup: the earlier copy; None if there is none.
    """

    lesson: str
    merged: Merged | None = None
    backup: Path | None = None

    def lines(self) -> list[str]:
        """The same in sentences."""
        if self.merged is None:
            return [_("{lesson}: the latest text; you had changed nothing.", lesson=self.lesson)]
        found = self.merged
        new = counted(
            found.changed,
            "{count} cell of the lesson is new or changed",
            "{count} cells of the lesson are new or changed",
        )
        answers = counted(found.answers, "{count} answer", "{count} answers")
        own = counted(found.own, "{count} cell of your own", "{count} cells of your own")
        kept = {"answers": answers, "cells": own}
        lines = [_("{lesson}: {news}. Kept: {answers} and {cells}.", lesson=self.lesson, news=new, **kept)]
        if found.by_name:
            names = ", ".join(found.by_name)
            lines.append("  " + _("Found by name, because their cells had lost their marks: {names}.", names=names))
        lines += ["  " + _("Look at this: {conflict}.", conflict=conflict) for conflict in found.conflicts]
        earlier = ["  " + _("Your earlier copy is {name}.", name=self.backup.name)] if self.backup else []
        return lines + earlier


def update(lesson: str, folder: Path, dry_run: bool = False) -> Updated | None:
    """Give a workspace's copy of a lesson the latest text.

    The earlier copy is kept under a dated name, unless the learner had changed nothing. Progress is not touched.

    Args:
        lesson: its name.
        folder: the workspace.
        dry_run: write nothing.

    Returns:
        What changed, or None if the copy has the latest text already.

    Raises:
        ValueError: the copy is no notebook of the lesson, is of another format, or is open in JupyterLab.
        OSError: the copy is missing or read-only, or can't be read or written.
    """
    mine, original = edition_folder(folder) / f"{lesson}.ipynb", shipped(lesson)
    if not original.is_file():
        raise FileNotFoundError(f"{lesson} has no notebook in this course.")
    if not mine.is_file():
        raise FileNotFoundError(f"{mine.name} is not in {mine.parent}: nnopt lab copies it there.")
    if not is_outdated(lesson, folder):
        return None
    if not mine.stat().st_mode & stat.S_IWUSR:
        raise PermissionError(f"{mine.name} is read-only; nothing was changed.")
    if _is_open(mine):
        raise ValueError(
            f"{mine.name} is open in JupyterLab: save it, choose File → Close and Shut Down Notebook, then update."
        )
    if is_unchanged(lesson, folder):
        if not dry_run:
            refresh(lesson, folder)
        return Updated(lesson)
    notebook, latest = _read(mine), json.loads(original.read_text(encoding="utf-8"))
    items = {cell_id("exercise", id): item for id, item in exercises(lesson).items()}
    items |= {cell_id("question", id): item for id, item in questions(lesson).items()}
    _check_lesson(lesson, notebook["cells"], latest["cells"])
    editions = [json.loads(path.read_text(encoding="utf-8"))["cells"] for path in other_editions(lesson)]
    merged = merge(notebook["cells"], copied_cells(lesson, folder), latest["cells"], items, lesson, editions)
    if merged.cells == notebook["cells"] and _metadata(notebook, latest) == notebook.get("metadata"):
        if not dry_run:
            note_copied(lesson, folder)
        return None
    if dry_run:
        return Updated(lesson, merged)
    backup = free_name(mine)
    with naming(backup):
        shutil.copy2(mine, backup)
    write_atomically(mine.resolve(), _text(notebook, latest, merged))
    note_copied(lesson, folder)
    return Updated(lesson, merged, backup)


def outdated(folder: Path) -> list[str]:
    """The lessons of a workspace for which the course has another text than the one that was copied."""
    mine = edition_folder(folder)
    held = [name for name in lessons() if (mine / f"{name}.ipynb").is_file() and shipped(name).is_file()]
    return [name for name in held if is_outdated(name, folder)]


def _metadata(notebook: dict, latest: dict) -> dict:
    """The learner's metadata, with the points and the due date of the latest text."""
    metadata = notebook.get("metadata")
    own = metadata if isinstance(metadata, dict) else {}
    return own | {key: value for key, value in latest["metadata"].items() if key == "nnopt"}


def _text(notebook: dict, latest: dict, merged: Merged) -> str:
    minor = max(int(latest["nbformat_minor"]), notebook["nbformat_minor"])
    new = {"cells": merged.cells, "metadata": _metadata(notebook, latest), "nbformat": FORMAT, "nbformat_minor": minor}
    return notebook_text(new)


def _read(path: Path) -> dict:
    """Read a learner's notebook.

    Raises:
        ValueError: it is not a notebook of format 4.
        OSError: it can't be read.
    """
    cure = f"nothing was changed; nnopt reset {path.stem} keeps it and fetches a fresh copy."
    with naming(path):
        data = path.read_bytes()
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise ValueError(f"{path.name} is not a notebook (it is not JSON); {cure}") from None
    if not isinstance(notebook, dict) or "nbformat" not in notebook:
        raise ValueError(f"{path.name} is not a notebook; {cure}")
    if notebook["nbformat"] != FORMAT:
        raise ValueError(f"{path.name} is of notebook format {notebook['nbformat']!r}, not {FORMAT}; {cure}")
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not all(map(_is_cell, cells)):
        raise ValueError(f"{path.name} has a damaged list of cells; {cure}")
    for cell in cells:
        if not isinstance(cell.get("id"), str):
            cell.pop("id", None)
    if not isinstance(notebook.setdefault("nbformat_minor", 0), int):
        raise ValueError(f"{path.name} has no valid number of its format; {cure}")
    return notebook


def _is_cell(cell) -> bool:
    if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
        return False
    source = cell.get("source")
    return isinstance(source, str) or (isinstance(source, list) and all(isinstance(line, str) for line in source))


def _check_lesson(lesson: str, mine: list[dict], latest: list[dict]) -> None:
    """Refuse a file with another lesson's cells, which the merge would take for the learner's own."""
    items = {cell_id("exercise", id): item for id, item in exercises().items()}
    items |= {cell_id("question", id): item for id, item in questions().items()}
    found = {
        id for cell in mine for id in (cell.get("id"), *marks_of(cell)) if isinstance(id, str) and ANSWER.match(id)
    }
    if found & {cell["id"] for cell in latest}:
        return
    if others := sorted({items[id].lesson for id in found if id in items} - {lesson}):
        raise ValueError(f"{lesson}.ipynb contains the cells of {others[0]}; nothing was changed.")
    said, texts = "\n".join(map(text_of, mine)), {text_of(cell) for cell in latest}
    names = (f"def {item.name}(" for item in exercises(lesson).values())
    if not any(text_of(cell) in texts for cell in mine) and not any(name in said for name in names):
        raise ValueError(f"{lesson}.ipynb contains no cell of that lesson; nothing was changed.")


def _is_open(path: Path) -> bool:
    """Whether a JupyterLab of this user has the notebook open, and could save its old text over the new one."""
    from jupyter_server.serverapp import list_running_servers

    with suppress(Exception):  # servers that ended without removing their file, or that ask for more than a token
        for server in list_running_servers():
            request = urllib.request.Request(
                f"{server['url']}api/sessions", headers={"Authorization": f"token {server['token']}"}
            )
            with suppress(OSError, ValueError), urllib.request.urlopen(request, timeout=SECONDS_TO_ASK) as answer:
                paths = [Path(server["root_dir"], session["path"]) for session in json.load(answer)]
                if any(found.resolve() == path.resolve() for found in paths):
                    return True
    return False
