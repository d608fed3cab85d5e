# %% [markdown]
# # Hardware: how close can software get to a processor's limits?
#
# The same network gives the same answers on the same processor, yet one program may take several times as long as
# another. In this lesson you look for the fastest one. You will
#
# - draw the limits of your processor, and see how far below them each operator stays;
# - change the memory layout, fuse operators, compile, and try other runtimes, all with one function, `deploy`;
# - use threads, and learn when they hurt; choose a batch size for a latency limit;
# - set weights to zero, with a kernel that skips zeros and with one that doesn't;
# - climb a ladder from the article's program to the fastest one found, one step at a time, and then a second ladder for
#   training.
#
# The lesson takes about an hour and stands alone. *The article* is the tutorial that this course grew out of. `MyNet`
# is its network, trained on Fashion-MNIST, photographs of clothes in ten classes. The article's program is `MyNet` in
# plain PyTorch, or *eager* torch: it runs one operator after the other.
#
# Some terms:
#
# - An **operator** is one operation of torch, such as a convolution or a ReLU.
# - A **kernel** is the routine that computes an operator. **Fusing** means computing several operators in one kernel.
# - **Latency** is the time until an answer is there, and **throughput** is the number of pictures per second.
# - A **FLOP** is a floating-point operation, and **GFLOP/s** means 10⁹ of them per second.
# - **bf16** is a float32 cut to its first 16 bits, and **int8** is an integer of 8 bits.

# %% tags=["fold"]
# Imports: where the names of this lesson come from
import copy
from statistics import median

import torch
from IPython.display import display

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
from nnopt_lab.lessons.hardware.blocks import block_product_here, with_zero_blocks
from nnopt_lab.lessons.hardware.pinning import on_one_core
from nnopt_lab.lessons.hardware.playground import roofline_playground
from nnopt_lab.techniques.deployment import (
    EngineUnavailable,
    deploy,
    deploy_all,
)
from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.deployment.onnx_engines import engine_of_file
from nnopt_lab.techniques.pruning import channel_pruning
from nnopt_lab.workbench import data, measure, models, plots, recipes, training
from nnopt_lab.workbench.paths import data_dir
from nnopt_lab.workbench.tables import Table

# %%
lesson("12_hardware")
# True measures the training ladder on this machine (minutes), instead of the recording.
LIVE = False
# True also measures the program that AOTInductor builds (section 3; ten seconds or
# more, and it needs a C++ compiler).
AHEAD = False
pictures = data.load("fashion")
net = models.trained("mynet")
batch = pictures.to_input(pictures.test.images[:256])
measure.layer_table(net, batch)

# %% [markdown]
# Up to section 4, everything runs on **one thread**. On one core all programs have the same resources and differ only
# in how they use them.

# %%
usual_threads = torch.get_num_threads()
torch.set_num_threads(1)

# %% [markdown]
# ## 1. The roofline
#
# A processor computes a limited number of operations per second, its *peak*, and its memory moves a limited number of
# bytes per second, its *bandwidth*. An operator that does $I$ operations per byte it moves can reach at most
# $\min(\text{peak}, I \cdot \text{bandwidth})$, its *roof*
# ([Williams, Waterman & Patterson 2009](https://doi.org/10.1145/1498765.1498785)). So the first thing to know about a
# layer is $I$, its **intensity**.
#
# **Exercise (3 points).** Compute the intensity of a convolution with stride 1 and padding that keeps the picture's
# size. It must read its input once, read its weights and biases once, and write its output once. (The argument `kernel`
# is the side of the convolution's window, as in `nn.Conv2d`.)


# %% exercise="hardware.conv_intensity"
def conv_intensity(in_channels, filters, kernel, side, pictures, bytes_each):
    """Operations per byte moved, a float.

    A multiply-accumulate is two operations; adding the bias is free. The convolution
    maps [pictures, in_channels, side, side] to [pictures, filters, side, side]. A
    filter has in_channels · kernel² weights and a bias, and each value takes bytes_each
    bytes.

    >>> conv_intensity(1, 1, 3, 2, 5, 4)
    1.8
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
# A linear layer is a convolution with a 1×1 window on a picture of one pixel, so your function serves all four layers
# with weights. The other operators compute very little per byte: ReLU does one operation per value, and a 2×2
# max-pooling does three comparisons for four values read and one written.
#
# The network gets 256 pictures at once. What share of the processor's peak does eager torch reach?

# %%
predict("share of the arithmetic peak that eager torch reaches, batch 256", unit="%")

# %%
machine = measure.machine()
peak, bandwidth = machine.peak_gflops(), machine.peak_bandwidth()  # GFLOP/s and GB/s
timings = measure.latency({"eager": net}, batch, rounds=4, budget_seconds=0.8)
eager_seconds = timings["eager"].median
all_operations = 2 * measure.macs(net, batch)
share_of_peak = all_operations / eager_seconds / 1e9 / peak

# %% tags=["nbval-ignore-output"]
# Answer: share of the arithmetic peak that eager torch reaches, batch 256
reveal(
    "share of the arithmetic peak that eager torch reaches, batch 256",
    100 * share_of_peak,
    because="Multiplying takes only a part of the time. ReLU and pooling compute "
    "little, yet each reads and writes every value again. And small layers never keep "
    "the processor busy.",
)

# %% [markdown]
# Now time each operator by itself, and compute the roofs of the four layers with weights by your formula:

# %%
conv_intensity = yours_or_ours("hardware.conv_intensity")
# Channels, filters, side of the window and of the picture of the layers with weights.
weighted = [(3, 16, 3, 32), (16, 32, 3, 16), (2048, 128, 1, 1), (128, 10, 1, 1)]
intensities = [conv_intensity(*layer, 256, 4) for layer in weighted]
spent = {"NCHW": measure.operators(net, batch, timed=True)}
# On a busy machine, an operator can be faster than the peak that was measured.
peak = max(peak, *(ops / s / 1e9 for _, ops, _, s in spent["NCHW"]))
roofs = [min(peak, intensity * bandwidth) for intensity in intensities]

# %% tags=["fold"]
# Plot: the operators below the roof
plots.roofline(
    [(name, ops / moved, ops / s / 1e9) for name, ops, moved, s in spent["NCHW"]],
    peak,
    bandwidth,
)

# %% [markdown]
# What to see: each point is an operator, and the grey line is the roof. Both axes are logarithmic. Convolutions and
# large linear layers are on the right, where arithmetic is the limit; ReLU and pooling are on the left, where memory
# is. The further a point is below the line, the larger the share of its time that the operator wastes. A point above
# the sloping part of the line belongs to an operator that found its data in the cache, which is faster than main
# memory. Colours show the kinds of operators.

# %% tags=["fold", "nbval-ignore-output"]
# Table: roofs of the layers with weights, and times at the roofs
names = [n for n, *_ in spent["NCHW"] if "Conv" in n or "Linear" in n]
rows = [
    [name, f"{intensity:.1f}", f"{roof:,.0f}"]
    for name, intensity, roof in zip(names, intensities, roofs, strict=True)
]
display(Table(rows, ["layer", "operations per byte", "roof, GFLOP/s"]))
roof_seconds = sum(
    max(ops / peak, moved / bandwidth) / 1e9 for _, ops, moved, _ in spent["NCHW"]
)
display(
    Table(
        [
            ["all operators at their roofs", f"{1000 * roof_seconds:.1f}"],
            ["eager torch", f"{1000 * eager_seconds:.1f}"],
        ],
        ["256 pictures, one thread", "ms"],
        caption=f"{machine.processor}: {', '.join(machine.instructions)}",
    )
)
print(f"cores that this process may use: {machine.cores}")

# %% tags=["fold"]
# Claims: the roofline
counted = [
    operations / moved
    for name, operations, moved, _ in spent["NCHW"]
    if "Conv" in name or "Linear" in name
]
thin = [name for name, ops, moved, _ in spent["NCHW"] if ops / moved < peak / bandwidth]
claim(
    "The formula gives the library's intensities.",
    all(abs(a / b - 1) < 1e-6 for a, b in zip(intensities, counted, strict=True)),
    timing=False,
)
claim(
    "Eager torch stays below three quarters of the peak.",
    share_of_peak < 0.75,
    timing=True,
)
claim(
    "At their roofs, all operators together would take less than three quarters of "
    "eager torch's time.",
    roof_seconds < 0.75 * eager_seconds,
    timing=True,
)
claim(
    "Memory is the limit for ReLU and pooling.",
    all(n in thin for n, *_ in spent["NCHW"] if "ReLU" in n or "Pool" in n),
    timing=True,
)

# %% question="hardware.relu_limit"
answer = None
### BEGIN SOLUTION
answer = 2.5
### END SOLUTION
question("hardware.relu_limit", answer)

# %% [markdown]
# There are two ways to a faster program: bring the same operators closer to their roofs (layout, better kernels), or
# give them less to move and compute (fusion, fewer bytes per value, fewer channels).
#
# ## 2. Memory layout
#
# A tensor is stored as a sequence of elements. Its *strides* say how far apart in that sequence two neighbours along
# each dimension are. torch's default layout is NCHW: pictures are outermost, then channels, rows and columns.
# **Channels last** (NHWC) stores the channels of a pixel next to each other, while the shape stays [N, C, H, W].
#
# **Exercise (2 points).** Compute the strides of a tensor whose dimensions have a given order in memory. They tell
# which values a kernel finds next to each other.


# %% exercise="hardware.strides"
def strides(shape, order):
    """Strides in elements, as a list in the order of `shape`.

    shape: list of sizes. order: list of the dimensions 0, 1, …, from the outermost in
    memory to the innermost.

    >>> strides([2, 3, 4, 5], [0, 2, 3, 1])
    [60, 1, 15, 3]
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
# One call changes the layout of a network or its input: `.to(memory_format=torch.channels_last)`. Here are the strides
# of the 256 pictures in both layouts:

# %%
strides = yours_or_ours("hardware.strides")
last = batch.to(memory_format=torch.channels_last)
print(f"shape {tuple(batch.shape)}: NCHW {batch.stride()}, NHWC {last.stride()}")

# %% [markdown]
# How many times as fast is the network with channels last?

# %%
predict("speed-up by channels last, batch 256", unit="×")

# %%
nhwc = copy.deepcopy(net).to(memory_format=torch.channels_last)
timings = measure.latency(
    {"NCHW": net, "NHWC": lambda x: nhwc(last)}, batch, rounds=6, budget_seconds=0.8
)
layout = measure.ratio(timings["NCHW"], timings["NHWC"])

# %%
# Answer: speed-up by channels last, batch 256
reveal(
    "speed-up by channels last, batch 256",
    layout.median,
    layout.low,
    layout.high,
    because="Max-pooling compares the four values of a window. With the channels next "
    "to each other, one instruction compares as many channels as a register holds. In "
    "NCHW the four values are far apart and are compared one by one.",
)

# %% tags=["fold"]
# Plot: each operator's time over its roof
spent["NHWC"] = measure.operators(nhwc, last, timed=True)
fig, ax = plots.figure(height=5)
times_roof = {
    layout_name: {
        name: s * 1e9 / max(ops / peak, moved / bandwidth)
        for name, ops, moved, s in rows
    }
    for layout_name, rows in spent.items()
}
plots.grouped_bars(ax, times_roof, reference=1, labels="{:.1f}")
ax.set(xlabel="time ÷ time at the roof", title="each operator, batch 256, one thread")
plots.log_axis(ax.xaxis, [1, 3, 10, 30, 100])
plots.legend(fig)
pooling = {
    layout_name: next(ratio for name, ratio in found.items() if "MaxPool" in name)
    for layout_name, found in times_roof.items()
}
plots.finish(
    fig,
    f"The first pooling takes {pooling['NCHW']:.0f} times as long as at its roof in "
    f"NCHW, and {pooling['NHWC']:.0f} times in NHWC.",
    measured="x",
)

# %% [markdown]
# What to see: the dashed line is the roof, and the scale is logarithmic. An operator whose bar ends at 10 takes ten
# times as long as at its roof, and one whose bar ends to the left of the line found its data in the cache. Channels
# last shortens the pooling layers most. The last linear layer has so little to do that the call itself takes much of
# its time.

# %% tags=["fold"]
# Claims: speed of channels last
claim(
    "Channels last is at least 1.15 times as fast.",
    layout.median > 1.15,
    where=needs("x86"),
    timing=True,
)

# %%
# Claims: strides
claim(
    "The computed strides for NCHW are torch's own.",
    strides(list(batch.shape), [0, 1, 2, 3]) == list(batch.stride()),
)
claim(
    "The computed strides for NHWC are torch's own.",
    strides(list(batch.shape), [0, 2, 3, 1]) == list(last.stride()),
)

# %% [markdown]
# ## 3. Fusion, compilers, runtimes
#
# Each operator reads its input from memory and writes its output back. A kernel that computes several operators at once
# writes only the last result.
#
# **Exercise (3 points).** Compute the bytes that a chain of operators moves if some neighbouring operators are fused.
# The result says what a fused kernel would save, before anyone writes it.


