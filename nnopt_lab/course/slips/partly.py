"""Answers that are right for some inputs: for how many, and what the others have in common."""

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations

from torch import Tensor

from nnopt_lab.course.display import ignoring_faults, show
from nnopt_lab.workbench.language import Message

FEWEST = 3  # right and wrong cases from which a condition is read: fewer may share it by chance


def partly_right(inputs: Sequence[tuple], names: Sequence[str], wrong: Sequence[bool]) -> str | None:
    """A sentence if some cases are right and some wrong, else None.

    Args:
        inputs: the arguments of each case.
        names: of the arguments.
        wrong: whether each case is.
    """
    right = wrong.count(False)
    if not 0 < right < len(wrong):
        return None
    counts = {"right": right, "all": len(wrong)}
    if min(right, len(wrong) - right) >= FEWEST:
        for sentence, holds in _conditions(inputs, names, wrong):
            with ignoring_faults():
                if all(bool(holds(case)) is its for case, its in zip(inputs, wrong, strict=True)):
                    return Message(
                        "Your result is right for {right} of {all} inputs, and wrong exactly where {condition}.",
                        **counts,
                        condition=sentence,
                    )
    return Message("Your result is right for {right} of {all} inputs.", **counts)


def _conditions(inputs: Sequence[tuple], names: Sequence[str], wrong: Sequence[bool]) -> Iterator[tuple]:
    """Yield conditions on a case: a text, and a function of the case's arguments."""
    for i, name in enumerate(names):
        kinds = {type(case[i]) for case in inputs}
        for sentence, holds in _of_kind(kinds, name):
            yield sentence, lambda case, i=i, holds=holds: holds(case[i])
        if kinds <= {int, float}:
            yield from _limits(inputs, i, name, wrong)
    for i, j in permutations(range(len(names)), 2):
        if all(type(case[k]) in (int, float) for case in inputs for k in (i, j)):
            two = {"one": names[i], "other": names[j]}
            yield Message("`{one}` is greater than `{other}`", **two), lambda case, i=i, j=j: case[i] > case[j]
            if all(type(case[k]) is int for case in inputs for k in (i, j)):
                divides = Message("`{one}` is not divisible by `{other}`", **two)
                yield divides, lambda case, i=i, j=j: case[i] % case[j] != 0
                yield Message("`{one}` equals `{other}`", **two), lambda case, i=i, j=j: case[i] == case[j]


def _of_kind(kinds: set[type], name: str) -> Iterator[tuple[Message, Callable]]:
    """Yield conditions on one argument, whose types in all cases are `kinds`."""
    if kinds == {bool}:
        yield Message("`{name}` is True", name=name), lambda value: value
        yield Message("`{name}` is False", name=name), lambda value: not value
    elif kinds == {int}:
        yield Message("`{name}` is odd", name=name), lambda value: value % 2 == 1
        yield Message("`{name}` is even", name=name), lambda value: value % 2 == 0
    elif kinds <= {list, tuple}:
        yield Message("`{name}` has an odd length", name=name), lambda value: len(value) % 2 == 1
        yield Message("`{name}` has an even length", name=name), lambda value: len(value) % 2 == 0
        yield Message("`{name}` contains equal values", name=name), lambda value: len(set(value)) < len(value)
        yield Message("`{name}` contains 0", name=name), lambda value: 0 in value
        yield Message("`{name}` contains negative values", name=name), lambda value: min(value) < 0
        yield Message("`{name}` is not sorted", name=name), lambda value: sorted(value) != value
    elif all(issubclass(kind, Tensor) for kind in kinds):
        yield Message("`{name}` contains NaN", name=name), lambda value: value.isnan().any()
        yield Message("`{name}` contains 0", name=name), lambda value: (value == 0).any()
        yield Message("`{name}` contains negative values", name=name), lambda value: (value < 0).any()
        yield Message("`{name}` contains equal values", name=name), lambda value: len(value.unique()) < value.numel()
        yield Message("`{name}` is not square", name=name), lambda value: len(set(value.shape)) > 1


def _limits(inputs: Sequence[tuple], i: int, name: str, wrong: Sequence[bool]) -> Iterator[tuple[Message, Callable]]:
    fails, passes = [], []
    for case, its in zip(inputs, wrong, strict=True):
        (fails if its else passes).append(case[i])
    above, below = max(passes), min(passes)
    yield Message("`{name}` is above {limit}", name=name, limit=show(above)), lambda case: case[i] > above
    yield Message("`{name}` is below {limit}", name=name, limit=show(below)), lambda case: case[i] < below
    if len(set(fails)) == 1:
        yield Message("`{name}` is {value}", name=name, value=show(fails[0])), lambda case: case[i] == fails[0]
    if len(set(passes)) == 1:
        yield Message("`{name}` is not {value}", name=name, value=show(passes[0])), lambda case: case[i] != passes[0]
