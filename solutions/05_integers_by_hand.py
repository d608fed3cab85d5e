# %% [markdown]
# # Integers by hand
#
# A weight needs 32 bits because it came out of training that way, not because the network needs them. In this lesson
# you will
#
# - put weights and activations on grids of whole numbers, of any width, and see how few values are enough;
# - run a network from the first tensor to the last without a single float, and lose nearly nothing;
# - train networks whose weights have four values, two values, or whole-number gradients;
# - squeeze the course's network into a file more than a hundred times smaller.
#
# It takes about two and a half hours; good places for a break are after sections 4 and 6;
# when you come back, choose *Run All Above Selected Cell* in the menu. Everything here is arithmetic
# that you can follow with a pencil; lesson 08 hands the same ideas to engines that are fast.

# %% tags=["side-by-side"]
import base64
import copy
import heapq
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.integers_by_hand.playground import quantization_playground
from nnopt_lab.techniques import pruning, quantization
from nnopt_lab.techniques.convolutions import folding
from nnopt_lab.techniques.quantization import (
    deep_compression,
    integer_layers,
    integer_network,
    integer_training,
    observers,
    post_training,
    qat,
    quantizers,
    requantization,
)
from nnopt_lab.techniques.quantization.activation_ranges import calibrate
from nnopt_lab.techniques.quantization.deep_compression import huffman
from nnopt_lab.workbench import data, measure, models, plots, training

lesson("05_integers_by_hand")
LIVE = False  # True: run the recorded experiments again on this machine

# %%
pictures = data.load("fashion")
net = models.trained("mynet")
tested = training.evaluate(net, pictures.test, pictures)


def points_lost(model, split=pictures.test, reference=tested):
    """Accuracy lost against the float network, in points, with its paired interval."""
    return measure.proportion_difference(training.evaluate(model, split, pictures).correct, reference.correct)


claim("the float network is right on 87 to 91 % of the test pictures", 87 < tested.accuracy < 91)

# %% [markdown]
# ## 1. A grid
#
# A number with $b$ bits has $2^b$ values. To let them stand for real numbers, lay a *grid* over the range that is
# needed:
#
# $$ r = s\,(q - z), \qquad q \in \{0, \dots, 2^b - 1\}, $$
#
# with the *scale* $s$, the width of a step, and the *zero point* $z$, the whole number that stands for $0$ (Jacob et
# al. 2018, equation 1). This is the *affine* grid. A *symmetric* grid has $z = 0$ and runs from $-(2^{b-1}-1)$ to
# $2^{b-1}-1$; it wastes numbers where the values lean to one side, and is simpler to multiply with.
#
# Below, the 27 weights of one filter and both grids with 3 bits. Each weight goes to the nearest tick.

# %%
filter_weights = net.features[0].weight.detach()[3].flatten()
grids = {
    "affine": quantization.grid_of(filter_weights, 3, symmetric=False),
    "symmetric": quantization.grid_of(filter_weights, 3),
}
fig, axes = plots.figure(nrows=2, sharex=True, figsize=(8, 3))
for ax, (name, grid) in zip(axes, grids.items(), strict=True):
    numbers = torch.arange(grid.low, grid.high + 1, dtype=grid.dtype)
    ticks = quantization.dequantize(numbers, grid)
    on_grid = quantization.fake_quantize(filter_weights, grid)
    for before, after in zip(filter_weights.tolist(), on_grid.tolist(), strict=True):
        ax.plot([before, after], [1, 0], color=plots.BLUE, alpha=0.5, linewidth=0.8)
    ax.plot(filter_weights, torch.ones(27), "o", color=plots.BLUE, markersize=4)
    ax.plot(ticks, torch.zeros(len(ticks)), "|", color=plots.ORANGE, markersize=16, markeredgewidth=2)
    for tick, number in zip(ticks.tolist(), numbers.tolist(), strict=True):
        ax.text(tick, -0.75, number, ha="center", va="center", color=plots.ORANGE, fontsize=9)
    ax.axvline(0, color=plots.REFERENCE, linewidth=0.8, linestyle="--")
    ax.set(yticks=[], ylim=(-1.1, 1.4), ylabel=name)
    ax.grid(False)
axes[-1].set_xlabel("weight; above as trained, below the grid with its whole numbers")
plots.finish(fig)

# %% [markdown]
# Zero must be one of the ticks, exactly. So the range is first widened to hold it, and then the zero point is rounded.
#
# **Exercise (3 points).** Scale and zero point of an affine grid.


# %% exercise="by_hand.scale_and_zero_point"
def scale_and_zero_point(smallest, largest, bits):
    """The affine grid that covers smallest to largest and zero: (scale, zero point). The zero point is an int."""
    ### BEGIN SOLUTION
    smallest, largest = min(smallest, 0.0), max(largest, 0.0)
    scale = (largest - smallest) / (2**bits - 1)
    return scale, round(-smallest / scale)
    ### END SOLUTION


# %%
check("by_hand.scale_and_zero_point", scale_and_zero_point)

# %% question="by_hand.exact_zero"
choice = None
### BEGIN SOLUTION
choice = "a"
### END SOLUTION
question("by_hand.exact_zero", choice)

# %% [markdown]
# **Exercise (2 points).** Now put numbers on it: round $x/s$ half to even, *then* add the zero point; what lies outside
# of the grid saturates.


# %% exercise="by_hand.quantize"
def quantize(x, scale, zero_point, bits):
    """Whole numbers, 0 to 2^bits − 1, that stand for x: int64, the shape of x."""
    ### BEGIN SOLUTION
    return ((x / scale).round() + zero_point).clamp(0, 2**bits - 1).to(torch.int64)
    ### END SOLUTION


# %%
check("by_hand.quantize", quantize)

# %%
scale_and_zero_point = yours_or_ours("by_hand.scale_and_zero_point")
quantize = yours_or_ours("by_hand.quantize")
weight = net.classifier[0].weight.detach()
scale, zero_point = scale_and_zero_point(weight.min().item(), weight.max().item(), 8)
theirs = torch.fake_quantize_per_tensor_affine(weight, scale, zero_point, 0, 255)
mine = scale * (quantize(weight, scale, zero_point, 8) - zero_point)
grid = quantization.grid_of(weight, 8, symmetric=False)
claim("your grid is the library's", abs(scale / grid.scale - 1) < 1e-5 and abs(zero_point - grid.zero_point) <= 1)
claim(
    "the library agrees with torch's own operator bit for bit",
    torch.equal(
        quantization.fake_quantize(weight, grid),
        torch.fake_quantize_per_tensor_affine(weight, grid.scale, grid.zero_point, 0, 255),
    ),
)
claim("yours does but for a rounding or two in a hundred thousand", ((mine - theirs).abs() > scale / 2).sum() < 10)

# %% [markdown]
# ## 2. How many bits, how many grids
#
# What does rounding do to the weights? Inside the range the error is spread evenly over half a step to either side.
# Measure it as a *signal-to-noise ratio*, $10\log_{10}(\sum w^2 / \sum \text{error}^2)$, in decibels.

# %% question="by_hand.decibels"
answer = None
### BEGIN SOLUTION
answer = 15
### END SOLUTION
question("by_hand.decibels", answer)

# %% [markdown]
# A layer need not make do with one grid. One large weight stretches the steps for all others; with a grid for each
# filter (*per channel*), or for each 16 inputs of a filter (*per group*), it harms only its neighbours. A convolution
# or a linear layer can divide each output by its own scale at the end, so per channel costs nothing in the arithmetic.

# %%
widths = (2, 3, 4, 5, 6, 7, 8)
granularities = {
    "one grid a layer": {"per": "tensor"},
    "one a filter": {"per": "channel"},
    "one for 16 inputs": {"per": "group", "group": 16},
}


def rounded(x, bits, how):
    return quantization.fake_quantize(x, quantization.grid_of(x, bits, **how))


decibels = {
    name: [quantization.signal_to_noise(weight, rounded(weight, bits, how)) for bits in widths]
    for name, how in granularities.items()
}
some = pictures.validation[:600]


def with_bits(bits, how):
    return quantization.quantize_weights(copy.deepcopy(net), bits, **how)


accuracies = {
    name: [training.evaluate(with_bits(bits, how), some, pictures).accuracy for bits in widths]
    for name, how in granularities.items()
}
before = training.evaluate(net, some, pictures)

fig, (left, right) = plots.figure(ncols=2)
for (name, curve), color in zip(decibels.items(), plots.PALETTE, strict=False):
    left.plot(widths, curve, "o-", color=color, label=name)
    right.plot(widths, accuracies[name], "o-", color=color, label=name)
right.axhline(before.accuracy, color=plots.REFERENCE, linestyle="--", label="float")
left.set(xlabel="bits of the whole numbers", ylabel="signal to noise, dB", title="the first linear layer")
right.set(xlabel="bits of the whole numbers", ylabel="validation accuracy, %", title="MyNet, all weights on grids")
right.legend(fontsize=8)
plots.finish(fig)

# %%
slopes = [(curve[-1] - curve[2]) / (widths[-1] - widths[2]) for curve in decibels.values()]
claim("from 4 to 8 bits each bit brings 5.5 to 6.7 dB", all(5.5 < slope < 6.7 for slope in slopes))
claim("a grid a filter is worth 6 dB, one bit", decibels["one a filter"][-1] - decibels["one grid a layer"][-1] > 5.5)
claim("one for 16 inputs is worth 6 more", decibels["one for 16 inputs"][-1] - decibels["one a filter"][-1] > 5.5)
claim(
    "yet with 4 bits or more, MyNet loses less than 1.5 points with any of them",
    all(before.accuracy - accuracy < 1.5 for curve in accuracies.values() for accuracy in curve[2:]),
)
claim("and with 2 bits with one grid a layer it is left with less than half", accuracies["one grid a layer"][0] < 50)

# %% [markdown]
# `MyNet` hardly notices the granularity at 4 bits. It has no batch norms. Take the *teacher*, the larger residual
# network that lesson 09 will learn from, and fold its batch norms into the convolutions: each one multiplies every
# filter by a factor of its own, and the filter's weights can as well be multiplied beforehand (lesson 02; exact). Ask
# again: how much of its accuracy is lost with 4-bit weights, one grid a layer?

# %%
predict("accuracy that the folded teacher loses with 4 bits, one grid a layer", unit="points")

# %% tags=["nbval-ignore-output"]
teacher = folding.fold_batch_norm(models.trained("teacher"))
few = pictures.test[:600]
float_teacher = training.evaluate(teacher, few, pictures)
teacher_lost = {
    name: points_lost(quantization.quantize_weights(copy.deepcopy(teacher), 4, **how), few, float_teacher)
    for name, how in list(granularities.items())[:2]
}
reveal(
    "accuracy that the folded teacher loses with 4 bits, one grid a layer",
    teacher_lost["one grid a layer"].estimate,
    teacher_lost["one grid a layer"].low,
    teacher_lost["one grid a layer"].high,
    because="Folding multiplies each filter by its batch norm's factor, and in the first layer these differ widely. The "
    "largest filter sets the step for all, and for the smallest hardly a number but 0 is left. A grid for each filter "
    "repairs it.",
)

# %%
stem_only = copy.deepcopy(teacher)
with torch.no_grad():
    stem_only.stem[0].weight.copy_(rounded(teacher.stem[0].weight, 4, {"per": "tensor"}))
stem_lost = points_lost(stem_only, few, float_teacher)


def reach(weight):
    """Largest weight of each filter, as a share of the layer's largest, sorted."""
    largest = weight.detach().flatten(1).abs().amax(1)
    return (largest / largest.max()).sort().values


def rounded_away(weight, how):
    """Share of each filter's weights that 4 bits make 0, sorted from most to least."""
    return (rounded(weight, 4, how) == 0).flatten(1).float().mean(1).sort(descending=True).values


unfolded, folded = models.trained("teacher").stem[0].weight, teacher.stem[0].weight
fig, (left, right) = plots.figure(ncols=2)
left.plot(reach(unfolded), "o-", markersize=4, color=plots.SKY, label="as trained")
left.plot(reach(folded), "o-", markersize=4, color=plots.ORANGE, label="folded")
left.set(ylabel="largest weight ÷ largest of the layer", ylim=(0, 1.05), title="reach of each filter")
right.plot(
    rounded_away(folded, {"per": "tensor"}), "o-", markersize=4, color=plots.ORANGE, label="folded, one grid a layer"
)
right.plot(rounded_away(folded, {"per": "channel"}), "o-", markersize=4, color=plots.BLUE, label="folded, one a filter")
right.set(ylabel="share of its weights that become 0", ylim=(0, 1.05), title="with 4 bits")
for ax in (left, right):
    ax.set_xlabel("the 32 filters of the first layer, sorted")
    ax.legend(fontsize=8)
