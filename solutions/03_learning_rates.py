# %% [markdown]
# # Learning rates: how far to step
#
# No other number decides as much about a training run as the learning rate. In this lesson you will
#
# - see why the rate should be high at first and low at the end, and write the schedules that do this;
# - meet Pegasos, a schedule with a proof for linear classifiers that makes a network diverge at its first step;
# - find a first rate in a hundred steps with a range test, and measure which rules of thumb hold;
# - compare thirteen schedules in a third of the baseline's epochs, and reach the baseline's accuracy in that third.
#
# The lesson takes about an hour and stands alone: you only need Python and the basics of PyTorch. *The article* is the
# Chinese tutorial that this course grew out of.
#
# - **Rate** always means learning rate.
# - A **schedule** changes the rate during training, and its **peak** is the highest rate it uses.
# - A **point** is a percentage point of accuracy.

# %% tags=["fold", "side-by-side"]
# Imports: where the names of this lesson come from
import copy
import math
from itertools import pairwise

import torch
from torch import nn
from torch.optim import lr_scheduler

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.learning_rates import experiments, svm
from nnopt_lab.lessons.learning_rates.playground import (
    learning_rate_playground,
    noisy_descent,
)
from nnopt_lab.lessons.learning_rates.valley import valley_animation
from nnopt_lab.techniques.training import linear_svm, lr_range_test, schedules
from nnopt_lab.workbench import data, measure, models, plots, training
from nnopt_lab.workbench.tables import Table

# %% tags=["nbval-ignore-output"]
lesson("03_learning_rates")
# True makes the recorded experiments again on your machine: 10 to 15 minutes each.
LIVE = False
pictures = data.load("fashion")
baseline = training.evaluate(models.trained("mynet"), pictures.test, pictures)
print(f"baseline: {baseline.accuracy:.2f} % of the test pictures")
measure.layer_table(models.MyNet(), pictures.to_input(pictures.test.images[:1]))

# %% [markdown]
# The pictures are Fashion-MNIST, photographs of clothes in ten classes. `MyNet` is the article's network. The baseline
# is a `MyNet` trained by the article's recipe: stochastic gradient descent (SGD) with momentum 0.9, batches of 64
# pictures, and a constant rate of 0.01 for 8 epochs. (*Momentum* steps along a decaying sum of the past gradients.)

# %%
# Claims: the article's accuracy
claim(
    "The article's recipe reaches 88 to 90 % on the test pictures.",
    88 < baseline.accuracy < 90,
)

# %% [markdown]
# ## 1. Why not simply a small rate? Why not simply a large one?
#
# A step goes against the gradient $g$, and the rate $\eta$ says how far: $w \leftarrow w - \eta\, g$. Take a simple
# problem that shows all the difficulties: a valley $\tfrac12(x^2 + 20\,y^2)$, which curves 20 times as much across as
# along. Random noise is added to its gradient, because the gradient of a batch is a noisy estimate, too. In a direction
# of curvature $c$, a step without noise multiplies the distance to the bottom by $1 - \eta c$. So
#
# - if $\eta c$ is small, it takes about $1/(\eta c)$ steps to get anywhere;
# - if $\eta c > 2$, each step ends further from the bottom than it began, and the loss explodes: here above a rate of
#   $2/20 = 0.1$;
# - each step adds new noise, so the weights never come to rest. They shake around the bottom, and the loss stays above
#   its minimum by an amount that grows with $\eta$.
#
# `noisy_descent(schedule, peak, steps)` descends 200 times from the point (5, 5). It returns the rates and, for each
# step, the mean loss before it.

# %% tags=["fold"]
# Plot: loss and paths at constant rates
fig, ax = plots.figure()
for rate, color in zip((0.005, 0.02, 0.08, 0.12), plots.PALETTE, strict=False):
    ax.plot(noisy_descent("constant", rate, 300)[1], color=color, label=f"rate {rate}")
ax.set(
    xlabel="optimizer step",
    ylabel="mean loss of 200 descents",
    yscale="log",
    ylim=(5e-3, 1e4),
    title="constant rates",
)
plots.name_lines(ax)
plots.finish(
    fig,
    "Loss over steps: the largest rate explodes, 0.08 falls fast to a high floor, "
    "0.02 reaches a lower one later, 0.005 still falls.",
)

# %% [markdown]
# What to see: with a rate of 0.12 the loss explodes at once (the plot is cut off at 10⁴). With 0.08 it falls quickly
# but stays on a high floor, with 0.02 it reaches a lower floor later, and with 0.005 it is still falling. Given enough
# time, twice the rate leaves about twice the loss:


# %%
def final_loss(schedule, peak, steps=300):
    """Mean of the last 15 losses."""
    return noisy_descent(schedule, peak, steps)[1][-15:].mean().item()


# %% tags=["fold"]
# Table: loss after 3,000 steps at three constant rates
Table(
    [[r, f"{final_loss('constant', r, 3000):.4f}"] for r in (0.01, 0.02, 0.04)],
    ["constant rate", "loss after 3,000 steps"],
)

# %% [markdown]
# Large steps travel, small steps settle. That is the whole reason for a schedule: *travel first, settle at the end*.

# %% tags=["fold"]
# Animation: a schedule drives a point down a valley
valley_animation()

# %% [markdown]
# What to see: one descent each, with more noise than above. Both points travel equally fast at first. The orange one,
# with a constant rate, never comes to rest; the blue one settles as its rate (the bar at the right) falls.
#
# A *cosine* schedule lowers the rate smoothly from its peak to 0 (section 2 has the formula). Let both a constant rate
# and a cosine start at 0.04 and take 300 steps. How many times as high is the final loss of the constant rate?

# %%
predict("final loss of a constant rate ÷ final loss of a cosine", unit="×")

# %%
times = final_loss("constant", 0.04) / final_loss("cosine", 0.04)

# %%
# Answer: final loss of a constant rate ÷ final loss of a cosine
reveal(
    "final loss of a constant rate ÷ final loss of a cosine",
    times,
    because="Both are near the bottom by the middle of the run. From then on, each "
    "step of the constant rate adds as much noise as it removes. The steps of the "
    "cosine add less and less, so its loss keeps falling.",
)

# %% tags=["fold"]
# Claims: constant rates and the cosine
floors = {rate: final_loss("constant", rate, 3000) for rate in (0.01, 0.02, 0.04)}
claim(
    "The constant rate leaves more than five times the loss of the cosine.", times > 5
)
claim(
    "A rate of 0.12 explodes, and a rate of 0.08 does not.",
    final_loss("constant", 0.12) > 1000 and final_loss("constant", 0.08) < 1,
)
claim(
    "Given time, twice the rate leaves about twice the loss.",
    all(1.6 < floors[2 * rate] / floors[rate] < 2.8 for rate in (0.01, 0.02)),
)
claim(
    "With a rate of 0.005, the loss after 300 steps is more than ten times the loss "
    "after 3,000.",
    final_loss("constant", 0.005) > 10 * final_loss("constant", 0.005, 3000),
)

