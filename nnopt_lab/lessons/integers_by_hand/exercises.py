"""Exercises and questions of lesson 05: grids, ranges of activations, integer arithmetic, powers of two."""

import math
from functools import partial

import torch

from nnopt_lab.course.draws import choice, randint
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed


def _grid(widen=(True, True), gaps=lambda bits: 2**bits - 1, zero=lambda exact, bits: round(exact)):
    """`scale_and_zero_point`; `zero` makes the zero point of the steps from the smallest value up to 0.

    `widen` says whether the smallest and the largest value are moved to 0 where zero lies outside.
    """

    def scale_and_zero(smallest, largest, bits):
        smallest = min(smallest, 0.0) if widen[0] else smallest
        largest = max(largest, 0.0) if widen[1] else largest
        scale = (largest - smallest) / gaps(bits)
        return scale, zero(-smallest / scale, bits)

    return scale_and_zero


def _a_range(g: torch.Generator):
    """A range below zero, above zero, or around it; the first two must be widened to include zero.

    Around zero, the zero point's fraction is above or below a half, and the zero point is not the middle integer.
    """
    side = randint(g, 0, 3)
    fraction = (0.55, 0.95) if side == 2 else (0.05, 0.45)
    while True:
        bits, near, far = randint(g, 3, 6), randint(g, 2, 9) / 10, randint(g, 15, 60) / 10
        if side < 2:
            if near / (far - near) * (2**bits - 1) > 0.6:  # not widened, the zero point falls outside
                return (-far, -near, bits) if side == 0 else (near, far, bits)
        else:
            exact = far / (far + near) * (2**bits - 1)
            if fraction[0] < exact % 1 < fraction[1] and round(exact) != 2 ** (bits - 1):
                return -far, near, bits


@exercise(
    "by_hand.scale_and_zero_point",
    points=3,
    inputs=_a_range,
    hints=(
        "The integers go from 0 to 2^b − 1. How many steps lie between the first and the last? They must span the range, "
        "and zero must be inside it.",
        "First widen the range to include zero: `min(smallest, 0)` and `max(largest, 0)`. The zero point is the "
        "integer that stands for 0: count the steps from `smallest` up to 0, and round.",
        "After widening the range: `scale = (largest - smallest) / (2**bits - 1)` and "
        "`zero_point = round(-smallest / scale)`.",
    ),
    wrong={
        "Where the range lies on one side of zero, your grid has no integer for 0: the zero point falls outside 0 to "
        "`2^bits − 1`. Padding and ReLU produce exact zeros, so widen the range to include 0 first.": _grid(
            widen=(False, False)
        ),
        "You widened the range upwards only. Where all values are positive, it must be widened down to 0: "
        "`min(smallest, 0)`.": _grid(widen=(False, True)),
        "You widened the range downwards only. Where all values are negative, it must be widened up to 0: "
        "`max(largest, 0)`.": _grid(widen=(True, False)),
        "You divided by `2^bits`. There are `2^bits` integers, but only `2^bits − 1` steps between them, so your "
        "largest value has no integer.": _grid(gaps=lambda bits: 2**bits),
        "The sign of the zero point is wrong: `smallest` is negative, and 0 lies `−smallest/scale` steps *above* "
        "integer 0.": _grid(zero=lambda exact, bits: -round(exact)),
        "Your zero point is always 0, so your grid begins at 0. It must begin at `smallest`.": _grid(
            zero=lambda exact, bits: 0
        ),
        "Your zero point is not an integer, so 0 falls between two values of the grid. Round it.": _grid(
            zero=lambda exact, bits: exact
        ),
        "You inverted the scale. It is the width of a step: real numbers per integer.": changed(
            lambda grid: (1 / grid[0], grid[1])
        ),
        "You truncated the zero point: `int` drops the fraction, and the grid moves by up to a whole step. Use "
        "`round`.": _grid(zero=lambda exact, bits: int(exact)),
        "You rounded the zero point up. Round it to the nearest integer.": _grid(
            zero=lambda exact, bits: math.ceil(exact)
        ),
        "Your zero point is `−smallest`, a real number. It counts steps: divide by the scale and round.": (
            lambda low, high, bits: (_grid()(low, high, bits)[0], -min(low, 0.0))
        ),
        "You counted the steps from 0 up to `largest`. The zero point counts those from `smallest` up to 0.": (
            lambda low, high, bits: (_grid()(low, high, bits)[0], 2**bits - 1 - _grid()(low, high, bits)[1])
        ),
        "You computed the symmetric grid, which reaches equally far to both sides of zero. This range is not symmetric, "
        "so half of the integers would go unused. Span `smallest` to `largest`.": lambda low, high, bits: (
            max(abs(low), abs(high)) / (2 ** (bits - 1) - 1),
            0,
        ),
        "Your zero point is for signed integers, `−2^(bits−1)` to `2^(bits−1) − 1`. Here they go from 0 to `2^bits − "
        "1`, and `smallest` is integer 0.": _grid(zero=lambda exact, bits: round(exact) - 2 ** (bits - 1)),
        "You clamped the zero point to 0 … `2^bits − 1`. Where the range lies on one side of zero, that integer does "
        "not stand for 0, and the whole grid is shifted. Widen the range to include 0 first.": _grid(
            widen=(False, False), zero=lambda exact, bits: min(max(round(exact), 0), 2**bits - 1)
        ),
    },
    properties=(
        Property(
            "The numbers are right, but your zero point is a float or a tensor. It counts steps, so return `int(…)`.",
            lambda result, *_: type(result[1]) is int,
        ),
    ),
)
def scale_and_zero_point(smallest, largest, bits):
    """Scale and zero point.

    Rounding the zero point moves the grid by up to half a step, so that one end of the range saturates slightly early.
    That is the price of an exact zero.
    """
    return _grid()(smallest, largest, bits)


