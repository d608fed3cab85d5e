"""Exercises and questions of lesson 11: number formats, loss scaling, master weights, integers forward."""

import math
from functools import partial

import torch

from nnopt_lab.course.draws import choice, decimals, randint, signs
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed, off_by, scaled, swapped


def _exponent(x):
    return math.frexp(abs(x))[1] - 1


def _gap(x, mantissa_bits, smallest_exponent, whole=math.floor):
    exponent = whole(math.log2(abs(x))) if x else smallest_exponent
    return 2.0 ** (max(exponent, smallest_exponent) - mantissa_bits)


def _number_and_format(g: torch.Generator):
    mantissa_bits, smallest_exponent = randint(g, 2, 4), randint(g, -4, -2)
    kind = randint(g, 0, 2)  # subnormal, below 1, above
    exponent = randint(g, *((smallest_exponent - 3, smallest_exponent - 1), (smallest_exponent, -1), (0, 5))[kind])
    # Below 1 closer to the lower power of two, otherwise to the upper one, so that all ways to round a logarithm differ.
    fraction = 1 + (randint(g, 0, 12) if kind == 1 else randint(g, 14, 31)) / 32
    return (-1) ** randint(g, 0, 1) * fraction * 2.0**exponent, mantissa_bits, smallest_exponent


@exercise(
    "precision.spacing",
    points=2,
    inputs=_number_and_format,
    hints=(
        "Between 2ᵉ and 2ᵉ⁺¹ there are `2^mantissa_bits` numbers, equally spaced. Which e applies to |x|?",
        "e = ⌊log₂|x|⌋, but at least `smallest_exponent`, since subnormal numbers are as far apart as the smallest "
        "normal ones. The gap is `2^(e − mantissa_bits)`.",
        "`2.0 ** (max(math.floor(math.log2(abs(x))), smallest_exponent) - mantissa_bits)`",
    ),
    wrong={
        "You let the gap shrink below `2^smallest_exponent`. There the numbers are subnormal, as far apart as the "
        "smallest normal ones.": called_with(lambda x, bits, smallest: (x, bits, -1000)),
        "You made the gap proportional to x. It is constant between two powers of two and doubles at the next one: "
        "use ⌊log₂|x|⌋.": lambda x, bits, smallest: abs(x) * 2.0**-bits,
        "You rounded log₂|x| up. A number between 2ᵉ and 2ᵉ⁺¹ has the exponent e: round down.": partial(
            _gap, whole=math.ceil
        ),
        "You rounded log₂|x| to the nearest. A number between 2ᵉ and 2ᵉ⁺¹ has the exponent e: round down.": partial(
            _gap, whole=round
        ),
        "You returned half of the gap, the largest rounding error. Return the distance between neighbours.": scaled(
            1 / 2
        ),
        "Your gap is twice too large. The 1 before the point is not a mantissa bit: the gap is `2^(e − mantissa_bits)`.": scaled(
            2
        ),
        "You returned the gap at 1. The gap grows with the exponent of x.": lambda x, bits, smallest: 2.0**-bits,
        "You returned the distance between two powers of two. Divide it by the `2^mantissa_bits` numbers in it.": called_with(
            lambda x, bits, smallest: (x, 0, smallest)
        ),
        "You returned the gap next to zero. The gap grows with the exponent of x.": called_with(
            lambda x, bits, smallest: (0.0, bits, smallest)
        ),
        "You used `int`, which rounds towards zero. Below 1, log₂|x| is negative, and your gap is twice too large. "
        "Use `math.floor`.": partial(_gap, whole=int),
        "You did not round the exponent. The gap is constant between two powers of two: use ⌊log₂|x|⌋.": partial(
            _gap, whole=float
        ),
        "You limited the exponent of the gap. Limit the exponent of x to at least `smallest_exponent` first, and "
        "subtract `mantissa_bits` after that.": lambda x, bits, smallest: 2.0 ** max(_exponent(x) - bits, smallest),
        "You added `mantissa_bits`. Each further bit halves the gap: subtract them.": called_with(
            lambda x, bits, smallest: (x, -bits, smallest)
        ),
        "You took the smaller of the two exponents. Below `2^smallest_exponent` the gap no longer shrinks: take the "
        "larger one.": lambda x, bits, smallest: 2.0 ** (min(_exponent(x), smallest) - bits),
        "You returned the exponent of the gap. The gap is 2 to that power.": lambda x, bits, smallest: float(
            max(_exponent(x), smallest) - bits
        ),
        "You used the natural logarithm. The format counts powers of two: use log₂.": lambda x, bits, smallest: (
            2.0 ** (max(math.floor(math.log(abs(x))), smallest) - bits)
        ),
        "You returned the gap relative to x. Return the gap itself.": lambda x, bits, smallest: (
            spacing(x, bits, smallest) / abs(x)
        ),
    },
    tolerance=1e-9,
)
def spacing(x, mantissa_bits, smallest_exponent):
    """Spacing of floating-point numbers.

    A floating-point format is like a ruler whose marks become twice as far apart at each power of two. Divided by |x|, the
    gap stays between `2^−(mantissa_bits + 1)` and `2^−mantissa_bits`: a *relative* precision, for all normal numbers.
    """
    return _gap(x, mantissa_bits, smallest_exponent)