# %% exercise="hardware.moved_bytes"
def moved_bytes(numbers, kernels, bytes_each):
    """Bytes read and written, an int. Weights don't count.

    numbers: sizes of the chain's tensors in values: the input, then each operator's
    output.
    kernels: number of operators that each kernel computes, in order; [1, 1, 1] means no
    fusion.

    >>> moved_bytes([3, 5, 5, 2], [2, 1], 4)
    60
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

# %% tags=["fold"]
# Numbers: sizes of the tensors of MyNet, in order
# Channels and sides of the input, then of convolution, ReLU and pooling (twice); at the
# end linear, ReLU, linear.
shapes = [(3, 32), (16, 32), (16, 32), (16, 16), (32, 16), (32, 16), (32, 8)]
chain = [channels * side**2 for channels, side in shapes] + [128, 128, 10]

# %%
moved_bytes = yours_or_ours("hardware.moved_bytes")
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

# %% tags=["fold"]
# Plot: bytes moved by fused operators
fig, ax = plots.figure(height=2.6)
plots.bars(ax, {name: b / 1024 for name, b in moves.items()}, labels="{:,.0f}")
ax.set(xlabel="KiB moved between operators, per picture")
plots.finish(
    fig,
    "Fusing ReLU and pooling with the convolutions removes six sevenths of the KiB "
    "moved per picture; int8 divides them by four.",
)

# %% [markdown]
# What to see: fusing ReLU and pooling with the convolutions removes six sevenths of the bytes, and int8 (orange)
# divides each number by four.

# %%
# Claims: bytes moved
claim(
    "With ReLU fused, less than two thirds of the bytes remain.",
    moves["ReLU fused, float32"] < 2 / 3 * moves["one by one, float32"],
)
claim(
    "With pooling fused as well, about a seventh of them remains.",
    1 / 8
    < moves["ReLU and pooling fused, float32"] / moves["one by one, float32"]
    < 1 / 6,
)

# %% [markdown]
# ### Engines
#
# Several tools fuse:
#
# - `torch.compile` writes new C++ loops for ReLU, pooling and the like, and compiles them.
# - **AOTInductor** does the same ahead of time for a program from `torch.export`, and its result runs without Python.
# - **ONNX Runtime** (ONNX is a file format for networks) and **OpenVINO** are *runtimes*: programs that run a network
#   and bring fused kernels along, for float32 and for int8.
#
# The course's `deploy(model, example, target, precision=…, calibration=…)` serves them all: `target` names the tool,
# such as `"ONNX Runtime"`. It returns an *engine*, a program that you call like the model. An int8 engine maps a fixed
# range of floats to 256 integers; `calibration` is a list of batches from which it chooses the range of each tensor.
# `deploy` compares the engine's outputs on the example with the model's own, and refuses to return an engine that
# differs by more than its precision allows. If a target cannot run here, `deploy` says why in one sentence.
#
# AOTInductor is left out unless you set `AHEAD = True` in the second cell. Then it appears in every plot below as
# "exported". These are the three calls that `deploy` makes for it. A server needs only the file `model.pt2` and torch's
# C++ library:
#
# ```python
# program = torch.export.export(
#     model, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
# )
# # Once, on a machine with a compiler:
# torch._inductor.aoti_compile_and_package(program, package_path="model.pt2")
# # In every process (there is a loader for C++, too):
# run = torch._inductor.aoti_load_package("model.pt2")
# ```

# %% tags=["nbval-ignore-output"]
calibration = list(pictures.to_input(pictures.train.images[:256]).split(128))
bf16_here = any("bf16" in instruction for instruction in machine.instructions)
low = "bf16" if bf16_here else "float32"  # slower without instructions for it
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

# %% tags=["fold", "nbval-ignore-output"]
# Table: the engines, and why one is missing
# ONNX Runtime offers no bf16 on a processor. Here is what `deploy` says then.
try:
    deploy(net, batch, "ONNX Runtime", precision="bf16")
except EngineUnavailable as reason:
    missing["ONNX Runtime bf16"] = str(reason)
rows = [
    [name, measure.format_bytes(engine.bytes), f"{engine.seconds:.2f} s"]
    for name, engine in ready.items()
]
display(Table(rows, ["engine", "size", "built in"]))
if missing:
    display(Table([*missing.items()], ["engine", "why it is not here"]))

# %% [markdown]
# Now measure them with 256 pictures per call and with one. How many times as fast as eager torch is the fastest? (The
# compiled program takes part only with 256 pictures; torch would compile another one for a single picture.)

# %%
predict("speed-up of the fastest program, batch 256, one thread", unit="×")

# %%
predict("speed-up of the fastest program, one picture, one thread", unit="×")


# %%
def time_all(programs):
    """Timings of all programs that take part, for one picture and for 256."""
    uncompiled = {name: p for name, p in programs.items() if "compiled" not in name}
    return {
        size: measure.latency(taking_part, batch[:size], rounds=7, budget_seconds=1.0)
        for size, taking_part in ((1, uncompiled), (256, programs))
    }


timed = time_all(ready)


# %% tags=["fold", "nbval-ignore-output"]
# Answer: speed-up of the fastest program, batch 256, one thread
def gain(name, size, over="eager float32", among=None):
    found = (among or timed)[size]
    return measure.ratio(found[over], found[name])


best = {
    size: max(found, key=lambda name: gain(name, size).median)
    for size, found in timed.items()
}

reveal(
    "speed-up of the fastest program, batch 256, one thread",
    gain(best[256], 256).median,
    gain(best[256], 256).low,
    gain(best[256], 256).high,
    because=f"That is {best[256]}: fused kernels, the better layout and, for int8, "
    "a quarter of the bytes.",
)
reveal(
    "speed-up of the fastest program, one picture, one thread",
    gain(best[1], 1).median,
    gain(best[1], 1).low,
    gain(best[1], 1).high,
    because=f"That is {best[1]}. For one picture there is little to compute, so "
    "the overhead decides: no Python between operators, no search for a kernel in "
    "each call, all memory allocated beforehand.",
)

# %% tags=["fold"]
# Plot: speed of all programs
fig, axes = plots.figure(ncols=2, sharey=True, height=3)
for ax, (size, found) in zip(axes, timed.items(), strict=True):
    ratios = {name: gain(name, size) if name in found else None for name in ready}
    plots.bars(ax, ratios, reference=1, labels="{:.1f}×")
    ax.set(title=f"batch {size}", xlabel="times as fast as eager")
leaders = " and ".join(f"{name} at batch {size}" for size, name in best.items())
plots.finish(
    fig,
    f"The longest bars, the fastest programs, are {leaders}.",
    measured="x",
    series=True,
)

# %% [markdown]
# What to see: one picture is on the left, 256 pictures are on the right. A bar that ends to the right of the dashed
# line is faster than eager torch, and orange bars are int8. The order of the programs may differ between the two.

# %%
# Claims: the fastest programs
claim(
    "For 256 pictures, the fastest program is more than 1.5 times as fast as eager.",
    gain(best[256], 256).median > 1.5,
    where=needs("x86"),
    timing=True,
)
claim(
    "For one picture, the fastest program is more than 1.2 times as fast as eager.",
    gain(best[1], 1).median > 1.2,
    timing=True,
)

# %% [markdown]
# ### The cost of building
#
# **Exercise (2 points).** Find the engine that finishes a given number of batches soonest, counting the time to build
# it. A program that takes long to build pays off only if it runs often.


# %% exercise="hardware.cheapest"
def cheapest(names, build_s, batch_ms, batches):
    """Name of the engine with the shortest total time: its build and `batches` batches.

    names: list of str. build_s: list of seconds. batch_ms: list of milliseconds per
    batch.
    batches: int.

    >>> cheapest(["A", "B"], [0, 6], [90, 50], 100)
    'A'
    >>> cheapest(["A", "B"], [0, 6], [90, 50], 200)
    'B'
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
builds = [engine.seconds for engine in ready.values()]
each = [1000 * timed[256][name].median for name in ready]
winners = [cheapest(list(ready), builds, each, count) for count in counts]