# %% [markdown]
# ## 2. Schedules that follow the clock
#
# The article names *exponential decay* and "红色衰减", *red decay*. Nobody else calls a schedule that. We don't know what
# its author meant, but there are two likely readings: a garbled 余弦衰减, *cosine decay*, or "Red…", the beginning of
# `ReduceLROnPlateau`. Both are in this lesson.
#
# PyTorch has nearly all schedules in use, and they add two lines to a training loop:
#
# ```python
# optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
# scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
# for inputs, labels in loader:
#     …
#     optimizer.step()
#     # after the optimizer's step; once per batch, because `steps` counts batches
#     scheduler.step()
# ```
#
# The course's library adds Pegasos (section 5), which PyTorch lacks, and keeps all schedules in a table,
# `schedules.SCHEDULES`. Here are the rates of each over a hundred steps. The plateau schedule looks at losses, so it
# gets some:

# %% tags=["fold"]
# Plot: thirteen schedules
steps = 100
# These fall steadily, except for jumps at steps 35, 60 and 80.
losses = [3 - t / steps + (t in (35, 60, 80)) for t in range(steps)]
cyclic = ("triangular", "triangular2", "exp_range")  # modes of PyTorch's CyclicLR
fig, axes = plots.figure(ncols=5, nrows=3, height=5.4, sharex=True, sharey=True)
for ax, (name, make) in zip(axes.flat, schedules.SCHEDULES.items(), strict=False):
    ax.plot(schedules.rates(make(steps), steps, losses=losses), color=plots.BLUE)
    ax.set_title(f"cyclic: {name}" if name in cyclic else name, fontsize=10)
for ax in axes.flat[len(schedules.SCHEDULES) :]:
    ax.axis("off")
fig.supxlabel("optimizer step", fontsize=10)
fig.supylabel("rate, as a share of the peak", fontsize=10)
plots.finish(
    fig,
    "Thirteen small plots, the rate over the steps of each schedule: most fall, four "
    "come back up, two begin near 0.",
)

# %% [markdown]
# What to see: most schedules only go down. Warm restarts and the three cyclical schedules (triangular, triangular2,
# exp_range) come back up; warm-up and one-cycle begin near 0.
#
# - **exponential** multiplies the rate by $\gamma$ at every step. **step** multiplies it by 0.1 after each third of the
#   steps. **polynomial** follows a power of the share of steps left; the first power, used here, is a straight line
#   down to 0.
# - **cosine**: $\eta_t = \tfrac{\eta_\text{max}}2\left(1 + \cos\frac{\pi t}{T}\right)$ at step $t$ of $T$. It stays
#   high for a long time, then low for a long time. **warm restarts** start a new cosine each time the last one ends,
#   twice as long as the one before ([Loshchilov & Hutter 2017](https://arxiv.org/abs/1608.03983)).
# - **warm-up**: the first gradients of a network can be large, and their direction changes fast. So the rate first
#   rises to its peak ([Goyal et al. 2017](https://arxiv.org/abs/1706.02677)). You can put a warm-up before any other
#   schedule; PyTorch does this with `SequentialLR`.
#
# The others follow in sections 3 to 5.
#
# **Exercise (2 points).** Implement the cosine schedule with the formula above: the rate at a step, for any peak.


# %% exercise="rates.cosine_rate"
def cosine_rate(step, steps, peak):
    """The rate at `step` of a cosine that falls from `peak` to 0.

    step: int from 0 to `steps`, steps: int, peak: float → float.

    >>> [cosine_rate(step, 4, peak=3.0) for step in (0, 2, 4)]
    [3.0, 1.5, 0.0]
    """
    ### BEGIN SOLUTION
    return peak / 2 * (1 + math.cos(math.pi * step / steps))
    ### END SOLUTION


# %%
check("rates.cosine_rate", cosine_rate)

# %%
cosine_rate = yours_or_ours("rates.cosine_rate")
theirs = schedules.rates(
    lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=50), 50, peak=0.1
)

# %%
# Claims: the cosine compared with PyTorch's
claim(
    "The function gives the rates of PyTorch's CosineAnnealingLR.",
    all(
        math.isclose(cosine_rate(t, 50, 0.1), rate, abs_tol=1e-9)
        for t, rate in enumerate(theirs)
    ),
)

# %% question="rates.gamma"
answer = None
### BEGIN SOLUTION
answer = 0.955
### END SOLUTION
question("rates.gamma", answer)

# %% [markdown]
# ## 3. A schedule that looks
#
# `ReduceLROnPlateau` does not follow the clock. It looks at the validation loss, the loss on pictures that are not
# trained on. After more than `patience` epochs in a row without a new best loss, it multiplies the rate by `factor` and
# counts from 0 again; the best loss is kept. You need not know in advance how long you will train. But such a schedule
# is late by design, because it must see the plateau first.
#
# **Exercise (4 points).** Compute the rate after each epoch from the validation losses of the epochs.


# %% exercise="rates.plateau_rates"
def plateau_rates(losses, rate, patience, factor):
    """The rate after each epoch: a list of floats, as long as `losses`.

    losses: list of floats, rate: the first rate, patience: int, factor: float below 1.

    >>> plateau_rates([3.0, 2.0, 2.0, 2.0, 2.0], rate=1.0, patience=1, factor=0.5)
    [1.0, 1.0, 1.0, 0.5, 0.5]
    """
    ### BEGIN SOLUTION
    best, bad, rates = math.inf, 0, []
    for loss in losses:
        bad = 0 if loss < best else bad + 1
        best = min(best, loss)
        if bad > patience:
            rate, bad = rate * factor, 0
        rates.append(rate)
    return rates
    ### END SOLUTION


# %%
check("rates.plateau_rates", plateau_rates)

# %%
plateau_rates = yours_or_ours("rates.plateau_rates")
seen = [2.0, 1.5, 1.3, 1.4, 1.35, 1.31, 1.2, 1.25, 1.22, 1.21, 1.2, 1.19]
rates_seen = plateau_rates(seen, rate=1.0, patience=2, factor=0.3)

# %% tags=["fold"]
# Plot: the rate falls when the loss stays level
fig, (top, bottom) = plots.figure(nrows=2, sharex=True, height=4)
top.plot(seen, "o-", color=plots.REFERENCE)
top.set(ylabel="validation loss", title="patience 2, factor 0.3")
bottom.step(range(len(seen)), rates_seen, where="mid", color=plots.BLUE)
bottom.set(xlabel="epoch", ylabel="rate", ylim=(0, 1.1))
plots.finish(
    fig,
    "The loss falls and then stays level; the rate drops twice, after epochs 4 and 8.",
)

