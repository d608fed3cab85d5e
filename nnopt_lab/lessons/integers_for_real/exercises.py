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
    """`without_zero_points` with other factors for its three terms."""
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
        "Expand `(a − zero_a)·(b − zero_b)` for one pair, then sum over the `length` pairs of a row and a column.",
        "`Σ(a − za)(b − zb) = Σab − zb·Σa − za·Σb + length·za·zb`. Here Σa is the sum of a row of A, and Σb that of a "
        "column of B.",
        "`product - zero_b * rows[:, None] - zero_a * columns + length * zero_a * zero_b`",
    ),
    wrong={
        "You left out the last term. Add `length·zero_a·zero_b`, since the other two terms subtract it twice.": _without(
            last=0
        ),
        "Your last term has the wrong sign: minus times minus is plus.": _without(last=-1),
        "You swapped the zero points. Multiply `zero_a` by the sums of B's columns, and `zero_b` by the sums of A's "
        "rows.": called_with(lambda product, rows, columns, za, zb, length: (product, rows, columns, zb, za, length)),
        "You added `zero_a·zero_b` once. Add it once per pair: `length` times.": called_with(
            lambda *inputs: (*inputs[:-1], 1)
        ),
        "You only removed the product of the zero points. Each zero point also multiplies the values of the other matrix: "
        "subtract two more terms.": _without(rows=0, columns=0, last=-1),
        "Your two middle terms have the wrong sign. Subtract them.": _without(rows=-1, columns=-1),
        "You left out the term with the sums of B's columns.": _without(columns=0),
        "You left out the term with the sums of A's rows.": _without(rows=0),
        "Your result has the sign of every term but the first reversed. Subtract the two middle terms, and add the "
        "last.": _without(rows=-1, columns=-1, last=-1),
        "You only subtracted the term with B's columns. The other zero point, and the product of both, count, "
        "too.": _without(rows=0, last=0),
        "You only subtracted the term with A's rows. The other zero point, and the product of both, count, "
        "too.": _without(columns=0, last=0),
        "You used a side of the result as the length. `length` is the number of pairs in a sum.": called_with(
            lambda product, *rest: (product, *rest[:-1], product.shape[1])
        ),
    },
)
def without_zero_points(product, rows, columns, zero_a, zero_b, length):
    """Remove the zero points from an integer product.

    If A holds activations and B weights, two of the three terms are known before any picture arrives. With symmetric
    weights (`zero_b = 0`), the third, `zero_b` times the sums of A's rows, vanishes.
    """
    return _without()(product, rows, columns, zero_a, zero_b, length)


OPERATORS = ("convolution", "relu", "pool", "linear", "softmax", "normalise")


def _changes(operators, integer, before=(False,), after=(False,)):
    """How often the kind of tensor changes along the chain, given what is before and after it."""
    return sum(a != b for a, b in pairwise([*before, *(name in integer for name in operators), *after]))


def _chain(g: torch.Generator):
    operators = [choice(g, OPERATORS) for _ in range(randint(g, 6, 8))]
    return operators, [OPERATORS[i] for i in subset(g, 6, 3)]


@exercise(
    "for_real.conversions",
    points=3,
    inputs=_chain,
    hints=(
        "Go through the chain and keep track of whether the current tensor is float or integer. It starts as float.",
        "You need a conversion wherever the next operator takes the other kind, and one more at the end if the last tensor "
        "is integer.",
        "`kinds = [False, *(name in integer for name in operators), False]`; count the positions where neighbours "
        "differ",
    ),
    wrong={
        "You converted around every integer operator. Between two of them the tensor can stay integer, and engines make "
        "use of that.": lambda operators, integer: 2 * sum(name in integer for name in operators),
        "You left out the ends: the picture arrives as float, and the logits leave as float.": partial(
            _changes, before=[], after=[]
        ),
        "You counted only one direction. What is quantised must be dequantised again: count both.": changed(
            lambda count: count // 2
        ),
        "You took `integer` for the operators without an integer kernel. It lists those that *have* one.": called_with(
            lambda operators, integer: (operators, [o for o in OPERATORS if o not in integer])
        ),
        "You counted a pair per operator without integer kernel. Adjacent ones share one pair of conversions.": lambda operators, integer: (
            2 + 2 * sum(name not in integer for name in operators)
        ),
        "You added conversions for float operators at the ends. The picture is already float, and so are the "
        "logits.": lambda operators, integer: 2 + _changes(operators, integer, before=[True], after=[True]),
        "You always counted a conversion at both ends. It is only needed if the operator there takes integers.": lambda operators, integer: (
            2 + _changes(operators, integer, before=[], after=[])
        ),
        "You left out the last conversion. The logits leave as float, so the last integers must be dequantised.": partial(
            _changes, after=[]
        ),
        "You left out the first conversion. The picture arrives as float, so the first operator may need a Q.": partial(
            _changes, before=[]
        ),
        "You counted a pair around each float operator. There is one pair around each run of "
        "integer operators.": lambda operators, integer: 2 * sum(name not in integer for name in operators),
    },
    properties=(
        Property(
            "The number is even: a tensor becomes float as often as it becomes integer.",
            lambda count, operators, integer: count % 2 == 0,
        ),
    ),
)
def conversions(operators, integer):
    """Conversions in a mixed network.

    Each conversion reads and writes a whole tensor but computes nothing. One operator without an integer kernel in the
    middle costs two conversions, so engines need QDQ pairs in the right places.
    """
    return _changes(operators, integer)


