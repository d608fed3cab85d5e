"""Exercises and questions of lesson 00: counting a layer's price, measuring, and the article's cast to integers."""

from statistics import mean, median

import torch

from nnopt_lab.course.draws import randint, randints
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed, scaled


@exercise(
    "start.conv_parameters",
    points=1,
    inputs=lambda g: (*randints(g, (1, 9), (10, 20), (2, 5)), bool(randint(g, 0, 1))),
    hints=(
        "One filter looks at all input channels at once. How many numbers does it hold?",
        "A filter is a block of in_channels × kernel_size × kernel_size weights, and there are out_channels of them.",
        "With bias=True every filter has one number more: in all "
        "out_channels * in_channels * kernel_size**2 + out_channels.",
    ),
    wrong={
        "The bias is missing: with bias=True each filter adds one more number.": lambda i, o, k, b: o * i * k**2,
        "The kernel is a square: kernel_size² weights for each input channel, not kernel_size.": lambda i, o, k, b: (
            o * i * k + o * b
        ),
        "There is one bias for each output channel (each filter), not for each input channel.": lambda i, o, k, b: (
            o * i * k**2 + i * b
        ),
        "With bias=False there is no bias to count.": lambda i, o, k, b: o * i * k**2 + o,
        "Each filter spans all input channels; yours spans one, which is a depthwise convolution.": lambda i, o, k, b: (
            o * k**2 + o * b
        ),
    },
)
def conv_parameters(in_channels, out_channels, kernel_size, bias):
    """Parameters of a convolution.

    In torch: `sum(p.numel() for p in layer.parameters())`. You will use this formula backwards in lesson 02, to see
    what fewer and smaller kernels are worth.
    """
    return out_channels * in_channels * kernel_size**2 + (out_channels if bias else 0)


