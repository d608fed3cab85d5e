# %% [markdown]
# # Batch sizes: how many pictures per step
#
# You choose a batch size in a second and pay for it in every step. In this lesson you will
#
# - find the fastest batch size for your machine, without running out of memory;
# - see which batch size *learns* fastest, and measure the noise that decides it;
# - compute the exact step of a batch that is larger than your memory;
# - change the size during training: at random, step by step, or as the noise demands;
# - train on smaller pictures instead.
#
# The lesson takes about an hour and stands alone. *The article* is the tutorial that this course grew out of, and
# `MyNet` is its network. The pictures are photographs of clothes in ten classes (Fashion-MNIST): 18,000 for training,
# 2,000 for *validation*, that is, to choose between settings, and 10,000 for *testing*, that is, to report accuracy.

# %% tags=["fold", "side-by-side"]
# Imports: where the names of this lesson come from
import copy

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.batch_sizes.experiments import any_size_net
from nnopt_lab.lessons.batch_sizes.playground import batch_playground
from nnopt_lab.lessons.batch_sizes.steps import training_step
from nnopt_lab.techniques.training import (
    accumulation,
    batch_samplers,
    batch_size_sweep,
    cropping,
    noise_scale,
)
from nnopt_lab.workbench import data, measure, models, plots, training
from nnopt_lab.workbench.tables import Table

# %%
lesson("04_batch_sizes")
pictures = data.load("fashion")
count = len(pictures.train)
torch.manual_seed(0)
fresh, trained = models.MyNet(), models.trained("mynet")


def sgd(model, rate):
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)


measure.layer_table(fresh, pictures.to_input(pictures.test.images[:1]))


# %% [markdown]
# ## 1. The idea in one picture
#
# The gradient of a batch is a mean over its pictures: an estimate of the mean over all pictures. The next plot shows
# this on a small model: a loss shaped like a long bowl, in which each sample pulls towards a centre of its own. The
# mean of all centres is the middle of the bowl. Each path takes 30 steps with gradients of 1, 8 or 64 samples, from the
# cross towards the plus in the middle.

# %%
generator = torch.Generator().manual_seed(3)
curvature = torch.tensor([1.0, 4.0])
# Sample i pulls to its own centre.
centres = 1.5 * torch.randn(4096, 2, generator=generator)
centres -= centres.mean(0)


def bowl_gradient(w, positions):
    return curvature * (w - centres[positions].mean(0))


# %%
def walk(batch_size, steps=30, rate=0.12):
    path = [torch.tensor([-4.0, 2.5])]
    for _ in range(steps):
        positions = torch.randint(len(centres), (batch_size,), generator=generator)
        path.append(path[-1] - rate * bowl_gradient(path[-1], positions))
    return torch.stack(path)


walks = {size: walk(size) for size in (1, 8, 64)}
# %% tags=["fold"]
# Plot: paths down a valley by batch size
fig, axes = plots.figure(ncols=3, sharey=True)
x, y = torch.meshgrid(
    torch.linspace(-5, 3, 60), torch.linspace(-3, 3.5, 60), indexing="xy"
)
for ax, (size, path), color in zip(axes, walks.items(), plots.PALETTE, strict=False):
    ax.contour(
        x,
        y,
        (curvature[0] * x**2 + curvature[1] * y**2) / 2,
        levels=8,
        colors=plots.FAINT,
        linewidths=0.8,
    )
    ax.plot(*path.T, "o-", color=color, markersize=2.5, linewidth=1)
    ax.plot(*path[0], "x", color=plots.INK)
    ax.plot(0, 0, "+", color=plots.INK, markersize=10)
    ax.set(title=f"batch {size}: {30 * size:,} samples used", xticks=[], yticks=[])
    ax.grid(False)
plots.finish(
    fig,
    "Three paths down a valley: a batch of 1 zigzags, 8 wanders less, 64 goes "
    "straight and stops in the middle.",
)

# %% [markdown]
# What to see: a batch of 64 goes down and then along the valley without detours. It uses 64 times as many samples as a
# batch of 1, but does not arrive 64 times sooner. Both reach the middle, where the large batch nearly stops and the
# small one keeps jumping.
#
# So there are two prices. Small batches cost *steps*, and large batches cost *pictures*. The balance depends on the
# machine (section 2) and on the noise (sections 3 and 4).
#
# **Exercise (2 points).** Start with counting: how many updates does a training run make? Schedules of the
# learning rate are planned with this number, so it must be exact.


# %% exercise="batches.updates"
def updates(count, batch_size, epochs, drop_last):
    """Number of updates in `epochs` epochs over `count` samples.

    drop_last: whether the smaller last batch of an epoch is left out.

    >>> updates(10, 4, 1, False), updates(10, 4, 2, True), updates(8, 4, 1, False)
    (3, 4, 2)
    """
    ### BEGIN SOLUTION
    whole, rest = divmod(count, batch_size)
    return epochs * (whole + (rest > 0 and not drop_last))
    ### END SOLUTION


# %%
check("batches.updates", updates)

# %% tags=["fold"]
# Claims: noise and updates
updates = yours_or_ours("batches.updates")
rests = {size: path[15:].square().sum(1).mean().sqrt() for size, path in walks.items()}
loader = data.loader(pictures.train, pictures, 64)
claim(
    "A batch of 1 ends at least 4 times as far from the middle as one of 64.",
    rests[1] > 4 * rests[64],
)
claim(
    "Eight epochs in batches of 64, as in lesson 00, make 2,256 updates.",
    updates(count, 64, 8, False) == 2_256,
)
claim(
    "The count agrees with the length of a loader: 282 batches per epoch.",
    len(loader) == updates(count, 64, 1, False) == 282,
)
claim(
    "Each update changes 268,650 weights and biases.",
    measure.parameters(fresh).total == 268_650,
)

# %% [markdown]
# ## 2. The fastest batch size for your machine
#
# The article first advises you to choose the size by the hardware and the model. A step has costs that do not depend on
# the batch: starting each layer, waking the threads, and updating 268,650 weights and biases. A larger batch spreads
# them over more pictures. Compare training on the same 128 pictures in one step of 128 and in 16 steps of 8. How many
# times as fast is the one step?

# %%
predict("speed-up by one step of 128 pictures instead of 16 steps of 8", unit="×")

# %% tags=["nbval-ignore-output"]
labels = pictures.train.labels[:256]
inputs = pictures.to_input(pictures.train.images[:256])
worker = copy.deepcopy(fresh)
step = training_step(worker, sgd(worker, 1e-4), labels)
timings = measure.latency(
    {"8": lambda x: [step(part) for part in x.split(8)], "128": step},
    inputs[:128],
    rounds=10,
    budget_seconds=2,
)
speedup = measure.ratio(timings["8"], timings["128"])

