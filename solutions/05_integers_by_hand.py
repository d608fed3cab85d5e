# %% [markdown]
# # Integers by hand
#
# A network's weights take 32 bits each because training produced them that way, not because the network needs that much
# precision. In this lesson you will
#
# - put weights and activations (the values between the layers) on grids of integers, at any number of bits, and see how
#   few values are enough;
# - run a network from the first tensor to the last without a single float, and measure what that costs;
# - repair the quantisation function of the article that this course grew out of, so that it turns weights into powers
#   of two.
#
# The lesson is arithmetic that you can follow with a pencil. A good place for a break is after section 3. (When you
# come back, choose *Run All Above Selected Cell* in the Run menu.) You only need to know Python and the basics of
# PyTorch.

# %% tags=["fold", "side-by-side"]
# Imports: where the names of this lesson come from
import copy

import torch
from IPython.display import display
from torch import nn

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.lessons.integers_by_hand.playground import quantization_playground
from nnopt_lab.techniques import quantization
from nnopt_lab.techniques.convolutions import folding
from nnopt_lab.techniques.quantization import (
    integer_layers,
    integer_network,
    observers,
    requantization,
)
from nnopt_lab.techniques.quantization.activation_ranges import calibrate
from nnopt_lab.techniques.quantization.activation_rounding import round_activations
from nnopt_lab.workbench import data, diagrams, measure, models, plots, training
from nnopt_lab.workbench.tables import Table

# %%
lesson("05_integers_by_hand")

# %% [markdown]
# The network of this lesson is `MyNet`, already trained: two convolutions and two linear layers that sort pictures of
# clothes (Fashion-MNIST, padded to 32×32 pixels, in three equal colour channels) into ten classes. Of its 268,650
# parameters, 262,272 are in the first linear layer.

# %%
pictures = data.load("fashion")
net = models.trained("mynet")
measure.layer_table(net, pictures.to_input(pictures.test.images[:1]))

# %% [markdown]
# You will compare many versions of it with the original. *Points lost* are percentage points of accuracy, with a 95 %
# confidence interval. Both networks see the same pictures, so the interval depends only on the pictures that exactly
# one of them gets right. Variants are compared on the *validation* pictures; final results are measured on the *test*
# pictures.

# %%
tested = training.evaluate(net, pictures.test, pictures)


def points_lost(model, split=pictures.test, reference=tested):
    """Accuracy lost against the float network, in points, with a 95 % interval."""
    accurate = training.evaluate(model, split, pictures).correct
    return measure.proportion_difference(accurate, reference.correct)


print(f"The float network: {tested.accuracy:.1f} % of the test pictures are correct.")

# %% [markdown]
# ## 1. A grid
#
# A number of $b$ bits can take $2^b$ values. To let them stand for real numbers, lay a *grid* over the range you need:
#
# $$ r = s\,(q - z), \qquad q \in \{0, \dots, 2^b - 1\}. $$
#
# The integer $q$ is stored, and $r$ is the real number it stands for. The *scale* $s$ is the width of one step. The
# *zero point* $z$ is the integer that stands for $0$ ([Jacob et al. 2018](https://arxiv.org/abs/1712.05877), equation
# 1). This is an *affine* grid. A *symmetric* grid has $z = 0$ and runs from $-(2^{b-1}-1)$ to $2^{b-1}-1$. It is
# simpler to multiply with, but wastes integers when the values lean to one side.
#
# Take one filter of the first convolution, 27 weights (3 channels of 3×3), and lay both kinds of grid over them, at 3
# bits. `fake_quantize` rounds each weight to the nearest value of its grid; the result is still a float:

# %%
filter_weights = net.features[0].weight.detach()[3].flatten()
grids = {
    "affine": quantization.grid_of(filter_weights, 3, symmetric=False),
    "symmetric": quantization.grid_of(filter_weights, 3),
}
on_grid = {
    name: quantization.fake_quantize(filter_weights, grid)
    for name, grid in grids.items()
}

# %% tags=["fold"]
# Plot: weights and their grid
fig, axes = plots.figure(nrows=2, sharex=True, height=3)
for ax, (name, grid) in zip(axes, grids.items(), strict=True):
    integers = torch.arange(grid.low, grid.high + 1, dtype=grid.dtype)
    ticks = quantization.dequantize(integers, grid)
    pairs = zip(filter_weights.tolist(), on_grid[name].tolist(), strict=True)
    for before, after in pairs:
        ax.plot([before, after], [1, 0], color=plots.BLUE, alpha=0.5, linewidth=0.8)
    ax.plot(filter_weights, torch.ones(27), "o", color=plots.BLUE, markersize=4)
    ax.plot(
        ticks,
        torch.zeros(len(ticks)),
        "|",
        color=plots.ORANGE,
        markersize=16,
        markeredgewidth=2,
    )
    for tick, integer in zip(ticks.tolist(), integers.tolist(), strict=True):
        ax.text(
            tick,
            -0.75,
            str(integer).replace("-", "−"),
            ha="center",
            va="center",
            color=plots.ORANGE,
            fontsize=9,
        )
    ax.plot([0, 0], [-0.4, 1.4], "--", color=plots.REFERENCE, linewidth=0.8)
    ax.set(yticks=[], ylim=(-1.2, 1.4), ylabel=name)
    ax.grid(False)
axes[-1].set_xlabel("weight (blue: as trained, orange: the grid with its integers)")
plots.finish(
    fig,
    "Weights above, lines from each to the nearest tick of the grid below: the affine "
    "grid has eight ticks, the symmetric one seven.",
)

# %% [markdown]
# What to see: each weight (blue) moves to the nearest tick (orange). Both grids have a tick exactly at zero (dashed),
# and the symmetric grid, below, has one tick fewer.
#
# Zero must be on the grid exactly. To ensure this, first widen the range to include zero, then round the zero point to
# an integer.
#
# **Exercise (3 points).** Compute the scale and the zero point of an affine grid.


# %% exercise="by_hand.scale_and_zero_point"
def scale_and_zero_point(smallest, largest, bits):
    """The affine grid that covers zero and smallest to largest.

    Returns (scale, zero point): a float and an int.

    >>> scale_and_zero_point(-1.0, 2.0, 2), scale_and_zero_point(1.0, 3.0, 2)
    ((1.0, 1), (1.0, 0))
    """
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
# **Exercise (2 points).** Put numbers on the grid: round $x/s$, *then* add the zero point. Round halves to even, as
# torch does (0.5 to 0, 1.5 to 2). Values outside the grid saturate: they become its first or last integer.


