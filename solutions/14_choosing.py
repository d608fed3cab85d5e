# %% [markdown]
# # Choosing automatically: which technique, how much, and where
#
# Earlier lessons changed one setting at a time. Real networks have dozens of settings at once. In this lesson you will
#
# - define "better" for two objectives, and measure it with one number;
# - measure how sensitive each layer is, and use that to decide what to cut;
# - find out why the gains of two techniques need not multiply, and what their order changes;
# - stop hopeless trials early, and count what that saves;
# - let a search do all of this, and compare it with random search and manual tuning.
#
# The lesson takes about an hour and stands alone; it introduces each technique when it comes up. A **configuration**
# says how much of each technique to use. A **trial** is one configuration, trained briefly and measured. Gains and
# losses of accuracy are in percentage points, **points** for short: from 89 % to 87 %, a network loses two points.

# %% tags=["fold", "side-by-side"]
# Imports: where the names of this lesson come from
import time

import torch
from IPython.display import display

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.choosing.playground import front_playground
from nnopt_lab.lessons.choosing.stopping import stopped_trials
from nnopt_lab.techniques.deployment import build_engines
from nnopt_lab.techniques.pruning import dependency_graph
from nnopt_lab.techniques.search import candidates, search_space
from nnopt_lab.techniques.search.autotune import optimize
from nnopt_lab.techniques.search.points import Goal, Point, describe, summary
from nnopt_lab.techniques.search.tasks import Task
from nnopt_lab.workbench import data, diagrams, measure, models, plots, training
from nnopt_lab.workbench.tables import Table

# %%
lesson("14_choosing")
# True makes the recorded experiments again on your machine: 5 to 20 minutes each.
LIVE = False
pictures, net = data.load("fashion"), models.trained("mynet")
contest = recorded("autotune_search", live=LIVE)["result"]
# A `Point` is a trial's result: its configuration, accuracy, bytes and time.
manual = {name: Point(**point) for name, point in contest["manual"].items()}
original = Point(**contest["original"])
print(f"{len(manual)} manually tuned networks")
print(f"validation accuracy of the original: {original.accuracy:.2f} %")
measure.layer_table(net, pictures.to_input(pictures.test.images[:1]))

# %% [markdown]
# ## 1. The Pareto front
#
# By manual tuning, twelve networks were made from `MyNet`, the course's network for small pictures of clothes, listed
# above. They differ from it in four ways:
#
# - **width**: narrower layers. A width of 0.5 keeps half of the *channels* of every layer, that is, half of a
#   convolution's filters or of a linear layer's outputs. The layer that reads them shrinks, too.
# - **rank**: a layer is split into two smaller ones whose product is close to it (a *low-rank* factorisation).
# - **engine**: another program computes the network. *Eager* torch, the usual one, runs the layers one by one as Python
#   calls them. ONNX Runtime runs the network from a file, in float32 or in int8.
# - **width and int8**: narrower layers, computed in *int8*: weights and activations are rounded to integers of 8 bits
#   (*quantised*).
#
# The narrower and the low-rank networks were trained for two more epochs on 3,000 pictures. All were timed at batch 64
# (`nnopt record autotune_search`). There are two objectives: a small loss of accuracy, and a short time.
#
# One network *dominates* another if it is worse in neither objective and better in at least one. The networks that none
# dominates form the **Pareto front**. How many of the twelve are on it?

# %%
predict("manual networks on the front", unit="networks")

# %% [markdown]
# **Exercise (3 points).** Find the Pareto front: the networks that none dominates. Whatever weight you give to
# accuracy and time, the best choice is one of these.


# %% exercise="choosing.pareto_front"
def pareto_front(lost, cost):
    """Positions of the networks that none dominates, the cheapest first: a list of
    ints.

    lost, cost: lists of numbers, less is better. One network dominates another if it is
    worse in neither and better in at least one. Of equal networks, only the first is
    kept.

    >>> pareto_front([1, 0, 2, 0], [3, 5, 4, 5])
    [0, 1]
    """
    ### BEGIN SOLUTION
    front = []
    for i in sorted(range(len(lost)), key=lambda i: (cost[i], lost[i], i)):
        if not front or lost[i] < lost[front[-1]]:
            front.append(i)
    return front
    ### END SOLUTION


# %%
check("choosing.pareto_front", pareto_front)

# %%
pareto_front = yours_or_ours("choosing.pareto_front")


def coordinates(points, of):
    """(points lost, time as a share of the original's time): two lists."""
    lost = [of.accuracy - p.accuracy for p in points]
    return lost, [p.latency / of.latency for p in points]


names, tuned = list(manual), list(manual.values())
lost, cost = coordinates(tuned, original)
front = pareto_front(lost, cost)

# %%
# Answer: manual networks on the front
reveal(
    "manual networks on the front",
    len(front),
    because="To be on the front, a network must be the fastest for its loss. Most of "
    "the others are dominated by something that was tried, too.",
)

# %% tags=["fold"]
# Plot: the manual networks and their front
fig, ax = plots.figure()
KINDS = {
    "single: width": "width",
    "single: rank": "rank",
    "single: ONNX": "engine",
    "uniform + int8": "width and int8",
}
colors = (plots.BLUE, plots.GOLD, plots.PURPLE, plots.GREEN)
for (kind, label), color in zip(KINDS.items(), colors, strict=True):
    found = [i for i, name in enumerate(names) if name.startswith(kind)]
    points = {names[i]: (cost[i], -lost[i]) for i in found}
    plots.scatter(ax, points, color, label, names=False)
on_front = [cost[i] for i in front], [-lost[i] for i in front]
ax.step(*on_front, color=plots.REFERENCE, where="post", label="front")
ax.plot([1], [0], "s", color=plots.REFERENCE, label="original")
ax.set(xlabel="time ÷ the original's", ylabel="points gained or lost")
plots.log_axis(ax.xaxis, [0.3, 0.5, 1])
plots.legend(fig)
plots.finish(
    fig,
    f"A staircase joins the {len(front)} networks that no other beats; the fastest of "
    f"them takes {min(cost[i] for i in front):.2f} of the original's time.",
    measured="x",
    trained="y",
    series=True,
)

# %% [markdown]
# What to see: good networks are at the top left, accurate and fast. The grey staircase is the front. Every network
# below it or to the right of it is dominated.
#
# ## 2. One number for a front
#
# To compare two fronts, choose a corner that is worse than anything you would accept: here, one point lost at the
# original's cost. The area between this corner and the front is the **hypervolume**
# ([Zitzler & Thiele 1998](https://doi.org/10.1007/BFb0056872)). It contains all combinations of loss and cost for which
# the front has a network that is at least as good in both. Divided by the area of the rectangle from no loss at no cost
# to the corner, it is a share between 0 and 1; a gain in accuracy counts as no loss.
#
# **Exercise (4 points).** Compute the hypervolume of some networks, as an area and not yet as a share. They come in
# any order, and not all of them need to be on the front.


