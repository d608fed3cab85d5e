"""Follow how the notebook's cells ran: of each, the text and the error of its last run.

The kernel's events tell what runs.
"""

import re
from dataclasses import dataclass

from nnopt_lab.course.cell_output import shell


@dataclass
class Run:
    """The last run of a cell.

    Attributes:
        source: what ran.
        error: the name of its class; empty if there was none.
        line: of the cell, where it stopped, if it is known.
        compiled: whether it ran at all.
        is_open: whether it ended inside brackets or a string.
    """

    source: str
    error: str = ""
    line: int | None = None
    compiled: bool = True
    is_open: bool = False

    def defines(self, name: str) -> bool:
        """Whether the text defines a function or class, even if Python can't read it."""
        return _definition(name).search(self.source) is not None

    def stopped_before(self, name: str) -> bool:
        """Whether the run ended with an error before it defined a function."""
        found = list(_definition(name).finditer(self.source))
        if not self.error or not self.compiled or not found or self.line is None:
            return bool(self.error)
        return self.line <= self.source.count("\n", 0, found[-1].start()) + 1


_OPEN = re.compile("incomplete input|was never closed|unterminated|unexpected EOF")

_runs: dict[str, Run] = {}  # by cell, in the order of their last runs
_watched: list = []  # the shell whose events are followed


def watch() -> None:
    """Follow the runs of the notebook's cells, if there is a notebook and it is not followed yet."""
    if shell() is None or shell() in _watched:
        return
    _watched[:] = [shell()]
    _runs.clear()
    shell().events.register("pre_run_cell", _begin)
    shell().events.register("post_run_cell", _end)


def running_source() -> str:
    """The text of the cell that runs, or ran last; "" before the first one."""
    return next((run.source for run in reversed(_runs.values())), "")


def stopped_run(name: str, id: str = "") -> Run | None:
    """The last run of the cell that defines a function, if it stopped before it had defined it; else None.

    Args:
        name: of the function.
        id: of the cell, if it is known.
    """
    last = next((run for key, run in reversed(_runs.items()) if key == id or run.defines(name)), None)
    return last if last and last.stopped_before(name) else None


def _definition(name: str) -> re.Pattern:
    return re.compile(rf"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+{re.escape(name)}\b", re.MULTILINE)


def _key(info) -> str:
    return getattr(info, "cell_id", None) or info.raw_cell


def _begin(info) -> None:
    _runs.pop(_key(info), None)
    _runs[_key(info)] = Run(re.sub(r"\A(?:[ \t]*\n)+", "", info.raw_cell))  # IPython counts lines from the first text


def _end(result) -> None:
    run = _runs.get(_key(result.info)) if result.info else None
    error = result.error_before_exec or result.error_in_exec
    if run and error and not run.source.lstrip().startswith("%%"):  # a cell magic's error has other lines
        run.error, run.compiled = type(error).__name__, result.error_before_exec is None
        run.is_open = isinstance(error, SyntaxError) and bool(_OPEN.search(str(error)))
        run.line = _line(error) if run.compiled else getattr(error, "lineno", None)


def _line(error: BaseException) -> int | None:
    """The line of the cell where the error was raised."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_name != "<module>":
        trace = trace.tb_next
    return trace and trace.tb_lineno
