# %% [markdown]
# # The accelerator: when is a GPU fast, and when does it wait?
#
# A well-fed data-centre GPU runs this course's network on about 50 times as many pictures per second as 16 CPU cores
# do. A program that gives it one picture at a time gets less than a five-hundredth of that speed. This lesson shows
# where the rest goes and how to get it back. You will
#
# - see why a clock that doesn't wait for the device measures the wrong thing;
# - tell from two timings whether a batch is limited by launches or by the device's own work;
# - remove launches, with larger batches, fused operators and CUDA graphs (recorded launches);
# - draw a card's roofline (the limits that arithmetic and memory set), and see why layer widths matter to its tensor
#   cores;
# - feed it with faster, overlapped and smaller copies;
# - compare engines and ways to train on a card, if you have one or the course has a recording;
# - compute the price of a million pictures on a card and on a CPU.
#
# The lesson takes about an hour and stands alone. **You need no accelerator.** You compute with timings that were
# recorded on a named card. If torch finds an accelerator on your machine, the cells measure it instead.
#
# Some terms:
#
# - An **accelerator** is a processor that does the same operation on many numbers at a time, such as the GPU on a
#   graphics card (*card* for short).
# - The **device** is the accelerator, and the **host** is the CPU that gives it work.
# - A **kernel** is a routine that runs on the device, and a **launch** is the host's request to run one.
# - An **operator** is one operation of torch, such as a convolution or a ReLU. On a card, most operators launch one or
#   more kernels.
# - To *compute* a picture means to run the network on it.
#
# *The article* is the tutorial that this course grew out of, and `MyNet`, which the next cells print, is its network.
# The lesson's pictures show clothes and reach the network as 3 × 32 × 32 numbers.

# %% tags=["fold", "side-by-side"]
# Imports: where the names of this lesson come from
import math
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import torch
from IPython.display import display
from torch import nn

from nnopt_lab.course.calls import (
    check,
    claim,
    hint,
    lesson,
    question,
    yours_or_ours,
)
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import live_or_recorded, recorded
from nnopt_lab.lessons.accelerator import ladders
from nnopt_lab.lessons.accelerator.playground import price_playground
from nnopt_lab.lessons.parallelism import experiments as transfers
from nnopt_lab.workbench import data, device, measure, models, plots, training
from nnopt_lab.workbench.measure.launches import operator_calls
from nnopt_lab.workbench.tables import Table
from nnopt_lab.workbench.text import wrapped

# %%
lesson("13_accelerator")
HERE = device.accelerator() is not None
card = live_or_recorded("accelerator")
net = models.trained("mynet")
pictures = data.load("fashion")
print(f"timings of this lesson: {card['device']} ({'live' if HERE else 'recorded'})")
measure.layer_table(net, pictures.to_input(pictures.test.images[:1]))

# %% [markdown]
# ## 1. Two clocks
#
# A launch doesn't wait for the kernel. The host puts the kernel into a queue, called a **stream**, and goes on at once.
# The device takes one kernel after another from the queue. This is **asynchronous** execution, and it can fool your
# clock.
#
# You can build such a device yourself: a thread that works through a queue. Each kernel here multiplies two matrices.

# %%
worker = ThreadPoolExecutor(max_workers=1)
a, b = torch.rand(400, 400), torch.rand(400, 400)


def launch():
    """Queue one kernel, and return at once."""
    return worker.submit(torch.mm, a, b)


warm = launch().result()  # the first launch starts the thread

# %% [markdown]
# Now launch 50 kernels and read the clock twice: when the last launch has returned, and when the last result is ready.
# What percentage of the second time is the first?

# %%
predict("time after the last launch, as a share of the true time", unit="%")

# %% tags=["nbval-ignore-output"]
started = time.perf_counter()
results = [launch() for _ in range(50)]
launched = time.perf_counter() - started
results[-1].result()
finished = time.perf_counter() - started

# %% tags=["nbval-ignore-output"]
# Answer: time after the last launch, as a share of the true time
reveal(
    "time after the last launch, as a share of the true time",
    100 * launched / finished,
    because="The first reading tells how fast the host fills the queue. It says "
    "nothing about how long the kernels take.",
)

# %% tags=["fold", "nbval-ignore-output"]
# Numbers: the two readings of the clock
print(f"all launched after {1000 * launched:.2f} ms, finished {1000 * finished:.1f} ms")

# %% [markdown]
# On a real device the same mistake is easy to make and hard to notice. Call `torch.accelerator.synchronize()`, which
# waits until the device has finished, before you read the clock. Or let the device record the times: an *event* is an
# entry in the queue that stores the time at which the device reaches it.

# %% tags=["nbval-ignore-output"]
if HERE:
    here = device.find("accelerator")
    large = torch.rand(4000, 4000, device=here)
    with device.Stopwatch(here) as watch:  # CUDA: two events around it
        for _ in range(50):
            large @ large
    print(f"clock after the launches: {1000 * watch.launch_seconds:.2f} ms")
    print(f"events on the device:     {1000 * watch.seconds:.2f} ms")
else:
    print("torch finds no accelerator here; this cell would show both clocks on it.")

# %% [markdown]
# **Exercise (3 points).** Compute both readings of the clock. The host launches the kernels one after another, and the
# device runs them in order.


# %% exercise="accelerator.two_clocks"
def two_clocks(launch_us, kernels_us):
    """Two times in µs, as a list: when all launches have returned, and when the last
    kernel has ended.

    Every launch takes the host launch_us. kernels_us: list of the kernels' durations. A
    kernel starts when its launch has returned and the kernel before it has ended.

    >>> two_clocks(10, [3, 3])
    [20, 23]
    >>> two_clocks(10, [30, 3])
    [20, 43]
    """
    ### BEGIN SOLUTION
    free = 0
    for number, kernel in enumerate(kernels_us, 1):
        free = max(number * launch_us, free) + kernel
    return [len(kernels_us) * launch_us, free]
    ### END SOLUTION


# %%
check("accelerator.two_clocks", two_clocks)

# %%
two_clocks = yours_or_ours("accelerator.two_clocks")
durations = [1, 3, 10, 30, 100]
clocks = [two_clocks(10, [duration] * 50) for duration in durations]

# %% tags=["fold"]
# Plot: launched and finished
fig, ax = plots.figure(height=3.2)
series = {
    "all launched": [c[0] / 1000 for c in clocks],
    "finished": [c[1] / 1000 for c in clocks],
}
plots.curves(ax, durations, series)
ax.set(xlabel="duration of each of 50 kernels, µs", ylabel="time, ms", yscale="log")
plots.log_axis(ax.xaxis, durations)
plots.log_axis(ax.yaxis, [0.5, 1, 2, 5])
plots.name_lines(ax)
plots.finish(
    fig,
    "Time until 50 kernels are launched stays level; time until they are finished "
    "rises once a kernel takes longer than a launch.",
)

