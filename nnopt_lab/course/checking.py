"""Check an answer: compare it with its reference on fresh inputs, and name its mistake.

`examine` returns a verdict and shows nothing; `check` in `nnopt_lab.course.calls` shows the verdict on a card.
"""

import inspect
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from nnopt_lab.course.authorship import library_function, watched
from nnopt_lab.course.call_text import call_text
from nnopt_lab.course.differences import (
    agree,
    as_wanted,
    clue,
    comparable,
    count_values,
    difference,
    first_difference,
    gap,
    side_by_side,
)
from nnopt_lab.course.display import ignoring_faults, let_interrupts_through, show
from nnopt_lab.course.exercises import Exercise, Property, Question
from nnopt_lab.course.own_lines import told
from nnopt_lab.course.printouts import Printouts
from nnopt_lab.course.seals import opened
from nnopt_lab.course.slips import lost, misplaced, partly_right, slip, sometimes, swapped_arguments, two_mistakes
from nnopt_lab.workbench.language import Message, joined

CASES = 16
LIMIT, SLOWER = 30, 100
_LONGEST = 900  # characters of an input
MOST = 20_000  # values in a result; a larger one is wrong, and an exercise's own comparison could take hours


@dataclass(frozen=True)
class Verdict:
    """The result of `examine`.

    Attributes:
        state: "passed", "failed", "blank", "raised", "unusable" (not a function, or with the wrong arguments),
            "library" (the library's own function) or "borrowed" (right, but only by calling the library's function).
        mistake: a description of the mistake; empty after a pass and for a blank answer.
        wrong_answer: index of the exercise's wrong answer that this one behaves like, or None.
        inputs: the first inputs that failed, by argument.
        got, wanted: the result for them and the expected one, as text; ✗ and ✓ mark the values that differ. Of long
            results, `got` is a table of the places that differ, and `wanted` is empty.
        credit: share of the points, 0 to 1, that a grader gives: 1 for a pass, ½ if the results are right and only an
            input was changed, else the sum of the declared properties' credits that it earns.
        case: index of the case that the card shows.
        error: the class's name of the error that was raised, or "".
        place: of the first value that ✗ and ✓ mark, such as "[2]", or "".
        call: the call with these inputs as code, or "" if it would be long.
        summary: of long results, how much differs, else "".
        repeated: the sentence, in `mistake` or not, that says no more than the results do.
    """

    state: str
    mistake: str = ""
    wrong_answer: int | None = None
    inputs: dict[str, str] | None = None
    got: str = ""
    wanted: str = ""
    credit: float = 0.0
    case: int = 0
    error: str = ""
    place: str = ""
    call: str = ""
    summary: str = ""
    repeated: str = ""

    @property
    def passed(self) -> bool:
        return self.state == "passed"


@dataclass(frozen=True)
class Outcome:
    """One call: its result or error, and the names of the inputs that it changed in place."""

    value: Any = None
    error: BaseException | None = None
    changed: tuple[str, ...] = ()


def examine(exercise: Exercise, answer, seeds: Iterable[int] | None = None, *, own: bool = False) -> Verdict:
    """Run an answer on random inputs and compare it with the reference.

    Text that the answer prints is shown once, for the inputs that the verdict shows.

    Args:
        exercise: the exercise.
        answer: the learner's function.
        seeds: of the inputs; default `CASES` fresh ones.
        own: whether to refuse the library's functions, as the answer itself and inside it.
    """
    unusable = _unusable(exercise, answer)
    if unusable:
        return Verdict("unusable", unusable)
    if own and (name := library_function(answer)):
        return Verdict("library", Message("`{name}` is the library's own function, which earns no points.", name=name))
    called, shown = [], Printouts()
    with shown:
        verdict = _verdict(exercise, watched(answer, called) if own else answer, seeds, shown)
        shown.chosen = verdict.case
    if verdict.passed and called:
        borrowed = Message("Your function calls the library's `{name}`, but only your own code counts.", name=called[0])
        return Verdict("borrowed", borrowed)
    return verdict


def _verdict(exercise: Exercise, answer, seeds: Iterable[int] | None, printouts: Printouts) -> Verdict:
    cases, outcomes = [], []
    for number, seed in enumerate(seeds if seeds is not None else [secrets.randbits(48) for _ in range(CASES)]):
        inputs = exercise.generate(torch.Generator().manual_seed(seed))
        with printouts.of(number):
            outcome = call(exercise, answer, inputs)
        if isinstance(outcome.error, NotImplementedError) and not outcome.error.args:  # torch's errors have a message
            return Verdict("blank", case=number)
        if outcome.error is not None:
            return Verdict(
                "raised",
                told(outcome.error),
                inputs=_shown(exercise, inputs),
                call=call_text(exercise.name, exercise.arguments, inputs),
                case=number,
                error=type(outcome.error).__name__,
            )
        cases.append(inputs)
        outcomes.append(outcome)
    return compare(exercise, cases, outcomes)


