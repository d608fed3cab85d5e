"""Whatever an answer returns, every exercise has a verdict on it, in the notebook and in the judge.

Results that are right but of other types pass. Of all others only that the verdict comes is tested here: nothing that a
learner returns may raise an error of ours.
"""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from nnopt_lab.course.checking import Outcome, compare, examine, judge_answer
from nnopt_lab.course.exercises import exercises, questions
from nnopt_lab.grading.judge import _Ended, _exercise_result, _question_result, _Task
from nnopt_lab.grading.sandbox import JobResult
from nnopt_lab.grading.sandboxed import codec

CASES = 2
# These ask for a type, in a property of their own.
ASKS_FOR_A_TYPE = {
    *("by_hand.scale_and_zero_point", "by_hand.quantize", "by_hand.fixed_point", "by_hand.requantize"),
    "precision.master_step",
    "convolutions.grouped_as_dense",
    "start.to_int8",
}
# Without its wrong answers, which take most of the time and are compared in the same way as the reference.
EXERCISES = {id: replace(exercise, wrong_answers=()) for id, exercise in exercises().items()}
QUESTIONS = [next(q for q in questions().values() if bool(q.choices) is choices) for choices in (True, False)]
FLOATS = [torch.float16, torch.bfloat16, torch.float64, torch.complex64, torch.complex128]
FLOATS += [getattr(torch, name) for name in dir(torch) if name.startswith(("float8", "float4"))]
INTEGERS = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
INTEGERS += [torch.uint16, torch.uint32, torch.uint64]
ODD = [
    getattr(torch, name) for name in dir(torch) if name.startswith(("bits", "uint1", "uint4", "int4", "quint", "qint"))
]


def leaves(change, value):
    """A result with each tensor or number in it changed."""
    if isinstance(value, (list, tuple)):
        return type(value)(leaves(change, v) for v in value)
    return change(value)


def tensors(change, value):
    return leaves(lambda leaf: change(leaf) if isinstance(leaf, Tensor) else leaf, value)


def numbers(change, value):
    return leaves(lambda leaf: change(leaf) if type(leaf) in (int, float) else leaf, value)


def strided(tensor: Tensor) -> Tensor:
    """The same values with gaps between them and the axes in the opposite order in memory."""
    order = list(range(tensor.ndim))[::-1]
    wide = torch.empty(*(tensor.shape[axis] for axis in order), 2, dtype=tensor.dtype)
    wide[..., 0] = tensor.permute(order)
    return wide[..., 0].permute(order)


def in_precision(dtype, tensor: Tensor) -> Tensor:
    same = tensor.is_floating_point() == dtype.is_floating_point and tensor.dtype != torch.bool
    return tensor.to(dtype) if same and torch.equal(tensor.to(dtype).double(), tensor.double()) else tensor


class Own(Tensor):
    pass


class Whole(int):
    pass


# Right results of other types: each changes nothing that the exercise asks for.
RIGHT = {
    "as they are": lambda value: value,
    "lists for tuples": lambda value: list(value) if isinstance(value, tuple) else value,
    "tuples for lists": lambda value: tuple(value) if isinstance(value, list) else value,
    "with gaps in memory": partial(tensors, strided),
    "parameters": partial(tensors, lambda t: torch.nn.Parameter(t, requires_grad=t.is_floating_point())),
    "with gradients": partial(tensors, lambda t: t.clone().requires_grad_() * 1 if t.is_floating_point() else t),
    "an own class of tensors": partial(tensors, lambda t: t.as_subclass(Own)),
    "tensors for numbers": partial(
        numbers, lambda n: torch.tensor(n, dtype=torch.float64 if type(n) is float else None)
    ),
    "arrays for numbers": partial(numbers, lambda n: np.array(n)),
    "numpy's numbers": partial(numbers, lambda n: np.array(n)[()]),
    "floats for whole numbers": partial(numbers, lambda n: float(n) if abs(n) < 2**53 else n),
    "whole numbers for floats": partial(numbers, lambda n: int(n) if n == n and abs(n) < 1e300 and int(n) == n else n),
    "an own class of numbers": partial(numbers, lambda n: Whole(n) if type(n) is int else n),
}
RIGHT |= {f"{dtype}": partial(tensors, partial(in_precision, dtype)) for dtype in (torch.float64, *INTEGERS[1:])}


