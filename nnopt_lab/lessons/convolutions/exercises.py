"""Exercises and questions of lesson 02: the price of a kernel, and cheaper ways to the same picture."""

from math import prod

import torch
from torch import Tensor

from nnopt_lab.course.draws import choice, decimals, randint, randints, uniform
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, off_by, swapped
from nnopt_lab.techniques.convolutions import low_rank


def _stack(g: torch.Generator):
    """A few layers; at least one stride of 2 with a kernel behind it, so that the strides matter."""
    layers = [(2 * randint(g, 0, 2) + 1, randint(g, 1, 2)) for _ in range(randint(g, 1, 3))]
    return ([(3, 1), (2, 2), *layers, (3, 1)],)


@exercise(
    "convolutions.receptive_field",
    points=2,
    inputs=_stack,
    hints=(
        "One output pixel of the last layer sees how many input pixels in a row? Go from the first layer to the last.",
        "Keep two numbers: the field, which begins as 1, and how many input pixels lie between two neighbours at this "
        "depth, which begins as 1 and is multiplied by each stride that has been passed.",
        "for kernel_size, stride in layers: field += (kernel_size - 1) * step; step *= stride",
    ),
    wrong={
        "You left out the strides: behind a stride of 2, neighbouring pixels stand two input pixels apart, so a "
        "kernel reaches twice as far.": called_with(lambda layers: ([(k, 1) for k, _ in layers],)),
        "You multiplied the kernel sizes. Two 3×3 layers see 5 pixels in a row, not 9: each layer adds k − "
        "1.": lambda layers: prod(k for k, _ in layers),
        "One too small: a single pixel, before any layer, already sees itself.": off_by(-1),
        "Each layer adds k − 1 steps, not k: the pixel in the middle of a kernel was seen already.": called_with(
            lambda layers: ([(k + 1, stride) for k, stride in layers],)
        ),
        "You applied a layer's own stride to its own kernel. A stride spreads what comes *behind* it.": called_with(
            lambda layers: ([part for k, stride in layers for part in ((1, stride), (k, 1))],)
        ),
        "You added up the kernel sizes. Neighbouring windows overlap: each layer adds k − 1, times the strides before "
        "it.": lambda layers: sum(k for k, _ in layers),
    },
)
def receptive_field(layers):
    """The receptive field of a stack of layers.

    Two 3×3 layers see as far as one 5×5 with 18 in the place of 25 products, and three as far as a 7×7 with 27 in the
    place of 49: the argument of VGG (Simonyan & Zisserman 2015). What a trained network really uses is a smaller,
    bell-shaped part of it (Luo et al. 2016).
    """
    field, step = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * step
        step *= stride
    return field


def _cost_with(parameters=lambda i, o, k: i * k**2 + i * o):
    """`separable_cost` with one thing wrong: the number of parameters."""
    return lambda i, o, k, h, w: (parameters(i, o, k), parameters(i, o, k) * h * w)


@exercise(
    "convolutions.separable_cost",
    points=2,
    inputs=lambda g: (*randints(g, (4, 32), (33, 64)), 2 * randint(g, 1, 3) + 1, *randints(g, (5, 9), (10, 16))),
    hints=(
        "Two layers run one after the other: depthwise (one k×k kernel for each input channel), then 1×1.",
        "The depthwise layer has in_channels·k² weights, the 1×1 layer in_channels·out_channels. Each weight is used "
        "once for every output pixel.",
        "parameters = in_channels * kernel_size**2 + in_channels * out_channels; "
        "return parameters, parameters * height * width",
    ),
    wrong={
        "That is the ordinary convolution: a k×k kernel for every pair of channels. Separable has one for each input "
        "channel, and then a 1×1 layer.": _cost_with(lambda i, o, k: i * k**2 * o),
        "That is the depthwise part alone. Without the 1×1 layer behind it no channel would ever meet another "
        "one.": _cost_with(lambda i, o, k: i * k**2),
        "You gave the depthwise layer one kernel for each *output* channel; it stands first, so it has one for each "
        "input channel.": _cost_with(lambda i, o, k: o * k**2 + i * o),
        "The two are in the wrong order: parameters first, then MACs.": swapped(),
        "The parameters are right, but each of them is used once at every output pixel: multiply by "
        "height·width.": called_with(lambda i, o, k, h, w: (i, o, k, 1, 1)),
    },
    properties=(
        Property(
            "The parameters are those of both layers.",
            lambda result, *inputs: len(result) == 2 and result[0] == separable_cost(*inputs)[0],
            credit=0.5,
        ),
    ),
)
def separable_cost(in_channels, out_channels, kernel_size, height, width):
    """The price of a depthwise-separable convolution.

    Against k²·C_in·C_out the price falls to 1/C_out + 1/k² of it: with many channels and k = 3, nearly nine times. In
    torch it is a Conv2d with groups=in_channels and a 1×1 Conv2d; `blocks.separable` puts them into a model.
    """
    return _cost_with()(in_channels, out_channels, kernel_size, height, width)