def compare(exercise: Exercise, cases: list[tuple], outcomes: list[Outcome]) -> Verdict:
    """Compare the results of all cases, none of which is an error, with those of the reference."""
    wanted = [call(exercise, exercise.reference, inputs).value for inputs in cases]
    failing = next((i for i in range(len(cases)) if _fault(exercise, cases[i], outcomes[i], wanted[i])), None)
    if failing is None:
        return Verdict("passed", credit=1.0)
    declared = Declared(exercise, cases)
    found = declared.index_of(outcomes)
    if found is not None:
        wrong = [i for i in range(failing, len(cases)) if _fault(exercise, cases[i], outcomes[i], wanted[i])]
        failing = declared.most_telling(found, outcomes, wrong)
    pair = outcomes[failing].value, wanted[failing]
    shown = side_by_side(*pair, exercise.tolerance)
    listed = shown.summary and difference(*pair, exercise.tolerance, named=False)
    return Verdict(
        "failed",
        exercise.wrong_answers[found].sentence
        if found is not None
        else _mistake(exercise, cases, outcomes, wanted, failing, declared),
        found,
        _shown(exercise, cases[failing]),
        shown.got,
        shown.wanted,
        _credit(exercise, cases, outcomes, wanted),
        failing,
        place=first_difference(*pair, exercise.tolerance),
        call=call_text(exercise.name, exercise.arguments, cases[failing]),
        summary=shown.summary,
        repeated=listed or f"Expected {shown.wanted}, got {shown.got}.",
    )


def _mistake(
    exercise: Exercise,
    cases: list[tuple],
    outcomes: list[Outcome],
    wanted: list,
    failing: int,
    declared: "Declared",
) -> str:
    """Describe the mistake in results that match none of the exercise's wrong answers."""
    fault = _fault(exercise, cases[failing], outcomes[failing], wanted[failing])
    if fault != difference(outcomes[failing].value, wanted[failing], exercise.tolerance, named=False):
        return fault  # of the exercise's own comparison or properties
    values = [outcome.value for outcome in outcomes]

    def accepts(n: int, value) -> bool:
        return _fault(exercise, cases[n], Outcome(value), wanted[n]) is None

    def matches(n: int, inputs: tuple) -> bool:
        theirs = call(exercise, exercise.reference, inputs)
        return theirs.error is None and agree(values[n], theirs.value, exercise.tolerance)

    tolerance = exercise.tolerance
    named = (
        swapped_arguments(cases, exercise.arguments, matches)
        or slip(values, wanted, failing, accepts)
        or lost(values, wanted, tolerance)
        or misplaced(values, wanted, tolerance)
    )
    if named:
        return joined(named, fault)
    known = declared.results()
    named = two_mistakes(known, values, wanted, tolerance) or slip(values, wanted, failing, accepts, two=True)
    if named:
        return joined(named, fault)
    each = [difference(value, w, tolerance) for value, w in zip(values, wanted, strict=True)]
    if None not in each:  # a mistake is named only if all results look like it
        return each[failing] if len({clue(sentence) for sentence in each}) == 1 else fault
    wrong = [not accepts(n, value) for n, value in enumerate(values)]
    told = (partly_right(cases, exercise.arguments, wrong), sometimes(known, values, wrong, tolerance), fault)
    return joined(*filter(None, told))


class Declared:
    """An exercise's wrong answers on all cases; each is run at most once per case, and only if it is needed."""

    def __init__(self, exercise: Exercise, cases: list[tuple]):
        self.exercise, self.cases = exercise, cases
        self._outcomes: list[list[Outcome]] = [[] for _ in exercise.wrong_answers]

    def index_of(self, outcomes: list[Outcome]) -> int | None:
        """The index of the wrong answer that an answer with these outcomes behaves like, or None."""
        alike = partial(_alike, self.exercise)
        every = range(len(self._outcomes))
        return next((i for i in every if all(map(alike, outcomes, self._of(i)))), None)

    def most_telling(self, found: int, outcomes: list[Outcome], wrong: list[int]) -> int:
        """Of the wrong cases, the first that the fewest other wrong answers explain: there, all that is named shows."""
        alike = partial(_alike, self.exercise)

        def explains(i: int, case: int) -> bool:
            return alike(outcomes[case], next(islice(self._of(i), case, None)))

        rivals = [i for i in range(len(self._outcomes)) if i != found and explains(i, wrong[0])]
        return min(wrong, key=lambda case: sum(explains(i, case) for i in rivals))

    def results(self) -> list[tuple[str, list]]:
        """The sentences and results of those that raise no error in any case."""
        ran = [(wrong.sentence, list(self._of(i))) for i, wrong in enumerate(self.exercise.wrong_answers)]
        return [(sentence, [its.value for its in every]) for sentence, every in ran if not any(o.error for o in every)]

    def _of(self, i: int) -> Iterator[Outcome]:
        done = self._outcomes[i]
        for case, inputs in enumerate(self.cases):
            if case == len(done):
                done.append(call(self.exercise, self.exercise.wrong_answers[i].function, inputs))
            yield done[case]


