"""Exercises and questions of lesson 08: engines with integer kernels, and what they gain."""

import math
import operator
from functools import partial
from itertools import pairwise

import torch

from nnopt_lab.course.draws import choice, randint, subset
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed, off_by


def _without(rows=1, columns=1, last=1):
    """`without_zero_points`, its three terms as many times."""
    return lambda product, of_a, of_b, za, zb, length: (
        product - rows * zb * of_a[:, None] - columns * za * of_b + last * length * za * zb
    )


def _integer_product(g: torch.Generator):
    m, k, n = randint(g, 2, 3), randint(g, 3, 5), randint(g, 2, 3)
    a, b = torch.randint(0, 20, (m, k), generator=g), torch.randint(-9, 10, (k, n), generator=g)
    return a @ b, a.sum(1), b.sum(0), randint(g, 5, 15), randint(g, -4, -1), k


@exercise(
    "for_real.without_zero_points",
    points=4,
    inputs=_integer_product,
    hints=(
        "Multiply out (a − zero_a)·(b − zero_b) for one pair, then sum over the `length` pairs of a row and a column.",
        "Σ(a − za)(b − zb) = Σab − zb·Σa − za·Σb + length·za·zb: Σa is the sum of a row of A, Σb that of a column "
        "of B.",
        "`product - zero_b * rows[:, None] - zero_a * columns + length * zero_a * zero_b`",
    ),
    wrong={
        "The last term is missing: za·zb was subtracted twice, once for each of the `length` pairs; "
        "add it back.": _without(last=0),
        "The last term has the wrong sign: minus times minus is plus.": _without(last=-1),
        "The zero points are swapped: A's own zero point meets the sums of B's columns, and B's those of A's "
        "rows.": called_with(lambda product, rows, columns, za, zb, length: (product, rows, columns, zb, za, length)),
        "The last term counts once for *each* of the `length` pairs of numbers, not once.": called_with(
            lambda *inputs: (*inputs[:-1], 1)
        ),
        "Only the product of the zero points is gone. Each of them also multiplies what the other side holds: two more "
        "terms.": _without(rows=0, columns=0, last=-1),
        "The two middle terms have the wrong sign.": _without(rows=-1, columns=-1),
        "One of the two middle terms is missing: that of B's columns.": _without(columns=0),
        "One of the two middle terms is missing: that of A's rows.": _without(rows=0),
        "`length` is the number of pairs in a sum, not a side of the result.": called_with(
            lambda product, *rest: (product, *rest[:-1], product.shape[1])
        ),
    },
)
def without_zero_points(product, rows, columns, zero_a, zero_b, length):
    """Take the zero points out of an integer product.

    With A the activations and B the weights, two of the three terms are known before a picture arrives. With symmetric
    weights, zero_b = 0, the third, zero_b times the sums of A's rows, vanishes.
    """
    return _without()(product, rows, columns, zero_a, zero_b, length)


OPERATORS = ("convolution", "relu", "pool", "linear", "softmax", "normalise")


def _changes(operators, integer, before=(False,), after=(False,)):
    """`conversions`; how often the kind of tensor changes along the chain and what lies before and after it."""
    return sum(a != b for a, b in pairwise([*before, *(name in integer for name in operators), *after]))


def _chain(g: torch.Generator):
    operators = [choice(g, OPERATORS) for _ in range(randint(g, 6, 8))]
    return operators, [OPERATORS[i] for i in subset(g, 6, 3)]


