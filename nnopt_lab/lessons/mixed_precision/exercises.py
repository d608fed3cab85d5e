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
    # Below 1 nearer to the power of two below, else to that above: so that the ways to round a logarithm differ.
    fraction = 1 + (randint(g, 0, 12) if kind == 1 else randint(g, 14, 31)) / 32
    return (-1) ** randint(g, 0, 1) * fraction * 2.0**exponent, mantissa_bits, smallest_exponent


@exercise(
    "precision.spacing",
    points=2,
    inputs=_number_and_format,
    hints=(
        "Between 2^e and 2^(e + 1) there are 2^mantissa_bits numbers, equally spaced. Which e is it for |x|?",
        "e = ⌊log₂|x|⌋, but at least smallest_exponent: the subnormal numbers are as far apart as the smallest normal "
        "ones. The gap is 2^(e − mantissa_bits).",
        "`2.0 ** (max(math.floor(math.log2(abs(x))), smallest_exponent) - mantissa_bits)`",
    ),
    wrong={
        "Below 2^smallest_exponent the gap no longer shrinks: there the numbers are subnormal, as far apart as the "
        "smallest normal ones.": called_with(lambda x, bits, smallest: (x, bits, -1000)),
        "You made the gap proportional to x. It is the same between two powers of two, and doubles at the next one: "
        "use ⌊log₂|x|⌋.": lambda x, bits, smallest: abs(x) * 2.0**-bits,
        "You rounded log₂|x| up. A number between 2^e and 2^(e + 1) has the exponent e: round down.": partial(
            _gap, whole=math.ceil
        ),
        "You rounded log₂|x| to the nearest. A number between 2^e and 2^(e + 1) has the exponent "
        "e: round down.": partial(_gap, whole=round),
        "That is half of the gap: the largest error of rounding, not the distance of two neighbours.": scaled(1 / 2),
        "Twice too much. The 1 before the point is no mantissa bit: the gap is 2^(e − mantissa_bits).": scaled(2),
        "That is the gap at 1. It grows with the exponent of x.": lambda x, bits, smallest: 2.0**-bits,
        "That is how wide the stretch between two powers of two is; 2^mantissa_bits numbers share it.": called_with(
            lambda x, bits, smallest: (x, 0, smallest)
        ),
        "That is the gap next to zero. It grows with the exponent of x.": called_with(
            lambda x, bits, smallest: (0.0, bits, smallest)
        ),
        "`int` rounds towards zero, and log₂|x| is negative below 1: there yours is twice too large. Round down, with "
        "`math.floor`.": partial(_gap, whole=int),
        "The exponent is a whole number: the gap is the same between two powers of two, so use ⌊log₂|x|⌋.": partial(
            _gap, whole=float
        ),
        "You took the larger of the gap's own exponent and smallest_exponent. It is the exponent of x that is at least "
        "smallest_exponent; mantissa_bits come "
        "off after that.": lambda x, bits, smallest: 2.0 ** max(_exponent(x) - bits, smallest),
        "You added mantissa_bits: each bit more halves the gap. Subtract them.": called_with(
            lambda x, bits, smallest: (x, -bits, smallest)
        ),
        "That is the gap as a share of x; the gap itself is wanted.": lambda x, bits, smallest: (
            spacing(x, bits, smallest) / abs(x)
        ),
    },
    tolerance=1e-9,
)
def spacing(x, mantissa_bits, smallest_exponent):
    """How far apart the numbers are.

    A floating-point number is a ruler whose marks get twice as far apart at each power of two. Divided by |x| the gap
    stays between 2^−(mantissa_bits + 1) and 2^−mantissa_bits: a *relative* precision, as long as the number is normal.
    """
    return _gap(x, mantissa_bits, smallest_exponent)


def _rounded(rule=torch.round, exponent=lambda x: x.abs().log2().floor()):
    """`round_mantissa`; `exponent` is that of each number's gap, but for the bits."""

    def rounded(x, mantissa_bits):
        step = 2.0 ** (exponent(x) - mantissa_bits)
        return rule(x / step) * step

    return rounded


