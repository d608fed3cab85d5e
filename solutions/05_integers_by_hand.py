# %% [markdown]
# # Integers by hand
#
# A weight needs 32 bits because it came out of training that way, not because the network needs them. In this lesson
# you will
#
# - put weights and activations on grids of whole numbers, of any width, and see how few values are enough;
# - run a network from the first tensor to the last without a single float, and lose nearly nothing;
# - repair the article's quantisation, whose weights are powers of two.
#
# It takes about an hour and a half. Everything here is arithmetic that you can follow with a pencil; lesson 08 hands
# the same ideas to engines that are fast.

# %% tags=["side-by-side"]
import copy

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

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
from nnopt_lab.workbench import data, measure, models, plots, training

lesson("05_integers_by_hand")

# %%
pictures = data.load("fashion")
net = models.trained("mynet")
tested = training.evaluate(net, pictures.test, pictures)


def points_lost(model, split=pictures.test, reference=tested):
    """Accuracy lost against the float network, in points, with its paired interval."""
    return measure.proportion_difference(
        training.evaluate(model, split, pictures).correct, reference.correct
    )


claim(
    "the float network is right on 87 to 91 % of the test pictures",
    87 < tested.accuracy < 91,
)

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
    ax.plot(
        ticks,
        torch.zeros(len(ticks)),
        "|",
        color=plots.ORANGE,
        markersize=16,
        markeredgewidth=2,
    )
    for tick, number in zip(ticks.tolist(), numbers.tolist(), strict=True):
        ax.text(
            tick,
            -0.75,
            number,
            ha="center",
            va="center",
            color=plots.ORANGE,
            fontsize=9,
        )
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
claim(
    "your grid is the library's",
    abs(scale / grid.scale - 1) < 1e-5 and abs(zero_point - grid.zero_point) <= 1,
)
claim(
    "the library agrees with torch's own operator bit for bit",
    torch.equal(
        quantization.fake_quantize(weight, grid),
        torch.fake_quantize_per_tensor_affine(
            weight, grid.scale, grid.zero_point, 0, 255
        ),
    ),
)
claim(
    "yours does but for a rounding or two in a hundred thousand",
    ((mine - theirs).abs() > scale / 2).sum() < 10,
)

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
    name: [
        quantization.signal_to_noise(weight, rounded(weight, bits, how))
        for bits in widths
    ]
    for name, how in granularities.items()
}
some = pictures.validation[:600]


def with_bits(bits, how):
    return quantization.quantize_weights(copy.deepcopy(net), bits, **how)


accuracies = {
    name: [
        training.evaluate(with_bits(bits, how), some, pictures).accuracy
        for bits in widths
    ]
    for name, how in granularities.items()
}
before = training.evaluate(net, some, pictures)

fig, (left, right) = plots.figure(ncols=2)
for (name, curve), color in zip(decibels.items(), plots.PALETTE, strict=False):
    left.plot(widths, curve, "o-", color=color, label=name)
    right.plot(widths, accuracies[name], "o-", color=color, label=name)
right.axhline(before.accuracy, color=plots.REFERENCE, linestyle="--", label="float")
left.set(
    xlabel="bits of the whole numbers",
    ylabel="signal to noise, dB",
    title="the first linear layer",
)
right.set(
    xlabel="bits of the whole numbers",
    ylabel="validation accuracy, %",
    title="MyNet, all weights on grids",
)
right.legend(fontsize=8)
plots.finish(fig)

# %%
slopes = [
    (curve[-1] - curve[2]) / (widths[-1] - widths[2]) for curve in decibels.values()
]
claim(
    "from 4 to 8 bits each bit brings 5.5 to 6.7 dB",
    all(5.5 < slope < 6.7 for slope in slopes),
)
claim(
    "a grid a filter is worth 6 dB, one bit",
    decibels["one a filter"][-1] - decibels["one grid a layer"][-1] > 5.5,
)
claim(
    "one for 16 inputs is worth 6 more",
    decibels["one for 16 inputs"][-1] - decibels["one a filter"][-1] > 5.5,
)
claim(
    "yet with 4 bits or more, MyNet loses less than 1.5 points with any of them",
    all(
        before.accuracy - accuracy < 1.5
        for curve in accuracies.values()
        for accuracy in curve[2:]
    ),
)
claim(
    "and with 2 bits with one grid a layer it is left with less than half",
    accuracies["one grid a layer"][0] < 50,
)