# %% exercise="by_hand.quantize"
def quantize(x, scale, zero_point, bits):
    """Integers from 0 to 2^bits − 1 that stand for x: int64, in the shape of x.

    >>> quantize(torch.tensor([-9.0, 0.0, 0.5, 9.0]), 1.0, 1, 2)
    tensor([0, 1, 1, 3])
    """
    ### BEGIN SOLUTION
    integers = (x / scale).round() + zero_point
    return integers.clamp(0, 2**bits - 1).to(torch.int64)
    ### END SOLUTION


# %%
check("by_hand.quantize", quantize)

# %% [markdown]
# Your two functions quantise the largest layer of the network:

# %%
scale_and_zero_point = yours_or_ours("by_hand.scale_and_zero_point")
quantize = yours_or_ours("by_hand.quantize")
weight = net.classifier[0].weight.detach()
scale, zero_point = scale_and_zero_point(weight.min().item(), weight.max().item(), 8)
integers = quantize(weight, scale, zero_point, 8)
mine = scale * (integers - zero_point)
print(f"{weight.numel():,} weights, {integers.unique().numel()} different integers")

# %% tags=["fold"]
# Claims: the grid compared with the library's
theirs = torch.fake_quantize_per_tensor_affine(weight, scale, zero_point, 0, 255)
grid = quantization.grid_of(weight, 8, symmetric=False)
claim(
    "The scale and the zero point are those of the library.",
    abs(scale / grid.scale - 1) < 1e-5 and abs(zero_point - grid.zero_point) <= 1,
)
claim(
    "Of 262,144 weights, fewer than 10 are rounded differently by torch's operator.",
    ((mine - theirs).abs() > scale / 2).sum() < 10,
)
claim(
    "The library's grid agrees with torch's operator bit for bit.",
    torch.equal(
        quantization.fake_quantize(weight, grid),
        torch.fake_quantize_per_tensor_affine(
            weight, grid.scale, grid.zero_point, 0, 255
        ),
    ),
)

# %% [markdown]
# ## 2. How many bits, how many grids
#
# What does rounding do to the weights? Inside the range, the rounding error is at most half a step, and all sizes up to
# that are about equally frequent. The *signal-to-noise ratio* compares the weights $w$ of a layer with their errors:
# $10\log_{10}(\sum w^2 / \sum \text{error}^2)$, in decibels (dB). The higher it is, the better.

# %% question="by_hand.decibels"
answer = None
### BEGIN SOLUTION
answer = 15
### END SOLUTION
question("by_hand.decibels", answer)

# %% [markdown]
# A layer may have more than one grid. With a single grid (*per tensor*), one large weight widens the steps for all
# others. With one grid per filter (*per channel*; in a linear layer, a filter is the weights of one output) or per 16
# consecutive weights of a filter (*per group*), a large weight harms only the weights that share its grid. One grid per
# channel costs almost nothing in the arithmetic: the whole sum of a filter has one scale, which is applied at the end.
# From here on, the weights' grids are symmetric.

# %%
granularities = {
    "one grid per layer": {"per": "tensor"},
    "one per filter": {"per": "channel"},
    "one per 16 inputs": {"per": "group", "group": 16},
}


def rounded(x, bits, how):
    return quantization.fake_quantize(x, quantization.grid_of(x, bits, **how))


def quantized(model, bits, how):
    return quantization.quantize_weights(copy.deepcopy(model), bits, **how)


# %% tags=["fold"]
# Plot: noise and accuracy over the bits
chosen_with = pictures.validation[:600]


def accuracy(model):
    return training.evaluate(model, chosen_with, pictures).accuracy


widths = (2, 3, 4, 5, 6, 7, 8)
decibels, accuracies = {}, {}
for name, how in granularities.items():
    versions = [rounded(weight, bits, how) for bits in widths]
    decibels[name] = [quantization.signal_to_noise(weight, x) for x in versions]
    accuracies[name] = [accuracy(quantized(net, bits, how)) for bits in widths]
before = accuracy(net)

fig, (left, right) = plots.figure(ncols=2)
plots.curves(left, widths, decibels)
plots.curves(right, widths, accuracies, reference=("float", before))
left.set(
    xlabel="bits per weight",
    ylabel="signal to noise, dB",
    title="the first linear layer",
)
right.set(
    xlabel="bits per weight",
    ylabel="validation accuracy, %",
    title="all weights of MyNet on grids",
)
plots.legend(fig)
plots.finish(
    fig,
    "Each bit adds about 6 dB, finer grids add more; accuracy is level from 4 bits "
    "on and falls below.",
    trained="y",
)

# %% [markdown]
# What to see: from 4 bits on, each bit adds about 6 dB, and so does each finer kind of grid (left). In spite of these
# differences, `MyNet` loses less than 1.5 points at 4 bits and more, with any of the grids (right).
#
# Other networks depend more on this *granularity*, that is, on how many weights share a grid. An example is the
# *teacher*, a larger network that comes with the course. It has batch norms, which multiply each channel by its own
# factor and add an offset. Usually they are *folded*: each filter's weights are multiplied by its factor in advance,
# the offset goes into the bias, and without the batch norm the network still computes the same function.
#
# How much accuracy does the folded teacher lose with 4-bit weights and one grid per layer?

# %%
predict(
    "accuracy that the folded teacher loses at 4 bits, one grid per layer",
    unit="points",
)

# %% tags=["nbval-ignore-output"]
teacher = folding.fold_batch_norm(models.trained("teacher"))
few = pictures.test[:600]
float_teacher = training.evaluate(teacher, few, pictures)
per_layer = points_lost(quantized(teacher, 4, {"per": "tensor"}), few, float_teacher)
per_filter = points_lost(quantized(teacher, 4, {"per": "channel"}), few, float_teacher)

# %% tags=["nbval-ignore-output"]
# Answer: accuracy lost at 4 bits by the folded teacher
reveal(
    "accuracy that the folded teacher loses at 4 bits, one grid per layer",
    per_layer.estimate,
    per_layer.low,
    per_layer.high,
    because="Folding multiplies each filter by its batch norm's factor, and in the "
    "first layer these factors differ widely. The largest filter sets the step for "
    "all of them, so one filter loses more than 85 % of its weights to 0. One grid "
    "per filter repairs most of this.",
)

# %% [markdown]
# Compare the filters of the teacher's first layer before and after folding:

# %% tags=["fold"]
# Plot: ranges and rounded weights by filter
unfolded, folded = models.trained("teacher").stem[0].weight, teacher.stem[0].weight


