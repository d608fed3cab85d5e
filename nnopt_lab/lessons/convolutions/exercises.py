"""Exercises and questions of lesson 02: what convolutions cost, cheaper replacements, and a cost model."""

from math import prod

import torch
from torch import Tensor

from nnopt_lab.course.draws import choice, decimals, randint, randints, uniform
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed, off_by, swapped
from nnopt_lab.techniques.convolutions import low_rank


def _stack(g: torch.Generator):
    """A few layers, with at least one kernel after a stride of 2, so that the strides matter."""
    layers = [(2 * randint(g, 0, 2) + 1, randint(g, 1, 2)) for _ in range(randint(g, 1, 3))]
    return ([(3, 1), (2, 2), *layers, (3, 1)],)


def _field_with(after=lambda step, stride: step * stride):
    """`receptive_field`, or the same with a mistake: the step after a stride."""

    def field(layers):
        width, step = 1, 1
        for kernel_size, stride in layers:
            width += (kernel_size - 1) * step
            step = after(step, stride)
        return width

    return field


@exercise(
    "convolutions.receptive_field",
    points=2,
    inputs=_stack,
    hints=(
        "How many input pixels in a row does one output pixel of the last layer see? Go from the first layer to the last.",
        "Keep two numbers: the field, and the step, the distance in input pixels of two neighbours at this depth. Both "
        "start at 1, and each stride you pass multiplies the step.",
        "`for kernel_size, stride in layers: field += (kernel_size - 1) * step; step *= stride`",
    ),
    wrong={
        "You left out the strides: after a stride of 2, neighbouring pixels are two input pixels apart, so a kernel "
        "reaches twice as far. Multiply by them.": called_with(lambda layers: ([(k, 1) for k, _ in layers],)),
        "You multiplied the kernel sizes. Two 3×3 layers see 5 pixels in a row, not 9: each layer adds k − "
        "1.": lambda layers: prod(k for k, _ in layers),
        "You started the field at 0. Start at 1: without any layer, a pixel already sees itself.": off_by(-1),
        "You added k steps per layer. Add k − 1: the middle of a kernel is already in the field.": called_with(
            lambda layers: ([(k + 1, stride) for k, stride in layers],)
        ),
        "You applied a layer's own stride to its own kernel. A stride affects only the layers *after* it.": called_with(
            lambda layers: ([part for k, stride in layers for part in ((1, stride), (k, 1))],)
        ),
        "You added the kernel sizes. Neighbouring windows overlap: each layer adds k − 1, times the strides before "
        "it.": lambda layers: sum(k for k, _ in layers),
        "You used only the stride of the layer before. Strides multiply: `step *= stride`.": (
            _field_with(lambda step, stride: stride)
        ),
        "You added the strides. They multiply: `step *= stride`.": _field_with(lambda step, stride: step + stride),
        "You went from the last layer to the first. A stride affects the layers after it, so start with the first.": (
            called_with(lambda layers: (layers[::-1],))
        ),
    },
)
def receptive_field(layers):
    """The receptive field of a stack of layers.

    Two 3×3 layers see as far as one 5×5, with 18 products instead of 25; three see as far as one 7×7, with 27 instead
    of 49. This is the argument for VGG (Simonyan & Zisserman 2015). A trained network mostly uses a smaller, bell-shaped
    part of the field (Luo et al. 2016).
    """
    return _field_with()(layers)


def _cost_with(parameters=lambda i, o, k: i * k**2 + i * o, macs=lambda parameters, h, w: parameters * h * w):
    """`separable_cost`, or the same with a mistake in one of its two numbers."""
    return lambda i, o, k, h, w: (parameters(i, o, k), macs(parameters(i, o, k), h, w))


