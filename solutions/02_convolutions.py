# %% [markdown]
# # Convolutions: which knob is worth what
#
# Fewer kernels, smaller kernels, fewer layers: three ways to a cheaper network, says the article. In this lesson you will
#
# - turn each knob alone and measure what it costs and what it brings, in five different currencies;
# - meet a knob that makes the network *larger* when you turn it down;
# - put in place of a convolution what practice puts there: separable, grouped, bottleneck, asymmetric and strided ones;
# - split trained layers into thin ones by their singular values, and see when that pays (less often than papers suggest);
# - fold batch norms away at no cost at all, and build a cost model, honest enough to be wrong where you can see it.
#
# It takes about an hour. It needs nothing from the lessons before but their networks, which ship with the course.

# %%
import copy

import torch
from torch import nn

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.convolutions.experiments import BLOCKS, KNOBS, wide_net
from nnopt_lab.lessons.convolutions.playground import convolution_playground
from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.convolutions import blocks, cost_model, folding, low_rank
from nnopt_lab.workbench import data, measure, models, plots, training

lesson("02_convolutions")

# %%
pictures = data.load("fashion")
dense, teacher = models.trained("mynet"), models.trained("teacher")
batch = pictures.to_input(pictures.test.images[:256])
one = batch[:1]
size, work = measure.parameters(dense).total, measure.macs(dense, one)
tested = training.evaluate(dense, pictures.test, pictures)
claim(
    "MyNet has 268,650 parameters and does 1,885,440 multiply-accumulates a picture",
    (size, work) == (268650, 1885440),
)

# %% [markdown]
# ## 1. Three knobs
#
# A convolution from $C_\text{in}$ to $C_\text{out}$ channels with $k×k$ kernels does $C_\text{out} C_\text{in} k^2$
# multiply-accumulates (MACs) at each output pixel. The article's three knobs turn
#
# - **fewer kernels**: $C_\text{out}$, and with it the next layer's $C_\text{in}$. Half the kernels everywhere are a quarter
#   of the work between two layers;
# - **smaller kernels**: $k^2$. From 3×3 to 1×1 it is a ninth;
# - **fewer layers**: the whole term goes.
#
# What a smaller kernel or a missing layer takes away besides work is *sight*: one number of the last feature map is computed
# from a square of input pixels, its **receptive field**. A layer with kernel $k$ widens it by $k - 1$ steps, and a step is as
# many input pixels as the strides before it multiply to.
#
# **Exercise (2 points).** How wide is it?


# %% exercise="convolutions.receptive_field"
def receptive_field(layers):
    """Width in input pixels. layers: a list of (kernel_size, stride), first layer first → a whole number."""
    ### BEGIN SOLUTION
    field, step = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * step
        step *= stride
    return field
    ### END SOLUTION


# %%
check("convolutions.receptive_field", receptive_field)

# %%
receptive_field = yours_or_ours("convolutions.receptive_field")
seen = {k: receptive_field([(k, 1), (2, 2), (k, 1), (2, 2)]) for k in (1, 3, 5, 7)}
for k, pixels in seen.items():
    print(
        f"{k}×{k} kernels: a feature in front of the linear layers sees {pixels:>2} × {pixels:<2} of the 32 × 32 pixels"
    )

# %%
claim(
    "a feature of MyNet sees 10 by 10 pixels, with 1×1 kernels 4 by 4",
    (seen[3], seen[1]) == (10, 4),
)
claim(
    "two 3×3 layers see as far as one 5×5",
    receptive_field([(3, 1), (3, 1)]) == receptive_field([(5, 1)]),
)

# %% [markdown]
# Now turn the third knob. `MyNet` has two convolutions, each with a pooling behind it. Leave out the second one with its
# pooling, and nothing else. How many parameters has the network then?

# %%
predict(
    "parameters of MyNet without its second convolution, against MyNet",
    unit="× as many",
)

# %%
shallow = models.MyNet(channels=(16,))
reveal(
    "parameters of MyNet without its second convolution, against MyNet",
    measure.parameters(shallow).total / size,
    because="The second convolution held 4,640 parameters. But its pooling also halved the picture on both sides, and the "
    "linear layer behind it has a weight for every number that comes in: 16·16·16 = 4,096 of them now, not 32·8·8 = 2,048.",
)

# %%
claim(
    "without its second convolution MyNet has nearly twice the parameters",
    1.9 < measure.parameters(shallow).total / size < 2,
)
claim(
    "the second convolution held 4,640",
    measure.parameters(dense.features[3]).total == 4_640,
)
claim("and fewer multiply-accumulates all the same", measure.macs(shallow, one) < work)

# %% [markdown]
# "Fewer layers, fewer parameters" is true of the convolutions and false of the network. Size and work are two things, and a
# layer's price is paid in the layers behind it.
#
# ## 2. What each knob is worth
#
# Below, each knob is turned alone and the network trained from new weights, all with the same recipe: four epochs, three
# seeds, AdamW with a one-cycle rate (lesson 03). Training thirty networks takes minutes, so their accuracies are recorded in
# `data/recorded/convolution_knobs.json` (`nnopt record convolution_knobs` makes it again). What they cost is measured here, in
# parameters, multiply-accumulates, bytes and time, on untrained networks; pooling on a CPU looks at the values, so a trained one can differ by some per cent.

