# %% [markdown]
# # Parallelism: threads, workers, processes
#
# A computer has several cores, and a training may have several computers. This lesson puts them to work, and measures
# each time what that gains and what it costs. You will
#
# - sweep the number of threads, find the share of a network that cannot be divided, and see what more threads than cores do;
# - serve several requests at once, and let other processes read pictures while the network computes;
# - train one network in two processes, get the gradient of one, and find out whether it is faster;
# - kill one of the two in the middle of its work, and lose nothing;
# - split what a process holds in half, and see when networks need to be cut in which way.
#
# It takes about an hour. Nothing is needed from the lessons before. For the article, "parallel" is the line that moves
# the model to the first GPU; that line is in section 8.
#
# Some words: a **thread** shares the memory of its process; a **process** shares nothing with others but what is sent.
# A **core** runs one thread at a time. **torchrun** is PyTorch's program that starts the processes of a training; in it
# each has a **rank**, its number from 0. **DDP** (DistributedDataParallel) and **FSDP** (fully sharded data parallel)
# are PyTorch's two ways of training one network in several processes. **gloo** and **NCCL** carry what they send,
# between processors and between NVIDIA's GPUs.

# %%
import copy
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from IPython.display import display
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    SequentialSampler,
)

from nnopt_lab.course.calls import (
    check,
    claim,
    hint,
    lesson,
    needs,
    question,
    yours_or_ours,
)
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.parallelism import experiments
from nnopt_lab.lessons.parallelism.photographs import Photographs
from nnopt_lab.lessons.parallelism.playground import scaling_playground
from nnopt_lab.techniques.parallelism import amdahl, launching
from nnopt_lab.workbench import data, measure, models, plots, training

lesson("10_parallelism")

# %%
cores = measure.machine().cores
pictures = data.load("fashion")
net = models.trained("mynet")
batch = pictures.to_input(pictures.test.images[:128])

# %% [markdown]
# ## 1. Threads inside an operator
#
# torch cuts a large operator (a convolution, a product) into pieces and gives each of its threads one. That is
# *intra-op* parallelism; it is on by default, with as many threads as there are cores. `torch.set_num_threads` changes it.
#
# How many times as fast is `MyNet` with two threads as with one, for 128 pictures?

# %%
predict("two threads against one, batch 128", unit="×")


# %%
def on_threads(model, count):
    """The model, called with `count` threads."""

    def run(x):
        torch.set_num_threads(count)
        return model(x)

    return run


counts = sorted({1, 2, cores, 2 * cores})
sizes = (1, 16, 128)
swept = {
    size: measure.latency(
        {n: on_threads(net, n) for n in counts},
        batch[:size],
        rounds=12,
        budget_seconds=0.5,
    )
    for size in sizes
}
gains = {
    size: {n: measure.ratio(timings[1], timings[n]) for n in counts}
    for size, timings in swept.items()
}
torch.set_num_threads(cores)

fig, ax = plots.figure()
for size, color in zip(sizes, plots.PALETTE, strict=False):
    ends = [
        [g.median - g.low for g in gains[size].values()],
        [g.high - g.median for g in gains[size].values()],
    ]
    middle = [g.median for g in gains[size].values()]
    ax.errorbar(
        counts,
        middle,
        yerr=ends,
        fmt="o-",
        color=color,
        capsize=3,
        label=f"batch {size}",
    )
up_to = [n for n in counts if n <= cores]
ax.plot(up_to, up_to, "--", color=plots.REFERENCE, linewidth=1, label="ideal")
ax.axvline(cores, color=plots.REFERENCE, linewidth=0.8, linestyle=":")
ax.annotate(
    " cores", (cores, 1.02), xycoords=("data", "axes fraction"), color=plots.REFERENCE
)
ax.set(xlabel="threads", ylabel="times as fast as one thread", ylim=(0, None))
ax.set_xticks(counts, counts)
ax.legend()
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
two = gains[128][2]
reveal(
    "two threads against one, batch 128",
    two.median,
    two.low,
    two.high,
    because="Not all of a network is divided: each operator starts on one thread, waits for its slowest piece, and the two "
    "share caches and memory.",
)


# %%
def best(slow, fast):
    """How many times as fast in the best of the rounds: what the machine can do when nothing else runs on it."""
    return min(slow.samples) / min(fast.samples)


two_free = needs("two free cores")
claim(
    "two threads gain at least a tenth at batch 128, in the best rounds",
    best(swept[128][1], swept[128][2]) > 1.1,
    where=two_free,
    timing=True,
)
claim(
    "they gain less than 2.5 times",
    best(swept[128][1], swept[128][2]) < 2.5,
    timing=True,
)
claim(
    "and twice as many threads as cores gain less than a third more than one a core",
    best(swept[128][cores], swept[128][2 * cores]) < 1.33,
    where=two_free,
    timing=True,
)

# %% [markdown]
# Let $s$ be the share of the time on one thread that is *serial*: that no second thread can take over. Then $n$ threads
# take, as a share of the time of one,
#
# $$\frac{t_n}{t_1} = s + \frac{1 - s}{n}.$$
#
# That is Amdahl's law (1967). It says that $n$ threads can never gain more than $1/s$. One can also read it backwards:
#
# **Exercise (3 points).** From two measured times, the serial share.


