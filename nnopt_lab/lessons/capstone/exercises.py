"""Exercises and questions of lesson 15: what takes up bytes in a file, and how an entry is judged."""

from math import inf, log, log2, prod, sqrt
from operator import sub

import torch

from nnopt_lab.course.draws import randint
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed


def _layers(g: torch.Generator):
    # At least two 4-bit tensors have an odd count, so that rounding per tensor shows.
    odd = [[randint(g, 1, 4) * 2 + 1, randint(g, 1, 3) * 2 + 1, 3] for _ in range(randint(g, 2, 3))]
    even = [[randint(g, 2, 9) * 2, randint(g, 2, 9)] for _ in range(2)]
    return [*odd, *even, [randint(g, 5, 12)]], [*[4] * (len(odd) + 1), 8, 32]


def _summed(of_tensor=lambda shape, width: -(-prod(shape) * width // 8), then=lambda total: total):
    """Return the reference, or one with a mistake in what a tensor adds or in what happens to the sum."""
    return lambda shapes, bits: then(sum(map(of_tensor, shapes, bits)))


@exercise(
    "capstone.file_bytes",
    points=3,
    inputs=_layers,
    hints=(
        "How many numbers does one tensor hold? How many bits do they take, and how many bytes?",
        "A tensor holds as many numbers as the product of its shape. Its bytes are numbers · bits / 8, rounded up, "
        "since each tensor starts on a new byte.",
        "`sum(-(-math.prod(shape) * width // 8) for shape, width in zip(shapes, bits))`",
    ),
    wrong={
        "You rounded down. The last four bits of a tensor of odd length need a byte, too: round each tensor up.": (
            _summed(lambda shape, width: prod(shape) * width // 8)
        ),
        "You rounded once, at the end. Each tensor starts on a new byte, so round each tensor up before you add.": (
            _summed(lambda shape, width: prod(shape) * width, then=lambda total: -(-total // 8))
        ),
        "You counted half bytes. A tensor takes whole bytes: round each one up.": _summed(
            lambda shape, width: prod(shape) * width / 8
        ),
        "You returned bits. Eight of them make a byte: divide each tensor's bits by 8 and round up.": _summed(
            lambda shape, width: prod(shape) * width
        ),
        "You took four bytes per number, which is right for float32 only. Each tensor has its own width in `bits`.": _summed(
            lambda shape, width: 4 * prod(shape)
        ),
        "You added the sides of a tensor. It holds the *product* of its sides.": (
            _summed(lambda shape, width: -(-sum(shape) * width // 8))
        ),
        "You rounded up each row. Rows follow each other without a gap: round up once per tensor.": (
            _summed(lambda shape, width: prod(shape[:-1]) * -(-shape[-1] * width // 8))
        ),
        "You added a byte to every tensor, even to those whose bits fill their bytes. Round up instead.": (
            _summed(lambda shape, width: prod(shape) * width // 8 + 1)
        ),
        "You rounded up and then added one more byte per tensor. Rounding up is enough to start the next tensor on "
        "a new byte.": (_summed(lambda shape, width: -(-prod(shape) * width // 8) + 1)),
        "You used `round`, which takes halves to the even neighbour, so down as often as up. Half a byte needs a "
        "whole one: round up.": (_summed(lambda shape, width: round(prod(shape) * width / 8))),
        "You gave each number whole bytes. Two numbers of 4 bits share one: round up once per tensor.": (
            _summed(lambda shape, width: prod(shape) * -(-width // 8))
        ),
        "You divided the width by 8 first, and `4 // 8` is 0. Multiply by the number of values, then divide.": (
            _summed(lambda shape, width: prod(shape) * (width // 8))
        ),
        "You rounded once, at the end, and down. Each tensor starts on a new byte: round each one up before you add.": (
            _summed(lambda shape, width: prod(shape) * width, then=lambda total: total // 8)
        ),
        "You counted the numbers. Multiply each tensor's count by its bits, and divide by 8.": _summed(
            lambda shape, width: prod(shape)
        ),
    },
)
def file_bytes(shapes, bits):
    """The bytes of a network's numbers.

    No file of such tensors can be smaller. Names and operators come on top, and take as many bytes at 4 bits per number
    as at 32: the smaller the numbers, the more the rest counts.
    """
    return _summed()(shapes, bits)


def _padded(values):
    return torch.cat([values, values.new_zeros(len(values) % 2)])


def _together(nibbles, factor=16):
    return nibbles[0::2] + factor * nibbles[1::2]


def _nibbles(g: torch.Generator):
    # Lengths are odd or even; both places of a pair hold some negative value.
    values = torch.randint(-8, 8, (randint(g, 6, 11),), generator=g)
    values[:4] = torch.tensor([-randint(g, 1, 8), randint(g, 1, 7), randint(g, 1, 7), -randint(g, 1, 8)])
    return (values,)


@exercise(
    "capstone.in_pairs",
    points=3,
    inputs=_nibbles,
    hints=(
        "Four bits hold q itself for q from 0 to 7, and q + 16 for q from −8 to −1 (two's complement). Both are `q "
        "% 16`, or `q & 15`.",
        "Append a zero if the length is odd. A byte is first + 16 · second of each pair.",
        "Append the zero, then take `low, high = (values % 16).reshape(-1, 2).T` and return `low + 16 * high`.",
    ),
    wrong={
        "You swapped the two values of a pair. The *first* belongs in the lower four bits.": (
            lambda q: in_pairs(_padded(q).reshape(-1, 2).flip(1).flatten())
        ),
        "You moved all values up by 8. int4 is two's complement: 3 stays 3, and −1 becomes 15. Take `q % 16`.": (
            lambda q: in_pairs(q + 8)
        ),
        "You dropped the signs. In two's complement −1 becomes 15: take `q % 16`.": lambda q: in_pairs(q.abs()),
        "You stored one value per byte. Multiply the second value of each pair by 16 and add it to the first.": lambda q: (
            q % 16
        ),
        "You added negative values as they are, so each borrows from its neighbour. Bring each value into 0 to 15 "
        "first: `q % 16`.": lambda q: _together(_padded(q)),
        "You brought the bytes into 0 to 255, but only after a negative first value had borrowed from the second. Take "
        "`q % 16` of each value first.": lambda q: _together(_padded(q)) % 256,
        "You brought only the second value of each pair into 0 to 15. A negative first value borrows from it: take `q "
        "% 16` of both.": lambda q: _padded(q)[0::2] + 16 * (_padded(q)[1::2] % 16),
        "You returned signed bytes, so everything above 127 came out negative. Return 0 to 255.": (
            changed(lambda packed: packed.to(torch.int8).long())
        ),
        "You multiplied the second value by 15. To move it four bits up, multiply by 2⁴ = 16.": lambda q: _together(
            _padded(q) & 15, 15
        ),
        "You multiplied the second value by 8, which moves it three bits up. For four bits multiply by 2⁴ = 16.": lambda q: (
            _together(_padded(q) & 15, 8)
        ),
        "You stored a sign bit and a magnitude. In two's complement −1 is 15 and −8 is 8: add 16 to negative values.": (
            lambda q: in_pairs(torch.where(q < 0, 8 - q, q))
        ),
        "You added 15 to negative values. Two's complement adds 16, so −1 becomes 15.": (
            lambda q: in_pairs(torch.where(q < 0, q + 15, q))
        ),
        "You took values modulo 8, which keeps three bits and loses the sign. There are 16 values: take `q % 16`.": lambda q: (
            in_pairs(q % 8)
        ),
        "You turned all negative values into 0. In two's complement they are 8 to 15: take `q % 16`.": lambda q: (
            in_pairs(q.clamp(min=0))
        ),
        "You put the padding zero in front, which moves each value to the other half of a byte. Append it at the "
        "end.": (lambda q: in_pairs(torch.cat([q.new_zeros(len(q) % 2), q]))),
        "You dropped the last value of an odd count. Append a zero, so that it gets a byte.": (
            lambda q: in_pairs(q[: len(q) // 2 * 2])
        ),
        "You paired the first half of the values with the second half. Pair *neighbours*: values 0 and 1, 2 and 3, "
        "….": (lambda q: _together(_padded(q & 15).reshape(2, -1).T.flatten())),
    },
    properties=(
        Property(
            "Each byte must be from 0 to 255.",
            lambda result, values: bool((result >= 0).all() and (result <= 255).all()),
        ),
    ),
)
def in_pairs(values):
    """Two int4 values in a byte.

    ONNX stores INT4 like this since opset 21. The operator `DequantizeLinear` turns the integers back into real
    numbers, with one scale per tensor or one per channel.
    """
    return _together(_padded(values) & 15)


def _variance(gained, lost, n):
    return gained + lost - (gained - lost) ** 2 / n


def _lower_end(z=1.96, change=sub, variance=_variance, root=sqrt):
    """Return the reference, or one with a mistake in the number of standard errors, the change or the variance."""
    return lambda gained, lost, n: 100 * (change(gained, lost) - z * root(variance(gained, lost, n))) / n


@exercise(
    "capstone.least_change",
    points=4,
    inputs=lambda g: (randint(g, 200, 500), randint(g, 200, 500), 1000 * randint(g, 2, 10)),
    hints=(
        "The change is `(gained − lost)/count`. Its lower end lies 1.96 standard errors below it.",
        "A picture contributes +1, −1 or 0. Their sum has the variance `gained + lost − (gained − lost)²/count`.",
        "`100 * (gained - lost - 1.96 * math.sqrt(gained + lost - (gained - lost)**2 / count)) / count`",
    ),
    wrong={
        "You returned the upper end of the interval. Subtract 1.96 standard errors instead of adding them.": _lower_end(
            -1.96
        ),
        "You returned the change itself. The lower end lies 1.96 standard errors below it.": _lower_end(0),
        "You swapped `gained` and `lost`. A change for the better is positive: `gained − lost`.": (
            called_with(lambda gained, lost, n: (lost, gained, n))
        ),
        "You returned a share. Multiply by 100 to get points.": changed(lambda end: end / 100),
        "You subtracted one standard error, which covers 68 % of the cases. For 95 %, subtract 1.96 of them.": _lower_end(
            1
        ),
        "You subtracted the variance. Take its square root, the standard error.": _lower_end(root=float),
        "You counted all pictures in the variance. Only those on which the networks disagree add to it: `gained + "
        "lost`.": _lower_end(variance=lambda gained, lost, n: n),
        "You divided by the pictures on which the networks disagree. Accuracy is a share of *all* pictures: divide by "
        "`count`.": lambda gained, lost, n: least_change(gained, lost, n) * n / (gained + lost),
        "You left out a part of the variance. Subtract `(gained − lost)²/count` under the root.": (
            _lower_end(variance=lambda gained, lost, n: gained + lost)
        ),
        "You multiplied only the change by 100, not the standard error. Both must be in points.": _lower_end(
            1.96 / 100
        ),
        "You dropped the sign of the change. It is `gained − lost`, which is negative if more was lost.": (
            _lower_end(change=lambda gained, lost: abs(gained - lost))
        ),
        "You returned 1.96 standard errors below zero, not below the change. Add the change, `gained − lost`.": (
            _lower_end(change=lambda gained, lost: 0)
        ),
        "You returned half the width of the interval. Subtract it from the change.": (
            _lower_end(-1.96, change=lambda gained, lost: 0)
        ),
        "You divided the root of the variance by `√count`. The variance is that of the *sum*: divide its root by "
        "`count`, like the sum.": _lower_end(variance=lambda gained, lost, n: n * _variance(gained, lost, n)),
        "You took 1.645, which leaves out 5 % at each end. Take 1.96, which leaves out 2.5 % at each.": _lower_end(
            1.645
        ),
        "You rounded 1.96 to 2. Take 1.96.": _lower_end(2),
        "You took 2.576, which is for 99 %. For 95 %, take 1.96.": _lower_end(2.576),
        "You added `(gained − lost)²/count` to the variance. Subtract it.": (
            _lower_end(variance=lambda gained, lost, n: gained + lost + (gained - lost) ** 2 / n)
        ),
        "You added the variances of `gained` and `lost` as if they were independent. A picture is only one of the two: "
        "the variance is `gained + lost − (gained − lost)²/count`.": (
            _lower_end(variance=lambda gained, lost, n: gained * (1 - gained / n) + lost * (1 - lost / n))
        ),
    },
    tolerance=1e-3,  # 1.96 or a quantile of more digits
    properties=(
        Property(
            "The lower end lies below the change itself.",
            lambda result, gained, lost, count: result < 100 * (gained - lost) / count,
        ),
    ),
)
def least_change(gained, lost, count):
    """The largest plausible loss.

    If this end lies above −0.5, a loss of more than half a point is excluded. That takes a good network: if two disagree
    on a tenth of 10,000 pictures, the new one must be *better* by 0.12 points to be that sure.
    """
    return _lower_end()(gained, lost, count)


def _linear(value, naive, best):
    return (value - naive) / (best - naive)


def _doublings(value, naive, best):
    return log2(value / naive) if best > naive else log2(naive / value)


def _earned(share=lambda value, naive, best: log(value / naive) / log(best / naive), lowest=0.0, highest=1.0, most=10):
    """Return the reference, or one with a mistake in the share of the way, its limits or the full points."""
    return lambda values, naive, best: [most * min(max(share(value, naive, best), lowest), highest) for value in values]


def _places(g: torch.Generator):
    # Sizes (best below naive) or speeds (best above); one value beyond each end, and two between them.
    naive, factor, grows = randint(g, 10, 99) + 0.5, float(randint(g, 5, 40)), bool(randint(g, 0, 1))
    best = naive * factor if grows else naive / factor
    # Many digits, so that rounded points are wrong.
    shares = [
        share / 10 + 0.0137 for share in (-randint(g, 1, 4), randint(g, 11, 14), randint(g, 2, 4), randint(g, 6, 8))
    ]
    order = torch.randperm(4, generator=g).tolist()
    return [naive * (best / naive) ** shares[place] for place in order], naive, best


@exercise(
    "capstone.points",
    points=3,
    inputs=_places,
    hints=(
        "If each doubling counts the same, how far is a value on the way from `naive` to `best`? Think of ratios.",
        "The share of the way is `log(value/naive) / log(best/naive)`, for sizes and for speeds.",
        "Per value: `10 * min(max(math.log(value / naive) / math.log(best / naive), 0), 1)`",
    ),
    wrong={
        "You went along the value itself, where a file of half the size is already half way. Each halving must "
        "count the same: take logarithms.": (_earned(_linear)),
        "You did not limit the points. Clip them to 0 and 10.": _earned(lowest=-inf, highest=inf),
        "You gave negative points to entries worse than `naive`. They get 0.": _earned(lowest=-inf),
        "You gave more than 10 points to entries better than the best. They get 10.": _earned(highest=inf),
        "You returned the share of the way, from 0 to 1. Multiply it by 10.": _earned(most=1),
        "You measured from the wrong end. `naive` earns 0 points, `best` earns 10.": (
            called_with(lambda values, naive, best: (values, best, naive))
        ),
        "You divided by `log(best)`, which depends on the unit. The whole way is the logarithm of a *ratio*, "
        "`log(best/naive)`.": _earned(lambda v, naive, best: (log(v) - log(naive)) / log(best)),
        "You took the logarithm of a difference. What counts is how many *times* smaller or faster an entry is: "
        "`log(value/naive)`.": _earned(lambda v, naive, best: log(abs(v - naive) + 1) / log(abs(best - naive) + 1)),
        "You went along the value itself, and did not clip. Each halving must count the same: take logarithms, "
        "then clip to 0 and 10.": (lambda values, naive, best: [10 * (v - naive) / (best - naive) for v in values]),
        "You dropped the sign of the logarithm, so that entries *worse* than `naive` earn points, too. Keep it.": (
            _earned(lambda v, naive, best: abs(log(v / naive) / log(best / naive)))
        ),
        "You clipped at 1 after multiplying by 10, so everything beyond a tenth of the way got 1. Clip the share, "
        "then multiply.": (_earned(highest=1 / 10)),
        "You took the ratio to the best. The share of the way is a ratio of two logarithms, `log(value/naive) / "
        "log(best/naive)`.": _earned(lambda v, naive, best: v / best),
        "You went along `1/value`, where the last halving counts most. Each must count the same: take logarithms.": (
            _earned(lambda v, naive, best: _linear(1 / v, 1 / naive, 1 / best))
        ),
        "You turned one of the two ratios upside down. Take `value/naive` above and `best/naive` below.": (
            _earned(lambda v, naive, best: log(naive / v) / log(best / naive))
        ),
        "You left `naive` out. At `naive` the share must be 0: `log(value/naive) / log(best/naive)`.": (
            _earned(lambda v, naive, best: log(v) / log(best))
        ),
        "You gave 10 points per halving or doubling. The whole way from `naive` to `best` is worth 10: divide by its "
        "logarithm, `log(best/naive)`.": _earned(_doublings),
        "You gave 10 points per halving or doubling, without a limit. The whole way from `naive` to `best` is worth "
        "10: divide by `log(best/naive)`, then clip to 0 and 10.": _earned(_doublings, lowest=-inf, highest=inf),
        "You limited every share to 1 from below and to 0 from above, in the wrong order, so all values got the same. "
        "Use `min(max(share, 0), 1)`.": lambda values, naive, best: [10.0 for _ in values],
        "You assumed that smaller is better. `best` may be larger than `naive`: `log(value/naive) / log(best/naive)` "
        "serves both.": _earned(lambda v, naive, best: log(naive / v) / abs(log(best / naive))),
        "You assumed that larger is better. `best` may be smaller than `naive`: `log(value/naive) / log(best/naive)` "
        "serves both.": _earned(lambda v, naive, best: log(v / naive) / abs(log(best / naive))),
        "You rounded to whole points. Keep all digits.": changed(
            lambda earned: [float(round(value)) for value in earned]
        ),
    },
    properties=(
        Property(
            "Points lie between 0 and 10.",
            lambda result, values, naive, best: all(0 <= value <= 10 for value in result),
        ),
    ),
)
def points(values, naive, best):
    """Points on a logarithmic scale.

    Going from 1× to 2× smaller earns as much as going from 50× to 100×. It is also fairer to the work: the first halving
    is one line of code, and the last takes another network.
    """
    return _earned()(values, naive, best)


question(
    "capstone.zeros",
    points=1,
    text="You prune 95 % of MyNet's weights (set them to 0) and write it as an ONNX file in float32. How large is the file?",
    choices={
        "a": "A twentieth of the size: zeros need no space.",
        "b": "A tenth of the size: each remaining weight needs its position, too.",
        "c": "As large as before.",
        "d": "Larger than before: the mask is stored as well.",
    },
    answer="c",
    explanation="A tensor in the file holds all of its numbers, and a zero takes four bytes like any other. Zeros "
    "pay off if a compressor packs them (lesson 07), or if whole channels are removed (lesson 01).",
    comments={
        "a": "You took zeros for free. Only what is *removed* saves space.",
        "b": "You thought of a sparse format. ONNX has one for its initializers, but engines hardly support it, "
        "and the exporter does not use it.",
        "d": "You counted the mask. It is multiplied into the weights when pruning is made permanent.",
    },
)
question(
    "capstone.slow_int4",
    points=1,
    text="On x86 processors, our small network is about as fast as the baseline or slower, although it does less than a "
    "seventh of the multiplications. With its weights in float32, the same network is faster. Why?",
    choices={
        "a": "Its weights are converted to float32 every time it runs, and the engine's fastest convolutions need weights "
        "that are constant when the file is loaded.",
        "b": "Integer multiplications are slower than float multiplications.",
        "c": "Reading 4-bit numbers from memory takes longer than reading float32.",
        "d": "It does more multiplications than the baseline after all, once dequantisation is counted.",
    },
    answer="a",
    explanation="DequantizeLinear stays in the graph, for engines that multiply integers of 4 bits. This engine doesn't "
    "in convolutions. It dequantises the weights every time it runs, and then runs a general convolution "
    "instead of the fast one, whose weights it would have rearranged at loading. On processors without those fast "
    "convolutions, such as some ARM ones, both files are about equally fast.",
    comments={
        "b": "You took storage for computation. Only the weights are stored as integers; the convolutions run in "
        "float32.",
        "c": "You blamed the memory. The weights are a few kilobytes, and stay in the cache from the first call on.",
        "d": "You overestimated dequantisation. It is one multiplication per weight and run: thousands, beside "
        "hundreds of thousands per picture in the convolutions.",
    },
)
