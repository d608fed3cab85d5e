# %% [markdown]
# # Batch sizes: how many pictures a step
#
# A batch size is chosen in a second and paid for in every step. In this lesson you will
#
# - find out which size your machine wants, and stop before its memory ends;
# - see which size *learns* fastest, and measure the noise that decides it;
# - take a batch larger than the memory, exactly;
# - let the size change while training runs: at random, growing, by the noise, and with smaller pictures.
#
# It takes about three quarters of an hour and needs no other lesson.

# %%
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
from nnopt_lab.techniques.training import (
    accumulation,
    batch_samplers,
    batch_size_sweep,
    cropping,
    noise_scale,
)
from nnopt_lab.workbench import data, measure, models, plots, training

lesson("04_batch_sizes")

# %%
pictures = data.load("fashion")
count = len(pictures.train)
torch.manual_seed(0)
fresh, trained = models.MyNet(), models.trained("mynet")


def sgd(model, rate):
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)


# %% [markdown]
# ## 1. The idea in one picture
#
# The gradient of a batch is a mean over its pictures, and a guess at the mean over all pictures. Below it walks down
# a bowl whose samples pull in different directions: 30 steps each, from the cross to the plus in the middle.

# %%
generator = torch.Generator().manual_seed(3)
curvature = torch.tensor([1.0, 4.0])
centres = 1.5 * torch.randn(
    4096, 2, generator=generator
)  # sample i pulls to its own centre
centres -= centres.mean(0)


def bowl_gradient(w, positions):
    return curvature * (w - centres[positions].mean(0))


def walk(batch_size, steps=30, rate=0.12):
    path = [torch.tensor([-4.0, 2.5])]
    for _ in range(steps):
        positions = torch.randint(len(centres), (batch_size,), generator=generator)
        path.append(path[-1] - rate * bowl_gradient(path[-1], positions))
    return torch.stack(path)


walks = {size: walk(size) for size in (1, 8, 64)}
# %% tags=["fold"]
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
        colors="0.8",
        linewidths=0.8,
    )
    ax.plot(*path.T, "o-", color=color, markersize=2.5, linewidth=1)
    ax.plot(*path[0], "x", color="black")
    ax.plot(0, 0, "+", color="black", markersize=10)
    ax.set(title=f"batch {size}: {30 * size:,} samples used", xticks=[], yticks=[])
    ax.grid(False)
plots.finish(fig)

# %% [markdown]
# A batch of 64 goes down and then along the valley without detours. It uses 64 times the samples of a batch of 1, but
# does not get there 64 times sooner: both come to the middle, one to rest there nearly, the other to jump about. So
# there are two prices. A small batch pays in *steps*, a large one in *pictures*. Where the balance lies depends on the
# machine (section 2) and on the noise (sections 3 and 4).
#
# **Exercise (2 points).** Start with the bookkeeping: how many updates does a training make?


# %% exercise="batches.updates"
def updates(count, batch_size, epochs, drop_last):
    """Number of updates in `epochs` epochs over `count` samples; drop_last leaves out an epoch's smaller last batch."""
    ### BEGIN SOLUTION
    whole, rest = divmod(count, batch_size)
    return epochs * (whole + (rest > 0 and not drop_last))
    ### END SOLUTION


# %%
check("batches.updates", updates)

# %%
updates = yours_or_ours("batches.updates")
rests = {size: path[15:].square().sum(1).mean().sqrt() for size, path in walks.items()}
claim(
    "a batch of 1 jumps about at least 4 times as far from the middle as one of 64",
    rests[1] > 4 * rests[64],
)
claim(
    "the article's recipe, 8 epochs at batch 64, makes 2,256 updates",
    updates(count, 64, 8, False) == 2_256,
)
loader = data.loader(pictures.train, pictures, 64)
claim(
    "there are 268,650 weights and biases to update each time",
    measure.parameters(fresh).total == 268_650,
)
claim(
    "a loader counts the same: 282 batches an epoch",
    len(loader) == updates(count, 64, 1, False) == 282,
)

# %% [markdown]
# ## 2. What the machine wants
#
# The first advice of the article that this course grew out of is to choose the size from the hardware and the model. A
# step has costs that do not depend on the batch: starting each layer, waking the threads, updating 268,650 weights and
# biases. A larger batch shares them among more pictures. Guess: training on the same 128 pictures, how much faster is
# one step of 128 than 16 steps of 8?

# %%
predict("speed of one step of 128 pictures against 16 steps of 8", unit="×")

# %% tags=["nbval-ignore-output"]
labels = pictures.train.labels[:256]
inputs = pictures.to_input(pictures.train.images[:256])
worker = copy.deepcopy(fresh)
optimizer = sgd(worker, 1e-4)


