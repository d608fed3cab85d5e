"""Matplotlib is not made for threads, but a notebook has several: the cells' and another one, which handles widgets.

Two that draw at once break each other's formulas and leave their styles behind, so they wait for each other.
"""

import threading
from collections.abc import Callable
from functools import wraps

DRAWING = threading.RLock()  # held while matplotlib draws, lays out or reads its settings


def one_at_a_time(function: Callable) -> Callable:
    """Decorate a function that draws: it waits until no other thread draws."""

    @wraps(function)
    def alone(*args, **kwargs):
        with DRAWING:
            return function(*args, **kwargs)

    return alone
