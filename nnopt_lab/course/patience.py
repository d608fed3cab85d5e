"""A time limit for a learner's function, which may never end.

After the limit, a thread sends the main thread what Ctrl-C sends, and its handler raises `TooLong`. An answer that
catches it, too, meets it again every second, and from the second time on also in the next line of its own that runs,
which is one of its `except` block. Only nested `try` statements that catch everything go on, or a single call of a
library that does not return; then the kernel must be restarted.
"""

import _thread
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nnopt_lab.course.own_lines import is_own

AGAIN = 1.0  # seconds until an answer that went on is stopped again


class TooLong(KeyboardInterrupt):
    """The function was still running at its time limit; not caught where errors of a learner's value are ignored."""


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Raise `TooLong` in this block after `seconds`; Ctrl-C keeps its meaning.

    Outside the main thread, which alone can be interrupted, or without a handler for Ctrl-C, there is no limit.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    ended, rings, tracing = threading.Event(), [], sys.gettrace()

    def ring() -> None:
        wait = seconds
        while not ended.wait(wait):
            rings.append(wait)
            wait = AGAIN
            _interrupt()

    def handle(number: int, frame: FrameType | None) -> None:
        if not rings:
            before(number, frame)
        elif not ended.is_set():
            if len(rings) > 1:
                _raise_in_next_line(frame)
            raise TooLong

    clock = threading.Thread(target=ring, daemon=True)
    signal.signal(signal.SIGINT, handle)
    try:
        try:
            clock.start()
            yield
        finally:
            ended.set()
    finally:
        clock.join()
        sys.settrace(tracing)
        signal.signal(signal.SIGINT, before)


def _interrupt() -> None:
    if os.name == "nt":
        _thread.interrupt_main()
    else:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # which ends a sleep, too


def _raise_in_next_line(frame: FrameType | None) -> None:
    def trace(frame: FrameType, event: str, argument) -> None:
        if event == "line":
            raise TooLong

    while frame is not None and is_own(frame.f_code.co_filename):
        frame.f_trace = trace
        frame = frame.f_back
    sys.settrace(trace)