# %%
LIVE = False  # True trains everything on your machine: about ten minutes for each of the lesson's two experiments
knobs = recorded("convolution_knobs", live=LIVE)["result"]["accuracy"]
usual = {"channels": (16, 32), "kernel_size": 3}
names = {
    (knob, setting): "MyNet" if usual | options == usual else f"{knob}: {setting}"
    for knob, settings in KNOBS.items()
    for setting, options in settings.items()
}
torch.manual_seed(0)
networks = {"MyNet": models.MyNet()} | {
    names[k, s]: models.MyNet(**KNOBS[k][s]) for k, s in names
}
accuracies = {
    name: torch.tensor(knobs[knob][setting]) for (knob, setting), name in names.items()
}
mean = {name: values.mean().item() for name, values in accuracies.items()}

# %% tags=["nbval-ignore-output"]
table = measure.compare(networks, batch, accuracy=mean, rounds=6, budget_seconds=3)
table

# %% [markdown]
# The same as one picture. Each line is a knob, each point a setting, and MyNet is where the lines meet; the bands reach from
# the lowest seed to the highest. Left is cheap, up is good.

# %%
rows = {row["model"]: row for row in table.rows}
prices = {
    "parameters": {name: row["total"] / size for name, row in rows.items()},
    "MACs": {name: row["macs"] / work for name, row in rows.items()},
    "time, batch of 256": {
        name: row["latency"][256].median / rows["MyNet"]["latency"][256].median
        for name, row in rows.items()
    },
}
# %% tags=["fold"]
fig, axes = plots.figure(ncols=3, sharey=True, figsize=(10, 4))
for ax, (title, price) in zip(axes, prices.items(), strict=True):
    for (knob, settings), color in zip(KNOBS.items(), plots.PALETTE, strict=False):
        points = sorted(
            (price[names[knob, s]], s, accuracies[names[knob, s]].tolist())
            for s in settings
        )
        plots.band(
            ax,
            [x for x, *_ in points],
            list(zip(*(a for *_, a in points), strict=True)),
            knob,
            color,
        )
        for x, setting, values in points:
            if names[knob, setting] != "MyNet":
                below = {
                    "xytext": (4, -10),
                    "textcoords": "offset points",
                    "fontsize": 7,
                    "color": color,
                }
                what = (
                    f"{setting} layer{'s' * (setting != '1')}"
                    if knob == "fewer layers"
                    else setting
                )
                ax.annotate(what, (x, sum(values) / 3), **below)
    plots.reference_line(ax, 1)
    ax.set(xlabel=f"{title}, times MyNet's")
    plots.log_axis(ax.xaxis, [0.25, 0.5, 1, 2, 4], ["¼", "½", "1", "2", "4"])
    ax.margins(x=0.12)
axes[0].set(ylabel="test accuracy, %")
plots.legend(fig)
plots.finish(fig)

# %% [markdown]
# Three knobs, three different bills.
#
# - **Fewer kernels** save in every currency. Half of them halve the parameters and save more than a
#   quarter of the time; it costs 1 to 2 points.
# - **Smaller kernels** save products and nothing else: parameters hardly move, because nearly all of them sit in the linear layer,
#   and the time falls less than with half of the kernels. Yet 1×1 kernels cost more than 3 points. Their features see 4×4 pixels:
#   likely too few to tell a sleeve from a strap. Larger kernels than 3×3 bring nothing that three seeds can show.
# - **Fewer layers**: a single convolution is as accurate as two on these pictures, to half a point, and faster, but its file is
#   twice as large. *More* layers than two make the file smaller and, after four epochs, the network worse. Depth pays on pictures
#   with more to see, and with a training that is made for it.
#
# So there is no best knob. What is scarce, bytes or time? That decides.

# %% tags=["fold"]
gained = {name: value - mean["MyNet"] for name, value in mean.items()}
took = prices["time, batch of 256"]
claim("half of the kernels cost 1 to 2 points", 1 < -gained["fewer kernels: 8, 16"] < 2)
claim(
    "and halve the parameters",
    round(prices["parameters"]["fewer kernels: 8, 16"], 1) == 0.5,
)
claim(
    "half of the kernels save more than a quarter of the time",
    took["fewer kernels: 8, 16"] < 0.75,
    timing=True,
)
claim("1×1 kernels cost more than 3 points", gained["smaller kernels: 1×1"] < -3)
claim(
    "and take longer than half of the 3×3 kernels",
    took["smaller kernels: 1×1"] > took["fewer kernels: 8, 16"],
    timing=True,
)
claim(
    "5×5 and 7×7 kernels bring less than half a point",
    max(gained[f"smaller kernels: {k}×{k}"] for k in (5, 7)) < 0.5,
)
claim(
    "one convolution in place of two changes less than half a point",
    abs(gained["fewer layers: 1"]) < 0.5,
)
claim("and takes less time", took["fewer layers: 1"] < 0.95, timing=True)
claim("four layers lose more than half a point", gained["fewer layers: 4"] < -0.5)
claim(
    "with little more than a third of the parameters",
    1 / 3 < prices["parameters"]["fewer layers: 4"] < 0.4,
)

# %% [markdown]
# ## 3. Where work and time part
#
# MACs are what everybody counts, because they can be counted. With 1×1 kernels `MyNet` does 4.2 times fewer of them. How much
# faster is it at batch 256?

# %%
predict("speed-up from 1×1 kernels in MyNet, batch 256", unit="×")

# %% tags=["nbval-ignore-output"]
timings = measure.latency(
    {n: networks[n] for n in ("MyNet", "smaller kernels: 1×1")},
    batch,
    rounds=15,
    budget_seconds=1,
)
kernel_ratio = measure.ratio(*timings.values())
reveal(
    "speed-up from 1×1 kernels in MyNet, batch 256",
    kernel_ratio.median,
    kernel_ratio.low,
    kernel_ratio.high,
    because="Only the products became fewer. ReLU and pooling read and write the same pictures as before, and they count as no "
    "multiply-accumulate at all.",
)

