# %% [markdown]
# # Mixed precision: train with fewer bits
#
# Earlier lessons rounded the numbers of a *trained* network to few bits. In this one you train with few bits. You will
#
# - take numbers apart into bits, in six formats, and see the two ways in which a format fails;
# - watch a sum that stops growing and gradients that become zero, and fix both;
# - let `torch.autocast` choose the formats, and measure what that gains on your processor;
# - implement the loss scaling that fp16 needs, and find out why bf16 does not need it;
# - store weights in bf16, see that they stop learning, and fix that in two ways;
# - train with integers in the forward pass and floats in the backward pass, as the article that this course grew out of
#   suggests in its last section.
#
# The lesson stands alone. Accuracy is in percent, and differences of accuracy are in percentage *points*.

# %% tags=["fold", "side-by-side"]
# Imports: where the names of this lesson come from
import copy
import math
import platform

import torch
from IPython.display import display
from torch import nn
from torch.nn import functional as F

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
from nnopt_lab.lessons.mixed_precision.measurements import training_step
from nnopt_lab.lessons.mixed_precision.playground import precision_playground
from nnopt_lab.lessons.mixed_precision.watching import (
    kept_for_backward,
    largest_values,
    output_gradients,
)
from nnopt_lab.techniques import quantization
from nnopt_lab.techniques.deployment import processor
from nnopt_lab.techniques.quantization import precision, qat
from nnopt_lab.techniques.quantization.precision import FORMATS
from nnopt_lab.workbench import data, measure, models, plots, training
from nnopt_lab.workbench.tables import Table

# %%
lesson("11_mixed_precision")
# True runs the recorded trainings on this machine: about half an hour on one core.
LIVE = False
torch.set_num_threads(1)  # everything that is compared below runs on one core
pictures = data.load("fashion")
net = models.trained("mynet")  # the article's network, trained on pictures of clothes
measure.layer_table(net, pictures.to_input(pictures.test.images[:1]))

# %% [markdown]
# ## 1. Six formats
#
# A floating-point number is $\pm 1.\text{something} \cdot 2^\text{exponent}$, and one bit is its sign. A format divides
# the other bits into two parts:
#
# - The **exponent** determines the range. A number that is too large **overflows** to infinity, and one that is too
#   small **underflows** to zero.
# - The **mantissa**, the bits of the *something*, determines the precision.
#
# Here is 0.1 in all six formats: float32, **tf32** (only inside NVIDIA GPUs), **bf16** (bfloat16), **fp16** (float16,
# "half"), and two with eight bits, both called **fp8**.

# %% tags=["fold"]
# Plot: the bits of 0.1 in six formats
fig, ax = plots.figure(height=2.8)
rows = {}
for name, format in FORMATS.items():
    parts = precision.bits_of(0.1, format)
    colors = (plots.REFERENCE, plots.ORANGE, plots.BLUE)
    stored = precision.round_to(torch.tensor(0.1), format).item()
    rows[f"{name}: {stored:.9f}"] = [
        (part, len(part), color) for part, color in zip(parts, colors, strict=True)
    ]
plots.boxes(ax, rows)
ax.set(xticks=[], title="0.1: sign (grey), exponent (orange), mantissa (blue)")
plots.finish(
    fig,
    "Rows of the bits of 0.1: bf16 has as many exponent bits as float32, fp16 has "
    "fewer of them and more mantissa bits than bf16.",
)

# %% [markdown]
# What to see: each row is one format with the value it stores. bf16 has as many orange bits as float32, and fp16 fewer.
#
# The same formats in numbers:

# %% tags=["fold"]
# Table: the formats in numbers
Table(
    [
        [
            name,
            format.bits,
            f"{format.smallest:.2g}",
            f"{format.largest:.3g}",
            f"{1 + 2.0**-format.mantissa_bits:.8g}",
        ]
        for name, format in FORMATS.items()
    ],
    ["format", "bits", "smallest above 0", "largest", "next after 1"],
)

# %% tags=["fold"]
# Claims: range and rounding of the formats
first_half = "".join(precision.bits_of(1.5, FORMATS["float32"]))[:16]
claim(
    "bf16 has the range of float32: both have 8 exponent bits.",
    FORMATS["bf16"].largest > 3.3e38,
)
claim("The largest number in fp16 is 65,504.", FORMATS["fp16"].largest == 65504)
claim(
    "The first 16 bits of a float32, cut off, are a bf16.",
    first_half == "".join(precision.bits_of(1.5, FORMATS["bf16"])),
)

# %% [markdown]
# The exponent is stored with an offset, which is 127 for 8 bits: in the plot, float32's exponent 01111011 is 123 and
# stands for −4. So float32 stores 0.1 as 1.6 · $2^{-4}$, and its mantissa holds only what follows the point of 1.6.
#
# tf32 uses 19 of float32's 32 bits, with the range of float32 and the precision of fp16. It only exists inside the
# GPU's multiplication units; in memory it is a float32. fp8 comes in two kinds, since eight bits are not enough for
# both range and precision. Their names count the bits. e4m3, with 4 exponent and 3 mantissa bits, is meant for the
# forward pass, and e5m2, with the larger range, for gradients.
#
# Between two powers of two, a format's numbers are equally spaced, and the gap doubles at each power of two. Towards
# zero the gap halves at each power, until the smallest exponent is reached. A smaller number is **subnormal**: it loses
# its leading 1, and the gap no longer shrinks.
#
# **Exercise (2 points).** Compute how far apart a format's numbers are near x. Half of this gap is the largest error of
# rounding.


# %% exercise="precision.spacing"
def spacing(x, mantissa_bits, smallest_exponent):
    """The gap between the format's two numbers around |x|, or above |x| if |x| is one
    of its numbers.

    x: a float, not 0. mantissa_bits: of the format. smallest_exponent: numbers below
    2^smallest_exponent are subnormal.

    >>> spacing(-5.0, 2, -3), spacing(0.01, 2, -3)  # 4, 5, 6, 7 and 0, 1/32, 2/32, …
    (1.0, 0.03125)
    """
    ### BEGIN SOLUTION
    exponent = max(math.floor(math.log2(abs(x))), smallest_exponent)
    return 2.0 ** (exponent - mantissa_bits)
    ### END SOLUTION


# %%
check("precision.spacing", spacing)

# %% question="precision.after_256"
answer = None
### BEGIN SOLUTION
answer = 258
### END SOLUTION
question("precision.after_256", answer)

# %% [markdown]
# Numbers are rounded to the nearest, so the largest error is half of the gap. Relative to x, how large can it become in
# bf16?

# %%
predict("largest error of rounding to bf16", unit="% of the number")

# %%
spacing = yours_or_ours("precision.spacing")
bf16 = FORMATS["bf16"]
worst = 50 * spacing(1.0, bf16.mantissa_bits, bf16.smallest_exponent)

# %%
# Answer: largest error of rounding to bf16
reveal(
    "largest error of rounding to bf16",
    worst,
    because="bf16 has seven mantissa bits. The gap after 1 is 1/128, and half of it is "
    "1/256. That is between two and three decimal digits, which is enough for neural "
    "networks almost everywhere. This lesson is about the exceptions.",
)

# %% tags=["fold"]
# Plot: relative error over magnitude
exponents = [e / 4 for e in range(-4 * 40, 4 * 20)]
fig, ax = plots.figure(height=4)
for name, format in FORMATS.items():
    sizes = [2.0**e for e in exponents if format.smallest <= 2.0**e <= format.largest]
    errors = [
        50 * spacing(size, format.mantissa_bits, format.smallest_exponent) / size
        for size in sizes
    ]
    color = plots.color_of(name)
    ax.plot([math.log2(size) for size in sizes], errors, color=color, label=name)
reach = [2.0**e for e in exponents if 2.0**e <= 1 and 2.0**e > 0.5 / 127]
ax.plot(
    [math.log2(size) for size in reach],
    [50 / 127 / size for size in reach],
    ":",
    color=plots.color_of("int8"),
    label="int8, grid from −1 to 1",
)
ax.set(
    yscale="log",
    xlabel="log₂ of the magnitude",
    ylabel="largest relative error, %",
    ylim=(1e-6, 200),
)
plots.legend(fig, "right")
plots.finish(
    fig,
    "Largest relative error over magnitude: level saw-teeth for floats, rising where "
    "numbers become subnormal; int8 falls in a straight line.",
)