# %% [markdown]
# What to see: both readings for 50 equal kernels, if a launch takes 10 µs. The flat curve is the early reading: it is
# the same for every kernel, so it says nothing about them. The curve of the true time has two parts. On the left,
# kernels are shorter than a launch, and the device waits for the host: the program is **launch-bound**. On the right,
# kernels are longer than a launch, and the device computes nearly all the time: launching costs next to nothing.

# %%
# Claims: launches and kernels
claim(
    "If a launch takes 10 µs, 50 kernels of 1 µs take as long as 50 of 3 µs, to 1 %.",
    abs(clocks[1][1] / clocks[0][1] - 1) < 0.01,
)
claim(
    "With kernels of 100 µs, the device computes for more than 99 % of the time.",
    clocks[-1][1] < 50 * 100 / 0.99,
)

# %% [markdown]
# ## 2. Launch-bound or not?
#
# A card runs `MyNet` on one picture, and then on 256 at once. How many times as long do 256 pictures take?

# %%
predict("time for 256 pictures on the card, relative to one", unit="×")

# %% tags=["fold"]
# Answer: time for 256 pictures on the card, relative to one
sizes = card["sizes"]
ms = {
    name: [1000 * n / speed for n, speed in zip(sizes, card[key], strict=True)]
    for name, key in {"card": "accelerator", "CPU": "cpu"}.items()
}
one, many = ms["card"][0], ms["card"][-1]  # the smallest and the largest batch
of_256 = ms["card"][sizes.index(256)] / one

reveal(
    "time for 256 pictures on the card, relative to one",
    of_256,
    because="The card computes 256 pictures in less time than the host needs to launch "
    "the operators, so both batches take about as long as the launches."
    if of_256 < 1.5
    else "Here computing 256 pictures takes longer than launching the operators.",
)

# %% [markdown]
# Two timings are enough to tell whether a program is launch-bound.
#
# **Exercise (2 points).** From the times of two batch sizes, compute which share of the *smaller* batch's time grows
# with the number of pictures. Assume that a batch takes a fixed time, plus the same time for each picture.


# %% exercise="accelerator.growing_share"
def growing_share(sizes, ms):
    """A number from 0 (launches are the limit) to 1 (the device's work is).

    sizes: list of two batch sizes, the smaller one first. ms: the times of these
    batches.

    >>> growing_share([4, 8], [10, 12])
    0.2
    """
    ### BEGIN SOLUTION
    per_picture = (ms[1] - ms[0]) / (sizes[1] - sizes[0])
    return per_picture * sizes[0] / ms[0]
    ### END SOLUTION


# %%
check("accelerator.growing_share", growing_share)

# %%
growing_share = yours_or_ours("accelerator.growing_share")
pairs = range(len(sizes) - 1)
growing = [growing_share(sizes[i : i + 2], ms["card"][i : i + 2]) for i in pairs]

# %% tags=["fold"]
# Plot: time per batch, and the share that grows
per_picture = many / sizes[-1]
expected = [max(one, size * per_picture) for size in sizes]
crossing = one / per_picture
fig, (left, right) = plots.figure(ncols=2, height=3.4)
plots.curves(left, sizes, ms)
left.plot(
    sizes, expected, color=plots.REFERENCE, linestyle="--", label="max of both limits"
)
left.set(xlabel="batch size", title="ms per batch", yscale="log")
plots.log_axis(left.xaxis, sizes)
plots.log_axis(left.yaxis, [0.3, 1, 3, 10, 30, 100])
plots.curves(right, sizes[:-1], {"card": growing})
right.set(
    xlabel="batch size, compared with the next",
    title="share of the card's time that grows",
)
plots.log_axis(right.xaxis, sizes[:-1])
plots.legend(fig)
plots.finish(
    fig,
    "The card's time is level up to 256 pictures and then grows; the CPU's grows from "
    "the start.",
)

# %% [markdown]
# What to see: on the left, the card's line is flat up to 256 pictures and then rises almost in proportion to the batch.
# The dashed line is the longer of two times: launching, estimated as the time of one picture, and computing, estimated
# as the number of pictures times the time per picture in the largest batch. The dashed line predicts
# every point of the card's line to within 15 %, so launching and computing overlap, and only the longer one counts.
# "CPU" stands for 16 cores of the machine with the recorded card. The card's lead over them is much smaller on one
# picture than on 4,096. On the right, the share that your function computes for neighbouring batch sizes: it is near 0
# while launching takes longer, and rises to almost 0.9 where computing does.

# %% tags=["fold"]
# Claims: launch-bound or not
print(f"On the card, computing outlasts the launches from {crossing:,.0f} pictures on.")
not_live = (not HERE, "measured on another device")
claim(
    "On the card, less than a tenth of the time grows with the batch, up to 256 "
    "pictures.",
    max(growing[: sizes.index(64) + 1]) < 0.1,
    where=not_live,
)
claim(
    "From 1,024 pictures to 4,096, more than four fifths of the time grows.",
    growing[sizes.index(1024)] > 0.8,
    where=not_live,
)
claim(
    "The longer of two times, launching and computing, predicts each batch to 15 %.",
    all(abs(m / e - 1) < 0.15 for m, e in zip(ms["card"], expected, strict=True)),
    where=not_live,
)
claim(
    "On 4,096 pictures, the card is 45 to 55 times as fast as 16 cores.",
    45 < ms["CPU"][-1] / many < 55,
    where=not_live,
)
claim(
    "On one picture, its lead over 16 cores is less than a fifth of that on 4,096.",
    ms["CPU"][0] / one < 0.2 * ms["CPU"][-1] / many,
    where=not_live,
)

# %% [markdown] tags=["tells"]
# So the first optimisation of inference on a card is free: **use larger batches** until the time starts to grow. (In
# training, a larger batch also changes what the network learns.)

# %% question="accelerator.double_the_batch"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("accelerator.double_the_batch", choice)

# %% [markdown]
# ## 3. Fewer launches
#
# Sometimes the batch can't grow: a request must be answered at once, or training works best with small batches. Then
# reduce the number of launches. Each operator that does arithmetic launches at least one kernel, and torch can count
# operators without a card: they all pass through its *dispatcher*, which picks the routine for the device.
#
# The article trains with SGD and a momentum of 0.9; take batches of 32. How many operators does one training step run,
# forward pass, backward pass and update together?

# %%
predict("operators in one training step of the article's loop", unit="operators")

# %%
x, y = torch.rand(32, 3, 32, 32), torch.randint(0, 10, (32,))
student = models.MyNet()


def operators_per_step(optimizer):
    def step():
        optimizer.zero_grad()
        nn.functional.cross_entropy(student(x), y).backward()
        optimizer.step()

    step()  # in its first step, the optimizer creates its state
    return operator_calls(step).total()


# %%
weights = list(student.parameters())
optimizers = {
    "SGD, each parameter": torch.optim.SGD(weights, 0.01, momentum=0.9, foreach=False),
    "AdamW, each parameter": torch.optim.AdamW(weights, foreach=False),
    "AdamW, foreach=True": torch.optim.AdamW(weights, foreach=True),
    "AdamW, fused=True": torch.optim.AdamW(weights, fused=True),
}
per_step = {name: operators_per_step(opt) for name, opt in optimizers.items()}
per_call = operator_calls(lambda: student(x)).total()

