"""Read the answer cells of submitted notebooks as data; nothing in them is executed here.

A file is opened only if it is a regular file, and its size and nesting are limited. Cells are found by the ids that the
course gave them; everything else in the file is ignored.
"""

import hashlib
import json
import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import cache, cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from nnopt_lab.course.bare_code import bare
from nnopt_lab.course.exercises import Exercise, Question, cell_id, exercises, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.grading import archives
from nnopt_lab.grading.course_cells import notebook_cells, stubs
from nnopt_lab.grading.learners import is_notebook, lesson_in, stem
from nnopt_lab.grading.sources import Source

TIMESTAMP = "timestamp.txt"
MAX_BYTES = 32 << 20
MAX_BRACKETS = 2_000_000
MAX_SOURCE = 100_000
MAX_CODE = 1_000_000
_BY_NAME = "Its cells have lost their ids, so the answers were found by their functions' names."


@dataclass(frozen=True)
class Cell:
    """An answer; if it can't be graded, `trouble` is "missing", "doubled", "mistyped" or "too long"."""

    source: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Submission:
    """A submitted notebook.

    Attributes:
        source: its file and learner.
        sha256: of the file; empty if it can't be read.
        submitted_at: when nbgrader collected the file, or the file's modification time; UTC, "" if unknown.
        lesson: the lesson of its answers; for a malformed file, the lesson in the file's name, or "".
        cells: answer cells by the id of their exercise or question, one for each in the lesson.
        code: the sources of all code cells, in order; () if they are too long for a notebook.
        malformed: the reason why it is not a notebook of the course, as text; empty if it is one.
        note: what a teacher should know about how the answers were found; usually empty.
    """

    source: Source
    sha256: str = ""
    submitted_at: str = ""
    lesson: str = ""
    cells: dict[str, Cell] = field(default_factory=dict)
    code: tuple[str, ...] = ()
    malformed: str = ""
    note: str = ""


def read(source: Source, lesson: str | None = None, zone: tzinfo | None = None) -> Submission:
    """Read a submission; problems of the file are described in `malformed`, never raised.

    Args:
        source: its file and learner.
        lesson: the lesson to look for; default the one whose cells it contains.
        zone: of times in archives; None for this machine's.
    """
    named = lesson_in(stem(Path(source.name).name))
    try:
        data, changed = _bytes(source, zone)
    except (OSError, ValueError) as error:
        return Submission(source, lesson=lesson or named, malformed=_in_words(error))
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        cells = _Cells(_cells(data))
        found, note = _lesson_of(cells, lesson)
    except ValueError as error:
        return Submission(source, sha256, changed, lesson or named, malformed=str(error))
    answers = {item.id: _answer(cells, id, item) for id, item in _answer_cells(found).items()}
    return Submission(source, sha256, changed, found, answers, cells.code, note=note)


def _bytes(source: Source, zone: tzinfo | None) -> tuple[bytes, str]:
    if source.place:
        data, changed = archives.read(source.path, source.place, MAX_BYTES + 1, zone)
    else:
        with archives.open_file(source.path) as file:
            data, changed = file.read(MAX_BYTES + 1), os.fstat(file.fileno()).st_mtime
    if archives.is_archive(source.name):
        raise ValueError("It is an archive without a readable notebook.")
    if not is_notebook(source.name):
        raise ValueError("It is not a notebook, and no notebook was handed in with it: hand in the .ipynb file.")
    if len(data) > MAX_BYTES:
        raise ValueError(f"It is larger than {MAX_BYTES >> 20} MiB: clear the outputs and hand it in again.")
    return data, _nbgrader_time(source) or in_utc(changed)


def _nbgrader_time(source: Source) -> str:
    """The time in the timestamp.txt that nbgrader writes beside a collected notebook, or "".

    It is read only where nbgrader puts it, LEARNER/ASSIGNMENT/timestamp.txt; elsewhere a learner may have written it.
    """
    stamp = source.path.with_name(TIMESTAMP)
    if source.place or source.system or len(Path(source.name).parts) != 3:
        return ""
    try:
        with archives.open_file(stamp) as file:
            day, clock, zone = file.read(100).decode("ascii").split()
        found = datetime.fromisoformat(f"{day} {clock}").replace(tzinfo=ZoneInfo(zone))
    except (OSError, ValueError, KeyError):  # the last one is for a zone without a name
        return ""
    return found.astimezone(UTC).isoformat(timespec="seconds")