plots.finish(fig)

# %%
claim("with 4 bits, one grid a layer costs the teacher more than 4 points", teacher_lost["one grid a layer"].low > 4)
claim(
    "a grid a filter saves more than half of it",
    teacher_lost["one a filter"].high < teacher_lost["one grid a layer"].estimate / 2,
)
claim("most of it is lost in the first layer alone", stem_lost.estimate > teacher_lost["one grid a layer"].estimate / 2)
claim("folding left half of its filters below a third of the largest", reach(folded).median() < 1 / 3)
claim("before folding, none was below a quarter", reach(unfolded).min() > 1 / 4)
zeros = {how: rounded_away(folded, {"per": how}) for how in ("tensor", "channel")}
claim("with one grid, its smallest filter loses more than 85 % of its weights to 0", zeros["tensor"].max() > 0.85)
claim("with one grid a filter no filter loses half", zeros["channel"].max() < 0.5)

# %% [markdown]
# What do the bytes say? Eight bits are a quarter of 32, and the scales come on top: one float a filter is nothing, one
# for every 16 weights is 2 bits a weight more. So the groups' 80 % or so with 2 bits are paid with 4, at which one grid
# a layer loses nothing. Groups earn their scales where a layer is too large for 4 bits to be enough, as in language
# models.

# %%
weights = sum(layer.weight.numel() for layer in net.modules() if isinstance(layer, quantization.QUANTIZABLE))


def bits_a_weight(bits, how):
    layers = [m.weight for m in net.modules() if isinstance(m, quantization.QUANTIZABLE)]
    return bits + 32 * sum(quantization.grid_of(w, bits, **how).scale.numel() for w in layers) / weights


claim("a scale for each filter adds 0.02 bits to a weight", round(bits_a_weight(4, {"per": "channel"}) - 4, 2) == 0.02)
claim("one for 16 inputs adds 2", round(bits_a_weight(4, {"per": "group", "group": 16}) - 4, 1) == 2)

# %% [markdown]
# **Playground.** Choose a layer, a width and a granularity. Find the width at which the whole network breaks, for each
# granularity; then look at which layer alone breaks it.

# %%
quantization_playground(net, pictures)

# %% [markdown]
# ## 3. Activations
#
# Weights lie still: their range can be read off. What flows between the layers depends on the picture. So one lets a
# few hundred pictures through the float network, watches each layer's output, and chooses a range from what was seen.
# That is *calibration*, and what watches is an *observer*. Five are in use:
#
# | observer | range |
# |---|---|
# | min-max | the smallest and the largest value that was seen |
# | moving average | averages of each batch's smallest and largest value; a new batch counts 1 % |
# | percentile | all but the outermost values, here 0.1 % at each end |
# | MSE | the range with the least squared error |
# | entropy | where the histogram on the grid tells least wrong about the values (Kullback-Leibler divergence, in bits) |
#
# **Exercise (2 points).** The moving average, which needs no memory but two numbers.


# %% exercise="by_hand.moving_average"
def moving_average(lows, highs, constant):
    """lows, highs: lists of float, the smallest and largest value of each batch in order → (low, high), two floats.

    The first batch sets the range. Each later one moves both ends: by `constant` times their distance to its own.
    """
    ### BEGIN SOLUTION
    low, high = lows[0], highs[0]
    for smallest, largest in zip(lows[1:], highs[1:], strict=True):
        low += constant * (smallest - low)
        high += constant * (largest - high)
    return low, high
    ### END SOLUTION


# %%
check("by_hand.moving_average", moving_average)

# %%
moving_average = yours_or_ours("by_hand.moving_average")
watching, seen = observers.MovingAverage(), []
for start in range(0, 500, 100):
    pixels = pictures.to_input(pictures.train.images[start : start + 100])
    watching.update(pixels * (1 + start / 100))
    seen.append((pixels * (1 + start / 100)).aminmax())
mine = moving_average([float(low) for low, _ in seen], [float(high) for _, high in seen], 0.01)
claim("your moving average is the library's", torch.allclose(torch.tensor(mine), torch.tensor(watching.range())))

# %% [markdown]
# The last three observers give up some large values on purpose. A value beyond the end is *clipped*, and its error has
# no bound; but each value inside gets a finer step. Left: the outputs of the first ReLU for 200 pictures, zeros left
# out (a grid holds them exactly), and where each range ends with 4 bits. Right: the squared error for every end that
# could be chosen.

# %%
OBSERVERS = {
    "min-max": observers.MinMax,
    "moving average": observers.MovingAverage,
    "percentile": lambda bits: observers.Percentile(99.9, bits),
    "MSE": observers.MeanSquaredError,
    "entropy": observers.Entropy,
}
batches = [pictures.to_input(pictures.train.images[start : start + 100]) for start in (0, 100)]
with torch.inference_mode():
    rectified = [net.features[:2](batch) for batch in batches]


def watched(observer):
    """An observer that has seen the first ReLU's outputs."""
    for values in rectified:
        observer.update(values)
    return observer


ends = {name: watched(make(4)).range()[1] for name, make in OBSERVERS.items()}
candidates = torch.linspace(0.2, ends["min-max"], 120)
errors = {}
for bits in (8, 6, 4, 3):
    observer = watched(observers.MeanSquaredError(bits))
    errors[bits] = observer.errors(torch.zeros(120), candidates) / observer.counts.sum()

fig, (left, right) = plots.figure(ncols=2)
counts = observer.counts.view(-1, 64).sum(1)
left.stairs(counts / counts.sum(), observer.edges[::64], fill=True, color="0.8")
for (name, end), color, style in zip(ends.items(), plots.PALETTE, ("-", ":", "--", "-.", "-"), strict=False):
    left.axvline(end, label=name, color=color, linestyle=style)
left.set(yscale="log", xlabel="value", ylabel="share of values", title="first ReLU, ends with 4 bits")
left.set_xlim(0, 2 * ends["min-max"])
left.legend(fontsize="small", loc="upper right")
for (bits, error), color in zip(errors.items(), plots.PALETTE, strict=False):
    right.plot(candidates, error, color=color, label=f"{bits} bits")
    right.plot(candidates[error.argmin()], error.min(), "o", color=color)
right.set(yscale="log", xlabel="end of the range", ylabel="mean squared error", title="dot: the best end")
right.legend(fontsize="small")
plots.finish(fig)

# %%
best = {bits: float(candidates[error.argmin()]) for bits, error in errors.items()}
claim("the fewer bits, the more is worth clipping", best[8] > best[6] > best[4] > best[3])
claim(
    "with 8 bits next to nothing is: the best end lies above 80 % of the largest value", best[8] > 0.8 * ends["min-max"]
)
claim("with 3 bits the best end lies below 70 %", best[3] < 0.7 * ends["min-max"])
cost = {bits: float(error[-1] / error.min()) for bits, error in errors.items()}
claim("with 3 bits the end at the largest value has more than twice the least error", cost[3] > 2)
claim("with 8 bits it has less than twice the least error", cost[8] < 2)

# %% [markdown]
# To the left of its dot a curve climbs because values are clipped, to the right because the step grows. The step's
# part falls to a quarter with every bit; the part that clipping costs does not know about bits. So with few bits the
# balance lies further to the left.
#
# Now something goes wrong. One of the 200 pictures is 20 times too bright: a broken sensor, a wrong unit, a file that
# somebody normalised twice. The network was never trained on it and will never be judged by it. It is only there
# during calibration. All activations behind the ReLUs are put on grids of 4 bits, with the min-max range. How much
# accuracy does that one picture cost?

# %%
predict("accuracy lost to one bad picture among 200, min-max, 4 bits", unit="points")


# %%
def on_grids(model, grids):
    """A copy whose ReLUs put what they give onto their grids."""
    model = copy.deepcopy(model).to(memory_format=torch.channels_last)
    for name, layer in model.named_modules():
        if isinstance(layer, nn.ReLU):
            layer.register_forward_hook(lambda _, inputs, out, grid=grids[name]: quantization.fake_quantize(out, grid))
    return model


bad = [batches[0], torch.cat([batches[1][:99], 20 * batches[1][99:]])]
chosen_with = pictures.validation[:600]
accuracies = {
    (seen, bits, name): training.evaluate(
        on_grids(net, calibrate(net, calibration, lambda make=make, bits=bits: make(bits), (nn.ReLU,))),
        chosen_with,
        pictures,
    )
    for seen, calibration in (("clean", batches), ("one bad picture", bad))
    for bits in (8, 4)
    for name, make in OBSERVERS.items()
}
plain = training.evaluate(net, chosen_with, pictures)
lost = measure.proportion_difference(
    accuracies["one bad picture", 4, "min-max"].correct, accuracies["clean", 4, "min-max"].correct
)

# %% tags=["nbval-ignore-output"]
reveal(
    "accuracy lost to one bad picture among 200, min-max, 4 bits",
    lost.estimate,
    lost.low,
    lost.high,
    because="The range grew some 15 times, and so did the step: of 15 steps above zero, about one is left for "
    "everything that real pictures do. Min-max believes the largest value, and one value is enough.",
)

# %%
fig, axes = plots.figure(ncols=2, sharey=True)
for ax, bits in zip(axes, (8, 4), strict=True):
    for place, (seen, color) in enumerate((("clean", plots.BLUE), ("one bad picture", plots.ORANGE))):
        values = [accuracies[seen, bits, name].accuracy for name in OBSERVERS]
        bars = ax.barh([i + 0.4 * place - 0.2 for i in range(5)], values, 0.36, color=color, label=seen)
        ax.bar_label(bars, fmt="%.0f", padding=-20, fontsize="small", color="white")
    ax.axvline(plain.accuracy, color=plots.REFERENCE, linestyle=":", label="float")
    ax.set(title=f"{bits} bits", xlabel="accuracy (600 validation pictures)", xlim=(0, 100))
    ax.set_yticks(range(5), list(OBSERVERS))
axes[0].invert_yaxis()
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize="small", frameon=False)
plots.finish(fig)

# %%
percent = {key: result.accuracy for key, result in accuracies.items()}
claim(
    "with 8 bits no observer loses 2 points, not even with the bad picture",
    min(percent[seen, 8, name] for seen in ("clean", "one bad picture") for name in OBSERVERS) > plain.accuracy - 2,
)
claim(
    "with 4 bits, clean, no observer loses 2 points",
    min(percent["clean", 4, n] for n in OBSERVERS) > plain.accuracy - 2,
)
claim("with 4 bits the bad picture costs min-max more than 15 points", lost.low > 15)
robust = ("moving average", "percentile", "entropy")
claim(
    "and moving average, percentile and entropy less than 3",
    min(percent["one bad picture", 4, name] - percent["clean", 4, name] for name in robust) > -3,
)

# %% [markdown]
# Two lessons. **With 8 bits the choice hardly matters**: 256 steps leave room for a range that is far too wide.
# **With 4 bits it decides.** Min-max is at the mercy of one value. The moving average counts that batch for 1 %,
# unless it is the first one, where the average begins. Entropy and a percentile look at shares of all values. MSE
# stands in between: an outlier's error counts with its square, so the range that minimises it still stretches towards
# the outlier.

# %%
started = {
    order: calibrate(net, calibration, lambda: observers.MovingAverage(4), (nn.ReLU,))["features.1"].scale
    for order, calibration in (("bad last", bad), ("bad first", bad[::-1]))
}
claim(
    "with the bad batch first the moving average ends 10 times higher", started["bad first"] > 10 * started["bad last"]
)

# %% [markdown]
# No observer knows what a value is *for*. A rare large activation may be the one that tells a boot from a sneaker,
# and a percentile clips it all the same. So compare a few by accuracy, on the validation pictures.

# %% question="by_hand.outlier"
answer = None
### BEGIN SOLUTION
answer = 16
### END SOLUTION
question("by_hand.outlier", answer)

