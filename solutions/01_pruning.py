# %% [markdown]
# # Pruning: keep what matters
#
# A trained network has far more weights than it needs. In this lesson you will
#
# - score weights and filters by importance, and remove the least important weights step by step;
# - remove nine tenths of the weights, measure what that costs, and see random pruning fail at the same size;
# - find out whether the pruned network is faster, and what would make it faster;
# - remove whole filters, and measure how much time that saves.
#
# The lesson takes about an hour and stands alone: you only need Python and the basics of PyTorch. *The article* is the
# tutorial that this course grew out of, and `MyNet` is its network. A trained `MyNet` ships with the course. *The
# library* is `nnopt_lab`, the Python package that comes with the course.

# %% tags=["fold", "side-by-side"]
# Imports: where the names of this lesson come from
import copy
import warnings
from functools import partial

import torch
from torch import nn
from torch.nn.utils import prune

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.pruning.experiments import Concatenating, layer_graph
from nnopt_lab.lessons.pruning.playground import pruning_playground
from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.pruning import channel_pruning, dependency_graph
from nnopt_lab.workbench import data, measure, models, plots, training
from nnopt_lab.workbench.tables import Table

warnings.filterwarnings("ignore", "Sparse CSR tensor support")  # torch calls it beta

# %%
lesson("01_pruning")
pictures = data.load("fashion")
dense = models.trained("mynet")
measure.layer_table(dense, pictures.to_input(pictures.test.images[:1]))

# %% [markdown]
# `MyNet` sorts 32×32 pictures of clothes into ten classes. It is *dense*: no weight is zero. In the
# table, "16 → 32" means 16 input channels and 32 output channels. Each output channel is made by one **filter**, which
# has a weight for every input channel at every position of the 3×3 kernel. Biases are few, so they are not pruned.

# %% tags=["fold"]
# Claims: the network
total = pruning.count_weights(dense)[1]
tested = training.evaluate(dense, pictures.test, pictures)
claim("The network has 268,464 weights, not counting biases.", total == 268_464)
claim(
    "The dense network's test accuracy is between 87 and 91 %.",
    87 < tested.accuracy < 91,
)

# %% [markdown]
# ## 1. The idea in one picture
#
# Pruning sets weights to zero, or removes them. You can choose single weights anywhere, two in every group of four, or
# whole rows of a matrix, which are whole neurons or filters. The code takes a corner of the first linear layer's weight
# and keeps half of its weights in each of these three ways.

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
# Plot: four ways to choose weights
fig, axes = plots.figure(ncols=2, nrows=2)
for ax, (name, values) in zip(axes.flat, masks.items(), strict=True):
    cmap = "Greys" if name == "magnitudes" else "Greys_r"
    plots.matrix(ax, values.float(), name, cmap)
plots.finish(
    fig,
    "A grid of grey magnitudes, and three black and white masks: scattered, 2 of "
    "every 4 in a row, and whole rows.",
)

# %% [markdown]
# What to see: the first picture shows the magnitudes in the corner, 16 of 128 rows and 64 of 2,048 columns; dark is
# large. In the other three, white weights stay. In general, a free choice loses less accuracy, and a strict pattern
# is easier to turn into speed.
#
# ## 2. Importance
#
# Which weights can go? The article's answer is still the one to beat: the small ones. The importance of a part $P$ of a
# weight tensor is its norm,
#
# $$\lVert P\rVert_1 = \sum_{w\in P} |w| \qquad\text{or}\qquad \lVert P\rVert_2 = \sqrt{\sum_{w\in P} w^2},$$
#
# where $P$ is a single weight ([Han et al. 2015](https://arxiv.org/abs/1506.02626)), a filter
# ([Li et al. 2017](https://arxiv.org/abs/1608.08710)), or a whole layer. The reason is simple: if you set $w$ to zero,
# the output of a linear map changes by $w$ times the input, which is little if $|w|$ is small.
#
# **Exercise (2 points).** Score each filter of a convolution by its L1 norm. The filters with the lowest scores are the
# first candidates for removal.


# %% exercise="pruning.l1_importance"
def l1_importance(weight):
    """L1 norm of each filter. weight: float [out, in, kh, kw] → float [out].

    >>> l1_importance(torch.tensor([[[[1.0, -2.0]]], [[[0.5, 0.5]]]]))
    tensor([3., 1.])
    """
    ### BEGIN SOLUTION
    return weight.abs().sum(dim=(1, 2, 3))
    ### END SOLUTION


# %%
check("pruning.l1_importance", l1_importance)

# %%
l1_importance = yours_or_ours("pruning.l1_importance")
filters = dense.features[3].weight.detach()
by_l1 = l1_importance(filters).float()
by_l2 = pruning.importance(filters, norm=2, per="filter")

# %% tags=["fold"]
# Plot: L1 and L2 norms of 32 filters
fig, (left, right) = plots.figure(ncols=2)
order = by_l1.argsort()
left.bar(range(32), by_l1[order], color=plots.BLUE)
left.set(
    title="32 filters of the second convolution",
    xlabel="filter, sorted",
    ylabel="L1 norm",
)
right.plot(by_l1, by_l2, "o", color=plots.BLUE)
right.set(title="one point per filter", xlabel="L1 norm", ylabel="L2 norm")
plots.finish(
    fig,
    f"Bars of 32 L1 norms, sorted, rise from {by_l1.min():.1f} to {by_l1.max():.1f}; "
    "L2 over L1 norms lie close to a line.",
)

