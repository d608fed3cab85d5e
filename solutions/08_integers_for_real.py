# %% [markdown]
# # Integers for real: int8 engines, and what they gain
#
# Earlier lessons computed with integers to understand them. This one makes them fast. You will
#
# - measure how much faster an integer product is on your processor, and find the reason in its registers;
# - see how an *engine*, a program that runs trained networks, treats a quantised one: the file is full of conversions,
#   and nearly all of them vanish;
# - compare float32, bf16 and int8 in three engines: time, bytes, accuracy;
# - divide the speed-up into its causes, and find out how much of it is due to integers.
#
# The one idea that the lesson needs is quantisation: an integer $q$ stands for the real number $s\,(q - z)$, with a
# scale $s$ and a zero point $z$.
#
# Some terms:
#
# - **bf16** is float32 cut to its first 16 bits.
# - **Eager** is the usual mode of torch, one operator after the other.
# - A **kernel** is the routine that computes an operator (not the window of a convolution).
# - **VNNI** and **AMX** are instructions of newer x86 processors for sums of 8-bit products: VNNI for vectors, AMX for
#   small matrices.
# - A vector register consists of **lanes** of 32 bits each.
# - **Channels last** is a memory layout in which the channels of a pixel are next to each other.

# %% tags=["fold"]
# Imports: where the names of this lesson come from
import tempfile
from collections import Counter
from pathlib import Path

import onnx
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
from nnopt_lab.lessons.integers_for_real.measurements import (
    graph_that_runs,
    time_layers,
)
from nnopt_lab.techniques.deployment import build_engines, processor
from nnopt_lab.techniques.deployment.onnx_files import export_onnx, quantize_onnx
from nnopt_lab.workbench import data, measure, models, plots, training
from nnopt_lab.workbench.tables import Table

# %%
lesson("08_integers_for_real")

# %% [markdown]
# Everything in this lesson runs on **one thread**. The engines below have thread pools of their own, which would
# compete for the cores. On one thread all of them have the same resources. The network is `MyNet`, from the *article*,
# the tutorial that this course grew out of.

# %%
pictures = data.load("fashion")
net = models.trained("mynet")
tested = training.evaluate(net, pictures.test, pictures)
torch.set_num_threads(1)
batch = pictures.to_input(pictures.test.images[:256])
measure.layer_table(net, batch)

# %%
# Claims: the accuracy in float32
claim(
    "In float32, the test accuracy is 87 to 91 %.",
    87 < tested.accuracy < 91,
)

# %% [markdown]
# ## 1. The product alone
#
# Nearly all of the arithmetic of `MyNet`, as of most networks, is matrix products. `torch._int_mm` multiplies int8
# matrices and sums in int32 (the underscore means that its name may change). Sums in int32 are exact, so nothing is
# rounded.
#
# How many times as fast as float32 is this product, for 256 pictures and a layer with 1024 inputs and 1024 outputs?

# %%
predict("speed-up of an int8 product, layer of 1024 by 1024", unit="×")

# %%
generator = torch.Generator().manual_seed(0)


def time_product(width):
    """Times of a product of 256 rows with a square matrix, in float32 and in int8."""
    a = torch.randint(-127, 128, (256, width), dtype=torch.int8, generator=generator)
    b = torch.randint(-127, 128, (width, width), dtype=torch.int8, generator=generator)
    x, w = a.float(), b.float()
    kinds = {"float32": lambda _: x @ w, "int8": lambda _: torch._int_mm(a, b)}
    return measure.latency(kinds, batch[:1], rounds=9, budget_seconds=0.5)


# %% tags=["fold"]
# Answer: speed-up of an int8 product, layer of 1024 by 1024
products = {}
for width in (256, 512, 1024, 2048):
    timings = time_product(width)
    products[width] = measure.ratio(timings["float32"], timings["int8"])
    # Without the instructions it is slow, and the next width takes 4 times as long.
    if timings["int8"].median > 0.05:
        break
done = list(products)
at = products.get(1024, products[done[-1]])

reveal(
    "speed-up of an int8 product, layer of 1024 by 1024",
    at.median,
    at.low,
    at.high,
    because="A register holds four times as many 8-bit as 32-bit numbers, and "
    "instructions such as VNNI multiply and add all of them at once. AMX gains more. "
    "Without any such instruction, int8 is often slower than float32.",
)

# %% tags=["fold"]
# Plot: speed of int8 products
fig, ax = plots.figure()
plots.interval_line(ax, done, list(products.values()), color=plots.color_of("int8"))
plots.reference_line(ax, 1, across=True)
plots.log_axis(ax.xaxis, done)
ax.set(
    xlabel="inputs and outputs of the layer",
    ylabel="times as fast as float32",
    ylim=(0, None),
    title="int8 × int8 → int32",
)
slowest, *_ = ordered = sorted(ratio.median for ratio in products.values())
fastest = ordered[-1]
plots.finish(
    fig,
    f"int8 products are {slowest:.1f} to {fastest:.1f} times as fast as float32, for "
    f"layers of {done[0]:,} to {done[-1]:,} inputs.",
    measured="xy",
)

# %% tags=["fold", "nbval-ignore-output"]
# Numbers: instructions of this processor
found = ", ".join(processor.int8_instructions()) or "none that the system reports"
print("instructions for 8-bit products:", found)

