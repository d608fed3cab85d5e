# %% [markdown]
# # Few bits
#
# Rounding the weights of a network to 8 bits costs nothing. In this lesson you will go down to 4, 3, 2 bits, and
#
# - win back what rounding loses, without a label: equalise layers, correct biases, learn which way to round;
# - train networks whose weights have four values, or two;
# - train one whose gradients and updates are whole numbers, too.
#
# It takes about an hour and a quarter.

# %% tags=["side-by-side"]
import copy
from itertools import pairwise

import torch
from torch import nn

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import recorded
from nnopt_lab.techniques import quantization
from nnopt_lab.techniques.quantization import (
    integer_training,
    post_training,
    qat,
    quantizers,
)
from nnopt_lab.workbench import data, measure, models, plots, training

lesson("06_few_bits")
LIVE = False  # True: run the recorded experiments again on this machine

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
# ## 1. Four bits after training
#
# So far the network was rounded and that was all: no label, no training. How far does that carry, and what can be done
# where it carries no further? This section keeps to the weights, with the cheapest kind of grid, one for each tensor.

# %%
predict(
    "accuracy lost with all weights rounded to 4 bits, one grid a tensor", unit="points"
)


# %%
start = copy.deepcopy(net).to(
    memory_format=torch.channels_last
)  # the same numbers, and a faster pooling
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
        behind = factor.repeat_interleave(
            second.weight.shape[1] // len(factor)
        )  # behind the flatten: 64 inputs each
        second.weight.div_(behind.view(-1, *[1] * (second.weight.dim() - 2)))

calibration = pictures.to_input(pictures.train.images[:500])
with torch.inference_mode():
    claim(
        "the twin computes the same function, bit for bit",
        torch.equal(twin(calibration), start(calibration)),
    )

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
#
# **Exercise (3 points).** Equalise two linear layers, one behind the other.


# %% exercise="few_bits.equalize"
def equalize(first, second):
    """first float [C, in] writes C channels, second float [out, C] reads them → both, equalised."""
    ### BEGIN SOLUTION
    s = (first.abs().amax(1) / second.abs().amax(0)).sqrt()
    return first / s[:, None], second * s
    ### END SOLUTION


# %%
check("few_bits.equalize", equalize)

# %%
equalize = yours_or_ours("few_bits.equalize")
first, second = equalize(
    twin.classifier[0].weight.detach(), twin.classifier[2].weight.detach()
)
claim(
    "both layers reach equally far for each channel",
    torch.allclose(first.abs().amax(1), second.abs().amax(0)),
)
equal = post_training.equalize(copy.deepcopy(twin))
with torch.inference_mode():
    difference = (equal(calibration) - start(calibration)).abs().max()
claim("equalised, the function is the same to 1e-5", difference < 1e-5)

widths = (8, 6, 4, 3)
curves = {
    name: [
        training.evaluate(
            to_nearest(model, bits), pictures.validation, pictures
        ).accuracy
        for bits in widths
    ]
    for name, model in {
        "as trained": start,
        "its twin": twin,
        "the twin, equalised": equal,
    }.items()
}

fig, (left, right) = plots.figure(ncols=2)
for name, model, color in (
    ("twin", twin, plots.ORANGE),
    ("equalised", equal, plots.GREEN),
):
    reach = model.features[3].weight.detach().abs().flatten(1).amax(1)
    left.plot((reach / reach.max()).sort().values, "o", color=color, label=name)
left.set(
    title="second convolution",
    xlabel="filter, sorted",
    ylabel="largest weight / end of the grid",
)
left.legend()
for (name, curve), color in zip(
    curves.items(), (plots.REFERENCE, plots.ORANGE, plots.GREEN), strict=True
):
    right.plot(
        widths, curve, "o-" if name != "as trained" else "o--", label=name, color=color
    )