# %% exercise="choosing.hypervolume"
def hypervolume(lost, cost, lost_limit, cost_limit):
    """The area that the networks dominate, up to the corner (lost_limit, cost_limit): a
    float.

    lost, cost: lists of numbers in any order, less is better. A network with loss x and
    cost y dominates all (a, b) with a ≥ x and b ≥ y. Dominated networks, and those
    beyond one of the limits, add nothing.

    >>> hypervolume([0, 1, 5], [3, 1, 0], 2, 4)
    4.0
    """
    ### BEGIN SOLUTION
    area, lowest = 0.0, cost_limit
    for x, y in sorted(zip(lost, cost, strict=True)):
        if x < lost_limit and y < lowest:
            area += (lost_limit - x) * (lowest - y)
            lowest = y
    return area
    ### END SOLUTION


# %%
check("choosing.hypervolume", hypervolume)

# %%
hypervolume = yours_or_ours("choosing.hypervolume")


def reached(points, of, limit=1.0):
    """Hypervolume as a share of the whole rectangle, 0 to 1; gains count as no loss."""
    lost, cost = coordinates(points, of)
    return hypervolume([max(x, 0.0) for x in lost], cost, limit, 1.0) / limit


print(f"manual tuning: {reached(tuned, original):.3f} of the rectangle")

# %%
# Claims: the manual front's area
claim(
    "Manual tuning reaches more than half of the rectangle.",
    reached(tuned, original) > 0.5,
)

# %% [markdown]
# ## 3. Sensitive layers
#
# One width for all layers treats all layers alike. Are they alike? Remove half of the channels of *one* layer, without
# any training, and measure how many points you lose (on 500 validation pictures) and how many multiply-accumulates
# (MACs, a product added to a sum) you save. `MyNet` has three layers whose channels can be removed. How many points
# does it lose without half of the filters of its *first* convolution?

# %%
predict("loss without half of the first filters, no training", unit="points")

# %%
task = Task(net, pictures)  # the network, with the data to train and judge it by
example = task.inputs(1)  # one picture
groups = [g.name for g in dependency_graph.channel_groups(net, example) if g.removable]
score = candidates.FILTERS  # as in lesson 01, the filters of least norm go first
fragile = search_space.sensitivity(
    task, groups, lambda model: measure.macs(model, example), score
)

# %% tags=["nbval-ignore-output"]
# Answer: loss without half of the first filters, no training
reveal(
    "loss without half of the first filters, no training",
    round(fragile[groups[0]][0], 1),
    because="The first layer has few filters, and everything after it sees the picture "
    "through them. The wide linear layer has 128 outputs, and many of them are "
    "redundant.",
)

# %% tags=["fold"]
# Plot: sensitive groups of layers
fig, (left, right) = plots.figure(ncols=2, height=2.6, sharey=True)
for ax, place, scale, title in (
    (left, 0, 1, "points lost"),
    (right, 1, 100, "multiply-accumulates saved, %"),
):
    rows = {g: scale * fragile[g][place] for g in groups}
    plots.bars(ax, rows, plots.BLUE, labels="{:.1f}")
    ax.set(title=title)
plots.finish(
    fig,
    "Per group of layers, points lost and multiply-accumulates saved: the first "
    "convolution costs most.",
    trained="x",
)

# %% [markdown]
# What to see: the first convolution, `features.0`, has the longest bar in both plots. Removing half of its filters
# costs the most points, on the left, and saves the most work, on the right.
#
# **Exercise (3 points).** You may lose a given number of points in all. Choose the layers to cut, and the order in
# which to cut them, so that little is lost for the work saved.


# %% exercise="choosing.cut_by_sensitivity"
def cut_by_sensitivity(lost, saved, allowed):
    """Positions of the layers to cut, in the order in which they are taken: a list of
    ints.

    Take the smallest lost/saved first. Skip a layer whose loss no longer fits into the
    rest of `allowed`, and go on with the next one. lost, saved: lists of positive
    numbers, one per layer. Losses are assumed to add up.

    >>> cut_by_sensitivity([3, 1, 2], [6, 4, 3], 3)
    [1, 2]
    """
    ### BEGIN SOLUTION
    chosen, total = [], 0.0
    for i in sorted(range(len(lost)), key=lambda i: lost[i] / saved[i]):
        if total + lost[i] <= allowed:
            chosen.append(i)
            total += lost[i]
    return chosen
    ### END SOLUTION


# %%
check("choosing.cut_by_sensitivity", cut_by_sensitivity)

# %%
cut_by_sensitivity = yours_or_ours("choosing.cut_by_sensitivity")
prices, yields = [fragile[g][0] for g in groups], [fragile[g][1] for g in groups]
chosen = [groups[i] for i in cut_by_sensitivity(prices, yields, 2.0)]  # 2 points
# From here on, losses are measured on all validation pictures, not on 500.
whole = training.evaluate(net, pictures.validation, pictures).accuracy


def cut(shares, score=score):
    """Points lost, and percent of the MACs left, if each layer keeps this share."""
    small, _ = candidates.shape(net, example, {"channels": shares}, score=score)
    left = measure.macs(small, example) / measure.macs(net, example)
    accuracy = training.evaluate(small, pictures.validation, pictures).accuracy
    return whole - accuracy, 100 * left


# %%
sensible, uniform = cut(dict.fromkeys(chosen, 0.5)), cut(dict.fromkeys(groups, 0.75))
each = {group: cut({group: 0.5}) for group in groups}
fragile_one, alone = each["features.0"], sum(points for points, _ in each.values())
together, together_work = cut(dict.fromkeys(groups, 0.5))

# %% tags=["fold"]
# Table: work left and points lost
by_sensitivity = f"half of {' and '.join(chosen)}, by sensitivity"
rows = [
    [name, f"{work:.0f} %", f"{points:.1f}"]
    for name, (points, work) in {
        by_sensitivity: sensible,
        "half of features.0": fragile_one,
        "a quarter of every layer": uniform,
        "half of every layer": (together, together_work),
    }.items()
]
rows.append(["half of each layer alone, added up", None, f"{alone:.1f}"])
Table(rows, ["removed", "work left", "points lost"])

