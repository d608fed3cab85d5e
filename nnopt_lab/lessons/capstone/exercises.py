"""Exercises and questions of lesson 15: what a file's bytes are, and how an entry is judged."""

from math import inf, log, prod, sqrt
from operator import sub

import torch

from nnopt_lab.course.draws import randint
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed


def _layers(g: torch.Generator):
    # Some tensors of 4 bits with an odd count, at least two, so that each one's rounding shows.
    odd = [[randint(g, 1, 4) * 2 + 1, randint(g, 1, 3) * 2 + 1, 3] for _ in range(randint(g, 2, 3))]
    even = [[randint(g, 2, 9) * 2, randint(g, 2, 9)] for _ in range(2)]
    return [*odd, *even, [randint(g, 5, 12)]], [*[4] * (len(odd) + 1), 8, 32]


def _summed(of_tensor=lambda shape, width: -(-prod(shape) * width // 8), then=lambda total: total):
    """The reference, or with one thing wrong: what a tensor adds, or what happens to the sum."""
    return lambda shapes, bits: then(sum(map(of_tensor, shapes, bits)))


@exercise(
    "capstone.file_bytes",
    points=3,
    inputs=_layers,
    hints=(
        "How many numbers has one tensor? How many bits, and how many bytes, do they take?",
        "Numbers: the product of the shape. Bytes: numbers · bits / 8, rounded up, as each tensor begins with a "
        "new byte.",
        "`sum(-(-math.prod(shape) * width // 8) for shape, width in zip(shapes, bits))`",
    ),
    wrong={
        "Rounded down: the last four bits of a tensor of odd length take a byte, too.": (
            _summed(lambda shape, width: prod(shape) * width // 8)
        ),
        "You rounded once, at the end. Each tensor begins with a new byte, so each is rounded up.": (
            _summed(lambda shape, width: prod(shape) * width, then=lambda total: -(-total // 8))
        ),
        "There are no half bytes: round each tensor's up.": _summed(lambda shape, width: prod(shape) * width / 8),
        "Those are bits; eight of them make a byte.": _summed(lambda shape, width: prod(shape) * width),
        "Four bytes are float32's; each tensor has bits of its own.": _summed(lambda shape, width: 4 * prod(shape)),
        "A tensor holds the *product* of its sides, not their sum.": (
            _summed(lambda shape, width: -(-sum(shape) * width // 8))
        ),
        "You rounded up each row. Rows follow each other without a gap; only a tensor begins with a new byte.": (
            _summed(lambda shape, width: prod(shape[:-1]) * -(-shape[-1] * width // 8))
        ),
        "You added a byte to each tensor, to those as well whose bits fill their bytes: round up.": (
            _summed(lambda shape, width: prod(shape) * width // 8 + 1)
        ),
        "A tensor needs no byte more than its numbers: to begin with a new one means to be rounded up.": (
            _summed(lambda shape, width: -(-prod(shape) * width // 8) + 1)
        ),
        "Python's `round` takes halves to the even neighbour, down as often as up. Half a byte needs a whole one.": (
            _summed(lambda shape, width: round(prod(shape) * width / 8))
        ),
        "You gave each number whole bytes. Two of 4 bits share one: round up at the end of a tensor.": (
            _summed(lambda shape, width: prod(shape) * -(-width // 8))
        ),
        "4 // 8 is 0: multiply by the number of values first, and divide by 8 then.": (
            _summed(lambda shape, width: prod(shape) * (width // 8))
        ),
        "You rounded once, at the end, and down. Each tensor begins with a new byte, so each is rounded up.": (
            _summed(lambda shape, width: prod(shape) * width, then=lambda total: total // 8)
        ),
        "That is how many numbers there are; each of them has its bits.": _summed(lambda shape, width: prod(shape)),
    },
)
def file_bytes(shapes, bits):
    """The bytes of a network's numbers.

    It is the least that a file takes. What stands around it, names and operators, is the same at 32 bits and at 4: the
    smaller the numbers, the more it counts.
    """
    return _summed()(shapes, bits)


def _padded(values):
    return torch.cat([values, values.new_zeros(len(values) % 2)])


def _together(nibbles, factor=16):
    return nibbles[0::2] + factor * nibbles[1::2]


def _nibbles(g: torch.Generator):
    # Odd or even lengths; always some negative values at both places of a pair.
    values = torch.randint(-8, 8, (randint(g, 6, 11),), generator=g)
    values[:4] = torch.tensor([-randint(g, 1, 8), randint(g, 1, 7), randint(g, 1, 7), -randint(g, 1, 8)])
    return (values,)


@exercise(
    "capstone.in_pairs",
    points=3,
    inputs=_nibbles,
    hints=(
        "Four bits hold q for q from 0 to 7, and q + 16 for −8 to −1 (two's complement): that is `q % 16`, or `q & 15`.",
        "Append a zero where the length is odd. A byte is first + 16 · second of each pair.",
        "`low, high = (values % 16).reshape(-1, 2).T` after the zero has been appended; then `low + 16 * high`",
    ),
    wrong={
        "The two are swapped: the *first* of a pair lies in the lower four bits.": (
            lambda q: in_pairs(_padded(q).reshape(-1, 2).flip(1).flatten())
        ),
        "You moved all values up by 8. int4 is two's complement: 3 stays 3, and −1 becomes 15.": (
            lambda q: in_pairs(q + 8)
        ),
        "The signs are gone: −1 is 15 in four bits, two's complement.": lambda q: in_pairs(q.abs()),
        "One value a byte so far. Put the second of each pair 16 times higher.": lambda q: q % 16,
        "A negative value borrows from its neighbour this way. Bring each into 0 to 15 first: q % 16.": (
            lambda q: _together(_padded(q))
        ),
        "Within 0 to 255 now, but a negative first value has borrowed from the second. Take q % 16 of each first.": (
            lambda q: _together(_padded(q)) % 256
        ),
        "Your bytes have signs: all above 127 came back negative. Wanted are 0 to 255.": (
            changed(lambda packed: packed.to(torch.int8).long())
        ),
        "Four bits higher is times 2⁴ = 16.": lambda q: _together(_padded(q) & 15, 15),
        "Times 8 is three bits higher. Four bits are times 2⁴ = 16.": lambda q: _together(_padded(q) & 15, 8),
        "That is a sign bit and an amount. In two's complement −1 is 15 and −8 is 8: q + 16.": (
            lambda q: in_pairs(torch.where(q < 0, 8 - q, q))
        ),
        "Off by one for each negative value: two's complement is q + 16, of which −1 becomes 15.": (
            lambda q: in_pairs(torch.where(q < 0, q + 15, q))
        ),
        "Modulo 8 leaves three bits, and the sign is lost: there are 16 values, so q % 16.": lambda q: in_pairs(q % 8),
        "All negative values have become 0; in two's complement they are 8 to 15.": lambda q: in_pairs(q.clamp(min=0)),
        "The zero that fills the last byte comes at the end; in front it moves each value to the other half.": (
            lambda q: in_pairs(torch.cat([q.new_zeros(len(q) % 2), q]))
        ),
        "A pair are two *neighbours*, not one of the first half and one of the second.": (
            lambda q: _together(_padded(q & 15).reshape(2, -1).T.flatten())
        ),
    },
    properties=(
        Property(
            "A byte holds 0 to 255.",
            lambda result, values: bool((result >= 0).all() and (result <= 255).all()),
        ),
    ),
)
def in_pairs(values):
    """Two int4 in a byte.

    That is how ONNX stores INT4 (opset 21). One scale for a tensor, or one a channel, makes real numbers of them again:
    DequantizeLinear.
    """
    return _together(_padded(values) & 15)


def _variance(gained, lost, n):
    return gained + lost - (gained - lost) ** 2 / n


def _lower_end(z=1.96, change=sub, variance=_variance, root=sqrt):
    """The reference, or with one thing wrong: how many standard errors, or what they or the change are made from."""
    return lambda gained, lost, n: 100 * (change(gained, lost) - z * root(variance(gained, lost, n))) / n


@exercise(
    "capstone.least_change",
    points=4,
    inputs=lambda g: (randint(g, 200, 500), randint(g, 200, 500), 1000 * randint(g, 2, 10)),
    hints=(
        "The change is (gained − lost)/count. Its lower end lies 1.96 standard errors below it.",
        "A picture contributes +1, −1 or 0. The sum over all has the variance gained + lost − (gained − lost)²/count.",
        "`100 * (gained - lost - 1.96 * math.sqrt(gained + lost - (gained - lost)**2 / count)) / count`",
    ),
    wrong={
        "That is the upper end: what may have been gained at best.": _lower_end(-1.96),
        "That is the change itself. The lower end lies 1.96 standard errors below it.": _lower_end(0),
        "You took gained for lost: a change for the better is positive.": (
            called_with(lambda gained, lost, n: (lost, gained, n))
        ),
        "In points, please: a hundred times the share.": changed(lambda end: end / 100),
        "One standard error covers 68 % of the cases; 95 % need 1.96 of them.": _lower_end(1),
        "You subtracted the variance: the standard error is its square root.": _lower_end(root=float),
        "Only pictures on which the two networks disagree add to the variance, gained + lost of them, not all.": (
            _lower_end(variance=lambda gained, lost, n: n)
        ),
        "Accuracy is a share of *all* pictures: divide by count.": (
            lambda gained, lost, n: least_change(gained, lost, n) * n / (gained + lost)
        ),
        "Part of the variance is missing: (gained − lost)²/count is to be subtracted under the root.": (
            _lower_end(variance=lambda gained, lost, n: gained + lost)
        ),
        "The change is in points already, the standard error not yet: both times 100.": _lower_end(1.96 / 100),
        "The change has a sign: gained − lost, negative where more was lost.": (
            _lower_end(change=lambda gained, lost: abs(gained - lost))
        ),
        "That is the distance from the change to the end of the interval: add the change to it.": (
            _lower_end(change=lambda gained, lost: 0)
        ),
        "That is half the interval's width. Subtract it from the change.": (
            _lower_end(-1.96, change=lambda gained, lost: 0)
        ),
        "The variance is that of the whole *sum*: divide its root by count, as the sum, not by the root of count.": (
            _lower_end(variance=lambda gained, lost, n: n * _variance(gained, lost, n))
        ),
        "1.645 leaves out 5 % at each end. For 95 % between both ends it is 1.96.": _lower_end(1.645),
        "Nearly: 2 is rounded, take 1.96.": _lower_end(2),
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
    """How much may have been lost.

    If this end lies above −0.5, a loss of more than half a point is excluded. To be that sure with 10,000 pictures, a
    network that is right where the other is wrong, or wrong where it is right, on every tenth must be *better* by 0.12
    points.
    """
    return _lower_end()(gained, lost, count)


def _linear(value, naive, best):
    return (value - naive) / (best - naive)


def _earned(share=lambda value, naive, best: log(value / naive) / log(best / naive), lowest=0.0, highest=1.0, most=10):
    """The reference, or with one thing wrong: the share of the way, its limits, or the points for all of it."""
    return lambda values, naive, best: [most * min(max(share(value, naive, best), lowest), highest) for value in values]


def _places(g: torch.Generator):
    # Sizes (best below naive) or speeds (best above); one value beyond each end, and two between them.
    naive, factor, grows = randint(g, 10, 99) + 0.5, float(randint(g, 5, 40)), bool(randint(g, 0, 1))
    best = naive * factor if grows else naive / factor
    # With many digits: rounded points are no answer.
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
        "How far from naive to best is a value, if each doubling counts the same? Sizes and speeds are ratios.",
        "The share of the way is log(value/naive) / log(best/naive), whichever of the two is larger.",
        "`10 * min(max(math.log(value / naive) / math.log(best / naive), 0), 1)` for each value",
    ),
    wrong={
        "Linear: on that way a file of half the size is half way already. Each halving is to count the same: logs.": (
            _earned(_linear)
        ),
        "Not below 0 and not above 10: cut it off.": _earned(lowest=-inf, highest=inf),
        "Who is worse than naive gets 0, nothing negative.": _earned(lowest=-inf),
        "Who is better than the best gets 10, not more.": _earned(highest=inf),
        "That is the share of the way, from 0 to 1; 10 points are to be had.": _earned(most=1),
        "You measured from the wrong end: naive has 0 points, best 10.": (
            called_with(lambda values, naive, best: (values, best, naive))
        ),
        "The whole way is log(best/naive), the logarithm of a *ratio*; log(best) alone depends on the unit.": (
            _earned(lambda v, naive, best: (log(v) - log(naive)) / log(best))
        ),
        "That is the logarithm of a difference. What counts is how many *times* smaller or faster: value/naive.": (
            _earned(lambda v, naive, best: log(abs(v - naive) + 1) / log(abs(best - naive) + 1))
        ),
        "Linear, and not cut off: each halving is to count the same, so take logarithms; then cut off at 0 and 10.": (
            lambda values, naive, best: [10 * (v - naive) / (best - naive) for v in values]
        ),
        "Without its sign the logarithm gives points for being *worse* than naive, too.": (
            _earned(lambda v, naive, best: abs(log(v / naive) / log(best / naive)))
        ),
        "You cut off at 1 what was multiplied by 10 already: all that is better than a tenth of the way got 1.": (
            _earned(highest=1 / 10)
        ),
        "That is a ratio to the best. The share of the way is a ratio of two logarithms, log(value/naive) to "
        "log(best/naive).": _earned(lambda v, naive, best: v / best),
        "Linear in 1/value: on that way the last halving counts most. Each is to count the same: logs.": (
            _earned(lambda v, naive, best: _linear(1 / v, 1 / naive, 1 / best))
        ),
        "One of the two ratios stands upside down: value/naive above, best/naive below.": (
            _earned(lambda v, naive, best: log(naive / v) / log(best / naive))
        ),
        "Where is naive? At naive the share must be 0: log(value/naive) / log(best/naive).": (
            _earned(lambda v, naive, best: log(v) / log(best))
        ),
        "Rounded to whole points: leave all digits.": changed(lambda earned: [float(round(value)) for value in earned]),
    },
    properties=(
        Property(
            "Points lie between 0 and 10.",
            lambda result, values, naive, best: all(0 <= value <= 10 for value in result),
        ),
    ),
)
def points(values, naive, best):
    """Points on a logarithmic way.

    From 1× to 2× smaller is as far as from 50× to 100×. That is how it feels, too: the first halving is one line of
    code, the last takes another network.
    """
    return _earned()(values, naive, best)


question(
    "capstone.zeros",
    points=1,
    text="You prune 95 % of MyNet's weights and write it as an ONNX file in float32. How large is the file?",
    choices={
        "a": "A twentieth: zeros need no place.",
        "b": "A tenth: each weight that is left needs its position, too.",
        "c": "As large as before.",
        "d": "Larger: a mask is stored as well.",
    },
    answer="c",
    explanation="A tensor in the file holds all of its numbers, and a zero takes four bytes like any other. Zeros pay "
    "where a coder packs them (lesson 07), or where whole channels go (lesson 01).",
    comments={
        "a": "A tensor of float32 stores a zero in four bytes like any other number. Only what is *removed* needs no place.",
        "b": "That would be a sparse format. ONNX has one for initializers, but engines hardly read it; what the exporter "
        "writes is dense.",
        "d": "The mask is multiplied into the weights when pruning is made permanent; what is left is a dense tensor.",
    },
)
question(
    "capstone.slow_int4",
    points=1,
    text="On the processor on which the course was made, which has AVX2, our small network is about as fast as the "
    "baseline, though it multiplies less than a seventh as often. The same network with its weights in float32 is "
    "about twice as fast. Why?",
    choices={
        "a": "Its weights are made float in every call, and the engine's fastest kernels want weights that are constant "
        "when the file is loaded.",
        "b": "Integer multiplications are slower than float ones.",
        "c": "Reading 4-bit numbers from memory takes longer than reading float32.",
        "d": "It has more multiplications than the baseline after all, once the dequantisation is counted.",
    },
    answer="a",
    explanation="DequantizeLinear stays in the graph, so that an engine with integer kernels could use it. This one has "
    "none for int4 weights; it dequantises, and then takes a general convolution in place of the one whose weights it "
    "would have rearranged at loading. Where it has none of those either, as on some ARM processors, both files are "
    "about equally fast.",
    comments={
        "b": "Nothing is multiplied in integers here: only the weights are stored as such, the convolutions run in float32.",
        "c": "They are a few kilobytes, in the cache from the first call on.",
        "d": "One multiplication a weight and call: thousands, beside the hundreds of thousands of the convolutions for "
        "each picture.",
    },
)
