# %% [markdown]
# # Parallelism: threads, workers, processes
#
# A computer has several cores, and a training run can use several computers. In this lesson you put them to work, and
# measure each time what they gain and what they cost. You will
#
# - vary the number of threads, find the share of a network that cannot be divided, and see what too many threads do;
# - serve several requests at once, and let other processes read pictures while the network computes;
# - train one network in two processes, check that they get the same gradient as a single process, and find out whether
#   they are faster;
# - kill one of the two processes during training, and go on from a checkpoint;
# - halve what a process holds in memory, and learn when to split a network, and how.
#
# The lesson stands alone. In the article that this course grew out of, "parallel" is the line that moves the model to
# the first GPU; section 9 is about such devices.
#
# A **thread** shares the memory of its process, while a **process** only shares what it sends. A **core** runs one
# thread at a time, or usually two if it has SMT (simultaneous multithreading, Intel's hyper-threading). Other terms are
# introduced when they come up.

# %% tags=["fold"]
# Imports: where the names of this lesson come from
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
from nnopt_lab.course.recordings import live_or_recorded, recorded
from nnopt_lab.lessons.parallelism import experiments
from nnopt_lab.lessons.parallelism.measurements import time_epochs, time_in_turns
from nnopt_lab.lessons.parallelism.photographs import Photographs
from nnopt_lab.lessons.parallelism.playground import scaling_playground
from nnopt_lab.techniques.parallelism import amdahl, launching
from nnopt_lab.workbench import data, diagrams, measure, models, plots, training
from nnopt_lab.workbench.tables import Table
from nnopt_lab.workbench.text import wrapped

# %%
lesson("10_parallelism")
cores = measure.machine().cores
pictures = data.load("fashion")
net = models.trained("mynet")
batch = pictures.to_input(pictures.test.images[:128])
measure.layer_table(net, batch)

# %% [markdown]
# ## 1. Threads inside an operator
#
# torch divides a large operator (a convolution, a matrix product) among its threads. This is *intra-op* parallelism. It
# is on by default, with one thread per core, and `torch.set_num_threads` changes the number.
#
# `MyNet`, whose layers are listed above, is the network from the article, trained on small pictures of clothes. How many
# times as fast is it with two threads as with one, for 128 pictures?

# %%
predict("speed-up by a second thread, batch 128", unit="×")


# %%
def on_threads(model, count):
    """The model, called with `count` threads."""

    def run(x):
        torch.set_num_threads(count)
        return model(x)

    return run


# %%
counts = sorted({1, 2, cores, 2 * cores})
sizes = (1, 16, 128)
models_on = {n: on_threads(net, n) for n in counts}
swept = {
    size: measure.latency(models_on, batch[:size], rounds=12, budget_seconds=0.5)
    for size in sizes
}

# %% tags=["fold", "nbval-ignore-output"]
# Answer: speed-up by a second thread, batch 128
gains = {
    size: {n: measure.ratio(timings[1], timings[n]) for n in counts}
    for size, timings in swept.items()
}
torch.set_num_threads(cores)

two = gains[128][2]
reveal(
    "speed-up by a second thread, batch 128",
    two.median,
    two.low,
    two.high,
    because="Not all of a network can be divided. Each operator starts on one thread "
    "and waits for its slowest part, and the two threads share caches and memory.",
)

# %% tags=["fold"]
# Plot: speed over the number of threads
fig, ax = plots.figure()
for size, color in zip(sizes, plots.PALETTE, strict=False):
    values = list(gains[size].values())
    plots.interval_line(ax, counts, values, f"batch {size}", color)
up_to = [n for n in counts if n <= cores]
ax.plot(up_to, up_to, "--", color=plots.REFERENCE, linewidth=1, label="ideal")
ax.axvline(cores, color=plots.REFERENCE, linestyle=":", label="number of cores")
ax.set(xlabel="threads", ylabel="times as fast as one thread", ylim=(0, None))
ax.set_xticks(counts, counts)
plots.legend(fig)
most = {size: max(gain.median for gain in gains[size].values()) for size in sizes}
gained = [f"{gain:.2f} times as fast at batch {size}" for size, gain in most.items()]
plots.finish(
    fig,
    f"At their best number, threads make {', '.join(gained)}.",
    measured="xy",
)

# %% [markdown]
# What to see: the more pictures, the closer the curve comes to the dashed line, the ideal. To the right of the dotted
# line, the number of cores, more threads gain little or nothing.


# %% tags=["fold"]
# Claims: threads inside an operator
def best(slow, fast):
    """Speed-up in the best rounds: what the machine can do when nothing else runs."""
    return min(slow.samples) / min(fast.samples)


two_free = needs("two free cores")
claim(
    "At batch 128, two threads gain at least a tenth in the best rounds.",
    best(swept[128][1], swept[128][2]) > 1.1,
    where=two_free,
    timing=True,
)
claim(
    "At batch 128, two threads gain less than a factor of 2.5.",
    best(swept[128][1], swept[128][2]) < 2.5,
    timing=True,
)
claim(
    "At batch 128, two threads per core are less than a third faster than one.",
    best(swept[128][cores], swept[128][2 * cores]) < 1.33,
    where=two_free,
    timing=True,
)

# %% [markdown]
# Let $s$ be the *serial* share: the share of the time on one thread that no second thread can take over. Then the time
# with $n$ threads, relative to one, is
#
# $$\frac{t_n}{t_1} = s + \frac{1 - s}{n}.$$
#
# This is Amdahl's law ([1967](https://doi.org/10.1145/1465482.1465560)). It says that no number of threads can gain
# more than a factor of $1/s$. You can also use it backwards:
#
# **Exercise (3 points).** Compute the serial share from two measured times. It tells you how much a machine with more
# cores could gain.


# %% exercise="parallel.serial_share"
def serial_share(one, many, threads):
    """The share s of Amdahl's law, a float.

    one, many: time with 1 thread and with `threads` threads (at least 2).

    >>> serial_share(8.0, 5.0, 2)
    0.25
    """
    ### BEGIN SOLUTION
    return (many / one - 1 / threads) / (1 - 1 / threads)
    ### END SOLUTION