# %%
# Answer: speed-up by one step of 128 pictures instead of 16 steps of 8
reveal(
    "speed-up by one step of 128 pictures instead of 16 steps of 8",
    speedup.median,
    speedup.low,
    speedup.high,
    because="The multiplications are the same. What you save is the fixed cost of a "
    "step: starting each layer, waking the threads, and reading and writing every "
    "weight and its momentum.",
)

# %% [markdown]
# How far does this go? The next cell doubles the size up to 2,048 ("largest"). It ends sooner if three sizes in a row
# are less than 5 % faster than the best before them ("flat"), or if memory might run out ("memory"). On a GPU, a batch
# that is too large raises an error, which this sweep catches. On a CPU, the system may end the whole program instead,
# so the sweep never tries a size that could need more than half of the free memory.

# %%
points, ended = batch_size_sweep.sweep(step, inputs, largest=2048, seconds=0.2)
sizes, speeds, needs = zip(*points, strict=True)


# %% tags=["fold"]
# Plot: speed and memory over the batch size
fig, (left, right) = plots.figure(ncols=2)
left.plot(sizes, speeds, "o-", color=plots.BLUE)
left.set(xlabel="batch size", title="pictures per second, training")
left.set_ylim(bottom=0)
right.plot(sizes, [need / 2**20 for need in needs], "o-", color=plots.ORANGE)
right.set(xlabel="batch size", title="memory of a step, MiB")
plots.log_axis(left.xaxis, sizes[::2])
plots.log_axis(right.xaxis, sizes[::2])
plots.log_axis(right.yaxis, (1, 4, 16, 64, 256))
plots.finish(
    fig,
    f"Speed rises from {speeds[0]:,.0f} to {max(speeds):,.0f} pictures per second and "
    f"becomes flat; memory grows linearly, to {needs[-1] / 2**20:,.0f} MiB.",
    measured="xy",
)

# %% [markdown]
# What to see: on the left, the speed rises and then becomes flat. On the right, memory grows linearly: a fixed part,
# mostly gradients, plus the same amount for each picture, because its activations are kept for the backward pass. (The
# axes are logarithmic, so the straight line appears bent.)

# %% tags=["fold", "nbval-ignore-output"]
# Numbers: where the sweep ended, and where the speed becomes flat
flat = next(
    size for size, speed in zip(sizes, speeds, strict=True) if speed > 0.9 * max(speeds)
)
print(f"The sweep ended at batch {sizes[-1]:,} ({ended}).")
print(f"From batch {flat} on, the speed is at least nine tenths of the best.")
print(f"Free memory: {measure.format_bytes(batch_size_sweep.available_memory())}")

# %% [markdown]
# **Exercise (2 points).** The memory of two small batches predicts that of larger ones. Compute the largest batch that
# fits. In the inputs of the check, each picture needs a whole number of bytes.


# %% exercise="batches.largest_batch"
def largest_batch(size1, bytes1, size2, bytes2, limit):
    """Largest batch size that needs at most `limit` bytes, an int.

    size1, bytes1, size2, bytes2: two measurements, which determine a straight line.

    >>> largest_batch(2, 50, 4, 70, 100), largest_batch(2, 50, 4, 70, 109)
    (7, 7)
    """
    ### BEGIN SOLUTION
    each = (bytes2 - bytes1) // (size2 - size1)
    fixed = bytes1 - each * size1
    return (limit - fixed) // each
    ### END SOLUTION


# %%
check("batches.largest_batch", largest_batch)

# %%
largest_batch = yours_or_ours("batches.largest_batch")
memory = {
    size: measure.peak_memory(step, inputs.repeat(4, 1, 1, 1)[:size])
    for size in (128, 256, 1024)
}
predicted = largest_batch(128, memory[128], 256, memory[256], memory[1024])

# %% tags=["fold"]
# Claims: the fastest batch size
tight, why = batch_size_sweep.sweep(step, inputs, limit_bytes=3 * 2**20, seconds=0.01)
claim(
    "One step of 128 is at least 1.2 times as fast as 16 steps of 8.",
    speedup.median > 1.2,
    timing=True,
)
claim(
    "Single pictures train at less than two thirds of the best speed.",
    max(speeds) > 1.5 * speeds[0],
    timing=True,
)
claim(
    "With only 3 MiB allowed, the sweep stops because of memory, and nothing crashes.",
    why == "memory" and max(point.bytes for point in tight) <= 3 * 2**20,
    timing=False,
)
claim(
    "From 128 and 256 pictures, the line predicts the batch of 1,024 to within 2 %.",
    abs(predicted - 1024) < 20,
)

# %% [markdown]
# So the machine has an answer: the smallest size on the flat part. It wastes no speed, and larger sizes gain nothing.
#
# ## 3. The batch size that learns fastest
#
# Pictures per second are not learning per second. This experiment trains `MyNet` with eight batch sizes, each time
# until it reaches 86 % validation accuracy. To be fair, each size has its own learning rate, the best of three that
# were tried with another seed. A batch of 1,024 needs more pictures than a batch of 64. How many times as many?

# %%
predict("pictures that batch 1,024 needs to reach 86 %, compared with 64", unit="×")

# %% [markdown]
# Eight sizes with three seeds each, and the search for learning rates, take up to twenty minutes. The result is
# recorded. Set `LIVE = True` to run this and the other two experiments of this lesson on your machine, or make the
# recording again with `nnopt record batch_size_race`.

# %%
LIVE = False
race = recorded("batch_size_race", live=LIVE)["result"]

# %% tags=["fold"]
# Answer: pictures that batch 1,024 needs to reach 86 %, compared with 64
raced, rates = race["sizes"], dict(zip(race["sizes"], race["rates"], strict=True))
examples = {
    size: torch.tensor(row, dtype=torch.float)
    for size, row in zip(raced, race["examples"], strict=True)
}
mean_examples = {size: of.mean().item() for size, of in examples.items()}
more = examples[1024] / mean_examples[64]

reveal(
    "pictures that batch 1,024 needs to reach 86 %, compared with 64",
    more.mean(),
    more.min(),
    more.max(),
    because="Sixteen times as many pictures make a step better, but not sixteen times "
    "better. Far fewer give nearly the right direction, and the curvature of the loss "
    "limits the length of a step. (The true factor is even larger: two of the three "
    "runs were stopped at 150,000 pictures and count as that.)",
)

