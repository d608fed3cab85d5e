"""The gradebook: one SQLite file, one transaction per submission. A grader killed at any moment resumes from it."""

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from nnopt_lab.grading.results import Graded, Result
from nnopt_lab.grading.submissions import Submission

FILE = "gradebook.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS submission (
    id INTEGER PRIMARY KEY, learner TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, lesson TEXT NOT NULL,
    submitted_at TEXT NOT NULL, system TEXT NOT NULL, number TEXT NOT NULL, late INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, graded_at TEXT NOT NULL, UNIQUE (learner, name, sha256));
CREATE TABLE IF NOT EXISTS result (
    submission INTEGER NOT NULL REFERENCES submission (id) ON DELETE CASCADE, item TEXT NOT NULL, state TEXT NOT NULL,
    points REAL NOT NULL, possible INTEGER NOT NULL, mistake TEXT NOT NULL, wrong_answer INTEGER, inputs TEXT NOT NULL,
    got TEXT NOT NULL, wanted TEXT NOT NULL, printed TEXT NOT NULL, source TEXT NOT NULL,
    PRIMARY KEY (submission, item)) WITHOUT ROWID;
"""
_RESULT = ("state", "points", "possible", "mistake", "wrong_answer", "inputs", "got", "wanted", "printed", "source")


@dataclass(frozen=True)
class Entry:
    """A graded submission as the gradebook holds it; `submitted_at` is UTC in ISO format, "" where unknown."""

    learner: str
    name: str
    submitted_at: str
    system: str
    number: str
    late: bool
    graded: Graded


class Gradebook:
    """The gradebook in a folder; created if there is none.

    Args:
        seed: of the inputs; None: the one that the gradebook has, or a fresh one.

    Raises:
        ValueError: the gradebook was begun with another seed, or the file is no gradebook.
    """

    def __init__(self, folder: Path, seed: int | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(folder / FILE)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            with self._connection:
                self._connection.executescript(_SCHEMA)
                self._rename_old_column()
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"{folder / FILE} is no gradebook ({error}); move it away, or use another --out."
            ) from None
        self.seed = self._settle(seed)

    def _settle(self, seed: int | None) -> int:
        own = self.setting("seed")
        if own is None:
            self.remember(seed=str(secrets.randbits(32) if seed is None else seed))
        elif seed is not None and str(seed) != own:
            raise ValueError(f"seed={seed} differs from {own}, with which this gradebook was begun; use --fresh.")
        return int(self.setting("seed"))

    def _rename_old_column(self) -> None:
        """Gradebooks begun before the column had its present name keep their grades."""
        if "known" in {column[1] for column in self._connection.execute("PRAGMA table_info(result)")}:
            self._connection.execute("ALTER TABLE result RENAME COLUMN known TO wrong_answer")

    def setting(self, name: str) -> str | None:
        """A setting's value, or None."""
        row = self._connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return row and row[0]

    def remember(self, **settings: str) -> None:
        """Keep settings of the batch until they are changed."""
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO setting VALUES (?, ?)", settings.items())

    def holds(self, submission: Submission) -> bool:
        """Whether exactly this file of this learner has been graded."""
        key = (submission.source.learner, submission.source.name, submission.sha256)
        found = self._connection.execute("SELECT 1 FROM submission WHERE (learner, name, sha256) = (?, ?, ?)", key)
        return found.fetchone() is not None

    def add(self, submission: Submission, graded: Graded) -> None:
        """Add a grade, whole or not at all; the same file is never added twice."""
        source = submission.source
        row = (source.learner, source.name, submission.sha256, graded.lesson, submission.submitted_at, source.system)
        row += (
            source.number,
            source.late,
            graded.state,
            graded.reason,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        with self._connection:
            added = self._connection.execute(
                f"INSERT OR IGNORE INTO submission VALUES (NULL{', ?' * len(row)})", tuple(map(_storable, row))
            )
            if added.rowcount:
                self._connection.executemany(
                    f"INSERT INTO result VALUES (?, ?{', ?' * len(_RESULT)})",
                    [_result_row(added.lastrowid, result) for result in graded.results],
                )

    def entries(self) -> Iterator[Entry]:
        """Every graded submission, in the order of grading."""
        columns = "id, learner, name, submitted_at, system, number, late, lesson, state, reason"
        for id, *whose, late, lesson, state, reason in self._connection.execute(
            f"SELECT {columns} FROM submission ORDER BY id"
        ):
            yield Entry(*whose, bool(late), Graded(lesson, state, reason, self._results(id)))

    def _results(self, submission: int) -> tuple[Result, ...]:
        rows = self._connection.execute(
            f"SELECT item, {', '.join(_RESULT)} FROM result WHERE submission = ? ORDER BY item", (submission,)
        )
        found = (dict(zip(("id", *_RESULT), row, strict=True)) for row in rows)
        return tuple(Result(**fields | {"inputs": json.loads(fields["inputs"])}) for fields in found)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder for one grader at a time; the lock ends with the process, however that ends.

    Raises:
        ValueError: another grader is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise ValueError(f"Another grader is at work in {folder}.") from None


def archive(folder: Path) -> None:
    """Rename the gradebook to a dated name, so that the next one begins empty."""
    if (folder / FILE).exists():
        Gradebook(folder).close()  # moves what a killed grader left in the write-ahead log into the file
        (folder / FILE).rename(folder / f"gradebook.{datetime.now():%Y-%m-%d-%H%M%S-%f}.sqlite")


def _result_row(submission: int, result: Result) -> tuple:
    values = (getattr(result, name) for name in _RESULT)
    return submission, result.id, *(json.dumps(v) if isinstance(v, dict) else _storable(v) for v in values)


def _storable(value):
    """Make text storable as UTF-8: a notebook may hold half of a surrogate pair."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value
