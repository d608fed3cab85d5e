"""SQLite's errors in a teacher's words: each names the file, says what is wrong, and never advises to lose grades."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnopt_lab.workbench.text import printable

_KEPT = "every grade noted so far is kept: leave the file where it is"
_SPACE = 1 << 20  # with less than this many bytes free, an error without a cause is a full disk's


class Damaged(ValueError):
    """A file that is no gradebook, or is one no more: another one may be begun in its place."""


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Raise SQLite's errors about the database at `path` as one sentence.

    Raises:
        Damaged: the file is no database, is damaged, or has other tables.
        OSError: it can't be opened, read or written: a full or broken disk, missing rights, another program.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _in_words(path, error) from error
    except UnicodeDecodeError as error:  # Python can't decode what SQLite says, which quotes the damaged text
        raise damaged(path, "its text is not UTF-8") from error


def _in_words(path: Path, error: sqlite3.Error) -> Exception:
    said = printable(error)
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest says more about the same
    if code == sqlite3.SQLITE_NOTADB:
        return Damaged(f"{path} is no gradebook ({said}); move it away, or use another --out.")
    if code == sqlite3.SQLITE_CORRUPT or "UTF-8" in str(error):
        return damaged(path, said)
    if code in (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH):
        return ValueError(f"{path} can't hold this grade ({said}).")
    if code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA):
        return Damaged(f"{path} is no gradebook of this version of the course ({said}); use another --out.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
        return OSError(f"{path} is in use by another program ({said}): close that one, and try again.")
    if code == sqlite3.SQLITE_FULL or _is_full(path.parent):
        return OSError(f"{path} can't be written, since the disk is full; {_KEPT}, make room, and try again.")
    if path.is_dir():
        return OSError(f"{path} is a folder, where the gradebook's file belongs: use another --out.")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH):
        return OSError(f"{path} can't be written ({said}): you need the right to write this file and in its folder.")
    return OSError(f"{path} can't be read or written ({said}); {_KEPT}, and look at the disk.")


def damaged(path: Path, why: str) -> Damaged:
    """The error for a gradebook whose contents make no sense."""
    return Damaged(
        f"{path} is damaged ({why}): put a backup in its place, or begin a new gradebook with --fresh, which keeps "
        "this one under a dated name."
    )


def _is_full(folder: Path) -> bool:
    """Whether a disk has no room; SQLite reports that as an input/output error or a file that can't be opened, too."""
    try:
        no_files = hasattr(os, "statvfs") and (found := os.statvfs(folder)).f_files and not found.f_favail
        return bool(no_files) or shutil.disk_usage(folder).free < _SPACE
    except OSError:
        return False