def reach(weight):
    """Largest weight of each filter, relative to the layer's largest, sorted."""
    largest = weight.detach().flatten(1).abs().amax(1)
    return (largest / largest.max()).sort().values


def rounded_away(weight, per):
    """Share of each filter's weights that 4 bits round to 0, sorted."""
    is_zero = rounded(weight, 4, {"per": per}) == 0
    return is_zero.flatten(1).float().mean(1).sort(descending=True).values


fig, (left, right) = plots.figure(ncols=2)
filters = range(32)
left.plot(reach(unfolded), "o", color=plots.REFERENCE, markersize=4, label="as trained")
left.plot(reach(folded), "o", color=plots.PURPLE, markersize=4, label="folded")
left.set(ylabel="largest weight ÷ largest of the layer", ylim=(0, 1.05))
plots.curves(
    right,
    filters,
    {
        "one grid per layer": rounded_away(folded, "tensor"),
        "one per filter": rounded_away(folded, "channel"),
    },
)
right.set(ylabel="share of weights that 4 bits round to 0", ylim=(0, 1.05))
plots.percent_axis(right.yaxis)
for ax in (left, right):
    ax.set_xlabel("the 32 filters of the first layer, sorted")
    plots.legend(ax)
plots.finish(
    fig,
    "After folding, the filters' ranges differ much more; one grid per layer rounds "
    "most weights of some filters to 0.",
)

# %% [markdown] tags=["tells"]
# What to see: on the left, the ranges of the filters differ much more after folding (purple) than before (grey). On the
# right, with one grid per layer (blue), one folded filter loses more than 85 % of its weights to zero; with one grid
# per filter (orange), none loses half of them.
#
# Scales take space, too. At 8 bits the weights take a quarter of their 32 bits, and the scales come on top. One float
# per filter is negligible, but one for every 16 weights adds 2 bits per weight. So groups of 16 at 2 bits really cost 4
# bits per weight, and for those 4 bits `MyNet` does better with a single grid per layer. Groups pay off where 4 bits
# with one grid per filter lose too much, as they do in large language models.

# %% tags=["fold"]
# Table: bits per weight with its share of the scales
layers = [m.weight for m in net.modules() if isinstance(m, quantization.QUANTIZABLE)]
weights = sum(w.numel() for w in layers)


def bits_per_weight(bits, how):
    """Bits of a weight with its share of the scales, 32 bits each."""
    scales = sum(quantization.grid_of(w, bits, **how).scale.numel() for w in layers)
    return bits + 32 * scales / weights


Table(
    [[name, f"{bits_per_weight(4, how):.2f}"] for name, how in granularities.items()],
    ["grids of 4 bits", "bits per weight"],
)

# %% tags=["fold"]
# Claims: bits and grids
slopes = [(curve[-1] - curve[2]) / 4 for curve in decibels.values()]
stem_only = copy.deepcopy(teacher)
with torch.no_grad():
    stem_only.stem[0].weight.copy_(rounded(folded, 4, {"per": "tensor"}))
stem_lost = points_lost(stem_only, few, float_teacher)
per_layer_db, per_filter_db, per_group_db = (db[-1] for db in decibels.values())
claim(
    "From 4 to 8 bits, each bit adds 5.5 to 6.7 dB.",
    all(5.5 < slope < 6.7 for slope in slopes),
)
claim(
    "At 4 bits and more, MyNet loses less than 1.5 points with any of the grids.",
    all(before - a < 1.5 for curve in accuracies.values() for a in curve[2:]),
)
claim(
    "At 4 bits, one grid per layer costs the folded teacher more than 4 points.",
    per_layer.low > 4,
)
claim(
    "One grid per filter is worth at least 5.5 dB, about one bit.",
    per_filter_db - per_layer_db > 5.5,
)
claim(
    "One grid per 16 inputs is worth at least 5.5 dB more than one per filter.",
    per_group_db - per_filter_db > 5.5,
)
claim(
    "At 2 bits with one grid per layer, MyNet keeps less than half its accuracy.",
    accuracies["one grid per layer"][0] < 50,
)
claim(
    "One grid per layer at 4 bits is more accurate than groups of 16 at 2 bits.",
    accuracies["one grid per layer"][2] > accuracies["one per 16 inputs"][0],
)
claim(
    "One grid per filter avoids more than half of the teacher's loss.",
    per_filter.high < per_layer.estimate / 2,
)
claim(
    "More than half of the teacher's loss comes from its first layer alone.",
    stem_lost.estimate > per_layer.estimate / 2,
)
claim(
    "After folding, half of the filters stay below a third of the largest weight.",
    reach(folded).median() < 1 / 3,
)
claim(
    "Before folding, no filter reaches less than a quarter of the largest weight.",
    reach(unfolded).min() > 1 / 4,
)
claim(
    "With one grid per layer, a filter loses more than 85 % of its weights to 0.",
    rounded_away(folded, "tensor").max() > 0.85,
)
claim(
    "With one grid per filter, no filter loses half of its weights to 0.",
    rounded_away(folded, "channel").max() < 0.5,
)
claim(
    "A scale per filter adds 0.02 bits per weight, and one per 16 inputs adds 2.",
    round(bits_per_weight(4, {"per": "channel"}) - 4, 2) == 0.02
    and round(bits_per_weight(4, {"per": "group", "group": 16}) - 4, 1) == 2,
)

# %% [markdown]
# ## 3. Activations
#
# Weights are fixed, so their range is known. Activations depend on the picture. So you send a few hundred pictures
# through the float network, record each layer's output, and choose a range from what you see. This is *calibration*,
# and the object that records the outputs and chooses the range is an *observer*. The range need not cover everything: a
# value beyond its end is *clipped* to the end. Five kinds of observers are in common use:
#
# | observer | range |
# |---|---|
# | min-max | the smallest and the largest value seen |
# | moving average | a running average of each batch's smallest and largest value; a new batch counts 1 % |
# | percentile | everything but the outermost values, here 0.1 % at each end |
# | MSE (mean squared error) | the range with the smallest mean squared error, of rounding and clipping |
# | entropy | the range whose rounded histogram stays closest to the original (smallest Kullback-Leibler divergence) |
#
# **Exercise (2 points).** Implement the moving average, which needs to remember only two numbers.