# %% [markdown]
# What to see: a floating-point format is a flat line, with the same *relative* error over its whole range. fp16 is flat
# from $2^{16}$ down to $2^{-14}$. Below, subnormal numbers have fewer and fewer bits, so its line rises, and it ends at
# $2^{-24}$. (The saw teeth come from the gap that doubles.) int8 has no flat part. Its gap is the same everywhere, so
# its relative error doubles whenever the number halves. That is why integers need a suitable scale, and floats usually
# don't.

# %% [markdown]
# ## 2. Rounding
#
# **Exercise (3 points).** Round numbers to a few mantissa bits. Ignore the ends of the range. Round ties to even, as
# `torch.round` does.


# %% exercise="precision.round_mantissa"
def round_mantissa(x, mantissa_bits):
    """x rounded to the nearest numbers with this many mantissa bits.

    x: float32 [N], no zeros. mantissa_bits: int → float32 [N].

    >>> round_mantissa(torch.tensor([1.2, -5.0, 7.0]), 1)  # from 1, 1.5, 2, 3, 4, 6, 8
    tensor([ 1., -4.,  8.])
    """
    ### BEGIN SOLUTION
    step = 2.0 ** (x.abs().log2().floor() - mantissa_bits)
    return (x / step).round() * step
    ### END SOLUTION


# %%
check("precision.round_mantissa", round_mantissa)

# %%
round_mantissa = yours_or_ours("precision.round_mantissa")
weights = net.classifier[0].weight.detach().flatten()
print("seven mantissa bits:", round_mantissa(weights[:3], 7).tolist())
print("torch's bf16:       ", weights[:3].bfloat16().tolist())

# %% [markdown]
# Now round inside the network. Hardware that multiplies bf16, fp16 or fp8 numbers usually adds the products in float32
# and rounds the sum. So you can *emulate* any of these formats: round the inputs, weights and outputs of each layer,
# and let float32 do the rest. `precision.emulate` does that, so every format runs on any processor, no faster than
# float32. (Section 4 compares it with the real thing.)
#
# The trained network has an accuracy of about 89 %. How many points does it lose if everything is computed in fp8 e5m2,
# with two mantissa bits?

# %%
predict("accuracy lost with fp8 e5m2", unit="points")

# %%
some = pictures.test[:2_000]
right = {"float32": training.evaluate(net, some, pictures).correct}
for name in ("bf16", "fp16", "fp8 e4m3", "fp8 e5m2"):
    low = precision.emulate(copy.deepcopy(net), FORMATS[name], None)
    right[name] = training.evaluate(low, some, pictures).correct
lost = {
    name: measure.proportion_difference(r, right["float32"])
    for name, r in right.items()
    if name != "float32"
}

# %% tags=["fold", "nbval-ignore-output"]
# Answer: accuracy lost with fp8 e5m2
with largest_values(net) as found:
    training.evaluate(net, some, pictures)
largest_inside = max(found)

worst = lost["fp8 e5m2"]
reveal(
    "accuracy lost with fp8 e5m2",
    worst.estimate,
    worst.low,
    worst.high,
    because="An error of up to an eighth in every number hardly matters. Errors of "
    "many numbers partly cancel in each sum, and the predicted class only changes if "
    "two classes were nearly equal.",
)

# %% tags=["fold"]
# Plot: points lost by format
fig, ax = plots.figure(height=2.2)
plots.intervals(ax, lost, reference=0)
ax.set(xlabel="points lost compared with float32, on 2,000 test pictures")
unclear = sum(one.low <= 0 <= one.high for one in lost.values())
plots.finish(
    fig,
    f"Of {len(lost)} formats, {unclear} have an interval of points lost that contains "
    "0.",
    trained="x",
)

# %% [markdown]
# What to see: dots to the right of the dashed line lose accuracy, and most intervals contain 0.

# %%
# Claims: rounding
claim(
    "On all 262,144 weights of a layer, the exercise's rounding equals torch's bf16.",
    torch.equal(round_mantissa(weights, 7), weights.bfloat16().float()),
)
claim(
    "bf16 and fp16 lose less than half a point, interval included.",
    max(lost[n].high for n in ("bf16", "fp16")) < 0.5,
)
claim(
    "fp8 loses less than two points, interval included.",
    max(interval.high for interval in lost.values()) < 2,
)
claim(
    "The library's rounding, which also handles the ends of the range, equals torch's "
    "bf16.",
    torch.equal(
        precision.round_to(weights, FORMATS["bf16"]), weights.bfloat16().float()
    ),
)
claim(
    "No value in the network exceeds 448, the largest number of fp8 e4m3.",
    largest_inside < FORMATS["fp8 e4m3"].largest,
)
claim(
    "In float32, the accuracy is about 89 %.",
    0.88 < right["float32"].float().mean() < 0.90,
)

# %% [markdown] tags=["tells"]
# For *inference*, then, a few bits are plenty. Training is harder. It adds small numbers to large ones thousands of
# times, and it computes with numbers of very different magnitudes. The first problem comes next, the second in
# section 5.

# %% [markdown]
# ## 3. Sums
#
# Add 0.001 ten thousand times. In float32 the result is 10.0004. What is it in bf16, if every partial sum is rounded to
# bf16?

# %%
predict("0.001 added ten thousand times in bf16", unit="(exact: 10)")

# %%
sums = {}
for name in ("float32", "fp16", "bf16"):
    small = torch.tensor(0.001, dtype=FORMATS[name].dtype)
    total = torch.zeros((), dtype=FORMATS[name].dtype)
    sums[name] = []
    for _ in range(10_000):
        total = total + small
        sums[name].append(total.item())

# %%
# Answer: 0.001 added ten thousand times in bf16
reveal(
    "0.001 added ten thousand times in bf16",
    sums["bf16"][-1],
    because="From 0.5 on, the gap is 1/256. Half of it is more than 0.001, so every "
    "further addition is rounded away. The sum is not just inexact: it has stopped.",
)

# %% tags=["fold"]
# Plot: sums that stop growing
fig, ax = plots.figure(height=3.2)
for name, values in sums.items():
    ax.plot(values, color=plots.color_of(name), label=name)
ax.set(xlabel="numbers added", ylabel="sum")
plots.name_lines(ax)
plots.finish(
    fig,
    "A sum of many small numbers: float32 is a straight line, fp16 and bf16 stop "
    "early.",
)

# %% [markdown]
# What to see: the sums in fp16 and bf16 become horizontal lines. Before they stop, they run *ahead* of float32. Between
# 2 and 4, the gap of fp16 is 1/512, and 0.001 is a little more than half of it, so it is rounded up to the whole gap.
# Then the gap doubles, and 0.001 is less than half of it.

# %% tags=["fold"]
# Claims: sums
steps = {
    after - before
    for before, after in zip(sums["fp16"], sums["fp16"][1:], strict=False)
    if 2 <= before < 4
}
thousandths = torch.full((10_000,), 0.001, dtype=torch.bfloat16)
ones = torch.ones(1, 4096, dtype=torch.bfloat16)
claim("In bf16, the sum stops at 0.5.", sums["bf16"][-1] == 0.5)
claim("In fp16, the sum stops at 4.", sums["fp16"][-1] == 4)
claim(
    "The sum of the same bf16 numbers by torch's `sum` is 10.",
    thousandths.sum().item() == 10,
)
claim("In float32, the sum is 10.0004.", f"{sums['float32'][-1]:.4f}" == "10.0004")
claim("Between 2 and 4, fp16 adds 1/512 for each 0.001.", steps == {1 / 512})
claim(
    "torch's product of 4,096 bf16 ones with 4,096 ones is 4,096, while adding ones in "
    "bf16 stops at 256.",
    (ones @ ones.T).item() == 4096
    and (torch.tensor(255.0).bfloat16() + 1).item() == 256
    and (torch.tensor(256.0).bfloat16() + 1).item() == 256,
)

# %% [markdown]
# A small number that gets lost in a large sum is *swamped*. torch's sums and products avoid this: they read bf16, add
# in float32 and round once at the end. The units of processors that multiply bf16 and fp16 do the same. But if you
# write `total = total + x` in bf16, small numbers get lost.
#
# One sum cannot be made in a single operator: *learning itself*. It is a weight plus small updates, one after the
# other. Section 6 comes back to it.
#
# ## 4. Autocast
#
# So use few bits for products, and float32 for sums and for weights. `torch.autocast` arranges this. The model and its
# parameters stay float32; inside the block, autocast chooses a format for the inputs of those operators that need one.
#
# ```python
# with torch.autocast("cpu", torch.bfloat16):  # "cuda" on a GPU
#     loss = F.cross_entropy(model(inputs), labels)
# loss.backward()   # outside the block: layers remember their formats
# optimizer.step()  # float32 weights, float32 gradients
# ```
#
# Which operators give which format?