# %% [markdown]
# What to see: the losses of epochs 3, 4 and 5 are not below the best one, that of epoch 2. With a patience of 2, the
# third of these epochs lowers the rate. Epochs 7 to 9 lower it again.

# %%
# Claims: patience
claim(
    "The third epoch in a row without progress lowers the rate.",
    plateau_rates(seen, 1.0, 2, 0.3)[4:6] == [1.0, 0.3],
)

# %% [markdown]
# ## 4. Up and down: cycles
#
# [Smith (2017)](https://arxiv.org/abs/1506.01186) lets the rate *rise* again, in triangles between two bounds. Then you
# need not know the best rate, only a range that contains it. `triangular2` halves the height with each cycle, and
# `exp_range` multiplies it by $\gamma$ at each step. These are the article's "Cyclic Learning Rates", in PyTorch
# `CyclicLR`.
#
# **Exercise (3 points).** Implement the triangle: a rate that rises and falls again, cycle after cycle, and never
# leaves its two bounds.


# %% exercise="rates.triangular_rate"
def triangular_rate(step, half_cycle, low, high):
    """The rate at `step`: from `low` up to `high` in `half_cycle` steps, down again in
    equally many, and so on.

    step: int from 0, half_cycle: int, low, high: floats → float.

    >>> [triangular_rate(step, 2, low=1.0, high=3.0) for step in range(6)]
    [1.0, 2.0, 3.0, 2.0, 1.0, 2.0]
    """
    ### BEGIN SOLUTION
    within = step % (2 * half_cycle)
    return low + (high - low) * min(within, 2 * half_cycle - within) / half_cycle
    ### END SOLUTION


# %%
check("rates.triangular_rate", triangular_rate)

# %%
triangular_rate = yours_or_ours("rates.triangular_rate")
theirs = schedules.rates(
    lambda o: lr_scheduler.CyclicLR(o, 0.1, 0.4, step_size_up=8, cycle_momentum=False),
    50,
)

# %% [markdown]
# **One cycle** ([Smith & Topin 2018](https://arxiv.org/abs/1708.07120)) is a single triangle for the whole training.
# Its peak is higher than you would dare with a constant rate, and it ends far below its start. Momentum goes down while
# the rate goes up, and back. Both lengthen the steps, so they take turns. PyTorch's `OneCycleLR` rounds the triangle
# with cosines.

# %%
weight = nn.Parameter(torch.zeros(1))
optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
scheduler = schedules.SCHEDULES["one-cycle"](steps)(optimizer)
rates, momenta = [], []
for _ in range(steps):
    rates.append(optimizer.param_groups[0]["lr"])
    momenta.append(optimizer.param_groups[0]["momentum"])
    optimizer.step()
    scheduler.step()

# %% tags=["fold"]
# Plot: rate and momentum over one cycle
fig, (left, right) = plots.figure(ncols=2)
left.plot(rates, color=plots.BLUE)
left.set(xlabel="optimizer step", ylabel="rate", title="one cycle, peak 0.1")
right.plot(momenta, color=plots.ORANGE)
right.set(
    xlabel="optimizer step", ylabel="momentum", title="the same cycle", ylim=(0.8, 1)
)
plots.finish(
    fig,
    "The rate rises for 30 steps and falls to almost 0; momentum mirrors it.",
)

# %% [markdown]
# What to see: on the left, the rate rises for 30 of the 100 steps, then falls to almost 0. On the right, momentum
# mirrors it.

# %%
# Claims: triangles and one cycle
claim(
    "The triangle gives the rates of PyTorch's CyclicLR in its mode 'triangular'.",
    all(
        math.isclose(triangular_rate(t, 8, 0.1, 0.4), rate, abs_tol=1e-9)
        for t, rate in enumerate(theirs)
    ),
)
claim(
    "One cycle starts at a 25th of its peak and ends at less than a thousandth of "
    "that.",
    math.isclose(rates[0], 0.1 / 25) and rates[-1] < rates[0] / 1000,
)
claim(
    "Momentum is lowest, 0.85, where the rate is highest.",
    momenta[rates.index(max(rates))] < 0.8501,
)

# %% [markdown]
# ## 5. Pegasos: a rate with a proof
#
# The article's other schedule, "Pegasus", is *Pegasos*
# ([Shalev-Shwartz, Singer & Srebro 2007](https://doi.org/10.1145/1273496.1273598)). It trains linear *support vector
# machines* (SVMs). These classify an example $x$ by the sign of $w\cdot x$. With $y = \pm1$ for the two classes, the
# *margin* $y\, w\cdot x$ is positive if the sign is right, and an SVM wants it to be at least 1. Its objective is
#
# $$f(w) = \frac\lambda2\lVert w\rVert^2 + \frac1n\sum_i \max(0,\; 1 - y_i\, w\cdot x_i),$$
#
# a penalty for large weights plus the *hinge loss*, which is 0 where the margin is at least 1. Pegasos steps against
# the gradient of a batch with the rate $\eta_t = 1/(\lambda t)$, $t = 1, 2, \dots$ So once $\lambda$ is given, there
# is no rate to choose.
#
# Why this rate? Because of the penalty, $f$ is *$\lambda$-strongly convex*: it curves by at least $\lambda$ in every
# direction. In each step, the examples of the batch with a margin below 1 push the weights by $y\,x$. With this rate,
# the weights after $t$ steps are simply the mean of the $t$ pushes (each a mean over its batch), divided by $\lambda$.
# The first push counts as much as the last, so the noise averages out. The journal version of the paper
# ([2011](https://doi.org/10.1007/s10107-010-0420-4)) proves that the gap between objective and optimum, averaged over
# the steps, shrinks like $\log t/t$.
#
# **Exercise (4 points).** Implement one step of Pegasos: compute the weights after the step from the weights before it
# and a batch. (The gradient of $\max(0, 1 - y\,w\cdot x)$ is $-y\,x$ if the margin is below 1, and 0 otherwise.)


# %% exercise="rates.pegasos_step"
def pegasos_step(weight, x, y, regularization, t):
    """The weights after step t = 1, 2, …: a float tensor [D].

    weight: float [D], x: float [B, D], y: float [B] of 1 and −1, regularization: λ.

    >>> weight, y = torch.tensor([2.0, 0.0]), torch.tensor([1.0, 1.0])
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 4.0]])
    >>> pegasos_step(weight, x, y, regularization=0.5, t=2)
    tensor([1., 2.])
    """
    ### BEGIN SOLUTION
    rate = 1 / (regularization * t)
    wrong = (y * (x @ weight) < 1).float()
    return (1 - rate * regularization) * weight + rate * ((wrong * y) @ x) / len(y)
    ### END SOLUTION


# %%
check("rates.pegasos_step", pegasos_step)

# %% [markdown]
# Now classify pullovers against coats: a thousand pictures, $\lambda = 0.001$. `svm.optimum` solves the same problem in
# a different way and returns the optimum together with a lower bound for it. Bound and optimum meet, so you can look at
# the *gap*: how far each way of choosing the rate still is above the optimum.

