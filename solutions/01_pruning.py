# %% [markdown]
# # Pruning: keep what matters
#
# A trained network has far more weights than it needs. In this lesson you will
#
# - score weights, filters and layers by importance, sort them into levels, and remove the lowest level step by step;
# - take away nine tenths of the weights without losing accuracy, and see a network pruned by lot fail at the same size;
# - find out why the pruned network is *not* faster, and what makes it so;
# - take whole filters out, exactly, and measure at least twice the speed.
#
# It takes about an hour. It needs nothing from lesson 00 but its network, which ships with the course.

# %%
import copy
import warnings

import torch
from torch import nn
from torch.nn.utils import prune

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.pruning.playground import pruning_playground
from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.pruning import channel_pruning, dependency_graph
from nnopt_lab.workbench import data, measure, models, plots, training

lesson("01_pruning")

# %%
pictures = data.load("fashion")
dense = models.trained("mynet")
total = pruning.count_weights(dense)[1]
all_parameters, all_macs = (
    measure.parameters(dense).total,
    measure.macs(dense, torch.zeros(1, 3, 32, 32)),
)
tested = training.evaluate(dense, pictures.test, pictures)
claim("the network has 268,464 weights (biases are not pruned)", total == 268_464)
claim(
    "before pruning it is right on 87 to 91 % of the test pictures",
    87 < tested.accuracy < 91,
)

# %% [markdown]
# ## 1. The idea in one picture
#
# Below is a corner of the first linear layer, 16 of its 128 rows. Dark is a large magnitude. Pruning decides which
# weights may stay (white in the masks). It can choose single weights anywhere, two in every group of four, or whole
# rows, that is, whole neurons or filters. The freer the choice, the less is lost; the stricter, the easier it is to
# turn into speed.

# %%
corner = dense.classifier[0].weight.detach()[:16, :64]
rows = torch.zeros_like(corner, dtype=torch.bool)
rows[pruning.importance(corner, 1, "filter").topk(8).indices] = True
masks = {
    "magnitudes": corner.abs(),
    "any half of the weights": pruning.magnitude_mask(
        corner.abs(), corner.numel() // 2
    ),
    "2 of every 4 in a row": pruning.n_m_mask(corner),
    "8 of 16 rows": rows,
}

# %% tags=["fold"]
fig, axes = plots.figure(ncols=2, nrows=2)
for ax, (name, values) in zip(axes.flat, masks.items(), strict=True):
    cmap = "Greys" if name == "magnitudes" else "Greys_r"
    plots.matrix(ax, values.float(), name, cmap)
plots.finish(fig)

# %% [markdown]
# ## 2. Importance
#
# What may go? The article's answer, and still the one to beat: what is small. The importance of a part $P$ of a weight
# tensor is its norm,
#
# $$\lVert P\rVert_1 = \sum_{w\in P} |w| \qquad\text{or}\qquad \lVert P\rVert_2 = \sqrt{\sum_{w\in P} w^2},$$
#
# where $P$ is a single weight, a filter (all weights that make one output channel), or a whole layer (Han et al. 2015
# for weights, Li et al. 2017 for filters). The reason: when $w$ is set to zero, the output of a linear map
# changes by $|w|$ times the input.
#
# **Exercise (2 points).** Score the filters of a convolution.


# %% exercise="pruning.l1_importance"
def l1_importance(weight):
    """L1 norm of each filter. weight: float [out, in, kh, kw] → float [out]."""
    ### BEGIN SOLUTION
    return weight.abs().sum(dim=(1, 2, 3))
    ### END SOLUTION


# %%
check("pruning.l1_importance", l1_importance)

# %%
l1_importance = yours_or_ours("pruning.l1_importance")
filters = dense.features[3].weight.detach()
by_l1, by_l2 = l1_importance(filters), pruning.importance(filters, norm=2, per="filter")
claim(
    "the library's L1 norm is the same",
    torch.allclose(by_l1, pruning.importance(filters, norm=1, per="filter")),
)