# %% [markdown]
# [McCandlish et al. 2018](https://arxiv.org/abs/1812.06162) (section 2.3) describe the trade-off as a hyperbola between
# steps $S$ and pictures $E$. Huge batches need the fewest steps, $S_\text{min}$, and tiny ones the fewest pictures,
# $E_\text{min}$:
#
# $$\left(\frac{S}{S_\text{min}} - 1\right)\left(\frac{E}{E_\text{min}} - 1\right) = 1.$$
#
# With the batch size $B$, the pictures are $E = S B$, and it follows that $E = E_\text{min}(1 + B/B_\text{crit})$. Here
# $B_\text{crit} = E_\text{min}/S_\text{min}$ is the *critical* batch size. Far below it, a larger batch saves steps and
# costs hardly any more pictures. At $B_\text{crit}$, you need twice the minimum of both. Far above it, more pictures
# save hardly any steps.
#
# The next cell fits the hyperbola to the race: it tries 300 critical sizes, and keeps the one for which all batch sizes
# agree best on $E_\text{min}$. Then it combines the race with your machine: the pictures needed, divided by the speeds
# of your sweep.

# %%
batch, needed = torch.tensor(raced), torch.tensor(list(mean_examples.values()))
fits = []
for candidate in torch.logspace(4, 11, 300, base=2):
    # What each batch size gives for log E_min, if the candidate is the critical size.
    logs = needed.log() - (1 + batch / candidate).log()
    fits.append((logs.var().item(), candidate.item(), logs.mean().exp().item()))
_, critical, fewest = min(fits)

speed_at = dict(zip(sizes, speeds, strict=True))
# Beyond the sweep, the speed is taken as constant.
seconds = {size: examples[size] / speed_at.get(size, speeds[-1]) for size in raced}

# %% tags=["fold"]
# Plot: pictures, steps and seconds to the target
fig, (left, right) = plots.figure(ncols=2)
line = torch.logspace(2.7, 10.3, 50, base=2)
left.plot(
    fewest * (1 / line + 1 / critical),
    fewest * (1 + line / critical),
    color=plots.REFERENCE,
    label="hyperbola",
)
means = {f"{size:,}": (of / size, of) for size, of in mean_examples.items()}
for size, mean_of in mean_examples.items():
    first = size == min(mean_examples)  # one entry of the legend for all sizes
    for of, label, color, wide in (
        (examples[size], "one seed", plots.SKY, 4),
        (mean_of, "mean of the seeds", plots.BLUE, 6),
    ):
        look = {"color": color, "markersize": wide}
        left.plot(of / size, of, "o", label=label if first else None, **look)
left.set(
    xlabel="steps", ylabel="pictures", title="pictures and steps to 86 %, by batch size"
)
plots.log_axis(left.xaxis, (125, 500, 2000))
plots.log_axis(left.yaxis, (20_000, 40_000, 80_000, 160_000))
plots.band(
    right,
    raced,
    torch.stack(list(seconds.values())).T,
    "pictures / speed",
    plots.ORANGE,
)
right.set(xlabel="batch size", title="seconds to 86 % on this machine")
right.set_ylim(bottom=0)
plots.log_axis(right.xaxis, raced)
plots.legend(fig)
plots.write_names(left, means)  # last, since a legend moves what lies under it
fastest = min(seconds, key=lambda size: seconds[size].mean())
plots.finish(
    fig,
    "Fewer steps cost more pictures along a hyperbola; the time to 86 % is shortest "
    f"with batches of {fastest}.",
    measured="y",
)

# %% [markdown] tags=["tells"]
# What to see: read the left plot from right to left. (Small dots are single seeds; at 1,024, two runs were stopped.)
# From batch 8 to batch 64, the number of pictures hardly changes, so dividing the steps by nearly 8 costs nothing.
# Batch 256 costs 1.6 times as many pictures, and batch 1,024 more than 4 times as many. The hyperbola with a critical
# size of about 270 fits all eight means to within a tenth.
#
# The right plot shows the seconds on *your* machine; the band covers the three seeds. Small batches are slow because
# the machine idles between their small pieces of work. A large batch only pays if it is faster by the factor by which
# it needs more pictures.

# %% tags=["fold", "nbval-ignore-output"]
# Numbers: the first batch size to reach 86 %
first = min(seconds, key=lambda size: seconds[size].mean())
print(f"On this machine, batch {first:,} is the first to reach 86 %,")
print(f"in about {seconds[first].mean():.0f} s of training.")

# %% [markdown]
# What about the learning rates? From batch 8 to 64, the best of those tried grows with the batch, from 0.005 to 0.04: a
# less noisy direction allows a longer step. For larger batches it stays between 0.04 and 0.08, because curvature is the
# limit. (A rate of 0.16 was tried, too.) "Twice the batch, twice the rate"
# ([Goyal et al. 2017](https://arxiv.org/abs/1706.02677)) is right well below the critical size, and wrong above it.
#
# Here is a small part of the experiment on your machine: one pass over the first 6,000 pictures, with three batch
# sizes.

# %%
third = pictures.train[:6_000]
passes = {}
for size in (32, 64, 1024):
    model = copy.deepcopy(fresh)
    settings = {"batch_size": size, "optimizer": sgd(model, rates[size]), "seed": 1}
    passes[size] = training.fit(model, pictures, epochs=1, train=third, **settings)
after_one = {size: run.validation_accuracy[-1] for size, run in passes.items()}

# %% tags=["fold"]
# Claims: the critical batch size
saved = mean_examples[8] / 8 / (mean_examples[64] / 64)
fitted = fewest * (1 + batch / critical)
claim(
    "From batch 8 to 64, the pictures needed differ by less than a tenth.",
    max(needed[:4]) < 1.1 * min(needed[:4]),
)
claim(
    "Batch 1,024 needs more than 4 times as many pictures as batch 64.",
    mean_examples[1024] > 4 * mean_examples[64],
)
claim("The critical size is about 270.", 250 < critical < 290)
claim("From batch 8 to 64, the steps fall by a factor of more than 7.", 7 < saved < 8)
claim(
    "Batch 256 needs 1.6 times as many pictures as batch 64.",
    round(mean_examples[256] / mean_examples[64], 1) == 1.6,
)
claim(
    "Two of the three runs with batch 1,024 were stopped, and no others.",
    sum(race["reached"][-1]) == 1 and all(map(all, race["reached"][:-1])),
)
claim(
    "The hyperbola fits all means to within a tenth.",
    ((fitted / needed).log().abs() < 0.1).all(),
)
claim(
    "After one pass, batch 64 is more than 5 points above batch 1,024.",
    after_one[64] > after_one[1024] + 5,
)
claim(
    "Batch 32, with twice the steps of batch 64, is less than 5 points above it.",
    after_one[32] < after_one[64] + 5,
)
claim(
    "From batch 8 to 64, the best rate grows by a factor of 8, too.",
    rates[8] == 0.005 and rates[64] == 0.04,
)
claim(
    "From batch 64 on, it stays between 0.04 and 0.08.",
    all(0.04 <= rates[size] <= 0.08 for size in raced[3:]),
)

