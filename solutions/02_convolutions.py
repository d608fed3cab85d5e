# %% [markdown]
# # Convolutions: what does each knob save?
#
# Fewer kernels, smaller kernels, fewer layers: these are the three knobs that you can turn for a cheaper network. In
# this lesson you will
#
# - turn each of these knobs alone, and measure what it saves and what accuracy it costs;
# - meet a knob that makes the network *larger* when you turn it down;
# - try the usual replacements for a convolution: separable, grouped, bottleneck, asymmetric and strided ones;
# - split trained layers into thin ones by their singular values, and see when that pays;
# - fold batch norms into convolutions at no cost, and build a model that predicts a layer's time.
#
# The lesson takes about an hour and stands alone: you only need Python and the basics of PyTorch. *The article* is the
# tutorial that this course grew out of, and `MyNet` is its network. Trained networks ship with the course. *The
# library* is `nnopt_lab`, the Python package that comes with the course.
#
# Three terms: a **multiply-accumulate** (MAC) is one product added to a sum. A **kernel** is the grid of weights that a
# convolution slides over one channel (3×3, for example); a **filter** has one kernel per input channel and makes one
# output channel. (The article says "fewer kernels" where it means fewer filters, and so do the plots.)

# %% tags=["fold", "side-by-side"]
# Imports: where the names of this lesson come from
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
from nnopt_lab.workbench import (
    data,
    diagrams,
    measure,
    models,
    plots,
    recipes,
    training,
)
from nnopt_lab.workbench.tables import Table

# %%
lesson("02_convolutions")
pictures = data.load("fashion")
dense, teacher = models.trained("mynet"), models.trained("teacher")
batch = pictures.to_input(pictures.test.images[:256])
one = batch[:1]
measure.layer_table(dense, one)

# %% tags=["fold"]
# Numbers: size, work and accuracy of MyNet
size, work = measure.parameters(dense).total, measure.macs(dense, one)
tested = training.evaluate(dense, pictures.test, pictures)

# %% [markdown]
# `MyNet` sorts 32×32 pictures of clothes into ten classes. It has 268,650 parameters and does 1,885,440 MACs per
# picture.
#
# ## 1. Three knobs
#
# A convolution from $C_\text{in}$ to $C_\text{out}$ channels with $k×k$ kernels does $C_\text{out} C_\text{in} k^2$
# MACs per output pixel. You can turn three knobs:
#
# - **fewer kernels**: a smaller $C_\text{out}$, and with it a smaller $C_\text{in}$ of the next layer. A layer with
#   half of its input channels and half of its filters does a quarter of the MACs;
# - **smaller kernels**: a smaller $k^2$. From 3×3 to 1×1 it falls to a ninth;
# - **fewer layers**: all MACs of a removed layer are saved.
#
# Processors are built for products of matrices, and compute a convolution as one of them: every window of the picture
# becomes a column (*im2col*). So what holds for matrix products also holds here: large ones are the most efficient.

# %% tags=["fold"]
# Diagram: a convolution as a matrix product
diagrams.convolution_as_product()

# %% [markdown]
# What to see: the orange window becomes the orange column, and the product puts its two outputs, one per filter, into
# the orange column of the result. Each pixel is copied into every window that contains it, up to nine times here.
#
# Smaller kernels and fewer layers also limit what the network can see. The output of a convolution or pooling layer is
# a set of **feature maps**, one per channel. A value of the last feature map depends on a square of input pixels, its
# **receptive field**. A layer with kernel size $k$ widens the field by $k - 1$ steps. The length of a step, in input
# pixels, is the product of all strides before this layer.
#
# **Exercise (2 points).** Compute the width of the receptive field of a stack of layers. It is the largest thing in the
# picture that a single value can recognise.


# %% exercise="convolutions.receptive_field"
def receptive_field(layers):
    """Width of the receptive field in input pixels, an int.

    layers: list of (kernel_size, stride), first layer first.

    >>> receptive_field([(3, 1)])
    3
    >>> receptive_field([(3, 1), (2, 2), (3, 1)])
    8
    """
    ### BEGIN SOLUTION
    field, step = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * step
        step *= stride
    return field
    ### END SOLUTION


# %%
check("convolutions.receptive_field", receptive_field)

# %% [markdown]
# A pooling layer counts like a convolution with its window and stride. Call a value of the last feature map a
# *feature*. How many of the 32×32 pixels does a feature see? It depends on the kernels:

# %%
receptive_field = yours_or_ours("convolutions.receptive_field")
seen = {k: receptive_field([(k, 1), (2, 2), (k, 1), (2, 2)]) for k in (1, 3, 5, 7)}

# %% tags=["fold"]
# Table: pixels that a feature sees
Table(
    [[f"{k}×{k}", f"{pixels}×{pixels}"] for k, pixels in seen.items()],
    ["kernels", "pixels that a feature sees"],
)

# %% [markdown]
# Now turn the third knob. `MyNet` has two convolutions, each followed by ReLU and pooling. Remove the second one
# together with its ReLU and pooling, and let the next layer read what is left. How many times as many parameters does
# the network have then?

# %%
predict(
    "parameters of MyNet without its second convolution, against MyNet",
    unit="× as many",
)

# %%
shallow = models.MyNet(channels=(16,))

# %%
# Answer: parameters of MyNet without its second convolution, against MyNet
reveal(
    "parameters of MyNet without its second convolution, against MyNet",
    measure.parameters(shallow).total / size,
    because="The second convolution had 4,640 parameters. But its pooling also halved "
    "the picture's height and width, and the next linear layer has a weight for every "
    "value it reads: these are now 16·16·16 = 4,096 instead of 32·8·8 = 2,048.",
)

# %%
# Claims: depth, width and kernel size
claim(
    "Without its second convolution, MyNet has nearly twice the parameters.",
    1.9 < measure.parameters(shallow).total / size < 2,
)
claim(
    "Without its second convolution, MyNet still does fewer multiply-accumulates.",
    measure.macs(shallow, one) < work,
)
claim(
    "A feature of MyNet sees 10 by 10 pixels; with 1×1 kernels, it sees only 4 by 4.",
    (seen[3], seen[1]) == (10, 4),
)
claim(
    "Two 3×3 layers see as far as one 5×5.",
    receptive_field([(3, 1), (3, 1)]) == receptive_field([(5, 1)]),
)
claim(
    "MyNet has 268,650 parameters and does 1,885,440 multiply-accumulates per picture.",
    (size, work) == (268650, 1885440),
)
claim(
    "The second convolution has 4,640 parameters.",
    measure.parameters(dense.features[3]).total == 4_640,
)

# %% [markdown] tags=["tells"]
# "Fewer layers, fewer parameters" is true of the convolutions and false of the network. Size and work are two different
# things, and removing one layer can make the next one larger.