@exercise(
    "for_real.conversions",
    points=3,
    inputs=_chain,
    hints=(
        "Walk along the chain and remember what the present tensor is, float or integer. At the start it is float.",
        "A conversion stands wherever the next operator wants the other kind, and one more at the end if the last "
        "tensor is integer.",
        "kinds = [False, *(name in integer for name in operators), False]; count the places where neighbours differ",
    ),
    wrong={
        "You wrapped every integer operator for itself. Between two of them the tensor can stay integer: that is what "
        "an engine's fusion is for.": lambda operators, integer: 2 * sum(name in integer for name in operators),
        "The ends are missing: the picture arrives as float, and the logits leave as float.": partial(
            _changes, before=[], after=[]
        ),
        "You counted only one direction. What was quantised must be dequantised somewhere: both cost time.": changed(
            lambda count: count // 2
        ),
        "`integer` names the operators that *have* an integer kernel; you counted as if they were "
        "the others.": called_with(lambda operators, integer: (operators, [o for o in OPERATORS if o not in integer])),
        "Operators side by side without integer kernels share one pair of conversions.": lambda operators, integer: (
            2 + 2 * sum(name not in integer for name in operators)
        ),
        "At an end of the chain a float operator costs nothing extra: the picture is float already, and so are the "
        "logits.": lambda operators, integer: 2 + _changes(operators, integer, before=[True], after=[True]),
        "A conversion at an end is needed only where the operator there takes integers.": lambda operators, integer: (
            2 + _changes(operators, integer, before=[], after=[])
        ),
        "The logits leave as float: the last integers must be dequantised.": partial(_changes, after=[]),
        "The picture arrives as float: the first operator may need a Q.": partial(_changes, before=[]),
        "You counted around the float operators; a pair stands around each run of "
        "integer ones.": lambda operators, integer: 2 * sum(name not in integer for name in operators),
    },
    properties=(
        Property(
            "The number is even: as often as a tensor becomes integer, it becomes float again.",
            lambda count, operators, integer: count % 2 == 0,
        ),
    ),
)
def conversions(operators, integer):
    """Count the conversions of a mixed network.

    Each conversion reads and writes a whole tensor and computes nothing. One operator without an integer kernel in the
    middle costs two of them, which is why engines want their QDQ pairs in the right places.
    """
    return _changes(operators, integer)


@exercise(
    "for_real.network_gain",
    points=2,
    inputs=lambda g: (randint(g, 5, 45) / 100 + 0.5 * randint(g, 0, 1), float(randint(g, 2, 9))),
    hints=(
        "Take 1 second as the whole time before. How many seconds are left of the part that becomes faster?",
        "Afterwards it takes (1 − share) + share/gain seconds.",
        "`1 / (1 - share + share / gain)`",
    ),
    wrong={
        "You averaged the speed-ups. Times add up, speeds don't: work with the time "
        "that is left.": lambda share, gain: 1 - share + share * gain,
        "That is the time that is left, as a share of the old one. The gain is its reciprocal.": changed(
            lambda gain: 1 / gain
        ),
        "You made the *other* part faster: `share` is the share of the time that the fast "
        "kernel takes over.": called_with(lambda share, gain: (1 - share, gain)),
        "The gain cannot exceed that of the kernel; the rest of the network only dilutes it.": lambda share, gain: (
            gain / share
        ),
        "The part that does not become faster still takes its time: 1 − share of it.": lambda share, gain: share * gain,
        "That is the limit for an infinitely fast kernel; the part still takes share/gain.": lambda share, gain: (
            1 / (1 - share)
        ),
        "You added the time saved to 1. Divide the old time by the new.": lambda share, gain: 1 + share - share / gain,
        "That is the time saved, not how many times as fast.": lambda share, gain: share - share / gain,
        "Times as fast, not how much faster: 1 means no gain.": off_by(-1),
    },
    properties=(
        Property(
            "A network gains at least 1 and at most as much as its fastest part.",
            lambda result, share, gain: 1 <= result <= gain,
        ),
    ),
)
def network_gain(share, gain):
    """From the kernel's gain to the network's.

    Amdahl's law (1967). It works in both directions: from a measured gain of the kernel and of the network follows the
    share of the time that the kernel really had.
    """
    return 1 / (1 - share + share / gain)


def _batches(earned=lambda slow, fast: slow - fast, rounded=math.ceil, never=lambda build, saved: -1):
    """`break_even`; `earned` by each batch, and `never` the answer where nothing is saved."""
    return lambda build, slow, fast: rounded(build / earned(slow, fast)) if fast < slow else never(build, slow - fast)


def _build_and_run(g: torch.Generator):
    slow, kind, saved = randint(g, 20, 60), randint(g, 0, 6), randint(g, 3, 15)
    build = 1000 * randint(g, 2, 30) + randint(g, 1, 999)
    if kind < 3:  # as fast, or slower (twice as often)
        return build, slow, slow + min(kind, 1) * saved
    return build - build % saved + kind % 2, slow, slow - saved  # divides exactly, or just not


