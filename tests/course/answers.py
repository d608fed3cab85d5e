"""Answers as a learner would write them."""

from types import FunctionType


def own(function: FunctionType) -> FunctionType:
    """A function of the library as if its text had been typed into a notebook."""
    names = function.__globals__ | {"__name__": "__main__"}
    return FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