def _numbers_with_two_bits_more(g: torch.Generator):
    mantissa_bits = randint(g, 2, 4)
    # From 2^m to 2^(m+1), in quarters: two bits more than are kept, so that a quarter of them lies in the middle.
    quarters = torch.randint(4 * 2**mantissa_bits, 8 * 2**mantissa_bits - 2, (8,), generator=g).float()
    quarters[0] = 4 * 2**mantissa_bits + 2  # the middle, and the even neighbour is the lower one
    quarters[1] = 4 * 2**mantissa_bits + 6  # the middle, and it is the upper one
    sign = signs(g, 8)
    exponents = torch.randint(-3, 3, (8,), generator=g).float()
    return sign * quarters / 4 / 2**mantissa_bits * 2.0**exponents, mantissa_bits


@exercise(
    "precision.round_mantissa",
    points=3,
    inputs=_numbers_with_two_bits_more,
    hints=(
        "The numbers that can be held are the multiples of the gap at x. How do you round to a multiple?",
        "The gap of each number is 2^(⌊log₂|x|⌋ − mantissa_bits), a tensor; divide by it, round, multiply by it. "
        "`torch.round` takes the even one of two that are equally near.",
        "step = 2.0 ** (x.abs().log2().floor() - mantissa_bits); return (x / step).round() * step",
    ),
    wrong={
        "You cut the bits off. That is always towards zero, on average half a gap; round to the nearest.": _rounded(
            torch.trunc
        ),
        "You always rounded down; take the nearest.": _rounded(torch.floor),
        "In the middle between two you always took the larger one. Take the even one, as `torch.round` does: else sums "
        "of many rounded numbers drift.": _rounded(lambda q: (q.abs() + 0.5).floor() * q.sign()),
        "In the middle between two you always took the upper one. Take the even one, as `torch.round` does.": _rounded(
            lambda q: (q + 0.5).floor()
        ),
        "One bit too few: the 1 before the point is not stored and not counted.": called_with(
            lambda x, bits: (x, bits - 1)
        ),
        "One bit too many: the gap is 2^(e − mantissa_bits).": called_with(lambda x, bits: (x, bits + 1)),
        "You rounded all numbers to multiples of the same gap. That is fixed point; here each number has the gap of "
        "its own exponent.": lambda x, bits: (x * 2**bits).round() / 2**bits,
        "You took the gap of the largest number for all. That is one exponent for a whole block; here each number has "
        "its own.": _rounded(exponent=lambda x: x.abs().max().log2().floor()),
        "You rounded to decimal places. Binary digits are wanted, counted from the highest one of "
        "each number.": lambda x, bits: (x * 10**bits).round() / 10**bits,
        "You left log₂|x| as it is, so your gap is proportional to x and each number lies on its own marks. Round the "
        "logarithm down.": lambda x, bits: (x / (x.abs() * 2.0**-bits)).round() * (x.abs() * 2.0**-bits),
        "You always rounded up; take the nearest.": _rounded(torch.ceil),
        "You rounded log₂|x| to the nearest. A number between 2^e and 2^(e + 1) has the exponent "
        "e: round down.": _rounded(exponent=lambda x: x.abs().log2().round()),
        "You cut the fraction of log₂|x| off, which is towards zero, and it is negative below 1: round down, with "
        "`floor`.": _rounded(exponent=lambda x: x.abs().log2().trunc()),
        "The sign is lost: take the magnitude for the gap only, not for what is rounded.": changed(torch.abs),
        "Those are whole numbers of gaps; multiply by the gap again.": lambda x, bits: (
            round_mantissa(x, bits) / 2.0 ** (x.abs().log2().floor() - bits)
        ),
        "That is the gap at each number, not the number rounded to it.": lambda x, bits: (
            2.0 ** (x.abs().log2().floor() - bits)
        ),
    },
    properties=(
        Property(
            "Rounded twice is rounded once.",
            lambda result, x, mantissa_bits: torch.equal(round_mantissa(result, mantissa_bits), result),
        ),
    ),
)
def round_mantissa(x, mantissa_bits):
    """Round to a few bits.

    With 7 bits that is bf16 and with 10 tf32, but for the ends of their range. Half a gap is the largest error, so the
    relative one is at most 2^−(mantissa_bits + 1).
    """
    return _rounded()(x, mantissa_bits)