# %% tags=["fold"]
# Plot: total time over the number of batches
fig, ax = plots.figure(height=3.6)
plots.curves(
    ax,
    counts,
    {
        name: [build + n * ms / 1000 for n in counts]
        for name, build, ms in zip(ready, builds, each, strict=True)
    },
)
ax.set(
    xscale="log",
    yscale="log",
    xlabel="batches of 256",
    ylabel="seconds, including the build",
)
plots.legend(fig, "right")
plots.finish(
    fig,
    f"For one batch {winners[0]} is done first, for {counts[-1]:,} batches "
    f"{winners[-1]}; the lines start at the build times and cross.",
    measured="y",
    series=True,
)

# %% [markdown]
# What to see: each line starts near its build time, and the lowest line is the best choice for that number of batches.

# %% tags=["fold", "nbval-ignore-output"]
# Table: the cheapest program by the number of batches
winning = list(zip(counts, winners, strict=True))
display(Table(winning, ["batches", "fastest, with its build"]))
if compiled := next((name for name in ready if name.startswith("compiled")), None):
    saved = timed[256]["channels-last float32"].median - timed[256][compiled].median
    after = (
        f"after {ready[compiled].seconds / saved:,.0f} batches"
        if saved > 0
        else "never"
    )
    print(f"{compiled}: {ready[compiled].seconds:.1f} s to build,")
    print(f"worth it {after}, compared with channels-last float32")

# %%
# Claims: the cheapest program
claim(
    "For one batch, no compiled program is the cheapest.",
    not winners[0].startswith("compiled"),
    timing=True,
)
claim(
    "For a million batches, the cheapest program is the fastest, to within 1 %.",
    timed[256][winners[-1]].median
    < 1.01 * min(timing.median for timing in timed[256].values()),
    timing=True,
)

# %% [markdown]
# Every process that calls `torch.compile` pays for it again (less the second time, since torch keeps compiled programs
# on disk). With AOTInductor you pay once and ship the result. The runtimes build faster, and most of their build time
# above was spent on export and calibration, which also happen only once.
#
# ## 4. Threads and cores
#
# With 256 pictures, how many times as fast are two threads as one? (The cells also measure a single picture, and two
# threads that must share one core.)

# %%
predict("speed-up by a second thread, batch 256", unit="×")


# %%
def with_threads(count, x):
    def run(_):
        torch.set_num_threads(count)  # costs almost nothing if the number stays
        return nhwc(x)

    return run


THREADS = {"1 thread": 1, "2 threads": 2, "4 threads": 4}
threaded = {}
for size in (1, 256):
    runs = {name: with_threads(count, last[:size]) for name, count in THREADS.items()}
    threaded[size] = measure.latency(runs, batch[:size], rounds=7, budget_seconds=0.4)

# %%
runs = {"1 thread": with_threads(1, last), "2 threads": with_threads(2, last)}
crowded = on_one_core(
    lambda: measure.latency(runs, batch, rounds=6, budget_seconds=0.5)
)
torch.set_num_threads(1)

# %% tags=["fold"]
# Answer: speed-up by a second thread, batch 256
two = {
    size: measure.ratio(found["1 thread"], found["2 threads"])
    for size, found in threaded.items()
}
reveal(
    "speed-up by a second thread, batch 256",
    two[256].median,
    two[256].low,
    two[256].high,
    because="Each operator is divided into one part per thread, and is done when the "
    "last part is. The more there is to compute, the less this waiting matters. It "
    "matters most for a single picture.",
)

# %% tags=["fold"]
# Plot: speed by threads
fig, ax = plots.figure(height=2.6)
rows = {
    f"{kind}, batch {size}": measure.ratio(found["1 thread"], found[kind])
    for size, found in threaded.items()
    for kind in ("2 threads", "4 threads")
}
if crowded:
    rows |= {
        "2 threads on one core, batch 256": measure.ratio(
            crowded["1 thread"], crowded["2 threads"]
        )
    }
plots.intervals(ax, rows, reference=1)
ax.set(xlabel="times as fast as one thread", xlim=(0, None))
plots.finish(
    fig,
    f"Two threads make 256 pictures {rows['2 threads, batch 256'].median:.2f} times as "
    f"fast, and one picture {rows['2 threads, batch 1'].median:.2f} times.",
    measured="x",
    series=True,
)

# %% [markdown]
# What to see: a point to the right of the dashed line is faster than one thread. A second thread gains more with 256
# pictures than with one. Threads that must share a core gain little, and often lose.

# %%
# Claims: threads for one picture
claim(
    "With one picture, a second thread gains less than a factor of 1.8.",
    two[1].median < 1.8,
    timing=True,
)

# %%
# Claims: one core and two
claim(
    "On one core, two threads gain less than a half.",
    lambda: measure.ratio(crowded["1 thread"], crowded["2 threads"]).median < 1.5,
    where=(crowded is not None, "this system cannot keep torch to one core"),
    timing=True,
)
claim(
    "A second thread gains more with 256 pictures than with one.",
    two[256].median > two[1].median,
    where=needs("two free cores"),
    timing=True,
)

# %% question="hardware.too_many_threads"
answer = None
### BEGIN SOLUTION
answer = "a"
### END SOLUTION
question("hardware.too_many_threads", answer)

# %% [markdown]
# *Pinning* restricts threads to cores, as `on_one_core` above does. The commands are `taskset` and, on servers with several
# sockets, `numactl`, which also places their memory, since memory at another socket is slower. Pinning helps most if
# several engines run side by side: give each its own cores, and as many threads as it has cores.
#
# ### The library behind torch
#
# On x86, torch's convolutions come from **oneDNN**, a library that picks a kernel for the processor's instructions.
# Environment variables control it: `ONEDNN_VERBOSE=1` prints each kernel with its time, and `ONEDNN_MAX_CPU_ISA=AVX2`
# forbids newer instructions. Switch it off in torch to see how much it gains:


# %%
def without_onednn(x):
    with torch.backends.mkldnn.flags(enabled=False):
        return net(x)


with quiet():
    ways = {"with": net, "without": without_onednn}
    timings = measure.latency(ways, batch[:64], rounds=6, budget_seconds=0.3)
worth = measure.ratio(timings["without"], timings["with"])