# %% [markdown]
# `MyNet` hardly notices the granularity at 4 bits. It has no batch norms. Take the *teacher*, the larger residual
# network that lesson 09 will learn from, and fold its batch norms into the convolutions: each one multiplies every
# filter by a factor of its own, and the filter's weights can as well be multiplied beforehand (lesson 02; exact). Ask
# again: how much of its accuracy is lost with 4-bit weights, one grid a layer?

# %%
predict(
    "accuracy that the folded teacher loses with 4 bits, one grid a layer",
    unit="points",
)

# %% tags=["nbval-ignore-output"]
teacher = folding.fold_batch_norm(models.trained("teacher"))
few = pictures.test[:600]
float_teacher = training.evaluate(teacher, few, pictures)
teacher_lost = {
    name: points_lost(
        quantization.quantize_weights(copy.deepcopy(teacher), 4, **how),
        few,
        float_teacher,
    )
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
    stem_only.stem[0].weight.copy_(
        rounded(teacher.stem[0].weight, 4, {"per": "tensor"})
    )
stem_lost = points_lost(stem_only, few, float_teacher)


def reach(weight):
    """Largest weight of each filter, as a share of the layer's largest, sorted."""
    largest = weight.detach().flatten(1).abs().amax(1)
    return (largest / largest.max()).sort().values


def rounded_away(weight, how):
    """Share of each filter's weights that 4 bits make 0, sorted from most to least."""
    return (
        (rounded(weight, 4, how) == 0)
        .flatten(1)
        .float()
        .mean(1)
        .sort(descending=True)
        .values
    )


unfolded, folded = models.trained("teacher").stem[0].weight, teacher.stem[0].weight
fig, (left, right) = plots.figure(ncols=2)
left.plot(reach(unfolded), "o-", markersize=4, color=plots.SKY, label="as trained")
left.plot(reach(folded), "o-", markersize=4, color=plots.ORANGE, label="folded")
left.set(
    ylabel="largest weight ÷ largest of the layer",
    ylim=(0, 1.05),
    title="reach of each filter",
)
right.plot(
    rounded_away(folded, {"per": "tensor"}),
    "o-",
    markersize=4,
    color=plots.ORANGE,
    label="folded, one grid a layer",
)
right.plot(
    rounded_away(folded, {"per": "channel"}),
    "o-",
    markersize=4,
    color=plots.BLUE,
    label="folded, one a filter",
)
right.set(
    ylabel="share of its weights that become 0", ylim=(0, 1.05), title="with 4 bits"
)
for ax in (left, right):
    ax.set_xlabel("the 32 filters of the first layer, sorted")
    ax.legend(fontsize=8)
plots.finish(fig)

# %%
claim(
    "with 4 bits, one grid a layer costs the teacher more than 4 points",
    teacher_lost["one grid a layer"].low > 4,
)
claim(
    "a grid a filter saves more than half of it",
    teacher_lost["one a filter"].high < teacher_lost["one grid a layer"].estimate / 2,
)
claim(
    "most of it is lost in the first layer alone",
    stem_lost.estimate > teacher_lost["one grid a layer"].estimate / 2,
)
claim(
    "folding left half of its filters below a third of the largest",
    reach(folded).median() < 1 / 3,
)
claim("before folding, none was below a quarter", reach(unfolded).min() > 1 / 4)
zeros = {how: rounded_away(folded, {"per": how}) for how in ("tensor", "channel")}
claim(
    "with one grid, its smallest filter loses more than 85 % of its weights to 0",
    zeros["tensor"].max() > 0.85,
)
claim("with one grid a filter no filter loses half", zeros["channel"].max() < 0.5)

# %% [markdown]
# What do the bytes say? Eight bits are a quarter of 32, and the scales come on top: one float a filter is nothing, one
# for every 16 weights is 2 bits a weight more. So the groups' 80 % or so with 2 bits are paid with 4, at which one grid
# a layer loses nothing. Groups earn their scales where a layer is too large for 4 bits to be enough, as in language
# models.

# %%
weights = sum(
    layer.weight.numel()
    for layer in net.modules()
    if isinstance(layer, quantization.QUANTIZABLE)
)


def bits_a_weight(bits, how):
    layers = [
        m.weight for m in net.modules() if isinstance(m, quantization.QUANTIZABLE)
    ]
    return (
        bits
        + 32
        * sum(quantization.grid_of(w, bits, **how).scale.numel() for w in layers)
        / weights
    )


claim(
    "a scale for each filter adds 0.02 bits to a weight",
    round(bits_a_weight(4, {"per": "channel"}) - 4, 2) == 0.02,
)
claim(
    "one for 16 inputs adds 2",
    round(bits_a_weight(4, {"per": "group", "group": 16}) - 4, 1) == 2,
)

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
mine = moving_average(
    [float(low) for low, _ in seen], [float(high) for _, high in seen], 0.01
)
claim(
    "your moving average is the library's",
    torch.allclose(torch.tensor(mine), torch.tensor(watching.range())),
)

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
batches = [
    pictures.to_input(pictures.train.images[start : start + 100]) for start in (0, 100)
]
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
for (name, end), color, style in zip(
    ends.items(), plots.PALETTE, ("-", ":", "--", "-.", "-"), strict=False
):
    left.axvline(end, label=name, color=color, linestyle=style)
left.set(
    yscale="log",
    xlabel="value",
    ylabel="share of values",
    title="first ReLU, ends with 4 bits",
)
left.set_xlim(0, 2 * ends["min-max"])
left.legend(fontsize="small", loc="upper right")
for (bits, error), color in zip(errors.items(), plots.PALETTE, strict=False):
    right.plot(candidates, error, color=color, label=f"{bits} bits")
    right.plot(candidates[error.argmin()], error.min(), "o", color=color)
right.set(
    yscale="log",
    xlabel="end of the range",
    ylabel="mean squared error",
    title="dot: the best end",
)
right.legend(fontsize="small")
plots.finish(fig)

# %%
best = {bits: float(candidates[error.argmin()]) for bits, error in errors.items()}
claim(
    "the fewer bits, the more is worth clipping", best[8] > best[6] > best[4] > best[3]
)
claim(
    "with 8 bits next to nothing is: the best end lies above 80 % of the largest value",
    best[8] > 0.8 * ends["min-max"],
)
claim("with 3 bits the best end lies below 70 %", best[3] < 0.7 * ends["min-max"])
cost = {bits: float(error[-1] / error.min()) for bits, error in errors.items()}
claim(
    "with 3 bits the end at the largest value has more than twice the least error",
    cost[3] > 2,
)
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
            layer.register_forward_hook(
                lambda _, inputs, out, grid=grids[name]: quantization.fake_quantize(
                    out, grid
                )
            )
    return model


bad = [batches[0], torch.cat([batches[1][:99], 20 * batches[1][99:]])]
chosen_with = pictures.validation[:600]
accuracies = {
    (seen, bits, name): training.evaluate(
        on_grids(
            net,
            calibrate(
                net, calibration, lambda make=make, bits=bits: make(bits), (nn.ReLU,)
            ),
        ),
        chosen_with,
        pictures,
    )
    for seen, calibration in (("clean", batches), ("one bad picture", bad))
    for bits in (8, 4)
    for name, make in OBSERVERS.items()
}
plain = training.evaluate(net, chosen_with, pictures)
lost = measure.proportion_difference(
    accuracies["one bad picture", 4, "min-max"].correct,
    accuracies["clean", 4, "min-max"].correct,
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
    for place, (seen, color) in enumerate(
        (("clean", plots.BLUE), ("one bad picture", plots.ORANGE))
    ):
        values = [accuracies[seen, bits, name].accuracy for name in OBSERVERS]
        bars = ax.barh(
            [i + 0.4 * place - 0.2 for i in range(5)],
            values,
            0.36,
            color=color,
            label=seen,
        )
        ax.bar_label(bars, fmt="%.0f", padding=-20, fontsize="small", color="white")
    ax.axvline(plain.accuracy, color=plots.REFERENCE, linestyle=":", label="float")
    ax.set(
        title=f"{bits} bits", xlabel="accuracy (600 validation pictures)", xlim=(0, 100)
    )
    ax.set_yticks(range(5), list(OBSERVERS))
axes[0].invert_yaxis()
fig.legend(
    *axes[0].get_legend_handles_labels(),
    loc="outside upper center",
    ncols=3,
    fontsize="small",
    frameon=False,
)
plots.finish(fig)

# %%
percent = {key: result.accuracy for key, result in accuracies.items()}
claim(
    "with 8 bits no observer loses 2 points, not even with the bad picture",
    min(
        percent[seen, 8, name]
        for seen in ("clean", "one bad picture")
        for name in OBSERVERS
    )
    > plain.accuracy - 2,
)
claim(
    "with 4 bits, clean, no observer loses 2 points",
    min(percent["clean", 4, n] for n in OBSERVERS) > plain.accuracy - 2,
)
claim("with 4 bits the bad picture costs min-max more than 15 points", lost.low > 15)
robust = ("moving average", "percentile", "entropy")
claim(
    "and moving average, percentile and entropy less than 3",
    min(
        percent["one bad picture", 4, name] - percent["clean", 4, name]
        for name in robust
    )
    > -3,
)

# %% [markdown]
# Two lessons. **With 8 bits the choice hardly matters**: 256 steps leave room for a range that is far too wide.
# **With 4 bits it decides.** Min-max is at the mercy of one value. The moving average counts that batch for 1 %,
# unless it is the first one, where the average begins. Entropy and a percentile look at shares of all values. MSE
# stands in between: an outlier's error counts with its square, so the range that minimises it still stretches towards
# the outlier.

# %%
started = {
    order: calibrate(net, calibration, lambda: observers.MovingAverage(4), (nn.ReLU,))[
        "features.1"
    ].scale
    for order, calibration in (("bad last", bad), ("bad first", bad[::-1]))
}
claim(
    "with the bad batch first the moving average ends 10 times higher",
    started["bad first"] > 10 * started["bad last"],
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
fixed_point, requantize = (
    yours_or_ours("by_hand.fixed_point"),
    yours_or_ours("by_hand.requantize"),
)
grids = calibrate(net, batches)
network = integer_network.convert(net, grids)
first, hidden = (
    network.layers[0],
    network.layers[3],
)  # the first convolution and the first linear layer

images = pictures.test.images[:256]  # 28 × 28; to_input pads them to 32 × 32
batch = pictures.to_input(images)
q = quantization.quantize(batch, network.source)
claim(
    "on the input's grid, from black to white, a picture is the picture's own bytes",
    torch.equal(q[:, 0, 2:-2, 2:-2], images[:, 0]),
)
claim("so black pixels are 0", (q[:, 0, 2:-2, 2:-2][images[:, 0] == 0] == 0).all())
claim(
    "the convolution's padding is a real 0, the mean grey, and becomes the zero point",
    first.zero_points[0] > 0,
)

with torch.inference_mode():
    features = network.layers[:3](
        q.transpose(0, 1)
    )  # what the first linear layer reads: [2048 inputs, 256 pictures]
    sums, answers = hidden.sums(features), hidden(features)
exact = (
    hidden.weight.long() @ (features.long() - int(hidden.zero_points[0])) + hidden.bias
)
claim(
    "sums in int32 are the sums in 64 bits: nothing is rounded there",
    torch.equal(sums.long(), exact),
)

same = all(
    torch.equal(
        requantize(sums[i], int(m), int(n), int(hidden.zero_points[1])), answers[i]
    )
    for i, (m, n) in enumerate(zip(hidden.multiplier, hidden.shift, strict=True))
)
claim("your requantize gives each of the 128 neurons its 8 bits", same)
weight_grid = quantization.grid_of(net.classifier[0].weight, 8, per="channel")
factor = (
    grids["features.5"].scale.double()
    * weight_grid.scale[7].item()
    / grids["classifier.1"].scale.double()
)
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
to_target = (
    first.multiplier[..., None, None],
    first.shift[..., None, None],
    int(first.zero_points[1]),
)
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
    shown = ax.imshow(
        values, cmap="RdBu_r" if values.min() < 0 else "gray", interpolation="nearest"
    )
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
    claim(
        "pooling before or after requantising: the same bytes",
        torch.equal(first(q[:1].transpose(0, 1)), pooled),
    )

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
        self.seen |= {
            str(t.dtype)
            for t in tree_leaves((args, kwargs, result))
            if isinstance(t, torch.Tensor)
        }
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
claim(
    "integers lose less than half a point, the interval included",
    lost_in_integers.high < 0.5,
)
claim(
    "a logit moves by less than a hundredth of the logits' range on average",
    moved < 0.01,
)
claim(
    "both networks are right or wrong on the same pictures, but for less than 1 in 100",
    agree > 0.99,
)
claim(
    "the file is between 3.9 and 4 times smaller, scales and multipliers included",
    3.9 < ratio_of_bytes < 4,
)
claim(
    "logits of 8 bits can tie: a few of 256 pictures have two best classes, or none",
    ties < 0.04,
)

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
            operands.append(
                (
                    layer.weight,
                    torch.randint(-128, 128, (inputs, columns), dtype=torch.int8),
                )
            )
        flowing = layer(flowing)
timings = measure.latency(
    {
        "float32": net,
        "float32, channels last": lambda x: channels_last(
            x.to(memory_format=torch.channels_last)
        ),
        "integers": network,
        "products alone": lambda x: [torch._int_mm(a, b) for a, b in operands],
    },
    batch,
    rounds=12,
    budget_seconds=2.5,
)
for name in ("float32", "float32, channels last"):
    print(
        f"integers against {name}: {measure.ratio(timings[name], timings['integers'])}"
    )
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
by_yours = powers_of_two(
    net.features[3].weight.detach().flatten(),
    int(nonzero.max()) - 6,
    int(nonzero.max()),
)
claim(
    "your values are the library's with 4 bits",
    torch.equal(by_yours.reshape(by_ours.shape), by_ours),
)


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
    "grid, one a layer": lambda bits: quantization.quantize_weights(
        copy.deepcopy(net), bits, per="tensor"
    ),
}
made = {
    name: {bits: make(bits) for bits in power_widths} for name, make in kinds.items()
}
noise = {
    name: [
        quantization.signal_to_noise(
            net.classifier[0].weight, of[bits].classifier[0].weight
        )
        for bits in power_widths
    ]
    for name, of in made.items()
}
lost = {
    name: [points_lost(of[bits], half, float_half) for bits in power_widths]
    for name, of in made.items()
}

fig, (left, right) = plots.figure(ncols=2)
for name, color in zip(kinds, plots.PALETTE, strict=False):
    left.plot(power_widths, noise[name], "o-", color=color, label=name)
    middle = [x.estimate for x in lost[name]]
    reach = [
        [x.estimate - x.low for x in lost[name]],
        [x.high - x.estimate for x in lost[name]],
    ]
    right.errorbar(
        power_widths, middle, reach, fmt="o-", capsize=3, color=color, label=name
    )
right.axhline(0, color=plots.REFERENCE, linestyle="--")
left.set(
    xlabel="bits a weight", ylabel="signal to noise, dB", title="the first linear layer"
)
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
claim(
    "on 3 and 4 bits powers of two follow this layer's weights better",
    pot[0] > even[0] and pot[1] > even[1],
)
claim("beyond 4 bits they gain less than 0.2 dB in all", pot[-1] - pot[1] < 0.2)
claim("an even grid gains more than 20 dB from 4 to 8 bits", even[-1] - even[1] > 20)
small = [
    {
        name: quantization.signal_to_noise(layer.weight, of[4].get_submodule(at).weight)
        for name, of in made.items()
    }
    for at, layer in net.named_modules()
    if isinstance(layer, quantization.QUANTIZABLE) and at != "classifier.0"
]
claim(
    "but in the three other layers the grid is ahead with 4 bits",
    all(db[n] < db[m] for db in small for n, m in [tuple(kinds)]),
)
claim(
    "with 8 bits the powers of two lose 0.2 to 1.6 points",
    0.2 < lost["powers of two"][-1].estimate < 1.6,
)
claim("the even grid loses less than 0.3", lost["grid, one a layer"][-1].high < 0.3)
activations, exponents = (
    torch.randint(-128, 128, (1000,), dtype=torch.int32),
    torch.randint(0, 8, (1000,)),
)
shifted = activations << exponents
claim(
    "a product with a power of two is a shift, exactly",
    torch.equal(shifted, activations * 2**exponents),
)

# %% [markdown]
# The large layer has its weights close to zero and a few far out, and powers of two suit that; the three small layers
# have theirs spread evenly, and there the grid is better, which decides about the accuracy. So the article's idea,
# repaired, is as good as a grid with 3 bits and worse from 4 on, and its 8 bits are wasted: the values between the
# powers are what is missing. On a chip without multipliers the shift is worth it. On this processor a multiplication
# costs no more than a shift, so nothing is gained but the bytes, and an even grid spends those better.

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
#
# **Further reading.** Jacob et al., *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
# Inference* (CVPR 2018) · Krishnamoorthi, *Quantizing deep convolutional networks for efficient inference* (2018) ·
# Nagel et al., *A White Paper on Neural Network Quantization* (2021).
#
# **Next:** `06_few_bits.ipynb`. What to do where rounding alone loses too much.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