# %%
low, labels = torch.randn(8, 8).bfloat16(), torch.zeros(8, dtype=torch.int64)
with torch.autocast("cpu", torch.bfloat16):
    x = torch.randn(8, 8)
    shown = {
        "linear": F.linear(x, x),
        "convolution": F.conv2d(x[None, None], x[None, None, :3, :3]),
        "product of matrices": x @ x,
        "ReLU (of bf16)": low.relu(),
        "max-pooling (of bf16)": F.max_pool2d(low[None], 2),
        "softmax (of bf16)": low.softmax(1),
        "layer norm (of bf16)": F.layer_norm(low, (8,)),
        "bf16 + float32": low + x,
        "mean squared error (of bf16)": F.mse_loss(low, low),
        "cross-entropy (of bf16)": F.cross_entropy(low, labels),
    }

# %% tags=["fold"]
# Table: types of results under autocast
Table(
    [[name, str(y.dtype).removeprefix("torch.")] for name, y in shown.items()],
    ["operator", "type of the result"],
)

# %% [markdown]
# There are three groups. Operators that *multiply* always get bf16. *Sensitive* operators get float32. All others take
# their inputs as they are. Which operators are sensitive depends on the device. On CUDA they include softmax, norms,
# exponentials, powers and sums. The list for CPUs is shorter, since most of these operators compute in float32
# internally on a CPU and round at the end.
#
# What makes an operator sensitive is what happens *between* its inputs and outputs. An activation of 300 is nothing
# special, but its square overflows in fp16, as the next cell shows. Float32 in the right place helps. It does not
# recover what an earlier layer has rounded away: scores of 12 and 12.03 become equal in bf16, and then no loss can
# distinguish them.

# %%
activations = torch.full((64,), 300.0)
half = activations.half()
step_by_step = half.pow(2).mean().sqrt()
print("root mean square of values that are all 300:")
print("  step by step in fp16:", step_by_step.item())
print("  in float32:          ", half.float().pow(2).mean().sqrt().item())
scores = torch.tensor([12.0, 12.03])
print("scores of 12 and 12.03 in bf16:", scores.bfloat16().tolist())

# %% [markdown]
# And the speed? A processor only gains from bf16 if it has instructions that multiply it (x86: AVX512-BF16 and AMX;
# ARM: BF16). The same holds for fp16. Without them, every number is converted to float32 and back, or torch falls back
# to a plain loop, which is far slower. Yours has:

# %% tags=["fold", "nbval-ignore-output"]
# Table: instructions of this processor
machine = measure.machine()
tells = getattr(torch.cpu, "get_capabilities", dict)()
known = {name for name, there in tells.items() if there is True} | set(
    machine.instructions
)
bf16_units = sorted(known & {"avx512_bf16", "amx_bf16", "avx10_2", "bf16", "sve_bf16"})
fp16_units = sorted(known & {"avx512_fp16", "amx_fp16", "avx10_2", "fp16_arith"})
nothing = "no instructions that the system reports: no fast path"
units = {"bf16": bf16_units, "fp16": fp16_units, "int8": processor.int8_instructions()}
rows = [[number, ", ".join(found) or nothing] for number, found in units.items()]
Table(rows, ["format", "multiplied by"], caption=machine.processor)

# %% [markdown]
# How many times as fast as in float32 is a training step under bf16 autocast on this processor? (Below 1 means slower.)

# %%
predict("speed-up of a training step by bf16 autocast", unit="×")

# %%
inputs = pictures.to_input(pictures.train.images[:16])
labels = pictures.train.labels[:16]
steps = {
    "float32": training_step(net, labels),
    "bf16": training_step(net, labels, torch.bfloat16),
}
of_step = measure.latency(steps, inputs, rounds=7, budget_seconds=1)
ratio = measure.ratio(of_step["float32"], of_step["bf16"])

# %% tags=["nbval-ignore-output"]
# Answer: speed-up of a training step by bf16 autocast
reveal(
    "speed-up of a training step by bf16 autocast",
    ratio.median,
    ratio.low,
    ratio.high,
    because="With bf16 instructions, products become faster. But products are only a "
    "part of a small network's step, and autocast's conversions come on top. Without "
    "such instructions, the products become slower, too.",
)

# %% tags=["fold"]
# Plot: speed of autocast
a, b = torch.randn(64, 512), torch.randn(512, 512)
kinds = {
    "float32": (a, b),
    "bf16": (a.bfloat16(), b.bfloat16()),
    "fp16": (a.half(), b.half()),
}
products = {name: lambda _, x=x, w=w: x @ w for name, (x, w) in kinds.items()}
q, r = (torch.randint(-127, 128, m.shape, dtype=torch.int8) for m in (a, b))
products["int8"] = lambda _: torch._int_mm(q, r)
of_product = measure.latency(products, inputs, rounds=7, budget_seconds=1)
gain = {
    f"product, {n}": measure.ratio(of_product["float32"], of_product[n])
    for n in ("bf16", "fp16", "int8")
}
gain |= {"training step, bf16 autocast": ratio}
fig, ax = plots.figure(height=2.4)
plots.intervals(ax, gain, reference=1)
ax.set(xlabel="times as fast as float32, one thread (left of the line: slower)")
plots.log_axis(ax.xaxis)
told = [f"{name}: {times.median:.2g} times" for name, times in gain.items()]
plots.finish(
    fig,
    f"Speed against float32 on this machine: {'; '.join(told)}.",
    measured="x",
)

# %% [markdown] tags=["tells"]
# What to see: a dot to the left of the dashed line is slower than float32, and one to the right is faster. A fast
# product (the first rows) does not guarantee a fast training step (the last row).
#
# Without suitable instructions, bf16 autocast makes training slower. An instruction of AVX512-BF16 multiplies twice as
# many numbers as its float32 counterpart, and AMX multiplies whole tiles of a matrix. (The measured gain of a product
# can exceed that, if the library's float32 program is not the best for your processor.) On server processors with AMX
# and on NVIDIA GPUs since Ampere (2020), bf16 is the first thing to switch on. The format is the same everywhere, but
# its speed depends on the processor. So measure before you copy a recipe.

# %% [markdown]
# Here is the same step on your accelerator, if you have one:

# %% tags=["fold", "nbval-ignore-output"]
# Numbers: the same step on an accelerator
device = training.best_device()
if device.type == "cpu":
    print("torch finds no accelerator here; this cell would measure steps on it.")
else:
    many = pictures.to_input(pictures.train.images[:16]).repeat(64, 1, 1, 1).to(device)
    there = {
        n: training_step(
            net, labels, FORMATS[n].dtype if n != "float32" else None, device
        )
        for n in ("float32", "bf16", "fp16")
    }
    on_device = measure.latency(there, many, rounds=20, budget_seconds=3)
    for name in ("bf16", "fp16"):
        ratio_there = measure.ratio(on_device["float32"], on_device[name])
        print(f"{machine.accelerator}, {name} autocast, 1,024 pictures:")
        print(f"    {ratio_there}")

# %% [markdown]
# Fast or slow, does autocast compute the same numbers as the emulation? The next cell compares the gradients of one
# batch under real autocast, emulated, and in float32.


# %%
def gradients(model, dtype=None):
    """Gradients of all parameters as one vector, under autocast if there is a dtype."""
    model.zero_grad()
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        loss = F.cross_entropy(model(inputs), labels)
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


# %% tags=["fold"]
# Numbers: distances between gradients
exact, close = gradients(copy.deepcopy(net)), {}
for name in ("bf16", "fp16"):
    real = gradients(copy.deepcopy(net), FORMATS[name].dtype)
    emulated = gradients(
        precision.emulate(copy.deepcopy(net), FORMATS[name], FORMATS[name])
    )
    close[name] = (
        ((emulated - real).norm() / exact.norm()).item(),
        ((real - exact).norm() / exact.norm()).item(),
    )

# %% [markdown]
# What to see: they agree. The emulation's gradients are far closer to those of real autocast than float32's are.

