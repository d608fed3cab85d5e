# %% [markdown]
# # Integers for real: engines and what they gain
#
# Lesson 05 computes with integers to understand them. This one wants them to be fast. You will
#
# - measure how much faster a product of integers is on your processor, and find the reason in its registers;
# - see what an engine makes of a quantised network: a file full of conversions, of which nearly all vanish;
# - lay float32, bf16 and int8 by three engines side by side: time, bytes, accuracy;
# - take the speed-up apart, and find how much of it the integers deserve.
#
# It takes about three quarters of an hour and needs nothing from lesson 05 but the idea of a grid: a whole number $q$
# stands for the real number $s\,(q - z)$, with a scale $s$ and a zero point $z$.
#
# Some words: **bf16** is float32 cut to its first 16 bits. **Eager** is torch as you know it, one operator after the
# other. A **kernel** is the routine that computes an operator, not a convolution's window. **VNNI** and **AMX** are
# instructions of newer x86 processors for sums of 8-bit products, of vectors and of small matrices. **Channels last**
# is an order in memory: the channels of a pixel lie side by side.

# %%
import tempfile
from collections import Counter
from pathlib import Path

import onnx
import onnxruntime
import torch
from IPython.display import HTML, display

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
from nnopt_lab.techniques.deployment import build_engines, processor
from nnopt_lab.techniques.deployment.onnx_files import export_onnx, quantize_onnx
from nnopt_lab.workbench import data, measure, models, plots, training

lesson("08_integers_for_real")

# %% [markdown]
# Everything in this lesson runs on **one thread**. The engines below have thread pools of their own, which wait for
# work in different ways and take the cores from each other; on one thread all of them have the same core, and what
# differs is what they do with it.

# %%
pictures = data.load("fashion")
net = models.trained("mynet")
tested = training.evaluate(net, pictures.test, pictures)
torch.set_num_threads(1)
batch = pictures.to_input(pictures.test.images[:256])
claim(
    "in float32 it is right on 87 to 91 % of the test pictures",
    87 < tested.accuracy < 91,
)

# %% [markdown]
# ## 1. The product alone
#
# Nearly all arithmetic of a network is products of matrices. torch multiplies matrices of int8 and sums in int32 with
# `torch._int_mm` (the underscore says that its name may change). Sums in int32 are exact: no rounding anywhere.
#
# How many times as fast as float32 is it, for 256 pictures and a layer of 1024 inputs and 1024 outputs?

# %%
predict("int8 product against float32, layer of 1024 by 1024", unit="×")

# %%
generator = torch.Generator().manual_seed(0)
products = {}
for width in (256, 512, 1024, 2048):
    a = torch.randint(-127, 128, (256, width), dtype=torch.int8, generator=generator)
    b = torch.randint(-127, 128, (width, width), dtype=torch.int8, generator=generator)
    if width == 256:
        exact = torch.equal(torch._int_mm(a, b).long(), a.long() @ b.long())
    x, w = a.float(), b.float()
    kinds = {
        "float32": lambda _, x=x, w=w: x @ w,
        "int8": lambda _, a=a, b=b: torch._int_mm(a, b),
    }
    timings = measure.latency(kinds, batch[:1], rounds=9, budget_seconds=0.5)
    products[width] = measure.ratio(timings["float32"], timings["int8"])
    if (
        timings["int8"].median > 0.05
    ):  # without the instructions it is slow, and the next one takes four times as long
        break
claim("the sums of int8 products are exact", exact)

fig, ax = plots.figure()
done = list(products)
middle = torch.tensor([products[w].median for w in done])
reach = torch.tensor(
    [
        [products[w].median - products[w].low, products[w].high - products[w].median]
        for w in done
    ]
)
ax.errorbar(
    range(len(done)),
    middle,
    yerr=reach.T.numpy(),
    fmt="o-",
    color=plots.BLUE,
    capsize=3,
)
ax.axhline(1, color=plots.REFERENCE, linestyle="--")
ax.set_xticks(range(len(done)), done)
ax.set(
    xlabel="inputs and outputs of the layer",
    ylabel="times as fast as float32",
    ylim=(0, None),
    title="int8 × int8 → int32",
)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
print(
    "instructions for 8-bit products:",
    ", ".join(processor.int8_instructions()) or "none that the system tells of",
)
at = products.get(1024, products[done[-1]])
reveal(
    "int8 product against float32, layer of 1024 by 1024",
    at.median,
    at.low,
    at.high,
    because="A register holds four times as many 8-bit as 32-bit numbers, and instructions such as VNNI multiply and "
    "add all of them at once. With AMX it is more, without any such instruction it is often slower than float32.",
)