right.set(
    title="the same function, rounded",
    xlabel="bits",
    ylabel="validation accuracy, %",
    xticks=widths,
)
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
    max(
        abs(a - b)
        for a, b in zip(
            curves["as trained"], curves["the twin, equalised"], strict=True
        )
    )
    < 2,
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
    way: post_training.correct_biases(copy.deepcopy(model), start, calibration)
    for way, model in rounded.items()
}
with torch.inference_mode():
    before, after = (
        start.features[0](calibration),
        rounded["down"].features[0](calibration),
    )
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
shift = {
    way: post_training.output_shift(before, m.features[0](calibration).detach())
    for way, m in rounded.items()
}
for way, color in (("down", plots.ORANGE), ("to nearest", plots.BLUE)):
    left.plot(shift[way], "o", color=color, label=way)
left.axhline(0, color=plots.REFERENCE, linewidth=0.8)
left.set(
    title="first layer: mean shift of each channel",
    xlabel="channel",
    ylabel="shift",
    xticks=range(0, 16, 3),
)
left.legend()
for place, ((way, stage), interval) in enumerate(lost.items()):
    color = plots.ORANGE if way == "down" else plots.BLUE
    right.bar(
        place, interval.estimate, color=color, alpha=1 if stage == "rounded" else 0.5
    )
    error = [
        [max(interval.estimate - interval.low, 0)],
        [max(interval.high - interval.estimate, 0)],
    ]
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
claim(
    "to nearest there is hardly anything to win: less than 2 points",
    lost["to nearest", "rounded"].high < 2,
)

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
print(
    f"to nearest, 2 bits are right on {nearest_2.accuracy:.1f} % of the validation pictures"
)

# %%
predict(
    "accuracy with weights of 2 bits on the same grid, rounded up or down as AdaRound learned",
    unit="%",
)

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
chosen = {
    name: w / quantization.grid_of(start.get_submodule(name).weight, 2).scale
    for name, w in chosen.items()
}
claim(
    "every weight went to one of its two neighbours",
    all((chosen[n] - whole[n]).abs().max() < 1.001 for n in layers),
)
elsewhere = (
    (chosen["classifier.0"].round() != whole["classifier.0"].round()).float().mean()
)
claim(
    "in the large layer fewer than 3 % of the weights are not at their nearest value",
    elsewhere < 0.03,
)

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
        plots.band(
            ax,
            range(upto),
            list(zip(*bits_after[way][:upto], strict=True)),
            label,
            color,
        )
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
    all(
        abs(mean[way][at[bits]] - bits_after["before"]) < 0.5
        for way in shown
        for bits in (8, 4)
    ),
)
claim(
    "3 bits to nearest lose 1.5 to 2 points",
    1.5 < bits_after["before"] - mean["nearest"][at[3]] < 2,
)
claim(
    "equalisation and AdaRound each win 0.8 to 1.3 of them back",
    all(
        0.8 < mean[way][at[3]] - mean["nearest"][at[3]] < 1.3
        for way in ("equalised", "AdaRound")
    ),
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
    all(
        abs(mean["biases corrected"][at[b]] - mean["nearest"][at[b]]) < 0.2
        for b in (8, 4, 3)
    ),
)

# %% [markdown]
# ## 2. Training with integers
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
torchs = torch.fake_quantize_per_tensor_affine(
    x, grid.scale, grid.zero_point, grid.low, grid.high
)
(theirs,) = torch.autograd.grad(torchs.sum(), x)
claim("torch differentiates rounding honestly: 0 everywhere", not honest.any())
claim(
    "straight through: 1 inside the grid, 0 beyond its ends",
    ours.tolist() == [0, 1, 1, 1, 1, 1, 0],
)
claim("torch's own fake quantisation has the same gradient", torch.equal(ours, theirs))