# %% tags=["fold"]
# Claims: autocast
# AVX-NE-CONVERT, on some newer laptops without AVX-512, also converts bf16 fast.
modern = any(
    name.lower().startswith(("avx512", "avx10", "amx", "avx_ne_convert"))
    for name in known
)
old_x86 = platform.machine() in processor.X86 and not modern
claim(
    "Linear layers, convolutions and matrix products give bf16, and losses float32.",
    all(shown[n].dtype == torch.bfloat16 for n in list(shown)[:3])
    and all(shown[n].dtype == torch.float32 for n in list(shown)[-2:]),
)
claim(
    "In bf16, emulated gradients are at least 5 times closer to real ones than "
    "float32's.",
    5 * close["bf16"][0] < close["bf16"][1],
)
claim(
    "With nothing newer than AVX2, bf16 is slower, in the product and in the step.",
    max(gain["product, bf16"].median, ratio.median) < 0.8,
    where=(old_x86, "not an x86 processor, or a newer one"),
    timing=True,
)
claim(
    "With AMX, the bf16 product is faster.",
    gain["product, bf16"].median > 1.2,
    where=needs("AMX"),
    timing=True,
)
claim(
    "In fp16, the mean of the squares of 300 overflows.",
    step_by_step.isinf(),
)
claim(
    "Scores of 12 and 12.03 are equal in bf16.",
    scores.bfloat16()[0] == scores.bfloat16()[1],
)
# Other processors may add the products in fp16.
claim(
    "In fp16, emulated gradients are at least 5 times closer to real ones than "
    "float32's.",
    5 * close["fp16"][0] < close["fp16"][1],
    where=needs("x86"),
)
claim(
    "Gradients in bf16 are at least 3 times as far from float32's as those in fp16.",
    close["bf16"][1] > 3 * close["fp16"][1],
)

# %% [markdown]
# ## 5. Gradients that become zero
#
# fp16 rounds eight times more finely than bf16. Yet bf16 has replaced it for most training. To see why, look at what
# flows *backward*: the gradients of the layers' outputs and of the weights, by magnitude. In the plot below, a band
# marks the range of fp16; to the left of it, a number becomes zero.
#
# Of the gradients that flow between layers and are not zero, what share would become zero in fp16?

# %%
predict("gradients between layers that become zero in fp16", unit="%")

# %%
inputs = pictures.to_input(pictures.train.images[:128])
labels = pictures.train.labels[:128]
worker = copy.deepcopy(net)
with output_gradients(worker) as flowing_by_layer:
    F.cross_entropy(worker(inputs), labels).backward()


def zeroed(values, k):
    """Percentage of values that become zero in fp16 at a loss scale of 2^k."""
    return 100 * ((values * 2.0**k).half() == 0).float().mean().item()


# %% tags=["fold", "nbval-ignore-output"]
# Answer: gradients between layers that become zero in fp16
between = torch.cat(flowing_by_layer)
of_weights = torch.cat([p.grad.flatten() for p in worker.parameters()])
between, of_weights = between[between != 0], of_weights[of_weights != 0]

reveal(
    "gradients between layers that become zero in fp16",
    zeroed(between, 0),
    because="The loss is a mean over 128 pictures, and the network already knows most "
    "of them, so only small gradients flow back. The large numbers of fp16, the whole "
    "right half of the band, are never used.",
)

# %% tags=["fold"]
# Plot: magnitudes of gradients
fig, ax = plots.figure(height=3.6)
for values, name, color in (
    (between, "of the layers' outputs", plots.BLUE),
    (of_weights, "of the weights", plots.GREEN),
):
    ax.hist(
        values.abs().log2().numpy(),
        range(-60, 20),
        weights=torch.full_like(values, 100 / len(values)),
        histtype="step",
        color=color,
        label=name,
        linewidth=1.6,
    )
violet = plots.color_of("fp16")
ax.axvspan(-14, 16, color=violet, alpha=0.3, label="fp16, normal")
ax.axvspan(-24, -14, color=violet, alpha=0.15, label="fp16, subnormal")
ax.set(
    xlim=(-60, 20),
    xlabel="log₂ of the gradient's magnitude",
    ylabel="% of the gradients",
)
plots.legend(fig)
plots.finish(
    fig,
    "Histograms of gradients over a band that marks fp16's range; many gradients "
    "between layers lie left of it.",
    trained="y",
)

# %% [markdown]
# What to see: much of the blue curve, the gradients between layers, lies to the left of the band, while the right half
# of the band is empty.

# %% [markdown]
# The fix is a factor, the **loss scale**. Backpropagation is linear: multiply the loss by $2^k$, and every gradient
# becomes $2^k$ times as large, so the whole histogram moves to the right by k. Divide the weights' gradients by $2^k$
# before the update, in float32, and nothing else has changed. A power of two only changes exponents, so it causes no
# rounding at all.
#
# How far can you move it? Until the largest gradient reaches the right end of the range.
#
# **Exercise (3 points).** Find this k, the largest loss scale $2^k$ at which no gradient overflows. It may be negative.


# %% exercise="precision.loss_shift"
def loss_shift(gradients, largest):
    """The largest integer k for which no |gradient| · 2^k exceeds `largest`.

    gradients: float32 [N], not all zero. largest: largest number of the format; 65504
    for fp16.

    >>> loss_shift(torch.tensor([0.5, -3.0]), 12), loss_shift(torch.tensor([3.0]), 11)
    (2, 1)
    """
    ### BEGIN SOLUTION
    return math.floor(math.log2(largest / gradients.abs().max().item()))
    ### END SOLUTION


# %%
check("precision.loss_shift", loss_shift)

# %%
loss_shift = yours_or_ours("precision.loss_shift")
k = loss_shift(torch.cat([between, of_weights]), FORMATS["fp16"].largest)

# %% tags=["fold"]
# Plot: vanishing and overflowing gradients by loss scale
shifts = list(range(0, 33, 2))
lost_at = {
    "gradients between layers that become zero": [zeroed(between, s) for s in shifts],
    "weights' gradients that become infinite": [
        100 * (of_weights * 2.0**s).half().isinf().float().mean().item() for s in shifts
    ],
}
fig, ax = plots.figure(height=3)
plots.curves(ax, shifts, lost_at)
plots.reference_line(ax, k, "k")
ax.set(xlabel="log₂ of the loss scale", ylabel="% of the gradients")
plots.legend(fig)
plots.finish(
    fig,
    "Gradients that vanish fall with the loss scale, those that overflow rise; k lies "
    "between.",
    trained="xy",
)

# %% [markdown]
# What to see: at the dashed line, k, the blue curve has reached zero, and the orange one has not yet risen.
#
# Looking at every gradient of every step would cost time, and the next batch may have larger ones.
# `torch.amp.GradScaler` works without looking: it starts with a large scale and tries it. If any gradient is infinite
# or NaN, it skips the step and halves the scale. After a number of good steps in a row, it doubles the scale.
#
# **Exercise (4 points).** Implement one such step: the new scale, the new count of good steps, and whether this step
# counts. The training below uses it.


# %% exercise="precision.scaler_step"
def scaler_step(scale, good, overflow, interval):
    """(new scale, new count of good steps, whether to apply this step): float, int,
    bool.

    scale: float. good: number of good steps in a row before this one. overflow: whether
    any of this step's gradients is not finite. interval: number of good steps in a row
    that doubles the scale and resets the count.

    >>> scaler_step(8.0, 2, False, 3), scaler_step(8.0, 2, True, 3)
    ((16.0, 0, True), (4.0, 0, False))
    """
    ### BEGIN SOLUTION
    if overflow:
        return scale / 2, 0, False
    if good + 1 == interval:
        return scale * 2, 0, True
    return scale, good + 1, True
    ### END SOLUTION


# %%
check("precision.scaler_step", scaler_step)

# %% [markdown]
# Train with your function: emulated fp16, a scale that starts far too large, and an interval of 10 instead of
# GradScaler's 2,000, so that the scale changes often within 70 steps. For comparison, torch's own scaler runs in
# `precision.step`, the loop of section 4 with these lines instead of the last two:
#
# ```python
# scaler.scale(loss).backward()  # multiplies the loss by the scale
# scaler.step(optimizer)         # divides the gradients; no step if one isn't finite
# scaler.update()                # halves or doubles the scale
# ```

# %% tags=["fold"]
# Numbers: 70 batches, and an untrained network in emulated fp16
scaler_step = yours_or_ours("precision.scaler_step")
order = torch.randperm(18_000, generator=torch.Generator().manual_seed(0))[: 70 * 32]
batches = [
    (pictures.to_input(pictures.train.images[at]), pictures.train.labels[at])
    for at in order.split(32)
]


def beginner():
    torch.manual_seed(0)
    model = precision.emulate(models.MyNet(), FORMATS["fp16"], FORMATS["fp16"])
    return model, torch.optim.SGD(model.parameters(), 0.05)