# %% [markdown]
# Take the network apart and time each part on the input that it really gets:


# %%
def parts_of(model):
    """Seconds of each part of a MyNet, a batch of 256."""
    cuts = {"convolution 1": model.features[:1], "ReLU, pooling 1": model.features[1:3]}
    cuts |= {
        "convolution 2": model.features[3:4],
        "ReLU, pooling 2": model.features[4:6],
    }
    cuts["linear layers"] = nn.Sequential(nn.Flatten(), model.classifier)
    seconds, x = {}, batch
    for name, part in cuts.items():
        seconds[name] = measure.latency({name: part}, x, rounds=8, budget_seconds=0.4)[
            name
        ].median
        with torch.inference_mode():
            x = part(x)
    return seconds


seconds = {
    f"{k}×{k} kernels": parts_of(networks[n])
    for k, n in ((3, "MyNet"), (1, "smaller kernels: 1×1"))
}

# %% tags=["fold"]
milliseconds = {
    name: {part: 1000 * s for part, s in parts.items()}
    for name, parts in seconds.items()
}
fig, ax = plots.figure(figsize=(plots.SIZE[0], 2.3))
plots.stages(ax, milliseconds)
ax.set(xlabel="ms, a batch of 256")
plots.legend(fig, ncols=5)
plots.finish(fig)

# %% tags=["fold"]
without_macs = sum(t for part, t in seconds["1×1 kernels"].items() if "ReLU" in part)
claim(
    "with 1×1 kernels the network does 4.2 times fewer multiply-accumulates",
    round(work / rows["smaller kernels: 1×1"]["macs"], 1) == 4.2,
)
claim("and is less than 3 times as fast", kernel_ratio.high < 3, timing=True)
claim(
    "of its time more than a third goes into ReLU and pooling, which have no multiply-accumulates",
    without_macs > sum(seconds["1×1 kernels"].values()) / 3,
    timing=True,
)

# %% [markdown]
# So there are two ways to a faster network: fewer products, and fewer *numbers that move*. Which of the two a change brings is
# the whole difference between a network that is cheaper on paper and one that is faster.
#
# ## 4. What practice puts in the place of a convolution
#
# A full convolution looks at space and at all channels in one step. Each of these splits that up:
#
# | in place of k×k from $C$ to $C$ channels | products a pixel | idea |
# |---|---|---|
# | full | $k^2 C^2$ | |
# | **depthwise-separable** | $k^2 C + C^2$ | space in each channel alone, then channels at each pixel alone (Howard et al. 2017) |
# | **grouped**, $g$ groups | $k^2 C^2 / g$ | each part of the filters reads one part of the channels (Krizhevsky et al. 2012) |
# | **bottleneck** to $C/4$ | $C^2/4 + k^2 C^2/16 + C^2/4$ | fewer channels for the dear part, 1×1 before and behind (He et al. 2016) |
# | **k×1 + 1×k** | $2 k C^2$ | one direction after the other (Szegedy et al. 2016) |
# | **stride** in place of pooling | $k^2 C^2$, at a quarter of the pixels | compute only what pooling would keep (Springenberg et al. 2015) |
#
# **Exercise (2 points).** Price the first of them.


# %% exercise="convolutions.separable_cost"
def separable_cost(in_channels, out_channels, kernel_size, height, width):
    """(parameters, MACs a picture) of a depthwise-separable convolution without biases; output height × width."""
    ### BEGIN SOLUTION
    parameters = in_channels * kernel_size**2 + in_channels * out_channels
    return parameters, parameters * height * width
    ### END SOLUTION


# %%
check("convolutions.separable_cost", separable_cost)

# %% [markdown]
# Separable is grouping taken to its end: as many groups as channels. And grouping is a pruning pattern chosen in advance.
#
# **Exercise (3 points).** Write a grouped convolution's weight as the full one's that it stands for, zeros included.