# %% [markdown]
# ## 4. A network without floats
#
# So far whole numbers were only *stored*; the products were still made of floats. Now nothing else is left. Put the
# weights and the inputs of a layer on grids, $w = s_w q_w$ and $x = s_x (q_x - z_x)$, and multiply out:
#
# $$\sum w\,x + b = s_w s_x \Big(\sum q_w\,(q_x - z_x) + q_b\Big), \quad q_b = \mathrm{round}\big(b / (s_w s_x)\big).$$
#
# The bracket is whole numbers alone. Each product of two 8-bit numbers has 16 bits; a sum of thousands needs more, so
# it is kept in 32, and it is *exact*: no rounding, whatever the order. The bias joins at the scale of the sum, in 32
# bits too. A bias with 8 bits would need a coarser scale of its own, and two whole numbers can only be added if they
# count in the same unit.
#
# What comes next are the 8 bits of the next layer, on its grid with the scale $s_y$:
#
# $$q_y = z_y + \mathrm{round}\Big(\tfrac{s_w s_x}{s_y} \cdot \text{sum}\Big).$$
#
# One real number has remained, $M = s_w s_x / s_y$, usually far below 1. It is known beforehand, so it is written as
# a whole number divided by a power of two: $M \approx m / 2^n$. A product, and a shift to the right by $n$ bits
# (Jacob et al. 2018, section 2.2).
#
# **Exercise (3 points).** Find $m$ and $n$, so that $m$ uses all of its bits.


# %% exercise="by_hand.fixed_point"
def fixed_point(real, bits):
    """real, 0 < real < ½ → whole numbers (multiplier, shift): real ≈ multiplier / 2^shift, the multiplier of `bits` bits."""
    ### BEGIN SOLUTION
    shift = 0
    while real < 2 ** (bits - 1):
        real, shift = 2 * real, shift + 1
    return round(real), shift
    ### END SOLUTION


# %%
check("by_hand.fixed_point", fixed_point)

# %% [markdown]
# **Exercise (3 points).** Now use them: 32-bit sums become the 8-bit numbers of the next layer. No floats.


# %% exercise="by_hand.requantize"
def requantize(sums, multiplier, shift, zero_point):
    """sums int32 [N]; multiplier from 2^30 to 2^31 − 1, shift 1 to 62, zero_point 0 to 255, all int → uint8 [N].

    sums · multiplier / 2^shift to the nearest whole number, halves upwards, plus the zero point, saturated.
    """
    ### BEGIN SOLUTION
    scaled = (sums.long() * multiplier + (1 << (shift - 1))) >> shift
    return (scaled + zero_point).clamp(0, 255).to(torch.uint8)
    ### END SOLUTION


# %%
check("by_hand.requantize", requantize)

# %% [markdown]
# These two are all that an integer network needs beyond products. ReLU is a clamp at the zero point; where the range
# begins at 0 the grid's own end does it. Max-pooling takes the largest of four numbers, and of whole numbers as well.
# The library converts the network, with the grids of the calibration:

# %%
fixed_point, requantize = yours_or_ours("by_hand.fixed_point"), yours_or_ours("by_hand.requantize")
grids = calibrate(net, batches)
network = integer_network.convert(net, grids)
first, hidden = network.layers[0], network.layers[3]  # the first convolution and the first linear layer

images = pictures.test.images[:256]  # 28 × 28; to_input pads them to 32 × 32
batch = pictures.to_input(images)
q = quantization.quantize(batch, network.source)
claim(
    "on the input's grid, from black to white, a picture is the picture's own bytes",
    torch.equal(q[:, 0, 2:-2, 2:-2], images[:, 0]),
)
claim("so black pixels are 0", (q[:, 0, 2:-2, 2:-2][images[:, 0] == 0] == 0).all())
claim("the convolution's padding is a real 0, the mean grey, and becomes the zero point", first.zero_points[0] > 0)

with torch.inference_mode():
    features = network.layers[:3](q.transpose(0, 1))  # what the first linear layer reads: [2048 inputs, 256 pictures]
    sums, answers = hidden.sums(features), hidden(features)
exact = hidden.weight.long() @ (features.long() - int(hidden.zero_points[0])) + hidden.bias
claim("sums in int32 are the sums in 64 bits: nothing is rounded there", torch.equal(sums.long(), exact))

same = all(
    torch.equal(requantize(sums[i], int(m), int(n), int(hidden.zero_points[1])), answers[i])
    for i, (m, n) in enumerate(zip(hidden.multiplier, hidden.shift, strict=True))
)
claim("your requantize gives each of the 128 neurons its 8 bits", same)
weight_grid = quantization.grid_of(net.classifier[0].weight, 8, per="channel")
factor = grids["features.5"].scale.double() * weight_grid.scale[7].item() / grids["classifier.1"].scale.double()
claim(
    "and your fixed_point, at 31 bits, its multiplier",
    fixed_point(float(factor), 31) == (int(hidden.multiplier[7]), int(hidden.shift[7])),
)

# %% [markdown]
# Watch one picture go through the first convolution: bytes in, exact sums in 32 bits, and bytes again, of which the
# pooling keeps the largest of four. The frame in the second is the padding: mean grey around a black ground.

# %%
with torch.inference_mode():
    sums_of_one = first.sums(q[:1].transpose(0, 1))
to_target = (first.multiplier[..., None, None], first.shift[..., None, None], int(first.zero_points[1]))
after = requantization.requantize(sums_of_one, *to_target)
pooled = nn.functional.max_pool2d(after.double(), 2).to(torch.uint8)
channel = int(after.flatten(1).double().std(1).argmax())  # the filter that shows most
steps = {
    "picture, uint8": q[0, 0],
    f"sums of filter {channel}, int32": sums_of_one[channel, 0],
    "requantised, ReLU, uint8": after[channel, 0],
    "pooled, uint8": pooled[channel, 0],
}
fig, axes = plots.figure(ncols=4, figsize=(10, 2.9))
for ax, (title, values) in zip(axes, steps.items(), strict=True):
    shown = ax.imshow(values, cmap="RdBu_r" if values.min() < 0 else "gray", interpolation="nearest")
    if values.min() < 0:
        shown.set_clim(-int(values.abs().max()), int(values.abs().max()))
    ax.set_title(title, fontsize="small")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    fig.colorbar(shown, ax=ax, orientation="horizontal", shrink=0.9, pad=0.03)
plots.finish(fig)

# %% [markdown]
# The library pools the *sums* and requantises afterwards: a step that never decreases anything may come before or
# after a maximum, and behind it there are only a quarter as many numbers to requantise. In floats that would be the
# same up to rounding; here it is the same to the bit.

# %%
with torch.inference_mode():
    claim("pooling before or after requantising: the same bytes", torch.equal(first(q[:1].transpose(0, 1)), pooled))

# %% [markdown]
# Is there really no float in it? PyTorch can be asked to tell of every operation. Here are the types of all tensors
# that go in or come out of one, between the bytes of the pictures and the bytes of the answer:


# %%
class Types(TorchDispatchMode):
    """Collects the dtypes of all tensors that operations read and write."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.seen |= {str(t.dtype) for t in tree_leaves((args, kwargs, result)) if isinstance(t, torch.Tensor)}
        return result


with Types() as types:
    logits = network.integers(q)
print(*sorted(types.seen), sep=", ")
claim("no float among them", not any("float" in name for name in types.seen))

# %% [markdown]
# Every weight, every activation and every logit was rounded to 8 bits. How much accuracy is lost over the whole test
# split?

# %%
predict("accuracy lost by the integer-only network", unit="points")

# %%
in_integers = training.evaluate(network, pictures.test, pictures)
lost_in_integers = measure.proportion_difference(in_integers.correct, tested.correct)
agree = (in_integers.correct == tested.correct).float().mean()
with torch.inference_mode():
    in_float = net(batch)
    moved = (network(batch) - in_float).abs().mean() / (in_float.max() - in_float.min())

# %% tags=["nbval-ignore-output"]
reveal(
    "accuracy lost by the integer-only network",
    lost_in_integers.estimate,
    lost_in_integers.low,
    lost_in_integers.high,
    because="Rounding errors of thousands of products have different signs and cancel. What remains moves a logit by "
    "less than a hundredth of their range, and only pictures that two classes nearly share can change sides: some to "
    "the wrong one, about as many to the right one.",
)

# %%
top = logits.sort(dim=1, descending=True).values
ties = (top[:, 0] == top[:, 1]).float().mean()
ratio_of_bytes = measure.disk_bytes(net) / measure.disk_bytes(network)
claim("integers lose less than half a point, the interval included", lost_in_integers.high < 0.5)
claim("a logit moves by less than a hundredth of the logits' range on average", moved < 0.01)
claim("both networks are right or wrong on the same pictures, but for less than 1 in 100", agree > 0.99)
claim("the file is between 3.9 and 4 times smaller, scales and multipliers included", 3.9 < ratio_of_bytes < 4)
claim("logits of 8 bits can tie: a few of 256 pictures have two best classes, or none", ties < 0.04)

# %% question="by_hand.largest_sum"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("by_hand.largest_sum", choice)

# %% [markdown]
# And the time? Against the float network as it comes, against the same with its channels last (float max-pooling is
# far quicker that way), and with the four integer products alone, without anything around them:

# %% tags=["nbval-ignore-output"]
channels_last = copy.deepcopy(net).to(memory_format=torch.channels_last)
operands = []
with torch.inference_mode():
    flowing = q.transpose(0, 1)
    for layer in network.layers:
        if isinstance(layer, integer_layers.IntegerLayer):
            inputs, columns = layer.weight.shape[1], layer.sums(flowing)[0].numel()
            operands.append((layer.weight, torch.randint(-128, 128, (inputs, columns), dtype=torch.int8)))
        flowing = layer(flowing)
timings = measure.latency(
    {
        "float32": net,
        "float32, channels last": lambda x: channels_last(x.to(memory_format=torch.channels_last)),
        "integers": network,
        "products alone": lambda x: [torch._int_mm(a, b) for a, b in operands],
    },
    batch,
    rounds=12,
    budget_seconds=2.5,
)
for name in ("float32", "float32, channels last"):
    print(f"integers against {name}: {measure.ratio(timings[name], timings['integers'])}")
around = measure.ratio(timings["integers"], timings["products alone"])
print(f"the whole takes {around.median:.1f} times as long as its products alone")

# %% [markdown]
# `torch._int_mm` multiplies int8 matrices into int32, with the processor's own instructions where it has them. Where
# it has them the products are the smaller part of the time. The rest is bookkeeping: collecting the patches, adding
# the bias, the 64-bit product, shift and clamp, each a walk through memory of its own, in Python's order. An engine
# makes them part of the product's inner loop, where the sums are still in registers. That is what lesson 08 is about;
# the arithmetic is this one.
#
# On a microcontroller without a floating-point unit the question does not arise: there, this is the only network that
# runs.

# %% [markdown]
# ## 5. The article's function
#
# This course grew out of a tutorial article whose program quantises the network, called with 8 bits. The bug hunt of
# lesson 00 has it; in essence:
#
# ```python
# w = layer.weight.data.byte()
# w = 2 ** (w // 256)
# layer.weight = nn.Parameter(w)
# ```
#
# It cannot run: `.byte()` cuts off fractions and signs, `w // 256` is zero or raises, the number of bits is never used,
# and nothing remembers a scale. But its last step, `2 ** (…)`, tells what it was after: weights that are *powers of
# two*. It is an old and good idea (Zhou et al. 2017): a product with $2^e$ is a shift by $e$ bits, and only the sign
# and the exponent need storing.
#
# **Exercise (3 points).** Repair it: to each weight the nearest of the values $0$ and $\pm 2^e$.


# %% exercise="by_hand.powers_of_two"
def powers_of_two(weight, lowest, highest):
    """weight: float [N] → float [N], each value 0 or ±2^e with lowest ≤ e ≤ highest, the nearest to the weight."""
    ### BEGIN SOLUTION
    powers = 2.0 ** torch.arange(lowest, highest + 1)
    values = torch.cat([-powers, torch.zeros(1), powers])
    return values[(weight[:, None] - values).abs().argmin(1)]
    ### END SOLUTION


# %%
check("by_hand.powers_of_two", powers_of_two)

# %% [markdown]
# With the article's 8 bits there are codes for 127 powers of two. How many points does the network lose with them?

# %%
predict("accuracy lost with powers of two with 8 bits", unit="points")

# %%
powers_of_two = yours_or_ours("by_hand.powers_of_two")
by_ours = quantization.power_of_two(net.features[3].weight, 4)
nonzero = by_ours[by_ours != 0].abs().log2()
by_yours = powers_of_two(net.features[3].weight.detach().flatten(), int(nonzero.max()) - 6, int(nonzero.max()))
claim("your values are the library's with 4 bits", torch.equal(by_yours.reshape(by_ours.shape), by_ours))


def article(model, bits):
    """The article's function, repaired: every weight of the model a power of two."""
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, quantization.QUANTIZABLE):
                layer.weight.copy_(quantization.power_of_two(layer.weight, bits))
    return model