# %% exercise="by_hand.moving_average"
def moving_average(lows, highs, constant):
    """The range (low, high) after all batches, two floats.

    lows, highs: lists of float, the smallest and the largest value of each batch in
    order. The first batch sets the range. Each later batch moves both ends, by
    `constant` times their distance to that batch's own ends.

    >>> moving_average([0.0, -4.0], [2.0, 4.0], 0.25)
    (-1.0, 2.5)
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

# %% [markdown]
# The last three observers in the table may clip some large values on purpose. The error of a clipped value has no
# bound. In exchange, every value inside the range gets a finer step.
#
# Watch the outputs of the first ReLU for 200 pictures. Where does each observer end the range at 4 bits? And how does
# the mean squared error depend on where the range ends, at 3 to 8 bits?

# %%
moving_average = yours_or_ours("by_hand.moving_average")
OBSERVERS = {
    "min-max": observers.MinMax,
    "moving average": observers.MovingAverage,
    "percentile": lambda bits: observers.Percentile(99.9, bits),
    "MSE": observers.MeanSquaredError,
    "entropy": observers.Entropy,
}

# %% tags=["fold"]
# Numbers: the first ReLU's outputs, as each observer sees them
first_pictures = pictures.to_input(pictures.train.images[:200])
batches = [first_pictures[:100], first_pictures[100:]]
with torch.inference_mode():
    rectified = [net.features[:2](batch) for batch in batches]


def watched(observer):
    """An observer that has seen the first ReLU's outputs."""
    for values in rectified:
        observer.update(values)
    return observer


# %%
ends = {name: watched(make(4)).range()[1] for name, make in OBSERVERS.items()}
candidates = torch.linspace(0.2, ends["min-max"], 120)
errors = {}
for bits in (8, 6, 4, 3):
    observer = watched(observers.MeanSquaredError(bits))
    squared = observer.errors(torch.zeros(120), candidates)
    errors[bits] = squared / observer.counts.sum()

# %% tags=["fold"]
# Plot: activations, and the error by the end of the range
fig, (left, right) = plots.figure(ncols=2, height=3.8)
counts = observer.counts.view(-1, 64).sum(1)
left.stairs(counts / counts.sum(), observer.edges[::64], fill=True, color=plots.PALE)
# Ends that coincide stay visible, because each line is lower than the one before.
colors = dict(zip(ends, plots.PALETTE, strict=False))
by_end = sorted(ends.items(), key=lambda item: -item[1])
for (name, end), height in zip(by_end, (0.97, 0.86, 0.75, 0.64, 0.53), strict=True):
    color = colors[name]
    on_axes = left.get_xaxis_transform()
    left.plot([end, end], [0, height], color=color, transform=on_axes, label=name)
    left.plot(end, height, plots.marker_of(color), color=color, transform=on_axes)
    place = {"xytext": (-8, 0), "textcoords": "offset points", "ha": "right"}
    left.annotate(name, (end, height), xycoords=on_axes, va="center", **place)
left.set(
    yscale="log",
    xlabel="value (zeros are left out)\nlines: ends at 4 bits",
    ylabel="share of values",
)
for (bits, error), color in zip(errors.items(), plots.PALETTE, strict=False):
    right.plot(candidates, error, color=color, label=f"{bits} bits")
    marker = plots.marker_of(color)
    right.plot(candidates[error.argmin()], error.min(), marker, color=color)
right.set(
    yscale="log", xlabel="end of the range (dot: the best)", ylabel="mean squared error"
)
plots.name_lines(right)
plots.finish(
    fig,
    "Min-max ends the range at the largest activation, the other observers earlier; "
    "the error is lowest further left at fewer bits.",
    trained="y",
)

# %% [markdown]
# What to see: on the left, min-max and moving average end the range at or near the largest value; percentile, MSE and
# entropy end it earlier, where values are already rare. (The lines differ in height, because some almost coincide.)
# On the right, the fewer bits there are, the further left the best end lies (the dots).
#
# To the left of its dot a curve rises because more values are clipped, to the right because the step grows. One more
# bit divides the squared rounding error by four, but leaves the clipping error as it is. So the fewer bits there are,
# the more clipping pays off.
#
# Now something goes wrong. One of the 200 pictures is 20 times too bright: a broken sensor, a wrong unit, or a file
# that somebody normalised twice. The network was not trained on so bright a picture and will not be tested on one; it
# appears only during calibration. All outputs of ReLUs are put on 4-bit grids, with the min-max range. How much
# accuracy does that one picture cost?

# %%
predict("accuracy lost to one bad picture among 200, min-max, 4 bits", unit="points")


# %%
def calibrated(batches, name, bits):
    """Evaluate the network with grids that the named observer chose."""
    grids = calibrate(net, batches, lambda: OBSERVERS[name](bits), (nn.ReLU,))
    model = copy.deepcopy(net).to(memory_format=torch.channels_last)  # pools faster
    return training.evaluate(round_activations(model, grids), chosen_with, pictures)


# %%
bad = [batches[0], torch.cat([batches[1][:99], 20 * batches[1][99:]])]
results = {
    (seen, bits, name): calibrated(calibration, name, bits)
    for seen, calibration in (("clean", batches), ("one bad picture", bad))
    for bits in (8, 4)
    for name in OBSERVERS
}
lost = measure.proportion_difference(
    results["one bad picture", 4, "min-max"].correct,
    results["clean", 4, "min-max"].correct,
)

# %% tags=["nbval-ignore-output"]
# Answer: accuracy lost to one bad picture among 200, min-max, 4 bits
reveal(
    "accuracy lost to one bad picture among 200, min-max, 4 bits",
    lost.estimate,
    lost.low,
    lost.high,
    because="The ranges became 10 to 17 times as wide, and so did the steps. Of the 15 "
    "steps above zero, one or two are left for all the values of ordinary pictures. "
    "Min-max goes by the largest value, and a single bad one is enough.",
)

# %% tags=["fold"]
# Plot: accuracy by observer, with and without a bad picture
percent = {key: result.accuracy for key, result in results.items()}
fig, axes = plots.figure(ncols=2, height=4, sharex=True, sharey=True)
for ax, bits in zip(axes, (8, 4), strict=True):
    series = {
        seen: {name: before - percent[seen, bits, name] for name in OBSERVERS}
        for seen in ("clean", "one bad picture")
    }
    plots.grouped_bars(ax, series, reference=0, labels="{:z.1f}")
    ax.set(title=f"{bits} bits", xlabel="points lost")
plots.legend(fig)
plots.finish(
    fig,
    "At 8 bits all observers keep the accuracy; at 4 bits a bad picture costs "
    "min-max most.",
    trained="x",
)