# %% tags=["nbval-ignore-output"]
pegasos_step = yours_or_ours("rates.pegasos_step")
LAMBDA = 1e-3
x, y = svm.two_classes(pictures.train, 2, 4, 1000)
_, optimum, bound = svm.optimum(x, y, LAMBDA)
print(f"optimum {optimum:.5f}, lower bound {bound:.5f}")

# %% [markdown]
# The library uses PyTorch's parts: `SGD(…, weight_decay=λ)`, whose weight decay *is* the gradient of the penalty, and
# `schedules.Pegasos`, an `LRScheduler` like PyTorch's own. So you can put any other schedule in its place. The next
# cell also tries three constant rates. How many times as large as the gap of Pegasos is the gap of the best of them?

# %%
predict("gap of the best constant rate ÷ gap of Pegasos", unit="×")

# %%
ways = {
    "Pegasos, 1/(λt)": {},
    "λ ten times too large": {"schedule": lambda o: schedules.Pegasos(o, 10 * LAMBDA)},
    "λ ten times too small": {"schedule": lambda o: schedules.Pegasos(o, LAMBDA / 10)},
    "constant 1": {"schedule": schedules.SCHEDULES["constant"](1), "rate": 1.0},
    "constant 0.3": {"schedule": schedules.SCHEDULES["constant"](1), "rate": 0.3},
    "constant 0.1": {"schedule": schedules.SCHEDULES["constant"](1), "rate": 0.1},
}

# %% tags=["fold"]
# Answer: gap of the best constant rate ÷ gap of Pegasos
gaps = {}
for name, way in ways.items():
    runs = [
        linear_svm.pegasos_svm(x, y, LAMBDA, 4000, batch_size=8, seed=seed, **way)[
            9::10
        ]
        for seed in (0, 1)
    ]
    gaps[name] = (
        linear_svm.svm_objective(torch.stack(runs), x, y, LAMBDA) - optimum
    ).mean(0)
last = {name: gap[-50:].mean().item() for name, gap in gaps.items()}
best_constant = min(last[f"constant {rate}"] for rate in (1, 0.3, 0.1))

reveal(
    "gap of the best constant rate ÷ gap of Pegasos",
    best_constant / last["Pegasos, 1/(λt)"],
    because="A constant rate ends on a floor of noise, or has not arrived yet. 1/(λt) "
    "has no floor. The factor is small, because the best of the three rates happens to "
    "suit this number of steps, but you have to search for that rate.",
)

# %% tags=["fold"]
# Plot: the objective above its optimum
fig, ax = plots.figure()
edges = [*sorted({round(1.3**k) for k in range(2, 23)}), 400]
for (name, gap), color in zip(gaps.items(), plots.PALETTE, strict=False):
    means = [gap[low:high].mean() for low, high in pairwise(edges)]
    ax.plot([10 * high for high in edges[1:]], means, color=color, label=name)
ax.set(
    xscale="log",
    yscale="log",
    xlabel="optimizer step",
    ylabel="objective above the optimum",
    title="linear SVM, batch 8",
)
plots.legend(fig)
ends = sorted(gaps, key=lambda name: gaps[name][-10:].mean())
plots.finish(
    fig,
    f"Above the optimum, “{ends[0]}” ends lowest, followed by “{ends[1]}”; "
    f"“{ends[-1]}” ends highest.",
    trained="y",
)

# %% [markdown] tags=["tells"]
# What to see: at the end, the solid blue line (Pegasos) is the lowest. A $\lambda$ that is ten times too large (orange)
# flattens out, and one that is ten times too small (green) starts far too high.
#
# So the rate has to fit the curvature. With too large a $\lambda$, the steps become small before the weights have
# arrived. With too small a $\lambda$, thousands of steps are far too large.

# %% tags=["fold"]
# Claims: Pegasos compared with constant rates
batch_of_8 = torch.randint(len(x), (20, 8), generator=torch.Generator().manual_seed(0))
by_hand = torch.zeros(x.shape[1])
for t, chosen in enumerate(batch_of_8, 1):
    by_hand = pegasos_step(by_hand, x[chosen], y[chosen], LAMBDA, t)
library = linear_svm.pegasos_svm(x, y, LAMBDA, 20, batch_size=8)[-1]

claim(
    "Pegasos ends with a smaller gap than all three constant rates.",
    last["Pegasos, 1/(λt)"] < best_constant,
)
claim(
    "With λ ten times too large, the gap is more than twice that of Pegasos.",
    last["λ ten times too large"] > 2 * last["Pegasos, 1/(λt)"],
)
claim(
    "With λ ten times too small, the gap is more than five times that of Pegasos.",
    last["λ ten times too small"] > 5 * last["Pegasos, 1/(λt)"],
)
claim(
    "Twenty steps of the function give the weights of twenty of the library's.",
    torch.allclose(by_hand, library, rtol=1e-3, atol=1e-3),
)
claim("The optimum is known to within 0.0001.", 0 <= optimum - bound < 1e-4)

# %% [markdown]
# ## 6. Pegasos on a network
#
# The loss of a network is not convex, let alone strongly convex, and its weight decay $\lambda$ is no lower bound of
# its curvature. What happens if we use the formula anyway? First, at which rate does it start?

# %% question="rates.raw_pegasos"
answer = None
### BEGIN SOLUTION
answer = 2000
### END SOLUTION
question("rates.raw_pegasos", answer)


# %%
def train_a_little(schedule, rate=0.05, weight_decay=5e-4):
    """Train a MyNet on 6,000 pictures, a third of an epoch."""
    torch.manual_seed(0)
    return training.fit(
        models.MyNet(),
        pictures,
        epochs=1,
        train=pictures.train[:6000],
        optimizer=lambda parameters: torch.optim.SGD(
            parameters, lr=rate, momentum=0.9, weight_decay=weight_decay
        ),
        scheduler=schedule,
    )


# %% tags=["nbval-ignore-output"]
raised = ""
try:
    train_a_little(lambda o: schedules.Pegasos(o, 5e-4))
except ValueError as error:
    raised = str(error)
print(raised)

# %% [markdown]
# The network diverges at once. The usual repair keeps the shape but limits the start:
# $\eta_t = \eta_0/(1 + \lambda\,\eta_0\,t)$, $t = 0, 1, \dots$
# ([Bottou 2012](https://doi.org/10.1007/978-3-642-35289-8_25)). It begins at $\eta_0$ and approaches $1/(\lambda t)$ in
# the end. For a network, $\lambda$ is then only a setting for how fast the rate falls, and the proof no longer applies.
# It is a heuristic like the others.

# %% tags=["nbval-ignore-output"]
# 6,000 pictures are 94 batches.
bounded = train_a_little(schedules.SCHEDULES["Pegasos"](94))
print(f"validation accuracy {bounded.validation_accuracy[-1]:.1f} %")