def _quantized(rounding=torch.round, keep=lambda q, bits: q.clamp(0, 2**bits - 1)):
    """`quantize`; `keep` brings its integers into the range."""
    return lambda x, scale, zero, bits: keep(rounding(x / scale) + zero, bits).to(torch.int64)


def _values(g: torch.Generator):
    """Multiples of a quarter step, so that there are ties and everything is exact; some lie outside the grid.

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
        "Three steps: divide by the scale, round to the nearest integer, add the zero point. The result must stay "
        "within 0 to `2^bits − 1`.",
        "`torch.round` rounds halves to even, as required. Clamp last, after adding the zero point.",
        "`((x / scale).round() + zero_point).clamp(0, 2**bits - 1).to(torch.int64)`",
    ),
    wrong={
        "You truncated: `.to(int)` cuts towards zero, so −0.75 becomes 0. Round first.": _quantized(
            rounding=torch.trunc
        ),
        "You rounded down with `floor`. Round to the nearest integer with `torch.round`.": _quantized(
            rounding=torch.floor
        ),
        "You rounded halves upwards: 0.5 became 1. Rounding halves to even (`torch.round`) avoids that drift, and torch's "
        "kernels do it too.": _quantized(rounding=lambda steps: (steps + 0.5).floor()),
        "You left out the zero point: 0.0 must become `zero_point`. Add it after rounding.": called_with(
            lambda x, scale, zero, bits: (x, scale, 0, bits)
        ),
        "You left out the zero point and the clamp: 0.0 must become `zero_point`, and nothing may leave 0 to `2^bits − "
        "1`.": lambda x, scale, zero, bits: _quantized(keep=lambda q, bits: q)(x, scale, 0, bits),
        "Values outside the range leave the grid: nothing keeps your integers within 0 to `2^bits − 1`. Clamp.": _quantized(
            keep=lambda q, bits: q
        ),
        "Values below the range leave the grid: nothing keeps your integers at 0 or above. Clamp at both "
        "ends.": _quantized(keep=lambda q, bits: q.clamp(max=2**bits - 1)),
        "You clamped to `2^bits - 1`. In Python, `^` is a bitwise exclusive or: write `2**bits - 1`.": _quantized(
            keep=lambda q, bits: q.clamp(0, 2 ^ (bits - 1))
        ),
        "You clamped to `2^bits`. The last integer of `bits` bits is `2^bits − 1`.": _quantized(
            keep=lambda q, bits: q.clamp(0, 2**bits)
        ),
        "You converted to uint8 before clamping. A negative number has no uint8 and came out as a large one, which "
        "was clamped to the wrong end. Clamp first, convert last.": _quantized(
            keep=lambda q, bits: q.remainder(256).clamp(0, 2**bits - 1)
        ),
        "You converted to uint8 without clamping: a negative number came out as a large one. Clamp to 0 and `2^bits − 1` "
        "first.": _quantized(keep=lambda q, bits: q.remainder(256)),
        "Your integers wrap around at the ends: the largest values become the smallest. They must saturate, so "
        "clamp.": _quantized(keep=lambda q, bits: q % 2**bits),
        "You clamped before adding the zero point. That removes everything below 0.0, and the sum can still leave the "
        "grid. Clamp last.": lambda x, scale, zero, bits: quantize(x, scale, 0, bits) + zero,
        "You added the zero point to the real number. It counts steps: add it after dividing by the "
        "scale.": called_with(lambda x, scale, zero, bits: (x + zero, scale, 0, bits)),
        "The sign of the zero point is wrong: 0.0 must become `zero_point` itself.": called_with(
            lambda x, scale, zero, bits: (x, scale, -zero, bits)
        ),
        "You subtracted the zero point from the real number. It counts steps: add it after dividing by the "
        "scale.": called_with(lambda x, scale, zero, bits: (x - zero, scale, 0, bits)),
        "You multiplied by the scale. Divide: `x/scale` is the number of steps.": called_with(
            lambda x, scale, zero, bits: (x * scale, 1, zero, bits)
        ),
        "You rounded after adding the zero point. An odd zero point turns every half the other way: with zero point 3, "
        "0.5 becomes 4 instead of 3. Round `x/scale`, then add.": called_with(
            lambda x, scale, zero, bits: (x / scale + zero, 1, 0, bits)
        ),
        "Values above the range leave the grid: nothing keeps your integers at `2^bits − 1` or below. (A clamp to 255 "
        "is only right at 8 bits.)": _quantized(keep=lambda q, bits: q.clamp(0, 255)),
        "You clamped to signed integers, `−2^(bits−1)` to `2^(bits−1) − 1`. This grid's go from 0 to `2^bits − 1`, and "
        "the zero point takes the place of a sign.": _quantized(
            keep=lambda q, bits: q.clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        ),
    },
    properties=(
        Property(
            "The numbers are right, but return them as int64, `.to(torch.int64)`: in uint8 the next subtraction would "
            "wrap around.",
            lambda result, *_: result.dtype == torch.int64,
        ),
    ),
)
def quantize(x, scale, zero_point, bits):
    """Onto the grid.

    The way back is `scale · (q − zero_point)`. Inside the range the error is at most half a step; outside it has no
    bound.
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
        "There are only a few allowed values: 0, and ±2ᵉ for e from `lowest` to `highest`. Each weight takes the nearest.",
        "Make a tensor of the allowed values. The distances are `(weight[:, None] - values).abs()`, in shape [N, number "
        "of values].",
        "`powers = 2.0 ** torch.arange(lowest, highest + 1)`, `values = torch.cat([-powers, torch.zeros(1), powers])`, "
        "then `values[distances.argmin(1)]`.",
    ),
    wrong={
        "You rounded the logarithm. Half way between 2ᵉ and 2ᵉ⁺¹ is 1.5·2ᵉ, but a rounded log₂ changes over at "
        "√2·2ᵉ ≈ 1.41·2ᵉ: weights between the two went up although the lower power is closer.": _log_rounded(),
        "You always took the power below (`floor`). Many weights are closer to the power above.": _log_rounded(
            torch.floor
        ),
        "You always took the power above (`ceil`). Many weights are closer to the power below.": _log_rounded(
            torch.ceil
        ),
        "The signs are lost: the logarithm only sees |w|. Multiply by the sign.": changed(torch.abs),
        "Your values lack the negative powers: a negative weight became 0.": lambda w, low, high: _nearest_power(
            w.clamp(min=0), low, high
        ),
        "You took the smallest signed difference, so every weight got the largest value. Distances are magnitudes: "
        "`.abs()`.": lambda w, low, high: torch.full_like(w, 2.0**high),
        "Some results are larger than `2^highest`, which has no code. They must saturate at `±2^highest`.": _log_rounded(
            _to_nearest, clamp=False
        ),
        "Weights closer to 0 than to `±2^lowest` must become 0; yours became `±2^lowest`.": _log_rounded(
            _to_nearest, zero=False
        ),
        "You returned exponents. Return the weights themselves: 2 to that power, with the sign.": lambda w, low, high: (
            w.sign() * w.abs().clamp(min=1e-9).log2().round().clamp(low, high)
        ),
        "`2^highest` is missing from your values: `torch.arange` leaves out its end. Use `torch.arange(lowest, highest "
        "+ 1)`.": called_with(lambda w, low, high: (w, low, high - 1)),
        "0 is missing from your values: even a weight of exactly 0 became `±2^lowest`. Put a zero between `−powers` "
        "and `powers`.": partial(_nearest_power, zeros=0),
        "You rounded the logarithm, which changes over at 1.41·2ᵉ and not half way, and nothing keeps your exponents "
        "at `highest` or below. Choosing the nearest from a list of values fixes both.": _log_rounded(clamp=False),
    },
)
def powers_of_two(weight, lowest, highest):
    """Nearest powers of two.

    A product with 2ᵉ shifts bits by e places, so such a layer needs no multiplier. On a processor that has fast
    multipliers anyway, only bytes are saved.
    """
    return _nearest_power(weight, lowest, highest)


