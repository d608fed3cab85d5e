# %% [markdown]
# # Few bits
#
# Rounding the weights of a network to 8 bits costs next to nothing. What happens at 4, 3, 2 bits, or 1? In this lesson
# you will
#
# - win back much of what rounding loses, without any labels: equalise layers, correct biases, learn which way to round;
# - train networks whose weights have only four values, or two;
# - train a network with integers alone, including its gradients and updates.
#
# A good place for a break is after section 3. (When you come back, choose *Run All Above Selected Cell* in the Run
# menu.) You only need to know Python and the basics of PyTorch.

# %% tags=["fold", "side-by-side"]
# Imports: where the names of this lesson come from
import copy
from itertools import pairwise
from statistics import mean

import torch
from IPython.display import display
from torch import nn

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.few_bits.playground import equalization_playground
from nnopt_lab.techniques import quantization
from nnopt_lab.techniques.quantization import (
    integer_training,
    post_training,
    qat,
    quantizers,
)
from nnopt_lab.workbench import data, measure, models, plots, training
from nnopt_lab.workbench.tables import Table

# %%
lesson("06_few_bits")
LIVE = False  # True: run the recorded experiments again on this machine

# %% [markdown]
# The network of this lesson is `MyNet`, already trained: two convolutions and two linear layers that sort pictures of
# clothes (Fashion-MNIST, 32×32 pixels) into ten classes.

# %%
pictures = data.load("fashion")
net = models.trained("mynet")
start = copy.deepcopy(net).to(memory_format=torch.channels_last)  # pools faster
layers = ("features.0", "features.3", "classifier.0", "classifier.2")
calibration = pictures.to_input(pictures.train.images[:500])  # for sections 2 and 3
measure.layer_table(net, calibration)

# %% [markdown]
# *Points lost* are percentage points of accuracy compared with this network, with a 95 % confidence interval. Both
# networks see the same pictures, so the interval depends only on the pictures that exactly one of them gets right.
# Variants are compared on the *validation* pictures; final results are measured on the *test* pictures.

# %% tags=["fold"]
# Numbers: the float network's accuracy, and how points lost are counted
tested = training.evaluate(start, pictures.test, pictures)
validated = training.evaluate(start, pictures.validation, pictures)


def points_lost(model, split=pictures.test, reference=tested):
    """Accuracy lost against the float network, in points, with a 95 % interval."""
    accurate = training.evaluate(model, split, pictures).correct
    return measure.proportion_difference(accurate, reference.correct)


def validation_accuracy(model):
    return training.evaluate(model, pictures.validation, pictures).accuracy


# %% [markdown]
# ## 1. Four bits after training
#
# A *grid* maps a real number $w$ to an integer $q$ with $w \approx s\,q$. The *scale* $s$ is the width of one step. A
# *symmetric* grid of $b$ bits runs from $-(2^{b-1}-1)$ to $2^{b-1}-1$, and its scale is chosen so that the largest
# magnitude just fits: at 4 bits, $q$ is one of 15 integers from −7 to 7. (Lesson 05 builds such grids by hand.)
#
# Sections 1 and 2 round only the weights, with the cheapest kind of grid: a single one for all weights of a layer (*per
# tensor*).

# %%
weight = net.classifier[0].weight.detach()
grid = quantization.grid_of(weight, bits=4)
q = quantization.quantize(weight, grid)
print(f"scale {grid.scale:.4f}, integers {q.unique().tolist()}")

# %%
predict("accuracy lost with all weights at 4 bits, one grid per tensor", unit="points")


# %%
def to_nearest(model, bits):
    """A copy of the model with all weights rounded to the nearest value of a grid."""
    return quantization.quantize_weights(copy.deepcopy(model), bits, per="tensor")


lost_at_4 = points_lost(to_nearest(start, 4))

# %%
# Answer: accuracy lost with all weights at 4 bits, one grid per tensor
reveal(
    "accuracy lost with all weights at 4 bits, one grid per tensor",
    lost_at_4.estimate,
    lost_at_4.low,
    lost_at_4.high,
    because="Fifteen values per tensor are plenty for this network. Each output sums "
    "27 to 2,048 products, and rounding errors of both signs largely cancel.",
)

# %% [markdown]
# The next cell makes a copy that computes **the same function, bit for bit**, and yet suffers badly from rounding. Each
# channel between two layers is multiplied by a power of two in the layer that writes it, and divided by the same power
# in the layer that reads it. ReLU and pooling pass a positive factor through, and a power of two causes no rounding.
# Trained networks often look like this, above all after their batch norms have been *folded*: a batch norm multiplies
# each channel by a factor, and folding multiplies that factor into the weights.