def _gradients(g: torch.Generator):
    largest = choice(g, (448.0, 57344.0, 65504.0))
    values = torch.randn(6, generator=g) * 2.0 ** -randint(g, 6, 14)
    reach, top = values.abs().max().item(), _exponent(largest)
    fraction = 1.42 + 0.28 * torch.rand((), generator=g).item()
    beyond = fraction * 2.0 ** (top + randint(g, 1, 3))
    extreme = (
        largest * 2.0 ** -math.floor(math.log2(largest / (1.1 * reach))),  # meets the limit exactly
        1.9995 * 2.0 ** (_exponent(reach) + 1),  # more than the limit is above its power of two
        beyond,  # the limit: k is negative
    )[randint(g, 0, 2)]
    values[randint(g, 0, 5)] = extreme if randint(g, 0, 2) == 0 else -extreme
    return values, largest


def _shift(measure=lambda g: g.abs().max(), whole=math.floor, log=math.log2):
    """`loss_shift`; `measure` of the gradients is brought to the limit, None is no shift."""

    def shift(gradients, largest):
        size = measure(gradients)
        return 0 if size is None else whole(log(largest / size.item()))

    return shift


@exercise(
    "precision.loss_shift",
    points=3,
    inputs=_gradients,
    hints=(
        "One number decides: the one that reaches the limit first.",
        "max|g| · 2^k ≤ largest, so k ≤ log₂(largest / max|g|), and k is whole.",
        "`math.floor(math.log2(largest / gradients.abs().max().item()))`",
    ),
    wrong={
        "You looked at the largest gradient, but the most negative one can be further from zero: take "
        "the magnitude.": _shift(lambda g: g.max() if g.max() > 0 else None),
        "You scaled the smallest gradient up to the limit: all others overflow. The largest magnitude decides.": _shift(
            lambda g: g.abs().min()
        ),
        "With the mean as the measure, whatever is above it may overflow. The largest magnitude decides.": _shift(
            lambda g: g.abs().mean()
        ),
        "Rounded up, the largest gradient overflows: round down.": _shift(whole=math.ceil),
        "Rounded to the nearest, or each logarithm by itself, the largest gradient overflows at times: divide, then "
        "round down.": _shift(whole=round),
        "The limit may be reached, only not exceeded. Where largest / max|g| is a power of two, yours is "
        "one too small.": _shift(whole=lambda k: math.ceil(k) - 1),
        "That is the scale itself; its exponent k is wanted.": changed(lambda k: 2.0**k),
        "k must be whole: a power of two only changes exponents, any other scale rounds every "
        "gradient. Round down.": _shift(whole=float),
        "So the largest gradient comes to lie near 1. There is room up to `largest`: use it.": called_with(
            lambda g, largest: (g, 1.0)
        ),
        "That is the natural logarithm; powers of two want log₂.": _shift(log=math.log),
        "`int` rounds towards zero. Where a gradient is beyond the limit already, k is negative, and must be rounded "
        "down: `math.floor`.": _shift(whole=int),
        "With the sum as the measure you leave room unused: no gradient is as large as the sum. The largest magnitude "
        "decides.": _shift(lambda g: g.abs().sum()),
        "One too large: at that k the largest gradient is beyond the limit.": off_by(1),
        "You took the end of fp16; the format's own limit is given as `largest`.": called_with(
            lambda g, largest: (g, 65504.0)
        ),
    },
)
def loss_shift(gradients, largest):
    """The largest loss scale that fits.

    The whole range of the format now lies below the largest gradient. In practice one leaves room, since the next batch
    may have larger ones: or one finds the scale by trying, as the next exercise does.
    """
    return _shift()(gradients, largest)