# %%
check("parallel.serial_share", serial_share)

# %% [markdown]
# From the times with one and with several threads, you can predict what a machine with more cores would do. The next
# plot does so for your machine.

# %%
serial_share = yours_or_ours("parallel.serial_share")
at = max(2, cores)
shares = {
    size: serial_share(swept[size][1].median, swept[size][at].median, at)
    for size in sizes
}

# %% tags=["fold"]
# Plot: Amdahl's law, fitted
shares = {size: min(1.0, max(0.0, share)) for size, share in shares.items()}

fig, (left, right) = plots.figure(ncols=2)
up_to = [n for n in counts if n <= cores]
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
left.set(xlabel="cores", title="speed-up: measured (dots), Amdahl (lines)")
plots.log_axis(left.xaxis, many)
plots.log_axis(left.yaxis, many)
right.set(xlabel="threads", title="speed-up per core in use, %", ylim=(0, None))
right.set_xticks(counts, counts)
plots.legend(fig)
plots.finish(
    fig,
    "Measured speed-ups as dots on Amdahl's curves; the speed-up per core falls, "
    "fastest at batch 1.",
    measured="xy",
)

# %% tags=["fold", "nbval-ignore-output"]
# Table: serial share by batch size
Table(
    [
        [
            size,
            f"{share:.2f}",
            f"{1 / max(share, 1e-3):,.1f}×" if share < 1 else "1.0×: no gain",
        ]
        for size, share in shares.items()
    ],
    ["batch", "serial share", "at most, with any number of threads"],
)

# %% [markdown] tags=["tells"]
# What to see: on the left, the larger the batch, the higher the line, since its serial share is smaller. On the right,
# each core contributes less as threads are added, most of all for small batches.
#
# Two things make the serial share large. One is *little work per operator*: below 32,768 elements torch does not divide
# element-wise operators at all, because waking another thread takes about as long as the work. The other is *waiting
# for memory*: cores share the connection to it, and a second core does not make it faster. And if there are more
# threads than cores, they take turns, and an operator only ends when the last thread has had its turn.
#
# (The law is a model. If the second thread makes the network slower, the formula gives a share above 1, and the plot
# uses 1. The share also changes with the number of threads, since each further thread adds overhead. The playground in
# section 10 includes that.)

# %% [markdown]
# ## 2. Several requests at once
#
# Threads within an operator deliver one answer sooner. If many requests wait, the number of *requests per second*
# matters, and there is another way to use the cores: several requests side by side, with one thread each. Plain Python
# threads are enough. Python's global lock lets only one thread run Python code at a time, but torch releases it while
# an operator computes. (The *inter-op* pool, whose size `torch.set_num_interop_threads` sets, is used by the
# interpreter of TorchScript; ordinary models do not use it.)
#
# Eight requests of 16 pictures each are waiting. You can answer them two at a time with one thread each, or one after
# the other with two threads. How many times as fast is the first way?

# %%
predict("speed-up by two requests at a time", unit="×")

# %%
requests = batch.split(16)


def answer(threads):
    """A function that answers one request with this many torch threads."""

    def one(request):
        torch.set_num_threads(threads)
        with torch.inference_mode():
            return net(request)

    return one


# %%
with ThreadPoolExecutor(2) as pool:
    ways = {
        "one at a time, 1 thread": lambda _: [answer(1)(r) for r in requests],
        "one at a time, 2 threads": lambda _: [answer(2)(r) for r in requests],
        "two at a time, 1 thread each": lambda _: list(pool.map(answer(1), requests)),
        "two at a time, 2 threads each": lambda _: list(pool.map(answer(2), requests)),
    }
    served = measure.latency(ways, batch, rounds=12, budget_seconds=1.2)
torch.set_num_threads(cores)

# %% tags=["nbval-ignore-output"]
# Answer: speed-up by two requests at a time
side_by_side = measure.ratio(
    served["one at a time, 2 threads"], served["two at a time, 1 thread each"]
)
reveal(
    "speed-up by two requests at a time",
    side_by_side.median,
    side_by_side.low,
    side_by_side.high,
    because="Requests are independent: no operator is divided, and no thread waits for "
    "another. All they share is memory and, between operators, Python's lock.",
)

# %% tags=["fold"]
# Plot: requests per second
at_once = {
    name: measure.ratio(served["one at a time, 1 thread"], timing)
    for name, timing in served.items()
}
fig, ax = plots.figure(height=2.4)
plots.bars(ax, at_once, colors=plots.BLUE, reference=1, labels="{:.2f}×")
ax.set(xlabel="requests per second, compared with one at a time on one thread")
beside = at_once["two at a time, 1 thread each"].median
inside = at_once["one at a time, 2 threads"].median
plots.finish(
    fig,
    f"Compared with one request at a time on one thread, two at a time bring "
    f"{beside:.2f} times as many per second, and two threads {inside:.2f} times.",
    measured="x",
)

# %% [markdown]
# What to see: the second and the third bar both use two cores. If the third is longer, two requests side by side are
# the better use of them.

