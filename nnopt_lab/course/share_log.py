"""A small file through which the kernels tell `nnopt lab` what a learner shares.

It exists in the workspace only while `nnopt lab --share` runs, which keeps its date fresh; a kernel adds a line per
check and opens no connection. So the notebook never waits for a network.
"""

import json
import os
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nnopt_lab.course.workspace import workspace, write_atomically

FILE = ".sharing.jsonl"
FRESH_SECONDS = 60  # an older file was left by an `nnopt lab` that was killed
LARGEST = 1 << 20  # bytes, before the file begins again
KEPT = 500  # latest events that the reader keeps


class Event(NamedTuple):
    """A lesson was opened (`item` is ""), or an answer checked; `mistake` is "" if it was right."""

    time: float
    lesson: str
    item: str
    mistake: str


def note(lesson: str, item: str = "", mistake: str = "") -> None:
    """Add an event if the learner shares; a file that can't be written is left alone."""
    path = workspace() / FILE
    with suppress(OSError, ValueError):
        now, found = time.time(), path.stat()
        if abs(now - found.st_mtime) > FRESH_SECONDS:
            return
        line = json.dumps(Event(now, lesson, item, mistake)) + "\n"
        begin = os.O_TRUNC if found.st_size > LARGEST else os.O_APPEND
        descriptor = os.open(path, os.O_WRONLY | begin)  # which creates none
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


class ShareLog:
    """The file of a workspace, for the process that shares.

    Attributes:
        events: the latest, oldest first.
    """

    def __init__(self, folder: Path):
        self.path, self.events, self._read = folder / FILE, deque(maxlen=KEPT), 0

    def begin(self) -> None:
        """Create the file.

        Raises:
            OSError: it can't be written.
        """
        write_atomically(self.path, "")
        self._read = 0

    def follow(self) -> bool:
        """Read what is new, and keep the file fresh; returns whether there was anything."""
        count = 0
        with suppress(OSError):
            os.utime(self.path)
            with self.path.open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._read:
                    self._read = 0
                file.seek(self._read)
                lines = file.read(2 * LARGEST)
            whole = lines[: lines.rfind(b"\n") + 1]
            self._read += len(whole)
            for event in filter(None, map(_event, whole.splitlines())):
                self.events.append(event)
                count += 1
        return count > 0

    def end(self) -> None:
        """Delete the file."""
        with suppress(OSError):
            self.path.unlink()


def _event(line: bytes) -> Event | None:
    try:
        when, *texts = json.loads(line)
    except (ValueError, TypeError, RecursionError):
        return None
    if isinstance(when, int | float) and len(texts) == 3 and all(isinstance(text, str) for text in texts):
        return Event(when, *texts)
    return None