def quantized(tensor: Tensor) -> Tensor:
    return torch.quantize_per_tensor(tensor.float(), 0.1, 0, torch.quint8)


def freed(tensor: Tensor) -> Tensor:
    copy = tensor.clone()
    copy.untyped_storage().resize_(0)
    return copy


def filled(value: float, leaf):
    if isinstance(leaf, Tensor):
        return torch.full_like(leaf, value) if leaf.is_floating_point() else leaf
    return value if type(leaf) in (int, float) else leaf


class Broken:
    """Whatever is asked of it fails."""

    def _fail(self, *arguments):
        raise RuntimeError("no")

    __eq__ = __len__ = __iter__ = __getitem__ = __bool__ = __float__ = __int__ = __repr__ = __str__ = __hash__ = _fail
    __array__ = __sub__ = __rsub__ = __mul__ = __lt__ = __le__ = __gt__ = __ge__ = __add__ = __radd__ = __neg__ = _fail


class BrokenList(list):
    __len__ = __iter__ = __getitem__ = Broken._fail


class BrokenTensor(Tensor):
    @classmethod
    def __torch_function__(cls, function, types, arguments=(), keywords=None):
        raise RuntimeError("no")


class Exits:
    """Whatever is asked of it ends the process, if nobody looks out; even its class is not to be had."""

    def __getattribute__(self, name):
        raise SystemExit(name)

    def _exit(self, *arguments):
        raise SystemExit

    __eq__ = __len__ = __iter__ = __bool__ = __float__ = __repr__ = __str__ = _exit
    __hash__ = None


class ExitsWhenShown:
    def __repr__(self):
        raise GeneratorExit


class ExitingList(list):
    __len__ = __iter__ = __getitem__ = Exits._exit


class ExitingTensor(Tensor):
    __torch_function__ = classmethod(Exits._exit)


class Liar:
    """Says that it is a tensor."""

    @property
    def __class__(self):
        return Tensor


class AlwaysEqual:
    __hash__ = None

    def __eq__(self, other):
        return True


class LyingTuple(tuple):
    def __len__(self):
        return 10**9


def escaped(tensor: Tensor) -> Tensor:
    """A tensor of a transform that is over."""
    kept = []
    torch.func.grad(lambda x: kept.append(x) or x.sum())(tensor.double())
    return kept[0]


def shared(value):
    """Lists in lists that are few, with more numbers in them than anyone can count."""
    for _ in range(20):
        value = [value, value]
    return value


def deep(value):
    for _ in range(2_000):
        value = [value]
    return value