# %% [markdown]
# ## 2. What each knob saves
#
# Below, you turn each knob alone. Every network was trained from scratch with the same recipe: four epochs (passes
# over the training pictures), three seeds, AdamW with a *one-cycle* learning rate, which rises to a peak and then falls
# to almost zero. Training thirty networks takes minutes, so their accuracies are recorded in
# `data/recorded/convolution_knobs.json` (`nnopt record convolution_knobs` makes the file again).
#
# The costs are measured here, in five currencies: parameters, MACs, bytes of the file, time for one picture, and time
# for a batch of 256. The measured networks are untrained. (A trained one may take a few percent more or less time,
# since pooling on a CPU depends on the values.) Here are the settings of the three knobs:

# %%
# True trains all networks on your machine: about ten minutes per experiment.
LIVE = False
knobs = recorded("convolution_knobs", live=LIVE)["result"]["accuracy"]

# %% tags=["fold"]
# Table and numbers: the settings of each knob
usual = {"channels": (16, 32), "kernel_size": 3}
names = {("fewer kernels", s): f"fewer kernels: {s}" for s in KNOBS["fewer kernels"]}
for s in KNOBS["smaller kernels"]:
    names["smaller kernels", s] = f"smaller kernels: {s}"
for s in KNOBS["fewer layers"]:
    names["fewer layers", s] = f"fewer layers: {s}"
names |= {(k, s): "MyNet" for k, s in names if usual | KNOBS[k][s] == usual}
torch.manual_seed(0)
networks = {"MyNet": models.MyNet()} | {
    names[k, s]: models.MyNet(**KNOBS[k][s]) for k, s in names
}
accuracies = {
    name: torch.tensor(knobs[knob][setting]) for (knob, setting), name in names.items()
}
mean = {name: values.mean().item() for name, values in accuracies.items()}

turned = ("filters of both convolutions", "kernel size", "number of convolutions")
Table(
    [
        [knob, what, " · ".join(settings)]
        for (knob, settings), what in zip(KNOBS.items(), turned, strict=True)
    ],
    ["knob", "what it changes", "settings"],
)

# %% [markdown]
# Take one of these networks first. With 1×1 kernels, `MyNet` does 4.2 times fewer MACs. How many times as fast is it at
# batch 256?

# %%
predict("speed-up from 1×1 kernels in MyNet, batch 256", unit="×")

# %%
pair = {name: networks[name] for name in ("MyNet", "smaller kernels: 1×1")}
timings = measure.latency(pair, batch, rounds=15, budget_seconds=1)
kernel_ratio = measure.ratio(*timings.values())

# %%
# Answer: speed-up from 1×1 kernels in MyNet, batch 256
reveal(
    "speed-up from 1×1 kernels in MyNet, batch 256",
    kernel_ratio.median,
    kernel_ratio.low,
    kernel_ratio.high,
    because="Only the number of products fell. ReLU and pooling read and write the "
    "same pictures as before, and they have no MACs at all.",
)

# %% [markdown]
# And here are all of them:

# %%
table = measure.compare(networks, batch, accuracy=mean, rounds=6, budget_seconds=3)

# %% tags=["fold", "nbval-ignore-output"]
# Table: what each network costs
table

# %% [markdown]
# What to see: half of the measured times lie between the quartiles. Below each time is the network's speed-up over
# `MyNet` with a 95 % interval, which contains the true ratio in 95 % of cases. If the interval contains 1, no difference
# was measured.
#
# Here are three of the currencies as a plot:

# %% tags=["fold"]
# Plot: accuracy over parameters and time
rows = {row["model"]: row for row in table.rows}
prices = {
    "parameters": {name: row["total"] / size for name, row in rows.items()},
    "MACs": {name: row["macs"] / work for name, row in rows.items()},
    "time, batch of 256": {
        name: row["latency"][256].median / rows["MyNet"]["latency"][256].median
        for name, row in rows.items()
    },
}
fig, axes = plots.figure(3, 3, sharex="col", sharey=True, height=7)
for row, (knob, settings), color in zip(
    axes, KNOBS.items(), plots.PALETTE, strict=False
):
    for ax, price in zip(row, prices.values(), strict=True):
        for other in KNOBS:  # the other knobs' lines in grey, to compare
            line = sorted(
                (price[names[other, s]], mean[names[other, s]]) for s in KNOBS[other]
            )
            ax.plot(*zip(*line, strict=True), color=plots.FAINT)
        found = sorted((names[knob, s] for s in settings), key=price.get)
        runs = [accuracies[name].tolist() for name in found]
        across = [price[name] for name in found]
        plots.band(ax, across, list(zip(*runs, strict=True)), knob, color)
        plots.reference_line(ax, 1)
        plots.log_axis(ax.xaxis, [0.25, 0.5, 1, 2, 4], ["¼", "½", "1", "2", "4"])
    row[0].set(ylabel="test accuracy, %")
for ax, title in zip(axes[2], prices, strict=True):
    ax.set(xlabel=f"{title}, times MyNet's")
plots.legend(fig)  # before the names, since it moves what lies under it
for row, (knob, settings) in zip(axes, KNOBS.items(), strict=True):
    for ax, price in zip(row, prices.values(), strict=True):
        named = {}
        for setting in settings:
            if (name := names[knob, setting]) != "MyNet":
                layers = "1 layer" if setting == "1" else f"{setting} layers"
                short = layers if knob == "fewer layers" else setting
                named[short] = (price[name], mean[name])
        plots.scatter(ax, named, color="none")
plots.finish(
    fig,
    "Fewer kernels save parameters, MACs and time, and lose accuracy; smaller "
    "kernels save no parameters, and fewer layers add some. All lines cross at MyNet.",
    measured="x",
)

# %% [markdown] tags=["tells"]
# What to see: each row is a knob, with the other two in grey, and each point a setting; the lines cross at `MyNet`.
# Bands reach from the lowest to the highest seed. Left is cheap, and up is good.
#
# - **Fewer kernels** save in every currency. Halving their number saves half of the parameters and more than a quarter
#   of the time, and costs 1 to 2 points of accuracy.
# - **Smaller kernels** save MACs. The number of parameters hardly changes, because almost all of them are in the first
#   linear layer, and the time falls less than with half as many kernels. Yet 1×1 kernels cost more than 3 points: their
#   features see 4×4 pixels, probably too few to distinguish a sleeve from a strap. Kernels larger than 3×3 gain nothing
#   that three seeds can show.
# - **Fewer layers**: a single convolution is as accurate as two on these pictures, to within half a point, and faster,
#   but its file is nearly twice as large. *More* than two layers make the file smaller and, after four epochs, the
#   network worse. Depth pays off on more varied pictures, with a training recipe made for it.
#
# So there is no best knob. Choose by what is scarce: bytes or time.

