# %% [markdown]
# # Small files
#
# How few bytes does a file need from which a network can be made again? In this lesson you will squeeze the course's
# network into a file more than a hundred times smaller: remove weights, let the others share a few values, and code
# what is left.
#
# It takes about an hour.

# %% tags=["side-by-side"]
import base64
import copy
import heapq
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import recorded
from nnopt_lab.techniques import pruning, quantization
from nnopt_lab.techniques.quantization import deep_compression
from nnopt_lab.techniques.quantization.deep_compression import huffman
from nnopt_lab.workbench import data, measure, models, plots, training

lesson("07_small_files")
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
# ## 1. The smallest file
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
predict(
    "how many times smaller the file of MyNet becomes at half a point lost", unit="×"
)

# %% [markdown]
# ## 2. Shared values
#
# Here is the first linear layer after one cut that leaves a tenth of all weights (lesson 01). Pruning by magnitude has
# torn a hole around zero. A grid follows the range and not the weights: of its seven values with 3 bits one lies in the
# hole, and four lie where hardly a weight is. Better: let the values go where the weights are. That is *k-means*: each
# weight belongs to the nearest centroid, each centroid moves to the mean of its weights, until nothing moves any more.
# The paper tries three starts: centroids evenly spaced over the range (linear), each with as many weights (density),
# or at weights drawn by lot (random).
#
# **Exercise (3 points).** One step of k-means.


# %% exercise="small_files.kmeans_step"
def kmeans_step(values, centroids):
    """values float [N], centroids float [k] → the centroids moved, float [k]; one without values stays."""
    ### BEGIN SOLUTION
    labels = (values[:, None] - centroids).abs().argmin(1)
    clusters = [values[labels == k] for k in range(len(centroids))]
    return torch.stack(
        [
            c.mean() if len(c) else old
            for c, old in zip(clusters, centroids, strict=True)
        ]
    )
    ### END SOLUTION


# %%
check("small_files.kmeans_step", kmeans_step)

# %%
kmeans_step = yours_or_ours("small_files.kmeans_step")
cut = pruning.make_permanent(
    pruning.magnitude_prune(copy.deepcopy(net), pruning.count_weights(net)[1] // 10)
)
left = cut.classifier[0].weight.detach()
left = left[left != 0]


def error(values):
    return float((left - values).square().mean().sqrt())


on_grid = quantization.fake_quantize(left, quantization.grid_of(left, bits=3))
moved = centroids = torch.linspace(left.min().item(), left.max().item(), 8)
for _ in range(100):
    moved = kmeans_step(left, moved)
claim(
    "your steps end where the library's k-means ends",
    torch.allclose(moved, deep_compression.kmeans(left, 8)[0], atol=1e-3),
)
found = {
    init: deep_compression.kmeans(left, 8, init=init)
    for init in ("linear", "density", "random")
}
rows = {"grid": on_grid.unique()} | {
    f"k-means, {init}": centroids for init, (centroids, _) in found.items()
}
errors = [error(on_grid)] + [
    error(centroids[labels]) for centroids, labels in found.values()
]

fig, (top, ax) = plots.figure(
    nrows=2, figsize=plots.SIZE, sharex=True, gridspec_kw={"height_ratios": [3, 2]}
)
top.hist(left.tolist(), bins=120, color="0.75")
top.set(
    title="what is left of the first linear layer, and 8 values for it",
    ylabel="how many",
)
for place, ((name, values), color) in enumerate(
    zip(rows.items(), plots.PALETTE, strict=False)
):
    ax.plot(
        values,
        [place] * len(values),
        "|",
        color=color,
        markersize=11,
        markeredgewidth=2.5,
    )
    ax.text(
        0.19,
        place,
        f"{name}: error {errors[place]:.4f}",
        color=color,
        va="center",
        fontsize=9,
    )
ax.set(xlabel="weight", xlim=(-0.19, 0.33), ylim=(3.6, -0.6), yticks=[])
plots.finish(fig)

# %%
claim("no weight of the layer lies within 0.025 of zero", left.abs().min() > 0.025)
claim(
    "fewer than 3 in 100 lie beyond 0.1, where the grid has four of its seven values",
    (left.abs() > 0.1).float().mean() < 0.03,
)
claim(
    "k-means errs less than half as much as a grid of 3 bits",
    2 * max(errors[1:]) < errors[0],
)
claim(
    "the three starts end within 2 % of each other",
    max(errors[1:]) < 1.02 * min(errors[1:]),
)

# %% [markdown]
# The paper found the linear start best, because it puts centroids at the few large weights, which matter most. Here it
# makes no difference: k-means runs until it stands still, and from all three starts it stands still at nearly the same
# place. (It need not: with 4 centroids the random start ends in a worse place than the others. k-means finds *a*
# minimum.)

# %%
four = {
    init: deep_compression.kmeans(left, 4, init=init)
    for init in ("linear", "density", "random")
}
four = {init: error(centroids[labels]) for init, (centroids, labels) in four.items()}
claim(
    "with 4 centroids, the random start errs at least a tenth more",
    four["random"] > 1.1 * four["linear"],
)
claim("and the other two agree", abs(four["density"] / four["linear"] - 1) < 0.01)

# %% [markdown]
# ## 3. Training what is shared
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
lookup, centroids = (
    layer.parametrizations.weight[0],
    layer.parametrizations.weight.original,
)
with parametrize.cached():  # inside, layer.weight is computed once
    layer.weight.retain_grad()
    logits = shared(pictures.to_input(pictures.train.images[:64]))
    nn.functional.cross_entropy(logits, pictures.train.labels[:64]).backward()
    by_hand = centroid_gradient(layer.weight.grad, lookup.labels, len(centroids))
claim(
    "autograd's gradient of the centroids is the sum by hand",
    torch.allclose(by_hand, centroids.grad, atol=1e-5),
)
trained_numbers = sum(parameter.numel() for parameter in shared.parameters())
claim(
    "eight values in each of four layers and 186 biases are all that is trained",
    trained_numbers == 4 * 8 + 186,
)

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
    "8 values a layer cost less than 3 points more than the cut",
    lost["shared"].estimate - lost["one cut"].estimate < 3,
)
won = lost["shared"].estimate - lost["trained"].estimate
claim(
    "a third of an epoch of training these 218 numbers wins at least half a point",
    won >= 0.5,
)

