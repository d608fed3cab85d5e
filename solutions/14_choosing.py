# %% [markdown]
# # Choosing automatically: which technique, how much, and where
#
# Pruning, low rank, quantisation, distillation, another engine: earlier lessons changed one setting at a time. Real networks
# have dozens of settings at once. In this lesson you will
#
# - define "better" for two objectives, and measure it with one number;
# - measure how sensitive each layer is, and use that to decide what to cut;
# - find out why the gains of two techniques don't multiply, and what their order changes;
# - stop hopeless trials early, and count what that saves;
# - let a search do all of this, and compare it with random search and manual tuning.
#
# The lesson takes about an hour and stands alone; it introduces each technique when it comes up. A **configuration** says how
# much of each technique to use. A **trial** is one configuration, trained briefly and measured. A **point** is a percentage
# point of accuracy.

# %%
import time

import torch

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.choosing.playground import front_playground
from nnopt_lab.techniques.deployment import build_engines
from nnopt_lab.techniques.pruning import dependency_graph
from nnopt_lab.techniques.search import candidates, search_space
from nnopt_lab.techniques.search.autotune import optimize
from nnopt_lab.techniques.search.points import Goal, Point, describe
from nnopt_lab.techniques.search.tasks import Task
from nnopt_lab.workbench import data, measure, models, plots, training

lesson("14_choosing")
# True makes the recorded experiments again on your machine: 5 to 20 minutes each.
LIVE = False

# %%
pictures, net = data.load("fashion"), models.trained("mynet")
contest = recorded("autotune_search", live=LIVE)["result"]
manual = {name: Point(**point) for name, point in contest["manual"].items()}
original = Point(**contest["original"])
print(f"{len(manual)} manually tuned networks")
print(f"validation accuracy of the original: {original.accuracy:.2f} %")
net

# %% [markdown]
# ## 1. The Pareto front
#
# These twelve networks were made from `MyNet`, the course's network, by manual tuning: other engines, narrower layers (a
# *width* of 0.5 keeps half of the channels of every layer), low-rank layers, and narrower layers in int8. Each was trained
# for two more epochs on 3,000 pictures and timed at batch 64 (`nnopt record autotune_search`). There are two objectives: a
# small loss of accuracy, and a short time.
#
# One network *dominates* another if it is worse in nothing and better in something. The networks that none dominates form
# the **Pareto front**. How many of the twelve are on it?

# %%
predict("manual networks on the front", unit="networks")

# %% [markdown]
# **Exercise (3 points).** Find the Pareto front.