# %% exercise="convolutions.grouped_as_dense"
def grouped_as_dense(weight, groups):
    """weight: float [out, in / groups, k, k] → float [out, in, k, k]."""
    ### BEGIN SOLUTION
    out, per_group = weight.shape[:2]
    dense = weight.new_zeros(out, per_group * groups, *weight.shape[2:])
    for n in range(groups):
        rows = slice(n * out // groups, (n + 1) * out // groups)
        dense[rows, n * per_group : (n + 1) * per_group] = weight[rows]
    return dense
    ### END SOLUTION


# %%
check("convolutions.grouped_as_dense", grouped_as_dense)

# %%
separable_cost, grouped_as_dense = (
    yours_or_ours(f"convolutions.{name}")
    for name in ("separable_cost", "grouped_as_dense")
)
layer, x = nn.Conv2d(8, 8, 3, groups=4, bias=False), torch.randn(2, 8, 6, 6)
with torch.inference_mode():
    full = nn.functional.conv2d(x, grouped_as_dense(layer.weight, 4))
    claim(
        "a grouped convolution is a full one with zeros",
        torch.allclose(layer(x), full, atol=1e-5),
    )
stack = blocks.separable(nn.Sequential(nn.Conv2d(64, 128, 3, padding=1, bias=False)))
priced = (
    measure.parameters(stack).total,
    measure.macs(stack, torch.zeros(1, 64, 8, 8)),
)
claim(
    "your price of a separable layer is the library's",
    priced == separable_cost(64, 128, 3, 8, 8),
)

# %% [markdown]
# In `MyNet` there is little to gain from them: the one layer with many channels is small. So here is a wider relative, with
# 32, 64 and 128 kernels, and each block in the place of its second and third convolution. (`nnopt_lab.techniques.convolutions.blocks`
# has each as a function model → model.) Depthwise-separable layers leave this network less than a quarter of its
# multiply-accumulates. How much faster do they make it?

# %% question="convolutions.macs_and_time"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("convolutions.macs_and_time", choice)

# %%
predict(
    "speed-up from depthwise-separable layers in the wide network, batch 64", unit="×"
)

# %%
block_accuracy = recorded("convolution_blocks", live=LIVE)["result"]["accuracy"]
torch.manual_seed(0)
wide = {block: wide_net(block) for block in BLOCKS}
block_mean = {
    block: sum(values) / len(values) for block, values in block_accuracy.items()
}
block_table = measure.compare(
    wide, batch, accuracy=block_mean, batch_sizes=(1, 64), rounds=10, budget_seconds=2
)
block_rows = {row["model"]: row for row in block_table.rows}

# %% tags=["nbval-ignore-output"]
separable_ratio = block_rows["depthwise-separable"]["ratio"][64]
reveal(
    "speed-up from depthwise-separable layers in the wide network, batch 64",
    separable_ratio.median,
    separable_ratio.low,
    separable_ratio.high,
    because="Each number that a depthwise layer reads is used for nine products, in a full layer for nine times as many as there "
    "are filters. And the two layers in the place of one write and read one more set of pictures between them, while ReLU and "
    "pooling are left as they were.",
)

# %% tags=["nbval-ignore-output"]
block_table

# %%
block_table.plot()

# %% [markdown]
# Compare two columns: MACs and time at batch 64. Separable and grouped layers and bottlenecks leave a fifth to a third of the
# multiply-accumulates and far more than that of the time. Stride in place of pooling leaves just as many as they do, and it alone
# makes the network several times as fast: it takes the numbers away that ReLU and pooling would have to read.
#
# And accuracy? Groups cost half a point, separable and 3×1 + 1×3 layers and the stride about one, the bottleneck more than three:
# its middle is narrow, and nothing helps it to train. Where such blocks are at home, in networks of dozens of layers, each of
# their parts has a batch norm behind it, and a shortcut leads around the whole.

# %% tags=["fold"]
fewer = {
    block: block_rows["3×3"]["macs"] / row["macs"] for block, row in block_rows.items()
}
faster = {
    block: row["ratio"][64] for block, row in block_rows.items() if block != "3×3"
}
saving = ("depthwise-separable", "4 groups", "bottleneck")
claim(
    "separable layers do 4.6 times fewer multiply-accumulates",
    round(fewer["depthwise-separable"], 1) == 4.6,
)
claim(
    "groups and bottleneck at least 3 times fewer, stride 3.7 times",
    min(fewer[b] for b in saving) > 3 and round(fewer["stride for pooling"], 1) == 3.7,
)
claim(
    "none of the first three is as much faster as that",
    all(faster[block].high < fewer[block] for block in saving),
    timing=True,
)
claim(
    "stride is faster than each of them",
    all(faster["stride for pooling"].low > faster[block].high for block in saving),
    timing=True,
)
cost = {block: block_mean["3×3"] - value for block, value in block_mean.items()}
claim("groups cost less than a point", 0 < cost["4 groups"] < 1)
claim(
    "separable and 3×1 + 1×3 layers and the stride 0.9 to 1.5",
    all(
        0.9 < cost[block] < 1.5
        for block in ("depthwise-separable", "3×1 + 1×3", "stride for pooling")
    ),
)
claim("the bottleneck more than 3", cost["bottleneck"] > 3)

# %% [markdown]
# Stride in place of pooling is the one change here that saves products *and* moved numbers. It also works on a network that is
# trained already: the weights stay, the network is confused at first (it was trained to see maxima), and an epoch of
# training brings most of it back.


# %%
def finetune(model, epochs=1):
    steps = epochs * -(-len(pictures.train) // 128)
    training.fit(
        model,
        pictures,
        epochs=epochs,
        batch_size=128,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=2e-3),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 2e-3, total_steps=steps
        ),
        seed=1,
        description="fine-tuning",
    )
    return training.evaluate(model, pictures.test, pictures)


trained_on = copy.deepcopy(
    dense
)  # the control: the same epoch for a network that nothing was done to
same_training = finetune(trained_on)
strided = blocks.strided(dense)
confused = training.evaluate(strided, pictures.test, pictures)
cured = finetune(strided)
lost = {
    "at once": measure.proportion_difference(confused.correct, tested.correct),
    "after an epoch": measure.proportion_difference(
        cured.correct, same_training.correct
    ),
}
timings = measure.latency(
    {"MyNet": dense, "strided": strided}, batch, rounds=15, budget_seconds=1
)
strided_ratio = measure.ratio(timings["MyNet"], timings["strided"])

# %% tags=["nbval-ignore-output"]
print(f"stride in place of pooling: {strided_ratio}")
print(f"accuracy lost at once: {lost['at once']} points")
print(
    f"after an epoch, against MyNet trained on for as long: {lost['after an epoch']} points"
)

# %%
claim(
    "stride in place of pooling does 2.8 times fewer multiply-accumulates",
    round(work / measure.macs(strided, one), 1) == 2.8,
)
claim(
    "and makes MyNet at least twice as fast at batch 256",
    strided_ratio.low > 2,
    timing=True,
)
claim("at once it loses more than 10 points", lost["at once"].low > 10)
claim(
    "after an epoch, less than 4, the interval included",
    lost["after an epoch"].high < 4,
)