# %% [markdown]
# What to see: points above the dashed line are faster than float32. With VNNI, four numbers per lane explain a factor
# of about 4. If you see more, the processor also has AMX, or torch's float32 product does not reach the processor's
# peak. Remember your number, since the rest of the lesson shows what becomes of it. (An x86 processor without VNNI adds
# two products in 16 bits, which can overflow. There, the engines below use 7 bits for weights.)

# %% tags=["fold"]
# Claims: speed of int8 products
vnni = needs("AVX-512", "VNNI")
claim(
    "At the largest width, int8 is at least twice as fast.",
    products[done[-1]].median > 2,
    where=vnni,
    timing=True,
)

# %% question="for_real.lanes"
answer = None
### BEGIN SOLUTION
answer = 1.33
### END SOLUTION
question("for_real.lanes", answer)

# %% [markdown]
# A product of integers is not yet a product of *quantised* numbers. These are offset by zero points, and you need
# $\sum_k (a_{ik} - z_a)(b_{kj} - z_b)$. If you subtract first, the differences need nine bits. So engines multiply the
# 8-bit numbers as they are, and correct the result.
#
# **Exercise (4 points).** Correct the product. You get the plain product, the sums of the rows of $A$ and of the
# columns of $B$, and the number of pairs in each sum.


# %% exercise="for_real.without_zero_points"
def without_zero_points(product, rows, columns, zero_a, zero_b, length):
    """Σ (a − zero_a)(b − zero_b), int64 [M, N].

    product: A @ B, int64 [M, N]. rows: A.sum(1), [M]. columns: B.sum(0), [N]. zero_a,
    zero_b: ints. length: number of pairs in a sum.

    >>> A, B = torch.tensor([[2, 3]]), torch.tensor([[1], [2]])
    >>> without_zero_points(A @ B, A.sum(1), B.sum(0), 1, -2, 2)  # 1 · 3 + 2 · 4
    tensor([[11]])
    """
    ### BEGIN SOLUTION
    return (
        product - zero_b * rows[:, None] - zero_a * columns + length * zero_a * zero_b
    )
    ### END SOLUTION


# %%
check("for_real.without_zero_points", without_zero_points)

# %%
without_zero_points = yours_or_ours("for_real.without_zero_points")
a = torch.randint(0, 128, (64, 300), generator=generator)
b = torch.randint(-127, 128, (300, 10), generator=generator)
plain = torch._int_mm(a.to(torch.int8), b.to(torch.int8)).long()
repaired = without_zero_points(plain, a.sum(1), b.sum(0), 57, -3, 300)
print("plain:    ", plain[0, :4].tolist(), "…")
print("corrected:", repaired[0, :4].tolist(), "…")

# %%
# Claims: sums of int8 products
claim(
    "Sums of int8 products are exact.",
    torch.equal(plain, a @ b),
    timing=False,
)

# %%
# Claims: the fast product
claim(
    "The fast product, corrected, equals the product of the differences.",
    torch.equal(repaired, (a - 57) @ (b + 3)),
)

# %% [markdown]
# ## 2. How an engine runs a quantised network
#
# For a whole network, something must quantise every tensor, choose integer kernels, and pass integers from one to the
# next. An engine does that. The first one here is ONNX Runtime (ONNX is a file format for networks). It takes three
# steps. First, torch writes the network as an ONNX file. Then a few hundred training pictures, the *calibration*
# pictures (never the test split), run through it, and their activations determine scales and zero points. Finally, a
# second file is written, in int8.
#
# There are 268,464 weights. Each filter of a convolution and each row of a linear layer's weight matrix has its own
# scale. How large is the int8 file, in percent of the float32 file?

# %%
predict("size of the int8 file", unit="% of the float32 file")

# %%
calibration = list(pictures.to_input(pictures.train.images[:512]).split(128))
with tempfile.TemporaryDirectory() as folder:
    path = export_onnx(net, calibration, Path(folder, "mynet.onnx"))
    path_int8 = quantize_onnx(path, calibration)
    bytes_float32, bytes_int8 = path.stat().st_size, path_int8.stat().st_size
    chains = {
        "as exported, float32": onnx.load(path).graph,
        "as quantised": onnx.load(path_int8).graph,
        "as it runs": graph_that_runs(path_int8),
    }

# %%
# Answer: size of the int8 file
reveal(
    "size of the int8 file",
    round(100 * bytes_int8 / bytes_float32, 1),
    because="A quarter is the weights. The rest is scales, zero points, biases in "
    "int32, and the graph itself.",
)

# %% [markdown]
# Now look into these files. The quantised one says *what* to compute, in a notation called **QDQ**: it quantises (Q) a
# tensor and immediately dequantises it (DQ), so that each operator still takes floats. Taken literally, this would be
# much slower than float32. The engine takes it as a hint: it can replace an operator between DQ and Q by one that takes
# and returns integers.
#
# In the next plot, each box is one operator, in the order of computation. Conversions are orange and integer kernels
# are blue; "layout" only moves numbers. (The DQ of weights and biases are left out.)

# %% tags=["fold"]
# Plot: operators before and after the engine's work
SHORT = {
    "QuantizeLinear": "Q",
    "DequantizeLinear": "DQ",
    "Transpose": "layout",
    "Reshape": "flatten",
    "Gemm": "linear",
}