def step(x):
    """One training step; it is timed inside inference mode, which has no gradients, so it leaves that mode."""
    with torch.inference_mode(False), torch.enable_grad():
        optimizer.zero_grad()
        nn.functional.cross_entropy(
            worker(x), labels.repeat(-(-len(x) // 256))[: len(x)]
        ).backward()
        optimizer.step()


some = inputs[:128]
timings = measure.latency(
    {"8": lambda x: [step(part) for part in some.split(8)], "128": step},
    some,
    rounds=10,
    budget_seconds=2,
)
speedup = measure.ratio(timings["8"], timings["128"])
reveal(
    "speed of one step of 128 pictures against 16 steps of 8",
    speedup.median,
    speedup.low,
    speedup.high,
    because="The multiplications are the same. What is saved is what each step costs whatever its size: starting each "
    "layer, waking the threads, and reading and writing every weight and its momentum.",
)

# %% [markdown]
# How far does that go? The sweep doubles the size until nothing is gained any more (three sizes less than 5 % above the
# best before them) or until the memory would not do. On a GPU, too large a batch raises an error, which the sweep
# catches. On a CPU the system may end the whole program instead, so the sweep never tries a size that could need more
# than half of what is free.

# %%
points, ended = batch_size_sweep.sweep(step, inputs, largest=2048, seconds=0.2)
sizes, speeds, needs = zip(*points, strict=True)


# %% tags=["fold"]
fig, (left, right) = plots.figure(ncols=2)
left.plot(sizes, speeds, "o-", color=plots.BLUE)
left.set(xlabel="batch size", title="pictures a second in training")
left.set_ylim(bottom=0)
right.plot(sizes, [need / 2**20 for need in needs], "o-", color=plots.ORANGE)
right.set(xlabel="batch size", title="MiB for one step, weights not counted")
plots.log_axis(left.xaxis, sizes[::2])
plots.log_axis(right.xaxis, sizes[::2])
plots.log_axis(right.yaxis, (1, 4, 16, 64, 256))
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
flat = next(
    size for size, speed in zip(sizes, speeds, strict=True) if speed > 0.9 * max(speeds)
)
print(
    f"The sweep ended at batch {sizes[-1]:,} ({ended}); from batch {flat} on you have nine tenths of the best speed."
)
print(f"Free memory: {measure.format_bytes(batch_size_sweep.available_memory())}")

# %% tags=["fold"]
claim(
    "one step of 128 is at least 1.2 times as fast as 16 steps of 8",
    speedup.median > 1.2,
    timing=True,
)
claim(
    "a single picture at a time is less than half as fast as the best",
    max(speeds) > 2 * speeds[0],
    timing=True,
)
tight, why = batch_size_sweep.sweep(step, inputs, limit_bytes=8 * 2**20, seconds=0.01)
claim(
    "with only 8 MiB allowed, the sweep ends for memory and nothing crashes",
    why == "memory",
)
claim(
    "and no size that it tried needed more than that",
    max(point.bytes for point in tight) <= 8 * 2**20,
)

# %% [markdown]
# Memory is a straight line (on the logarithmic axes above it bends where the fixed part ends to matter): a fixed part,
# and the same for each picture more (its activations are kept for the backward pass). Two small measurements foretell
# the rest.
#
# **Exercise (2 points).** The largest batch that fits. The numbers are such that the line goes through whole bytes.


# %% exercise="batches.largest_batch"
def largest_batch(size1, bytes1, size2, bytes2, limit):
    """Largest whole batch size that needs at most `limit` bytes, by the straight line through two measurements."""
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
foretold = largest_batch(128, memory[128], 256, memory[256], memory[1024])
claim(
    "from 128 and 256 pictures the line foretells 1,024 to within 2 %",
    abs(foretold - 1024) < 20,
)

# %% [markdown]
# So the machine has an answer: the smallest size on the flat part. That size wastes no speed, and beyond it there is
# nothing to win.
#
# ## 3. What learning wants
#
# Speed in pictures is not speed in learning. Let each batch size train until it is right on 86 % of the validation
# pictures. To be fair, each gets its own learning rate: three were tried with another seed, and the best one taken.
# Guess: how many times as many pictures does a batch of 1,024 need as a batch of 64?

# %%
predict("pictures that batch 1,024 needs to reach 86 %, against batch 64", unit="×")

# %% [markdown]
# Eight sizes with three seeds each, and the search for the rates, take up to twenty minutes. The result is recorded in
# `data/recorded/batch_size_race.json`; set `LIVE = True` to run this and the other two experiments of this lesson on
# your machine, or remake the file with `nnopt record batch_size_race`.

# %%
LIVE = False
race = recorded("batch_size_race", live=LIVE)["result"]
raced, rates = race["sizes"], dict(zip(race["sizes"], race["rates"], strict=True))
examples = {
    size: torch.tensor(row, dtype=torch.float)
    for size, row in zip(raced, race["examples"], strict=True)
}
mean_examples = {size: of.mean().item() for size, of in examples.items()}
more = examples[1024] / mean_examples[64]
reveal(
    "pictures that batch 1,024 needs to reach 86 %, against batch 64",
    more.mean(),
    more.min(),
    more.max(),
    because="Sixteen times the pictures make a step better, not sixteen times better: its direction is nearly right "
    "long before, and its length is bounded by the curvature of the loss. (The true factor is larger still: two of the "
    "three runs were given up at 150,000 pictures, and count as that.)",
)

# %% [markdown]
# McCandlish et al. (2018, section 2.3) describe the trade as a hyperbola between steps $S$ and pictures $E$. With huge
# batches one gets by with the fewest steps, $S_\text{min}$, with tiny ones with the fewest pictures, $E_\text{min}$:
#
# $$\left(\frac{S}{S_\text{min}} - 1\right)\left(\frac{E}{E_\text{min}} - 1\right) = 1,
# \qquad\text{that is}\qquad E = E_\text{min}\left(1 + \frac{B}{B_\text{crit}}\right).$$
#
# Far below the critical batch size $B_\text{crit} = E_\text{min}/S_\text{min}$ a larger batch saves steps at hardly any
# price. At $B_\text{crit}$ one needs twice the fewest pictures and twice the fewest steps. Far above it, ever more
# pictures save hardly a step.

# %%
batch, needed = torch.tensor(raced), torch.tensor(list(mean_examples.values()))
fits = []
for candidate in torch.logspace(4, 11, 300, base=2):
    logs = (
        needed.log() - (1 + batch / candidate).log()
    )  # log E_min, if the candidate were the critical size
    fits.append((logs.var().item(), candidate.item(), logs.mean().exp().item()))
_, critical, fewest = min(fits)

speed_at = dict(zip(sizes, speeds, strict=True))
seconds = {
    size: examples[size] / speed_at.get(size, speeds[-1]) for size in raced
}  # beyond the sweep it is flat
# %% tags=["fold"]
fig, (left, right) = plots.figure(ncols=2)
line = torch.logspace(2.7, 10.3, 50, base=2)
left.plot(
    fewest * (1 / line + 1 / critical),
    fewest * (1 + line / critical),
    color="0.6",
    label="hyperbola",
)
for size, mean_of in mean_examples.items():
    left.plot(examples[size] / size, examples[size], "o", color=plots.SKY, markersize=4)
    left.plot(mean_of / size, mean_of, "o", color=plots.BLUE, markersize=6)
    left.annotate(
        f"{size:,}",
        (mean_of / size, mean_of),
        xytext=(8, 5),
        textcoords="offset points",
        fontsize=9,
    )
left.set(xlabel="steps", ylabel="pictures", title="what 86 % takes, by batch size")
plots.log_axis(left.xaxis, (125, 500, 2000))
plots.log_axis(left.yaxis, (20_000, 40_000, 80_000, 160_000))
plots.band(
    right,
    raced,
    torch.stack(list(seconds.values())).T,
    "pictures / your speed",
    plots.ORANGE,
)
right.set(xlabel="batch size", title="seconds to 86 % on your machine")
right.set_ylim(bottom=0)
plots.log_axis(right.xaxis, raced)
plots.legend(fig)
plots.finish(fig)

# %% [markdown]
# Read the left picture from the right (small dots are single seeds; at 1,024 two were given up). From batch 8 to batch
# 64 the pictures needed stay the same, so nearly eight times fewer steps are a gift. Batch 256 pays with 1.6 times the
# pictures, batch 1,024 with more than 4 times. The hyperbola with a critical size of about 270 runs through all eight
# means within a tenth. The right picture joins this with *your* machine: the pictures needed, divided by the speeds of
# your sweep. Small batches lose because the machine idles; large ones would have to be as many times faster as they
# need more pictures. On two free cores a wide valley lies between them.

# %% tags=["nbval-ignore-output"]
first = min(seconds, key=lambda size: seconds[size].mean())
print(
    f"On your machine batch {first:,} gets there first, in about {seconds[first].mean():.0f} s of training."
)

# %% tags=["fold"]
claim(
    "from batch 8 to 64 the pictures needed differ by less than a tenth",
    max(needed[:4]) < 1.1 * min(needed[:4]),
)
saved = mean_examples[8] / 8 / (mean_examples[64] / 64)
claim("and the steps fall by a factor of more than 7", 7 < saved < 8)
claim(
    "batch 256 needs 1.6 times as many as batch 64",
    round(mean_examples[256] / mean_examples[64], 1) == 1.6,
)
claim(
    "batch 1,024 more than 4 times as many", mean_examples[1024] > 4 * mean_examples[64]
)
claim(
    "two of its three runs were given up",
    sum(race["reached"][-1]) == 1 and all(map(all, race["reached"][:-1])),
)
claim("the critical size is about 270", 250 < critical < 290)
fitted = fewest * (1 + batch / critical)
claim(
    "the hyperbola is off by at most a tenth",
    ((fitted / needed).log().abs() < 0.1).all(),
)

# %% [markdown]
# And the rates? From batch 8 to 64 the best of the rates tried grows with the batch, from 0.005 to 0.04: a less noisy
# direction may be trusted for a longer step. From there on none above 0.08 is best: now the curvature is the limit.
# "Twice the batch, twice the rate" (Goyal et al. 2017) is right well below the critical size and wrong above it.
#
# A small part of it on your machine: one pass over the same 6,000 pictures at three batch sizes.

# %%
claim(
    "from batch 8 to 64 the best rate grows eightfold too",
    rates[8] == 0.005 and rates[64] == 0.04,
)
claim(
    "above, it stays between 0.04 and 0.08",
    all(0.04 <= rates[size] <= 0.08 for size in raced[3:]),
)

third = pictures.train[:6_000]
passes = {}
for size in (32, 64, 1024):
    model = copy.deepcopy(fresh)
    passes[size] = training.fit(
        model,
        pictures,
        epochs=1,
        batch_size=size,
        train=third,
        optimizer=sgd(model, rates[size]),
        seed=1,
    )
after_one = {size: run.validation_accuracy[-1] for size, run in passes.items()}
claim(
    "after one pass, batch 64 is more than 5 points ahead of batch 1,024",
    after_one[64] > after_one[1024] + 5,
)
claim(
    "batch 32, with twice the steps of batch 64, is less than 5 points ahead",
    after_one[32] < after_one[64] + 5,
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
# A race is expensive. McCandlish et al. propose a number that is measured in a second. If $G$ is the true gradient and
# $\Sigma$ the covariance of single pictures' gradients, then its trace $\operatorname{tr}\Sigma$ is the variance of all
# the gradient's components together, and the gradient of $B$ pictures has on average
#
# $$\mathbb{E}\,|G_B|^2 = |G|^2 + \frac{\operatorname{tr}\Sigma}{B},\qquad
# \mathcal{B}_\text{simple} = \frac{\operatorname{tr}\Sigma}{|G|^2}.$$
#
# At $B = \mathcal{B}_\text{simple}$ signal and noise are equally strong. Neither is seen directly, but two batch sizes
# give two equations (their appendix A.1).
#
# **Exercise (3 points).** Solve them.


# %% exercise="batches.simple_noise_scale"
def simple_noise_scale(small, big, small_norm, big_norm):
    """tr Σ / |G|², a float, from two batch sizes and the norms |G_B| (not squared) of their gradients."""
    ### BEGIN SOLUTION
    noise = (small_norm**2 - big_norm**2) / (1 / small - 1 / big)
    signal = (big * big_norm**2 - small * small_norm**2) / (big - small)
    return noise / signal
    ### END SOLUTION


# %%
check("batches.simple_noise_scale", simple_noise_scale)

# %% [markdown]
# Does it find the truth where we know it? In the bowl of section 1 we do: at $w$ the mean gradient is
# $H(w - \bar c)$, and sample $i$ deviates from it by $H(c_i - \bar c)$, where $H$ multiplies by the curvatures 1 and 4,
# $c_i$ is what sample $i$ pulls to, and $\bar c$ the mean of these centres.

# %%
simple_noise_scale = yours_or_ours("batches.simple_noise_scale")
w = torch.tensor([-4.0, 2.5])
signal = bowl_gradient(w, slice(None)).square().sum()
noise = (curvature * centres).square().sum(1).mean()
estimate = noise_scale.measured(
    lambda i: bowl_gradient(w, i), 4096, small=2, parts=8, draws=1000
)
claim("|G|² is found to within 5 %", abs(estimate.signal / signal - 1) < 0.05)
claim("tr Σ is found to within 5 %", abs(estimate.noise / noise - 1) < 0.05)
a, b = (signal + noise / 2).sqrt().item(), (signal + noise / 16).sqrt().item()
claim(
    "your formula gives their ratio exactly",
    abs(simple_noise_scale(2, 16, a, b) - noise / signal) < 1e-3,
)

# %% [markdown]
# Now the network. What happens to the noise scale as it learns? Guess the ratio, after training to before.

# %%
predict("noise scale of the trained network, against the untrained one", unit="×")

# %% tags=["nbval-ignore-output"]


def scales(model):
    gradient = noise_scale.gradient_of(model, pictures)
    return torch.tensor(
        [
            noise_scale.measured(gradient, count, draws=4, seed=seed).simple
            for seed in range(3)
        ]
    )


before, after = scales(fresh), scales(trained)
growth = after.mean() / before.mean()
print(f"untrained: {before.mean():.0f} pictures; trained: {after.mean():.0f} pictures")
reveal(
    "noise scale of the trained network, against the untrained one",
    growth,
    after.min() / before.max(),
    after.max() / before.min(),
    because="At first all pictures say the same: learn these ten classes. Later most are right and ask for little, and "
    "the hard ones pull in different directions: the true gradient has shrunk, and the noise has not.",
)

# %% tags=["fold"]
at_target = torch.tensor(race["noise_scale"])
claim("training makes the noise scale more than twice as large", growth > 2)
claim(
    "at 86 % its median over the race is between 300 and 400",
    300 < at_target.median() < 400,
)
claim(
    "at 86 % its median over the race is within a factor of 2 of 270",
    270 / 2 < at_target.median() < 270 * 2,
)
claim(
    "but single measurements there spread more than tenfold",
    at_target.max() > 10 * at_target.min(),
)

# %% [markdown]
# In the race it was measured too, for each run when it reached 86 %. Its median is near 350 pictures, and the critical
# size that the race itself found was about 270. So a second of measuring comes near what twenty minutes of racing
# found, and that is all one should ask: it gives the order of magnitude. Single measurements spread more than tenfold,
# since the true gradient is a small difference of large norms; average several. And the scale grows as the network
# learns, so a size that is right at the end is too large at the beginning. Section 7 makes use of that.
#
# ## 5. A batch larger than the memory
#
# The gradient of a batch is a mean, so it can be summed up in pieces: *micro-batches* go through forward and backward
# one after the other, their gradients add up, and only then the optimizer steps. The memory is that of a micro-batch,
# the step that of the whole. The pitfall is in the word mean.
#
# **Exercise (2 points).** Put the mean gradients of unequal micro-batches together.


# %% exercise="batches.accumulate"
def accumulate(gradients, sizes):
    """The batch's mean gradient. gradients: list of float [P], means over sizes[i] pictures; sizes: list of int."""
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
# `accumulation.Accumulate` wraps any optimizer and does this inside the course's loop. Here the same pictures in the same
# order, once in batches of 256 and once in micro-batches of 96, 32 and 128:

# %%
accumulate = yours_or_ours("batches.accumulate")
part = pictures.train[:4_096]
whole = list(batch_samplers.EpochBatches(len(part), lambda epoch: 256, seed=1))
cut = [piece for batch in whole for piece in (batch[:96], batch[96:128], batch[128:])]
nets = {name: copy.deepcopy(fresh) for name in ("batch of 256", "micro-batches")}
in_one = training.fit(
    nets["batch of 256"],
    pictures,
    epochs=1,
    train=part,
    batches=whole,
    optimizer=sgd(nets["batch of 256"], 0.01),
)
accumulated = accumulation.Accumulate(sgd(nets["micro-batches"], 0.01), every=3)
in_pieces = training.fit(
    nets["micro-batches"],
    pictures,
    epochs=1,
    train=part,
    batches=cut,
    optimizer=accumulated,
    loss=accumulated.weighted(nn.functional.cross_entropy),
)


def furthest(one, other):
    return max(
        (p - q).abs().max().item()
        for p, q in zip(one.parameters(), other.parameters(), strict=True)
    )


moved, apart = furthest(fresh, nets["batch of 256"]), furthest(*nets.values())
claim("after 16 steps every weight is the same to 1e-4", apart < 1e-4)
claim("while training has moved some weight by more than 100 times that", moved > 1e-2)
claim(
    "the losses agree to 1e-4 too",
    abs(in_one.train_loss[-1] - in_pieces.train_loss[-1]) < 1e-4,
)

gradient = noise_scale.gradient_of(fresh, pictures)
pieces = [torch.tensor(piece) for piece in cut[:3]]
by_hand = accumulate(
    [gradient(piece) for piece in pieces], [len(piece) for piece in pieces]
)
means = sum(gradient(piece) for piece in pieces) / 3
exact = gradient(torch.tensor(whole[0]))
claim(
    "your weights give the gradient of the batch to 1e-5",
    torch.allclose(by_hand, exact, atol=1e-5),
)
off = ((means - exact).norm() / exact.norm()).item()
claim("the mean of means is off by more than 5 %", off > 0.05)
claim(
    "a micro-batch of 64 needs less than 0.3 of the memory of 256",
    measure.peak_memory(step, inputs[:64]) < 0.3 * memory[256],
)

# %% [markdown]
# The price is time: micro-batches run at the speed of micro-batches. And one kind of layer is not fooled: batch norm
# looks at the pictures that come together.

# %% question="batches.batch_norm"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("batches.batch_norm", choice)

# %%
teacher = models.trained("teacher").train()
gradient = noise_scale.gradient_of(teacher, pictures)
exact, pieces = (
    gradient(torch.arange(64)),
    [gradient(piece) for piece in torch.arange(64).split(16)],
)
off = ((accumulate(pieces, [16] * 4) - exact).norm() / exact.norm()).item()
claim("with batch norms, the accumulated gradient is off by more than 5 %", off > 0.05)

# %% [markdown]
# ## 6. Random sizes
#
# The article's second advice is to let the size change. Its first policy is a random batch size. In torch that is a
# *batch sampler*: something that yields lists of positions, for any `DataLoader`. It must keep every promise of the
# plain one: each picture exactly once an epoch, the same again with the same seed, and a `len` that is right, because
# schedules are planned with it.
#
# Drawing sizes until the pictures run out breaks the bounds in the last batch, and leaves `len` open. So the number of
# batches is fixed first, and each drawn size is kept only as far as the rest can still be cut.
#
# **Exercise (3 points).** Look ahead. Keep each drawn size if the batches after it can still take what is left, each
# between `low` and `high`; else move it to the nearest size that allows it. (The inputs always can be cut.)


# %% exercise="batches.fit_sizes"
def fit_sizes(count, drawn, low, high):
    """Sizes that add up to count, from left to right as drawn wherever possible. drawn: list of int → list of int."""
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
fig, (left, right) = plots.figure(ncols=2)
left.plot(random_sizes.sizes(0), ".", color=plots.BLUE, markersize=4)
left.set(
    xlabel="batch", ylabel="pictures", title="one epoch of random sizes", ylim=(0, 120)
)
right.hist(
    [random_sizes.sizes(epoch) for epoch in range(3)],
    bins=range(16, 114, 8),
    color=plots.PALETTE[:3],
)
right.set(xlabel="size", ylabel="batches", title="sizes of three epochs")
plots.finish(fig)

# %%
drawn = torch.randint(
    16, 113, (281,), generator=torch.Generator().manual_seed(0)
).tolist()
yours = fit_sizes(count, drawn, 16, 112)
claim("your sizes add up to all 18,000 pictures", sum(yours) == count)
kept = sum(a == b for a, b in zip(yours, drawn, strict=True))
claim("more than nine tenths of them are as drawn", kept > 0.9 * 281)

loader = DataLoader(
    TensorDataset(torch.arange(count)), batch_sampler=random_sizes, num_workers=2
)
promised, epoch = len(loader), [batch for (batch,) in loader]
claim(
    "a DataLoader with two workers gives as many batches as `len` promised: 281",
    len(epoch) == promised == 281,
)
claim(
    "every picture came exactly once",
    torch.equal(torch.cat(epoch).sort().values, torch.arange(count)),
)
claim(
    "every size lies between 16 and 112",
    all(16 <= len(batch) <= 112 for batch in epoch),
)

# %% [markdown]
# Does it help? One reads that random sizes regularise. Six epochs of `MyNet` at rate 0.04, five seeds, once with 64
# pictures in every batch and once with 16 to 112 (recorded, with the next section up to twenty minutes:
# `nnopt record batch_policies`). Guess the gain in test accuracy; a loss is negative.

# %%
predict("accuracy gained by random sizes of the same mean", unit="points")

# %%
policies = recorded("batch_policies", live=LIVE)["result"]
accuracy = {name: torch.tensor(values) for name, values in policies["accuracy"].items()}
mean = {name: values.mean().item() for name, values in accuracy.items()}
gained = accuracy["random sizes"] - accuracy["constant"]  # pairs: the same seed
reach = 2.776 * gained.std() / len(gained) ** 0.5  # Student's t for 5 pairs, 95 %
reveal(
    "accuracy gained by random sizes of the same mean",
    gained.mean(),
    gained.mean() - reach,
    gained.mean() + reach,
    because="The noise of a step goes with 1/B, and the mean of 1/B is larger than 1 over the mean of B: a few small "
    "batches add more noise than the large ones take away.",
)

# %% [markdown]
# With every seed random sizes did worse, by about 0.9 points. That is no accident of the draw: what counts for the
# noise is the mean of $1/B$, and for sizes from 16 to 112 it is that of a fixed batch of about 49. At this rate, which
# is high for the end of a training (the next section lowers it and gains 2 points), more noise costs accuracy. Whether
# the difference would be gone with 49 fixed pictures, or at a lower rate, was not measured here. So random sizes are no
# free regulariser. They have their uses where samples differ in length and a batch takes as many as fit; then they
# should keep their bounds and their `len`, which is what this section was about.

# %% tags=["fold"]
claim("random sizes did worse with every one of the five seeds", (gained < 0).all())
claim(
    "by about 0.9 points, and the interval excludes 0",
    round(-gained.mean().item(), 1) == 0.9 and reach < 0.9,
)
of_epoch = torch.tensor(random_sizes.sizes(0), dtype=torch.float)
claim("their mean size is 64", round(of_epoch.mean().item()) == 64)
harmonic = 97 / (1 / torch.arange(16, 113)).sum().item()
claim("the mean of 1/B is that of a fixed batch of about 49", abs(harmonic - 49) < 1)
claim(
    "and in the epoch drawn here too, within 3",
    abs(1 / (1 / of_epoch).mean().item() - 49) < 3,
)

# %% [markdown]
# ## 7. Sizes that grow
#
# Near the end of a training, the noise is what keeps the loss up: the jumping about of section 1. The usual cure is to
# lower the learning rate. Smith et al. (2018) come from the other side: they keep the rate and grow the batch. In their
# picture the noise of the steps is about $\varepsilon N / B$ (rate times training pictures over batch size), so
# dividing the rate by 4 and multiplying the batch by 4 quieten it alike. But the second makes fewer updates. A third
# way lets the measurement of section 4 choose the size at the start of each epoch.
#
# A short form on your machine first: three passes over 6,000 pictures, the rate divided by 4 after each one or the
# batch multiplied.


# %%
def train_short(batches, decay):
    model = copy.deepcopy(fresh)
    training.fit(
        model,
        pictures,
        epochs=3,
        train=third,
        batches=batches,
        optimizer=sgd(model, 0.04),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(
            optimizer, 1, gamma=decay
        ),
        schedule_per="epoch",
        seed=1,
    )
    return training.evaluate(model, pictures.validation, pictures)


fixed = batch_samplers.EpochBatches(len(third), lambda epoch: 64, seed=1)
growing = batch_samplers.EpochBatches(len(third), lambda epoch: 64 * 4**epoch, seed=1)
made = {
    name: sum(len(b.sizes(epoch)) for epoch in range(3))
    for name, b in (("fixed", fixed), ("growing", growing))
}
decayed, grown = train_short(fixed, 0.25), train_short(growing, 1.0)
difference = measure.proportion_difference(decayed.correct, grown.correct)
claim(
    "the falling rate makes 282 updates, the growing batch 124",
    (made["fixed"], made["growing"]) == (282, 124),
)
claim(
    "and they end within 5 points of each other on the validation pictures",
    abs(difference.estimate) < 5,
)

# %% [markdown]
# And in full: six epochs from rate 0.04 and batch 64. After three epochs and again after five, the rate is divided by
# 4, or the batch multiplied by 4; "noise scale" takes the measured scale as the size, between 32 and 1,024.

# %% tags=["fold"]
fig, (left, right) = plots.figure(ncols=2, sharey=True)
plots.seeds(left, accuracy)
plots.bars(
    right,
    {name: sum(policies["updates"][name]) / len(accuracy[name]) for name in accuracy},
)
left.set(xlabel="test accuracy, % (one dot per seed, line: mean)")
right.set(xlabel="updates in six epochs")
plots.finish(fig)

# %% [markdown]
# The falling rate and the growing batch both end about 2 points above constant settings (three seeds here, five there):
# it is the noise that had to go, and both ways take it away. The growing batch does so with 1,006 updates for 1,692,
# and ends 0.2 points lower; with three seeds that is a hint, not a proof. The noise scale chooses sizes by itself,
# small at first and near 1,024 later, and makes about a third of the updates. It ends less than a point above the
# constant size: it does not lower the noise far enough at the end, and each choice rests on one measurement that
# scatters. What fewer updates are worth depends on the machine: on many GPUs nearly everything; on two cores no more
# than what your sweep in section 2 says that a larger batch shortens an epoch.

# %% tags=["fold"]
claim(
    "lowering the rate gains about 2 points over constant settings",
    1.7 < mean["decaying rate"] - mean["constant"] < 2.7,
)
claim("growing the batch too", 1.4 < mean["growing batches"] - mean["constant"] < 2.4)
apart = mean["decaying rate"] - mean["growing batches"]
claim("the two end 0.2 points apart", round(apart, 1) == 0.2)
claim(
    "with 1,692 and 1,006 updates",
    policies["updates"]["decaying rate"][0] == 1_692
    and policies["updates"]["growing batches"][0] == 1_006,
)
by_noise = sum(policies["updates"]["noise scale"]) / 3
claim(
    "the noise scale makes about a third of the updates", 0.25 < by_noise / 1_692 < 0.42
)
claim(
    "and ends less than a point above the constant size",
    0 < mean["noise scale"] - mean["constant"] < 1,
)
chosen = torch.tensor(policies["chosen"])
claim(
    "its first sizes are below 100, its largest above 900",
    (chosen[:, 0] < 100).all() and (chosen.max(1).values > 900).all(),
)

# %% [markdown]
# ## 8. Random crops
#
# The article's other dynamic policy, random-crop batches, can be read in two ways. (a) An *augmentation*: each batch
# draws a crop size, each picture a place, and zeros are put around the crop, so that the network sees pictures of the
# old size. (b) Really *smaller pictures*, batch by batch: cheaper, but only for networks that take any size.
#
# **Exercise (3 points).** The crop itself.


# %% exercise="batches.crop_batch"
def crop_batch(images, top, left, size):
    """The size×size square of each picture. images [B, C, H, W], top and left int64 [B] → [B, C, size, size]."""
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
claim(
    "yours and the library's crops agree",
    torch.equal(
        crop_batch(originals, corners, corners, 20),
        cropping.crop(originals, corners, corners, 20),
    ),
)
crops = cropping.RandomCrops(18, 24, seed=1)
plots.pictures(torch.cat([originals, crops(originals), crops(originals)]))

# %% [markdown]
# Above, eight pictures and two random-crop batches of them in reading (a): the size changes from batch to batch, the
# place from picture to picture. For reading (b), `cropping.SmallerPictures` wraps any loader and passes its pictures
# through crops without the zeros or, for *progressive resizing*, through torchvision's `Resize`: small in the first
# epochs, full at the end (Tan & Le 2021). The network for it ends in a global mean instead of a fixed number of inputs:

# %%
net = any_size_net()
net

# %% [markdown]
# A picture of 16×16 has a quarter of the pixels of one of 32×32. How much faster is a training step?

# %%
predict("speed of training on 16×16 pictures against 32×32", unit="×")

# %% tags=["nbval-ignore-output"]
net_optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)


def net_step(x):
    with torch.inference_mode(False), torch.enable_grad():
        net.train()
        net_optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), labels[: len(x)]).backward()
        net_optimizer.step()


