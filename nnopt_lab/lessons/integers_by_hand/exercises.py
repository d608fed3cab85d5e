"""Exercises and questions of lesson 05: grids, ranges of activations, integer arithmetic, powers of two."""

import math
from functools import partial

import torch

from nnopt_lab.course.draws import choice, randint
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed


def _grid(widen=True, gaps=lambda bits: 2**bits - 1, zero=lambda exact, bits: round(exact)):
    """`scale_and_zero_point`; `zero` makes the zero point of the steps from the smallest value up to 0."""

    def scale_and_zero(smallest, largest, bits):
        if widen:
            smallest, largest = min(smallest, 0.0), max(largest, 0.0)
        scale = (largest - smallest) / gaps(bits)
        return scale, zero(-smallest / scale, bits)

    return scale_and_zero


def _a_range(g: torch.Generator):
    """A range beside zero, so that zero must be taken in, or around it.

    Around zero, what is cut off of the zero point is more than a half, and the zero point isn't the middle of the numbers.
    """
    beside = randint(g, 0, 1)
    while True:
        bits, near, far = randint(g, 3, 6), randint(g, 2, 9) / 10, randint(g, 15, 60) / 10
        if beside:
            if near / (far - near) * (2**bits - 1) > 0.6:  # not widened, the zero point falls outside
                return -far, -near, bits
        else:
            exact = far / (far + near) * (2**bits - 1)
            if 0.55 < exact % 1 < 0.95 and math.ceil(exact) != 2 ** (bits - 1):
                return -far, near, bits


@exercise(
    "by_hand.scale_and_zero_point",
    points=3,
    inputs=_a_range,
    hints=(
        "Whole numbers of b bits go from 0 to 2^b − 1: that many steps must span the range. Zero must lie in it.",
        "First make the range hold zero: min(smallest, 0) and max(largest, 0). The zero point is the whole number "
        "that stands for 0: count the steps from `smallest` up to it.",
        "`scale = (largest - smallest) / (2**bits - 1)`, `zero_point = round(-smallest / scale)`, after the range was "
        "widened.",
    ),
    wrong={
        "Where the range lies on one side of zero, your grid has no number for 0: the zero point falls outside of 0 to "
        "2^bits − 1. Padding and ReLU make exact zeros, so widen the range to hold 0 first.": _grid(widen=False),
        "2^bits numbers have 2^bits − 1 steps between them, as five fingers have four gaps: your largest value gets no "
        "number.": _grid(gaps=lambda bits: 2**bits),
        "The sign of the zero point is wrong: smallest is negative, and the number that stands for 0 lies "
        "−smallest/scale steps *above* number 0.": _grid(zero=lambda exact, bits: -round(exact)),
        "Your zero point is always 0. That is a grid that begins at 0; this one begins at `smallest`.": _grid(
            zero=lambda exact, bits: 0
        ),
        "Your zero point is not a whole number, so 0 falls between two of the grid's values. Round it.": _grid(
            zero=lambda exact, bits: exact
        ),
        "Your scale is upside down: it is the width of a step, real numbers per whole number.": changed(
            lambda grid: (1 / grid[0], grid[1])
        ),
        "Your zero point is cut off, not rounded: `int` drops what lies behind the point, and the grid moves by up to "
        "a whole step. Use `round`.": _grid(zero=lambda exact, bits: int(exact)),
        "That is the symmetric grid, as far below zero as above it. The range is not symmetric: half of the numbers "
        "would go unused. Span `smallest` "
        "to `largest`.": lambda low, high, bits: (max(abs(low), abs(high)) / (2 ** (bits - 1) - 1), 0),
        "Your zero point belongs to signed numbers, −2^(bits−1) to 2^(bits−1) − 1. Here they go from 0 to 2^bits − 1: "
        "`smallest` is number 0.": _grid(zero=lambda exact, bits: round(exact) - 2 ** (bits - 1)),
        "You clamped the zero point into 0 to 2^bits − 1, but where the range lies on one side of zero, that number "
        "does not stand for 0 then, and the whole grid is shifted. Widen the range to "
        "hold 0 first.": _grid(widen=False, zero=lambda exact, bits: min(max(round(exact), 0), 2**bits - 1)),
    },
    properties=(
        Property(
            "The numbers are right, but your zero point is a float or a tensor; return int(…): it counts steps.",
            lambda result, *_: type(result[1]) is int,
        ),
    ),
)
def scale_and_zero_point(smallest, largest, bits):
    """Scale and zero point.

    Rounding the zero point moves the grid by up to half a step; the end that it moves away from saturates a little
    earlier. That is the price of an exact zero.
    """
    return _grid()(smallest, largest, bits)