def chain(graph):
    """Operators from picture to logits, without the DQ of weights and biases."""
    constants = {initializer.name for initializer in graph.initializer}
    return [
        SHORT.get(node.op_type, node.op_type)
        for node in graph.node
        if node.input[0] not in constants
    ]


names = {name: chain(graph) for name, graph in chains.items()}


def box(operator):
    """The text, width and colour of an operator's box."""
    text = operator.replace("QGemm", "int8\nlinear").replace("QLinear", "int8\n")
    text = text.replace("Nhwc", "int8\n").replace("MaxPool", "pool")
    if operator in ("Q", "DQ"):
        return text, 1.1, plots.ORANGE
    integer = operator.startswith(("Q", "Nhwc"))
    return text, 2.5, plots.SKY if integer else plots.REFERENCE


fig, ax = plots.figure(height=2.8)
plots.boxes(ax, {name: list(map(box, operators)) for name, operators in names.items()})
ax.set(xticks=[])
plots.finish(
    fig,
    "Three rows of operators: as exported, as quantised with many conversions, and "
    "as it runs with nearly none.",
    measured="x",
    series=True,
)

# %% [markdown]
# What to see: almost all orange boxes of the middle row are gone in the bottom row, which is the program that runs.
#
# *ReLU has vanished*. Its output is never negative, so the integers that store it stand for numbers from zero up. A
# negative sum is clipped to the smallest integer, which stands for zero, and this is all that a ReLU does. And
# *max-pooling works on integers* without any change of scale, since the largest integer stands for the largest number.
#
# If an operator in the middle has no integer kernel, the chain breaks there and needs two more conversions. At an end,
# or next to another such operator, it adds none.
#
# **Exercise (3 points).** Count the conversions of a chain in which only some kinds of operators have integer kernels.


# %% exercise="for_real.conversions"
def conversions(operators, integer):
    """Number of Q and DQ in a chain, an int. Picture and logits are floats.

    operators: list of names, in order. integer: list of the names that have an integer
    kernel; all others take floats.

    >>> conversions(["linear", "softmax", "pool", "linear"], ["linear"])
    4
    >>> conversions(["softmax"], ["linear"])
    0
    """
    ### BEGIN SOLUTION
    kinds = [False, *(name in integer for name in operators), False]
    return sum(kinds[i] != kinds[i + 1] for i in range(len(kinds) - 1))
    ### END SOLUTION


# %%
check("for_real.conversions", conversions)

# %%
conversions = yours_or_ours("for_real.conversions")
ours = ["convolution", "pool", "convolution", "pool", "linear", "linear"]
print("all in integers:     ", conversions(ours, list(set(ours))), "conversions")
print(
    "pooling in floats:   ", conversions(ours, ["convolution", "linear"]), "conversions"
)

# %% tags=["fold"]
# Claims: conversions that are left
count = Counter(names["as quantised"])
left = sum(box in ("Q", "DQ") for box in names["as it runs"])
claim(
    "Between picture and logits, the int8 file has 8 Q and 8 DQ.",
    (count["Q"], count["DQ"]) == (8, 8),
)
claim("When it runs, 2 of them are left, one at either end.", left == 2)
claim(
    "ReLU has vanished.",
    "Relu" in names["as exported, float32"] and "Relu" not in names["as quantised"],
)
claim(
    "MyNet needs 2 conversions if all operators have integer kernels.",
    conversions(ours, list(set(ours))) == 2,
)
claim(
    "It needs 6 if pooling has none.",
    conversions(ours, ["convolution", "linear"]) == 6,
)
weights = [
    i for i in chains["as quantised"].initializer if i.name.endswith("weight_quantized")
]
claim(
    "The int8 file has 25 to 28 % of the float32 file's size.",
    0.25 < bytes_int8 / bytes_float32 < 0.28,
)
claim(
    "The int8 file contains 268,464 weights of 8 bits.",
    sum(torch.Size(w.dims).numel() for w in weights) == 268_464,
)

# %% [markdown]
# ## 3. Engines that compile
#
# PyTorch's own way is called **PT2E** (PyTorch 2 export) and is part of torchao; the older `torch.ao.quantization` is
# deprecated. The idea is the same:
#
# ```python
# exported = torch.export.export(net, ...).module()  # the graph, without Python
# quantizer = X86InductorQuantizer().set_global(...)
# observed = prepare_pt2e(exported, quantizer)       # adds observers
# for batch in calibration:
#     observed(batch)                                # they record ranges
# converted = convert_pt2e(observed)                 # observers become Q and DQ
# fast = torch.compile(converted)                    # weights become constants
# ```
#
# The last line writes C++ and compiles it, so it needs a compiler and a few seconds. The course's library offers all
# these steps as `pt2e_int8`, and the other engines with the same signature: they take a model and calibration pictures
# and return a function of pictures. **OpenVINO**, with its own library for quantisation, NNCF, is the third engine. It
# is large, so it is an extra (run `pip install 'nnopt-lab[openvino]'`, then restart the kernel). An engine that cannot
# run here says why, and the lesson goes on.
#
# For a fair comparison, PT2E needs a counterpart in float32: `torch.compile` without integers. From here on, each line
# of the list below counts as one engine: a way to run the network, with its number format and layout. (You can also add
# `"compiled bf16"` to the list, which takes about five more seconds.)