# %% exercise="parallel.serial_share"
def serial_share(one, many, threads):
    """The share s of Amdahl's law, a float. one, many: time with 1 thread and with `threads` (at least 2)."""
    ### BEGIN SOLUTION
    return (many / one - 1 / threads) / (1 - 1 / threads)
    ### END SOLUTION


# %%
check("parallel.serial_share", serial_share)

# %% [markdown]
# From one measurement follows what a machine with more cores would do. Here is that law, drawn through the two times
# measured above, and next to it what your machine really does.

# %%
serial_share = yours_or_ours("parallel.serial_share")
at = max(2, cores)
shares = {
    size: min(
        1.0, max(0.0, serial_share(swept[size][1].median, swept[size][at].median, at))
    )
    for size in sizes
}
fig, (left, right) = plots.figure(ncols=2)
many = [2**p for p in range(7)]
for size, color in zip(sizes, plots.PALETTE, strict=False):
    left.plot(
        many,
        [amdahl.speedup(n, shares[size]) for n in many],
        color=color,
        label=f"batch {size}",
    )
    left.plot(up_to, [gains[size][n].median for n in up_to], "o", color=color)
    right.plot(
        counts,
        [100 * gains[size][n].median / min(n, cores) for n in counts],
        "o-",
        color=color,
    )
left.plot(many, many, "--", color=plots.REFERENCE, linewidth=1, label="ideal")
left.set(
    xscale="log",
    yscale="log",
    xlabel="cores",
    title="times as fast: measured (dots) and Amdahl",
    ylim=(0.5, 64),
)
left.set_xticks(many, many)
left.set_yticks(many, many)
left.minorticks_off()
left.legend()
right.set(xlabel="threads", title="gain for each core in use, %", ylim=(0, None))
right.set_xticks(counts, counts)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
for size, share in shares.items():
    limit = (
        f"at most {1 / max(share, 1e-3):,.1f}× with any number"
        if share < 1
        else "no gain with any number"
    )
    print(f"batch {size:3}: serial share {share:.2f}, so {limit}")

# %% [markdown]
# Two things make the share large. *Little work in an operator*: below 32,768 numbers torch doesn't divide an
# element-wise operator at all, for waking another thread takes about as long as the work. *Work that waits for the
# memory*, of which a second core brings no more. And where there are more threads than cores, they take turns; an
# operator ends when the last one has had its turn.
#
# (The law is a model. Where the second thread made it slower the formula gives a share above 1; above it is taken as 1.
# The share that it finds is not the same for each number of threads, since each thread also has a price of its own. The
# playground in section 9 has one.)
#
# ## 2. Several requests at once
#
# Threads inside an operator make one answer come earlier. When many requests wait, their *number a second* counts, and
# for that there is another way of using cores: several requests side by side, one thread each. torch lets go of
# Python's global lock while it computes, so plain Python threads do. (torch also has an *inter-op* pool for branches of
# a compiled graph, `torch.set_num_interop_threads`; ordinary models don't use it.)
#
# Eight requests wait, of 16 pictures each. How many times as fast are they done two at a time with one thread each, as
# one after the other with two threads?

# %%
predict("two requests at a time against one after the other", unit="×")

# %%
requests = batch.split(16)


def answer(threads):
    """A function that answers one request with `threads` threads, in whatever Python thread it runs."""

    def one(request):
        torch.set_num_threads(threads)
        with torch.inference_mode():
            return net(request)

    return one


with ThreadPoolExecutor(2) as pool:
    ways = {
        "one at a time, 1 thread": lambda _: [answer(1)(r) for r in requests],
        "one at a time, 2 threads": lambda _: [answer(2)(r) for r in requests],
        "two at a time, 1 thread each": lambda _: list(pool.map(answer(1), requests)),
        "two at a time, 2 threads each": lambda _: list(pool.map(answer(2), requests)),
    }
    served = measure.latency(ways, batch, rounds=12, budget_seconds=1.2)
torch.set_num_threads(cores)
at_once = {
    name: measure.ratio(served["one at a time, 1 thread"], timing)
    for name, timing in served.items()
}

fig, ax = plots.figure(figsize=(8, 2.4))
ends = [
    [g.median - g.low for g in at_once.values()],
    [g.high - g.median for g in at_once.values()],
]
ax.barh(
    list(at_once),
    [g.median for g in at_once.values()],
    xerr=ends,
    color=plots.BLUE,
    height=0.6,
)
ax.axvline(1, color=plots.REFERENCE, linewidth=0.8)
ax.invert_yaxis()
ax.set(xlabel="requests a second, times those of one thread")
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
side_by_side = measure.ratio(
    served["one at a time, 2 threads"], served["two at a time, 1 thread each"]
)
reveal(
    "two requests at a time against one after the other",
    side_by_side.median,
    side_by_side.low,
    side_by_side.high,
    because="Requests need nothing of each other: no operator is cut, no thread waits for another. What is left in common is "
    "Python's lock, between the operators, and the memory.",
)

