"""Judge claims, above all those that compare measured times.

On a busy machine, measured times say little: there, such a claim is not judged. Elsewhere, one that fails is measured
again once, because a single disturbance should not decide. The cells that ran before the claim show how: the statements
that measured its times run again, in a copy of the notebook's variables, without output.
"""

import ast
import random
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

import numpy as np
import torch

from nnopt_lab.course.cell_output import shell
from nnopt_lab.course.measured_values import measured_values
from nnopt_lab.course.record import NOT_JUDGED
from nnopt_lab.course.slices import Statement, contains_times, measuring_statements, overwritten, statements
from nnopt_lab.workbench import smoke
from nnopt_lab.workbench.measure.free_cores import is_busy

_busy_in_cell: list[bool] = []  # one result per cell, because each takes a tenth of a second


@dataclass(frozen=True)
class Judgement:
    """Whether a claim is true.

    Attributes:
        holds: True, False or NOT_JUDGED.
        again: whether its times were measured a second time.
        measured: a sentence with the values that a false one compared, or "".
    """

    holds: bool | str
    again: bool = False
    measured: str = ""


def judge(condition: bool | Callable[[], object], call: FrameType, text: str, timing: bool) -> Judgement:
    """Judge the condition of a claim.

    Args:
        condition: a truth value or a function that returns one.
        call: the frame that called `claim`.
        text: the claim's, in English.
        timing: whether it compares measured times.
    """
    if timing and not smoke.on():  # in smoke mode, times are meaningless on any machine
        return _judge_times(condition, call, text)
    holds = truth(condition)
    return Judgement(holds, measured="" if holds else _measured(call, text))


def _judge_times(condition: bool | Callable[[], object], call: FrameType, text: str) -> Judgement:
    if shell() is None:
        _busy_in_cell.clear()
    if not _busy_in_cell:
        _busy_in_cell.append(is_busy())
    if _busy_in_cell[0]:
        return Judgement(NOT_JUDGED)
    if truth(condition):
        return Judgement(True)
    second = _measured_again(condition, call, text)
    if is_busy():
        return Judgement(NOT_JUDGED, second is not None)
    return second or Judgement(False, measured=_measured(call, text))


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


def _measured_again(condition, call: FrameType, text: str) -> Judgement | None:
    """The judgement with new times; None if it is not known how to measure them."""
    found = _source_of(call)
    if found is None:
        return Judgement(truth(condition), True) if callable(condition) else None
    written, before = found
    needed = measuring_statements(written, before)
    if overwritten(needed, before) or not (needed or contains_times(written, before)):
        return None
    names = _copied_names(call.f_globals)
    try:
        with _unnoticed():
            exec(compile(ast.Module([s.node for s in needed], []), "<measured again>", "exec"), names)
            holds = truth(eval(compile(ast.Expression(written), "<measured again>", "eval"), names))
            return Judgement(holds, True, "" if holds else _values(written, names, text))
    except Exception:  # the learner's variables may have changed in any way since
        return None


def _measured(call: FrameType, text: str) -> str:
    """What a false claim compared, in a sentence; "" if that is not known."""
    found = _source_of(call)
    if found is None:
        return ""
    with _unnoticed():
        return _values(found[0], _copied_names(call.f_globals | call.f_locals), text)


def _values(written: ast.expr, names: dict, text: str) -> str:
    with suppress(Exception):  # a second evaluation may differ from the first in any way
        return measured_values(written, names, text)
    return ""


def _copied_names(names: dict) -> dict:
    return {name: v.clone_state() if isinstance(v, torch.Generator) else v for name, v in names.items()}


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