# %% question="batches.how_to_choose"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("batches.how_to_choose", choice)

# %% [markdown]
# ## 4. The noise scale: the critical size without a race
#
# Such a race is expensive. McCandlish et al. propose a number that you can measure in a second. Let $G$ be the true
# gradient, the mean over all pictures, and $\Sigma$ the covariance of the gradients of single pictures. Its trace
# $\operatorname{tr}\Sigma$ is the total variance of all components. Then the squared norm of the gradient $G_B$ of $B$
# random pictures is, on average,
#
# $$\mathbb{E}\,|G_B|^2 = |G|^2 + \frac{\operatorname{tr}\Sigma}{B}.$$
#
# The first term is signal, the second noise. They are equally strong at the *simple noise scale*
# $\mathcal{B}_\text{simple} = \operatorname{tr}\Sigma / |G|^2$, which approximates the critical batch size.
# You cannot observe signal or noise directly, but two batch sizes give two equations (appendix A.1 of the paper).
#
# **Exercise (3 points).** Solve the two equations, and return the simple noise scale.


# %% exercise="batches.simple_noise_scale"
def simple_noise_scale(small, big, small_norm, big_norm):
    """tr Σ / |G|², a float.

    small, big: two batch sizes. small_norm, big_norm: norms |G_B| of their gradients,
    not squared.

    >>> simple_noise_scale(1, 2, 7.0, 5.0)
    48.0
    """
    ### BEGIN SOLUTION
    noise = (small_norm**2 - big_norm**2) / (1 / small - 1 / big)
    signal = (big * big_norm**2 - small * small_norm**2) / (big - small)
    return noise / signal
    ### END SOLUTION


# %%
check("batches.simple_noise_scale", simple_noise_scale)

# %% [markdown]
# Does this find the truth? You know the truth in the bowl of section 1. At $w$ the mean gradient is $H(w - \bar c)$,
# and sample $i$ deviates from it by $H(\bar c - c_i)$. Here $H$ multiplies the two coordinates by their curvatures, 1
# and 4; $c_i$ is the centre of sample $i$, and $\bar c$ is the mean of the centres.

# %%
simple_noise_scale = yours_or_ours("batches.simple_noise_scale")
w = torch.tensor([-4.0, 2.5])
signal = bowl_gradient(w, slice(None)).square().sum()
noise = (curvature * centres).square().sum(1).mean()
estimate = noise_scale.measured(
    lambda i: bowl_gradient(w, i), 4096, small=2, parts=8, draws=1000
)

# %% [markdown]
# The claims at the end of this section compare estimate and truth. Now measure the network. How does its noise scale
# change as it learns? Guess the ratio: after training, divided by before.

# %%
predict("noise scale of the trained network, compared with the untrained", unit="×")


# %%
def scales(model):
    gradient = noise_scale.gradient_of(model, pictures)
    found = [noise_scale.measured(gradient, count, draws=4, seed=i) for i in range(3)]
    return torch.tensor([estimate.simple for estimate in found])


before, after = scales(fresh), scales(trained)
growth = after.mean() / before.mean()

# %% tags=["nbval-ignore-output"]
# Answer: noise scale of the trained network, compared with the untrained
reveal(
    "noise scale of the trained network, compared with the untrained",
    growth,
    after.min() / before.max(),
    after.max() / before.min(),
    because="At first, all pictures say the same: learn these ten classes. Later, most "
    "are classified correctly and have small gradients, and the hard ones pull in "
    "different directions. The true gradient has shrunk, and the noise has not.",
)

# %% tags=["fold", "nbval-ignore-output"]
# Numbers: both noise scales
print(f"untrained: {before.mean():.0f} pictures; trained: {after.mean():.0f} pictures")

# %% [markdown] tags=["tells"]
# The race also measured the noise scale at the end of each of its 24 runs. The median is near 350 pictures, and the
# critical size that the race itself found is about 270. So 24 measurements of about a second each come close to what a
# race of twenty minutes found. From a single measurement, expect no more than the order of magnitude: single
# measurements spread by more than a factor of ten, since $|G|^2$ is estimated as a small difference of large numbers.
# So average several. The scale also grows as the network learns, so a size that is right at the end is too large at the
# start. Section 7 makes use of this.

# %% tags=["fold"]
# Claims: the noise scale
at_target = torch.tensor(race["noise_scale"])
a, b = ((signal + noise / size).sqrt().item() for size in (2, 16))
claim("Training more than doubles the noise scale.", growth > 2)
claim(
    "At 86 %, its median over all runs is between 300 and 400 pictures.",
    300 < at_target.median() < 400,
)
claim(
    "At 86 %, single measurements spread by more than a factor of ten.",
    at_target.max() > 10 * at_target.min(),
)
claim(
    "At 86 %, this median is within a factor of 2 of the critical size, 270.",
    270 / 2 < at_target.median() < 270 * 2,
)
claim(
    "In the bowl, the estimate of |G|² is right to within 5 %.",
    abs(estimate.signal / signal - 1) < 0.05,
)
claim(
    "In the bowl, the estimate of tr Σ is right to within 5 %.",
    abs(estimate.noise / noise - 1) < 0.05,
)
claim(
    "From exact norms, the formula gives the exact noise scale.",
    abs(simple_noise_scale(2, 16, a, b) - noise / signal) < 1e-3,
)

# %% [markdown]
# ## 5. A batch larger than memory
#
# The gradient of a batch is a mean, so you can compute it in pieces. The pieces, *micro-batches*, go through the
# forward and backward pass one after the other, their gradients add up, and only then does the optimizer step. You need
# the memory of a micro-batch and get the step of the whole batch. The pitfall is the word *mean*.
#
# **Exercise (2 points).** Combine the mean gradients of micro-batches, which may differ in size, into the mean gradient of
# the whole batch.