ANY = {
    "sparse": partial(tensors, lambda t: t.to_sparse() if t.ndim else t),
    "sparse rows": partial(tensors, lambda t: t.to_sparse_csr() if t.ndim == 2 else t),
    "mkldnn": partial(tensors, lambda t: t.to_mkldnn() if t.dtype == torch.float32 else t),
    "meta": partial(tensors, lambda t: t.to("meta")),
    "quantized": partial(tensors, quantized),
    "nested": partial(tensors, lambda t: torch.nested.nested_tensor([t.float(), t.float()])),
    "freed": partial(tensors, freed),
    "a broken class of tensors": partial(tensors, lambda t: t.as_subclass(BrokenTensor)),
    "without an axis": partial(tensors, lambda t: t[0] if t.ndim and len(t) else t),
    "one axis more": partial(tensors, lambda t: t[None]),
    "many axes": partial(tensors, lambda t: t.reshape(*t.shape, *[1] * 30)),
    "one number": partial(tensors, lambda t: t.flatten()[:1].sum()),
    "empty": partial(tensors, lambda t: t[:0] if t.ndim else t),
    "no axis of numbers": partial(tensors, lambda t: t.new_zeros(0, *t.shape)),
    "one number everywhere": partial(tensors, lambda t: t.new_zeros(1).expand(t.shape)),
    "a huge view": partial(tensors, lambda t: t.new_zeros(1).expand(*t.shape, 2**12)),
    "overlapping": partial(tensors, lambda t: t.clone().as_strided(t.shape, [0] * t.ndim)),
    "conjugated": partial(tensors, lambda t: t.to(torch.complex64).conj()),
    "arrays": partial(tensors, lambda t: t.numpy()),
    "lists": partial(tensors, lambda t: t.tolist()),
    "texts": partial(leaves, str),
    "truths": partial(leaves, bool if False else (lambda leaf: True)),
    "fractions": partial(numbers, lambda n: Fraction(n)),
    "decimals": partial(numbers, lambda n: Decimal(n)),
    "imaginary": partial(numbers, lambda n: n + 0j),
    "huge": partial(numbers, lambda n: 10**400),
    "larger than their dtype": partial(tensors, lambda t: t.double() * 1e300),
    "indices far out": partial(numbers, lambda n: 2**62),
    "negative": partial(numbers, lambda n: -n - 1),
    "halves": partial(numbers, lambda n: n + 0.5),
    "nothing inside": partial(leaves, lambda leaf: None),
    "lists inside": partial(leaves, lambda leaf: [leaf, [leaf]]),
    "one too many": lambda value: [*value, *value[:1]] if isinstance(value, (list, tuple)) else [value, value],
    "one too few": lambda value: value[:-1] if isinstance(value, (list, tuple)) else [],
    "no values": lambda value: (),
    "broken inside": partial(leaves, lambda leaf: Broken()),
    "a broken list": lambda value: BrokenList([1]),
    "a list that holds itself": lambda value: _endless(),
    "a dict": lambda value: {1: value},
    "a set": lambda value: {1, 2},
    "a generator": lambda value: (v for v in [value]),
    "a function": lambda value: leaves,
    "a class": lambda value: type("", (), {}),
    "a module": lambda value: torch.nn.Linear(2, 2),
    "a range": lambda value: range(10**9),
    "bytes": lambda value: b"\xff",
    "half a character": lambda value: "\ud800",
    "an array of objects": lambda value: np.array([Broken(), None], dtype=object),
    "exits inside": partial(leaves, lambda leaf: Exits()),
    "exits": lambda value: Exits(),
    "exits when shown": lambda value: ExitsWhenShown(),
    "exits when shown, inside": partial(leaves, lambda leaf: ExitsWhenShown()),
    "a list that exits": lambda value: ExitingList([1]),
    "lists that exit inside": partial(leaves, lambda leaf: ExitingList([1])),
    "tensors that exit": partial(tensors, lambda t: t.as_subclass(ExitingTensor)),
    "liars": partial(leaves, lambda leaf: Liar()),
    "always equal": partial(leaves, lambda leaf: AlwaysEqual()),
    "a tuple that lies": lambda value: LyingTuple(value if isinstance(value, (list, tuple)) else (value,)),
    "of a transform that is over": partial(tensors, escaped),
    "a view beyond every memory": partial(tensors, lambda t: t.new_zeros(1).expand(2**40)),
    "a view of many axes beyond every memory": partial(tensors, lambda t: t.new_zeros(1).expand(*[2] * 40)),
    "sparse blocks": partial(tensors, lambda t: t.to_sparse_bsr((1, 1)) if t.ndim == 2 else t),
    "quantized by channel": partial(
        tensors,
        lambda t: torch.quantize_per_channel(t.float(), torch.ones(len(t)), torch.zeros(len(t)), 0, torch.qint8),
    ),
    "not initialised": partial(tensors, lambda t: torch.nn.parameter.UninitializedParameter()),
    "deep lists": deep,
    "deep lists inside": partial(leaves, deep),
    "shared lists": shared,
    "a list that holds itself inside": lambda value: [value, _endless()],
    "an error": lambda value: ValueError("x"),
    "more digits than are printed": partial(numbers, lambda n: 10**5000),
    "the largest of uint64": partial(tensors, lambda t: torch.full(t.shape, 2**64 - 1, dtype=torch.uint64)),
    "a date": lambda value: np.array("2026-01-01", dtype="datetime64[D]"),
}
for number in (float("nan"), float("inf"), float("-inf"), -0.0, 1e-320, 3.5e38):
    ANY[f"all {number}"] = partial(leaves, partial(filled, number))