# %%
vnni = needs("AVX-512", "VNNI")
claim(
    "int8 is at least twice as fast at the largest width",
    products[done[-1]].median > 2,
    where=vnni,
    timing=True,
)

# %% question="for_real.lanes"
answer = None
### BEGIN SOLUTION
answer = 4
### END SOLUTION
question("for_real.lanes", answer)

# %% [markdown]
# On the machine where this lesson was written, which has VNNI and no AMX, the factor is 4 to 5: the four numbers a lane
# and a little more. Keep that number; the rest of the lesson asks where it goes. (An x86 processor without VNNI adds two
# products in 16 bits, where they can overflow. There the engines below use 7 bits for the weights.)
#
# A product of plain integers isn't yet a product of *quantised* numbers. Those are offset by zero points, and one wants
# $\sum_k (a_{ik} - z_a)(b_{kj} - z_b)$. Subtracting first would need nine bits for the differences. Engines multiply
# the 8-bit numbers as they are and repair the result.
#
# **Exercise (4 points).** Repair it. You get the plain product, the sums of the rows of $A$, those of the columns of
# $B$, and the number of pairs in each sum.


# %% exercise="for_real.without_zero_points"
def without_zero_points(product, rows, columns, zero_a, zero_b, length):
    """product int64 [M, N] = A @ B, rows [M] = A.sum(1), columns [N] = B.sum(0) → Σ (a − zero_a)(b − zero_b), [M, N].

    zero_a and zero_b are whole numbers, length is the number of pairs in a sum.
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
a, b = (
    torch.randint(0, 128, (64, 300), generator=generator),
    torch.randint(-127, 128, (300, 10), generator=generator),
)
plain = torch._int_mm(a.to(torch.int8), b.to(torch.int8)).long()
repaired = without_zero_points(plain, a.sum(1), b.sum(0), 57, -3, 300)
claim(
    "the fast product, repaired, is the product of the differences",
    torch.equal(repaired, (a - 57) @ (b + 3)),
)

# %% [markdown]
# ## 2. What an engine makes of it
#
# For a whole network somebody must quantise every tensor, choose integer kernels, and pass integers from one to the
# next. That is what an *engine* does. The first one here is ONNX Runtime. The way there has three steps: torch writes
# the network as an ONNX file; the grids of the activations are chosen on calibration pictures (never on the test
# split); and a second file is written, in int8.
#
# How large is the int8 file, in percent of the float32 file? There are 268,464 weights, and scales for every filter and
# every row.

# %%
predict("size of the int8 file", unit="% of the float32 file")

# %%
calibration = list(pictures.to_input(pictures.train.images[:512]).split(128))
with tempfile.TemporaryDirectory() as folder:
    path = export_onnx(net, calibration, Path(folder, "mynet.onnx"))
    path_int8 = quantize_onnx(path, calibration)
    bytes_float32, bytes_int8 = path.stat().st_size, path_int8.stat().st_size

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = (
        str(Path(folder, "runs.onnx")),
        3,
    )
    onnxruntime.InferenceSession(path_int8, options, providers=["CPUExecutionProvider"])
    chains = {
        "as exported, float32": onnx.load(path).graph,
        "as quantised": onnx.load(path_int8).graph,
        "as it runs": onnx.load(options.optimized_model_filepath).graph,
    }
reveal(
    "size of the int8 file",
    round(100 * bytes_int8 / bytes_float32, 1),
    because="A quarter for the weights. The rest are scales, zero points, the biases in int32, and the graph itself.",
)

# %%
weights = [
    i for i in chains["as quantised"].initializer if i.name.endswith("weight_quantized")
]
claim(
    "the int8 file is 25 to 28 % of the float32 file",
    0.25 < bytes_int8 / bytes_float32 < 0.28,
)
claim(
    "it holds 268,464 weights of 8 bits",
    sum(torch.Size(w.dims).numel() for w in weights) == 268_464,
)

# %% [markdown]
# Look at what stands in these files. The quantised one says *what* is to be computed, in the notation **QDQ**:
# quantise (Q) a tensor and dequantise it (DQ) at once, so that every operator still takes floats. Read
# literally it would be much slower than float32. The engine reads it as a hint: an operator between DQ and Q can be
# replaced by one that takes and gives integers. Below, one box is one operator, in the order in which they compute;
# conversions are orange, integer kernels blue; "layout" only moves numbers. (The DQ of weights and biases are left out.)

# %%
SHORT = {
    "QuantizeLinear": "Q",
    "DequantizeLinear": "DQ",
    "Transpose": "layout",
    "Reshape": "flatten",
    "Gemm": "linear",
}


def chain(graph):
    """Operators from the picture to the logits, without those that only unpack weights and biases."""
    constants = {initializer.name for initializer in graph.initializer}
    return [
        SHORT.get(node.op_type, node.op_type)
        for node in graph.node
        if node.input[0] not in constants
    ]


fig, ax = plots.figure(figsize=(10, 2.8))
names = {name: chain(graph) for name, graph in chains.items()}
for row, (name, boxes) in enumerate(names.items()):
    ax.text(-0.6, -row, name, ha="right", va="center")
    left = 0.0
    for box in boxes:
        color = (
            plots.ORANGE
            if box in ("Q", "DQ")
            else plots.SKY
            if box.startswith(("Q", "Nhwc"))
            else "0.85"
        )
        width = 1.3 if box in ("Q", "DQ") else 2.3
        label = (
            box.replace("QGemm", "int8\nlinear")
            .replace("QLinear", "int8\n")
            .replace("Nhwc", "int8\n")
        )
        ax.barh(-row, width - 0.15, left=left, height=0.6, color=color)
        ax.text(
            left + width / 2 - 0.07,
            -row,
            label.replace("MaxPool", "pool"),
            ha="center",
            va="center",
            fontsize=8,
        )
        left += width
ax.set(xlim=(-8, 38), ylim=(-2.5, 0.5))
ax.axis("off")
plots.finish(fig)

# %%
count = Counter(names["as quantised"])
left = sum(box in ("Q", "DQ") for box in names["as it runs"])
claim(
    "between picture and logits the file holds 8 Q and 8 DQ",
    (count["Q"], count["DQ"]) == (8, 8),
)
claim("of which 2 are left when it runs: the picture in, the logits out", left == 2)
claim(
    "ReLU has gone altogether",
    "Relu" in names["as exported, float32"] and "Relu" not in names["as quantised"],
)

# %% [markdown]
# Two things to notice. *ReLU has vanished.* Its output is never negative, so its grid starts at zero, and saturating at
# the end of the grid already is the ReLU. And *max-pooling is done in integers* without any change of scale: the
# largest number stays the largest. The first works because the grid ends at zero, the second because it preserves
# order.
#
# If an operator in the middle has no integer kernel, the chain breaks there, and two conversions appear; at an end, or
# beside another such operator, none.
#
# **Exercise (3 points).** Count the conversions of a chain in which only some kinds of operators have integer kernels.


# %% exercise="for_real.conversions"
def conversions(operators, integer):
    """How many Q and DQ a chain needs, an int: the picture comes as float, the logits leave as float.

    operators: list of names, in order. integer: list of the names that have an integer kernel; all others take floats.
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
claim(
    "our network needs 2 where every operator has an integer kernel",
    conversions(ours, list(set(ours))) == 2,
)
claim("and 6 where pooling has none", conversions(ours, ["convolution", "linear"]) == 6)

