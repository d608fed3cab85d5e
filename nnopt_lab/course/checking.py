"""Compares an answer with its reference on fresh inputs and, where they differ, names the mistake.

`examine` is the whole of it and shows nothing; `check` (in `nnopt_lab.course.calls`) puts its verdict on a card.
"""

import contextlib
import copy
import inspect
import linecache
import math
import os
import secrets
import sysconfig
import threading
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnopt_lab.course.exercises import Exercise, Property, Question

CASES = 16
# Where code lives that no learner wrote, besides site-packages: this package and Python's own library.
_FOREIGN = (
    str(Path(__file__).resolve().parent.parent) + os.sep,
    *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")),
    "<frozen ",
)
_printing = threading.Lock()  # torch's print options belong to the whole process, and a grader has several threads


@dataclass(frozen=True)
class Verdict:
    """What `examine` found.

    Attributes:
        state: "passed", "failed", "blank", "raised" or "unusable" (not a function, or with the wrong arguments).
        mistake: what is wrong, in words; empty after a pass and for a blank answer.
        wrong_answer: index of the exercise's wrong answer that this one behaves like, or None.
        inputs: the first inputs that failed, by argument.
        got, wanted: what came back for them and what was wanted, as text.
        credit: share of the points, 0 to 1, that a grader gives: all for a pass, what the declared properties are
            worth otherwise, half where the results are right and only an input was changed.
    """

    state: str
    mistake: str = ""
    wrong_answer: int | None = None
    inputs: dict[str, str] | None = None
    got: str = ""
    wanted: str = ""
    credit: float = 0.0

    @property
    def passed(self) -> bool:
        return self.state == "passed"


@dataclass(frozen=True)
class Outcome:
    """One call: what came back or was raised, and which inputs were changed in place."""

    value: Any = None
    error: BaseException | None = None
    changed: tuple[str, ...] = ()


def examine(exercise: Exercise, answer, seeds: Iterable[int] | None = None) -> Verdict:
    """Run an answer on inputs drawn from `seeds` (fresh ones where None) and compare it with the reference."""
    unusable = _unusable(exercise, answer)
    if unusable:
        return Verdict("unusable", unusable)
    cases, outcomes = [], []
    for seed in seeds if seeds is not None else [secrets.randbits(48) for _ in range(CASES)]:
        inputs = exercise.generate(torch.Generator().manual_seed(seed))
        outcome = call(exercise, answer, inputs)
        if isinstance(outcome.error, NotImplementedError) and not outcome.error.args:  # torch's own say what is missing
            return Verdict("blank")
        if outcome.error is not None:
            return Verdict("raised", _own_line(outcome.error), inputs=_shown(exercise, inputs))
        cases.append(inputs)
        outcomes.append(outcome)
    return compare(exercise, cases, outcomes)


def compare(exercise: Exercise, cases: list[tuple], outcomes: list[Outcome]) -> Verdict:
    """Compare what came back for each case (none of it an error) with what the reference gives."""
    wanted = [call(exercise, exercise.reference, inputs).value for inputs in cases]
    failing = next((i for i in range(len(cases)) if _fault(exercise, cases[i], outcomes[i], wanted[i])), None)
    if failing is None:
        return Verdict("passed", credit=1.0)
    found = _wrong_answer(exercise, cases, outcomes)
    return Verdict(
        "failed",
        exercise.wrong_answers[found].sentence
        if found is not None
        else _fault(exercise, cases[failing], outcomes[failing], wanted[failing]),
        found,
        _shown(exercise, cases[failing]),
        show(outcomes[failing].value),
        show(wanted[failing]),
        _credit(exercise, cases, outcomes, wanted),
    )


def judge_answer(question: Question, answer) -> bool | None:
    """Whether a question was answered rightly; None where the answer is not of the kind that it asks for."""
    try:
        if question.choices:
            given = question.letter(answer)
            return given == question.answer if given in question.choices else None
        return abs(float(answer) - question.answer) <= question.tolerance
    except (TypeError, ValueError, OverflowError, RuntimeError):  # RuntimeError: a tensor of several numbers
        return None