def in_utc(seconds: float) -> str:
    """A file's time in ISO format; "" for an impossible one, such as in the year 10,000."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""


def _in_words(error: Exception) -> str:
    return f"It can't be read: {error.strerror}." if isinstance(error, OSError) else str(error)


def _cells(data: bytes) -> list[dict]:
    if data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
        raise ValueError("It is not a notebook: it has too many brackets.")
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


class _Cells:
    """The cells of a notebook, and the positions of the course's marks among them.

    Attributes:
        ids: the cells' ids, and those that the marks in their metadata mean.
    """

    def __init__(self, cells: list[dict]):
        self._cells = cells
        self._places: dict[str | tuple[str, str], list[int]] = defaultdict(list)
        self.ids = set()
        for place, cell in enumerate(cells):
            own = cell.get("id")
            for mark in ([own] if isinstance(own, str) else []) + _marks(cell):
                self._places[mark].append(place)
                self.ids.add(mark if isinstance(mark, str) else cell_id(*mark))

    def marked(self, *marks: str | tuple[str, str]) -> list[dict]:
        """The cells that have one of these marks: ids, or (kind, id) in their metadata."""
        places = {place for mark in marks for place in self._places.get(mark, ())}
        return [self._cells[place] for place in sorted(places)]

    @property
    def code(self) -> tuple[str, ...]:
        """The sources of all code cells, if they are no longer than `MAX_CODE`."""
        texts = (_text(cell) for cell in self._cells if cell.get("cell_type") == "code")
        found = tuple(text for text in texts if text is not None)
        return found if sum(map(len, found)) <= MAX_CODE else ()

    @cached_property
    def unmarked(self) -> list[str]:
        """Sources of the code cells without a mark in their metadata."""
        own = (cell for cell in self._cells if cell.get("cell_type") == "code" and not _marks(cell))
        return [text for cell in own if (text := _text(cell)) is not None]


@cache
def _answer_cells(lesson: str) -> dict[str, Exercise | Question]:
    """A lesson's exercises and questions, by the ids of their cells."""
    return {cell_id(_kind(item), item.id): item for item in (*exercises(lesson).values(), *questions(lesson).values())}


def _kind(item: Exercise | Question) -> str:
    return "exercise" if isinstance(item, Exercise) else "question"


def _lesson_of(cells: _Cells, wanted: str | None) -> tuple[str, str]:
    """The lesson of the answers, and a note if they were not found by the cells' ids."""
    counts = {name: len(cells.ids & _answer_cells(name).keys()) for name in lessons()}
    lesson = wanted or max(counts, key=counts.get)
    if counts[lesson]:
        return lesson, ""
    if not any(counts.values()):  # otherwise it is another lesson
        text = "\n".join(cells.unmarked)
        counts = {name: sum(_defines(text, item) for item in _answer_cells(name).values()) for name in lessons()}
        lesson = wanted or max(counts, key=counts.get)
    if not counts[lesson]:
        raise ValueError(f"It contains no answer cell of {'the course' if wanted is None else wanted}.")
    return lesson, _BY_NAME


def _marks(cell: dict) -> list[tuple[str, str]]:
    """The ids in the cell's metadata, which survive tools that don't support cell ids."""
    metadata = cell.get("metadata")
    found = [(kind, metadata.get(kind)) for kind in ("exercise", "question")] if isinstance(metadata, dict) else []
    return [(kind, id) for kind, id in found if isinstance(id, str)]


def _answer(cells: _Cells, id: str, item: Exercise | Question) -> Cell:
    """The answer in its cell, or in a copy of it with the same metadata, or in one that defines its function."""
    own = cells.marked(id, (_kind(item), item.id))
    code = [cell for cell in own if cell.get("cell_type") == "code" and _text(cell) is not None]
    if own and not code:
        return Cell(trouble="mistyped")
    stub = stubs(item.lesson).get(id, "")
    texts = [text for cell in code if not _is_untouched(text := _text(cell), stub)]
    texts = [text for text in texts if _answers(text, item)] or texts
    if not texts:
        texts = _given_elsewhere(cells.unmarked, item)
    if not texts:
        blank = [_text(cell) for cell in code] or [text for text in cells.unmarked if bare(text) == bare(stub)]
        return Cell(blank[0]) if blank else Cell(trouble="missing")
    if len(set(map(bare, texts))) > 1:
        return Cell(trouble="doubled")
    return Cell(trouble="too long") if len(texts[0]) > MAX_SOURCE else Cell(texts[0])


def _is_untouched(text: str, stub: str) -> bool:
    return bare(text) in ("", bare(stub))


def _answers(text: str, item: Exercise | Question) -> bool:
    """Whether a cell defines the exercise's function or calls the question; a trial call does neither."""
    if isinstance(item, Question):
        return f'"{item.id}"' in text or f"'{item.id}'" in text
    return re.search(rf"^(?:(?:async )?def {item.name}\b|{item.name}\s*=)", text, re.MULTILINE) is not None


def _given_elsewhere(texts: list[str], item: Exercise | Question) -> list[str]:
    """The sources of the learner's unmarked cells that answer: a tool may have dropped their mark."""
    courses = {bare(text) for text in notebook_cells(item.lesson).values()}
    return [text for text in texts if _defines(text, item) and bare(text) not in courses]


def _defines(text: str, item: Exercise | Question) -> bool:
    """Like `_answers`, but a function must be defined, because the course's own cells assign to its name."""
    if isinstance(item, Question):
        return _answers(text, item)
    return re.search(rf"^(?:async )?def {item.name}\b", text, re.MULTILINE) is not None


def _text(cell: dict) -> str | None:
    source = cell.get("source")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        return "".join(source)
    return source if isinstance(source, str) else None