full = inputs[:64]
resized = {
    pixels: nn.functional.interpolate(
        full, size=(pixels, pixels), mode="bilinear", antialias=True
    )
    for pixels in (16, 20, 24, 28, 32)
}
timings = measure.latency(
    {
        pixels: lambda x, smaller=smaller: net_step(smaller)
        for pixels, smaller in resized.items()
    },
    full,
    rounds=10,
    budget_seconds=2,
)
quicker = measure.ratio(timings[32], timings[16])
reveal(
    "speed of training on 16×16 pictures against 32×32",
    quicker.median,
    quicker.low,
    quicker.high,
    because="The layers' work falls with the pixels, but starting each layer and updating the weights cost the same as "
    "before. With larger batches or larger networks the factor comes nearer to 4.",
)

# %%
with torch.inference_mode():
    shapes = [
        tuple(net.eval()(inputs[:2, :, :size, :size]).shape) for size in (8, 16, 23, 32)
    ]
claim("the network takes 8, 16, 23 and 32 pixels", set(shapes) == {(2, 10)})
claim(
    "a quarter of the pixels trains at least 1.3 times as fast",
    quicker.median > 1.3,
    timing=True,
)
claim("but not 6 times", quicker.median < 6, timing=True)

# %% [markdown]
# What does it do to accuracy? Four ways of training that network for four epochs, three seeds, always tested on full
# pictures (recorded, about six minutes: `nnopt record batch_crops`). Crops with zeros are cut to 20 to 28 pixels,
# smaller crops to 16 to 32; progressive resizing goes 16, 20, 24, 32. The times on the right are from your machine.