# %% [markdown]
# A schedule has a state: the number of steps so far. If you resume training, it must go on where it stopped. So save
# the `state_dict` of the scheduler *and* of the optimizer, which contains the current rate. Below, `fresh()` makes an
# optimizer with a new Pegasos schedule, and `some_steps` takes steps of both:


# %% tags=["fold"]
# Numbers: a fresh schedule, and some steps of one
def some_steps(optimizer, scheduler, count):
    for _ in range(count):
        optimizer.step()
        scheduler.step()
    return scheduler.get_last_lr()


def fresh():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    return optimizer, schedules.Pegasos(optimizer, 0.1, bounded=True)


# %%
in_one_go = some_steps(*fresh(), 20)
first_part = fresh()
some_steps(*first_part, 12)
second_part = fresh()
for part, saved in zip(second_part, first_part, strict=True):
    part.load_state_dict(saved.state_dict())
resumed = some_steps(*second_part, 8)
print(f"in one go {in_one_go[0]:.4f}, resumed {resumed[0]:.4f}")

# %%
# Claims: Pegasos on a network
claim(
    "With 1/(λt), the network diverges at a rate of 2000.",
    "at learning rate 2000" in raised,
)
claim(
    "With the limited start, the same third of an epoch ends above 65 %.",
    bounded.validation_accuracy[-1] > 65,
)
claim(
    "Resumed after 12 of 20 steps, the schedule ends at the same rate to the last bit.",
    resumed == in_one_go,
)

# %% [markdown]
# ## 7. A first rate in a hundred steps: the range test
#
# Every schedule leaves one number open: its peak. [Smith (2017)](https://arxiv.org/abs/1506.01186) finds it with a
# *range test*: train for a hundred batches or so while the rate *grows*, and watch the loss. At first nothing happens,
# then the loss falls, then it explodes. (Smith raises the rate linearly; fastai made the sweep exponential.) Single
# batches are noisy, so smooth the losses $l_t$ first, with a running mean:
#
# $$s_t = \beta\, s_{t-1} + (1-\beta)\, l_t,\quad s_0 = 0,\qquad \hat s_t = \frac{s_t}{1-\beta^t}.$$
#
# **Exercise (3 points).** Compute $\hat s_t$, the smoothed loss with the correction on the right. Why is the correction
# needed?


# %% exercise="rates.smoothed"
def smoothed(losses, beta):
    """The corrected running mean after each loss: a list of floats, as long as
    `losses`.

    losses: list of floats, beta: float from 0 to below 1.

    >>> smoothed([3.0, 0.0], beta=0.5)
    [3.0, 1.0]
    """
    ### BEGIN SOLUTION
    state, means = 0.0, []
    for t, loss in enumerate(losses, 1):
        state = beta * state + (1 - beta) * loss
        means.append(state / (1 - beta**t))
    return means
    ### END SOLUTION


# %%
check("rates.smoothed", smoothed)

# %% [markdown]
# **Exercise (3 points).** Where does the loss fall fastest? Here "fast" means per *factor* in the rate: find the most
# negative slope on a logarithmic axis, $\Delta l / \Delta\log\eta$ between neighbouring rates.


# %% exercise="rates.steepest_rate"
def steepest_rate(rates, losses):
    """The rate at the lower end of the steepest fall between neighbours.

    rates: list of rising floats, losses: list of floats, equally long → float.

    >>> steepest_rate([0.01, 0.02, 0.04, 0.08], [4.0, 3.4, 2.5, 2.4])
    0.02
    """
    ### BEGIN SOLUTION
    slopes = [
        (losses[i + 1] - losses[i]) / math.log(rates[i + 1] / rates[i])
        for i in range(len(rates) - 1)
    ]
    return rates[slopes.index(min(slopes))]
    ### END SOLUTION


# %%
check("rates.steepest_rate", steepest_rate)

# %% [markdown]
# fastai offers several suggestions from such a sweep. Two of them are `steep`, the rate at which the smoothed loss
# falls fastest, and `minimum`, a tenth of the rate at which the loss is lowest. The article trains with 0.01. What does
# `steep` suggest for the same network, with batches of 64 and momentum 0.9?

# %%
predict("rate at which the loss of MyNet falls fastest", unit="")

# %% tags=["fold"]
# Numbers: an untrained network, and its state before the test
torch.manual_seed(1)
net = models.MyNet()
before, random_before = copy.deepcopy(net.state_dict()), torch.get_rng_state()

# %%
smoothed = yours_or_ours("rates.smoothed")
steepest_rate = yours_or_ours("rates.steepest_rate")
test = lr_range_test.range_test(net, pictures, optimizer=experiments.sgd(0.01))
curve = smoothed(test.losses, 0.9)
# Only up to the minimum: a loss that has exploded may fall back even faster afterwards.
end = curve.index(min(curve)) + 1
found = steepest_rate(test.rates[:end], curve[:end])

# %% tags=["nbval-ignore-output"]
# Answer: rate at which the loss of MyNet falls fastest
reveal(
    "rate at which the loss of MyNet falls fastest",
    test.steepest,
    test.steepest / 2,
    test.steepest * 2,
    because="The interval is a factor of two in both directions, because another seed "
    "or another sweep moves the suggestion by about as much. It is an order of "
    "magnitude, not a measurement.",
)

# %% tags=["fold"]
# Plot: the range test
fig, ax = plots.figure()
ax.plot(test.rates, test.losses, color=plots.REFERENCE, linewidth=1, label="one batch")
ax.plot(test.rates, curve, color=plots.BLUE, label="smoothed")
ax.axvline(test.steepest, color=plots.ORANGE, linestyle="--", label="steepest fall")
ax.axvline(
    test.tenth_of_minimum,
    color=plots.GREEN,
    linestyle="--",
    label="a tenth of the rate of the lowest loss",
)
ax.set(
    xscale="log",
    xlabel="rate",
    ylabel="loss",
    ylim=(0, 4),
    title="range test of MyNet, untrained",
)
plots.legend(fig)
plots.finish(
    fig,
    "The loss stays level at small rates, falls most steeply at a rate of "
    f"{test.steepest:.2g}, and then explodes.",
    trained="xy",
)

# %% [markdown]
# What to see: up to a rate of about 0.005, nothing happens. Then the loss falls for a moment, and soon after that it
# explodes. Both suggestions (the dashed lines) come before the lowest point of the smoothed loss.

# %%
# Claims: the range test's suggestions
claim("The steepest fall is between 0.01 and 0.1.", 0.01 < test.steepest < 0.1)
claim(
    "The two suggestions differ by more than a factor of three.",
    test.steepest > 3 * test.tenth_of_minimum,
)
claim(
    "The range test leaves the network and PyTorch's random numbers as they were.",
    all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    and torch.equal(random_before, torch.get_rng_state()),
)
claim(
    "The functions find the library's rate.",
    math.isclose(found, test.steepest),
)