def _step(
    overflowed=lambda scale, good: (scale / 2, 0, False),
    completed=lambda scale, good: (scale * 2, 0, True),
    counted=lambda scale, good: (scale, good + 1, True),
    enough=lambda good, interval: good + 1 == interval,
):
    """`scaler_step`, by cases: an overflow, a step that completes the interval, one that is counted."""

    def step(scale, good, overflow, interval):
        if overflow:
            return overflowed(scale, good)
        return (completed if enough(good, interval) else counted)(scale, good)

    return step


def _scaler_state(g: torch.Generator):
    interval = randint(g, 3, 6)
    kind = randint(g, 0, 2)  # an overflow, a step that completes the interval, one that does not
    # Nearly all by one step, so that doubling a step too early shows.
    short = interval - 2 if randint(g, 0, 9) else randint(g, 0, interval - 2)
    good = (randint(g, 1, interval - 1), interval - 1, short)[kind]
    return 2.0 ** randint(g, 3, 12), good, kind == 0, interval


@exercise(
    "precision.scaler_step",
    points=4,
    inputs=_scaler_state,
    hints=(
        "Three cases: an overflow; a good step that completes the interval; a good step that does not.",
        "Overflow: half the scale, count 0, do not apply. Otherwise count + 1; where that is the interval: twice the scale, "
        "count 0. Apply in both.",
        "if overflow: return scale / 2, 0, False; if good + 1 == interval: return scale * 2, 0, True; "
        "return scale, good + 1, True",
    ),
    wrong={
        "You apply the step after an overflow too: the gradients hold inf or NaN, and the weights would "
        "from then on.": changed(lambda result: (*result[:2], True)),
        "After an overflow the count of good steps must start again at 0: `interval` steps *in a "
        "row* are wanted.": _step(overflowed=lambda scale, good: (scale / 2, good, False)),
        "After doubling the count must start again at 0; yours would double at every step from then on.": _step(
            completed=lambda scale, good: (scale * 2, good + 1, True)
        ),
        "Yours does not double where this step completes the interval: count the step first, then compare.": _step(
            enough=lambda good, interval: good >= interval
        ),
        "You double after every good step; only `interval` of them in a row allow it.": _step(
            enough=lambda good, interval: True, completed=lambda scale, good: (scale * 2, good + 1, True)
        ),
        "After an overflow the scale must be halved, or the next step overflows too.": _step(
            overflowed=lambda scale, good: (scale, 0, False)
        ),
        "An overflow says that the scale is too large: halve it.": _step(
            overflowed=lambda scale, good: (scale * 2, 0, False)
        ),
        "After doubling the count starts at 0: this step belongs to the interval that it has completed.": _step(
            completed=lambda scale, good: (scale * 2, 1, True)
        ),
        "After enough good steps the scale may grow: double it.": _step(
            completed=lambda scale, good: (scale / 2, 0, True)
        ),
        "You double one step too early: with this step there are good + 1 good ones in a row.": _step(
            enough=lambda good, interval: good + 2 >= interval
        ),
        "Where the scale is doubled the step is good too: apply it.": _step(
            completed=lambda scale, good: (scale * 2, 0, False)
        ),
        "A good step must be counted: good + 1.": _step(counted=lambda scale, good: (scale, good, True)),
        "After an overflow no good step has been made: the count is 0, not 1.": _step(
            overflowed=lambda scale, good: (scale / 2, 1, False)
        ),
        "An overflow is no good step: the count starts again at 0.": _step(
            overflowed=lambda scale, good: (scale / 2, good + 1, False)
        ),
    },
    properties=(
        Property(
            "The step is applied exactly where nothing overflowed.",
            lambda result, scale, good, overflow, interval: result[2] is (not overflow),
        ),
    ),
)
def scaler_step(scale, good, overflow, interval):
    """A loss scale that adjusts itself.

    This is `torch.amp.GradScaler`, whose interval is 2,000 and whose first scale is 65,536. It needs no look at the
    gradients' sizes, only whether one is not finite, and it costs a lost step now and then.
    """
    return _step()(scale, good, overflow, interval)


def _step_to(updated=lambda master, g, scale, rate: master - rate * (g.float() / scale)):
    """`master_step`; the copy is the updated master, rounded."""
    return lambda *inputs: (updated(*inputs), updated(*inputs).half())