@exercise(
    "convolutions.separable_cost",
    points=2,
    inputs=lambda g: (*randints(g, (4, 32), (33, 64)), 2 * randint(g, 1, 3) + 1, *randints(g, (5, 9), (10, 16))),
    hints=(
        "There are two layers: first depthwise (one k×k kernel per input channel), then 1×1.",
        "The depthwise layer has `in_channels·k²` weights, the 1×1 layer `in_channels·out_channels`. Each weight is "
        "used once per output pixel.",
        "`parameters = in_channels * kernel_size**2 + in_channels * out_channels; return parameters, parameters * "
        "height * width`",
    ),
    wrong={
        "You counted an ordinary convolution, with a k×k kernel for every pair of channels. A separable one has one kernel "
        "per input channel, and then a 1×1 layer.": _cost_with(lambda i, o, k: i * k**2 * o),
        "You counted the depthwise layer alone. Add the 1×1 layer, without which channels would never be combined.": (
            _cost_with(lambda i, o, k: i * k**2)
        ),
        "You counted the 1×1 layer alone. Add the depthwise layer before it.": _cost_with(lambda i, o, k: i * o),
        "You gave the depthwise layer one kernel per *output* channel. It comes first, so it has one per input "
        "channel.": _cost_with(lambda i, o, k: o * k**2 + i * o),
        "You counted k weights per kernel. A k×k kernel has k².": _cost_with(lambda i, o, k: i * k + i * o),
        "You gave the second layer k×k kernels. It is a 1×1 layer, with one weight per pair of channels.": (
            _cost_with(lambda i, o, k: i * k**2 + i * o * k**2)
        ),
        "You counted biases. Leave them out: there are none.": _cost_with(lambda i, o, k: i * k**2 + i * o + i + o),
        "You counted biases as parameters. Leave them out: neither layer has any. The MACs are right.": (
            lambda i, o, k, h, w: (i * k**2 + i * o + i + o, (i * k**2 + i * o) * h * w)
        ),
        "You returned the two numbers in the wrong order. Return the parameters first, then the MACs.": swapped(),
        "You returned the parameters twice. Each is used once per output pixel: multiply by `height·width`.": called_with(
            lambda i, o, k, h, w: (i, o, k, 1, 1)
        ),
        "You counted operations instead of MACs. A MAC is both of them, a product and a sum: leave out the factor 2.": (
            _cost_with(macs=lambda parameters, h, w: 2 * parameters * h * w)
        ),
    },
    properties=(
        Property(
            "The parameters must be those of both layers.",
            lambda result, *inputs: len(result) == 2 and result[0] == separable_cost(*inputs)[0],
            credit=0.5,
        ),
    ),
)
def separable_cost(in_channels, out_channels, kernel_size, height, width):
    """The cost of a depthwise-separable convolution.

    It is 1/C_out + 1/k² of the ordinary cost k²·C_in·C_out: with many channels and k = 3, almost nine times less. In
    PyTorch it is a `Conv2d` with `groups=in_channels` and a 1×1 `Conv2d`; `blocks.separable` puts them into a
    model.
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
    """`grouped_as_dense`, or the same with a mistake: which filters make group n, or which inputs they read."""

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
        "The dense weight is `[out, in, k, k]` with `in = groups · weight.shape[1]`. Most of it is zero.",
        "Filters and input channels are both divided into `groups` blocks of neighbours. Block n of the filters reads "
        "block n of the channels and nothing else.",
        "`dense = weight.new_zeros(out, per_group * groups, *weight.shape[2:]); for n in range(groups): rows = slice(n "
        "* out // groups, (n + 1) * out // groups); dense[rows, n * per_group:(n + 1) * per_group] = weight[rows]`",
    ),
    wrong={
        "You copied the weights to every block, so every filter reads every channel. A grouped filter reads its own "
        "block; the rest is zero.": lambda weight, groups: weight.repeat(1, groups, 1, 1),
        "You returned the grouped weight itself, with the inputs of one group. The dense one has all inputs: `groups · "
        "weight.shape[1]`.": lambda weight, groups: weight,
        "You made the blocks square, with as many filters per group as it has input channels. A group has `out / "
        "groups` filters.": _dense_with(rows=lambda n, groups, filters, inputs: _block(n, inputs)),
        "You let all filters read the first block of channels. Block n of the filters reads block n of the "
        "channels.": _dense_with(columns=lambda n, groups, filters, inputs: slice(inputs)),
        "You let each group read every `groups`-th channel (`0, groups, 2·groups, …`). A group reads *neighbouring* "
        "channels.": _dense_with(columns=lambda n, groups, filters, inputs: slice(n, None, groups)),
        "You chose the right channels, but every `groups`-th filter. The first `out / groups` filters are group 0, the "
        "next ones group 1.": _dense_with(rows=lambda n, groups, filters, inputs: slice(n, None, groups)),
        "You placed the blocks from the upper right to the lower left: the first filters read the last channels. Block n "
        "of the filters reads block n of the channels.": _dense_with(
            columns=lambda n, groups, filters, inputs: _block(groups - 1 - n, inputs)
        ),
    },
    properties=(
        Property(
            "The dense weight must have the dtype of `weight`, or a convolution cannot use it with the same pictures: "
            "`weight.new_zeros(…)`, or `dtype=weight.dtype`.",
            lambda result, weight, groups: result.dtype == weight.dtype,
        ),
    ),
)
def grouped_as_dense(weight, groups):
    """A grouped convolution as a dense one with zeros.

    So grouping is a pruning pattern chosen in advance: only a diagonal of blocks is not zero, and the zeros are never
    computed. No filter sees the other groups, so ShuffleNet (Zhang et al. 2018) mixes the channels between two such
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
    """`fold_batch_norm`, or the same with one mistake."""

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
        "Write the batch norm of one channel as `scale · (y − mean) + beta`, with `scale = gamma/√(var + eps)`, and "
        "replace y by `w∗x + bias`.",
        "The new weight is `w·scale`, filter by filter. The part without x is the new bias: `(bias − mean)·scale + "
        "beta`.",
        "`scale = gamma / (var + eps).sqrt(); return weight * scale[:, None, None, None], (bias - mean) * scale + beta`",
    ),
    wrong={
        "You divided by the variance. Batch norm divides by the standard deviation, `√(var + eps)`.": _folded_with(
            scale=lambda gamma, var, eps: gamma / (var + eps)
        ),
        "You multiplied by `√(var + eps)`. Batch norm divides by it.": _folded_with(
            scale=lambda gamma, var, eps: gamma * (var + eps).sqrt()
        ),
        "You added `eps` outside the root. Add it to the variance: `√(var + eps)`.": _folded_with(
            scale=lambda gamma, var, eps: gamma / (var.sqrt() + eps)
        ),
        "You left out `eps`. It is small in practice, but the result is far off for a channel with an even smaller "
        "variance. Add it to the variance: `√(var + eps)`.": called_with(lambda *given: (*given[:-1], 0.0)),
        "You left out `gamma`: the scale is `gamma/√(var + eps)`.": _folded_with(
            scale=lambda gamma, var, eps: 1 / (var + eps).sqrt()
        ),
        "You added the mean. Batch norm subtracts it: `(bias − mean)·scale + beta`.": _folded_with(
            bias=lambda b, scale, beta, mean: (b + mean) * scale + beta
        ),
        "You left out the mean. Batch norm subtracts it before the scaling: `(bias − mean)·scale + beta`.": _folded_with(
            bias=lambda b, scale, beta, mean: b * scale + beta
        ),
        "You subtracted the mean after the scaling. Batch norm subtracts it before: `(bias − mean)·scale + beta`.": _folded_with(
            bias=lambda b, scale, beta, mean: b * scale - mean + beta
        ),
        "You left out the convolution's own bias. It goes through the batch norm like everything else: `(bias − "
        "mean)·scale`.": _folded_with(bias=lambda b, scale, beta, mean: beta - mean * scale),
        "You returned the old bias. Batch norm changes it to `(bias − mean)·scale + beta`.": _folded_with(
            bias=lambda b, scale, beta, mean: b
        ),
        "Your bias is `beta` alone. The old bias and the mean go through the scaling: `(bias − mean)·scale + "
        "beta`.": _folded_with(bias=lambda b, scale, beta, mean: beta),
        "You left out `beta`: batch norm adds it at the end.": _folded_with(
            bias=lambda b, scale, beta, mean: (b - mean) * scale
        ),
        "You scaled the weights, but not the old bias. Batch norm scales the whole output, bias included.": (
            _folded_with(bias=lambda b, scale, beta, mean: b - mean * scale + beta)
        ),
        "You returned the old weights. Multiply each filter by its scale.": _folded_with(weight=lambda w, scale: w),
        "You scaled axis 1, the input channels. Each *filter*, axis 0, has its own scale: "
        "`scale[:, None, None, None]`.": _folded_with(weight=lambda w, scale: w * scale[:, None, None]),
        "You scaled `beta`, too. Batch norm adds it after the scaling.": _folded_with(
            bias=lambda b, scale, beta, mean: (b - mean + beta) * scale
        ),
        "You returned the two results in the wrong order. Return the weight first, then the bias.": swapped(),
    },
    properties=(
        Property("Each filter must be scaled by its own `gamma/√(var + eps)`.", _folded_part(0), credit=0.4),
        Property(
            "The bias must be what the batch norm makes of the old bias: `(bias − mean)·scale + beta`.",
            _folded_part(1),
            credit=0.4,
        ),
    ),
)
def fold_batch_norm(weight, bias, gamma, beta, mean, var, eps):
    """Fold a batch norm into the convolution before it.

    `torch.nn.utils.fusion.fuse_conv_bn_eval` does this for one pair, `folding.fold_batch_norm` for a whole model, and
    inference engines do it by themselves. It only works in evaluation mode: during training, mean and variance are those
    of the batch.
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
        "Square, `cumsum(0)`, and divide by the total. The first position where this reaches `energy` is the rank minus "
        "one.",
        "`held = singular_values.square().cumsum(0) / singular_values.square().sum(); return int((held < "
        "energy).sum()) + 1`",
    ),
    wrong={
        "You added the singular values themselves. The energy, Σw² of the matrix, is the sum of their "
        "*squares*.": called_with(lambda s, energy: (s.sqrt(), energy)),
        "You took the root of the share. Compare the share itself with `energy`.": called_with(
            lambda s, energy: (s, energy**2)
        ),
        "You are one rank too low. Positions count from 0, ranks from 1: add 1.": off_by(-1),
        "You are one rank too high: the rank below already keeps the share. Subtract 1.": off_by(1),
        "You kept the share that may be lost. `energy` is the share that must stay.": called_with(
            lambda s, energy: (s, 1 - energy)
        ),
        "You started with the smallest singular values. The largest hold the most energy, so start with them.": (
            called_with(lambda s, energy: (s.flip(0), energy))
        ),
        "You took that share of the *number* of values. Take it of the sum of their squares.": (
            lambda s, energy: max(1, round(energy * len(s)))
        ),
    },
)
def rank_for_energy(singular_values, energy):
    """The rank that keeps a share of the energy.

    By Eckart & Young (1936), no matrix of this rank is closer to the original. But that is the distance of the weights,
    and other directions may be more important for the network's outputs. Judge by the accuracy, as with pruning.
    """
    return low_rank.rank_for_energy(singular_values, energy)


def _weight_and_rank(g: torch.Generator):
    rows, columns = randint(g, 3, 4), randint(g, 5, 6)
    # Singular values far from each other, so that there is only one closest matrix of each rank.
    u = torch.linalg.qr(torch.randn(rows, rows, generator=g)).Q
    v = torch.linalg.qr(torch.randn(columns, columns, generator=g)).Q
    spectrum = torch.tensor([5.0, 3.0, 2.0, 1.3])[:rows]
    return (u * spectrum) @ v[:rows], 2


_LOST = "You left out the singular values. Multiply one side by s (or both by √s)."
_TWICE = "You multiplied both sides by s, so it counts twice. Multiply one side by s, or both by √s."
_SMALLEST = "You kept the *smallest* singular values. torch sorts the largest first, so keep the first `rank`."
_SWAPPED = "You returned the two in the wrong order. The first layer reads the input, so return `[rank, in]` first."
_VH_AS_V = (
    "You took columns of `vh`, as if it were `V`. torch returns `vh`, the transpose of `V`: its *rows* are the "
    "directions, so use `vh[:rank]`."
)


def _product_difference(result, wanted, weight, rank):
    """Compares only shapes and the product, since s can be on either side; a mistake is named by its product, too."""
    if len(result) != 2 or not all(isinstance(part, Tensor) and part.ndim == 2 for part in result):
        return "Return two matrices as torch tensors: first `[rank, in]`, then `[out, rank]`."
    shapes = [list(part.shape) for part in result]
    right = [[rank, weight.shape[1]], [weight.shape[0], rank]]
    if shapes == right[::-1]:
        return _SWAPPED
    if shapes[0][0] == shapes[1][1] != rank:
        return f"You kept {shapes[0][0]} singular values instead of `rank = {rank}`."
    if shapes != right:
        return f"Return the shapes {right[0]} and {right[1]}; yours are {shapes[0]} and {shapes[1]}."
    products = [second.detach() @ first.detach() for first, second in (result, wanted)]
    if products[0].isnan().any():
        return "The product holds NaN: probably a division by zero, or infinity times zero."
    gap, best = (torch.linalg.matrix_norm(weight - product) for product in products)
    if gap <= best + 1e-4:
        return None
    for sentence, mistake in _BY_PRODUCT.items():
        first, second = mistake(weight, rank)
        if torch.allclose(products[0], (second @ first).to(products[0].dtype), atol=1e-4):
            return sentence
    return (
        f"The product differs from the weight by {gap:.3f} (L2 norm); at rank {rank} it can be as little as {best:.3f}."
    )


def _factors_with(part=slice, right=lambda s, vh: s[:, None] * vh, left=lambda u, s: u):
    """`thin_factors`, or the same with a mistake: which singular values are kept, or what they multiply."""

    def factors(weight, rank):
        u, s, vh = torch.linalg.svd(weight, full_matrices=False)
        kept = part(rank)
        return right(s[kept], vh[kept]), left(u[:, kept], s[kept])

    return factors


def _vh_as_v(weight, rank):
    u, s, vh = torch.linalg.svd(weight)  # full matrices, torch's default: with thin ones the shapes do not fit
    return s[:rank, None] * vh[:, :rank].T, u[:, :rank]


def _thin_vh_as_v(weight, rank):
    u, s, vh = torch.linalg.svd(weight, full_matrices=False)
    return s[:rank, None] * vh[:, :rank].T, u[:, :rank]


_BY_PRODUCT = {
    _LOST: _factors_with(right=lambda s, vh: vh),
    _TWICE: _factors_with(left=lambda u, s: u * s),
    _SMALLEST: _factors_with(lambda rank: slice(-rank, None)),
    _VH_AS_V: _vh_as_v,
}


@exercise(
    "convolutions.thin_factors",
    points=3,
    inputs=_weight_and_rank,
    hints=(
        "`u, s, vh = torch.linalg.svd(weight, full_matrices=False)` gives `weight = u · diag(s) · vh`, largest value "
        "first.",
        "Keep `rank` columns of `u`, values of `s` and rows of `vh`. The first layer reads the input, so it is made of "
        "`vh`. You can multiply either side by `s`.",
        "`return s[:rank, None] * vh[:rank], u[:, :rank]`",
    ),
    wrong={
        **_BY_PRODUCT,
        _SWAPPED: swapped(),
        "You took columns of the thin `vh`, as if it were `V`, so the shapes do not fit. Its *rows* are the "
        "directions: use `vh[:rank]`.": _thin_vh_as_v,
        "You transposed the first factor. It is `[rank, in]`, so take rows of `vh` as they are.": changed(
            lambda pair: (pair[0].T, pair[1])
        ),
    },
    compare=_product_difference,
)
def thin_factors(weight, rank):
    """Split a linear layer into two thin ones.

    `low_rank.low_rank` multiplies each side by √s, so that both layers start with weights of the same size, which helps
    fine-tuning. LoRA (Hu et al. 2022) uses the same idea for the *change* of the weights.
    """
    return _factors_with()(weight, rank)


def _layer_and_machine(g: torch.Generator):
    arithmetic, memory = (randint(g, 1, 9) * 10**7 for _ in range(2))
    overhead = choice(g, (0.001, 0.03))  # small, or larger than the rest
    return arithmetic, memory, 20.0, float(randint(g, 8, 12)), overhead


def _seconds_with(work=max, per_mac=2, total=lambda overhead, work: overhead + work, per_gflop=1e9, per_gigabyte=1e9):
    """`predicted_seconds`, or the same with one mistake."""
    return lambda macs, moved_bytes, gflops, bandwidth, overhead: total(
        overhead, work(per_mac * macs / (gflops * per_gflop), moved_bytes / (bandwidth * per_gigabyte))
    )


@exercise(
    "convolutions.predicted_seconds",
    points=2,
    inputs=_layer_and_machine,
    hints=(
        "Arithmetic and memory take time simultaneously, and the slower one decides. The call itself comes on top.",
        "Arithmetic: 2 operations per MAC, at `gflops·10⁹` per second. Memory: `moved_bytes` at `bandwidth·10⁹` per "
        "second.",
        "`return overhead + max(2 * macs / (gflops * 1e9), moved_bytes / (bandwidth * 1e9))`",
    ),
    wrong={
        "You added arithmetic and memory. The processor fetches the next values while it multiplies, so the longer time "
        "counts.": _seconds_with(lambda arithmetic, memory: arithmetic + memory),
        "You counted a MAC as one operation. It is two, a product and a sum.": _seconds_with(per_mac=1),
        "You left out 10⁹. Multiply by it: `gflops` is in 10⁹ operations per second, `bandwidth` in 10⁹ bytes per "
        "second.": _seconds_with(per_gflop=1, per_gigabyte=1),
        "You left out 10⁹ in the arithmetic: `gflops` is in 10⁹ operations per second.": _seconds_with(per_gflop=1),
        "You left out 10⁹ in the memory traffic: `bandwidth` is in 10⁹ bytes per second.": _seconds_with(
            per_gigabyte=1
        ),
        "You left out the overhead, or made it too small to count. It is in seconds: add it as it is.": _seconds_with(
            total=lambda overhead, work: work
        ),
        **{
            f"You multiplied the overhead by {factor}. It is in seconds already: add it as it is.": _seconds_with(
                total=lambda overhead, work, by=float(f"1e{power}"): by * overhead + work
            )
            for factor, power in (("10⁻⁶", -6), ("10⁻³", -3), ("10³", 3), ("10⁶", 6), ("10⁹", 9))
        },
        "You took the overhead as a third limit. The call comes before the work, so add it.": _seconds_with(total=max),
        "You took the shorter of the two times. A layer has to wait for both, so the longer one counts.": (
            _seconds_with(min)
        ),
        "You left out the memory traffic. Take the longer of the two times.": _seconds_with(
            lambda arithmetic, memory: arithmetic
        ),
        "You left out the arithmetic. Take the longer of the two times.": _seconds_with(
            lambda arithmetic, memory: memory
        ),
    },
    tolerance=1e-8,  # below a millionth of the larger overhead, so that it counts
)
def predicted_seconds(macs, moved_bytes, gflops, bandwidth, overhead):
    """A layer's predicted time.

    This is the roofline of lesson 00 as a time, plus the time of the call. `cost_model.calibrate()` measures its three
    numbers on your machine.
    """
    return _seconds_with()(macs, moved_bytes, gflops, bandwidth, overhead)


question(
    "convolutions.break_even_rank",
    points=2,
    text="The weight of `MyNet`'s first linear layer is 128×2048. What is the highest rank at which its two factors have "
    "fewer numbers than the weight itself?",
    answer=120,
    comments={
        121: "You are one rank too high: at 121, the two factors have more numbers than the weight.",
        128: "You gave the full rank, at which the factors are larger than the weight. Solve r(128 + 2048) < 128·2048.",
    },
    explanation="r(128 + 2048) < 128·2048 means r < 120.47. The full rank is 128, so a factorisation that drops fewer than "
    "eight singular values makes this layer *larger*. The closer a matrix is to a square, the lower the rank must be: for "
    "n×n, below n/2.",
)
question(
    "convolutions.macs_and_time",
    points=1,
    text="A depthwise 3×3 convolution does only a small part of an ordinary one's multiply-accumulates, but it takes a larger "
    "part of its time. Why?",
    choices={
        "a": "It has more parameters to read.",
        "b": "It uses each value that it reads for few products, so memory and overhead decide.",
        "c": "PyTorch computes an ordinary convolution and throws most of it away.",
    },
    answer="b",
    comments={
        "a": "It has far fewer: one kernel per channel instead of one per pair of channels.",
        "c": "PyTorch has a routine of its own for it, which computes nothing that it throws away.",
    },
    explanation="Every input value is used for k² products instead of k²·C_out. So memory is the limit, and the arithmetic "
    "units wait.",
)
question(
    "convolutions.fold_when",
    points=1,
    text="In which case can a batch norm *not* be folded into the convolution before it?",
    choices={
        "a": "The convolution has no bias.",
        "b": "A ReLU stands between the two.",
        "c": "The convolution is depthwise.",
    },
    answer="b",
    comments={
        "a": "Then its bias is 0, and the folded convolution gets one: the constant that the batch norm adds.",
        "c": "Each of its filters makes one channel, too, and can take over the channel's factor and constant.",
    },
    explanation="In evaluation mode, a batch norm is a factor and a constant per channel. Directly after a convolution, both "
    "together are again a convolution. With a ReLU between them they are not: what the ReLU cuts off depends on the sign "
    "before the factor and the constant are applied.",
)