def _rounded(rule=torch.round, exponent=lambda x: x.abs().log2().floor()):
    """`round_mantissa` with another rounding rule, or other exponents (of the gaps, before mantissa_bits is subtracted)."""

    def rounded(x, mantissa_bits):
        step = 2.0 ** (exponent(x) - mantissa_bits)
        return rule(x / step) * step

    return rounded


def _numbers_with_two_bits_more(g: torch.Generator):
    mantissa_bits = randint(g, 2, 4)
    # From 2^m to 2^(m+1) in quarters: two bits more than are kept, so that a quarter of the numbers are ties.
    quarters = torch.randint(4 * 2**mantissa_bits, 8 * 2**mantissa_bits - 2, (8,), generator=g).float()
    quarters[0] = 4 * 2**mantissa_bits + 2  # a tie, and the even neighbour is the lower one
    quarters[1] = 4 * 2**mantissa_bits + 6  # a tie, and the even neighbour is the upper one
    sign = signs(g, 8)
    exponents = torch.randint(-3, 3, (8,), generator=g).float()
    return sign * quarters / 4 / 2**mantissa_bits * 2.0**exponents, mantissa_bits


@exercise(
    "precision.round_mantissa",
    points=3,
    inputs=_numbers_with_two_bits_more,
    hints=(
        "The format's numbers near x are multiples of the gap at x. How do you round to a multiple?",
        "The gap of each number is `2^(⌊log₂|x|⌋ − mantissa_bits)`, a tensor. Divide by it, round, and multiply by it "
        "again. `torch.round` rounds ties to even.",
        "`step = 2.0 ** (x.abs().log2().floor() - mantissa_bits); return (x / step).round() * step`",
    ),
    wrong={
        "You cut the bits off, which rounds towards zero: half a gap too small on average. Round to the nearest.": _rounded(
            torch.trunc
        ),
        "You always rounded down. Round to the nearest.": _rounded(torch.floor),
        "You rounded ties away from zero. Round them to even, as `torch.round` does, or sums of many rounded numbers "
        "drift.": _rounded(lambda q: (q.abs() + 0.5).floor() * q.sign()),
        "You rounded ties up. Round them to even, as `torch.round` does.": _rounded(lambda q: (q + 0.5).floor()),
        "Your gap is twice too large: you kept one bit too few, or rounded log₂|x| up. The 1 before the point is not "
        "counted, and a number between 2ᵉ and 2ᵉ⁺¹ has the exponent e.": called_with(lambda x, bits: (x, bits - 1)),
        "You kept one bit too many. The gap is `2^(e − mantissa_bits)`.": called_with(lambda x, bits: (x, bits + 1)),
        "You rounded all numbers to multiples of the same gap, which is fixed point. Each number has the gap of its "
        "own exponent.": lambda x, bits: (x * 2**bits).round() / 2**bits,
        "You used the gap of the largest number for all, as block formats do. Each number has the gap of its own "
        "exponent.": _rounded(exponent=lambda x: x.abs().max().log2().floor()),
        "You rounded to decimal places. Round to binary digits, counted from the highest one of "
        "each number.": lambda x, bits: (x * 10**bits).round() / 10**bits,
        "You returned the numbers unchanged. Either you kept more bits (as a cast to bf16 does), or you did not round "
        "log₂|x| down, so that every number is a multiple of its gap.": lambda x, bits: x,
        "You took the logarithm of negative numbers, which is NaN. Compute the exponent from `x.abs()`.": _rounded(
            exponent=lambda x: x.log2().floor()
        ),
        "You always rounded up. Round to the nearest.": _rounded(torch.ceil),
        "You rounded log₂|x| to the nearest. A number between 2ᵉ and 2ᵉ⁺¹ has the exponent e: round down.": _rounded(
            exponent=lambda x: x.abs().log2().round()
        ),
        "You cut off the fraction of log₂|x|, which rounds towards zero, but below 1 the logarithm is negative. Round "
        "down, with `floor`.": _rounded(exponent=lambda x: x.abs().log2().trunc()),
        "You lost the sign. Use the magnitude only for the gap.": changed(torch.abs),
        "You returned multiples of the gap as integers. Multiply by the gap again.": lambda x, bits: (
            round_mantissa(x, bits) / 2.0 ** (x.abs().log2().floor() - bits)
        ),
        "You returned the gap of each number. Return the number rounded to a multiple of it.": lambda x, bits: (
            2.0 ** (x.abs().log2().floor() - bits)
        ),
    },
    properties=(
        Property(
            "Rounding a second time changes nothing.",
            lambda result, x, mantissa_bits: torch.equal(round_mantissa(result, mantissa_bits), result),
        ),
    ),
)
def round_mantissa(x, mantissa_bits):
    """Round to a few mantissa bits.

    With 7 bits this is bf16, and with 10 bits tf32, apart from the ends of their ranges. The largest error is half a gap,
    so the relative error is at most `2^−(mantissa_bits + 1)`.
    """
    return _rounded()(x, mantissa_bits)