# %% [markdown]
# ## 5. Split what is trained already
#
# A matrix $W$ of rank $r$ is a product of two thin ones, $r(m + n)$ numbers in place of $mn$. No trained weight *is* of low
# rank, but it may be near to one: its singular values $\sigma_1 \ge \sigma_2 \ge \dots$ tell. Keep $r$ of them and no matrix
# of rank $r$ is nearer, in the sum of squared differences (Eckart & Young 1936); the share of the **energy** that is kept is
#
# $$\frac{\sigma_1^2 + \dots + \sigma_r^2}{\sigma_1^2 + \sigma_2^2 + \dots}.$$
#
# **Exercise (2 points).** The rank that keeps a share.


# %% exercise="convolutions.rank_for_energy"
def rank_for_energy(singular_values, energy):
    """Smallest rank that keeps the share. singular_values: float [n], descending; energy: 0 to 1 → a whole number."""
    ### BEGIN SOLUTION
    held = singular_values.square().cumsum(0) / singular_values.square().sum()
    return int((held < energy).sum()) + 1
    ### END SOLUTION


# %%
check("convolutions.rank_for_energy", rank_for_energy)

# %% [markdown]
# **Exercise (3 points).** A linear layer as two: the first maps the input to `rank` numbers, the second these to the output.


# %% exercise="convolutions.thin_factors"
def thin_factors(weight, rank):
    """weight: float [out, in] → (first [rank, in], second [out, rank]); second @ first is as near to weight as can be."""
    ### BEGIN SOLUTION
    u, s, vh = torch.linalg.svd(weight, full_matrices=False)
    return s[:rank, None] * vh[:rank], u[:, :rank]
    ### END SOLUTION


# %%
check("convolutions.thin_factors", thin_factors)

# %% [markdown]
# Is the first linear layer of `MyNet`, 97.6 % of all parameters, near to a low rank? Beside its singular values stand those of
# the same layer before training, a random matrix:

# %%
rank_for_energy, thin_factors = (
    yours_or_ours(f"convolutions.{name}")
    for name in ("rank_for_energy", "thin_factors")
)
weight = dense.classifier[0].weight.detach()
torch.manual_seed(0)  # the seed of the shipped weights
untrained = models.MyNet().classifier[0].weight.detach()
spectra = {
    "trained": torch.linalg.svdvals(weight),
    "before training": torch.linalg.svdvals(untrained),
}
ranks = {name: rank_for_energy(values, 0.9) for name, values in spectra.items()}

# %% tags=["fold"]
fig, (left, right) = plots.figure(ncols=2)
for (name, values), color in zip(
    spectra.items(), (plots.BLUE, plots.REFERENCE), strict=True
):
    left.plot(range(1, 129), values, color=color, label=name)
    right.plot(
        range(1, 129),
        100 * values.square().cumsum(0) / values.square().sum(),
        color=color,
    )
    right.plot(ranks[name], 90, "o", color=color)
left.set(
    xlabel="index", ylabel="singular value", title="first linear layer, 128 × 2048"
)
right.set(xlabel="rank", ylabel="energy kept, %", title="dots: 90 %")
plots.legend(fig)
plots.finish(fig)

# %%
first, second = thin_factors(weight, 32)
gap = torch.linalg.matrix_norm(weight - second @ first)
claim(
    "two thin factors miss the weight by exactly the root of the energy cut off",
    torch.isclose(gap, spectra["trained"][32:].norm(), atol=1e-4),
)
trained, random = spectra["trained"], spectra["before training"]
claim(
    "training made the largest singular value more than twice as large",
    trained[0] > 2 * random[0],
)
claim(
    "the smaller half is within 20 % of what it was before training",
    ((trained / random)[64:] - 1).abs().max() < 0.2,
)

# %% [markdown]
# Training has lifted twenty or so directions out of a sea of random ones. So there is something to keep; but the sea holds much
# of the energy. For 90 % of it one needs three quarters of the full rank, and then the two factors together have only a fifth
# fewer numbers than the weight:

# %% tags=["fold"]
kept = ranks["trained"] * (128 + 2048) / (128 * 2048)
claim(
    "90 % of the energy take about three quarters of the 128 singular values",
    0.7 < ranks["trained"] / 128 < 0.8,
)
claim("and leave about four fifths of the numbers", 0.75 < kept < 0.85)

# %% question="convolutions.break_even_rank"
answer = None
### BEGIN SOLUTION
answer = 120
### END SOLUTION
question("convolutions.break_even_rank", answer)

# %% [markdown]
# For a k×k convolution one must choose which matrix to cut. **Spatial SVD** (Jaderberg et al. 2014) writes the kernel as a
# [in·k, k·out] matrix, and its factors are a k×1 and a 1×k convolution. **Tucker-2** (Kim et al. 2016) cuts the channels on both
# sides: 1×1, k×k, 1×1, a bottleneck without ReLU. The library does the first. For a set number
# of parameters it finds the highest share of energy that fits, the same in every layer. Let a quarter of the parameters stay. What does it cost, with one epoch of fine-tuning?

# %%
predict(
    "accuracy lost by low-rank factors with a quarter of the parameters, fine-tuned",
    unit="points",
)

# %%
targets = (268_650, 200_000, 150_000, 100_000, 67_000, 30_000)


def validated(model):
    return training.evaluate(model, pictures.validation, pictures).accuracy