# %% exercise="choosing.pareto_front"
def pareto_front(lost, cost):
    """Positions of the networks that none dominates, the cheapest first: a list of
    ints.

    lost, cost: lists of numbers, less is better. One network dominates another if it is
    worse in nothing and better in something. Of equal networks, only the first is kept.
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
    """(points lost, cost as a share of the original's cost)."""
    return [of.accuracy - p.accuracy for p in points], [
        p.latency / of.latency for p in points
    ]


names, tuned = list(manual), list(manual.values())
lost, cost = coordinates(tuned, original)
front = pareto_front(lost, cost)

# %% tags=["fold"]
fig, ax = plots.figure()
KINDS = {
    "single: width": "width",
    "single: rank": "rank",
    "single: ONNX": "engine",
    "uniform + int8": "width and int8",
}
colors = (plots.BLUE, plots.GREEN, plots.PURPLE, plots.ORANGE)
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
plots.finish(fig)

# %%
reveal(
    "manual networks on the front",
    len(front),
    because="To be on the front, a network must be the fastest for its loss. Most of "
    "what you try is dominated by something else you tried.",
)

# %% [markdown]
# What to see: good networks are at the top left, fast and accurate. The grey staircase is the front, and all networks below
# it are dominated.
#
# ## 2. One number for a front
#
# To compare two fronts, choose a corner that is worse than anything you would accept: here, one point lost at the original's
# cost. The area between this corner and the front is the **hypervolume**
# ([Zitzler & Thiele 1998](https://doi.org/10.1007/BFb0056872)). It contains all combinations of loss and cost that some
# network of the front reaches.
#
# **Exercise (4 points).** Compute the hypervolume.


# %% exercise="choosing.hypervolume"
def hypervolume(lost, cost, lost_limit, cost_limit):
    """The area that the points dominate, up to the corner (lost_limit, cost_limit): a
    float.

    lost, cost: lists of numbers in any order, less is better. Dominated points and
    points beyond the corner add nothing. A point (x, y) dominates all (a, b) with a ≥ x
    and b ≥ y.
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
claim(
    "Manual tuning reaches more than half of the rectangle.",
    reached(tuned, original) > 0.5,
)

# %% [markdown]
# ## 3. Sensitive layers
#
# One width for all layers treats all layers alike. Are they alike? Remove half of the channels of *one* layer, without any
# training, and measure how many points you lose (on 500 pictures) and how many multiply-accumulates you save. (*Channels* are
# the filters of a convolution or the outputs of a linear layer; the layer that reads them shrinks, too.) `MyNet` has three
# such layers. How many points does it lose without half of the filters of its *first* convolution?

# %%
predict("loss without half of the first filters, no training", unit="points")

# %%
task = Task(net, pictures)
example = task.inputs(1)
groups = [g.name for g in dependency_graph.channel_groups(net, example) if g.removable]
fragile = search_space.sensitivity(
    task, groups, lambda model: measure.macs(model, example)
)

# %% tags=["fold"]
fig, (left, right) = plots.figure(ncols=2, figsize=(8, 2.6))
for ax, place, scale, title in (
    (left, 0, 1, "points lost"),
    (right, 1, 100, "multiply-accumulates saved, %"),
):
    plots.bars(ax, {g: scale * fragile[g][place] for g in groups}, plots.BLUE)
    ax.set(title=title)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
reveal(
    "loss without half of the first filters, no training",
    round(fragile[groups[0]][0], 1),
    because="The first layer has few filters, and everything after it sees the picture "
    "through them. The wide linear layer has 128 outputs, and many of them say the "
    "same.",
)

# %%
claim(
    "The first convolution is the most sensitive layer.",
    max(fragile, key=lambda g: fragile[g][0]) == "features.0",
)
claim(
    "The first convolution also saves the most work.",
    max(fragile, key=lambda g: fragile[g][1]) == "features.0",
)
claim(
    "Half of the linear layer's outputs cost less than a point.",
    fragile["classifier.0"][0] < 1,
)
claim(
    "Half of the linear layer's outputs save less than a tenth of the work.",
    fragile["classifier.0"][1] < 0.1,
)

# %% [markdown]
# What to see: the layer with the longest bar on the left also has the longest on the right. Each layer has a price in points
# and a return in saved work.
#
# **Exercise (3 points).** You may lose a given number of points in all. Which layers do you cut, and in which order?


# %% exercise="choosing.cut_by_sensitivity"
def cut_by_sensitivity(lost, saved, allowed):
    """Positions of the layers to cut, in the order in which they are taken: a list of
    ints.

    Take the smallest lost/saved first. Skip a layer whose loss no longer fits into the
    rest of `allowed`, and go on with the next one. lost, saved: lists of positive
    numbers, one per layer. Losses are assumed to add up.
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
chosen = [groups[i] for i in cut_by_sensitivity(prices, yields, 2.0)]
whole = training.evaluate(net, pictures.validation, pictures).accuracy


def cut(shares):
    """Points lost, and percent of MACs left, for these shares of channels."""
    small, _ = candidates.shape(net, example, {"channels": shares})
    left = measure.macs(small, example) / measure.macs(net, example)
    return whole - training.evaluate(
        small, pictures.validation, pictures
    ).accuracy, 100 * left


sensible, uniform = cut(dict.fromkeys(chosen, 0.5)), cut(dict.fromkeys(groups, 0.75))
each = {group: cut({group: 0.5}) for group in groups}
fragile_one, alone = each["features.0"], sum(points for points, _ in each.values())
together = cut(dict.fromkeys(groups, 0.5))[0]
print(f"half of {', '.join(chosen)}, chosen by sensitivity:")
print(f"    {sensible[1]:.0f} % of the work left, {sensible[0]:.1f} points lost")
print("half of features.0:")
print(f"    {fragile_one[1]:.0f} % of the work left, {fragile_one[0]:.1f} points lost")
print("three quarters of every layer:")
print(f"    {uniform[1]:.0f} % of the work left, {uniform[0]:.1f} points lost")
print(f"half of every layer: {together:.1f} points lost")
print(f"    (the three losses by themselves add up to {alone:.1f} points)")

# %%
claim(
    "By sensitivity, you lose less than half of what the first layer loses for equal "
    "work.",
    sensible[0] < 0.5 * fragile_one[0] and abs(sensible[1] - fragile_one[1]) < 3,
)
claim(
    "A uniform width of three quarters is within a point of that, at about equal work.",
    abs(sensible[0] - uniform[0]) < 1 and abs(sensible[1] - uniform[1]) < 5,
)
claim(
    "All three layers halved lose more than twice the sum of their single losses.",
    together > 2 * alone,
)

# %% [markdown]
# This shows two things. *Where* you cut matters: for the same work, cutting the sensitive layer loses more than twice as much.
# (A uniform width does well here, too: it takes a little everywhere, and a little does little harm.) And *losses don't add
# up*: three halved layers lose far more than the sum of their single losses. So such prices are good for a start, and no more.
# A search uses them for exactly that.
#
# ## 4. Gains don't simply multiply
#
# Half of the channels is a gain. ONNX Runtime in int8 instead of eager torch is a gain. Do both together give the product of
# the two? These are only speeds, so nothing needs training. Guess what percentage of the product you get: 100 if the gains
# multiply, less if one gets in the way of the other, more if one makes room for the other.

# %%
predict("int8 and half of the channels: share of the product", unit="%")

# %%
torch.set_num_threads(1)
EAGER, FLOAT, INT8 = "eager float32", "ONNX Runtime float32", "ONNX Runtime int8"
half, _ = candidates.shape(net, example, {"channels": dict.fromkeys(groups, 0.5)})
built = {
    "whole": build_engines(net, task.calibration, (EAGER, INT8))[0],
    "half": build_engines(half, task.calibration, (EAGER, INT8))[0],
}
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
width_alone = gain[f"half {EAGER}"].median

# %% tags=["fold"]
rows = {"half of the channels": gain[f"half {EAGER}"]}
if f"half {INT8}" in gain:
    rows |= {
        "int8 engine": gain[f"whole {INT8}"],
        "product of the two": width_alone * gain[f"whole {INT8}"].median,
        "both, measured": gain[f"half {INT8}"],
    }
colors = {"half of the channels": plots.SKY, "int8 engine": plots.BLUE}
colors |= {"product of the two": plots.REFERENCE, "both, measured": plots.ORANGE}
fig, ax = plots.figure(figsize=(8, 2.4))
plots.bars(ax, rows, {name: colors[name] for name in rows}, reference=1)
ax.set(xlabel="times as fast as eager with all channels, batch 64, one thread")
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
if f"half {INT8}" in gain:
    share_reached = (
        100 * gain[f"half {INT8}"].median / (width_alone * gain[f"whole {INT8}"].median)
    )
    print("half of the channels:", gain[f"half {EAGER}"])
    print("int8:                ", gain[f"whole {INT8}"])
    print("both:                ", gain[f"half {INT8}"])
    reveal(
        "int8 and half of the channels: share of the product",
        round(share_reached),
        because="They would multiply if half of the channels gained as much in one "
        "engine as in the other. The next plot shows what it gains in each part of the "
        "time.",
    )

# %%
claim(
    "Half of the channels alone gain at least a factor of 1.3.",
    width_alone > 1.3,
    timing=True,
)

# %% [markdown]
# What to see: compare the last bar with the grey one, the product.
#
# Where does each engine spend its time, with all channels and with half of them? The next plot was recorded with the profilers
# of both engines (`nnopt record time_by_part`), on a processor with AVX2 and without instructions for sums of 8-bit products.
# Yours may divide its time in another way, and reach another share of the product.

# %%
spent = recorded("time_by_part", live=LIVE)["result"]

# %% tags=["fold"]
fig, ax = plots.figure(figsize=(8, 3.2))
plots.stages(
    ax,
    {
        f"{engine}, {width}": {
            part: 1e3 * seconds for part, seconds in spent[engine][width].items()
        }
        for engine in spent
        for width in spent[engine]
    },
)
ax.set(xlabel="ms per batch of 64, with all channels and with half of them")
plots.legend(fig)
plots.finish(fig)


# %% tags=["fold"]
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


claim(
    "Half of the channels gain 1.9× (eager), 2.1× (ONNX float32) and 1.4× (ONNX int8).",
    [round(narrowed(engine), 1) for engine in (EAGER, FLOAT, INT8)] == [1.9, 2.1, 1.4],
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
    "ONNX float32 pools for less than a tenth; its second convolution gains 2.9×.",
    share(FLOAT, "pooling") < 0.1
    and round(shortened(FLOAT, "second convolution"), 1) == 2.9,
)

# %% [markdown]
# What to see: half of the channels shorten each colour differently. The second convolution has half as many inputs *and*
# outputs, so a quarter of the multiplications. Pooling has half as much to do. And the first convolution reads three colours as
# before. So the gain depends on where the engine spends its time:
#
# - **Eager torch** pools for half of its time, and half of the channels speed that up 1.8 times. In all they gain a factor of
#   1.9.
# - **ONNX Runtime in float32** pools for less than a tenth of its time. Most of the rest is convolution, and the second
#   convolution becomes 2.9 times as fast. In all, half of the channels gain 2.1 times, *more* than in eager torch: both
#   together give more than the product.
# - **In int8**, the first convolution takes more than half of the time, and half of its filters only gain 1.1 times: this
#   kernel takes nearly as long for 8 filters as for 16. In all, half of the channels gain 1.4 times, and both together give
#   *less* than the product.
#
# Whether two gains multiply depends on what each leaves for the other. So you cannot judge one setting while the others are
# fixed, and that is why you need a *search*.
#
# The same holds for accuracy. Take three steps: remove half of the channels, quantise the weights to 3 bits, and distil: train
# the network on the outputs of the original (three epochs on 6,000 pictures). Training that comes after quantisation keeps the
# weights quantised. All three steps are always done, and only the order changes. How many points lie between the best order
# and the worst?

# %%
predict("best order compared with the worst", unit="points")

# %%
orders = recorded("technique_orders", live=LIVE)["result"]
means = {
    order: sum(values) / len(values) for order, values in orders["accuracy"].items()
}

# %% tags=["fold"]
fig, ax = plots.figure(figsize=(8, 3))
sorted_orders = sorted(means, key=means.get, reverse=True)
runs = {order: orders["accuracy"][order] for order in sorted_orders}
plots.seeds(ax, runs, plots.BLUE, reference=orders["before"])
ax.set(xlabel="test accuracy, % (dashed: the original)")
plots.finish(fig)

# %%
reveal(
    "best order compared with the worst",
    round(max(means.values()) - min(means.values()), 1),
    because="If you distil first and cut afterwards, no training repairs the cut.",
)

# %% [markdown]
# What to see: three orders are together near the top, and the other three are far below.
#
# What matters is whether channels are removed *before* distillation. If so, all three orders end between 85.2 and 85.6 %, and
# quantisation hardly matters, whether it comes first, before distillation, or last. If channels are removed after
# distillation, the network loses at least 8 points more, and 21 if its weights had been trained while quantised. So a search
# needs no setting for the order: cut, distil, then quantise and train on.

# %% tags=["fold"]
cut_first = [means[o] for o in means if o.index("channels") < o.index("distil")]
cut_last = [means[o] for o in means if o.index("channels") > o.index("distil")]
claim(
    "With channels removed before distillation, accuracy is 85.2 to 85.6 %.",
    (round(min(cut_first), 1), round(max(cut_first), 1)) == (85.2, 85.6),
)
claim(
    "The best of the other orders is 8 points below.",
    round(min(cut_first) - max(cut_last)) == 8,
)
claim(
    "The worst order is 21 points below.", round(min(cut_first) - min(cut_last)) == 21
)

# %% [markdown]
# ## 5. When to stop a trial
#
# Trials cost training time. Most of it goes into networks that nobody will use, and often you can tell long before the end.
#
# The classic method is **successive halving** ([Jamieson & Talwalkar 2016](https://arxiv.org/abs/1502.07943)). All
# configurations train for one epoch. The better half (rounded up) trains for two more, the better half of these for four more,
# and so on. When one configuration is left, it trains for a last round.
#
# **Exercise (2 points).** What does successive halving cost?


# %% exercise="choosing.halving_epochs"
def halving_epochs(configurations):
    """Number of epochs of successive halving, summed over all configurations.

    configurations: an int, at least 2. The first round is one epoch, and each further
    round is twice as long as the one before. Of n configurations, the better ⌈n/2⌉ go
    on. When one is left, it trains for one more round.
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
fig, ax = plots.figure()
series = {
    "all to the end": to_the_end,
    "successive halving": [halving_epochs(n) for n in counts],
}
plots.curves(ax, counts, series)
ax.set(yscale="log", xlabel="configurations", ylabel="epochs in all")
plots.log_axis(ax.xaxis, counts)
plots.legend(fig)
plots.finish(fig)

# %%
claim(
    "For 64 configurations, successive halving costs 18 times less.",
    round(to_the_end[4] / halving_epochs(64)) == 18,
)

# %% [markdown]
# What to see: the gap between the two lines grows with the number of configurations.
#
# With *two* objectives, halving by accuracy would drop the fast networks, since these are rarely the most accurate. The course's
# search uses a more cautious rule. The cost of a network is nearly known before training, since its shape determines it. Its
# current accuracy is known, and so is how much earlier trials still gained from this epoch on. So there is a *hope*: the current
# accuracy plus the largest gain that any earlier trial made from this epoch to its end. A trial is hopeless if even this hope
#
# - is below the lowest accuracy allowed, or
# - is not above the final accuracy of a finished trial that costs no more.
#
# **Exercise (4 points).** After how many epochs is a trial stopped?


# %% exercise="choosing.epochs_trained"
def epochs_trained(curve, cost, curves, costs, floor):
    """Number of epochs after which the trial is stopped; len(curve) if it never is.

    curve: the trial's accuracy after each epoch; after the last, there is nothing to
    stop.
    cost: its cost. curves, costs: those of the finished trials, with curves as long as
    `curve`. floor: the lowest accuracy allowed.
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
# Try it on random networks that were all trained to the end (three runs of 20 networks, two epochs each; `nnopt record
# autotune_search`). Your rule sees them one by one, and compares each only with earlier ones. It starts when four are finished.
# How much of the training would it have saved?

# %%
predict("epochs saved by stopping trials", unit="%")

# %%
epochs_trained = yours_or_ours("choosing.epochs_trained")
FIRST = 4  # the rule starts when so many trials are finished


def judged(run):
    """(stopped points, epochs trained, epochs without stopping) of a run."""
    floor = run["original"]["accuracy"] - contest["goal"]["max_drop"]
    finished, given_up, trained, whole = [], [], 0, 0
    for point in (Point(**p) for p in run["points"]):
        epochs = len(point.curve)  # none where nothing had to be trained
        if epochs and len(finished) >= FIRST:
            curves = [[p.curve[0], p.accuracy] for p in finished]
            costs = [p.latency for p in finished]
            own = [point.curve[0], point.accuracy]
            epochs = epochs_trained(own, point.latency, curves, costs, floor)
        (given_up if epochs < len(point.curve) else finished if epochs else []).append(
            point
        )
        trained, whole = trained + epochs, whole + len(point.curve)
    return given_up, trained, whole


lost_ones = []
given_up, trained, whole = zip(*(judged(run) for run in contest["random"]), strict=True)
for run, hopeless in zip(contest["random"], given_up, strict=True):
    of, points = Point(**run["original"]), [Point(**p) for p in run["points"]]
    within = [
        p for p in points if of.accuracy - p.accuracy <= contest["goal"]["max_drop"]
    ]
    best = [within[i] for i in pareto_front(*coordinates(within, of))]
    lost_ones.append(sum(p in hopeless for p in best))
    print(f"{len(hopeless)} of {len(points)} stopped, among them")
    print(f"    {lost_ones[-1]} of the {len(best)} on the front within the limit")
reveal(
    "epochs saved by stopping trials",
    round(100 * (1 - sum(trained) / sum(whole))),
    because="With two epochs, a stopped trial saves one. So the most you could save, "
    "after four trials of 20, is 40 %. The rule is cautious for a reason: it must not "
    "stop the best network.",
)

# %%
claim("No trial was stopped that is on the front within the limit.", not any(lost_ones))

# %% [markdown]
# ## 6. How a search decides
#
# The simplest search is **random search**: it draws every configuration at random.

# %% question="choosing.random_trials"
answer = None
### BEGIN SOLUTION
answer = 59
### END SOLUTION
question("choosing.random_trials", answer)

# %% [markdown]
# A better search learns from its trials. A **Gaussian process** predicts a value with its uncertainty for every configuration:
# it is certain close to the configurations tried, and uncertain far from them. The search fits one to accuracy and one to cost.
# From both it computes by how much one more trial is *expected* to increase the hypervolume, and how likely it is to keep the
# limits. The next trial is the one with the highest value ([Daulton et al. 2020](https://arxiv.org/abs/2006.05078)). So the
# search goes where the prediction is good, or where it knows little. The library is optuna. The course adds what surrounds it:
#
# - **the configuration space** (`search_space`): one width for all layers and a factor per layer, ranks, the teacher's share,
#   the engine; for small files also sparsity, bits, and one bit more or less per layer;
# - **the first trials**: what manual tuning would try first, and widths by sensitivity as in section 3;
# - **estimates**: predicted cost (from a cost model, or bits times weights), and your rule from section 5;
# - **the measurement**: accuracy as the engine computes it, time in turns with the original, and bytes of a real file;
# - **the memory**: an SQLite file, if you want one. A stopped search continues from it, and other processes and machines can
#   join.
#
# Let a very short one run: four trials, with 500 pictures to train on and 1,000 to evaluate on. It should make `MyNet`'s file
# small, by pruning and by coding the rest with few bits. The first two trials are the planned ones, and two are random: the
# Gaussian process only proposes from the ninth trial on. (Random trials may lose so much that they fall below the plot.)

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

# %%
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
# What to see: points further left are smaller files, and the dashed line is the limit on accuracy.
#
# The search keeps the trained networks of the front. `found.network(point)` gives you one of them, and `found.export("folder")`
# writes the best one: weights, ONNX, the compressed file, and a report.
#
# ## 7. Search, random search and manual tuning
#
# Is a search worth it? Section 1 showed twelve manually tuned networks. With the same training, the search had 20 trials for the
# same task, and so had random search. Both ran three times, since a single run can be luck. The goal is the fastest network that
# loses at most one point. How many times as fast as the original is the winner of the first search?

# %%
predict("speed-up of the search's winner over eager MyNet", unit="×")

# %%
final, runs = (
    contest["final"],
    {"search": contest["search"], "random": contest["random"]},
)


def areas(run):
    """Share of the rectangle reached after each trial; stopped trials add nothing."""
    points, count = (
        [Point(**p) for p in run["points"]],
        len(run["points"]) + run["stopped"] + len(run["failed"]),
    )
    return [
        reached([p for p in points if p.number < n], Point(**run["original"]))
        for n in range(1, count + 1)
    ]


# %% tags=["fold"]
fig, (left, right) = plots.figure(ncols=2, figsize=(10, 3.6), width_ratios=(1, 1.2))
colors = {"search": plots.BLUE, "random": plots.ORANGE}
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
)
right.set(xlabel="times as fast as eager MyNet, batch 64")
plots.legend(fig)
plots.finish(fig)