# %%
cropped = recorded("batch_crops", live=LIVE)["result"]["accuracy"]
share = {
    pixels: 1 / measure.ratio(timings[32], timings[pixels]).median for pixels in timings
}
time_of = {
    "full pictures": 1,
    "crops, padded back": 1,  # besides the cropping itself
    "smaller crops": sum(share.values()) / len(share),
    "progressive resizing": (share[16] + share[20] + share[24] + share[32]) / 4,
}

# %% tags=["fold"]
fig, (left, right) = plots.figure(ncols=2, sharey=True)
plots.seeds(left, cropped)
plots.bars(right, {way: time_of[way] for way in cropped}, reference=1)
left.set(xlabel="test accuracy, % (one dot per seed, line: mean)")
right.set(xlabel="time of a training, × full pictures")
plots.finish(fig)

# %% [markdown]
# Here nothing beats full pictures. Crops with zeros, an augmentation, save no time and cost almost 3 points: in four
# epochs this network has not begun to learn its pictures by heart, so there is nothing to prevent yet, and what was cut
# away is missed. Smaller crops are cheaper and cost almost 7: the network learns on parts of things and is tested on
# whole ones. Progressive resizing saves about as much time, shows the whole thing in every picture, ends at full size,
# and costs 3 points. It may earn them back with the time that it saves; that was not measured here. The papers that
# gain by such methods train for many more epochs.

