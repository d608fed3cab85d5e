# %% [markdown]
# # Hardware: what software makes of a processor
#
# The same network, the same processor, the same numbers that come out: and yet one program takes many times as long as
# another. This lesson looks for the fastest one, with what all earlier lessons gave. You will
#
# - draw the roof that your processor sets, and see how far below it every operator stays;
# - change the order in memory, fuse operators, compile, and leave torch for other runtimes, all by one function,
#   `deploy`;
# - give work to threads, and learn when they hurt; choose a batch size under a limit of time;
# - try sparsity where a kernel exists, and where none does;
# - climb a ladder from the article's program to the fastest one found, each rung against the one before, and a second
#   ladder for training.
#
# It takes about an hour and needs nothing but torch from the lessons before.
#
# Some words: a **kernel** is the routine that computes an operator, not a convolution's window. **Fusing** is computing
# several operators in one kernel. **Latency** is how long one answer takes, **throughput** how many pictures a second
# come out. **bf16** is float32 cut to its first 16 bits. **GFLOP/s** are 10⁹ operations with floating-point numbers a
# second.

# %%
import contextlib
import copy
import os

import torch
from IPython.display import HTML, display
from torch import nn

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
from nnopt_lab.lessons.hardware.playground import roofline_playground
from nnopt_lab.techniques.deployment import (
    EngineUnavailable,
    deploy,
    deploy_all,
)
from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.pruning import channel_pruning
from nnopt_lab.workbench import data, measure, models, plots, recipes, training

lesson("12_hardware")

# %%
LIVE = False  # True measures the training ladder on this machine (some minutes) in the place of the recorded one
AHEAD = False  # True builds and measures the program of AOTInductor too (ten seconds or more, and a C++ compiler)
pictures = data.load("fashion")
net = models.trained("mynet")
batch = pictures.to_input(pictures.test.images[:256])
machine, usual_threads = measure.machine(), torch.get_num_threads()
bf16_here = any("bf16" in instruction for instruction in machine.instructions)
torch.set_num_threads(1)

# %% [markdown]
# Until section 4 everything runs on **one thread**: on one core all programs have the same means, and what differs is
# what they do with them.
#
# ## 1. The roof
#
# A processor computes so many operations a second, and its memory moves so many bytes. An operator with $I$ operations
# for each byte that it must move can reach $\min(\text{peak}, I \cdot \text{bandwidth})$, its *roof* (Williams,
# Waterman & Patterson 2009). So the first thing to know about a layer is $I$, its **intensity**.
#
# **Exercise (3 points).** The intensity of a convolution with stride 1 whose padding keeps the picture's size. It must
# read its input and its weights with their biases once, and write its output once.


# %% exercise="hardware.conv_intensity"
def conv_intensity(in_channels, filters, kernel, side, pictures, bytes_each):
    """Operations (two for a product that is added; the bias is free) per byte moved, a float.

    pictures [pictures, in_channels, side, side] → [pictures, filters, side, side]; a filter has in_channels · kernel²
    weights and a bias; every number has bytes_each bytes.
    """
    ### BEGIN SOLUTION
    places = pictures * side**2
    operations = 2 * places * filters * in_channels * kernel**2
    numbers = (
        places * in_channels
        + filters * (in_channels * kernel**2 + 1)
        + places * filters
    )
    return operations / (bytes_each * numbers)
    ### END SOLUTION


# %%
check("hardware.conv_intensity", conv_intensity)

# %% [markdown]
# A linear layer is a convolution with a 1×1 window on a picture of one pixel, so the same function serves all four
# layers of the network. ReLU does one operation a number, and 2×2 max-pooling three comparisons for four numbers read
# and one written: hardly any for a byte.
#
# The network computes for 256 pictures at once. What share of the processor's peak does eager torch (as you know it,
# one operator after the other) reach?

# %%
predict("share of the arithmetic peak that eager torch reaches, batch 256", unit="%")

# %%
conv_intensity = yours_or_ours("hardware.conv_intensity")
peak, bandwidth = machine.peak_gflops(), machine.peak_bandwidth()


def run_of(model, x):
    """For each operator of the network: its name, its operations, its bytes and its seconds, layer after layer."""
    rows = []
    for place, layer in enumerate((*model.features, *model.classifier)):
        x = x.flatten(1) if isinstance(layer, nn.Linear) else x
        seconds = measure.latency({"": layer}, x, rounds=4, budget_seconds=0.1)[
            ""
        ].median
        with torch.inference_mode():
            y = layer(x)
        operations, moved = (
            {nn.ReLU: 1, nn.MaxPool2d: 3}.get(type(layer), 0) * y.numel(),
            x.nbytes + y.nbytes,
        )
        if isinstance(layer, nn.Conv2d | nn.Linear):
            cost = measure.layer_costs(layer, x)[0]
            operations, moved = 2 * cost.macs, moved + cost.weight_bytes
        rows.append((f"{place} {type(layer).__name__}", operations, moved, seconds))
        x = y
    return rows


spent = {"NCHW": run_of(net, batch)}
by_formula = [
    conv_intensity(*shape, 256, 4)
    for shape in ((3, 16, 3, 32), (16, 32, 3, 16), (2048, 128, 1, 1), (128, 10, 1, 1))
]
counted = [
    operations / moved
    for name, operations, moved, _ in spent["NCHW"]
    if "Conv" in name or "Linear" in name
]
claim(
    "your formula and the library count alike",
    all(abs(a / b - 1) < 1e-6 for a, b in zip(by_formula, counted, strict=True)),
)
plots.roofline(
    [(name, ops / moved, ops / s / 1e9) for name, ops, moved, s in spent["NCHW"]],
    peak,
    bandwidth,
)

# %% [markdown]
# Where operators lie on top of each other the later ones are drawn smaller. One above the line found its numbers still
# in the cache, which is faster than the memory that we measured.

