"""Exercises and questions of lesson 06: few bits after training, in training, and training in integers."""

import math

import torch

from nnopt_lab.course.draws import decimals, randint, signs
from nnopt_lab.course.exercises import exercise, question
from nnopt_lab.course.wrong_answers import changed


def _outputs(g: torch.Generator):
    """Outputs of a layer before and after quantising, on as many pictures as there are channels, and its bias."""
    n = randint(g, 2, 3)
    original = decimals(g, n, n, 2, 2)
    shift = torch.randn(1, n, 1, 1, generator=g) + torch.randn(n, n, 2, 2, generator=g) / 4
    return original, (original + shift).round(decimals=1), decimals(g, n)


@exercise(
    "by_hand.bias_correction",
    points=2,
    inputs=_outputs,
    hints=(
        "Each channel has one bias, which is added at every position of every picture.",
        "The shift of a channel is the mean of `quantized − original` over pictures, rows and columns: all axes but 1. "
        "A channel that comes out too large on average needs a smaller bias.",
        "`bias - (quantized - original).mean((0, 2, 3))`",
    ),
    wrong={
        "You added the shift, so now it is there twice. Subtract it.": lambda o, q, b: b + (q - o).mean((0, 2, 3)),
        "You returned the correction alone. Add it to the old bias, which the layer still needs.": lambda o, q, b: (
            -(q - o).mean((0, 2, 3))
        ),
        "You returned the shift itself. Subtract it from the bias.": lambda o, q, b: (q - o).mean((0, 2, 3)),
        "You averaged over the channels and kept the pictures. Axis 0 holds the pictures and axis 1 the channels: average "
        "over all axes but 1.": lambda o, q, b: b - (q - o).mean((1, 2, 3)),
        "You computed one mean for all channels. Each channel has its own shift, and its own bias to undo "
        "it.": lambda o, q, b: b - (q - o).mean(),
        "You summed the shift over pictures and positions. The bias acts on each of them, so take the "
        "mean.": lambda o, q, b: b - (q - o).sum((0, 2, 3)),
        "You summed over rows and columns, and averaged only over the pictures. The bias acts at every position, so take "
        "the mean over rows and columns as well.": lambda o, q, b: b - (q - o).sum((2, 3)).mean(0),
        "You subtracted the mean output. Subtract the mean *shift*, `quantized − original`.": lambda o, q, b: (
            b - q.mean((0, 2, 3))
        ),
        "You averaged magnitudes. Errors of both signs cancel in the mean, and a bias can only undo what is left: keep "
        "the signs.": lambda o, q, b: b - (q - o).abs().mean((0, 2, 3)),
        "You corrected by the first picture alone. Average over all of them.": lambda o, q, b: (
            b - (q - o)[0].mean((1, 2))
        ),
    },
)
def bias_correction(original, quantized, bias):
    """Correct a bias.

    `post_training.correct_biases` does this from the first layer to the last, so that each layer also undoes the shift
    that still reaches it from the layers before. It costs nothing at inference, where the bias is added anyway.
    """
    return bias - (quantized - original).mean((0, 2, 3))


def _gradient(
    inside=lambda ratio: ratio.round() - ratio,
    beyond=lambda ratio, end: end,
    compared=lambda x, step: x / step,
    ends=(True, True),
):
    """`step_gradient`, by cases; `compared` is what is compared with the ends in `ends`."""

    def gradient(x, step, low, high):
        ratio, place = x / step, compared(x, step)
        above = torch.where((place >= high) & ends[1], beyond(ratio, high), inside(ratio))
        return torch.where((place <= low) & ends[0], beyond(ratio, low), above)

    return gradient


def _around_a_grid(g: torch.Generator):
    """Values inside and beyond both ends of a grid, none near the middle of two integers or near an end.

    Of the two above the grid, one is above `high` as x too, the other only as x/step. Below, x itself lies above `low`.
    """
    high, step = randint(g, 1, 3), randint(g, 2, 7) / 10
    inside = [randint(g, -high, high - 1) + randint(g, 1, 4) / 10 + 0.5 * randint(g, 0, 1) for _ in range(4)]
    beyond = [math.ceil(high / step) + randint(g, 2, 4) / 10, high + randint(g, 2, 4) / 10]
    ratio = torch.tensor([*inside, *beyond, -high - 1 - randint(g, 2, 4) / 10])
    return ratio[torch.randperm(7, generator=g)] * step, step, -high - 1, high


