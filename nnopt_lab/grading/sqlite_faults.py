"""Explain SQLite's errors to a teacher: each message names the file and the cause, and no advice loses grades."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnopt_lab.workbench.text import printable

_KEPT = "all grades so far are kept: leave the file where it is"
_SPACE = 1 << 20  # with fewer bytes free, an unexplained error counts as a full disk


class Damaged(ValueError):
    """A file that is not a gradebook, or not any more; a new one may replace it."""


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about the database at `path` into one sentence.

    Raises:
        Damaged: the file is not a database, is damaged, or has other tables.
        ValueError: it can't store a value.
        OSError: it can't be opened, read or written, because of a full or broken disk, missing rights, or another
            program.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _in_words(path, error) from error
    except UnicodeDecodeError as error:  # Python can't decode SQLite's message, which quotes the damaged text
        raise damaged(path, "its text is not UTF-8") from error


def _in_words(path: Path, error: sqlite3.Error) -> Exception:
    said = printable(error)
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the other bits are details
    if code == sqlite3.SQLITE_NOTADB:
        return Damaged(f"{path} is not a gradebook ({said}): move it away, or use another --out.")
    if code == sqlite3.SQLITE_CORRUPT or "UTF-8" in str(error):
        return damaged(path, said)
    if code in (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH):
        return ValueError(f"{path} can't hold this grade ({said}).")
    if code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA):
        return Damaged(f"{path} is not a gradebook of this version of the course ({said}): use another --out.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
        return OSError(f"{path} is in use by another program ({said}): close that program, and try again.")
    if code == sqlite3.SQLITE_FULL or _is_full(path.parent):
        return OSError(f"{path} can't be written, because the disk is full; {_KEPT}, free some space, and try again.")
    if path.is_dir():
        return OSError(f"{path} is a folder, but must be the gradebook's file: use another --out.")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH):
        return OSError(f"{path} can't be written ({said}): you need write permission for this file and its folder.")
    return OSError(f"{path} can't be read or written ({said}); {_KEPT}, and check the disk.")


def damaged(path: Path, why: str) -> Damaged:
    """The error for a gradebook with invalid contents."""
    return Damaged(
        f"{path} is damaged ({why}): replace it with a backup, or begin a new gradebook with --fresh, which keeps this "
        "one under a dated name."
    )


def _is_full(folder: Path) -> bool:
    """Whether a disk is full; SQLite may report that as an input/output error or a file that can't be opened."""
    try:
        no_files = hasattr(os, "statvfs") and (found := os.statvfs(folder)).f_files and not found.f_favail
        return bool(no_files) or shutil.disk_usage(folder).free < _SPACE
    except OSError:
        return False