# %% tags=["nbval-ignore-output"]
print(f"{machine.processor}: {', '.join(machine.instructions)}")
eager_seconds = measure.latency({"eager": net}, batch, rounds=4, budget_seconds=0.8)[
    "eager"
].median
all_operations = 2 * measure.macs(net, batch)
roof_seconds = sum(
    max(ops / peak, moved / bandwidth) / 1e9 for _, ops, moved, _ in spent["NCHW"]
)
print(
    f"all operators at their roofs: {1000 * roof_seconds:.1f} ms; eager torch takes {1000 * eager_seconds:.1f} ms"
)
reveal(
    "share of the arithmetic peak that eager torch reaches, batch 256",
    100 * all_operations / eager_seconds / 1e9 / peak,
    because="The products are only a part of the time: ReLU and pooling hardly compute, and each operator reads and "
    "writes everything anew. And small layers never get their processor going.",
)

# %%
claim(
    "eager torch stays below three quarters of the peak",
    all_operations / eager_seconds / 1e9 < 0.75 * peak,
    timing=True,
)
claim(
    "every operator on its own roof would take less than three quarters of its time",
    roof_seconds < 0.75 * eager_seconds,
    timing=True,
)
thin = [name for name, ops, moved, _ in spent["NCHW"] if ops / moved < peak / bandwidth]
claim(
    "ReLU and pooling stand where memory is the limit",
    all(n in thin for n, *_ in spent["NCHW"] if "ReLU" in n or "Pool" in n),
)

# %% question="hardware.relu_limit"
answer = None
### BEGIN SOLUTION
answer = 2.5
### END SOLUTION
question("hardware.relu_limit", answer)

# %% [markdown]
# Two ways lead up: compute the same operators nearer to their roofs (layout, better kernels), or raise the roof by
# moving less (fusion, fewer bytes a number, fewer channels).
#
# ## 2. The order in memory
#
# A tensor is a row of numbers, and its *strides* say how many numbers one step along each dimension skips. torch's
# usual order is NCHW: pictures outermost, then channels, rows, and columns. **Channels last** (NHWC) puts the channels
# of a pixel side by side; the shape stays [N, C, H, W].
#
# **Exercise (2 points).** The strides of a tensor whose dimensions lie in memory in a given order.


# %% exercise="hardware.strides"
def strides(shape, order):
    """List of steps in numbers, one for each dimension of `shape`, in the order of `shape`.

    shape: list of sizes. order: list of the dimensions, 0 …, from the outermost in memory to the innermost.
    """
    ### BEGIN SOLUTION
    steps, step = [0] * len(shape), 1
    for dimension in reversed(order):
        steps[dimension] = step
        step *= shape[dimension]
    return steps
    ### END SOLUTION


# %%
check("hardware.strides", strides)

# %% [markdown]
# One line gives a network and its input the other order: `.to(memory_format=torch.channels_last)`. How many times as
# fast is it?

# %%
predict("channels last against the usual order, batch 256", unit="×")

# %%
strides = yours_or_ours("hardware.strides")
last = batch.to(memory_format=torch.channels_last)
claim(
    "these are torch's own strides, NCHW",
    strides(list(batch.shape), [0, 1, 2, 3]) == list(batch.stride()),
)
claim("and NHWC", strides(list(batch.shape), [0, 2, 3, 1]) == list(last.stride()))

nhwc = copy.deepcopy(net).to(memory_format=torch.channels_last)
spent["NHWC"] = run_of(nhwc, last)
timings = measure.latency(
    {"NCHW": net, "NHWC": lambda x: nhwc(last)}, batch, rounds=6, budget_seconds=0.8
)
layout = measure.ratio(timings["NCHW"], timings["NHWC"])

fig, ax = plots.figure(figsize=(8, 3))
for shift, (name, rows) in zip((-0.2, 0.2), spent.items(), strict=True):
    over = [s * 1e9 / max(ops / peak, moved / bandwidth) for _, ops, moved, s in rows]
    ax.bar([i + shift for i in range(len(rows))], over, 0.4, label=name)
ax.axhline(1, color=plots.REFERENCE, linestyle="--", linewidth=1)
ax.set_xticks(
    range(len(rows)), [name.replace(" ", "\n") for name, *_ in rows], fontsize=8
)
ax.set(
    yscale="log",
    ylabel="times as long as at its roof",
    title="every operator, batch 256, one thread",
)
ax.legend()
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
reveal(
    "channels last against the usual order, batch 256",
    layout.median,
    layout.low,
    layout.high,
    because="Max-pooling compares the four numbers of a window. With the channels side by side one instruction compares "
    "as many channels as a register holds; in NCHW the four numbers lie apart and are compared one by one.",
)

# %%
claim("channels last is faster", layout.median > 1.15, where=needs("x86"), timing=True)

# %% [markdown]
# The dashed line is the roof, on a logarithmic scale: what stands at 10 takes ten times as long as the processor would
# allow, and one below it worked in the cache. The last linear layer has so little to do that the call itself takes a
# good part of its time.
#
# ## 3. Fusion, compilers, runtimes
#
# Each operator reads its input from memory and writes its output there. A kernel that computes several operators in one
# go writes only the last result.
#
# **Exercise (3 points).** The bytes that a chain of operators moves, when some neighbours are fused.


# %% exercise="hardware.moved_bytes"
def moved_bytes(numbers, kernels, bytes_each):
    """Bytes read and written, an int.

    numbers: list of how many numbers each tensor of the chain holds: the input, then the output of each operator.
    kernels: list of how many operators, in order, each kernel computes; [1, 1, 1] is no fusion. Weights don't count.
    """
    ### BEGIN SOLUTION
    total, at = 0, 0
    for operators in kernels:
        total += numbers[at] + numbers[at + operators]
        at += operators
    return bytes_each * total
    ### END SOLUTION


# %%
check("hardware.moved_bytes", moved_bytes)