# %% [markdown]
# ## 4. Huffman's code
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
#
# **Exercise (3 points).** Positions become gaps. Positions begin at 0, and the symbol `longest` stands for that many
# zeros with no weight behind them.


# %% exercise="small_files.gap_symbols"
def gap_symbols(positions, longest):
    """positions: ascending list of int → list of int, 0 to longest: zeros before each, long gaps in pieces."""
    ### BEGIN SOLUTION
    symbols, last = [], -1
    for position in positions:
        pieces, rest = divmod(position - last - 1, longest)
        symbols += [longest] * pieces + [rest]
        last = position
    return symbols
    ### END SOLUTION


# %%
check("small_files.gap_symbols", gap_symbols)

# %% question="small_files.ratio"
answer = None
### BEGIN SOLUTION
answer = 40
### END SOLUTION
question("small_files.ratio", answer)

# %%
huffman_bits = yours_or_ours("by_hand.huffman_bits")
places = (lookup.labels.flatten() >= 0).nonzero().flatten().numpy()
gaps = deep_compression.gap_symbols(places, longest=63)
claim(
    "your gaps are the library's",
    yours_or_ours("small_files.gap_symbols")(places.tolist(), 63) == gaps.tolist(),
)
counted = {
    "values": lookup.labels[lookup.labels >= 0].bincount(minlength=8).numpy(),
    "gaps": np.bincount(gaps, minlength=64),
}
bits_each = {
    name: np.dot(counts, huffman.code_lengths(counts)) / counts.sum()
    for name, counts in counted.items()
}

fig, axes = plots.figure(ncols=2)
for ax, (name, counts), fixed in zip(axes, counted.items(), (3, 6), strict=True):
    ax.bar(range(len(counts)), counts / counts.sum(), color="0.8")
    ax.set(
        xlabel={"values": "number of the centroid", "gaps": "zeros to skip"}[name],
        ylabel="share (grey)",
    )
    with plots.style():
        bits = ax.twinx()
    bits.plot(huffman.code_lengths(counts), "o", color=plots.BLUE, markersize=4)
    bits.axhline(fixed, color=plots.ORANGE, linewidth=1.2)
    bits.set_ylabel("bits: Huffman (dots), fixed (line)")
    bits.set(ylim=(0, None))
    bits.grid(False)
    ax.set_title(
        f"{name}: {fixed} bits each, Huffman {bits_each[name]:.2f}", fontsize="medium"
    )
plots.finish(fig)

# %%
for name, counts in counted.items():
    claim(
        f"{name}: the mean length is the entropy or up to one bit more",
        huffman.entropy(counts) <= bits_each[name] <= huffman.entropy(counts) + 1,
    )
    claim(
        f"{name}: your bits are the library's",
        huffman_bits(counts.tolist()) == round(bits_each[name] * counts.sum()),
    )
claim(
    "the gaps come back as the same positions",
    np.array_equal(deep_compression.kept_positions(gaps, 63), places),
)

# %% question="by_hand.why_huffman_last"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("by_hand.why_huffman_last", choice)

# %% [markdown]
# ## 5. The file
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
        "saved again, it is the same file, byte for byte",
        Path(folder, "again.bin").read_bytes() == file.read_bytes(),
    )
    coded_bytes = file.stat().st_size