# %% tags=["nbval-ignore-output"]
NAMES = [
    "eager float32",
    "channels-last float32",
    "bf16",
    "compiled float32",
    "PT2E int8",
    "ONNX Runtime float32",
    "ONNX Runtime int8",
    "OpenVINO float32",
    "OpenVINO int8",
]
ready, missing = build_engines(net, calibration, NAMES)

# %% tags=["fold", "nbval-ignore-output"]
# Table: engines that run here
rows = [
    [name, measure.format_bytes(engine.bytes), f"{engine.seconds:.1f} s"]
    for name, engine in ready.items()
]
display(Table(rows, ["engine", "size", "built in"]))
if missing:
    display(Table([*missing.items()], ["engine", "why it is not here"]))

# %% [markdown]
# (The two engines that compile will be built faster next time, since torch caches its programs on disk.)
#
# All engines run the same network, but they round differently. How many test pictures change class, and how much
# accuracy does that cost? The loss is *paired*: only pictures on which an engine and eager float32 disagree count.

# %%
classes = {}
with torch.inference_mode():
    inputs = pictures.to_input(pictures.test.images)
    for name, engine in ready.items():
        answers = [engine(part).argmax(1) for part in inputs.split(250)]
        classes[name] = torch.cat(answers)
right = {name: chosen == pictures.test.labels for name, chosen in classes.items()}
lost = {
    name: measure.proportion_difference(right[name], right["eager float32"])
    for name in ready
}

# %% tags=["fold"]
# Claims: accuracy and size of the engines
same = {
    name: (chosen == classes["eager float32"]).float().mean().item()
    for name, chosen in classes.items()
}
int8 = [name for name in ready if name.endswith("int8")]
of_eager = {
    name: engine.bytes / ready["eager float32"].bytes for name, engine in ready.items()
}

claim(
    "No engine loses more than 1 point of accuracy, interval included.",
    max(lost[name].high for name in ready) < 1,
)
claim(
    "bf16 and every int8 engine predict the same class for 98 of 100 pictures.",
    min(same.values()) > 0.98,
)
claim(
    "The int8 files, except PT2E's, have 24 to 28 % of the size of eager float32's.",
    all(0.24 < of_eager[name] < 0.28 for name in int8 if name != "PT2E int8"),
)
claim(
    "All float32 engines predict the same classes, except for at most 1 in 1,000.",
    min(same[n] for n in ready if "32" in n) > 0.999,
)
claim("The bf16 file is half as large.", abs(of_eager["bf16"] - 0.5) < 0.02)

# %% [markdown]
# ## 4. The table
#
# In section 1 you measured how much faster an int8 product is. Now the whole network, with 256 pictures per call: how
# many times as fast as eager float32 is the fastest int8 engine? And how many times as fast is it as the *same engine*
# in float32?

# %%
predict("speed-up of the fastest int8 engine over eager, batch 256", unit="×")

# %%
predict("its speed-up over its own float32, batch 256", unit="×")

# %%
sizes = (1, 32, 256)
timings = {
    size: measure.latency(ready, batch[:size], rounds=12, budget_seconds=2.2)
    for size in sizes
}


# %% tags=["fold"]
# Answer: speed-up of the fastest int8 engine over eager, batch 256
def gain(name, over, size):
    return measure.ratio(timings[size][over], timings[size][name])


best = max(int8, key=lambda name: gain(name, "eager float32", 256).median)
partner = {
    "PT2E int8": "compiled float32",
    "ONNX Runtime int8": "ONNX Runtime float32",
    "OpenVINO int8": "OpenVINO float32",
}
whole, own = gain(best, "eager float32", 256), gain(best, partner[best], 256)

reveal(
    "speed-up of the fastest int8 engine over eager, batch 256",
    whole.median,
    whole.low,
    whole.high,
    because=f"That is {best}. Before you credit integers with this, compare it "
    "with its own float32.",
)
reveal(
    "its speed-up over its own float32, batch 256",
    own.median,
    own.low,
    own.high,
    because="The rest is layout, fused loops and better pooling, which float32 "
    "also gets from this engine. And products are only a part of the network's "
    "time.",
)

# %% tags=["fold", "nbval-ignore-output"]
# Table: speed of all engines
files, speeds = [], []
for name, engine in ready.items():
    accuracy = f"{100 * right[name].float().mean():.2f} %"
    loss = measure.with_interval(lost[name], "+.2f")
    files.append([name, measure.format_bytes(engine.bytes), accuracy, loss])
    both = [
        [
            measure.times_as_fast(gain(name, over, size))
            for over in ("eager float32", "channels-last float32")
        ]
        for size in sizes
    ]
    speeds.append([name, *map("\n".join, both)])
heads = [f"batch {size}\neager: {timings[size]['eager float32']}" for size in sizes]
caption = "Times as fast as eager float32; below: as channels-last float32"
display(Table(files, ["engine", "file", "accuracy", "points lost (95 %)"]))
display(Table(speeds, ["engine", *heads], caption))

# %% [markdown]
# What to see: each engine has one row per table. Below a batch size you find how many times as fast as eager float32 it
# is, and in grey how many times as fast as channels-last float32, that is, the same operators and the same numbers in
# another memory layout. The head gives the time of eager float32 (median and quartiles). The intervals of the points
# lost are cautious: even a copy of the network would get ±0.02.