@exercise(
    "by_hand.step_gradient",
    points=3,
    inputs=_around_a_grid,
    hints=(
        "Write `x̂ = step · round(clip(x/step, low, high))` and differentiate with respect to the step, in two cases: "
        "inside the range and beyond its ends.",
        "Beyond the ends, x̂ is `low·step` or `high·step`. Inside, it is a product: the first factor gives "
        "`round(x/step)`, and the second gives `step · d(x/step)/d(step)`, where rounding counts as the identity.",
        "`ratio = x / step`, then `torch.where(ratio <= low, low, torch.where(ratio >= high, high, ratio.round() - "
        "ratio))`.",
    ),
    wrong={
        "You kept the integers fixed and only stretched the grid. But when the step grows, `x/step` shrinks: straight "
        "through the rounding, that adds `− x/step` inside the range.": _gradient(inside=torch.round),
        "Inside the range you are right. Beyond its ends you gave 0, which is the gradient with respect to *x*. There, "
        "`x̂ = high·step` still depends on the step.": _gradient(beyond=lambda ratio, end: 0.0),
        "Inside the range you are right. Beyond its ends, `x̂ = high·step` or `low·step`, and x no longer occurs in it.": _gradient(
            beyond=lambda ratio, end: end - ratio
        ),
        "Inside the range you are right. Beyond its ends, `x̂ = high·step`, and its gradient is `high`, not "
        "`high·step`.": lambda x, step, low, high: _gradient(beyond=lambda ratio, end: end * step)(x, step, low, high),
        "You left out the range: beyond its ends, x̂ stays at `low·step` or `high·step`.": _gradient(
            ends=(False, False)
        ),
        "You left out the low end of the range: below it, x̂ stays at `low·step`.": _gradient(ends=(False, True)),
        "You left out the high end of the range: above it, x̂ stays at `high·step`.": _gradient(ends=(True, False)),
        "You swapped the ends: below the range `x̂ = low·step`, above it `high·step`.": lambda x, step, low, high: (
            torch.where(x / step >= high, low, torch.where(x / step <= low, high, (x / step).round() - x / step))
        ),
        "You rounded down inside the range. x̂ rounds to the nearest: `round(x/step) − x/step`.": _gradient(
            inside=lambda ratio: ratio.floor() - ratio
        ),
        "The sign is wrong: `d(step · q)/d(step)` is q, and the other term is `− x/step`.": changed(torch.neg),
        "Beyond the ends you are right. Inside, the sign is wrong: `round(x/step) − x/step`.": _gradient(
            inside=lambda ratio: ratio - ratio.round()
        ),
        "You subtracted x inside the range. The rounding error is counted in steps: `round(x/step) − x/step`.": (
            lambda x, step, low, high: torch.where(
                x / step <= low, low, torch.where(x / step >= high, high, (x / step).round() - x)
            )
        ),
        "You compared x with `low` and `high`. They count steps, so compare `x/step` with them.": _gradient(
            compared=lambda x, step: x
        ),
        "You computed the gradient times the step, inside the range the rounding error x̂ − x. Divide by the step: "
        "`round(x/step) − x/step`.": lambda x, step, low, high: step_gradient(x, step, low, high) * step,
    },
)
def step_gradient(x, step, low, high):
    """The gradient of a learned step.

    Inside the grid, the step follows the direction in which most values are rounded. Beyond its ends, each clipped value
    pulls with the grid's whole height. LSQ scales the sum by 1/√(N·high); otherwise the step would move far faster than
    the weights (Esser et al. 2020, section 2.2).
    """
    return _gradient()(x, step, low, high)


def _up_with_its_fraction(result, wanted, x, noise):
    other = x.floor() + (noise < x - x.floor())  # the same probability, from the other end of the noise
    if torch.equal(result, wanted) or torch.equal(result, other.to(result.dtype)):
        return None
    if ((result != x.floor()) & (result != x.ceil())).any():
        return "A value went to a number that is not one of its two neighbours, ⌊x⌋ and ⌈x⌉."
    return (
        "Each value went to one of its two neighbours, but not as the given `noise` decides. A value with fraction f must "
        "go up for a share f of all noise. Use the argument, and no random numbers of your own."
    )


def _values_and_noise(g: torch.Generator):
    x = (torch.randint(-290, 290, (8,), generator=g) * 3 + 1) / 100  # no whole numbers, and no halves
    x = torch.where((x - x.floor() - 0.5).abs() < 0.02, x + 0.07, x)
    return x, torch.randint(0, 1000, (8,), generator=g) / 1000 + 0.0005