# %% [markdown] tags=["tells"]
# What to see: at 8 bits (left), the choice hardly matters, because 256 values leave room for a range that is far too
# wide. At 4 bits (right), it matters just as little with clean pictures (blue). With the bad picture (orange), min-max
# loses more than 15 points, MSE fewer, and the other three less than 3.
#
# Min-max is at the mercy of one value. In the moving average, the batch with the bad picture counts 1 %, unless it
# comes first and so sets the range. Entropy and the percentile look at shares of all values. MSE is in between: an
# outlier's error counts squared, so the range with the smallest error still stretches towards the outlier.
#
# No observer knows what a value is *for*. A rare large activation may distinguish a boot from a sneaker, and a
# percentile clips it all the same. So try a few observers and compare their accuracy on the validation pictures.

# %% question="by_hand.outlier"
answer = None
### BEGIN SOLUTION
answer = 16
### END SOLUTION
question("by_hand.outlier", answer)

# %% tags=["fold"]
# Claims: observers
best = {bits: float(candidates[error.argmin()]) for bits, error in errors.items()}
cost = {bits: float(error[-1] / error.min()) for bits, error in errors.items()}
both = ("clean", "one bad picture")
robust = ("moving average", "percentile", "entropy")
claim(
    "The fewer bits there are, the lower the best end of the range.",
    best[8] > best[6] > best[4] > best[3],
)
claim("At 4 bits, the bad picture costs min-max more than 15 points.", lost.low > 15)
claim(
    "At 4 bits, the bad picture costs moving average, percentile and entropy less than "
    "3 points.",
    min(percent["one bad picture", 4, n] - percent["clean", 4, n] for n in robust) > -3,
)
claim(
    "With the bad picture at 4 bits, MSE loses less than min-max and more than the "
    "three others.",
    percent["one bad picture", 4, "min-max"]
    < percent["one bad picture", 4, "MSE"]
    < min(percent["one bad picture", 4, name] for name in robust),
)
clean_grids, bad_grids = (
    calibrate(net, seen, lambda: observers.MinMax(4), (nn.ReLU,))
    for seen in (batches, bad)
)
grew = [
    float(bad_grids[name].scale / clean_grids[name].scale)
    for name, layer in net.named_modules()
    if isinstance(layer, nn.ReLU)
]
claim(
    "The bad picture makes min-max's ranges 10 to 17 times as wide.",
    10 < min(grew) < max(grew) < 17,
)
claim(
    "At 8 bits, the best end lies above 80 % of the largest value.",
    best[8] > 0.8 * ends["min-max"],
)
claim(
    "At 3 bits, the best end lies below 70 % of the largest value.",
    best[3] < 0.7 * ends["min-max"],
)
claim(
    "At 3 bits, ending at the largest value has more than twice the smallest error.",
    cost[3] > 2,
)
claim(
    "At 8 bits, ending at the largest value has less than twice the smallest error.",
    cost[8] < 2,
)
claim(
    "At 4 bits, percentile, MSE and entropy end the range earlier than moving average "
    "and min-max.",
    max(ends[n] for n in ("percentile", "MSE", "entropy"))
    < min(ends[n] for n in ("moving average", "min-max")),
)
claim(
    "At 8 bits, no observer loses 2 points, even with the bad picture.",
    min(percent[seen, 8, name] for seen in both for name in OBSERVERS) > before - 2,
)
claim(
    "At 4 bits without the bad picture, no observer loses 2 points.",
    min(percent["clean", 4, name] for name in OBSERVERS) > before - 2,
)

steps = [
    calibrate(net, order, lambda: observers.MovingAverage(4), (nn.ReLU,))
    for order in (bad, bad[::-1])
]
bad_last, bad_first = (grids["features.1"].scale for grids in steps)
claim(
    "With the bad batch first, the moving average's range is 10 times as wide.",
    bad_first > 10 * bad_last,
)

watching, seen = observers.MovingAverage(), []
for brightness in (1, 2, 3, 4, 5):
    pixels = first_pictures * brightness
    watching.update(pixels)
    seen.append(pixels.aminmax())
mine = moving_average(
    *([float(end) for end in side] for side in zip(*seen, strict=True)), 0.01
)
claim(
    "The moving average gives the range of the library's.",
    torch.allclose(torch.tensor(mine), torch.tensor(watching.range())),
)

# %% [markdown]
# ## 4. A network without floats
#
# So far, values were only *rounded* to grids: the arithmetic still used floats. Now the arithmetic uses integers, too.
# Put the weights of a layer on a symmetric grid, $w = s_w q_w$, and its inputs on an affine one, $x = s_x (q_x - z_x)$.
# Then multiply out, and round the bias $b$ to an integer as well:
#
# $$\sum w\,x + b \approx s_w s_x \Big(\sum q_w\,(q_x - z_x) + q_b\Big), \quad q_b = \mathrm{round}\big(b / (s_w s_x)\big).$$
#
# The large bracket contains only integers. A product of two 8-bit numbers takes 16 bits. A sum of thousands of products
# takes more, so it is kept in 32 bits, and it is *exact*: nothing is rounded, in whatever order you add. The bias is
# stored in 32 bits as well, at the scale of the sum, because two integers can only be added if they count in the same
# unit.
#
# The next layer needs 8 bits again, on its own grid with scale $s_y$ and zero point $z_y$:
#
# $$q_y = z_y + \mathrm{round}\Big(\tfrac{s_w s_x}{s_y} \cdot \text{sum}\Big).$$
#
# The whole way of a layer:

# %% tags=["fold"]
# Diagram: a layer in integers
diagrams.integer_pipeline()

# %% [markdown]
# What to see: only the left column is float. The weights become int8 once, before the network runs, and the input of the
# network becomes uint8 (0 to 255) when it arrives. From then on, each layer reads uint8 and writes uint8.
#
# One real number remains, $M = s_w s_x / s_y$, usually far below 1. It is known in advance, so you can write it as an
# integer divided by a power of two, $M \approx m / 2^n$. Multiplying by $M$ then takes one integer product and a shift
# to the right by $n$ bits ([Jacob et al. 2018](https://arxiv.org/abs/1712.05877), section 2.2).
#
# **Exercise (3 points).** Find $m$ and $n$ such that $m$ uses all of its bits: each bit left unused would double the
# error that rounding $m$ makes.


# %% exercise="by_hand.fixed_point"
def fixed_point(real, bits):
    """Integers (multiplier, shift) such that real ≈ multiplier / 2^shift.

    real is a float above 0 and below ½. The multiplier has exactly `bits` bits.

    >>> fixed_point(0.375, 2), fixed_point(0.375, 4)
    ((3, 3), (12, 5))
    """
    ### BEGIN SOLUTION
    shift = 0
    while real < 2 ** (bits - 1):
        real, shift = 2 * real, shift + 1
    return round(real), shift
    ### END SOLUTION


# %%
check("by_hand.fixed_point", fixed_point)

