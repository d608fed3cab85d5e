"""Cards and boxes in a notebook's cell: each is shown, not only the one that the cell ends with."""

import functools
import sys
from collections.abc import Callable

_waiting: list = []  # what the present cell has made last, and not shown yet


def shell():
    """The notebook's IPython shell, or None where this is no notebook."""
    ipython = sys.modules.get("IPython")  # where it has not been imported, this is none
    return ipython and ipython.get_ipython()


def seen(function: Callable) -> Callable:
    """Decorator: what the function returns is shown in a notebook wherever in a cell it is called, and once."""

    @functools.wraps(function)
    def shown(*arguments, **keywords):
        result = function(*arguments, **keywords)
        if shell() is not None:
            _announce(result)
        return result

    return shown


def _announce(result) -> None:
    # Not shown at once: the notebook itself shows a cell's last expression, and nothing can tell it not to.
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