question(
    "by_hand.exact_zero",
    points=1,
    text="Why must 0.0 lie exactly on the grid, even if that moves the grid by half a step?",
    choices={
        "a": "Zeros are by far the most frequent values (padding, ReLU, pruned weights), and they all have the same "
        "error, which adds up in a sum.",
        "b": "The scale is computed from the zero point: if that is not exact, the width of every other step is wrong "
        "as well.",
        "c": "Integer types have their zero in the middle of the range, and the grid must match the type in which it "
        "is stored.",
    },
    answer="a",
    comments={
        "b": "The scale is the width of a step, and does not depend on where zero lies.",
        "c": "uint8 goes from 0 to 255 and works well: its zero point is wherever 0.0 falls.",
    },
    explanation="In a sum of many products, rounding errors of different signs cancel. An error shared by all zeros does "
    "not cancel: a layer with 2,048 inputs would add it up to 2,048 times.",
)
question(
    "by_hand.decibels",
    points=1,
    text="At 8 bits, a layer's weights have a signal-to-noise ratio of 33 dB. How many decibels do you expect at 5 bits?",
    answer=15,
    tolerance=1.0,
    comments={
        30: "You took off 1 dB per bit. How does the squared error change when the step doubles, and how many decibels is "
        "that?",
        27: "You took off one bit's worth of decibels. From 8 to 5 bits there are three.",
        24: "You took off 3 dB per bit, which is 10·log₁₀ 2. The error doubles, but the ratio is made of squares.",
        21: "You scaled the decibels like the bits, by 5/8. Decibels are a logarithm: each bit takes off the same number.",
        51: "You added decibels. With fewer bits there is more noise, so the ratio falls.",
    },
    explanation="With one bit less the step and the error are twice as large, and the squared error four times: "
    "10·log₁₀ 4 ≈ 6 dB per bit. 33 − 3 · 6 = 15.",
)