# %% tags=["fold"]
# Claims: sensitive layers
claim(
    "The first convolution is the most sensitive layer, and saves the most work.",
    max(fragile, key=lambda g: fragile[g][0]) == "features.0"
    and max(fragile, key=lambda g: fragile[g][1]) == "features.0",
)
claim(
    "For the same work, cutting by sensitivity loses less than half of what cutting "
    "the first layer loses.",
    sensible[0] < 0.5 * fragile_one[0] and abs(sensible[1] - fragile_one[1]) < 3,
)
claim(
    "Halving all three layers loses more than twice the sum of their single losses.",
    together > 2 * alone,
)
claim(
    "A uniform width of three quarters loses within a point of cutting by sensitivity, "
    "at about equal work.",
    abs(sensible[0] - uniform[0]) < 1 and abs(sensible[1] - uniform[1]) < 5,
)
claim(
    "Removing half of the linear layer's outputs costs less than a point.",
    fragile["classifier.0"][0] < 1,
)
claim(
    "Removing half of the linear layer's outputs saves less than a tenth of the work.",
    fragile["classifier.0"][1] < 0.1,
)
with_readers = cut({"features.0": 0.5}, candidates.FILTERS_AND_READERS)
claim(
    "If the weights that read a filter's output count, too, half of the first "
    "convolution costs less than half as much.",
    with_readers[0] < 0.5 * fragile_one[0],
)

# %% [markdown] tags=["tells"]
# This shows two things. *Where* you cut matters: for the same work, cutting the first layer loses more than twice as
# many points as cutting the layers chosen by sensitivity. (A uniform width does well here, too: it takes a little
# everywhere, and a little does little harm.) And *losses don't add up*: three halved layers lose far more than the sum
# of their single losses. So sensitivity is a good start, and no more. A search uses it for exactly that. It also
# depends on *which* filters go: a filter with large weights matters little if the next layer reads it with small ones.
# The search multiplies both norms, and then half of the first convolution costs less than half as much.

# %% [markdown]
# ## 4. Gains need not multiply
#
# Removing half of the channels speeds `MyNet` up. So does running it with ONNX Runtime in int8 instead of eager torch.
# Do both together give the product of the two speed-ups? Nothing needs training here, since weights don't change the
# time. Guess what percentage of the product you get: 100 if the gains multiply, less if one gets in the way of the
# other, more if one makes room for the other.

# %%
predict("int8 and half of the channels: share of the product", unit="%")

# %%
torch.set_num_threads(1)
EAGER, FLOAT, INT8 = "eager float32", "ONNX Runtime float32", "ONNX Runtime int8"
half, _ = candidates.shape(net, example, {"channels": dict.fromkeys(groups, 0.5)})
# An int8 engine needs a few pictures to choose the ranges of its integers.
built = {
    "whole": build_engines(net, task.calibration, (EAGER, INT8))[0],
    "half": build_engines(half, task.calibration, (EAGER, INT8))[0],
}

# %%
ready = {
    f"{width} {name}": engine
    for width, found in built.items()
    for name, engine in found.items()
}
timings = measure.latency(
    ready, task.inputs(64), rounds=20, budget_seconds=2.5, clock=time.process_time
)
gain = {
    name: measure.ratio(timings[f"whole {EAGER}"], timing)
    for name, timing in timings.items()
}

# %% tags=["nbval-ignore-output", "fold"]
# Answer: int8 and half of the channels, share of the product
width_alone = gain[f"half {EAGER}"].median
if f"half {INT8}" in gain:
    share_reached = (
        100 * gain[f"half {INT8}"].median / (width_alone * gain[f"whole {INT8}"].median)
    )
    reveal(
        "int8 and half of the channels: share of the product",
        round(share_reached),
        because="They would multiply if removing half of the channels gained as much "
        "in one engine as in the other. A plot below shows where each engine spends "
        "its time.",
    )

# %% tags=["fold"]
# Plot: gains alone, multiplied and measured
rows = {"half of the channels": gain[f"half {EAGER}"]}
if f"half {INT8}" in gain:
    rows |= {
        "int8 engine": gain[f"whole {INT8}"],
        "product of the two": width_alone * gain[f"whole {INT8}"].median,
        "both, measured": gain[f"half {INT8}"],
    }
colors = {"half of the channels": plots.BLUE, "int8 engine": plots.ORANGE}
colors |= {"product of the two": plots.REFERENCE, "both, measured": plots.GREEN}
fig, ax = plots.figure(height=2.4)
plots.bars(
    ax, rows, {name: colors[name] for name in rows}, reference=1, labels="{:.1f}×"
)
ax.set(xlabel="times as fast as eager with all channels, batch 64, one thread")
plots.finish(
    fig,
    "Half of the channels and int8 together gain less than the product of their gains.",
    measured="x",
    series=True,
)

# %% [markdown]
# What to see: a last bar that ends before the grey one, the product, shows that the two changes get in each other's
# way. A last bar that goes beyond it shows that one makes room for the other.

# %% tags=["fold", "nbval-ignore-output"]
# Table: gains alone and together
if f"half {INT8}" in gain:
    rows = [
        ["half of the channels", gain[f"half {EAGER}"]],
        ["int8", gain[f"whole {INT8}"]],
        ["both", gain[f"half {INT8}"]],
    ]
    display(Table(rows, ["change", "compared with the original"]))

# %% [markdown]
# Where does each engine spend its time, with all channels and with half of them? The next plot was recorded with the
# profilers of both engines (`nnopt record time_by_part`), on a processor with AVX2 but without VNNI, the instructions
# that multiply and add 8-bit integers. On yours, the parts and the share of the product may differ.

# %%
spent = recorded("time_by_part", live=LIVE)["result"]

# %% tags=["fold"]
# Plot: time by part, all channels and half
fig, ax = plots.figure(height=3.2)
plots.stages(
    ax,
    {
        f"{engine}, {width}": {
            part: 1e3 * seconds for part, seconds in spent[engine][width].items()
        }
        for engine in spent
        for width in spent[engine]
    },
    labels="{:.1f}",
)
ax.set(xlabel="ms per batch of 64, with all channels and with half of them")
plots.legend(fig)
shares = {
    engine: sum(of["half"].values()) / sum(of["all"].values())
    for engine, of in spent.items()
}
told = ", ".join(f"{100 * share:.0f} % in {engine}" for engine, share in shares.items())
plots.finish(
    fig,
    f"Half of the channels leave {told} of the time.",
)

