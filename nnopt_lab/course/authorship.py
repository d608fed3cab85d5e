"""Find out whose code an answer is: the learner's own, or this library's, which earns no points.

If an exercise is blank, the lesson continues with the library's function under the name of the learner's. So two things
are checked: which function an answer is, and which functions it calls.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from types import FrameType

PACKAGE = __name__.partition(".")[0]
# Attributes with the wrapped function, of torch.compile, torch.jit.script, methods, and functools' C wrappers.
_INNER = ("_torchdynamo_orig_callable", "_torchdynamo_inline", "__func__", "func", "__wrapped__")
_DEEPEST = 10
# Code that Python runs on its own when it imports a module or cleans up.
_PYTHONS_OWN = ("importlib._bootstrap", "weakref")
_MACHINERY = f"{PACKAGE}.course."  # a print inside an answer ends up here, but no reference is defined here


def library_function(answer) -> str:
    """The name of the library's function or class if `answer` is one, else "".

    Aliases count, and partial, cached, compiled and bound functions are unwrapped.
    """
    for _ in range(_DEEPEST):
        if inspect.isfunction(answer) and not hasattr(answer, _INNER[0]):
            return answer.__qualname__ if _is_ours(answer.__globals__.get("__name__")) else ""
        try:
            inner = next((getattr(answer, name) for name in _INNER if callable(getattr(answer, name, None))), None)
        except Exception:  # an object whose attributes raise
            return ""
        if inner is None:
            break
        answer = inner
    named = answer if isinstance(answer, type) else type(answer)
    return named.__qualname__ if _is_ours(named.__module__) else ""


def watched(function: Callable, called: list[str]) -> Callable:
    """Wrap a function so that the name of the first library function that it calls is added to `called`."""

    def note(frame: FrameType, event: str, argument) -> None:
        if event == "call" and not called and _counts(frame):
            called.append(frame.f_code.co_qualname.rpartition(".<locals>.")[2])

    def run(*inputs):
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            return function(*inputs)
        finally:
            sys.setprofile(before)

    return run


def _counts(frame: FrameType) -> bool:
    """Whether a frame runs library code that the answer called."""
    module = frame.f_globals.get("__name__")
    if not _is_ours(module) or module.startswith(_MACHINERY):
        return False
    return not any(
        caller.f_code.co_name == "__del__" or caller.f_globals.get("__name__") in _PYTHONS_OWN
        for caller in _stack(frame)
    )


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the frame and its callers, up to `watched`."""
    while frame is not None and frame.f_globals is not globals():
        yield frame
        frame = frame.f_back


def _is_ours(module) -> bool:
    return isinstance(module, str) and module.partition(".")[0] == PACKAGE