# %%
mine, optimizer = beginner()
scale, good, scales, left_out = 2.0**26, 0, [], []
for number, (x, y) in enumerate(batches):
    optimizer.zero_grad()
    (F.cross_entropy(mine(x), y) * scale).backward()
    overflow = not all(p.grad.isfinite().all() for p in mine.parameters())
    scales.append(scale)
    scale, good, apply = scaler_step(scale, good, overflow, 10)
    if apply:
        for p in mine.parameters():
            p.grad /= scales[-1]  # the scale of this step, not the new one
        optimizer.step()
    else:
        left_out.append(number)

# %% tags=["fold"]
# Plot: the loss scale over the steps
theirs, optimizer = beginner()
scaler, torchs = torch.amp.GradScaler("cpu", init_scale=2.0**26, growth_interval=10), []
for x, y in batches:
    torchs.append(scaler.get_scale())
    precision.step(theirs, x, y, optimizer, scaler=scaler)

fig, ax = plots.figure(height=3)
ax.step(
    range(len(scales)), [math.log2(s) for s in scales], where="post", color=plots.BLUE
)
ax.plot(
    left_out,
    [math.log2(scales[i]) for i in left_out],
    "x",
    color=plots.ORANGE,
    label="overflow: step skipped",
)
ax.set(xlabel="step", ylabel="log₂ of the loss scale")
plots.legend(fig)
plots.finish(
    fig,
    "The loss scale as a staircase that falls at first; crosses mark skipped steps.",
    trained="xy",
)

# %% [markdown]
# What to see: the scale falls until the gradients fit, and each cross is a skipped step. From then on, the scaler tries
# a larger scale after every ten good steps.
#
# But is loss scaling necessary? `MyNet` is shallow, and its larger gradients, which teach it most, fit into fp16. In
# deep networks gradients are often far smaller. This experiment makes them smaller and changes nothing else: the loss
# times $2^{-k}$, the learning rate times $2^k$. With exact numbers that is the same training, and float32 is exact
# enough. `MyNet` is trained from scratch for 100 steps of SGD with a one-cycle learning rate (which rises to a peak and
# falls to almost zero), with three seeds. The result is recorded (`nnopt record precision_shrunk`).
#
# With gradients a million times smaller ($k = 20$), what accuracy does fp16 reach without a scaler?

# %%
predict("fp16 without a scaler, gradients a million times smaller", unit="%")

# %%
shrunk = recorded("precision_shrunk", live=LIVE)["result"]
by = shrunk["shrunk_by"]
mean = {
    name: [sum(row) / len(row) for row in shrunk[name]]
    for name in ("fp16", "fp16 and scaler", "bf16", "float32")
}

# %%
# Answer: fp16 without a scaler, gradients a million times smaller
reveal(
    "fp16 without a scaler, gradients a million times smaller",
    mean["fp16"][-1],
    because="Nearly all gradients that flow back are zero, and without gradients "
    "nothing is learned. There is no error: all you see is a loss that does not fall.",
)

# %% tags=["fold"]
# Plot: accuracy as gradients shrink
fig, axes = plots.figure(ncols=2, height=3.6)
for ax in axes:
    for name, color in (
        ("fp16", plots.color_of("fp16")),
        ("fp16 and scaler", plots.GREEN),
    ):
        plots.band(ax, by, list(zip(*shrunk[name], strict=True)), name, color)
    for name in ("bf16", "float32"):
        runs = list(zip(*shrunk[name], strict=True))
        plots.band(ax, [by[0], by[-1]], runs, name, plots.color_of(name))
    ax.set(xlabel="k: gradients are 2ᵏ times smaller", ylabel="test accuracy, %")
    ax.set_xticks(by)
axes[0].set(ylim=(0, 90), title="whole range")
steady = [
    accuracy
    for name in ("bf16", "float32", "fp16 and scaler")
    for run in shrunk[name]
    for accuracy in run
]
axes[1].set(ylim=(min(steady) - 0.5, max(steady) + 0.5), title="enlarged")
plots.legend(fig)
plots.finish(
    fig,
    "Accuracy as gradients shrink: fp16 alone collapses, bf16, float32 and fp16 with "
    "a scaler stay level and close together.",
)

# %% [markdown]
# What to see: only one curve falls, fp16 without a scaler. bf16 does not notice the smaller gradients, and the scaler
# finds a suitable scale by itself. fp16 alone loses nothing while the gradients are large enough, and then everything.
# So one network that trains well in fp16 without a scaler does not prove that the next one will.

# %% tags=["fold"]
# Claims: gradients in fp16
subnormal = 100 * (between.abs() < 2.0**-14).float().mean().item()
largest = max(values.abs().max().item() for values in (between, of_weights))
all_gradients = torch.cat([between, of_weights])
claim(
    "Between a tenth and a half of the gradients between layers become zero in fp16.",
    10 < zeroed(between, 0) < 50,
)
claim(
    "With the function, the scales equal GradScaler's in every step, and the weights "
    "do, too, bit for bit.",
    scales == torchs
    and all(
        torch.equal(a, b)
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True)
    ),
)
claim(
    "With a scaler, fp16 is within 1 point of float32 on average at every k.",
    all(abs(m - mean["float32"][0]) < 1 for m in mean["fp16 and scaler"]),
)
claim(
    "More than four fifths of the gradients between layers are below fp16's normal "
    "numbers.",
    subnormal > 80,
)
claim(
    "In bf16, fewer than 1 in 1,000 gradients between layers become zero.",
    (between.bfloat16() == 0).float().mean() < 0.001,
)
claim("No gradient of either kind is larger than 0.1.", largest < 0.1)
claim(
    "With this k, fewer than 1 in 1,000 of the gradients between layers become zero.",
    zeroed(between, k) < 0.1,
)
claim(
    "With this k, no gradient becomes infinite, and with k + 1 at least one does.",
    all_gradients.mul(2.0**k).half().isfinite().all()
    and all_gradients.mul(2.0 ** (k + 1)).half().isinf().any(),
)
claim(
    "More than one step was skipped, but fewer than a third of them.",
    1 < len(left_out) < len(batches) / 3,
)
claim(
    "float32 and bf16 reach the same accuracies at k = 0 and k = 20.",
    all(shrunk[n][0] == shrunk[n][1] for n in ("float32", "bf16")),
)
claim("Without a scaler, fp16 learns almost nothing at k = 20.", mean["fp16"][-1] < 15)
claim(
    "Without a scaler, fp16 is within 1 point up to k = 8.",
    all(abs(m - mean["float32"][0]) < 1 for m in mean["fp16"][:3]),
)
claim(
    "Without a scaler, fp16 loses more than 40 points at k = 16.",
    mean["fp16"][by.index(16)] < mean["float32"][0] - 40,
)
claim(
    "Of the gradients above, made 2^20 times smaller, fp16 zeroes more than 99 %.",
    zeroed(between, -20) > 99,
)
claim(
    "At k = 16, the scaler starts at 2^16 and gives what fp16 alone gives at k = 0.",
    shrunk["fp16 and scaler"][by.index(16)] == shrunk["fp16"][0],
)

# %% question="precision.no_scaler"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("precision.no_scaler", choice)

# %% [markdown]
# ## 6. Weights that do not move
#
# With autocast the weights stay float32, and they take much of a large network's memory. So why not store them in bf16,
# with `model.to(torch.bfloat16)`? Section 3 gives the reason. A weight in bf16 has a relative gap between 1/256 and
# 1/128. An update smaller than half of that is rounded away, and most updates are smaller.
#
# Take one SGD step of the trained network at several learning rates, and count the weights that have a gradient but do
# not change. At a rate of 0.01, what share of them does not change in bf16?

# %%
predict("weights that a step at rate 0.01 does not change in bf16", unit="%")

# %% tags=["fold"]
# Numbers: weights that have a gradient, and learning rates
with_gradient = torch.cat([p.grad.flatten() for p in worker.parameters()]) != 0
before = torch.cat([p.detach().flatten() for p in net.parameters()])[with_gradient]
slope = torch.cat([p.grad.flatten() for p in worker.parameters()])[with_gradient]
rates = [10.0**e for e in (-4, -3.5, -3, -2.5, -2, -1.5, -1, -0.5, 0)]


# %%
def unchanged(format, rate):
    """Percentage of weights, stored in a format, that a step of SGD does not change."""
    stored = precision.round_to(before, format)
    updated = precision.round_to(stored - rate * slope, format)
    return 100 * (updated == stored).float().mean().item()


