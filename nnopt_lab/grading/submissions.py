"""Submitted notebooks, read as data: whose they are, and the answer cells in them. Nothing of them is executed here.

A file is opened only if it is a regular file; it may be of limited size and nesting; cells are found by the id that the
course gave them, and whatever else the file holds is not looked at.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from nnopt_lab.course.exercises import cell_id, exercises, questions
from nnopt_lab.course.lesson import lessons

MAX_BYTES = 32 << 20
MAX_BRACKETS = 2_000_000
MAX_SOURCE = 100_000
_CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_\d+_.+")
_MOODLE = re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)(?:_.*)?")


@dataclass(frozen=True)
class Source:
    """Where a submission is and whose it is.

    Attributes:
        path: of the file.
        name: the path below the folder that was given, as it is shown.
        learner: from the folder's or the file's name.
        system: "canvas", "moodle" or "", the system whose download this name is of.
        number: the learner's number in that system, or "".
        late: whether the system marked it as late.
    """

    path: Path
    name: str
    learner: str
    system: str = ""
    number: str = ""
    late: bool = False


@dataclass(frozen=True)
class Cell:
    """An answer cell; `trouble` says what keeps it from being graded: "missing", "doubled", "mistyped", "too long"."""

    source: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Submission:
    """A submitted notebook.

    Attributes:
        source: where it is from.
        sha256: of the file; empty where it can't be read.
        submitted_at: when the file was last changed, UTC.
        lesson: which one it is of; of a malformed one, what the name of the file says, or "".
        cells: answer cells by the id of their exercise or question; every one of the lesson has an entry.
        malformed: why it is no notebook of the course, in words; empty where it is one.
    """

    source: Source
    sha256: str = ""
    submitted_at: str = ""
    lesson: str = ""
    cells: dict[str, Cell] = field(default_factory=dict)
    malformed: str = ""


def find(paths: Iterable[Path]) -> list[Source]:
    """The submissions in files and folders, in the order of their names; a file that is named twice counts once.

    Raises:
        FileNotFoundError: a path does not exist, or no notebook is in any of them.
    """
    found: dict[str, Source] = {}
    for path in map(Path, paths):
        if not os.path.lexists(path):
            raise FileNotFoundError(f"{path} does not exist.")
        if path.is_dir():
            for file in sorted(_notebooks_in(path)):
                found.setdefault(os.path.abspath(file), _source(file, file.relative_to(path), path))
        else:
            parent = Path(os.path.abspath(path)).parent
            found.setdefault(os.path.abspath(path), _source(path, Path(path.name), parent))
    if not found:
        raise FileNotFoundError(f"There is no .ipynb file in {', '.join(map(str, paths))}.")
    return list(found.values())


def read(source: Source, lesson: str | None = None) -> Submission:
    """Read a submission; what is wrong with the file is said in `malformed`, never raised.

    Args:
        lesson: which one it should be of; None: the one whose cells it holds.
    """
    try:
        data, changed = _bytes(source.path)
    except (OSError, ValueError) as error:
        return Submission(source, lesson=lesson or _lesson_in(source.path.stem), malformed=_in_words(error))
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        cells = _cells(data)
        found = _lesson_of(cells, lesson)
    except ValueError as error:
        return Submission(source, sha256, changed, lesson or _lesson_in(source.path.stem), malformed=str(error))
    wanted = {id: "exercise" for id in exercises(found)} | {id: "question" for id in questions(found)}
    return Submission(source, sha256, changed, found, {id: _answer(cells, kind, id) for id, kind in wanted.items()})


def _notebooks_in(folder: Path) -> Iterable[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        # A folder by such a name, or a link to one, is nobody's notebook, and its learner should hear so.
        yield from (Path(place, name) for name in (*files, *folders) if name.endswith(".ipynb") and name[0] != ".")


def _source(path: Path, below: Path, given: Path) -> Source:
    for part in below.parts:
        stem = part.removesuffix(".ipynb")
        for system, pattern in (("moodle", _MOODLE), ("canvas", _CANVAS)):
            if named := pattern.fullmatch(stem):
                late = bool(named.groupdict().get("late"))
                return Source(path, str(below), named["name"], system, named["id"], late)
    if len(below.parts) > 1:
        return Source(path, str(below), below.parts[0])
    return Source(path, str(below), _learner_in(path.stem) or Path(os.path.abspath(given)).name)


def _learner_in(stem: str) -> str:
    """What is left of a file's name without the lesson's: "alice" of "alice_01_pruning", nothing of "01_pruning"."""
    lesson = _lesson_in(stem)
    return stem.replace(lesson, "").strip("_- .") if lesson else stem


def _lesson_in(stem: str) -> str:
    return next((lesson for lesson in lessons() if lesson in stem), "")


def _bytes(path: Path) -> tuple[bytes, str]:
    # Not blocking, so that a pipe by that name holds nobody up; O_NOFOLLOW and O_NONBLOCK are not there on Windows.
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
    """What the cell's metadata says it answers; tools that know no cell ids keep these."""
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