# %% tags=["fold"]
# Plot: speed of all engines
fig, axes = plots.figure(ncols=3, sharey=True, height=3.8)
plots.color_key(axes[0], ["float32", "bf16", "int8"])
for ax, size in zip(axes, sizes, strict=True):
    gains = {name: gain(name, "eager float32", size) for name in ready}
    channels_last = gains["channels-last float32"].median
    plots.bars(ax, gains, reference=channels_last, labels="{:.1f}×")
    ax.lines[-1].set_label("channels-last float32")
    ax.axvline(1, color=plots.REFERENCE, linewidth=0.8, label="eager float32")
    ax.set(title=f"batch {size}", xlabel="times as fast as eager")
plots.legend(fig, ncols=5)
fastest = {
    size: max(ready, key=lambda name: gain(name, "eager float32", size).median)
    for size in sizes
}
leaders = ", ".join(f"{name} at batch {size}" for size, name in fastest.items())
plots.finish(
    fig,
    f"Bars of speed; the longest belong to {leaders}.",
    measured="x",
    series=True,
)

# %% [markdown]
# What to see: a longer bar is a faster engine; blue is float32, gold bf16, and orange int8. The thin line is eager
# float32. The dashed line is channels-last float32, so only the part of a bar beyond it is due to more than the layout.
# At batch 1, on the left, the engine usually matters more than the number format.

# %% tags=["fold", "nbval-ignore-output"]
# Table: causes of the speed-up
display(
    Table(
        [[name, gain(name, partner[name], 256)] for name in int8],
        ["int8 engine", "compared with float32 in the same engine, batch 256"],
    )
)
layout, engine = (
    gain("channels-last float32", "eager float32", 256),
    gain(partner[best], "channels-last float32", 256),
)
factors = {"layout": layout, "engine": engine, "integers": own, "all three": whole}
display(
    Table(
        [[what, f"{factor.median:.1f}×"] for what, factor in factors.items()],
        ["factor due to", f"{best} compared with eager"],
    )
)

# %%
# Claims: speed of all engines
claim(
    "The fastest int8 engine is more than 1.5 times as fast as eager at batch 256.",
    whole.median > 1.5,
    where=vnni,
    timing=True,
)
claim(
    "Its speed-up over its own float32 is smaller.",
    own.median < whole.median,
    where=vnni,
    timing=True,
)
claim(
    "That speed-up is also smaller than the one of the product alone.",
    own.median < products[done[-1]].high,
    where=vnni,
    timing=True,
)

# %% [markdown]
# ## 5. Where the speed comes from
#
# Now divide the time of eager float32 among its layers, with 256 pictures: once in torch's default layout, in which a
# whole channel is stored together (NCHW), and once channels last (NHWC). What percentage of the time does max-pooling
# take, which multiplies nothing?

# %%
predict("share of max-pooling in the time of eager, NCHW, batch 256", unit="%")

# %%
spent = {}
for layout, memory_format in (
    ("NCHW", torch.contiguous_format),
    ("NHWC", torch.channels_last),
):
    model = models.trained("mynet").to(memory_format=memory_format)
    spent[layout] = time_layers(model, batch.to(memory_format=memory_format))

# %% tags=["fold", "nbval-ignore-output"]
# Answer: share of max-pooling in the time of eager, NCHW, batch 256
KINDS = ("Conv2d", "MaxPool2d", "ReLU", "Linear")
by_kind = {layout: Counter() for layout in spent}
for layout, layers in spent.items():
    for layer, ms in layers.items():
        by_kind[layout][next((k for k in KINDS if k in layer), "flatten")] += ms

share = {
    layout: 100 * kinds["MaxPool2d"] / kinds.total()
    for layout, kinds in by_kind.items()
}
reveal(
    "share of max-pooling in the time of eager, NCHW, batch 256",
    share["NCHW"],
    because="Pooling multiplies nothing. In NCHW its four values are in two rows of "
    "one channel, so torch compares them one window at a time. In NHWC the channels of "
    "a pixel are next to each other, and a vector register compares up to 16 at once.",
)

# %% tags=["fold"]
# Plot: time by part of the network
fig, ax = plots.figure(height=2.2)
plots.stages(
    ax, {layout: dict(kinds) for layout, kinds in by_kind.items()}, labels="{:.1f}"
)
ax.set(xlabel="milliseconds for 256 pictures, one thread")
plots.legend(fig)
pooling = {layout: kinds["MaxPool2d"] for layout, kinds in by_kind.items()}
plots.finish(
    fig,
    f"Pooling takes {pooling['NCHW']:.1f} ms in NCHW and {pooling['NHWC']:.1f} ms in "
    "NHWC; the convolutions change less.",
    measured="x",
)

# %% [markdown]
# What to see: pooling takes much less of the lower bar (NHWC) than of the upper one (NCHW). On
# processors with VNNI, its time at least halves, while that of the convolutions changes by less than a factor of two.

# %% [markdown] tags=["tells"]
# So eager float32 is a poor baseline. One line of Python, `.to(memory_format=torch.channels_last)` for the network and
# its input, removes most of the pooling time and changes the class of at most 1 picture in 1,000. If you compare int8
# with plain eager, you credit integers with this, too. Of the three factors printed in section 4 (layout, engine,
# integers), only the last is due to integers.