# %%
for name, row in final.items():
    size = measure.format_bytes(row["bytes"])
    print(f"{name}: {row['faster'][0]:.2f}×, test accuracy {row['test']} %, {size}")
    for line in row["what"]:
        print("   ", line)
reveal(
    "speed-up of the search's winner over eager MyNet",
    *(round(value, 2) for value in final["search 1"]["faster"]),
    because="ONNX Runtime in float32 gives a factor of 3.3, and narrower layers give "
    "the rest. Manual tuning never tried these two together: it ran the narrow "
    "networks in int8, on the belief that int8 is the fastest.",
)

# %% [markdown]
# What to see: on the left, blue curves (search) rise above the dashed line (manual tuning) at once, and orange ones (random
# search) later or never. On the right, the winners of both are about equally fast.
#
# First, the strength of the search. Each of its three winners is at least 4.1 times as fast as eager `MyNet`. Uniform widths in
# int8 reach 2.8, and the best single technique, another engine, 3.3. The search times the engines before it starts, so its
# second trial already uses the right one, with widths by sensitivity: 3.9 to 4.1 times as fast. And it is steady. Every run is
# ahead of manual tuning from that trial on, and ends at 0.77 to 0.79 of the rectangle.
#
# Second, what is rarely advertised: *random search is a serious competitor*. It needs nine trials or more to get ahead of manual
# tuning, and one run never does. Its runs end at 0.62, 0.72 and 0.78. That is less on average, but three runs each are too few
# to be sure. Its winners are as fast as those of the search, and one of them is the very network that the first search found.
# With few trials, a good start counts most, and chance may find what a model finds
# ([Bergstra & Bengio 2012](https://www.jmlr.org/papers/v13/bergstra12a.html);
# [Li & Talwalkar 2019](https://arxiv.org/abs/1902.07638) saw the same for whole architectures). Never trust a search that was
# not compared with random search, with the same number of trials and more than once.
#
# Third, look at what the first search did: it *halved the first layer*, the most sensitive one of section 3. It was sensitive
# without training. But it also saves the most, and distillation repaired the loss. Prices from before training are a good
# start. Had the search believed in them, it would not have found this network.
#
# Finally, the limit. On the validation pictures, which chose them, no winner lost more than a point. On the test pictures, one
# lost 1.4 points (95 % interval 0.9 to 1.8).