# %%
two_free = needs("two free cores")
claim(
    "two at a time do at least a tenth more than one thread alone, in the best rounds",
    best(served["one at a time, 1 thread"], served["two at a time, 1 thread each"])
    > 1.1,
    where=two_free,
    timing=True,
)
claim(
    "and are not more than a quarter slower than one at a time on two threads",
    best(served["one at a time, 2 threads"], served["two at a time, 1 thread each"])
    > 0.75,
    where=two_free,
    timing=True,
)

# %% question="parallel.two_requests"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("parallel.two_requests", choice)

# %% [markdown]
# ## 3. Who reads the pictures?
#
# Before a network can compute, somebody must make its input. Four ways, from cheap to expensive; the pictures are the same:
#
# 1. **moved once**: all of them transformed before the training, kept as one float tensor (on a GPU: in its memory);
# 2. **a batch at a time**: kept as bytes, padded and normalised 64 at once, as all lessons of this course do;
# 3. **a picture at a time**: the same for each picture, then 64 are stacked, as a `DataLoader` does by default;
# 4. **from JPEG files**: each is decoded and shrunk first, here from 448 × 448 pixels, as with a folder of photographs.
#
# How many times as long does the last one take, for 64 pictures, as the training step for which it is done (forward,
# backward, SGD, on one thread)?

# %%
predict("reading 64 JPEG files against training on them", unit="×")

# %%
torch.set_num_threads(1)
few = pictures.train[:64]
files, inputs = Photographs(few, pictures), pictures.to_input(few.images)
learner = models.MyNet()
optimizer = torch.optim.SGD(learner.parameters(), lr=0.01, momentum=0.9)


def step(x, y):
    """One training step."""
    optimizer.zero_grad()
    cross_entropy(learner(x), y).backward()
    optimizer.step()


def each_batch(loader):
    """A function that reads all batches of a loader, and nothing more."""
    return lambda: [None for _ in loader]


order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
todo = {
    "moved once": lambda: (inputs[order], few.labels[order]),
    "a batch at a time": each_batch(data.loader(few, pictures, 64)),
    "a picture at a time": each_batch(DataLoader(data.Batches(few, pictures), 64)),
    "from JPEG files": each_batch(DataLoader(files, 64)),
    "training step": lambda: step(inputs, few.labels),
}
samples = {name: [] for name in todo}
for _ in range(7):  # in turns, and the first one warms up
    for name, call in todo.items():
        started = time.perf_counter()
        call()
        samples[name].append(time.perf_counter() - started)
reading = {
    name: measure.Timing(tuple(values[1:]), 64) for name, values in samples.items()
}

fig, ax = plots.figure(figsize=(8, 2.6))
colors = [plots.BLUE] * 4 + [plots.ORANGE]
bars = ax.barh(
    list(reading), [1000 * t.median for t in reading.values()], color=colors, height=0.6
)
ax.bar_label(bars, [f"{1000 * t.median:.2f}" for t in reading.values()], padding=3)
ax.invert_yaxis()
ax.set(xlabel="milliseconds for 64 pictures, one thread")
ax.margins(x=0.12)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
expense = measure.ratio(reading["from JPEG files"], reading["training step"])
reveal(
    "reading 64 JPEG files against training on them",
    expense.median,
    expense.low,
    expense.high,
    because="The network is small, and a photograph large: most of its numbers are decoded to be thrown away. With large "
    "networks it is the other way round.",
)

# %%
claim(
    "a picture at a time takes more than three times as long as a batch at a time",
    reading["a picture at a time"].median > 3 * reading["a batch at a time"].median,
    timing=True,
)
claim("JPEG files take longer than the training step", expense.median > 1, timing=True)
claim(
    "a batch at a time takes less than half of the step",
    2 * reading["a batch at a time"].median < reading["training step"].median,
    timing=True,
)

# %% [markdown]
# So the first remedy needs no second core: don't do in every epoch what can be done once, and don't do picture by
# picture what can be done for 64. Where neither goes (the files are too many, each is cropped at random), a
# `DataLoader` with `num_workers=2` gives the reading to two other processes.
#
# **Exercise (4 points).** How long will an epoch take? Suppose that every process has a core of its own.


# %% exercise="parallel.epoch_seconds"
def epoch_seconds(batches, read, compute, workers, start):
    """Seconds of an epoch, a float.

    batches: how many. read, compute: seconds a batch in one process. workers: 0 (this process reads too) or more, which
    read at the same time as this one computes. start: seconds until the workers are there, paid if there are any.
    """
    ### BEGIN SOLUTION
    if workers == 0:
        return batches * (read + compute)
    return start + batches * max(read / workers, compute)
    ### END SOLUTION


# %%
check("parallel.epoch_seconds", epoch_seconds)

# %% [markdown]
# Now really. How a worker starts matters: a *fork* copies this kernel as it is, with locks that other threads hold just
# then and that nobody in the copy will ever release. So the workers come from a clean server process (`forkserver`; on
# Windows each is a new Python). It imports torch once, the first time. (Run the cell below again, and the server is
# there already.)
#
# How long until the first batch of the first worker?

# %%
predict("start of the first worker", unit="s")

