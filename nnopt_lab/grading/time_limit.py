"""A time limit for the grader's own work, which hostile values could make endless."""

import ctypes
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
GRACE_SECONDS = 5


class TooLong(Exception):
    """The work was not finished in time."""


class _Stop(SystemExit):
    """Ends the working thread; a SystemExit after its last line is not reported."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """Run a function in a new thread and return its result, or raise its error.

    The thread ends before this returns, unless a single library call takes longer than `GRACE_SECONDS`.

    Raises:
        TooLong: it took more than `seconds`.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        _end(thread)
        raise TooLong(f"not done within {seconds:g} s")
    if errors:
        raise errors[0]
    return results[0]


def _end(thread: threading.Thread) -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    while thread.is_alive() and time.monotonic() < deadline:
        # Repeatedly, because the work may catch the exception.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_Stop))
        thread.join(0.05)
