# %% [markdown]
# # Learning rates: how far to step
#
# No other number decides as much about a training as the length of its steps. In this lesson you will
#
# - see why a rate should be high at first and low at the end, and what every schedule of that kind does;
# - meet Pegasos where it is right, on a linear SVM, and where it makes a network diverge at its first step;
# - find a first rate in a hundred steps by a range test, and find out which rules about first rates hold;
# - race thirteen schedules on a third of the baseline's training, and reach the baseline's accuracy in that third.
#
# It takes about an hour. It needs nothing from the lessons before but lesson 00's network and pictures.

# %% tags=["side-by-side"]
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
from nnopt_lab.techniques.training import linear_svm, lr_range_test, schedules
from nnopt_lab.workbench import data, measure, models, plots, training

lesson("03_learning_rates")

# %%
pictures = data.load("fashion")
baseline = training.evaluate(models.trained("mynet"), pictures.test, pictures)
claim(
    "the article's recipe, a constant rate of 0.01 for 8 epochs, reached 88 to 90 %",
    88 < baseline.accuracy < 90,
)

# %% [markdown]
# ## 1. Why not simply a small rate? Why not simply a large one?
#
# A step goes against the gradient $g$, as far as the learning rate $\eta$ says: $w \leftarrow w - \eta\, g$. Take the
# simplest problem that has all the trouble: a valley $\tfrac12(x^2 + 20\,y^2)$, twenty times as steep across as along,
# and a gradient with noise on it, as a batch's gradient has. In a direction of curvature $c$ a step without noise
# multiplies the distance to the bottom by $1 - \eta c$. So
#
# - where $\eta c$ is small, it takes about $1/(\eta c)$ steps to get anywhere;
# - where $\eta c > 2$, each step overshoots by more than it came with, and the loss explodes: here above $2/20 = 0.1$;
# - the noise is stirred in anew with each step, so the weights never come to rest: they shake about the bottom, and
#   the loss stays above the best by an amount that grows with $\eta$.

# %% tags=["fold"]
fig, ax = plots.figure()
for rate, color in zip((0.005, 0.02, 0.08, 0.12), plots.PALETTE, strict=False):
    ax.plot(noisy_descent("constant", rate, 300)[1], color=color, label=f"rate {rate}")
ax.set(
    xlabel="step",
    ylabel="mean loss of 200 descents",
    yscale="log",
    ylim=(5e-3, 1e4),
    title="constant rates",
)
plots.legend(fig)
plots.finish(fig)


# %%
def final_loss(schedule, peak, steps=300):
    return noisy_descent(schedule, peak, steps)[1][-15:].mean().item()


floors = {rate: final_loss("constant", rate, 3000) for rate in (0.01, 0.02, 0.04)}
claim(
    "a rate of 0.12 explodes, as 0.12 · 20 > 2 says",
    final_loss("constant", 0.12) > 1000,
)
claim("a rate of 0.08 does not", final_loss("constant", 0.08) < 1)
claim(
    "0.005 is still on its way after 300 steps, ten times above what it would reach",
    final_loss("constant", 0.005) > 10 * final_loss("constant", 0.005, 3000),
)
claim(
    "given time, twice the rate leaves about twice the loss",
    all(1.6 < floors[2 * rate] / floors[rate] < 2.8 for rate in (0.01, 0.02)),
)

# %% [markdown]
# Large steps travel, small steps settle. That is the whole reason for a schedule: *travel first, settle at the end*.
# In 300 steps, how much better does the same valley end if the rate falls from 0.04 to 0 along a cosine, compared with
# a rate that stays at 0.04?

# %%
predict("loss left by a constant rate, in multiples of what a cosine leaves", unit="×")

# %%
times = final_loss("constant", 0.04) / final_loss("cosine", 0.04)
reveal(
    "loss left by a constant rate, in multiples of what a cosine leaves",
    times,
    because="Both have travelled by the middle of the run. From then on the constant rate stirs as much noise in as it "
    "averages out; the falling one keeps what it has averaged.",
)

# %%
claim("more than five times", times > 5)

# %% [markdown]
# ## 2. Schedules by the clock
#
# The article that this course grew out of names *exponential decay* and "红色衰减", *red decay*. Nobody else calls a
# schedule that. We do not know what its author meant, but there are two likely readings: a garbled 余弦衰减, *cosine
# decay*, or "Red…", the beginning of `ReduceLROnPlateau`. Both are in this lesson.
#
# Nearly all schedules in use are in torch, and a training loop needs one line more:
#
# ```python
# optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
# scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
# for inputs, labels in loader:
#     …
#     optimizer.step()
#     scheduler.step()       # after the optimizer's; once a batch here, because steps counts batches
# ```
#
# The library adds one that torch lacks (section 5) and keeps them all in a table, `schedules.SCHEDULES`. What each does
# with a peak of 1 and a hundred steps:

# %%
steps = 100
losses = [
    3 - t / steps + (t in (35, 60, 80)) for t in range(steps)
]  # for the plateau to look at: it stumbles thrice
# %% tags=["fold"]
fig, axes = plots.figure(ncols=5, nrows=3, figsize=(10, 5.4), sharex=True, sharey=True)
for ax, (name, make) in zip(axes.flat, schedules.SCHEDULES.items(), strict=False):
    ax.plot(schedules.rates(make(steps), steps, losses=losses), color=plots.BLUE)
    ax.set_title(name, fontsize=9)
for ax in axes.flat[len(schedules.SCHEDULES) :]:
    ax.axis("off")
fig.supxlabel("step", fontsize=9)
fig.supylabel("rate, as a share of the peak", fontsize=9)
plots.finish(fig)

# %% [markdown]
# - **exponential**: times $\gamma$ at every step. **step**: times 0.1 every third of the way. **polynomial**: a power
#   of what is left of the way, here the first power, so a straight line to 0.
# - **cosine**: $\eta_t = \tfrac{\eta_\text{max}}2\left(1 + \cos\frac{\pi t}{T}\right)$ at step $t$ of $T$, long high,
#   long low (Loshchilov & Hutter 2017, who also let it *restart*, each time for twice as long).
# - **warm-up**: at the start the network is nowhere, gradients are large and point anywhere; so the rate rises to its
#   peak over the first steps (Goyal et al. 2017). It goes before any other schedule; torch does it with `SequentialLR`.
#
# The others follow in sections 3 to 5.
#
# **Exercise (2 points).** The cosine, by the formula above.


# %% exercise="rates.cosine_rate"
def cosine_rate(step, steps, peak):
    """The rate at `step` (0 … steps) of a cosine that falls from `peak` to 0. All numbers; → float."""
    ### BEGIN SOLUTION
    return peak / 2 * (1 + math.cos(math.pi * step / steps))
    ### END SOLUTION


# %%
check("rates.cosine_rate", cosine_rate)