# %% [markdown]
# What to see: each pair of bars is one engine, with all channels and with half of them, and the colours shrink by
# different factors. The second convolution has half as many inputs *and* outputs, so a quarter of the multiplications.
# Pooling has half as much to do. The first convolution has half as many outputs, but still reads the three colour
# channels of the picture. So the gain from half of the channels depends on where the engine spends its time:
#
# - **Eager torch** pools for half of its time, and pooling becomes 1.8 times as fast. In all, the gain is a factor of
#   1.9.
# - **ONNX Runtime in float32** pools for less than a tenth of its time. Most of the rest is convolution, and the second
#   convolution becomes 2.9 times as fast. In all, the gain is a factor of 2.1, *more* than in eager torch: this engine
#   and half of the channels together give more than the product.
# - **ONNX Runtime in int8** spends more than half of its time in the first convolution, which becomes only 1.1 times as
#   fast: its program takes nearly as long for 8 filters as for 16. In all, the gain is a factor of 1.4, and both
#   together give *less* than the product.
#
# Whether two gains multiply depends on what each leaves for the other. So you cannot judge one setting while the others
# are fixed, and that is why you need a *search*.
#
# The same holds for accuracy. Take three steps: remove half of the channels, quantise the weights to 3 bits (8 values
# per layer), and *distil*, that is, train the network to match the outputs of the original (three epochs on 6,000
# pictures). Training after quantisation keeps the weights quantised. Every order has all three steps. How many points
# lie between the best order and the worst?

# %%
predict("best order compared with the worst", unit="points")

# %%
orders = recorded("technique_orders", live=LIVE)["result"]
means = {
    order: sum(values) / len(values) for order, values in orders["accuracy"].items()
}

# %%
# Answer: best order compared with the worst
reveal(
    "best order compared with the worst",
    round(max(means.values()) - min(means.values()), 1),
    because="If you distil first and cut afterwards, no training repairs the cut.",
)

# %% tags=["fold"]
# Plot: accuracy by order of the steps
fig, ax = plots.figure(height=3)
sorted_orders = sorted(means, key=means.get, reverse=True)
runs = {order: orders["accuracy"][order] for order in sorted_orders}
plots.seeds(ax, runs, plots.BLUE, reference=orders["before"])
ax.set(xlabel="test accuracy, % (dashed: the original)")
plots.finish(
    fig,
    "Accuracy of six orders of channels, distillation and 3 bits: orders that end "
    "with fine-tuning lead by far.",
)

# %% [markdown] tags=["tells"]
# What to see: a dot is one training run, and the short line is the mean of an order. Three orders end close together at
# the right, not far from the original, and the other three far to their left.
#
# What matters is whether channels are removed *before* distillation. If so, all three orders end between 85.2 and
# 85.6 %, wherever quantisation comes. If channels are removed after distillation, the network loses at least 8 points
# more, and 21 more if it was quantised before both. So a search needs no setting for the order. The course's search
# always cuts first, distils, then quantises and trains once more.


# %% tags=["fold"]
# Claims: gains and orders
def share(engine, *parts, width="all"):
    """Share of an engine's time that these parts take."""
    return sum(spent[engine][width][part] for part in parts) / sum(
        spent[engine][width].values()
    )


def shortened(engine, part):
    """Speed-up of one part by half of the channels."""
    return spent[engine]["all"][part] / spent[engine]["half"][part]


def narrowed(engine):
    """Speed-up of the whole network by half of the channels, in this engine."""
    return sum(spent[engine]["all"].values()) / sum(spent[engine]["half"].values())


cut_first = [means[o] for o in means if o.index("channels") < o.index("distil")]
cut_last = [means[o] for o in means if o.index("channels") > o.index("distil")]
claim(
    "Half of the channels gain 1.9× in eager torch, 2.1× in ONNX Runtime float32, and "
    "1.4× in ONNX Runtime int8.",
    [round(narrowed(engine), 1) for engine in (EAGER, FLOAT, INT8)] == [1.9, 2.1, 1.4],
)
claim(
    "With channels removed before distillation, accuracy is 85.2 to 85.6 %.",
    (round(min(cut_first), 1), round(max(cut_first), 1)) == (85.2, 85.6),
)
claim(
    "With channels removed after distillation, accuracy is 8 to 21 points lower.",
    (round(min(cut_first) - max(cut_last)), round(min(cut_first) - min(cut_last)))
    == (8, 21),
)
claim(
    "The worst order quantises first, then distils, and removes channels last.",
    min(means, key=means.get) == "3 bits → distil → channels",
)
claim(
    "Eager torch pools for half of its time, and half of the channels speed that up "
    "1.8×.",
    0.5 <= share(EAGER, "pooling") < 0.55
    and round(shortened(EAGER, "pooling"), 1) == 1.8,
)
claim(
    "In int8, the first convolution takes over half of the time, and gains only 1.1×.",
    0.5 < share(INT8, "first convolution") < 0.6
    and round(shortened(INT8, "first convolution"), 1) == 1.1,
)
claim(
    "In float32, ONNX Runtime pools for less than a tenth of its time.",
    share(FLOAT, "pooling") < 0.1,
)
claim(
    "In float32, ONNX Runtime's second convolution becomes 2.9 times as fast.",
    round(shortened(FLOAT, "second convolution"), 1) == 2.9,
)
claim(
    "On this machine, half of the channels make eager torch at least 1.3 times as "
    "fast.",
    width_alone > 1.3,
    timing=True,
)

# %% [markdown]
# ## 5. When to stop a trial
#
# Trials cost training time. Most of it goes into networks that nobody will use, and often you can tell long before the
# training ends.
#
# The classic method is **successive halving** ([Jamieson & Talwalkar 2016](https://arxiv.org/abs/1502.07943)). All
# configurations train for one epoch. The better half (rounded up) trains for two more, the better half of these for
# four more, and so on. When one configuration is left, it trains for a last round.
#
# **Exercise (2 points).** Count the epochs that successive halving takes in all, so that you can compare it with
# training every configuration to the end.