unmoved = {
    name: [unchanged(FORMATS[name], rate) for rate in rates]
    for name in ("float32", "fp16", "bf16")
}

# %% tags=["nbval-ignore-output"]
# Answer: weights that a step at rate 0.01 does not change in bf16
still = dict(zip(rates, unmoved["bf16"], strict=True))
reveal(
    "weights that a step at rate 0.01 does not change in bf16",
    still[0.01],
    because="An update only counts if it is at least 1/512 to 1/256 of the weight. "
    "Learning rates that fall towards zero, as in most schedules, make it worse.",
)

# %% tags=["fold"]
# Plot: weights that a step leaves unchanged
fig, ax = plots.figure(height=3.2)
plots.curves(ax, rates, unmoved)
ax.set(
    xscale="log",
    xlabel="learning rate of the step",
    ylabel="% of weights unchanged",
    ylim=(-2, 102),
)
plots.name_lines(ax)
plots.finish(
    fig,
    "Share of weights that a step leaves unchanged, by learning rate: most in bf16, "
    "fewer in fp16, hardly any in float32.",
    trained="y",
)

# %% [markdown]
# What to see: in bf16 (gold), a step leaves most weights unchanged at every learning rate up to 0.1, while in float32
# (blue) nearly all of them change.
#
# An optimizer's own state has a similar problem. Adam keeps a mean of *squared* gradients and divides by its root plus
# a small ε of $10^{-8}$. In fp16, ε becomes zero, and so does the mean if the gradient is small. Then Adam divides by
# zero, and the weight is lost:

# %%
weight = nn.Parameter(torch.full((3,), 0.5, dtype=torch.float16))
optimizer = torch.optim.Adam([weight], lr=1e-3)
weight.grad = torch.tensor([1e-1, 1e-4, 1e-5], dtype=torch.float16)
optimizer.step()
print("three fp16 weights of 0.5, gradients 0.1, 0.0001 and 0.00001,")
print("after one step of Adam:", weight.tolist())

# %% [markdown]
# The oldest fix is a **master copy** ([Micikevicius et al. 2018](https://arxiv.org/abs/1710.03740)). The layers compute
# with low-precision weights, but updates go to a float32 copy, the *master*. It remembers changes that are still too
# small to show in low precision. After each step, the low-precision weights are rounded from the master again.
#
# **Exercise (4 points).** Implement one step with a master copy. The fp16 gradient comes multiplied by a loss scale, as
# in section 5.


# %% exercise="precision.master_step"
def master_step(master, gradient, scale, rate):
    """(new master, its fp16 copy) after a step of SGD: float32 [N], float16 [N].

    master: float32 [N]. gradient: float16 [N], multiplied by `scale`. scale, rate:
    floats.

    >>> master_step(torch.tensor([1.0]), torch.tensor([-8.0]).half(), 4.0, 0.0001)
    (tensor([1.0002]), tensor([1.], dtype=torch.float16))
    """
    ### BEGIN SOLUTION
    updated = master - rate * (gradient.float() / scale)
    return updated, updated.half()
    ### END SOLUTION


# %%
check("precision.master_step", master_step)

# %%
master_step = yours_or_ours("precision.master_step")
master = before.clone()
with_master, alone = master.half(), before.half()
gradient = (slope * 2.0**k).half()
for _ in range(50):
    master, with_master = master_step(master, gradient, 2.0**k, 0.001)
    alone = (alone.float() - 0.001 * slope).half()

# %% tags=["fold"]
# Numbers: distance from the result in float32
target = before - 50 * 0.001 * slope
errors = [
    ((w.float() - target).norm() / (before - target).norm()).item()
    for w in (with_master, alone)
]
print("after 50 small steps, distance from the result in float32 (before them: 1):")
print(f"  with a master copy {errors[0]:.2f}, without {errors[1]:.2f}")

# %% [markdown]
# There is a cheaper fix, which needs no second copy: *stochastic rounding*. It rounds up or down at random, with
# probabilities that make the mean right. An update of a tenth of the gap then moves the weight in one step out of ten,
# on average.
#
# Does this matter in training? In this experiment only the stored weights are bf16, and all else is float32. `MyNet` is
# trained from scratch for 120 steps of SGD at a constant learning rate, with three seeds
# (`nnopt record precision_weights`). At a rate of 0.001, how many points does bf16 cost?

# %%
predict("cost of weights stored in bf16, rate 0.001", unit="points lost")

# %%
stored = recorded("precision_weights", live=LIVE)["result"]

# %% tags=["fold"]
# Numbers: a function that compares pairs of seeds
# Student's t for a two-sided 95 % interval, by the number of pairs.
T_FACTOR = {3: 4.303, 5: 2.776}


def ahead(control, other):
    """Mean difference over pairs of seeds, and the ends of its 95 % interval."""
    gains = torch.tensor(other) - torch.tensor(control)
    reach = T_FACTOR[len(gains)] * gains.std().item() / len(gains) ** 0.5
    return gains.mean().item(), gains.mean().item() - reach, gains.mean().item() + reach


# %%
at = stored["rates"].index(0.001)
against = {
    way: ahead(stored["accuracy"]["float32"][at], rows[at])
    for way, rows in stored["accuracy"].items()
    if way != "float32"
}

# %%
# Answer: cost of weights stored in bf16, rate 0.001
reveal(
    "cost of weights stored in bf16, rate 0.001",
    -against["bf16"][0],
    -against["bf16"][2],
    -against["bf16"][1],
    because="More than nine tenths of the weights do not change in a step. The "
    "gradients are there, but the updates are rounded away.",
)

# %% tags=["fold"]
# Plot: accuracy and unchanged weights by rate
fig, (left, right) = plots.figure(ncols=2, height=3.6)
palette = dict(
    zip(
        stored["accuracy"],
        (plots.color_of("float32"), plots.color_of("bf16"), plots.GREEN, plots.PURPLE),
        strict=True,
    )
)
for way, rows in stored["accuracy"].items():
    plots.band(left, stored["rates"], list(zip(*rows, strict=True)), way, palette[way])
    right.plot(
        stored["rates"],
        [100 * share for share in stored["unmoved"][way]],
        "o-",
        color=palette[way],
    )
for ax in (left, right):
    ax.lines[0].set(linewidth=4.8, markersize=9)  # the copy's line lies on float32's
    ax.set(xlabel="learning rate")
    plots.log_axis(ax.xaxis, stored["rates"])
left.set(ylabel="test accuracy, %", ylim=(0, 90))
right.set(ylabel="% of stored weights\nthat a step does not change", ylim=(0, 102))
plots.legend(fig)
plots.finish(
    fig,
    "Both fixes follow float32 in accuracy while bf16 alone falls behind; the share "
    "of unchanged weights tells the fixes apart.",
)

# %% [markdown]
# What to see: on the left, the curves of both fixes lie on that of float32, and bf16 alone (gold) is below them at
# small learning rates. On the right, the two fixes differ as much as they can. With stochastic rounding (green), nearly
# as many weights stay the same in a step as without it. But on average each weight moves as far as it should, and that
# is enough to learn. For the master copy, the right side counts the masters. Nearly all of them change, though most
# changes are too small for the layers to see.

# %% tags=["fold"]
# Table: cost of weights stored in bf16
rows = [
    [way, f"{mean:+.2f}", f"{low:+.2f} to {high:+.2f}"]
    for way, (mean, low, high) in against.items()
]
display(Table(rows, ["weights", "points compared with float32", "95 % interval"]))

# %% [markdown] tags=["tells"]
# So a master copy is sometimes necessary, and sometimes not. With large steps, rounding is noise like any other. Small
# steps get lost: late in training, or in fine-tuning at a small learning rate.

# %% [markdown]
# If the float32 weights stay, how much memory does mixed precision save?

# %% question="precision.adam_bytes"
answer = None
### BEGIN SOLUTION
answer = 16
### END SOLUTION
question("precision.adam_bytes", answer)

# %% [markdown]
# Now count what autograd keeps for the backward pass with 64 pictures: all tensors it saves, except the parameters.

# %%
some = pictures.to_input(pictures.train.images[:64]), pictures.train.labels[:64]
kept = {
    name: kept_for_backward(net, *some, FORMATS[name].dtype if name == "bf16" else None)
    for name in ("float32", "bf16")
}