# %%
# Answer: operators in one training step of the article's loop
print(f"forward pass alone: {per_call} operators")
reveal(
    "operators in one training step of the article's loop",
    per_step["SGD, each parameter"],
    because="The forward pass runs nine operators and the loss two. The backward pass "
    "runs one per layer, but three for a linear layer with a bias. SGD with momentum "
    "adds three per parameter tensor: MyNet has eight, the weights and biases of four "
    "layers.",
)

# %% tags=["fold"]
# Plot: launches per training step
fig, ax = plots.figure(height=2.6)
launches = per_step | {"any of them, as a CUDA graph": 1}
plots.bars(ax, launches, colors=plots.BLUE, labels="{:.0f}")
ax.set(xlabel="launches per training step of MyNet, at least")
plots.finish(
    fig,
    "Launches per training step: many for AdamW per parameter, one as a CUDA graph.",
)

# %% [markdown]
# What to see: where AdamW updates one parameter after another, the update alone runs more operators than the forward
# and backward passes together. `foreach=True` (the default on a card) runs each kind of operation once, for all
# parameters together, and `fused=True` does the whole update in one operator, besides one that counts the steps. The
# last bar, a CUDA graph, launches a recording of the whole step, as explained below. Some operators launch several
# kernels, so the other bars are lower bounds.
#
# For each operator, the host runs Python, torch's dispatcher and the driver. This takes about 30 µs in all on the
# machine with the recorded card. There are three ways to reduce the launches:
#
# - **Fuse**: `torch.compile` merges chains of operators into one kernel each.
# - **Record**: a **CUDA graph** is a recording of all launches of a program. A single launch replays them.
# - **Both**: `torch.compile(model, mode="reduce-overhead")`.
#
# The code below records a graph. Before the recording, called the *capture*, run the model a few times in another
# stream, so that libraries can set up what they need
# ([PyTorch's notes](https://docs.pytorch.org/docs/stable/notes/cuda.html) show how):
#
# ```python
# static_x = x.clone()                          # a graph reads fixed addresses
# graph = torch.cuda.CUDAGraph()
# with torch.cuda.graph(graph):                 # records, computes nothing
#     static_y = model(static_x)
#
# static_x.copy_(new_x)                         # for each batch: fill, replay, read
# graph.replay()
# answer = static_y.clone()
# ```
#
# **Exercise (3 points).** A capture takes time once, and each replay saves some. Compute how many launches a graph
# saves per call, and after how many calls the capture has paid off.


# %% exercise="accelerator.graph_pays"
def graph_pays(kernels, launch_us, busy_us, capture_ms):
    """Launches saved per call, and the number of calls that pay for the capture, as a
    list.

    kernels: number of kernels that one call launches, each in launch_us on the host.
    busy_us: the time that the device computes in a call. Launching and computing
    overlap, so the longer one counts. A replay needs a single launch; the capture takes
    capture_ms once. Return the smallest number of calls that together save at least the
    time of the capture, or 0 if a replay saves no time.

    >>> graph_pays(5, 10, 20, 3)
    [4, 100]
    >>> graph_pays(5, 10, 60, 3)
    [4, 0]
    """
    ### BEGIN SOLUTION
    eager, replay = max(kernels * launch_us, busy_us), max(launch_us, busy_us)
    calls = math.ceil(1000 * capture_ms / (eager - replay)) if eager > replay else 0
    return [kernels - 1, calls]
    ### END SOLUTION


# %%
check("accelerator.graph_pays", graph_pays)

# %%
graph_pays = yours_or_ours("accelerator.graph_pays")
per_launch = 1000 * one / per_call  # µs, with all that the host does
busy = {size: 1000 * size * many / sizes[-1] for size in sizes}
pays = {
    size: graph_pays(per_call, per_launch, busy[size], capture_ms=20)[1]
    for size in sizes
}
with_graph = {size: max(per_launch, busy[size]) / 1000 for size in sizes}

# %% tags=["fold"]
# Plot: eager and CUDA graph over the batch size
fig, ax = plots.figure(height=3)
plots.curves(
    ax,
    sizes,
    {
        "eager, measured": ms["card"],
        "graph, computed": list(with_graph.values()),
    },
)
ax.set(xlabel="batch size", ylabel="ms per batch", yscale="log")
plots.log_axis(ax.xaxis, sizes)
plots.log_axis(ax.yaxis, [0.03, 0.1, 0.3, 1, 3])
plots.legend(fig)
plots.finish(
    fig,
    "With a graph, small batches take a ninth of the time; at large batches both "
    "lines meet.",
)

# %% [markdown]
# What to see: the upper line is the run without a graph (*eager*), which launches one operator after another. The lines
# meet where computing takes longer than launching. On the left a graph removes up to eight ninths of the time (eight of
# nine launches), on the right nothing. The lower line assumes that a replay costs as much as one launch: it is an
# estimate, not a measurement. The next table says, by your formula, after how many calls a capture of 20 ms has paid
# off (0: never).

# %% tags=["fold"]
# Table and claims: when a graph pays off
rows = [["calls", *(f"{calls:,}" for calls in pays.values())]]
display(Table(rows, ["pictures", *(f"{count:,}" for count in pays)]))
claim(
    "On 4,096 pictures a graph never pays off: the device is busy for longer than all "
    "launches take.",
    pays[4096] == 0,
    where=not_live,
)
claim(
    "On one picture, a capture of 20 ms has paid off after fewer than 100 calls.",
    0 < pays[1] < 100,
    where=not_live,
)
claim(
    "The forward pass runs nine operators, one for each layer but the flattening.",
    per_call == 9,
)
claim(
    "AdamW's loop over the parameters runs more operators than forward and backward "
    "pass, and a step with it more than three times as many as a fused one.",
    per_step["AdamW, each parameter"] > 2 * (per_step["AdamW, fused=True"] - 2)
    and per_step["AdamW, each parameter"] > 3 * per_step["AdamW, fused=True"],
)
claim(
    "Without the update, a training step runs three times the operators of a forward "
    "pass.",
    per_step["AdamW, fused=True"] - 2 == 3 * per_call,
)
claim(
    "SGD with momentum adds three operators for each of the eight parameter tensors.",
    per_step["SGD, each parameter"] - 3 * per_call == 3 * 8 == 3 * len(weights),
)
claim(
    "On one picture, the card's time is 25 to 40 µs per operator.",
    25 < 1000 * one / per_call < 40,
    where=not_live,
)

# %% [markdown]
# A graph has rules. It replays the same kernels on the same addresses. So shapes are fixed, each input must be copied
# to the recorded address, and the host can't look at a value and decide what runs next.

# %% question="accelerator.graph_rules"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("accelerator.graph_rules", choice)