# %% [markdown]
# `qat.prepare` puts such a quantiser on the weights and on the input of every layer, and the training
# loop stays as it is. But *which* grid? Section 1 took the range of the weights, so one outlier decides how wide a step
# is for all. **LSQ** (Esser et al. 2020) lets training decide: the step $s$ is a parameter like any other. With $\hat x
# = s \cdot \mathrm{round}(\mathrm{clip}(x/s, l, h))$, its gradient is the next exercise.
#
# **Exercise (3 points).** The gradient of $\hat x$ by the step, for each value.


# %% exercise="by_hand.step_gradient"
def step_gradient(x, step, low, high):
    """d x̂ / d step for each value: float [N] → float [N]. Rounding counts as the identity; step is a float."""
    ### BEGIN SOLUTION
    ratio = x / step
    return torch.where(
        ratio <= low, low, torch.where(ratio >= high, high, ratio.round() - ratio)
    )
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
claim(
    "the library's step has this gradient, summed over all values",
    torch.allclose(summed, by_hand.sum(), rtol=1e-3),
)

examples, labels = (
    pictures.to_input(pictures.train.images[:500]),
    pictures.train.labels[:500],
)
prepared = qat.prepare(copy.deepcopy(start), examples, 2, 2)
nn.functional.cross_entropy(prepared(examples), labels).backward()
pace, scale = {}, {}
for name, layer in prepared.named_modules():
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        quantizer, weight = (
            layer.parametrizations.weight[0],
            layer.parametrizations.weight.original,
        )
        scale[name] = quantizer.gradient_scale
        pace[name] = (quantizer.step.grad.abs() / quantizer.step) / (
            weight.grad.norm() / weight.norm()
        )
        pace[name] = pace[name].item()

fig, (left, right) = plots.figure(ncols=2)
left.plot(values, quantized.detach(), color=plots.BLUE, label="x̂, 2 bits, step 0.7")
left.plot(values, by_hand, color=plots.ORANGE, label="gradient of the step")
left.set(xlabel="x", title="what the step feels")
left.legend(fontsize=8, loc="lower right")
right.bar(
    torch.arange(4) - 0.2,
    [pace[n] / scale[n] for n in pace],
    0.4,
    color=plots.ORANGE,
    label="unscaled",
)
right.bar(
    torch.arange(4) + 0.2,
    list(pace.values()),
    0.4,
    color=plots.BLUE,
    label="times 1/√(N·h)",
)
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
claim(
    "unscaled, every step would move more than 10 times as fast as its weights",
    min(unscaled.values()) > 10,
)
claim(
    "that of the largest layer more than 1,000 times", unscaled["classifier.0"] > 1000
)
claim(
    "scaled, all of them move at 1/20 to 60 times their weights' pace",
    0.05 < min(pace.values()) < max(pace.values()) < 60,
)

# %% [markdown]
# Now with 2 bits for weights *and* inputs, four values each; as in the paper, the first and the last layer keep 8. From
# the shipped network, one pass over a quarter of the training pictures, with the grid from the range and with a learned
# step. Where does it end?

# %%
predict(
    "accuracy after a quarter of an epoch with 2-bit weights and inputs, learned steps",
    unit="%",
)

# %%
quarter = pictures.train[:4_500]
trained = {}
for method in qat.METHODS:
    model = qat.prepare(copy.deepcopy(start), examples, 2, 2, method=method)
    training.fit(
        model,
        pictures,
        epochs=1,
        train=quarter,
        seed=1,
        description=f"2 bits, {method}",
    )
    trained[method] = qat.make_permanent(model)
results = {
    method: training.evaluate(model, pictures.validation, pictures)
    for method, model in trained.items()
}
lost = {
    method: measure.proportion_difference(result.correct, validated.correct)
    for method, result in results.items()
}

# %% tags=["nbval-ignore-output"]
for method, result in results.items():
    print(
        f"{method:8} {result.accuracy:.1f} %, lost against float as it ships: {lost[method]} points"
    )
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
    ax.hist(
        net.classifier[0].weight.detach().flatten(),
        120,
        color="#CCCCCC",
        label="float, before",
    )
    ax.vlines(
        taken[0], 1, taken[1], color=plots.ORANGE, linewidth=5, label="2 bits, trained"
    )
    ax.set(
        yscale="log",
        xlabel="weight of the first linear layer",
        title=titles[method],
        ylim=(1, 1e6),
    )