# %% tags=["fold"]
crop_mean = {way: sum(values) / len(values) for way, values in cropped.items()}
cost = {way: crop_mean["full pictures"] - value for way, value in crop_mean.items()}
claim("crops with zeros cost 2.5 to 3 points", 2.5 < cost["crops, padded back"] < 3)
claim("smaller crops cost 6.5 to 7", 6.5 < cost["smaller crops"] < 7)
claim(
    "progressive resizing costs 2.75 to 3.25",
    2.75 < cost["progressive resizing"] < 3.25,
)
claim(
    "every seed of them is below every seed with full pictures",
    min(cropped["full pictures"]) > max(max(cropped[way]) for way in cost if cost[way]),
)
claim(
    "both kinds of smaller pictures save more than a tenth of the time here",
    max(time_of["smaller crops"], time_of["progressive resizing"]) < 0.9,
    timing=True,
)

# %% [markdown]
# ## 9. Playground
#
# Move the batch size and change the network. Where does the gradient begin to point in the right direction, and where
# does the speed stop growing?

# %%
batch_playground({"untrained": fresh, "trained": trained}, pictures)

# %% [markdown]
# ## Summary

# %% tags=["nbval-ignore-output"]
print(
    f"{'batch':>6} {'pictures/s here':>16} {'pictures to 86 %':>17} {'updates to 86 %':>16} {'rate':>7}"
)
for size, speed in zip(sizes, speeds, strict=True):
    if size in mean_examples:
        needed = mean_examples[size]
        print(
            f"{size:>6} {speed:>16,.0f} {needed:>17,.0f} {needed / size:>16,.0f} {rates[size]:>7g}"
        )