# %% tags=["fold"]
# Plot: memory kept for the backward pass
fig, ax = plots.figure(height=2)
rows = {"float32": kept["float32"], "bf16 autocast": kept["bf16"]}
kinds = {"float32": plots.BLUE, "bfloat16": plots.GOLD, "int64": plots.GREEN}
mebibytes = {
    name: {kind: sizes.get(kind, 0) / 2**20 for kind in kinds}
    for name, sizes in rows.items()
}
plots.stages(ax, mebibytes, kinds, labels="{:.1f}")
ax.set(xlabel="MiB kept for the backward pass, 64 pictures")
plots.legend(fig)
plots.finish(
    fig,
    "Memory kept for the backward pass: bf16 nearly halves the floats, the integers "
    "stay.",
)

# %% [markdown]
# What to see: bf16 (gold) nearly halves the bytes of the floats (blue). The integers (green), which store the position
# of each maximum in pooling, stay as they are.

# %% tags=["fold"]
# Claims: weights stored in bf16
at_rate = {
    way: [ahead(a, b) for a, b in zip(stored["accuracy"]["float32"], rows, strict=True)]
    for way, rows in stored["accuracy"].items()
}
others = [
    mean
    for way in ("bf16, rounded at random", "bf16 copy of float32")
    for mean, _, _ in at_rate[way]
]
floats = kept["bf16"]["bfloat16"] / kept["float32"]["float32"]
whole = sum(kept["bf16"].values()) / sum(kept["float32"].values())
claim(
    "In one step at rate 0.01, more than nine tenths of the weights do not change in "
    "bf16, and at rate 0.1 more than half.",
    still[0.01] > 90 and still[0.1] > 50,
)
claim(
    "In training at a rate of 0.001, weights stored in bf16 lose accuracy: the "
    "interval is below 0.",
    at_rate["bf16"][at][2] < 0,
)
claim(
    "Both fixes are within 1 point of float32 on average at every rate.",
    max(map(abs, others)) < 1,
)
claim(
    "In training at a rate of 0.01, bf16 is within half a point of float32 on average.",
    abs(at_rate["bf16"][-1][0]) < 0.5,
)
claim(
    "In training at a rate of 0.0003, bf16 loses 19 points on average, but the seeds "
    "differ so much that the interval contains 0.",
    round(-at_rate["bf16"][0][0]) == 19 and at_rate["bf16"][0][2] > 0,
)
claim(
    "In training at 0.001, more than nine tenths of the weights do not change in a "
    "step in bf16.",
    stored["unmoved"]["bf16"][at] > 0.9,
)
claim(
    "With stochastic rounding, more than four fifths do not change.",
    stored["unmoved"]["bf16, rounded at random"][at] > 0.8,
)
claim(
    "In one step at rate 0.01, fewer weights stay unchanged in fp16 than in bf16, and "
    "in float32 fewer than a tenth.",
    unmoved["float32"][4] < 10 < unmoved["fp16"][4] < still[0.01],
)
claim(
    "If the squared gradient underflows in Adam, the weight is lost.",
    not weight[1:].isfinite().any(),
)
claim(
    "After 50 small steps, weights with a master copy are closer to float32's result.",
    errors[0] < errors[1],
)
claim(
    "With autocast, a little more than half of the floats' bytes are kept for the "
    "backward pass (bf16 copies of weights included).",
    0.5 < floats < 0.6,
)
claim("Of all bytes kept, 60 to 75 % remain.", 0.6 < whole < 0.75)
claim(
    "Integers do not shrink: they store the position of each maximum in pooling.",
    kept["bf16"]["int64"] == kept["float32"]["int64"],
)

# %% [markdown]
# ## 7. Integers forward, floats backward
#
# fp8 has an exponent, so it can also be used in the backward pass, with a scale per tensor (as `loss_shift` finds it).
# int8 cannot: its gap is the same everywhere, and gradients spread over more than thirty powers of two. In the
# *forward* pass, however, int8 rounds activations and weights more finely than fp8. The next cell measures this in
# *decibels* (dB), which say how far the signal is above the rounding noise; 20 dB more mean an error ten times smaller.

# %%
flat = torch.flatten(
    net.features(pictures.to_input(pictures.train.images[:32])), 1
).detach()
weight = net.classifier[0].weight.detach()


def decibels(tensor, per):
    """Signal-to-noise ratios of int8 and of fp8 e4m3, each with scales, in dB."""
    on_grid = quantization.fake_quantize(tensor, quantization.grid_of(tensor, per=per))
    in_fp8 = precision.Rounding(FORMATS["fp8 e4m3"], None, scaled=True)(tensor)
    return [quantization.signal_to_noise(tensor, low) for low in (on_grid, in_fp8)]


# %%
of_layer = [decibels(weight, "channel"), decibels(flat, "tensor")]

# %% tags=["fold"]
# Table: noise of int8 and fp8
rows = [
    [name, *(f"{decibel:.1f}" for decibel in both)]
    for name, both in zip(("weights", "activations"), of_layer, strict=True)
]
display(Table(rows, ["signal over noise, dB", "int8", "fp8 e4m3"]))

# %% [markdown]
# So mix them: integers forward, bf16 backward. This is one way to read the article's idea, "floats and integers mixed
# in training".
#
# **Exercise (4 points).** Implement the forward pass of a linear layer in int8. Divide each value by a scale and round
# it. The scale maps the largest magnitude to 127. Use one scale for all of x, and one per row of the weight.


# %% exercise="precision.int8_product"
def int8_product(x, weight):
    """x @ weight.T, computed with integers from −127 to 127, then scaled back.

    x: float [N, K], not all zero. weight: float [M, K], no row all zero → float [N, M].

    >>> int8_product(torch.tensor([[127, 0.4]]), torch.tensor([[127.0, 9], [0, -254]]))
    tensor([[16129.,     0.]])
    """
    ### BEGIN SOLUTION
    scale = x.abs().max() / 127
    scales = weight.abs().amax(1, keepdim=True) / 127
    sums = (x / scale).round() @ (weight / scales).round().T
    return sums * scale * scales.T
    ### END SOLUTION


# %%
check("precision.int8_product", int8_product)

# %% [markdown]
# Here is such a layer with real integers. It multiplies int8 with `torch._int_mm` in the forward pass, keeps the int8
# tensors for the backward pass, and computes gradients in bf16. Integers up to 127 are exact in bf16. The derivative of
# rounding is 0 almost everywhere, so the backward pass ignores the rounding and passes the gradient through unchanged:
# the *straight-through* gradient.


# %%
class Int8Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        of_x, of_w = (
            quantization.grid_of(x),
            quantization.grid_of(weight, per="channel"),
        )
        q, r = quantization.quantize(x, of_x), quantization.quantize(weight, of_w)
        ctx.save_for_backward(q, r, of_x.scale, of_w.scale)
        return torch._int_mm(q, r.T.contiguous()) * of_x.scale * of_w.scale.T

    @staticmethod
    def backward(ctx, gradient):
        q, r, scale, scales = ctx.saved_tensors
        of_x = (gradient * scales.T).bfloat16() @ r.bfloat16()
        of_weight = gradient.bfloat16().T @ q.bfloat16()
        return of_x.float(), of_weight.float() * scale


# %% tags=["fold", "nbval-ignore-output"]
# Table: differences from float32
int8_product = yours_or_ours("precision.int8_product")
torch.manual_seed(0)
with torch.no_grad():
    x = torch.flatten(net.features(some[0][:32]), 1)
layers = {}
for name, product in (
    ("float32", lambda x, w: x @ w.T),
    ("int8 forward, bf16 backward", Int8Forward.apply),
):
    entering, w = (
        x.clone().requires_grad_(),
        net.classifier[0].weight.detach().clone().requires_grad_(),
    )
    result = product(entering, w)
    result.backward(
        torch.randn(result.shape, generator=torch.Generator().manual_seed(1))
    )
    layers[name] = result.detach(), entering.grad, w.grad
noise = [
    quantization.signal_to_noise(a, b) for a, b in zip(*layers.values(), strict=True)
]

by_torch, by_you = (
    layers["int8 forward, bf16 backward"][0],
    int8_product(x, net.classifier[0].weight.detach()),
)
# Some x86 processors without VNNI add pairs of 8-bit products in 16 bits, and not every
# library avoids the overflow.
exact_sums = (
    torch.equal(torch._int_mm(q, r).double(), q.double() @ r.double()),
    "sums of 8-bit products overflow on this processor",
)

names = ("output", "gradient of x", "gradient of weights")
rows = [[name, f"{level:.1f}"] for name, level in zip(names, noise, strict=True)]
display(Table(rows, ["tensor", "dB above its difference from float32's"]))