# %% tags=["fold"]
# Claims: what each knob saves
gained = {name: value - mean["MyNet"] for name, value in mean.items()}
took = prices["time, batch of 256"]

claim(
    "Half of the kernels cost 1 to 2 points and half of the parameters.",
    1 < -gained["fewer kernels: 8, 16"] < 2
    and round(prices["parameters"]["fewer kernels: 8, 16"], 1) == 0.5,
    timing=False,
)
claim("1×1 kernels cost more than 3 points.", gained["smaller kernels: 1×1"] < -3)
claim(
    "A single convolution instead of two changes accuracy by less than half a point.",
    abs(gained["fewer layers: 1"]) < 0.5,
)
claim(
    "Half of the kernels save more than a quarter of the time.",
    took["fewer kernels: 8, 16"] < 0.75,
    timing=True,
)
claim(
    "1×1 kernels take longer than half as many 3×3 kernels.",
    took["smaller kernels: 1×1"] > took["fewer kernels: 8, 16"],
    timing=True,
)
claim(
    "5×5 and 7×7 kernels gain less than half a point.",
    max(gained[f"smaller kernels: {k}×{k}"] for k in (5, 7)) < 0.5,
)
claim(
    "A single convolution takes less time than two.",
    took["fewer layers: 1"] < 0.95,
    timing=True,
)
claim("Four layers lose more than half a point.", gained["fewer layers: 4"] < -0.5)
claim(
    "Four layers have little more than a third of the parameters.",
    1 / 3 < prices["parameters"]["fewer layers: 4"] < 0.4,
    timing=False,
)

# %% [markdown]
# ## 3. Fewer MACs, less time?
#
# Everybody counts MACs, because they are easy to count. But with 1×1 kernels, time fell much less than MACs did. To see
# why, take the network apart, and time each part on the input that it gets in the network:


# %% tags=["fold"]
# Plot: time by stage, 3×3 and 1×1 kernels
def parts_of(model):
    """Seconds of each part of a MyNet, for a batch of 256."""
    cuts = {
        "convolution 1": model.features[:1],
        "ReLU, pooling 1": model.features[1:3],
        "convolution 2": model.features[3:4],
        "ReLU, pooling 2": model.features[4:6],
        "linear layers": nn.Sequential(nn.Flatten(), model.classifier),
    }
    seconds, x = {}, batch
    for name, part in cuts.items():
        timing = measure.latency({name: part}, x, rounds=8, budget_seconds=0.4)
        seconds[name] = timing[name].median
        with torch.inference_mode():
            x = part(x)
    return seconds


seconds = {
    "3×3 kernels": parts_of(networks["MyNet"]),
    "1×1 kernels": parts_of(networks["smaller kernels: 1×1"]),
}

milliseconds = {
    name: {part: 1000 * s for part, s in parts.items()}
    for name, parts in seconds.items()
}
fig, ax = plots.figure(height=2.3)
plots.stages(ax, milliseconds, labels="{:.1f}")
ax.set(xlabel="ms, batch of 256")
plots.legend(fig, ncols=5)
pooled = {
    name: 100
    * sum(ms for part, ms in parts.items() if "pooling" in part)
    / sum(parts.values())
    for name, parts in milliseconds.items()
}
plots.finish(
    fig,
    f"ReLU and pooling take {pooled['3×3 kernels']:.0f} % of the time with 3×3 "
    f"kernels and {pooled['1×1 kernels']:.0f} % with 1×1 kernels, which shorten only "
    "the convolutions.",
    measured="x",
)

# %% [markdown]
# What to see: with 1×1 kernels, only the two convolutions' segments can become shorter. ReLU and pooling have as much
# work as before, so their segments now take a large part of the bar.

# %% tags=["fold"]
# Claims: MACs and time of 1×1 kernels
without_macs = sum(t for part, t in seconds["1×1 kernels"].items() if "ReLU" in part)

claim(
    "With 1×1 kernels, MyNet does 4.2 times fewer multiply-accumulates.",
    round(work / rows["smaller kernels: 1×1"]["macs"], 1) == 4.2,
)
claim(
    "With 1×1 kernels, MyNet is less than 3 times as fast.",
    kernel_ratio.high < 3,
    timing=True,
)
claim(
    "With 1×1 kernels, ReLU and pooling take more than a third of the time.",
    without_macs > sum(seconds["1×1 kernels"].values()) / 3,
    timing=True,
)

# %% [markdown]
# So there are two ways to a faster network: fewer products, and fewer *values that move* between memory and processor.
# A change that saves only products often gives a network that is cheap on paper and not much faster.
#
# ## 4. The usual replacements for a convolution
#
# An ordinary convolution combines neighbouring pixels and all channels in one step. Each of these replacements saves a
# part of that work:
#
# | replacement for $k×k$, $C$ to $C$ channels | MACs per pixel | idea |
# |---|---|---|
# | none | $k^2 C^2$ | |
# | **depthwise-separable** | $k^2 C + C^2$ | first each channel by itself (*depthwise*), then all channels at each pixel ([Howard et al. 2017](https://arxiv.org/abs/1704.04861)) |
# | **grouped**, $g$ groups | $k^2 C^2 / g$ | each group of filters reads one group of channels ([Krizhevsky et al. 2012](https://doi.org/10.1145/3065386)) |
# | **bottleneck** to $C/4$ | $C^2/4 + k^2 C^2/16 + C^2/4$ | fewer channels for the expensive part, with 1×1 layers before and after ([He et al. 2016](https://arxiv.org/abs/1512.03385)) |
# | **k×1 + 1×k** | $2 k C^2$ | one direction after the other ([Szegedy et al. 2016](https://arxiv.org/abs/1512.00567)) |
# | **stride** instead of pooling | $k^2 C^2$, at a quarter of the pixels | compute only as many values as pooling would keep ([Springenberg et al. 2015](https://arxiv.org/abs/1412.6806)) |
#
# **Exercise (2 points).** Count the parameters and MACs of a depthwise-separable convolution: a depthwise layer, then a
# 1×1 layer. Compare them with those of an ordinary one, to know what you would save.


# %% exercise="convolutions.separable_cost"
def separable_cost(in_channels, out_channels, kernel_size, height, width):
    """(parameters, MACs per picture) of a depthwise-separable convolution, as ints.

    Neither layer has a bias, and the output is height × width.

    >>> separable_cost(2, 4, kernel_size=3, height=5, width=5)
    (26, 650)
    """
    ### BEGIN SOLUTION
    parameters = in_channels * kernel_size**2 + in_channels * out_channels
    return parameters, parameters * height * width
    ### END SOLUTION


# %%
check("convolutions.separable_cost", separable_cost)

# %% [markdown]
# A depthwise layer is a grouped convolution with as many groups as channels. And a grouped convolution is an ordinary
# one in which most weights are zero.
#
# **Exercise (3 points).** Expand a grouped convolution's weight to the equivalent ordinary (dense) one, zeros included.