# %% exercise="batches.accumulate"
def accumulate(gradients, sizes):
    """The mean gradient of the whole batch, float [P].

    gradients: list of float [P], each a mean over sizes[i] pictures. sizes: list of
    int.

    >>> accumulate([torch.tensor([1.0]), torch.tensor([4.0])], [1, 2])
    tensor([3.])
    """
    ### BEGIN SOLUTION
    return sum(
        size * gradient for size, gradient in zip(sizes, gradients, strict=True)
    ) / sum(sizes)
    ### END SOLUTION


# %%
check("batches.accumulate", accumulate)

# %% question="batches.mean_of_means"
answer = None
### BEGIN SOLUTION
answer = 4
### END SOLUTION
question("batches.mean_of_means", answer)

# %% [markdown]
# `accumulation.Accumulate` wraps any optimizer, so the training loop stays as it is. Its `weighted` wraps the loss and
# multiplies the gradient of each micro-batch by the micro-batch's size. Its `step` only counts; after the last
# micro-batch, it divides the sum by the number of pictures and updates the weights. Its `zero_grad` clears gradients
# only before the next group of micro-batches. The next two cells train on the same pictures in the same order, once in
# batches of 256 and once in micro-batches of 96, 32 and 128:

# %%
accumulate = yours_or_ours("batches.accumulate")


def train(model, batches, optimizer, loss=nn.functional.cross_entropy):
    for positions in batches:
        part = pictures.train[torch.tensor(positions)]
        optimizer.zero_grad()
        loss(model(pictures.to_input(part.images)), part.labels).backward()
        optimizer.step()


# %%
whole = list(batch_samplers.EpochBatches(2_048, lambda epoch: 256, seed=1))
cut = [piece for batch in whole for piece in (batch[:96], batch[96:128], batch[128:])]
nets = {name: copy.deepcopy(fresh) for name in ("batches of 256", "micro-batches")}
train(nets["batches of 256"], whole, sgd(nets["batches of 256"], 0.04))
accumulated = accumulation.Accumulate(sgd(nets["micro-batches"], 0.04), every=3)
train(nets["micro-batches"], cut, accumulated, loss=accumulated.weighted())


# %% tags=["fold"]
# Numbers: how far weights moved, and how far the networks differ
def furthest(one, other):
    """Largest difference between two weights at the same place."""
    return max(
        (p - q).abs().max().item()
        for p, q in zip(one.parameters(), other.parameters(), strict=True)
    )


moved, apart = furthest(fresh, nets["batches of 256"]), furthest(*nets.values())
print(
    f"some weight moved by {moved:.3f}; the two networks differ by {apart:.0e} at most"
)

# %% [markdown]
# The price is time, since micro-batches run at the speed of small batches. `MyNet` has no batch norms, but the course's
# *teacher*, a stronger network, does; the cell after the next question accumulates its gradients.

# %% question="batches.batch_norm"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("batches.batch_norm", choice)

# %%
teacher = models.trained("teacher").train()
gradient = noise_scale.gradient_of(teacher, pictures)
exact = gradient(torch.arange(64))
pieces = [gradient(piece) for piece in torch.arange(64).split(16)]
off_norm = ((accumulate(pieces, [16] * 4) - exact).norm() / exact.norm()).item()
print(f"With batch norm, the accumulated gradient is off by {100 * off_norm:.0f} %.")

# %% tags=["fold"]
# Claims: accumulated gradients
gradient = noise_scale.gradient_of(fresh, pictures)
parts = [torch.tensor(piece) for piece in cut[:3]]
by_hand = accumulate(
    [gradient(piece) for piece in parts], [len(piece) for piece in parts]
)
means = sum(gradient(piece) for piece in parts) / 3
exact = gradient(torch.tensor(whole[0]))
off = ((means - exact).norm() / exact.norm()).item()
claim("After 8 steps, all weights agree to 1e-4.", apart < 1e-4)
claim(
    "The weighted sum is the gradient of the batch, to 1e-5.",
    torch.allclose(by_hand, exact, atol=1e-5),
)
claim("The mean of the means is off by more than 5 %.", off > 0.05)
claim("Training moves some weight by more than 0.01.", moved > 1e-2)
claim(
    "A micro-batch of 64 needs less than 0.3 of the memory of 256.",
    measure.peak_memory(step, inputs[:64]) < 0.3 * memory[256],
)
claim(
    "With batch norms, the accumulated gradient is off by more than 5 %.",
    off_norm > 0.05,
)

# %% [markdown]
# ## 6. Random sizes
#
# The article also advises you to change the size during training. The first of its two policies is a random batch size.
# In torch, you write it as a *batch sampler*: an object that yields lists of positions, for any `DataLoader`. It must
# keep every promise of the usual one: each picture exactly once per epoch, the same order again with the same seed, and
# a correct `len`, since schedules are planned with it.
#
# If you draw sizes until the pictures run out, the last batch may be too small, and `len` is unknown. So fix the number
# of batches first, and keep each drawn size only if the rest can still be divided.
#
# **Exercise (3 points).** Look ahead. Keep each drawn size if the batches after it can still take what is left, each
# between `low` and `high`. Otherwise, move it to the nearest size that allows this. (A solution always exists.)


# %% exercise="batches.fit_sizes"
def fit_sizes(count, drawn, low, high):
    """Sizes that add up to `count`, from left to right, as drawn if possible: list of
    int.

    drawn: list of int. low, high: bounds of each size.

    >>> fit_sizes(10, [2, 2, 2], low=2, high=4), fit_sizes(10, [4, 4, 4], low=2, high=4)
    ([2, 4, 4], [4, 4, 2])
    """
    ### BEGIN SOLUTION
    sizes, left = [], count
    for place, size in enumerate(drawn):
        after = len(drawn) - place - 1
        size = min(max(size, left - after * high), left - after * low)
        sizes.append(size)
        left -= size
    return sizes
    ### END SOLUTION


# %%
check("batches.fit_sizes", fit_sizes)

# %%
fit_sizes = yours_or_ours("batches.fit_sizes")
random_sizes = batch_samplers.RandomBatchSizes(count, low=16, high=112, seed=0)

# %% tags=["fold"]
# Plot: random sizes
fig, (left, right) = plots.figure(ncols=2)
left.plot(random_sizes.sizes(0), ".", color=plots.BLUE, markersize=4)
left.set(
    xlabel="batch",
    ylabel="pictures in the batch",
    title="one epoch of random sizes",
    ylim=(0, 120),
)
right.hist(
    [random_sizes.sizes(epoch) for epoch in range(3)],
    bins=range(16, 114, 8),
    color=plots.PALETTE[:3],
    label=[f"epoch {epoch}" for epoch in range(3)],
)
right.set(xlabel="pictures in the batch", ylabel="number of batches")
plots.legend(right, ncols=3, title="sizes of three epochs")
plots.finish(
    fig,
    "Sizes of batches scatter evenly between 16 and 112, in the same way in three "
    "epochs.",
)