# %% exercise="choosing.halving_epochs"
def halving_epochs(configurations):
    """Number of epochs of successive halving, summed over all configurations.

    configurations: an int, at least 2. The first round is one epoch, and each further
    round is twice as long as the one before. Of n configurations, the better ⌈n/2⌉ go
    on. When one is left, it trains for one more round.

    >>> halving_epochs(4)
    12
    >>> halving_epochs(5)
    27
    """
    ### BEGIN SOLUTION
    total, epochs = 0, 1
    while configurations > 1:
        total += configurations * epochs
        configurations, epochs = -(-configurations // 2), 2 * epochs
    return total + epochs
    ### END SOLUTION


# %%
check("choosing.halving_epochs", halving_epochs)

# %%
halving_epochs = yours_or_ours("choosing.halving_epochs")
counts = [4, 8, 16, 32, 64, 128]
# The winner of n = 2ᵏ configurations trains for 1 + 2 + … + n epochs.
to_the_end = [n * (2 * n - 1) for n in counts]

# %% tags=["fold"]
# Plot: epochs over configurations
fig, ax = plots.figure()
series = {
    "all to the end": to_the_end,
    "successive halving": [halving_epochs(n) for n in counts],
}
plots.curves(ax, counts, series)
ax.set(yscale="log", xlabel="configurations", ylabel="epochs in all")
plots.log_axis(ax.xaxis, counts)
plots.name_lines(ax)
plots.finish(
    fig,
    "Epochs over configurations: training all to the end grows much faster than "
    "successive halving.",
)

# %% [markdown]
# What to see: the gap between training all configurations as long as the winner (blue) and successive halving (orange)
# grows with their number.

# %%
# Claims: epochs of successive halving
claim(
    "For 64 configurations, training all to the end takes 18 times as many epochs.",
    round(to_the_end[4] / halving_epochs(64)) == 18,
)

# %% [markdown]
# With *two* objectives, halving by accuracy would drop the fast networks, since these are rarely the most accurate. The
# course's search uses a more cautious rule. The cost of a network is nearly known before training, since its shape
# determines it. And you know how much accuracy earlier trials still gained after the same epoch. So a trial's *hope* is
# its current accuracy plus the largest gain that any finished trial made from this epoch to its end. The trial is
# hopeless if even this hope
#
# - is below the lowest accuracy allowed, or
# - is not above the final accuracy of a finished trial that costs no more.
#
# **Exercise (4 points).** Apply this rule to one trial: find the number of epochs after which it is stopped.


# %% exercise="choosing.epochs_trained"
def epochs_trained(curve, cost, curves, costs, floor):
    """Number of epochs after which the trial is stopped; len(curve) if it never is.

    curve: the trial's accuracy after each epoch. After the last, there is nothing to
    stop.
    cost: its cost, a number.
    curves, costs: those of the finished trials. Their curves are as long as `curve`.
    floor: the lowest accuracy allowed.

    >>> epochs_trained([66, 74, 80], 2, [[70, 80, 85]], [3], 80)
    2
    >>> epochs_trained([70, 80, 84], 4, [[70, 80, 85]], [3], 80)
    1
    """
    ### BEGIN SOLUTION
    for k in range(len(curve) - 1):
        hope = curve[k] + max(other[-1] - other[k] for other in curves)
        if hope < floor or any(
            c <= cost and other[-1] >= hope
            for other, c in zip(curves, costs, strict=True)
        ):
            return k + 1
    return len(curve)
    ### END SOLUTION


# %%
check("choosing.epochs_trained", epochs_trained)

# %% [markdown]
# Try your rule on 60 networks with randomly drawn configurations, all trained to the end (three runs of 20, two epochs
# each; `nnopt record autotune_search`). It sees them one by one, compares each only with earlier ones, and starts when
# four are finished. What share of the epochs would it have saved?

# %%
predict("epochs saved by stopping trials", unit="%")

# %%
epochs_trained = yours_or_ours("choosing.epochs_trained")
found = [
    stopped_trials(run, contest["goal"]["max_drop"], epochs_trained)
    for run in contest["random"]
]
given_up, trained, untouched = zip(*found, strict=True)

# %%
# Answer: epochs saved by stopping trials
reveal(
    "epochs saved by stopping trials",
    round(100 * (1 - sum(trained) / sum(untouched))),
    because="A trial that is stopped saves one of its two epochs. The first four of 20 "
    "trials are never stopped, so the most you could save is 40 %. The rule is "
    "cautious for a reason: it must not stop the best network.",
)

# %% tags=["fold"]
# Table: trials stopped, and those of them that were good
lost_ones, rows = [], []
for run, hopeless in zip(contest["random"], given_up, strict=True):
    of, points = Point(**run["original"]), [Point(**p) for p in run["points"]]
    within = [
        p for p in points if of.accuracy - p.accuracy <= contest["goal"]["max_drop"]
    ]
    best = [within[i] for i in pareto_front(*coordinates(within, of))]
    lost_ones.append(sum(p in hopeless for p in best))
    stopped = f"{len(hopeless)} of {len(points)}"
    rows.append([len(rows) + 1, stopped, f"{lost_ones[-1]} of {len(best)}"])
Table(rows, ["search", "trials stopped", "of them on the front and within the limit"])

# %%
# Claims: the stopped trials
claim(
    "No trial was stopped that keeps the limit and is on the front.", not any(lost_ones)
)

# %% [markdown]
# ## 6. How a search decides
#
# A search repeats one loop, a *trial* each time:

# %% tags=["fold"]
# Diagram: the search loop
diagrams.search_loop()

# %% [markdown]
# What to see: everything on the upper row costs time, and fine-tuning most of it. The arrow from the front back to
# "propose" is what distinguishes searches.
#
# The simplest search is **random search**: it draws every configuration at random.

# %% question="choosing.random_trials"
answer = None
### BEGIN SOLUTION
answer = 59
### END SOLUTION
question("choosing.random_trials", answer)

# %% [markdown]
# A better search learns from its trials. A **Gaussian process** predicts a value with its uncertainty for every
# configuration: it is certain close to the configurations tried, and uncertain far from them. The search fits one to
# accuracy and one to cost. From both it computes by how much one more trial is *expected* to increase the hypervolume,
# and how likely that trial is to keep the limits. It tries the configuration with the best outlook next
# ([Daulton et al. 2020](https://arxiv.org/abs/2006.05078)). So the search goes where the prediction is good, or where
# it knows little. The library optuna does this. The course adds the rest:
#
# - **the configuration space** (`search_space`): one width for all layers and a factor per layer, ranks, and the
#   *teacher's share*, which says how much of the training follows the original's outputs instead of the labels; for
#   small files also *sparsity*, the share of weights set to 0 (*pruned*), the bits per weight, and one bit more or less
#   per layer;
# - **the first trials**, planned instead of drawn: what manual tuning would try first, and widths by sensitivity as in
#   section 3; where time counts, the next width of all layers follows from the results, by halving the range left;
# - **estimates**: predicted cost (time from the layers' sizes, or bits times weights), and your rule from section 5;
# - **the measurement**: each trained network on every engine that may win; accuracy as the engine computes it, time in
#   alternation with the original, and bytes of a real file;
# - **the memory**: an SQLite file, if you want one. A stopped search continues from it, and other processes and
#   machines can join.
#
# Run a very short search: four trials, with 500 pictures to train on and 1,000 to evaluate on. It should make `MyNet`'s
# file small, by pruning weights and storing the rest with few bits. All four trials are planned, because so few teach a
# Gaussian process nothing. In longer searches, at most half of the trials are planned, and it proposes the others.

# %%
found = optimize(
    net,
    pictures.train[:500],
    pictures.validation[:1_000],
    to_input=pictures.to_input,
    goal=Goal("bytes", max_drop=2.0),
    trials=4,
    epochs=1,
    seed=1,
)

# %% tags=["nbval-ignore-output"]
found

# %%
found.plot()

# %% [markdown]
# What to see: each dot is a trial, with smaller files further to the left. The blue staircase is the front, and the
# dashed line is the limit on accuracy. A trial that loses too much falls below the plot.

# %% tags=["fold"]
# Claims: four trials
best = found.best
claim(
    "Four trials find a file that is at least 20 times smaller.",
    best.bytes * 20 < found.original.bytes,
)
claim(
    "Its network keeps the limit on accuracy.",
    best.accuracy >= found.original.accuracy - 2.0,
)

# %% [markdown]
# The search keeps the trained networks of the front. `found.network(point)` returns one of them, and
# `found.export("folder")` writes the best one. A search's times are estimates, so the written file is measured again:
# in a new process, in alternation with the original. `report.html` shows time for several batches and threads, memory,
# the classes that lose accuracy, and the front to click through; `load.py` runs the network without the course.
#
# ## 7. Search, random search and manual tuning
#
# Is a search worth it? Section 1 showed twelve manually tuned networks. For the same task, with the same training per
# network, the search got 20 trials, and so did random search. Both ran three times, since a single run can be luck. The
# goal is the fastest network that loses at most one point. How many times as fast as the original is the winner of the
# first search?

# %%
predict("speed-up of the search's winner over eager MyNet", unit="×")

# %%
final = contest["final"]
runs = {name: contest[name] for name in ("search", "random")}

# %%
# Answer: speed-up of the search's winner over eager MyNet
reveal(
    "speed-up of the search's winner over eager MyNet",
    *(round(value, 2) for value in final["search 1"]["faster"]),
    because="ONNX Runtime in float32 gives a factor of 3.3, and narrower layers give "
    "the rest. Manual tuning never tried these two together: it ran the narrow "
    "networks in int8, in the belief that int8 is the fastest.",
)


# %% tags=["fold"]
# Plot: search, random search and manual tuning
def areas(run):
    """Share of the rectangle reached after each trial; stopped trials add nothing."""
    points = [Point(**p) for p in run["points"]]
    numbers = {p.number for p in points}
    count = max(len(numbers) + run["stopped"] + len(run["failed"]), 1 + max(numbers))
    return [
        reached([p for p in points if p.number < n], Point(**run["original"]))
        for n in range(1, count + 1)
    ]


fig, (left, right) = plots.figure(ncols=2, height=3.6, width_ratios=(1, 1.2))
colors = {"search": plots.BLUE, "random": plots.color_of("random")}
for name, color in colors.items():
    for place, run in enumerate(runs[name]):
        area = areas(run)
        label = name if place == 0 else None
        left.plot(range(1, len(area) + 1), area, color=color, label=label)
plots.reference_line(left, reached(tuned, original), "manual", across=True)
left.set(
    xlabel="trials",
    ylabel="share of the rectangle",
    ylim=(0, 1),
    xticks=range(0, 21, 5),
)
rows = {name: row["faster"] for name, row in final.items() if name != "original"}
plots.bars(
    right,
    rows,
    {name: colors.get(name.split(" ")[0], plots.REFERENCE) for name in rows},
    reference=1,
    labels="{:.1f}×",
)
right.set(xlabel="times as fast as eager MyNet, batch 64")
plots.legend(fig)
plots.finish(
    fig,
    "Search covers a large share of the rectangle early, random runs vary; bars "
    "compare the speed of the results with manual tuning.",
    measured="x",
    trained="y",
)

# %% tags=["fold"]
# Table: the winners
every = [contest["original"], *contest["manual"].values()]
every += [point for run in runs.values() for of in run for point in of["points"]]
configs = {tuple(describe(point["config"])): point["config"] for point in every}
rows = []
for name, row in final.items():
    config, speed = configs[tuple(row["what"])], f"{row['faster'][0]:.2f}×"
    size, engine = measure.format_bytes(row["bytes"]), config.get("engine", EAGER)
    name = f"{name}\n{engine}"
    rows.append([name, speed, f"{row['test']:.2f} %", size, summary(config)])
heads = ["network\nengine", "times as fast", "test accuracy", "file", "techniques"]
display(Table(rows, heads))

# %% [markdown] tags=["tells"]
# What to see: on the left, the blue curves (search) rise above the dashed line (manual tuning) at once, and the red
# ones (random search) later or never. On the right, the winners of both are about equally fast.
#
# First, the search is strong and steady:
#
# - Each of its three winners is at least 4.1 times as fast as eager `MyNet`. By manual tuning, the best uniform width in
#   int8 reaches 2.8, and the best single technique, another engine, 3.3.
# - It timed the engines before it started, so its second trial already used the right one, with widths by sensitivity:
#   3.9 to 4.1 times as fast.
# - Every run is ahead of manual tuning from that trial on, and ends at 0.77 to 0.79 of the rectangle.
#
# Second, what is rarely advertised: *random search is a serious competitor*.
#
# - It needs nine trials or more to get ahead of manual tuning, and one run never does. Its runs end at 0.62, 0.72 and
#   0.78. That is less on average, but three runs each are too few to be sure.
# - Its winners are as fast as those of the search, and one of them is the very network that the first search found.
# - It even had a handicap. In these runs it drew the engine at random, and 38 of the 60 networks got another one than
#   all winners use. With `LIVE = True`, every network is measured on all engines: expect a smaller gap.
#
# With few trials, a good start counts most, and chance may find what a Gaussian process finds
# ([Bergstra & Bengio 2012](https://www.jmlr.org/papers/v13/bergstra12a.html);
# [Li & Talwalkar 2019](https://arxiv.org/abs/1902.07638) saw the same for whole architectures). Never trust a search
# that was not compared with random search, with the same number of trials and more than once.
#
# Third, look at what the first search did: it *halved the first layer*, the most sensitive one of section 3. But
# section 3 measured sensitivity without training. Halving this layer also saves the most work, and distillation
# repaired most of the loss. Had the search relied on sensitivity alone, it would not have found this network.
#
# Finally, the limit. On the validation pictures, by which they were chosen, no winner lost more than a point. On the
# test pictures, one lost 1.4 points (95 % interval 0.9 to 1.8).

# %% tags=["fold"]
# Claims: search, random search and manual tuning
fast = {name: row["faster"] for name, row in final.items()}
manuals, searches, at_random = (
    [n for n in fast if n.startswith(kind)] for kind in ("manual", "search", "random")
)
winners = {
    f"{kind} {n}": run for kind, of in runs.items() for n, run in enumerate(of, 1)
}
area = {
    name: sorted(round(run["hypervolume"], 2) for run in of)
    for name, of in runs.items()
}
manual_area = reached(tuned, original)
after = {name: [areas(run) for run in of] for name, of in runs.items()}
second = [
    p
    for run in runs["search"]
    for p in (Point(**p) for p in run["points"])
    if p.number == 1
]
early = sorted(
    run["original"]["latency"] / p.latency
    for run, p in zip(runs["search"], second, strict=True)
)
worst = min(
    (final[n]["lost"] for n in (*searches, *at_random)), key=lambda lost: lost[0]
)
claim(
    "Each search's winner is faster than the best manual one; the intervals don't "
    "overlap.",
    min(fast[n][1] for n in searches) > max(fast[n][2] for n in manuals),
)
claim(
    "The winners of random search are as fast as those of the search.",
    all(
        a >= b
        for a, b in zip(
            *(sorted(fast[n][0] for n in of) for of in (at_random, searches)),
            strict=True,
        )
    ),
)
claim(
    "On the test pictures, one winner lost 1.4 points (0.9 to 1.8).",
    [round(x, 1) for x in worst] == [-1.4, -1.8, -0.9],
)
claim(
    "On the validation pictures, no winner lost more than a point.",
    all(
        run["original"]["accuracy"] - p["accuracy"] <= 1
        for name, run in winners.items()
        for p in run["points"]
        if describe(p["config"]) == final[name]["what"]
    ),
)
claim(
    "The search's winners are at least 4.1 times as fast as the original, the manual "
    "ones 2.8 and 3.3 times.",
    min(fast[n][0] for n in searches) > 4.1
    and [round(fast[n][0], 1) for n in manuals] == [2.8, 3.3],
)
claim(
    "The search ends at 0.77 to 0.79 of the rectangle.",
    area["search"] == [0.77, 0.77, 0.79],
)
claim(
    "Random search ends at 0.62, 0.72 and 0.78.", area["random"] == [0.62, 0.72, 0.78]
)
claim(
    "After two trials, each search is ahead of manual tuning.",
    all(area[1] > manual_area for area in after["search"]),
)
claim(
    "Random search is behind manual tuning for eight trials, and in one run to its "
    "end.",
    max(area[7] for area in after["random"]) < manual_area
    and min(area[-1] for area in after["random"]) < manual_area,
)
claim(
    "The search's second trials are 3.9 to 4.1 times as fast.",
    (round(early[0], 1), round(early[-1], 1)) == (3.9, 4.1),
)
engines = [
    p["config"].get("engine", EAGER) for run in runs["random"] for p in run["points"]
]
claim(
    "38 of the 60 random networks drew another engine than ONNX Runtime float32, which "
    "all winners of searches use.",
    (len(engines), len(engines) - engines.count(FLOAT)) == (60, 38)
    and all(
        f"computed by {FLOAT}" in final[n]["what"] for n in (*searches, *at_random)
    ),
)
claim(
    "Random search also found the first search's winner.",
    final["search 1"]["what"] in [final[n]["what"] for n in at_random],
)
claim(
    "The first search's winner keeps half of the first layer, and loses less than a "
    "point on the test pictures.",
    any("features.0 50 %" in line for line in final["search 1"]["what"])
    and final["search 1"]["lost"][0] > -1,
)

# %% question="choosing.winner"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("choosing.winner", choice)

# %% [markdown]
# ## 8. Another network
#
# Nothing in the search is specific to `MyNet`. The next plot compares the same three ways on torchvision's resnet18,
# trained on 4,000 pictures of clothes to an accuracy of about 86 % (`nnopt record autotune_resnet`). The search and
# random search ran once each, with 12 trials; manual tuning made eight networks. In resnet18, twelve groups of channels
# can be narrowed, in `MyNet` three. If resnet18 may lose one point, how many times as fast is the search's winner?

# %%
predict("speed-up of the search's winner over eager resnet18", unit="×")

# %%
resnet = recorded("autotune_resnet", live=LIVE)["result"]

# %%
# Answer: speed-up of the search's winner over eager resnet18
reveal(
    "speed-up of the search's winner over eager resnet18",
    *(round(value, 2) for value in resnet["final"]["search 1"]["faster"]),
    because="The winner keeps three quarters of all channels and runs in ONNX Runtime "
    "in float32. By themselves, these are 1.6 and 2.0 times as fast: here both "
    "together give a little more than the product.",
)

# %% tags=["fold"]
# Plot: ResNet-18's points over speed
manual_run = {"points": resnet["manual"].values(), "original": resnet["original"]}
runs_of_it = {
    "search": (resnet["search"][0], plots.BLUE),
    "random": (resnet["random"][0], plots.color_of("random")),
    "manual": (manual_run, plots.REFERENCE),
}
fig, ax = plots.figure()
for name, (run, color) in runs_of_it.items():
    of, points = Point(**run["original"]), [Point(**p) for p in run["points"]]
    places = {
        str(n): (of.latency / p.latency, p.accuracy - of.accuracy)
        for n, p in enumerate(points)
    }
    below = sum(gained < -10 for _, gained in places.values())
    label = f"{name} ({below} more below)" if below else name
    plots.scatter(ax, places, color, label, names=False)
plots.reference_line(ax, -resnet["goal"]["max_drop"], "limit", across=True)
ax.set(
    xlabel="times as fast as eager resnet18, batch 64",
    ylabel="points gained or lost",
    ylim=(-10, 1.5),
)
plots.log_axis(ax.xaxis, [1, 2, 5, 10])
plots.legend(fig)
plots.finish(
    fig,
    "Points lost over speed-up for search, random and manual tuning of ResNet-18; the "
    "search stays near the limit.",
)

# %% tags=["fold"]
# Table: the winners for ResNet-18
rows = []
for name, row in resnet["final"].items():
    middle, low, high = row["faster"]
    interval = f"{low:.2f} to {high:.2f}"
    rows.append([name, f"{middle:.2f}×", interval, f"{row['test']:.2f} %"])
heads = ["network", "times as fast", "95 % interval", "test accuracy"]
display(Table(rows, heads))

# %% [markdown] tags=["tells"]
# What to see: networks above the dashed line keep the limit, and of these the one furthest to the right wins. It is one
# of the search's, in blue, and all of random search's, in red, are below the line.
#
# Timed once more at the end, the winner is 3.5 times as fast as eager resnet18. By manual tuning, uniform widths in
# int8 reach 2.4, and the best single technique 2.0. (On the processor of the recording, int8 is slower than float32 in
# ONNX Runtime.)
#
# But look where the winner comes from: it is one of the six planned trials. Manual tuning would have
# found it without any search, had it also run the narrow networks in ONNX Runtime in *float32*, and not only in eager
# torch and in int8. Of the six trials after these, five were stopped early, and the sixth is dominated by a planned
# one. Twelve trials are few for so many settings.
#
# Random search does worse: none of its twelve networks keeps the limit. For `MyNet`, 12 of 60 did. At that rate, there
# is a probability of 7 % that none of twelve does, so bad luck may be part of it. Either way, the fewer the trials, the
# more a good start is worth.

# %% tags=["fold"]
# Claims: ResNet-18
of_resnet = {name: round(row["faster"][0], 1) for name, row in resnet["final"].items()}
before = resnet["original"]["latency"]
singly = {name: p["latency"] for name, p in resnet["manual"].items()}
tried = {p["number"]: p for p in resnet["search"][0]["points"]}
kept = [
    p for p in tried.values() if p["accuracy"] >= resnet["original"]["accuracy"] - 1
]
later = [p for number, p in tried.items() if number >= 6]


def within(run):
    """Number of a run's networks that keep the limit of one point."""
    return sum(p["accuracy"] >= run["original"]["accuracy"] - 1 for p in run["points"])


manual_names = ("search 1", "manual, uniform + int8", "manual, single")
claim(
    "The winner is 3.5 times as fast as the original, the manual ones 2.4 and 2.0 "
    "times.",
    [of_resnet[n] for n in manual_names] == [3.5, 2.4, 2.0],
)
claim(
    "The winner is one of the six planned trials, and its gain exceeds the product of "
    "1.6 and 2.0.",
    min(kept, key=lambda p: p["latency"])["number"] < 6
    and resnet["final"]["search 1"]["faster"][0] > 1.6 * 2.0,
)
claim(
    "None of twelve random networks keeps the limit; for MyNet, 12 of 60 do.",
    [within(resnet["random"][0]), sum(map(within, contest["random"]))] == [0, 12],
)
claim(
    "Three quarters of the channels alone give 1.6 times.",
    round(before / singly["single: width 0.75"], 1) == 1.6,
)
claim(
    "On that processor, int8 is slower than float32 in ONNX Runtime.",
    singly["single: ONNX Runtime int8"] > singly["single: ONNX Runtime float32"],
)
claim(
    "One later trial was finished, and a planned one dominates it.",
    len(later) == 1
    and resnet["search"][0]["stopped"] == 5
    and any(
        p["accuracy"] > later[0]["accuracy"] and p["latency"] < later[0]["latency"]
        for p in kept
    ),
)
claim(
    "At a rate of 12 in 60, the probability that none of twelve keeps the limit is "
    "7 %.",
    round((1 - 12 / 60) ** 12, 2) == 0.07,
)

# %% [markdown]
# ## 9. Playground
#
# Go through the first search of section 7, trial by trial: move the slider to see what was known after that many
# trials. How many would have been enough? What would you get if you allowed a larger loss, or none at all?

# %%
first = contest["search"][0]
front_playground(
    [Point(**point) for point in first["points"]], Point(**first["original"])
)

# %% [markdown]
# ## Summary
#
# You don't need a notebook for any of this. For a classifier of your own, write a script with two functions, one that
# returns the trained network and one that returns (train, validation), and run:
#
# ```bash
# nnopt optimize script.py:build --data script.py:load --target latency --max-drop 1.0 --storage search.db
# ```
#
# For a network of torchvision or timm, give its name and a file of trained weights instead of the first function:
# `torchvision:resnet18 --weights resnet18.pth`. With `--dry-run`, it only checks both, and says what it would search;
# `--preset quick` ends after ten minutes. The report and the network's files are written to the folder `optimized`.
#
# Here are the results of section 7, with the times that were measured during the searches:

# %% tags=["fold"]
# Table: what each way reached
made = {
    "manual": [
        {
            "points": contest["manual"].values(),
            "original": contest["original"],
            "stopped": 0,
        }
    ],
    **runs,
}
rows = []
for name, of in made.items():
    for run in of:
        points, base = [Point(**p) for p in run["points"]], Point(**run["original"])
        fastest = max(
            base.latency / p.latency
            for p in points
            if base.accuracy - p.accuracy <= 1.0
        )
        trials = len(points) + run["stopped"]
        share_of = f"{reached(points, base):.2f}"
        rows.append([name, trials, run["stopped"], share_of, f"{fastest:.2f}×"])
heads = ["", "trials", "stopped early", "share of rectangle", "fastest in the limit"]
Table(rows, heads)

# %% [markdown]
# You can now set up a search over several techniques, judge it against random search and manual tuning, and report its
# winner honestly.
#
# - **Two objectives** give a front instead of a winner. A limit on one of them gives a winner again.
# - **Sensitivity** is cheap to measure, and shows where to cut.
# - **Gains need not multiply**: what one technique leaves decides what the other gains. Order matters, too: cut before
#   you distil.
# - **Stop trials early**, but by a rule that takes both objectives into account.
# - **A search** starts with what manual tuning would try, and goes on when a person would give up. Compare it with
#   random search.
# - **The winner looks better than it is**: judge it on pictures that played no part in choosing it.
#
# **In practice.** Toolchains for phones and microcontrollers use such searches
# ([AMC, He et al. 2018](https://arxiv.org/abs/1802.03494); [HAQ, Wang et al. 2019](https://arxiv.org/abs/1811.08886)),
# with latency from a table or from the device itself. If one network must suit many devices, you train one large
# network from which you can cut smaller ones ([Once-for-all, Cai et al. 2020](https://arxiv.org/abs/1908.09791)).
#
# **Further reading.**
# [Bergstra & Bengio, *Random search for hyper-parameter optimization* (2012)](https://www.jmlr.org/papers/v13/bergstra12a.html) ·
# [Daulton et al., *Differentiable expected hypervolume improvement* (2020)](https://arxiv.org/abs/2006.05078) ·
# [Li et al., *Hyperband* (2017)](https://arxiv.org/abs/1603.06560) ·
# [Zitzler & Thiele, *Multiobjective optimization using evolutionary algorithms* (1998)](https://doi.org/10.1007/BFb0056872) ·
# [Shahriari et al., *Taking the human out of the loop: a review of Bayesian optimization* (2016)](https://doi.org/10.1109/JPROC.2015.2494218).
#
# **Next:** [15 Capstone](15_capstone.ipynb) combines everything in one file.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