curve = [
    validated(low_rank.low_rank(dense, low_rank.choose_ranks(dense, parameters=target)))
    for target in targets
]
pruned_curve = [
    validated(
        pruning.magnitude_prune(
            copy.deepcopy(dense), min(target, pruning.count_weights(dense)[1])
        )
    )
    for target in targets
]
quarter_ranks = low_rank.choose_ranks(dense, parameters=67_000)
thin = low_rank.low_rank(dense, quarter_ranks)
thin_result = finetune(thin)
thin_lost = measure.proportion_difference(thin_result.correct, same_training.correct)

# %% tags=["fold"]
ways = {
    "low rank, no fine-tuning": curve,
    "smallest weights zeroed (lesson 01), no fine-tuning": pruned_curve,
}
fig, ax = plots.figure()
plots.curves(ax, targets, ways, reference=("MyNet", curve[0]))
ax.plot(
    67_000,
    validated(thin),
    "*",
    color=plots.BLUE,
    markersize=13,
    label="low rank, one epoch of fine-tuning",
)
ax.set(xlabel="parameters left", ylabel="validation accuracy, %")
plots.log_axis(ax.xaxis, targets, [f"{target // 1000}k" for target in targets])
plots.legend(fig, ncols=2)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
timings = {
    n: measure.latency(
        {"MyNet": dense, "thin": thin}, batch[:n], rounds=20, budget_seconds=1.5
    )
    for n in (1, 256)
}
thin_ratio = {n: measure.ratio(t["MyNet"], t["thin"]) for n, t in timings.items()}
print(quarter_ranks)
print(f"points lost against MyNet trained on for as long: {thin_lost}")
for n, found in thin_ratio.items():
    print(f"batch {n:>3}: {found}")
reveal(
    "accuracy lost by low-rank factors with a quarter of the parameters, fine-tuned",
    thin_lost.estimate,
    thin_lost.low,
    thin_lost.high,
    because="The directions that training had lifted out of the random sea are kept, and an epoch of training puts most of the "
    "rest right. (Against MyNet with the same epoch more: it gains by that too.)",
)

# %% tags=["fold"]
at_quarter = targets.index(67_000)
claim(
    "with a quarter of the parameters and no training the factors lose more than 10 points",
    curve[0] - curve[at_quarter] > 10,
)
claim(
    "zeroing as many of the smallest weights loses less than 3",
    pruned_curve[0] - pruned_curve[at_quarter] < 3,
)
claim(
    "after an epoch, the factors lose less than 3, the interval included",
    thin_lost.high < 3,
)
claim(
    "the file is four times smaller",
    3.7 < measure.disk_bytes(dense) / measure.disk_bytes(thin) < 4.5,
)
claim(
    "but at batch 256 the network is less than twice as fast",
    thin_ratio[256].median < 2,
    timing=True,
)

# %% [markdown]
# Now the teacher, whose parameters sit in 3×3 convolutions. Keep 90 % of each layer's energy:

# %%
split = low_rank.low_rank(teacher, low_rank.choose_ranks(teacher, energy=0.9))
fewer = measure.macs(teacher, one) / measure.macs(split, one)
teacher_timings = measure.latency(
    {"teacher": teacher, "split": split}, batch[:64], rounds=10, budget_seconds=2
)
split_ratio = measure.ratio(teacher_timings["teacher"], teacher_timings["split"])

# %% tags=["nbval-ignore-output"]
print(
    f"the teacher is right on {validated(teacher):.1f} % of the validation pictures, its factors on {validated(split):.1f} %"
)
print(f"{fewer:.2f} times fewer multiply-accumulates: {split_ratio}")

# %%
claim("the factors do a fifth fewer multiply-accumulates at least", fewer > 1.25)
claim("and are not as much faster as that", split_ratio.high < fewer, timing=True)

# %% [markdown]
# Fewer products, and on the machine where this was written the factors were *slower* than the teacher. A 3×3 convolution of 32 or 64
# channels is one call that keeps the arithmetic units busy; its factors are two calls, each with a full set of pictures
# to write and to read, and neither has many products for each number that it moves. Factorisation was tried first on much larger
# networks, where products are nearly all of the time. On small ones it saves bytes.
#
# ## 6. Fold the batch norm
#
# In evaluation mode a batch norm multiplies each channel by one stored number and adds another:
#
# $$\gamma\,\frac{y - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta .$$
#
# The convolution before it multiplies and adds too, so the two are one convolution with other weights (Jacob et al. 2018,
# section 3.2).
#
# **Exercise (4 points).** Which ones?


# %% exercise="convolutions.fold_batch_norm"
def fold_batch_norm(weight, bias, gamma, beta, mean, var, eps):
    """weight: float [out, in, k, k]; bias, gamma, beta, mean, var: float [out]; eps: a number → (weight, bias)."""
    ### BEGIN SOLUTION
    scale = gamma / (var + eps).sqrt()
    return weight * scale[:, None, None, None], (bias - mean) * scale + beta
    ### END SOLUTION


# %%
check("convolutions.fold_batch_norm", fold_batch_norm)

# %% question="convolutions.fold_when"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("convolutions.fold_when", choice)

# %% [markdown]
# The teacher has nine batch norms, one behind each convolution. Fold them all: how much faster is it at batch 256?

# %%
predict("speed-up from folding the teacher's batch norms, batch 256", unit="×")