def _multiplier_and_shift(real, bits, rounded=round):
    shift = 0
    while 0 < real < 2 ** (bits - 1):
        real, shift = 2 * real, shift + 1
    return rounded(real), shift


def _real_below_a_half(g: torch.Generator):
    """Never such that rounding reaches 2^bits; the fraction is clearly above or below a half, or it is a power of two."""
    bits = randint(g, 4, 10)
    if randint(g, 0, 3) == 0:
        return 2.0 ** -randint(g, 2, 6), bits
    numerator = randint(g, 2 ** (bits - 1), 2**bits - 3) + (randint(g, 5, 45) + 50 * randint(g, 0, 1)) / 100
    return numerator / 2 ** (bits + randint(g, 1, 6)), bits


@exercise(
    "by_hand.fixed_point",
    points=3,
    inputs=_real_below_a_half,
    hints=(
        "`real ≈ multiplier / 2^shift`. If you double the real number and add 1 to the shift, nothing changes.",
        "Double until the number has `bits` binary digits before the point: until it lies in `[2^(bits−1), 2^bits)`. "
        "Then round once, to the nearest integer. (Just below a power of two, rounding would give `2^bits`, which "
        "takes one bit too many. The inputs here avoid that case.)",
        "`shift = 0`, then `while real < 2 ** (bits - 1): real, shift = 2 * real, shift + 1`, then `return round(real), "
        "shift`.",
    ),
    wrong={
        "Your shift is always `bits`. So a small number gets a multiplier with leading zeros, and its last digits are "
        "lost. Go on doubling until the multiplier uses all of its bits.": lambda real, bits: (
            round(real * 2**bits),
            bits,
        ),
        "You truncated the multiplier. The error is up to a whole unit of its last place, and always to the same side. "
        "Round it.": partial(_multiplier_and_shift, rounded=int),
        "You rounded the multiplier up. Round it to the nearest integer.": partial(
            _multiplier_and_shift, rounded=math.ceil
        ),
        "Your shift counts only the doublings up to [½, 1). Add the `bits` doublings that turn this fraction into the "
        "multiplier.": lambda real, bits: (fixed_point(real, bits)[0], fixed_point(real, bits)[1] - bits),
        "You doubled once too often: your multiplier lies in `[2^bits, 2^(bits+1))` and needs one bit more than there "
        "are.": called_with(lambda real, bits: (real, bits + 1)),
        "You doubled a number once more that already had `bits` bits, as a power of two may: double while it is *below* "
        "`2 ** (bits - 1)`.": lambda real, bits: (
            (2**bits, fixed_point(real, bits)[1] + 1)
            if fixed_point(real, bits)[0] == 2 ** (bits - 1)
            else fixed_point(real, bits)
        ),
        "You stopped one doubling too early: your multiplier leaves its highest bit unused.": called_with(
            lambda real, bits: (real, bits - 1)
        ),
        "Your multiplier is still a real number. Round it to an integer.": partial(
            _multiplier_and_shift, rounded=float
        ),
        "The sign of the shift is wrong: it says how far the product is shifted to the *right*.": changed(
            lambda result: (result[0], -result[1])
        ),
        "You returned the divisor, `2^shift`. Return its exponent, which is how many bits the product is shifted by.": changed(
            lambda result: (result[0], 2 ** result[1])
        ),
    },
    tolerance=0.0,
    properties=(
        Property(
            "The numbers are right, but multiplier and shift must be plain ints: with a float or a tensor, the next "
            "step is no longer integer arithmetic. Return `int(…)`.",
            lambda result, *_: all(type(value) is int for value in result),
        ),
    ),
)
def fixed_point(real, bits):
    """A real number as an integer and a shift.

    The library uses 31 bits (`requantization.fixed_point`), with an error of at most one part in 2³¹. It also handles
    the case that your inputs avoided: a number just below a power of two rounds up to `2^bits`.
    """
    return _multiplier_and_shift(real, bits)