# %% [markdown]
# ## 3. Engines that compile
#
# PyTorch's own way is called **PT2E** (PyTorch 2 export) and lives in torchao; the older `torch.ao.quantization` is
# deprecated. It is the same idea with other names:
#
#     exported  = torch.export.export(net, ...).module()       # the graph, without Python
#     observed  = prepare_pt2e(exported, X86InductorQuantizer().set_global(...))    # observers in
#     for batch in calibration: observed(batch)                # they see ranges
#     converted = convert_pt2e(observed)                       # observers become Q and DQ
#     fast      = torch.compile(converted)                     # with freezing on: weights become constants
#
# The last line writes C++ and compiles it, so it needs a compiler, and seconds. The library has it as
# `pt2e_int8`, and the other engines behind the same signature: model and calibration pictures in, a function of
# pictures out. **OpenVINO**, with NNCF for the grids, is the third; it is large, so it is an extra
# (`pip install 'nnopt-lab[openvino]'`, then restart the kernel). What can't run here says why, and the lesson goes on.
#
# PT2E needs a fair partner in float32 too: `torch.compile` without the integers. (`"compiled bf16"` is a further engine,
# which you may add to the list; it takes some five seconds more.)

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
for name, engine in ready.items():
    print(
        f"{name:22} {measure.format_bytes(engine.bytes):>9}   built in {engine.seconds:4.1f} s"
    )