# %% [markdown]
# What to see: on the left, the sizes scatter evenly between the bounds, 16 and 112. On the right, the sizes of three
# epochs, one colour each, have about the same distribution.

# %% tags=["fold"]
# Numbers: sizes that fit, and the batches of one epoch
drawn = torch.randint(
    16, 113, (281,), generator=torch.Generator().manual_seed(0)
).tolist()
yours = fit_sizes(count, drawn, 16, 112)
kept = sum(a == b for a, b in zip(yours, drawn, strict=True))
loader = DataLoader(
    TensorDataset(torch.arange(count)), batch_sampler=random_sizes, num_workers=2
)
promised, epoch = len(loader), [batch for (batch,) in loader]

# %% [markdown]
# Do random sizes help? Noise can be a regulariser: it may improve the accuracy on new pictures. Here, `MyNet` trains
# for six epochs at a learning rate of 0.04 with five seeds, once with 64 pictures in every batch and once with 16
# to 112. (It is recorded; together with the next section it takes up to twenty minutes: `nnopt record batch_policies`.)
# Guess the gain in test accuracy; a loss is negative.

# %%
predict("accuracy gained by random sizes of the same mean", unit="points")

# %%
policies = recorded("batch_policies", live=LIVE)["result"]
accuracy = {name: torch.tensor(values) for name, values in policies["accuracy"].items()}
mean = {name: values.mean().item() for name, values in accuracy.items()}
gained = accuracy["random sizes"] - accuracy["constant"]  # pairs: the same seed
reach = 2.776 * gained.std() / len(gained) ** 0.5  # Student's t for 5 pairs, 95 %

# %%
# Answer: accuracy gained by random sizes of the same mean
reveal(
    "accuracy gained by random sizes of the same mean",
    gained.mean(),
    gained.mean() - reach,
    gained.mean() + reach,
    because="The noise of a step is proportional to 1/B, and the mean of 1/B is larger "
    "than 1 / (mean of B): a few small batches add more noise than the large ones "
    "remove.",
)

# %% [markdown] tags=["tells"]
# Random sizes do worse with every seed, by about 0.9 points on average. What counts for the noise is the mean of $1/B$,
# and for sizes from 16 to 112 it equals that of a fixed batch of about 49. At this learning rate, which is high for the
# end of training (the next section lowers it and gains 2 points), more noise costs accuracy. Whether random sizes would
# match a fixed batch of 49, or would do better at a lower rate, was not measured here. In this setting, random sizes do
# not regularise. Sizes that vary are useful if samples differ in length and each batch takes as many as fit. They, too,
# need bounds and a correct `len`.

# %% tags=["fold"]
# Claims: random sizes
of_epoch = torch.tensor(random_sizes.sizes(0), dtype=torch.float)
harmonic = 97 / (1 / torch.arange(16, 113)).sum().item()
claim("Random sizes do worse with each of the five seeds.", (gained < 0).all())
claim(
    "They lose about 0.9 points, and the interval excludes 0.",
    round(-gained.mean().item(), 1) == 0.9 and reach < 0.9,
)
claim("Their mean of 1/B is that of a fixed batch of about 49.", abs(harmonic - 49) < 1)
claim("Their mean size is 64.", round(of_epoch.mean().item()) == 64)
claim(
    "In the epoch drawn here, the mean of 1/B is that of 49 to within 3.",
    abs(1 / (1 / of_epoch).mean().item() - 49) < 3,
)
claim("The sizes add up to all 18,000 pictures.", sum(yours) == count)
claim("More than nine tenths of the sizes are as drawn.", kept > 0.9 * 281)
claim(
    "A DataLoader with two workers gives as many batches as `len` promised: 281.",
    len(epoch) == promised == 281,
)
claim(
    "Every picture comes exactly once.",
    torch.equal(torch.cat(epoch).sort().values, torch.arange(count)),
)
claim(
    "Every size is between 16 and 112.",
    all(16 <= len(batch) <= 112 for batch in epoch),
)

# %% [markdown]
# ## 7. Sizes that grow
#
# Near the end of training, noise keeps the loss up: the jumping of section 1. The usual cure is to lower the learning
# rate. [Smith et al. 2018](https://arxiv.org/abs/1711.00489) propose another: keep the rate and increase the batch. In
# their model, the noise of the steps is about $\varepsilon N / B$, where $\varepsilon$ is the learning rate and $N$ the
# number of training pictures. So dividing the rate by 4 and multiplying the batch by 4 reduce it equally, but the
# second needs fewer updates. A third way is to measure the noise scale of section 4 at the start of each epoch, and to
# use it as the size.
#
# Start with a short version on your machine: three passes over 6,000 pictures. After each pass, the rate is divided by
# 4 or the batch is multiplied by 4.


# %%
def train_short(batches, decay):
    model = copy.deepcopy(fresh)
    optimizer = sgd(model, 0.04)
    rates = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=decay)
    settings = {"optimizer": optimizer, "scheduler": lambda _: rates, "seed": 1}
    settings |= {"schedule_per": "epoch", "batches": batches}
    training.fit(model, pictures, epochs=3, train=third, **settings)
    return training.evaluate(model, pictures.validation, pictures)


# %%
fixed = batch_samplers.EpochBatches(len(third), lambda epoch: 64, seed=1)
growing = batch_samplers.EpochBatches(len(third), lambda epoch: 64 * 4**epoch, seed=1)
decayed, grown = train_short(fixed, 0.25), train_short(growing, 1.0)

# %% [markdown]
# The growing batches made 124 updates instead of 282, and the two validation accuracies are within 5 points of each
# other.
#
# The recorded version trains for six epochs, starting at a rate of 0.04 and a batch of 64. After three epochs, and
# again after five, the rate is divided by 4 ("decaying rate") or the batch is multiplied by 4 ("growing batches").
# "noise scale" uses the measured scale as the size, between 32 and 1,024. The plot also shows the runs of section 6,
# "constant" and "random sizes".