# %% tags=["fold"]
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
    "The search's winners are at least 4.1 times as fast, manual ones 2.8 and 3.3 "
    "times.",
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
    "Random search is behind manual tuning for eight trials, and one run to its end.",
    max(area[7] for area in after["random"]) < manual_area
    and min(area[-1] for area in after["random"]) < manual_area,
)
claim(
    "The search's second trials are 3.9 to 4.1 times as fast.",
    (round(early[0], 1), round(early[-1], 1)) == (3.9, 4.1),
)
claim(
    "Random search also found the first search's winner.",
    final["search 1"]["what"] in [final[n]["what"] for n in at_random],
)
claim(
    "That winner keeps half of the first layer.",
    any("features.0 50 %" in line for line in final["search 1"]["what"]),
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
# Nothing in the search is specific to `MyNet`. Here it runs on torchvision's resnet18, trained on 4,000 pictures of clothes to an
# accuracy of about 86 %: the same comparison with one run each, of 12 trials (`nnopt record autotune_resnet`). This residual
# network has twelve groups of channels that can be narrowed, while `MyNet` has three. If it may lose one point, how many times
# as fast is the search's winner?

# %%
predict("speed-up of the search's winner over eager resnet18", unit="×")

# %%
resnet = recorded("autotune_resnet", live=LIVE)["result"]
manual_run = {"points": resnet["manual"].values(), "original": resnet["original"]}
runs_of_it = {
    "search": (resnet["search"][0], plots.BLUE),
    "random": (resnet["random"][0], plots.ORANGE),
    "manual": (manual_run, plots.GREEN),
}

# %% tags=["fold"]
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
plots.finish(fig)

# %%
for name, row in resnet["final"].items():
    middle, low, high = row["faster"]
    faster = f"{middle:.2f} ({low:.2f} to {high:.2f})"
    print(f"{name}: {faster} times as fast, test accuracy {row['test']} %")
reveal(
    "speed-up of the search's winner over eager resnet18",
    *(round(value, 2) for value in resnet["final"]["search 1"]["faster"]),
    because="The winner keeps three quarters of all channels and runs in ONNX Runtime "
    "in float32. By themselves these give 1.6 and 2.0 times: here the gains do "
    "multiply, and a little more.",
)

# %% [markdown]
# What to see: points above the dashed line keep the limit, and of these the one furthest to the right wins.
#
# The winner is 3.5 times as fast; uniform widths in int8 reach 2.4, and the best single technique 2.0. (On the processor of the
# recording, int8 is slower than float32 in this engine.) But look where the winner comes from: it is one of the six planned
# trials at the start. Manual tuning would have found it without any search, had it tried narrow layers in *float32*. Of the six
# trials after the start, five were stopped early, and the sixth is dominated by a planned one. Twelve trials are few for so many
# settings.
#
# Random search does worse: none of its twelve networks keeps the limit. For `MyNet`, 12 of 60 did. At that rate, none of twelve
# has a probability of 7 %, so bad luck may be part of it. Either way, the fewer the trials, the more a good start is worth.

# %% tags=["fold"]
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
    "The winner is 3.5 times as fast, manual ones 2.4 and 2.0 times.",
    [of_resnet[n] for n in manual_names] == [3.5, 2.4, 2.0],
)
claim(
    "The winner is one of the six planned trials.",
    min(kept, key=lambda p: p["latency"])["number"] < 6,
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
    "At a rate of 12 in 60, none of twelve has a probability of 7 %.",
    round((1 - 12 / 60) ** 12, 2) == 0.07,
)