# %% exercise="convolutions.grouped_as_dense"
def grouped_as_dense(weight, groups):
    """The equivalent dense weight, with the same dtype.

    weight: float [out, in / groups, k, k], groups: int → float [out, in, k, k].

    >>> weight = torch.tensor([5.0, 7.0]).reshape(2, 1, 1, 1)
    >>> grouped_as_dense(weight, groups=2).reshape(2, 2)
    tensor([[5., 0.],
            [0., 7.]])
    """
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
grouped_as_dense = yours_or_ours("convolutions.grouped_as_dense")
layer, x = nn.Conv2d(8, 8, 3, groups=4, bias=False), torch.randn(2, 8, 6, 6)
with torch.inference_mode():
    expanded = nn.functional.conv2d(x, grouped_as_dense(layer.weight, 4))
    grouped_is_dense = torch.allclose(layer(x), expanded, atol=1e-5)

# %%
# Claims: a grouped convolution
claim("A grouped convolution is a dense one with zeros.", grouped_is_dense)

# %% [markdown]
# In `MyNet` most of these replacements gain little: its first convolution has only three input channels, and its second
# is small. So here is a wider network, whose three convolutions have 32, 64 and 128 filters. Each replacement takes the
# place of the second and third convolution, except stride, which replaces every pooling layer.
# (`nnopt_lab.techniques.convolutions.blocks` has one function per replacement; it takes a model and returns the new
# one.)

# %%
torch.manual_seed(0)
wide = {block: wide_net(block) for block in BLOCKS}
measure.layer_table(wide["depthwise-separable"], one)

# %% question="convolutions.macs_and_time"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("convolutions.macs_and_time", choice)

# %% [markdown]
# With depthwise-separable layers, this network does less than a quarter of the MACs that it does with 3×3 convolutions.
# How many times as fast is it?

# %%
predict(
    "speed-up from depthwise-separable layers in the wide network, batch 64", unit="×"
)

# %%
block_accuracy = recorded("convolution_blocks", live=LIVE)["result"]["accuracy"]
block_mean = {
    block: sum(values) / len(values) for block, values in block_accuracy.items()
}
block_table = measure.compare(
    wide, batch, accuracy=block_mean, batch_sizes=(1, 64), rounds=15, budget_seconds=3
)
block_rows = {row["model"]: row for row in block_table.rows}

# %% tags=["nbval-ignore-output", "fold"]
# Answer: speed-up from depthwise-separable layers in the wide network, batch 64
separable_ratio = block_rows["depthwise-separable"]["ratio"][64]
reveal(
    "speed-up from depthwise-separable layers in the wide network, batch 64",
    separable_ratio.median,
    separable_ratio.low,
    separable_ratio.high,
    because="A depthwise layer uses each value it reads for nine products; an ordinary "
    "one uses it for nine products per filter. And two layers instead of one write and "
    "read one more set of pictures, while ReLU and pooling stay as they were.",
)
block_table

# %% tags=["fold"]
# Plot: costs and accuracy of the replacements
block_table.plot()

# %% [markdown] tags=["tells"]
# What to see: compare the panels for MACs and for time at batch 64. Separable layers, groups and bottlenecks leave a
# fifth to a third of the MACs, but a larger share of the time. Stride instead of pooling leaves about as many MACs, but
# it makes the network faster than any of these three: ReLU and pooling have far fewer values left to read.
#
# And accuracy? Groups cost half a point; separable layers, 3×1 + 1×3 and stride cost one point or a little more. The
# bottleneck costs more than three: its middle is narrow, and nothing here helps such a network to train. Networks that
# use such replacements have dozens of layers, a batch norm after each part (section 8), and *shortcuts*, each of which
# adds a block's input to its output.

# %% tags=["fold"]
# Claims: the usual replacements
separable_cost = yours_or_ours("convolutions.separable_cost")
fewer = {
    block: block_rows["3×3"]["macs"] / row["macs"] for block, row in block_rows.items()
}
faster = {
    block: row["ratio"][64] for block, row in block_rows.items() if block != "3×3"
}
saving = ("depthwise-separable", "4 groups", "bottleneck")
cost = {block: block_mean["3×3"] - value for block, value in block_mean.items()}
stack = blocks.separable(nn.Sequential(nn.Conv2d(64, 128, 3, padding=1, bias=False)))
library_cost = (
    measure.parameters(stack).total,
    measure.macs(stack, torch.zeros(1, 64, 8, 8)),
)

claim(
    "Separable layers do 4.6 times fewer multiply-accumulates.",
    round(fewer["depthwise-separable"], 1) == 4.6,
    timing=False,
)
claim(
    "The speed-up from separable layers, groups and bottlenecks is smaller than the "
    "saving in MACs.",
    all(faster[block].high < fewer[block] for block in saving),
    timing=True,
)
claim(
    "Stride is faster than each of these three.",
    all(faster["stride for pooling"].median > faster[block].median for block in saving),
    timing=True,
)
claim(
    "Groups and bottlenecks do at least 3 times fewer MACs, stride 3.7 times.",
    min(fewer[b] for b in saving) > 3 and round(fewer["stride for pooling"], 1) == 3.7,
    timing=False,
)
claim("Groups cost half a point.", round(cost["4 groups"], 1) == 0.5)
claim(
    "Separable layers, 3×1 + 1×3 and stride each cost 0.9 to 1.5 points.",
    all(
        0.9 < cost[block] < 1.5
        for block in ("depthwise-separable", "3×1 + 1×3", "stride for pooling")
    ),
)
claim("The bottleneck costs more than 3 points.", cost["bottleneck"] > 3)
claim(
    "The count for a separable layer is the library's.",
    library_cost == separable_cost(64, 128, 3, 8, 8),
)

# %% [markdown]
# ## 5. Stride instead of pooling, in a trained network
#
# Of these replacements, stride saves the most moved values, and products as well. You can also apply it to a network
# that is already trained. The weights stay, but accuracy falls at first, since the network was trained on the maxima
# that pooling takes. An epoch of further training (*fine-tuning*) brings most of it back.


# %%
def finetune(model, epochs=1):
    recipes.one_cycle(
        model, pictures, epochs=epochs, peak=2e-3, seed=1, description="fine-tuning"
    )
    return training.evaluate(model, pictures.test, pictures)


# %%
# The control: the unchanged network gets the same epoch.
trained_further = copy.deepcopy(dense)
same_training = finetune(trained_further)

strided = blocks.strided(dense)
untrained_stride = training.evaluate(strided, pictures.test, pictures)
trained_stride = finetune(strided)