# %% [markdown]
# Now train the whole network with such layers, and with other *mixtures*, that is, combinations of formats. `MyNet` is
# trained from scratch for 200 steps of SGD with a one-cycle learning rate up to 0.05, with five seeds, and each run is
# compared with the float32 run of the same seed. All formats are emulated, so that the results do not depend on the
# processor (`nnopt record precision_training`; integers by `qat.prepare`, bf16 by `precision.emulate`). How many points
# does the network with integers lose?

# %%
predict("cost of int8 forward, bf16 backward", unit="points lost")

# %%
trained = recorded("precision_training", live=LIVE)["result"]["accuracy"]
behind = {
    name: ahead(trained["float32"], values)
    for name, values in trained.items()
    if name != "float32"
}

# %%
# Answer: cost of int8 forward, bf16 backward
mean, low, high = behind["int8 forward, bf16 backward"]
reveal(
    "cost of int8 forward, bf16 backward",
    -mean,
    -high,
    -low,
    because="No loss is shown: the interval contains 0. A batch of 64 pictures is such "
    "a small sample that its own noise is far larger than that of rounding.",
)

# %% tags=["fold"]
# Table: accuracy of each training
rows = [["float32", f"{sum(trained['float32']) / 5:.2f} %", None, None]]
for name, (mean, low, high) in behind.items():
    accuracy, interval = sum(trained[name]) / 5, f"{low:+.2f} to {high:+.2f}"
    rows.append([name, f"{accuracy:.2f} %", f"{mean:+.2f}", interval])
Table(rows, ["training", "accuracy", "points above float32", "95 % interval"])

# %% tags=["fold"]
# Plot: points above float32
fig, ax = plots.figure(height=3)
plots.intervals(ax, behind, reference=0)
ax.set(xlabel="points above float32, mean of five pairs with 95 % interval")
plots.finish(
    fig,
    "Points above float32 for six ways to train, with intervals that all contain 0.",
)

# %% [markdown]
# What to see: every interval contains the dashed line, float32.


# %% tags=["fold"]
# Claims: int8 and fp8 in training
def of_parameters(model, inputs, labels):
    """Gradients of all parameters, in the order of their names."""
    F.cross_entropy(model(inputs), labels).backward()
    named = {
        name.replace("parametrizations.", "").replace(".original", ""): p
        for name, p in model.named_parameters()
    }
    return torch.cat([named[name].grad.flatten() for name in sorted(named)])


of_layers = [g[g != 0] for g in flowing_by_layer]
zeros = torch.cat(
    [quantization.quantize(g, quantization.grid_of(g)) == 0 for g in of_layers]
)
zeros = zeros.float().mean().item()
spread = between.abs().log2().quantile(torch.tensor([0.001, 0.999])).diff().item()
batches = [
    (pictures.to_input(b.images), b.labels)
    for b in (pictures.train[:64], pictures.train[64:128])
]
integers = qat.prepare(copy.deepcopy(net), batches[0][0], 8, 8, method="min-max").eval()
integers = precision.emulate(integers, None, FORMATS["bf16"])
one, other = (of_parameters(copy.deepcopy(net), *batch) for batch in batches)
rounded = of_parameters(integers, *batches[0])
claim(
    "No mixture shows a difference: every interval contains 0.",
    all(low <= 0 <= high for _, low, high in behind.values()),
)
claim(
    "In int8, more than two thirds of the gradients between layers would become zero.",
    zeros > 2 / 3,
)
claim(
    "In the forward pass, int8 is more than 2 dB better than fp8, for weights and "
    "activations.",
    all(i > f + 2 for i, f in of_layer),
)
claim(
    "No interval goes beyond 0.6 points.",
    all(max(-low, high) < 0.6 for _, low, high in behind.values()),
)
claim(
    "Gradients between layers spread over more than thirty powers of two, even without "
    "the smallest and the largest thousandth of them.",
    spread > 30,
)
claim(
    "The exercise's product differs from torch's integers by less than a thousandth "
    "(60 dB).",
    quantization.signal_to_noise(by_torch, by_you) > 60,
    where=exact_sums,
)
claim(
    "Output and both gradients are within 3 % of float32's (30.5 dB).",
    min(noise) > 30.5,
    where=exact_sums,
)
claim(
    "Gradients differ over 5 times more between two batches than by rounding.",
    (one - other).norm() > 5 * (one - rounded).norm(),
)
claim(
    "On average, all mixtures are within 0.2 points of float32.",
    all(abs(mean) < 0.2 for mean, _, _ in behind.values()),
)

# %% [markdown] tags=["tells"]
# The means are less than 0.2 points from float32's, and five pairs show no difference for any mixture. If there is one,
# it is smaller than about 0.6 points. Even weights *stored* in bf16 do well here, since most of this training uses
# large learning rates; section 6 showed when they fail. Once nothing underflows and no update gets lost, choose formats
# for speed and memory.

# %% [markdown]
# ## 8. Playground
#
# Type a number, such as 0.1, 448 or 65536, and see what each format stores.

# %%
precision_playground()

# %% [markdown]
# ## Summary
#
# This table combines what your machine measured with the recorded trainings:

# %% tags=["fold", "nbval-ignore-output"]
# Table: mixtures of formats
requirements = {
    "bf16": ("nothing", "bf16"),
    "fp16 and scaler": ("a loss scale", "fp16"),
    "fp8 and scales": ("a scale per tensor", None),
    "int8 forward, bf16 backward": ("scales, straight-through gradients", "int8"),
    "bf16, stored too": ("a master copy, or stochastic rounding", "bf16"),
}
rows = []
for name, (need, kind) in requirements.items():
    speed = gain[f"product, {kind}"] if kind else None
    of_speed = measure.times_as_fast(speed) if speed else None
    of_points = measure.with_interval(behind[name], "+.2f")
    rows.append([name, need, of_speed, of_points])
heads = ["speed of a product\none thread here", "points above float32\nafter training"]
Table(
    rows,
    ["mixture", "requires", *heads],
    "Speeds compared with float32; 95 % intervals",
)

# %% [markdown]
# You can now choose number formats for training, recognise underflow and lost updates, and fix both.
#
# - **The exponent gives range, the mantissa precision.** fp16 lacks range, and bf16 lacks precision.
# - **Sums need float32.** In a format with few bits, small numbers added to a large one get lost, in a matrix product
#   as in a weight that learns.
# - **Autocast** uses few bits for products and float32 for sensitive operators, and leaves the weights in float32.
# - **fp16 needs a loss scale**, since its gradients underflow silently. bf16 has the range of float32 and needs none.
# - **Weights stored in few bits** need a master copy or stochastic rounding, above all at small learning rates.
# - **Mixed precision saves** memory for activations, and data movement, but no memory for weights. It only saves time
#   if the processor has instructions for the format.
# - **Floats and integers can be mixed**: integers forward, bf16 backward.
#
# **In practice** (2026): bf16 autocast is the usual choice on GPUs and on server processors with AMX, and fp16 with a
# scaler is mostly left to older GPUs. tf32 speeds up float32 products (`torch.set_float32_matmul_precision("high")`).
# Some large language models are trained in fp8 with a scale per tensor or per block (e4m3 in the forward pass, e5m2 or
# e4m3 in the backward pass), by NVIDIA's Transformer Engine or `torchao.float8`, or in block formats such as MXFP8 and
# NVFP4. Optimizer states are kept in float32, in bf16, or in 8 bits with scales
# ([Dettmers et al. 2022](https://arxiv.org/abs/2110.02861)).
#
# **Further reading.**
# [Goldberg, *What every computer scientist should know about floating-point arithmetic* (1991)](https://doi.org/10.1145/103162.103163) ·
# [Gupta et al., *Deep learning with limited numerical precision* (2015)](https://arxiv.org/abs/1502.02551) ·
# [Micikevicius et al., *Mixed precision training* (2018)](https://arxiv.org/abs/1710.03740) ·
# [Kalamkar et al., *A study of BFLOAT16 for deep learning training* (2019)](https://arxiv.org/abs/1905.12322) ·
# [Micikevicius et al., *FP8 formats for deep learning* (2022)](https://arxiv.org/abs/2209.05433) ·
# [Dettmers et al., *8-bit optimizers via block-wise quantization* (2022)](https://arxiv.org/abs/2110.02861) ·
# [PyTorch's documentation of `torch.amp`](https://docs.pytorch.org/docs/stable/amp.html).
#
# **Next:** [12 Hardware](12_hardware.ipynb) looks for the fastest program that your processor can run.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