def _gradients(g: torch.Generator):
    largest = choice(g, (448.0, 57344.0, 65504.0))
    values = torch.randn(6, generator=g) * 2.0 ** -randint(g, 6, 14)
    reach, top = values.abs().max().item(), _exponent(largest)
    fraction = 1.42 + 0.28 * torch.rand((), generator=g).item()
    beyond = fraction * 2.0 ** (top + randint(g, 1, 3))
    extreme = (
        largest * 2.0 ** -math.floor(math.log2(largest / (1.1 * reach))),  # reaches the limit exactly
        1.9995 * 2.0 ** (_exponent(reach) + 1),  # further above its power of two than the limit is
        beyond,  # beyond the limit: k is negative
    )[randint(g, 0, 2)]
    values[randint(g, 0, 5)] = extreme if randint(g, 0, 2) == 0 else -extreme
    return values, largest


def _shift(measure=lambda g: g.abs().max(), whole=math.floor, log=math.log2):
    """`loss_shift`, but for another `measure` of the gradients; a measure of None means no shift."""

    def shift(gradients, largest):
        size = measure(gradients)
        return 0 if size is None else whole(log(largest / size.item()))

    return shift


@exercise(
    "precision.loss_shift",
    points=3,
    inputs=_gradients,
    hints=(
        "One gradient decides: the one that reaches the limit first.",
        "`max|g| · 2^k ≤ largest`, so `k ≤ log₂(largest / max|g|)`, and k is an integer.",
        "`math.floor(math.log2(largest / gradients.abs().max().item()))`",
    ),
    wrong={
        "You used the largest signed gradient, but the most negative one can be further from zero. Use "
        "magnitudes.": _shift(lambda g: g.max() if g.max() > 0 else None),
        "You scaled the smallest gradient up to the limit, so all others overflow. Use the largest magnitude.": _shift(
            lambda g: g.abs().min()
        ),
        "You used the mean, so gradients above it can overflow. Use the largest magnitude.": _shift(
            lambda g: g.abs().mean()
        ),
        "You rounded k up, so the largest gradient overflows. Round down.": _shift(whole=math.ceil),
        "You rounded k to the nearest, or each logarithm by itself, so the largest gradient overflows at times. Divide, "
        "take the logarithm, and round down.": _shift(whole=round),
        "Your k is one too small for some inputs. Only the largest magnitude counts, and it may reach the limit, but not "
        "exceed it.": _shift(whole=lambda k: math.ceil(k) - 1),
        "You returned the scale. Return its exponent k.": changed(lambda k: 2.0**k),
        "Your k is not an integer. A power of two only changes exponents, while any other scale rounds "
        "every gradient. Round down.": _shift(whole=float),
        "You scaled the largest gradient to about 1. Use the whole range, up to `largest`.": called_with(
            lambda g, largest: (g, 1.0)
        ),
        "You used the natural logarithm. Use log₂.": _shift(log=math.log),
        "Your k is too large where it is negative: you used `int`, which rounds towards zero, or looked only at k from 0 on. "
        "Use `math.floor`: if a gradient is already beyond the limit, k is negative.": _shift(whole=int),
        "You used the sum, which leaves part of the range unused: no gradient is as large as the sum. Use the largest "
        "magnitude.": _shift(lambda g: g.abs().sum()),
        "Your k is one too large: at that k the largest gradient is beyond the limit.": off_by(1),
        "You divided the wrong way round. The factor is `largest / max|g|`.": _shift(
            log=lambda ratio: math.log2(1 / ratio)
        ),
        "You used the decimal logarithm. Use log₂.": _shift(log=math.log10),
        "You used the largest number of fp16. Use `largest`, the limit of the given format.": called_with(
            lambda g, largest: (g, 65504.0)
        ),
    },
)
def loss_shift(gradients, largest):
    """The largest loss scale that fits.

    The largest gradient is now near the upper end of the format's range, so the range below it is used as far as possible. In
    practice, leave some room, since the next batch may have larger gradients. Or find the scale by trial, as the next exercise
    does.
    """
    return _shift()(gradients, largest)