for name, reason in missing.items():
    print(f"{name:22} {reason}")

# %% [markdown]
# (The next time the two that compile are faster: torch keeps its programs in a cache on disk. On one core the first
# of them also pays for trying out the compiler.)
#
# They all must compute the same network. How many test pictures change class, and what does that cost? The loss is
# paired: only pictures on which an engine and float32 disagree say anything about it.

# %%
classes = {}
with torch.inference_mode():
    inputs = pictures.to_input(pictures.test.images)
for name, engine in ready.items():
    classes[name] = torch.cat([engine(part).argmax(1) for part in inputs.split(250)])
right = {name: chosen == pictures.test.labels for name, chosen in classes.items()}
lost = {
    name: measure.proportion_difference(right[name], right["eager float32"])
    for name in ready
}
same = {
    name: (chosen == classes["eager float32"]).float().mean().item()
    for name, chosen in classes.items()
}
int8 = [name for name in ready if name.endswith("int8")]
claim(
    "all float32 engines choose the same classes, save 1 in 1,000",
    min(same[n] for n in ready if "32" in n) > 0.999,
)
claim(
    "bf16 and every int8 engine choose the same class for 98 of 100 pictures",
    min(same.values()) > 0.98,
)
claim(
    "none of them loses more than 1 point, its interval included",
    max(lost[name].high for name in ready) < 1,
)
of_eager = {
    name: engine.bytes / ready["eager float32"].bytes for name, engine in ready.items()
}
claim(
    "the int8 files, PT2E's apart, are 24 to 28 % of the float32 file",
    all(0.24 < of_eager[name] < 0.28 for name in int8 if name != "PT2E int8"),
)
claim("and bf16 is half", abs(of_eager["bf16"] - 0.5) < 0.02)

# %% [markdown]
# ## 4. The table
#
# The product alone is 4 times as fast with VNNI, more with AMX. Now the whole network, 256 pictures a call: how many
# times as fast as eager float32 is the fastest int8 engine? And how many times as fast as the *same engine* in float32?

# %%
predict("fastest int8 engine against eager float32, batch 256", unit="×")

# %%
predict("the same engine, int8 against its own float32, batch 256", unit="×")

# %%
sizes = (1, 32, 256)
timings = {
    size: measure.latency(ready, batch[:size], rounds=12, budget_seconds=2.2)
    for size in sizes
}


def gain(name, over, size):
    return measure.ratio(timings[size][over], timings[size][name])


def figures(ratio):
    return f"{ratio.median:.2f}× ({ratio.low:.2f}–{ratio.high:.2f})"


cells = [["engine", "file", "accuracy\nlost, points"]]
cells[0] += [f"batch {size}\n× eager\n× channels last" for size in sizes]
for name, engine in ready.items():
    accuracy = f"{100 * right[name].float().mean():.2f} %\n{lost[name].estimate:+.2f} ({lost[name].low:+.2f} to {lost[name].high:+.2f})"
    cells.append([name, measure.format_bytes(engine.bytes), accuracy])
    for size in sizes:
        both = [
            figures(gain(name, over, size))
            for over in ("eager float32", "channels-last float32")
        ]
        cells[-1].append("\n".join([str(timings[size][name]), *both]))
cells += [[name, reason, "", "", "", ""] for name, reason in missing.items()]

# %% tags=["nbval-ignore-output"]
HTML(measure.tables.html_table(cells, header=True))

# %%
fig, axes = plots.figure(ncols=3, sharey=True, figsize=(10, 3.8))
for ax, size in zip(axes, sizes, strict=True):
    ratios = [gain(name, "eager float32", size) for name in ready]
    colors = [
        plots.ORANGE if name in int8 else plots.GOLD if name == "bf16" else plots.BLUE
        for name in ready
    ]
    ax.barh(range(len(ready)), [r.median for r in ratios], color=colors, height=0.65)
    ends = [[r.median - r.low for r in ratios], [r.high - r.median for r in ratios]]
    ax.errorbar(
        [r.median for r in ratios],
        range(len(ready)),
        xerr=ends,
        fmt="none",
        ecolor="0.25",
        capsize=2,
    )
    ax.axvline(
        gain("channels-last float32", "eager float32", size).median,
        color="0.3",
        linestyle=":",
    )
    ax.axvline(1, color="0.3", linewidth=0.8)
    ax.set(title=f"batch {size}", xlabel="times as fast as eager")