def _requantized(
    scaled=lambda n, m, shift: (n.long() * m + (1 << (shift - 1))) >> shift,
    finish=lambda scaled, zero: (scaled + zero).clamp(0, 255),
):
    """`requantize`; `scaled` counts the sums in steps of the result, `finish` brings these onto its grid."""
    return lambda sums, multiplier, shift, zero: finish(scaled(sums, multiplier, shift), zero).to(torch.uint8)


def _sums(g: torch.Generator):
    return _long_product(g) if randint(g, 0, 1) else _short_product(g)


def _long_product(g: torch.Generator):
    """A multiplier that uses all of its bits. One sum ends just below a half, and float64 takes it for the half.

    (2k + 1)·(2^a − t) times 2^30 + 2^(30−a)·t is (2k + 1)·2^(a+30), which is k + ½ after the shift, less at most 56.
    Between 2^59 and 2^60 the numbers of float64 are 128 apart.
    """
    k, t = choice(g, ((1, 1), (1, 2), (2, 1), (3, 1)))
    a = 30 - (2 * k).bit_length()
    below = (2 * k + 1) * (2**a - t)
    sums = [below, -below, *(randint(g, -(2**30), 2**30) for _ in range(4))]
    order = torch.randperm(6, generator=g)
    return torch.tensor(sums, dtype=torch.int32)[order], 2**30 + 2 ** (30 - a) * t, a + 31, randint(g, 60, 120)