power_widths = (3, 4, 6, 8)
half = pictures.test[:5_000]
float_half = training.evaluate(net, half, pictures)
kinds = {
    "powers of two": lambda bits: article(copy.deepcopy(net), bits),
    "grid, one a layer": lambda bits: quantization.quantize_weights(copy.deepcopy(net), bits, per="tensor"),
}
made = {name: {bits: make(bits) for bits in power_widths} for name, make in kinds.items()}
noise = {
    name: [
        quantization.signal_to_noise(net.classifier[0].weight, of[bits].classifier[0].weight) for bits in power_widths
    ]
    for name, of in made.items()
}
lost = {name: [points_lost(of[bits], half, float_half) for bits in power_widths] for name, of in made.items()}

fig, (left, right) = plots.figure(ncols=2)
for name, color in zip(kinds, plots.PALETTE, strict=False):
    left.plot(power_widths, noise[name], "o-", color=color, label=name)
    middle = [x.estimate for x in lost[name]]
    reach = [[x.estimate - x.low for x in lost[name]], [x.high - x.estimate for x in lost[name]]]
    right.errorbar(power_widths, middle, reach, fmt="o-", capsize=3, color=color, label=name)
right.axhline(0, color=plots.REFERENCE, linestyle="--")
left.set(xlabel="bits a weight", ylabel="signal to noise, dB", title="the first linear layer")
right.set(xlabel="bits a weight", ylabel="points lost", title="MyNet, test accuracy")
right.legend(fontsize=8)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
reveal(
    "accuracy lost with powers of two with 8 bits",
    lost["powers of two"][-1].estimate,
    lost["powers of two"][-1].low,
    lost["powers of two"][-1].high,
    because="Powers of two lie close together near zero, where no precision is needed, and far apart where the large "
    "weights are: those are off by up to a third, however many bits there are. The extra codes go to ever smaller powers.",
)

# %%
pot, even = noise["powers of two"], noise["grid, one a layer"]
claim("on 3 and 4 bits powers of two follow this layer's weights better", pot[0] > even[0] and pot[1] > even[1])
claim("beyond 4 bits they gain less than 0.2 dB in all", pot[-1] - pot[1] < 0.2)
claim("an even grid gains more than 20 dB from 4 to 8 bits", even[-1] - even[1] > 20)
small = [
    {name: quantization.signal_to_noise(layer.weight, of[4].get_submodule(at).weight) for name, of in made.items()}
    for at, layer in net.named_modules()
    if isinstance(layer, quantization.QUANTIZABLE) and at != "classifier.0"
]
claim(
    "but in the three other layers the grid is ahead with 4 bits",
    all(db[n] < db[m] for db in small for n, m in [tuple(kinds)]),
)
claim("with 8 bits the powers of two lose 0.2 to 1.6 points", 0.2 < lost["powers of two"][-1].estimate < 1.6)
claim("the even grid loses less than 0.3", lost["grid, one a layer"][-1].high < 0.3)
activations, exponents = torch.randint(-128, 128, (1000,), dtype=torch.int32), torch.randint(0, 8, (1000,))
shifted = activations << exponents
claim("a product with a power of two is a shift, exactly", torch.equal(shifted, activations * 2**exponents))

# %% [markdown]
# The large layer has its weights close to zero and a few far out, and powers of two suit that; the three small layers
# have theirs spread evenly, and there the grid is better, which decides about the accuracy. So the article's idea,
# repaired, is as good as a grid with 3 bits and worse from 4 on, and its 8 bits are wasted: the values between the
# powers are what is missing. On a chip without multipliers the shift is worth it. On this processor a multiplication
# costs no more than a shift, so nothing is gained but the bytes, and an even grid spends those better.

# %% [markdown]
# ## 6. Four bits after training
#
# So far the network was rounded and that was all: no label, no training. How far does that carry, and what can be done
# where it carries no further? This section keeps to the weights, with the cheapest kind of grid, one for each tensor.

# %%
predict("accuracy lost with all weights rounded to 4 bits, one grid a tensor", unit="points")


# %%
start = copy.deepcopy(net).to(memory_format=torch.channels_last)  # the same numbers, and a faster pooling
validated = training.evaluate(start, pictures.validation, pictures)


def to_nearest(model, bits):
    return quantization.quantize_weights(copy.deepcopy(model), bits, per="tensor")


lost_at_4 = points_lost(to_nearest(start, 4))

# %% tags=["nbval-ignore-output"]
reveal(
    "accuracy lost with all weights rounded to 4 bits, one grid a tensor",
    lost_at_4.estimate,
    lost_at_4.low,
    lost_at_4.high,
    because="Fifteen values a tensor are plenty for this network: each output sums 27 to 2,048 products, and rounding "
    "errors of both signs cancel in the sum.",
)

# %% [markdown]
# That was kind of the network, and many are less so. Here is its *twin*. Each channel between two layers is multiplied
# by a power of two where it is written, and divided by it where it is read. ReLU and pooling let a positive factor
# pass, and a factor of two rounds nothing: the twin computes **the same function, bit for bit**. Networks come out of
# training like this, above all those whose batch norms have been folded into the weights (lesson 02).