axes[0].set_yticks(range(len(ready)), list(ready))
axes[0].invert_yaxis()
plots.finish(fig)

# %% [markdown]
# (In the table, each interval of a loss adds half a picture to either case, so even a copy gets ±0.02; and of nine
# intervals at 95 % one may miss by chance.)
#
# Blue is float32, yellow bf16, orange int8. The thin line is eager float32, the dotted one channels-last float32: the
# same operators, the same numbers, only the order in memory is another.

# %% tags=["nbval-ignore-output"]
best = max(int8, key=lambda name: gain(name, "eager float32", 256).median)
partner = {
    "PT2E int8": "compiled float32",
    "ONNX Runtime int8": "ONNX Runtime float32",
    "OpenVINO int8": "OpenVINO float32",
}
whole, own = gain(best, "eager float32", 256), gain(best, partner[best], 256)
print("int8 against the float32 of the same engine, batch 256")
for name in int8:
    print(f"  {name:18} {gain(name, partner[name], 256)}")
layout, engine = (
    gain("channels-last float32", "eager float32", 256),
    gain(partner[best], "channels-last float32", 256),
)
factors = f"{layout.median:.1f} from the layout × {engine.median:.1f} from the engine × {own.median:.1f} from the integers"
print(f"{best} against eager: {whole.median:.1f} = {factors}")
display(
    reveal(
        "fastest int8 engine against eager float32, batch 256",
        whole.median,
        whole.low,
        whole.high,
        because=f"That is {best}. Before you credit the integers with it, compare it with its own float32.",
    ),
    reveal(
        "the same engine, int8 against its own float32, batch 256",
        own.median,
        own.low,
        own.high,
        because="The rest is layout, fused loops and better pooling, which float32 gets from the same engine. And of the "
        "network's time only a part is products.",
    ),
)

# %%
claim(
    "the fastest int8 engine is more than 1.5 times as fast as eager at batch 256",
    whole.median > 1.5,
    where=vnni,
    timing=True,
)
claim(
    "its gain over its own float32 is the smaller one",
    own.median < whole.median,
    where=vnni,
    timing=True,
)
claim(
    "and smaller than the gain of the product alone",
    own.median < products[done[-1]].high,
    where=vnni,
    timing=True,
)

# %% [markdown]
# ## 5. Where the speed comes from
#
# Take eager apart, layer by layer, with 256 pictures: once in torch's usual order, where a whole channel lies together
# (NCHW), and once channels last (NHWC), where the channels of a pixel do. How much of the time goes to max-pooling,
# which multiplies nothing?

# %%
predict("share of max-pooling in eager's time, NCHW, batch 256", unit="%")

# %%
spent = {}
for layout, memory_format in (
    ("NCHW", torch.contiguous_format),
    ("NHWC", torch.channels_last),
):
    model = models.trained("mynet").to(memory_format=memory_format)
    x, spent[layout] = batch.to(memory_format=memory_format), {}
    for place, layer in enumerate(
        (*model.features, torch.nn.Flatten(), *model.classifier)
    ):
        timed = measure.latency({"layer": layer}, x, rounds=8, budget_seconds=0.2)[
            "layer"
        ]
        spent[layout][f"{place} {type(layer).__name__}"] = 1000 * timed.median
        with torch.inference_mode():
            x = layer(x)


def kind_of(layer):
    return next(
        (k for k in ("Conv2d", "MaxPool2d", "ReLU", "Linear") if k in layer), "flatten"
    )


colors = dict(
    zip(
        ("Conv2d", "MaxPool2d", "ReLU", "Linear", "flatten"),
        plots.PALETTE,
        strict=False,
    )
)
fig, ax = plots.figure(figsize=(8, 2.6))
for row, layers in enumerate(spent.values()):
    start = 0.0
    for layer, ms in layers.items():
        ax.barh(row, ms, left=start, color=colors[kind_of(layer)], edgecolor="white")
        start += ms
for name, color in colors.items():
    ax.barh(0, 0, color=color, label=name)
ax.set_yticks([0, 1], list(spent))
ax.invert_yaxis()
ax.set(
    xlabel="milliseconds for 256 pictures, one thread",
    title="layer after layer, in the order of the network",
)
ax.grid(axis="y", visible=False)
fig.legend(loc="outside right center", frameon=False)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
by_kind = {layout: Counter() for layout in spent}
for layout, layers in spent.items():
    for layer, ms in layers.items():
        by_kind[layout][kind_of(layer)] += ms