# %% [markdown]
# **Exercise (3 points).** Now *requantise* with them: turn the int32 sums into the uint8 values of the next layer,
# without floats.


# %% exercise="by_hand.requantize"
def requantize(sums, multiplier, shift, zero_point):
    """sums int32 [N] → uint8 [N], the integers of the next layer.

    Round sums · multiplier / 2^shift to the nearest integer, halves upwards. Add the
    zero point, and let the result saturate. All arguments but sums are ints:
    multiplier from 2^30 to 2^31 − 1, shift from 1 to 62, zero_point from 0 to 255.

    >>> requantize(torch.tensor([-3, 2, 3, 999], dtype=torch.int32), 2**30, 31, 10)
    tensor([  9,  11,  12, 255], dtype=torch.uint8)
    """
    ### BEGIN SOLUTION
    scaled = (sums.long() * multiplier + (1 << (shift - 1))) >> shift
    return (scaled + zero_point).clamp(0, 255).to(torch.uint8)
    ### END SOLUTION


# %%
check("by_hand.requantize", requantize)

# %% [markdown]
# An integer network needs nothing else. ReLU clamps at the zero point, and on a grid whose zero point is 0, saturation
# does that already. Max-pooling takes the largest of four numbers, which works for integers as well. The course's
# library converts the whole network, with the grids found by calibration:

# %%
fixed_point = yours_or_ours("by_hand.fixed_point")
requantize = yours_or_ours("by_hand.requantize")
grids = calibrate(net, batches)
network = integer_network.convert(net, grids)

images = pictures.test.images[:256]
batch = pictures.to_input(images)  # pads 28×28 pixels to 32×32
q = quantization.quantize(batch, network.source)  # onto the grid of the input

# %% [markdown]
# Follow one picture through the first convolution: bytes in, exact 32-bit sums, bytes again, and finally the largest of
# every four bytes.

# %%
first = network.layers[0]
with torch.inference_mode():
    one_picture = q[:1].transpose(0, 1)  # these layers take [channels, pictures, …]
    sums_of_one = first.sums(one_picture)
multiplier, shift = first.multiplier[..., None, None], first.shift[..., None, None]
after = requantization.requantize(
    sums_of_one, multiplier, shift, int(first.zero_points[1])
)
pooled = nn.functional.max_pool2d(after.double(), 2).to(torch.uint8)

# %% tags=["fold"]
# Plot: a picture on its way through the integers
channel = 11  # a filter that shows much
steps = {
    "picture\nuint8": q[0, 0],
    f"sums of filter {channel}\nint32": sums_of_one[channel, 0],
    "requantised, ReLU\nuint8": after[channel, 0],
    "pooled\nuint8": pooled[channel, 0],
}
fig, axes = plots.figure(ncols=4, height=2.9)
for ax, (title, values) in zip(axes, steps.items(), strict=True):
    cmap = "RdBu_r" if values.min() < 0 else "gray"
    shown = plots.matrix(ax, values, title, cmap)
    ax.set_aspect("equal")
    low, high = (round(float(end)) for end in shown.get_clim())
    ends = [0, high] if low < 0 else [low, high]
    bar = fig.colorbar(shown, ax=ax, orientation="horizontal", pad=0.03, ticks=ends)
    bar.ax.get_xticklabels()[-1].set_horizontalalignment("right")
plots.finish(
    fig,
    "The same shoe at four stages of integer arithmetic: its pixels, the sums of one "
    "filter, and the shape that is left after requantising and pooling.",
    trained="xy",
)

# %% [markdown]
# What to see: from left to right, the integers show the same picture at every stage. The frame in the second and third
# panels comes from the convolution's padding. It pads with 0.0, which in the normalised pictures is the mean grey,
# while the background is black.
#
# The library pools the *sums* and requantises afterwards. Requantising preserves order, so it can come before or after
# a maximum with the same result. After the pooling, only a quarter of the numbers have to be requantised.
#
# Is there really no float left? PyTorch can report every operation. `measure.Dtypes` collects the dtypes of all tensors
# that operations read or write between the bytes of the pictures and the bytes of the answer:

# %%
with measure.Dtypes() as dtypes:
    logits = network.integers(q)
print(*sorted(map(str, dtypes.seen)), sep=", ")

# %% [markdown]
# Every weight, every activation and every logit (the network's score for a class) is now rounded to 8 bits. How much
# accuracy is lost on the test pictures?

# %%
predict("accuracy lost by the integer-only network", unit="points")

# %%
in_integers = training.evaluate(network, pictures.test, pictures)
lost_in_integers = measure.proportion_difference(in_integers.correct, tested.correct)

# %% tags=["nbval-ignore-output"]
# Answer: accuracy lost by the integer-only network
reveal(
    "accuracy lost by the integer-only network",
    lost_in_integers.estimate,
    lost_in_integers.low,
    lost_in_integers.high,
    because="Rounding errors of thousands of products have different signs and largely "
    "cancel. On average, what remains moves a logit by less than a hundredth of the "
    "logits' range. Only pictures whose two best logits are close change their class.",
)

# %% question="by_hand.largest_sum"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("by_hand.largest_sum", choice)

# %% [markdown]
# And the time? Compare the integer network with the float network as it is, with the float network in the layout that
# suits it best (each pixel's channels next to each other, *channels last*), and with the four integer matrix products
# that the integer network contains, one per layer:

# %% tags=["fold"]
# Numbers: the operands of each layer
by_pixel = copy.deepcopy(net).to(memory_format=torch.channels_last)


def channels_last(x):
    return by_pixel(x.to(memory_format=torch.channels_last))


operands = []
with torch.inference_mode():
    flowing = q.transpose(0, 1)
    for layer in network.layers:
        if isinstance(layer, integer_layers.IntegerLayer):
            shape = layer.weight.shape[1], layer.sums(flowing)[0].numel()
            columns = torch.randint(-128, 128, shape, dtype=torch.int8)
            operands.append((layer.weight, columns))
        flowing = layer(flowing)

# %% tags=["nbval-ignore-output"]
timings = measure.latency(
    {
        "float32": net,
        "float32, channels last": channels_last,
        "integers": network,
        "products alone": lambda x: [torch._int_mm(a, b) for a, b in operands],
    },
    batch,
    rounds=12,
    budget_seconds=2.5,
)

# %% tags=["fold", "nbval-ignore-output"]
# Table: the integer network's time compared with the others'
rows = [
    [name, measure.ratio(timings[name], timings["integers"])]
    for name in ("float32", "float32, channels last")
]
display(Table(rows, ["compared with", "the integer network"]))
around = measure.ratio(timings["integers"], timings["products alone"])
print(f"the integer network takes {around.median:.1f} times its products' time")

