"""Exercises and questions of lesson 00: a layer's cost, measuring, and the article's cast to integers."""

from statistics import geometric_mean, mean, median

import torch

from nnopt_lab.course.draws import randint, randints
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed, scaled


@exercise(
    "start.conv_parameters",
    points=1,
    inputs=lambda g: (*randints(g, (1, 9), (10, 20), (2, 5)), bool(randint(g, 0, 1))),
    hints=(
        "Each filter spans all input channels. How many weights does one filter hold?",
        "A filter holds `in_channels × kernel_size × kernel_size` weights, and there are `out_channels` filters.",
        "With `bias=True` each filter has one more parameter: `out_channels * in_channels * kernel_size**2 + "
        "out_channels` in all.",
    ),
    wrong={
        "You left out the bias: with `bias=True` each filter has one more parameter.": lambda i, o, k, b: o * i * k**2,
        "You counted `kernel_size` weights per input channel. The kernel is square: count `kernel_size²` of them.": lambda i, o, k, b: (
            o * i * k + o * b
        ),
        "You counted one bias per input channel. There is one bias per filter, so count `out_channels` of them.": lambda i, o, k, b: (
            o * i * k**2 + i * b
        ),
        "You always counted the bias. With `bias=False` there is none.": lambda i, o, k, b: o * i * k**2 + o,
        "Your filters span one input channel each, as in a depthwise convolution. Here each spans all `in_channels`.": lambda i, o, k, b: (
            o * k**2 + o * b
        ),
        "You counted one bias for the whole layer. There is one per filter, so count `out_channels` of them.": lambda i, o, k, b: (
            o * i * k**2 + b
        ),
        "You counted one filter. There are `out_channels` of them, each with its own weights and bias.": lambda i, o, k, b: (
            i * k**2 + b
        ),
    },
)
def conv_parameters(in_channels, out_channels, kernel_size, bias):
    """Parameters of a convolution.

    In torch: `sum(p.numel() for p in layer.parameters())`. The formula shows what fewer and smaller kernels save:
    halving both numbers of channels divides the weights by four.
    """
    return out_channels * in_channels * kernel_size**2 + (out_channels if bias else 0)