@exercise(
    "by_hand.stochastic_round",
    points=2,
    inputs=_values_and_noise,
    hints=(
        "2.3 must become 3 with probability 0.3 and 2 with probability 0.7: on average, that is 2.3.",
        "The noise is uniform in [0, 1). For which share of it is `2.3 + noise` at least 3?",
        "`(x + noise).floor()`",
    ),
    wrong={
        "You rounded to nearest: 2.3 always becomes 2, so its average is 2 as well. Let the noise decide.": lambda x, noise: (
            x.round()
        ),
        "You rounded to nearest after adding the noise. That gives x + ½ on average, since the noise itself adds ½. Round "
        "down instead.": lambda x, noise: (x + noise).round(),
        "You truncated, which rounds towards zero, so negative numbers come out too large. `floor` rounds down for both "
        "signs.": lambda x, noise: (x + noise).trunc(),
        "You rounded up after adding the noise. That gives x + 1 on average: every value is one too "
        "large.": lambda x, noise: (x + noise).ceil(),
        "You turned the comparison around: 2.3 goes up with probability 0.7, so the neighbour that is *farther* away is "
        "the more likely one.": lambda x, noise: x.floor() + (noise > x - x.floor()),
        "You tossed a fair coin: every value becomes ⌊x⌋ + ½ on average. The probability must be the fraction of "
        "x.": lambda x, noise: x.floor() + (noise < 0.5),
        "You added the noise but did not round. The result must be whole numbers.": lambda x, noise: x + noise,
        "Negative numbers always go down: `frac` keeps the sign, so for −2.3 it is −0.3, and no noise is below that. Use "
        "the fraction x − ⌊x⌋, here 0.7.": lambda x, noise: x.floor() + (noise < x.frac()),
        "Negative numbers always go up: `trunc` takes −2.3 to −2, and no noise is below its `frac`, −0.3. Start from ⌊x⌋, "
        "with the fraction x − ⌊x⌋.": lambda x, noise: x.trunc() + (noise < x.frac()),
    },
    compare=_up_with_its_fraction,
)
def stochastic_round(x, noise):
    """Stochastic rounding.

    In integers it is even simpler: add random bits below the last place that is kept, then shift them out
    (`integer_training.shift_right`). Some accelerators do it in hardware, for training at few bits.
    """
    return (x + noise).floor()


question(
    "by_hand.equalised",
    points=1,
    text="Equalisation does not change the network's function in float. Why can it change the function that is left at 4 "
    "bits, with one grid per tensor?",
    choices={
        "a": "The largest channel sets the grid for all. When the channels become alike, a small channel gets more of its "
        "values.",
        "b": "It makes all weights smaller. The steps of the grid become finer with them, so each weight loses less when "
        "it is rounded.",
        "c": "It moves the weights onto the values of the grid. Its factors are chosen such that most weights end near a "
        "value.",
    },
    answer="a",
    comments={
        "b": "It cannot: what is divided in one layer is multiplied in the next. And a grid grows and shrinks with its "
        "weights.",
        "c": "The factors are the same for every grid. Equalisation does not look at it.",
    },
    explanation="A channel that reaches a tenth of the largest weight gets a tenth of the grid's values. Equalisation "
    "trades between two layers until each channel uses the same range in both. With one grid per channel, there would be "
    "nothing to gain in the layer that writes the channel.",
)
question(
    "by_hand.vanishing_updates",
    points=1,
    text="A weight is stored in steps of 1/64. Its gradient is −0.05 in each of a thousand updates, and the learning rate "
    "is 0.01. How far does it move if updates are rounded to nearest, and how far with stochastic rounding?",
    choices={
        "a": "By 0.5 in both cases: small updates add up in the end.",
        "b": "Not at all when rounded to nearest, and by about 0.5 with stochastic rounding.",
        "c": "Not at all in both cases: the ups and downs of the noise cancel.",
    },
    answer="b",
    comments={
        "a": "They would add up if they were kept. Rounded to nearest, an update of 0.0005 is 0 steps of 1/64, every "
        "time.",
        "c": "The update becomes 0 or one whole step in its own direction, never against it.",
    },
    explanation="An update of 0.0005 is 0.032 of a step. Rounded to nearest, that is 0, a thousand times. Rounded "
    "stochastically, it is a whole step of 1/64 with probability 0.032: about 32 steps, or 0.5, in all.",
)


def _equalized(
    reach=lambda weight, axis: weight.abs().amax(axis),
    factors=lambda r1, r2: (r1 / r2).sqrt(),
    scale=lambda first, second, s: (first / s[:, None], second * s),
):
    """`equalize`; `reach` measures a channel in one layer, `scale` applies the factors."""

    def equalize(first, second):
        return scale(first, second, factors(reach(first, 1), reach(second, 0)))

    return equalize