# %%
moved_bytes = yours_or_ours("hardware.moved_bytes")
chain = [
    3 * 32**2,
    16 * 32**2,
    16 * 32**2,
    16 * 16**2,
    32 * 16**2,
    32 * 16**2,
    32 * 8**2,
    128,
    128,
    10,
]
plans = {
    "one by one": [1] * 9,
    "ReLU fused": [2, 1, 2, 1, 2, 1],
    "ReLU and pooling fused": [3, 3, 2, 1],
}
moves = {
    f"{name}, {kind}": moved_bytes(chain, kernels, width)
    for kind, width in (("float32", 4), ("int8", 1))
    for name, kernels in plans.items()
}
fig, ax = plots.figure(figsize=(8, 2.4))
ax.barh(
    list(moves),
    [b / 1024 for b in moves.values()],
    color=[plots.BLUE] * 3 + [plots.ORANGE] * 3,
    height=0.65,
)
ax.invert_yaxis()
ax.set(xlabel="KiB moved between operators, one picture")
plots.finish(fig)

# %%
claim(
    "fusing ReLU leaves less than two thirds of the bytes",
    moves["ReLU fused, float32"] < 2 / 3 * moves["one by one, float32"],
)
claim(
    "with pooling about a seventh is left",
    1 / 8
    < moves["ReLU and pooling fused, float32"] / moves["one by one, float32"]
    < 1 / 6,
)

# %% [markdown]
# Who fuses? `torch.compile` writes the chain's loops anew in C++ and compiles them. `torch.export` with **AOTInductor**
# does so ahead of time, into a library that needs no Python. **ONNX Runtime** and **OpenVINO** come with kernels that
# were fused by hand, for float32 and for 8-bit integers (lesson 08 explains how).
#
# One function makes all of them: `deploy(model, example, target, precision=…, calibration=…)` gives something that is
# called like the model; `calibration` are pictures on which int8 chooses its grids. Before that it compares the outputs
# for the example with the model's own, and refuses to hand out what differs. A target that can't run here says why in a
# sentence.
#
# AOTInductor is left out unless you set `AHEAD = True` in the second cell: then it stands in every figure below as
# "exported". What `deploy` does for it are three calls, and the file in the middle is all that the server needs:
#
# ```python program = torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
# torch._inductor.aoti_compile_and_package(program, package_path="model.pt2")  # once, where there is a compiler run =
# torch._inductor.aoti_load_package("model.pt2")  # in every process; C++ has a loader too ```

# %% tags=["nbval-ignore-output"]
calibration = list(pictures.to_input(pictures.train.images[:256]).split(128))
low = (
    "bf16" if bf16_here else "float32"
)  # without such instructions bf16 is slower than float32
CHOICES = [
    ("eager", "float32"),
    ("channels-last", "float32"),
    ("compiled", low),
    *([("exported", low)] if AHEAD else []),
    ("ONNX Runtime", "float32"),
    ("ONNX Runtime", "int8"),
    ("OpenVINO", "int8"),
]
ready, missing = deploy_all(net, batch, CHOICES, calibration)
try:
    deploy(net, batch, "ONNX Runtime", precision="bf16")
except EngineUnavailable as reason:
    missing["ONNX Runtime bf16"] = str(reason)
for name, engine in ready.items():
    print(
        f"{name:22} {measure.format_bytes(engine.bytes):>9}   built in {engine.seconds:5.2f} s"
    )
for name, reason in missing.items():
    print(f"{name:22} {reason}")

# %% [markdown]
# Now 256 pictures a call, and one. How many times as fast as eager torch is the fastest of them? (The compiled program
# takes part with 256 only: for a single picture torch would write and compile another one.)

# %%
predict("fastest program against eager torch, batch 256, one thread", unit="×")

# %%
predict("fastest program against eager torch, one picture, one thread", unit="×")


# %%
def time_all(programs):
    """For one picture and for 256, the timings of all programs that take part."""
    for_one = {
        name: program for name, program in programs.items() if "compiled" not in name
    }
    return {
        size: measure.latency(p, batch[:size], rounds=7, budget_seconds=1.0)
        for size, p in ((1, for_one), (256, programs))
    }


timed = time_all(ready)


def gain(name, size, over="eager float32", among=None):
    found = (among or timed)[size]
    return measure.ratio(found[over], found[name])


best = {
    size: max(found, key=lambda name: gain(name, size).median)
    for size, found in timed.items()
}

fig, axes = plots.figure(ncols=2, sharey=True, figsize=(10, 3))
for ax, (size, found) in zip(axes, timed.items(), strict=True):
    rows = [row for row, name in enumerate(ready) if name in found]
    ratios = [gain(name, size) for name in found]
    ax.barh(
        rows,
        [r.median for r in ratios],
        color=[plots.ORANGE if "int8" in n else plots.BLUE for n in found],
    )
    ends = [[r.median - r.low for r in ratios], [r.high - r.median for r in ratios]]
    ax.errorbar(
        [r.median for r in ratios],
        rows,
        xerr=ends,
        fmt="none",
        ecolor="0.25",
        capsize=2,
    )
    ax.axvline(1, color=plots.REFERENCE, linewidth=0.8)
    ax.set(title=f"batch {size}", xlabel="times as fast as eager")
axes[0].set_yticks(range(len(ready)), list(ready))
axes[0].invert_yaxis()
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
display(
    reveal(
        "fastest program against eager torch, batch 256, one thread",
        gain(best[256], 256).median,
        gain(best[256], 256).low,
        gain(best[256], 256).high,
        because=f"That is {best[256]}: fused kernels, the better layout, and where it is int8 a quarter of the bytes.",
    ),
    reveal(
        "fastest program against eager torch, one picture, one thread",
        gain(best[1], 1).median,
        gain(best[1], 1).low,
        gain(best[1], 1).high,
        because=f"That is {best[1]}. For one picture there is little to compute; what counts is how little a program does "
        "besides: no Python between operators, no search for the right kernel in each call, all memory allocated beforehand.",
    ),
)