# %% [markdown]
# ## 8. "From the model's complexity and the data's size"
#
# This is how the article advises you to choose the first rate, but it does not say how. So we measured it. There are
# thirteen settings, which differ in one thing each: the width of the network, its depth, the number of pictures, or the
# batch size. Each was trained at six constant rates with two seeds, by SGD with momentum 0.9, in most settings on 3,000
# pictures twice over. Then the validation loss was measured. The results are recorded
# (`data/recorded/first_rates.json`; `nnopt record first_rates` makes them again in about ten minutes).

# %%
measured = recorded("first_rates", live=LIVE)["result"]

# %% tags=["fold"]
# Plot: loss over the rate by width, depth, batch and data
rates = measured["rates"]
groups = {}
for setting in measured["settings"]:
    setting["best"] = rates[setting["loss"].index(min(setting["loss"]))]
    groups.setdefault(setting["group"], {})[setting["size"]] = setting

titles = {
    "width": "width: filters, first layer",
    "depth": "depth: convolutions",
    "batch": "batch: pictures per step",
    "data, same steps": "data, same steps: pictures",
    "data, same passes": "data, same passes: pictures",
}
fig, axes = plots.figure(ncols=3, nrows=2, height=6, sharey=True)
axes[1, 1].set_subplotspec(axes[1, 1].get_gridspec()[1, 1:])  # the batch sizes
axes[1, 2].remove()
for ax, (group, settings) in zip(axes.flat, groups.items(), strict=False):
    for (size, setting), color in zip(settings.items(), plots.PALETTE, strict=False):
        ax.plot(
            rates, setting["loss"], "o-", markersize=3.5, color=color, label=f"{size:,}"
        )
        ax.plot(setting["best"], min(setting["loss"]), "o", color=color, markersize=8)
    ax.set(xscale="log", ylim=(0.38, 2.6))
    plots.log_axis(ax.yaxis, [0.5, 1, 2])
    plots.legend(ax, ncols=5, title=titles[group])
fig.supxlabel("rate", fontsize=10)
fig.supylabel("validation loss after training (large dot: the best rate)", fontsize=10)
plots.finish(
    fig,
    "Loss over rate in five panels: the best rates agree across width, depth and data "
    "with equal steps, and move with passes and batch size.",
)

# %% [markdown]
# What to see: in the upper row, the large dots (the best rates) are almost in one column. In the lower row, they move.
# A little to the right of its dot, nearly every curve jumps to 2.3, the loss of guessing.
#
# - **Complexity.** Over a fourfold width and one to three convolutions, the best rates differ by a factor of two at
#   most. That leaves little for a formula to say.
# - **Amount of data.** With the same number of *steps*, 750 and 12,000 pictures have the same best rate. With the same
#   number of *passes* over the data, the best rate falls from 0.08 to 0.02. But then 16 times the pictures also mean 16
#   times the steps, and with more time you can afford shorter ones. The budget counts, not the data.
# - **Batch size.** From 32 to 128, the best rate is proportional to the batch size. This is the *linear rule*
#   ([Goyal et al. 2017](https://arxiv.org/abs/1706.02677)): one step on $k$ times the batch replaces $k$ small steps.
#   The *square-root rule*, which keeps the noise of a step the same, would give a factor of 2 there instead of 4. It
#   suits Adam and similar optimizers better ([Malladi et al. 2022](https://arxiv.org/abs/2205.10287)), which we did not
#   measure. And the linear rule has a limit. For batches of 256 it gives 0.16, where most of these networks diverge,
#   and in the 24 steps of two passes no other rate gets far either.
# - **The range test** finds the best rate to within a factor of three over widths and depths. But it does not see the
#   budget, and it is too short to see the noise of small batches: noise does its harm later. At batch 16 the suggested
#   rate is more than ten times too high.
# - **How exact must the rate be?** In the setting that the groups share (batch 64), half or twice the best rate costs
#   about 5 % of the loss, and a quarter of it costs 18 %. Four times the best rate is as bad as guessing. If in doubt,
#   choose a rate that is a factor of 2 lower.

# %% tags=["fold"]
# Claims: what moves the best rate
best = {
    group: {size: setting["best"] for size, setting in found.items()}
    for group, found in groups.items()
}
common = groups["batch"][64]
claim(
    "Over widths and depths, the best rates differ by a factor of two at most.",
    max([*best["width"].values(), *best["depth"].values()])
    <= 2 * min([*best["width"].values(), *best["depth"].values()]),
)
claim(
    "With the same number of steps, 16 times the data have the same best rate.",
    len(set(best["data, same steps"].values())) == 1,
)
claim(
    "With the same number of passes, the best rate falls from 0.08 to 0.02.",
    [*best["data, same passes"].values()] == [0.08, 0.04, 0.02],
)
claim(
    "The best rate is proportional to the batch size from 32 to 128.",
    all(best["batch"][size] == best["batch"][32] * size / 32 for size in (32, 64, 128)),
)
distinct = {str(setting["loss"]): setting["loss"] for setting in measured["settings"]}
claim(
    "At 0.16, nine of the thirteen settings end as bad as guessing.",
    (len(distinct), sum(loss[4] == experiments.GUESSING for loss in distinct.values()))
    == (13, 9),
)
claim(
    "At batch 256, every rate ends above a loss of 1.5, twice that of batch 128.",
    min(groups["batch"][256]["loss"]) > 1.5,
)
claim(
    "Over widths and depths, the range test is within a factor of three of the best "
    "rate.",
    all(
        1 / 3 < setting["steepest"] / setting["best"] < 3
        for group in ("width", "depth")
        for setting in groups[group].values()
    ),
)
claim(
    "At batch 16, the range test suggests a rate that is more than ten times too high.",
    groups["batch"][16]["steepest"] > 10 * best["batch"][16],
)
near, far = common["loss"][1] / common["loss"][2], common["loss"][3] / common["loss"][2]
claim(
    "Half or twice the best rate costs 4 to 7 % of the loss.",
    1.04 < near < 1.07 and 1.04 < far < 1.07,
)
claim(
    "Four times the best rate is as bad as guessing.",
    common["loss"][4] == experiments.GUESSING,
)
claim(
    "A quarter of the best rate costs 18 % of the loss.",
    round(common["loss"][0] / common["loss"][2], 2) == 1.18,
)

# %% question="rates.how_to_choose"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("rates.how_to_choose", choice)

# %% [markdown]
# ## 9. The race
#
# Now all thirteen schedules get the same budget: the article's network, optimizer and batch size, for *a third* of its
# eight epochs, with three seeds each. A race is fair only if each schedule gets a good peak. So each peak was searched
# in the same way: from 0.05 up and down by factors of 2, for as long as the validation loss after *one* epoch fell,
# with a seed that the race does not use. Each run is validated three times per epoch, and the plateau schedule looks at
# the loss each time. Peaks and race are recorded (`learning_rate_peaks.json` and `learning_rate_race.json` in
# `data/recorded`; `nnopt record` makes them again).