def call(exercise: Exercise, function, inputs: tuple) -> Outcome:
    """Call an answer with copies of the inputs; nothing that it raises comes through, but for Ctrl-C."""
    mine = copy.deepcopy(inputs)
    try:
        value = function(*mine)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: an answer must not end the kernel
        return Outcome(error=error)
    changed = tuple(
        name for name, a, b in zip(exercise.arguments, inputs, mine, strict=True) if difference(b, a, 0.0) is not None
    )
    return Outcome(value, changed=changed)


def difference(got, wanted, tolerance: float) -> str | None:
    """None where two values agree, else a sentence that says how `got` differs from `wanted`."""
    if isinstance(wanted, Tensor):
        return _tensor_difference(got, wanted, tolerance)
    if isinstance(wanted, (tuple, list)):
        return _sequence_difference(got, wanted, tolerance)
    if isinstance(wanted, (str, bool)) or wanted is None:
        got = _plain(got)
        return None if type(got) is type(wanted) and got == wanted else _kind_difference(got, wanted)
    return _number_difference(got, wanted, tolerance)


def show(value, limit: int = 600) -> str:
    """A value as a learner would print it, cut short."""
    try:
        text = _text(value, limit)
    except Exception:  # a learner's value may have a broken __repr__, or be an integer too long to print
        text = f"{_kind(value)} that cannot be shown"
    return text if len(text) <= limit else f"{text[:limit]} …"


def wrong_arguments(exercise: Exercise, accepts: str) -> str:
    """The sentence for a function that `accepts` other arguments than the exercise's."""
    return f"{exercise.name} must accept the arguments ({', '.join(exercise.arguments)}); yours accepts {accepts}."


def _text(value, limit: int) -> str:
    if isinstance(value, Tensor):
        with _printing, torch._tensor_str.printoptions(precision=4, linewidth=88, threshold=200):
            text = f"{value.detach()!r}"
        return text if value.ndim == 0 else f"{text}   shape {list(value.shape)}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (tuple, list)) and any(isinstance(v, Tensor) for v in value):
        return "\n".join(show(v, limit) for v in value)
    return repr(value)


def _unusable(exercise: Exercise, answer) -> str:
    if not callable(answer):
        return (
            f"check needs your function itself, not its result: check({exercise.id!r}, {exercise.name}); "
            f"it was given {type(answer).__name__}."
        )
    try:
        inspect.signature(answer).bind(*exercise.arguments)
    except TypeError:
        return wrong_arguments(exercise, str(inspect.signature(answer)))
    except ValueError:
        pass  # a builtin without a signature: calling it will tell
    return ""


def _disagreement(exercise: Exercise, inputs: tuple, outcome: Outcome, wanted) -> str | None:
    if exercise.compare and _comparable(outcome.value, wanted):
        return exercise.compare(outcome.value, wanted, *inputs)
    return difference(outcome.value, wanted, exercise.tolerance)


def _credit(exercise: Exercise, cases: list[tuple], outcomes: list[Outcome], wanted: list) -> float:
    every = list(zip(cases, outcomes, wanted, strict=True))
    if not any(_disagreement(exercise, *one) for one in every) and any(outcome.changed for outcome in outcomes):
        return 0.5
    return sum(p.credit for p in exercise.properties if p.credit and all(_holds(p, o, c) for c, o, _ in every))


def _holds(must: Property, outcome: Outcome, inputs: tuple) -> bool:
    try:
        return bool(must.holds(outcome.value, *inputs))
    except Exception:  # written for results of the right kind, and this one may be of any
        return False


def _fault(exercise: Exercise, inputs: tuple, outcome: Outcome, wanted) -> str | None:
    found = _disagreement(exercise, inputs, outcome, wanted)
    if found:
        return found
    if outcome.changed:
        return (
            f"The result is right, but your function changed its input `{outcome.changed[0]}` in place; "
            "whoever called it still needs it. Work on a copy."
        )
    for must in exercise.properties:
        if not must.holds(outcome.value, *inputs):
            return must.sentence
    return None


def _comparable(got, wanted) -> bool:
    if isinstance(wanted, (tuple, list)):
        return isinstance(got, (tuple, list))
    if not isinstance(wanted, Tensor):
        return type(got) is type(wanted)
    return isinstance(got, Tensor) and got.shape == wanted.shape and _family(got) == _family(wanted)