def _quantized(rounding=torch.round, keep=lambda q, bits: q.clamp(0, 2**bits - 1)):
    """`quantize`; `keep` brings its numbers into the range."""
    return lambda x, scale, zero, bits: keep(rounding(x / scale) + zero, bits).to(torch.int64)


def _values(g: torch.Generator):
    """Multiples of a quarter step, so that there are ties and everything is exact; some lie outside of the grid.

    The zero point is odd: added before rounding, it turns every tie the other way.
    """
    bits, scale = randint(g, 2, 5), 2.0 ** -randint(g, 1, 3)
    zero_point = 2 * randint(g, 0, 2 ** (bits - 1) - 2) + 1
    steps = torch.randint(-4 * zero_point, 4 * (2**bits - zero_point), (6,), generator=g) / 4
    steps[:5] = torch.tensor([0.5, -0.5, -0.75, -zero_point - 1.5, 2**bits - zero_point + 1.0])
    return steps[torch.randperm(6, generator=g)] * scale, scale, zero_point, bits


@exercise(
    "by_hand.quantize",
    points=2,
    inputs=_values,
    hints=(
        "Three steps: real number → steps (divide by the scale), → nearest whole number, → the grid's own numbers "
        "(add the zero point). And nothing may leave 0 to 2^bits − 1.",
        "`torch.round` rounds half to even, as the grid wants it. Clamp last, after the zero point was added.",
        "`((x / scale).round() + zero_point).clamp(0, 2**bits - 1).to(torch.int64)`",
    ),
    wrong={
        "You truncated: `.to(int)` cuts towards zero, so −0.75 becomes 0, as the article's `.byte()` does. "
        "Round first.": _quantized(rounding=torch.trunc),
        "You rounded halves upwards: 0.5 became 1. Rounding half to even (`torch.round`) has no such drift, and it is "
        "what torch's kernels do.": _quantized(rounding=lambda steps: (steps + 0.5).floor()),
        "Values outside of the range leave the grid: nothing keeps your numbers within 0 to "
        "2^bits − 1. Clamp.": _quantized(keep=lambda q, bits: q),
        "Your numbers wrap round at the ends, as integer types do: the largest values become the smallest. They must "
        "saturate; clamp.": _quantized(keep=lambda q, bits: q % 2**bits),
        "You clamped before adding the zero point: that cuts off everything below 0.0, and the sum may still leave the "
        "grid. Clamp last.": lambda x, scale, zero, bits: quantize(x, scale, 0, bits) + zero,
        "You added the zero point to the real number. It is a whole number of the grid: add it after dividing by the "
        "scale.": called_with(lambda x, scale, zero, bits: (x + zero, scale, 0, bits)),
        "The sign of the zero point: 0.0 must become `zero_point` itself.": called_with(
            lambda x, scale, zero, bits: (x, scale, -zero, bits)
        ),
        "You rounded after adding the zero point. An odd zero point turns every half the other way: 0.5 goes down to "
        "0, but 3.5 goes up to 4. Round "
        "x/scale, then add.": called_with(lambda x, scale, zero, bits: (x / scale + zero, 1, 0, bits)),
        "You clamped to 255, which is the end of 8 bits. The last number follows from `bits`: 2^bits − 1.": _quantized(
            keep=lambda q, bits: q.clamp(0, 255)
        ),
        "You clamped to signed numbers, −2^(bits−1) to 2^(bits−1) − 1. This grid's go from 0 to 2^bits − 1; the zero "
        "point does what a "
        "sign would do.": _quantized(keep=lambda q, bits: q.clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)),
    },
    properties=(
        Property(
            "The numbers are right, but return them as int64, `.to(torch.int64)`: in uint8 the next subtraction would "
            "wrap round.",
            lambda result, *_: result.dtype == torch.int64,
        ),
    ),
)
def quantize(x, scale, zero_point, bits):
    """Onto the grid.

    The way back is scale · (q − zero_point). What is lost between is at most half a step inside of the range, and
    without bound outside of it.
    """
    return _quantized()(x, scale, zero_point, bits)


def _nearest_power(weight, low, high, zeros=1):
    powers = 2.0 ** torch.arange(low, high + 1)
    values = torch.cat([-powers, torch.zeros(zeros), powers])
    return values[(weight[:, None] - values).abs().argmin(1)]


