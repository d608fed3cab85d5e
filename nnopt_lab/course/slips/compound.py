"""Two mistakes at once: one or two of an exercise's declared wrong answers, and perhaps a slip."""

from collections.abc import Sequence
from itertools import combinations

from nnopt_lab.course.differences import agree
from nnopt_lab.course.display import ignoring_faults
from nnopt_lab.course.slips.lossy import lost
from nnopt_lab.course.slips.numbers import DISTINCT
from nnopt_lab.course.slips.search import slip
from nnopt_lab.course.slips.values import flat
from nnopt_lab.workbench.language import Message

Declared = tuple[str, list]  # a wrong answer's sentence, and its results for all cases


def two_mistakes(declared: Sequence[Declared], values: list, wanted: list, tolerance: float) -> str | None:
    """A sentence if all results look like two mistakes of which one is declared, else None.

    Args:
        declared: the exercise's wrong answers, without those that raise an error in a case.
        values: the results, one per case.
        wanted: the reference's results.
        tolerance: of the exercise.
    """
    if _same_numbers(values, wanted, tolerance):
        return None  # a float tensor instead of an integer one, for example: one mistake, and none of the declared
    varied = [one for one in declared if _vary(one[1], tolerance)]
    return _with_a_slip(varied, values, tolerance) or _both(varied, values, wanted, tolerance)


def sometimes(declared: Sequence[Declared], values: list, wrong: list[bool], tolerance: float) -> str | None:
    """A sentence if all wrong results are those of one declared wrong answer, or of two, else None.

    Args:
        declared, values, tolerance: as in `two_mistakes`.
        wrong: whether each case is.
    """
    failing = [n for n, its in enumerate(wrong) if its]
    fits = [(sentence, {n for n in failing if agree(values[n], its[n], tolerance)}) for sentence, its in declared]
    fits = [(sentence, cases) for sentence, cases in fits if _vary([values[n] for n in cases], tolerance)]
    for sentence, cases in fits:
        if len(cases) == len(failing):
            return Message("The wrong ones look like this mistake: {sentence}", sentence=sentence)
    for (first, ones), (second, others) in combinations(fits, 2):
        if len(ones | others) == len(failing) and _vary([values[n] for n in others - ones], tolerance):
            return Message(
                "The wrong ones look like two mistakes: (1) {first} (2) {second}", first=first, second=second
            )
    return None


def _same_numbers(values: list, wanted: list, tolerance: float) -> bool:
    with ignoring_faults():  # results of another structure
        pairs = (flat(value, its) for value, its in zip(values, wanted, strict=True))
        return all(agree(got, its, tolerance) for got, its in pairs)
    return False


def _vary(values: list, tolerance: float) -> bool:
    distinct = []
    for value in values:
        if len(distinct) < DISTINCT and not any(agree(value, other, tolerance) for other in distinct):
            distinct.append(value)
    return len(distinct) >= DISTINCT


def _with_a_slip(declared: Sequence[Declared], values: list, tolerance: float) -> str | None:
    for sentence, its in declared:

        def accepts(n: int, value, its=its) -> bool:
            return agree(value, its[n], tolerance)

        first = next((n for n, value in enumerate(values) if not accepts(n, value)), 0)
        second = slip(values, its, first, accepts) or lost(values, its, tolerance)
        if second:
            return _two(sentence, second)
    return None


def _both(declared: Sequence[Declared], values: list, wanted: list, tolerance: float) -> str | None:
    """Mistakes that change the result independently: both add something to it, or multiply it."""
    with ignoring_faults():  # results of another structure
        got = [flat(value, its)[0] for value, its in zip(values, wanted, strict=True)]
        right = [flat(its, its)[0] for its in wanted]
        wrong = [(sentence, [flat(t, w)[0] for t, w in zip(its, wanted, strict=True)]) for sentence, its in declared]
        for (first, a), (second, b) in combinations(wrong, 2):
            for change in (lambda x, y, w: x + y - w, lambda x, y, w: x * y / w):
                both = (change(x, y, w) for x, y, w in zip(a, b, right, strict=True))
                if all(agree(g, its, max(tolerance, 1e-6)) for g, its in zip(got, both, strict=True)):
                    return _two(first, second)
    return None


def _two(first: str, second: str) -> Message:
    return Message("Two mistakes at once: (1) {first} (2) {second}", first=first, second=second)