@exercise(
    "for_real.break_even",
    points=2,
    inputs=_build_and_run,
    hints=(
        "What does one batch save? How many such savings make up for the time of building?",
        "The number of batches is build_ms / (slow_ms − fast_ms), rounded up; where nothing is saved it is −1.",
        "`-1 if fast_ms >= slow_ms else -(-build_ms // (slow_ms - fast_ms))` (or `math.ceil` of the quotient)",
    ),
    wrong={
        "Rounded down: after that many batches a rest of the building time is still to be earned. Round up.": _batches(
            rounded=math.floor
        ),
        "An engine that is not faster never pays for itself: then the answer is −1, not a negative quotient.": _batches(
            never=lambda build, saved: math.ceil(build / saved) if saved else -1
        ),
        "A batch does not earn its whole time, only what it saves: slow_ms − fast_ms.": _batches(
            earned=lambda slow, fast: fast
        ),
        "You asked how many slow batches fit into the building time. Each fast one saves slow_ms − "
        "fast_ms only.": _batches(earned=lambda slow, fast: slow),
        "One too many where the quotient is whole: round up, don't add one.": _batches(
            rounded=lambda batches: math.floor(batches) + 1
        ),
        "Batches are whole: round up.": _batches(rounded=float),
        "You took slow for fast.": called_with(lambda build, slow, fast: (build, fast, slow)),
        "Where it never pays the answer is −1, not 0.": _batches(never=lambda build, saved: 0),
        "Where it never pays the answer is −1, not None.": _batches(never=lambda build, saved: None),
    },
)
def break_even(build_ms, slow_ms, fast_ms):
    """When compiling has paid for itself.

    A server runs for weeks and does not care about half a minute. A test that starts afresh for every run, a notebook,
    a function in the cloud that sleeps: they may never reach that number.
    """
    return _batches()(build_ms, slow_ms, fast_ms)


def _engine_table(g: torch.Generator):
    # Eight engines in any order, most of them for one way of going wrong: the fastest breaks both limits, the next two
    # one each, either first. Of those that fit, one is the smallest, one the slowest, one meets both limits exactly and
    # one gains in accuracy; one of these last two is the right one, unless nothing fits.
    kib_limit, lost_limit = randint(g, 250, 400), randint(g, 3, 9) / 10
    right, swap = randint(g, 0, 2), randint(g, 0, 2) // 2
    rows = [
        (1.0, kib_limit + randint(g, 10, 90), round(lost_limit + randint(g, 1, 9) / 10, 1)),
        (2.0 + swap, kib_limit + randint(g, 100, 700), 0.0),
        (3.0 - swap, kib_limit - randint(g, 20, 40), round(lost_limit + randint(g, 1, 9) / 10, 1)),
        (4.5, kib_limit - randint(g, 1, 19), round(lost_limit - 0.2, 1)),
        (6.0, kib_limit - randint(g, 60, 90), round(lost_limit - 0.1, 1)),
        (9.0, kib_limit - randint(g, 20, 40), round(lost_limit - 0.1, 1)),
        (3.5 if right == 2 else 7.0, kib_limit - randint(g, 41, 59), round(-lost_limit - 0.1, 1)),
        (4.0 if right == 1 else 5.0, kib_limit, lost_limit),
    ]
    if right == 0:  # nothing fits
        rows = [(time, size, round(loss + 3, 1)) for time, size, loss in rows[1:]] + rows[:1]
    order = torch.randperm(len(rows), generator=g).tolist()
    ms, kib, lost = (list(column) for column in zip(*(rows[i] for i in order), strict=True))
    return list("ABCDEFGH"), ms, kib, lost, kib_limit, lost_limit


def _fastest(fits=lambda small, exact: small and exact, score=lambda ms, kib, lost: ms, keeps=operator.le):
    """`choose_engine`; `keeps(value, limit)` tells whether an engine is small and exact enough."""

    def fastest(names, ms, kib, lost, kib_limit, lost_limit):
        fit = [i for i in range(len(names)) if fits(keeps(kib[i], kib_limit), keeps(lost[i], lost_limit))]
        return names[min(fit, key=lambda i: score(ms[i], kib[i], lost[i]))] if fit else "none"

    return fastest


