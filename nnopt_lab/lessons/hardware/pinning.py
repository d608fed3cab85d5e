"""Restrict this process to one core, as `taskset` does for a new one."""

import contextlib
import os
from collections.abc import Callable


def on_one_core(call: Callable[[], object]) -> object:
    """`call()`, with every thread of this process on one core; None if the system does not support that."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    usual = os.sched_getaffinity(0)
    _allow({max(usual)})
    try:
        return call()
    finally:
        _allow(usual)


def _allow(cores: set[int]) -> None:
    """Restrict the threads that there are, and those that they start."""
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # this thread has ended
            os.sched_setaffinity(int(task), cores)
