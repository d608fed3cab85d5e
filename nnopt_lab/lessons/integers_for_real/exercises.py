"""Exercises and questions of lesson 06: engines with integer kernels, and what they gain."""

from itertools import pairwise

import torch

from nnopt_lab.course.draws import randint
from nnopt_lab.course.exercises import Property, exercise, question


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
        "The last term is missing: za·zb was subtracted twice, once for each of the `length` pairs; add it back.": lambda product, rows, columns, za, zb, length: (
            product - zb * rows[:, None] - za * columns
        ),
        "The last term has the wrong sign: minus times minus is plus.": lambda product, rows, columns, za, zb, length: (
            product - zb * rows[:, None] - za * columns - length * za * zb
        ),
        "The zero points are swapped: A's own zero point meets the sums of B's columns, and B's those of A's rows.": lambda product, rows, columns, za, zb, length: (
            product - za * rows[:, None] - zb * columns + length * za * zb
        ),
        "The last term counts once for *each* of the `length` pairs of numbers, not once.": lambda product, rows, columns, za, zb, length: (
            product - zb * rows[:, None] - za * columns + za * zb
        ),
        "Only the product of the zero points is gone. Each of them also multiplies what the other side holds: "
        "two more terms.": lambda product, rows, columns, za, zb, length: product - length * za * zb,
        "The two middle terms have the wrong sign.": lambda product, rows, columns, za, zb, length: (
            product + zb * rows[:, None] + za * columns + length * za * zb
        ),
        "One of the two middle terms is missing: that of B's columns.": lambda product, rows, columns, za, zb, length: (
            product - zb * rows[:, None] + length * za * zb
        ),
        "One of the two middle terms is missing: that of A's rows.": lambda product, rows, columns, za, zb, length: (
            product - za * columns + length * za * zb
        ),
        "`length` is the number of pairs in a sum, not a side of the result.": lambda product, rows, columns, za, zb, length: (
            product - zb * rows[:, None] - za * columns + za * zb * product.shape[1]
        ),
    },
)
def without_zero_points(product, rows, columns, zero_a, zero_b, length):
    """Take the zero points out of an integer product.

    With A the activations and B the weights, two of the three terms are known before a picture arrives. With symmetric
    weights, zero_b = 0, the third, zero_b times the sums of A's rows, vanishes.
    """
    return product - zero_b * rows[:, None] - zero_a * columns + length * zero_a * zero_b


OPERATORS = ("convolution", "relu", "pool", "linear", "softmax", "normalise")


def _kinds(operators, integer):
    return [name in integer for name in operators]


def _changes(kinds):
    return sum(a != b for a, b in pairwise(kinds))