def _grouped_weight(g: torch.Generator):
    groups = randint(g, 2, 3)
    return torch.randint(1, 10, (3 * groups, 2, 1, 1), generator=g).float(), groups


def _block(n, size):
    return slice(n * size, (n + 1) * size)


def _dense_with(
    rows=lambda n, groups, filters, inputs: _block(n, filters),
    columns=lambda n, groups, filters, inputs: _block(n, inputs),
):
    """`grouped_as_dense` with one thing wrong: which filters make group n, or which inputs they read."""

    def dense(weight, groups):
        filters, inputs = len(weight) // groups, weight.shape[1]
        full = weight.new_zeros(len(weight), inputs * groups, *weight.shape[2:])
        for n in range(groups):
            group = rows(n, groups, filters, inputs)
            full[group, columns(n, groups, filters, inputs)] = weight[group]
        return full

    return dense


@exercise(
    "convolutions.grouped_as_dense",
    points=3,
    inputs=_grouped_weight,
    hints=(
        "The full weight is [out, in, k, k] with in = groups · weight.shape[1]. Most of it is zero.",
        "Filters and input channels are both cut into `groups` blocks of neighbours; block n of the filters reads block n "
        "of the channels and nothing else.",
        "dense = weight.new_zeros(out, per_group * groups, *weight.shape[2:]); for n in range(groups): "
        "rows = slice(n * out // groups, (n + 1) * out // groups); "
        "dense[rows, n * per_group:(n + 1) * per_group] = weight[rows]",
    ),
    wrong={
        "You copied the weights to every block, so every filter reads every channel. A grouped filter reads its own "
        "block; the rest is zero.": lambda weight, groups: weight.repeat(1, groups, 1, 1),
        "That is the grouped weight as it came, with the inputs of one group. The full one has all inputs: "
        "groups · weight.shape[1].": lambda weight, groups: weight,
        "Your blocks are square: you took as many filters for a group as it has input channels. A group has "
        "out / groups filters.": _dense_with(rows=lambda n, groups, filters, inputs: _block(n, inputs)),
        "All of your filters read the first block of channels. Block n of the filters reads block n of the "
        "channels.": _dense_with(columns=lambda n, groups, filters, inputs: slice(inputs)),
        "You dealt the channels out like cards (0, groups, 2·groups, …). A group reads *neighbouring* "
        "channels.": _dense_with(columns=lambda n, groups, filters, inputs: slice(n, None, groups)),
        "The channels are right, but you dealt the filters out like cards. The first out/groups filters are group 0, "
        "the next ones group 1.": _dense_with(rows=lambda n, groups, filters, inputs: slice(n, None, groups)),
    },
)
def grouped_as_dense(weight, groups):
    """A grouped convolution as a full one with zeros.

    So grouping is a pruning pattern fixed in advance: block-diagonal, and the kernel skips the zeros. No filter ever
    sees the other groups, which is why ShuffleNet (Zhang et al. 2018) deals the channels out anew between two such
    layers.
    """
    return _dense_with()(weight, groups)


def _conv_and_norm(g: torch.Generator):
    n = 3  # as many filters as inputs, so that scaling along the wrong axis does not raise, as in a deep network
    var = torch.randint(1, 20, (n,), generator=g) / 10
    weight, bias = decimals(g, n, n, 1, 1) + 0.05, decimals(g, n) + 0.05
    gamma = torch.randint(5, 20, (n,), generator=g) / 10
    return weight, bias, gamma, decimals(g, n) + 0.05, decimals(g, n) + 0.05, var, 0.25