share = {
    layout: 100 * kinds["MaxPool2d"] / kinds.total()
    for layout, kinds in by_kind.items()
}
reveal(
    "share of max-pooling in eager's time, NCHW, batch 256",
    share["NCHW"],
    because="Pooling multiplies nothing. In NCHW its four numbers lie in two rows of one channel, so torch compares them "
    "one window at a time. In NHWC the channels of four pixels lie side by side, and a vector register takes 16 at once.",
)

# %%
claim(
    "pooling takes more than a third of eager's time",
    share["NCHW"] > 33,
    where=vnni,
    timing=True,
)
claim(
    "and channels last makes pooling at least twice as fast",
    by_kind["NCHW"]["MaxPool2d"] > 2 * by_kind["NHWC"]["MaxPool2d"],
    where=vnni,
    timing=True,
)
claim(
    "the convolutions change by less than a factor of two",
    0.5 < by_kind["NCHW"]["Conv2d"] / by_kind["NHWC"]["Conv2d"] < 2,
    where=vnni,
    timing=True,
)

# %% [markdown]
# So eager float32 is a poor thing to compare with. One line of Python, `.to(memory_format=torch.channels_last)` for the
# network and the same for its input, removes most of the pooling's time and changes no class. Whoever measures int8
# against plain eager counts this as the integers' merit: of the three factors printed in section 4, layout, engine and
# integers, only the last is theirs.
#
# What is left for the integers? Only the products become faster, and they were never the whole.
#
# **Exercise (2 points).** From the gain of a kernel and its share of the time to the gain of the network.


# %% exercise="for_real.network_gain"
def network_gain(share, gain):
    """How many times as fast the network becomes, a float.

    share: 0 to 1, of the time before, that the kernel takes. gain: how many times as fast the kernel becomes.
    """
    ### BEGIN SOLUTION
    return 1 / (1 - share + share / gain)
    ### END SOLUTION


# %%
check("for_real.network_gain", network_gain)

# %% tags=["nbval-ignore-output"]
network_gain = yours_or_ours("for_real.network_gain")
kernel = products[done[-1]].median
for layout, kinds in by_kind.items():
    part = (kinds["Conv2d"] + kinds["Linear"]) / kinds.total()
    expected = network_gain(part, kernel)
    print(
        f"{layout}: products take {part:.0%} of the time; {kernel:.1f}× faster they would gain {expected:.2f}×"
    )

# %%
parts = {
    layout: (kinds["Conv2d"] + kinds["Linear"]) / kinds.total()
    for layout, kinds in by_kind.items()
}
claim(
    "with channels last the products' share is larger",
    parts["NHWC"] > parts["NCHW"],
    where=vnni,
    timing=True,
)
claim(
    "a share of one half and a kernel 4 times as fast make 1.6",
    abs(network_gain(0.5, 4.0) - 1.6) < 1e-9,
)

# %% [markdown]
# That bound supposes that everything else stays as it is. An engine does better where pooling and the stores between
# layers move a quarter of the bytes, and worse where one piece of the chain is slow in int8. Here is such a piece.
# PT2E's program pools integers with torch's operator `quantized::max_pool2d`. Next to it stand the float versions, and
# the same maximum written as three comparisons of whole tensors:

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
claim("three maxima are the same pooling", torch.equal(*pooled))
claim(
    "PT2E's pooling is less than twice as fast as float32 in NHWC, for a quarter of the bytes",
    pool_ms["int8, as PT2E calls it"] > pool_ms["float32, NHWC"] / 2,
    where=vnni,
    timing=True,
)
claim(
    "three maxima are more than twice as fast as that",
    2 * pool_ms["int8, three maxima"] < pool_ms["int8, as PT2E calls it"],
    where=vnni,
    timing=True,
)

fig, ax = plots.figure(figsize=(8, 2.2))
ax.barh(
    list(pool_ms),
    list(pool_ms.values()),
    color=[plots.BLUE, plots.BLUE, plots.ORANGE, plots.GREEN],
    height=0.6,
)
ax.invert_yaxis()
ax.set(xlabel="milliseconds, first pooling of 256 pictures")
plots.finish(fig)

# %% [markdown]
# The green bar is what the processor can do; the orange one is what an engine makes of it. So int8 isn't a speed. It is
# a possibility that processor, engine and network must all take up, and each can waste it. At batch 256, on the machine
# where this lesson was written, OpenVINO takes it up best; PT2E gains less over its own float32, and ONNX Runtime hardly
# anything. Elsewhere the order is another. Measure.
#
# ## 6. One picture at a time
#
# Now look at the table's column for batch 1, and at the time *per picture* as the batch grows. Whatever is paid once a
# call, however many pictures there are, is spread over more of them. On the right is how much of one picture's time is
# saved in this way.