# %% [markdown]
# What to see: on the left, the largest L1 norm is not even twice the smallest, so no filter is clearly useless. On the
# right, the points lie close to a line, so the two norms nearly agree. They can differ when one filter has a few large
# weights and another many moderate ones: L2 may then rank the first higher, and L1 the second.

# %% tags=["fold"]
# Claims: L1 compared with L2
better = [set(scores.topk(16).indices.tolist()) for scores in (by_l1, by_l2)]
few_large = torch.tensor([0.9, 0.1, 0.1])
many_moderate = torch.tensor([0.45, 0.45, 0.45])
claim(
    "L1 and L2 share at least 13 of the 16 most important filters.",
    len(better[0] & better[1]) >= 13,
)
claim(
    "L1 ranks three moderate weights above one large and two small ones.",
    few_large.norm(1) < many_moderate.norm(1),
)
claim(
    "L2 ranks the same weights the other way round.",
    few_large.norm(2) > many_moderate.norm(2),
)
claim(
    "The largest L1 norm of these filters is less than twice the smallest.",
    by_l1.max() < 2 * by_l1.min(),
)
claim(
    "The function gives the library's L1 norm.",
    torch.allclose(by_l1, pruning.importance(filters, norm=1, per="filter")),
)

# %% question="pruning.l1_or_l2"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("pruning.l1_or_l2", choice)

# %% [markdown]
# ## 3. Levels and masks
#
# The article sorts the weights into *levels* by score and drops the lowest level. A level is a range of ranks, not a
# range of values, so all levels hold the same number of weights, to within one, however the values are distributed.
# Equal scores are ordered by position: the earlier one counts as less important.
#
# **Exercise (3 points).** Sort scores into levels. If the scores cannot be shared equally, the sizes of the levels
# differ by at most one.


# %% exercise="pruning.levels"
def levels(scores, count):
    """Level of each score. scores: float [N], count: int → int64 [N].

    Level 0 holds the smallest scores, level count − 1 the largest.

    >>> levels(torch.tensor([0.3, 0.1, 0.2, 0.2]), 2)
    tensor([1, 0, 0, 1])
    >>> levels(torch.tensor([5.0, 1.0, 9.0, 2.0]), 4)
    tensor([2, 0, 3, 1])
    """
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

# %% tags=["fold"]
# Plot: weights in ten levels
fig, ax = plots.figure()
bins = torch.linspace(-0.12, 0.12, 121).tolist()
ax.hist(
    [weights[level == n].tolist() for n in range(10)],
    bins,
    histtype="stepfilled",
    stacked=True,
    color=plots.ramp(10),
    label=[n if n % 3 == 0 else "_" for n in range(10)],
)
ax.set(
    title="weights of the first linear layer, in ten levels",
    xlabel="weight",
    ylabel="number of weights",
)
plots.legend(fig, "right", title="level")
plots.finish(
    fig,
    "A bell of weights around zero: level 0 in the middle, the highest level in both "
    "tails.",
)

# %% [markdown]
# What to see: every level holds the same number of weights, but the highest one (red) spreads over most of the
# axis. Level 0 (blue), in the middle, goes first.
#
# Dropping the lower levels is the same as keeping the $k$ largest weights. The result is a **mask**: a boolean tensor
# that is True where a weight stays.
#
# **Exercise (3 points).** Compute the mask. Exactly `keep` weights stay, even where magnitudes are equal; you may keep
# any of the equal ones.


# %% exercise="pruning.magnitude_mask"
def magnitude_mask(weight, keep):
    """Mask of the `keep` weights with the largest magnitudes: bool, shape of weight.

    >>> magnitude_mask(torch.tensor([[0.1, -3.0], [2.0, 0.5]]), 2)
    tensor([[False,  True],
            [ True, False]])
    """
    ### BEGIN SOLUTION
    mask = torch.zeros(weight.numel(), dtype=torch.bool)
    mask[weight.abs().flatten().topk(keep).indices] = True
    return mask.reshape(weight.shape)
    ### END SOLUTION


# %%
check("pruning.magnitude_mask", magnitude_mask)

# %% [markdown]
# PyTorch offers this as `prune.l1_unstructured` for one layer, and as `prune.global_unstructured` for several layers
# with a common budget. The library stores its masks the same way, so you can mix the two:

# %%
magnitude_mask = yours_or_ours("pruning.magnitude_mask")
ours = pruning.magnitude_prune(copy.deepcopy(dense), keep=total // 10)
theirs = copy.deepcopy(dense)
layers = [(layer, "weight") for layer in pruning.prunable(theirs).values()]
prune.global_unstructured(layers, prune.L1Unstructured, amount=total - total // 10)

# %% tags=["fold"]
# Claims: masks and levels
pairs = zip(
    pruning.prunable(theirs).values(), pruning.prunable(ours).values(), strict=True
)
same = [torch.equal(a.weight, b.weight) for a, b in pairs]
one_layer = dense.classifier[2].weight.detach()
keeps = magnitude_mask(one_layer, 128)

claim("The library agrees with torch.nn.utils.prune on every weight.", all(same))
claim(
    "Ten levels hold the same number of weights, to within one.",
    level.bincount().max() - level.bincount().min() <= 1,
)
claim("A mask of 128 weights keeps 128 weights.", keeps.sum() == 128)
claim(
    "No weight that the mask keeps is smaller than one that it drops.",
    one_layer.abs()[keeps].min() >= one_layer.abs()[~keeps].max(),
)
claim("PyTorch recognises the library's masks.", prune.is_pruned(ours))

# %% [markdown]
# ## 4. A single cut
#
# Set the smallest nine tenths of the weights to zero, and do nothing else: no *fine-tuning*, as further training is
# called. How many percentage points of accuracy does the network lose? (The measured loss comes with an interval, which
# contains the true value in 95 % of cases.)

# %%
predict(
    "accuracy lost by zeroing the smallest 90 % of the weights, no fine-tuning",
    unit="points",
)

# %%
cut = training.evaluate(ours, pictures.test, pictures)
lost = measure.proportion_difference(cut.correct, tested.correct)

# %% tags=["nbval-ignore-output", "fold"]
# Answer: accuracy lost by zeroing the smallest 90 % of the weights
reveal(
    "accuracy lost by zeroing the smallest 90 % of the weights, no fine-tuning",
    lost.estimate,
    lost.low,
    lost.high,
    because="Most weights of the first linear layer are still in the range of their "
    "random start, −0.022 to 0.022; training moved only a few of them far out. If you "
    "zero weights that never mattered, little changes.",
)

# %% [markdown]
# The code below tries three ways at several *sparsities* (shares of weights removed): the smallest weights of the whole
# network, the smallest of each layer, and weights chosen at random. They are compared on validation pictures, which are
# not used for training and not for the final test.

# %%
ways = {
    "smallest, whole network": pruning.magnitude_prune,
    "smallest, layer by layer": partial(pruning.magnitude_prune, scope="layer"),
    "at random": pruning.random_prune,
}

# %% tags=["fold"]
# Plot: accuracy over the share of weights removed
sparsities = [0.5, 0.7, 0.8, 0.9, 0.95, 0.98]


def validated(model):
    return training.evaluate(model, pictures.validation, pictures).accuracy


curves = {
    name: [
        validated(way(copy.deepcopy(dense), round(total * (1 - s)))) for s in sparsities
    ]
    for name, way in ways.items()
}

fig, ax = plots.figure()
plots.curves(ax, sparsities, curves, reference=("dense", validated(dense)))
ax.set(
    xlabel="share of weights removed",
    ylabel="validation accuracy, %",
    title="a single cut, no fine-tuning",
    xticks=[0.5, 0.7, 0.8, 0.9, 0.98],
)
plots.percent_axis(ax.xaxis)
plots.name_lines(ax)
plots.finish(
    fig,
    "With one budget for the network, accuracy stays high up to 90 % removed; layer "
    "by layer it falls earlier, and at random at once.",
    trained="y",
)

# %% [markdown]
# What to see: with one budget for the whole network (blue), accuracy stays near the dense network's up to 90 %. With
# the same share of every layer, removing 90 % costs more than 10 points, and at random, accuracy falls below 40 %
# there.
#
# Why is one budget for the whole network so much better than the same share of every layer? Prune one layer at a time
# and leave the others dense:

# %%
shares = (0.5, 0.8, 0.9, 0.95)
fragile = pruning.sensitivity(dense, validated, shares)

# %% tags=["fold"]
# Plot: accuracy with one layer pruned
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
    title="one layer pruned, the others dense",
    xticks=shares,
)
plots.percent_axis(ax.xaxis)
plots.name_lines(ax)
plots.finish(
    fig,
    "The large linear layer hardly loses accuracy; the convolutions lose more than "
    "10 points at 95 %.",
    trained="y",
)

# %% [markdown]
# What to see: the first linear layer, by far the largest, hardly reacts, while the convolutions lose more than 10
# points at 95 %. A global cut finds this out by itself. It takes nearly everything from the large layer and spares the
# small ones. (This works if the weights of all layers are of comparable size. If they are not, normalise the scores of
# each layer first.)

# %% tags=["fold"]
# Claims: one cut
reach = 2048**-0.5  # torch draws the weights of a linear layer evenly from ±1/√inputs
torch.manual_seed(0)  # the seed of the shipped weights
moved = (weights - models.MyNet().classifier[0].weight.detach().flatten()).abs()
at_90 = {name: curve[sparsities.index(0.9)] for name, curve in curves.items()}
kept = {
    name: layer.weight_mask.mean().item()
    for name, layer in pruning.prunable(ours).items()
}

claim("A single global cut of 90 % loses less than 4 points.", lost.high < 4)
claim(
    "Cut layer by layer, the same 90 % cost more than 10 points.",
    validated(dense) - at_90["smallest, layer by layer"] > 10,
)
claim(
    "The global cut keeps less than a tenth of the first linear layer and more than "
    "half of every other layer.",
    kept["classifier.0"] < 0.1
    and min(share for name, share in kept.items() if name != "classifier.0") > 0.5,
)
claim("Cut at random, the network reaches less than 40 %.", at_90["at random"] < 40)
claim(
    "At 95 %, the first convolution with its 432 weights is the most fragile layer.",
    min(fragile, key=lambda name: fragile[name][-1]) == "features.0",
)
claim(
    "At 95 %, each convolution alone costs more than 10 points.",
    max(fragile["features.0"][-1], fragile["features.3"][-1]) < validated(dense) - 10,
)
claim(
    "The first linear layer with its 262,144 weights is the most robust one.",
    max(fragile, key=lambda name: fragile[name][-1]) == "classifier.0",
)
claim(
    "More than three quarters of that layer are in the range of the random start.",
    (weights.abs() < reach).float().mean() > 0.75,
)
claim(
    "Training moved half of its weights by less than 0.006.",
    moved.median() < 0.006,
)

# %% [markdown]
# ## 5. The article's procedure: level by level
#
# Score the weights, sort them into levels, drop the lowest level, fine-tune, and repeat until the chosen number of
# weights is left. Training between the steps lets the remaining weights take over the work of those that are gone. With
# two levels, each step halves the number of weights: 50 %, 25 %, 12.5 %, then the target of 10 %.
#
# After each of the four steps you train for a third of an epoch (one epoch is one pass over all training pictures). Two
# controls get the same training: a network pruned at random, and the dense network. Without the dense control, pruning
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


# %%
by_levels = copy.deepcopy(dense)
steps = list(
    pruning.prune_in_levels(by_levels, keep=total // 10, count=2, finetune=finetune)
)
at_random = pruning.random_prune(copy.deepcopy(dense), keep=total // 10)
finetune(at_random, epochs=4)
dense_too = copy.deepcopy(dense)
finetune(dense_too, epochs=4)
steps

# %% [markdown]
# These are the numbers of weights that are left after each step. How accurate are the networks?

# %% tags=["fold"]
# Answer: accuracy lost at 90 % sparsity, level by level
results = {
    name: training.evaluate(model, pictures.test, pictures)
    for name, model in {
        "dense": dense,
        "dense, trained further": dense_too,
        "in levels": by_levels,
        "at random": at_random,
    }.items()
}
lost = {
    name: measure.proportion_difference(result.correct, tested.correct)
    for name, result in results.items()
}

reveal(
    "accuracy lost at 90 % sparsity, level by level with fine-tuning",
    lost["in levels"].estimate,
    lost["in levels"].low,
    lost["in levels"].high,
    because="The removed weights were hardly used, and the training between the cuts "
    "repairs the rest. A negative loss is a gain. Before you credit pruning with it, "
    "look at the dense network that was trained further.",
)

# %% tags=["fold", "nbval-ignore-output"]
# Table: accuracy and loss of the four networks
Table(
    [
        [name, f"{result.accuracy:.2f} %", None if name == "dense" else lost[name]]
        for name, result in results.items()
    ],
    ["network", "test accuracy", "points lost"],
)

# %% tags=["fold"]
# Claims: levels and random pruning
left, _ = pruning.count_weights(by_levels)
claim("At least 90 % of the weights are gone.", left <= total / 10)
claim(
    "Pruned in levels, the network loses less than 1 point, including the interval.",
    lost["in levels"].high < 1,
)
claim(
    "Pruned at random and trained just as long, it loses more than 5 points.",
    lost["at random"].low > 5,
)

# %% [markdown]
# ## 6. Levels or a single cut?
#
# Would a single cut with the same training do as well? The difference is small, so the answer takes several random
# seeds and minutes of training. The result is recorded in `data/recorded/pruning_sweep.json`. Set `LIVE = True` to run
# it on your machine (about a quarter of an hour), or make the file again with `nnopt record pruning_sweep`.

# %%
LIVE = False
sweep = recorded("pruning_sweep", live=LIVE)["result"]

# %% tags=["fold"]
# Plot: accuracy of one cut and of levels, with training
fig, axes = plots.figure(ncols=2, height=4)
lines = {
    "one cut, no fine-tuning": ("one shot, no fine-tuning", plots.BLUE),
    "at random": ("random", plots.color_of("at random")),
    "one cut": ("one shot", plots.GREEN),
    "in levels": ("in levels", plots.PURPLE),
}
places = range(len(sweep["sparsities"]))
flat = [[d] * len(places) for d in sweep["dense"]]
for ax in axes:
    for label, (name, color) in lines.items():
        plots.band(ax, places, sweep[name], label, color)
    plots.band(ax, places, flat, "dense, trained further", plots.REFERENCE)
    ax.set_xticks(places, [f"{100 * share:g} %" for share in sweep["sparsities"]])
    ax.set(xlabel="share of weights removed", ylabel="test accuracy, %")
axes[0].set(title="6 epochs of fine-tuning, except where noted", ylim=(45, 92))
axes[1].set(title="enlarged", ylim=(88, 90.6))
plots.legend(fig)
plots.finish(
    fig,
    "Random masks lose most. The other ways stay near the dense network, and the "
    "enlarged panel tells them apart.",
)

# %% [markdown]
# What to see: the lines are means over three seeds, and the bands reach from the lowest to the highest seed.
#
# - **At random**, even six epochs of training don't bring back what is lost.
# - **Without training**, removing 95 % of the weights costs 2 to 3 points, and at 98 % the network collapses. (The plot
#   shows a larger gap, since its dense network was trained further, which gained 0.5 to 2 points.)
# - **With training**, removing 90 % costs less than half a point, compared with the dense network that was trained
#   further.
# - **Levels or one cut:** there is no clear winner. Levels are a few tenths of a point ahead at 90 and 95 %, and behind
#   at 98 %, where six steps with an epoch after each leave only one epoch for the final network.
#
# On a network this small, it matters *which* weights go and *that* you train afterwards; the number of cuts hardly
# matters. (Han et al. 2015 saw iterative pruning win clearly on networks hundreds of times larger.)

# %% tags=["fold"]
# Claims: one cut compared with levels
means = {
    name: torch.tensor(sweep[name]).mean(0).tolist()
    for name in ("one shot, no fine-tuning", "random", "one shot", "in levels")
}
dense_mean = sum(sweep["dense"]) / len(sweep["dense"])
at = {sparsity: place for place, sparsity in enumerate(sweep["sparsities"])}

claim(
    "With training, removing 90 % costs less than half a point, in one cut or levels.",
    all(dense_mean - means[way][at[0.9]] < 0.5 for way in ("one shot", "in levels")),
)
claim(
    "One cut and levels differ by less than half a point at every sparsity.",
    max(abs(x - y) for x, y in zip(means["one shot"], means["in levels"], strict=True))
    < 0.5,
)
claim(
    "Levels are 0.1 to 0.5 points ahead at 90 and 95 %, and as far behind at 98 %.",
    all(
        0.1 < sign * (means["in levels"][at[s]] - means["one shot"][at[s]]) < 0.5
        for s, sign in ((0.9, 1), (0.95, 1), (0.98, -1))
    ),
)
claim(
    "The extra training alone gains the dense network 0.5 to 2 points.",
    0.5 < dense_mean - sweep["before"] < 2,
)
claim(
    "At random, removing 90 % costs more than 5 points, and 98 % more than 20.",
    dense_mean - means["random"][at[0.9]] > 5
    and dense_mean - means["random"][at[0.98]] > 20,
)
claim(
    "Without training, removing 95 % costs 2 to 3 points.",
    2 < sweep["before"] - means["one shot, no fine-tuning"][at[0.95]] < 3,
)
claim(
    "Without training, removing 98 % costs more than 10 points.",
    sweep["before"] - means["one shot, no fine-tuning"][at[0.98]] > 10,
)

# %% [markdown]
# You can also choose how fast to prune. [Zhu & Gupta (2017)](https://arxiv.org/abs/1710.01878) remove many weights at
# first and few near the end. After $t$ of $n$ steps, the sparsity is
#
# $$s_t = s_f\left(1 - \left(1 - \tfrac{t}{n}\right)^3\right),\qquad s_f \text{ the final sparsity.}$$
#
# **Exercise (2 points).** Implement this cubic schedule. A training loop calls it after each step, to learn which
# share of the weights should be gone by then.


# %% exercise="pruning.cubic_sparsity"
def cubic_sparsity(step, steps, final):
    """Share of weights removed after `step` of `steps` steps.

    step, steps: int; final: float → float between 0 and `final`.

    >>> [cubic_sparsity(step, 2, final=0.5) for step in (0, 1, 2)]
    [0.0, 0.4375, 0.5]
    """
    ### BEGIN SOLUTION
    return final * (1 - (1 - step / steps) ** 3)
    ### END SOLUTION


# %%
check("pruning.cubic_sparsity", cubic_sparsity)

# %% [markdown]
# ## 7. Smaller, yes. Faster?
#
# Nine tenths of the weights are zero. The routine that computes a layer, its *kernel*, is the same as before. (It
# shares only its name with the kernel of a convolution.) Guess how many times as fast the network is now, for a batch
# of 256 pictures.

# %%
predict("speed-up from 90 % of the weights masked to zero", unit="×")

# %% tags=["nbval-ignore-output"]
zeros = pruning.make_permanent(copy.deepcopy(by_levels))
batch = pictures.to_input(pictures.test.images[:256])
timings = measure.latency(
    {"dense": dense, "90 % zeros": zeros}, batch, rounds=20, budget_seconds=3
)
ratio = measure.ratio(timings["dense"], timings["90 % zeros"])

# %% tags=["nbval-ignore-output"]
# Answer: speed-up from 90 % of the weights masked to zero
reveal(
    "speed-up from 90 % of the weights masked to zero",
    ratio.median,
    ratio.low,
    ratio.high,
    because="The kernel is made for dense tensors: it multiplies by zero as it does by "
    "any other number. A mask changes the numbers, not the amount of work.",
)

# %% question="pruning.masks_and_time"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("pruning.masks_and_time", choice)

# %% [markdown]
# There are kernels that are made for zeros. The format *compressed sparse rows* (CSR) stores each nonzero
# weight with the number of its column. Its kernel skips the zeros, but it has to look up every index. How much faster
# is it? Here is the first linear layer alone, at two sparsities:

# %%
weight = dense.classifier[0].weight.detach()
features = torch.randn(2048, 32)
faster = {}
for sparsity in (0.9, 0.98):
    keep = round((1 - sparsity) * weight.numel())
    pruned = weight * pruning.magnitude_mask(weight.abs(), keep)
    csr = pruned.to_sparse_csr()
    runs = {"dense": lambda x, w=pruned: w @ x, "CSR": lambda x, w=csr: w @ x}
    timed = measure.latency(runs, features, rounds=30, budget_seconds=1)
    faster[sparsity] = measure.ratio(timed["dense"], timed["CSR"])

# %% tags=["fold", "nbval-ignore-output"]
# Table: the speed of CSR at two sparsities
rows = [[f"{100 * sparsity:.0f} %", found] for sparsity, found in faster.items()]
Table(rows, ["zeros", "CSR compared with dense, 32 pictures"])

# %% [markdown]
# What to see: the more zeros there are, the more CSR gains.
#
# The network's file gets smaller only if you compress it: then the file with 90 % zeros is more than 4 times smaller
# than the dense one.
#
# Between a free choice and whole filters there is the **2:4** pattern: of every four consecutive weights in a row of
# the matrix, two stay. NVIDIA GPUs since Ampere (2020) have arithmetic units for it ([Mishra et al.
# 2021](https://arxiv.org/abs/2104.08378)). On a CPU it only saves storage.
#
# **Exercise (3 points).** Compute the 2:4 mask: in every group of four, the two weights with the largest magnitudes
# stay. The hardware skips the other two only if every group follows the pattern.


# %% exercise="pruning.n_m_mask"
def n_m_mask(weight):
    """Mask of the two largest magnitudes of every four in a row.

    weight: float [rows, 4·n] → bool, shape of weight.

    >>> n_m_mask(torch.tensor([[1.0, -4.0, 2.0, 3.0, 0.0, 0.1, -0.2, 0.0]]))
    tensor([[False,  True, False,  True, False,  True,  True, False]])
    """
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
    for name in ("features.3", "classifier.0", "classifier.2"):
        w = two_of_four.get_submodule(name).weight
        w.mul_(n_m_mask(w.flatten(1)).reshape(w.shape))

# %% tags=["fold"]
# Claims: size and speed of zeros
bytes_dense, bytes_zeros = (measure.disk_bytes(model) for model in (dense, zeros))
packed_dense, packed_zeros = (
    measure.disk_bytes(model, compressed=True) for model in (dense, zeros)
)

claim(
    "90 % zeros do not make a dense kernel 1.3 times as fast.",
    ratio.median < 1.3,
    timing=True,
)
claim(
    "The file keeps its size, since a zero takes four bytes like any other float.",
    bytes_zeros == bytes_dense,
)
claim(
    "2:4 in three layers loses less than 3 points, without any fine-tuning.",
    validated(dense) - validated(two_of_four) < 3,
)
claim(
    "CSR gains more at 98 % zeros than at 90 %.",
    faster[0.98].median > faster[0.9].median,
    timing=True,
)
claim(
    "Compressed, the file with 90 % zeros is more than 4 times smaller than the dense "
    "one.",
    packed_dense / packed_zeros > 4,
)
claim(
    "Compression shrinks the dense file by less than a tenth.",
    packed_dense > 0.9 * bytes_dense,
)
claim(
    "CSR and dense kernels compute the same product.",
    torch.allclose(csr @ features, pruned @ features, atol=1e-4),
    timing=False,
)

# %% question="pruning.bits_of_2_4"
answer = None
### BEGIN SOLUTION
answer = 56.25
### END SOLUTION
question("pruning.bits_of_2_4", answer)

# %% [markdown]
# ## 8. Remove whole filters
#
# If you remove a whole filter, the tensor really shrinks. But the next layer reads the channel that the filter made, so
# its tensor has to shrink, too.
#
# **Exercise (4 points).** Of two consecutive convolutions, keep only the filters `kept` of the first one. Return the
# first weight, its bias, and the second weight.


# %% exercise="pruning.remove_filters"
def remove_filters(weight1, bias1, weight2, kept):
    """The smaller weight1, bias1 and weight2, as a tuple.

    weight1: [out1, in1, k, k], bias1: [out1], weight2: [out2, out1, k, k].
    kept: int64 [n], the indices of the filters that stay.

    >>> before = torch.ones(4, 3, 5, 5), torch.ones(4), torch.ones(8, 4, 5, 5)
    >>> [tuple(w.shape) for w in remove_filters(*before, torch.tensor([0, 3]))]
    [(2, 3, 5, 5), (2,), (8, 2, 5, 5)]
    """
    ### BEGIN SOLUTION
    return weight1[kept], bias1[kept], weight2[:, kept]
    ### END SOLUTION


# %%
check("pruning.remove_filters", remove_filters)

# %% [markdown]
# If a flatten comes between a convolution and a linear layer, this is harder: each channel becomes height × width
# inputs of the linear layer.
#
# **Exercise (3 points).** Compute the indices of the inputs that belong to the channels that stay.


# %% exercise="pruning.flatten_columns"
def flatten_columns(kept, height, width):
    """Indices of the linear layer's inputs that belong to the kept channels.

    kept: int64 [n] → int64 [n · height · width].

    >>> flatten_columns(torch.tensor([0, 2]), height=2, width=2)
    tensor([ 0,  1,  2,  3,  8,  9, 10, 11])
    """
    ### BEGIN SOLUTION
    return (kept[:, None] * height * width + torch.arange(height * width)).flatten()
    ### END SOLUTION


# %%
check("pruning.flatten_columns", flatten_columns)

# %% [markdown]
# With these two functions you can shrink the whole network by hand: keep half of the filters of each convolution, and
# half of the neurons of the first linear layer. `keep_most_important` chooses them by their L1 norms.

# %%
remove_filters = yours_or_ours("pruning.remove_filters")
flatten_columns = yours_or_ours("pruning.flatten_columns")
keep = channel_pruning.keep_most_important(dense, batch[:1], share=0.5)
conv1, conv2 = dense.features[0], dense.features[3]
linear1, linear2 = dense.classifier[0], dense.classifier[2]
with torch.no_grad():
    w1, b1, w2 = remove_filters(
        conv1.weight, conv1.bias, conv2.weight, keep["features.0"]
    )
    w2, b2 = w2[keep["features.3"]], conv2.bias[keep["features.3"]]
    columns = flatten_columns(keep["features.3"], 8, 8)
    w3 = linear1.weight[keep["classifier.0"]][:, columns]
    b3 = linear1.bias[keep["classifier.0"]]
    w4, b4 = linear2.weight[:, keep["classifier.0"]], linear2.bias

# %% tags=["fold"]
# Numbers: the network shrunk by hand, and by the library
with torch.no_grad():
    by_hand = models.MyNet(channels=(8, 16), hidden=64).eval()
    for parameter, value in zip(
        by_hand.parameters(), (w1, b1, w2, b2, w3, b3, w4, b4), strict=True
    ):
        parameter.copy_(value)

by_library = channel_pruning.remove_channels(dense, batch[:1], keep)

# %% [markdown]
# The library does the same for any network. It reads from the network's graph which tensors belong together, so it also
# handles batch norms and residual sums, where two branches are added and must lose the *same* channels. Here are the
# groups of channels that have to go together in the course's teacher, a residual network that later lessons use, too:

# %%
teacher = models.trained("teacher")
groups = dependency_graph.channel_groups(teacher, batch[:1])

# %% tags=["fold"]
# Table: channels that go together
Table(
    [[group.size, " + ".join(group.producers)] for group in groups if group.removable],
    ["channels", "made by"],
)

# %% tags=["fold"]
# Plot: groups of layers in two networks
concatenating = Concatenating()
fig, (left, right) = plots.figure(ncols=2, height=5.6)
plots.graph(left, layer_graph(teacher, batch[:1]))
left.set_title("sums: one group for both branches")
plots.graph(right, layer_graph(concatenating, batch[:1]))
right.set_title("concatenations: one group per layer")
plots.finish(
    fig,
    "Two networks as graphs from input to head. On the left, with sums, the two layers "
    "before each sum have the same letter and colour. On the right, with "
    "concatenations, each layer has its own.",
)

# %% [markdown]
# What to see: layers with the same letter and colour make the channels of one group. In the teacher, on the left, the
# two layers whose outputs are added share a group, so a filter can only be removed from both. In the network on the
# right, outputs are *concatenated*, put side by side. Each layer there has a group of its own, and the layers that read
# it lose the matching input channels.

# %% tags=["fold"]
# Claims: groups of channels
widest_groups = [
    max(
        len(group.producers)
        for group in dependency_graph.channel_groups(net, batch[:1])
    )
    for net in (teacher, concatenating)
]
claim(
    "Sums join two layers into one group, and concatenations join none.",
    widest_groups == [2, 1],
)

# %% [markdown]
# Removal is **exact**. To see that, zero the filters with their biases and batch norms in one copy of the network, and
# remove them in another. Both copies compute the same function:

# %%
gaps = {}
for name, model in {"MyNet": dense, "teacher": teacher}.items():
    half = channel_pruning.keep_most_important(model, batch[:1], share=0.5)
    with torch.inference_mode():
        zeroed = channel_pruning.zero_channels(model, batch[:1], half)(batch)
        removed = channel_pruning.remove_channels(model, batch[:1], half)(batch)
    gaps[name] = (zeroed - removed).abs().max()

# %% [markdown]
# Now measure what you gain. A multiply-accumulate (MAC), one product added to a sum, is the unit in which the work of a
# layer is counted. With half of the channels gone, the network does 3.2 times fewer of them. How many times as fast is
# it at batch 256?

# %%
predict("speed-up from half of the channels removed, batch 256", unit="×")

# %%
timings = measure.latency(
    {"dense": dense, "half": by_library}, batch, rounds=25, budget_seconds=3
)
half_ratio = measure.ratio(timings["dense"], timings["half"])

# %% tags=["nbval-ignore-output", "fold"]
# Answer: speed-up from half of the channels removed, batch 256
reveal(
    "speed-up from half of the channels removed, batch 256",
    half_ratio.median,
    half_ratio.low,
    half_ratio.high,
    because="The network does 3.2 times fewer products, but ReLU and pooling still "
    "read and write half as many numbers, and the input picture is as large as before. "
    "ReLU and pooling have no MACs at all, and still take time.",
)

# %% tags=["fold", "nbval-ignore-output"]
# Numbers: the share of the first ReLU and pooling
with torch.inference_mode():
    after_conv1 = conv1(batch)
parts = {
    "network": lambda x: dense(batch),
    "first ReLU and pooling": lambda x: dense.features[1:3](x),
}
timings = measure.latency(parts, after_conv1, rounds=12, budget_seconds=1)
part = 1 / measure.ratio(timings["network"], timings["first ReLU and pooling"]).median
print(f"The first ReLU and pooling take {100 * part:.0f} % of the network's time.")

# %% [markdown]
# Now remove more. Keep three of every eight channels: at first this hurts, and one epoch of fine-tuning repairs most
# of it.

# %%
three_eighths = channel_pruning.keep_most_important(dense, batch[:1], share=0.375)
small = channel_pruning.remove_channels(dense, batch[:1], three_eighths)
before_finetuning = validated(small)
history = finetune(small, train=pictures.train)

# %% tags=["fold", "nbval-ignore-output"]
# Table: speed and accuracy without whole filters
after = training.evaluate(small, pictures.test, pictures)
lost_structured = measure.proportion_difference(after.correct, tested.correct)
timings = measure.latency(
    {"dense": dense, "three eighths": small}, batch, rounds=25, budget_seconds=3
)
small_ratio = measure.ratio(timings["dense"], timings["three eighths"])

Table(
    [
        ["half", half_ratio, None],
        ["three eighths", small_ratio, f"{lost_structured}, fine-tuned"],
    ],
    ["channels kept", "compared with the dense network", "points lost"],
)

# %% tags=["fold"]
# Claims: networks without whole filters
with torch.inference_mode():
    by_hand_agrees = torch.allclose(by_hand(batch), by_library(batch), atol=1e-5)
all_macs, all_parameters = (
    measure.macs(dense, batch[:1]),
    measure.parameters(dense).total,
)

claim(
    "With three eighths of the channels, the network is at least twice as fast at "
    "batch 256.",
    small_ratio.median >= 2,
    timing=True,
)
claim(
    "After fine-tuning it loses less than 2 points, including the interval.",
    lost_structured.high < 2,
)
claim("The network shrunk by hand computes the same as the library's.", by_hand_agrees)
claim(
    "Before fine-tuning it loses more than 5 points.",
    validated(dense) - before_finetuning > 5,
)
claim(
    "Zeroed and removed filters give the same outputs, in MyNet and in the teacher.",
    max(gaps.values()) < 1e-5,
)
claim(
    "With half of the channels, the network has a quarter of the parameters.",
    round(all_parameters / measure.parameters(by_library).total) == 4,
)
claim(
    "With half of the channels, it does 3.2 times fewer multiply-accumulates.",
    round(all_macs / measure.macs(by_library, batch[:1]), 1) == 3.2,
)
claim(
    "With half of the channels, it is less than 3.2 times as fast.",
    half_ratio.high < 3.2,
    timing=True,
)
claim(
    "The first ReLU and max-pooling take more than a tenth of the network's time.",
    part > 0.1,
    timing=True,
)

# %% [markdown]
# ## 9. Playground
#
# Choose a method and a share. Find the share at which accuracy breaks down, and watch what the speed does meanwhile.

# %%
pruning_playground(dense, pictures)

# %% [markdown]
# ## Summary

# %% tags=["fold", "nbval-ignore-output"]
# Table: the networks of this lesson
measure.compare(
    {"dense": dense, "90 % zeros": zeros, "3/8 of the channels": small},
    batch,
    accuracy={
        "dense": tested.accuracy,
        "90 % zeros": results["in levels"].accuracy,
        "3/8 of the channels": after.accuracy,
    },
    rounds=15,
    budget_seconds=2,
)

# %% [markdown]
# You can now remove most of a network's weights, say what that costs, and choose the kind of pruning that your goal
# needs: masks for a small file, whole filters for speed.
#
# - **Importance** is the L1 or L2 norm. For single weights both give the same order, for filters nearly the same.
# - **One budget for the whole network** beats equal shares: it takes from the layers that can spare it.
# - **Train between or after the cuts.** Compare with a dense network that gets the same training, and with random
#   pruning.
# - **A mask saves nothing** until the file is compressed or a kernel knows the pattern.
# - **Removing channels** saves size *and* time, since the result is an ordinary smaller network. It costs accuracy
#   sooner.
#
# **In practice.** Use `torch.nn.utils.prune` for masks, and
# [Torch-Pruning (Fang et al. 2023)](https://arxiv.org/abs/2301.12900) to remove channels from many architectures. For
# 2:4 on NVIDIA GPUs there are `torchao.sparsity` and `torch.sparse.to_sparse_semi_structured`. Large language models
# are pruned in one shot by methods that score weights by the layer's inputs, too:
# [Wanda (Sun et al. 2024)](https://arxiv.org/abs/2306.11695) and
# [SparseGPT (Frantar & Alistarh 2023)](https://arxiv.org/abs/2301.00774).
#
# **Further reading.**
# [Han et al., *Learning both weights and connections* (2015)](https://arxiv.org/abs/1506.02626) ·
# [Li et al., *Pruning filters for efficient ConvNets* (2017)](https://arxiv.org/abs/1608.08710) ·
# [Zhu & Gupta, *To prune, or not to prune* (2017)](https://arxiv.org/abs/1710.01878) ·
# [Frankle & Carbin, *The lottery ticket hypothesis* (2019)](https://arxiv.org/abs/1803.03635) ·
# [Blalock et al., *What is the state of neural network pruning?* (2020)](https://arxiv.org/abs/2003.03033).
#
# **Next:** [02 Convolutions](02_convolutions.ipynb) makes networks cheaper before they are trained.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