# %% [markdown]
# ## 4. The card's roofline
#
# When launches are no longer the limit, the device's own work is: arithmetic or memory. Both limits follow from the
# maker's documents.
#
# - A card has **multiprocessors**, and each completes a number of multiply-adds (FMA, *fused multiply-add*) per clock
#   cycle.
# - The **peak** is the most operations per second that all of them complete together. A multiply-add counts as two
#   operations.
# - The **bandwidth** is the number of bytes that move to or from the card's memory per second.
# - A **roofline** combines the two: an operator that does $I$ operations per byte that it moves reaches at most
#   $\min(\text{peak}, I \cdot \text{bandwidth})$ operations per second.
#
# **Exercise (3 points).** Compute a card's peak from such numbers, and the shortest time that a kernel can take.


# %% exercise="accelerator.card_limits"
def card_limits(
    multiprocessors, fma_per_clock, ghz, bandwidth_gbs, operations, moved_bytes
):
    """The peak in TFLOP/s (10¹² operations per second), and a time in µs, as a list.

    fma_per_clock: multiply-adds per multiprocessor and clock; one is two operations.
    ghz: 10⁹ clocks per second. bandwidth_gbs: 10⁹ bytes per second. The time is the
    shortest in which the card can do that many operations and move that many bytes.
    Both happen at the same time.

    >>> card_limits(50, 100, 1.0, 1000, 2e7, 3e6)
    [10.0, 3.0]
    """
    ### BEGIN SOLUTION
    tflops = 2 * multiprocessors * fma_per_clock * ghz / 1000
    computing, moving = operations / (tflops * 1e6), moved_bytes / (bandwidth_gbs * 1e3)
    return [tflops, max(computing, moving)]
    ### END SOLUTION


# %%
check("accelerator.card_limits", card_limits)

# %% [markdown]
# The numbers below are those of NVIDIA's H100 (SXM): 132 multiprocessors and 3,350 GB/s. The ordinary arithmetic units
# of a multiprocessor complete 128 multiply-adds per clock. Its **tensor cores**, units that multiply small matrices,
# complete many more: the narrower the numbers, the more. Four formats matter:
#
# - **tf32** is stored as float32, but rounds the factors of a product to a mantissa (the digits) of 10 bits instead of
#   23.
# - **bf16** and **fp16** have 16 bits.
# - **fp8** has 8. In its form e4m3, one is the sign, 4 are the exponent and 3 the mantissa.
#
# Add up the shortest times of `MyNet`'s layers on 4,096 pictures. By which factor does this sum fall, if bf16 on tensor
# cores replaces float32 on the ordinary units? (The peak is about 15 times as high.)

# %%
predict("MyNet's shortest time in float32, relative to bf16 on tensor cores", unit="×")

# %%
card_limits = yours_or_ours("accelerator.card_limits")
SHEET = {  # multiply-adds per clock, GHz, bytes per value
    "float32": (128, 1.98, 4),
    "tf32": (1024, 1.83, 4),
    "bf16": (2048, 1.83, 2),
    "fp8 e4m3": (4096, 1.83, 1),
}