# %% tags=["fold"]
# Claims: several requests at once
two_free = needs("two free cores")
claim(
    "In the best rounds, two requests at a time with one thread each are at least a "
    "tenth faster than one at a time on one thread.",
    best(served["one at a time, 1 thread"], served["two at a time, 1 thread each"])
    > 1.1,
    where=two_free,
    timing=True,
)
claim(
    "In the best rounds, two requests at a time with one thread each are at most a "
    "quarter slower than one at a time on two threads.",
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
# Before a network can compute, its input must be prepared. Here are four ways, from cheap to expensive, for the same
# pictures:
#
# 1. **moved once**: all pictures are transformed before training and kept as one float tensor (on a GPU: in its
#    memory);
# 2. **a batch at a time**: pictures are kept as bytes, and 64 are padded and normalised at once, as in all lessons
#    here;
# 3. **a picture at a time**: the same for each picture, then 64 are stacked, as a `DataLoader` does by default;
# 4. **from JPEG files**: each picture is decoded and shrunk first, from 448×448 pixels, as with a folder of
#    photographs.
#
# How many times as long as a training step on 64 pictures (forward, backward and SGD, on one thread) does it take to
# read these pictures in the fourth way?

# %%
predict("reading 64 JPEG files, compared with training on them", unit="×")

# %%
torch.set_num_threads(1)
few = pictures.train[:64]
files = Photographs(few, pictures)  # JPEG files, kept in memory
inputs = pictures.to_input(few.images)
learner = models.MyNet()
optimizer = torch.optim.SGD(learner.parameters(), lr=0.01, momentum=0.9)


def step(x, y):
    """One training step."""
    optimizer.zero_grad()
    cross_entropy(learner(x), y).backward()
    optimizer.step()


# %%
order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
todo = {
    "moved once": lambda: (inputs[order], few.labels[order]),
    "a batch at a time": lambda: list(data.loader(few, pictures, 64)),
    "a picture at a time": lambda: list(DataLoader(data.Batches(few, pictures), 64)),
    "from JPEG files": lambda: list(DataLoader(files, 64)),
    "training step": lambda: step(inputs, few.labels),
}
reading = time_in_turns(todo, pictures=64)

# %% tags=["nbval-ignore-output"]
# Answer: reading 64 JPEG files, compared with training on them
expense = measure.ratio(reading["from JPEG files"], reading["training step"])
reveal(
    "reading 64 JPEG files, compared with training on them",
    expense.median,
    expense.low,
    expense.high,
    because="The network is small and the photographs are large: most of their pixels "
    "are decoded only to be thrown away. With large networks it is the other way "
    "round.",
)

# %% tags=["fold"]
# Plot: time to read and to train
fig, ax = plots.figure(height=2.6)
colors = {name: plots.BLUE for name in reading} | {"training step": plots.ORANGE}
milliseconds = {name: 1000 * t.median for name, t in reading.items()}
plots.bars(ax, milliseconds, colors, labels="{:.2f}")
ax.set(xlabel="milliseconds for 64 pictures, one thread")
plots.finish(
    fig,
    f"Reading 64 JPEG files takes {milliseconds['from JPEG files']:.1f} ms, a "
    f"training step {milliseconds['training step']:.1f} ms; reading from memory is "
    "much faster.",
    measured="x",
)

# %% [markdown]
# What to see: reading JPEG files takes longer than the training step (orange), and a batch at a time takes a small part
# of it.
#
# So the first remedy needs no second core. Don't repeat in every epoch what you can do once, and don't do picture by
# picture what you can do for 64. If neither is possible (there are too many files, or each picture is cropped at
# random), a `DataLoader` with `num_workers=2` moves the reading to two other processes.
#
# **Exercise (4 points).** Predict how long an epoch takes, with and without workers. Assume that each process has its
# own core.


# %% exercise="parallel.epoch_seconds"
def epoch_seconds(batches, read, compute, workers, start):
    """Seconds per epoch, a float.

    batches: number of batches. read, compute: seconds per batch in one process.
    workers: 0 if this process also reads, otherwise the number of processes that read
    while this one computes. start: seconds until the workers have started, if there are
    any.

    >>> [epoch_seconds(10, 0.5, 0.25, workers, 3.0) for workers in (0, 1, 4)]
    [7.5, 8.0, 5.5]
    """
    ### BEGIN SOLUTION
    if workers == 0:
        return batches * (read + compute)
    return start + batches * max(read / workers, compute)
    ### END SOLUTION


# %%
check("parallel.epoch_seconds", epoch_seconds)

# %% [markdown]
# Now measure it. How a worker starts matters. A *fork* copies the notebook's process as it is, including locks that its
# other threads hold at that moment. In the copy those threads don't exist, so nothing releases the locks. That is why
# the workers come from a clean server process (`forkserver`; on Windows each worker is a new Python process). The
# server imports torch when the first worker starts. (If you run the cell below again, the server is already there.)
#
# How long does it take until the first worker delivers its first batch?

# %%
predict("start of the first worker", unit="s")

# %%
some = pictures.train[:256]
in_batches = BatchSampler(SequentialSampler(some), 64, drop_last=False)
sources = {
    "a batch at a time": (
        data.Batches(some, pictures),
        {"sampler": in_batches, "batch_size": None},
    ),
    "from JPEG files": (Photographs(some, pictures), {"batch_size": 64}),
}


# %%
def loader_of(name, workers):
    """A loader of one of the sources, read by this many worker processes."""
    dataset, options = sources[name]
    return DataLoader(
        dataset,
        num_workers=workers,
        multiprocessing_context=launching.worker_context() if workers else None,
        persistent_workers=workers > 0,
        **options,
    )


# %%
first_start, _ = time_epochs(loader_of("a batch at a time", 1), step)
epochs = {
    name: {
        workers: time_epochs(loader_of(name, workers), step) for workers in (0, 1, 2)
    }
    for name in sources
}
torch.set_num_threads(cores)

# %% tags=["nbval-ignore-output"]
# Answer: start of the first worker
reveal(
    "start of the first worker",
    first_start,
    because="A new Python process imports torch before it reads anything. Later "
    "workers are copies of the server, which has already done so.",
)

# %% tags=["fold"]
# Plot: start and epoch by number of workers
epoch_seconds = yours_or_ours("parallel.epoch_seconds")
compute = reading["training step"].median
rows, formula = {}, {}
for name, measured in epochs.items():
    for workers, (start, seconds) in measured.items():
        row = f"{name}, {workers} workers" if workers != 1 else f"{name}, 1 worker"
        batches, read = len(some) // 64, reading[name].median
        rows[row] = {"start": 1000 * start, "epoch": 1000 * seconds}
        formula[row] = 1000 * epoch_seconds(batches, read, compute, workers, start)
fig, ax = plots.figure(height=3.4)
plots.stages(ax, rows, {"start": plots.GOLD, "epoch": plots.BLUE})
ax.plot(
    list(formula.values()),
    range(len(rows)),
    "D",
    color=plots.ORANGE,
    label="formula",
)
for place, (row, parts) in enumerate(rows.items()):
    total = sum(parts.values())
    beside = (max(total, formula[row]), place)
    look = {"xytext": (8, 0), "textcoords": "offset points", "va": "center"}
    said = f"{total:,.0f} (formula: {formula[row]:,.0f})"
    ax.annotate(said, beside, fontsize="small", **look)
ax.set(xlabel="milliseconds, start and epoch together")
plots.legend(fig)
plots.finish(
    fig,
    "Stacked start and epoch times by number of workers, with the formula's "
    "prediction as diamonds.",
    measured="x",
)

# %% [markdown] tags=["tells"]
# What to see: the start of the workers is gold, an epoch after it blue, and a diamond is your formula's prediction of
# both together. Compare the blue parts within each group of three bars: for JPEG files, workers shorten them.
#
# Workers pay off if reading is the larger part and cores are free. On two cores, two workers take longer than your
# formula predicts: together with the notebook's process they are three processes, and the formula gives each its own
# core. It also ignores that each epoch begins by waiting for the first batch. If reading is cheap, workers only cost
# their start and, for each batch, a trip through shared memory. `persistent_workers=True` keeps workers from epoch to
# epoch, as here, so the start is paid once. (Each blue bar is the better of two epochs.)

# %% tags=["fold"]
# Claims: who reads the pictures
small, jpeg = (
    {w: seconds for w, (_, seconds) in epochs[name].items()} for name in sources
)
claim(
    "Read one by one, small pictures take more than twice as long as in batches.",
    reading["a picture at a time"].median > 2 * reading["a batch at a time"].median,
    timing=True,
)
claim(
    "Reading JPEG files takes longer than the training step.",
    expense.median > 1,
    timing=True,
)
claim(
    "For JPEG files, an epoch with workers is shorter after the start.",
    jpeg[0] > min(jpeg[1], jpeg[2]),
    where=needs("two free cores"),
    timing=True,
)
claim(
    "Reading a batch at a time takes less than half as long as the training step.",
    2 * reading["a batch at a time"].median < reading["training step"].median,
    timing=True,
)
claim(
    "For small pictures, the first worker's start takes longer than an epoch without "
    "workers.",
    first_start > small[0],
    timing=True,
)
claim(
    "For small pictures, two workers save less than half of an epoch after the start.",
    small[2] > 0.5 * small[0],
    timing=True,
)

# %% [markdown]
# ## 4. One network in two processes
#
# Threads cannot leave a machine, and they share Python's lock. Processes have neither limit. In *data parallelism*,
# each of P processes has a copy of the network and computes on a P-th of each batch. All copies average their
# gradients, so all of them make the same step. PyTorch's **DDP** (DistributedDataParallel) averages gradients while the
# backward pass is still running. It numbers the processes from 0; a process's number is its **rank**.
#
# First, which process reads which pictures? torch's `DistributedSampler` gives each process equally many. A process
# with fewer would take fewer steps, and the others would wait for it forever.
#
# **Exercise (3 points).** List the positions that process `rank` reads, without shuffling. Positions are dealt like cards.
# If they don't divide evenly, dealing starts again at 0.


# %% exercise="parallel.sampler_positions"
def sampler_positions(length, processes, rank):
    """Positions, out of `length` pictures, that process `rank` reads: a list of ints.

    rank is between 0 and processes − 1. Every position is read by some process.

    >>> sampler_positions(5, 2, 0), sampler_positions(5, 2, 1)
    ([0, 2, 4], [1, 3, 0])
    """
    ### BEGIN SOLUTION
    each = -(-length // processes)
    return [place % length for place in range(rank, each * processes, processes)]
    ### END SOLUTION


# %%
check("parallel.sampler_positions", sampler_positions)

# %% tags=["fold"]
# Plot: pictures by process
sampler_positions = yours_or_ours("parallel.sampler_positions")
agree = [
    sampler_positions(n, p, r)
    == list(DistributedSampler(range(n), num_replicas=p, rank=r, shuffle=False))
    for n in range(4, 40)
    for p in (1, 2, 3, 4)
    for r in range(p)
]

fig, ax = plots.figure(height=2.2)
colors = (plots.SKY, plots.GREEN, plots.GOLD, plots.PURPLE)
rows = {
    f"process {rank}": [
        (str(place), 1, plots.ORANGE if turn * 4 + rank >= 10 else color)
        for turn, place in enumerate(sampler_positions(10, 4, rank))
    ]
    for rank, color in enumerate(colors)
}
plots.boxes(ax, rows)
ax.set(xticks=[], title="10 pictures for 4 processes; orange: read a second time")
plots.finish(
    fig,
    "Rows of pictures per process; two pictures are read twice so that all rows are "
    "equally long.",
)

# %% [markdown]
# What to see: each row is a process, and all rows are equally long, so two pictures are read twice.
#
# Second, the mean of the processes' mean gradients is the gradient of the whole batch only if all processes have
# equally many pictures. Otherwise, each process must weight its loss.
#
# **Exercise (4 points).** Compute the weights. The *mean over the processes* of weight × (mean gradient of the process)
# must be the gradient of the mean loss over all pictures.


# %% exercise="parallel.loss_weights"
def loss_weights(counts):
    """One weight per process, a list of floats.

    counts: number of pictures of each process, all at least 1.

    >>> loss_weights([1, 3])
    [0.5, 1.5]
    """
    ### BEGIN SOLUTION
    return [len(counts) * count / sum(counts) for count in counts]
    ### END SOLUTION


# %%
check("parallel.loss_weights", loss_weights)

# %%
loss_weights = yours_or_ours("parallel.loss_weights")


def gradient_of(x, y):
    """The gradient of the mean loss, as one vector."""
    model = copy.deepcopy(net)
    cross_entropy(model(x), y).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


# %%
x, y, part = batch[:64], pictures.test.labels[:64], [40, 20, 4]
whole = gradient_of(x, y)
of_each = list(map(gradient_of, x.split(part), y.split(part)))
weighted = sum(w * g for w, g in zip(loss_weights(part), of_each, strict=True)) / 3
plain = sum(of_each) / 3

# %% [markdown]
# Now with two real processes. A notebook runs in one process. So **torchrun**, PyTorch's program that starts the
# processes of a training run, starts two more from the file `nnopt_lab/techniques/parallelism/data_parallel.py`, and
# they report here:
#
# ```bash
# torchrun --nproc-per-node=2 -m nnopt_lab.techniques.parallelism.data_parallel \
#     pictures.pt equal speed sharded train killed
# ```
#
# A cell below runs this command. The file does not depend on where it runs. If there is a GPU per process, it uses
# them, and the library *NCCL* sends their messages; otherwise it uses CPUs and the library *gloo*. With `--nnodes` and
# an address, it runs on many machines. Its core is this:
#
# ```python
# # the same weights everywhere; hooks on the gradients
# model = DDP(models.MyNet())
# # P/N × the summed loss of this process's pictures
# share_of_loss(model, batch, rank, P).backward()
# # the same step everywhere
# optimizer.step()
# ```
#
# (N is the number of pictures in the batch. P/N times the sum of a process's losses is the exercise's weight times
# their mean, and DDP's hooks then average over the processes.)
#
# The file does five things. It compares the gradient with that of one process, measures the speed, measures the memory
# (section 5), trains for three short epochs, and trains once more while a process is killed (section 6).
#
# Two processes of one thread each share a batch of 256. How many times as fast are they as *one* process with two
# threads and the whole batch?
#
# And for section 6: in the last training run, one of the two processes is killed in the middle of the second epoch. How
# many seconds does it take until that epoch is finished after all? And how far are the final weights from those of the
# undisturbed run (largest difference)?

# %%
predict("speed-up of two processes over two threads", unit="×")

# %%
predict("time from the kill to the end of the repeated epoch", unit="s")

# %%
predict("difference of the weights after a kill and a restart", unit="(largest)")

# %% tags=["fold"]
# Numbers: two processes, started by torchrun
folder, heard = Path(tempfile.mkdtemp()), {}
experiments.save_pictures(folder / "pictures.pt", pictures)


def hear(line):
    """Print what a process reports, and note when."""
    heard[line] = time.perf_counter()
    print(line)


try:
    together = experiments.two_processes(folder, show=hear)
except RuntimeError as error:
    print(wrapped(f"Two processes cannot be started here ({error})."))
    print("What follows is a recorded result.")
    together, heard = recorded("processes")["result"], {}

# %% [markdown]
# The gradient was compared for three batches: 256 pictures, 255 (128 and 127), and one, which leaves nothing for the
# second process. Each time it equals the gradient that a single process computes, except for the last bits, since sums
# in another order are rounded differently.

# %% tags=["fold", "nbval-ignore-output"]
# Answer: speed-up of two processes over two threads
seconds = {
    name: measure.Timing(tuple(samples), 256)
    for name, samples in together["speed"].items()
}
labels = {
    "one thread": "1 process, 1 thread",
    "threads": "1 process, 2 threads",
    "processes": "2 processes, 1 thread each",
    "exchange": "the exchange alone",
}

against_threads = measure.ratio(seconds["threads"], seconds["processes"])
reveal(
    "speed-up of two processes over two threads",
    against_threads.median,
    against_threads.low,
    against_threads.high,
    because="Both use two cores. Threads divide each operator. Processes divide the "
    "batch once, so they wait less, but they exchange a megabyte of gradients per "
    "step.",
)

# %% tags=["fold"]
# Plot: time of a step
fig, ax = plots.figure(height=2.4)
colors = (plots.REFERENCE, plots.BLUE, plots.GREEN, plots.GOLD)
rows = {
    text: tuple(1000 * s for s in (seconds[name].median, *seconds[name].quartiles))
    for name, text in labels.items()
}
plots.bars(ax, rows, dict(zip(rows, colors, strict=True)), labels="{:.1f}")
ax.set(xlabel="ms, forward and backward, 256 pictures (whiskers: quartiles)")
told = [f"{name} took {ms:.1f} ms" for name, (ms, *_) in rows.items()]
plots.finish(
    fig,
    f"Bars of the time of a step: {'; '.join(told)}.",
    measured="x",
)

# %% [markdown] tags=["tells"]
# What to see: if two cores are free, both two threads (blue) and two processes (green) take less time than one thread
# (grey). The gold bar is the exchange by itself; in the green bar, part of it is hidden behind the backward pass.
#
# On one machine, processes use the same cores as threads, so don't expect them to be much faster. You need them for
# *other* machines, and for several GPUs, each of which needs its own process. There the exchange goes over a cable,
# whose speed matters.

# %% tags=["fold"]
# Claims: one network in two processes
by_processes = measure.ratio(seconds["one thread"], seconds["processes"])
claim(
    "The positions of the exercise are those of torch's DistributedSampler.", all(agree)
)
claim(
    "Weighted, shares of 40, 20 and 4 give the gradient of all 64, to 1e-6.",
    (weighted - whole).abs().max() < 1e-6,
)
claim(
    "For batches of 256, 255 and 1, two processes have the gradient of one, to 1e-6.",
    together["equal"]["pictures"] == [256, 255, 1]
    and max(together["equal"]["largest"]) < 1e-6,
    timing=False,
)
claim(
    "Unweighted, the error is more than a thousand times as large.",
    (plain - whole).abs().max() > 1e-3,
)
claim(
    "Two processes are less than 2.5 times as fast as one thread.",
    by_processes.median < 2.5,
    timing=True,
)
claim(
    "The exchange takes less than half as long as a step of two processes.",
    2 * seconds["exchange"].median < seconds["processes"].median,
    timing=True,
)

# %% [markdown]
# ## 5. All-reduce and its two halves
#
# The exchange is an *all-reduce*: each process has a vector, and all get the sum. It consists of two halves. In
# *reduce-scatter*, process $r$ gets the $r$-th piece of the sum. In *all-gather*, every process collects all pieces.
# The usual way is a *ring*: each process sends to one neighbour only.

# %% tags=["fold"]
# Diagram: all-reduce in a ring
diagrams.ring_all_reduce()

# %% [markdown]
# What to see: dots are a process's own values, filled squares are full sums. After the first half, each process has one
# filled square, a different one; after the second, all four.
#
# **Exercise (3 points).** Implement the first half, with the vectors of all processes in a list. Put together, the
# pieces must be the sum.


# %% exercise="parallel.reduce_scatter"
def reduce_scatter(vectors):
    """The piece of the sum that each process gets: a list of P tensors [K].

    vectors: list of P vectors, float [P · K], one per process.

    >>> reduce_scatter([torch.tensor([1, 2, 3, 4]), torch.tensor([10, 20, 30, 40])])
    [tensor([11, 22]), tensor([33, 44])]
    """
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
error = (gathered - whole).abs().max().item()
print(f"{len(pieces)} pieces of {len(pieces[0]):,} values each")

# %% question="parallel.ring_bytes"
megabytes = None
### BEGIN SOLUTION
megabytes = 150
### END SOLUTION
question("parallel.ring_bytes", megabytes)

# %% [markdown]
# Put together again, the pieces are the gradient of the whole batch. Between the two halves, each process holds only
# its own piece of the gradient. So it can also keep the optimizer's state for only that piece, and only that piece of
# the weights. This is **FSDP** (fully sharded data parallel): weights are stored in pieces, gathered just before a
# layer needs them and dropped afterwards, and gradients are reduce-scattered. Its current form in PyTorch,
# `fully_shard`, is called **FSDP2** to distinguish it from an older class. You call it on each block and then on the
# whole model:
#
# ```python
# for block in model.blocks:
#     fully_shard(block)  # a group of weights, gathered when its turn comes
# fully_shard(model)      # the rest
# ```
#
# With only the last call, all weights would form one group and be gathered at once. In `data_parallel.py`, the blocks
# are the two parts of `MyNet`, `features` and `classifier`.
#
# **Exercise (3 points).** Compute how many bytes a process holds. Weights and gradients are float32, and Adam keeps two
# moments per weight. (Activations, which depend on the batch, and buffers for messages are not counted.)


# %% exercise="parallel.bytes_each"
def bytes_each(parameters, processes, split):
    """Bytes that one process holds, a float.

    split: list of those of "weights", "gradients" and "moments" (Adam's two) that are
    held in equal pieces, one per process. Each process holds the others as a whole.

    >>> bytes_each(10, 2, []), bytes_each(10, 2, ["moments"])
    (160.0, 120.0)
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
count, held = measure.parameters(net).total, together["sharded"]

# %% tags=["fold"]
# Table: bytes that a process holds
rows = [[name, measure.format_bytes(held[name])] for name in ("DDP", "FSDP2")]
Table(rows, ["method", "in each of the two processes"])

# %%
# Claims: DDP and FSDP2
claim(
    "Reduce-scatter and then all-gather give the gradient of the whole batch, to 1e-6.",
    error < 1e-6,
)
claim(
    "With DDP, a process holds what the formula says, to the byte.",
    held["DDP"] == bytes_each(count, 2, []),
    timing=False,
)
claim(
    "With FSDP2, a process holds half of that, to the byte.",
    held["FSDP2"] == bytes_each(count, 2, everything) == held["DDP"] / 2,
    timing=False,
)
claim(
    "DDP and FSDP2 have the same gradients, to 1e-6.",
    held["largest"] < 1e-6,
    timing=False,
)

# %% [markdown]
# ## 6. When a process dies
#
# The more machines you use, the more often one fails. DDP cannot continue with one process missing. The others wait for
# a gradient that never comes, or notice that the connection is dead, and fail, too. torchrun notices this, ends the
# others, and starts all of them again (`--max-restarts`). What they have learned so far is in the last *checkpoint*, a
# file with the state of the training. Process 0 writes one after each epoch. It writes to another file name first, and
# then renames the file, so a checkpoint is never half written.
#
# The last run above repeated the previous one. In the middle of its second epoch (epoch 1, since the first is 0), the
# second process was killed with SIGKILL, which no program can catch. Here is what the processes reported, and when:

# %% tags=["nbval-ignore-output", "fold"]
# Answer: time from the kill to the end of the repeated epoch
said = {
    line.split("killed: ")[1]: (when, line[8])
    for line, when in heard.items()
    if "killed: " in line
}

reveal(
    "time from the kill to the end of the repeated epoch",
    said["epoch 1 done"][0] - said["process 1 dies in epoch 1"][0] if said else None,
    because="The epoch takes a fraction of a second. Nearly all of the time goes into "
    "new processes that import torch.",
)

# %%
# Answer: difference of the weights after a kill and a restart
reveal(
    "difference of the weights after a kill and a restart",
    together["difference"],
    because="Everything that a step depends on is in the checkpoint (weights, "
    "momentum, epoch) or follows from the number of the epoch (the order of the "
    "pictures). So the repeated epoch is the same one, bit for bit.",
)


# %% tags=["fold"]
# Plot: the run with a killed process
def timeline(said):
    """The events on a line, with the time of each."""
    fig, ax = plots.figure(height=1.9)
    for place, (what, (when, attempt)) in enumerate(said.items()):
        after, dies = when - next(iter(said.values()))[0], "dies" in what
        color = plots.ORANGE if dies else (plots.BLUE, plots.GREEN)[int(attempt)]
        ax.plot(after, 0, "X" if dies else "o", color=color)
        ax.annotate(
            what,
            (after, 0),
            xytext=(0, -20 if place % 2 else 10),  # neighbours below and above the line
            textcoords="offset points",
            fontsize="small",
            color=color,
        )
    ax.set(
        yticks=[],
        xlabel="seconds",
        ylim=(-1.5, 1.5),
        title="blue: before the restart, green: after it",
    )
    ax.set_xlim(-0.3, 1.2 * max(ax.get_xlim()[1], 1))
    ax.grid(False)
    return plots.finish(
        fig,
        "Events in seconds: an epoch done, a process killed, and after a gap the "
        "restarted epochs.",
        measured="x",
        series=True,
    )


no_kill = "No process was killed here, so there is no time to report."
timeline(said) if said else print(no_kill)

# %% [markdown]
# What to see: nearly all of the time lies between the orange cross, the kill, and the first green dot, the end of the
# repeated epoch.

# %%
# Claims: the restart
claim(
    "The first attempt was killed, and the second continued with epoch 1.",
    together["killed"] == {"attempt": 1, "first epoch": 1},
    timing=False,
)
claim(
    "The weights equal those of the undisturbed run, bit for bit.",
    together["difference"] == 0,
    timing=False,
)

# %% question="parallel.checkpoint"
choice = None
### BEGIN SOLUTION
choice = "a"
### END SOLUTION
question("parallel.checkpoint", choice)

# %% [markdown]
# ## 7. When a network is too large for one device
#
# Your formula for the bytes tells you what to split, and when. Assume eight devices with 80 GB each.

# %% tags=["fold"]
# Plot: memory per process over parameters
scale = torch.logspace(8, 12, 50).tolist()
splits = {
    "DDP: nothing split": [],
    "moments split": everything[2:],
    "moments and gradients split": everything[1:],
    "FSDP: all split": everything,
}

fig, ax = plots.figure()
for name, split in splits.items():
    ax.plot(scale, [bytes_each(n, 8, split) / 1e9 for n in scale], label=name)
plots.reference_line(ax, 80, "80 GB", across=True)
ax.set(
    xscale="log", yscale="log", xlabel="parameters", ylabel="GB in each of 8 processes"
)
plots.name_lines(ax)
plots.finish(
    fig,
    "Memory per process over parameters for four ways to split; splitting all needs "
    "least.",
)

# %% [markdown]
# What to see: each line crosses the dashed one, the memory of a device, at the largest network that fits.

# %% tags=["fold"]
# Claims: the largest network per device
largest = {name: 80e9 / bytes_each(1, 8, split) for name, split in splits.items()}
claim(
    "With DDP, 5 billion parameters fill a device.",
    round(largest["DDP: nothing split"] / 1e9, 2) == 5,
)
claim(
    "With everything split in eight, 40 billion do.",
    round(largest["FSDP: all split"] / 1e9, 2) == 40,
)

# %% [markdown]
# FSDP saves memory at the price of messages. It gathers all weights twice per step (for the forward and the backward
# pass) and reduce-scatters the gradients once, while DDP's all-reduce is one gather and one reduce-scatter. So FSDP
# sends 1.5 times as much. It can hide this behind the computation if each process has enough to compute, that is, a
# large enough batch.
#
# ## 8. Cutting the network itself
#
# If the batch cannot be divided further, or one layer alone is too large, the network itself is cut. There are two
# ways.
#
# **Tensor parallelism** cuts each matrix. The first linear layer is cut by outputs, so each process computes its own
# hidden units, including ReLU. The second is cut by inputs, and the results of the processes are summed. So two layers
# need one all-reduce of *activations* in the forward pass, and another one in the backward pass
# ([Shoeybi et al. 2019](https://arxiv.org/abs/1909.08053)). Here is the forward pass of `MyNet`'s classifier, with two
# halves in the roles of two processes:

# %%
with torch.inference_mode():
    features = net.features(batch).flatten(1)
    first, second = net.classifier[0], net.classifier[2]
    partial = [  # one entry per process, each [128, 10]
        nn.functional.linear(features, w, b).relu() @ v.T
        for w, b, v in zip(
            first.weight.chunk(2),
            first.bias.chunk(2),
            second.weight.chunk(2, 1),
            strict=True,
        )
    ]
    logits = sum(partial) + second.bias
    expected = net(batch)

# %%
# Claims: tensor parallelism
claim(
    "Two halves of the classifier, summed, give the same logits.",
    torch.allclose(logits, expected, atol=1e-4),
)
claim("The processes exchange 128 × 10 values per batch.", partial[0].numel() == 1_280)

# %% [markdown]
# The next layer needs the sum at once, so this exchange is hard to hide behind computation. That is why tensor
# parallelism is used between devices with fast connections, mostly within one machine. Try it: how would you change the
# cell to cut the classifier into four instead of two?
#
# **Pipeline parallelism** cuts between layers. Each device has a *stage*, some of the layers, and sends only its
# activations to the next device. A batch is cut into parts that follow each other. The price is the *bubble*: at the
# start the last device waits, and at the end the first one.

# %% tags=["fold"]
# Plot: a pipeline of four stages
stages, parts = 4, 8
fig, ax = plots.figure(height=2.2)
rows = {
    f"stage {stage}": [
        *([("", stage, None)] if stage else []),
        *((str(part), 1, plots.SKY) for part in range(parts)),
    ]
    for stage in range(stages)
}
plots.boxes(ax, rows)
ax.set(
    xlabel="time, steps",
    title="4 stages, 8 parts of a batch, forward",
    xlim=(0, stages + parts - 1),
)
plots.finish(
    fig,
    "A staircase of boxes: four stages compute eight parts, the corners are empty.",
)

# %% [markdown]
# What to see: each row is a device, and the boxes are the parts that it computes. The empty corners are the bubble.

# %% question="parallel.bubble"
percent = None
### BEGIN SOLUTION
percent = 27.3
### END SOLUTION
question("parallel.bubble", percent)

# %% [markdown]
# As a rule, use DDP while a whole network with its moments fits, and FSDP when it doesn't. Use tensor parallelism
# within a machine when a layer is too large or the batch per device too small, and pipelines between machines with slow
# connections. The largest trainings combine all of them.
#
# ## 9. An accelerator
#
# `torch.accelerator` finds the machine's accelerator: an NVIDIA GPU (CUDA), an AMD one (ROCm), an Intel one (XPU), or a
# Mac's (MPS). `training.best_device()` asks it, and all lessons train on that device. A GPU has thousands of small
# cores that divide each operator, like threads, so it needs large batches. It has its own memory, so pictures must be
# copied, and how you copy matters. From **pinned** memory, which the operating system may neither move nor swap out,
# the GPU fetches them by itself, and with `non_blocking=True` the program does not wait:
#
# ```python
# loader = DataLoader(…, pin_memory=True)
# for x, y in loader:
#     x = x.to(device, non_blocking=True)  # overlaps with computing
#     y = y.to(device, non_blocking=True)
# ```
#
# If you have an accelerator, the next cell measures it, which takes a few seconds. Otherwise it shows a recording from
# a data centre's GPU and the 16 CPU cores beside it.

# %% tags=["fold", "nbval-ignore-output"]
# Plot: copies and speed of an accelerator
on_device = live_or_recorded("accelerator")
print(f"measured on: {on_device['device']}")
fig, (left, right) = plots.figure(ncols=2)
plots.bars(left, on_device["copy"], colors=plots.BLUE, labels="{:.1f}")
left.set(title="copy to the device, GB/s")
speeds = {"accelerator": on_device["accelerator"], "CPU": on_device["cpu"]}
plots.curves(right, on_device["sizes"], speeds)
right.set(xlabel="batch size", title="pictures per second", yscale="log")
plots.log_axis(right.xaxis, on_device["sizes"])
plots.legend(fig)
pinned = on_device["copy"]["pinned"] / on_device["copy"]["plain"]
plots.finish(
    fig,
    f"Pinned memory copies {pinned:.0f} times as fast as plain memory; the "
    "accelerator's lead over the CPU grows with the batch.",
    measured="xy",
)

# %% [markdown]
# What to see: the left plot shows how fast each way of copying is, and pinned memory makes the difference. On the
# right, the accelerator's lead grows with the batch. Lesson 13, [the accelerator](13_accelerator.ipynb), explains both.
#
# ## 10. Playground
#
# Here is Amdahl's law with an overhead for each further core: messages, waking threads, bookkeeping. When does one more
# core make the program slower? What helps more at 64 cores: halving the serial share, or halving the overhead?

# %%
scaling_playground()

# %% [markdown]
# ## Summary
#
# Here is what a second thread, request, process or worker gained on your machine. A factor of 2 would be ideal.

# %% tags=["fold"]
# Plot: what each way gained
summary = {
    "2 threads, batch 1": gains[1][2],
    "2 threads, batch 128": gains[128][2],
    "2 requests at a time": at_once["two at a time, 1 thread each"],
    "2 processes (DDP)": by_processes,
}
for name in sources:
    alone, *others = (epochs[name][w][1] for w in (0, 1, 2))
    summary |= {
        f"1 worker, {name}": alone / others[0],
        f"2 workers, {name}": alone / others[1],
    }
fig, ax = plots.figure(height=3.2)
colors = {name: plots.GOLD if "worker" in name else plots.BLUE for name in summary}
plots.intervals(ax, summary, colors, reference=1)
ax.axvline(2, color=plots.REFERENCE, linewidth=0.8, linestyle=":")
ax.set(
    xlabel="times as fast as with one (gold: as without workers, start not counted)",
    xlim=(0, None),
)
gains_of = {name: plots.middle_low_high(gain)[0] for name, gain in summary.items()}
winner, loser = max(gains_of, key=gains_of.get), min(gains_of, key=gains_of.get)
plots.finish(
    fig,
    f"“{winner}” gains most, {gains_of[winner]:.2f} times; “{loser}” gains least, "
    f"{gains_of[loser]:.2f} times.",
    measured="x",
)

# %% [markdown]
# What to see: dots to the right of the dashed line gained something, and the dotted line is the ideal.
#
# You can now choose threads, requests and workers for a machine, train one network in several processes, and decide
# when and how to split it.
#
# - **Do less first**: turn pictures into tensors once, and transform whole batches. In batches, reading took less than
#   half of the time it took picture by picture, on one core.
# - **Threads** are on by default. They help with large operators. If several processes share a machine, set fewer,
#   since more threads than cores take turns.
# - **For many requests**, run them side by side with one thread each.
# - **Workers** pay off if reading is slower than computing and cores are free. They take time to start.
# - **Several processes** compute the same gradient as one, up to rounding, if unequal shares are weighted. Use them for
#   several GPUs or machines.
# - **Checkpoints** must contain everything that a step depends on. Then a crash costs time, and nothing else.
# - **Memory** decides the rest: 16 bytes per parameter with Adam, divided by the number of processes for what is split.
#
# **In practice.** Use torchrun with DDP for networks that fit, and FSDP2 (`fully_shard`) or DeepSpeed's ZeRO for those
# that don't. The largest need tensor and pipeline parallelism, too (`torch.distributed.tensor.parallel`,
# `torch.distributed.pipelining`, Megatron-LM). `torch.distributed.checkpoint` saves checkpoints in pieces. Libraries
# such as Accelerate and Lightning wrap most of these.
#
# **Further reading.**
# [Amdahl, *Validity of the single processor approach* (1967)](https://doi.org/10.1145/1465482.1465560) ·
# [Karp & Flatt, *Measuring parallel processor performance* (1990)](https://doi.org/10.1145/78607.78614) ·
# [Li et al., *PyTorch Distributed* (2020)](https://arxiv.org/abs/2006.15704) ·
# [Rajbhandari et al., *ZeRO* (2020)](https://arxiv.org/abs/1910.02054) ·
# [Zhao et al., *PyTorch FSDP* (2023)](https://arxiv.org/abs/2304.11277) ·
# [Shoeybi et al., *Megatron-LM* (2019)](https://arxiv.org/abs/1909.08053) ·
# [Huang et al., *GPipe* (2019)](https://arxiv.org/abs/1811.06965) ·
# [PyTorch's performance tuning guide](https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html).
#
# **Next:** [11 Mixed precision](11_mixed_precision.ipynb) trains with fewer bits.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