# %%
some = pictures.train[:256]
sources = {
    "a batch at a time": (
        data.Batches(some, pictures),
        {"sampler": BatchSampler(SequentialSampler(some), 64, False)},
    ),
    "from JPEG files": (Photographs(some, pictures), {}),
}


def timed(name, workers):
    """Seconds until the workers' first batch is there, and of the better of two epochs after it."""
    dataset, options = sources[name]
    if workers:
        options = options | {
            "num_workers": workers,
            "multiprocessing_context": launching.worker_context(),
        }
    loader = DataLoader(
        dataset,
        batch_size=None if "sampler" in options else 64,
        persistent_workers=workers > 0,
        **options,
    )
    start, seconds = 0.0, []
    if workers:
        started = time.perf_counter()
        for _ in loader:
            start = start or time.perf_counter() - started
    for _ in range(2):
        started = time.perf_counter()
        for x, y in loader:
            step(x, y)
        seconds.append(time.perf_counter() - started)
    return start, min(seconds)


first_start, _ = timed("a batch at a time", 1)
epochs = {
    name: {workers: timed(name, workers) for workers in (0, 1, 2)} for name in sources
}
torch.set_num_threads(cores)

# %% tags=["nbval-ignore-output"]
reveal(
    "start of the first worker",
    first_start,
    because="A new Python imports torch before it reads anything. Later workers are copies of the server, "
    "which has done so.",
)