def _folded_with(
    scale=lambda gamma, var, eps: gamma / (var + eps).sqrt(),
    weight=lambda w, scale: w * scale[:, None, None, None],
    bias=lambda b, scale, beta, mean: (b - mean) * scale + beta,
):
    """`fold_batch_norm` with one thing wrong."""

    def folded(w, b, gamma, beta, mean, var, eps):
        by = scale(gamma, var, eps)
        return weight(w, by), bias(b, by, beta, mean)

    return folded


def _folded_part(place):
    def holds(result, *inputs):
        mine, wanted = result[place], fold_batch_norm(*inputs)[place]
        return len(result) == 2 and mine.shape == wanted.shape and torch.allclose(mine, wanted, atol=1e-5)

    return holds


@exercise(
    "convolutions.fold_batch_norm",
    points=4,
    inputs=_conv_and_norm,
    hints=(
        "Write the batch norm of one channel as scale · (y − mean) + beta with scale = gamma/√(var + eps), and put "
        "y = w∗x + bias in.",
        "The new weight is w·scale, filter by filter; what does not depend on x is the new bias: (bias − mean)·scale + beta.",
        "scale = gamma / (var + eps).sqrt(); return weight * scale[:, None, None, None], (bias - mean) * scale + beta",
    ),
    wrong={
        "You divided by the variance; batch norm divides by the standard deviation, √(var + eps).": _folded_with(
            scale=lambda gamma, var, eps: gamma / (var + eps)
        ),
        "The convolution's own bias got lost: it goes through the batch norm like everything else, (bias − "
        "mean)·scale.": _folded_with(bias=lambda b, scale, beta, mean: beta - mean * scale),
        "The weights are scaled but the old bias is not: the batch norm scales the whole output, bias "
        "included.": _folded_with(bias=lambda b, scale, beta, mean: b - mean * scale + beta),
        "You scaled along the input channels: without the last None, scale meets axis 1. Each *filter*, axis 0, has its "
        "own scale.": _folded_with(weight=lambda w, scale: w * scale[:, None, None]),
        "You scaled beta too; it is added after the scaling.": _folded_with(
            bias=lambda b, scale, beta, mean: (b - mean + beta) * scale
        ),
        "The two are in the wrong order: the weight first, then the bias.": swapped(),
        "You left eps out. It is small in practice, but where a variance is smaller still the result is far "
        "off.": called_with(lambda *given: (*given[:-1], 0.0)),
    },
    properties=(
        Property("Each filter is scaled by its own gamma/√(var + eps).", _folded_part(0), credit=0.4),
        Property("The bias is what the batch norm makes of a zero picture.", _folded_part(1), credit=0.4),
    ),
)
def fold_batch_norm(weight, bias, gamma, beta, mean, var, eps):
    """Fold a batch norm into the convolution before it.

    `torch.nn.utils.fusion.fuse_conv_bn_eval` does this for one pair, `folding.fold_batch_norm` for a model; every
    inference engine does it first. Only in evaluation mode: while training, mean and variance are those of the batch.
    """
    return _folded_with()(weight, bias, gamma, beta, mean, var, eps)


def _spectrum(g: torch.Generator):
    values = torch.rand(randint(g, 5, 7), generator=g).mul(9).add(0.5).sort(descending=True).values.round(decimals=1)
    return values, round(uniform(g, 0.7, 0.95), 2)