def _two_layers(g: torch.Generator):
    """Square weights, so that a wrong axis fits as well; the largest weights of a layer are all positive or all negative."""
    n = randint(g, 2, 3)
    every = torch.arange(n)
    while True:
        first, second = (torch.randint(1, 7, (n, n), generator=g) * signs(g, n, n) / 10 for _ in range(2))
        first[every, torch.randint(0, n, (n,), generator=g)] = -torch.randint(8, 30, (n,), generator=g) / 10
        second[torch.randint(0, n, (n,), generator=g), every] = -torch.randint(8, 30, (n,), generator=g) / 10
        ratio = first.abs().amax(1) / second.abs().amax(0)
        has_positive = (first.amax(1) > 0).all() and (second.amax(0) > 0).all()
        if has_positive and ((ratio - 1).abs() > 0.2).all() and ratio.max() > 1.3 * ratio.min():
            return first * signs(g, 1), second * signs(g, 1)


@exercise(
    "few_bits.equalize",
    points=3,
    inputs=_two_layers,
    hints=(
        "Channel i is row i of the first weight, which writes it, and column i of the second, which reads it. Divide the "
        "row by a factor, and multiply the column by the same factor.",
        "The range of a channel is its largest magnitude: r₁ over axis 1 of the first weight, r₂ over axis 0 of the "
        "second. Divided by s = √(r₁/r₂), the row reaches √(r₁·r₂); so does the column times s.",
        "`s = (first.abs().amax(1) / second.abs().amax(0)).sqrt()`, then `return first / s[:, None], second * s`",
    ),
    wrong={
        "You multiplied the rows and divided the columns: the ranges move apart instead of together.": _equalized(
            scale=lambda first, second, s: (first * s[:, None], second / s)
        ),
        "You divided both layers by s, so the network computes another function. Divide the first and multiply the "
        "second.": _equalized(scale=lambda first, second, s: (first / s[:, None], second / s)),
        "The first layer is right, but the second is unchanged, so the network computes another function. Multiply its "
        "columns by s.": _equalized(scale=lambda first, second, s: (first / s[:, None], second)),
        "The second layer is right, but the first is unchanged, so the network computes another function. Divide its "
        "rows by s.": _equalized(scale=lambda first, second, s: (first, second * s)),
        "You left out the square root, so the two layers have only exchanged their ranges: s = √(r₁/r₂).": _equalized(
            factors=lambda r1, r2: r1 / r2
        ),
        "Your factors are √(r₁·r₂), the range that both layers should end with. The factor that leads there is "
        "√(r₁/r₂).": _equalized(factors=lambda r1, r2: (r1 * r2).sqrt()),
        "You took the largest signed weight as the range. A large negative weight needs the grid as well: take "
        "magnitudes first.": _equalized(reach=lambda weight, axis: weight.amax(axis)),
        "You took the most negative weight as the range. A large positive weight needs the grid as well: take magnitudes "
        "first.": _equalized(reach=lambda weight, axis: -weight.amin(axis)),
        "You took the mean magnitude of a channel as its range. The grid must reach the largest one.": _equalized(
            reach=lambda weight, axis: weight.abs().mean(axis)
        ),
        "You took the norm of a channel as its range. The grid must reach the largest magnitude.": _equalized(
            reach=lambda weight, axis: weight.norm(dim=axis)
        ),
        "You took one range for each whole layer, so all channels got the same factor. Each channel has its "
        "own.": _equalized(reach=lambda weight, axis: weight.abs().amax().expand(len(weight))),
        "You measured the rows of the second weight. A channel is a column there: take the maximum over axis "
        "0.": _equalized(reach=lambda weight, axis: weight.abs().amax(1)),
        "You measured the columns of the first weight. A channel is a row there: take the maximum over axis "
        "1.": _equalized(reach=lambda weight, axis: weight.abs().amax(0)),
        "You measured the columns of the first weight and the rows of the second. It is the other way round: rows of the "
        "first, columns of the second.": _equalized(reach=lambda weight, axis: weight.abs().amax(1 - axis)),
        "You scaled the columns of the first weight. A channel is a row there: divide by `s[:, None]`.": _equalized(
            scale=lambda first, second, s: (first / s, second * s)
        ),
        "You scaled the rows of the second weight. A channel is a column there: multiply by `s` without a new "
        "axis.": _equalized(scale=lambda first, second, s: (first / s[:, None], second * s[:, None])),
    },
)
def equalize(first, second):
    """Equalise two layers.

    Both layers now use the same range for each channel, and the product of the two weights is what it was. With a ReLU
    between them that holds too, because a positive factor passes through it (Nagel et al. 2019, section 4.1).
    """
    return _equalized()(first, second)