def _only_the_fastest(names, ms, *table):
    name = choose_engine(names, ms, *table)
    return name if name == names[ms.index(min(ms))] else "none"


@exercise(
    "for_real.choose_engine",
    points=3,
    inputs=_engine_table,
    hints=(
        "First throw out what breaks a limit, then look at the times of what is left.",
        "A row that meets a limit exactly is allowed. If no row is left the answer is the string 'none'.",
        "fit = [i for i in range(len(names)) if kib[i] <= kib_limit and lost[i] <= lost_limit]; "
        'return names[min(fit, key=lambda i: ms[i])] if fit else "none"',
    ),
    wrong={
        "That is the fastest of all, whatever it costs: the limits come first.": _fastest(
            fits=lambda small, exact: True
        ),
        "It keeps the limit of size but loses too much accuracy.": _fastest(fits=lambda small, exact: small),
        "It keeps the limit of accuracy but its file is too large.": _fastest(fits=lambda small, exact: exact),
        "You took the smallest of those that fit. Within the limits size is free; the fastest is wanted.": _fastest(
            score=lambda ms, kib, lost: kib
        ),
        "A limit may be reached, it may only not be exceeded: compare with ≤.": _fastest(keeps=operator.lt),
        "You took the slowest of those that fit: the fewest milliseconds are wanted.": _fastest(
            score=lambda ms, kib, lost: -ms
        ),
        "You took the most accurate of those that fit. Within the limits accuracy is free; the "
        "fastest is wanted.": _fastest(score=lambda ms, kib, lost: lost),
        "A negative loss is a gain in accuracy: it breaks no limit.": called_with(
            lambda names, ms, kib, lost, *limits: (names, ms, kib, [abs(x) for x in lost], *limits)
        ),
        "One limit kept is not enough: both.": _fastest(fits=lambda small, exact: small or exact),
        "You looked only at the fastest of all. Throw out first, then take the fastest of the rest.": _only_the_fastest,
        'Where nothing fits the answer is the text "none", not None.': changed(
            lambda name: None if name == "none" else name
        ),
    },
)
def choose_engine(names, ms, kib, lost, kib_limit, lost_limit):
    """Choose an engine under limits.

    With limits first and speed second the choice is well defined. The other way round, with one score made of weights
    for speed, size and accuracy, it depends on weights that nobody can defend.
    """
    return _fastest()(names, ms, kib, lost, kib_limit, lost_limit)


question(
    "for_real.lanes",
    points=1,
    text="A vector register has 512 bits. One float32 instruction multiplies and adds one pair in each 32-bit lane; a "
    "VNNI instruction multiplies four pairs of 8-bit numbers in each lane and adds their sum. Both take as long. By "
    "what factor can int8 be faster?",
    answer=4,
    tolerance=0.01,
    explanation="16 lanes of one pair against 16 lanes of four: a factor of 4, if the arithmetic is what takes the "
    "time. AMX multiplies small matrices in one instruction and goes further; a processor without either has to "
    "widen the numbers to 16 bits first, and most of the factor is gone.",
)
question(
    "for_real.one_picture",
    points=1,
    text="On the machine where this lesson was written, one picture takes PT2E's int8 program 1.6 times as long as "
    "eager float32, and ONNX Runtime in float32 a third as long. What would make PT2E's program faster?",
    choices={
        "a": "Fewer bits: int4 in place of int8.",
        "b": "Fewer steps between Python and the first kernel: a runtime without Python, or more pictures a call.",
        "c": "More threads.",
    },
    answer="b",
    comments={
        "a": "The arithmetic of one picture takes a small part of the time; halving that part changes little.",
        "c": "Work of some ten microseconds is done before other threads are awake; they add overhead.",
    },
    explanation="For one picture of this size most of the time goes to getting to the arithmetic: guards, dispatch, "
    "allocation. What helps is a runtime that does less of it, or sharing it among many pictures.",
)
