"""Show every card and box of a notebook cell, not only the last one."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

from nnopt_lab.workbench.paths import in_colab, root

NOTEBOOK = "JPY_SESSION_NAME"  # the variable in which Jupyter's server tells a kernel the path of its notebook

_waiting: list = []  # the current cell's last result, not shown yet


def shell():
    """The notebook's IPython shell, or None outside a notebook."""
    ipython = sys.modules.get("IPython")  # if it has not been imported, this is not a notebook
    return ipython and ipython.get_ipython()


def has_learner() -> bool:
    """Whether JupyterLab shows this notebook, so that the kernel's buttons can be pressed, and it is no solved one."""
    ipython, path = shell(), os.environ.get(NOTEBOOK)
    if not (path and hasattr(ipython, "kernel")) or in_colab() or "__vsc_ipynb_file__" in ipython.user_ns:  # VS Code's
        return False
    return not Path(path).resolve().is_relative_to(root() / "solutions")


def seen(function: Callable) -> Callable:
    """Decorator: a notebook shows the function's result exactly once, wherever in a cell it is called."""

    @functools.wraps(function)
    def shown(*arguments, **keywords):
        result = function(*arguments, **keywords)
        if shell() is not None:
            _announce(result)
        return result

    return shown


def seen_at_once(function: Callable) -> Callable:
    """Decorator: a notebook shows the function's card when it is called, above whatever else the cell shows."""

    @functools.wraps(function)
    def shown(*arguments, **keywords):
        card = function(*arguments, **keywords)
        if shell() is not None:
            _display(card)
            object.__setattr__(card, "_ipython_display_", lambda: None)  # not again as the cell's last expression
        return card

    return shown


def _announce(result) -> None:
    # Not shown at once, because the notebook itself shows a cell's last expression, which can't be prevented.
    if _waiting:
        _display(_waiting.pop())
    else:
        shell().events.register("post_run_cell", _end_cell)
    _waiting.append(result)


def _end_cell(cell=None) -> None:
    shell().events.unregister("post_run_cell", _end_cell)
    last = _waiting.pop()
    if last is not getattr(cell, "result", None):
        _display(last)


def _display(result) -> None:
    from IPython.display import display

    display(result)