# %%
layers = ("features.0", "features.3", "classifier.0", "classifier.2")
twin = copy.deepcopy(start)
draw = torch.Generator().manual_seed(0)
with torch.no_grad():
    for first, second in pairwise(twin.get_submodule(name) for name in layers):
        factor = 2.0 ** torch.randint(-3, 4, (len(first.weight),), generator=draw)
        first.weight.mul_(factor.view(-1, *[1] * (first.weight.dim() - 1)))
        first.bias.mul_(factor)
        behind = factor.repeat_interleave(second.weight.shape[1] // len(factor))  # behind the flatten: 64 inputs each
        second.weight.div_(behind.view(-1, *[1] * (second.weight.dim() - 2)))

calibration = pictures.to_input(pictures.train.images[:500])
with torch.inference_mode():
    claim("the twin computes the same function, bit for bit", torch.equal(twin(calibration), start(calibration)))

# %%
predict("accuracy of the twin with weights of 6 bits, one grid a tensor", unit="%")

# %% [markdown]
# **Cross-layer equalisation** (Nagel et al. 2019) does the opposite of what was done to the twin. Let channel $i$ reach
# up to $r_1$ in the layer that writes it and up to $r_2$ in the layer that reads it. Divided and multiplied by
#
# $$ s_i = \frac{1}{r_2}\sqrt{r_1 r_2}, $$
#
# both reach up to $\sqrt{r_1 r_2}$. No picture is needed, and float notices nothing. As a layer stands in two pairs,
# one goes through all pairs some twenty times.

# %%
equal = post_training.equalize(copy.deepcopy(twin))
with torch.inference_mode():
    difference = (equal(calibration) - start(calibration)).abs().max()
claim("equalised, the function is the same to 1e-5", difference < 1e-5)

widths = (8, 6, 4, 3)
curves = {
    name: [training.evaluate(to_nearest(model, bits), pictures.validation, pictures).accuracy for bits in widths]
    for name, model in {"as trained": start, "its twin": twin, "the twin, equalised": equal}.items()
}

fig, (left, right) = plots.figure(ncols=2)
for name, model, color in (("twin", twin, plots.ORANGE), ("equalised", equal, plots.GREEN)):
    reach = model.features[3].weight.detach().abs().flatten(1).amax(1)
    left.plot((reach / reach.max()).sort().values, "o", color=color, label=name)
left.set(title="second convolution", xlabel="filter, sorted", ylabel="largest weight / end of the grid")
left.legend()
for (name, curve), color in zip(curves.items(), (plots.REFERENCE, plots.ORANGE, plots.GREEN), strict=True):
    right.plot(widths, curve, "o-" if name != "as trained" else "o--", label=name, color=color)
right.set(title="the same function, rounded", xlabel="bits", ylabel="validation accuracy, %", xticks=widths)
right.invert_xaxis()
right.legend()
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
twin_at_6 = curves["its twin"][widths.index(6)]
reveal(
    "accuracy of the twin with weights of 6 bits, one grid a tensor",
    twin_at_6,
    twin_at_6 - 2,
    twin_at_6 + 2,
    because="The grid must reach the largest channel. One that is 64 times smaller has less than one of the 31 values "
    "on each side: it is rounded to zero. In float its part in the result is as large as any other's.",
)

# %%
at = {bits: place for place, bits in enumerate(widths)}
claim("4 bits cost the network as trained less than 2 points", lost_at_4.high < 2)
claim("its twin is ruined by 6 bits: below 60 %", twin_at_6 < 60)
claim("and guesses with 4: below 20 %", curves["its twin"][at[4]] < 20)
claim(
    "equalised, it is within 2 points of the network as trained, from 8 bits down to 3",
    max(abs(a - b) for a, b in zip(curves["as trained"], curves["the twin, equalised"], strict=True)) < 2,
)

# %% question="by_hand.equalised"
choice = None
### BEGIN SOLUTION
choice = "a"
### END SOLUTION
question("by_hand.equalised", choice)

# %% [markdown]
# **Bias correction** (same paper) needs a few pictures. Where the rounding errors of a channel's weights have a sign in
# common, all its outputs are shifted the same way, and the layer's bias can take that back: one subtracts the mean
# shift, measured on a few hundred pictures.
#
# **Exercise (2 points).** Correct a bias.


# %% exercise="by_hand.bias_correction"
def bias_correction(original, quantized, bias):
    """The bias that undoes the mean shift. Outputs, before and after, float [N, C, H, W], bias [C] → [C]."""
    ### BEGIN SOLUTION
    return bias - (quantized - original).mean(dim=(0, 2, 3))
    ### END SOLUTION


# %%
check("by_hand.bias_correction", bias_correction)

# %% [markdown]
# Rounding to nearest has no favourite direction. Cutting the fraction off does: ⌊w/s⌋ is half a step too low on
# average. Below, both with 5 bits: left, how far the first layer's channels are shifted; right, the accuracy before and
# after the correction of all layers, from the first to the last. (Low weights shift the first layer *up*, because most
# pixels are background, which is negative once normalised.)

# %%
bias_correction = yours_or_ours("by_hand.bias_correction")


def rounded_down(model, bits):
    model = copy.deepcopy(model)
    with torch.no_grad():
        for layer in map(model.get_submodule, layers):
            scale = quantization.grid_of(layer.weight, bits).scale
            layer.weight.copy_((layer.weight / scale).floor() * scale)
    return model


rounded = {"down": rounded_down(start, 5), "to nearest": to_nearest(start, 5)}
corrected = {
    way: post_training.correct_biases(copy.deepcopy(model), start, calibration) for way, model in rounded.items()
}
with torch.inference_mode():
    before, after = start.features[0](calibration), rounded["down"].features[0](calibration)
by_hand = bias_correction(before, after, rounded["down"].features[0].bias.detach())
claim(
    "the library corrects the first layer as you do",
    torch.allclose(corrected["down"].features[0].bias, by_hand, atol=1e-5),
)
lost = {
    (way, stage): points_lost(models_of[way], pictures.validation, validated)
    for way in rounded
    for stage, models_of in (("rounded", rounded), ("corrected", corrected))
}

# %%
fig, (left, right) = plots.figure(ncols=2)
shift = {way: post_training.output_shift(before, m.features[0](calibration).detach()) for way, m in rounded.items()}
for way, color in (("down", plots.ORANGE), ("to nearest", plots.BLUE)):
    left.plot(shift[way], "o", color=color, label=way)
left.axhline(0, color=plots.REFERENCE, linewidth=0.8)
left.set(title="first layer: mean shift of each channel", xlabel="channel", ylabel="shift", xticks=range(0, 16, 3))
left.legend()
for place, ((way, stage), interval) in enumerate(lost.items()):
    color = plots.ORANGE if way == "down" else plots.BLUE
    right.bar(place, interval.estimate, color=color, alpha=1 if stage == "rounded" else 0.5)
    error = [[max(interval.estimate - interval.low, 0)], [max(interval.high - interval.estimate, 0)]]
    right.errorbar(place, interval.estimate, yerr=error, color="#222222")
right.axhline(0, color=plots.REFERENCE, linewidth=0.8)
right.set_xticks(range(4), [f"{way},\n{stage}" for way, stage in lost], fontsize=8)
right.set(title="accuracy lost with 5 bits", ylabel="points")
plots.finish(fig)

# %%
claim(
    "rounding down shifts the first layer's channels more than five times as far as rounding to nearest",
    shift["down"].abs().mean() > 5 * shift["to nearest"].abs().mean(),
)
claim("rounded down, more than 4 points are lost", lost["down", "rounded"].low > 4)
claim(
    "the correction wins more than 2 of them back",
    lost["down", "rounded"].estimate - lost["down", "corrected"].estimate > 2,
)
claim("to nearest there is hardly anything to win: less than 2 points", lost["to nearest", "rounded"].high < 2)

# %% [markdown]
# A bias can take back an offset, nothing else. Where rounding *shrinks* a channel, its mean changes too, and the
# constant that restores the mean moves every picture away from where it was. The paper's gains come from networks with
# depthwise convolutions, nine weights a channel, where few errors cancel.
#
# **AdaRound** (Nagel et al. 2020) asks whether the nearest value is the right one at all. For each weight there are two
# candidates, up and down, and a layer's output depends on all choices together: an error up here can be made good by
# one down there. So it gives each weight a number $h(V)$ between 0 (down) and 1 (up), starts at the fraction, and fits
#
# $$ \big\lVert Wx - s\,(\lfloor W/s \rfloor + h(V))\,\hat x \big\rVert^2
# + \lambda \sum \big(1 - |2h(V) - 1|^\beta\big), $$
#
# the layer's output on a few hundred pictures $x$, of which $\hat x$ is what the layers rounded before deliver. The
# second term drives every $h$ to 0 or 1, harder and harder as $\beta$ falls. Let us go where rounding to nearest ends:
# 2 bits, three values a weight.

# %% tags=["nbval-ignore-output"]
nearest_2 = training.evaluate(to_nearest(start, 2), pictures.validation, pictures)
print(f"to nearest, 2 bits are right on {nearest_2.accuracy:.1f} % of the validation pictures")

# %%
predict("accuracy with weights of 2 bits on the same grid, rounded up or down as AdaRound learned", unit="%")

# %%
adaptive = post_training.ada_round(copy.deepcopy(start), calibration, bits=2, steps=150)
result = training.evaluate(adaptive, pictures.validation, pictures)

# %% tags=["nbval-ignore-output"]
reveal(
    "accuracy with weights of 2 bits on the same grid, rounded up or down as AdaRound learned",
    result.accuracy,
    result.accuracy - 2,
    result.accuracy + 2,
    because="To nearest, almost every weight of the large layer is nearer to 0 than to the one value on its side. A "
    "thousand small weights that all become 0 are a large error, and it has one direction; AdaRound sends one in a "
    "hundred of them away from 0.",
)

# %%
claim("2 bits to nearest: below 40 %", nearest_2.accuracy < 40)
claim("the same grid with learned rounding: above 60 %", result.accuracy > 60)
whole = {name: start.get_submodule(name).weight.detach() for name in layers}
whole = {name: w / quantization.grid_of(w, 2).scale for name, w in whole.items()}
chosen = {name: adaptive.get_submodule(name).weight.detach() for name in layers}
chosen = {name: w / quantization.grid_of(start.get_submodule(name).weight, 2).scale for name, w in chosen.items()}
claim("every weight went to one of its two neighbours", all((chosen[n] - whole[n]).abs().max() < 1.001 for n in layers))
elsewhere = (chosen["classifier.0"].round() != whole["classifier.0"].round()).float().mean()
claim("in the large layer fewer than 3 % of the weights are not at their nearest value", elsewhere < 0.03)

# %% [markdown]
# All of it at several widths, with three sets of 1,000 pictures and 300 steps, recorded in
# `data/recorded/post_training_bits.json` (`nnopt record post_training_bits`, a few minutes):

# %%
bits_after = recorded("post_training_bits", live=LIVE)["result"]
shown = {
    "nearest": ("to nearest", plots.BLUE),
    "biases corrected": ("biases corrected", plots.SKY),
    "equalised": ("equalised", plots.GREEN),
    "AdaRound": ("AdaRound", plots.ORANGE),
    "equalised, AdaRound": ("equalised, AdaRound", plots.PURPLE),
}
fig, axes = plots.figure(ncols=2)
for ax in axes:
    for way, (label, color) in shown.items():
        upto = 4 if ax is axes[0] else 3
        plots.band(ax, range(upto), list(zip(*bits_after[way][:upto], strict=True)), label, color)
    ax.axhline(bits_after["before"], color=plots.REFERENCE, linestyle="--")
    ax.set_xticks(range(upto), bits_after["bits"][:upto])
    ax.set(xlabel="bits of the weights", ylabel="test accuracy, %")
axes[0].set(title="from 8 bits to 2")
axes[1].set(ylim=(86.9, 89.2), title="from 8 bits to 3, nearer")
axes[0].legend(fontsize=8, loc="lower left")
plots.finish(fig)

# %% [markdown]
# Down to 4 bits there is little to repair here, and nothing to choose between: everything lies within half a point of
# the float network (dashed). At 3 bits rounding to nearest loses 1.7 points; equalisation or AdaRound win a point of it
# back. At 2 bits the order of the methods is plain: to nearest the network is lost, equalisation nearly doubles what is
# left, AdaRound brings it above 80 %, and both together to 85 %. Bias correction stays without effect: nothing is
# shifted that much. More than that takes labels, and the next section has them.

# %%
at = {bits: place for place, bits in enumerate(bits_after["bits"])}
mean = {way: [sum(row) / len(row) for row in bits_after[way]] for way in shown}
claim(
    "with 8 and 4 bits every way stays within half a point of float",
    all(abs(mean[way][at[bits]] - bits_after["before"]) < 0.5 for way in shown for bits in (8, 4)),
)
claim("3 bits to nearest lose 1.5 to 2 points", 1.5 < bits_after["before"] - mean["nearest"][at[3]] < 2)
claim(
    "equalisation and AdaRound each win 0.8 to 1.3 of them back",
    all(0.8 < mean[way][at[3]] - mean["nearest"][at[3]] < 1.3 for way in ("equalised", "AdaRound")),
)
claim(
    "2 bits: below 20 % to nearest, above 30 % equalised, above 80 % with AdaRound, above 84 % with both",
    mean["nearest"][at[2]] < 20
    and mean["equalised"][at[2]] > 30
    and mean["AdaRound"][at[2]] > 80
    and mean["equalised, AdaRound"][at[2]] > 84,
)
claim(
    "biases change less than 0.2 points at 8, 4 and 3 bits",
    all(abs(mean["biases corrected"][at[b]] - mean["nearest"][at[b]]) < 0.2 for b in (8, 4, 3)),
)

# %% [markdown]
# ## 7. Training with integers
#
# The article's third point is to train the integer model itself. What stands in the way is the rounding: it is flat
# nearly everywhere, so its derivative is 0 and nothing upstream learns. The way out is a white lie. Forward, the
# network sees rounded numbers; backward, the gradient passes *straight through* as though nothing had been rounded,
# except for values beyond the end of the grid, which get none (Bengio et al. 2013). Float weights stay behind the
# rounded ones and collect the small updates.

# %%
x = torch.linspace(-1.5, 1.5, 7, requires_grad=True)
grid = quantization.grid_of(torch.tensor([-1.0, 1.0]), 3)
(honest,) = torch.autograd.grad((x / grid.scale).round().sum(), x)
(ours,) = torch.autograd.grad(quantization.fake_quantize(x, grid).sum(), x)
torchs = torch.fake_quantize_per_tensor_affine(x, grid.scale, grid.zero_point, grid.low, grid.high)
(theirs,) = torch.autograd.grad(torchs.sum(), x)
claim("torch differentiates rounding honestly: 0 everywhere", not honest.any())
claim("straight through: 1 inside the grid, 0 beyond its ends", ours.tolist() == [0, 1, 1, 1, 1, 1, 0])
claim("torch's own fake quantisation has the same gradient", torch.equal(ours, theirs))

# %% [markdown]
# `qat.prepare` puts such a quantiser on the weights and on the input of every layer, and the training
# loop stays as it is. But *which* grid? Section 2 took the range of the weights, so one outlier decides how wide a step
# is for all. **LSQ** (Esser et al. 2020) lets training decide: the step $s$ is a parameter like any other. With $\hat x
# = s \cdot \mathrm{round}(\mathrm{clip}(x/s, l, h))$, its gradient is the next exercise.
#
# **Exercise (3 points).** The gradient of $\hat x$ by the step, for each value.


# %% exercise="by_hand.step_gradient"
def step_gradient(x, step, low, high):
    """d x̂ / d step for each value: float [N] → float [N]. Rounding counts as the identity; step is a float."""
    ### BEGIN SOLUTION
    ratio = x / step
    return torch.where(ratio <= low, low, torch.where(ratio >= high, high, ratio.round() - ratio))
    ### END SOLUTION


# %%
check("by_hand.step_gradient", step_gradient)

# %%
step_gradient = yours_or_ours("by_hand.step_gradient")
values = torch.linspace(-3.01, 3.02, 601)
step = torch.tensor(0.7, requires_grad=True)
quantized = quantizers.learned_step(values, step, -2, 1)
by_hand = step_gradient(values, 0.7, -2, 1)
(summed,) = torch.autograd.grad(quantized.sum(), step)
claim("the library's step has this gradient, summed over all values", torch.allclose(summed, by_hand.sum(), rtol=1e-3))

examples, labels = pictures.to_input(pictures.train.images[:500]), pictures.train.labels[:500]
prepared = qat.prepare(copy.deepcopy(start), examples, 2, 2)
nn.functional.cross_entropy(prepared(examples), labels).backward()
pace, scale = {}, {}
for name, layer in prepared.named_modules():
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        quantizer, weight = layer.parametrizations.weight[0], layer.parametrizations.weight.original
        scale[name] = quantizer.gradient_scale
        pace[name] = (quantizer.step.grad.abs() / quantizer.step) / (weight.grad.norm() / weight.norm())
        pace[name] = pace[name].item()

fig, (left, right) = plots.figure(ncols=2)
left.plot(values, quantized.detach(), color=plots.BLUE, label="x̂, 2 bits, step 0.7")
left.plot(values, by_hand, color=plots.ORANGE, label="gradient of the step")
left.set(xlabel="x", title="what the step feels")
left.legend(fontsize=8, loc="lower right")
right.bar(torch.arange(4) - 0.2, [pace[n] / scale[n] for n in pace], 0.4, color=plots.ORANGE, label="unscaled")
right.bar(torch.arange(4) + 0.2, list(pace.values()), 0.4, color=plots.BLUE, label="times 1/√(N·h)")
right.axhline(1, color=plots.REFERENCE, linestyle="--")
right.set_xticks(range(4), pace, fontsize=8)
right.set(yscale="log", title="pace of the step, relative to its weights")
right.legend(fontsize=8)
plots.finish(fig)

# %% [markdown]
# Inside of the grid a value pulls the step by its rounding error; beyond the ends it pulls with the whole height of the
# grid: where the loss wants a clipped value nearer to what it was, the step grows. All values of a layer pull at one
# number, and that sum is large: relative to its size the step would move far faster than the weights (right, orange).
# LSQ scales it by $1/\sqrt{N h}$, with $N$ the number of weights and $h$ the largest whole number. That brings it to
# the pace of the weights (dashed), give or take a factor of ten or so.

# %%
unscaled = {name: pace[name] / scale[name] for name in pace}
claim("unscaled, every step would move more than 10 times as fast as its weights", min(unscaled.values()) > 10)
claim("that of the largest layer more than 1,000 times", unscaled["classifier.0"] > 1000)
claim(
    "scaled, all of them move at 1/20 to 60 times their weights' pace",
    0.05 < min(pace.values()) < max(pace.values()) < 60,
)

# %% [markdown]
# Now with 2 bits for weights *and* inputs, four values each; as in the paper, the first and the last layer keep 8. From
# the shipped network, one pass over a quarter of the training pictures, with the grid from the range and with a learned
# step. Where does it end?

# %%
predict("accuracy after a quarter of an epoch with 2-bit weights and inputs, learned steps", unit="%")

# %%
quarter = pictures.train[:4_500]
trained = {}
for method in qat.METHODS:
    model = qat.prepare(copy.deepcopy(start), examples, 2, 2, method=method)
    training.fit(model, pictures, epochs=1, train=quarter, seed=1, description=f"2 bits, {method}")
    trained[method] = qat.make_permanent(model)
results = {method: training.evaluate(model, pictures.validation, pictures) for method, model in trained.items()}
lost = {method: measure.proportion_difference(result.correct, validated.correct) for method, result in results.items()}

# %% tags=["nbval-ignore-output"]
for method, result in results.items():
    print(f"{method:8} {result.accuracy:.1f} %, lost against float as it ships: {lost[method]} points")
reveal(
    "accuracy after a quarter of an epoch with 2-bit weights and inputs, learned steps",
    results["lsq"].accuracy,
    results["lsq"].accuracy - 1.5,
    results["lsq"].accuracy + 1.5,
    because="The few values are put where most weights are, not where the largest one is, and the weights move to the "
    "values that suit them.",
)

# %%
fig, axes = plots.figure(ncols=2, sharey=True)
titles = {"min-max": "grid from the range", "lsq": "learned step"}
for ax, (method, model) in zip(axes, trained.items(), strict=True):
    layer = model.classifier[0]
    taken = layer.weight.detach().unique(return_counts=True)
    ax.hist(net.classifier[0].weight.detach().flatten(), 120, color="#CCCCCC", label="float, before")
    ax.vlines(taken[0], 1, taken[1], color=plots.ORANGE, linewidth=5, label="2 bits, trained")
    ax.set(yscale="log", xlabel="weight of the first linear layer", title=titles[method], ylim=(1, 1e6))
axes[0].set(ylabel="how many")
axes[0].legend(fontsize=8)
plots.finish(fig)

# %%
few = [model.classifier[0].weight.unique().numel() for model in trained.values()]
claim("at most three values are left with a symmetric grid, four with LSQ's", few[0] <= 3 and few[1] <= 4)
claim("learned steps: more than 84 % are right", results["lsq"].accuracy > 84)
claim(
    "and at least 5 points more than with the grid from the range",
    measure.proportion_difference(results["min-max"].correct, results["lsq"].correct).low > 5,
)

# %% [markdown]
# Two further codes have names of their own. **Binary** weights are $\pm\alpha$, with $\alpha = \mathrm{mean}|w|$, which
# is the nearest such matrix in squares (XNOR-Net, Rastegari et al. 2016). **Ternary** weights are $0$ where $|w| \le
# 0.7\,\mathrm{mean}|w|$, else $\pm\alpha$, with $\alpha$ the mean of the magnitudes that are left (Li & Liu 2016).
# Products become additions and subtractions.
#
# All widths, one epoch on all pictures, three seeds, and a float network that gets the same epoch:
# `data/recorded/integer_training.json` (about ten minutes with `nnopt record integer_training`).

# %%
integer = recorded("integer_training", live=LIVE)["result"]
fig, (left, right) = plots.figure(ncols=2, width_ratios=(3, 2))
lines = {"min-max": ("trained, grid from the range", plots.SKY), "lsq": ("trained, learned step", plots.BLUE)}
left.plot(range(4), integer["after training"], "o-", color=plots.ORANGE, label="rounded only, grid from the range")
for method, (label, color) in lines.items():
    plots.band(left, range(4), list(zip(*integer[method], strict=True)), label, color)
left.axhline(sum(integer["float"]) / 3, color=plots.REFERENCE, linestyle="--", label="float, trained as long")
left.set_xticks(range(4), integer["bits"])
left.set(xlabel="bits of weights and inputs", ylabel="test accuracy, %", ylim=(75, 91.5), title="trained for one epoch")
left.legend(fontsize=8, loc="lower left")
rows = {"float": integer["float"], "4 bits": integer["lsq"][1], "2 bits": integer["lsq"][3]}
rows |= {code: integer[code] for code in ("ternary", "binary")}
for place, (name, accuracies) in enumerate(rows.items()):
    color = plots.REFERENCE if name == "float" else plots.BLUE if "bits" in name else plots.GREEN
    right.plot([place] * 3, accuracies, "o", color=color)
right.set_xticks(range(5), [n if n == "float" or "bits" in n else f"{n}\n(8-bit\ninputs)" for n in rows], fontsize=8)
right.set(title="nearer: learned step, and codes", ylim=(88.5, 90.2))
plots.finish(fig)

# %% [markdown]
# Compare with the float network that was trained as long, not with the one that ships: the epoch itself is worth a
# point. With learned steps, 8, 4 and 3 bits then cost nothing that three seeds can show, and 2 bits half to one point.
# The grid from the range keeps up down to 4 bits and falls behind by several points at 2. Ternary weights lose a third
# of a point and binary ones a whole one, both with 8-bit inputs. So what is asked of *training* with few bits is mostly
# a good step.

# %%
means = {m: [sum(row) / len(row) for row in integer[m]] for m in ("min-max", "lsq")}
control = sum(integer["float"]) / 3
code = {name: control - sum(integer[name]) / 3 for name in ("ternary", "binary")}
claim("the epoch is worth 0.5 to 1.5 points in float", 0.5 < control - integer["before"] < 1.5)
claim(
    "rounded only, 4 bits lose less than 1.5 points, 2 bits more than 60",
    control - integer["after training"][1] < 1.5 and control - integer["after training"][3] > 60,
)
claim(
    "learned steps with 8, 4 and 3 bits: within 0.3 points of float",
    all(abs(control - a) < 0.3 for a in means["lsq"][:3]),
)
claim("learned steps with 2 bits: 0.5 to 1 point lost", 0.5 < control - means["lsq"][3] < 1)
claim(
    "the grid from the range: within 0.3 points with 4 bits, more than 5 lost with 2",
    abs(control - means["min-max"][1]) < 0.3 and control - means["min-max"][3] > 5,
)
claim(
    "ternary weights lose 0.2 to 0.5 points, binary ones 0.8 to 1.2",
    0.2 < code["ternary"] < 0.5 and 0.8 < code["binary"] < 1.2,
)

# %% [markdown]
# **Whole-number gradients.** All that was still done in floats: behind the rounded weights stood float ones, gradients
# were floats, and so were updates. Can training itself run on integers? Let a number be an integer times a power of two
# that its whole tensor shares. Then a product is int8 × int8, a sum is int32, and a change of scale is a shift of bits.
# A two-layer perceptron is enough to see it: forward pass, backward pass and update without one float
# (`integer_training.IntegerMLP`, after Wu et al. 2018 and Banner et al. 2018). Its loss is the squared distance, whose
# gradient is a difference; softmax would need exponentials.
#
# One thing does not work by itself. A weight with few bits has wide steps, 1/128 with 8 bits, and most updates are far
# smaller.

# %% question="by_hand.vanishing_updates"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("by_hand.vanishing_updates", choice)

# %% [markdown]
# **Exercise (2 points).** Stochastic rounding (Gupta et al. 2015): up with a probability that equals the fraction.


# %% exercise="by_hand.stochastic_round"
def stochastic_round(x, noise):
    """x rounded to a whole number below or above, on average x. noise: uniform in [0, 1), the shape of x → float."""
    ### BEGIN SOLUTION
    return (x + noise).floor()
    ### END SOLUTION


# %%
check("by_hand.stochastic_round", stochastic_round)

# %%
stochastic_round = yours_or_ours("by_hand.stochastic_round")
# An update of −0.0005, counted in steps of 1/64.
draws = stochastic_round(
    torch.full((100_000,), -0.032), torch.rand(100_000, generator=torch.Generator().manual_seed(0))
)
claim(
    "−0.032 becomes −1 or 0, and on average −0.032",
    draws.unique().tolist() == [-1, 0] and abs(draws.mean() + 0.032) < 0.003,
)
counts = torch.tensor([77], dtype=torch.int32)
noise = torch.arange(16, dtype=torch.int32)
claim(
    "in integers: 77/16 with each of the 16 noises sums to 77",
    integer_training.shift_right(counts, 4, noise).sum() == 77,
)

# %%
predict("accuracy with weights of 8 bits whose updates are rounded to nearest, 4 epochs", unit="%")

# %%
perceptrons, changed, scores = {}, {}, {}
for bits, rounding in ((16, "nearest"), (8, "nearest"), (8, "stochastic")):
    perceptron = integer_training.IntegerMLP(bits=bits, rounding=rounding, seed=0)
    name = f"{bits} bits, {rounding}"
    changed[name] = integer_training.train(perceptron, pictures.train.images, pictures.train.labels, epochs=4)
    scores[name] = integer_training.accuracy(perceptron, pictures.validation.images, pictures.validation.labels)
    perceptrons[name] = perceptron

# %% [markdown]
# Beside them the same perceptron in float: the same first weights, loss, rate and batches of 128.

# %%
weights = [w.float() / 2**15 for w in integer_training.IntegerMLP(bits=16, seed=0).weights]
weights = [w.requires_grad_() for w in weights]
optimizer, order = torch.optim.SGD(weights, lr=2**-9), torch.Generator().manual_seed(1)


def in_float(images):
    return (((images.flatten(1) >> 1).float() - 36) / 2**7 @ weights[0]).relu() @ weights[1]


count = len(pictures.train)
for _ in range(4):
    for at in torch.randperm(count, generator=order)[: count // 128 * 128].view(-1, 128):
        wanted = nn.functional.one_hot(pictures.train.labels[at], 10)
        optimizer.zero_grad()
        ((in_float(pictures.train.images[at]) - wanted).square().sum() / 2).backward()
        optimizer.step()
right = in_float(pictures.validation.images).argmax(1) == pictures.validation.labels
scores["float"] = 100 * right.float().mean().item()

# %%
stored = integer["stored"]
fig, (left, right) = plots.figure(ncols=2)
for (name, shares), color in zip(changed.items(), (plots.REFERENCE, plots.ORANGE, plots.BLUE), strict=True):
    smooth = torch.tensor(shares).view(-1, 20).mean(1)
    left.plot(range(20, len(shares) + 1, 20), smooth.clamp(min=1e-5), color=color, label=name)
left.set(yscale="log", xlabel="step", ylabel="share of weights that a step changes", title="updates that arrive")
left.legend(fontsize=8)
for rounding, color in (("nearest", plots.ORANGE), ("stochastic", plots.BLUE)):
    plots.band(right, stored["bits"], list(zip(*stored[rounding], strict=True)), rounding, color)
right.set(xlabel="bits of the stored weights", ylabel="test accuracy, %", title="after 4 epochs in integers (recorded)")
right.legend()
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
for name, score in scores.items():
    print(f"{name:19} {score:.1f} % of the validation pictures")
reveal(
    "accuracy with weights of 8 bits whose updates are rounded to nearest, 4 epochs",
    scores["8 bits, nearest"],
    scores["8 bits, nearest"] - 2,
    scores["8 bits, nearest"] + 2,
    because="Large gradients, those of the first steps, still move weights; then about one weight in a thousand or fewer "
    "moves at a step, and learning stands still though the gradient does not vanish.",
)

# %%
last = {name: sum(shares[-140:]) / 140 for name, shares in changed.items()}
claim(
    "every tensor of the perceptron is made of integers",
    {w.dtype for w in perceptrons["8 bits, stochastic"].weights} == {torch.int16},
)
claim(
    "in the last epoch, to nearest, a step changes fewer than 1 in 500 weights of 8 bits",
    last["8 bits, nearest"] < 0.002,
)
claim("stochastically more than five times as many", last["8 bits, stochastic"] > 5 * last["8 bits, nearest"])
claim("stochastic rounding gains more than 8 points", scores["8 bits, stochastic"] - scores["8 bits, nearest"] > 8)
claim(
    "8 bits, stochastic, are within 3 points of the same perceptron in float",
    abs(scores["8 bits, stochastic"] - scores["float"]) < 3,
)
nearest, stochastic = ([sum(row) / len(row) for row in stored[rounding]] for rounding in ("nearest", "stochastic"))
claim("recorded: to nearest 8 bits lose more than 10 points against 16", nearest[-1] - nearest[0] > 10)
claim("stochastically less than 1.5", stochastic[-1] - stochastic[0] < 1.5)

# %% [markdown]
# From 12 bits on it makes no difference: the updates are large enough for the steps. Below, rounding to nearest loses
# the more the fewer bits there are, and stochastic rounding loses next to nothing. Each of its errors is larger, up to
# a whole step, but they have no common direction, and hundreds of updates average them away. In few bits an unbiased
# error does less harm than a smaller one that always says no.

# %% [markdown]
# ## 8. Deep Compression: the smallest file
#
# So far every weight kept its place and its own number of bits. Deep Compression (Han, Mao & Dally 2016) asks for
# less: how few bytes does a file need from which the network can be made again? It puts three ideas in a row.
#
# 1. **Prune.** What is zero needs no value. (But the file must say *where* the others are.)
# 2. **Share.** The weights that are left take one of a few values, 8 say. The file holds these 8 in a *code book*, and
#    3 bits for each weight.
# 3. **Code.** Frequent numbers get short bit strings, rare ones long strings.
#
# The authors made LeNet-5 39 times smaller, AlexNet 35 times and VGG-16 49 times, without losing accuracy. How far
# does `MyNet` go, if it may lose half a point?

# %%
predict("how many times smaller the file of MyNet becomes at half a point lost", unit="×")

# %% [markdown]
# ### Shared values
#
# Here is the first linear layer after one cut that leaves a tenth of all weights (lesson 01). Pruning by magnitude has
# torn a hole around zero. A grid follows the range and not the weights: of its seven values with 3 bits one lies in the
# hole, and four lie where hardly a weight is. Better: let the values go where the weights are. That is *k-means*: each
# weight belongs to the nearest centroid, each centroid moves to the mean of its weights, until nothing moves any more.
# The paper tries three starts: centroids evenly spaced over the range (linear), each with as many weights (density),
# or at weights drawn by lot (random).

# %%
cut = pruning.make_permanent(pruning.magnitude_prune(copy.deepcopy(net), pruning.count_weights(net)[1] // 10))
left = cut.classifier[0].weight.detach()
left = left[left != 0]


def error(values):
    return float((left - values).square().mean().sqrt())


on_grid = quantization.fake_quantize(left, quantization.grid_of(left, bits=3))
found = {init: deep_compression.kmeans(left, 8, init=init) for init in ("linear", "density", "random")}
rows = {"grid": on_grid.unique()} | {f"k-means, {init}": centroids for init, (centroids, _) in found.items()}
errors = [error(on_grid)] + [error(centroids[labels]) for centroids, labels in found.values()]

fig, (top, ax) = plots.figure(nrows=2, figsize=plots.SIZE, sharex=True, gridspec_kw={"height_ratios": [3, 2]})
top.hist(left.tolist(), bins=120, color="0.75")
top.set(title="what is left of the first linear layer, and 8 values for it", ylabel="how many")
for place, ((name, values), color) in enumerate(zip(rows.items(), plots.PALETTE, strict=False)):
    ax.plot(values, [place] * len(values), "|", color=color, markersize=11, markeredgewidth=2.5)
    ax.text(0.19, place, f"{name}: error {errors[place]:.4f}", color=color, va="center", fontsize=9)
ax.set(xlabel="weight", xlim=(-0.19, 0.33), ylim=(3.6, -0.6), yticks=[])
plots.finish(fig)

# %%
claim("no weight of the layer lies within 0.025 of zero", left.abs().min() > 0.025)
claim(
    "fewer than 3 in 100 lie beyond 0.1, where the grid has four of its seven values",
    (left.abs() > 0.1).float().mean() < 0.03,
)
claim("k-means errs less than half as much as a grid of 3 bits", 2 * max(errors[1:]) < errors[0])
claim("the three starts end within 2 % of each other", max(errors[1:]) < 1.02 * min(errors[1:]))

# %% [markdown]
# The paper found the linear start best, because it puts centroids at the few large weights, which matter most. Here it
# makes no difference: k-means runs until it stands still, and from all three starts it stands still at nearly the same
# place. (It need not: with 4 centroids the random start ends in a worse place than the others. k-means finds *a*
# minimum.)

# %%
four = {init: deep_compression.kmeans(left, 4, init=init) for init in ("linear", "density", "random")}
four = {init: error(centroids[labels]) for init, (centroids, labels) in four.items()}
claim("with 4 centroids, the random start errs at least a tenth more", four["random"] > 1.1 * four["linear"])
claim("and the other two agree", abs(four["density"] / four["linear"] - 1) < 0.01)

# %% [markdown]
# ### Training what is shared
#
# k-means knows weights, not the loss. So the centroids are trained, with the network around them. The weight is a
# lookup, $w_i = c_{\ell_i}$, and by the chain rule a centroid's gradient is the *sum* over all weights that share it
# (equation 3 of the paper):
#
# $$\frac{\partial L}{\partial c_k} = \sum_{i:\,\ell_i = k} \frac{\partial L}{\partial w_i}.$$
#
# **Exercise (3 points).** The gradient of each centroid; the label of a pruned weight is −1.


# %% exercise="by_hand.centroid_gradient"
def centroid_gradient(gradient, labels, clusters):
    """gradient float [out, in], labels int64 [out, in], −1 where pruned → float [clusters]."""
    ### BEGIN SOLUTION
    kept = labels >= 0
    return torch.zeros(clusters).index_add(0, labels[kept], gradient[kept])
    ### END SOLUTION


# %%
check("by_hand.centroid_gradient", centroid_gradient)

# %% [markdown]
# torch has no such layer, but a place for it: `torch.nn.utils.parametrize` computes a weight from other parameters,
# here from the centroids. Autograd then finds the sum by itself:

# %%
centroid_gradient = yours_or_ours("by_hand.centroid_gradient")
shared = deep_compression.share_weights(copy.deepcopy(cut), bits=3)
layer = shared.classifier[0]
lookup, centroids = layer.parametrizations.weight[0], layer.parametrizations.weight.original
with parametrize.cached():  # inside, layer.weight is computed once
    layer.weight.retain_grad()
    logits = shared(pictures.to_input(pictures.train.images[:64]))
    nn.functional.cross_entropy(logits, pictures.train.labels[:64]).backward()
    by_hand = centroid_gradient(layer.weight.grad, lookup.labels, len(centroids))
claim("autograd's gradient of the centroids is the sum by hand", torch.allclose(by_hand, centroids.grad, atol=1e-5))
trained_numbers = sum(parameter.numel() for parameter in shared.parameters())
claim("eight values in each of four layers and 186 biases are all that is trained", trained_numbers == 4 * 8 + 186)

# %% [markdown]
# 218 numbers instead of 268,650, and yet a little training helps:

# %%
validated = training.evaluate(net, pictures.validation, pictures)
lost = {"one cut": points_lost(cut, pictures.validation, validated)}
lost["shared"] = points_lost(shared, pictures.validation, validated)
training.fit(
    shared,
    pictures,
    epochs=1,
    optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=2e-3),
    train=pictures.train[:6000],
    description="training the centroids",
)
lost["trained"] = points_lost(shared, pictures.validation, validated)

# %% tags=["nbval-ignore-output"]
for name, points in lost.items():
    print(f"{name}: {points} points lost on the validation pictures")

# %%
claim(
    "8 values a layer cost less than 3 points more than the cut", lost["shared"].estimate - lost["one cut"].estimate < 3
)
won = lost["shared"].estimate - lost["trained"].estimate
claim("a third of an epoch of training these 218 numbers wins at least half a point", won >= 0.5)

# %% [markdown]
# ### Huffman's code
#
# Eight values need 3 bits each, if all are equally frequent. They are not: after one cut there are many weights near
# the hole and few far out. With shares $p_k$, no code that gives each symbol its own bits needs fewer bits a symbol on
# average than the *entropy*,
#
# $$H = \sum_k p_k \log_2 \frac{1}{p_k},$$
#
# and Huffman's stays within one bit of it. It joins the two rarest symbols into a group, whose codes then differ in
# one bit, puts the group back among the others, and goes on until one group is left. Every join makes the codes of all
# its members one bit longer.
#
# **Exercise (4 points).** How many bits does the whole message take?


# %% exercise="by_hand.huffman_bits"
def huffman_bits(counts):
    """Bits in all. counts: list of int, how often each symbol occurs, 0 for one that does not → int."""
    ### BEGIN SOLUTION
    groups, total = [count for count in counts if count], 0
    heapq.heapify(groups)
    while len(groups) > 1:
        joined = heapq.heappop(groups) + heapq.heappop(groups)
        heapq.heappush(groups, joined)
        total += joined
    return total
    ### END SOLUTION


# %%
check("by_hand.huffman_bits", huffman_bits)

# %% [markdown]
# The same code serves for the positions. A list of positions is a list of *gaps*: how many zeros to skip before the
# next weight. Small gaps are frequent, and a long gap is cut in pieces by a symbol that means "so many zeros, and go
# on". Only the lengths of the codes go into the file: sort the symbols by length, let each code be the one before plus
# one, with a 0 appended for every bit that it is longer (a *canonical* code), and the reader can make the same code
# again. In the figure on the right the lone last bar is the symbol for "go on".

# %%
huffman_bits = yours_or_ours("by_hand.huffman_bits")
places = (lookup.labels.flatten() >= 0).nonzero().flatten().numpy()
gaps = deep_compression.gap_symbols(places, longest=63)
counted = {
    "values": lookup.labels[lookup.labels >= 0].bincount(minlength=8).numpy(),
    "gaps": np.bincount(gaps, minlength=64),
}
bits_each = {name: np.dot(counts, huffman.code_lengths(counts)) / counts.sum() for name, counts in counted.items()}

fig, axes = plots.figure(ncols=2)
for ax, (name, counts), fixed in zip(axes, counted.items(), (3, 6), strict=True):
    ax.bar(range(len(counts)), counts / counts.sum(), color="0.8")
    ax.set(xlabel={"values": "number of the centroid", "gaps": "zeros to skip"}[name], ylabel="share (grey)")
    with plots.style():
        bits = ax.twinx()
    bits.plot(huffman.code_lengths(counts), "o", color=plots.BLUE, markersize=4)
    bits.axhline(fixed, color=plots.ORANGE, linewidth=1.2)
    bits.set_ylabel("bits: Huffman (dots), fixed (line)")
    bits.set(ylim=(0, None))
    bits.grid(False)
    ax.set_title(f"{name}: {fixed} bits each, Huffman {bits_each[name]:.2f}", fontsize="medium")
plots.finish(fig)

# %%
for name, counts in counted.items():
    claim(
        f"{name}: the mean length is the entropy or up to one bit more",
        huffman.entropy(counts) <= bits_each[name] <= huffman.entropy(counts) + 1,
    )
    claim(
        f"{name}: your bits are the library's", huffman_bits(counts.tolist()) == round(bits_each[name] * counts.sum())
    )
claim("the gaps come back as the same positions", np.array_equal(deep_compression.kept_positions(gaps, 63), places))

# %% question="by_hand.why_huffman_last"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("by_hand.why_huffman_last", choice)

# %% [markdown]
# ### The file
#
# Now all of it, with patience: prune to 90 %, 95 %, 98 %, 99 %, three epochs of training after each cut; share in 4 or
# 3 bits; train the centroids for an epoch; code. That takes about ten minutes on one core, so it is recorded; with
# `LIVE = True` at the top it runs here, and `nnopt record deep_compression` remakes the file. Of all networks that lose
# at most half a point *on the validation pictures*, interval included, the smallest is part of the recording. Read it
# back:

# %%
sweep = recorded("deep_compression", live=LIVE)["result"]
smallest = sweep["smallest"]
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "mynet.bin")
    file.write_bytes(base64.b64decode(smallest["file"]))
    tiny = deep_compression.load(file, models.MyNet())
    parts = deep_compression.save(tiny, Path(folder, "again.bin"))
    claim(
        "saved again, it is the same file, byte for byte", Path(folder, "again.bin").read_bytes() == file.read_bytes()
    )
    coded_bytes = file.stat().st_size
float_bytes = measure.disk_bytes(net)
factor = float_bytes / coded_bytes
lost_tiny = points_lost(tiny)
claim("all parts together are the file", sum(parts.values()) == coded_bytes)

# %% tags=["nbval-ignore-output"]
print(f"float32 {float_bytes:,} bytes, coded {coded_bytes:,} bytes: {lost_tiny} points lost")
reveal(
    "how many times smaller the file of MyNet becomes at half a point lost",
    factor,
    because="The factors multiply: 50 times fewer weights, and instead of 32 bits less than 3 for the value of each "
    "and 5 to 6 for its position. So much can go because nearly all weights of MyNet are in one layer, far larger than "
    "this task needs.",
)

# %%
claim("the file is at least 49 times smaller than the float32 file", factor >= 49)
claim("the loss on the test pictures is at most half a point, its interval included", lost_tiny.high <= 0.5)

# %% [markdown]
# Where have the bytes gone? The same network in three stages: pruned, with four bytes for each weight that is left and
# one byte for each gap; shared, with 3 or 4 bits for each weight; and Huffman coded, gaps and all.

# %%
weights = {name: module.weight.detach().flatten() for name, module in pruning.prunable(tiny).items()}
kept = sum(int((weight != 0).sum()) for weight in weights.values())
gap_bytes = sum(len(deep_compression.gap_symbols(w.nonzero().flatten().numpy(), 255)) for w in weights.values())
rest = parts["header"] + parts["biases"]
stages = {
    "pruned": {"values": 4 * kept, "positions": gap_bytes, "code books and tables": 0, "biases and shapes": rest},
    "shared": {
        "values": smallest["bits"] * kept / 8,
        "positions": gap_bytes,
        "code books and tables": parts["code books"],
        "biases and shapes": rest,
    },
    "Huffman coded": {
        "values": parts["values"],
        "positions": parts["positions"],
        "code books and tables": parts["code books"] + parts["Huffman tables"],
        "biases and shapes": rest,
    },
}
gzipped = measure.disk_bytes(tiny, compressed=True)

names = [*stages, "gzip of the float32 file"]
fig, ax = plots.figure()
for color, part in zip(plots.PALETTE, stages["pruned"], strict=False):
    before = [sum(list(stage.values())[: list(stage).index(part)]) for stage in stages.values()]
    ax.barh(names[:3], [stage[part] for stage in stages.values()], left=before, color=color, label=part)
ax.barh(names[3], gzipped, color="0.75")
for place, size in enumerate([*(sum(stage.values()) for stage in stages.values()), gzipped]):
    ax.text(size, place, f"  {size:,.0f} bytes, {float_bytes / size:.0f}×", va="center")
ax.invert_yaxis()
ax.legend(loc="lower right")
ax.set(
    xlabel="bytes",
    title=f"the smallest file, against {float_bytes:,} bytes",
    xlim=(0, 1.3 * sum(stages["pruned"].values())),
)
plots.finish(fig)

# %% [markdown]
# The positions take more than the values, before the coding and after it: to say *which* fiftieth of the weights is
# left takes about 7 bits a weight (the entropy of the choice, divided by the share that is left), to say which of eight
# values each has, less than 3. That is the price of choosing weights freely, wherever they stand. Huffman's code saves
# more than a quarter of the positions and little of the values: unlike after the one cut above, the trained centroids
# are used nearly equally often. gzip, which knows nothing of networks, finds the repeated zeros and values by itself,
# and needs about twice the bytes.

# %%
share = kept / pruning.count_weights(net)[1]
choice_bits = huffman.entropy([kept, pruning.count_weights(net)[1] - kept]) / share
claim("more bytes go to positions than to values", parts["positions"] > parts["values"])
claim(
    "the positions take fewer bits a weight than a random choice would need",
    8 * parts["positions"] / kept < choice_bits,
)
claim("coding saves more than a quarter of the bytes for the positions", parts["positions"] < 0.75 * gap_bytes)
claim("and less than a sixth of those for the values", parts["values"] > 5 / 6 * stages["shared"]["values"])
claim("gzip needs at least 1.5 times as many bytes", gzipped > 1.5 * coded_bytes)

# %% [markdown]
# (Why fewer than a random choice? The weights that are left are not spread evenly. More than a third of the inputs of
# the first linear layer, most of them at the edge of the picture, have lost all of their weights, and Huffman's code
# for the gaps finds that.)

# %%
by_input = (weights["classifier.0"] != 0).reshape(128, 32, 8, 8).sum(0)
at_edge = 1 - by_input[:, 1:-1, 1:-1].sum() / by_input.sum()
claim("more than a third of the 2,048 inputs have no weight left", (by_input == 0).float().mean() > 1 / 3)
claim("by chance it would be less than three in ten", (1 - 1 / 2048) ** int(by_input.sum()) < 0.3)
claim("28 of 64 places are at the edge, and hold less than a third of the weights", at_edge < 1 / 3)

# %% [markdown]
# And accuracy? On the left each file of the sweep, on the right what each stage costs with 3 bits; points are means of
# three seeds, bars go from the worst to the best. The grey band is the dense network, trained on for as long; the
# dashed line is the network that ships.

# %%
sweep_numbers = {stage: np.array(sweep[stage]) for stage in ("dense", "cut", "pruned", "shared", "trained", "bytes")}
dense, coded_sizes = sweep_numbers["dense"], sweep_numbers["bytes"].mean(0)


def with_bars(ax, x, runs, **look):
    middle = runs.mean(0)
    ax.errorbar(x, middle, [middle - runs.min(0), runs.max(0) - middle], fmt="o-", markersize=4, capsize=2, **look)


fig, (left_ax, right_ax) = plots.figure(ncols=2)
for place, bits in enumerate(sweep["bits"]):
    color = plots.PALETTE[place]
    with_bars(left_ax, coded_sizes[:, place], sweep_numbers["trained"][:, :, place], color=color, label=f"{bits} bits")
for sparsity, size in zip(sweep["sparsities"], coded_sizes[:, 0], strict=True):
    left_ax.annotate(f"{sparsity:.0%}", (size, 91.1), ha="center", fontsize=8)
left_ax.axvline(float_bytes / 49, color=plots.GREEN, linestyle=":")
left_ax.annotate(
    "49 times\nsmaller", (float_bytes / 49, 84.3), xytext=(-5, 0), textcoords="offset points", ha="right", fontsize=8
)
left_ax.set(xscale="log", xlabel="bytes of the file", ylabel="test accuracy, %", title="size against accuracy")
ticks = [5_000, 10_000, 20_000, 30_000]
left_ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
left_ax.minorticks_off()
places = range(len(sweep["sparsities"]))
stages_shown = {
    "cut": sweep_numbers["cut"],
    "trained": sweep_numbers["pruned"],
    "shared": sweep_numbers["shared"][:, :, 1],
    "trained again": sweep_numbers["trained"][:, :, 1],
}
for offset, ((name, runs), color) in enumerate(zip(stages_shown.items(), plots.PALETTE[::-1], strict=False)):
    with_bars(right_ax, [place + 0.1 * offset for place in places], runs, color=color, label=name)
right_ax.set_xticks(places, [f"{sparsity:.0%}" for sparsity in sweep["sparsities"]])
right_ax.set(xlabel="share of weights removed", title="stage by stage")
right_ax.set_xlim(-1.6, 3.5)
for ax in (left_ax, right_ax):
    ax.axhspan(dense.min(), dense.max(), color="0.85", zorder=0)
    ax.axhline(sweep["before"], color=plots.REFERENCE, linestyle="--", linewidth=1)
    ax.set(ylim=(84, 91.5))
    ax.legend(fontsize=8, loc="lower left" if ax is right_ax else "lower center")
plots.finish(fig)

# %% [markdown]
# So there are two answers. Against the network that ships, the smallest file loses nothing: what pruning and sharing
# cost, the training gave back. But the training alone makes the dense network better, by about a point and a half.
# Against *that* one, 95 % and 3 bits, 80 times smaller, cost about half a point; the smallest file, 170 times smaller,
# costs more than one, and 99 % nearly three. Always ask what a compressed network is compared with.
#
# Sharing is nearly free: from the pruned network to 8 values a layer, trained, it is less than a third of a point. And
# the paper's 35 to 49 times are for other networks and other tasks: MyNet, with nearly all of its weights in one
# layer, was an easy victim. No factor says anything without the network that it was measured on.

# %%
means = {stage: runs.mean(0) for stage, runs in sweep_numbers.items()}
trained_on = means["dense"].mean()
at = {sparsity: place for place, sparsity in enumerate(sweep["sparsities"])}
eight = means["trained"][:, sweep["bits"].index(3)]
claim(
    "one layer has more than 97 % of the weights",
    net.classifier[0].weight.numel() / pruning.count_weights(net)[1] > 0.97,
)
claim("training alone makes the dense network 1 to 2 points better", 1 < trained_on - sweep["before"] < 2)
claim("95 % and 3 bits cost less than 0.8 points against it", trained_on - eight[at[0.95]] < 0.8)
claim("at 80 times smaller", round(float_bytes / means["bytes"][at[0.95], 1], -1) == 80)
claim(
    "98 % cost 1 to 2 points against it, 99 % more than 2",
    1 < trained_on - eight[at[0.98]] < 2 < trained_on - eight[at[0.99]],
)
claim("sharing 8 values costs less than a third of a point, once trained", (means["pruned"] - eight).max() < 1 / 3)

# %% [markdown]
# ## 9. Everything on one picture
#
# What did each way cost and bring? Bytes are counted as a file would need them: the weights at their bits, a float for
# each scale and bias; for Deep Compression they are the bytes on disk. All networks are `MyNet`. Compare each with the
# float network that was trained as long: as shipped for those that were not trained, an epoch more for LSQ and binary,
# the dense one of section 8 for Deep Compression. (LSQ has activations with as few bits as weights, binary 8 bits, the
# others floats.)

# %%
layers = [layer for layer in net.modules() if isinstance(layer, quantization.QUANTIZABLE)]
inner = sum(layer.weight.numel() for layer in layers[1:-1])
ends = layers[0].weight.numel() + layers[-1].weight.numel()
others = 4 * (sum(layer.bias.numel() for layer in layers) + 2 * len(layers))


def bytes_at(bits, end_bits=None):
    """Of all weights at `bits`, the first and the last layer at `end_bits`, with biases and a scale a tensor."""
    return (inner * bits + ends * (end_bits or bits)) / 8 + others


post, trained = bits_after, integer


def mean(values):
    return sum(values) / len(values)


ways = {
    "rounded to nearest": [(bytes_at(b), mean(a)) for b, a in zip(post["bits"], post["nearest"], strict=True)],
    "AdaRound": [(bytes_at(b), mean(a)) for b, a in zip(post["bits"], post["AdaRound"], strict=True)],
    "trained, LSQ": [(bytes_at(b, 8), mean(a)) for b, a in zip(trained["bits"], trained["lsq"], strict=True)],
    "binary": [(bytes_at(1, 8), mean(trained["binary"]))],
    "Deep Compression, 3 bits": [
        (size, accuracy) for size, accuracy in zip(means["bytes"][:, 1], means["trained"][:, 1], strict=True)
    ],
}
fig, ax = plots.figure()
for (name, points), color in zip(ways.items(), plots.PALETTE, strict=False):
    ax.plot(*zip(*points, strict=True), "o-", color=color, label=name)
ax.plot(float_bytes, tested.accuracy, "s", color=plots.REFERENCE, label="float, shipped")
ax.plot(float_bytes, mean(trained["float"]), "^", color=plots.REFERENCE, label="float, an epoch more")
ax.plot(float_bytes, trained_on, "D", color=plots.REFERENCE, label="float, as long as Deep Compression")
ax.set(xscale="log", xlabel="bytes", ylabel="test accuracy, %", ylim=(80, 91))
ax.legend(fontsize=8, loc="lower right")
plots.finish(fig)

# %%
lsq = dict(zip(trained["bits"], trained["lsq"], strict=True))
nearest = dict(zip(post["bits"], post["nearest"], strict=True))
claim(
    "on 8 and 4 bits the trained integers are within half a point of the trained floats",
    all(abs(mean(lsq[b]) - mean(trained["float"])) < 0.5 for b in (8, 4)),
)
claim("with 2 bits they lose less than a point and a half", mean(trained["float"]) - mean(lsq[2]) < 1.5)
claim("rounded to nearest, 2 bits leave less than a third", mean(nearest[2]) < 33)
claim("one bit a weight, trained, loses less than two points", mean(trained["float"]) - mean(trained["binary"]) < 2)
claim("eight bits are 3.9 to 4 times smaller than float32", 3.9 < float_bytes / bytes_at(8) < 4)

# %% [markdown]
# ## Summary
#
# | | |
# |---|---|
# | grid | $r = s(q - z)$; zero exactly; a bit is worth 6 dB |
# | granularity | one scale a filter is free in the arithmetic, and saves networks whose filters differ |
# | activations | their range is an estimate: calibrate, and mind outliers |
# | integer-only | int8 products, int32 sums, a multiplier and a shift; nothing lost that could be felt |
# | powers of two | the article's function, repaired: shifts in place of products; as good as a grid with 3 bits, not with more |
# | after training | correct the biases, equalise, learn the rounding: what 3 bits lose, they mostly bring back |
# | in training | straight through the rounding, with learned steps: 2 bits, even 1 |
# | integer gradients | without stochastic rounding, small steps vanish |
# | Deep Compression | prune, share, code: the smallest file |
#
# Nothing in this lesson was faster than float32 by itself, except where real integer kernels did the products. That is
# the subject of lesson 08.
#
# **What practice uses today.** 8 bits for weights and activations, a scale per channel, static calibration: the default
# of ONNX Runtime, OpenVINO, TensorRT and TensorFlow Lite. 4-bit weights in groups of 32 to 128 for large language
# models (GPTQ, AWQ, llama.cpp's formats), where memory is the limit. torchao has `Int4WeightOnlyConfig`,
# `Int8DynamicActivation…` and quantisation-aware training; `torch.ao.quantization` is deprecated.
#
# **Further reading.** Jacob et al., *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
# Inference* (CVPR 2018) · Krishnamoorthi, *Quantizing deep convolutional networks for efficient inference* (2018) ·
# Nagel et al., *A White Paper on Neural Network Quantization* (2021) · Esser et al., *Learned Step Size Quantization*
# (ICLR 2020) · Han, Mao & Dally, *Deep Compression* (ICLR 2016) · Gupta et al., *Deep Learning with Limited Numerical
# Precision* (ICML 2015).
#
# **Next:** `08_integers_for_real.ipynb`. Engines with integer kernels, and what they really gain.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