def time_limit(exercise: Exercise) -> float:
    """Seconds after which an answer's check is ended: `LIMIT`, or `SLOWER` times what the reference takes."""
    inputs = exercise.generate(torch.Generator().manual_seed(0))
    start = time.monotonic()
    call(exercise, exercise.reference, inputs)
    return max(LIMIT, SLOWER * CASES * (time.monotonic() - start))


def judge_answer(question: Question, answer) -> bool | None:
    """Whether a question was answered correctly; None if the answer is not of the required kind."""
    try:
        if question.choices:
            given = question.letter(answer) if isinstance(answer, str) else ""
            return given == opened(question, given).answer if given in question.choices else None
        rounded = float(answer)
        number = answer if type(answer) is int else rounded
        return gap(number, opened(question, rounded).answer) <= question.tolerance
    except BaseException as error:  # the methods of an unusual answer may raise anything
        let_interrupts_through(error)
        return None


def call(exercise: Exercise, function, inputs: tuple) -> Outcome:
    """Call an answer with copies of the inputs; only Ctrl-C is raised, any other error is returned."""
    mine = tuple(_copied(value) for value in inputs)
    try:
        value = function(*mine)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: an answer must not end the kernel
        return Outcome(error=error)
    changed = tuple(name for name, a, b in zip(exercise.arguments, inputs, mine, strict=True) if not agree(b, a, 0.0))
    return Outcome(value, changed=changed)


def wrong_arguments(exercise: Exercise, accepts: str) -> str:
    """The message for a function that `accepts` other arguments than the exercise's."""
    return Message(
        "{name} must accept the arguments ({arguments}); yours accepts {accepts}.",
        name=exercise.name,
        arguments=", ".join(exercise.arguments),
        accepts=accepts,
    )


def _copied(value):
    """Copy an input of the types that `Exercise` allows; `copy.deepcopy` takes ten times as long."""
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(v) for v in value)
    return value.clone() if isinstance(value, Tensor) else value


def _unusable(exercise: Exercise, answer) -> str:
    if not callable(answer):
        return Message(
            "check needs your function itself, not its result: check({id}, {name}); it got {type}.",
            id=repr(exercise.id),
            name=exercise.name,
            type=type(answer).__name__,
        )
    try:
        signature = inspect.signature(answer)
        accepts = str(signature)[:200]
    except BaseException as error:
        let_interrupts_through(error)
        return ""  # a builtin without a signature, or an object with a broken one: the call will show
    try:
        signature.bind(*exercise.arguments)
    except TypeError:
        return wrong_arguments(exercise, accepts)
    return ""


def _disagreement(exercise: Exercise, inputs: tuple, outcome: Outcome, wanted) -> str | None:
    if exercise.compare:
        for value in _readings(outcome.value, wanted):
            with ignoring_faults():  # it is written for results of the right type, but this one may have any
                if comparable(value, wanted):
                    return exercise.compare(value, wanted, *inputs)
    return difference(outcome.value, wanted, exercise.tolerance, named=False)


def _credit(exercise: Exercise, cases: list[tuple], outcomes: list[Outcome], wanted: list) -> float:
    every = list(zip(cases, outcomes, wanted, strict=True))
    if not any(_disagreement(exercise, *one) for one in every) and any(outcome.changed for outcome in outcomes):
        return 0.5
    return sum(p.credit for p in exercise.properties if p.credit and all(_holds(p, o, w, c) for c, o, w in every))


def _holds(must: Property, outcome: Outcome, wanted, inputs: tuple) -> bool:
    for value in _readings(outcome.value, wanted):
        with ignoring_faults():  # it is written for results of the right type, but this one may have any
            return bool(must.holds(value, *inputs))
    return False


def _readings(value, wanted) -> Iterator:
    """Yield the result unchanged and, for code that needs it, in the wanted types; nothing if it can't be read."""
    with ignoring_faults():
        if count_values(value, MOST) <= MOST:
            yield value
            yield as_wanted(value, wanted)


def _fault(exercise: Exercise, inputs: tuple, outcome: Outcome, wanted) -> str | None:
    found = _disagreement(exercise, inputs, outcome, wanted)
    if found:
        return found
    if outcome.changed:
        return Message(
            "The result is right, but your function changed its input `{name}` in place, which the caller still "
            "needs. Work on a copy.",
            name=outcome.changed[0],
        )
    for must in exercise.properties:
        if not _holds(must, outcome, wanted, inputs):
            return must.sentence
    return None


def _alike(exercise: Exercise, mine: Outcome, its: Outcome) -> bool:
    if its.error is not None or mine.changed != its.changed:
        return False
    return agree(mine.value, its.value, exercise.tolerance)


def _shown(exercise: Exercise, inputs: tuple) -> dict[str, str]:
    return {name: show(value, _LONGEST) for name, value in zip(exercise.arguments, inputs, strict=True)}
