"""Tell whether a measured time that a cell reveals was disturbed, because another program was busy.

The notebook's cells show which numbers are times (see `slices`), so that no lesson needs to say so.
"""

import ast
from collections.abc import Iterator
from contextlib import suppress

from nnopt_lab.course.cell_output import shell
from nnopt_lab.course.slices import Statement, contains_times, measuring_statements, statements
from nnopt_lab.workbench import smoke
from nnopt_lab.workbench.language import _
from nnopt_lab.workbench.measure.free_cores import is_busy

WIDEST = 1.5  # high end ÷ low end of an undisturbed interval; the lessons' own, on a quiet machine, are below 1.3


def disturbance(name: str, low: float, high: float) -> str:
    """Say what disturbed the times in the number that the current cell reveals, and what to do.

    Args:
        name: of the quantity, as passed to `reveal`.
        low, high: the ends of the number's interval.

    Returns:
        A sentence or two; "" if nothing disturbed them, or the number contains no measured time.
    """
    found = _source_of(name)
    if found is None or not contains_times(*found):
        return ""
    if smoke.on():
        return short_run()
    is_wide = 0 < WIDEST * low < high
    if not (is_wide or is_busy()):
        return ""
    if _is_measured_here(*found):
        return _("Another program was busy during this measurement. Close other programs, then run this cell again.")
    return may_be_disturbed() if is_wide else busy()


def short_run() -> str:
    """That the numbers of smoke mode say nothing."""
    return _("This is a short run (`NNOPT_SMOKE=1`), whose numbers say nothing: start JupyterLab without it.")


def busy() -> str:
    """That other programs are busy, and what to do."""
    return _(
        "Other programs use the processor, so measured times say little. Close them, then run the measuring cell and "
        "this cell again."
    )


def may_be_disturbed() -> str:
    """That another program may have been busy, and what to do."""
    return _(
        "This compares measured times, which another program may have disturbed. Close other programs, then run the "
        "measuring cell and this cell again."
    )


def _source_of(name: str) -> tuple[ast.expr, list[Statement]] | None:
    """The number that the current cell reveals under a name, as it is written, and the statements before; or None."""
    notebook = shell()
    if notebook is None:
        return None
    *earlier, cell = notebook.history_manager.input_hist_parsed
    current = statements([cell])
    for place, statement in enumerate(current):
        for call in _reveals_in(statement.node):
            with suppress(ValueError, IndexError):  # the name is computed, or the call has keywords only
                if ast.literal_eval(call.args[0]) == name:
                    number = call.args[1]
                    written = number.value if isinstance(number, ast.Starred) else number
                    return written, [*statements(earlier), *current[:place]]
    return None


def _reveals_in(node: ast.stmt) -> Iterator[ast.Call]:
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and getattr(part.func, "id", "") == "reveal":
            yield part


def _is_measured_here(number: ast.expr, before: list[Statement]) -> bool:
    """Whether the current cell itself measures the times in a number, perhaps with functions from cells above."""
    here = statements([shell().history_manager.input_hist_parsed[-1]])
    own = {id(statement) for statement in here}
    above = (s.node for s in measuring_statements(number, before) if id(s) not in own)
    return all(isinstance(node, ast.FunctionDef) for node in above)