float_bytes = measure.disk_bytes(net)
factor = float_bytes / coded_bytes
lost_tiny = points_lost(tiny)
claim("all parts together are the file", sum(parts.values()) == coded_bytes)

# %% tags=["nbval-ignore-output"]
print(
    f"float32 {float_bytes:,} bytes, coded {coded_bytes:,} bytes: {lost_tiny} points lost"
)
reveal(
    "how many times smaller the file of MyNet becomes at half a point lost",
    factor,
    because="The factors multiply: 50 times fewer weights, and instead of 32 bits less than 3 for the value of each "
    "and 5 to 6 for its position. So much can go because nearly all weights of MyNet are in one layer, far larger than "
    "this task needs.",
)

# %%
claim("the file is at least 49 times smaller than the float32 file", factor >= 49)
claim(
    "the loss on the test pictures is at most half a point, its interval included",
    lost_tiny.high <= 0.5,
)

# %% [markdown]
# Where have the bytes gone? The same network in three stages: pruned, with four bytes for each weight that is left and
# one byte for each gap; shared, with 3 or 4 bits for each weight; and Huffman coded, gaps and all.

# %%
weights = {
    name: module.weight.detach().flatten()
    for name, module in pruning.prunable(tiny).items()
}
kept = sum(int((weight != 0).sum()) for weight in weights.values())
gap_bytes = sum(
    len(deep_compression.gap_symbols(w.nonzero().flatten().numpy(), 255))
    for w in weights.values()
)
rest = parts["header"] + parts["biases"]
stages = {
    "pruned": {
        "values": 4 * kept,
        "positions": gap_bytes,
        "code books and tables": 0,
        "biases and shapes": rest,
    },
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
    before = [
        sum(list(stage.values())[: list(stage).index(part)])
        for stage in stages.values()
    ]
    ax.barh(
        names[:3],
        [stage[part] for stage in stages.values()],
        left=before,
        color=color,
        label=part,
    )
ax.barh(names[3], gzipped, color="0.75")
for place, size in enumerate(
    [*(sum(stage.values()) for stage in stages.values()), gzipped]
):
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
claim(
    "coding saves more than a quarter of the bytes for the positions",
    parts["positions"] < 0.75 * gap_bytes,
)
claim(
    "and less than a sixth of those for the values",
    parts["values"] > 5 / 6 * stages["shared"]["values"],
)
claim("gzip needs at least 1.5 times as many bytes", gzipped > 1.5 * coded_bytes)

# %% [markdown]
# (Why fewer than a random choice? The weights that are left are not spread evenly. More than a third of the inputs of
# the first linear layer, most of them at the edge of the picture, have lost all of their weights, and Huffman's code
# for the gaps finds that.)

# %%
by_input = (weights["classifier.0"] != 0).reshape(128, 32, 8, 8).sum(0)
at_edge = 1 - by_input[:, 1:-1, 1:-1].sum() / by_input.sum()
claim(
    "more than a third of the 2,048 inputs have no weight left",
    (by_input == 0).float().mean() > 1 / 3,
)
claim(
    "by chance it would be less than three in ten",
    (1 - 1 / 2048) ** int(by_input.sum()) < 0.3,
)
claim(
    "28 of 64 places are at the edge, and hold less than a third of the weights",
    at_edge < 1 / 3,
)

# %% [markdown]
# And accuracy? On the left each file of the sweep, on the right what each stage costs with 3 bits; points are means of
# three seeds, bars go from the worst to the best. The grey band is the dense network, trained on for as long; the
# dashed line is the network that ships.

# %%
sweep_numbers = {
    stage: np.array(sweep[stage])
    for stage in ("dense", "cut", "pruned", "shared", "trained", "bytes")
}
dense, coded_sizes = sweep_numbers["dense"], sweep_numbers["bytes"].mean(0)


def with_bars(ax, x, runs, **look):
    middle = runs.mean(0)
    ax.errorbar(
        x,
        middle,
        [middle - runs.min(0), runs.max(0) - middle],
        fmt="o-",
        markersize=4,
        capsize=2,
        **look,
    )


fig, (left_ax, right_ax) = plots.figure(ncols=2)
for place, bits in enumerate(sweep["bits"]):
    color = plots.PALETTE[place]
    with_bars(
        left_ax,
        coded_sizes[:, place],
        sweep_numbers["trained"][:, :, place],
        color=color,
        label=f"{bits} bits",
    )
for sparsity, size in zip(sweep["sparsities"], coded_sizes[:, 0], strict=True):
    left_ax.annotate(f"{sparsity:.0%}", (size, 91.1), ha="center", fontsize=8)
left_ax.axvline(float_bytes / 49, color=plots.GREEN, linestyle=":")
left_ax.annotate(
    "49 times\nsmaller",
    (float_bytes / 49, 84.3),
    xytext=(-5, 0),
    textcoords="offset points",
    ha="right",
    fontsize=8,
)
left_ax.set(
    xscale="log",
    xlabel="bytes of the file",
    ylabel="test accuracy, %",
    title="size against accuracy",
)
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
for offset, ((name, runs), color) in enumerate(
    zip(stages_shown.items(), plots.PALETTE[::-1], strict=False)
):
    with_bars(
        right_ax,
        [place + 0.1 * offset for place in places],
        runs,
        color=color,
        label=name,
    )
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
claim(
    "training alone makes the dense network 1 to 2 points better",
    1 < trained_on - sweep["before"] < 2,
)
claim(
    "95 % and 3 bits cost less than 0.8 points against it",
    trained_on - eight[at[0.95]] < 0.8,
)
claim("at 80 times smaller", round(float_bytes / means["bytes"][at[0.95], 1], -1) == 80)
claim(
    "98 % cost 1 to 2 points against it, 99 % more than 2",
    1 < trained_on - eight[at[0.98]] < 2 < trained_on - eight[at[0.99]],
)
claim(
    "sharing 8 values costs less than a third of a point, once trained",
    (means["pruned"] - eight).max() < 1 / 3,
)

# %% [markdown]
# ## 6. Everything on one picture
#
# What did each way cost and bring? Bytes are counted as a file would need them: the weights at their bits, a float for
# each scale and bias; for Deep Compression they are the bytes on disk. All networks are `MyNet`. Compare each with the
# float network that was trained as long: as shipped for those that were not trained, an epoch more for LSQ and binary,
# the dense one of section 5 for Deep Compression. (LSQ has activations with as few bits as weights, binary 8 bits, the
# others floats.)

# %%
layers = [
    layer for layer in net.modules() if isinstance(layer, quantization.QUANTIZABLE)
]
inner = sum(layer.weight.numel() for layer in layers[1:-1])
ends = layers[0].weight.numel() + layers[-1].weight.numel()
others = 4 * (sum(layer.bias.numel() for layer in layers) + 2 * len(layers))


def bytes_at(bits, end_bits=None):
    """Of all weights at `bits`, the first and the last layer at `end_bits`, with biases and a scale a tensor."""
    return (inner * bits + ends * (end_bits or bits)) / 8 + others


post = recorded("post_training_bits", live=LIVE)["result"]
trained = recorded("integer_training", live=LIVE)["result"]


def mean(values):
    return sum(values) / len(values)


ways = {
    "rounded to nearest": [
        (bytes_at(b), mean(a))
        for b, a in zip(post["bits"], post["nearest"], strict=True)
    ],
    "AdaRound": [
        (bytes_at(b), mean(a))
        for b, a in zip(post["bits"], post["AdaRound"], strict=True)
    ],
    "trained, LSQ": [
        (bytes_at(b, 8), mean(a))
        for b, a in zip(trained["bits"], trained["lsq"], strict=True)
    ],
    "binary": [(bytes_at(1, 8), mean(trained["binary"]))],
    "Deep Compression, 3 bits": [
        (size, accuracy)
        for size, accuracy in zip(
            means["bytes"][:, 1], means["trained"][:, 1], strict=True
        )
    ],
}
fig, ax = plots.figure()
for (name, points), color in zip(ways.items(), plots.PALETTE, strict=False):
    ax.plot(*zip(*points, strict=True), "o-", color=color, label=name)
ax.plot(
    float_bytes, tested.accuracy, "s", color=plots.REFERENCE, label="float, shipped"
)
ax.plot(
    float_bytes,
    mean(trained["float"]),
    "^",
    color=plots.REFERENCE,
    label="float, an epoch more",
)
ax.plot(
    float_bytes,
    trained_on,
    "D",
    color=plots.REFERENCE,
    label="float, as long as Deep Compression",
)
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
claim(
    "with 2 bits they lose less than a point and a half",
    mean(trained["float"]) - mean(lsq[2]) < 1.5,
)
claim("rounded to nearest, 2 bits leave less than a third", mean(nearest[2]) < 33)
claim(
    "one bit a weight, trained, loses less than two points",
    mean(trained["float"]) - mean(trained["binary"]) < 2,
)
claim(
    "eight bits are 3.9 to 4 times smaller than float32",
    3.9 < float_bytes / bytes_at(8) < 4,
)

# %% [markdown]
# ## Summary
#
# Prune, share, code: each step finds what the one before has left, and the factors multiply. The positions of the
# weights cost more than their values. Nothing in this lesson made a network faster.
#
# **Further reading.** Han, Mao & Dally, *Deep Compression* (ICLR 2016).
#
# **Next:** `08_integers_for_real.ipynb`. Engines with integer kernels, and what they really gain.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
