"""Run a line of the bug hunt's program, and show the error that it raises."""

import torch
from torch import nn

from nnopt_lab.workbench.language import _


def attempt(code: str, **names) -> None:
    """Run code and print its error, or that it runs.

    Args:
        code: Python, which may use `torch` and `nn`.
        names: further names that it may use.
    """
    try:
        exec(code, {"torch": torch, "nn": nn, **names})
        print(_("runs"))
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