def _log_rounded(rounding=torch.round, zero=True, clamp=True):
    """`powers_of_two` by the logarithm: changes over at the wrong place, unless it is rounded by `_to_nearest`."""

    def powers(weight, low, high):
        size = weight.abs()
        exponent = rounding(size.clamp(min=1e-9).log2()).clamp(low, high if clamp else None)
        return torch.where((size < 2.0 ** (low - 1)) & bool(zero), 0.0, weight.sign() * 2.0**exponent)

    return powers


def _to_nearest(exponent):
    return (exponent.exp2() * 4 / 3).log2().floor()


def _weights(g: torch.Generator):
    """One weight of each kind: near a power, between the two middles of two powers, too small, too large, zero."""
    lowest, highest = -randint(g, 4, 5), -randint(g, 1, 2)
    inner = 2.0 ** torch.randint(lowest, highest, (4,), generator=g)
    factor = torch.tensor([1.45, 1.8, 1.1, 1.45]) + 0.04 * torch.rand(4, generator=g) - 0.02
    edge = torch.tensor([0.3 * 2.0**lowest, 0.7 * 2.0**lowest, 3.5 * 2.0**highest, 0.0])
    weight = torch.cat([inner * factor, edge])
    sign = torch.where(torch.rand(8, generator=g) < 0.5, -1.0, 1.0)
    return (weight * sign)[torch.randperm(8, generator=g)].round(decimals=4), lowest, highest


@exercise(
    "by_hand.powers_of_two",
    points=3,
    inputs=_weights,
    hints=(
        "The allowed values are few: 0, and ±2^e for e from `lowest` to `highest`. Each weight takes the nearest one.",
        "Make a tensor of the allowed values; the distances are `(weight[:, None] - values).abs()`, [N, how many].",
        "`powers = 2.0 ** torch.arange(lowest, highest + 1)`, `values = torch.cat([-powers, torch.zeros(1), powers])`, "
        "`values[distances.argmin(1)]`",
    ),
    wrong={
        "You rounded the logarithm. Half way between 2^e and 2^(e+1) is 1.5·2^e, but rounding log₂ changes over at "
        "√2·2^e ≈ 1.41·2^e: weights between the two went up though the lower power is nearer.": _log_rounded(),
        "You always took the power below (floor). Half of the weights have a nearer one above.": _log_rounded(
            torch.floor
        ),
        "The signs are lost: the logarithm knows only |w|. Put the sign back.": changed(torch.abs),
        "Some results are larger than 2^highest: there is no code for them. They must saturate there.": _log_rounded(
            _to_nearest, clamp=False
        ),
        "Weights nearer to 0 than to ±2^lowest must become 0; yours became ±2^lowest.": _log_rounded(
            _to_nearest, zero=False
        ),
        "You returned exponents. The weights themselves are wanted: 2 to that power.": lambda w, low, high: (
            w.sign() * w.abs().clamp(min=1e-9).log2().round().clamp(low, high)
        ),
        "2^highest is missing among your values: `torch.arange` leaves out its end. Use `torch.arange(lowest, highest "
        "+ 1)`.": called_with(lambda w, low, high: (w, low, high - 1)),
        "0 is missing among your values: even a weight of exactly 0 became ±2^lowest. Put a zero between −powers and "
        "powers.": partial(_nearest_power, zeros=0),
        "Two things: you rounded the logarithm, which changes over at 1.41·2^e and not half way, and nothing keeps "
        "your exponents at `highest` or below. The nearest of a list of values mends both.": _log_rounded(clamp=False),
    },
)
def powers_of_two(weight, lowest, highest):
    """Powers of two.

    A product with 2^e moves bits by e places, so such a layer needs no multiplier. On a processor that has fast
    multipliers anyway, nothing is gained but bytes.
    """
    return _nearest_power(weight, lowest, highest)