x = torch.empty(4096, 3, 32, 32, device="meta")  # a shape without values
layers = [
    (op.name, op.operations, op.moved // 4)  # values, each 4 bytes in float32
    for op in measure.operators(models.MyNet().to("meta"), x)
]

# %%
bounds = {
    name: [card_limits(132, fma, ghz, 3350, ops, n * width)[1] for _, ops, n in layers]
    for name, (fma, ghz, width) in SHEET.items()
}
total_ms = {name: sum(times) / 1000 for name, times in bounds.items()}

# %%
# Answer: MyNet's shortest time in float32, relative to bf16 on tensor cores
peaks = {
    name: card_limits(132, fma, ghz, 3350, 1, 1)[0]
    for name, (fma, ghz, _) in SHEET.items()
}
print("TFLOP/s:", ", ".join(f"{name} {peak:,.0f}" for name, peak in peaks.items()))
reveal(
    "MyNet's shortest time in float32, relative to bf16 on tensor cores",
    total_ms["float32"] / total_ms["bf16"],
    because="Memory limits seven of the nine layers, and half the bytes take half the "
    "time. Arithmetic limits only the second convolution and the first linear layer in "
    "float32, so only these two gain from the higher peak as well.",
)

# %% tags=["fold"]
# Plot: the card's roofs, and MyNet at them
fig, (left, right) = plots.figure(ncols=2, height=3.6)
intensities = [1 / 4 * 2**i for i in range(14)]
for name, peak in peaks.items():
    roof = [min(peak, intensity * 3.35) for intensity in intensities]
    left.plot(intensities, roof, color=plots.color_of(name), label=name)
left.set(xlabel="operations per byte", title="roofs of an H100, TFLOP/s", yscale="log")
plots.log_axis(left.xaxis, [1, 4, 16, 64, 256, 1024])
plots.log_axis(left.yaxis, [1, 10, 100, 1000], base=10)
with_weights = [name.endswith(("Conv2d", "Linear")) for name, *_ in layers]
stages = {
    name: {
        kind: sum(us for us, of in zip(times, with_weights, strict=True) if of == has)
        / 1000
        for kind, has in (("convolutions, linear", True), ("ReLU, pooling", False))
    }
    for name, times in bounds.items()
}
plots.stages(right, stages, labels="{:.2f}")
right.set(xlabel="time, ms", title="MyNet at its roofs, 4,096 pictures")
plots.legend(fig)
plots.finish(
    fig,
    "Roofs of an H100 in four formats, and MyNet's time at them: convolutions shrink, "
    "ReLU and pooling stay.",
)

# %% [markdown]
# What to see: on the left, all roofs share the slope, because memory is the same. A higher peak helps only operators
# with many operations per byte, far to the right. On the right, ReLU and pooling take most of the time in every format.
# If they are **fused** into the layers before them, their inputs needn't pass through memory again, which can save more
# time than tf32's higher peak.

# %% tags=["fold"]
# Claims: limits of the card
by_arithmetic = {
    name: [ops / (peaks[name] * 1e6) > n * width / 3350e3 for _, ops, n in layers]
    for name, (_, _, width) in SHEET.items()
}
of_relu_and_pooling = {
    name: row["ReLU, pooling"] / sum(row.values()) for name, row in stages.items()
}
claim(
    "In float32, arithmetic limits two of MyNet's layers, and in bf16 on tensor cores "
    "none.",
    sum(by_arithmetic["float32"]) == 2 and not any(by_arithmetic["bf16"]),
)
claim(
    "tf32 shortens MyNet's time at its roofs by less than a fifth, although the peak "
    "is more than seven times as high.",
    total_ms["tf32"] > 0.8 * total_ms["float32"]
    and peaks["tf32"] > 7 * peaks["float32"],
)
claim(
    "ReLU and pooling take more than half of the time at the roofs in every format, so "
    "fusing them completely would at least halve it.",
    min(of_relu_and_pooling.values()) > 0.5,
)
claim(
    "The peak in bf16 is 14 to 16 times that in float32.",
    14 < peaks["bf16"] / peaks["float32"] < 16,
)
claim(
    "In PyTorch with its defaults, MyNet takes more than twice as long as its roofs in "
    "float32 allow.",
    many > 2 * total_ms["float32"],
    where=not_live,
)

# %% [markdown] tags=["tells"]
# For wide networks it is the other way round. A convolution with hundreds of channels does hundreds of operations per
# byte, and there tensor cores are the first thing to use:
#
# - `torch.set_float32_matmul_precision("high")` allows tf32 in matrix products. Convolutions use it by default.
# - `torch.autocast("cuda", torch.bfloat16)` computes products and convolutions in bf16.
# - `channels_last` stores a pixel's channels side by side, as tensor cores read them in 16-bit convolutions.

# %% [markdown]
# ## 5. Tiles
#
# A matrix product of m × k and k × n numbers is cut into **tiles**, and every tile is computed as a whole. If a size is
# not a multiple of the tile's, the rest is filled with zeros, which take as long to multiply as any number. (A
# convolution is such a product, too: m is the number of pictures times the output positions in each, n the number of
# filters, and k the number of input channels times the pixels of the window.)
#
# **Exercise (2 points).** Compute which share of the multiplications is useful, that is, not spent on zeros that fill
# a tile. A layer cannot reach more than this share of the peak.


# %% exercise="accelerator.useful_share"
def useful_share(sizes, tile):
    """Share of the multiplications that are not spent on padding, a float from 0 to 1.

    sizes: list of the product's three sizes, ints. tile: list of the tile's three sizes
    in the same order, ints. Each size is padded with zeros to the next multiple of the
    tile's; a multiple stays as it is.

    >>> useful_share([6, 4, 8], [4, 8, 8])
    0.375
    """
    ### BEGIN SOLUTION
    return math.prod(
        size / (math.ceil(size / step) * step)
        for size, step in zip(sizes, tile, strict=True)
    )
    ### END SOLUTION


# %%
check("accelerator.useful_share", useful_share)

# %%
useful_share = yours_or_ours("accelerator.useful_share")
widths = list(range(8, 161, 8))
shares = {
    f"tile of {step} filters": [
        useful_share([4096, n, 576], [128, step, 32]) for n in widths
    ]
    for step in (64, 128)
}

# %% tags=["fold"]
# Plot: useful share of the tiles
products = {  # m, n, k for 256 pictures
    "conv, 3 → 16": [256 * 1024, 16, 27],
    "conv, 16 → 32": [256 * 256, 32, 144],
    "linear, 2,048 → 128": [256, 128, 2048],
    "linear, 128 → 10": [256, 10, 128],
}
of_layers = {
    name: 100 * useful_share(sizes, [128, 64, 32]) for name, sizes in products.items()
}
fig, (left, right) = plots.figure(ncols=2, height=3)
plots.curves(left, widths, {k: [100 * v for v in s] for k, s in shares.items()})
left.set(xlabel="filters", title="useful share, %", ylim=(0, 105))
plots.bars(right, of_layers, colors=plots.BLUE, labels="{:.0f}")
right.set(title="layers of MyNet, tile 128 × 64 × 32, %", xlim=(0, 100))
plots.legend(fig)
plots.finish(
    fig,
    "The useful share of a tile drops past each multiple of its width; MyNet's narrow "
    "layers waste more than half.",
)

# %% [markdown]
# What to see: on the left, the share drops just past every multiple of the tile's width: with a tile of 64, a layer
# with 72 filters takes as long as one with 128. On the right, the narrow layers of `MyNet` waste more than half of
# their tiles. Libraries choose among several tiles, so a real kernel may use a smaller one at a lower peak.

# %%
# Claims: tiles
claim(
    "With a tile of 64, 64 filters use all of it, and 72 filters little more than "
    "half of two.",
    shares["tile of 64 filters"][widths.index(64)] == 1
    and 0.5 < shares["tile of 64 filters"][widths.index(72)] < 0.6,
)
claim(
    "All layers of MyNet but the first linear one use less than half of their tiles.",
    sum(share < 50 for share in of_layers.values()) == 3
    and of_layers["linear, 2,048 → 128"] > 50,
)
claim(
    "MyNet's first layer fills less than a quarter of its tiles.",
    of_layers["conv, 3 → 16"] < 25,
)

# %% [markdown]
# Does a real card show this? The next cells multiply 4,096 × 1,024 numbers by 1,024 × n, and plot the rate by n. They
# use your accelerator or, without one, a recording.

# %% tags=["nbval-ignore-output"]
rates = live_or_recorded("accelerator_products")

# %% tags=["fold", "nbval-ignore-output"]
# Plot: measured products over their columns
if rates:
    fig, ax = plots.figure(height=3)
    plots.curves(ax, rates["widths"], rates["tflops"])
    ax.set(xlabel="columns of the product", ylabel="TFLOP/s", title=rates["device"])
    plots.name_lines(ax)
    display(
        plots.finish(
            fig,
            "The rate rises with the columns; float32's drops just past 64, 128 "
            "and 256.",
            measured="y",
            series=True,
        )
    )

# %% [markdown]
# What to see: float32 drops just past 64, 128 and 256 columns, as tiles predict. bf16 doesn't. On the recorded H100,
# all its products take about the same time, whatever their width: they are done before the next launch arrives. So a
# narrower layer would gain nothing there. Only a product that keeps the card busy can show its tiles.


# %% tags=["fold"]
# Claims: measured products
def product_us(kind, columns):
    """Microseconds of the product with that many columns."""
    rate = rates["tflops"][kind][rates["widths"].index(columns)]
    return 2 * 4096 * 1024 * columns / rate / 1e6


rates_recorded = (bool(rates) and not HERE, "no recording on a card")
claim(
    "In float32, the rate drops from 64 columns to 72, from 128 to 136, and from 256 "
    "to 264.",
    lambda: all(
        product_us("float32", n + 8) / product_us("float32", n) > (n + 8) / n
        for n in (64, 128, 256)
    ),
    where=rates_recorded,
)
claim(
    "In bf16, the product with 264 columns takes at most a quarter longer than the one "
    "with 8.",
    lambda: product_us("bf16", 264) < 1.25 * product_us("bf16", 8),
    where=rates_recorded,
)

# %% [markdown]
# When you prune channels for a card, keep a multiple of 8, or preferably of 64. The course's function for pruning
# channels, `keep_most_important`, rounds their number up to a multiple if you pass `multiple_of=`.

# %% question="accelerator.three_channels"
percent = None
### BEGIN SOLUTION
percent = 37.5
### END SOLUTION
question("accelerator.three_channels", percent)

# %% [markdown]
# ## 6. Feed the card
#
# A card has its own memory. Pictures must be copied there first, over a bus that is far slower than the card's memory.
# How many times as long does it take to copy 4,096 float32 pictures from ordinary memory as to compute them?

# %%
predict("plain copy of 4,096 pictures, relative to computing them", unit="×")

# %%
batch_bytes = 4096 * 3 * 32 * 32 * 4
copy_ms = {name: batch_bytes / speed / 1e6 for name, speed in card["copy"].items()}

# %%
# Answer: plain copy of 4,096 pictures, relative to computing them
reveal(
    "plain copy of 4,096 pictures, relative to computing them",
    copy_ms["plain"] / many,
    because="The driver first copies ordinary memory into a buffer that the operating "
    "system can't move, piece by piece. Only from there can the card fetch it.",
)

# %% [markdown]
# Three changes help. **Pinned** memory is memory that the operating system may not move: the card fetches directly from
# it (`pin_memory=True` in a `DataLoader`). From pinned memory, `.to(device, non_blocking=True)` doesn't wait, so a copy
# in a second stream can **overlap** with computing. And a picture file holds **bytes**: send one byte per value instead
# of the four of a float32, and convert on the device.
#
# **Exercise (2 points).** Compute the time of a pipeline in which copying and computing overlap. You can then tell
# how much of the copying remains visible.


# %% exercise="accelerator.overlapped_ms"
def overlapped_ms(batches, copy_ms, compute_ms):
    """Time in ms until the last of the batches is computed.

    copy_ms, compute_ms: of one batch. Batches are copied one after another and computed
    one after another. While one is computed, the next can be copied.

    >>> overlapped_ms(3, 2, 5)
    17
    """
    ### BEGIN SOLUTION
    return copy_ms + (batches - 1) * max(copy_ms, compute_ms) + compute_ms
    ### END SOLUTION


# %%
check("accelerator.overlapped_ms", overlapped_ms)

# %%
overlapped_ms = yours_or_ours("accelerator.overlapped_ms")
plain, pinned = copy_ms["plain"], copy_ms["pinned"]
BATCHES = 100
epoch_ms = {
    "plain, one after the other": BATCHES * (plain + many),
    "plain, overlapped": overlapped_ms(BATCHES, plain, many),
    "pinned, one after the other": BATCHES * (pinned + many),
    "pinned, overlapped": overlapped_ms(BATCHES, pinned, many),
    "pinned, overlapped, bytes": overlapped_ms(BATCHES, pinned / 4, many),
    "already on the device": BATCHES * many,
}

# %% tags=["fold"]
# Plot: pictures per second, by formula
fig, ax = plots.figure(height=2.8)
speed = {name: BATCHES * 4.096 / t for name, t in epoch_ms.items()}
plots.bars(ax, speed, colors=plots.BLUE, labels="{:.2f}")
ax.set(xlabel="million pictures per second, by the formula")
plots.finish(
    fig,
    "Million pictures per second: pinned memory brings four times as many, "
    "overlapping most of the rest.",
)

# %% [markdown]
# What to see: the first bar is a program that does nothing about its copies. Pinned memory alone makes it four times as
# fast, and overlapping hides nearly all that copies still cost. So copying bytes instead of floats gains hardly
# anything here; it pays where copies take longer than computing. This network is small: the longer a network computes
# on a picture, the less copies matter. And a data set that fits into the card's memory, like this lesson's (24 MB as
# bytes), is copied once and stays there.

# %%
# Claims: copies to the card
claim(
    "A plain copy takes more than five times as long as computing the pictures.",
    plain > 5 * many,
    where=not_live,
)
claim(
    "A copy from pinned memory takes 40 to 65 % of the time of computing.",
    0.4 < pinned / many < 0.65,
    where=not_live,
)
claim(
    "Pinned memory alone makes the pipeline 3.5 to 4.5 times as fast.",
    3.5
    < epoch_ms["plain, one after the other"] / epoch_ms["pinned, one after the other"]
    < 4.5,
    where=not_live,
)
claim(
    "Pinned and overlapped, copies cost less than 2 % of the speed.",
    epoch_ms["pinned, overlapped"] < 1.02 * epoch_ms["already on the device"],
    where=not_live,
)
claim(
    "All pictures of this lesson, as bytes, take less than 25 MB.",
    sum(
        part.images.nbytes
        for part in (pictures.train, pictures.validation, pictures.test)
    )
    < 25e6,
)

# %% question="accelerator.bytes_per_pixel"
times = None
### BEGIN SOLUTION
times = 2.5
### END SOLUTION
question("accelerator.bytes_per_pixel", times)

# %% [markdown]
# ## 7. All engines
#
# An **engine** is one way to run a trained network. The course's function `deploy` builds engines. With
# `device="accelerator"`, an engine runs the network operator by operator (*eager*), as a CUDA graph, compiled, with
# int8 or fp8 (8-bit integers and floats), or with **2:4 sparsity**, in which two of every four weights are zero and
# tensor cores skip them. `deploy` compares each engine's outputs with the network's before you get it. If an engine
# can't run, one sentence tells you why.
#
# The next cells compare engines for `MyNet` and for ResNet-18, a network whose layers have up to 512 channels. They use
# your accelerator or a recording. Here, float32 means full float32, without the tf32 that torch uses in
# convolutions by default.

# %% tags=["nbval-ignore-output"]
engines = live_or_recorded("accelerator_engines")


# %% tags=["fold", "nbval-ignore-output"]
# Plot: speed of all engines on the card
def in_groups(gains):
    """Bars with an empty row between engines of different kinds."""
    rows = {}
    for name, gain in gains.items():
        if rows and name.split()[0] != list(rows)[-1].split()[0]:
            rows[" " * len(rows)] = None
        rows[name] = gain
    return rows


if engines:
    print(f"measured on: {engines['device']}")
    for network, found in engines["networks"].items():
        fig, row = plots.figure(ncols=2, sharey="row", height=5.2)
        plots.color_key(row[0], ["float32", "tf32", "bf16", "int8", "fp8"])
        for ax, place in zip(row, (0, -1), strict=True):
            first = found["ms"]["eager float32"][place][0]
            gains = {name: first / t[place][0] for name, t in found["ms"].items()}
            plots.bars(ax, in_groups(gains), reference=1, labels="{:.2f}×")
            ax.tick_params(axis="y", length=0)
            size = engines["sizes"][place]
            count = "1 picture" if size == 1 else f"{size:,} pictures"
            ax.set(title=f"{network}, {count}", xlabel="times as fast as eager float32")
        plots.legend(fig)
        figure = plots.finish(
            fig,
            "Engines against eager float32: on one picture, CUDA graphs gain most; on "
            "4,096, tensor cores do for ResNet-18, and fusing for MyNet.",
            measured="x",
            series=True,
        )
        display(figure)
    missing = [
        [network, name, reason]
        for network, found in engines["networks"].items()
        for name, reason in found["missing"].items()
    ]
    display(Table(missing, ["network", "engine", "why it is not here"]))


# %% [markdown]
# What to see: on one picture (left), launches decide. A CUDA graph, which replays them all at once, gains most for
# `MyNet`, and `reduce-overhead`, which compiles and records a graph, for ResNet-18. Compiling alone makes `MyNet` slower: before each call, torch checks that the compiled program still
# fits, and these checks take longer than the few launches saved. On 4,096 pictures (right), arithmetic and memory
# decide. Tensor cores make ResNet-18 many times as fast, first with tf32, then with bf16. `MyNet` has little arithmetic
# (section 4), so it gains from fusing and from bf16's half as many bytes. int8 and fp8 are slower there than bf16.


# %% tags=["fold"]
# Claims: all engines
def gained(network, engine, place):
    """How many times as fast as eager float32 an engine is; place 0 is one picture."""
    times = engines["networks"][network]["ms"]
    return times["eager float32"][place][0] / times[engine][place][0]


on_card = (bool(engines) and not HERE, "no recording on a card")
claim(
    "On one picture, a CUDA graph makes MyNet 5 to 6.5 times as fast.",
    lambda: 5 < gained("MyNet", "CUDA graph float32", 0) < 6.5,
    where=on_card,
)
claim(
    "On one picture, compiling alone makes MyNet slower.",
    lambda: gained("MyNet", "compiled float32", 0) < 0.8,
    where=on_card,
)
claim(
    "On one picture, reduce-overhead makes ResNet-18 5 to 7 times as fast.",
    lambda: 5 < gained("ResNet-18", "compiled reduce-overhead bf16", 0) < 7,
    where=on_card,
)
claim(
    "On 4,096 pictures, ResNet-18 gains 6 to 9 times from tf32 alone, and more than "
    "30 times from bf16 in channels-last layout.",
    lambda: (
        6 < gained("ResNet-18", "eager tf32", -1) < 9
        and gained("ResNet-18", "channels-last bf16", -1) > 30
    ),
    where=on_card,
)
claim(
    "On 4,096 pictures, MyNet gains less than a tenth from tf32, and 1.5 to 1.9 times "
    "compiled in bf16.",
    lambda: (
        gained("MyNet", "eager tf32", -1) < 1.1
        and 1.5 < gained("MyNet", "compiled bf16", -1) < 1.9
    ),
    where=on_card,
)
claim(
    "On 4,096 pictures, MyNet is slower in int8 and in fp8 than in bf16, all compiled.",
    lambda: (
        max(gained("MyNet", f"compiled {kind}", -1) for kind in ("int8", "fp8"))
        < gained("MyNet", "compiled bf16", -1)
    ),
    where=on_card,
)

# %% [markdown]
# When do 8 bits and 2:4 sparsity pay? Both double the peak of bf16, and int8 and fp8 also halve the bytes. But the
# inputs of every 8-bit product must first be rounded to a grid, which is one more operation to launch, or to fuse. So 8
# bits pay off in large matrix products (many channels, many rows), as in language models. The small convolutions of
# this course are a poor match for both: in bf16, arithmetic limits none of `MyNet`'s layers (section 4).
#
# ## 8. Train on the card
#
# A training step of `MyNet` runs three times as many operators as a forward pass, and the optimizer's on top. So
# launches matter even more. `training.fit` offers each remedy as an option:
#
# | option | what it removes |
# |---|---|
# | `resident=True` | copies: all training pictures stay on the device |
# | `cuda_graph=True` | launches: forward, backward and update are one replay |
# | `fused=True` | most of the optimizer's launches |
# | `compiled=True` | launches and memory traffic, by fusing |
# | `bf16=True` | arithmetic and bytes: tensor cores under autocast; parameters stay float32 |
# | `accumulate=4` | nothing: it adds up the gradients of four batches that fit into memory, to get those of one large batch |
#
# One more wait is easily overlooked: `loss.item()` after every step makes the host wait for the device, and then the
# device has nothing left in its queue. `fit` gathers the losses on the device and reads them once per epoch.
#
# `fit` accepts the same options on a CPU, and says which of them have no effect there:

# %% tags=["nbval-ignore-output"]
options = {"resident": True, "fused": True, "cuda_graph": True}
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    few = pictures.train[:640]
    training.fit(models.MyNet(), pictures, train=few, epochs=1, **options)
print(*(wrapped(warning.message) for warning in said), sep="\n")

# %% [markdown]
# The next cells climb a ladder from the article's loop (SGD on batches of 32) to the best way found, and show the CPU's
# ladder of lesson 12 beside it. Each rung keeps the changes before it and adds one. On the card, the fourth changes the
# recipe: *one-cycle AdamW* is AdamW with a learning rate that rises to a peak and falls again, once in the whole
# training. Every rung trains with three seeds. The CPU's ladder was recorded for lesson 12, the card's on an H100,
# unless you have an accelerator.

# %% tags=["nbval-ignore-output"]
trained = live_or_recorded("accelerator_training")
on_cpu = recorded("training_ladder")["result"]

# %% tags=["fold", "nbval-ignore-output"]
# Plot: the training ladder on card and cores
both = {trained["device"]: trained["rungs"]} if trained else {}
both[f"{on_cpu['machine']}, {on_cpu['cores']} cores"] = on_cpu["rungs"]
ladders.draw(both)

# %% [markdown]
# What to see: a dot is one seed, the mark is their mean, the number of epochs is in brackets, and grey rungs were not
# kept. On the left, time falls from rung to rung; the right side shows whether accuracy falls with it (dashed: the
# article's loop). On the recorded H100, one CUDA graph for the whole step gains most, as launches predict: about seven
# times. The recipe gains three times more, with *higher* accuracy. What took 16 seconds takes a third of a second in
# the end. (The first seed's time includes what torch prepares once.) The last rung gains no time and loses accuracy:
# with batches of 1,024, few steps remain. The CPU's ladder lacks the changes that remove *launches*, since a CPU starts
# an operator in a small part of the time that the operator takes. What remains there: the recipe, bf16, the layout, and
# less work per step.

# %% tags=["fold"]
# Claims: the training ladder
claim(
    "On the CPU, the best way trains more than 4 times as fast as the article's loop.",
    min(ladders.speedups(on_cpu["rungs"])) > 4,
)
on_a_card = (bool(trained), "no recording on a card")
on_the_h100 = (bool(trained) and not HERE, "the ladder was measured live")
claim(
    "On the card, the best way trains more than 5 times as fast as the article's loop.",
    lambda: min(ladders.speedups(trained["rungs"])) > 5,
    where=on_a_card,
)
claim(
    "On the H100, it trains 40 to 60 times as fast, and is more accurate.",
    lambda: (
        all(40 < times < 60 for times in ladders.speedups(trained["rungs"]))
        and min(ladders.best(trained["rungs"])["test"])
        > max(trained["rungs"][0]["test"])
    ),
    where=on_the_h100,
)
claim(
    "On the H100, a CUDA graph of the step gains 6 to 9 times, and the recipe 2.5 to "
    "3.5 times more.",
    lambda: (
        6 < ladders.gain(trained["rungs"], "CUDA graph of the step") < 9
        and 2.5 < ladders.gain(trained["rungs"], "one-cycle AdamW, batch 256") < 3.5
    ),
    where=on_the_h100,
)

# %% [markdown]
# ## 9. The price
#
# A card is fast and expensive, and it draws hundreds of watts. Which machine computes a million pictures for less?
#
# **Exercise (2 points).** Compute the price of a million pictures from a machine's speed, its power in watts, and the
# prices of an hour and of energy.


# %% exercise="accelerator.price"
def price(pictures_per_second, watts, euros_per_kwh, euros_per_hour):
    """Euros per million pictures: the machine's price per hour, and its energy.

    A kilowatt-hour (kWh) is the energy of 1000 watts during an hour.

    >>> round(price(250, 500, 0.4, 3.4), 6)
    4.0
    """
    ### BEGIN SOLUTION
    hours = 1e6 / pictures_per_second / 3600
    return hours * (euros_per_hour + watts / 1000 * euros_per_kwh)
    ### END SOLUTION


# %%
check("accelerator.price", price)

# %% [markdown]
# Suppose that the card costs 3 euros per hour and draws 700 W (the limit in its data sheet), that 16 cores of a server
# cost 0.60 euros per hour and draw 150 W, and that energy costs 0.30 euros per kWh. These numbers are assumptions; the
# speeds are those of section 2. In batches of 4,096, a million pictures cost more on the cores. How many times as much?

# %%
predict("price of a million pictures on the cores, relative to the card", unit="×")

# %%
price = yours_or_ours("accelerator.price")
euros = {
    "card": [price(speed, 700, 0.30, 3.0) for speed in card["accelerator"]],
    "CPU": [price(speed, 150, 0.30, 0.6) for speed in card["cpu"]],
}

# %%
# Answer: price of a million pictures on the cores, relative to the card
reveal(
    "price of a million pictures on the cores, relative to the card",
    euros["CPU"][-1] / euros["card"][-1],
    because="An hour of the card costs five times as much. In large batches, it "
    f"computes {card['accelerator'][-1] / card['cpu'][-1]:.0f} times as many pictures.",
)

# %% tags=["fold"]
# Plot: the price over the batch size
fig, ax = plots.figure(height=3)
plots.curves(ax, sizes, euros)
ax.set(xlabel="batch size", ylabel="€ per million pictures", yscale="log")
plots.log_axis(ax.xaxis, sizes)
plots.log_axis(ax.yaxis, [0.0001, 0.001, 0.01, 0.1], base=10)
plots.name_lines(ax)
plots.finish(
    fig,
    "Euros per million pictures fall with the batch size, far more on the card.",
)

# %% [markdown]
# What to see: both machines become cheaper with larger batches, the card much more so. The curves assume that the
# machine is busy all the time. A service that gets ten pictures per second pays for a card that is mostly idle.

# %%
# Claims: the price
claim(
    "In batches of 4,096, a million pictures cost 9 to 11 times as much on the cores.",
    9 < euros["CPU"][-1] / euros["card"][-1] < 11,
    where=not_live,
)
claim(
    "With one picture at a time, they cost 1 to 2 times as much on the cores.",
    1 < euros["CPU"][0] / euros["card"][0] < 2,
    where=not_live,
)

# %% [markdown]
# ## 10. Playground
#
# Choose the batch size, the prices and the watts. The plot shows the price of a million pictures by the load, that is,
# the pictures that arrive per second. At what load does the card become worth its price?

# %%
price_playground(card)

# %% [markdown]
# ## Summary
#
# From one picture at a time on a CPU to a card that is kept busy, in pictures per second:

# %% tags=["fold"]
# Plot: pictures per second, card and cores
fig, ax = plots.figure(height=3)
steps = {
    "CPU, one picture": card["cpu"][0],
    "CPU, 4,096 pictures": card["cpu"][-1],
    "card, one picture": card["accelerator"][0],
    "card, 4,096 pictures, plain copies": 4096e3 / (plain + many),
    "card, 4,096 pictures, pinned, overlapped": 4096e3
    * BATCHES
    / epoch_ms["pinned, overlapped"],
}
plots.bars(ax, steps, colors=plots.BLUE, labels="{:,.0f}")
ax.set(xlabel="pictures per second", xscale="log", xlim=(100, 3e6))
plots.finish(
    fig,
    f"The CPU computes {steps['CPU, one picture']:,.0f} pictures per second one by "
    f"one, a card with overlapped copies {list(steps.values())[-1]:,.0f}.",
)

# %% [markdown]
# What to see: the axis is logarithmic, and the last three bars are the same card. With one picture at a time, the card
# is slower than 16 cores that get 4,096 at a time. With large batches from pinned memory, it is about 600 times as fast
# as with one picture at a time.

# %% tags=["fold"]
# Claims: card and cores
of_card = [speed for name, speed in steps.items() if name.startswith("card")]
claim(
    "With one picture at a time, the card is slower than 16 cores that get 4,096.",
    of_card[0] < steps["CPU, 4,096 pictures"],
    where=not_live,
)
claim(
    "Fed well, the card is 500 to 700 times as fast as with one picture at a time.",
    500 < of_card[-1] / of_card[0] < 700,
    where=not_live,
)

# %% [markdown]
# You can now tell what a card waits for, and remove it.
#
# - **Wait before you read the clock.** Launches return at once. To time the work, synchronize or use events.
# - **Double the batch.** If the time hardly grows, the program is launch-bound: use larger batches, fuse, or replay a
#   graph.
# - **Know the roof.** Tensor cores raise the peak, not the bandwidth. They pay in wide layers, with channels in
#   multiples of 8, preferably 64.
# - **Feed the card**: data on the device, or pinned, overlapped, and in bytes.
# - **Read values rarely**: at each `.item()`, the host waits until the queue is empty.
# - **Count the money.** A card pays when it is busy.
#
# **In practice** (2026): keep data on the device. Use `torch.compile(mode="reduce-overhead")` for inference in small
# batches, and bf16 with `channels_last` for convolutions. On servers without Python, TensorRT and AOTInductor run a
# network that was compiled ahead of time.
#
# **Further reading.** [NVIDIA, *H100 data sheet*](https://www.nvidia.com/en-us/data-center/h100/) · [NVIDIA, *Hopper
# architecture in depth* (2022)](https://developer.nvidia.com/blog/nvidia-hopper-architecture-in-depth/), with the
# numbers of multiprocessors and units · [PyTorch, *CUDA
# semantics*](https://docs.pytorch.org/docs/stable/notes/cuda.html), with the rules of CUDA graphs · [He, *Making deep
# learning go brrrr from first principles* (2022)](https://horace.io/brrr_intro.html) · [Mishra et al., *Accelerating
# sparse deep neural networks* (2021)](https://arxiv.org/abs/2104.08378) · [Micikevicius et al., *FP8 formats for deep
# learning* (2022)](https://arxiv.org/abs/2209.05433)
#
# **Next:** [14 Choosing automatically](14_choosing.ipynb) lets a search combine all these techniques for you.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