def _copy_steps_by_itself(master, gradient, scale, rate):
    return master_step(master, gradient, scale, rate)[0], master.half() - (rate * gradient.float() / scale).half()


def _scaled_gradients(g: torch.Generator):
    k = randint(g, 28, 33)
    # Unscaled they are below what fp16 can hold; with the rate, updates are some hundredths.
    gradient = (signs(g, 5) * torch.randint(300, 1500, (5,), generator=g)).half()
    master = torch.randn(5, generator=g) + torch.randint(0, 2, (5,), generator=g) * 2 - 1
    # No power of two as the rate: so that an update rounded to fp16 shows.
    return master, gradient, 2.0**k, (1 + randint(g, 1, 6) / 10) * 2.0 ** (k - 15)


@exercise(
    "precision.master_step",
    points=4,
    inputs=_scaled_gradients,
    hints=(
        "What must be float32 before you divide by the scale? And what is rounded to fp16 last?",
        "Gradient to float32, divide by the scale, times the rate, subtract from the master. The copy is the new master, "
        "rounded.",
        "updated = master - rate * (gradient.float() / scale); return updated, updated.half()",
    ),
    wrong={
        "You divided by the scale while the gradient was fp16, so it underflows after all. To float32 first, then "
        "divide.": _step_to(lambda master, g, scale, rate: master - rate * (g / scale).float()),
        "You started from the rounded weights: what the master holds beyond them is lost at every step.": _step_to(
            lambda master, g, scale, rate: master.half().float() - rate * g.float() / scale
        ),
        "Your master is rounded to fp16, so it remembers no more than the copy. Only the copy is rounded.": changed(
            lambda result: (result[1].float(), result[1])
        ),
        "The gradient is still multiplied by the scale: divide.": _step_to(
            lambda master, g, scale, rate: master - rate * g.float()
        ),
        "The gradient carries the scale already; divide by it, don't multiply once more.": _step_to(
            lambda master, g, scale, rate: master - rate * g.float() * scale
        ),
        "The copy is that of the old master; the next forward pass needs the new one.": lambda master, *step: (
            master_step(master, *step)[0],
            master.half(),
        ),
        "The copy is not rounded: what the layers compute with is fp16, `updated.half()`.": changed(
            lambda result: (result[0], result[0])
        ),
        "You went up: the step is *minus* rate times gradient.": _step_to(
            lambda master, g, scale, rate: master + rate * g.float() / scale
        ),
        "The rate is missing.": _step_to(lambda master, g, scale, rate: master - g.float() / scale),
        "The master comes first, then its copy.": swapped(),
        "Your update is made in fp16 and rounded there; a smaller one would underflow. The gradient to float32 before "
        "anything else.": _step_to(lambda master, g, scale, rate: master - rate / scale * g),
        "Multiplied by the rate while it is fp16, the gradient overflows. To float32 first.": _step_to(
            lambda master, g, scale, rate: master - (rate * g).float() / scale
        ),
        "You made a step of its own with the copy, so it drifts away from the master. It is the new "
        "master, rounded.": _copy_steps_by_itself,
        "The copy is bf16; fp16 is asked for, `updated.half()`.": changed(
            lambda result: (result[0], result[0].bfloat16())
        ),
        "The copy has the right values, but is stored in float32: leave it fp16, `updated.half()`.": changed(
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

    With autocast there is no stored copy: the parameters are the masters, each layer rounds them when it computes, and
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
    """`int8_product`; `held` is what the sums are held in, `unit` what one of them stands for."""

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
        "First the scales: one for all of x, one for each row of the weight, each the largest magnitude / 127.",
        "q = round(x / s), r = round(weight / t) with t of shape [M, 1]. The sums of q·r are whole numbers; times s and "
        "times the t of their row they are the result.",
        "s = x.abs().max() / 127; t = weight.abs().amax(1, keepdim=True) / 127; "
        "return ((x / s).round() @ (weight / t).round().T) * s * t.T",
    ),
    wrong={
        "That is the product of the floats: nothing has been rounded to whole numbers.": lambda x, weight: x @ weight.T,
        "One scale for the whole weight: the row with small weights keeps only a few steps. One "
        "for each row.": _in_int8(reach_w=lambda w: w.abs().max().expand(1, 1)),
        "With 128 steps the largest value would become 128, which int8 does not hold: divide by 127.": _in_int8(
            steps_x=128, steps_w=128
        ),
        "Those are the whole numbers' sums; times both scales they are the layer's output.": _in_int8(
            unit=lambda s, t: 1
        ),
        "Only the scale of x is there; the sums of each row of the weight have that row's scale too.": _in_int8(
            unit=lambda s, t: s
        ),
        "Only the weight's scales are there; multiply by that of x too.": _in_int8(unit=lambda s, t: t.T),
        "You cut the fractions off, as a cast to int8 does: all values move towards zero. Round first.": _in_int8(
            torch.trunc
        ),
        "The sums were kept in int8, where they overflow and wrap. Products of int8 need int32 "
        "for their sum.": _in_int8(held=lambda sums: (sums + 128) % 256 - 128),
        "The axes are turned round: pictures in the rows, outputs in the columns.": changed(torch.t),
        "The scale of x comes from its largest value; the most negative one may be further from zero, "
        "and saturates.": called_with(lambda x, w: (x.clamp(min=-x.max()), w)),
        "One scale for each row of x. One for all of x is asked for: for a network in use it is "
        "fixed beforehand.": _in_int8(reach_x=lambda x: x.abs().amax(1, keepdim=True)),
        "Only the weight was rounded; round x to whole numbers too.": lambda x, w: (
            x @ _on_grid(w, w.abs().amax(1, keepdim=True)).T
        ),
        "Only x was rounded; round the weight to whole numbers too.": lambda x, w: _on_grid(x, x.abs().max()) @ w.T,
        "You always rounded down; round to the nearest.": _in_int8(torch.floor),
        "255 steps on each side of zero need nine bits: from −127 to 127 is what int8 holds.": _in_int8(steps_x=255),
        "The scale of a row comes from its largest value; the most negative one may be further from zero: take "
        "magnitudes.": _in_int8(reach_w=lambda w: w.amax(1, keepdim=True)),
    },
)
def int8_product(x, weight):
    """A layer's forward pass in int8.

    A scale a row of the weight can be taken out of the sum, since the whole row shares it. A scale a column could not:
    there each term of a sum would have another.
    """
    return _in_int8()(x, weight)


question(
    "precision.after_256",
    points=1,
    text="bf16 has 7 mantissa bits. Which is the next number after 256 that it can hold?",
    answer=258,
    tolerance=0.001,
    explanation="256 = 2^8, so the gap is 2^(8 − 7) = 2, and the next number is 258. 257 lies in the middle between two "
    "numbers and is rounded to the even one: 256 + 1 = 256.",
)
question(
    "precision.no_scaler",
    points=1,
    text="Why does nobody scale the loss for bf16?",
    choices={
        "a": "It rounds more finely than fp16, so less is lost.",
        "b": "Autocast leaves the gradients in float32.",
        "c": "Its exponent has 8 bits, as float32's: what float32 holds without underflow, it holds too.",
    },
    answer="c",
    comments={
        "a": "It rounds eight times more coarsely: 7 mantissa bits against 10. What saves it is reach, not precision.",
        "b": "Those of the parameters, yes; those that flow back through the layers are bf16. (With fp16 it is the same, "
        "and there they underflow.)",
    },
    explanation="Loss scaling moves numbers into a narrow range. bf16 has the range of float32, so there is nothing to move; "
    "what it lacks is precision, and no scale helps against that.",
)
question(
    "precision.adam_bytes",
    points=2,
    text="A classic recipe: fp16 weights and fp16 gradients, a float32 master of each weight, and Adam's two moments, in "
    "float32. How many bytes does it hold for each parameter?",
    answer=16,
    tolerance=0.001,
    explanation="2 + 2 + 4 + 4 + 4 = 16, exactly as many as float32 throughout: 4 + 4 + 4 + 4. What mixed precision halves are "
    "the activations that are kept for the backward pass, and what moves between memory and processor.",
)
