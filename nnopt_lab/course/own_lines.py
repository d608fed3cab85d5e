"""The learner's own lines: where an error came from, without frames of any library."""

import linecache
import os
import sysconfig
import traceback
from pathlib import Path

from nnopt_lab.course.display import let_interrupts_through
from nnopt_lab.workbench.language import Message

# Folders without learners' code, besides site-packages: this package and Python's standard library.
_FOREIGN = (
    str(Path(__file__).resolve().parent.parent) + os.sep,
    *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")),
    "<frozen ",
)


def is_own(filename: str) -> bool:
    """Whether a file holds a learner's code."""
    return not filename.startswith(_FOREIGN) and "-packages" not in filename


def last_line(error: BaseException, within: str = "") -> tuple[int, str] | None:
    """The number and text of the last line of the learner's own code that led to an error, or None.

    Args:
        error: as it was caught.
        within: a file of this package; lines that called its functions don't count, only those that it called.
    """
    frames = traceback.extract_tb(error.__traceback__)
    first = next((n for n, frame in enumerate(frames) if frame.filename == within), 0)
    own = [frame for frame in frames[first:] if is_own(frame.filename)]
    if not own:
        return None
    return own[-1].lineno, own[-1].line or linecache.getline(own[-1].filename, own[-1].lineno).strip()


def told(error: BaseException) -> str:
    """A sentence with an error and the learner's line that raised it."""
    try:
        text = str(error)
    except BaseException as raised:  # a learner's own class may raise
        let_interrupts_through(raised)
        text = ""
    said = next(iter(text.encode("utf-8", "replace").decode().splitlines()), "") or Message("no message")
    what = {"error": type(error).__name__, "said": said}
    found = last_line(error)
    if found is None:
        return Message("Your function raised {error}: {said}", **what)
    return Message("Your line {number}, `{line}`, raised {error}: {said}", number=found[0], line=found[1], **what)