# %% tags=["fold", "nbval-ignore-output"]
# Numbers: speed and accuracy with stride
timings = measure.latency(
    {"MyNet": dense, "strided": strided}, batch, rounds=15, budget_seconds=1
)
strided_ratio = measure.ratio(timings["MyNet"], timings["strided"])
lost = {
    "at once": measure.proportion_difference(untrained_stride.correct, tested.correct),
    "after an epoch": measure.proportion_difference(
        trained_stride.correct, same_training.correct
    ),
}
print(f"stride instead of pooling: {strided_ratio}")
print(f"accuracy lost at once: {lost['at once']} points")
print(
    f"lost after an epoch, compared with the control: {lost['after an epoch']} points"
)

# %%
# Claims: stride instead of pooling
claim(
    "Stride instead of pooling makes MyNet at least twice as fast at batch 256.",
    strided_ratio.low > 2,
    timing=True,
)
claim(
    "MyNet with stride loses more than 10 points at once, and after an epoch less than "
    "4, interval included.",
    lost["at once"].low > 10 and lost["after an epoch"].high < 4,
)
claim(
    "MyNet with stride does 2.8 times fewer multiply-accumulates.",
    round(work / measure.macs(strided, one), 1) == 2.8,
)

# %% [markdown]
# ## 6. Low rank: split a trained layer
#
# An $m×n$ matrix of rank $r$ is the product of two thin ones, with $r(m + n)$ numbers instead of $mn$. A trained weight
# almost never has a low rank, but it may be close to a matrix that does. The **singular value decomposition** (SVD)
# shows how close. It writes any matrix as $W = U\,\mathrm{diag}(\sigma)\,V^\top$, a sum of *directions*
# $\sigma_i\,u_i v_i^\top$ with singular values $\sigma_1 \ge \sigma_2 \ge \dots \ge 0$; the columns $u_i$ of $U$ and
# $v_i$ of $V$ have length 1 and are orthogonal. If you keep the first $r$ terms, no other matrix of rank $r$ is closer
# to $W$ in the sum of squared differences ([Eckart & Young 1936](https://doi.org/10.1007/BF02288367)). The sum of all
# squared singular values is the **energy** of the matrix, and the share of it that you keep is
#
# $$\frac{\sigma_1^2 + \dots + \sigma_r^2}{\sigma_1^2 + \sigma_2^2 + \dots}.$$
#
# **Exercise (2 points).** Find the smallest rank that keeps a given share of the energy. This is how you choose the
# size of the two thin layers.


# %% exercise="convolutions.rank_for_energy"
def rank_for_energy(singular_values, energy):
    """Smallest rank that keeps at least the share `energy`, an int.

    singular_values: float [n], in descending order. energy: float between 0 and 1.

    >>> rank_for_energy(torch.tensor([4.0, 3.0, 0.0]), 0.6)
    1
    >>> rank_for_energy(torch.tensor([4.0, 3.0, 0.0]), 0.7)
    2
    """
    ### BEGIN SOLUTION
    held = singular_values.square().cumsum(0) / singular_values.square().sum()
    return int((held < energy).sum()) + 1
    ### END SOLUTION


# %%
check("convolutions.rank_for_energy", rank_for_energy)

# %% [markdown]
# **Exercise (3 points).** Split a linear layer into two. The first maps the input to `rank` values, and the second maps
# these to the output.


# %% exercise="convolutions.thin_factors"
def thin_factors(weight, rank):
    """(first, second), with second @ first as close to weight as possible.

    weight: float [out, in], rank: int → float [rank, in], float [out, rank].

    >>> first, second = thin_factors(torch.tensor([[3.0, 0.0], [0.0, 2.0]]), rank=1)
    >>> (second @ first).abs().round()
    tensor([[3., 0.],
            [0., 0.]])
    """
    ### BEGIN SOLUTION
    u, s, vh = torch.linalg.svd(weight, full_matrices=False)
    return s[:rank, None] * vh[:rank], u[:, :rank]
    ### END SOLUTION


# %%
check("convolutions.thin_factors", thin_factors)

# %% [markdown]
# The first linear layer of `MyNet` has 97.6 % of all parameters. Is it close to a matrix of low rank? Compare its
# singular values with those of the same layer before training, when its weights were random:

# %%
rank_for_energy = yours_or_ours("convolutions.rank_for_energy")
weight = dense.classifier[0].weight.detach()
torch.manual_seed(0)  # the seed of the shipped weights
untrained = models.MyNet().classifier[0].weight.detach()
spectra = {
    "trained": torch.linalg.svdvals(weight),
    "before training": torch.linalg.svdvals(untrained),
}
ranks = {name: rank_for_energy(values, 0.9) for name, values in spectra.items()}

# %% tags=["fold"]
# Plot: singular values, and the energy they keep
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
right.set(xlabel="rank", ylabel="energy kept, %", title="rank that keeps 90 %: dots")
plots.legend(fig)
plots.finish(
    fig,
    "Trained singular values start high and fall fast, untrained ones are nearly "
    f"level; 90 % of the energy takes rank {ranks['trained']}, before training "
    f"{ranks['before training']}.",
    trained="y",
)

# %% [markdown]
# What to see: on the left, training has raised about twenty singular values by more than a quarter, and changed the
# smaller half of them by less than a fifth. So some directions are worth keeping, but the many that stayed almost
# random hold much of the energy. On the right, you need about three quarters of the full rank to keep 90 % of the
# trained layer's energy. At that rank, the two factors together have only about a fifth fewer numbers than the weight.

# %% tags=["fold"]
# Claims: singular values and ranks
thin_factors = yours_or_ours("convolutions.thin_factors")
first, second = thin_factors(weight, 32)
gap = torch.linalg.matrix_norm(weight - second @ first).float()
trained, random = spectra["trained"], spectra["before training"]
kept = ranks["trained"] * (128 + 2048) / (128 * 2048)

claim(
    "Training made the largest singular value more than twice as large.",
    trained[0] > 2 * random[0],
)
claim(
    "To keep 90 % of the energy, you need 70 to 80 % of the 128 singular values.",
    0.7 < ranks["trained"] / 128 < 0.8,
)
claim(
    "At that rank, the two factors have 75 to 85 % of the weight's numbers.",
    0.75 < kept < 0.85,
)
claim(
    "The smaller half of the singular values is within 20 % of its values before "
    "training.",
    ((trained / random)[64:] - 1).abs().max() < 0.2,
)
claim(
    "Training raised 18 to 25 singular values by more than a quarter.",
    18 <= (trained / random > 1.25).sum() <= 25,
)
claim(
    "Two thin factors differ from the weight by exactly the root of the lost energy.",
    torch.isclose(gap, spectra["trained"][32:].norm(), atol=1e-4),
)

# %% question="convolutions.break_even_rank"
answer = None
### BEGIN SOLUTION
answer = 120
### END SOLUTION
question("convolutions.break_even_rank", answer)

