"""Reads submitted notebooks as data: the answer cells in them. Nothing of them is executed here.

A file is opened only if it is a regular file; its size and nesting are limited; cells are found by the ids that the
course gave them, and everything else in the file is ignored.
"""

import hashlib
import json
import os
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from nnopt_lab.course.exercises import cell_id, exercises, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.grading.sources import Source, lesson_in

MAX_BYTES = 32 << 20
MAX_BRACKETS = 2_000_000
MAX_SOURCE = 100_000


@dataclass(frozen=True)
class Cell:
    """An answer cell; `trouble` says why it can't be graded: "missing", "doubled", "mistyped" or "too long"."""

    source: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Submission:
    """A submitted notebook.

    Attributes:
        source: its file and learner.
        sha256: of the file; empty if it can't be read.
        submitted_at: when the file was last changed, UTC.
        lesson: whose answers it holds; for a malformed one the lesson in the file's name, or "".
        cells: answer cells by the id of their exercise or question, with an entry for each of the lesson.
        malformed: why it is no notebook of the course, in words; empty if it is one.
    """

    source: Source
    sha256: str = ""
    submitted_at: str = ""
    lesson: str = ""
    cells: dict[str, Cell] = field(default_factory=dict)
    malformed: str = ""


def read(source: Source, lesson: str | None = None) -> Submission:
    """Read a submission; a fault of the file is described in `malformed`, never raised.

    Args:
        lesson: the one it must be of; None: the one whose cells it holds.
    """
    try:
        data, changed = _bytes(source.path)
    except (OSError, ValueError) as error:
        return Submission(source, lesson=lesson or lesson_in(source.path.stem), malformed=_in_words(error))
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        cells = _cells(data)
        found = _lesson_of(cells, lesson)
    except ValueError as error:
        return Submission(source, sha256, changed, lesson or lesson_in(source.path.stem), malformed=str(error))
    wanted = {id: "exercise" for id in exercises(found)} | {id: "question" for id in questions(found)}
    return Submission(source, sha256, changed, found, {id: _answer(cells, kind, id) for id, kind in wanted.items()})


def _bytes(path: Path) -> tuple[bytes, str]:
    # Not blocking, so that a pipe with that name holds nothing up. Windows has neither O_NOFOLLOW nor O_NONBLOCK.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if os.path.islink(path):
        raise ValueError("It is a link, not a file.")
    handle = os.open(path, flags)
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("It is not a regular file.")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"It is larger than {MAX_BYTES >> 20} MiB; clear the outputs and hand it in again.")
    return data, datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds")


def _in_words(error: Exception) -> str:
    return f"It can't be read: {error.strerror}." if isinstance(error, OSError) else str(error)


def _cells(data: bytes) -> list[dict]:
    if data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
        raise ValueError("It is not a notebook: it is nested beyond measure.")
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError("It is not a notebook: it is not UTF-8 text.") from None
    except RecursionError:
        raise ValueError("It is not a notebook: it is nested too deeply.") from None
    except ValueError as error:
        raise ValueError(f"It is not a notebook: it is not JSON ({str(error)[:80]}).") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise ValueError("It is not a notebook of format 4: it has no list of cells.")
    return [cell for cell in cells if isinstance(cell, dict)]


def _lesson_of(cells: list[dict], wanted: str | None) -> str:
    ids = {cell.get("id") for cell in cells if isinstance(cell.get("id"), str)}
    ids |= {cell_id(*mark) for cell in cells for mark in _marks(cell)}
    counts = {
        name: len(ids & {cell_id("exercise", id) for id in exercises(name)})
        + len(ids & {cell_id("question", id) for id in questions(name)})
        for name in lessons()
    }
    lesson = wanted or max(counts, key=counts.get)
    if not counts[lesson]:
        raise ValueError(f"It holds no answer cell of {'the course' if wanted is None else wanted}.")
    return lesson


def _marks(cell: dict) -> list[tuple[str, str]]:
    """The ids in the cell's metadata, which tools keep that know no cell ids."""
    metadata = cell.get("metadata")
    found = [(kind, metadata.get(kind)) for kind in ("exercise", "question")] if isinstance(metadata, dict) else []
    return [(kind, id) for kind, id in found if isinstance(id, str)]


def _answer(cells: list[dict], kind: str, id: str) -> Cell:
    found = [cell for cell in cells if cell.get("id") == cell_id(kind, id)]
    found = found or [cell for cell in cells if (kind, id) in _marks(cell)]
    if not found:
        return Cell(trouble="missing")
    texts = [_text(cell) for cell in found]
    if any(text != texts[0] for text in texts):
        return Cell(trouble="doubled")
    if found[0].get("cell_type") != "code" or texts[0] is None:
        return Cell(trouble="mistyped")
    return Cell(trouble="too long") if len(texts[0]) > MAX_SOURCE else Cell(texts[0])


def _text(cell: dict) -> str | None:
    source = cell.get("source")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        return "".join(source)
    return source if isinstance(source, str) else None