# %%
epoch_seconds = yours_or_ours("parallel.epoch_seconds")
compute = reading["training step"].median
fig, axes = plots.figure(ncols=2, figsize=(8, 3.2))
for ax, (name, measured) in zip(axes, epochs.items(), strict=True):
    starts = [measured[w][0] for w in (0, 1, 2)]
    formula = [
        epoch_seconds(len(some) // 64, reading[name].median, compute, w, starts[w])
        for w in (0, 1, 2)
    ]
    ax.bar((0, 1, 2), starts, color=plots.GOLD, width=0.6, label="start")
    ax.bar(
        (0, 1, 2),
        [measured[w][1] for w in (0, 1, 2)],
        bottom=starts,
        color=plots.BLUE,
        width=0.6,
        label="epoch",
    )
    ax.plot((0, 1, 2), formula, "D", color=plots.ORANGE, label="your formula for both")
    ax.set(xlabel="workers", title=f"{name}: seconds", xticks=(0, 1, 2))
handles, names = axes[0].get_legend_handles_labels()
fig.legend(handles, names, loc="outside upper center", ncols=3, frameon=False)
plots.finish(fig)

# %%
small, jpeg = (
    {w: seconds for w, (_, seconds) in epochs[name].items()} for name in sources
)
claim(
    "small pictures: the first worker's start takes longer than an epoch without any",
    first_start > small[0],
    timing=True,
)
claim(
    "and after it two workers save less than half of the epoch",
    small[2] > 0.5 * small[0],
    timing=True,
)
claim(
    "JPEG files: after the start, an epoch with workers is shorter",
    jpeg[0] > min(jpeg[1], jpeg[2]),
    where=needs("two free cores"),
    timing=True,
)

# %% [markdown]
# Workers pay where reading is the larger part and cores are free. Where two cores have to decode *and* to compute, two
# workers fall short of your formula: it gave each process a core. Nor does it know that each epoch begins with waiting
# for its first batch. Where reading is cheap workers cost their start and, for every batch, a trip through shared
# memory. `persistent_workers=True` keeps them from epoch to epoch; here they were kept, and the blue bars are the better
# of two epochs after the start.
#
# ## 4. One network in two processes
#
# Threads end at the border of a machine, and Python's lock stands between them. Processes know neither limit. In *data
# parallelism* each of P processes has a copy of the network and a P-th of each batch; after the backward pass the
# copies take the mean of their gradients, and so all make the same step. DDP does this while the backward pass is still
# under way.
#
# First: who reads what? `DistributedSampler` gives every process equally many pictures, since one with fewer would make
# fewer steps, and the others would wait for it for ever.
#
# **Exercise (3 points).** Which positions does process `rank` read (without shuffling)? Dealt like cards; where they
# don't come out even, begin again at 0.


# %% exercise="parallel.sampler_positions"
def sampler_positions(length, processes, rank):
    """Positions that process `rank` (0 … processes − 1) reads of `length` pictures, a list of ints, none left out."""
    ### BEGIN SOLUTION
    each = -(-length // processes)
    return [place % length for place in range(rank, each * processes, processes)]
    ### END SOLUTION


# %%
check("parallel.sampler_positions", sampler_positions)

# %%
sampler_positions = yours_or_ours("parallel.sampler_positions")
agree = [
    sampler_positions(n, p, r)
    == list(DistributedSampler(range(n), num_replicas=p, rank=r, shuffle=False))
    for n in range(4, 40)
    for p in (1, 2, 3, 4)
    for r in range(p)
]
claim("torch's DistributedSampler deals the same", all(agree))
fig, ax = plots.figure(figsize=(8, 1.9))
for rank, color in enumerate((plots.SKY, plots.GREEN, plots.GOLD, plots.PURPLE)):
    for turn, place in enumerate(sampler_positions(10, 4, rank)):
        again = turn * 4 + rank >= 10
        ax.barh(
            rank,
            0.9,
            left=turn,
            color=color,
            edgecolor=plots.ORANGE if again else "white",
            linewidth=3,
        )
        ax.text(turn + 0.45, rank, str(place), ha="center", va="center")
ax.set_yticks(range(4), [f"process {rank}" for rank in range(4)])
ax.invert_yaxis()
ax.set(xticks=[], title="10 pictures for 4 processes; framed: read a second time")
ax.grid(False)
plots.finish(fig)

# %% [markdown]
# Second: the mean of the processes' mean gradients is the gradient of the whole batch only if all have equally many
# pictures. If not, each must weigh its loss.
#
# **Exercise (4 points).** The weights, so that the *mean over the processes* of weight × (mean gradient of the process)
# is the gradient of the mean loss over all pictures.


# %% exercise="parallel.loss_weights"
def loss_weights(counts):
    """One weight a process, a list of floats. counts: how many pictures each has, all at least 1."""
    ### BEGIN SOLUTION
    return [len(counts) * count / sum(counts) for count in counts]
    ### END SOLUTION


# %%
check("parallel.loss_weights", loss_weights)

# %%
loss_weights = yours_or_ours("parallel.loss_weights")


def gradient_of(x, y):
    """The gradient of the mean loss, all of it in one vector."""
    model = copy.deepcopy(net)
    cross_entropy(model(x), y).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


part = [40, 20, 4]
of_each = [
    gradient_of(x, y)
    for x, y in zip(
        batch[:64].split(part), pictures.test.labels[:64].split(part), strict=True
    )
]
whole = gradient_of(batch[:64], pictures.test.labels[:64])
weighted = sum(w * g for w, g in zip(loss_weights(part), of_each, strict=True)) / 3
plain = sum(of_each) / 3
claim(
    "weighted, shares of 40, 20 and 4 have the gradient of the 64: to 1e-6",
    (weighted - whole).abs().max() < 1e-6,
)
claim(
    "unweighted it is off by more than a thousand times as much",
    (plain - whole).abs().max() > 1e-3,
)

# %% [markdown]
# Now with two real processes. A notebook cannot be torn in two, so they are started from a file,
# `nnopt_lab/techniques/parallelism/data_parallel.py`, by torchrun, and say here what they do:
#
#     torchrun --nproc-per-node=2 -m nnopt_lab.techniques.parallelism.data_parallel pictures.pt equal speed sharded train killed
#
# That is what `launching.launch` runs. The file doesn't know where it runs: with a GPU for each process it takes those
# and NCCL, else processors and gloo; with `--nnodes` and an address it is the same on many machines. Its core is this:
#
#     model = DDP(models.MyNet())                         # the same weights everywhere; hooks on the gradients
#     share_of_loss(model, batch, rank, P).backward()     # Σ loss · P/N of batch[rank::P]; then the mean of all
#     optimizer.step()                                    # the same step everywhere
#
# It does five things: it compares the gradient with that of one process; measures the speed; measures the memory
# (section 5); trains for three short epochs; and trains once more, but then a process dies (section 6).
#
# Two processes of one thread each share a batch of 256. How many times as fast are they as *one* process with two
# threads and the whole batch? And for section 6: in the last training one of the two is killed in the middle of the
# second epoch. How many seconds will it take until that epoch has been done after all, and how far will the weights be
# from those of the undisturbed training in the end (largest difference)?

# %%
predict("two processes against two threads", unit="×")

# %%
predict("from the death to the end of the repeated epoch", unit="s")

# %%
predict("weights after a death and a restart: difference", unit="(largest)")

# %%
folder, heard = Path(tempfile.mkdtemp()), {}
experiments.save_pictures(folder / "pictures.pt", pictures)


def hear(line):
    """Show what a process says, and note when it said so."""
    heard[line] = time.perf_counter()
    print(line)


try:
    together = experiments.two_processes(folder, show=hear)
except RuntimeError as error:
    print(
        f"Two processes cannot be started here ({error}). What follows is a recorded result."
    )
    together, heard = recorded("processes")["result"], {}

# %%
for count, difference in zip(
    together["equal"]["pictures"], together["equal"]["largest"], strict=True
):
    claim(
        f"batch of {count}: two processes and one have the same gradient, to 1e-6",
        difference < 1e-6,
    )

# %% [markdown]
# A batch of 255 is 128 and 127 pictures, and a batch of one leaves the second process with nothing at all. The gradient
# is the same each time, but for the last bits: sums in another order are rounded otherwise.

# %%
seconds = {
    name: measure.Timing(tuple(samples), 256)
    for name, samples in together["speed"].items()
}
labels = {
    "one thread": "1 process, 1 thread",
    "threads": "1 process, 2 threads",
    "processes": "2 processes, 1 thread each",
    "exchange": "of that, at most: the exchange",
}
fig, ax = plots.figure(figsize=(8, 2.4))
low = [1000 * (seconds[name].median - seconds[name].quartiles[0]) for name in labels]
high = [1000 * (seconds[name].quartiles[1] - seconds[name].median) for name in labels]
colors = [plots.REFERENCE, plots.BLUE, plots.GREEN, plots.GOLD]
middle = [1000 * seconds[name].median for name in labels]
ax.barh(list(labels.values()), middle, xerr=[low, high], color=colors, height=0.6)
ax.invert_yaxis()
ax.set(xlabel="milliseconds, forward and backward, 256 pictures (quartiles)")
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
against_threads = measure.ratio(seconds["threads"], seconds["processes"])
reveal(
    "two processes against two threads",
    against_threads.median,
    against_threads.low,
    against_threads.high,
    because="Both have two cores. Threads divide each operator; processes divide the batch once, so they wait less, but must "
    "exchange a megabyte of gradients in each step.",
)

# %%
by_processes = measure.ratio(seconds["one thread"], seconds["processes"])
claim(
    "two processes are less than 2.5 times as fast as one thread",
    by_processes.median < 2.5,
    timing=True,
)
claim(
    "the exchange takes less than half of their step",
    2 * seconds["exchange"].median < seconds["processes"].median,
    timing=True,
)

# %% [markdown]
# On one machine processes are no miracle: they compete with threads for the same cores. They are the way to *other*
# machines, and to several GPUs, each of which wants a process of its own. There the exchange goes over a wire, and its
# length decides.
#
# ## 5. All-reduce, and its two halves
#
# The exchange is an *all-reduce*: all have a vector, all get the sum. It is made of two halves. *Reduce-scatter*:
# process $r$ gets the $r$-th piece of the sum. *All-gather*: everybody collects all pieces.
#
# **Exercise (3 points).** The first half, with the vectors of all processes in a list.


# %% exercise="parallel.reduce_scatter"
def reduce_scatter(vectors):
    """P vectors, float [P · K], one a process → list of P tensors [K]: the piece of the sum that each process gets."""
    ### BEGIN SOLUTION
    return list(sum(vectors).chunk(len(vectors)))
    ### END SOLUTION


# %%
check("parallel.reduce_scatter", reduce_scatter)

# %%
reduce_scatter = yours_or_ours("parallel.reduce_scatter")
weights = loss_weights(part)
pieces = reduce_scatter([w * g for w, g in zip(weights, of_each, strict=True)])
gathered = torch.cat(pieces) / 3
claim(
    "reduce-scatter, then all-gather: the gradient of the whole batch",
    (gathered - whole).abs().max() < 1e-6,
)
claim("a piece is a third of it", len(pieces[0]) == len(whole) / 3)

# %% question="parallel.ring_bytes"
megabytes = None
### BEGIN SOLUTION
megabytes = 150
### END SOLUTION
question("parallel.ring_bytes", megabytes)

# %% [markdown]
# Between the halves each process holds the piece of the gradient for which it alone is responsible. So it can also keep
# the optimizer's state for that piece alone, and the weights. That is FSDP: weights lie in pieces, are gathered just
# before a layer needs them and dropped after it; gradients are reduce-scattered. In code it is one line in place of
# DDP: `fully_shard(model)`, which is called **FSDP2** to tell it from an older class.
#
# **Exercise (3 points).** How many bytes does a process hold? Weights and gradients are float32; Adam keeps two moments
# for each weight. (Not counted: activations, which depend on the batch, and buffers for what is sent.)


# %% exercise="parallel.bytes_each"
def bytes_each(parameters, processes, split):
    """Bytes that one process holds, a float.

    split: list of those of "weights", "gradients", "moments" (Adam's two) that are held in equal pieces, one a process;
    the others are held whole.
    """
    ### BEGIN SOLUTION
    costs = {"weights": 4, "gradients": 4, "moments": 8}
    return sum(
        cost * parameters / (processes if what in split else 1)
        for what, cost in costs.items()
    )
    ### END SOLUTION


# %%
check("parallel.bytes_each", bytes_each)

# %%
bytes_each = yours_or_ours("parallel.bytes_each")
everything = ["weights", "gradients", "moments"]
held, count = together["sharded"], measure.parameters(net).total
for name in ("DDP", "FSDP2"):
    print(f"{name:5} {measure.format_bytes(held[name])} in each of the two processes")
claim(
    "DDP holds what you computed, to the byte", held["DDP"] == bytes_each(count, 2, [])
)
claim(
    "FSDP2 holds half, to the byte", held["FSDP2"] == bytes_each(count, 2, everything)
)
claim("and their gradients are the same, to 1e-6", held["largest"] < 1e-6)

# %% [markdown]
# ## 6. When a process dies
#
# The more machines, the more often one fails. DDP cannot go on without one: its neighbours wait for a gradient that
# never comes, or notice that the line is dead, and fail too. torchrun notices, ends the others and starts all of them
# again (`--max-restarts`). What they have learned until then is in the last *checkpoint*. Process 0 writes one after
# each epoch: first under another name, then renamed, so that there is never half a file.
#
# The last training above was the one before once more. In the middle of its second epoch, number 1, the second process
# was killed with SIGKILL, which no program can catch. Here is when the processes said what they said:

# %%
fig, ax = plots.figure(figsize=(8, 1.9))
said = {
    line.split("killed: ")[1]: (when, line[8])
    for line, when in heard.items()
    if "killed: " in line
}
for place, (what, (when, attempt)) in enumerate(said.items()):
    after, dies = when - next(iter(said.values()))[0], "dies" in what
    color = plots.ORANGE if dies else (plots.BLUE, plots.GREEN)[int(attempt)]
    ax.plot(after, 0, "X" if dies else "o", color=color)
    ax.annotate(
        what,
        (after, 0),
        xytext=(0, 10 + 16 * (place % 2)),
        textcoords="offset points",
        fontsize=8,
        color=color,
    )
ax.set(
    yticks=[],
    xlabel="seconds",
    ylim=(-0.5, 2),
    title="blue: first attempt, green: second",
)
ax.set_xlim(-0.3, 1.2 * max(ax.get_xlim()[1], 1))
ax.grid(False)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
reveal(
    "from the death to the end of the repeated epoch",
    said["epoch 1 done"][0] - said["process 1 dies in epoch 1"][0],
    because="The epoch takes a fraction of a second. Nearly all of it is new processes that import torch.",
) if said else "No process was killed here, so there is no time to tell."

# %%
reveal(
    "weights after a death and a restart: difference",
    together["difference"],
    because="Everything that a step depends on is in the checkpoint (weights, momentum, epoch) or follows from the number of "
    "the epoch (the order of the pictures). So the repeated epoch is the same one, bit for bit.",
)

# %%
claim(
    "the first attempt died, the second went on with epoch 1",
    together["killed"] == {"attempt": 1, "first epoch": 1},
)
claim(
    "not a bit of the weights differs from the undisturbed run",
    together["difference"] == 0,
)

# %% question="parallel.checkpoint"
choice = None
### BEGIN SOLUTION
choice = "a"
### END SOLUTION
question("parallel.checkpoint", choice)

# %% [markdown]
# ## 7. When a network is too large for one
#
# Your formula says when which way is needed. Say that a device has 80 GB, and that there are eight.

# %%
scale = torch.logspace(8, 12, 50).tolist()
splits = {
    "DDP: nothing split": [],
    "moments split": everything[2:],
    "and gradients": everything[1:],
    "FSDP: all": everything,
}
fig, ax = plots.figure()
for name, split in splits.items():
    ax.plot(scale, [bytes_each(n, 8, split) / 1e9 for n in scale], label=name)
ax.axhline(80, color=plots.REFERENCE, linestyle="--", label="80 GB")
ax.set(
    xscale="log", yscale="log", xlabel="parameters", ylabel="GB in each of 8 processes"
)
ax.legend()
plots.finish(fig)

# %%
largest = {name: 80e9 / bytes_each(1, 8, split) for name, split in splits.items()}
claim(
    "with DDP 5 billion parameters fill a device",
    round(largest["DDP: nothing split"] / 1e9, 2) == 5,
)
claim("split in eight, 40 billion do", round(largest["FSDP: all"] / 1e9, 2) == 40)

# %% [markdown]
# FSDP moves all weights twice in every step (for the forward and the backward pass) and the gradients once, half as
# much again as DDP. It can hide that behind the computing as long as each process has enough to compute, so a batch
# that is large enough. When the batch cannot be divided further, or one layer alone is too large, the network itself is
# cut:
#
# **Tensor parallelism** cuts each matrix. The first linear layer is cut by outputs, so each process computes its own
# hidden units, ReLU included; the second is cut by inputs, and the processes' results are summed: one all-reduce of
# *activations* for two layers (Shoeybi et al. 2019). Here it is, for our classifier:

# %%
with torch.inference_mode():
    features = net.features(batch).flatten(1)
    first, second = net.classifier[0], net.classifier[2]
    partial = [
        nn.functional.linear(features, w, b).relu() @ v.T
        for w, b, v in zip(
            first.weight.chunk(2),
            first.bias.chunk(2),
            second.weight.chunk(2, 1),
            strict=True,
        )
    ]
    logits = sum(partial) + second.bias
    claim(
        "two halves of a classifier, summed: the same logits",
        torch.allclose(logits, net(batch), atol=1e-4),
    )
    claim("what is exchanged are 128 × 10 numbers a batch", partial[0].numel() == 1_280)

# %% [markdown]
# The exchange is in the middle of the computing and cannot hide. So it stays inside a machine, whose GPUs have fast
# lines.
#
# **Pipeline parallelism** cuts between layers: each device has some of them and sends only the activations at its
# border to the next. The price is the *bubble*. A batch is cut into parts that follow each other; at the beginning the
# last device waits, at the end the first one.

# %%
stages, parts = 4, 8
fig, ax = plots.figure(figsize=(8, 2.2))
for stage in range(stages):
    for one in range(parts):
        ax.barh(stage, 0.92, left=stage + one, color=plots.SKY)
        ax.text(
            stage + one + 0.46, stage, str(one), ha="center", va="center", fontsize=8
        )
ax.set_yticks(range(stages), [f"stage {stage}" for stage in range(stages)])
ax.invert_yaxis()
ax.set(
    xlabel="time, steps",
    title="4 stages, 8 parts of a batch, forward",
    xlim=(0, stages + parts - 1),
)
ax.grid(False)
plots.finish(fig)

# %% question="parallel.bubble"
percent = None
### BEGIN SOLUTION
percent = 27.3
### END SOLUTION
question("parallel.bubble", percent)

# %% [markdown]
# As a rule: DDP while a whole network with its moments fits; FSDP when it doesn't; tensor parallelism inside a machine
# when a layer or the batch for each device becomes too small or too large for that; pipelines between machines with
# slow lines. The largest trainings use all of them together.
#
# ## 8. An accelerator
#
# `torch.accelerator` finds what there is: CUDA, ROCm, MPS on a Mac, XPU. `training.best_device()` asks it, and all
# lessons train there. A GPU is thousands of small cores, and so parallelism inside an operator once more: it needs
# large batches. Its memory is its own, so pictures must be copied, and how matters: from **pinned** memory, which the
# operating system may not move, the GPU fetches them by itself, and with `non_blocking=True` nobody waits for it:
#
#     loader = DataLoader(…, pin_memory=True)
#     for x, y in loader:
#         x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)   # overlaps with what is computing
#
# Where there is one, this cell measures it; it takes some seconds.

# %% tags=["nbval-ignore-output"]
on_device = None
if training.best_device().type != "cpu":
    on_device = experiments.accelerator()
else:
    print("torch finds no accelerator on this machine.")
    try:
        on_device = recorded("accelerator")["result"]
    except FileNotFoundError:
        print(
            "No recorded result comes with the course yet: `nnopt record accelerator` on a machine that has one makes it."
        )
if on_device:
    print(f"Measured on: {on_device['device']}")
    fig, (left, right) = plots.figure(ncols=2)
    left.barh(
        list(on_device["copy"]), list(on_device["copy"].values()), color=plots.BLUE
    )
    left.set(title="copy to the device, GB/s")
    for name in ("accelerator", "cpu"):
        right.plot(on_device["sizes"], on_device[name], "o-", label=name)
    right.set(
        xscale="log", yscale="log", xlabel="batch size", title="pictures a second"
    )
    right.legend()
    display(plots.finish(fig))

# %% [markdown]
# ## 9. Playground
#
# Amdahl's law, with an overhead for each further core: the exchange, the waking, the bookkeeping. Where does one more
# core make it slower? What helps more at 64 cores, half the serial share or half the overhead?

# %%
scaling_playground()

# %% [markdown]
# ## Summary
#
# What the second core (or process, or worker) gained on your machine. 2 would be ideal.

# %%
summary = {
    "2 threads, batch 1": gains[1][2],
    "2 threads, batch 128": gains[128][2],
    "2 requests at a time": at_once["two at a time, 1 thread each"],
    "2 processes (DDP)": by_processes,
}
fig, ax = plots.figure(figsize=(8, 2.8))
ends = [
    [g.median - g.low for g in summary.values()],
    [g.high - g.median for g in summary.values()],
]
ax.errorbar(
    [g.median for g in summary.values()],
    list(summary),
    xerr=ends,
    fmt="o",
    color=plots.BLUE,
    capsize=3,
)
names = [f"{w} worker{'s' * (w > 1)}, {name}" for name in sources for w in (1, 2)]
ax.plot(
    [epochs[name][0][1] / epochs[name][w][1] for name in sources for w in (1, 2)],
    names,
    "D",
    color=plots.GOLD,
)
ax.axvline(1, color=plots.REFERENCE, linewidth=0.8)
ax.axvline(2, color=plots.REFERENCE, linewidth=0.8, linestyle="--")
ax.invert_yaxis()
ax.set(
    xlabel="times as fast as one (workers: as none, better of two epochs, start not counted)",
    xlim=(0, None),
)
plots.finish(fig)

# %% [markdown]
# - **First do less**: move pictures to tensors once, transform whole batches. The batch at a time took less than a third of
#   the time of its pictures one by one, on one core.
# - **Threads** are on already. They gain in large operators; set fewer where several processes share the machine: more threads
#   than cores take turns.
# - **Many requests**: side by side, one thread each.
# - **Workers** pay where reading is slower than computing and cores are free. Their start costs seconds.
# - **Processes** have the gradient of one, exactly, if unequal shares are weighted. They are for several GPUs or machines.
# - **Checkpoints** hold all that a step depends on. Then a death costs time, and nothing else.
# - **Memory** decides the rest: 16 bytes a parameter with Adam, divided by what is split.
#
# **What practice uses today.** torchrun with DDP for what fits, FSDP2 (`fully_shard`) or DeepSpeed's ZeRO for what doesn't,
# together with tensor and pipeline parallelism (`torch.distributed.tensor`, `torch.distributed.pipelining`,
# Megatron-LM) for the largest; `torch.distributed.checkpoint` for checkpoints in pieces; Accelerate and Lightning as
# wrappers of all of these.
#
# **Further reading.** Amdahl, *Validity of the single processor approach* (1967) · Karp & Flatt, *Measuring parallel
# processor performance* (1990) · Li et al., *PyTorch Distributed: experiences on accelerating data parallel training*
# (2020) · Rajbhandari et al., *ZeRO* (2020) · Zhao et al., *PyTorch FSDP* (2023) · Shoeybi et al., *Megatron-LM* (2019)
# · Huang et al., *GPipe* (2019) · PyTorch's performance tuning guide.
#
# Your guesses of the whole course so far, against what your machine measured:

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