# %% [markdown]
# What is left for the integers? They only make products faster, and products were never all of the time.
#
# **Exercise (2 points).** Compute the speed-up of the network from that of a kernel and from its share of the time. It
# says how much a faster product can gain at all.


# %% exercise="for_real.network_gain"
def network_gain(share, gain):
    """Speed-up of the network, a float.

    share: share of the old time that the kernel takes, 0 to 1. gain: speed-up of the
    kernel.

    >>> network_gain(0.75, 3.0)
    2.0
    """
    ### BEGIN SOLUTION
    return 1 / (1 - share + share / gain)
    ### END SOLUTION


# %%
check("for_real.network_gain", network_gain)

# %%
network_gain = yours_or_ours("for_real.network_gain")
network_gain(0.5, 4.0)

# %% [markdown]
# If a kernel that took half of the time becomes 4 times as fast, the network becomes only 1.6 times as fast. Now
# compute this with the shares measured above:

# %%
kernel = products[done[-1]].median
parts = {
    layout: (kinds["Conv2d"] + kinds["Linear"]) / kinds.total()
    for layout, kinds in by_kind.items()
}
expected = {layout: network_gain(part, kernel) for layout, part in parts.items()}

# %% tags=["fold", "nbval-ignore-output"]
# Table: expected speed-up of the network
Table(
    [
        [layout, f"{100 * part:.0f} %", f"{expected[layout]:.2f}×"]
        for layout, part in parts.items()
    ],
    [
        "layout",
        "products' share of the time",
        f"gain with products {kernel:.1f}× as fast",
    ],
)

# %% [markdown]
# This assumes that everything else stays the same. An engine does better if pooling and the stores between layers move
# a quarter of the bytes, and worse if one part of the chain is slow in int8. Here is such a part. PT2E's program pools
# integers with torch's operator `quantized::max_pool2d`. Compare it with the float versions, and with the same maximum
# written as three comparisons of whole tensors:

# %%
with torch.inference_mode():
    nchw = net.features[:2](batch)
    nhwc = nchw.to(memory_format=torch.channels_last)
    whole_numbers = (255 * nhwc / nhwc.max()).round().to(torch.uint8)


def three_maxima(q):
    upper, lower = (
        torch.maximum(q[:, :, row::2, ::2], q[:, :, row::2, 1::2]) for row in (0, 1)
    )
    return torch.maximum(upper, lower)


# %% tags=["fold"]
# Plot: four ways to pool
pools = {
    "float32, NCHW": lambda _: torch.nn.functional.max_pool2d(nchw, 2),
    "float32, NHWC": lambda _: torch.nn.functional.max_pool2d(nhwc, 2),
    "int8, as PT2E calls it": lambda _: torch.ops.quantized.max_pool2d(
        whole_numbers, [2, 2], [2, 2], [0, 0], [1, 1], False
    ),
    "int8, three maxima": lambda _: three_maxima(whole_numbers),
}
pooled = [
    pools[name](None) for name in ("int8, as PT2E calls it", "int8, three maxima")
]
pool_ms = {
    name: 1000 * t.median
    for name, t in measure.latency(pools, batch, rounds=10, budget_seconds=1).items()
}

fig, ax = plots.figure(height=2.2)
colors = (plots.BLUE, plots.BLUE, plots.ORANGE, plots.GREEN)
plots.bars(ax, pool_ms, dict(zip(pool_ms, colors, strict=True)), labels="{:.2f}")
ax.set(xlabel="milliseconds, first pooling of 256 pictures")
plots.finish(
    fig,
    f"Of four ways to pool, “{min(pool_ms, key=pool_ms.get)}” is fastest, and "
    f"“{max(pool_ms, key=pool_ms.get)}” takes longest.",
    measured="x",
)

# %% [markdown]
# What to see: blue bars are float32. The orange bar, PT2E's pooling, is longer than the green one, which shows how fast
# the processor can pool 8-bit integers. So int8 alone does not make a network fast: processor, engine and network must
# all make use of it. Which engine uses it best differs from machine to machine, so measure.

# %% tags=["fold"]
# Claims: where the speed comes from
claim(
    "Pooling takes more than a third of eager's time.",
    share["NCHW"] > 33,
    where=vnni,
    timing=True,
)
claim(
    "Channels last makes pooling at least twice as fast.",
    by_kind["NCHW"]["MaxPool2d"] > 2 * by_kind["NHWC"]["MaxPool2d"],
    where=vnni,
    timing=True,
)
claim(
    "The convolutions change by less than a factor of two.",
    0.5 < by_kind["NCHW"]["Conv2d"] / by_kind["NHWC"]["Conv2d"] < 2,
    where=vnni,
    timing=True,
)
claim(
    "PT2E's pooling is less than twice as fast as float32 in NHWC, although it moves a "
    "quarter of the bytes.",
    pool_ms["int8, as PT2E calls it"] > pool_ms["float32, NHWC"] / 2,
    where=vnni,
    timing=True,
)
claim(
    "Three maxima are more than twice as fast as PT2E's pooling.",
    2 * pool_ms["int8, three maxima"] < pool_ms["int8, as PT2E calls it"],
    where=vnni,
    timing=True,
)
claim(
    "With channels last, products take a larger share of the time.",
    parts["NHWC"] > parts["NCHW"],
    where=vnni,
    timing=True,
)
claim("Three maxima give the same result as pooling.", torch.equal(*pooled))
claim(
    "A share of one half and a kernel 4 times as fast give a speed-up of 1.6.",
    abs(network_gain(0.5, 4.0) - 1.6) < 1e-9,
)