# %%
fig, (left, right) = plots.figure(ncols=2, figsize=(10, 3.8))
shown = [
    "eager float32",
    "compiled float32",
    "PT2E int8",
    "ONNX Runtime float32",
    "ONNX Runtime int8",
    "OpenVINO int8",
]
for name in [n for n in shown if n in ready]:
    left.plot(
        sizes,
        [1e6 * timings[size][name].median / size for size in sizes],
        "o-",
        label=name,
    )
left.set(
    xscale="log",
    yscale="log",
    xlabel="pictures a call",
    ylabel="microseconds per picture",
    title="time per picture",
)
left.set_xticks(sizes, sizes)
left.minorticks_off()
left.set_yticks([20, 50, 100, 200, 500], [20, 50, 100, 200, 500])
left.legend(fontsize=7)
per_call = {
    name: 1 - timings[256][name].median / 256 / timings[1][name].median
    for name in ready
}
right.barh(
    list(per_call),
    [100 * max(0, part) for part in per_call.values()],
    color=plots.BLUE,
    height=0.65,
)
right.invert_yaxis()
right.set(
    xlabel="% of the time of one picture",
    xlim=(0, 100),
    title="time per picture saved at 256 a call",
)
plots.finish(fig)

# %%
claim(
    "more than a third of PT2E's time for one picture is saved where 256 go together",
    lambda: per_call["PT2E int8"] > 1 / 3,
    where=("PT2E int8" in per_call, "PT2E does not run"),
    timing=True,
)
advantage = {
    size: gain("ONNX Runtime int8", "ONNX Runtime float32", size) for size in sizes
}
claim(
    "at batch 1, int8 is less than twice as fast as float32 in ONNX Runtime",
    advantage[1].median < 2,
    timing=True,
)

# %% [markdown]
# Torch's engines pay for getting to the arithmetic. Before a compiled program runs, its *guards* check
# that shapes, layouts and modes are still those that it was compiled for; eager sends each of its ten operators through
# the dispatcher, and every one allocates its result. A runtime that has settled all this when the network was loaded
# needs a fraction of it. Hardly any of that gets shorter with fewer bits; what does is the arithmetic
# and the reading of the weights, here the smaller part. So for small networks and single pictures: choose
# the runtime first, batch if you may wait, and think of int8 afterwards, for the bytes.

# %% question="for_real.one_picture"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("for_real.one_picture", choice)

# %% [markdown]
# Compiling has its own price, in seconds, before the first picture.
#
# **Exercise (2 points).** After how many batches has it paid for itself?