# %%
peaks = recorded("learning_rate_peaks", live=LIVE)["result"]
race = recorded("learning_rate_race", live=LIVE)["result"]

# %% tags=["fold"]
# Plot: accuracy over the epochs of the race
panels = [
    ("exponential", "step", "polynomial"),
    ("cosine", "warm restarts", "warm-up + cosine"),
    ("triangular", "triangular2", "exp_range"),
    ("plateau", "one-cycle", "Pegasos"),
]
winners = "warm-up + cosine", "one-cycle"
fig, axes = plots.figure(ncols=2, nrows=2, height=5.4, sharex=True, sharey=True)
for ax, names in zip(axes.flat, panels, strict=True):
    for name, color in zip(
        ("constant", *names), (plots.REFERENCE, *plots.PALETTE), strict=False
    ):
        runs = torch.tensor(race["schedules"][name]["validation"])
        # Grey, the same in all panels, is in the first one's legend only.
        label = name if name != "constant" or ax is axes[0][0] else None
        width = 3.2 if name in winners else 1.3
        look = {"color": color, "marker": plots.marker_of(color), "linewidth": width}
        ax.plot(race["epochs"], runs.mean(0), **look, markersize=4, label=label)
        if name in ("constant", *winners):
            low, high = runs.amin(0), runs.amax(0)
            ax.fill_between(race["epochs"], low, high, color=color, alpha=0.15, lw=0)
    plots.legend(ax, ncols=4)
axes[0][0].set(xlim=(1, None), ylim=(81, 90), xticks=(1, 1.5, 2, 2.5))
fig.supxlabel("epoch", fontsize=10)
fig.supylabel("validation accuracy, %", fontsize=10)
ends = {
    name: sum(run[-1] for run in runs["validation"]) / len(runs["validation"])
    for name, runs in race["schedules"].items()
}
best, worst = max(ends, key=ends.get), min(ends, key=ends.get)
plots.finish(
    fig,
    f"After {race['epochs'][-1]:.1f} epochs, {best} is most accurate with "
    f"{ends[best]:.1f} %, {worst} least with {ends[worst]:.1f} %; the constant rate "
    f"reaches {ends['constant']:.1f} %.",
)

# %% [markdown]
# What to see: a line is the mean of three seeds. Grey is the constant rate, the same in all panels. It and the two
# winners (thick) have a band from the lowest seed to the highest. Polynomial (upper left), the cosines (upper right)
# and one-cycle (lower right) end above grey. Plateau (lower right) stays far below it.
#
# The next table shows the accuracy on the test pictures at the end. Next to each mean is its difference from the
# constant rate with the same seeds (same first weights, same order of the pictures). Its 95 % interval, the range that
# contains the true difference with 95 % confidence, comes from three pairs (Student's $t$), so it is wide.

# %% tags=["fold"]
# Table: test accuracy and lead of each schedule
constant = torch.tensor(race["schedules"]["constant"]["test"])
final, ahead, rows = {}, {}, []
for name, run in sorted(
    race["schedules"].items(), key=lambda item: -sum(item[1]["test"])
):
    gained = torch.tensor(run["test"]) - constant
    final[name], ahead[name] = (
        torch.tensor(run["test"]).mean().item(),
        gained.mean().item(),
    )
    reach = 4.303 * gained.std().item() / 3**0.5
    low, high = ahead[name] - reach, ahead[name] + reach
    rows.append([name, f"{run['peak']:g}", f"{final[name]:.2f} %", None, None])
    if name != "constant":
        rows[-1][3:] = f"{ahead[name]:+.2f}", f"{low:+.2f} to {high:+.2f}"
article = sum(race["baseline"]) / len(race["baseline"])
rows.append(["article, 8 epochs", "0.01", f"{article:.2f} %", None, None])
heads = ["schedule", "peak", "test accuracy", "ahead of constant", "95 % interval"]
Table(rows, heads, "Mean of three seeds; differences in points")

# %% [markdown]
# Three seeds of one schedule differ by up to 3 points, and every interval but that of plateau includes 0. So a lead of
# less than a point is only a hint.
#
# - **One-cycle and warm-up with cosine** lead, by 0.8 points on average. Only these two are ahead by more than 0.3
#   points with every seed. One-cycle ends within 0.1 points of the article's eight epochs, in a third of them.
# - **Polynomial, cosine and warm restarts** follow, 0.2 to 0.5 points ahead of the constant rate. Their rates all end
#   near 0.
# - **Triangles** differ from the constant rate by too little for three seeds to show. They are meant to save you the
#   search for a rate, not time.
# - **Step, exponential and Pegasos** are *behind* the constant rate. A falling rate is not enough: exponential is down
#   to a tenth of its peak half-way, and has stopped travelling. Their peaks, searched with one epoch, may also be too
#   high for a longer race.
# - **Plateau** is last. It began at twice the winners' peak, and a schedule that looks can only react. After its second
#   and third look (of eight), it was more than 5 points behind the constant rate, and it never caught up.
#
# The best peak of the constant rate was half of the winners' peak: a rate that never falls must be low from the start.