@exercise(
    "convolutions.rank_for_energy",
    points=2,
    inputs=_spectrum,
    hints=(
        "The energy of a matrix is the sum of its squared singular values. How many of the largest hold the share?",
        "Square, `cumsum(0)`, divide by the total: the first place where this reaches `energy` is the rank minus one.",
        "held = singular_values.square().cumsum(0) / singular_values.square().sum(); "
        "return int((held < energy).sum()) + 1",
    ),
    wrong={
        "You added up the singular values themselves. The energy, Σw² of the matrix, is the sum of their "
        "*squares*.": called_with(lambda s, energy: (s.sqrt(), energy)),
        "One too small: that many values hold a little less than the share. Positions count from 0, ranks from 1.": off_by(
            -1
        ),
        "You kept the share that may be lost; `energy` is the share that must stay.": called_with(
            lambda s, energy: (s, 1 - energy)
        ),
        "You began with the smallest singular values. The largest hold the most, so the fewest of them "
        "suffice.": called_with(lambda s, energy: (s.flip(0), energy)),
        "That is a share of the *number* of values; the energy sits in the few large ones.": lambda s, energy: max(
            1, round(energy * len(s))
        ),
    },
)
def rank_for_energy(singular_values, energy):
    """The rank that keeps a share of the energy.

    By Eckart & Young (1936) no matrix of this rank is nearer to the original. But "near" means near in the weights, and
    a network may care about other directions: judge by the accuracy, as with pruning.
    """
    return low_rank.rank_for_energy(singular_values, energy)


def _weight_and_rank(g: torch.Generator):
    rows, columns = randint(g, 3, 4), randint(g, 5, 6)
    # Singular values that lie well apart: the nearest matrix of each rank is then a single one.
    u = torch.linalg.qr(torch.randn(rows, rows, generator=g)).Q
    v = torch.linalg.qr(torch.randn(columns, columns, generator=g)).Q
    spectrum = torch.tensor([5.0, 3.0, 2.0, 1.3])[:rows]
    return (u * spectrum) @ v[:rows], 2


def _product_difference(result, wanted, weight, rank):
    if len(result) != 2 or not all(isinstance(part, Tensor) and part.ndim == 2 for part in result):
        return "Two matrices are wanted, as torch tensors: first [rank, in], second [out, rank]."
    shapes = [list(part.shape) for part in result]
    right = [[rank, weight.shape[1]], [weight.shape[0], rank]]
    if shapes != right:
        return f"The shapes {right[0]} and {right[1]} are wanted, {shapes[0]} and {shapes[1]} came back."
    gap, best = (
        torch.linalg.matrix_norm(weight - second.detach() @ first.detach()) for first, second in (result, wanted)
    )
    if gap.isnan():
        return "The product holds NaN: probably a division by zero, or infinity times zero."
    if not gap <= best + 1e-4:
        return f"The product is {gap:.3f} away from the weight; with rank {rank} it can come as near as {best:.3f}."
    return None


def _factors_with(part=slice, right=lambda s, vh: s[:, None] * vh, left=lambda u, s: u):
    """`thin_factors` with one thing wrong: which singular values are kept, or what they multiply."""

    def factors(weight, rank):
        u, s, vh = torch.linalg.svd(weight, full_matrices=False)
        kept = part(rank)
        return right(s[kept], vh[kept]), left(u[:, kept], s[kept])

    return factors


@exercise(
    "convolutions.thin_factors",
    points=3,
    inputs=_weight_and_rank,
    hints=(
        "`u, s, vh = torch.linalg.svd(weight, full_matrices=False)` gives weight = u · diag(s) · vh, largest first.",
        "Keep `rank` columns of u, values of s and rows of vh. The first layer is the one that meets the input: it is made "
        "of vh; s may go to either side.",
        "return s[:rank, None] * vh[:rank], u[:, :rank]",
    ),
    wrong={
        "The singular values got lost: u·vh turns, but no longer stretches. Multiply one side by s (or both by "
        "√s).": _factors_with(right=lambda s, vh: vh),
        "You multiplied both sides by s, so it counts twice. Give it to one side, or √s to both.": _factors_with(
            left=lambda u, s: u * s
        ),
        "You kept the *smallest* singular values: that is the part to throw away. torch sorts the largest "
        "first.": _factors_with(lambda rank: slice(-rank, None)),
        "The two are in the wrong order: the first layer meets the input, so it is [rank, in].": swapped(),
    },
    compare=_product_difference,
)
def thin_factors(weight, rank):
    """Split a linear layer into two thin ones.

    `low_rank.low_rank` gives √s to each side, so that both layers start with weights of the same size, which suits
    fine-tuning. The same idea on the *change* of the weights, in the place of the weights, is LoRA (Hu et al. 2022).
    """
    return _factors_with()(weight, rank)