@exercise(
    "for_real.network_gain",
    points=2,
    inputs=lambda g: (randint(g, 5, 45) / 100 + 0.5 * randint(g, 0, 1), float(randint(g, 2, 9))),
    hints=(
        "Assume that the network took 1 second before. How many seconds does the faster part take now?",
        "Now the network takes `(1 − share) + share/gain` seconds.",
        "`1 / (1 - share + share / gain)`",
    ),
    wrong={
        "You averaged the speed-ups. Times add up, but speed-ups don't: compute the remaining time, "
        "then its reciprocal.": lambda share, gain: 1 - share + share * gain,
        "You returned the remaining time as a share of the old one. The speed-up is its reciprocal.": changed(
            lambda gain: 1 / gain
        ),
        "You made the *other* part faster. `share` is the share of the time that becomes faster.": called_with(
            lambda share, gain: (1 - share, gain)
        ),
        "You divided `gain` by `share`. The network cannot gain more than the kernel.": lambda share, gain: (
            gain / share
        ),
        "You left out the part that does not become faster. It still takes `1 − share` of the time.": lambda share, gain: (
            share * gain
        ),
        "You assumed an infinitely fast kernel. It still takes `share/gain`.": lambda share, gain: 1 / (1 - share),
        "You added the time saved to 1. Divide the old time by the new one.": lambda share, gain: (
            1 + share - share / gain
        ),
        "You returned the share of the time saved. Divide the old time by the new one.": lambda share, gain: (
            share - share / gain
        ),
        "You subtracted 1. Return how many times as fast: 1 means no gain.": off_by(-1),
        "You added `share/gain` to 1 without subtracting the old share. The part takes `share/gain` *instead of* "
        "`share`.": lambda share, gain: 1 / (1 + share / gain),
        "You multiplied the share by the gain. The part becomes faster, so divide its time by the "
        "gain.": lambda share, gain: 1 / (1 - share + share * gain),
        "You subtracted `share/gain`. That is the time that the part still takes: subtract `share` and add "
        "`share/gain`.": lambda share, gain: 1 / (1 - share / gain),
    },
    properties=(
        Property(
            "The network's speed-up is between 1 and that of the kernel.",
            lambda result, share, gain: 1 <= result <= gain,
        ),
    ),
)
def network_gain(share, gain):
    """From the kernel's speed-up to the network's.

    This is Amdahl's law (1967). It works in both directions: from measured speed-ups of kernel and network, you can
    compute the kernel's share of the time.
    """
    return 1 / (1 - share + share / gain)


def _batches(earned=lambda slow, fast: slow - fast, rounded=math.ceil, never=lambda build, saved: -1):
    """`break_even` with a mistake: `earned` is the gain per batch, and `never` the result if nothing is gained."""
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
        "How much time does one batch save? How many batches make up for the build time?",
        "The number of batches is `build_ms / (slow_ms − fast_ms)`, rounded up. If nothing is saved, it is −1.",
        "`-1 if fast_ms >= slow_ms else -(-build_ms // (slow_ms - fast_ms))` (or `math.ceil` of the quotient)",
    ),
    wrong={
        "You rounded down, or to the nearest integer. After that many batches, part of the build time is not yet made up "
        "for. Round up.": _batches(rounded=math.floor),
        "You returned a negative quotient. An engine that is not faster never pays off: return −1.": _batches(
            never=lambda build, saved: math.ceil(build / saved) if saved else -1
        ),
        "You divided by `fast_ms`. A batch only saves `slow_ms − fast_ms`.": _batches(earned=lambda slow, fast: fast),
        "You divided by `slow_ms`. A batch only saves `slow_ms − fast_ms`.": _batches(earned=lambda slow, fast: slow),
        "Your result is one too large if the quotient is an integer. Round up instead of adding one.": _batches(
            rounded=lambda batches: math.floor(batches) + 1
        ),
        "You did not round. Return a whole number of batches, rounded up.": _batches(rounded=float),
        "You swapped `slow_ms` and `fast_ms`.": called_with(lambda build, slow, fast: (build, fast, slow)),
        "You returned 0 if it never pays off. Return −1.": _batches(never=lambda build, saved: 0),
        "You returned `None` if it never pays off. Return −1.": _batches(never=lambda build, saved: None),
        "You returned infinity if it never pays off. Return −1.": _batches(never=lambda build, saved: math.inf),
        "You returned the milliseconds that a batch saves. Divide the build time by them.": lambda build, slow, fast: (
            slow - fast if fast < slow else -1
        ),
    },
)
def break_even(build_ms, slow_ms, fast_ms):
    """When compilation pays off.

    A server runs for weeks, so half a minute does not matter. A test, a notebook, or a cloud function that starts afresh
    each time may never reach this number.
    """
    return _batches()(build_ms, slow_ms, fast_ms)