axes[0].set(ylabel="how many")
axes[0].legend(fontsize=8)
plots.finish(fig)

# %%
few = [model.classifier[0].weight.unique().numel() for model in trained.values()]
claim(
    "at most three values are left with a symmetric grid, four with LSQ's",
    few[0] <= 3 and few[1] <= 4,
)
claim("learned steps: more than 84 % are right", results["lsq"].accuracy > 84)
claim(
    "and at least 5 points more than with the grid from the range",
    measure.proportion_difference(
        results["min-max"].correct, results["lsq"].correct
    ).low
    > 5,
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
lines = {
    "min-max": ("trained, grid from the range", plots.SKY),
    "lsq": ("trained, learned step", plots.BLUE),
}
left.plot(
    range(4),
    integer["after training"],
    "o-",
    color=plots.ORANGE,
    label="rounded only, grid from the range",
)
for method, (label, color) in lines.items():
    plots.band(left, range(4), list(zip(*integer[method], strict=True)), label, color)
left.axhline(
    sum(integer["float"]) / 3,
    color=plots.REFERENCE,
    linestyle="--",
    label="float, trained as long",
)
left.set_xticks(range(4), integer["bits"])
left.set(
    xlabel="bits of weights and inputs",
    ylabel="test accuracy, %",
    ylim=(75, 91.5),
    title="trained for one epoch",
)
left.legend(fontsize=8, loc="lower left")
rows = {
    "float": integer["float"],
    "4 bits": integer["lsq"][1],
    "2 bits": integer["lsq"][3],
}
rows |= {code: integer[code] for code in ("ternary", "binary")}
for place, (name, accuracies) in enumerate(rows.items()):
    color = (
        plots.REFERENCE
        if name == "float"
        else plots.BLUE
        if "bits" in name
        else plots.GREEN
    )
    right.plot([place] * 3, accuracies, "o", color=color)
right.set_xticks(
    range(5),
    [n if n == "float" or "bits" in n else f"{n}\n(8-bit\ninputs)" for n in rows],
    fontsize=8,
)
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
claim(
    "the epoch is worth 0.5 to 1.5 points in float",
    0.5 < control - integer["before"] < 1.5,
)
claim(
    "rounded only, 4 bits lose less than 1.5 points, 2 bits more than 60",
    control - integer["after training"][1] < 1.5
    and control - integer["after training"][3] > 60,
)
claim(
    "learned steps with 8, 4 and 3 bits: within 0.3 points of float",
    all(abs(control - a) < 0.3 for a in means["lsq"][:3]),
)
claim(
    "learned steps with 2 bits: 0.5 to 1 point lost",
    0.5 < control - means["lsq"][3] < 1,
)
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
    torch.full((100_000,), -0.032),
    torch.rand(100_000, generator=torch.Generator().manual_seed(0)),
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
predict(
    "accuracy with weights of 8 bits whose updates are rounded to nearest, 4 epochs",
    unit="%",
)

# %%
perceptrons, changed, scores = {}, {}, {}
for bits, rounding in ((16, "nearest"), (8, "nearest"), (8, "stochastic")):
    perceptron = integer_training.IntegerMLP(bits=bits, rounding=rounding, seed=0)
    name = f"{bits} bits, {rounding}"
    changed[name] = integer_training.train(
        perceptron, pictures.train.images, pictures.train.labels, epochs=4
    )
    scores[name] = integer_training.accuracy(
        perceptron, pictures.validation.images, pictures.validation.labels
    )
    perceptrons[name] = perceptron

# %% [markdown]
# Beside them the same perceptron in float: the same first weights, loss, rate and batches of 128.

# %%
weights = [
    w.float() / 2**15 for w in integer_training.IntegerMLP(bits=16, seed=0).weights
]
weights = [w.requires_grad_() for w in weights]
optimizer, order = torch.optim.SGD(weights, lr=2**-9), torch.Generator().manual_seed(1)


def in_float(images):
    return (
        ((images.flatten(1) >> 1).float() - 36) / 2**7 @ weights[0]
    ).relu() @ weights[1]


count = len(pictures.train)
for _ in range(4):
    for at in torch.randperm(count, generator=order)[: count // 128 * 128].view(
        -1, 128
    ):
        wanted = nn.functional.one_hot(pictures.train.labels[at], 10)
        optimizer.zero_grad()
        ((in_float(pictures.train.images[at]) - wanted).square().sum() / 2).backward()
        optimizer.step()
right = in_float(pictures.validation.images).argmax(1) == pictures.validation.labels
scores["float"] = 100 * right.float().mean().item()

# %%
stored = integer["stored"]
fig, (left, right) = plots.figure(ncols=2)
for (name, shares), color in zip(
    changed.items(), (plots.REFERENCE, plots.ORANGE, plots.BLUE), strict=True
):
    smooth = torch.tensor(shares).view(-1, 20).mean(1)
    left.plot(
        range(20, len(shares) + 1, 20), smooth.clamp(min=1e-5), color=color, label=name
    )
left.set(
    yscale="log",
    xlabel="step",
    ylabel="share of weights that a step changes",
    title="updates that arrive",
)
left.legend(fontsize=8)
for rounding, color in (("nearest", plots.ORANGE), ("stochastic", plots.BLUE)):
    plots.band(
        right,
        stored["bits"],
        list(zip(*stored[rounding], strict=True)),
        rounding,
        color,
    )
right.set(
    xlabel="bits of the stored weights",
    ylabel="test accuracy, %",
    title="after 4 epochs in integers (recorded)",
)
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
claim(
    "stochastically more than five times as many",
    last["8 bits, stochastic"] > 5 * last["8 bits, nearest"],
)
claim(
    "stochastic rounding gains more than 8 points",
    scores["8 bits, stochastic"] - scores["8 bits, nearest"] > 8,
)
claim(
    "8 bits, stochastic, are within 3 points of the same perceptron in float",
    abs(scores["8 bits, stochastic"] - scores["float"]) < 3,
)
nearest, stochastic = (
    [sum(row) / len(row) for row in stored[rounding]]
    for rounding in ("nearest", "stochastic")
)
claim(
    "recorded: to nearest 8 bits lose more than 10 points against 16",
    nearest[-1] - nearest[0] > 10,
)
claim("stochastically less than 1.5", stochastic[-1] - stochastic[0] < 1.5)

# %% [markdown]
# From 12 bits on it makes no difference: the updates are large enough for the steps. Below, rounding to nearest loses
# the more the fewer bits there are, and stochastic rounding loses next to nothing. Each of its errors is larger, up to
# a whole step, but they have no common direction, and hundreds of updates average them away. In few bits an unbiased
# error does less harm than a smaller one that always says no.

# %% [markdown]
# ## Summary
#
# | | |
# |---|---|
# | after training | correct the biases, equalise, learn the rounding: what 3 bits lose, they mostly bring back |
# | in training | straight through the rounding, with learned steps: 2 bits, even 1 |
# | integer gradients | without stochastic rounding, small steps vanish |
#
# **What practice uses today.** 4-bit weights in groups of 32 to 128 for large language models (GPTQ, AWQ, llama.cpp's
# formats), where memory is the limit. torchao has `Int4WeightOnlyConfig`, `Int8DynamicActivation…` and
# quantisation-aware training; `torch.ao.quantization` is deprecated.
#
# **Further reading.** Esser et al., *Learned Step Size Quantization* (ICLR 2020) · Gupta et al., *Deep Learning with
# Limited Numerical Precision* (ICML 2015).
#
# **Next:** `07_small_files.ipynb`. How small a file can the network be made from?

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