# %% exercise="for_real.break_even"
def break_even(build_ms, slow_ms, fast_ms):
    """The smallest number of batches after which building and running fast takes no longer than running slow, an int.

    All three are whole numbers of milliseconds, the last two for a batch; −1 where it never happens, also where both
    take equally long.
    """
    ### BEGIN SOLUTION
    if fast_ms >= slow_ms:
        return -1
    return -(-build_ms // (slow_ms - fast_ms))
    ### END SOLUTION


# %%
check("for_real.break_even", break_even)

# %% tags=["nbval-ignore-output"]
break_even = yours_or_ours("for_real.break_even")
slow = timings[256]["eager float32"].median
for name, engine in ready.items():
    if name != "eager float32":
        # In microseconds, so that whole numbers are exact enough.
        batches = break_even(
            round(1e6 * engine.seconds),
            round(1e6 * slow),
            round(1e6 * timings[256][name].median),
        )
        paid = (
            f"batches of 256 until it has paid for itself: {batches:,}"
            if batches >= 0
            else "never pays for itself"
        )
        print(f"{name:22} built in {engine.seconds:4.1f} s, {paid}")

# %% [markdown]
# ## 7. Choose
#
# A device has room for 300 KiB, and may lose half a point of accuracy. Limits first, then speed.
#
# **Exercise (3 points).** The fastest engine that keeps both limits.


# %% exercise="for_real.choose_engine"
def choose_engine(names, ms, kib, lost, kib_limit, lost_limit):
    """The name of the fastest engine that exceeds neither limit; the text "none" where no engine keeps both.

    names: list of str. ms, kib, lost: lists of numbers, one an engine: time, size, accuracy lost in points (negative
    where it was gained).
    """
    ### BEGIN SOLUTION
    fit = [
        i for i in range(len(names)) if kib[i] <= kib_limit and lost[i] <= lost_limit
    ]
    return names[min(fit, key=lambda i: ms[i])] if fit else "none"
    ### END SOLUTION


# %%
check("for_real.choose_engine", choose_engine)

# %% tags=["nbval-ignore-output"]
choose_engine = yours_or_ours("for_real.choose_engine")
chosen = {}
for size in sizes:
    times = [1000 * timings[size][name].median for name in ready]
    kib, points = (
        [engine.bytes / 1024 for engine in ready.values()],
        [lost[name].estimate for name in ready],
    )
    chosen[size] = choose_engine(list(ready), times, kib, points, 300, 0.5)
    free = choose_engine(list(ready), times, kib, points, 10_000, 0.5)
    print(f"batch {size:3}: {chosen[size]}; with room for any file {free}")

# %%
claim(
    "with 300 KiB it is an int8 engine at every batch size",
    all(name in int8 for name in chosen.values()),
    timing=True,
)

# %% [markdown]
# ## Summary

# %%
fig, axes = plots.figure(ncols=3, sharey=True, figsize=(10, 3.6))
rows = range(len(ready))
for size, color in zip((1, 256), (plots.SKY, plots.BLUE), strict=True):
    over = [gain(name, "channels-last float32", size) for name in ready]
    ends = [[o.median - o.low for o in over], [o.high - o.median for o in over]]
    at = [row + (0.15 if size == 256 else -0.15) for row in rows]
    axes[0].errorbar(
        [o.median for o in over],
        at,
        xerr=ends,
        fmt="o",
        color=color,
        capsize=2,
        label=f"batch {size}",
    )
axes[0].axvline(1, color="0.3", linewidth=0.8)
axes[0].legend(fontsize=8)
axes[0].set(xlabel="times as fast as channels-last float32", xlim=(0, None))
axes[1].barh(
    rows,
    [engine.bytes / 1024 for engine in ready.values()],
    color=plots.BLUE,
    height=0.6,
)
axes[1].set(xlabel="file, KiB")
costs = list(lost.values())
ends = [[c.estimate - c.low for c in costs], [c.high - c.estimate for c in costs]]
axes[2].errorbar(
    [c.estimate for c in costs], rows, xerr=ends, fmt="o", color=plots.BLUE, capsize=2
)
axes[2].axvline(0, color="0.3", linewidth=0.8)
axes[2].set(xlabel="accuracy lost, points (negative: gained)")
axes[0].set_yticks(rows, list(ready))
axes[0].invert_yaxis()
plots.finish(fig)

# %% [markdown]
# - **The product** of int8 is about 4 times as fast with VNNI, more with AMX, slower without such instructions.
# - **An engine** turns Q and DQ into integer kernels; good ones leave two conversions. One operator in the middle
#   without an integer kernel costs two more.
# - **Compare with a fair float32.** Channels last costs one line; much of what is called the speed-up of int8 is that.
# - **What int8 always gives** is a file of a quarter the size, for a few tenths of a point at most.
# - **What it gives in time** depends on processor, engine and network, from less than nothing to a factor of several.
# - **One picture** at a time is first a question of overhead; in a network this small, fewer bits help little. (In a large
#   language model the reading of the weights is nearly everything: there they help most.)
#
# **What practice uses today** (2026). For x86 servers OpenVINO with NNCF, ONNX Runtime with QDQ files, and
# torchao's PT2E with `X86InductorQuantizer` where one wants to stay in PyTorch; for phones ExecuTorch with XNNPACK, again
# on PT2E; on NVIDIA GPUs TensorRT. `torch.ao.quantization`, with its eager and FX modes, is deprecated in favour of
# torchao, and many older tutorials still teach it. Large language models are quantised in their weights alone
# (`torchao.quantization.quantize_`, GPTQ, AWQ), because at batch 1 they wait for the memory and not for the
# arithmetic.
#
# **Further reading.** Jacob et al., *Quantization and training of neural networks for efficient integer-arithmetic-only
# inference* (2018) · Krishnamoorthi, *Quantizing deep convolutional networks for efficient inference* (2018) · Wu et
# al., *Integer quantization for deep learning inference* (2020) · Gholami et al., *A survey of quantization methods*
# (2021) · the documentation of torchao (PT2E), ONNX Runtime (*Quantize ONNX models*) and NNCF.
#
# Your guesses of the whole course so far, against what your machine measured:

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