# %% tags=["fold", "nbval-ignore-output"]
# Numbers: the gain by oneDNN
onednn = torch.backends.mkldnn.is_available()
if onednn:
    print("eager torch with oneDNN, compared with eager torch without:")
    print(f"    {worth}")
else:
    print("this build of torch has no oneDNN")

# %%
# Claims: with oneDNN and without
claim(
    "Without oneDNN, the network is at most 1.25 times as fast.",
    worth.median > 0.8,
    where=(onednn and needs("x86")[0], "no x86 processor, or no oneDNN in this torch"),
    timing=True,
)

# %% [markdown]
# ## 5. One picture or many
#
# A service receives pictures one at a time. It can answer each one at once, or collect a batch. In a batch each picture
# costs less time to compute, but the first picture waits for the last.
#
# **Exercise (4 points).** Find the batch size that needs the least computing time per picture, under a limit on the
# latency of the picture that waits longest.


# %% exercise="hardware.batch_for"
def batch_for(sizes, ms, interval_ms, limit_ms):
    """The allowed size with the least time per picture, or 0 if there is none.

    If two sizes tie, the smaller one.

    sizes: list of batch sizes. ms: time to compute a batch of each size. A picture
    arrives every interval_ms. A batch begins with its first picture and is computed
    when its last one has arrived. A size is allowed if the first picture gets its
    answer at most limit_ms after its arrival, and if a batch takes no longer to compute
    than to arrive.

    >>> batch_for([1, 2, 4], [6, 8, 12], 5, 20)
    2
    >>> batch_for([1, 2, 4], [6, 8, 12], 5, 10)
    0
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

# %% tags=["fold"]
# Numbers: three programs to compare
# Only programs that were also built for one picture.
server = max(timed[1], key=lambda name: gain(name, 256).median)
served = {name: ready[name] for name in ("eager float32", best[1], server)}

# %%
sizes = (1, 8, 64, 256)
by_size = {
    size: measure.latency(served, batch[:size], rounds=6, budget_seconds=0.3)
    for size in sizes
}

# %% tags=["fold"]
# Plot: latency and throughput over the batch size
fig, (left, right) = plots.figure(ncols=2, height=3.2)
own = plots.series_colors(served)
for name in served:
    ms = [1000 * by_size[size][name].median for size in sizes]
    left.plot(
        ms,
        [1000 * size / t for size, t in zip(sizes, ms, strict=True)],
        "o-",
        color=own[name],
        label=name,
    )
    each_takes = [t / size for size, t in zip(sizes, ms, strict=True)]
    right.plot(sizes, each_takes, "o-", color=own[name])
left.set(xlabel="ms per call (latency)", ylabel="pictures per second (throughput)")
right.set(xlabel="pictures per call", ylabel="ms per picture")
plots.log_axis(right.xaxis, sizes)
for axis in (left.xaxis, left.yaxis, right.yaxis):
    plots.log_axis(axis)
plots.legend(fig)
plots.finish(
    fig,
    "Up to some batch size, larger batches take longer per call and give more "
    "pictures per second; the time per picture falls, then levels off.",
    measured="xy",
    series=True,
)

# %% [markdown]
# What to see: each dot on the left is a batch size (1, 8, 64, 256). A larger batch always takes longer per call, and up
# to some size it also gives more pictures per second. On the right, the time per picture falls at first, then levels
# off or rises again when a batch no longer fits into the cache.
#
# Now take the program that is fastest with 256 pictures as the server. Its *capacity* is the rate at which it computes
# pictures in batches of 256. Let pictures arrive at a tenth, a half and nine tenths of that rate. Which batch sizes
# does your function choose for each latency limit?

# %%
batch_for = yours_or_ours("hardware.batch_for")
ms = [1000 * by_size[size][server].median for size in sizes]
intervals = {load: ms[-1] / sizes[-1] / load for load in (0.1, 0.5, 0.9)}
limits = (5, 20, 100)
chosen = {
    load: [batch_for(list(sizes), ms, interval, limit) for limit in limits]
    for load, interval in intervals.items()
}

# %% tags=["fold", "nbval-ignore-output"]
# Table: the batch size by load and limit
rows = [
    [f"{100 * load:.0f} %", f"{intervals[load]:.3f}", *(size or "none" for size in of)]
    for load, of in chosen.items()
]
heads = ["load", "ms between pictures", *(f"batch in {limit} ms" for limit in limits)]
Table(rows, heads, f"{server}, load as a share of its capacity")

# %%
# Claims: one picture or many
claim(
    "In a batch of 256, a picture costs less time than a single one.",
    by_size[256][server].median / 256 < by_size[1][server].median,
    timing=True,
)

# %% [markdown]
# ## 6. Sparsity needs a kernel
#
# Zeros among the weights do not make a network faster by themselves, since a kernel multiplies zeros like any other
# value. A regular *pattern* of zeros can make it faster, if there is a kernel that skips them. In **2:4** sparsity,
# each row of the weight is divided into groups of four neighbours, and two of each group are zero. The *tensor cores*
# of NVIDIA GPUs, units that multiply small matrices, process such weights at up to twice the rate.
#
# **Exercise (3 points).** Make a weight 2:4 sparse: in each group of four, set the two smallest magnitudes to zero.
# They matter least for the layer's output.


# %% exercise="hardware.two_of_four"
def two_of_four(weight):
    """A copy with zeros for the two smallest magnitudes of each four row neighbours.

    weight: float [rows, columns]; columns is divisible by 4, and all magnitudes differ.

    >>> two_of_four(torch.tensor([[1.0, -4, 2, 3, 6, 7, 8, 9]]))
    tensor([[ 0., -4.,  0.,  3.,  0.,  0.,  8.,  9.]])
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

# %% question="hardware.zeros_at_random"
answer = None
### BEGIN SOLUTION
answer = 68.75
### END SOLUTION
question("hardware.zeros_at_random", answer)

# %% [markdown]
# Does this processor have a kernel for the pattern? And how much accuracy does the network lose if its first linear
# layer gets the pattern without any retraining?

# %% tags=["nbval-ignore-output"]
two_of_four = yours_or_ours("hardware.two_of_four")
halved = copy.deepcopy(net)
halved.classifier[0].weight.data = two_of_four(net.classifier[0].weight.data)
try:
    torch.sparse.to_sparse_semi_structured(halved.classifier[0].weight.data)
    print("2:4: this machine has a kernel for it")
except (RuntimeError, NotImplementedError):
    print("2:4: this machine has no kernel for it; PyTorch's needs an NVIDIA GPU")

# %%
some = pictures.test[:3_000]
before, after = (
    training.evaluate(model.to(memory_format=torch.channels_last), some, pictures)
    for model in (nhwc, halved)
)
change_2_4 = measure.proportion_difference(before.correct, after.correct)
signed = measure.with_interval(change_2_4, "+.2f")
print(f"change in accuracy: {signed} points, with a 95 % interval")