def _step(
    overflowed=lambda scale, good: (scale / 2, 0, False),
    completed=lambda scale, good: (scale * 2, 0, True),
    counted=lambda scale, good: (scale, good + 1, True),
    enough=lambda good, interval: good + 1 == interval,
):
    """`scaler_step` by cases: an overflow, a step that completes the interval, a step that is only counted."""

    def step(scale, good, overflow, interval):
        if overflow:
            return overflowed(scale, good)
        return (completed if enough(good, interval) else counted)(scale, good)

    return step


def _scaler_state(g: torch.Generator):
    interval = randint(g, 3, 6)
    kind = randint(g, 0, 2)  # an overflow, a step that completes the interval, one that does not
    # Usually short by one step, so that doubling one step too early shows.
    short = interval - 2 if randint(g, 0, 9) else randint(g, 0, interval - 2)
    good = (randint(g, 1, interval - 1), interval - 1, short)[kind]
    # An overflow also meets scales of 1 and below, whose half is no whole number.
    power = randint(g, -2, 0) if kind == 0 and randint(g, 0, 1) else randint(g, 3, 12)
    return 2.0**power, good, kind == 0, interval


@exercise(
    "precision.scaler_step",
    points=4,
    inputs=_scaler_state,
    hints=(
        "There are three cases: an overflow, a good step that completes the interval, and a good step that does not.",
        "After an overflow: half the scale, count 0, do not apply. Otherwise add 1 to the count; if it reaches the "
        "interval, double the scale and set the count to 0. Apply the step in both cases.",
        "`if overflow: return scale / 2, 0, False; if good + 1 == interval: return scale * 2, 0, True; return scale, "
        "good + 1, True`",
    ),
    wrong={
        "You apply the step after an overflow. The gradients contain inf or NaN, and then the weights would, "
        "too.": changed(lambda result: (*result[:2], True)),
        "You keep the count after an overflow. Set it to 0: `interval` good steps *in a row* double the scale.": _step(
            overflowed=lambda scale, good: (scale / 2, good, False)
        ),
        "You keep counting after doubling, so you would double at every further step. Set the count to 0.": _step(
            completed=lambda scale, good: (scale * 2, good + 1, True)
        ),
        "You do not double if this step completes the interval. Count the step first, then compare.": _step(
            enough=lambda good, interval: good >= interval
        ),
        "You double after every good step. Only `interval` good steps in a row double the scale.": _step(
            enough=lambda good, interval: True, completed=lambda scale, good: (scale * 2, good + 1, True)
        ),
        "You keep the scale after an overflow, so the next step overflows, too. Halve it.": _step(
            overflowed=lambda scale, good: (scale, 0, False)
        ),
        "You swapped halving and doubling. Halve the scale after an overflow, and double it after `interval` good "
        "steps.": _step(
            overflowed=lambda scale, good: (scale * 2, 0, False), completed=lambda scale, good: (scale / 2, 0, True)
        ),
        "You double the scale after an overflow. It is already too large: halve it.": _step(
            overflowed=lambda scale, good: (scale * 2, 0, False)
        ),
        "Your count starts at 1 after doubling. Set it to 0: this step belongs to the interval it has completed.": _step(
            completed=lambda scale, good: (scale * 2, 1, True)
        ),
        "You halve the scale after enough good steps. Double it.": _step(
            completed=lambda scale, good: (scale / 2, 0, True)
        ),
        "You double one step too early. With this step, there are `good + 1` good steps in a row.": _step(
            enough=lambda good, interval: good + 2 >= interval
        ),
        "You do not apply the step that doubles the scale. It is a good step: apply it.": _step(
            completed=lambda scale, good: (scale * 2, 0, False)
        ),
        "You do not count the good step: return `good + 1`.": _step(counted=lambda scale, good: (scale, good, True)),
        "Your count is 1 after an overflow. It is 0: there has been no good step since.": _step(
            overflowed=lambda scale, good: (scale / 2, 1, False)
        ),
        "You apply the step exactly when it overflows. Apply it when all gradients are finite.": changed(
            lambda result: (*result[:2], not result[2])
        ),
        "You count an overflow as a good step. Set the count to 0.": _step(
            overflowed=lambda scale, good: (scale / 2, good + 1, False)
        ),
    },
    properties=(
        Property(
            "The step is applied exactly when nothing overflowed.",
            lambda result, scale, good, overflow, interval: result[2] is (not overflow),
        ),
    ),
)
def scaler_step(scale, good, overflow, interval):
    """A loss scale that adjusts itself.

    This is `torch.amp.GradScaler`, with an interval of 2,000 and an initial scale of 65,536. It does not look at the size
    of the gradients, only at whether all are finite, and it costs a skipped step now and then.
    """
    return _step()(scale, good, overflow, interval)