def _short_product(g: torch.Generator):
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
        "Compute `sums · multiplier / 2^shift`, rounded to the nearest integer, and add the zero point. The result "
        "must stay within 0 to 255. How many bits does each step need?",
        "A shift to the right rounds down. If you first add half of `2^shift`, which is `1 << (shift - 1)`, it rounds "
        "to the nearest. The product has up to 62 bits: start with `sums.long()`.",
        "`((sums.long() * multiplier + (1 << (shift - 1))) >> shift) + zero_point`, then `.clamp(0, 255)` and "
        "`.to(torch.uint8)`.",
    ),
    wrong={
        "The product overflowed. 32 bits times 31 bits take up to 62, and an int32 tensor wraps around silently. Convert "
        "to int64 before multiplying.": _requantized(
            lambda n, m, shift: ((n * m).long() + (1 << (shift - 1))) >> shift
        ),
        "The product overflowed. You computed everything in int32, where `sums · multiplier` wraps around silently, "
        "and a shift by more than 31 leaves only the sign. Start with `sums.long()`.": _requantized(
            lambda n, m, shift: (n * m + (1 << (shift - 1))) >> shift
        ),
        "You computed in float32. Above 2²⁴ it skips integers, so a sum just below a half counts as a half and goes "
        "up. `sums.long()` keeps all digits of the product.": _requantized(
            lambda n, m, shift: (n.float() * m / 2**shift + 0.5).floor().long()
        ),
        "You computed in float32, which skips integers above 2²⁴, and `round` sends halves to the even neighbour. Use "
        "`sums.long()`, and add half of `2^shift` before the shift.": _requantized(
            lambda n, m, shift: (n.float() * m / 2**shift).round().long()
        ),
        "You computed in float64. The product has up to 62 bits and float64 only 53, so a result just below a half "
        "counts as a half and goes up. Use `sums.long()` and shift: no floats.": _requantized(
            lambda n, m, shift: (n.double() * m / 2**shift + 0.5).floor().long()
        ),
        "You rounded down: a shift alone does, so everything comes out half a step too small on average. Add half of "
        "`2^shift` first.": _requantized(lambda n, m, shift: (n.long() * m) >> shift),
        "You added `2^shift`, a whole step of the result. Add half of it, `1 << (shift - 1)`.": _requantized(
            lambda n, m, shift: (n.long() * m + (1 << shift)) >> shift
        ),
        "You truncated, which rounds towards zero. Round to the nearest integer.": _requantized(
            lambda n, m, shift: (n.double() * m / 2**shift).trunc().long()
        ),
        "You computed in float64, and `round` sends halves to the even neighbour. Add half of `2^shift` before the "
        "shift: that sends halves up, and needs no float.": _requantized(
            lambda n, m, shift: (n.double() * m / 2**shift).round().long()
        ),
        "Halves of negative sums went down: you rounded the magnitude. Add half of `2^shift` to the signed product; "
        "the shift rounds down for both signs.": _requantized(
            lambda n, m, shift: n.sign() * ((n.long().abs() * m + (1 << (shift - 1))) >> shift)
        ),
        "You left out the zero point: a sum of 0 must become `zero_point`.": called_with(
            lambda n, m, shift, zero: (n, m, shift, 0)
        ),
        "You added the zero point to the sums, before scaling. It counts steps of the *result*: add it after the "
        "shift.": called_with(lambda n, m, shift, zero: (n + zero, m, shift, 0)),
        "Values outside 0 to 255 wrapped around: 260 became 4. Clamp before you convert to uint8.": _requantized(
            finish=lambda scaled, zero: scaled + zero
        ),
        "The sign of the zero point is wrong: a sum of 0 must become `zero_point` itself. Add it.": _requantized(
            finish=lambda scaled, zero: (scaled - zero).clamp(0, 255)
        ),
        "You clamped to −128 … 127, the range of int8. The result is uint8: clamp to 0 … 255.": _requantized(
            finish=lambda scaled, zero: (scaled + zero).clamp(-128, 127)
        ),
        "You clamped before adding the zero point: every negative value became the zero point, and large ones can still "
        "leave 0 to 255. Clamp last.": _requantized(finish=lambda scaled, zero: scaled.clamp(0, 255) + zero),
    },
    properties=(
        Property(
            "The numbers are right, but return them as uint8, `.to(torch.uint8)`: the next layer reads one byte per value.",
            lambda result, *_: result.dtype == torch.uint8,
        ),
    ),
)
def requantize(sums, multiplier, shift, zero_point):
    """From 32 bits back to 8.

    This is Jacob et al.'s step from one layer to the next. Google's gemmlowp rounds twice, which can be off by one; the
    function you wrote rounds once.
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
        "The first batch sets the range. Each later batch then pulls both ends towards its own, by a share of the "
        "distance.",
        "For each later batch, `low` moves by `constant` · (the batch's low − `low`), and `high` likewise. The order "
        "matters: go from the first batch to the last.",
        "`low, high = lows[0], highs[0]`, then `for a, b in zip(lows[1:], highs[1:]): low += constant * (a - low); high "
        "+= constant * (b - high)`, then `return low, high`.",
    ),
    wrong={
        "You took the constant for the share of the past, so the range nearly jumps to each new batch. It is the share "
        "of the new batch: `low` + `constant` · (new low − `low`).": called_with(
            lambda lows, highs, c: (lows, highs, 1 - c)
        ),
        "Your range starts at 0 and needs many batches to grow; until then it is too small. Start with the range of the "
        "first batch.": called_with(lambda lows, highs, c: ([0.0, *lows], [0.0, *highs], c)),
        "You took the plain mean of all batches. Here each new batch counts `constant`, however many came before "
        "it.": lambda lows, highs, c: (sum(lows) / len(lows), sum(highs) / len(highs)),
        "You took the min-max range of all batches, so one odd batch sets it for good. Move it by a share "
        "instead.": lambda lows, highs, c: (min(lows), max(highs)),
        "You returned the range of the last batch; the earlier batches have left no trace.": lambda lows, highs, c: (
            lows[-1],
            highs[-1],
        ),
        "Each of your batches moves the range of the *first* one, so only the last one counts. Move the range that the "
        "batches before have left: `low` on both sides.": lambda lows, highs, c: tuple(
            ends[0] + c * (ends[-1] - ends[0]) for ends in (lows, highs)
        ),
        "You added a share of each new end, but took nothing off the old one, so the range grows without end. Add a "
        "share of the *distance*: `low` + `constant` · (new low − `low`).": lambda lows, highs, c: tuple(
            ends[0] + c * sum(ends[1:]) for ends in (lows, highs)
        ),
        "You went through the batches from the last to the first. Start with the first.": called_with(
            lambda lows, highs, c: (lows[::-1], highs[::-1], c)
        ),
    },
)
def moving_average(lows, highs, constant):
    """A moving average of the range.

    torch's `MovingAverageMinMaxObserver` does the same with a constant of 0.01: one odd batch moves the range by a
    hundredth of the distance, where min-max would keep all of it.
    """
    low, high = lows[0], highs[0]
    for new_low, new_high in zip(lows[1:], highs[1:], strict=True):
        low, high = low + constant * (new_low - low), high + constant * (new_high - high)
    return low, high


question(
    "by_hand.outlier",
    points=1,
    text="A layer's activations lie between 0 and 6. During calibration, a single wrong value slips in: 96. At 8 bits "
    "with the min-max range, about how many of the 256 values are left between 0 and 6?",
    answer=16,
    tolerance=1.0,
    comments={
        8: "You spread the integers over both signs. All values are positive here, so all 256 integers lie between 0 and "
        "96.",
        240: "You counted the values above 6. How many are left between 0 and 6?",
        256: "The min-max range now ends at 96, so the 256 integers are spread over all of it.",
        6: "You counted one value per unit. How wide is a step when 256 integers span 0 to 96?",
    },
    explanation="The step becomes 96/255 ≈ 0.38 instead of 0.024, so about 6/0.38 ≈ 16 steps are left between 0 and 6: 4 "
    "of the 8 bits are gone, about 24 dB. The 99.9th percentile leaves out the largest thousandth of all values, and this "
    "one with them.",
)
question(
    "by_hand.largest_sum",
    points=1,
    text="The last layer's weights have one scale per channel. You leave out its requantising, since the largest of ten "
    "sums can be found in int32 just as well. What happens?",
    choices={
        "a": "The same classes come out, slightly more exactly, since nothing is rounded to 8 bits.",
        "b": "All classes come out wrong, since the sums mean nothing without the output's zero point.",
        "c": "Some classes come out wrong, since the ten sums count in units of ten different sizes.",
    },
    answer="c",
    comments={
        "a": "This would be so if all weights shared one scale.",
        "b": "The input's zero point is handled inside the sums, and the output's is the same for all ten classes. "
        "Something else differs between them.",
    },
    explanation="Sum c counts in units of s_x·s_w[c], and its bias is stored in the same unit. Requantising brings the ten "
    "sums to one scale. This applies whenever two integers are compared or added: the two branches of a residual sum need "
    "one scale, too.",
)
