"""Run a line of the bug hunt's program, and show what it gives, folded until the hunt is over."""

import torch
from IPython.display import display
from torch import nn

from nnopt_lab.course.cards import fold
from nnopt_lab.lessons.start_here.bug_hunt import handed_in
from nnopt_lab.workbench.language import _


def attempt(code: str, **names) -> None:
    """Run code and show its value or its error.

    Args:
        code: an expression, or one statement, which may use `torch` and `nn`.
        names: further names that it may use.
    """
    given = _given(code, {"torch": torch, "nn": nn, **names})
    folded = fold(_("What this line gives"), ("", given), is_open=handed_in())
    display({"text/plain": given, "text/html": folded}, raw=True)


def _given(code: str, names: dict) -> str:
    try:
        try:
            runnable = compile(code, "<line>", "eval")
        except SyntaxError:
            exec(code, names)
            return _("runs")
        return repr(eval(runnable, names))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