# %% [markdown]
# ## 7. Low rank in a whole network
#
# The weight of a k×k convolution is not a matrix, so you have to choose how to read it as one. **Spatial SVD**
# ([Jaderberg et al. 2014](https://arxiv.org/abs/1405.3866)) reads it as an [in·k, k·out] matrix; the factors are a k×1
# and a 1×k convolution. **Tucker-2** ([Kim et al. 2016](https://arxiv.org/abs/1511.06530)) reduces both the input and
# the output channels: its factors are a 1×1, a k×k and a 1×1 convolution, like a bottleneck without ReLU.
#
# The library uses spatial SVD. You give it a number of parameters, and it keeps the same share of energy in every
# layer, the largest share that fits. Keep a quarter of the parameters, and train for one epoch. How many points of
# accuracy does that cost?

# %%
predict(
    "accuracy lost by low-rank factors with a quarter of the parameters, fine-tuned",
    unit="points",
)


# %%
def with_low_rank(parameters):
    return low_rank.low_rank(dense, low_rank.choose_ranks(dense, parameters=parameters))


thin = with_low_rank(67_000)
thin_result = finetune(thin)
thin_lost = measure.proportion_difference(thin_result.correct, same_training.correct)

# %% tags=["nbval-ignore-output"]
# Answer: accuracy lost by fine-tuned low-rank factors
reveal(
    "accuracy lost by low-rank factors with a quarter of the parameters, fine-tuned",
    thin_lost.estimate,
    thin_lost.low,
    thin_lost.high,
    because="The factors keep the directions that training had raised, and an epoch of "
    "training repairs most of the rest. (The comparison is with MyNet after one more "
    "epoch, which helps it, too.)",
)

# %% tags=["fold"]
# Plot: accuracy over the parameters left
targets = (268_650, 200_000, 150_000, 100_000, 67_000, 30_000)
prunable = pruning.count_weights(dense)[1]


def validated(model):
    return training.evaluate(model, pictures.validation, pictures).accuracy


def with_zeros(weights):
    return pruning.magnitude_prune(copy.deepcopy(dense), min(weights, prunable))


curve = [validated(with_low_rank(target)) for target in targets]
pruned_curve = [validated(with_zeros(target)) for target in targets]

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
plots.finish(
    fig,
    "Low rank loses accuracy earlier than zeroing small weights; one epoch of "
    "fine-tuning, a star, brings most of it back.",
    trained="y",
)

# %% [markdown]
# What to see: without fine-tuning, low rank loses accuracy much earlier than pruning by magnitude (zeroing the smallest
# weights). One epoch of fine-tuning (the star) brings most of it back.

# %% tags=["fold", "nbval-ignore-output"]
# Table: speed of the factors
timings = {
    n: measure.latency(
        {"MyNet": dense, "thin": thin}, batch[:n], rounds=20, budget_seconds=1.5
    )
    for n in (1, 256)
}
thin_ratio = {n: measure.ratio(t["MyNet"], t["thin"]) for n, t in timings.items()}
Table(list(thin_ratio.items()), ["batch", "factors compared with MyNet"])

# %% [markdown]
# Now try the *teacher*, another trained network of the course. It is a residual network (one with shortcuts), and most
# of its parameters are in 3×3 convolutions. Keep 90 % of each layer's energy:

# %%
split = low_rank.low_rank(teacher, low_rank.choose_ranks(teacher, energy=0.9))
saved_macs = measure.macs(teacher, one) / measure.macs(split, one)

# %% tags=["fold", "nbval-ignore-output"]
# Table: accuracy, MACs and speed of the teacher's factors
teacher_timings = measure.latency(
    {"teacher": teacher, "split": split}, batch[:64], rounds=10, budget_seconds=2
)
split_ratio = measure.ratio(teacher_timings["teacher"], teacher_timings["split"])
accuracies = [f"{validated(model):.1f} %" for model in (teacher, split)]
rows = [["teacher", accuracies[0], None, None]]
rows.append(["its factors", accuracies[1], f"{saved_macs:.2f}", split_ratio])
Table(rows, ["network", "validation accuracy", "times fewer MACs", "speed, batch 64"])

# %% tags=["fold"]
# Claims: low rank in a whole network
at_quarter = targets.index(67_000)

claim(
    "After an epoch, MyNet's factors lose less than 3 points, including the interval.",
    thin_lost.high < 3,
)
claim(
    "The file of MyNet's factors is about four times smaller.",
    3.7 < measure.disk_bytes(dense) / measure.disk_bytes(thin) < 4.5,
)
claim(
    "At batch 256, the factors are less than twice as fast as MyNet.",
    thin_ratio[256].median < 2,
    timing=True,
)
claim(
    "With a quarter of the parameters and no training, the factors lose more than 10 "
    "points.",
    curve[0] - curve[at_quarter] > 10,
)
claim(
    "If you zero as many of the smallest weights instead, you lose less than 3 points.",
    pruned_curve[0] - pruned_curve[at_quarter] < 3,
)
claim(
    "The teacher's factors do at least 1.25 times fewer multiply-accumulates.",
    saved_macs > 1.25,
)
claim(
    "The teacher's speed-up is smaller than its saving in MACs.",
    split_ratio.high < saved_macs,
    timing=True,
)

# %% [markdown]
# On the machine where this lesson was written, the factors of the teacher were even *slower* than the teacher itself. A
# 3×3 convolution with 32 or 64 channels is one call that keeps the arithmetic units busy. Its factors are two calls,
# each of which reads and writes whole feature maps and computes few products per value. Low rank was first tried on
# much larger networks, where products take almost all of the time. In small networks it saves bytes.
#
# ## 8. Fold the batch norm
#
# In evaluation mode, a batch norm multiplies each channel by one fixed number and adds another. With the input $y$, the
# stored mean $\mu$ and variance $\sigma^2$, the learned $\gamma$ and $\beta$, and a small constant $\epsilon$, it
# computes
#
# $$\gamma\,\frac{y - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta .$$
#
# The convolution before it multiplies and adds, too. So both together are a single convolution with other weights
# ([Jacob et al. 2018](https://arxiv.org/abs/1712.05877), section 3.2).
#
# **Exercise (4 points).** Compute the weight and bias of that convolution. With them, the batch norm can be left out,
# and the network's outputs stay the same.


# %% exercise="convolutions.fold_batch_norm"
def fold_batch_norm(weight, bias, gamma, beta, mean, var, eps):
    """(weight, bias) of the convolution that includes the batch norm, in weight's
    dtype.

    weight: float [out, in, k, k]. bias, gamma, beta, mean, var: float [out].
    eps: float.

    >>> weight = torch.full((1, 1, 1, 1), 2.0)
    >>> bias, gamma, beta, mean, var = torch.tensor([[1.0], [3], [10], [3], [4]])
    >>> fold_batch_norm(weight, bias, gamma, beta, mean, var, eps=0.0)
    (tensor([[[[3.]]]]), tensor([7.]))
    """
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
# The teacher has nine batch norms, one after each convolution. Fold them all. How many times as fast is it at batch
# 256?