# %%
# Claims: 2:4 without retraining
claim(
    "Zeroing half of the first linear layer's weights costs less than 2 points of "
    "accuracy, without retraining.",
    change_2_4.low > -2,
)

# %% [markdown]
# So the network hardly needs these weights, but torch has no kernel that skips them on a processor.
#
# ### Blocks of zeros
#
# For x86 processors, torch can multiply **block-sparse** matrices (BSR, for *block sparse row*), with kernels from
# Intel's library MKL. This format stores only the blocks that are not zero, and each of them is a small dense product.
# If nine tenths of a matrix's 32×32 blocks are zero, how many times as fast as the dense product is the block-sparse
# one?

# %%
predict("speed-up of a block-sparse product, 90 % of the blocks zero", unit="×")

# %%
shares = (0.5, 0.75, 0.9, 0.95) if block_product_here() else ()
x_columns = torch.randn(1024, 256)
blocks, exact = {}, True
for zero in shares:
    dense = with_zero_blocks(zero)  # 1024 × 1024 values
    sparse = dense.to_sparse_bsr((32, 32))
    exact = exact and torch.allclose(sparse @ x_columns, dense @ x_columns, atol=1e-3)
    ways = {"dense": lambda x, w=dense: w @ x, "blocks": lambda x, w=sparse: w @ x}
    timings = measure.latency(ways, x_columns, rounds=6, budget_seconds=0.25)
    blocks[zero] = measure.ratio(timings["dense"], timings["blocks"])

# %% tags=["nbval-ignore-output", "fold"]
# Answer: speed-up of a block-sparse product, 90 % of the blocks zero
if blocks:
    reveal(
        "speed-up of a block-sparse product, 90 % of the blocks zero",
        blocks[0.9].median,
        blocks[0.9].low,
        blocks[0.9].high,
        because="Only a tenth of the products remains, but the kernel for blocks is "
        "far less optimised than the one for dense matrices. With half of the blocks "
        "zero, nothing is gained.",
    )
else:
    print("no block-sparse product here: torch was built without MKL")

# %% tags=["fold"]
# Plot: speed over the share of zero blocks
if blocks:
    fig, ax = plots.figure(height=2.6)
    plots.interval_line(ax, [100 * zero for zero in blocks], list(blocks.values()))
    plots.reference_line(ax, 1, across=True)
    ax.set(
        xlabel="% of the 32×32 blocks that are zero",
        ylabel="times as fast as dense",
        ylim=(0, None),
    )
    display(
        plots.finish(
            fig,
            f"With {100 * min(blocks):.0f} % of the blocks zero, the product is "
            f"{blocks[min(blocks)].median:.2f} times as fast as dense, with "
            f"{100 * max(blocks):.0f} % {blocks[max(blocks)].median:.2f} times.",
            measured="xy",
        )
    )
else:
    print("no block-sparse product here: torch was built without MKL")

# %% [markdown]
# What to see: the dashed line is the dense product. With half of the blocks zero, the curve hardly rises above it, if
# at all. It is clearly above the line only when most blocks are zero.

# %%
# Claims: speed of blocks of zeros
claim(
    "With half of the blocks zero, the product gains less than a fifth.",
    lambda: blocks[0.5].median < 1.2,
    where=(bool(blocks), "torch was built without MKL"),
    timing=True,
)
claim(
    "With 95 % of the blocks zero, the product is faster than with half.",
    lambda: blocks[0.95].median > blocks[0.5].median,
    where=(bool(blocks), "torch was built without MKL"),
    timing=True,
)

# %%
# Claims: the block-sparse product
claim(
    "The dense and the block-sparse product give the same result.",
    exact,
    timing=False,
)

# %% [markdown]
# ### Whole channels
#
# Removing whole channels helps with every kernel, because the tensors become smaller. Here the course's library
# removes the less important half of the channels of each layer, and one epoch of training repairs most of the damage.

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

# %%
# Claims: half of the channels
claim(
    "With half of the channels, a quarter of the parameters remains.",
    round(measure.parameters(net).total / measure.parameters(half).total) == 4,
)

# %% [markdown]
# ## 7. The ladder
#
# Now combine everything, still on one thread. The first rungs are eager torch, channels last, the fastest program in
# float32, the fastest program of all, and the fastest if half of the channels may be removed, too. Which programs these
# are depends on your machine, so your ladder may differ from your neighbour's.
#
# The last rung leaves `MyNet` behind. It is **another network** for the same task: two convolutions with stride, no
# pooling, and a single linear layer. It was trained to match the outputs of a large network (lesson 9), so it is about
# as accurate as `MyNet`. Its file is one of the course's own entries for the capstone (lesson 15), and ONNX Runtime
# runs it in float32.
#
# How many times as fast as the first rung is the last, for 256 pictures?

# %%
predict("speed-up at the top of the ladder, batch 256", unit="×")

# %%
small_choices = [("ONNX Runtime", "float32"), ("OpenVINO", "int8")]
HALF = "half the channels"
small_ready, _ = deploy_all(half, batch, small_choices, calibration)
everything = ready | {f"{name}, {HALF}": engine for name, engine in small_ready.items()}
SMALL_NET = "ONNX Runtime, another network"
everything[SMALL_NET] = engine_of_file(
    SMALL_NET, data_dir() / "capstone" / "fastest.onnx", [batch]
)


# %% tags=["fold"]
# Answer: speed-up at the top of the ladder, batch 256
STAGES = {
    "channels last": lambda name: name == "channels-last float32",
    "best in float32": lambda name: "float32" in name and "half" not in name,
    "best of all": lambda name: "half" not in name and name != SMALL_NET,
    "half of the\nchannels": lambda name: name != SMALL_NET,
    "another\nnetwork": lambda name: True,
}
# OpenVINO is not always installed, so there is a ladder without it, too.
KINDS = [(size, extra) for size in (256, 1) for extra in (True, False)]


def climb(size, extra, among):
    """Fastest program per stage, eager torch first; without OpenVINO unless `extra`."""
    allowed = [name for name in among[size] if extra or "OpenVINO" not in name]
    best_first = sorted(
        allowed, key=lambda name: gain(name, size, among=among).median, reverse=True
    )
    return [
        "eager float32",
        *(next(filter(belongs, best_first)) for belongs in STAGES.values()),
    ]


# No other program is timed again.
promising = {name for kind in KINDS for name in climb(*kind, timed)}
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

top = {key: gain(names[-1], key[0], among=laddered) for key, names in ladders.items()}

reveal(
    "speed-up at the top of the ladder, batch 256",
    top[256, True].median,
    top[256, True].low,
    top[256, True].high,
    because="Each rung reduces another part of the time: layout and fusion reduce data "
    "movement, smaller numbers also reduce the cost of the products, and fewer "
    "channels reduce both. The other network needs a small part of the operations from "
    "the start.",
)