# %%
claim(
    "the fastest is more than 1.5 times as fast as eager for 256 pictures",
    gain(best[256], 256).median > 1.5,
    where=needs("x86"),
    timing=True,
)
claim(
    "for one picture it is more than 1.2 times as fast",
    gain(best[1], 1).median > 1.2,
    timing=True,
)

# %% [markdown]
# ### What building costs
#
# **Exercise (2 points).** The engine that has done a number of batches first, when it must be built before.


# %% exercise="hardware.cheapest"
def cheapest(names, build_s, batch_ms, batches):
    """The name of the engine for which building and `batches` batches take the least time together.

    names: list of str. build_s: list of seconds. batch_ms: list of milliseconds a batch. batches: int.
    """
    ### BEGIN SOLUTION
    totals = [
        build + batches * ms / 1000 for build, ms in zip(build_s, batch_ms, strict=True)
    ]
    return names[totals.index(min(totals))]
    ### END SOLUTION


# %%
check("hardware.cheapest", cheapest)

# %%
cheapest = yours_or_ours("hardware.cheapest")
counts = [10**k for k in range(7)]
builds, each = (
    [e.seconds for e in ready.values()],
    [1000 * timed[256][name].median for name in ready],
)
winners = [cheapest(list(ready), builds, each, count) for count in counts]
fig, ax = plots.figure()
for name, build, ms, marker in zip(ready, builds, each, "os^Dv<>", strict=False):
    ax.plot(
        counts,
        [build + n * ms / 1000 for n in counts],
        marker=marker,
        markersize=4,
        label=name,
    )
ax.set(
    xscale="log",
    yscale="log",
    xlabel="batches of 256",
    ylabel="seconds, building included",
)
fig.legend(loc="outside right center", fontsize=8)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
for count, name in zip(counts, winners, strict=True):
    print(f"{count:>9,} batches: {name}")
if compiled := next((name for name in ready if name.startswith("compiled")), None):
    saved = timed[256]["channels-last float32"].median - timed[256][compiled].median
    after = (
        f"after {ready[compiled].seconds / saved:,.0f} batches"
        if saved > 0
        else "never"
    )
    print(
        f"{compiled} against channels-last float32: {ready[compiled].seconds:.1f} s to build, paid for {after}"
    )

# %%
claim(
    "for one batch nothing that must be compiled is the cheapest",
    not winners[0].startswith("compiled"),
    timing=True,
)
claim(
    "for a million the cheapest is as fast as the fastest",
    timed[256][winners[-1]].median
    < 1.01 * min(timing.median for timing in timed[256].values()),
    timing=True,
)

# %% [markdown]
# The compiler's price is paid in every process (less the next time: torch keeps programs on disk). AOTInductor pays it
# once and ships the result. The runtimes ask for less; what they took above was mostly export and calibration, which
# are done once too.
#
# ## 4. Threads and cores
#
# How many times as fast are two threads as one, with 256 pictures and with a single one?

# %%
predict("two threads against one, batch 256", unit="×")

# %%
cores = (
    len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
)


def with_threads(count, x):
    def run(_):
        torch.set_num_threads(count)  # costs next to nothing where the number stays
        return nhwc(x)

    return run


threaded = {}
for size in (1, 256):
    x = last[:size]
    kinds = {
        words: with_threads(count, x)
        for words, count in (("1 thread", 1), ("2 threads", 2), ("4 threads", 4))
    }
    threaded[size] = measure.latency(kinds, batch[:size], rounds=7, budget_seconds=0.4)
two = {
    size: measure.ratio(found["1 thread"], found["2 threads"])
    for size, found in threaded.items()
}


def allow(cores_allowed):
    """Let every thread of this process run on these cores only."""
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(
            ProcessLookupError
        ):  # a thread that has ended meanwhile
            os.sched_setaffinity(int(task), cores_allowed)


