"""Exercises and questions of lesson 12: what a file's bytes are, and how an entry is judged."""

import math

import torch

from nnopt_lab.course.draws import randint
from nnopt_lab.course.exercises import Property, exercise, question


def _layers(g: torch.Generator):
    # Some tensors of 4 bits with an odd count, at least two, so that each one's rounding shows.
    odd = [[randint(g, 1, 4) * 2 + 1, randint(g, 1, 3) * 2 + 1, 3] for _ in range(randint(g, 2, 3))]
    even = [[randint(g, 2, 9) * 2, randint(g, 2, 9)] for _ in range(2)]
    return [*odd, *even, [randint(g, 5, 12)]], [*[4] * (len(odd) + 1), 8, 32]


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
        "Rounded down: the last four bits of a tensor of odd length take a byte, too.": lambda shapes, bits: sum(
            math.prod(s) * b // 8 for s, b in zip(shapes, bits, strict=True)
        ),
        "You rounded once, at the end. Each tensor begins with a new byte, so each is rounded up.": lambda shapes, bits: (
            -(-sum(math.prod(s) * b for s, b in zip(shapes, bits, strict=True)) // 8)
        ),
        "There are no half bytes: round each tensor's up.": lambda shapes, bits: sum(
            math.prod(s) * b / 8 for s, b in zip(shapes, bits, strict=True)
        ),
        "Those are bits; eight of them make a byte.": lambda shapes, bits: sum(
            math.prod(s) * b for s, b in zip(shapes, bits, strict=True)
        ),
        "Four bytes are float32's; each tensor has bits of its own.": lambda shapes, bits: (
            4 * sum(math.prod(s) for s in shapes)
        ),
        "A tensor holds the *product* of its sides, not their sum.": lambda shapes, bits: sum(
            -(-sum(s) * b // 8) for s, b in zip(shapes, bits, strict=True)
        ),
        "You rounded up each row. Rows follow each other without a gap; only a tensor begins with a new byte.": lambda shapes, bits: (
            sum(math.prod(s[:-1]) * -(-s[-1] * b // 8) for s, b in zip(shapes, bits, strict=True))
        ),
        "You added a byte to each tensor, to those as well whose bits fill their bytes: round up.": lambda shapes, bits: (
            sum(math.prod(s) * b // 8 + 1 for s, b in zip(shapes, bits, strict=True))
        ),
        "A tensor needs no byte more than its numbers: to begin with a new one means to be rounded up.": lambda shapes, bits: (
            file_bytes(shapes, bits) + len(shapes)
        ),
        "Python's `round` takes halves to the even neighbour, down as often as up. Half a byte needs a whole one.": lambda shapes, bits: (
            sum(round(math.prod(s) * b / 8) for s, b in zip(shapes, bits, strict=True))
        ),
        "You gave each number whole bytes. Two of 4 bits share one: round up at the end of a tensor.": lambda shapes, bits: (
            sum(math.prod(s) * -(-b // 8) for s, b in zip(shapes, bits, strict=True))
        ),
        "4 // 8 is 0: multiply by the number of values first, and divide by 8 then.": lambda shapes, bits: sum(
            math.prod(s) * (b // 8) for s, b in zip(shapes, bits, strict=True)
        ),
        "You rounded once, at the end, and down. Each tensor begins with a new byte, so each is rounded up.": lambda shapes, bits: (
            sum(math.prod(s) * b for s, b in zip(shapes, bits, strict=True)) // 8
        ),
        "That is how many numbers there are; each of them has its bits.": lambda shapes, bits: sum(
            math.prod(s) for s in shapes
        ),
    },
)
def file_bytes(shapes, bits):
    """The bytes of a network's numbers.

    It is the least that a file takes. What stands around it, names and operators, is the same at 32 bits and at 4: the
    smaller the numbers, the more it counts.
    """
    return sum(-(-math.prod(shape) * width // 8) for shape, width in zip(shapes, bits, strict=True))


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
        "The two are swapped: the *first* of a pair lies in the lower four bits.": lambda values: in_pairs(
            _padded(values).reshape(-1, 2).flip(1).flatten()
        ),
        "You moved all values up by 8. int4 is two's complement: 3 stays 3, and −1 becomes 15.": lambda values: (
            in_pairs(values + 8)
        ),
        "The signs are gone: −1 is 15 in four bits, two's complement.": lambda values: in_pairs(values.abs()),
        "One value a byte so far. Put the second of each pair 16 times higher.": lambda values: values % 16,
        "A negative value borrows from its neighbour this way. Bring each into 0 to 15 first: q % 16.": lambda values: (
            _together(_padded(values))
        ),
        "Within 0 to 255 now, but a negative first value has borrowed from the second. Take q % 16 of each first.": lambda values: (
            _together(_padded(values)) % 256
        ),
        "Your bytes have signs: all above 127 came back negative. Wanted are 0 to 255.": lambda values: (
            in_pairs(values).to(torch.int8).long()
        ),
        "Four bits higher is times 2⁴ = 16.": lambda values: _together(_padded(values) & 15, 15),
        "Times 8 is three bits higher. Four bits are times 2⁴ = 16.": lambda values: _together(_padded(values) & 15, 8),
        "That is a sign bit and an amount. In two's complement −1 is 15 and −8 is 8: q + 16.": lambda values: in_pairs(
            torch.where(values < 0, 8 - values, values)
        ),
        "Off by one for each negative value: two's complement is q + 16, of which −1 becomes 15.": lambda values: (
            in_pairs(torch.where(values < 0, values + 15, values))
        ),
        "Modulo 8 leaves three bits, and the sign is lost: there are 16 values, so q % 16.": lambda values: in_pairs(
            values % 8
        ),
        "All negative values have become 0; in two's complement they are 8 to 15.": lambda values: in_pairs(
            values.clamp(min=0)
        ),
        "The zero that fills the last byte comes at the end; in front it moves each value to the other half.": lambda values: (
            in_pairs(torch.cat([values.new_zeros(len(values) % 2), values]))
        ),
        "A pair are two *neighbours*, not one of the first half and one of the second.": lambda values: (
            lambda v: v[: len(v) // 2] + 16 * v[len(v) // 2 :]
        )(_padded(values) & 15),
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


def _error(gained, lost, count):
    return math.sqrt(gained + lost - (gained - lost) ** 2 / count)


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
        "That is the upper end: what may have been gained at best.": lambda gained, lost, count: (
            100 * (gained - lost + 1.96 * _error(gained, lost, count)) / count
        ),
        "That is the change itself. The lower end lies 1.96 standard errors below it.": lambda gained, lost, count: (
            100 * (gained - lost) / count
        ),
        "You took gained for lost: a change for the better is positive.": lambda gained, lost, count: least_change(
            lost, gained, count
        ),
        "In points, please: a hundred times the share.": lambda gained, lost, count: (
            least_change(gained, lost, count) / 100
        ),
        "One standard error covers 68 % of the cases; 95 % need 1.96 of them.": lambda gained, lost, count: (
            100 * (gained - lost - _error(gained, lost, count)) / count
        ),
        "You subtracted the variance: the standard error is its square root.": lambda gained, lost, count: (
            100 * (gained - lost - 1.96 * _error(gained, lost, count) ** 2) / count
        ),
        "Only pictures on which the two networks disagree add to the variance, gained + lost of them, not all.": lambda gained, lost, count: (
            100 * (gained - lost - 1.96 * math.sqrt(count)) / count
        ),
        "Accuracy is a share of *all* pictures: divide by count.": lambda gained, lost, count: (
            least_change(gained, lost, count) * count / (gained + lost)
        ),
        "Part of the variance is missing: (gained − lost)²/count is to be subtracted under the root.": lambda gained, lost, count: (
            100 * (gained - lost - 1.96 * math.sqrt(gained + lost)) / count
        ),
        "The change is in points already, the standard error not yet: both times 100.": lambda gained, lost, count: (
            100 * (gained - lost) / count - 1.96 * _error(gained, lost, count) / count
        ),
        "The change has a sign: gained − lost, negative where more was lost.": lambda gained, lost, count: (
            100 * (abs(gained - lost) - 1.96 * _error(gained, lost, count)) / count
        ),
        "That is the distance from the change to the end of the interval: add the change to it.": lambda gained, lost, count: (
            -196 * _error(gained, lost, count) / count
        ),
        "That is half the interval's width. Subtract it from the change.": lambda gained, lost, count: (
            196 * _error(gained, lost, count) / count
        ),
        "The variance is that of the whole *sum*: divide its root by count, as the sum, not by the root of count.": lambda gained, lost, count: (
            100 * ((gained - lost) / count - 1.96 * _error(gained, lost, count) / math.sqrt(count))
        ),
        "1.645 leaves out 5 % at each end. For 95 % between both ends it is 1.96.": lambda gained, lost, count: (
            100 * (gained - lost - 1.645 * _error(gained, lost, count)) / count
        ),
        "Nearly: 2 is rounded, take 1.96.": lambda gained, lost, count: (
            100 * (gained - lost - 2 * _error(gained, lost, count)) / count
        ),
    },
    tolerance=1e-3,
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
    return 100 * (gained - lost - 1.96 * _error(gained, lost, count)) / count


def _points(values, naive, best, lowest=0.0, highest=1.0, most=10):
    shares = [math.log(value / naive) / math.log(best / naive) for value in values]
    return [most * min(max(share, lowest), highest) for share in shares]


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
        "Linear: on that way a file of half the size is half way already. Each halving is to count the same: logs.": lambda values, naive, best: [
            10 * min(max((v - naive) / (best - naive), 0.0), 1.0) for v in values
        ],
        "Not below 0 and not above 10: cut it off.": lambda values, naive, best: _points(
            values, naive, best, lowest=-math.inf, highest=math.inf
        ),
        "Who is worse than naive gets 0, nothing negative.": lambda values, naive, best: _points(
            values, naive, best, lowest=-math.inf
        ),
        "Who is better than the best gets 10, not more.": lambda values, naive, best: _points(
            values, naive, best, highest=math.inf
        ),
        "That is the share of the way, from 0 to 1; 10 points are to be had.": lambda values, naive, best: _points(
            values, naive, best, most=1
        ),
        "You measured from the wrong end: naive has 0 points, best 10.": lambda values, naive, best: _points(
            values, best, naive
        ),
        "The whole way is log(best/naive), the logarithm of a *ratio*; log(best) alone depends on the unit.": lambda values, naive, best: [
            10 * min(max((math.log(v) - math.log(naive)) / math.log(best), 0.0), 1.0) for v in values
        ],
        "That is the logarithm of a difference. What counts is how many *times* smaller or faster: value/naive.": lambda values, naive, best: [
            10 * min(max(math.log(abs(v - naive) + 1) / math.log(abs(best - naive) + 1), 0.0), 1.0) for v in values
        ],
        "Linear, and not cut off: each halving is to count the same, so take logarithms; then cut off at 0 and 10.": lambda values, naive, best: [
            10 * (v - naive) / (best - naive) for v in values
        ],
        "Without its sign the logarithm gives points for being *worse* than naive, too.": lambda values, naive, best: [
            10 * min(abs(math.log(v / naive)) / abs(math.log(best / naive)), 1.0) for v in values
        ],
        "You cut off at 1 what was multiplied by 10 already: all that is better than a tenth of the way got 1.": lambda values, naive, best: [
            min(max(10 * s, 0.0), 1.0) for s in _points(values, naive, best, most=1)
        ],
        "That is a ratio to the best. The share of the way is a ratio of two logarithms, log(value/naive) to "
        "log(best/naive).": lambda values, naive, best: [10 * min(max(v / best, 0.0), 1.0) for v in values],
        "Linear in 1/value: on that way the last halving counts most. Each is to count the same: logs.": lambda values, naive, best: [
            10 * min(max((1 / v - 1 / naive) / (1 / best - 1 / naive), 0.0), 1.0) for v in values
        ],
        "One of the two ratios stands upside down: value/naive above, best/naive below.": lambda values, naive, best: [
            10 * min(max(math.log(naive / v) / math.log(best / naive), 0.0), 1.0) for v in values
        ],
        "Where is naive? At naive the share must be 0: log(value/naive) / log(best/naive).": lambda values, naive, best: [
            10 * min(max(math.log(v) / math.log(best), 0.0), 1.0) for v in values
        ],
        "Rounded to whole points: leave all digits.": lambda values, naive, best: [
            float(round(earned)) for earned in _points(values, naive, best)
        ],
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
    return _points(values, naive, best)


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
    "where a coder packs them (lesson 05), or where whole channels go (lesson 01).",
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