# %%
predict("speed-up from folding the teacher's batch norms, batch 256", unit="×")

# %%
fold_batch_norm = yours_or_ours("convolutions.fold_batch_norm")
conv, norm = teacher.stem[0], teacher.stem[1]
statistics = (norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps)
with torch.inference_mode():
    w, b = fold_batch_norm(conv.weight, torch.zeros(32), *statistics)
    by_hand = nn.functional.conv2d(batch, w.float(), b.float(), padding=1)
    first_layer_agrees = torch.allclose(by_hand, norm(conv(batch)), atol=1e-5)

folded = folding.fold_batch_norm(teacher)

# %%
fold_ratio = {}
for n in (1, 256):
    timings = measure.latency(
        {"teacher": teacher, "folded": folded}, batch[:n], rounds=40, budget_seconds=2
    )
    fold_ratio[n] = measure.ratio(timings["teacher"], timings["folded"])

# %%
# Answer: speed-up from folding the teacher's batch norms, batch 256
reveal(
    "speed-up from folding the teacher's batch norms, batch 256",
    fold_ratio[256].median,
    fold_ratio[256].low,
    fold_ratio[256].high,
    because="A batch norm does only two operations per value, but it reads and writes "
    "the whole picture. At batch 256 the convolutions outweigh that. For a single "
    "picture, the time of nine calls is saved, and calls are a large part of its time.",
)

# %% tags=["fold", "nbval-ignore-output"]
# Table: speed of the folded teacher
Table(list(fold_ratio.items()), ["batch", "folded compared with the teacher"])

# %% tags=["fold"]
# Claims: the folded batch norms
with torch.inference_mode():
    outputs = teacher(batch)
    difference = (folded(batch) - outputs).abs().max() / outputs.abs().max()
norms = [
    sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    for model in (teacher, folded)
]

claim(
    "The folded teacher computes the same function, to within 1e-5 of its largest "
    "output.",
    difference < 1e-5,
)
claim(
    "For a single picture, the folded teacher is faster.",
    fold_ratio[1].median > 1,
    timing=True,
)
claim(
    "The function turns the teacher's first layer and its batch norm into a single "
    "convolution.",
    first_layer_agrees,
)
claim("The teacher has nine batch norms, and the folded one none.", norms == [9, 0])

# %% [markdown]
# ## 9. A cost model, and where it fails
#
# Can you know how long a layer takes without running it? Start with the *roofline*: a processor does a limited number
# of operations per second, and its memory moves a limited number of bytes per second. Arithmetic and memory work at the
# same time, so the slower of the two decides. Our model adds one thing to the roofline: the time that a call itself
# takes, however small the layer is.
#
# **Exercise (2 points).** Write this model as a function that predicts the seconds of one call. A MAC is two
# operations.


# %% exercise="convolutions.predicted_seconds"
def predicted_seconds(macs, moved_bytes, gflops, bandwidth, overhead):
    """Predicted seconds of one call, a float.

    moved_bytes: bytes read and written. gflops: 10⁹ operations per second.
    bandwidth: 10⁹ bytes per second. overhead: seconds per call.

    >>> predicted_seconds(5e9, 1e9, gflops=10, bandwidth=2, overhead=0.25)
    1.25
    >>> predicted_seconds(5e9, 8e9, gflops=10, bandwidth=2, overhead=0.25)
    4.25
    """
    ### BEGIN SOLUTION
    return overhead + max(2 * macs / (gflops * 1e9), moved_bytes / (bandwidth * 1e9))
    ### END SOLUTION


# %%
check("convolutions.predicted_seconds", predicted_seconds)

# %% [markdown]
# The last three arguments are measured once per machine. Then the model predicts any layer. Below are thirty layers of
# five kinds, with a batch of 32 pictures. For how many of them is the prediction within a factor of two of the measured
# time?

# %%
predict(
    "layers of 30 that the cost model predicts to within a factor of 2", unit="layers"
)


# %% tags=["fold"]
# Numbers: thirty layers of five kinds
def conv_layer(inputs, outputs, kernel, side, groups=1):
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups)
    return layer, torch.randn(32, inputs, side, side)


def linear_layer(inputs, outputs):
    return nn.Linear(inputs, outputs), torch.randn(32, inputs)


# Input channels, output channels and the picture's side.
threes = [
    *((3, 16, 32), (3, 64, 32), (16, 16, 32), (16, 32, 16), (32, 32, 16)),
    *((32, 64, 8), (64, 64, 16), (64, 64, 4), (128, 128, 8), (128, 128, 4)),
]
ones = [
    *((16, 16, 32), (16, 64, 16), (64, 64, 16), (64, 16, 8), (128, 128, 8)),
    (256, 256, 4),
]
# The same with the kernel size; and for depthwise layers channels, kernel size, side.
large = [(3, 16, 7, 32), (16, 32, 5, 16), (32, 32, 5, 16), (64, 64, 5, 8)]
depthwise = [(16, 3, 32), (64, 3, 16), (128, 3, 8), (256, 3, 4), (64, 5, 16)]
matrices = [(128, 10), (256, 256), (2048, 128), (1024, 1024), (4096, 128)]
shapes = {
    "3×3": [conv_layer(i, o, 3, s) for i, o, s in threes],
    "1×1": [conv_layer(i, o, 1, s) for i, o, s in ones],
    "5×5, 7×7": [conv_layer(i, o, k, s) for i, o, k, s in large],
    "depthwise": [conv_layer(c, c, k, s, groups=c) for c, k, s in depthwise],
    "linear": [linear_layer(i, o) for i, o in matrices],
}

# %%
predicted_seconds = yours_or_ours("convolutions.predicted_seconds")
machine = cost_model.calibrate()
limits = machine.gflops, machine.bandwidth, machine.overhead

# %% tags=["fold", "nbval-ignore-output"]
# Answer: layers of 30 that the cost model predicts to within a factor of 2
guessed, clocked = {}, {}
for kind, layers in shapes.items():
    guessed[kind], clocked[kind] = [], []
    for layer, x in layers:
        cost = measure.layer_costs(layer, x)[0]
        moved = cost.weight_bytes + cost.input_bytes + cost.output_bytes
        guessed[kind].append(predicted_seconds(cost.macs, moved, *limits))
        timing = measure.latency({"": layer}, x, rounds=6, budget_seconds=0.15)
        clocked[kind].append(timing[""].median)
off = {
    kind: torch.tensor(clocked[kind]) / torch.tensor(xs) for kind, xs in guessed.items()
}
within = sum(int(((r > 0.5) & (r < 2)).sum()) for r in off.values())