def on_one_core(call):
    """`call()` while this process may use one core only; None where the system can't be asked for it."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    usual = os.sched_getaffinity(0)
    allow({max(usual)})
    try:
        return call()
    finally:
        allow(usual)


kinds = {"1 thread": with_threads(1, last), "2 threads": with_threads(2, last)}
crowded = on_one_core(
    lambda: measure.latency(kinds, batch, rounds=6, budget_seconds=0.5)
)
torch.set_num_threads(1)

fig, ax = plots.figure(figsize=(8, 2.6))
rows = {
    f"{kind}, batch {size}": measure.ratio(found["1 thread"], found[kind])
    for size, found in threaded.items()
    for kind in ("2 threads", "4 threads")
}
if crowded:
    rows["2 threads on one core, batch 256"] = measure.ratio(
        crowded["1 thread"], crowded["2 threads"]
    )
middle = [r.median for r in rows.values()]
ax.errorbar(
    middle,
    range(len(rows)),
    xerr=[
        [r.median - r.low for r in rows.values()],
        [r.high - r.median for r in rows.values()],
    ],
    fmt="o",
    capsize=3,
)
ax.axvline(1, color=plots.REFERENCE, linestyle="--", linewidth=1)
ax.set_yticks(range(len(rows)), list(rows))
ax.invert_yaxis()
ax.set(xlabel="times as fast as one thread", xlim=(0, None))
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
print(f"this process may use {cores} cores")
reveal(
    "two threads against one, batch 256",
    two[256].median,
    two[256].low,
    two[256].high,
    because="An operator is cut into parts and waits for the last of them; the more there is to compute, the less the "
    "waiting matters. For one picture it matters most.",
)

# %%
claim(
    "one picture gains less than 1.8 times from a second thread",
    two[1].median < 1.8,
    timing=True,
)
claim(
    "two threads on one core are less than 1.5 times as fast as one",
    lambda: measure.ratio(crowded["1 thread"], crowded["2 threads"]).median < 1.5,
    where=(crowded is not None, "this system cannot keep torch to one core"),
    timing=True,
)

# %% question="hardware.too_many_threads"
answer = None
### BEGIN SOLUTION
answer = "a"
### END SOLUTION
question("hardware.too_many_threads", answer)

# %% [markdown]
# *Pinning* ties threads to cores, as `on_one_core` does: `taskset`, or `numactl` on servers with several sockets, where
# memory at another socket is slower. On a machine like this it is good for one thing above all: several engines that
# run side by side get cores of their own, each with as many threads as it has cores.
#
# Torch's convolutions come from **oneDNN**, a library that picks a kernel by the processor's instructions. Its switches
# are environment variables: `ONEDNN_VERBOSE=1` prints each kernel with its time, `ONEDNN_MAX_CPU_ISA=AVX2` forbids
# newer instructions. And torch can leave it out, which shows what it is worth:


# %%
def without_onednn(x):
    with torch.backends.mkldnn.flags(enabled=False):
        return net(x)


onednn = torch.backends.mkldnn.is_available()
with quiet():
    timings = measure.latency(
        {"with": net, "without": without_onednn},
        batch[:64],
        rounds=6,
        budget_seconds=0.3,
    )
worth = measure.ratio(timings["without"], timings["with"])
claim(
    "the network is not faster without oneDNN",
    worth.median > 0.8,
    where=(onednn and needs("x86")[0], "no x86 processor, or no oneDNN in this torch"),
    timing=True,
)

# %% tags=["nbval-ignore-output"]
print(
    f"eager with oneDNN against eager without: {worth}"
    if onednn
    else "this build of torch has no oneDNN"
)

# %% [markdown]
# ## 5. One picture or many
#
# A service gets pictures one at a time. It may answer each at once, or collect a batch: the computation becomes cheaper
# a picture, but the first picture of a batch waits for the last one.
#
# **Exercise (4 points).** The batch size that costs least computing time a picture, within a limit for the slowest
# picture.


# %% exercise="hardware.batch_for"
def batch_for(sizes, ms, interval_ms, limit_ms):
    """Of the allowed sizes the one with the least time a picture (the smaller of equal ones); 0 where none is allowed.

    sizes: list of batch sizes. ms: what computing a batch of each takes. Every interval_ms a picture arrives; a batch
    begins with its first picture, and is computed when its last one has come. A size is allowed if that first picture has
    its answer at most limit_ms after it came, and if a batch takes no longer than the next one needs to come together.
    """
    ### BEGIN SOLUTION
    fit = [
        (time / size, size)
        for size, time in zip(sizes, ms, strict=True)
        if (size - 1) * interval_ms + time <= limit_ms and time <= size * interval_ms
    ]
    return min(fit)[1] if fit else 0
    ### END SOLUTION


# %%
check("hardware.batch_for", batch_for)

# %%
batch_for = yours_or_ours("hardware.batch_for")
sizes = (1, 8, 64, 256)
server = max(
    timed[1], key=lambda name: gain(name, 256).median
)  # of those that were also built for one picture
served = {name: ready[name] for name in ("eager float32", best[1], server)}
between = {
    size: measure.latency(served, batch[:size], rounds=6, budget_seconds=0.3)
    for size in (8, 64)
}
by_size = {1: timed[1], **between, 256: timed[256]}
fig, (left, right) = plots.figure(ncols=2, figsize=(10, 3.2))
for name in served:
    ms = [1000 * by_size[size][name].median for size in sizes]
    left.plot(
        ms,
        [1000 * size / t for size, t in zip(sizes, ms, strict=True)],
        "o-",
        label=name,
    )
    right.plot(sizes, [t / size for size, t in zip(sizes, ms, strict=True)], "o-")
left.set(
    xscale="log",
    yscale="log",
    xlabel="ms a call (latency)",
    ylabel="pictures a second (throughput)",
)
right.set(xscale="log", yscale="log", xlabel="pictures a call", ylabel="ms a picture")
right.set_xticks(sizes, sizes)
right.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
left.legend(fontsize=8)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
ms = [1000 * by_size[size][server].median for size in sizes]
for load in (0.1, 0.5, 0.9):
    interval = ms[-1] / sizes[-1] / load
    found = [
        f"{batch_for(list(sizes), ms, interval, limit) or 'none'} within {limit} ms"
        for limit in (5, 20, 100)
    ]
    print(
        f"{server} at {load:.0%} of its capacity, a picture every {interval:.3f} ms: batches of {', '.join(found)}"
    )

# %%
claim(
    "the fastest program at 256 computes a picture of them in less time than a single one",
    by_size[256][server].median / 256 < by_size[1][server].median,
    timing=True,
)

# %% [markdown]
# ## 6. Sparsity, where a kernel exists
#
# Lesson 01: a mask of zeros makes nothing faster. A *pattern* of zeros can, if a kernel knows it. In **2:4** sparsity
# two of every four neighbours in a row are zero, and NVIDIA's tensor cores multiply such matrices at twice the rate.
#
# **Exercise (3 points).** Make a weight 2:4.


# %% exercise="hardware.two_of_four"
def two_of_four(weight):
    """A copy in which, of each four neighbours of a row, the two smallest in absolute value are 0.

    weight: float [rows, columns], columns divisible by 4; no two numbers are equally large.
    """
    ### BEGIN SOLUTION
    groups = weight.reshape(-1, 4)
    kept = groups.abs().topk(2, dim=1).indices
    return (
        torch.zeros_like(groups)
        .scatter(1, kept, groups.gather(1, kept))
        .reshape(weight.shape)
    )
    ### END SOLUTION


# %%
check("hardware.two_of_four", two_of_four)

# %% question="hardware.two_four_bytes"
answer = None
### BEGIN SOLUTION
answer = 56.25
### END SOLUTION
question("hardware.two_four_bytes", answer)

# %% tags=["nbval-ignore-output"]
two_of_four = yours_or_ours("hardware.two_of_four")
halved = copy.deepcopy(net)
halved.classifier[0].weight.data = two_of_four(net.classifier[0].weight.data)
try:
    torch.sparse.to_sparse_semi_structured(halved.classifier[0].weight.data)
    print("2:4: there is a kernel here")
except (RuntimeError, NotImplementedError) as error:
    print("2:4 on this processor:", str(error).splitlines()[0])

# %%
some = pictures.test[:3_000]
before, after = (
    training.evaluate(model.to(memory_format=torch.channels_last), some, pictures)
    for model in (nhwc, halved)
)
lost_2_4 = measure.proportion_difference(before.correct, after.correct)
claim(
    "half of the first linear layer's weights gone, untrained, and less than 2 points lost",
    lost_2_4.low > -2,
)

# %% [markdown]
# So the network could bear it, and this processor has no use for it. What torch has for x86 processors, from Intel's
# library MKL, are products with **block-sparse** matrices (BSR: only the blocks that are not zero are stored, and each
# is a small dense product). How many times as fast as the dense product is one with nine tenths of its 32×32 blocks
# zero?

# %%
predict(
    "block-sparse product against dense, 90 % of the blocks zero, 1024×1024", unit="×"
)

# %%
generator = torch.Generator().manual_seed(0)
x_columns = torch.randn(1024, 256, generator=generator)
blocks, exact = {}, True
for zero in (0.5, 0.75, 0.9, 0.95):
    w = torch.randn(1024, 1024, generator=generator)
    order = (
        torch.rand(32 * 32, generator=generator).argsort().reshape(32, 32)
    )  # exactly this share of the blocks goes
    w *= (
        (order >= zero * 32 * 32)
        .float()
        .repeat_interleave(32, 0)
        .repeat_interleave(32, 1)
    )
    try:
        with quiet():
            sparse = w.to_sparse_bsr((32, 32))
        exact = exact and torch.allclose(sparse @ x_columns, w @ x_columns, atol=1e-3)
    except RuntimeError as error:  # torch without MKL
        no_blocks = str(error).splitlines()[0]
        break
    kinds = {
        "dense": lambda _, w=w: w @ x_columns,
        "blocks": lambda _, s=sparse: s @ x_columns,
    }
    timings = measure.latency(kinds, x_columns, rounds=6, budget_seconds=0.25)
    blocks[zero] = measure.ratio(timings["dense"], timings["blocks"])
claim("both products agree", exact)
fig, ax = plots.figure(figsize=(8, 2.6))
middle = [r.median for r in blocks.values()]
ends = [
    [r.median - r.low for r in blocks.values()],
    [r.high - r.median for r in blocks.values()],
]
ax.errorbar(
    [100 * zero for zero in blocks],
    middle,
    yerr=ends,
    fmt="o-",
    capsize=3,
    color=plots.BLUE,
)
ax.axhline(1, color=plots.REFERENCE, linestyle="--", linewidth=1)
ax.set(
    xlabel="% of the 32×32 blocks that are zero",
    ylabel="times as fast as dense",
    ylim=(0, None),
)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
if blocks:
    card = reveal(
        "block-sparse product against dense, 90 % of the blocks zero, 1024×1024",
        blocks[0.9].median,
        blocks[0.9].low,
        blocks[0.9].high,
        because="A tenth of the products is left, but the kernel for blocks is a much worse one than that for dense "
        "matrices, which has been polished for decades. With half of the blocks gone nothing is gained.",
    )
    display(card)
else:
    print("no product with blocks here:", no_blocks)

# %%
claim(
    "with half of the blocks gone nothing is gained",
    lambda: blocks[0.5].median < 1.2,
    where=(bool(blocks), "torch was built without MKL"),
    timing=True,
)
claim(
    "with 95 % gone it is faster than with half",
    lambda: blocks[0.95].median > blocks[0.5].median,
    where=(bool(blocks), "torch was built without MKL"),
    timing=True,
)

# %% [markdown]
# What always works is to remove whole channels: the tensors become smaller, and every kernel is glad of it. Lesson 01
# does so; here is its function, half of the channels, and one epoch of repair.

# %%
torch.set_num_threads(usual_threads)
keep = channel_pruning.keep_most_important(net, batch[:1], share=0.5)
half = channel_pruning.remove_channels(net, batch[:1], keep).to(
    memory_format=torch.channels_last
)
half = recipes.one_cycle(half, pictures, epochs=1, peak=4e-3).to(
    memory_format=torch.contiguous_format
)
torch.set_num_threads(1)
claim(
    "it has a quarter of the parameters",
    round(measure.parameters(net).total / measure.parameters(half).total) == 4,
)

# %% [markdown]
# ## 7. The ladder
#
# Now all together, on one thread: eager torch; channels last; the fastest program in float32; the fastest at all; and
# this one with half of the channels. Each rung is the best of those measured, so the ladder of your machine may name
# others than that of your neighbour. How many times as fast as the first is the last, at 256 pictures?

# %%
predict("top of the ladder against the article's program, batch 256", unit="×")

# %%
small_choices = [("ONNX Runtime", "float32"), ("OpenVINO", "int8")]
small_ready, _ = deploy_all(half, batch, small_choices, calibration)
everything = ready | {
    f"{name}, half the channels": engine for name, engine in small_ready.items()
}


STAGES = {
    "channels last": lambda name: name == "channels-last float32",
    "best in float32": lambda name: "float32" in name and "half" not in name,
    "best at all": lambda name: "half" not in name,
    "or with half the channels": lambda name: True,
}
KINDS = [
    (size, extra) for size in (256, 1) for extra in (True, False)
]  # OpenVINO is an extra of the package


def climb(size, extra, among):
    """The name of the fastest program at each stage, eager torch first; without `extra` none of OpenVINO."""
    allowed = [name for name in among[size] if extra or "OpenVINO" not in name]
    best_first = sorted(
        allowed, key=lambda name: gain(name, size, among=among).median, reverse=True
    )
    return [
        "eager float32",
        *(next(filter(belongs, best_first)) for belongs in STAGES.values()),
    ]


promising = {
    name for kind in KINDS for name in climb(*kind, timed)
}  # no other program is timed again
laddered = time_all(
    {
        name: e
        for name, e in everything.items()
        if name in promising or name not in ready
    }
)
climbs = {kind: climb(*kind, laddered) for kind in KINDS}
ladders = {kind: list(dict.fromkeys(names)) for kind, names in climbs.items()}
used = {name for names in ladders.values() for name in names}
inputs = pictures.to_input(some.images)
right = {
    name: torch.cat([everything[name](part).argmax(1) for part in inputs.split(250)])
    == some.labels
    for name in used
}
lost = {
    name: measure.proportion_difference(right["eager float32"], right[name])
    for name in used
}

fig, axes = plots.figure(ncols=2, figsize=(11, 3.2))
for ax, size in zip(axes, (256, 1), strict=True):
    names = ladders[size, True]
    ratios = [gain(name, size, among=laddered) for name in names]
    ends = [[r.median - r.low for r in ratios], [r.high - r.median for r in ratios]]
    ax.barh(range(len(names)), [r.median for r in ratios], color=plots.BLUE, height=0.6)
    ax.errorbar(
        [r.median for r in ratios],
        range(len(names)),
        xerr=ends,
        fmt="none",
        ecolor="0.25",
        capsize=2,
    )
    ax.set_yticks(
        range(len(names)), [n.replace(", half", ",\nhalf") for n in names], fontsize=8
    )
    ax.invert_yaxis()
    ax.set(title=f"batch {size}", xlabel="times as fast as the article's program")
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
cells = [["rung", "against the rung before", "against the first", "accuracy, points"]]
for (size, extra), names in ladders.items():
    cells.append(
        [f"batch {size}" + ("" if extra else ", without OpenVINO"), "", "", ""]
    )
    for before, name in zip([names[0], *names], names, strict=False):
        step, whole, change = (
            gain(name, size, before, laddered),
            gain(name, size, among=laddered),
            lost[name],
        )
        cells.append(
            [
                name,
                f"{step.median:.2f}× ({step.low:.2f}–{step.high:.2f})",
                f"{whole.median:.2f}× ({whole.low:.2f}–{whole.high:.2f})",
                f"{change.estimate:+.2f} ({change.low:+.2f} to {change.high:+.2f})",
            ]
        )
top = {key: gain(names[-1], key[0], among=laddered) for key, names in ladders.items()}
for (size, extra), names in ladders.items():
    print(
        f"batch {size}{'' if extra else ', without OpenVINO'}: {names[-1]} is {top[size, extra]}"
    )
display(
    HTML(measure.tables.html_table(cells, header=True)),
    reveal(
        "top of the ladder against the article's program, batch 256",
        top[256, True].median,
        top[256, True].low,
        top[256, True].high,
        because="The gains multiply, because each takes another part of the time: layout and fusion the moving of numbers, "
        "smaller numbers the products too, fewer channels both.",
    ),
)

# %%
claim(
    "the top is more than 3 times as fast as the article's program at batch 256",
    top[256, True].median > 3,
    where=needs("x86", "OpenVINO"),
    timing=True,
)
claim(
    "without OpenVINO more than 2 times",
    top[256, False].median > 2,
    where=needs("x86"),
    timing=True,
)
claim("for one picture more than 1.5 times", top[1, True].median > 1.5, timing=True)
claim(
    "no rung loses more than 1.5 points, its interval included",
    min(change.low for change in lost.values()) > -1.5,
)

# %% [markdown]
# ## 8. Playground
#
# Move one convolution about under your roof. What brings it near to the peak, and which layout does it like?

# %%
roofline_playground(peak, bandwidth)

# %% [markdown]
# ## 9. Training
#
# The same thinking for training. The article's loop (SGD at a constant rate, float32, NCHW; batches of 32, since it
# names none) trains `MyNet` for 8 epochs; the question is how many seconds another way needs to be as accurate. That
# takes many minutes, so it is recorded. (`LIVE = True` in the second cell measures it here.)
#
# The target is the loop's accuracy on the validation pictures, mean of three seeds. Each change is tried on top of the
# best so far, for as few epochs as reach the target, and kept if it takes less time.

# %%
predict("the best training found: times less time to the loop's accuracy", unit="×")

# %%
ladder = recorded("training_ladder", live=LIVE)["result"]
first, *tried = ladder["rungs"]
kept = [first] + [rung for rung in tried if rung["kept"]]


def middle_of(values):
    return sorted(values)[len(values) // 2] if values else 0


less = [a / b for a, b in zip(first["seconds"], kept[-1]["seconds"], strict=True)]
every = ladder["rungs"]
fig, axes = plots.figure(ncols=3, sharey=True, figsize=(11, 3.4))
colors = [plots.BLUE if rung["kept"] else "0.75" for rung in every]
for ax, key in zip(axes, ("seconds", "images_per_second"), strict=False):
    ax.barh(
        range(len(every)),
        [middle_of(rung[key]) for rung in every],
        color=colors,
        height=0.6,
    )
for row, (rung, color) in enumerate(zip(every, colors, strict=True)):
    for ax, key in zip(axes, ("seconds", "images_per_second", "test"), strict=True):
        dots = (
            {"color": color, "markersize": 6}
            if key == "test"
            else {"color": "black", "markersize": 3}
        )
        ax.plot(rung[key], [row] * len(rung[key]), "o", **dots)
axes[0].set(xlabel="seconds of training", title="time to the target")
axes[1].set(xlabel="pictures a second", title="speed (grey: tried, not kept)")
axes[2].axvline(
    sum(first["test"]) / len(first["test"]),
    color=plots.REFERENCE,
    linestyle="--",
    linewidth=1,
)
axes[2].set(xlabel="% of the test pictures right", title="accuracy")
axes[0].set_yticks(
    range(len(every)),
    [f"{r['name']} ({r['epochs']})" if r["seconds"] else r["name"] for r in every],
)
axes[0].invert_yaxis()
plots.finish(fig)

# %%
print(
    f"recorded on: {ladder['machine']}, {ladder['cores']} cores; target {ladder['target']} % of the validation pictures"
)
reveal(
    "the best training found: times less time to the loop's accuracy",
    middle_of(less),
    min(less),
    max(less),
    because="In brackets are the epochs; the interval is the range of three seeds. Most comes from learning in fewer of them, with a better schedule. What was only "
    "timed, and found slower, has no bar on the left.",
)

# %%
mean_test = {rung["name"]: sum(rung["test"]) / len(rung["test"]) for rung in kept}
short = mean_test[first["name"]] - mean_test[kept[-1]["name"]]
schedule = [a / b for a, b in zip(first["seconds"], kept[1]["seconds"], strict=True)]
claim(
    "all rungs that were kept reach the target on the validation pictures",
    all(rung["reached"] for rung in kept),
)
speed = {rung["name"]: middle_of(rung["images_per_second"]) for rung in every}
claim(
    "on that processor bf16 autocast computes less than a fifth of the pictures a second",
    speed["bf16 autocast"] < speed[kept[-1]["name"]] / 5,
    where=(not LIVE, "measured on another machine"),
)
claim("the last of them takes less than a third of the loop's time", min(less) > 3)
claim(
    "the first change, schedule and batch, gives more than all others together",
    min(schedule) > max(less) / min(schedule),
)
claim(
    "but on the test pictures the last is about 0.9 points less accurate than the loop",
    abs(short - 0.9) < 0.05,
    where=(not LIVE, "measured on another machine"),
)

# %% [markdown]
# Look at the panel on the right before you believe the one on the left. The epochs were *chosen* on the validation
# pictures, as the first number that reaches the target there, and such a choice takes luck for skill: on the test
# pictures the kept ways stay below the dashed line, the last one most. So a part of this gain was bought with accuracy.
# Who wants the loop's accuracy on new pictures too must ask for more than the target, and pay some more time.
#
# And a second caution. This was recorded on a machine that had other work to do, one way after the other. The dots are
# runs of the same way: bars that lie about as near as the dots of one of them have no order that you could trust. That
# processor has no instructions for bf16, so autocast was many times slower than float32; on one that has them try it
# first.

# %% [markdown]
# ## 10. Other hardware
#
# A **GPU** has the same roof, only higher and with a steeper start: an operator that is too small costs as much as its
# launch, so batches and fusion matter even more. Its tensor cores want 16-bit or 8-bit numbers, channels last, and
# channels in multiples of 8.
#
# A **TPU** (nothing here was run on one) is programmed through the compiler **XLA**, from PyTorch with `torch_xla`.
# What would change: the whole step becomes one compiled program with *fixed shapes*; bf16 is the natural format, with
# sums in float32; its matrix unit multiplies 128×128 tiles (256×256 in some generations), so sizes that are no multiple
# of them are padded and partly wasted; and reading a number back (`loss.item()`) stops the pipeline, so one looks
# seldom. Where to begin: the PyTorch/XLA documentation, and Jouppi et al. (2017, 2023).

# %% question="hardware.static_shapes"
answer = None
### BEGIN SOLUTION
answer = "c"
### END SOLUTION
question("hardware.static_shapes", answer)

# %% [markdown]
# ## Summary

# %%
fig, ax = plots.figure(figsize=(8, 3.2))
for (size, extra), marker in zip(KINDS, "o^sv", strict=True):
    gains = [gain(name, size, among=laddered).median for name in climbs[size, extra]]
    words = f"batch {size}" + ("" if extra else ", no OpenVINO")
    ax.plot(
        range(len(gains)),
        gains,
        ("-" if extra else "--") + marker,
        markersize=9 if extra else 5,
        label=words,
    )
ax.set(yscale="log", ylabel="times as fast as the article's program")
ax.set_xticks(range(len(STAGES) + 1), ["eager torch", *STAGES])
ax.set_yticks([1, 2, 5, 10, 20], [1, 2, 5, 10, 20])
ax.legend(fontsize=8)
plots.finish(fig)

# %% [markdown]
# - **Know the roof** before you optimise: peak, bandwidth, and each operator's intensity. What is far below can gain.
# - **Layout first**: channels last is one line and changes no class.
# - **Fusion** moves fewer bytes. A compiler fuses for you and wants seconds; a runtime comes with it done.
# - **Threads**: as many as the process has cores, for large work. For one picture measure: often one is best.
# - **A batch** trades latency for throughput: set the limit of latency, then take the best throughput.
# - **Zeros** pay only where a kernel knows their pattern. Smaller tensors pay everywhere.
# - **Measure each rung against the one before**, and check the outputs of all of them. The order of programs differs
#   from machine to machine.
#
# **What practice uses today** (2026). `torch.compile` for training and for servers in Python, AOTInductor where there is
# no Python; ONNX Runtime where programs must run on many kinds of machines; OpenVINO on Intel's and TensorRT on
# NVIDIA's processors; ExecuTorch and LiteRT on phones. Servers such as Triton collect batches under a limit of time.
#
# **Further reading.** Williams, Waterman & Patterson, *Roofline* (2009) · Chen et al., *TVM* (2018) · Ansel et al.,
# *PyTorch 2* (2024) · Mishra et al., *Accelerating sparse deep neural networks* (2021) · Jouppi et al., *In-datacenter
# performance analysis of a tensor processing unit* (2017) and *TPU v4* (2023) · oneDNN's developer guide, *Verbose
# mode*.
#
# Your guesses of the whole course so far, against what your machine measured:

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