def _step_to(updated=lambda master, g, scale, rate: master - rate * (g.float() / scale)):
    """`master_step` with another update; the copy is the updated master, rounded."""
    return lambda *inputs: (updated(*inputs), updated(*inputs).half())


def _copy_steps_by_itself(master, gradient, scale, rate):
    return master_step(master, gradient, scale, rate)[0], master.half() - (rate * gradient.float() / scale).half()


def _scaled_gradients(g: torch.Generator):
    k = randint(g, 28, 33)
    # Unscaled, they underflow in fp16; times the rate, updates are some hundredths.
    gradient = (signs(g, 5) * torch.randint(300, 1500, (5,), generator=g)).half()
    master = torch.randn(5, generator=g) + torch.randint(0, 2, (5,), generator=g) * 2 - 1
    # The rate is not a power of two, so that an update rounded to fp16 shows.
    return master, gradient, 2.0**k, (1 + randint(g, 1, 6) / 10) * 2.0 ** (k - 15)


@exercise(
    "precision.master_step",
    points=4,
    inputs=_scaled_gradients,
    hints=(
        "What must be float32 before you divide by the scale? And what is rounded to fp16 at the end?",
        "Convert the gradient to float32, divide it by the scale, multiply by the rate, and subtract it from the master. "
        "The copy is the new master, rounded.",
        "`updated = master - rate * (gradient.float() / scale); return updated, updated.half()`",
    ),
    wrong={
        "You divided by the scale in fp16, so the gradient underflows after all. Convert to float32 first, then "
        "divide.": _step_to(lambda master, g, scale, rate: master - rate * (g / scale).float()),
        "You started from the rounded weights, so what the master remembers is lost at every step. Update the master.": _step_to(
            lambda master, g, scale, rate: master.half().float() - rate * g.float() / scale
        ),
        "You rounded the master to fp16, so it remembers no more than the copy. Round only the copy.": changed(
            lambda result: (result[1].float(), result[1])
        ),
        "You did not divide the gradient by the scale.": _step_to(
            lambda master, g, scale, rate: master - rate * g.float()
        ),
        "You multiplied by the scale. The gradient already contains it: divide.": _step_to(
            lambda master, g, scale, rate: master - rate * g.float() * scale
        ),
        "You rounded the old master. The next forward pass needs a copy of the new one.": lambda master, *step: (
            master_step(master, *step)[0],
            master.half(),
        ),
        "You did not round the copy. The layers compute with fp16: `updated.half()`.": changed(
            lambda result: (result[0], result[0])
        ),
        "You added the step. Subtract rate times gradient.": _step_to(
            lambda master, g, scale, rate: master + rate * g.float() / scale
        ),
        "You left out the rate.": _step_to(lambda master, g, scale, rate: master - g.float() / scale),
        "You swapped the results. Return the master first, then its copy.": swapped(),
        "You computed the update in fp16, which rounds it, and a smaller one would underflow. Convert the gradient to "
        "float32 first.": _step_to(lambda master, g, scale, rate: master - rate / scale * g),
        "You multiplied by the rate in fp16, so the gradient overflows. Convert to float32 first.": _step_to(
            lambda master, g, scale, rate: master - (rate * g).float() / scale
        ),
        "You divided the updated master by the scale. Only the gradient contains the scale.": _step_to(
            lambda master, g, scale, rate: (master - rate * g.float()) / scale
        ),
        "You updated the copy separately, so it drifts away from the master. The copy is the new "
        "master, rounded.": _copy_steps_by_itself,
        "Your copy is bf16. Return fp16: `updated.half()`.": changed(lambda result: (result[0], result[0].bfloat16())),
        "Your copy has the right values but is stored in float32. Return fp16: `updated.half()`.": changed(
            lambda result: (result[0], result[1].float())
        ),
    },
    tolerance=1e-6,
    properties=(
        Property(
            "The copy is stored in fp16.",
            lambda result, master, gradient, scale, rate: result[1].dtype == torch.float16,
        ),
    ),
)
def master_step(master, gradient, scale, rate):
    """A step with master weights.

    With autocast there is no stored copy. The parameters are the masters, each layer rounds them when it computes, and
    `scaler.step` divides by the scale in float32.
    """
    return _step_to()(master, gradient, scale, rate)