# %% [markdown]
# What to see: the last line compares the time of the whole network with that of its products.

# %% [markdown]
# The products come from `torch._int_mm`, which multiplies int8 matrices into int32, with the processor's integer
# instructions if it has them. The rest is bookkeeping: collecting the inputs of each filter position, adding the bias,
# the 64-bit product, the shift and the clamp, each in a separate pass through memory. An *inference engine*, a program made to run networks fast, does all of that in the
# product's inner loop, while the sums are still inside the processor. Lesson 08 is about such engines, and their
# arithmetic is the one you have just written. On a microcontroller without floating-point hardware, where every float
# operation takes a whole subroutine, integers win in any case.

# %% tags=["fold"]
# Claims: the network without floats
inside = q[:, 0, 2:-2, 2:-2]
hidden = network.layers[3]  # the first linear layer
with torch.inference_mode():
    features = network.layers[:3](q.transpose(0, 1))  # [2048 inputs, 256 pictures]
    sums, answers = hidden.sums(features), hidden(features)
    pooled_by_library = first(q[:1].transpose(0, 1))
    in_float = net(batch)
    moved = (network(batch) - in_float).abs().mean() / (in_float.max() - in_float.min())
exact = hidden.weight.long() @ (features.long() - int(hidden.zero_points[0]))
constants = zip(hidden.multiplier, hidden.shift, strict=True)
mine = [
    requantize(sums[i], int(m), int(n), int(hidden.zero_points[1]))
    for i, (m, n) in enumerate(constants)
]
weight_grid = quantization.grid_of(net.classifier[0].weight, 8, per="channel")
scale_in, scale_out = grids["features.5"].scale, grids["classifier.1"].scale
factor = scale_in.double() * weight_grid.scale[7].item() / scale_out.double()
best_two = logits.sort(dim=1, descending=True).values
claim(
    "No tensor of the integer network is a float.",
    not any(dtype.is_floating_point for dtype in dtypes.seen),
)
claim(
    "The integer network loses less than half a point, interval included.",
    lost_in_integers.high < 0.5,
)
claim(
    "The integer network's file is 3.9 to 4 times smaller, scales and multipliers "
    "included.",
    3.9 < measure.disk_bytes(net) / measure.disk_bytes(network) < 4,
)
claim(
    "On the input's grid, a picture consists of its own bytes.",
    torch.equal(inside, images[:, 0]),
)
claim(
    "On the input's grid, black pixels are 0.", (inside[images[:, 0] == 0] == 0).all()
)
claim(
    "The convolution pads with the mean grey, so its zero point is not 0.",
    first.zero_points[0] > 0,
)
claim(
    "The 32-bit sums are equal to sums in 64 bits: nothing is rounded.",
    torch.equal(sums.long(), exact + hidden.bias),
)
claim(
    "The function requantize gives each of the 128 neurons its 8 bits.",
    all(torch.equal(a, b) for a, b in zip(mine, answers, strict=True)),
)
claim(
    "The function fixed_point gives a neuron its multiplier and its shift.",
    fixed_point(float(factor), 31) == (int(hidden.multiplier[7]), int(hidden.shift[7])),
)
claim(
    "Pooling before or after requantising gives the same bytes.",
    torch.equal(pooled_by_library, pooled),
)
claim(
    "On average, a logit moves by less than a hundredth of the logits' range.",
    moved < 0.01,
)
claim(
    "For more than 99 % of the pictures, both networks are right or both are wrong.",
    (in_integers.correct == tested.correct).float().mean() > 0.99,
)
claim(
    "Fewer than 4 % of 256 pictures have two best classes, because 8-bit logits tie.",
    (best_two[:, 0] == best_two[:, 1]).float().mean() < 0.04,
)

# %% [markdown]
# ## 5. Powers of two
#
# This course grew out of *the article*, a tutorial. Its program quantises its network with this function (shortened),
# called with 8 bits:
#
# ```python
# w = layer.weight.data.byte()
# w = 2 ** (w // 256)
# layer.weight = nn.Parameter(w)
# ```
#
# It cannot work. `.byte()` drops all fractions, and its result for a negative number is undefined. 256 does not fit
# into a byte. The number of bits is never used, and no scale is stored. But the last step, `2 ** (…)`, shows what it
# was meant to do: make the weights *powers of two*. That is an old and good idea ([Zhou et al.
# 2017](https://arxiv.org/abs/1702.03044)). A product with $2^e$ is a shift by $e$ bits, and a weight is stored as a
# sign and an exponent.
#
# **Exercise (3 points).** Repair the function: replace each weight by the nearest of the values $0$ and $\pm 2^e$.


# %% exercise="by_hand.powers_of_two"
def powers_of_two(weight, lowest, highest):
    """weight: float [N] → float [N], the nearest allowed value for each weight.

    Allowed are 0 and ±2^e, for integers e from lowest to highest.

    >>> powers_of_two(torch.tensor([-3.0, 0.2, 1.45]), -1, 1)
    tensor([-2.,  0.,  1.])
    """
    ### BEGIN SOLUTION
    powers = 2.0 ** torch.arange(lowest, highest + 1)
    values = torch.cat([-powers, torch.zeros(1), powers])
    return values[(weight[:, None] - values).abs().argmin(1)]
    ### END SOLUTION


# %%
check("by_hand.powers_of_two", powers_of_two)

# %% [markdown]
# With the article's 8 bits, a weight can be 0 or one of 127 powers of two with either sign. How many points does the
# network lose?

# %%
predict("accuracy lost with powers of two at 8 bits", unit="points")

# %%
powers_of_two = yours_or_ours("by_hand.powers_of_two")


def article(bits):
    """The network with each weight a power of two: the article's function, repaired."""
    model = copy.deepcopy(net)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, quantization.QUANTIZABLE):
                layer.weight.copy_(quantization.power_of_two(layer.weight, bits))
    return model


# %% tags=["fold", "nbval-ignore-output"]
# Answer: accuracy lost with powers of two at 8 bits
def even_grid(bits):
    return quantized(net, bits, {"per": "tensor"})


power_widths = (3, 4, 6, 8)
kinds = {"powers of two": article, "one grid per layer": even_grid}
half = pictures.test[:5_000]
float_half = training.evaluate(net, half, pictures)
made = {name: [make(bits) for bits in power_widths] for name, make in kinds.items()}
lost = {
    name: [points_lost(model, half, float_half) for model in models_made]
    for name, models_made in made.items()
}