# %% tags=["fold"]
# Plot: accuracy and updates of sizes that grow
fig, (left, right) = plots.figure(ncols=2, sharey=True)
plots.seeds(left, accuracy)
plots.bars(
    right,
    {name: sum(policies["updates"][name]) / len(accuracy[name]) for name in accuracy},
    labels="{:,.0f}",
)
left.set(xlabel="test accuracy, % (one dot per seed, line: mean)")
right.set(xlabel="updates in six epochs")
plots.finish(
    fig,
    "A decaying rate and growing batches end highest; growing batches need far fewer "
    "updates.",
)

# %% [markdown]
# What to see: on the left, the decaying rate and the growing batches both end about 2 points above constant settings.
# Both reduce the noise at the end. On the right, the growing batches make 1,006 updates instead of 1,692. They end 0.2
# points lower than the decaying rate; with three seeds that is a hint, not a proof.
#
# The noise scale chooses small sizes at first and sizes near 1,024 later, and makes about a third of the 1,692 updates.
# But it gains less than the other two: it ends less than a point above the constant size. One reason may be that each
# choice rests on a single measurement, which varies a lot.
#
# What fewer updates are worth depends on the machine. On a GPU that a batch of 64 does not fill, a larger one takes
# hardly longer, so the time falls almost like the number of updates. On a CPU, where a larger batch takes longer, you
# save less: see your sweep in section 2.

# %% tags=["fold"]
# Claims: sizes that grow
made = {
    name: sum(len(b.sizes(epoch)) for epoch in range(3))
    for name, b in (("fixed", fixed), ("growing", growing))
}
difference = measure.proportion_difference(decayed.correct, grown.correct)
apart = mean["decaying rate"] - mean["growing batches"]
by_noise = sum(policies["updates"]["noise scale"]) / 3
chosen = torch.tensor(policies["chosen"])
claim(
    "A decaying rate gains about 2 points over constant settings.",
    1.7 < mean["decaying rate"] - mean["constant"] < 2.7,
)
claim(
    "Growing batches gain about 2 points, too.",
    1.4 < mean["growing batches"] - mean["constant"] < 2.4,
)
claim(
    "The decaying rate makes 1,692 updates, and the growing batches 1,006.",
    policies["updates"]["decaying rate"][0] == 1_692
    and policies["updates"]["growing batches"][0] == 1_006,
)
claim("The decaying rate ends 0.2 points above it.", round(apart, 1) == 0.2)
claim(
    "The noise scale makes about a third of the updates.",
    0.25 < by_noise / 1_692 < 0.42,
)
claim(
    "The noise scale ends less than a point above the constant size.",
    0 < mean["noise scale"] - mean["constant"] < 1,
)
claim(
    "The first sizes by the noise scale are below 100, and the largest above 900.",
    (chosen[:, 0] < 100).all() and (chosen.max(1).values > 900).all(),
)
claim(
    "In the short version, the decaying rate makes 282 updates, growing batches 124.",
    (made["fixed"], made["growing"]) == (282, 124),
)
claim(
    "In the short version, they end within 5 points of each other in validation.",
    abs(difference.estimate) < 5,
)

# %% [markdown]
# ## 8. Random crops
#
# The article's other policy, random-crop batches, can mean two things. As an *augmentation*, that is, a random change
# that makes memorising harder, each batch draws a crop size, each picture draws a position, and zeros are padded around
# the crop, so that all pictures keep their size. Without the padding, the batch consists of *smaller pictures*. This is
# cheaper, but only works for networks that accept any size.
#
# **Exercise (3 points).** Cut a square out of each picture, each at its own position.


# %% exercise="batches.crop_batch"
def crop_batch(images, top, left, size):
    """The size×size square of each picture, [B, C, size, size].

    images: [B, C, H, W]. top, left: int64 [B], upper left corners.

    >>> image = torch.arange(9).view(1, 1, 3, 3)
    >>> crop_batch(image, torch.tensor([0]), torch.tensor([1]), 2).tolist()
    [[[[1, 2], [4, 5]]]]
    """
    ### BEGIN SOLUTION
    places = zip(images, top, left, strict=True)
    return torch.stack(
        [
            image[:, row : row + size, column : column + size]
            for image, row, column in places
        ]
    )
    ### END SOLUTION


# %%
check("batches.crop_batch", crop_batch)

# %%
crop_batch = yours_or_ours("batches.crop_batch")
originals = pictures.train.images[:8]
corners = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7])
crops = cropping.RandomCrops(18, 24, seed=1)
plots.pictures(torch.cat([originals, crops(originals), crops(originals)]))

# %% [markdown]
# What to see: eight pictures, and two batches of them with padded crops. The size changes from batch to batch, and the
# position from picture to picture.
#
# For smaller pictures, `cropping.SmallerPictures` wraps any loader. It crops them without padding or, for *progressive
# resizing*, passes them through torchvision's `Resize`: small in the first epochs, full size at the end
# ([Tan & Le 2021](https://arxiv.org/abs/2104.00298)). The network below accepts any size, since a mean over all pixels
# comes before its linear layer:

# %%
net = any_size_net()
measure.layer_table(net, pictures.to_input(pictures.test.images[:1]))

# %% [markdown]
# A picture of 16×16 has a quarter of the pixels of one of 32×32. How many times as fast is a training step?

# %%
predict("speed-up of training by 16×16 pictures instead of 32×32", unit="×")

# %% tags=["fold"]
# Numbers: the same 64 pictures in five sizes
resized = {
    pixels: nn.functional.interpolate(
        inputs[:64], size=(pixels, pixels), mode="bilinear", antialias=True
    )
    for pixels in (16, 20, 24, 28, 32)
}

# %% tags=["nbval-ignore-output"]
train_net = training_step(net, torch.optim.AdamW(net.parameters(), lr=3e-3), labels)
steps = {pixels: lambda _, x=x: train_net(x) for pixels, x in resized.items()}
timings = measure.latency(steps, resized[32], rounds=10, budget_seconds=2)
quicker = measure.ratio(timings[32], timings[16])

# %%
# Answer: speed-up of training by 16×16 pictures instead of 32×32
reveal(
    "speed-up of training by 16×16 pictures instead of 32×32",
    quicker.median,
    quicker.low,
    quicker.high,
    because="The layers' work falls with the pixels, but starting each layer and "
    "updating the weights cost the same as before. With larger batches or networks, "
    "the factor comes closer to 4.",
)

# %% [markdown]
# How does this affect accuracy? This experiment trains that network in four ways for four epochs with three seeds, and
# always tests it on full pictures. (It is recorded and takes about six minutes: `nnopt record batch_crops`.) Padded
# crops have sides of 20 to 28 pixels and smaller crops of 16 to 32; progressive resizing goes through 16, 20, 24
# and 32. The times follow from the steps you timed above.