# %%
badly_scaled = copy.deepcopy(start)
draw = torch.Generator().manual_seed(0)
with torch.no_grad():
    for first, second in pairwise(badly_scaled.get_submodule(name) for name in layers):
        factor = 2.0 ** torch.randint(-3, 4, (len(first.weight),), generator=draw)
        first.weight.mul_(factor.view(-1, *[1] * (first.weight.dim() - 1)))
        first.bias.mul_(factor)
        # A flattened channel of 8×8 pixels is 64 inputs of the linear layer.
        behind = factor.repeat_interleave(second.weight.shape[1] // len(factor))
        second.weight.div_(behind.view(-1, *[1] * (second.weight.dim() - 2)))

# %%
predict("accuracy of the badly scaled copy at 6 bits, one grid per tensor", unit="%")

# %% [markdown]
# **Cross-layer equalisation** ([Nagel et al. 2019](https://arxiv.org/abs/1906.04721), section 4.1) undoes such scaling.
# Let $r_1$ be the largest magnitude of the weights of channel $i$ in the layer that writes it, and $r_2$ in the layer
# that reads it. Divide the channel's weights in the first layer by $s_i = \sqrt{r_1/r_2}$, and multiply those in the
# second by it. Then both reach up to $\sqrt{r_1 r_2}$, and the function is unchanged.
#
# **Exercise (3 points).** Equalise the weights of two linear layers, of which the second reads what the first writes.


# %% exercise="few_bits.equalize"
def equalize(first, second):
    """Both weights, equalised.

    first: float [C, in], writes C channels. second: float [out, C], reads them.

    >>> weights = torch.tensor([[-8.0], [2.0]]), torch.tensor([[2.0, 2.0]])
    >>> [weight.tolist() for weight in equalize(*weights)]
    [[[-4.0], [2.0]], [[4.0, 2.0]]]
    """
    ### BEGIN SOLUTION
    s = (first.abs().amax(1) / second.abs().amax(0)).sqrt()
    return first / s[:, None], second * s
    ### END SOLUTION


# %%
check("few_bits.equalize", equalize)

# %% [markdown]
# Equalisation needs no pictures, and the float function stays the same. The layers in the middle belong to two pairs
# each, and equalising one pair disturbs the other. So the course's library goes through all pairs twenty times.

# %%
equalize = yours_or_ours("few_bits.equalize")
equal = post_training.equalize(copy.deepcopy(badly_scaled))
widths = (8, 6, 4, 3)
versions = {"as trained": start, "badly scaled": badly_scaled, "equalised": equal}
curves = {
    name: [validation_accuracy(to_nearest(model, bits)) for bits in widths]
    for name, model in versions.items()
}

# %% tags=["nbval-ignore-output"]
# Answer: accuracy of the badly scaled copy at 6 bits, one grid per tensor
copy_at_6 = curves["badly scaled"][widths.index(6)]
reveal(
    "accuracy of the badly scaled copy at 6 bits, one grid per tensor",
    copy_at_6,
    copy_at_6 - 2,
    copy_at_6 + 2,
    because="The grid must reach the largest channel. A channel that is 64 times "
    "smaller is smaller than half a step of a 6-bit grid, so all its weights become "
    "zero. In float it contributes as much to the result as any other channel.",
)

# %% tags=["fold"]
# Plot: filters' ranges, and accuracy after rounding
fig, (left, right) = plots.figure(ncols=2)
colors = (plots.REFERENCE, plots.RED, plots.GREEN)
for (name, model), color in zip(versions.items(), colors, strict=True):
    largest = model.features[3].weight.detach().abs().flatten(1).amax(1)
    wide = 3 * (name == "as trained")  # to be seen below the equalised copy
    ranges = (largest / largest.max()).sort().values
    left.plot(ranges, "o", color=color, markersize=4 + wide)
    right.plot(
        widths,
        curves[name],
        "o-",
        label=name,
        color=color,
        linewidth=1.8 + wide,
        markersize=6 + wide,
    )
left.set(
    title="second convolution",
    xlabel="filter, sorted",
    ylabel="largest weight ÷ end of the grid",
)
right.set(
    title="the same function, rounded",
    xlabel="bits per weight",
    ylabel="validation accuracy, %",
    xticks=widths,
)
plots.legend(fig)
plots.finish(
    fig,
    "In the badly scaled copy most filters use little of the grid, and its accuracy "
    "collapses at 6 bits; the equalised copy matches the original.",
    trained="y",
)

# %% [markdown]
# What to see: in the badly scaled copy (red), most filters use a small part of the grid (left), and at 6 bits it
# fails (right). The equalised copy (green) does as well as the network as trained (grey).

# %% question="by_hand.equalised"
choice = None
### BEGIN SOLUTION
choice = "a"
### END SOLUTION
question("by_hand.equalised", choice)

# %% tags=["fold"]
# Claims: equalisation
at = {bits: place for place, bits in enumerate(widths)}
with torch.inference_mode():
    in_float = start(calibration)
    same = torch.equal(badly_scaled(calibration), in_float)
    difference = (equal(calibration) - in_float).abs().max()
linear = [badly_scaled.classifier[i].weight.detach() for i in (0, 2)]
first, second = equalize(*linear)
claim("At 4 bits, the network as trained loses less than 2 points.", lost_at_4.high < 2)
claim("At 6 bits, the badly scaled copy falls below 60 %.", copy_at_6 < 60)
claim(
    "The equalised copy is within 2 points of the network as trained, from 8 to 3 "
    "bits.",
    max(
        abs(a - b)
        for a, b in zip(curves["as trained"], curves["equalised"], strict=True)
    )
    < 2,
)
claim(
    "The badly scaled copy computes the same function as the network, bit for bit.",
    same,
)
claim(
    "The equalised copy computes the same function to within 1e-5.", difference < 1e-5
)
claim(
    "At 4 bits, the badly scaled copy falls below 20 %.",
    curves["badly scaled"][at[4]] < 20,
)
claim(
    "After equalisation, both linear layers use the same range for each channel.",
    torch.allclose(first.abs().amax(1), second.abs().amax(0)),
)

# %% [markdown]
# ## 2. Biases, and which way to round
#
# If the rounding errors of a channel's weights tend to have the same sign, the channel's outputs shift in one direction
# on average. **Bias correction** ([Nagel et al. 2019](https://arxiv.org/abs/1906.04721), section 4.2) undoes that with
# the layer's bias: measure the mean shift, here on a few hundred pictures, and subtract it. (The paper needs no
# pictures in networks with batch norms.)
#
# **Exercise (2 points).** Correct the bias of a convolution, so that the mean of each channel is again what it was
# before quantising.


# %% exercise="by_hand.bias_correction"
def bias_correction(original, quantized, bias):
    """The bias that undoes the mean shift: float [C].

    original, quantized: the layer's outputs before and after quantising, float
    [N, C, H, W]. bias: float [C].

    >>> original = torch.zeros(1, 2, 1, 2)
    >>> quantized = torch.tensor([[[[1.0, 3.0]], [[-1.0, -1.0]]]])
    >>> bias_correction(original, quantized, torch.tensor([0.0, 5.0]))
    tensor([-2.,  6.])
    """
    ### BEGIN SOLUTION
    return bias - (quantized - original).mean(dim=(0, 2, 3))
    ### END SOLUTION


# %%
check("by_hand.bias_correction", bias_correction)

# %% [markdown]
# Rounding to the nearest value has no preferred direction. Rounding down does: on average, $\lfloor w/s \rfloor$ is
# half a step too low. Compare the two at 5 bits: how far do the channels of the first layer shift, and how much
# accuracy is lost before and after the biases of all layers are corrected, from the first to the last?

# %%
bias_correction = yours_or_ours("by_hand.bias_correction")


def rounded_down(model, bits):
    model = copy.deepcopy(model)
    with torch.no_grad():
        for layer in map(model.get_submodule, layers):
            scale = quantization.grid_of(layer.weight, bits).scale
            layer.weight.copy_((layer.weight / scale).floor() * scale)
    return model


# %%
rounded = {"down": rounded_down(start, 5), "to nearest": to_nearest(start, 5)}
corrected = {
    way: post_training.correct_biases(copy.deepcopy(model), start, calibration)
    for way, model in rounded.items()
}

# %% tags=["fold"]
# Plot: shifted means, and points lost
with torch.inference_mode():
    before = start.features[0](calibration)
    after = {way: model.features[0](calibration) for way, model in rounded.items()}
shift = {way: post_training.output_shift(before, out) for way, out in after.items()}
lost = {
    (way, stage): points_lost(models_of[way], pictures.validation, validated)
    for way in rounded
    for stage, models_of in (("rounded", rounded), ("corrected", corrected))
}

colors = {"down": plots.RED, "to nearest": plots.BLUE}
fig, (left, right) = plots.figure(ncols=2)
for way, color in colors.items():
    left.plot(shift[way], "o", color=color, label=f"rounded {way}")
plots.reference_line(left, 0, across=True)
left.set(
    title="the first layer at 5 bits",
    xlabel="channel",
    ylabel="mean shift of the outputs",
    xticks=range(0, 16, 3),
)
named = {f"{way}, {stage}": interval for (way, stage), interval in lost.items()}
plots.intervals(
    right, named, {name: colors[name.split(",")[0]] for name in named}, reference=0
)
right.set(title="the whole network", xlabel="points lost at 5 bits")
plots.legend(fig)
plots.finish(
    fig,
    "Rounding down shifts every channel up and costs most points; correcting the "
    "biases wins back about half. Rounding to nearest shifts little.",
    trained="xy",
)

# %% [markdown]
# What to see: rounding down (red) shifts every channel (left), and correcting the biases wins back about half of the
# points that it costs (right). After rounding to nearest (blue) there is almost nothing to correct. (Negative points
# lost mean that the rounded network does better than the float one. Lower weights shift the first layer *up* because
# most pixels are background, which is negative after normalisation.)
#
# A bias can undo an offset, nothing else. Where rounding *shrinks* a channel, a constant restores the mean, but not the
# spread between pictures. The paper's large gains come from networks with depthwise convolutions, in which an output
# sums only nine products, so the errors cancel less.
#
# **AdaRound** ([Nagel et al. 2020](https://arxiv.org/abs/2004.10568)) asks whether the nearest value is the right one
# at all. Each weight in a layer's matrix $W$ has two candidates: round up or down. The layer's output depends on all
# choices together: rounding one weight up can compensate for rounding another one down. So AdaRound learns a number $V$
# for each weight, and a function $h$ maps $V$ to a value between 0 (down) and 1 (up). $h(V)$ starts at the fractional
# part of $W/s$, and training minimises
#
# $$ \big\lVert Wx - s\,(\lfloor W/s \rfloor + h(V))\,\tilde x \big\rVert^2
# + \lambda \sum \big(1 - |2h(V) - 1|^\beta\big). $$
#
# The first term compares the layer's outputs on a few hundred pictures; $x$ is the layer's input in the float network,
# and $\tilde x$ its input when the layers before it are already rounded. The second term, scaled by $\lambda$, drives
# every $h(V)$ to 0 or 1, harder and harder as $\beta$ falls during training. Try it where rounding to nearest fails: at
# 2 bits, where the symmetric grid has only three values, $-s$, 0 and $s$.

# %% tags=["nbval-ignore-output"]
nearest_2 = validation_accuracy(to_nearest(start, 2))
print(f"Rounded to nearest at 2 bits: {nearest_2:.1f} % of the validation pictures.")

# %%
predict("accuracy at 2 bits on the same grid, rounded as AdaRound learns", unit="%")

# %%
adaptive = post_training.ada_round(copy.deepcopy(start), calibration, bits=2, steps=150)
learned_2 = validation_accuracy(adaptive)

# %% tags=["nbval-ignore-output"]
# Answer: accuracy at 2 bits on the same grid, rounded as AdaRound learns
reveal(
    "accuracy at 2 bits on the same grid, rounded as AdaRound learns",
    learned_2,
    learned_2 - 2,
    learned_2 + 2,
    because="In the large layer, almost every weight is closer to 0 than to the next "
    "value, and an output from which nearly all weights are missing is far off. "
    "AdaRound rounds fewer than three in a hundred of them the other way, and that is "
    "enough to repair most of it.",
)

# %% [markdown]
# All methods at several numbers of bits are recorded in `data/recorded/post_training_bits.json`. Each ran three times,
# with a different set of 1,000 unlabelled pictures. AdaRound took 300 steps per layer there, twice as many as above,
# and it reaches a higher accuracy. (`nnopt record post_training_bits` runs them again, in a few minutes.)

# %%
bits_after = recorded("post_training_bits", live=LIVE)["result"]

# %% tags=["fold"]
# Plot: accuracy over the bits by method
shown = {
    "nearest": ("to nearest", plots.BLUE),
    "biases corrected": ("biases corrected", plots.BROWN),
    "equalised": ("equalised", plots.GREEN),
    "AdaRound": ("AdaRound", plots.ORANGE),
    "equalised, AdaRound": ("equalised, AdaRound", plots.PURPLE),
}
fig, axes = plots.figure(ncols=2, height=4)
for ax, upto in zip(axes, (4, 3), strict=True):
    for way, (label, color) in shown.items():
        runs = list(zip(*bits_after[way][:upto], strict=True))
        plots.band(ax, range(upto), runs, label, color)
    plots.reference_line(ax, bits_after["before"], "float", across=True)
    ax.set_xticks(range(upto), bits_after["bits"][:upto])
    ax.set(xlabel="bits per weight", ylabel="test accuracy, %")
    ax.invert_xaxis()  # the fewest bits are on the left, as everywhere
axes[0].set(title="from 2 to 8 bits")
axes[1].set(ylim=(86.9, 89.2), title="from 3 to 8 bits, enlarged")
plots.legend(fig, ncols=3)
plots.finish(
    fig,
    "Accuracy from 2 to 8 bits: all methods agree down to 4 bits and are far apart at "
    "2; the enlarged panel begins at 3 bits.",
)

# %% [markdown] tags=["tells"]
# What to see: down to 4 bits every method stays close to the float network (dashed), and at 2 bits they are far apart
# (left). At 3 bits (right), equalisation and AdaRound are above rounding to nearest.
#
# At 3 bits, rounding to nearest loses 1.7 points, and equalisation and AdaRound each win back about one of them. At 2
# bits, the network rounded to nearest classifies less than 20 % of the pictures correctly. Equalised, it still gets
# about a third right; AdaRound lifts it above 80 %, and both together to 85 %. Correcting biases has hardly any effect
# from 8 to 3 bits, because rounding to nearest shifts the channels so little. To do better, you have to train with
# labels, as in the next section.

# %% tags=["fold"]
# Claims: biases and AdaRound
place = {bits: place for place, bits in enumerate(bits_after["bits"])}
means = {way: [mean(row) for row in bits_after[way]] for way in shown}
two, three = ({way: means[way][place[bits]] for way in shown} for bits in (2, 3))
whole, chosen = {}, {}
for name in layers:
    original = start.get_submodule(name).weight.detach()
    scale = quantization.grid_of(original, 2).scale
    whole[name] = original / scale
    chosen[name] = adaptive.get_submodule(name).weight.detach() / scale
moved = chosen["classifier.0"].round() != whole["classifier.0"].round()
by_hand = bias_correction(
    before, after["down"], rounded["down"].features[0].bias.detach()
)
won = lost["down", "rounded"].estimate - lost["down", "corrected"].estimate
claim(
    "At 5 bits, correcting biases wins back more than 2 points after rounding down.",
    won > 2,
)
claim(
    "At 2 bits, AdaRound lifts the accuracy from below 40 % to above 60 %.",
    nearest_2 < 40 and learned_2 > 60,
)
claim(
    "At 4 bits and more, every recorded method is within half a point of float.",
    all(
        abs(means[way][place[bits]] - bits_after["before"]) < 0.5
        for way in shown
        for bits in (8, 4)
    ),
)
claim(
    "The function corrects the first layer's biases as the library does.",
    torch.allclose(corrected["down"].features[0].bias, by_hand, atol=1e-5),
)
claim(
    "Rounding down shifts the first layer 5 times as far as rounding to nearest.",
    shift["down"].abs().mean() > 5 * shift["to nearest"].abs().mean(),
)
claim(
    "At 5 bits, rounding down loses more than 4 points.",
    lost["down", "rounded"].low > 4,
)
claim(
    "At 5 bits, rounding to nearest loses less than 2 points.",
    lost["to nearest", "rounded"].high < 2,
)
claim(
    "AdaRound moves every weight to one of its two neighbours on the grid.",
    all((chosen[name] - whole[name]).abs().max() < 1.001 for name in layers),
)
claim(
    "In the large layer, 2 bits round more than 99 % of the weights to 0.",
    (whole["classifier.0"].round() == 0).float().mean() > 0.99,
)
claim(
    "In the large layer, AdaRound moves fewer than 3 % of the weights away from the "
    "nearest value.",
    moved.float().mean() < 0.03,
)
claim(
    "At 3 bits, rounding to nearest loses 1.5 to 2 points.",
    1.5 < bits_after["before"] - three["nearest"] < 2,
)
claim(
    "At 3 bits, equalisation and AdaRound each win back 0.8 to 1.3 points.",
    all(0.8 < three[w] - three["nearest"] < 1.3 for w in ("equalised", "AdaRound")),
)
claim("At 2 bits, rounding to nearest falls below 20 %.", two["nearest"] < 20)
claim("At 2 bits, equalisation stays above 30 %.", two["equalised"] > 30)
claim("At 2 bits, AdaRound stays above 80 %.", two["AdaRound"] > 80)
claim(
    "At 2 bits, equalisation and AdaRound together stay above 84 %.",
    two["equalised, AdaRound"] > 84,
)
claim(
    "From 8 to 3 bits, correcting biases changes less than 0.2 points.",
    all(
        abs(means["biases corrected"][place[b]] - means["nearest"][place[b]]) < 0.2
        for b in (8, 4, 3)
    ),
)

# %% [markdown]
# ## 3. Training at few bits
#
# Next, train the network while its weights are on the grid. Rounding stands in the way: it is flat almost everywhere,
# so its derivative is 0, and no gradient reaches the weights. The solution is a white lie. In the forward pass the
# network uses rounded numbers (still stored as floats, which is called *fake quantisation*). In the backward pass, the
# gradient goes *straight through*, as if nothing had been rounded ([Bengio et al.
# 2013](https://arxiv.org/abs/1308.3432)). Only values beyond the ends of the grid get no gradient. The float weights
# are kept, too: they collect the small updates, and each forward pass rounds them anew.

# %%
x = torch.linspace(-1.5, 1.5, 7, requires_grad=True)
grid = quantization.grid_of(torch.tensor([-1.0, 1.0]), 3)
(honest,) = torch.autograd.grad((x / grid.scale).round().sum(), x)
(straight,) = torch.autograd.grad(quantization.fake_quantize(x, grid).sum(), x)
print("x                 ", x.tolist())
print("honest gradient   ", honest.tolist())
print("straight through  ", straight.tolist())

# %% [markdown]
# `qat.prepare` puts such a rounding on the weights and on the inputs of every layer; the training loop stays the same.
# (QAT stands for *quantisation-aware training*.) But which grid should it use? So far the largest weight decided how
# wide a step is, so one outlier can widen it for all. **LSQ**, *learned step size quantisation*
# ([Esser et al. 2020](https://arxiv.org/abs/1902.08153)), makes the step $s$ a parameter and learns it. With
# $\hat x = s \cdot \mathrm{round}(\mathrm{clip}(x/s, \text{low}, \text{high}))$, where low and high are the lowest and
# the highest integer of the grid, the gradient of the step is the next exercise.
#
# **Exercise (3 points).** Compute the gradient of $\hat x$ with respect to the step, for each value.


# %% exercise="by_hand.step_gradient"
def step_gradient(x, step, low, high):
    """d x̂ / d step for each value: float [N] → float [N].

    step is a float, low and high are integers. Rounding counts as the identity.

    >>> step_gradient(torch.tensor([-9.0, 0.5, 1.5, 9.0]), 2.0, -2, 1).tolist()
    [-2.0, -0.25, 0.25, 1.0]
    """
    ### BEGIN SOLUTION
    ratio = x / step
    inside = ratio.round() - ratio
    return torch.where(ratio <= low, low, torch.where(ratio >= high, high, inside))
    ### END SOLUTION


# %%
check("by_hand.step_gradient", step_gradient)

# %% [markdown]
# The step's gradient is the sum over all values of the layer. How fast does a step move, compared with the weights of
# its layer? To find out, divide each gradient by the size of the parameters that it moves, and compare the two.

# %%
prepared = qat.prepare(copy.deepcopy(start), calibration, 2, 2)
loss = nn.functional.cross_entropy(prepared(calibration), pictures.train.labels[:500])
loss.backward()
pace, unscaled = {}, {}
for name in layers:  # each weight is now computed from an original and a step
    weights = prepared.get_submodule(name).parametrizations.weight
    quantizer, original = weights[0], weights.original
    of_step = quantizer.step.grad.abs() / quantizer.step
    of_weights = original.grad.norm() / original.norm()
    pace[name] = (of_step / of_weights).item()
    unscaled[name] = pace[name] / quantizer.gradient_scale

# %% tags=["fold"]
# Plot: the gradient of the step
step_gradient = yours_or_ours("by_hand.step_gradient")
values = torch.linspace(-3.01, 3.02, 601)
step = torch.tensor(0.7, requires_grad=True)
quantized = quantizers.learned_step(values, step, -2, 1)
by_hand = step_gradient(values, 0.7, -2, 1)

fig, ((above, right), (below, spare)) = plots.figure(ncols=2, nrows=2, height=4)
right.set_subplotspec(right.get_gridspec()[:, 1])
spare.remove()
above.plot(values, quantized.detach(), color=plots.BLUE)
above.set(
    title="rounded value, 2 bits, s = 0.7", ylabel="x̂", yticks=[-1.4, -0.7, 0, 0.7]
)
below.plot(values, by_hand, color=plots.ORANGE)
below.set(title="its gradient for the step s", xlabel="value x", ylabel="dx̂/ds")
pulls = {"not scaled": unscaled, "times 1/√(N·high)": pace}
colors = dict(zip(pulls, (plots.ORANGE, plots.BLUE), strict=True))
plots.grouped_bars(right, pulls, colors, reference=1, labels="{:,.1f}")
plots.log_axis(right.xaxis, [0.1, 1, 10, 100, 1_000, 10_000])
right.set(xlabel="pace of the step ÷ pace of its weights")
plots.legend(right, title="how fast the steps move")
plots.finish(
    fig,
    "A staircase of four levels with the saw-tooth of its gradient; without scaling, "
    "the steps' pace is up to thousands of times that of the weights.",
    trained="x",
)

# %% [markdown]
# What to see: on the lower left, a value inside the grid contributes its rounding error, counted in steps, to the
# step's gradient. A value beyond the grid contributes low or high, −2 or 1 here. On the right, without scaling
# (orange), the steps would move up to thousands of times faster than the weights.
#
# So LSQ multiplies the gradient by $1/\sqrt{N \cdot \text{high}}$, where $N$ is the number of weights. That brings the
# steps to between a tenth and 20 times the weights' pace (blue).
#
# Now train at 2 bits for weights *and* inputs. As in the paper, the first and the last layer keep 8 bits. The training
# starts from the network as trained and passes once over a quarter of the training pictures. Compare two grids: the one
# from the range (min-max), which is symmetric and so gives weights only three values, and the one with a learned step,
# which gives them all four, from −2 to 1 steps. How accurate is the network with learned steps afterwards?

# %%
predict(
    "accuracy after a quarter of an epoch at 2 bits, weights and inputs, learned steps",
    unit="%",
)

# %%
quarter = pictures.train[:4_500]
trained = {}
for method in ("min-max", "lsq"):
    model = qat.prepare(copy.deepcopy(start), calibration, 2, 2, method=method)
    training.fit(model, pictures, epochs=1, train=quarter, seed=1)
    trained[method] = qat.make_permanent(model)
results = {
    method: training.evaluate(model, pictures.validation, pictures)
    for method, model in trained.items()
}

# %% tags=["nbval-ignore-output"]
# Answer: accuracy after a quarter of an epoch at 2 bits, learned steps
reveal(
    "accuracy after a quarter of an epoch at 2 bits, weights and inputs, learned steps",
    results["lsq"].accuracy,
    results["lsq"].accuracy - 1.5,
    results["lsq"].accuracy + 1.5,
    because="Learned steps put the few values where most weights are, instead of where "
    "the largest weight is, and the weights move to values that suit them.",
)

# %% tags=["fold", "nbval-ignore-output"]
# Table: accuracy at 2 bits on both grids
titles = {"min-max": "grid from the range", "lsq": "learned step"}
rows = []
for method, result in results.items():
    lost = measure.proportion_difference(result.correct, validated.correct)
    rows.append([titles[method], f"{result.accuracy:.1f} %", lost])
display(Table(rows, ["method", "accuracy", "points lost against float"]))

# %% tags=["fold"]
# Plot: weights on two grids
fig, axes = plots.figure(ncols=2, sharex=True, sharey=True)
ways = {"min-max": plots.GOLD, "lsq": plots.VIOLET}
float_weights = net.classifier[0].weight.detach().flatten()
for ax, (method, model) in zip(axes, trained.items(), strict=True):
    levels, counts = model.classifier[0].weight.detach().unique(return_counts=True)
    ax.hist(float_weights, 120, color=plots.PALE, label="float, before")
    ax.vlines(levels, 1, counts, color=ways[method], linewidth=5, label=titles[method])
    ax.set(
        yscale="log",
        xlabel="weight of the first linear layer",
        title=f"2 bits, trained: {titles[method]}",
        ylim=(1, 1e6),
    )
axes[0].set(ylabel="number of weights")
plots.legend(fig)
plots.finish(
    fig,
    "Weights form a bell; the grid from the range has its outer values far outside, "
    "the learned step has all four inside.",
    trained="xy",
)

# %% [markdown]
# What to see: the grid from the range puts its outer values (gold) where hardly any weight (grey) is (left). The
# learned step puts all four values among the weights (right).
#
# A *code* is the set of values that a weight may take. Two codes with very few values have names. **Binary** weights
# are $\pm\alpha$ with $\alpha = \mathrm{mean}|w|$, which has the smallest squared error of all $\alpha$ (XNOR-Net,
# [Rastegari et al. 2016](https://arxiv.org/abs/1603.05279)). **Ternary** weights are $0$ where
# $|w| \le 0.7\,\mathrm{mean}|w|$ and $\pm\alpha$ elsewhere, with $\alpha$ the mean of the remaining magnitudes
# ([Li & Liu 2016](https://arxiv.org/abs/1605.04711)). With either, a product becomes an addition or a subtraction.
#
# `data/recorded/integer_training.json` records every number of bits and both codes, trained for one epoch on all
# training pictures with three seeds. For comparison, it also records a float network trained for the same epoch.
# (`nnopt record integer_training` takes about ten minutes.)

# %%
integer = recorded("integer_training", live=LIVE)["result"]

# %% tags=["fold"]
# Plot: accuracy after training, by bits
fig, (left, right) = plots.figure(ncols=2, width_ratios=(3, 2), height=4.2)
left.plot(
    range(4),
    integer["after training"],
    "o-",
    markersize=4,
    color=plots.BLUE,
    label="not trained, rounded to nearest",
)
for method, color in ways.items():
    runs = list(zip(*integer[method], strict=True))
    plots.band(left, range(4), runs, f"trained, {titles[method]}", color)
plots.reference_line(
    left, mean(integer["float"]), "float, trained as long", across=True
)
left.set_xticks(range(4), integer["bits"])
left.invert_xaxis()
left.set(
    title="after one epoch",
    xlabel="bits of weights and inputs",
    ylabel="test accuracy, %",
    ylim=(75, 91.5),
)
rows = {
    "float": integer["float"],
    "4 bits": integer["lsq"][1],
    "2 bits": integer["lsq"][3],
    "ternary": integer["ternary"],
    "binary": integer["binary"],
}
codes = {"float": plots.REFERENCE, "ternary": plots.BROWN, "binary": plots.BROWN}
plots.seeds(right, rows, dict.fromkeys(rows, plots.VIOLET) | codes)
right.set(xlabel="test accuracy, %", title="enlarged, one dot per seed")
plots.legend(fig, ncols=2)
plots.finish(
    fig,
    "Trained steps keep the accuracy down to 3 bits; ternary lies between 4 and 2 "
    "bits, binary lowest.",
)

# %% [markdown] tags=["tells"]
# What to see: on the left, 8, 4 and 3 bits with learned steps (violet) are as good as float (dashed), and 2 bits are
# close. On the right, enlarged, ternary weights are between 4 and 2 bits, and binary ones are lowest.
#
# Always compare with the float network that was trained for just as long: the epoch itself gains about a point. Then 8,
# 4 and 3 bits with learned steps cost less than 0.3 points, and 2 bits cost half a point to one point. The grid from
# the range is as good at 4 bits, but loses more than 5 points at 2: at so few bits, a good step matters most. Ternary
# weights lose about a third of a point and binary ones about a whole point, both with 8-bit inputs.

# %% tags=["fold"]
# Claims: training at few bits
torchs = torch.fake_quantize_per_tensor_affine(
    x, grid.scale, grid.zero_point, grid.low, grid.high
)
(theirs,) = torch.autograd.grad(torchs.sum(), x)
(summed,) = torch.autograd.grad(quantized.sum(), step)
few = [model.classifier[0].weight.unique().numel() for model in trained.values()]
means = {m: [mean(row) for row in integer[m]] for m in ("min-max", "lsq")}
control = mean(integer["float"])
code = {name: control - mean(integer[name]) for name in ("ternary", "binary")}
gained = measure.proportion_difference(
    results["min-max"].correct, results["lsq"].correct
)
claim(
    "At 2 bits, learned steps beat the grid from the range by at least 5 points.",
    gained.low > 5,
)
claim(
    "In the recording, 8, 4 and 3 bits with learned steps are within 0.3 points of "
    "float.",
    all(abs(control - a) < 0.3 for a in means["lsq"][:3]),
)
claim(
    "In the recording, 2 bits with learned steps lose 0.5 to 1 point after a whole "
    "epoch.",
    0.5 < control - means["lsq"][3] < 1,
)
claim("The honest gradient of rounding is 0 everywhere.", not honest.any())
claim(
    "Straight through, the gradient is 1 inside the grid and 0 beyond its ends.",
    straight.tolist() == [0, 1, 1, 1, 1, 1, 0],
)
claim("torch's own fake quantisation has that gradient.", torch.equal(straight, theirs))
claim(
    "The library's step has the function's gradient, summed over all values.",
    torch.allclose(summed, by_hand.sum(), rtol=1e-3),
)
claim(
    "Unscaled, every step would move more than 10 times as fast as its weights.",
    min(unscaled.values()) > 10,
)
claim(
    "Unscaled, the largest layer's step would move more than 1,000 times as fast as "
    "its weights.",
    unscaled["classifier.0"] > 1000,
)
claim(
    "Scaled, all steps move at 1/10 to 20 times their weights' pace.",
    0.1 < min(pace.values()) < max(pace.values()) < 20,
)
claim(
    "At most three different weights are left with the grid from the range, and four "
    "with LSQ.",
    few[0] <= 3 and few[1] <= 4,
)
claim(
    "After a quarter of an epoch, learned steps reach 84 %.",
    results["lsq"].accuracy > 84,
)
claim(
    "The epoch gains 0.5 to 1.5 points in float.",
    0.5 < control - integer["before"] < 1.5,
)
claim(
    "Without training, 4 bits lose less than 1.5 points and 2 bits more than 60.",
    control - integer["after training"][1] < 1.5
    and control - integer["after training"][3] > 60,
)
claim(
    "The grid from the range loses less than 0.3 points at 4 bits, and more than 5 at "
    "2.",
    abs(control - means["min-max"][1]) < 0.3 and control - means["min-max"][3] > 5,
)
claim("Ternary weights lose 0.2 to 0.5 points.", 0.2 < code["ternary"] < 0.5)
claim("Binary weights lose 0.8 to 1.2 points.", 0.8 < code["binary"] < 1.2)

# %% [markdown]
# ## 4. Training without floats
#
# That training still used floats: float weights behind the rounded ones, float gradients, float updates. Can training
# itself run on integers? Let each number be an integer times a power of two that its whole tensor shares. Then a
# product multiplies two int8 numbers, a sum is an int32, and a change of scale is a shift of bits. (Weights stored with
# more than 8 bits are rounded to their upper 8 for the product.) A perceptron with two layers shows it
# (`integer_training.IntegerMLP`, after [Wu et al. 2018](https://arxiv.org/abs/1802.04680) and
# [Banner et al. 2018](https://arxiv.org/abs/1805.11046)): its forward pass, backward pass and updates use no float. Its
# loss is half the squared distance between output and target, and the gradient of that is simply output minus target; a
# softmax would need exponentials.
#
# One difficulty is left. A weight of few bits has wide steps, 1/128 at 8 bits, and most updates are far smaller than
# that.

# %% question="by_hand.vanishing_updates"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("by_hand.vanishing_updates", choice)

# %% [markdown]
# **Exercise (2 points).** Implement stochastic rounding ([Gupta et al. 2015](https://arxiv.org/abs/1502.02551)): round
# up with a probability equal to the fraction.


# %% exercise="by_hand.stochastic_round"
def stochastic_round(x, noise):
    """x rounded down or up to an integer, on average x: float, in the shape of x.

    noise: uniform in [0, 1), in the shape of x.

    >>> x, noise = torch.tensor([-0.75, -0.75, 2.0]), torch.tensor([0.5, 0.875, 0.9])
    >>> stochastic_round(x, noise)
    tensor([-1.,  0.,  2.])
    """
    ### BEGIN SOLUTION
    return (x + noise).floor()
    ### END SOLUTION


# %%
check("by_hand.stochastic_round", stochastic_round)

# %%
stochastic_round = yours_or_ours("by_hand.stochastic_round")
generator = torch.Generator().manual_seed(0)
noise = torch.rand(100_000, generator=generator)
draws = stochastic_round(torch.full((100_000,), -0.032), noise)
print(f"−0.032 becomes {draws.unique().tolist()}, and {draws.mean():.4f} on average")

# %% [markdown]
# Train the perceptron for 4 epochs with weights of 16 bits, and with weights of 8 bits whose updates are rounded to
# nearest or stochastically.

# %%
predict(
    "accuracy with 8-bit weights whose updates are rounded to nearest, 4 epochs",
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

# %% tags=["nbval-ignore-output"]
# Answer: accuracy of 8-bit weights with updates rounded to nearest
reveal(
    "accuracy with 8-bit weights whose updates are rounded to nearest, 4 epochs",
    scores["8 bits, nearest"],
    scores["8 bits, nearest"] - 2,
    scores["8 bits, nearest"] + 2,
    because="The large gradients of the first steps still move weights. After that, "
    "fewer than one weight in 500 moves per step, and learning stalls although the "
    "gradients have not vanished.",
)

# %% [markdown]
# For comparison, train the same perceptron in float, with the same initial weights, loss, learning rate, and batches of
# 128:

# %% tags=["fold", "nbval-ignore-output"]
# Table: accuracy of the perceptrons
weights = [
    (w.float() / 2**15).requires_grad_()
    for w in integer_training.IntegerMLP(bits=16, seed=0).weights
]
optimizer = torch.optim.SGD(weights, lr=2**-9)
order = torch.Generator().manual_seed(1)


def in_float(images):
    pixels = ((images.flatten(1) >> 1).float() - 36) / 2**7
    return (pixels @ weights[0]).relu() @ weights[1]


count = len(pictures.train)
for _ in range(4):
    shuffled = torch.randperm(count, generator=order)[: count // 128 * 128]
    for batch in shuffled.view(-1, 128):
        wanted = nn.functional.one_hot(pictures.train.labels[batch], 10)
        optimizer.zero_grad()
        distance = in_float(pictures.train.images[batch]) - wanted
        (distance.square().sum() / 2).backward()
        optimizer.step()
predicted = in_float(pictures.validation.images).argmax(1)
correct = predicted == pictures.validation.labels
scores["float"] = 100 * correct.float().mean().item()

display(
    Table(
        [[name, f"{score:.1f} %"] for name, score in scores.items()],
        ["weights", "validation accuracy"],
    )
)

# %% tags=["fold"]
# Plot: weights that change, and accuracy
stored = integer["stored"]
fig, (left, right) = plots.figure(ncols=2)
colors = (plots.REFERENCE, plots.BLUE, plots.GREEN)
for shares, color in zip(changed.values(), colors, strict=True):
    smooth = torch.tensor(shares).view(-1, 20).mean(1).clamp(min=1e-5)
    left.plot(range(20, len(shares) + 1, 20), smooth, color=color)
left.set(
    title="8 bits (grey: 16 bits, nearest)",
    yscale="log",
    xlabel="step",
    ylabel="share of weights that change",
)
for rounding, color in (("nearest", plots.BLUE), ("stochastic", plots.GREEN)):
    runs = list(zip(*stored[rounding], strict=True))
    plots.band(right, stored["bits"], runs, rounding, color)
right.set(
    title="by the bits of the weights (recorded)",
    xlabel="bits per weight",
    ylabel="test accuracy after 4 epochs, %",
)
plots.legend(fig)
plots.finish(
    fig,
    "At 8 bits, rounding to nearest changes hardly any weight and loses accuracy; "
    "stochastic rounding keeps both.",
    trained="y",
)

# %% [markdown] tags=["tells"]
# What to see: on the left, at 8 bits, rounding to nearest (blue) lets almost no update through. On the right, it
# loses more and more accuracy below 11 bits, while stochastic rounding (green) loses less than 1.5 points even at 8.
#
# From 12 bits on, enough updates are larger than half a step, and the two kinds of rounding differ by less than a
# point. With stochastic rounding each single error is larger, up to a whole step. But the errors have no common
# direction, and hundreds of updates average them out. At few bits, an unbiased error does less harm than a smaller one
# that suppresses almost every update.

# %% tags=["fold"]
# Claims: training without floats
last = {name: mean(shares[-140:]) for name, shares in changed.items()}
nearest, stochastic = (
    [mean(row) for row in stored[rounding]] for rounding in ("nearest", "stochastic")
)
counts = torch.tensor([77], dtype=torch.int32)
sixteen = torch.arange(16, dtype=torch.int32)
claim(
    "At 8 bits, stochastic rounding gains more than 8 points.",
    scores["8 bits, stochastic"] - scores["8 bits, nearest"] > 8,
)
claim(
    "With stochastic rounding, 8-bit weights are within 3 points of the perceptron in "
    "float.",
    abs(scores["8 bits, stochastic"] - scores["float"]) < 3,
)
claim(
    "In the last epoch, rounding to nearest changes fewer than 1 in 500 weights.",
    last["8 bits, nearest"] < 0.002,
)
claim(
    "Stochastic rounding changes more than five times as many weights.",
    last["8 bits, stochastic"] > 5 * last["8 bits, nearest"],
)
claim(
    "Stochastic rounding turns −0.032 into −1 or 0, and into −0.032 on average.",
    draws.unique().tolist() == [-1, 0] and abs(draws.mean() + 0.032) < 0.003,
)
claim(
    "In integers, 77/16 rounded with each of 16 noises sums to 77.",
    integer_training.shift_right(counts, 4, sixteen).sum() == 77,
)
claim(
    "The perceptron's weights are integers.",
    {w.dtype for w in perceptrons["8 bits, stochastic"].weights} == {torch.int16},
)
claim(
    "In the recording, 8 bits rounded to nearest lose more than 10 points, compared "
    "with 16.",
    nearest[-1] - nearest[0] > 10,
)
claim(
    "In the recording, the two differ by less than a point from 12 bits on.",
    all(
        abs(one - other) < 1
        for bits, one, other in zip(stored["bits"], nearest, stochastic, strict=True)
        if bits >= 12
    ),
)
claim(
    "In the recording, 8 bits rounded stochastically lose less than 1.5 points, "
    "compared with 16.",
    stochastic[-1] - stochastic[0] < 1.5,
)

# %% [markdown]
# ## 5. Playground
#
# Choose how far the channels are scaled apart, as in section 1, and the number of bits. At which spread does the
# network fail for each number of bits, and does equalisation always help?

# %%
equalization_playground(net, pictures)

# %% [markdown]
# ## Summary
#
# You can take a network below 8 bits, choose the method by the number of bits, and say what it costs:
#
# | topic | in short |
# |---|---|
# | after training | equalise, or learn the rounding: at 3 bits either wins back about one point of 1.7 |
# | during training | gradients straight through the rounding, and learned steps: 3 bits for free, 2 bits for up to a point |
# | integer gradients | without stochastic rounding, small updates vanish |
#
# **In practice**, 4-bit weights with one grid per group of 32 to 128 weights are common for large language models,
# where memory is the limit ([GPTQ](https://arxiv.org/abs/2210.17323), [AWQ](https://arxiv.org/abs/2306.00978), the
# formats of llama.cpp). In PyTorch, torchao offers quantisation-aware training and, without training, two kinds of
# quantisation: *weight-only*, and *dynamic*, which also rounds each layer's inputs as they arrive.
# `torch.ao.quantization` is deprecated.
#
# **Further reading.** [Nagel et al. 2021](https://arxiv.org/abs/2106.08295), a white paper on all of this.
#
# **Next:** [07 Small files](07_small_files.ipynb) asks how few bytes the whole network needs.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
