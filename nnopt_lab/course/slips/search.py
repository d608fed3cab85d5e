"""Search for the slips that explain all results."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, permutations

from torch import Tensor

from nnopt_lab.course.differences import count_values, in_part, size
from nnopt_lab.course.display import ignoring_faults, show
from nnopt_lab.course.slips.numbers import DISTINCT, Slip, affine, of_numbers
from nnopt_lab.course.slips.places import missing, moved
from nnopt_lab.course.slips.values import as_list
from nnopt_lab.workbench.language import Message

MOST_RESULTS = 4
MOST_SLIPS = 40  # of which pairs are tried
SPARE = 64  # numbers allowed beyond twice the expected count: a huge result would take long, and is not a slip


def slip(
    values: Sequence, wanted: Sequence, first: int, accepts: Callable[[int, object], bool], *, two: bool = False
) -> str | None:
    """A sentence if all results are wrong in the same way, else None.

    Args:
        values: the results, one per case.
        wanted: the reference's results.
        first: index of a case with a wrong result.
        accepts: a function (index of a case, result) → whether the exercise accepts it.
        two: whether to look for two slips at once, which takes longer, instead of one.
    """
    with ignoring_faults():  # results may be anything, such as lists whose methods raise
        pairs = zip(values, wanted, strict=True)
        limits = ((value, 2 * size(its) + SPARE) for value, its in pairs)
        if not all(count_values(value, limit) <= limit for value, limit in limits):
            return None
        if two:
            return _two(values, wanted, first, accepts)
        return _one(values, wanted, first, accepts) or missing(values, wanted)
    return None


def _one(values: Sequence, wanted: Sequence, first: int, accepts: Callable[[int, object], bool]) -> str | None:
    numbers = (first, *(n for n in range(len(values)) if n != first))
    for sentence, undo in _slips(values, wanted, first):
        with ignoring_faults():
            if all(accepts(n, undo(values[n])) for n in numbers):
                return sentence
    return None


def _two(values: Sequence, wanted: Sequence, first: int, accepts: Callable[[int, object], bool]) -> str | None:
    if len({show(its) for its in wanted}) < DISTINCT:
        return None
    slips = list(_slips(values, wanted, first))
    if len(slips) > MOST_SLIPS:
        return None
    for sentence, undo in slips:
        with ignoring_faults():
            inner = _one([undo(value) for value in values], wanted, first, accepts)
            if inner:
                return Message("Two mistakes at once: (1) {first} (2) {second}", first=inner, second=sentence)
    return None


def swapped_arguments(
    inputs: Sequence[tuple], names: Sequence[str], matches: Callable[[int, tuple], bool]
) -> str | None:
    """A sentence if the results are right for two exchanged arguments, else None.

    Args:
        inputs: the arguments of each case.
        names: of the arguments.
        matches: a function (index of a case, arguments) → whether the reference's result for them is the learner's.
    """
    for i, j in combinations(range(len(names)), 2):
        if not all(_exchangeable(case[i], case[j]) for case in inputs):
            continue
        exchanged = [(*case[:i], case[j], *case[i + 1 : j], case[i], *case[j + 1 :]) for case in inputs]
        if all(matches(n, case) for n, case in enumerate(exchanged)):
            return Message(
                "Your result is right for `{one}` and `{other}` exchanged. Check where you use which.",
                one=names[i],
                other=names[j],
            )
    return None


def _exchangeable(a, b) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.dtype == b.dtype and a.shape == b.shape
    return type(a) is type(b) and not isinstance(a, (str, bool))


def _slips(values: Sequence, wanted: Sequence, first: int) -> Iterator[Slip]:
    count = _count(values, wanted)
    for order in permutations(range(count)) if count else ():
        if order != tuple(range(count)):
            two = Message("Your two results are right, but swapped. Check the order in which you return them.")
            more = Message("Your results are right, but in another order. Check the order in which you return them.")
            yield (two if count == 2 else more), lambda v, order=order: [as_list(v)[i] for i in order]
    yield from of_numbers(values[first], wanted[first])
    yield from moved(values[first])
    yield from affine(values, wanted, first)
    for i in range(count):
        for sentence, undo in (*of_numbers(values[first][i], wanted[first][i]), *moved(values[first][i])):
            yield (
                in_part(wanted[first], i, sentence),
                lambda v, i=i, undo=undo: [*as_list(v)[:i], undo(v[i]), *v[i + 1 :]],
            )


def _count(values: Sequence, wanted: Sequence) -> int:
    """The number of results per case, if all cases have as many as they should; else 0."""
    counts = {len(v) if isinstance(v, (list, tuple)) else 0 for v in (*values, *wanted)}
    count = counts.pop() if len(counts) == 1 else 0
    return count if 2 <= count <= MOST_RESULTS else 0