# %%
cosine_rate = yours_or_ours("rates.cosine_rate")
torchs = schedules.rates(
    lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=50), 50, peak=0.1
)
claim(
    "it is torch's CosineAnnealingLR",
    all(
        math.isclose(cosine_rate(t, 50, 0.1), rate, abs_tol=1e-9)
        for t, rate in enumerate(torchs)
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
# `ReduceLROnPlateau` does not follow the clock but the validation loss: if for more than `patience` epochs in a row it
# was not below its best so far, the rate is multiplied by `factor`. Then the epochs are counted anew, but the best loss
# stays. Such a schedule needs no budget known in advance, and it comes late by nature: it has to see the plateau first.
#
# **Exercise (4 points).** Given the losses of the epochs, the rates after each.


# %% exercise="rates.plateau_rates"
def plateau_rates(losses, rate, patience, factor):
    """The rate after each epoch: a list as long as `losses`. rate, factor: floats; patience: a whole number."""
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
# %% tags=["fold"]
fig, ax = plots.figure()
ax.plot(seen, "o-", color=plots.REFERENCE, label="validation loss")
ax.step(
    range(len(seen)),
    plateau_rates(seen, 1.0, 2, 0.3),
    where="mid",
    color=plots.BLUE,
    label="rate",
)
ax.set(xlabel="epoch", ylim=(0, 2.1), title="patience 2, factor 0.3")
plots.legend(fig)
plots.finish(fig)

# %%
claim(
    "the third epoch in a row without progress lowers the rate",
    plateau_rates(seen, 1.0, 2, 0.3)[4:6] == [1.0, 0.3],
)

# %% [markdown]
# ## 4. Up and down: cycles
#
# Smith (2017) lets the rate *rise* again, in triangles between two bounds, so that one need not know the best rate,
# only a range that holds it. `triangular2` halves the height of each further cycle, `exp_range` lets it shrink by
# $\gamma$ at each step. The article's "Cyclic Learning Rates" are these; torch has them as `CyclicLR`.
#
# **Exercise (3 points).** The triangle.


# %% exercise="rates.triangular_rate"
def triangular_rate(step, half_cycle, low, high):
    """The rate at `step` (0, 1, …): from `low` up to `high` in `half_cycle` steps, down again in as many, and so on."""
    ### BEGIN SOLUTION
    within = step % (2 * half_cycle)
    return low + (high - low) * min(within, 2 * half_cycle - within) / half_cycle
    ### END SOLUTION


# %%
check("rates.triangular_rate", triangular_rate)

# %%
triangular_rate = yours_or_ours("rates.triangular_rate")
torchs = schedules.rates(
    lambda o: lr_scheduler.CyclicLR(o, 0.1, 0.4, step_size_up=8, cycle_momentum=False),
    50,
)
claim(
    "it is torch's CyclicLR in its mode 'triangular'",
    all(
        math.isclose(triangular_rate(t, 8, 0.1, 0.4), rate, abs_tol=1e-9)
        for t, rate in enumerate(torchs)
    ),
)

# %% [markdown]
# **One cycle** (Smith & Topin 2018) is a single triangle for the whole training, with a peak above what one would dare
# with a constant rate, and a last stretch far below where it began. While the rate goes up the momentum goes down, and
# back: both lengthen the steps, so they take turns. torch's `OneCycleLR` rounds the triangle with cosines.

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
fig, (left, right) = plots.figure(ncols=2)
left.plot(rates, color=plots.BLUE)
left.set(xlabel="step", ylabel="rate", title="one cycle, peak 0.1")
right.plot(momenta, color=plots.ORANGE)
right.set(xlabel="step", ylabel="momentum", ylim=(0.8, 1))
plots.finish(fig)

# %%
claim("it starts at a 25th of its peak", math.isclose(rates[0], 0.1 / 25))
claim("and ends more than a thousand times below that", rates[-1] < rates[0] / 1000)
claim(
    "the momentum is lowest, 0.85, where the rate is highest",
    momenta[rates.index(max(rates))] < 0.8501,
)

# %% [markdown]
# ## 5. Pegasos: a rate with a proof
#
# The article's other adjuster, "Pegasus", is *Pegasos* (Shalev-Shwartz, Singer & Srebro 2007), a way to train linear
# support vector machines (SVMs): classifiers that tell two classes apart by the sign of $w\cdot x$, and want it to be
# right by a margin of 1. The objective of an SVM with weights $w$ on examples $x_i$ of class $y_i = \pm1$ is
#
# $$f(w) = \frac\lambda2\lVert w\rVert^2 + \frac1n\sum_i \max(0,\; 1 - y_i\, w\cdot x_i),$$
#
# and Pegasos steps against the gradient of a batch with the rate $\eta_t = 1/(\lambda t)$, $t = 1, 2, \dots$ There is
# nothing to choose. Why just that? Because of the penalty, $f$ is *$\lambda$-strongly convex*: in every direction it
# curves by at least $\lambda$. And with this rate the weights after $t$ steps are simply the mean of all $t$ pushes
# that the examples gave, divided by $\lambda$: the first counts no more than the last, and the noise averages out as
# well as it can. The objective comes to its optimum like $\log t/t$ (theorem 1 of the paper).
#
# **Exercise (4 points).** One step. (The gradient of the hinge $\max(0, 1 - y\,w\cdot x)$ is $-y\,x$ where the margin
# $y\,w\cdot x$ is below 1, and 0 elsewhere.)


# %% exercise="rates.pegasos_step"
def pegasos_step(weight, x, y, regularization, t):
    """The weights after step t = 1, 2, … weight: float [D], x: float [B, D], y: float [B] of ±1 → float [D]."""
    ### BEGIN SOLUTION
    rate = 1 / (regularization * t)
    wrong = (y * (x @ weight) < 1).float()
    return (1 - rate * regularization) * weight + rate * ((wrong * y) @ x) / len(y)
    ### END SOLUTION


# %%
check("rates.pegasos_step", pegasos_step)

# %% [markdown]
# Pullovers against coats, a thousand pictures, $\lambda = 0.001$. We know the optimum, from a solver of quite another
# kind: the dual problem gives a lower bound, and here bound and objective meet. So we can look at the *gap*, how far
# above the optimum each way of choosing the rate still is.

# %%
pegasos_step = yours_or_ours("rates.pegasos_step")
LAMBDA = 1e-3
x, y = svm.two_classes(pictures.train, 2, 4, 1000)
_, optimum, bound = svm.optimum(x, y, LAMBDA)

batch_of_8 = torch.randint(len(x), (20, 8), generator=torch.Generator().manual_seed(0))
weight = torch.zeros(x.shape[1])
for t, chosen in enumerate(batch_of_8, 1):
    weight = pegasos_step(weight, x[chosen], y[chosen], LAMBDA, t)
library = linear_svm.pegasos_svm(x, y, LAMBDA, 20, batch_size=8)[-1]
claim(
    "twenty of these steps are twenty of the library's",
    torch.allclose(weight, library, rtol=1e-3, atol=1e-3),
)
claim("the optimum is known to within 0.0001", 0 <= optimum - bound < 1e-4)

# %% [markdown]
# The library does it with torch's parts: `SGD(…, weight_decay=λ)`, whose decay *is* the gradient of the penalty, and
# `schedules.Pegasos`, an `LRScheduler` like torch's own. So any other schedule can take its place. How much better than
# the best of three constant rates, chosen afterwards, is $1/(\lambda t)$, chosen by nobody?

# %%
predict("gap of the best constant rate, in multiples of the gap of Pegasos", unit="×")

# %%
ways = {
    "Pegasos, 1/(λt)": {},
    "λ ten times too large": {"schedule": lambda o: schedules.Pegasos(o, 10 * LAMBDA)},
    "λ ten times too small": {"schedule": lambda o: schedules.Pegasos(o, LAMBDA / 10)},
    "constant 1": {"schedule": schedules.SCHEDULES["constant"](1), "rate": 1.0},
    "constant 0.3": {"schedule": schedules.SCHEDULES["constant"](1), "rate": 0.3},
    "constant 0.1": {"schedule": schedules.SCHEDULES["constant"](1), "rate": 0.1},
}
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

# %% tags=["fold"]
fig, ax = plots.figure()
edges = [*sorted({round(1.3**k) for k in range(2, 23)}), 400]
for (name, gap), color in zip(gaps.items(), plots.PALETTE, strict=False):
    means = [gap[low:high].mean() for low, high in pairwise(edges)]
    ax.plot([10 * high for high in edges[1:]], means, color=color, label=name)
ax.set(
    xscale="log",
    yscale="log",
    xlabel="step",
    ylabel="objective above the optimum",
    title="linear SVM, batch 8",
)
plots.legend(fig)
plots.finish(fig)

# %%
last = {name: gap[-50:].mean().item() for name, gap in gaps.items()}
best_constant = min(last[f"constant {rate}"] for rate in (1, 0.3, 0.1))
reveal(
    "gap of the best constant rate, in multiples of the gap of Pegasos",
    best_constant / last["Pegasos, 1/(λt)"],
    because="A constant rate settles at a floor that its noise keeps up, or is not there yet; 1/(λt) has no floor. Not "
    "a large factor: the best of three was close to right for this number of steps. But it had to be searched.",
)

# %%
claim(
    "1/(λt) ends below all three constant rates",
    last["Pegasos, 1/(λt)"] < best_constant,
)
claim(
    "with λ ten times too large it is more than twice as far away",
    last["λ ten times too large"] > 2 * last["Pegasos, 1/(λt)"],
)
claim(
    "with λ ten times too small, more than five times",
    last["λ ten times too small"] > 5 * last["Pegasos, 1/(λt)"],
)

# %% [markdown]
# So the rate has to fit the curvature: with a $\lambda$ that is too large the steps die before they arrive, with one
# that is too small they are far too long for thousands of steps.
#
# A network's loss is not convex at all, let alone strongly. Its weight decay $\lambda$ is no lower bound of anything:
# what happens if we take the formula anyway?

# %% question="rates.raw_pegasos"
answer = None
### BEGIN SOLUTION
answer = 2000
### END SOLUTION
question("rates.raw_pegasos", answer)


# %%
def train_a_little(schedule, rate=0.05, weight_decay=5e-4):
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


try:
    train_a_little(lambda o: schedules.Pegasos(o, 5e-4))
    raised = ""
except ValueError as error:
    raised = str(error)
claim(
    "1/(λt) makes the network diverge, at a rate of 2000",
    "at learning rate 2000: lower it" in raised,
)

# %% [markdown]
# The usual repair keeps the shape and bounds the start: $\eta_t = \eta_0/(1 + \lambda\,\eta_0\,t)$, $t = 0, 1, \dots$
# (Bottou 2012). It begins at $\eta_0$ and comes to $1/(\lambda t)$ in the end. For a network $\lambda$ is then nothing
# but a knob for how fast the rate falls, and the proof is gone: a heuristic like the others.

# %%
bounded = train_a_little(
    schedules.SCHEDULES["Pegasos"](94)
)  # made for 94 batches, a third of an epoch
claim(
    "bounded, the same third of an epoch ends above 65 %",
    bounded.validation_accuracy[-1] > 65,
)

# %% [markdown]
# A schedule has a state, and a training that is resumed must go on where it stopped. That is what `state_dict` is for;
# the scheduler's *and* the optimizer's (which holds the rate of the moment):


# %%
def some_steps(optimizer, scheduler, count):
    for _ in range(count):
        optimizer.step()
        scheduler.step()
    return scheduler.get_last_lr()


def fresh():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    return optimizer, schedules.Pegasos(optimizer, 0.1, bounded=True)


in_one_go = some_steps(*fresh(), 20)
first_part = fresh()
some_steps(*first_part, 12)
second_part = fresh()
for part, saved in zip(second_part, first_part, strict=True):
    part.load_state_dict(saved.state_dict())
claim(
    "resumed after 12 of 20 steps, it ends at the same rate to the last bit",
    some_steps(*second_part, 8) == in_one_go,
)

# %% [markdown]
# ## 6. A first rate in a hundred steps: the range test
#
# Every schedule leaves one number open: its peak. Smith (2017) finds it by training for a hundred batches or so with a
# rate that *grows*, and watching the loss: too low, nothing happens; then it falls; then it explodes. fastai made the
# sweep exponential. Single batches are noisy, so the loss is smoothed first, by a running mean
#
# $$s_t = \beta\, s_{t-1} + (1-\beta)\, l_t,\quad s_0 = 0,\qquad \hat s_t = \frac{s_t}{1-\beta^t}.$$
#
# **Exercise (3 points).** With the correction on the right: why is it needed?


# %% exercise="rates.smoothed"
def smoothed(losses, beta):
    """The corrected running mean after each loss: a list as long as `losses`. beta: a float in [0, 1)."""
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
# **Exercise (3 points).** Where does the loss fall fastest? "Fast" means per *factor* in the rate: the slope on a
# logarithmic axis, $\Delta l / \Delta\log\eta$ between neighbours.


# %% exercise="rates.steepest_rate"
def steepest_rate(rates, losses):
    """The rate at the lower end of the steepest fall between neighbours. Two lists of floats, rates rising → float."""
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
# fastai draws two suggestions from such a sweep: the rate at which the smoothed loss falls fastest on its way to its
# lowest value, and a tenth of the rate at which it is lowest. The article trains with 0.01. What will the first of them
# be for the same network, batch 64, momentum 0.9?

# %%
predict("rate at which the loss of MyNet falls fastest", unit="")

# %%
smoothed, steepest_rate = (
    yours_or_ours("rates.smoothed"),
    yours_or_ours("rates.steepest_rate"),
)
torch.manual_seed(1)
net = models.MyNet()
before, random_before = copy.deepcopy(net.state_dict()), torch.get_rng_state()
test = lr_range_test.range_test(net, pictures, optimizer=experiments.sgd(0.01))
claim(
    "the network is untouched by it, and so are torch's random numbers",
    all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    and torch.equal(random_before, torch.get_rng_state()),
)
curve = smoothed(test.losses, 0.9)
lowest = curve.index(
    min(curve)
)  # behind it, a loss that has leapt up may fall back faster than it ever fell before
found = steepest_rate(test.rates[: lowest + 1], curve[: lowest + 1])
claim("by hand and library find the same rate", math.isclose(found, test.steepest))

# %% tags=["fold"]
fig, ax = plots.figure()
ax.plot(test.rates, test.losses, color="0.75", linewidth=1, label="one batch")
ax.plot(test.rates, curve, color=plots.BLUE, label="smoothed")
ax.axvline(test.steepest, color=plots.ORANGE, linestyle="--", label="steepest fall")
ax.axvline(
    test.tenth_of_minimum,
    color=plots.GREEN,
    linestyle="--",
    label="a tenth of the lowest loss's rate",
)
ax.set(
    xscale="log",
    xlabel="rate",
    ylabel="loss",
    ylim=(0, 4),
    title="range test of MyNet, untrained",
)
plots.legend(fig)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
reveal(
    "rate at which the loss of MyNet falls fastest",
    test.steepest,
    test.steepest / 2,
    test.steepest * 2,
    because="The interval is a factor of two either way: with another seed or another sweep the suggestion moves by "
    "about as much. It is an order of magnitude, not a measurement.",
)

# %%
claim("the steepest fall lies between 0.01 and 0.1", 0.01 < test.steepest < 0.1)
claim(
    "the two suggestions differ more than threefold",
    test.steepest > 3 * test.tenth_of_minimum,
)

# %% [markdown]
# ## 7. "From the model's complexity and the data's size"
#
# So the article advises to choose the first rate, without saying how. We measured it: SGD with momentum 0.9 at a
# constant rate, 3,000 pictures twice over, and after that the validation loss, for six rates, two seeds, and each of
# thirteen settings that differ in one thing: the network's width, its depth, the amount of data, the batch. The result
# is recorded in `data/recorded/first_rates.json`; `LIVE = True` runs it on your machine (about ten minutes), and
# `nnopt record first_rates` makes the file again.

# %%
LIVE = False
measured = recorded("first_rates", live=LIVE)["result"]
rates = measured["rates"]
groups = {}
for setting in measured["settings"]:
    setting["best"] = rates[setting["loss"].index(min(setting["loss"]))]
    groups.setdefault(setting["group"], {})[setting["size"]] = setting

# %% tags=["fold"]
units = {
    "width": "filters, first layer",
    "depth": "convolutions",
    "batch": "pictures a step",
}
units |= {f"data, same {what}": "pictures" for what in ("steps", "passes")}
fig, axes = plots.figure(ncols=3, nrows=2, figsize=(10, 6.4), sharey=True)
for ax, (group, settings) in zip(axes.flat, groups.items(), strict=False):
    for (size, setting), color in zip(settings.items(), plots.PALETTE, strict=False):
        ax.plot(
            rates, setting["loss"], "o-", markersize=3.5, color=color, label=f"{size:,}"
        )
        ax.plot(setting["best"], min(setting["loss"]), "o", color=color, markersize=8)
    ax.set(xscale="log", ylim=(0.38, 2.6))
    plots.log_axis(ax.yaxis, [0.5, 1, 2])
    plots.legend(ax, ncols=3, title=f"{group}: {units[group]}")
axes.flat[-1].axis("off")
fig.supxlabel("rate", fontsize=9)
fig.supylabel(
    "validation loss after the training (large dot: the best rate)", fontsize=9
)
plots.finish(fig)

# %% [markdown]
# - **Complexity.** Over a fourfold width and one to three convolutions, the best rate stays within a factor of two. A
#   formula has little left to say here.
# - **The data's size.** With the same number of *steps*, 750 pictures and 12,000 want the same rate. With the same
#   number of *passes* the rate falls from 0.08 to 0.02, but then sixteen times the pictures are also sixteen times the
#   steps: who has more time can afford to walk more slowly. It is the budget that counts, not the data.
# - **The batch.** From 32 to 128 the best rate is proportional to the batch: the *linear rule* (Goyal et al. 2017).
#   One step on $k$ times the batch is $k$ small steps taken at once. The *square-root rule*, which keeps the noise of a
#   step the same, would say a factor of 2 there and not 4; it is the better one for Adam and its kin (Malladi et al.
#   2022), which we did not measure. And the linear rule ends: for a batch of 256 it asks for 0.16, where most of
#   these networks diverge, and with the 24 steps that are left no other rate gets anywhere either.
# - **The range test** finds the best rate to within a factor of three over widths and depths. But it knows nothing of
#   batch and budget: at batch 16 it is more than ten times too high, since noise does its harm later than a test looks.
# - **How exact must it be?** In the common setting (batch 64), half or twice the best rate costs a twentieth of the
#   loss and a quarter costs 18 %; four times the best rate costs everything. If in doubt, a factor of 2 lower.

# %% tags=["fold"]
best = {
    group: {size: setting["best"] for size, setting in found.items()}
    for group, found in groups.items()
}
common = groups["batch"][64]
claim(
    "over widths and depths the best rates differ by a factor of two at most",
    max([*best["width"].values(), *best["depth"].values()])
    <= 2 * min([*best["width"].values(), *best["depth"].values()]),
)
claim(
    "with the same steps, 16 times the data have the same best rate",
    len(set(best["data, same steps"].values())) == 1,
)
claim(
    "with the same passes it falls from 0.08 to 0.02",
    [*best["data, same passes"].values()] == [0.08, 0.04, 0.02],
)
claim(
    "the best rate is proportional to the batch from 32 to 128",
    all(best["batch"][size] == best["batch"][32] * size / 32 for size in (32, 64, 128)),
)
distinct = {str(setting["loss"]): setting["loss"] for setting in measured["settings"]}
claim(
    "at 0.16, nine of the thirteen settings end as bad as guessing",
    (len(distinct), sum(loss[4] == experiments.GUESSING for loss in distinct.values()))
    == (13, 9),
)
claim(
    "at batch 256 every rate ends above a loss of 1.5, twice that of batch 128",
    min(groups["batch"][256]["loss"]) > 1.5,
)
claim(
    "over widths and depths the range test is within a factor of three of the best rate",
    all(
        1 / 3 < setting["steepest"] / setting["best"] < 3
        for group in ("width", "depth")
        for setting in groups[group].values()
    ),
)
claim(
    "at batch 16 it is more than ten times too high",
    groups["batch"][16]["steepest"] > 10 * best["batch"][16],
)
near, far = common["loss"][1] / common["loss"][2], common["loss"][3] / common["loss"][2]
claim(
    "half or twice the best rate costs 4 to 7 % of the loss",
    1.04 < near < 1.07 and 1.04 < far < 1.07,
)
claim(
    "four times the best rate is as bad as guessing",
    common["loss"][4] == experiments.GUESSING,
)
claim(
    "a quarter of it costs 18 %",
    round(common["loss"][0] / common["loss"][2], 2) == 1.18,
)

# %% question="rates.how_to_choose"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("rates.how_to_choose", choice)

# %% [markdown]
# ## 8. The race
#
# All thirteen schedules on the same budget: the article's network, optimizer (SGD, momentum 0.9) and batch (64), for
# *a third* of the article's eight epochs, three seeds each. A race is fair only if everyone comes with a good peak, so
# each schedule's peak was searched first in the same way: from 0.05 up and down by factors of 2, as long as the
# validation loss after *one* epoch fell, on a seed that the race doesn't use. The results are recorded
# (`learning_rate_peaks.json` and `learning_rate_race.json` in `data/recorded`); `LIVE = True` runs both again, which
# takes about a quarter of an hour. In the figure a line is the mean of the three seeds, and its band goes from the
# lowest to the highest.

# %%
LIVE = False
peaks = recorded("learning_rate_peaks", live=LIVE)["result"]
race = recorded("learning_rate_race", live=LIVE)["result"]
claim(
    "each runs with the best peak of its search",
    all(
        min(found, key=found.get) == f"{race['schedules'][name]['peak']:g}"
        for name, found in peaks.items()
    ),
)

panels = [
    ("exponential", "step", "polynomial"),
    ("cosine", "warm restarts", "warm-up + cosine"),
    ("triangular", "triangular2", "exp_range"),
    ("plateau", "one-cycle", "Pegasos"),
]
# %% tags=["fold"]
fig, axes = plots.figure(ncols=2, nrows=2, figsize=(10, 7), sharex=True, sharey=True)
for ax, names in zip(axes.flat, panels, strict=True):
    plots.band(
        ax,
        race["epochs"],
        race["schedules"]["constant"]["validation"],
        "constant",
        plots.REFERENCE,
    )
    for name, color in zip(names, plots.PALETTE, strict=False):
        plots.band(
            ax, race["epochs"], race["schedules"][name]["validation"], name, color
        )
    plots.legend(ax, ncols=2)
axes[0][0].set(ylim=(70, 92))
fig.supxlabel("epoch", fontsize=9)
fig.supylabel("validation accuracy, %", fontsize=9)
plots.finish(fig)

# %% [markdown]
# And on the test pictures, at the end. Beside each mean stands how far it is ahead of the constant rate on the same
# seeds (same first weights, same order of the pictures), with a 95 % interval from the three pairs (Student's $t$; with
# three pairs it is wide).

# %%
constant = torch.tensor(race["schedules"]["constant"]["test"])
final, ahead = {}, {}
print(f"{'schedule':18} {'peak':>6} {'test':>8}   {'ahead of constant, points'}")
for name, run in sorted(
    race["schedules"].items(), key=lambda item: -sum(item[1]["test"])
):
    gained = torch.tensor(run["test"]) - constant
    final[name], ahead[name] = (
        torch.tensor(run["test"]).mean().item(),
        gained.mean().item(),
    )
    reach = 4.303 * gained.std().item() / 3**0.5
    against = (
        ""
        if name == "constant"
        else f"{ahead[name]:+.2f}  ({ahead[name] - reach:+.2f} to {ahead[name] + reach:+.2f})"
    )
    print(f"{name:18} {run['peak']:>6g} {final[name]:>6.2f} %   {against}")
article = sum(race["baseline"]) / len(race["baseline"])
print(f"\n{'article, 8 epochs':18} {0.01:>6g} {article:>6.2f} %")

# %% [markdown]
# Read it with the intervals in mind: three seeds of one schedule differ by up to 3 points, so a lead below one point is
# a hint.
#
# - **One-cycle and warm-up with cosine** lead, by 0.8 points on average, and they are the only ones that are ahead on
#   every seed by more than 0.3 points. One-cycle ends within 0.1 points of the article's eight epochs, in a third of
#   them.
# - **Polynomial, cosine, restarts** follow, 0.2 to 0.5 points ahead. They all come down slowly and end near 0.
# - **Triangles** make no difference that three seeds can show. They are for not having to know the rate, not for speed.
# - **Step, exponential and Pegasos** are *behind* the constant rate. Falling is not enough: half-way the exponential
#   one is at a tenth of its peak already, and has stopped travelling. Their peaks, searched on one epoch, may also be
#   too high for three.
# - **Plateau** is last. It began at twice the winners' peak, and a schedule that looks can only react: at the second and
#   the third of its eight looks it was more than 5 points behind the constant rate, and it never caught up.
#
# The constant rate's own best peak was half of the winners'. It pays for its noise with slower steps, and still ends
# noisier.

# %% tags=["fold"]
gain = {
    name: torch.tensor(run["test"]) - constant
    for name, run in race["schedules"].items()
}
spreads = [max(run["test"]) - min(run["test"]) for run in race["schedules"].values()]
claim(
    "three seeds of one schedule differ by up to 3 points",
    round(max(spreads), 1) == 3.0,
)
order = sorted(final, key=final.get, reverse=True)
claim(
    "one-cycle and warm-up with cosine lead",
    order[:2] == ["one-cycle", "warm-up + cosine"],
)
claim(
    "by 0.8 points over the constant rate",
    all(round(ahead[name], 1) == 0.8 for name in order[:2]),
)
sure = {name for name in gain if name != "constant" and gain[name].min() > 0.3}
claim(
    "only they are ahead by more than 0.3 points on every seed", sure == set(order[:2])
)
claim(
    "one-cycle ends within 0.1 points of the article's eight epochs",
    abs(final["one-cycle"] - article) < 0.1,
)
claim(
    "polynomial, cosine and restarts follow",
    set(order[2:5]) == {"polynomial", "cosine", "warm restarts"},
)
claim("0.2 to 0.5 points ahead", all(0.2 < ahead[name] < 0.5 for name in order[2:5]))
claim(
    "triangles differ by less than 0.4 points",
    all(abs(ahead[n]) < 0.4 for n in ("triangular", "triangular2", "exp_range")),
)
claim(
    "step, exponential and Pegasos are behind",
    max(ahead[name] for name in ("step", "exponential", "Pegasos")) < 0,
)
claim(
    "half-way the exponential rate is at a tenth",
    math.isclose(
        schedules.rates(schedules.SCHEDULES["exponential"](100), 100)[50], 0.1
    ),
)
claim("plateau is last", order[-1] == "plateau")
looks = {
    name: torch.tensor(race["schedules"][name]["validation"]).mean(0)
    for name in ("constant", "plateau")
}
late = looks["constant"] - looks["plateau"]
claim(
    "at its second and third look by more than 5 points, and never ahead",
    min(late[1:3]) > 5 and min(late) > 0,
)
peak = {name: run["peak"] for name, run in race["schedules"].items()}
claim(
    "it began at twice the winners' peak",
    all(peak["plateau"] == 2 * peak[name] for name in order[:2]),
)
claim(
    "the constant rate's peak is half of the winners'",
    all(2 * peak["constant"] == peak[name] for name in order[:2]),
)

# %% [markdown]
# ## 9. The baseline in a third of its epochs
#
# The schedule alone comes back to where the article was. What if everything may change? Of what we tried, one recipe
# was the best: AdamW in place of SGD, batches of 32, and one-cycle with a peak of 0.004. Over three seeds it ends 0.7
# points *above* the article's recipe. Here it is on your machine. Guess what it reaches:

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

# %% tags=["nbval-ignore-output"]
print(
    f"article, 8 epochs: {baseline.accuracy:.2f} %   ours, a third of them: {won.accuracy:.2f} %"
)
print(f"ours ahead by {against} points, on the same pictures")
spread = [won.accuracy + end - against.estimate for end in (against.low, against.high)]
reveal(
    "test accuracy after a third of the article's epochs, by our best recipe",
    won.accuracy,
    *spread,
    because="A rate that is high while there is something to travel and low at the end spends every epoch well; the "
    "constant 0.01 spends eight on walking slowly. The race says what the schedule alone does; what AdamW and the "
    "smaller batches add was not measured one by one.",
)

# %% tags=["fold"]
claim(
    "it reaches what the article's recipe reached, to within half a point",
    won.accuracy > baseline.accuracy - 0.5,
)
lead = (torch.tensor(race["best"]["test"]) - torch.tensor(race["baseline"])).tolist()
claim(
    "over three seeds the best recipe is 0.7 points ahead, on each of them",
    round(sum(lead) / 3, 1) == 0.7 and min(lead) > 0,
)
claim(
    "in exactly a third of the epochs",
    race["epochs"][-1] == round(models.ARTICLE_RECIPE["epochs"] / 3, 3),
)

# %% [markdown]
# ## 10. Playground
#
# The valley of section 1. Choose a schedule and its peak: too low, too high, with momentum, with few steps. Above, the
# rates; below, what they do. Where does a schedule start to matter?

# %%
learning_rate_playground()

# %% [markdown]
# ## Summary
#
# - **Travel first, settle at the end.** A high rate covers distance, a low one averages the noise out; a schedule does
#   both.
# - **Short training: one-cycle, or warm-up with cosine.** They fall slowly and end near 0. What falls too early stops
#   travelling.
# - **"Red decay"** is no schedule that anyone knows: cosine, or `ReduceLROnPlateau`. The second needs room to wait.
# - **Pegasos** is right where its proof holds, on strongly convex objectives; on a network it is one heuristic among
#   many.
# - **The first rate** depends on batch and budget, and hardly on the size of the network. Ask it from a short range
#   test, and take a factor of 2 less if in doubt.
#
# **What practice uses today.** AdamW with warm-up and a cosine or a straight line to (nearly) 0 for almost everything
# that is large; one-cycle where the training is short; for runs without a known end a constant rate and a short decay
# whenever a result is wanted ("warm-up, stable, decay", Hu et al. 2024), or no schedule and an average of the weights
# (Defazio et al. 2024). `torch.optim.lr_scheduler` has the schedules; fastai and Lightning have range tests.
#
# **Further reading.** Smith, *Cyclical learning rates for training neural networks* (2017) · Smith & Topin,
# *Super-convergence* (2018) · Loshchilov & Hutter, *SGDR* (2017) · Goyal et al., *Accurate, large minibatch SGD* (2017)
# · Shalev-Shwartz et al., *Pegasos* (2007; with proofs in Mathematical Programming, 2011) · Bottou, *Stochastic
# gradient descent tricks* (2012) · Shallue et al., *Measuring the effects of data parallelism* (2019).
#
# Your guesses of the whole course so far, against what your machine measured:

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