# %% tags=["fold"]
# Claims: the result of the race
gain = {
    name: torch.tensor(run["test"]) - constant
    for name, run in race["schedules"].items()
}
spreads = [max(run["test"]) - min(run["test"]) for run in race["schedules"].values()]
order = sorted(final, key=final.get, reverse=True)
claim(
    "One-cycle and warm-up with cosine lead.",
    order[:2] == ["one-cycle", "warm-up + cosine"],
)
claim(
    "The two leaders are 0.8 points ahead of the constant rate.",
    all(round(ahead[name], 1) == 0.8 for name in order[:2]),
)
sure = {name for name in gain if name != "constant" and gain[name].min() > 0.3}
claim(
    "Only the two leaders are ahead by more than 0.3 points with every seed.",
    sure == set(order[:2]),
)
claim(
    "One-cycle ends within 0.1 points of the article's eight epochs.",
    abs(final["one-cycle"] - article) < 0.1,
)
claim(
    "Polynomial, cosine and warm restarts come next.",
    set(order[2:5]) == {"polynomial", "cosine", "warm restarts"},
)
claim(
    "Polynomial, cosine and warm restarts are 0.2 to 0.5 points ahead.",
    all(0.2 < ahead[name] < 0.5 for name in order[2:5]),
)
claim(
    "The triangles differ from the constant rate by less than 0.4 points.",
    all(abs(ahead[n]) < 0.4 for n in ("triangular", "triangular2", "exp_range")),
)
claim(
    "Step, exponential and Pegasos are behind the constant rate.",
    max(ahead[name] for name in ("step", "exponential", "Pegasos")) < 0,
)
claim(
    "Half-way, the exponential rate is at a tenth of its peak.",
    math.isclose(
        schedules.rates(schedules.SCHEDULES["exponential"](100), 100)[50], 0.1
    ),
)
claim(
    "Three seeds of one schedule differ by up to 3 points.",
    round(max(spreads), 1) == 3.0,
)
claim("Plateau is last.", order[-1] == "plateau")
ends = {
    name: torch.tensor(run["validation"]).mean(0)[-1]
    for name, run in race["schedules"].items()
}
claim(
    "On the validation pictures, polynomial, the cosines and one-cycle end above the "
    "constant rate.",
    min(ends[name] for name in order[:5]) > ends["constant"],
)
reaches = {name: 4.303 * points.std() / 3**0.5 for name, points in gain.items()}
claim(
    "Every interval but that of plateau includes 0.",
    [n for n in gain if abs(ahead[n]) > reaches[n]] == ["plateau"],
)
looks = {
    name: torch.tensor(race["schedules"][name]["validation"]).mean(0)
    for name in ("constant", "plateau")
}
late = looks["constant"] - looks["plateau"]
claim(
    "Plateau is 5 points behind at its second and third look, and never ahead.",
    min(late[1:3]) > 5 and min(late) > 0,
)
peak = {name: run["peak"] for name, run in race["schedules"].items()}
claim(
    "Plateau began at twice the winners' peak.",
    all(peak["plateau"] == 2 * peak[name] for name in order[:2]),
)
claim(
    "The peak of the constant rate is half of the winners' peak.",
    all(2 * peak["constant"] == peak[name] for name in order[:2]),
)
claim(
    "Each schedule runs with the best peak of its search.",
    all(
        min(tried, key=tried.get) == f"{peak[name]:g}" for name, tried in peaks.items()
    ),
)

# %% [markdown]
# ## 10. The baseline in a third of its epochs
#
# One-cycle alone gets back to where the article was. What if everything may change? Of what we tried, one recipe was
# the best: AdamW instead of SGD, batches of 32, and one-cycle with a peak of 0.004.
# ([AdamW](https://arxiv.org/abs/1711.05101) scales each weight's step by the size of its past gradients, and decays the
# weights separately.) Run it on your machine, but guess first what it reaches:

# %%
predict(
    "test accuracy after a third of the article's epochs, by our best recipe", unit="%"
)

# %%
winner, history = experiments.fit_in_parts(
    "one-cycle", experiments.best_recipe, pictures, batch_size=32
)
won = training.evaluate(winner, pictures.test, pictures)
against = measure.proportion_difference(baseline.correct, won.correct)
spread = [won.accuracy + end - against.estimate for end in (against.low, against.high)]

# %% tags=["nbval-ignore-output"]
# Answer: test accuracy after a third of the article's epochs, by our best recipe
reveal(
    "test accuracy after a third of the article's epochs, by our best recipe",
    won.accuracy,
    *spread,
    because="A rate that is high while there is far to travel, and low at the end, "
    "uses every epoch well. The constant 0.01 takes short steps for eight epochs. The "
    "race shows the effect of the schedule alone. The effects of AdamW and of the "
    "smaller batches were not measured separately. Over three seeds, this recipe ends "
    "0.7 points above the article's.",
)

# %% tags=["fold", "nbval-ignore-output"]
# Numbers: the article's recipe compared with ours
print(f"article, 8 epochs: {baseline.accuracy:.2f} %")
print(f"ours, a third of them: {won.accuracy:.2f} %")
print(f"ours ahead by {against} points, on the same pictures")

# %% tags=["fold"]
# Claims: a third of the epochs
claim(
    "In a third of the epochs, the best recipe ends at most half a point below the "
    "article's.",
    won.accuracy > baseline.accuracy - 0.5,
)
lead = (torch.tensor(race["best"]["test"]) - torch.tensor(race["baseline"])).tolist()
claim(
    "Over three seeds, the best recipe is 0.7 points ahead on average, and ahead with "
    "each.",
    round(sum(lead) / 3, 1) == 0.7 and min(lead) > 0,
)
claim(
    "It takes exactly a third of the epochs.",
    race["epochs"][-1] == round(models.ARTICLE_RECIPE["epochs"] / 3, 3),
)

# %% [markdown]
# ## 11. Playground
#
# This is the valley of section 1. Choose a schedule and its peak, and try peaks that are too low or too high, momentum,
# and few steps. The upper plot shows the rates, the lower one the loss. How many steps does it take until a schedule
# helps?

# %%
learning_rate_playground()

# %% [markdown]
# ## Summary
#
# You can now choose a schedule for the number of epochs that you can afford, find its peak in a few minutes, and tell a
# rate that is too high from one that is too low.
#
# - **Travel first, settle at the end.** A high rate covers distance, and a low one averages out the noise. A schedule
#   does both, one after the other.
# - **For a short training**, use one-cycle or warm-up with cosine. They fall slowly and end near 0. A rate that falls
#   too early stops travelling.
# - **"Red decay"** is not a known schedule. It is probably cosine or `ReduceLROnPlateau`, and the latter needs time to
#   react.
# - **Pegasos** is right where its proof holds, for strongly convex objectives. For a network it is one heuristic among
#   many.
# - **The first rate** depends on batch size and budget, and hardly on the size of the network. Find it with a range
#   test and a short search, and take a factor of 2 less if in doubt.
#
# **In practice.** Large networks are usually trained with AdamW, a warm-up, and a cosine or a straight line that ends
# near 0. One-cycle is common for short trainings. If the end is not known in advance, keep a constant rate and add a
# short decay whenever you want a result ("warm-up, stable, decay", [Hu et al. 2024](https://arxiv.org/abs/2404.06395)),
# or replace the schedule by an average of the weights ([Defazio et al. 2024](https://arxiv.org/abs/2405.15682)).
# `torch.optim.lr_scheduler` has the schedules; fastai and Lightning have range tests.
#
# **Further reading.**
# [Smith, *Cyclical learning rates for training neural networks* (2017)](https://arxiv.org/abs/1506.01186) ·
# [Smith & Topin, *Super-convergence* (2018)](https://arxiv.org/abs/1708.07120) ·
# [Loshchilov & Hutter, *SGDR* (2017)](https://arxiv.org/abs/1608.03983) ·
# [Goyal et al., *Accurate, large minibatch SGD* (2017)](https://arxiv.org/abs/1706.02677) ·
# [Shalev-Shwartz et al., *Pegasos*, with proofs (2011)](https://doi.org/10.1007/s10107-010-0420-4) ·
# [Bottou, *Stochastic gradient descent tricks* (2012)](https://doi.org/10.1007/978-3-642-35289-8_25) ·
# [Shallue et al., *Measuring the effects of data parallelism* (2019)](https://arxiv.org/abs/1811.03600).
#
# **Next:** [04 Batch sizes](04_batch_sizes.ipynb) asks how many pictures each step should see.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