def _in_int8(
    rule=torch.round,
    reach_x=lambda x: x.abs().max(),
    reach_w=lambda w: w.abs().amax(1, keepdim=True),
    steps_x=127,
    steps_w=127,
    held=lambda sums: sums,
    unit=lambda s, t: s * t.T,
):
    """`int8_product` with a mistake: `held` changes the sums, and `unit` is what one step of a sum stands for."""

    def product(x, weight):
        s, t = reach_x(x) / steps_x, reach_w(weight) / steps_w
        return held(rule(x / s) @ rule(weight / t).T) * unit(s, t)

    return product


def _on_grid(values, reach):
    return (values / (reach / 127)).round() * (reach / 127)


def _layer(g: torch.Generator):
    x = decimals(g, 2, 5, places=2)
    weight = (torch.randn(3, 5, generator=g) * torch.tensor([[0.1], [1.0], [4.0]])).round(decimals=2)
    weight[:, 0] += torch.tensor([0.05, 0.5, 2.0])
    return x, weight


@exercise(
    "precision.int8_product",
    points=4,
    inputs=_layer,
    hints=(
        "Compute the scales first: one for all of x, and one per row of the weight, each the largest magnitude / 127.",
        "`q = round(x / s)`, and `r = round(weight / t)` with t of shape `[M, 1]`. The sums of q·r are integers. "
        "Multiply them by s and by the t of their row.",
        "`s = x.abs().max() / 127; t = weight.abs().amax(1, keepdim=True) / 127; return ((x / s).round() @ (weight / "
        "t).round().T) * s * t.T`",
    ),
    wrong={
        "You multiplied the floats. Round both to integers first.": lambda x, weight: x @ weight.T,
        "You used one scale for the whole weight, so a row with small weights only gets a few steps. Use "
        "one per row.": _in_int8(reach_w=lambda w: w.abs().max().expand(1, 1)),
        "You divided by 128, so the largest value becomes 128, which int8 cannot hold. Divide by 127.": _in_int8(
            steps_x=128, steps_w=128
        ),
        "You returned the sums of integers. Multiply them by both scales.": _in_int8(unit=lambda s, t: 1),
        "You left out the weight's scales. Multiply each column of the result by the scale of that row of the weight.": _in_int8(
            unit=lambda s, t: s
        ),
        "You left out the scale of x. Multiply by it, too.": _in_int8(unit=lambda s, t: t.T),
        "You cut off the fractions, as a cast to int8 does, so all values move towards zero. Round first.": _in_int8(
            torch.trunc
        ),
        "You kept the sums in int8, where they overflow and wrap. Sums of int8 products need int32.": _in_int8(
            held=lambda sums: (sums + 128) % 256 - 128
        ),
        "You transposed the result. Rows are pictures, and columns are outputs.": changed(torch.t),
        "You took the scale of x from its largest signed value. The most negative one may be further from "
        "zero and saturates: use magnitudes.": called_with(lambda x, w: (x.clamp(min=-x.max()), w)),
        "You took both scales from the largest signed values. A negative value may be further from zero: use "
        "magnitudes.": _in_int8(reach_x=lambda x: x.max(), reach_w=lambda w: w.amax(1, keepdim=True)),
        "You used one scale per row of x. Use one for all of x: in a deployed network, it is "
        "fixed beforehand.": _in_int8(reach_x=lambda x: x.abs().amax(1, keepdim=True)),
        "You rounded only the weight. Round x to integers, too.": lambda x, w: (
            x @ _on_grid(w, w.abs().amax(1, keepdim=True)).T
        ),
        "You rounded only x. Round the weight to integers, too.": lambda x, w: _on_grid(x, x.abs().max()) @ w.T,
        "You always rounded down. Round to the nearest integer.": _in_int8(torch.floor),
        "You used 255 steps on each side of zero, which need nine bits. int8 holds −127 to 127.": _in_int8(steps_x=255),
        "You divided by the largest magnitude, so every integer is −1, 0 or 1. Divide by a 127th of it.": _in_int8(
            steps_x=1, steps_w=1
        ),
        "You divided the sums by the scales. Each integer stands for its scale: multiply.": _in_int8(
            unit=lambda s, t: 1 / (s * t.T)
        ),
        "You took (max − min)/255. Here zero stays zero: the scale maps the largest magnitude to 127.": _in_int8(
            reach_x=lambda x: x.max() - x.min(),
            reach_w=lambda w: w.amax(1, keepdim=True) - w.amin(1, keepdim=True),
            steps_x=255,
            steps_w=255,
        ),
        "You used one scale per column of the weight. Each term of a sum would have its own scale, so you could not take "
        "it out of the sum: use one per row.": lambda x, w: _on_grid(x, x.abs().max()) @ _on_grid(w, w.abs().amax(0)).T,
        "You took the scale of a row from its largest signed value. The most negative one may be further from zero: use "
        "magnitudes.": _in_int8(reach_w=lambda w: w.amax(1, keepdim=True)),
    },
)
def int8_product(x, weight):
    """A linear layer's forward pass in int8.

    With one scale per row of the weight, all terms of a sum share the scale, so it can be taken out of the sum. With one
    per column, each term would have its own.
    """
    return _in_int8()(x, weight)


