"""Judge claims that compare measured times.

On a busy machine, measured times say little: there, such a claim is not judged. Elsewhere, one that fails is measured
again once, because a single disturbance should not decide. The cells that ran before the claim show how: the statements
that measured its times run again, in a copy of the notebook's variables, without output.
"""

import ast
import random
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from types import FrameType

import numpy as np
import torch

from nnopt_lab.course.cell_output import shell
from nnopt_lab.course.record import NOT_JUDGED
from nnopt_lab.course.slices import Statement, contains_times, measuring_statements, overwritten, statements
from nnopt_lab.workbench import smoke
from nnopt_lab.workbench.measure.free_cores import is_busy

_busy_in_cell: list[bool] = []  # one result per cell, because each takes a tenth of a second


def judge(condition: bool | Callable[[], object], call: FrameType) -> tuple[bool | str, bool]:
    """Judge a condition that compares measured times.

    Args:
        condition: a truth value or a function that returns one.
        call: the frame that called `claim`.

    Returns:
        (True, False or NOT_JUDGED, whether it was measured a second time).
    """
    if smoke.on():  # its times are meaningless on any machine
        return truth(condition), False
    if shell() is None:
        _busy_in_cell.clear()
    if not _busy_in_cell:
        _busy_in_cell.append(is_busy())
    if _busy_in_cell[0]:
        return NOT_JUDGED, False
    if truth(condition):
        return True, False
    second = _measured_again(condition, call)
    if is_busy():
        return NOT_JUDGED, second is not None
    return bool(second), second is not None


def end_cell() -> None:
    """Forget whether the machine was busy: the next cell finds out itself."""
    _busy_in_cell.clear()


def truth(condition) -> bool:
    """The truth value of a condition, or of what it returns if it is a function."""
    return bool(condition() if callable(condition) else condition)


def check_claims(cells: Sequence[str], where: str) -> None:
    """Refuse a lesson in which a claim compares measured times and doesn't say so, or can't be measured again.

    Args:
        cells: the source of its code cells.
        where: the lesson's name, for the message.

    Raises:
        ValueError: such a claim has no argument `timing`, or one with `timing=True` has no measurement above it.
    """
    before = statements(cells)
    for place, statement in enumerate(before):
        for call in _claims_in(statement.node):
            condition, timing = _argument(call, "condition", 1), _argument(call, "timing", 3)
            if condition is None:
                continue
            text, above = ast.unparse(call.args[0] if call.args else call), before[:place]
            needed = measuring_statements(condition, above)
            timed = bool(needed) or contains_times(condition, above)
            if timing is None and timed:
                raise ValueError(
                    f"{where}: the claim {text} compares measured times, so it needs timing=True; write timing=False "
                    "if the times do not decide it."
                )
            if not (isinstance(timing, ast.Constant) and timing.value):
                continue
            if not timed:
                raise ValueError(f"{where}: the claim {text} has timing=True, but no time was measured for it.")
            if lost := overwritten(needed, above):
                raise ValueError(
                    f"{where}: the claim {text} can't be measured again, because {', '.join(sorted(lost))} has "
                    "another value by then: rename one of the two."
                )


def _measured_again(condition, call: FrameType) -> bool | None:
    """The condition's truth value with new times; None if it is not known how to measure them."""
    found = _source_of(call)
    if found is None:
        return truth(condition) if callable(condition) else None
    written, before = found
    needed = measuring_statements(written, before)
    if overwritten(needed, before) or not (needed or contains_times(written, before)):
        return None
    namespace = {
        name: value.clone_state() if isinstance(value, torch.Generator) else value
        for name, value in call.f_globals.items()
    }
    try:
        with _unnoticed():
            exec(compile(ast.Module([s.node for s in needed], []), "<measured again>", "exec"), namespace)
            return truth(eval(compile(ast.Expression(written), "<measured again>", "eval"), namespace))
    except Exception:  # the learner's variables may have changed in any way since
        return None


def _source_of(call: FrameType) -> tuple[ast.expr, list[Statement]] | None:
    """The condition as it is written in the cell that runs, and the statements before; None outside a notebook."""
    notebook = shell()
    if notebook is None or call.f_globals is not notebook.user_ns:
        return None
    *earlier, cell = notebook.history_manager.input_hist_parsed
    before, current = statements(earlier), statements([cell])
    line, end_line, column, end_column = list(call.f_code.co_positions())[call.f_lasti // 2]
    for place, statement in enumerate(current):
        for node in _claims_in(statement.node):
            at = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
            if at == (line, end_line, column, end_column):
                written = _argument(node, "condition", 1)
                return None if written is None else (written, [*before, *current[:place]])
    return None


@contextmanager
def _unnoticed():
    """Without output, figures or a change of the random numbers that the notebook will draw."""
    from IPython.utils.capture import capture_output

    plt = sys.modules.get("matplotlib.pyplot")
    shown = set(plt.get_fignums()) if plt else set()
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        with capture_output(), torch.random.fork_rng():
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        for number in set(plt.get_fignums()) - shown if plt else ():
            plt.close(number)


def _claims_in(node: ast.stmt) -> list[ast.Call]:
    calls = (part for part in ast.walk(node) if isinstance(part, ast.Call))
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "claim"]


def _argument(call: ast.Call, name: str, place: int) -> ast.expr | None:
    if len(call.args) > place:
        return call.args[place]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)
