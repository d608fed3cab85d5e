"""Notice that an exercise's cell stopped with an error, so that its name still stands for an older function.

The kernel's events tell what runs. Only the last run of each cell is kept, and of it only the text and the error.
"""

import re
from dataclasses import dataclass

from nnopt_lab.course.cards import Card
from nnopt_lab.course.cell_output import shell
from nnopt_lab.course.exercises import Exercise, cell_id
from nnopt_lab.workbench.language import _, translated


@dataclass
class _Run:
    source: str
    error: str = ""  # the name of its class; empty if there is none
    line: int | None = None  # of the cell, where it stopped
    compiled: bool = True

    def defines(self, name: str) -> bool:
        return _definition(name).search(self.source) is not None

    def stopped_before(self, name: str) -> bool:
        """Whether the run ended with an error before it defined a function."""
        found = list(_definition(name).finditer(self.source))
        if not self.error or not self.compiled or not found or self.line is None:
            return bool(self.error)
        return self.line <= self.source.count("\n", 0, found[-1].start()) + 1


_runs: dict[str, _Run] = {}  # by cell, in the order of their last runs
_watched: list = []  # the shell whose events are followed


def watch() -> None:
    """Follow the runs of the notebook's cells, if there is a notebook and it is not followed yet."""
    if shell() is None or shell() in _watched:
        return
    _watched[:] = [shell()]
    _runs.clear()
    shell().events.register("pre_run_cell", _begin)
    shell().events.register("post_run_cell", _end)


def failed_card(exercise: Exercise) -> Card | None:
    """The card for an exercise whose cell stopped before it defined the answer in its last run; else None."""
    id, name = cell_id("exercise", exercise.id), exercise.name
    last = next((run for key, run in reversed(_runs.items()) if key == id or run.defines(name)), None)
    if last is None or not last.stopped_before(name):
        return None
    title = _("{exercise}: not checked", exercise=translated(exercise.title))
    again = _("Correct that cell and run it again, then this one. This did not count as a try.")
    return Card(title, "quiet", (_what_stopped(last), again))


def _what_stopped(run: _Run) -> str:
    if run.line is None:
        return _("Your cell above stopped with an error ({error}), so this is your earlier version.", error=run.error)
    return _(
        "Your cell above stopped with an error ({error}, line {line}), so this is your earlier version.",
        error=run.error,
        line=run.line,
    )


def _definition(name: str) -> re.Pattern:
    return re.compile(rf"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+{re.escape(name)}\b", re.MULTILINE)


def _key(info) -> str:
    return getattr(info, "cell_id", None) or info.raw_cell


def _begin(info) -> None:
    _runs.pop(_key(info), None)
    _runs[_key(info)] = _Run(re.sub(r"\A(?:[ \t]*\n)+", "", info.raw_cell))  # IPython counts lines from the first text


def _end(result) -> None:
    run = _runs.get(_key(result.info)) if result.info else None
    error = result.error_before_exec or result.error_in_exec
    if run and error and not run.source.lstrip().startswith("%%"):  # a cell magic's error has other lines
        run.error, run.compiled = type(error).__name__, result.error_before_exec is None
        run.line = _line(error) if run.compiled else getattr(error, "lineno", None)


def _line(error: BaseException) -> int | None:
    """The line of the cell where the error was raised."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_name != "<module>":
        trace = trace.tb_next
    return trace and trace.tb_lineno