def _macs_with(per_output=lambda i, o, k: o * i * k**2, size=lambda n, k, s, p: (n + 2 * p - k) // s + 1):
    """`conv_macs` with one mistake: in the MACs per output pixel, or in the number of output pixels along a side."""
    return lambda i, o, k, h, w, s, p: per_output(i, o, k) * size(h, k, s, p) * size(w, k, s, p)


@exercise(
    "start.conv_macs",
    points=2,
    inputs=lambda g: randints(g, (2, 8), (9, 16), (3, 5), (8, 16), (17, 24), (1, 3), (0, 2)),
    hints=(
        "One filter at one position gives one output value. How many output values are there?",
        "The output is `⌊(height + 2·padding − kernel_size) / stride⌋ + 1` pixels high; its width follows in the same "
        "way.",
        "Each of the `out_channels · out_height · out_width` output values costs `in_channels · kernel_size²` MACs.",
    ),
    wrong={
        "You counted one filter position per *input* pixel. Count output pixels: a stride, or a kernel without "
        "enough padding, leaves fewer of them.": _macs_with(size=lambda n, k, s, p: n),
        "You counted floating-point operations. A multiplication and an addition together are one "
        "multiply-accumulate: divide by 2.": scaled(2),
        "You counted the weights. Each of them is used once per output pixel: multiply by the output's height and "
        "width.": lambda i, o, k, *_: o * i * k**2,
        "You left out `in_channels`: each output value sums over all input channels.": _macs_with(
            lambda i, o, k: o * k**2
        ),
        "You added the padding on one side only. It is added on both: `height + 2·padding`.": _macs_with(
            size=lambda n, k, s, p: (n + p - k) // s + 1
        ),
        "You have one position too few along each side. A kernel as large as the picture fits once, so add 1 "
        "after dividing by the stride.": _macs_with(size=lambda n, k, s, p: (n + 2 * p - k) // s),
        "You divided with `/`, which gives fractions of a pixel. Round down with `//`.": _macs_with(
            size=lambda n, k, s, p: (n + 2 * p - k) / s + 1
        ),
        "You left out `out_channels`: each filter computes its own output values.": _macs_with(
            lambda i, o, k: i * k**2
        ),
        "You counted `kernel_size` MACs per input channel. The kernel is square: count `kernel_size²` of them.": _macs_with(
            lambda i, o, k: o * i * k
        ),
        "You left out the stride, which leaves fewer output pixels: divide by it, round down, and add 1.": _macs_with(
            size=lambda n, k, s, p: n + 2 * p - k + 1
        ),
        "You rounded up. Where the kernel does not fit any more, there is no output: round down with `//`.": _macs_with(
            size=lambda n, k, s, p: -(-(n + 2 * p - k) // s) + 1
        ),
        "You took the height for both sides. The picture is wider than high, and so is the output.": called_with(
            lambda i, o, k, h, w, s, p: (i, o, k, h, h, s, p)
        ),
        "You counted the bias. It is an addition without a multiplication, so it is no MAC.": _macs_with(
            lambda i, o, k: o * (i * k**2 + 1)
        ),
    },
)
def conv_macs(in_channels, out_channels, kernel_size, height, width, stride, padding):
    """Multiply-accumulates of a convolution.

    `torch.utils.flop_counter.FlopCounterMode` gives twice this number, because it counts multiplications and additions
    separately. Papers use both conventions, so check which one they mean.
    """
    return _macs_with()(in_channels, out_channels, kernel_size, height, width, stride, padding)


def _scores(g: torch.Generator):
    count = randint(g, 5, 9)
    logits = torch.randn(count, 4, generator=g).mul(2).round(decimals=2)
    labels = torch.where(
        torch.rand(count, generator=g) < 0.6, logits.argmax(1), torch.randint(0, 4, (count,), generator=g)
    )
    labels[0] = logits[0].argmax()
    return logits, labels


@exercise(
    "start.accuracy",
    points=1,
    inputs=_scores,
    hints=(
        "Row n of `logits` holds the scores of picture n. Which class does the network predict?",
        "`logits.argmax(dim=1)` is the predicted class of each picture. Compare it with `labels`.",
        "`100 * (logits.argmax(dim=1) == labels).float().mean().item()`",
    ),
    wrong={
        "You returned a fraction between 0 and 1. Multiply it by 100 for percent.": scaled(1 / 100),
        "You returned the number of correct pictures. Divide it by the number of pictures, in percent.": lambda logits, labels: (
            (logits.argmax(1) == labels).sum().item()
        ),
        "You compared the highest *score* with the label. Compare its *position*, the predicted class: `argmax`.": lambda logits, labels: (
            100 * (logits.amax(1) == labels).float().mean().item()
        ),
        "You took the class with the lowest score. The network predicts the one with the highest.": called_with(
            lambda logits, labels: (-logits, labels)
        ),
        "You returned the error rate. The accuracy is 100 % minus that.": changed(lambda percent: 100 - percent),
    },
    tolerance=1e-4,
)
def accuracy(logits, labels):
    """Accuracy in percent.

    You need no softmax, since it does not change the order of the scores. `training.evaluate` does the same in batches
    and also records which pictures were correct, so that two networks can be compared picture by picture.
    """
    return 100 * (logits.argmax(dim=1) == labels).float().mean().item()


def _weights(g: torch.Generator):
    """The largest magnitude is negative in about half of the cases, so that neither end passes for it."""
    weights = torch.randn(randint(g, 5, 8), generator=g) * 10 ** (torch.rand((), generator=g) * 3 - 2)
    biggest = weights.abs().argmax()
    weights[biggest] *= 1.1
    return (weights,)


def _int8_with(largest=lambda w: w.abs().max(), levels=127, convert=lambda q: q.round().to(torch.int8)):
    """`to_int8` with one mistake."""

    def quantized(weights):
        scale = largest(weights).item() / levels
        return convert(weights / scale), scale

    return quantized


@exercise(
    "start.to_int8",
    points=3,
    inputs=_weights,
    hints=(
        "The largest magnitude must become 127 (or −127), and zero must stay 0. Which number do you divide by?",
        "`scale = max|w| / 127`. Dividing by it gives values in [−127, 127]. Round them, then convert to `torch.int8`.",
        "`scale = weights.abs().max().item() / 127`, then `return (weights / scale).round().to(torch.int8), scale`.",
    ),
    wrong={
        "You converted without rounding. The conversion drops the fraction, so every weight shrinks a little: "
        "round first.": _int8_with(convert=lambda q: q.to(torch.int8)),
        "You took the scale from the largest weight, but a negative weight has a larger *magnitude* here and does not "
        "fit. Take the maximum of `abs()`.": _int8_with(
            torch.max, convert=lambda q: q.round().clamp(-128, 127).to(torch.int8)
        ),
        "You took the scale from the largest weight, but a negative weight has a larger *magnitude* here, and its integer "
        "wraps round: −223 becomes 33. Take the maximum of `abs()`.": _int8_with(torch.max),
        "You took the scale from the largest weight and clamped at −127, which cuts off a negative weight that has a "
        "larger *magnitude*. Take the maximum of `abs()`.": _int8_with(
            torch.max, convert=lambda q: q.round().clamp(-127, 127).to(torch.int8)
        ),
        "You divided by the largest magnitude alone, so only −1, 0 and 1 are left. The largest magnitude must become 127: "
        "divide it by 127 to get the scale.": _int8_with(levels=1),
        "You took the scale from the most negative weight, and the integer of a positive weight with a larger *magnitude* "
        "wraps round. Take the maximum of `abs()`.": _int8_with(lambda w: -w.min()),
        "You took the scale from the most negative weight, but a positive weight with a larger *magnitude* does not fit. "
        "Take the maximum of `abs()`.": _int8_with(
            lambda w: -w.min(), convert=lambda q: q.round().clamp(-128, 127).to(torch.int8)
        ),
        "You took the scale from the largest weight, not the largest *magnitude*, and you converted without rounding. Take "
        "the maximum of `abs()`, and round first.": _int8_with(torch.max, convert=lambda q: q.to(torch.int8)),
        "You divided by 256, the number of values of a byte. int8 ends at 127, and larger values wrap round, so large "
        "weights come back with the wrong sign. Divide by 127.": _int8_with(levels=256),
        "You divided by 128, so a largest weight that is positive becomes 128, and int8 wraps it round to −128. Divide by "
        "127.": _int8_with(levels=128),
        "You divided by 255, the range of an unsigned byte. int8 ends at 127, and larger values wrap round, so "
        "large weights come back with the wrong sign.": _int8_with(levels=255),
        "You divided by 128, but int8 ends at 127: a largest weight that is positive would not fit. Divide by "
        "127.": _int8_with(levels=128, convert=lambda q: q.round().clamp(-128, 127).to(torch.int8)),
        "You used no scale, so all weights between −0.5 and 0.5 become 0. That is the article's mistake: divide by "
        "the scale first.": lambda w: (w.round().to(torch.int8), 1.0),
        "You used no scale and converted without rounding, so all weights between −1 and 1 become 0. That is the "
        "article's mistake: divide by the scale, then round.": lambda w: (w.to(torch.int8), 1.0),
        "Your values are right but still stored as floats, at four bytes each. Convert them to `torch.int8`.": _int8_with(
            convert=torch.round
        ),
        "Your integers are right, but your scale is `127 / max|w|`, its inverse. `q · scale` must give the weights "
        "back.": changed(lambda result: (result[0], 1 / result[1])),
        "You rounded down with `floor` or `//`, so the weights shift by half a step on average. Round to the nearest "
        "integer.": _int8_with(convert=lambda q: q.floor().to(torch.int8)),
        "You took the scale from the mean magnitude, so larger weights do not fit. The *largest* magnitude must become "
        "127.": _int8_with(lambda w: w.abs().mean(), convert=lambda q: q.round().clamp(-128, 127).to(torch.int8)),
        "You took the scale from the mean magnitude, so the integers of larger weights wrap round. The *largest* magnitude "
        "must become 127.": _int8_with(lambda w: w.abs().mean()),
        "You divided the range `max − min` by 255. That is an asymmetric scale, which needs a zero point, too. Here "
        "take `max|w| / 127`.": _int8_with(
            lambda w: w.max() - w.min(), 255, lambda q: q.round().clamp(-128, 127).to(torch.int8)
        ),
        "You divided the range `max − min` by 255. That scale needs a zero point, too, and without one the integers of "
        "large weights wrap round. Here take `max|w| / 127`.": _int8_with(lambda w: w.max() - w.min(), 255),
    },
    tolerance=1e-6,
    properties=(
        Property(
            "The scale is the largest magnitude divided by 127.",
            lambda result, weights: abs(result[1] - to_int8(weights)[1]) <= 1e-6,
            credit=1 / 3,
        ),
        Property(
            "The numbers are right, but return the integers as int8, `.to(torch.int8)`: wider integers take more bytes.",
            lambda result, weights: result[0].dtype == torch.int8,
        ),
    ),
)
def to_int8(weights):
    """Weights as 8-bit integers with a scale.

    q · scale recovers each weight to within scale/2. This is symmetric per-tensor quantisation. Lesson 05 continues
    with zero points, one scale per channel, and activations.
    """
    return _int8_with()(weights)


def _timings(g: torch.Generator):
    count = randint(g, 4, 9)
    drift = 1 + torch.rand(count, generator=g)
    drift[randint(g, 0, count - 1)] *= 6
    after = drift * (1 + 0.1 * torch.rand(count, generator=g))
    before = drift * (1.5 + torch.rand(count, generator=g))
    return [round(v, 3) for v in before.tolist()], [round(v, 3) for v in after.tolist()]


def _sorted_ratio(position):
    """The ratio at a position of the sorted ratios: a median only where their number is odd."""
    return lambda before, after: sorted(b / a for b, a in zip(before, after, strict=True))[position(len(before))]


@exercise(
    "start.speedup",
    points=2,
    inputs=_timings,
    hints=(
        "`before[i]` and `after[i]` ran in immediate succession, so whatever slowed the machine slowed both. Which "
        "single number compares the two?",
        "Take the ratio `before[i] / after[i]` of each pair, then the median of the ratios.",
        "`statistics.median(b / a for b, a in zip(before, after))`",
    ),
    wrong={
        "You took the ratio of the means, and one slow moment of the machine decides those. Divide pair by pair, "
        "then take the median.": lambda before, after: mean(before) / mean(after),
        "You took the ratio of the medians, which may come from different moments. Divide within each pair first, "
        "then take the median.": lambda before, after: median(before) / median(after),
        "You took the mean of the ratios, and a single disturbed pair shifts it. Take the median.": lambda before, after: (
            mean(b / a for b, a in zip(before, after, strict=True))
        ),
        "You divided `after` by `before`. A speed-up of 2 means that `after` takes half as long: divide `before` by "
        "`after`.": called_with(lambda before, after: (after, before)),
        "You compared the fastest runs. They may be lucky, and they ignore all other pairs: divide pair by pair, "
        "then take the median.": lambda before, after: min(before) / min(after),
        "You returned seconds saved, not a factor. Divide `before` by `after` in each pair, then take the median.": lambda before, after: (
            median(b - a for b, a in zip(before, after, strict=True))
        ),
        "You took the geometric mean of the ratios, which a single disturbed pair still shifts. Take the "
        "median.": lambda before, after: geometric_mean(b / a for b, a in zip(before, after, strict=True)),
        "You inverted the median of `after / before`. For an even number of pairs, that is not the median of `before / "
        "after`: divide `before` by `after` in each pair.": lambda before, after: (
            1 / median(a / b for b, a in zip(before, after, strict=True))
        ),
        "You took the upper of the two middle ratios. For an even number of ratios, the median is the mean of both: "
        "`statistics.median` does that.": _sorted_ratio(lambda n: n // 2),
        "You took the lower of the two middle ratios, as `torch.median` does. For an even number of ratios, the median "
        "is the mean of both: use `statistics.median`.": _sorted_ratio(lambda n: (n - 1) // 2),
    },
)
def speedup(before, after):
    """Speed-up from interleaved timings.

    `measure.ratio` reports the same median, with an interval from the order statistics of the ratios. If the interval
    contains 1, it reports that no difference was measured.
    """
    return median(b / a for b, a in zip(before, after, strict=True))


question(
    "start.where_the_work_is",
    points=1,
    text="The first linear layer (2048→128) holds 97.6 % of MyNet's parameters. What percentage of MyNet's MACs does "
    "it compute? (to half a percentage point)",
    answer=13.9,
    tolerance=0.5,
    comments={
        97.6: "That is its share of the parameters. Compare MACs, which depend on how often a weight is used.",
        62.6: "That is the share of the second convolution.",
        23.5: "That is the share of the first convolution.",
        22.2: "You compared it with the second convolution alone. Compare it with the whole network.",
    },
    explanation="262,144 of 1,885,440, or 13.9 %. Each of its weights is used once per picture, but each weight of the "
    "second convolution is used at 16·16 positions. Size and work are in different layers, so a technique that "
    "reduces one need not reduce the other.",
)
question(
    "start.three_percent",
    points=1,
    text="You run A five times, then B five times. B's mean is 3 % lower. What do you know?",
    choices={
        "a": "B is 3 % faster.",
        "b": "B is faster, but by how much is uncertain.",
        "c": "Not even that B is faster.",
    },
    answer="c",
    comments={
        "a": "Clock speed, other programs and caches can change timings by more than 3 % within seconds, and all of "
        "B's runs came after all of A's.",
        "b": "The machine may simply have been quieter while B ran.",
    },
    explanation="A and B never ran under the same conditions, so you can't distinguish drift from a difference. "
    "Interleave them as A/B/A/B, compare pair by pair, and check whether the interval of the ratio contains 1.",
)