# %% [markdown]
# - **The machine** sets the lower end: below the flat part of the throughput it idles. Memory is a wall, not a goal.
# - **The noise** sets the upper end: beyond the critical batch size more pictures hardly save steps. The noise scale
#   estimates it in a second, to within its order of magnitude.
# - **Each size has its own rate.** Proportional to the size well below the critical size, bounded above it.
# - **Accumulation** makes a large batch in small memory: exact, if each micro-batch counts by its size and no layer
#   looks across the batch.
# - **Sizes may change**: growing ones save updates where the rate would fall. Random ones of the same mean
#   are noisier, and cost most of a point here.
# - **Random crops** are two things: with zeros around them an augmentation, without zeros a saving of time. In a short
#   training both cost accuracy, and so did progressive resizing.
#
# **What practice uses today.** `torch.utils.data.BatchSampler` and its relatives for samplers; Accelerate's and
# Lightning's `accumulate` options, whose loss must be weighted by the caller where micro-batches differ; Lightning's
# batch size finder and `torch.cuda.OutOfMemoryError` for the largest batch; large language models grow their batches
# during training (Brown et al. 2020) and use the noise scale, or short races, to plan it.
#
# **Further reading.** McCandlish et al., *An empirical model of large-batch training* (2018) · Smith et al., *Don't
# decay the learning rate, increase the batch size* (2018) · Goyal et al., *Accurate, large minibatch SGD* (2017) ·
# Shallue et al., *Measuring the effects of data parallelism on neural network training* (2019) · Tan & Le,
# *EfficientNetV2* (2021).
#
# Your guesses of the whole course so far, against what your machine measured:

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