question(
    "by_hand.exact_zero",
    points=1,
    text="Why must 0.0 lie exactly on the grid, even if that moves the grid by half a step?",
    choices={
        "a": "Because zeros are by far the most frequent values (padding, ReLU, pruned weights) and all have the same "
        "error: it adds up in a sum.",
        "b": "Because the scale is computed from the zero point: if that is not exact, then every other step has the wrong "
        "width as well.",
        "c": "Because integer types have their zero in the middle of the range, and the grid must agree with the type that "
        "stores it.",
    },
    answer="a",
    comments={
        "b": "The scale is the width of a step; where zero lies has no influence on that.",
        "c": "uint8 goes from 0 to 255 and does well: its zero point is wherever 0.0 falls.",
    },
    explanation="Rounding errors of different sign cancel in a sum of many products. An error that every zero has does "
    "not: a layer of 2,048 inputs would add it up to 2,048 times.",
)
question(
    "by_hand.decibels",
    points=1,
    text="On 8 bits a layer's weights have a signal-to-noise ratio of 33 dB. How many decibels do you expect on 5 bits?",
    answer=15,
    tolerance=1.0,
    explanation="A bit less makes the step twice as wide, the error twice as large and its square four times: "
    "10·log₁₀ 4 ≈ 6 dB a bit. 33 − 3 · 6 = 15.",
)


def _multiplier_and_shift(real, bits, rounded=round):
    shift = 0
    while 0 < real < 2 ** (bits - 1):
        real, shift = 2 * real, shift + 1
    return rounded(real), shift


def _real_below_a_half(g: torch.Generator):
    """Never so that rounding reaches 2^bits; what is cut off is always more than a half."""
    bits = randint(g, 4, 10)
    numerator = randint(g, 2 ** (bits - 1), 2**bits - 3) + randint(g, 55, 95) / 100
    return numerator / 2 ** (bits + randint(g, 1, 6)), bits


@exercise(
    "by_hand.fixed_point",
    points=3,
    inputs=_real_below_a_half,
    hints=(
        "real ≈ multiplier / 2^shift. Doubling the real number and counting one more shift changes nothing.",
        "Double until the number has `bits` binary digits before the point, that is, lies in [2^(bits−1), 2^bits). "
        "Then round, once, to the nearest whole number. (Just below a power of two that would give 2^bits, a bit too "
        "many; your inputs leave this case out.)",
        "shift = 0; while 0 < real < 2 ** (bits - 1): real, shift = 2 * real, shift + 1; return round(real), shift",
    ),
    wrong={
        "Your shift is always `bits`: a small number gets a multiplier with leading zeros, and its last digits are "
        "lost. Shift further, until the multiplier uses all "
        "of its bits.": lambda real, bits: (round(real * 2**bits), bits),
        "Your multiplier is cut off, not rounded: the error is up to a whole unit of its last place, and always to one "
        "side.": partial(_multiplier_and_shift, rounded=int),
        "Your shift counts the doublings up to [½, 1) and forgets those that then make a whole number: "
        "`bits` more.": lambda real, bits: (fixed_point(real, bits)[0], fixed_point(real, bits)[1] - bits),
        "One doubling too many: your multiplier lies in [2^bits, 2^(bits+1)) and needs one bit more "
        "than there are.": called_with(lambda real, bits: (real, bits + 1)),
        "One doubling too few: your multiplier leaves its highest bit unused.": called_with(
            lambda real, bits: (real, bits - 1)
        ),
        "The multiplier is still a real number. Round it to a whole one.": partial(
            _multiplier_and_shift, rounded=float
        ),
        "The sign of the shift: it is how far to the *right* the product is shifted.": changed(
            lambda result: (result[0], -result[1])
        ),
    },
    tolerance=0.0,
    properties=(
        Property(
            "The numbers are right, but multiplier and shift must be of type int: with a float or a tensor, what follows is not "
            "integer arithmetic on plain numbers. Return int(…).",
            lambda result, *_: all(type(value) is int for value in result),
        ),
    ),
)
def fixed_point(real, bits):
    """A real number as a whole number and a shift.

    The library takes 31 bits (`requantization.fixed_point`), with an error of at most one part in 2^31, and minds the
    one case that your inputs left out: a number just below a power of two rounds up to 2^bits.
    """
    return _multiplier_and_shift(real, bits)


def _requantized(
    scaled=lambda n, m, shift: (n.long() * m + (1 << (shift - 1))) >> shift,
    finish=lambda scaled, zero: (scaled + zero).clamp(0, 255),
):
    """`requantize`; `scaled` counts the sums in steps of the result, `finish` brings these onto its grid."""
    return lambda sums, multiplier, shift, zero: finish(scaled(sums, multiplier, shift), zero).to(torch.uint8)