def _engine_table(g: torch.Generator):
    # Eight engines in any order, most of them for one mistake each: the fastest exceeds both limits, and the next two one
    # limit each, in either order. Of those that fit, one is the smallest, one the slowest, one meets both limits exactly
    # and one gains accuracy. One of the last two is the right one, unless nothing fits.
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
    """`choose_engine` with a mistake; `keeps(value, limit)` says whether an engine keeps a limit."""

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
        "Drop the engines that exceed a limit, then compare the times of the rest.",
        "An engine that meets a limit exactly is allowed. If none is left, return the string `'none'`.",
        "`fit = [i for i in range(len(names)) if kib[i] <= kib_limit and lost[i] <= lost_limit]; return names[min(fit, "
        'key=lambda i: ms[i])] if fit else "none"`',
    ),
    wrong={
        "You returned the fastest of all engines. Apply the limits first.": _fastest(fits=lambda small, exact: True),
        "You ignored the limit on accuracy: this engine loses too much.": _fastest(fits=lambda small, exact: small),
        "You ignored the limit on size: this engine's file is too large.": _fastest(fits=lambda small, exact: exact),
        "You took the smallest engine within the limits. Take the fastest.": _fastest(score=lambda ms, kib, lost: kib),
        "You excluded engines that meet a limit exactly. Compare with ≤.": _fastest(keeps=operator.lt),
        "You took the slowest engine within the limits. Take the fewest milliseconds.": _fastest(
            score=lambda ms, kib, lost: -ms
        ),
        "You took the most accurate engine within the limits. Take the fastest.": _fastest(
            score=lambda ms, kib, lost: lost
        ),
        "You took absolute values of the losses. A negative loss is a gain and keeps every limit.": called_with(
            lambda names, ms, kib, lost, *limits: (names, ms, kib, [abs(x) for x in lost], *limits)
        ),
        "You accepted engines that keep one limit. Both must be kept.": _fastest(
            fits=lambda small, exact: small or exact
        ),
        "You only tested the fastest of all. Drop what exceeds a limit first, then take the fastest of the rest.": _only_the_fastest,
        'You returned `None` if nothing fits. Return the string `"none"`.': changed(
            lambda name: None if name == "none" else name
        ),
    },
)
def choose_engine(names, ms, kib, lost, kib_limit, lost_limit):
    """Choosing an engine within limits.

    With limits first and speed second, the choice is well defined. A single score with weights for speed, size and
    accuracy depends on weights that nobody can justify.
    """
    return _fastest()(names, ms, kib, lost, kib_limit, lost_limit)


question(
    "for_real.lanes",
    points=1,
    text="A vector register has sixteen lanes of 32 bits. A float32 instruction multiplies one pair of numbers in each lane "
    "and adds the product to a sum. Without VNNI, int8 takes three such instructions for four pairs in each lane: one "
    "multiplies them and adds two products each, in 16 bits; one adds the results in 32 bits; one adds that to the sum. "
    "By what factor can int8 be faster? (two decimals)",
    answer=1.33,
    tolerance=0.01,
    comments={
        4: "That is the factor with VNNI, which does it all in one instruction. Here int8 takes three.",
        3: "That is the number of int8's instructions. How many does float32 need for the same four pairs?",
        0.75: "That is int8's time as a share of float32's. Divide the other way round.",
        12: "Three instructions take three times as long as one, so divide by 3.",
        64: "That is the number of pairs in a register of 8-bit numbers. Compare the instructions for the same pairs.",
    },
    explanation="For four pairs in each lane, float32 needs four instructions and int8 three: a factor of 4/3, if arithmetic "
    "is the limit. VNNI does in one what takes three here, and AMX multiplies small matrices in one instruction. A gain of "
    "a third is easily lost to everything else that int8 needs.",
)
question(
    "for_real.one_picture",
    points=1,
    text="On the machine where this lesson was written, PT2E's int8 program takes 1.6 times as long for one picture as "
    "eager float32, and ONNX Runtime in float32 a third as long. What would make PT2E's program faster?",
    choices={
        "a": "Fewer bits: int4 instead of int8.",
        "b": "Less overhead before the first kernel: a runtime without Python, or more pictures per call.",
        "c": "More threads.",
    },
    answer="b",
    comments={
        "a": "The arithmetic for one picture is a small part of the time, so halving it changes little.",
        "c": "Work of some ten microseconds is done before other threads wake up.",
    },
    explanation="For one picture of this size, most of the time goes into overhead: guards, dispatch, allocation. A runtime "
    "with less of it helps, and so does sharing it among many pictures.",
)