def _layer_and_machine(g: torch.Generator):
    arithmetic, memory = (randint(g, 1, 9) * 10**7 for _ in range(2))
    overhead = choice(g, (0.001, 0.03))  # small, or more than anything else
    return arithmetic, memory, 20.0, float(randint(g, 8, 12)), overhead


def _seconds_with(work=max, per_mac=2, total=lambda overhead, work: overhead + work):
    """`predicted_seconds` with one thing wrong."""
    return lambda macs, moved_bytes, gflops, bandwidth, overhead: total(
        overhead, work(per_mac * macs / (gflops * 1e9), moved_bytes / (bandwidth * 1e9))
    )


@exercise(
    "convolutions.predicted_seconds",
    points=2,
    inputs=_layer_and_machine,
    hints=(
        "Two things take time at once, arithmetic and memory; the slower one decides. The call itself comes on top.",
        "Arithmetic: 2 operations a MAC, at gflops·10⁹ a second. Memory: moved_bytes at bandwidth·10⁹ a second.",
        "return overhead + max(2 * macs / (gflops * 1e9), moved_bytes / (bandwidth * 1e9))",
    ),
    wrong={
        "You added arithmetic and memory. The processor fetches the next numbers while it multiplies: the longer one "
        "counts.": _seconds_with(lambda arithmetic, memory: arithmetic + memory),
        "A multiply-accumulate is two operations, a product and a sum, and gflops counts operations.": _seconds_with(
            per_mac=1
        ),
        "You left the overhead out: however small the layer is, calling it takes its time.": _seconds_with(
            total=lambda overhead, work: work
        ),
        "You let the overhead compete with the work. It is no third limit: the call is prepared first, and the work "
        "comes on top.": _seconds_with(total=max),
        "You took the shorter of the two. A layer has to wait for both, so the longer one counts.": _seconds_with(min),
    },
    tolerance=1e-7,
)
def predicted_seconds(macs, moved_bytes, gflops, bandwidth, overhead):
    """A layer's predicted time.

    This is the roofline of lesson 00 as a time, plus the price of the call. `cost_model.calibrate()` measures its three
    numbers on your machine.
    """
    return _seconds_with()(macs, moved_bytes, gflops, bandwidth, overhead)


question(
    "convolutions.break_even_rank",
    points=2,
    text="The first linear layer of `MyNet` has a weight of 128×2048. Up to which rank do its two factors have fewer numbers "
    "than the weight itself?",
    answer=120,
    explanation="r(128 + 2048) < 128·2048 means r < 120.47. The full rank is 128: a factorisation that drops fewer than eight "
    "singular values makes this layer *larger*. The squarer a matrix, the lower the rank must be: for n×n below n/2.",
)
question(
    "convolutions.macs_and_time",
    points=1,
    text="A depthwise 3×3 convolution does a small part of a full one's multiply-accumulates, but takes a larger part of its "
    "time. Why?",
    choices={
        "a": "It has more parameters to read.",
        "b": "Each number that it reads is used for few products, so memory and bookkeeping decide.",
        "c": "torch computes a full convolution and throws most of it away.",
    },
    answer="b",
    comments={
        "a": "It has far fewer: one kernel for each channel in the place of one for each pair.",
        "c": "It does not; a depthwise kernel of its own runs. But that kernel has little to do for each number it fetches.",
    },
    explanation="Every input value is used for k² products in the place of k²·C_out. On the roofline such a layer stands far to "
    "the left, where memory is the limit and the arithmetic units wait.",
)
question(
    "convolutions.fold_when",
    points=1,
    text="You fold the batch norms of a trained network into its convolutions. What happens to its accuracy?",
    choices={
        "a": "It falls a little; fine-tuning brings it back.",
        "b": "Nothing: it computes the same function, but for rounding.",
        "c": "It rises: fewer layers mean less noise.",
    },
    answer="b",
    comments={
        "a": "Nothing is approximated: in evaluation mode a batch norm is one factor and one constant for each channel, and so "
        "is part of the convolution.",
        "c": "There is no noise in evaluation mode: mean and variance are stored numbers.",
    },
    explanation="In evaluation mode the batch norm is linear, with stored mean and variance, and a linear map after a linear map "
    "is one linear map. It is the one optimisation of this lesson that costs nothing at all.",
)