# %% tags=["fold"]
# Plot: the ladder
rungs = {
    size: {name: gain(name, size, among=laddered) for name in ladders[size, True]}
    for size in (256, 1)
}
rows = [len(speeds) for speeds in rungs.values()]
fig, axes = plots.figure(
    nrows=2, height=1.5 + 0.3 * sum(rows), sharex=True, height_ratios=rows
)
for ax, (size, speeds) in zip(axes, rungs.items(), strict=True):
    plots.bars(ax, speeds, colors=plots.BLUE, reference=1, labels="{:.3g}×")
    ax.set(title=f"batch {size}")
plots.log_axis(ax.xaxis)
ax.set(xlabel="times as fast as the article's program")
tops = {
    size: gain(ladders[size, True][-1], size, among=laddered).median
    for size in (256, 1)
}
plots.finish(
    fig,
    f"The last rung is {tops[256]:.1f} times as fast as the article's program for 256 "
    f"pictures, and {tops[1]:.1f} times for one.",
    measured="x",
    series=True,
)

# %% [markdown]
# What to see: the upper bars are for 256 pictures, the lower ones for a single picture, on a logarithmic scale. Each bar
# is the best of a wider choice than the bar above it. (If the wider choice offers nothing faster, the rung is left
# out.) The table below gives the same numbers with their intervals. For each rung it gives the gain over the rung
# before, and its last column says by how many points the accuracy differs from eager torch's.

# %% tags=["fold", "nbval-ignore-output"]
# Table: the ladder, rung by rung
NOTES = {
    (True,): "",
    (False,): "\nwithout OpenVINO",
    (True, False): "",
}
alike = {}  # ladders with the same rungs are shown once
for (size, extra), names in ladders.items():
    alike.setdefault((size, *names), []).append(extra)
rungs = []
for (size, *names), extras in alike.items():
    batches = f"batch {size}{NOTES[tuple(extras)]}"
    for before, name in zip([names[0], *names], names, strict=False):
        step, whole, change = (
            gain(name, size, before, laddered),
            gain(name, size, among=laddered),
            lost[name],
        )
        speeds = measure.times_as_fast(step), measure.times_as_fast(whole)
        rungs.append([batches, name, *speeds, measure.with_interval(change, "+.1f")])
same_net = max(
    gain(name, 256, among=laddered).median
    for name in ladders[256, False]
    if name != SMALL_NET
)
heads = ["", "rung", "over the rung before", "over the first", "accuracy, points"]
display(Table(rungs, heads, "Times as fast, and change in accuracy (95 % intervals)"))

# %%
# Claims: the top of the ladder
claim(
    "The top is more than 8 times as fast as the article's program at batch 256.",
    top[256, True].median > 8,
    where=needs("x86"),
    timing=True,
)
claim(
    "For one picture, the top is more than 5 times as fast.",
    top[1, True].median > 5,
    timing=True,
)
claim(
    "With MyNet itself, 256 pictures gain more than 2 times, also without OpenVINO.",
    same_net > 2,
    where=needs("x86"),
    timing=True,
)
claim(
    "No rung loses more than 1.5 points of accuracy, interval included.",
    min(change.low for change in lost.values()) > -1.5,
    timing=False,
)

# %% [markdown]
# ## 8. Playground
#
# Change the convolution and watch where its two points, one per layout, lie below the roof. What brings them closer to
# the peak? Which layout is faster?

# %%
roofline_playground(peak, bandwidth)

# %% [markdown]
# ## 9. Training
#
# The same approach works for training. The article's loop (SGD with a constant learning rate, float32, NCHW) trains
# `MyNet` for 8 epochs. The article names no batch size; here it is 32. How much sooner do other ways reach the same
# accuracy? The experiment takes many minutes, so it is recorded. (`LIVE = True` in the second cell measures it on your
# machine.)
#
# The number of epochs is chosen on the 2,000 validation pictures, and such a choice mistakes luck for skill. If two
# equally accurate networks disagree on 8 % of these pictures, their difference there has a standard error, the typical
# size of a chance deviation, of 0.6 points. So the choice needs a margin: the target is 0.6 points, one such standard
# error, above the loop's validation accuracy. (Without a margin, the last rung lost 0.9 points on the test pictures.)
#
# Each change is tried on top of the best way so far, with the fewest epochs whose mean of three seeds reaches the
# target, and kept if it takes less time:
#
# - batches of 64, and a *one-cycle* learning rate, which rises to a peak and falls to almost zero (still SGD, with
#   Nesterov momentum and weight decay);
# - channels last; then *bf16 autocast*, which computes convolutions and linear layers in bf16;
# - max-pooling before ReLU instead of after it. Both ways give the same result, since ReLU never makes the smaller of two
#   numbers the larger one. But after the pooling, ReLU and its gradient have a quarter of the values to handle;
# - turning the pictures into input once instead of once per epoch (`resident=True`); then a *fused* optimizer, which
#   updates all weights in one kernel;
# - batches of 128; `torch.compile`; and a single thread.

# %%
predict("speed-up of training to the loop's accuracy", unit="×")

# %%
ladder = recorded("training_ladder", live=LIVE)["result"]
first, *tried = ladder["rungs"]
kept = [first] + [rung for rung in tried if rung["kept"]]

less = [a / b for a, b in zip(first["seconds"], kept[-1]["seconds"], strict=True)]

# %%
# Answer: speed-up of training to the loop's accuracy
reveal(
    "speed-up of training to the loop's accuracy",
    median(less),
    min(less),
    max(less),
    because="Most of the gain comes from the first change: it needs three epochs "
    "instead of eight. The interval is the range of three seeds.",
)

# %% tags=["fold"]
# Plot: time, speed and accuracy of the training
every = ladder["rungs"]
fig, axes = plots.figure(ncols=3, sharey=True, height=3.6)
names = [f"{r['name']} ({r['epochs']})" if r["seconds"] else r["name"] for r in every]
colors = {
    name: plots.BLUE if rung["kept"] else plots.REFERENCE
    for name, rung in zip(names, every, strict=True)
}
for ax, key in zip(axes, ("seconds", "images_per_second", "test"), strict=True):
    runs = {name: rung[key] for name, rung in zip(names, every, strict=True)}
    plots.seeds(ax, runs, colors)
axes[0].set(xlabel="seconds of training", title="time to the target")
axes[1].set(xlabel="pictures per second", title="speed (grey: not kept)")
axes[2].set(xlabel="test accuracy, %", title="accuracy")
plots.reference_line(axes[2], sum(first["test"]) / len(first["test"]))
spent_on = [
    sum(r["seconds"]) / len(r["seconds"]) for r in every if r["kept"] and r["seconds"]
]
plots.finish(
    fig,
    f"Training time falls from {spent_on[0]:.1f} to {spent_on[-1]:.1f} seconds over "
    "the rungs that were kept, a dot per seed.",
)