question(
    "precision.after_256",
    points=1,
    text="bf16 has 7 mantissa bits. What is the next number after 256 that it can represent?",
    answer=258,
    tolerance=0.001,
    explanation="256 = 2⁸, so the gap is 2⁸⁻⁷ = 2, and the next number is 258. 257 is halfway between two numbers and "
    "rounds to the even one: in bf16, 256 + 1 = 256.",
)
question(
    "precision.no_scaler",
    points=1,
    text="Why does bf16 need no loss scaling?",
    choices={
        "a": "It rounds more finely than fp16, so less is lost.",
        "b": "Autocast leaves the gradients in float32.",
        "c": "Its exponent has 8 bits, like that of float32, so it has the same range.",
    },
    answer="c",
    comments={
        "a": "It rounds eight times more coarsely, with 7 mantissa bits instead of 10.",
        "b": "That is true of the parameters' gradients. Those that flow back through the layers are bf16. (In fp16 these "
        "are the ones that underflow.)",
    },
    explanation="Loss scaling moves gradients into a narrow range. bf16 has the range of float32, so there is nothing to move. "
    "What it lacks is precision, and no scale can help with that.",
)
question(
    "precision.adam_bytes",
    points=2,
    text="A classic recipe stores fp16 weights, fp16 gradients, a float32 master copy of each weight, and Adam's two moments "
    "in float32. How many bytes does it need per parameter?",
    answer=16,
    tolerance=0.001,
    explanation="2 + 2 + 4 + 4 + 4 = 16, exactly as many as float32 throughout: 4 + 4 + 4 + 4. Mixed precision halves the "
    "activations kept for the backward pass, and the data moved between memory and processor.",
)