def _sums(g: torch.Generator):
    """A multiplier of few binary digits, so that some sums end on a half; one too large, one too small.

    One sum, far above 2^24, ends just below a half, and float32 takes it for the half.
    """
    odd, places, zero_point = 5 + 2 * randint(g, 0, 1), randint(g, 21, 23), randint(g, 60, 120)
    unit = 2 ** (places - 1)  # this many are odd/2 steps
    n = choice(g, (1, 5)) if odd == 5 else 3
    sums = [n * unit, -n * unit, _just_below_a_half(g, odd, unit), randint(g, 90, 200) * unit]
    sums += [-randint(g, 90, 200) * unit, -randint(g, 2, 6) * unit + randint(g, 1, unit // 8)]
    order = torch.randperm(6, generator=g)
    return torch.tensor(sums, dtype=torch.int32)[order], odd * 2**28, 28 + places, zero_point


def _just_below_a_half(g: torch.Generator, odd: int, unit: int) -> int:
    while True:
        steps = 2 * randint(g, 33, 60) + 1  # odd, so that halves to even and upwards are the same for float32
        total = (2 * steps + 1) * unit // odd
        if (torch.tensor(total).float() * odd / (2 * unit)) % 1 == 0.5 and (2 * steps + 1) * unit % odd:
            return total


@exercise(
    "by_hand.requantize",
    points=3,
    inputs=_sums,
    hints=(
        "sums · multiplier / 2^shift, to the nearest whole number; then the zero point; then nothing may leave 0 to "
        "255. Mind how many bits each step needs.",
        "A shift to the right rounds down. Half of 2^shift, which is `1 << (shift - 1)`, added before it makes that "
        "rounding to nearest. The product has up to 62 bits: `sums.long()` first.",
        "`((sums.long() * multiplier + (1 << (shift - 1))) >> shift) + zero_point`, then `.clamp(0, 255)` and "
        "`.to(torch.uint8)`",
    ),
    wrong={
        "The product overflowed: 32 bits times 31 bits take up to 62, and an int32 tensor wraps round without a word. "
        "Go to int64 before "
        "multiplying.": _requantized(lambda n, m, shift: ((n * m).long() + (1 << (shift - 1))) >> shift),
        "The product overflowed: all of it was computed in int32, where sums · multiplier wraps round without a word, "
        "and a shift by more than 31 leaves only the sign. "
        "`sums.long()` first.": _requantized(lambda n, m, shift: (n * m + (1 << (shift - 1))) >> shift),
        "You computed in floats: above 2^24 they skip whole numbers, so a sum just below a half is taken for the half "
        "and goes up. `sums.long()` keeps all of the "
        "product's digits.": _requantized(lambda n, m, shift: (n.float() * m / 2**shift + 0.5).floor().long()),
        "You computed in floats, twice to your harm: above 2^24 they skip whole numbers, and `round` sends halves to "
        "the even neighbour. Use `sums.long()`, and half of 2^shift added "
        "before the shift.": _requantized(lambda n, m, shift: (n.float() * m / 2**shift).round().long()),
        "A shift alone rounds down, so everything comes out half a step too small on average. Add half of 2^shift "
        "first.": _requantized(lambda n, m, shift: (n.long() * m) >> shift),
        "You cut off what lies behind the point: that rounds towards zero. To the nearest is wanted.": _requantized(
            lambda n, m, shift: (n.double() * m / 2**shift).trunc().long()
        ),
        "Halves went to the even neighbour, as floats round. Half of 2^shift added before the shift sends them up, and "
        "needs no float.": _requantized(lambda n, m, shift: (n.double() * m / 2**shift).round().long()),
        "Halves of negative sums went down: you rounded the magnitude. Add half of 2^shift to the signed product; the "
        "shift rounds down for either "
        "sign.": _requantized(lambda n, m, shift: n.sign() * ((n.long().abs() * m + (1 << (shift - 1))) >> shift)),
        "The zero point is missing: a sum of 0 must become `zero_point`.": called_with(
            lambda n, m, shift, zero: (n, m, shift, 0)
        ),
        "You added the zero point to the sums, before scaling. It counts in steps of the *result*: add it after the "
        "shift.": called_with(lambda n, m, shift, zero: (n + zero, m, shift, 0)),
        "Values outside of 0 to 255 wrapped round: 260 became 4. Clamp before you go to uint8.": _requantized(
            finish=lambda scaled, zero: scaled + zero
        ),
        "You clamped before adding the zero point: every negative value became the zero point, and large ones may "
        "still leave 0 to 255.": _requantized(finish=lambda scaled, zero: scaled.clamp(0, 255) + zero),
    },
    properties=(
        Property(
            "The numbers are right, but return them as uint8, `.to(torch.uint8)`: the next layer reads one byte a value.",
            lambda result, *_: result.dtype == torch.uint8,
        ),
    ),
)
def requantize(sums, multiplier, shift, zero_point):
    """From 32 bits back to 8.

    That is Jacob et al.'s step from one layer to the next. gemmlowp does it in two roundings, which can be one off;
    newer kernels round once, as you did.
    """
    return _requantized()(sums, multiplier, shift, zero_point)


def _ranges_of_batches(g: torch.Generator):
    """Three to five batches, and a constant far from ½, where new and old would count alike."""
    batches = randint(g, 3, 5)
    lows = [-randint(g, 1, 30) / 10 for _ in range(batches)]
    return lows, [randint(g, 20, 80) / 10 for _ in range(batches)], choice(g, (0.1, 0.2, 0.25))


@exercise(
    "by_hand.moving_average",
    points=2,
    inputs=_ranges_of_batches,
    hints=(
        "The first batch sets the range. From then on each batch pulls it towards its own, by a share of the distance.",
        "For each later batch: low ← low + constant · (new low − low), and likewise for high. The order counts: start "
        "with the first batch and go on to the last.",
        "low, high = lows[0], highs[0]; for a, b in zip(lows[1:], highs[1:]): low += constant * (a - low); high += "
        "constant * (b - high); return low, high",
    ),
    wrong={
        "Your constant is the share of the past: the range nearly jumps to each new batch. It is the share of the new "
        "one, low + constant · (new − low).": called_with(lambda lows, highs, c: (lows, highs, 1 - c)),
        "Your range starts at 0 and needs many batches to get away from there; until then it is too small. The first "
        "batch sets it.": called_with(lambda lows, highs, c: ([0.0, *lows], [0.0, *highs], c)),
        "That is the plain mean of all batches. Here each new batch has the weight `constant`, however many came "
        "before it.": lambda lows, highs, c: (sum(lows) / len(lows), sum(highs) / len(highs)),
        "That is the min-max range of all batches: a single odd one sets it for good. Move by a "
        "share instead.": lambda lows, highs, c: (min(lows), max(highs)),
        "That is the last batch's range alone: the batches before it have left no trace.": lambda lows, highs, c: (
            lows[-1],
            highs[-1],
        ),
        "Each batch moves the range of the *first* one, and so only the last counts. Move the range that the batches "
        "before have left: `low` "
        "on both sides.": lambda lows, highs, c: tuple(ends[0] + c * (ends[-1] - ends[0]) for ends in (lows, highs)),
    },
)
def moving_average(lows, highs, constant):
    """A range that follows the batches.

    torch's `MovingAverageMinMaxObserver` does the same, with a constant of 0.01: one odd batch moves the range by a
    hundredth of the distance, where min-max would keep all of it.
    """
    low, high = lows[0], highs[0]
    for new_low, new_high in zip(lows[1:], highs[1:], strict=True):
        low, high = low + constant * (new_low - low), high + constant * (new_high - high)
    return low, high


question(
    "by_hand.outlier",
    points=1,
    text="A layer's activations lie between 0 and 6. Into the calibration slips one value of 96. On 8 bits with the "
    "min-max range: about how many of the 256 values are left between 0 and 6?",
    answer=16,
    tolerance=1.0,
    explanation="The step becomes 96/255 ≈ 0.38 in place of 0.024, and 6/0.38 ≈ 16 steps lie between 0 and 6: 4 of the 8 "
    "bits are gone, about 24 dB. A percentile of 99.9 gives up one value in a thousand and does not even see it.",
)
question(
    "by_hand.largest_sum",
    points=1,
    text="The last layer's weights have one scale a channel. You leave out its requantising, since the largest of ten "
    "sums can be found in int32 as well. What happens?",
    choices={
        "a": "The same classes come out, a little more exactly: nothing was rounded to 8 bits.",
        "b": "All classes come out wrong: without the output's zero point the sums mean nothing.",
        "c": "Some classes come out wrong: the ten sums count in units of ten different sizes.",
    },
    answer="c",
    comments={
        "a": "It would be so with one scale for all weights. Here class c's sum counts in s_x·s_w[c], and a sum of 900 "
        "small units may be less than one of 500 large ones.",
        "b": "The zero point of the input is taken care of inside of the sums, and the output's is the same for all ten "
        "classes. Something else differs between them.",
    },
    explanation="Sum c stands for s_x·s_w[c] times itself, and the bias is stored in the same unit for that reason. "
    "Requantising is what brings the ten to one scale. The same holds for any two numbers that are compared or added: "
    "a residual sum, too, needs one scale for both branches.",
)