reveal(
    "layers of 30 that the cost model predicts to within a factor of 2",
    within,
    because="The model is good if arithmetic is the limit. It fails for layers that "
    "reach neither limit.",
)

# %% tags=["fold"]
# Plot: predicted and measured times
fig, ax = plots.figure(height=4.2)
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
plots.finish(
    fig,
    "Measured over predicted times of thirty layers around the diagonal; small "
    "layers lie above the band of a factor of 2.",
    measured="xy",
)

# %% tags=["fold", "nbval-ignore-output"]
# Table: measured over predicted times by kind of layer
print(f"{machine.gflops:.0f} GFLOP/s (10⁹ operations per second)")
print(f"{machine.bandwidth:.0f} GB/s, {1e6 * machine.overhead:.1f} µs per call")
ratios = [
    [kind, f"{r.median():.1f}", f"{r.min():.1f} to {r.max():.1f}"]
    for kind, r in off.items()
]
Table(ratios, ["layers", "measured ÷ predicted", "lowest to highest"])

# %% [markdown]
# What to see: on the line, the prediction is right; above it, a layer takes longer than predicted. Layers with large
# kernels are closer to the line than depthwise layers: they keep the arithmetic units busy, and `calibrate` measured
# how fast these units are. Three groups of layers are mostly above the line, for reasons that the model does not know:
#
# - **depthwise** layers use each value only k² times. The model assumes that memory runs at full speed meanwhile. But
#   vector instructions compute several values at once and need them side by side, so the routine that computes the
#   layer first rearranges its input, and afterwards its output;
# - **1×1** layers with few channels, and **3×3** layers with three input channels, have the same problem;
# - **linear** layers with only 32 pictures use each weight 32 times, too few to run at full speed.
#
# What can you do with a model that is wrong in a known way? Measure one correction factor per kind on half of the
# layers, and test it on the other half, as the code below does. If you need more precision, measure each layer and keep
# a table of the times: such tables guide the search for networks that are fast on one kind of device
# ([Cai et al. 2019](https://arxiv.org/abs/1812.00332)).

# %%
right = tried = 0
for ratios in off.values():
    corrected = ratios[1::2] / ratios[::2].median()
    right += int(((corrected > 0.5) & (corrected < 2)).sum())
    tried += len(corrected)

# %% tags=["fold"]
# Claims: how far the cost model is right
library_seconds = [
    machine.seconds(measure.layer_costs(layer, x)[0]) for layer, x in shapes["3×3"]
]

claim(
    "For large kernels, the median layer is within a factor of 2 of its prediction.",
    1 / 2 < off["5×5, 7×7"].median() < 2,
    timing=True,
)
claim(
    "Depthwise layers are further off than large kernels.",
    off["depthwise"].median() > 1.3 * off["5×5, 7×7"].median(),
    timing=True,
)
claim(
    "With one correction per kind, more than half of the 14 other layers are within a "
    "factor of 2.",
    right > 7 and tried == 14,
    timing=True,
)
claim(
    "The formula gives the library's predictions.",
    torch.tensor(guessed["3×3"]).allclose(torch.tensor(library_seconds)),
    timing=False,
)

# %% [markdown]
# ## 10. Playground
#
# Choose a replacement for a 3×3 convolution, and its number of channels and pixels. Find one with a third of the MACs
# that is *slower* than the original.

# %%
convolution_playground(machine)

# %% [markdown]
# ## Summary
#
# Here are the two networks that you made from a trained `MyNet`, beside the control:

# %% tags=["fold", "nbval-ignore-output"]
# Table: the networks of this lesson
measure.compare(
    {
        "MyNet, trained further": trained_further,
        "strided": strided,
        "quarter, low rank": thin,
    },
    batch,
    accuracy={
        "MyNet, trained further": same_training.accuracy,
        "strided": trained_stride.accuracy,
        "quarter, low rank": thin_result.accuracy,
    },
    rounds=15,
    budget_seconds=2,
)

# %% [markdown]
# You can now choose a cheaper architecture by what it saves, predict when a saving in MACs becomes a saving in time,
# and shrink a network that is already trained.
#
# - **Fewer kernels** save in every currency at once, and accuracy falls slowly.
# - **Smaller kernels** save MACs but less time, and the network sees less of the picture.
# - **Fewer layers** can make a network larger. Count before you cut.
# - **MACs are not time.** Pooling, activations and thin layers move values and hardly multiply. In a small network they
#   take a large part of the time, which is why stride instead of pooling saved the most time.
# - **Low rank** shrinks large linear layers well if you fine-tune afterwards. It does not make small convolutions
#   faster.
# - **A batch norm** after a convolution can always be folded before inference.
#
# **In practice.** [MobileNetV3](https://arxiv.org/abs/1905.02244) and [EfficientNet](https://arxiv.org/abs/1905.11946)
# were found by automatic search. Their blocks are *inverted* bottlenecks: the middle is wide instead of narrow, and its
# convolution is depthwise. [ConvNeXt](https://arxiv.org/abs/2201.03545) puts large depthwise kernels before 1×1 layers.
# Inference engines fold batch norms by themselves, and compute activations together with the layer before. Low rank
# lives on in [LoRA](https://arxiv.org/abs/2106.09685), which fine-tunes a large model by training a low-rank change of
# its weights.
#
# **Further reading.**
# [Krizhevsky, Sutskever & Hinton, *ImageNet classification with deep convolutional neural networks* (2012)](https://doi.org/10.1145/3065386) ·
# [Jaderberg, Vedaldi & Zisserman, *Speeding up convolutional neural networks with low rank expansions* (2014)](https://arxiv.org/abs/1405.3866) ·
# [Springenberg et al., *Striving for simplicity* (2015)](https://arxiv.org/abs/1412.6806) ·
# [He et al., *Deep residual learning* (2016)](https://arxiv.org/abs/1512.03385) ·
# [Szegedy et al., *Rethinking the Inception architecture* (2016)](https://arxiv.org/abs/1512.00567) ·
# [Kim et al., *Compression of deep convolutional neural networks for fast and low power mobile applications* (2016)](https://arxiv.org/abs/1511.06530) ·
# [Tai et al., *Convolutional neural networks with low-rank regularization* (2016)](https://arxiv.org/abs/1511.06067) ·
# [Howard et al., *MobileNets* (2017)](https://arxiv.org/abs/1704.04861) ·
# [Jacob et al., *Quantization and training of neural networks for efficient integer-arithmetic-only inference* (2018)](https://arxiv.org/abs/1712.05877) ·
# [Cai, Zhu & Han, *ProxylessNAS* (2019)](https://arxiv.org/abs/1812.00332).
#
# **Next:** [03 Learning rates](03_learning_rates.ipynb) makes training itself faster.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