# %% [markdown]
# What to see: a dot is one seed, the mark is their mean, and the number of epochs is in brackets. Blue rungs were kept.
# On the left, the first change saves most of the time. A change that was no faster when timed was not trained, so it
# has dots only in the middle. On the right, the dashed line is the loop's accuracy on the test pictures: look for rungs
# to the left of it.

# %% tags=["fold"]
# Numbers: where the ladder was recorded, and the change in accuracy
change = measure.mean_difference(first["test"], kept[-1]["test"])
print(f"recorded on: {ladder['machine']}, {ladder['cores']} cores")
print(f"target: {ladder['target']} % validation accuracy")
signed = measure.with_interval(change, "+.2f")
print(f"change in test accuracy, loop to last rung: {signed} points")

# %% tags=["fold"]
# Claims: the training ladder
schedule = [a / b for a, b in zip(first["seconds"], kept[1]["seconds"], strict=True)]
claim("The last rung takes less than a quarter of the loop's time.", min(less) > 4)
claim(
    "The first change, schedule and batch, gains more than all others together.",
    min(schedule) > max(less) / min(schedule),
)
claim(
    "All rungs that were kept reach the target on the validation pictures.",
    all(rung["reached"] for rung in kept),
)
claim(
    "On the test pictures, three seeds show no loss: the interval of the difference "
    "reaches above zero.",
    change.high > 0,
)

# %% [markdown]
# The interval of the difference in test accuracy is Student's *t* interval for three seeds, so it is wide: three seeds
# can't show a loss of a few tenths of a point. The margin makes such a loss unlikely, and it costs time: the epochs
# that it adds are the price of a claim about unseen pictures.
#
# A second caution: the rungs were recorded one after the other. If two rows differ no more than the dots within one of
# them, you cannot trust their order.
#
# bf16 autocast only pays on processors with instructions for bf16 (AVX-512 BF16 or AMX on x86, BF16 on Arm). Without
# them, it is much slower than float32.

# %% [markdown]
# ## 10. Other hardware
#
# A **GPU** has the same kind of roof, only higher. Starting a kernel (a *launch*) often takes longer than a small
# operator's work, so batches and fusion matter even more. The tensor cores of NVIDIA GPUs work best with 16-bit or
# 8-bit numbers, channels last, and channels in multiples of 8. Lesson 13 is about GPUs.
#
# A **TPU**, Google's *tensor processing unit*, is programmed through the compiler **XLA**. PyTorch reaches it with
# `torch_xla`; in 2026 Google announced a second way, TorchTPU. (Nothing here was run on a TPU.) Four things would
# change:
#
# - the whole training step becomes one compiled program with *fixed shapes*;
# - bf16 is the native format, with sums in float32;
# - its matrix unit multiplies tiles of 128×128 (256×256 since the sixth generation), so sizes that are not multiples of
#   these are padded and partly wasted;
# - reading a value back (`loss.item()`) stalls the pipeline, so read values rarely.
#
# To start, read the PyTorch/XLA documentation and [Jouppi et al. 2017](https://doi.org/10.1145/3079856.3080246) and
# [2023](https://doi.org/10.1145/3579371.3589350).

# %% question="hardware.static_shapes"
answer = None
### BEGIN SOLUTION
answer = "c"
### END SOLUTION
question("hardware.static_shapes", answer)

# %% [markdown]
# ## Summary
#
# The four ladders of section 7 in one plot:

# %% tags=["fold"]
# Plot: four ladders
fig, ax = plots.figure(height=3.4)
series = {
    f"batch {size}" + ("" if extra else ", no OpenVINO"): [
        gain(name, size, among=laddered).median for name in climbs[size, extra]
    ]
    for size, extra in KINDS
}
for (name, values), (size, extra) in zip(series.items(), KINDS, strict=True):
    color = plots.BLUE if size == 256 else plots.ORANGE
    # Wide and pale below thin and dashed: both show where they are equal.
    look = {"linestyle": "-", "linewidth": 6, "alpha": 0.45}
    if not extra:
        look = {"linestyle": "--", "linewidth": 1.5}
    ax.plot(values, marker=plots.marker_of(color), color=color, label=name, **look)
ax.set(ylabel="times as fast as the article's program")
ax.set_xticks(range(len(STAGES) + 1), ["eager torch", *STAGES])
plots.log_axis(ax.yaxis, [1, 2, 5, 10, 20, 50, 100])
plots.legend(fig)
tops = ", ".join(f"{max(values):.1f}" for values in series.values())
plots.finish(
    fig,
    f"Four ladders climb to {tops} times the speed of eager torch; flat stretches are "
    "rungs without a gain.",
    measured="y",
    series=True,
)

# %% [markdown]
# What to see: each line is one of the four ladders of section 7, from eager torch on the left to its top on the right,
# on a logarithmic scale. A flat stretch is a rung that gained nothing.
#
# You can now find out what limits a network on a processor, build the fastest program for it, and choose the number of
# threads and the batch size.
#
# - **Know the roof** before you optimise: peak, bandwidth, and each operator's intensity. Operators far below it can
#   gain.
# - **Layout first**: channels last is one line and changes the outputs by no more than rounding.
# - **Fusion** moves fewer bytes. A compiler fuses for you and takes seconds; a runtime brings fused kernels along.
# - **Threads**: use as many as the process has cores, if there is enough work. For one picture, measure: one is often
#   best.
# - **Batches** trade latency for throughput. Set the latency limit, then take the best throughput.
# - **Zeros** pay off only if a kernel makes use of their pattern. Smaller tensors pay off with every kernel.
# - **Measure each step against the one before**, and check the outputs at each step. The order of programs differs from
#   machine to machine.
#
# **In practice** (2026): use `torch.compile` for training and for servers in Python, and AOTInductor without Python.
# Use ONNX Runtime for programs that must run on many kinds of machines, OpenVINO on Intel processors, TensorRT on
# NVIDIA GPUs, and ExecuTorch or LiteRT on phones. Servers such as NVIDIA's Triton collect batches under a limit on the
# waiting time.
#
# **Further reading.**
# [Williams, Waterman & Patterson, *Roofline* (2009)](https://doi.org/10.1145/1498765.1498785) ·
# [Chen et al., *TVM* (2018)](https://arxiv.org/abs/1802.04799) ·
# [Ansel et al., *PyTorch 2* (2024)](https://doi.org/10.1145/3620665.3640366) ·
# [Mishra et al., *Accelerating sparse deep neural networks* (2021)](https://arxiv.org/abs/2104.08378) ·
# [Jouppi et al., *In-datacenter performance analysis of a tensor processing unit* (2017)](https://doi.org/10.1145/3079856.3080246)
# and [*TPU v4* (2023)](https://doi.org/10.1145/3579371.3589350) ·
# [oneDNN's developer guide, *Verbose mode*](https://uxlfoundation.github.io/oneDNN/dev_guide_verbose.html).
#
# **Next:** [13 The accelerator](13_accelerator.ipynb) does the same for a GPU. The lesson works without one, too.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