# %%
fold_batch_norm = yours_or_ours("convolutions.fold_batch_norm")
conv, norm = teacher.stem[0], teacher.stem[1]
statistics = (norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps)
with torch.inference_mode():
    w, b = fold_batch_norm(conv.weight, torch.zeros(32), *statistics)
    by_hand = nn.functional.conv2d(batch, w, b, padding=1)
    claim(
        "by hand, the teacher's first layer and its batch norm are one convolution",
        torch.allclose(by_hand, norm(conv(batch)), atol=1e-5),
    )

folded = folding.fold_batch_norm(teacher)
norms = sum(isinstance(m, nn.BatchNorm2d) for m in teacher.modules())
with torch.inference_mode():
    difference = (folded(batch) - teacher(batch)).abs().max() / teacher(
        batch
    ).abs().max()
claim(
    "the teacher has nine batch norms, the folded one has none",
    (norms, sum(isinstance(m, nn.BatchNorm2d) for m in folded.modules())) == (9, 0),
)
claim("it computes the same function, to 1e-5 of the largest output", difference < 1e-5)

# %% tags=["nbval-ignore-output"]
fold_ratio = {}
for n in (1, 256):
    timings = measure.latency(
        {"teacher": teacher, "folded": folded}, batch[:n], rounds=40, budget_seconds=2
    )
    fold_ratio[n] = measure.ratio(timings["teacher"], timings["folded"])
    print(f"batch {n:>3}: {fold_ratio[n]}")
reveal(
    "speed-up from folding the teacher's batch norms, batch 256",
    fold_ratio[256].median,
    fold_ratio[256].low,
    fold_ratio[256].high,
    because="A batch norm does two operations a number, and still reads and writes the whole picture. At batch 256 the "
    "convolutions outweigh that; for a single picture it is nine calls less, and calls are what a single picture waits for.",
)

# %%
claim(
    "a single picture takes less time, for nothing",
    fold_ratio[1].median > 1,
    timing=True,
)

# %% [markdown]
# ## 7. A cost model, and where it breaks
#
# Can one know a layer's time without running it? The simplest honest model is the roofline plus the price of a call: calling
# costs something, whatever is done. Then arithmetic and memory traffic run at the same time, so the longer one counts.
#
# **Exercise (2 points).** Write it down.


# %% exercise="convolutions.predicted_seconds"
def predicted_seconds(macs, moved_bytes, gflops, bandwidth, overhead):
    """gflops: 10⁹ operations a second; bandwidth: 10⁹ bytes a second; overhead: seconds a call → seconds."""
    ### BEGIN SOLUTION
    return overhead + max(2 * macs / (gflops * 1e9), moved_bytes / (bandwidth * 1e9))
    ### END SOLUTION


# %%
check("convolutions.predicted_seconds", predicted_seconds)

# %% [markdown]
# Its three numbers are measured once for a machine; then it predicts any layer. Thirty layers of all kinds, a batch of 32 each,
# predicted first and measured after. How many does it predict to within a factor of two?

# %%
predict(
    "layers of 30 that the cost model predicts to within a factor of 2", unit="layers"
)


# %%
def conv_layer(inputs, outputs, kernel, side, groups=1):
    return nn.Conv2d(
        inputs, outputs, kernel, padding=kernel // 2, groups=groups
    ), torch.randn(32, inputs, side, side)


def linear_layer(inputs, outputs):
    return nn.Linear(inputs, outputs), torch.randn(32, inputs)


shapes = {
    "3×3": [conv_layer(i, o, 3, s) for i, o, s in (
        (3, 16, 32), (3, 64, 32), (16, 16, 32), (16, 32, 16), (32, 32, 16), (32, 64, 8), (64, 64, 16), (64, 64, 4), (128, 128, 8), (128, 128, 4),
    )],
    "1×1": [conv_layer(i, o, 1, s) for i, o, s in ((16, 16, 32), (16, 64, 16), (64, 64, 16), (64, 16, 8), (128, 128, 8), (256, 256, 4))],
    "5×5, 7×7": [conv_layer(i, o, k, s) for i, o, k, s in ((3, 16, 7, 32), (16, 32, 5, 16), (32, 32, 5, 16), (64, 64, 5, 8))],
    "depthwise": [conv_layer(c, c, k, s, groups=c) for c, k, s in ((16, 3, 32), (64, 3, 16), (128, 3, 8), (256, 3, 4), (64, 5, 16))],
    "linear": [linear_layer(i, o) for i, o in ((128, 10), (256, 256), (2048, 128), (1024, 1024), (4096, 128))],
}  # fmt: skip
predicted_seconds = yours_or_ours("convolutions.predicted_seconds")
machine = cost_model.calibrate()
guessed, clocked = {}, {}
for kind, layers in shapes.items():
    costs = [measure.layer_costs(layer, x)[0] for layer, x in layers]
    moved = [c.weight_bytes + c.input_bytes + c.output_bytes for c in costs]
    guessed[kind] = [
        predicted_seconds(
            c.macs, m, machine.gflops, machine.bandwidth, machine.overhead
        )
        for c, m in zip(costs, moved, strict=True)
    ]
    clocked[kind] = [
        measure.latency({"": layer}, x, rounds=6, budget_seconds=0.15)[""].median
        for layer, x in layers
    ]
same = torch.tensor(guessed["3×3"]).allclose(
    torch.tensor(
        [
            machine.seconds(measure.layer_costs(layer, x)[0])
            for layer, x in shapes["3×3"]
        ]
    )
)
claim("your formula is the library's", same)