def _wrong_answer(exercise: Exercise, cases: list[tuple], outcomes: list[Outcome]) -> int | None:
    for i, wrong in enumerate(exercise.wrong_answers):
        theirs = (call(exercise, wrong.function, inputs) for inputs in cases)
        if all(_alike(exercise, mine, its) for mine, its in zip(outcomes, theirs, strict=True)):
            return i
    return None


def _alike(exercise: Exercise, mine: Outcome, its: Outcome) -> bool:
    if its.error is not None or mine.changed != its.changed:
        return False
    return difference(mine.value, its.value, exercise.tolerance) is None


def _own_line(error: BaseException) -> str:
    """The error with the last line of the learner's own code that led to it, and no frame of ours or of a library."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_FOREIGN) and "-packages" not in frame.filename
    ]
    message = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
    if not own:
        return f"Your function raised {message}"
    line = own[-1].line or linecache.getline(own[-1].filename, own[-1].lineno).strip()
    return f"Your line {own[-1].lineno}, `{line}`, raised {message}"


def _shown(exercise: Exercise, inputs: tuple) -> dict[str, str]:
    return {name: show(value) for name, value in zip(exercise.arguments, inputs, strict=True)}


def _kind(value) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {str(value.dtype).removeprefix('torch.')}"
    return {"NoneType": "nothing (None)", "int": "a whole number", "float": "a number", "str": "a text"}.get(
        type(value).__name__, f"a {type(value).__name__}"
    )


def _kind_difference(got, wanted) -> str:
    if got is None:
        return "Your function returned nothing: is the `return` missing?"
    if type(got) is type(wanted):
        return f"{show(wanted)} is wanted, {show(got)} came back."
    return f"{_kind(wanted).capitalize()} is wanted, but {_kind(got)} came back."


def _sequence_difference(got, wanted, tolerance: float) -> str | None:
    if not isinstance(got, (tuple, list)):
        return _kind_difference(got, wanted)
    if len(got) != len(wanted):
        return f"{len(wanted)} values are wanted, but {len(got)} came back."
    for i, (g, w) in enumerate(zip(got, wanted, strict=True)):
        found = difference(g, w, tolerance)
        if found:
            return f"In value {i} of the result: {found}"
    return None


def _number_difference(got, wanted, tolerance: float) -> str | None:
    got = _plain(got)
    if isinstance(got, bool) or not isinstance(got, (int, float)):
        return _kind_difference(got, wanted)
    if got != got and wanted == wanted:
        return "The result is NaN: a division by zero or a logarithm of zero is likely."
    with contextlib.suppress(OverflowError):  # an integer beyond every float
        return None if _close(got, wanted, tolerance) else _scale_or(got, wanted)
    return _other_number(got, wanted)


def _close(got: float, wanted: float, tolerance: float) -> bool:
    if got == wanted or (got != got and wanted != wanted):
        return True
    # A count is right or wrong however large it is, so for integers the tolerance does not grow with them.
    size = 1.0 if isinstance(wanted, int) else max(1.0, abs(wanted))
    return math.isfinite(wanted) and abs(got - wanted) <= tolerance * size


def _plain(value):
    """A tensor or numpy array of one element as Python's own number, anything else as it is."""
    single = isinstance(value, Tensor) and not _special(value) and value.numel() == 1
    return value.item() if single or (isinstance(value, np.generic | np.ndarray) and value.ndim == 0) else value


def _other_number(got: float, wanted: float) -> str:
    return f"{show(wanted)} is wanted, {show(got)} came back."


def _scale_or(got: float, wanted: float) -> str:
    otherwise = _other_number(got, wanted)
    if wanted and got == -wanted:
        return f"The sign is turned round: {otherwise}"
    if wanted and got and abs(factor := got / wanted) > 1e-9:
        for whole in (2, 3, 4, 8, 10, 100, 1000):
            if abs(factor - whole) < 1e-6 * whole:
                return f"The result is {whole} times too large: {otherwise}"
            if abs(factor * whole - 1) < 1e-6:
                return f"The result is {whole} times too small: {otherwise}"
    return otherwise


