"""The gradebook: one SQLite file, one transaction per submission. A killed grader can always resume from it."""

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from filelock import FileLock, Timeout

from nnopt_lab.grading.results import Graded, Result
from nnopt_lab.grading.sqlite_faults import Damaged, damaged, told
from nnopt_lab.grading.submissions import Submission
from nnopt_lab.grading.times import course_zone
from nnopt_lab.workbench.files import make_folder

FILE = "gradebook.sqlite"
_SCHEMA = """
BEGIN;
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE submission (
    id INTEGER PRIMARY KEY, learner TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, lesson TEXT NOT NULL,
    submitted_at TEXT NOT NULL, system TEXT NOT NULL, number TEXT NOT NULL, late INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, graded_at TEXT NOT NULL, UNIQUE (learner, name, sha256));
CREATE TABLE result (
    submission INTEGER NOT NULL REFERENCES submission (id) ON DELETE CASCADE, item TEXT NOT NULL, state TEXT NOT NULL,
    points REAL NOT NULL, possible INTEGER NOT NULL, mistake TEXT NOT NULL, wrong_answer INTEGER, inputs TEXT NOT NULL,
    got TEXT NOT NULL, wanted TEXT NOT NULL, printed TEXT NOT NULL, source TEXT NOT NULL,
    PRIMARY KEY (submission, item)) WITHOUT ROWID;
COMMIT;
"""
_RESULT = ("state", "points", "possible", "mistake", "wrong_answer", "inputs", "got", "wanted", "printed", "source")


@dataclass(frozen=True)
class Entry:
    """A graded submission in the gradebook; `submitted_at` is UTC in ISO format, "" if unknown."""

    learner: str
    name: str
    submitted_at: str
    system: str
    number: str
    late: bool
    graded: Graded


class Gradebook:
    """The gradebook in a folder, created if there is none.

    Args:
        folder: created if missing.
        seed: of the inputs; default the gradebook's own, or a fresh one.

    Raises:
        ValueError: the gradebook was begun with another seed, or the file is not a gradebook.
        OSError: it can't be opened, read or written; all methods raise this too. The message names file and cause.
    """

    def __init__(self, folder: Path, seed: int | None = None):
        make_folder(folder)
        self._path = folder / FILE
        with told(self._path):
            self._connection = sqlite3.connect(self._path)
        try:
            with told(self._path):
                self._prepare()
            self.seed = self._settle(seed)
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        before = _columns(self._connection)  # read before anything is written: it may be another program's file
        if "known" in before.get("result", ()):  # older gradebooks, from before the column was renamed
            self._connection.execute("ALTER TABLE result RENAME COLUMN known TO wrong_answer")
        elif not before:
            self._connection.executescript(_SCHEMA)
        with closing(sqlite3.connect(":memory:")) as fresh:
            fresh.executescript(_SCHEMA)
            if _columns(self._connection) != _columns(fresh):
                raise sqlite3.OperationalError("its tables differ")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA foreign_keys = ON")

    def _settle(self, seed: int | None) -> int:
        own = self.setting("seed")
        if own is None:
            self.remember(seed=str(secrets.randbits(32) if seed is None else seed))
        elif seed is not None and str(seed) != own:
            raise ValueError(f"seed={seed} differs from this gradebook's seed, {own}; use --fresh for a new one.")
        with self._sound("its seed"):
            return int(self.setting("seed"))

    def setting(self, name: str) -> str | None:
        """A setting's value, or None."""
        rows = self._rows("SELECT value FROM setting WHERE name = ?", name)
        return rows[0][0] if rows else None

    @property
    def zone(self) -> tzinfo | None:
        """The course's time zone, see `times.course_zone`."""
        return course_zone(self.setting("zone") or "", self.setting("due") or "")

    def remember(self, **settings: str) -> None:
        """Store settings of the batch until they are changed."""
        with told(self._path), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO setting VALUES (?, ?)", settings.items())

    def holds(self, submission: Submission) -> bool:
        """Whether exactly this file of this learner was graded."""
        key = (submission.source.learner, submission.source.name, submission.sha256)
        return bool(self._rows("SELECT 1 FROM submission WHERE (learner, name, sha256) = (?, ?, ?)", *key))

    def add(self, submission: Submission, graded: Graded) -> None:
        """Add a grade, completely or not at all; the same file is never added twice."""
        source = submission.source
        row = (source.learner, source.name, submission.sha256, graded.lesson, submission.submitted_at, source.system)
        row += (
            source.number,
            source.late,
            graded.state,
            graded.reason,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        with told(self._path), self._connection:
            added = self._connection.execute(
                f"INSERT OR IGNORE INTO submission VALUES (NULL{', ?' * len(row)})", tuple(map(_storable, row))
            )
            if added.rowcount:
                self._connection.executemany(
                    f"INSERT INTO result VALUES (?, ?{', ?' * len(_RESULT)})",
                    [_result_row(added.lastrowid, result) for result in graded.results],
                )

    def entries(self) -> Iterator[Entry]:
        """Yield every graded submission, in the order of grading."""
        columns = "id, learner, name, submitted_at, system, number, late, lesson, state, reason"
        for id, *whose, late, lesson, state, reason in self._rows(f"SELECT {columns} FROM submission ORDER BY id"):
            with self._sound(f"the entry of {whose[0]!r}"):
                entry = Entry(*whose, bool(late), Graded(lesson, state, reason, self._results(id)))
                datetime.fromisoformat(entry.submitted_at or "2026-11-26")
            yield entry

    def _results(self, submission: int) -> tuple[Result, ...]:
        rows = self._rows(
            f"SELECT item, {', '.join(_RESULT)} FROM result WHERE submission = ? ORDER BY item", submission
        )
        found = (dict(zip(("id", *_RESULT), row, strict=True)) for row in rows)
        return tuple(
            Result(**fields | {"inputs": dict(json.loads(fields["inputs"])), "points": float(fields["points"])})
            for fields in found
        )

    def _rows(self, query: str, *values) -> list[tuple]:
        with told(self._path):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _sound(self, what: str) -> Iterator[None]:
        """Treat unreadable values as damage that SQLite does not notice."""
        try:
            yield
        except (ValueError, TypeError, AttributeError) as error:
            raise damaged(self._path, f"{what} can't be read: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder for one grader at a time; the lock always ends with the process.

    Raises:
        ValueError: another grader is using the folder.
        OSError: the folder can't be created or written to.
    """
    make_folder(folder)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise ValueError(f"Another grader is using {folder}; wait until it is done.") from None


def archive(folder: Path) -> None:
    """Rename the gradebook to a dated name, so that the next one begins empty."""
    path = folder / FILE
    if not path.exists():
        return
    with suppress(Damaged):
        Gradebook(folder).close()  # moves a killed grader's write-ahead log into the file
    kept = folder / f"gradebook.{datetime.now():%Y-%m-%d-%H%M%S-%f}.sqlite"
    for end in ("", "-wal", "-shm"):  # the log of a damaged file may contain grades that can still be saved
        if (part := folder / f"{FILE}{end}").exists():
            part.rename(f"{kept}{end}")


def _columns(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """The columns of every table."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
    columns = "SELECT name FROM pragma_table_info(?) ORDER BY cid"
    return {table: [name for (name,) in connection.execute(columns, (table,))] for (table,) in tables}


def _result_row(submission: int, result: Result) -> tuple:
    values = (getattr(result, name) for name in _RESULT)
    return submission, result.id, *(json.dumps(v) if isinstance(v, dict) else _storable(v) for v in values)


def _storable(value):
    """Make text storable as UTF-8, because a notebook may contain half of a surrogate pair."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value