def _chain(g: torch.Generator):
    operators = [OPERATORS[randint(g, 0, 5)] for _ in range(randint(g, 6, 8))]
    integer = [OPERATORS[i] for i in torch.randperm(6, generator=g)[:3].sort().values.tolist()]
    return operators, integer


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
        "You wrapped every integer operator for itself. Between two of them the tensor can stay integer: that "
        "is what an engine's fusion is for.": lambda operators, integer: 2 * sum(name in integer for name in operators),
        "The ends are missing: the picture arrives as float, and the logits leave as float.": lambda operators, integer: (
            _changes(_kinds(operators, integer))
        ),
        "You counted only one direction. What was quantised must be dequantised somewhere: both cost time.": lambda operators, integer: (
            conversions(operators, integer) // 2
        ),
        "`integer` names the operators that *have* an integer kernel; you counted as if they were the others.": lambda operators, integer: (
            conversions(operators, [o for o in OPERATORS if o not in integer])
        ),
        "Operators side by side without integer kernels share one pair of conversions.": lambda operators, integer: (
            2 + 2 * _kinds(operators, integer).count(False)
        ),
        "At an end of the chain a float operator costs nothing extra: the picture is float already, and "
        "so are the logits.": lambda operators, integer: 2 + _changes([True, *_kinds(operators, integer), True]),
        "A conversion at an end is needed only where the operator there takes integers.": lambda operators, integer: (
            2 + _changes(_kinds(operators, integer))
        ),
        "The logits leave as float: the last integers must be dequantised.": lambda operators, integer: _changes(
            [False, *_kinds(operators, integer)]
        ),
        "The picture arrives as float: the first operator may need a Q.": lambda operators, integer: _changes(
            [*_kinds(operators, integer), False]
        ),
        "You counted around the float operators; a pair stands around each run of integer ones.": lambda operators, integer: (
            2 * _kinds(operators, integer).count(False)
        ),
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
    return _changes([False, *_kinds(operators, integer), False])


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
        "You averaged the speed-ups. Times add up, speeds don't: work with the time that is left.": lambda share, gain: (
            1 - share + share * gain
        ),
        "That is the time that is left, as a share of the old one. The gain is its reciprocal.": lambda share, gain: (
            1 - share + share / gain
        ),
        "You made the *other* part faster: `share` is the share of the time that the fast kernel takes over.": lambda share, gain: (
            1 / (share + (1 - share) / gain)
        ),
        "The gain cannot exceed that of the kernel; the rest of the network only dilutes it.": lambda share, gain: (
            gain / share
        ),
        "The part that does not become faster still takes its time: 1 − share of it.": lambda share, gain: share * gain,
        "That is the limit for an infinitely fast kernel; the part still takes share/gain.": lambda share, gain: (
            1 / (1 - share)
        ),
        "You added the time saved to 1. Divide the old time by the new.": lambda share, gain: 1 + share - share / gain,
        "That is the time saved, not how many times as fast.": lambda share, gain: share - share / gain,
        "Times as fast, not how much faster: 1 means no gain.": lambda share, gain: network_gain(share, gain) - 1,
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
        "Rounded down: after that many batches a rest of the building time is still to be earned. Round up.": lambda build, slow, fast: (
            -1 if fast >= slow else build // (slow - fast)
        ),
        "An engine that is not faster never pays for itself: then the answer is −1, not a negative quotient.": lambda build, slow, fast: (
            -(-build // (slow - fast)) if slow != fast else -1
        ),
        "A batch does not earn its whole time, only what it saves: slow_ms − fast_ms.": lambda build, slow, fast: (
            -1 if fast >= slow else -(-build // fast)
        ),
        "You asked how many slow batches fit into the building time. Each fast one saves slow_ms − fast_ms only.": lambda build, slow, fast: (
            -1 if fast >= slow else -(-build // slow)
        ),
        "One too many where the quotient is whole: round up, don't add one.": lambda build, slow, fast: (
            -1 if fast >= slow else build // (slow - fast) + 1
        ),
        "Batches are whole: round up.": lambda build, slow, fast: -1 if fast >= slow else build / (slow - fast),
        "You took slow for fast.": lambda build, slow, fast: break_even(build, fast, slow),
        "Where it never pays the answer is −1, not 0.": lambda build, slow, fast: max(0, break_even(build, slow, fast)),
        "Where it never pays the answer is −1, not None.": lambda build, slow, fast: (
            None if fast >= slow else break_even(build, slow, fast)
        ),
    },
)
def break_even(build_ms, slow_ms, fast_ms):
    """When compiling has paid for itself.

    A server runs for weeks and does not care about half a minute. A test that starts afresh for every run, a notebook,
    a function in the cloud that sleeps: they may never reach that number.
    """
    return -1 if fast_ms >= slow_ms else -(-build_ms // (slow_ms - fast_ms))


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


def _fastest(names, ms, fits):
    fit = [i for i in range(len(names)) if fits(i)]
    return names[min(fit, key=lambda i: ms[i])] if fit else "none"


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
        "That is the fastest of all, whatever it costs: the limits come first.": lambda names, ms, kib, lost, kib_limit, lost_limit: (
            names[ms.index(min(ms))]
        ),
        "It keeps the limit of size but loses too much accuracy.": lambda names, ms, kib, lost, kib_limit, lost_limit: (
            _fastest(names, ms, lambda i: kib[i] <= kib_limit)
        ),
        "It keeps the limit of accuracy but its file is too large.": lambda names, ms, kib, lost, kib_limit, lost_limit: (
            _fastest(names, ms, lambda i: lost[i] <= lost_limit)
        ),
        "You took the smallest of those that fit. Within the limits size is free; the fastest is wanted.": lambda names, ms, kib, lost, kib_limit, lost_limit: (
            _fastest(names, [float(size) for size in kib], lambda i: kib[i] <= kib_limit and lost[i] <= lost_limit)
        ),
        "A limit may be reached, it may only not be exceeded: compare with ≤.": lambda names, ms, kib, lost, kib_limit, lost_limit: (
            _fastest(names, ms, lambda i: kib[i] < kib_limit and lost[i] < lost_limit)
        ),
        "You took the slowest of those that fit: the fewest milliseconds are wanted.": lambda names, ms, kib, lost, kib_limit, lost_limit: (
            _fastest(names, [-time for time in ms], lambda i: kib[i] <= kib_limit and lost[i] <= lost_limit)
        ),
        "You took the most accurate of those that fit. Within the limits accuracy is free; the "
        "fastest is wanted.": lambda names, ms, kib, lost, kib_limit, lost_limit: _fastest(
            names, lost, lambda i: kib[i] <= kib_limit and lost[i] <= lost_limit
        ),
        "A negative loss is a gain in accuracy: it breaks no limit.": lambda names, ms, kib, lost, kib_limit, lost_limit: (
            _fastest(names, ms, lambda i: kib[i] <= kib_limit and abs(lost[i]) <= lost_limit)
        ),
        "One limit kept is not enough: both.": lambda names, ms, kib, lost, kib_limit, lost_limit: _fastest(
            names, ms, lambda i: kib[i] <= kib_limit or lost[i] <= lost_limit
        ),
        "You looked only at the fastest of all. Throw out first, then take the fastest of the rest.": lambda names, ms, kib, lost, kib_limit, lost_limit: (
            _fastest(names, ms, lambda i: ms[i] == min(ms) and kib[i] <= kib_limit and lost[i] <= lost_limit)
        ),
        'Where nothing fits the answer is the text "none", not None.': lambda names, ms, kib, lost, kib_limit, lost_limit: (
            None if (name := choose_engine(names, ms, kib, lost, kib_limit, lost_limit)) == "none" else name
        ),
    },
)
def choose_engine(names, ms, kib, lost, kib_limit, lost_limit):
    """Choose an engine under limits.

    With limits first and speed second the choice is well defined. The other way round, with one score made of weights
    for speed, size and accuracy, it depends on weights that nobody can defend.
    """
    fit = [i for i in range(len(names)) if kib[i] <= kib_limit and lost[i] <= lost_limit]
    return names[min(fit, key=lambda i: ms[i])] if fit else "none"


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