def _macs_with(per_output=lambda i, o, k: o * i * k**2, size=lambda n, k, s, p: (n + 2 * p - k) // s + 1):
    """`conv_macs` with one thing wrong: the price of an output pixel, or how many of them fit along a side."""
    return lambda i, o, k, h, w, s, p: per_output(i, o, k) * size(h, k, s, p) * size(w, k, s, p)


@exercise(
    "start.conv_macs",
    points=2,
    inputs=lambda g: randints(g, (2, 8), (9, 16), (3, 5), (8, 16), (17, 24), (1, 3), (0, 2)),
    hints=(
        "Every number of the output costs one pass of one filter over the input. How many outputs are there?",
        "The output is ⌊(height + 2·padding − kernel_size) / stride⌋ + 1 high, and likewise wide.",
        "Each of the out_channels · out_height · out_width outputs costs in_channels · kernel_size² "
        "multiply-accumulates.",
    ),
    wrong={
        "You counted a filter position for every *input* pixel. Positions are output pixels: stride and a "
        "missing border make them fewer.": _macs_with(size=lambda n, k, s, p: n),
        "That is the number of floating-point operations. One multiply-accumulate is one multiplication and "
        "one addition together, so it counts once.": scaled(2),
        "Each output sums over all input channels; in_channels is missing.": _macs_with(lambda i, o, k: o * k**2),
        "The padding is added on both sides: height + 2·padding.": _macs_with(
            size=lambda n, k, s, p: (n + p - k) // s + 1
        ),
        "One position too few each way: a kernel as large as the picture still fits once, so add 1 after "
        "dividing by the stride.": _macs_with(size=lambda n, k, s, p: (n + 2 * p - k) // s),
    },
)
def conv_macs(in_channels, out_channels, kernel_size, height, width, stride, padding):
    """Multiply-accumulates of a convolution.

    `torch.utils.flop_counter.FlopCounterMode` counts the same and gives twice this number, because it counts the
    addition apart from the multiplication. Ask which of the two a paper means.
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
        "Row n of logits holds the scores of picture n. Which class does the network choose?",
        "`logits.argmax(dim=1)` is the chosen class of each picture; compare it with labels.",
        "`100 * (logits.argmax(dim=1) == labels).float().mean().item()`",
    ),
    wrong={
        "That is the share of right pictures, between 0 and 1; percent are wanted.": scaled(1 / 100),
        "That is the number of right pictures; divide it by how many there are, in percent.": lambda logits, labels: (
            (logits.argmax(1) == labels).sum().item()
        ),
        "You compared the highest *score* with the label; what counts is *where* it stands: "
        "argmax.": lambda logits, labels: 100 * (logits.amax(1) == labels).float().mean().item(),
        "The network chooses the class with the highest score, not the lowest.": called_with(
            lambda logits, labels: (-logits, labels)
        ),
        "That is the error rate, 100 % minus the accuracy.": changed(lambda percent: 100 - percent),
    },
    tolerance=1e-4,
)
def accuracy(logits, labels):
    """Accuracy in percent.

    The softmax is not needed: it keeps the order of the scores. `training.evaluate` does the same over batches, and
    also keeps which pictures were right, so that two networks can be compared picture by picture.
    """
    return 100 * (logits.argmax(dim=1) == labels).float().mean().item()


def _weights(g: torch.Generator):
    weights = torch.randn(randint(g, 5, 8), generator=g) * 10 ** (torch.rand((), generator=g) * 3 - 2)
    biggest = weights.abs().argmax()
    weights[biggest] = -weights[biggest].abs() * 1.1
    return (weights,)


def _int8_with(largest=lambda w: w.abs().max(), levels=127, convert=lambda q: q.round().to(torch.int8)):
    """`to_int8` with one thing wrong."""

    def quantized(weights):
        scale = largest(weights).item() / levels
        return convert(weights / scale), scale

    return quantized


@exercise(
    "start.to_int8",
    points=3,
    inputs=_weights,
    hints=(
        "The largest magnitude must land on 127 (or −127), zero on 0. Which number do you divide by?",
        "scale = max|w| / 127. Dividing by it gives numbers in [−127, 127]: round them, then convert to torch.int8.",
        "`scale = weights.abs().max().item() / 127`, then `return (weights / scale).round().to(torch.int8), scale`.",
    ),
    wrong={
        "Converting to int8 cuts the fraction off towards zero, so every weight shrinks a little: round "
        "first.": _int8_with(convert=lambda q: q.to(torch.int8)),
        "The scale must come from the largest *magnitude*: here a negative weight is larger than every positive "
        "one and does not fit.": _int8_with(torch.max, convert=lambda q: q.round().clamp(-128, 127).to(torch.int8)),
        "255 is the range of an unsigned byte. A signed one ends at 127, and what lies beyond wraps round: large "
        "weights come back with the wrong sign.": _int8_with(levels=255),
        "Without a scale all weights between −0.5 and 0.5 become 0. That is the article's mistake: spread the "
        "weights over the whole range first.": lambda w: (w.round().to(torch.int8), 1.0),
        "The numbers are right, but still stored as floats, four bytes each: convert them to torch.int8.": _int8_with(
            convert=torch.round
        ),
    },
    tolerance=1e-6,
    properties=(
        Property(
            "The scale is the largest magnitude, divided by 127.",
            lambda result, weights: abs(result[1] - to_int8(weights)[1]) <= 1e-6,
            credit=1 / 3,
        ),
    ),
)
def to_int8(weights):
    """Weights to 8-bit integers, and a way back.

    q · scale gives the weights back with an error of at most scale/2. That is symmetric per-tensor quantisation; lesson
    05 goes on from here (zero points, scales per channel, activations).
    """
    return _int8_with()(weights)


def _timings(g: torch.Generator):
    count = 2 * randint(g, 2, 4) + 1
    drift = 1 + torch.rand(count, generator=g)
    drift[randint(g, 0, count - 1)] *= 6
    after = drift * (1 + 0.1 * torch.rand(count, generator=g))
    before = drift * (1.5 + torch.rand(count, generator=g))
    return [round(v, 3) for v in before.tolist()], [round(v, 3) for v in after.tolist()]


@exercise(
    "start.speedup",
    points=2,
    inputs=_timings,
    hints=(
        "before[i] and after[i] were taken one right after the other: they share whatever slowed the machine then. "
        "Which single number compares these two?",
        "Take the ratio before[i] / after[i] of every pair, then their median.",
        "`statistics.median(b / a for b, a in zip(before, after))`",
    ),
    wrong={
        "The ratio of means: one slow moment of the machine decides it. Compare pair by pair, then take the "
        "median.": lambda before, after: mean(before) / mean(after),
        "The two medians may come from different moments. Divide within each pair first, then take the "
        "median.": lambda before, after: median(before) / median(after),
        "The mean of the ratios: a single disturbed pair pulls it away. Take the median.": lambda before, after: mean(
            b / a for b, a in zip(before, after, strict=True)
        ),
        "Turned round: a speed-up of 2 means that `after` takes half as long, so divide before by after.": called_with(
            lambda before, after: (after, before)
        ),
        "The two fastest runs alone: they may be lucky ones, and they throw all other pairs "
        "away.": lambda before, after: min(before) / min(after),
    },
)
def speedup(before, after):
    """Speed-up from interleaved timings.

    This is what `measure.ratio` reports, with an interval from the order statistics of the same ratios. If the interval
    holds 1, it says that no difference was measured.
    """
    return median(b / a for b, a in zip(before, after, strict=True))


question(
    "start.where_the_work_is",
    points=1,
    text="The first linear layer (2048→128) holds 97.6 % of MyNet's parameters. What percentage of its "
    "multiply-accumulates does it do? (to half a percent)",
    answer=13.9,
    tolerance=0.5,
    explanation="262,144 of 1,885,440, or 13.9 %. Each of its weights is used once a picture; each weight of the "
    "second convolution is used at 16·16 places. Size and work sit in different layers, so a technique that cuts "
    "the one need not cut the other.",
)
question(
    "start.three_percent",
    points=1,
    text="You run A five times, then B five times. B's mean is 3 % lower. What do you know?",
    choices={
        "a": "B is 3 % faster.",
        "b": "B is faster, but by how much is uncertain.",
        "c": "Not yet that B is faster at all.",
    },
    answer="c",
    comments={
        "a": "The processor's clock, other programs and the caches drift by more than 3 % within seconds; all of B's "
        "runs came after all of A's.",
        "b": "Even that is not known: the machine may simply have been quieter while B ran.",
    },
    explanation="A and B never ran under the same conditions: drift and difference can't be told apart. Interleave "
    "A/B/A/B, compare pair by pair, and look whether the interval of the ratio holds 1.",
)