# %% tags=["fold"]
fig, (left, right) = plots.figure(ncols=2)
order = by_l1.argsort()
left.bar(range(32), by_l1[order], color=plots.BLUE)
left.set(
    title="32 filters of the second convolution",
    xlabel="filter, sorted",
    ylabel="L1 norm",
)
right.plot(by_l1, by_l2, "o", color=plots.BLUE)
right.set(title="one point a filter", xlabel="L1 norm", ylabel="L2 norm")
plots.finish(fig)

# %% [markdown]
# The two norms nearly agree on filters: in this layer their rankings share all but a few of the better half. They part
# where one filter has a few large weights and another many middling ones; L2 prefers the first.

# %%
better = [set(scores.topk(16).indices.tolist()) for scores in (by_l1, by_l2)]
claim(
    "L1 and L2 share at least 13 of the better 16 filters",
    len(better[0] & better[1]) >= 13,
)
few_large, many_middling = (
    torch.tensor([[0.9, 0.1, 0.1]]),
    torch.tensor([[0.45, 0.45, 0.45]]),
)
claim("L1 prefers many middling weights", few_large.norm(1) < many_middling.norm(1))
claim("L2 prefers a few large ones", few_large.norm(2) > many_middling.norm(2))

# %% question="pruning.l1_or_l2"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("pruning.l1_or_l2", choice)

# %% [markdown]
# ## 3. Levels
#
# The article sorts the parameters into *levels* by score and drops the lowest. A level is a set of neighbouring ranks,
# not a range of values, so each holds equally many weights, however the values are spread. Equal scores are ordered by
# position: the earlier one counts as less important.
#
# **Exercise (3 points).** Sort scores into levels.


# %% exercise="pruning.levels"
def levels(scores, count):
    """Level of each score: int64, shape of scores [N]; level 0 holds the smallest, count − 1 the largest."""
    ### BEGIN SOLUTION
    ranks = scores.argsort(stable=True).argsort(stable=True)
    return ranks * count // len(scores)
    ### END SOLUTION


# %%
check("pruning.levels", levels)

# %%
levels = yours_or_ours("pruning.levels")
weights = dense.classifier[0].weight.detach().flatten()
level = levels(weights.abs(), 10)
claim(
    "ten levels hold the same number of weights, to within one",
    level.bincount().max() - level.bincount().min() <= 1,
)

# %% tags=["fold"]
fig, ax = plots.figure()
bins = torch.linspace(-0.12, 0.12, 121).tolist()
shades = [str(0.85 - 0.07 * n) for n in range(10)]
ax.hist(
    [weights[level == n].tolist() for n in range(10)],
    bins,
    stacked=True,
    color=shades,
    label=range(10),
)
ax.set(
    title="the first linear layer: level 0, the lightest, goes first",
    xlabel="weight",
    ylabel="how many",
)
plots.legend(fig, "right")
plots.finish(fig)

# %% [markdown]
# Dropping the lower levels is the same as keeping the $k$ largest. The result is a *mask*: True where a weight stays.
#
# **Exercise (3 points).** Exactly `keep` weights stay, also where magnitudes are equal; which of the equal ones does
# not matter.


# %% exercise="pruning.magnitude_mask"
def magnitude_mask(weight, keep):
    """Mask of the `keep` weights of largest magnitude: bool, the shape of weight."""
    ### BEGIN SOLUTION
    mask = torch.zeros(weight.numel(), dtype=torch.bool)
    mask[weight.abs().flatten().topk(keep).indices] = True
    return mask.reshape(weight.shape)
    ### END SOLUTION


# %%
check("pruning.magnitude_mask", magnitude_mask)

# %% [markdown]
# torch has this as `prune.l1_unstructured`, and over several layers as `prune.global_unstructured`. The library's
# version stores its masks the same way, so the two can be mixed:

# %%
magnitude_mask = yours_or_ours("pruning.magnitude_mask")
torchs = copy.deepcopy(dense)
layers = [(layer, "weight") for layer in pruning.prunable(torchs).values()]
prune.global_unstructured(layers, prune.L1Unstructured, amount=total - total // 10)
ours = pruning.magnitude_prune(copy.deepcopy(dense), keep=total // 10)
pairs = zip(
    pruning.prunable(torchs).values(), pruning.prunable(ours).values(), strict=True
)
same = [torch.equal(a.weight, b.weight) for a, b in pairs]
claim("the library agrees with torch.nn.utils.prune on every weight", all(same))
claim("torch sees the library's masks", prune.is_pruned(ours))
one_layer = dense.classifier[2].weight.detach()
keeps = magnitude_mask(one_layer, 128)
claim("a mask of 128 weights keeps 128 weights", keeps.sum() == 128)
claim(
    "what it keeps is nowhere smaller than what it drops",
    one_layer.abs()[keeps].min() >= one_layer.abs()[~keeps].max(),
)

# %% [markdown]
# ## 4. One cut
#
# Set nine tenths of the weights of the trained network to zero, the smallest, and do nothing else. How many points of
# accuracy are lost? And if the nine tenths are chosen by lot?

# %%
predict(
    "accuracy lost by zeroing the smallest 90 % of the weights, no fine-tuning",
    unit="points",
)

# %%
sparsities = [0.5, 0.7, 0.8, 0.9, 0.95, 0.98]
ways = {
    "smallest, whole network": lambda keep: pruning.magnitude_prune(
        copy.deepcopy(dense), keep
    ),
    "smallest, layer by layer": lambda keep: pruning.magnitude_prune(
        copy.deepcopy(dense), keep, scope="layer"
    ),
    "by lot": lambda keep: pruning.random_prune(copy.deepcopy(dense), keep),
}


def validated(model):
    return training.evaluate(model, pictures.validation, pictures).accuracy


curves = {
    name: [validated(cut(round(total * (1 - s)))) for s in sparsities]
    for name, cut in ways.items()
}

# %% tags=["fold"]
fig, ax = plots.figure()
plots.curves(ax, sparsities, curves, reference=("dense", validated(dense)))
ax.set(
    xlabel="share of weights removed",
    ylabel="validation accuracy, %",
    title="one cut, no fine-tuning",
)
plots.legend(fig)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
cut = training.evaluate(ours, pictures.test, pictures)
lost = measure.proportion_difference(cut.correct, tested.correct)
reveal(
    "accuracy lost by zeroing the smallest 90 % of the weights, no fine-tuning",
    lost.estimate,
    lost.low,
    lost.high,
    because="Most weights of the first linear layer still lie where random initialisation put them, between −0.022 and "
    "0.022: training moved a few far out. Zeroing what never mattered changes little.",
)

# %% tags=["fold"]
reach = 2048**-0.5  # torch draws the weights of a linear layer evenly from ±1/√inputs
torch.manual_seed(0)  # the seed of the shipped weights
moved = (weights - models.MyNet().classifier[0].weight.detach().flatten()).abs()
claim(
    "more than three quarters of that layer lie in the range of the random start",
    (weights.abs() < reach).float().mean() > 0.75,
)
claim(
    "training moved half of its weights by less than a quarter of that range",
    moved.median() < reach / 4,
)

at_90 = {name: curve[sparsities.index(0.9)] for name, curve in curves.items()}
claim("one global cut of 90 % loses less than 4 points", lost.high < 4)
claim(
    "cut layer by layer, the same 90 % lose more than 10",
    validated(dense) - at_90["smallest, layer by layer"] > 10,
)
claim("cut by lot, the network is left guessing: below 40 %", at_90["by lot"] < 40)

# %% [markdown]
# Why is one budget for the whole network so much better than the same share from every layer? Prune each layer alone
# and look:

# %%
shares = (0.5, 0.8, 0.9, 0.95)
fragile = pruning.sensitivity(dense, validated, shares)

# %% tags=["fold"]
sizes = {name: dense.get_submodule(name).weight.numel() for name in fragile}
fig, ax = plots.figure()
plots.curves(
    ax,
    shares,
    {f"{name} ({sizes[name]:,} weights)": curve for name, curve in fragile.items()},
)
ax.set(
    xlabel="share of this layer's weights removed",
    ylabel="validation accuracy, %",
    title="each layer pruned alone",
)
plots.legend(fig)
plots.finish(fig)

# %% tags=["fold"]
kept = {
    name: layer.weight_mask.mean().item()
    for name, layer in pruning.prunable(ours).items()
}
claim(
    "the first convolution, 432 weights, is the most fragile at 95 %",
    min(fragile, key=lambda name: fragile[name][-1]) == "features.0",
)
claim(
    "the first linear layer, 262,144 weights, is the most robust",
    max(fragile, key=lambda name: fragile[name][-1]) == "classifier.0",
)
claim(
    "the global cut keeps more than half of every other layer",
    min(share for name, share in kept.items() if name != "classifier.0") > 0.5,
)
claim("and less than a tenth of the first linear layer", kept["classifier.0"] < 0.1)

# %% [markdown]
# A global cut finds this by itself: it takes nearly everything from the large, lazy layer and spares the small, busy
# ones. (That works when the layers' weights are of comparable size. If they aren't, normalise the scores of each layer
# first.)
#
# ## 5. The article's procedure: level by level
#
# Score → sort into levels → drop the lowest level → *train a little* → again, until the preset number of weights is
# left. Training between the steps lets the weights that stay take over the work of those that went. Sorting into two
# levels halves the network at each step: 50 %, 25 %, 12.5 %, then the target of 10 %. After each of the four steps we
# train for a third of an epoch, the same for the control by lot, and for the dense network too: otherwise pruning
# would get the credit for what the extra training does.

# %%
predict(
    "accuracy lost at 90 % sparsity, level by level with fine-tuning", unit="points"
)

# %%
third = pictures.train[:6_000]


def finetune(model, epochs=1, train=third):
    return training.fit(
        model,
        pictures,
        epochs=epochs,
        batch_size=128,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-3),
        train=train,
        seed=1,
        description="fine-tuning",
    )


by_levels = copy.deepcopy(dense)
steps = [
    (left, validated(by_levels))
    for left in pruning.prune_in_levels(
        by_levels, keep=total // 10, count=2, finetune=finetune
    )
]
by_lot = pruning.random_prune(copy.deepcopy(dense), keep=total // 10)
finetune(by_lot, epochs=4)
dense_too = copy.deepcopy(dense)
finetune(dense_too, epochs=4)
[left for left, _ in steps]

# %% tags=["nbval-ignore-output"]
results = {
    name: training.evaluate(model, pictures.test, pictures)
    for name, model in {
        "dense": dense,
        "dense, trained on": dense_too,
        "levels": by_levels,
        "lot": by_lot,
    }.items()
}
lost = {
    name: measure.proportion_difference(result.correct, tested.correct)
    for name, result in results.items()
}
for name, result in results.items():
    against = "" if name == "dense" else f"   lost against dense: {lost[name]} points"
    print(f"{name:18} {result.accuracy:.2f} %{against}")
reveal(
    "accuracy lost at 90 % sparsity, level by level with fine-tuning",
    lost["levels"].estimate,
    lost["levels"].low,
    lost["levels"].high,
    because="What went was hardly used, and the training between the cuts repairs the rest. A negative loss is a gain; "
    "compare with the dense network trained on for as long before you credit the pruning with it.",
)

# %% tags=["fold"]
left, _ = pruning.count_weights(by_levels)
claim("at least 90 % of the weights are gone", left <= total / 10)
claim(
    "at most 1 point of accuracy is lost, its interval included",
    lost["levels"].high < 1,
)
claim(
    "by lot, at the same size and with the same training, more than 5 points are lost",
    lost["lot"].low > 5,
)

# %% [markdown]
# **Does it need the levels, or would one cut and the same training do?** That is a question about small differences,
# so it takes several seeds and minutes of training. The result is recorded in `data/recorded/pruning_sweep.json`; set
# `LIVE = True` to run it on your machine (about a quarter of an hour), or remake the file with `nnopt record pruning_sweep`.

# %%
LIVE = False
sweep = recorded("pruning_sweep", live=LIVE)["result"]

# %% tags=["fold"]
fig, ax = plots.figure()
for name, color in zip(
    ("one shot, no fine-tuning", "random", "one shot", "in levels"),
    plots.PALETTE,
    strict=False,
):
    plots.band(
        ax,
        sweep["sparsities"],
        sweep[name],
        "by lot" if name == "random" else name,
        color,
    )
plots.band(
    ax,
    sweep["sparsities"],
    [[d] * len(sweep["sparsities"]) for d in sweep["dense"]],
    "dense, trained on",
    "0.5",
)
ax.set(
    xlabel="share of weights removed",
    ylabel="test accuracy, %",
    title="pruned, then 6 epochs of fine-tuning",
    ylim=(50, 92),
)
plots.legend(fig)
plots.finish(fig)

# %% [markdown]
# Read it from the bottom. *By lot*, even six epochs of training don't bring back what is lost. *Without training*, the
# smallest weights can go up to about 90 %; at 95 % that costs 2 to 3 points, and at 98 % the network collapses. *With
# training*, 90 % cost nothing that three seeds can show: both ways stay with the dense network that was trained on for
# as long. And between the two ways there is no clear winner: in levels is ahead by a few tenths of a point at 90 and 95
# %, behind at 98 %, where the many steps leave no epochs for the end. On a network this small, *what* goes and *that*
# one trains afterwards matter; the order of the cuts hardly does. (Han et al. 2015 saw iterative pruning win clearly on
# networks a hundred times larger.)

# %% tags=["fold"]
means = {
    name: torch.tensor(sweep[name]).mean(0).tolist()
    for name in ("one shot, no fine-tuning", "random", "one shot", "in levels")
}
dense_mean = sum(sweep["dense"]) / len(sweep["dense"])
at = {sparsity: place for place, sparsity in enumerate(sweep["sparsities"])}
claim(
    "by lot, 90 % cost more than 5 points, 98 % more than 20",
    dense_mean - means["random"][at[0.9]] > 5
    and dense_mean - means["random"][at[0.98]] > 20,
)
claim(
    "without training, 95 % cost 2 to 3 points",
    2 < sweep["before"] - means["one shot, no fine-tuning"][at[0.95]] < 3,
)
claim(
    "without training, 98 % cost more than 10 points",
    sweep["before"] - means["one shot, no fine-tuning"][at[0.98]] > 10,
)
claim(
    "with training, 90 % cost less than half a point, one shot or in levels",
    all(dense_mean - means[way][at[0.9]] < 0.5 for way in ("one shot", "in levels")),
)
claim(
    "one shot and in levels differ by less than half a point throughout",
    max(abs(x - y) for x, y in zip(means["one shot"], means["in levels"], strict=True))
    < 0.5,
)
claim(
    "the training itself is worth a point: the dense network gains it too",
    0.5 < dense_mean - sweep["before"] < 2,
)

# %% [markdown]
# How fast to prune is a choice of its own. Zhu & Gupta (2017) remove much at first and little near the end: with
# $t$ of $n$ steps done, the sparsity is
#
# $$s_t = s_f\left(1 - \left(1 - \tfrac{t}{n}\right)^3\right),\qquad s_f \text{ the final sparsity.}$$
#
# **Exercise (2 points).** The cubic schedule.


# %% exercise="pruning.cubic_sparsity"
def cubic_sparsity(step, steps, final):
    """Share of weights removed after `step` of `steps` steps, a float between 0 and `final`."""
    ### BEGIN SOLUTION
    return final * (1 - (1 - step / steps) ** 3)
    ### END SOLUTION


# %%
check("pruning.cubic_sparsity", cubic_sparsity)

# %% [markdown]
# ## 6. Smaller, yes. Faster?
#
# Nine tenths of the weights are zero. Guess how much faster the network is now at batch 256.

# %%
predict("speed-up from 90 % of the weights masked to zero", unit="×")

# %% tags=["nbval-ignore-output"]
zeros = pruning.make_permanent(copy.deepcopy(by_levels))
batch = pictures.to_input(pictures.test.images[:256])
timings = measure.latency(
    {"dense": dense, "90 % zeros": zeros}, batch, rounds=20, budget_seconds=3
)
ratio = measure.ratio(timings["dense"], timings["90 % zeros"])
print(ratio)
reveal(
    "speed-up from 90 % of the weights masked to zero",
    ratio.median,
    ratio.low,
    ratio.high,
    because="A dense kernel multiplies zeros as patiently as anything else. A mask changes the numbers, not the work.",
)

# %% tags=["fold"]
bytes_dense, bytes_zeros = (measure.disk_bytes(model) for model in (dense, zeros))
packed_dense, packed_zeros = (
    measure.disk_bytes(model, compressed=True) for model in (dense, zeros)
)
claim(
    "zeros do not make a dense kernel 1.3 times faster", ratio.median < 1.3, timing=True
)
claim(
    "the file is as large as before: a zero takes four bytes like any float",
    bytes_zeros == bytes_dense,
)
claim(
    "compressed, the pruned file is more than 4 times smaller",
    packed_dense / packed_zeros > 4,
)
claim(
    "compressed, the dense file shrinks by less than a tenth",
    packed_dense > 0.9 * bytes_dense,
)

# %% question="pruning.masks_and_time"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("pruning.masks_and_time", choice)

# %% [markdown]
# Zeros can pay off in time, with a kernel made for them. Compressed sparse rows (CSR) store each nonzero with its
# column; the kernel skips the zeros but pays for every index. Here is the first linear layer alone, at two sparsities:

# %% tags=["nbval-ignore-output"]
warnings.filterwarnings("ignore", "Sparse CSR tensor support")  # torch calls it beta
weight = dense.classifier[0].weight.detach()
features = torch.randn(2048, 32)
for sparsity in (0.9, 0.98):
    pruned = weight * pruning.magnitude_mask(
        weight.abs(), round((1 - sparsity) * weight.numel())
    )
    csr = pruned.to_sparse_csr()
    runs = {"dense": lambda x, w=pruned: w @ x, "CSR": lambda x, w=csr: w @ x}
    timed = measure.latency(runs, features, rounds=30, budget_seconds=1)
    print(
        f"{sparsity:.0%} zeros, 32 pictures: CSR is {measure.ratio(timed['dense'], timed['CSR'])}"
    )

# %%
claim(
    "CSR computes the same product",
    torch.allclose(csr @ features, pruned @ features, atol=1e-4),
)

# %% [markdown]
# Between the free mask and whole filters stands the pattern **2:4**: two of every four consecutive inputs stay.
# Recent GPUs have arithmetic units for it (Mishra et al. 2021); on a CPU it saves storage alone.
#
# **Exercise (3 points).** The 2:4 mask.


# %% exercise="pruning.n_m_mask"
def n_m_mask(weight):
    """Two largest magnitudes of every four in a row. weight: float [rows, 4·n] → bool, the same shape."""
    ### BEGIN SOLUTION
    groups = weight.abs().reshape(-1, 4)
    mask = torch.zeros_like(groups, dtype=torch.bool)
    mask.scatter_(1, groups.topk(2, dim=1).indices, True)
    return mask.reshape(weight.shape)
    ### END SOLUTION


# %%
check("pruning.n_m_mask", n_m_mask)

# %%
n_m_mask = yours_or_ours("pruning.n_m_mask")
two_of_four = copy.deepcopy(dense)
with torch.no_grad():
    for layer in (
        two_of_four.features[3],
        two_of_four.classifier[0],
        two_of_four.classifier[2],
    ):
        layer.weight.mul_(n_m_mask(layer.weight.flatten(1)).reshape(layer.weight.shape))
claim(
    "2:4 in three layers loses less than 3 points before any fine-tuning",
    validated(dense) - validated(two_of_four) < 3,
)

# %% question="pruning.bits_of_2_4"
answer = None
### BEGIN SOLUTION
answer = 56.25
### END SOLUTION
question("pruning.bits_of_2_4", answer)

# %% [markdown]
# ## 7. What makes it faster: take whole filters out
#
# If a whole filter goes, the tensor really shrinks, and so does every tensor that reads its channel. That is the
# difficulty: filters are tied to the layers behind them.
#
# **Exercise (4 points).** Two convolutions, one behind the other; only the filters `kept` of the first one stay.


# %% exercise="pruning.remove_filters"
def remove_filters(weight1, bias1, weight2, kept):
    """weight1 [out1, in1, k, k], bias1 [out1], weight2 [out2, out1, k, k], kept int64 [n] → the three, smaller."""
    ### BEGIN SOLUTION
    return weight1[kept], bias1[kept], weight2[:, kept]
    ### END SOLUTION


# %%
check("pruning.remove_filters", remove_filters)

# %% [markdown]
# Behind a flatten it is trickier: there a channel has become height × width inputs of a linear layer.
#
# **Exercise (3 points).** Which of these inputs belong to the channels that stay?


# %% exercise="pruning.flatten_columns"
def flatten_columns(kept, height, width):
    """Inputs of the linear layer that belong to the kept channels. kept: int64 [n] → int64 [n · height · width]."""
    ### BEGIN SOLUTION
    return (kept[:, None] * height * width + torch.arange(height * width)).flatten()
    ### END SOLUTION


# %%
check("pruning.flatten_columns", flatten_columns)

# %% [markdown]
# With these two pieces, the network by hand: half of the filters of each convolution, and half of the neurons.

# %%
remove_filters, flatten_columns = (
    yours_or_ours("pruning.remove_filters"),
    yours_or_ours("pruning.flatten_columns"),
)
keep = channel_pruning.keep_most_important(dense, batch[:1], share=0.5)
conv1, conv2, linear1, linear2 = (
    dense.features[0],
    dense.features[3],
    dense.classifier[0],
    dense.classifier[2],
)

by_hand = models.MyNet(channels=(8, 16), hidden=64).eval()
small1, small2, small3, small4 = (
    by_hand.features[0],
    by_hand.features[3],
    by_hand.classifier[0],
    by_hand.classifier[2],
)
with torch.no_grad():
    w1, b1, w2 = remove_filters(
        conv1.weight, conv1.bias, conv2.weight, keep["features.0"]
    )
    columns = flatten_columns(keep["features.3"], 8, 8)
    for parameter, value in {
        small1.weight: w1,
        small1.bias: b1,
        small2.weight: w2[keep["features.3"]],
        small2.bias: conv2.bias[keep["features.3"]],
        small3.weight: linear1.weight[keep["classifier.0"]][:, columns],
        small3.bias: linear1.bias[keep["classifier.0"]],
        small4.weight: linear2.weight[:, keep["classifier.0"]],
        small4.bias: linear2.bias,
    }.items():
        parameter.copy_(value)

by_library = channel_pruning.remove_channels(dense, batch[:1], keep)
with torch.inference_mode():
    claim(
        "by hand and library agree",
        torch.allclose(by_hand(batch), by_library(batch), atol=1e-5),
    )

# %% [markdown]
# The library reads the ties from the network's graph, so it also handles what would be tedious by hand: batch norms,
# and residual sums, where two branches must lose the *same* channels. These are the groups in the course's teacher:

# %%
teacher = models.trained("teacher")
for group in dependency_graph.channel_groups(teacher, batch[:1]):
    if group.removable:
        print(f"{group.size:>4} channels made by {' + '.join(group.producers)}")

# %% [markdown]
# Removal is **exact**. First set the filters to zero, with their biases and batch norms, and keep the large network;
# then remove them. Both compute the same function:

# %%
for name, model in {"MyNet": dense, "the residual teacher": teacher}.items():
    half_of_it = channel_pruning.keep_most_important(model, batch[:1], share=0.5)
    with torch.inference_mode():
        zeroed = channel_pruning.zero_channels(model, batch[:1], half_of_it)(batch)
        removed = channel_pruning.remove_channels(model, batch[:1], half_of_it)(batch)
    claim(
        f"{name}: zeroed and removed agree to 1e-5",
        (zeroed - removed).abs().max() < 1e-5,
    )

# %% [markdown]
# Now the gain. With half of the channels gone, the network does 3.2 times fewer multiply-accumulates. How much faster
# is it at batch 256?

# %%
predict("speed-up from half of the channels removed, batch 256", unit="×")

# %%
keep_three_eighths = channel_pruning.keep_most_important(dense, batch[:1], share=0.375)
small = channel_pruning.remove_channels(dense, batch[:1], keep_three_eighths)
before_finetuning = validated(small)
timings = measure.latency(
    {"dense": dense, "half": by_library, "three eighths": small},
    batch,
    rounds=25,
    budget_seconds=4,
)
half_ratio, small_ratio = (
    measure.ratio(timings["dense"], timings[name]) for name in ("half", "three eighths")
)
claim(
    "half of the channels are a quarter of the parameters",
    round(all_parameters / measure.parameters(by_library).total) == 4,
)
claim(
    "and 3.2 times fewer multiply-accumulates",
    round(all_macs / measure.macs(by_library, batch[:1]), 1) == 3.2,
)
claim("but the speed-up is smaller than that", half_ratio.high < 3.2, timing=True)

with torch.inference_mode():
    after_conv1 = conv1(batch)
parts = {
    "network": lambda x: dense(batch),
    "first ReLU and pooling": lambda x: dense.features[1:3](x),
}
timings = measure.latency(parts, after_conv1, rounds=12, budget_seconds=1)
part = 1 / measure.ratio(timings["network"], timings["first ReLU and pooling"]).median
claim(
    "the first ReLU and max-pooling, not one product, take more than a tenth of the time",
    part > 0.1,
    timing=True,
)

# %% tags=["nbval-ignore-output"]
reveal(
    "speed-up from half of the channels removed, batch 256",
    half_ratio.median,
    half_ratio.low,
    half_ratio.high,
    because="Products fell 3.2 times, but the numbers that ReLU and pooling read and write only 2 times, and the picture "
    "that comes in is as large as before. ReLU and pooling count as no MAC at all, and still take their time.",
)

# %% [markdown]
# To halve the time, more must go: three of every eight channels stay. That hurts at first, and one epoch of
# fine-tuning repairs most of it.

# %%
finetune(small, train=pictures.train)
after = training.evaluate(small, pictures.test, pictures)
lost_structured = measure.proportion_difference(after.correct, tested.correct)

# %% tags=["nbval-ignore-output"]
print(f"half of the channels:   {half_ratio}")
print(f"three eighths of them:  {small_ratio}")
print(f"accuracy lost by three eighths, after fine-tuning: {lost_structured} points")

# %%
claim(
    "three eighths of the channels: at least twice as fast at batch 256",
    small_ratio.median >= 2,
    timing=True,
)
claim(
    "before fine-tuning, more than 5 points are lost",
    validated(dense) - before_finetuning > 5,
)
claim("after it, at most 2, the interval included", lost_structured.high < 2)

# %% [markdown]
# ## 8. Playground
#
# Choose a method and a share. Look for the point where accuracy breaks, and at what the speed does meanwhile.

# %%
pruning_playground(dense, pictures)

# %% [markdown]
# ## Summary

# %% tags=["nbval-ignore-output"]
measure.compare(
    {"dense": dense, "90 % zeros": zeros, "3/8 of the channels": small},
    batch,
    accuracy={
        "dense": tested.accuracy,
        "90 % zeros": results["levels"].accuracy,
        "3/8 of the channels": after.accuracy,
    },
    rounds=15,
    budget_seconds=2,
)

# %% [markdown]
# - **Importance**: L1 or L2 norm. For single weights they sort alike; for filters nearly so.
# - **One budget for the whole network** beats equal shares: it takes from the layers that can spare it.
# - **Train between or after the cuts.** Judge by an equally trained dense network and by pruning by lot.
# - **A mask saves nothing** until the file is compressed or a kernel knows the pattern.
# - **Removing channels** saves size *and* time, exactly what the smaller network saves; it costs accuracy sooner.
#
# **What practice uses today.** `torch.nn.utils.prune` for masks; Torch-Pruning (Fang et al. 2023) for channels in any
# architecture; `torchao.sparsity` and `torch.sparse.to_sparse_semi_structured` for 2:4 on NVIDIA GPUs; for large
# language models one-shot methods that weigh each weight by its inputs: Wanda (Sun et al. 2024), SparseGPT (Frantar &
# Alistarh 2023).
#
# **Further reading.** Han et al., *Learning both weights and connections* (2015) · Li et al., *Pruning filters for
# efficient ConvNets* (2017) · Zhu & Gupta, *To prune, or not to prune* (2017) · Frankle & Carbin, *The lottery ticket
# hypothesis* (2019) · Blalock et al., *What is the state of neural network pruning?* (2020).
#
# Your guesses of the whole course so far, against what your machine measured:

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