for dtype in (*FLOATS, *INTEGERS):
    ANY[f"{dtype} tensors"] = partial(tensors, lambda t, dtype=dtype: t.to(dtype))
for dtype in ODD:
    ANY[f"{dtype} tensors"] = partial(tensors, lambda t, dtype=dtype: torch.empty(t.shape, dtype=dtype))


def _endless() -> list:
    value = [torch.ones(1)]
    value += [value, value]
    return value


def drawn(exercise, count: int = CASES) -> list[tuple]:
    return [exercise.generate(torch.Generator().manual_seed(seed)) for seed in range(count)]


def changed(change, values: list) -> list | None:
    """The changed values, or None where this change can't be made: torch has no such tensor."""
    try:
        return [change(value) for value in values]
    except Exception:
        return None


@pytest.mark.parametrize("id", EXERCISES)
def test_a_right_result_of_another_type_passes(id):
    exercise, cases = EXERCISES[id], drawn(EXERCISES[id])
    for name, change in RIGHT.items():
        values = changed(change, [exercise.reference(*inputs) for inputs in cases])
        assert values is not None, name
        verdict = compare(exercise, cases, [Outcome(value) for value in values])
        asked = id in ASKS_FOR_A_TYPE and verdict.mistake in {must.sentence for must in exercise.properties}
        assert verdict.passed or asked, (name, verdict)


@pytest.mark.parametrize("id", EXERCISES)
@pytest.mark.filterwarnings("ignore")
def test_whatever_is_returned_the_verdict_comes(id):
    """On one case, as it takes long; the next test examines an exercise on several, with every result."""
    exercise, cases, made = EXERCISES[id], drawn(EXERCISES[id], 1), 0
    for name, change in ANY.items():
        values = changed(change, [exercise.reference(*inputs) for inputs in cases])
        if values is None:
            continue
        made += 1
        verdict = compare(exercise, cases, [Outcome(value) for value in values])
        assert verdict.passed or (verdict.mistake and 0 <= verdict.credit < 1), name
        pairs = [[value, list(inputs)] for value, inputs in zip(values, cases, strict=True)]
        header, received = codec.unpack(codec.pack({"outcomes": [{}] * len(cases)}, pairs))
        ended = _Ended(JobResult("replied"), header, received)
        result = _exercise_result(_Task(exercise, "x", cases, {}), ended, touched=False)
        assert result.state in ("passed", "partly right", "failed") and result.points <= exercise.points, name
    assert made > 40


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("change", ANY)
def test_one_exercise_is_examined_with_its_wrong_answers_too(change):
    exercise = exercises()["convolutions.fold_batch_norm"]

    def answer(*inputs):
        return ANY[change](exercise.reference(*inputs))

    assert examine(exercise, answer, seeds=range(CASES)).state in ("passed", "failed", "raised")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("change", ANY)
def test_whatever_answers_a_question_the_verdict_comes(change):
    values = [value for base in (1.0, [1.0], torch.ones(2)) for value in changed(ANY[change], [base]) or ()]
    for value in values:
        ended = _Ended(JobResult("replied"), *codec.unpack(codec.pack({"asked": 1}, [value])))
        for question in QUESTIONS:
            assert judge_answer(question, value) in (True, False, None)
            result = _question_result(_Task(question, "x", [], {}), ended)
            assert result.state in ("passed", "failed", "unusable", "blank")
