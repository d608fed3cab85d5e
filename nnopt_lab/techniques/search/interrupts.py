"""Notice Ctrl-C even where another library swallows it, as some do while they are imported."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def noticed() -> Iterator[Callable[[], None]]:
    """Record Ctrl-C inside the block; yields a function that raises KeyboardInterrupt if there was one.

    An exception that leaves the block after Ctrl-C becomes a KeyboardInterrupt, because a library may have turned the
    interrupt into it. Outside the main thread, which alone receives signals, nothing is recorded.
    """
    came = []

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield check
        return

    def record(number, frame) -> None:
        came.append(number)
        previous(number, frame)

    signal.signal(signal.SIGINT, record)
    try:
        yield check
        check()
    except Exception:
        check()
        raise
    finally:
        signal.signal(signal.SIGINT, previous)