# %% [markdown]
# ## 6. One picture at a time
#
# Now look at the table's column for batch 1, and at the time *per picture* as the batch grows. The overhead of a call
# is the same for any number of pictures, so a larger batch spreads it over more of them. The right plot shows how much
# of one picture's time this saves.

# %% tags=["fold"]
# Plot: time per picture by batch size
fig, (left, right) = plots.figure(ncols=2, height=3.8)
shown = [
    "eager float32",
    "compiled float32",
    "PT2E int8",
    "ONNX Runtime float32",
    "ONNX Runtime int8",
    "OpenVINO int8",
]
series = {
    name: [1e6 * timings[size][name].median / size for size in sizes]
    for name in shown
    if name in ready
}
plots.curves(left, sizes, series)
left.set(
    xlabel="pictures per call",
    ylabel="microseconds per picture",
    title="time per picture",
)
plots.log_axis(left.xaxis, sizes)
plots.log_axis(left.yaxis, [20, 50, 100, 200, 500])
per_call = {
    name: 1 - timings[256][name].median / 256 / timings[1][name].median
    for name in ready
}
saved = {name: 100 * max(0, part) for name, part in per_call.items()}
colors = {name: plots.REFERENCE for name in saved} | plots.series_colors(series)
plots.bars(right, saved, colors, labels="{:.0f}")
right.set(
    xlabel="% of the time for one picture",
    xlim=(0, 100),
    title="saved per picture with 256 per call",
)
plots.legend(fig)
plots.finish(
    fig,
    "Time per picture falls with the batch size; the share saved shows each engine's "
    "overhead per call.",
    measured="xy",
    series=True,
)

# %% [markdown]
# What to see: the steeper a curve on the left and the longer a bar on the right, the larger the overhead of each call.
#
# torch's engines have to do a lot before they compute. Before a compiled program runs, its *guards* check that shapes,
# layouts and modes are still those it was compiled for. Eager sends each of its ten operators through the *dispatcher*,
# which chooses a kernel, and each allocates its result. A *runtime*, an engine without Python such as ONNX Runtime,
# settles all this when it loads the network.

# %% tags=["fold"]
# Claims: one picture at a time
claim(
    "With 256 per call, PT2E saves more than a third of the time per picture.",
    lambda: per_call["PT2E int8"] > 1 / 3,
    where=("PT2E int8" in per_call, "PT2E does not run"),
    timing=True,
)
advantage = {
    size: gain("ONNX Runtime int8", "ONNX Runtime float32", size) for size in sizes
}
claim(
    "At batch 1, int8 is less than twice as fast as float32 in ONNX Runtime.",
    advantage[1].median < 2,
    timing=True,
)

# %% question="for_real.one_picture"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("for_real.one_picture", choice)

# %% [markdown]
# Fewer bits shorten hardly any of the overhead. They shorten the arithmetic and the reading of weights, here the
# smaller part. So for small networks and single pictures, choose the runtime first, use batches if you can wait, and
# think of int8 afterwards, for the bytes.
#
# Compilation has a price of its own: seconds before the first picture.
#
# **Exercise (2 points).** Compute after how many batches an engine has made up for the time it took to build. For fewer
# batches, the slow engine is the better choice.