# %% tags=["fold"]
fig, ax = plots.figure(figsize=(6.5, 4.2))
for (kind, xs), color, marker in zip(
    guessed.items(), plots.PALETTE, "os^Dv", strict=False
):
    ax.plot(
        [1e6 * t for t in xs],
        [1e6 * t for t in clocked[kind]],
        marker,
        color=color,
        label=kind,
    )
every = [1e6 * t for times in (*guessed.values(), *clocked.values()) for t in times]
ends = torch.tensor([min(every) / 2, max(every) * 2])
ax.plot(ends, ends, color=plots.REFERENCE)
ax.fill_between(
    ends,
    ends / 2,
    ends * 2,
    color=plots.REFERENCE,
    alpha=0.12,
    label="within a factor of 2",
)
ax.set(
    xscale="log",
    yscale="log",
    xlabel="predicted, µs",
    ylabel="measured, µs",
    title="thirty layers, a batch of 32",
)
plots.legend(fig, "right")
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
off = {
    kind: torch.tensor(clocked[kind]) / torch.tensor(xs) for kind, xs in guessed.items()
}
within = sum(int(((r > 0.5) & (r < 2)).sum()) for r in off.values())
print(
    f"{machine.gflops:.0f} GFLOP/s, {machine.bandwidth:.0f} GB/s, {1e6 * machine.overhead:.1f} µs a call"
)
for kind, ratios in off.items():
    print(
        f"{kind:9} takes {ratios.median():.1f} times as long as predicted (from {ratios.min():.1f} to {ratios.max():.1f})"
    )
reveal(
    "layers of 30 that the cost model predicts to within a factor of 2",
    within,
    because="Where arithmetic is the limit, the model is good. It misses where a layer never comes near either limit.",
)

# %% [markdown]
# Large kernels and many channels lie on the line: there the arithmetic units are busy, and their speed is what was measured.
# Above the line lie three kinds, each for a reason that the model does not know:
#
# - **depthwise** layers use each number k² times. The model thinks that memory then runs at full speed; but the kernel must
#   rearrange the pictures for the vector units first, and back afterwards;
# - **1×1** layers with few channels, and the first layer with its three, the same;
# - **linear** layers with only 32 pictures: each weight is fetched for 32 uses, too few to keep a matrix product at its best.
#
# What to do with a model that is wrong in a known way? Measure one correction for each kind on half of the layers, and try it on
# the other half. Tables of this sort stand behind networks that are designed by search for one device (Cai et al. 2019).

# %%
right = seen_layers = 0
for ratios in off.values():
    corrected = ratios[1::2] / ratios[::2].median()
    right, seen_layers = (
        right + int(((corrected > 0.5) & (corrected < 2)).sum()),
        seen_layers + len(corrected),
    )

# %%
claim(
    "large kernels: on median within a factor of 2 of the prediction",
    1 / 2 < off["5×5, 7×7"].median() < 2,
    timing=True,
)
claim(
    "depthwise layers are further off than large kernels",
    off["depthwise"].median() > 1.3 * off["5×5, 7×7"].median(),
    timing=True,
)
claim(
    "with one correction for each kind, more than half of the 14 other layers are within a factor of 2",
    right > 7 and seen_layers == 14,
    timing=True,
)

# %% [markdown]
# ## 8. Playground
#
# Choose what stands in the place of a 3×3 convolution, and how many channels and pixels it meets. Find a block with a third of
# the MACs that is *slower* than the full convolution.

# %%
convolution_playground(machine)

# %% [markdown]
# ## Summary

# %% tags=["nbval-ignore-output"]
measure.compare(
    {"MyNet, trained on": trained_on, "strided": strided, "quarter, low rank": thin},
    batch,
    accuracy={
        "MyNet, trained on": same_training.accuracy,
        "strided": cured.accuracy,
        "quarter, low rank": thin_result.accuracy,
    },
    rounds=15,
    budget_seconds=2,
)

# %% [markdown]
# - **Fewer kernels** save in every currency at once, and accuracy pays slowly.
# - **Smaller kernels** save products only, and the network sees less of the picture.
# - **Fewer layers** can make a network larger. Count before you cut.
# - **Multiply-accumulates are not time.** What moves numbers without multiplying them (pooling, activations, thin layers) has its
#   own price, and in a small network it is most of the bill. So stride in place of pooling saved most time.
# - **Low rank** shrinks large linear layers well, after training; small convolutions it does not make faster.
# - **Batch norms** are folded before inference, always.
#
# **What practice uses today.** MobileNetV3 and EfficientNet are built of separable bottlenecks with strides and chosen by search
# on a device; ConvNeXt of large depthwise kernels in front of 1×1 layers. Inference engines fold batch
# norms and fuse activations by themselves. Low rank lives on in LoRA, for the fine-tuning of large models.
#
# **Further reading.** Howard et al., *MobileNets* (2017) · Szegedy et al., *Rethinking the Inception architecture* (2016) · He et
# al., *Deep residual learning* (2016) · Springenberg et al., *Striving for simplicity* (2015) · Jaderberg, Vedaldi & Zisserman,
# *Speeding up convolutional neural networks with low rank expansions* (2014) · Kim et al., *Compression of deep convolutional
# neural networks for fast and low power mobile applications* (2016) · Tai et al.,
# *Convolutional neural networks with low-rank regularization* (2016) · Krizhevsky, Sutskever & Hinton, *ImageNet classification
# with deep convolutional neural networks* (2012) · Jacob et al., *Quantization and training of neural networks for efficient
# integer-arithmetic-only inference* (2018) · Cai, Zhu & Han, *ProxylessNAS* (2019).
#
# Your guesses of the whole course so far, against what your machine measured:

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