# %% [markdown]
# ## 9. Playground
#
# Go through the first search of section 7, trial by trial. How many trials would have been enough? What would you get if you
# allowed a larger loss, or none at all?

# %%
first = contest["search"][0]
front_playground(
    [Point(**point) for point in first["points"]], Point(**first["original"])
)

# %% [markdown]
# ## Summary
#
# You don't need a notebook for any of this. For a classifier of your own, write a script with two functions, one that returns the
# trained network and one that returns (train, validation), and run:
#
#     nnopt optimize script.py:build --data script.py:load --target latency --max-drop 1.0 --storage search.db
#
# The results of section 7 in one table:

# %%
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
for name, of in made.items():
    for run in of:
        points, base = [Point(**p) for p in run["points"]], Point(**run["original"])
        fastest = max(
            base.latency / p.latency
            for p in points
            if base.accuracy - p.accuracy <= 1.0
        )
        trials = len(points) + run["stopped"]
        count = f"{trials:3} trials, {run['stopped']} stopped early"
        share_of = f"{reached(points, base):.2f} of the rectangle"
        print(f"{name:8} {count}, {share_of}, fastest within the limit {fastest:.2f}×")

# %% [markdown]
# You can now set up a search over several techniques, judge it against random search and manual tuning, and report its winner
# honestly.
#
# - **Two objectives** give a front instead of a winner. A limit on one of them gives a winner again.
# - **Sensitivity** is cheap to measure, and shows where to cut.
# - **Gains need not multiply**: what one leaves decides what the other gains. Order matters, too: cut before you distil.
# - **Stop trials early**, but by a rule that takes both objectives into account.
# - **A search** starts with what manual tuning would try, and goes on when a person gets tired. Compare it with random search.
# - **The winner looks better than it is**: judge it on pictures that played no part in choosing it.
#
# **In practice.** Toolchains for phones and microcontrollers use such searches
# ([AMC, He et al. 2018](https://arxiv.org/abs/1802.03494); [HAQ, Wang et al. 2019](https://arxiv.org/abs/1811.08886)), with
# latency from a table or from the device itself. If one network must suit many devices, you train one large network from which
# you can cut smaller ones ([Once-for-all, Cai et al. 2020](https://arxiv.org/abs/1908.09791)).
#
# **Further reading.**
# [Bergstra & Bengio, *Random search for hyper-parameter optimization* (2012)](https://www.jmlr.org/papers/v13/bergstra12a.html) ·
# [Daulton et al., *Differentiable expected hypervolume improvement* (2020)](https://arxiv.org/abs/2006.05078) ·
# [Li et al., *Hyperband* (2017)](https://arxiv.org/abs/1603.06560) ·
# [Zitzler & Thiele, *Multiobjective optimization using evolutionary algorithms* (1998)](https://doi.org/10.1007/BFb0056872) ·
# [Shahriari et al., *Taking the human out of the loop: a review of Bayesian optimization* (2016)](https://doi.org/10.1109/JPROC.2015.2494218).
#
# **Next:** [15 Capstone](15_capstone.ipynb), where you combine everything in one file.
#
# Here are all your guesses so far, compared with what your machine measured:

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