# %% exercise="for_real.break_even"
def break_even(build_ms, slow_ms, fast_ms):
    """Smallest number of batches after which the fast engine, build included, is no
    slower.

    build_ms: ms to build the fast engine. slow_ms, fast_ms: ms per batch. All are ints.
    Returns −1 if that never happens, also if both are equally fast.

    >>> break_even(10, 5, 2), break_even(9, 5, 2), break_even(10, 2, 2)
    (4, 3, -1)
    """
    ### BEGIN SOLUTION
    if fast_ms >= slow_ms:
        return -1
    return -(-build_ms // (slow_ms - fast_ms))
    ### END SOLUTION


# %%
check("for_real.break_even", break_even)

# %%
break_even = yours_or_ours("for_real.break_even")
slow = timings[256]["eager float32"].median
batches = {
    name: break_even(  # in whole microseconds
        round(1e6 * engine.seconds),
        round(1e6 * slow),
        round(1e6 * timings[256][name].median),
    )
    for name, engine in ready.items()
}

# %% tags=["fold", "nbval-ignore-output"]
# Table: batches until an engine has paid off
rows = [
    [
        name,
        f"{ready[name].seconds:.1f} s",
        f"{count:,}" if count >= 0 else "never",
    ]
    for name, count in batches.items()
    if name != "eager float32"
]
Table(rows, ["engine", "built in", "batches to pay off"])

# %% [markdown]
# ## 7. Choosing an engine
#
# A device has room for 300 KiB, and the network may lose half a point of accuracy. Apply the limits first, then compare
# speed.
#
# **Exercise (3 points).** Find the fastest engine that keeps both limits. An engine that exactly reaches a limit still
# keeps it.


# %% exercise="for_real.choose_engine"
def choose_engine(names, ms, kib, lost, kib_limit, lost_limit):
    """Name of the fastest engine within both limits, or "none" if there is none.

    names: list of str. ms, kib, lost: lists of numbers, one per engine: time, size, and
    points of accuracy lost (negative if gained).

    >>> choose_engine(["a", "b", "c"], [1, 4, 3], [40, 9, 10], [0, -1, 0.5], 10, 0.5)
    'c'
    """
    ### BEGIN SOLUTION
    fit = [
        i for i in range(len(names)) if kib[i] <= kib_limit and lost[i] <= lost_limit
    ]
    return names[min(fit, key=lambda i: ms[i])] if fit else "none"
    ### END SOLUTION


# %%
check("for_real.choose_engine", choose_engine)

# %%
choose_engine = yours_or_ours("for_real.choose_engine")
engines = list(ready)
kib = [engine.bytes / 1024 for engine in ready.values()]
points = [lost[name].estimate for name in engines]
chosen = {}
for size in sizes:
    times = [1000 * timings[size][name].median for name in engines]
    chosen[size] = choose_engine(engines, times, kib, points, 300, 0.5)

# %% tags=["fold", "nbval-ignore-output"]
# Table: the engine within the limits
rows = []
for size, within in chosen.items():
    times = [1000 * timings[size][name].median for name in ready]
    rows.append(
        [size, within, choose_engine(list(ready), times, kib, points, 1e4, 0.5)]
    )
Table(rows, ["batch", "engine within 300 KiB", "without a limit on size"])

# %%
# Claims: the choice within 300 KiB
claim(
    "Within 300 KiB, it is an int8 engine at every batch size.",
    all(name in int8 for name in chosen.values()),
    timing=True,
)

# %% [markdown]
# ## Summary
#
# The last plot compares all engines of this lesson by speed, size and accuracy.

# %% tags=["fold"]
# Plot: speed, size and accuracy of the engines
fig, axes = plots.figure(ncols=3, sharey=True, height=3.8)
for size, color, shift in ((1, plots.GREEN, -0.15), (256, plots.PURPLE, 0.15)):
    over = {name: gain(name, "channels-last float32", size) for name in ready}
    plots.intervals(axes[0], over, color, label=f"batch {size}", shift=shift)
plots.reference_line(axes[0], 1)
axes[0].set(xlabel="times as fast as\nchannels-last float32", xlim=(0, None))
sizes_of = {name: engine.bytes / 1024 for name, engine in ready.items()}
plots.bars(axes[1], sizes_of, labels="{:,.0f}")
axes[1].set(xlabel="file, KiB")
plots.intervals(axes[2], lost, reference=0)
axes[2].set(xlabel="points of accuracy lost")
plots.legend(fig)
plots.finish(
    fig,
    "Engines compared by speed at batch 1 and 256, file size, and points lost: int8 "
    "files are small and lose little.",
    measured="x",
    series=True,
)

# %% [markdown]
# What to see: on the left, engines to the right of the dashed line are faster than channels-last float32, the fair
# baseline. In the middle, the int8 files are the short bars. On the right, no engine loses much: all intervals end
# below one point.
#
# You can now quantise a network for an engine, check how much of the speed-up is due to integers, and choose an engine
# within limits.
#
# - **An int8 product** is several times as fast as a float32 product with VNNI or AMX, and often slower without such
#   instructions.
# - **An engine** turns Q and DQ into integer kernels, and a good one leaves two conversions. One operator in the middle
#   without an integer kernel costs two more.
# - **Compare with a fair float32.** Channels last costs one line, and is much of what is called the speed-up of int8.
# - **int8 gives** a file of about a quarter of the size, and here costs less than a point of accuracy.
# - **Its speed** depends on processor, engine and network: from slower than float32 to several times as fast.
# - **For one picture**, overhead decides, and in a small network fewer bits help little. (In a large language model,
#   nearly all of the time goes into reading weights, and there they help most.)
#
# **In practice** (2026), use these: on x86 servers, OpenVINO with NNCF, ONNX Runtime with QDQ files, and torchao's PT2E
# with `X86InductorQuantizer` if you want to stay in PyTorch; on phones, ExecuTorch with XNNPACK, again through PT2E; on
# NVIDIA GPUs, TensorRT. `torch.ao.quantization`, with its eager and FX modes, is deprecated in favour of torchao, but
# many older tutorials still teach it. In large language models usually only the weights are quantised
# (`torchao.quantization.quantize_`, GPTQ, AWQ), since at batch 1 memory is the limit, not arithmetic.
#
# **Further reading.**
# [Jacob et al., *Quantization and training of neural networks for efficient integer-arithmetic-only inference* (2018)](https://arxiv.org/abs/1712.05877) ·
# [Krishnamoorthi, *Quantizing deep convolutional networks for efficient inference* (2018)](https://arxiv.org/abs/1806.08342) ·
# [Wu et al., *Integer quantization for deep learning inference* (2020)](https://arxiv.org/abs/2004.09602) ·
# [Gholami et al., *A survey of quantization methods* (2021)](https://arxiv.org/abs/2103.13630) · the documentation of torchao
# (PT2E), ONNX Runtime (*Quantize ONNX models*) and NNCF.
#
# **Next:** [09 Distillation](09_distillation.ipynb) trains a small network on a large one's outputs.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