def _tensor_difference(got, wanted: Tensor, tolerance: float) -> str | None:
    if not isinstance(got, Tensor):
        return _kind_difference(got, wanted)
    if _special(got):
        return f"A plain tensor is wanted, but a {_special(got)} one came back."
    if got.shape != wanted.shape:
        return _shape_difference(got, wanted)
    if _family(got) != _family(wanted):
        return f"{_kind(wanted).capitalize()} is wanted, but {_kind(got)} came back."
    got, wanted = got.detach().cpu(), wanted.detach()
    if got.dtype == wanted.dtype and torch.equal(got, wanted):
        return None
    if wanted.dtype == torch.bool:
        return _mask_difference(got, wanted)
    is_float = wanted.dtype.is_floating_point
    got, wanted = got.double(), wanted.double()
    if (got.isnan() & ~wanted.isnan()).any():
        return "The result holds NaN: a division by zero or a logarithm of zero is likely."
    relative = tolerance if is_float else 0.0
    wrong = ~torch.isclose(got, wanted, rtol=relative, atol=tolerance, equal_nan=True)
    return _describe_wrong(got, wanted, wrong) if wrong.any() else None


def _special(tensor: Tensor) -> str:
    """What keeps a tensor's numbers from being looked at one by one, or nothing."""
    if tensor.is_meta or tensor.is_quantized or tensor.is_nested:
        return "meta" if tensor.is_meta else "quantized" if tensor.is_quantized else "nested"
    return "" if tensor.layout == torch.strided else "sparse"


def _family(tensor: Tensor) -> str:
    if tensor.dtype == torch.bool or tensor.dtype.is_complex:
        return "bool" if tensor.dtype == torch.bool else "complex"
    return "float" if tensor.dtype.is_floating_point else "int"


def _shape_difference(got: Tensor, wanted: Tensor) -> str:
    sentence = f"The shape is {list(got.shape)}, wanted is {list(wanted.shape)}"
    if list(got.shape) == list(wanted.shape)[::-1]:
        return f"{sentence}: the axes are turned round."
    if got.numel() == wanted.numel():
        return f"{sentence}: the numbers are there, but arranged differently."
    if got.ndim != wanted.ndim:
        return f"{sentence}: a sum or norm ran over {'too many' if got.ndim < wanted.ndim else 'too few'} axes."
    return f"{sentence}: look at which axis you worked along."


def _mask_difference(got: Tensor, wanted: Tensor) -> str:
    if torch.equal(got, ~wanted):
        return "The mask is turned round: True must mark what is kept, and yours marks what goes."
    kept, should = int(got.sum()), int(wanted.sum())
    if kept != should:
        return f"The mask keeps {kept} of {wanted.numel()}, {should} are wanted."
    return f"The mask keeps the right number ({kept}), but not the right ones: look at the order, and at ties."


def _describe_wrong(got: Tensor, wanted: Tensor, wrong: Tensor) -> str:
    count, every = int(wrong.sum()), wanted.numel()
    at = wrong.nonzero()[0].tolist()
    first = f"{show(wanted[tuple(at)].item())} is wanted, {show(got[tuple(at)].item())} came back."
    if not at:
        return first
    first = f"the first at {at}: {first}"
    if every > 1 and torch.equal(got.flatten().sort().values, wanted.flatten().sort().values):
        return f"The right numbers in the wrong order; {first}"
    if every > 1 and torch.allclose(got, -wanted, rtol=1e-5, atol=1e-8):
        return f"All signs are turned round; {first}"
    shift = got - wanted
    if every > 1 and torch.allclose(shift, shift.flatten()[0].expand_as(shift), rtol=1e-5, atol=1e-7):
        return f"Every value is off by {show(shift.flatten()[0].item())}; {first}"
    factor = (got[wanted != 0] / wanted[wanted != 0]).flatten()
    one_factor = len(factor) > 1 and torch.allclose(factor, factor[:1].expand_as(factor), rtol=1e-5)
    if one_factor and abs(factor[0] - 1) > 1e-4 and not got[wanted == 0].any():
        return f"Every value is {show(factor[0].item())} times what is wanted; {first}"
    return f"{count} of {every} values differ, {first}"