# %%
cropped = recorded("batch_crops", live=LIVE)["result"]["accuracy"]

# %% tags=["fold"]
# Plot: accuracy and time of crops
share = {
    pixels: 1 / measure.ratio(timings[32], timings[pixels]).median for pixels in timings
}
time_of = {
    "full pictures": 1,
    "crops, padded back": 1,  # besides the cropping itself
    "smaller crops": sum(share.values()) / len(share),
    "progressive resizing": (share[16] + share[20] + share[24] + share[32]) / 4,
}

fig, (left, right) = plots.figure(ncols=2, sharey=True)
plots.seeds(left, cropped)
times = {way: time_of[way] for way in cropped}
plots.bars(right, times, reference=1, labels="{:.2f}×")
left.set(xlabel="test accuracy, % (one dot per seed, line: mean)")
right.set(xlabel="time of a training, × full pictures")
plots.finish(
    fig,
    "Full pictures are most accurate; smaller crops and progressive resizing save "
    "time.",
    measured="x",
)

# %% [markdown] tags=["tells"]
# What to see: on the left, nothing beats full pictures. Padded crops cost almost 3 points, smaller crops almost 7, and
# progressive resizing 3. On the right, padded crops save no time, and the other two save some.
#
# Augmentation helps a network that memorises its training pictures. In four epochs, this one has probably not begun to
# memorise, so it only loses what is cut away. With smaller crops, the network learns from parts of things and is tested
# on whole ones. Progressive resizing shows the whole thing in every picture and ends at full size. Whether more epochs
# in the time saved would make up for its loss was not measured here. The papers that gain by such methods train for
# many more epochs.

# %% tags=["fold"]
# Claims: crops
with torch.inference_mode():
    shapes = [
        tuple(net.eval()(inputs[:2, :, :size, :size]).shape) for size in (8, 16, 23, 32)
    ]
crop_mean = {way: sum(values) / len(values) for way, values in cropped.items()}
cost = {way: crop_mean["full pictures"] - value for way, value in crop_mean.items()}
claim("Padded crops cost 2.5 to 3 points.", 2.5 < cost["crops, padded back"] < 3)
claim("Smaller crops cost 6.5 to 7 points.", 6.5 < cost["smaller crops"] < 7)
claim(
    "Progressive resizing costs 2.75 to 3.25 points.",
    2.75 < cost["progressive resizing"] < 3.25,
)
claim(
    "Every seed of these ways is below every seed with full pictures.",
    min(cropped["full pictures"]) > max(max(cropped[way]) for way in cost if cost[way]),
)
claim(
    "Both kinds of smaller pictures save more than a tenth of the time here.",
    max(time_of["smaller crops"], time_of["progressive resizing"]) < 0.9,
    timing=True,
)
claim(
    "The crops equal the library's.",
    torch.equal(
        crop_batch(originals, corners, corners, 20),
        cropping.crop(originals, corners, corners, 20),
    ),
)
claim("The network accepts 8, 16, 23 and 32 pixels.", set(shapes) == {(2, 10)})
claim(
    "With a quarter of the pixels, training is at least 1.3 times as fast.",
    quicker.median > 1.3,
    timing=True,
)
claim(
    "With a quarter of the pixels, it is less than 6 times as fast.",
    quicker.median < 6,
    timing=True,
)

# %% [markdown]
# ## 9. Playground
#
# Change the batch size and the network. The left plot shows the *cosine* of the angle between a batch's gradient and
# the true one: 1 means the same direction, 0 a right angle. The grey curve is what the noise scale predicts. From which
# size on is the cosine near 1? On the right, from which size on does the speed stop growing?

# %%
batch_playground({"untrained": fresh, "trained": trained}, pictures)

# %% [markdown]
# ## Summary
#
# The table combines your speeds with the race. At 1,024, two runs were stopped, so the true numbers are larger.

# %% tags=["fold", "nbval-ignore-output"]
# Table: speeds here, and pictures and updates to 86 %
rows = []
for size, speed in zip(sizes, speeds, strict=True):
    if size in mean_examples:
        needed, rate = round(mean_examples[size]), f"{rates[size]:g}"
        rows.append([size, round(float(speed)), needed, round(needed / size), rate])
heads = ["batch", "pictures/s here", "pictures to 86 %", "updates to 86 %", "rate"]
Table(rows, heads)

# %% [markdown]
# You can now find a good batch size for your machine and your network, compute large batches in little memory, and
# change the size during training.
#
# - **The machine** sets the lower limit: below the flat part of its speed curve, it partly idles. Memory is a wall, not
#   a goal.
# - **The noise** sets the upper limit: above the critical batch size, more pictures hardly save steps. The noise scale
#   estimates it in a second, to within an order of magnitude.
# - **Each size has its own learning rate**: proportional to the size well below the critical size, and bounded above
#   it.
# - **Accumulation** computes a large batch in little memory. It is exact if each micro-batch is weighted by its size
#   and no layer mixes the pictures of a batch.
# - **Sizes can change.** Growing ones save updates where the rate would otherwise decay. Random ones of the same mean
#   are noisier, and cost most of a point here.
# - **Random crops** mean two things: padded, they are an augmentation; without padding, they save time. In this short
#   training, both cost accuracy, and so does progressive resizing.
#
# **In practice.** For samplers, use `torch.utils.data.BatchSampler` or a class of your own. For micro-batches, use the
# `accumulate` options of Accelerate and Lightning; if the micro-batches differ in size, you must weight the loss
# yourself. For the largest batch, use Lightning's batch size finder and `torch.OutOfMemoryError`. Large language models
# increase their batches during training ([Brown et al. 2020](https://arxiv.org/abs/2005.14165)), and use the noise
# scale or short races to plan it.
#
# **Further reading.**
# [McCandlish et al., *An empirical model of large-batch training* (2018)](https://arxiv.org/abs/1812.06162) ·
# [Smith et al., *Don't decay the learning rate, increase the batch size* (2018)](https://arxiv.org/abs/1711.00489) ·
# [Goyal et al., *Accurate, large minibatch SGD* (2017)](https://arxiv.org/abs/1706.02677) ·
# [Shallue et al., *Measuring the effects of data parallelism on neural network training* (2019)](https://arxiv.org/abs/1811.03600) ·
# [Tan & Le, *EfficientNetV2* (2021)](https://arxiv.org/abs/2104.00298).
#
# **Next:** [05 Integers by hand](05_integers_by_hand.ipynb) replaces floats by integers.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