reveal(
    "accuracy lost with powers of two at 8 bits",
    lost["powers of two"][-1].estimate,
    lost["powers of two"][-1].low,
    lost["powers of two"][-1].high,
    because="Powers of two are close together near zero, where no precision is needed, "
    "and far apart where the large weights are: those are off by up to a third, at "
    "any number of bits. More bits only add ever smaller powers.",
)


# %% tags=["fold"]
# Plot: powers of two and even grids over the bits
def noise_in(layer):
    """Signal to noise of a layer's weights, by kind: one number per width."""
    original = net.get_submodule(layer).weight
    return {
        name: [
            quantization.signal_to_noise(original, model.get_submodule(layer).weight)
            for model in models_made
        ]
        for name, models_made in made.items()
    }


noise = noise_in("classifier.0")
colors = {"powers of two": plots.PURPLE, "one grid per layer": plots.BLUE}
fig, (left, right) = plots.figure(ncols=2)
for name, color in colors.items():
    left.plot(power_widths, noise[name], "o-", markersize=4, color=color)
    plots.interval_line(right, power_widths, lost[name], name, color)
plots.reference_line(right, 0, across=True)
left.set(
    xlabel="bits per weight",
    ylabel="signal to noise, dB",
    title="the first linear layer",
)
right.set(
    xlabel="bits per weight", ylabel="points lost", title="MyNet, 5,000 test pictures"
)
plots.legend(fig)
plots.finish(
    fig,
    "Powers of two stop improving at 4 bits, an even grid gains with every bit; the "
    "points lost follow.",
    trained="y",
)

# %% [markdown] tags=["tells"]
# What to see: on the left, powers of two (purple) hardly improve beyond 4 bits, while an even grid (blue), which has
# equal steps as in the sections above, gains about 6 dB per bit. On the right, from 4 bits on, powers of two lose more
# points.
#
# In the large layer most weights are close to zero and a few are far out, which suits powers of two: at 3 and 4 bits
# they are closer to these weights than the even grid. In the three small layers the weights are spread more evenly, and
# at 4 bits the even grid is closer. Most of the loss comes from there: at 8 bits, powers of two cost more points in
# these three layers alone than in the large one alone. So the repaired function is as good as an even grid at 3 bits
# and worse from 4 bits on. On a chip without multipliers the shifts are worth it. On your processor a multiplication
# takes no longer than a shift: you only save bytes, and an even grid makes better use of them.

# %% tags=["fold"]
# Claims: powers of two
pot, even = noise["powers of two"], noise["one grid per layer"]
small = [noise_in(layer) for layer in ("features.0", "features.3", "classifier.2")]
weight = net.features[3].weight.detach()
by_ours = quantization.power_of_two(weight, 4)
highest = int(by_ours[by_ours != 0].abs().log2().max())
by_yours = powers_of_two(weight.flatten(), highest - 6, highest)
activations = torch.randint(-128, 128, (1000,), dtype=torch.int32)
exponents = torch.randint(0, 8, (1000,))
claim(
    "From 4 to 8 bits, powers of two gain less than 0.2 dB in the large layer.",
    pot[-1] - pot[1] < 0.2,
)
claim(
    "From 4 to 8 bits, an even grid gains more than 20 dB in the large layer.",
    even[-1] - even[1] > 20,
)
claim(
    "At 8 bits, powers of two lose 0.2 to 1.6 points.",
    0.2 < lost["powers of two"][-1].estimate < 1.6,
)
claim(
    "At 8 bits, an even grid loses less than 0.3 points.",
    lost["one grid per layer"][-1].high < 0.3,
)
claim(
    "At 3 and 4 bits, powers of two are closer to the large layer's weights.",
    pot[0] > even[0] and pot[1] > even[1],
)
claim(
    "At 4 bits, an even grid is closer to the weights of the three other layers.",
    all(db["powers of two"][1] < db["one grid per layer"][1] for db in small),
)


def lost_in(*names):
    """Points lost with powers of two at 8 bits in these layers alone."""
    model = copy.deepcopy(net)
    with torch.no_grad():
        for layer in map(model.get_submodule, names):
            layer.weight.copy_(quantization.power_of_two(layer.weight, 8))
    return points_lost(model, half, float_half).estimate


claim(
    "Powers of two cost less in the large layer alone than in the three others alone.",
    lost_in("classifier.0") < lost_in("features.0", "features.3", "classifier.2"),
)
three, *more = zip(lost["powers of two"], lost["one grid per layer"], strict=True)
claim(
    "At 3 bits, powers of two lose as much as an even grid, to within half a point.",
    abs(three[0].estimate - three[1].estimate) < 0.5,
)
claim(
    "From 4 bits on, powers of two lose more than an even grid.",
    all(powers.estimate > grid.estimate for powers, grid in more),
)
claim(
    "At 4 bits, the function gives the library's values.",
    torch.equal(by_yours.reshape(by_ours.shape), by_ours),
)
claim(
    "A product with a power of two is exactly a shift.",
    torch.equal(activations << exponents, activations * 2**exponents),
)

# %% [markdown]
# ## 6. Playground
#
# Choose a layer, a number of bits and a granularity. For each granularity, find the number of bits at which the
# accuracy of the whole network breaks down. Which single layer is to blame?

# %%
quantization_playground(net, pictures)

# %% [markdown]
# ## Summary
#
# You can put any tensor on a grid of integers, choose its range and granularity, and compute a network with integers
# alone:
#
# | topic | in short |
# |---|---|
# | grid | $r = s(q - z)$; zero is exact; each bit is worth 6 dB |
# | granularity | one scale per filter costs almost nothing, and rescues networks whose filters differ |
# | activations | their range is an estimate: calibrate, and beware of outliers |
# | integers only | 8-bit products, int32 sums, a multiplier and a shift; less than half a point lost |
# | powers of two | the article's function, repaired: as good as an even grid at 3 bits, worse at more |
#
# **In practice**, 8-bit weights with one scale per channel and 8-bit activations with one scale per tensor are what
# ONNX Runtime, OpenVINO, TensorRT and LiteRT (formerly TensorFlow Lite) use for convolutional networks.
#
# **Further reading.** [Jacob et al. 2018](https://arxiv.org/abs/1712.05877), integer-only inference ·
# [Krishnamoorthi 2018](https://arxiv.org/abs/1806.08342), a guide to quantising convolutional networks ·
# [Nagel et al. 2021](https://arxiv.org/abs/2106.08295), a white paper.
#
# **Next:** [06 Few bits](06_few_bits.ipynb) shows what you can do when rounding to the grid loses too much.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
