# %% [markdown]
# # Mixed precision: fewer bits while learning
#
# Lessons 05 to 08 put a *trained* network on few bits. This one trains with them. You will
#
# - take numbers apart into bits, in six formats, and find the two ways in which each of them fails;
# - watch a sum that stops growing, and gradients that become zero, and cure both;
# - let `torch.autocast` choose the formats, and measure what that gains on your processor;
# - write the loss scaling that fp16 needs, and find out why bf16 doesn't;
# - store weights in bf16, see that they no longer learn, and bring them back in two ways;
# - train with whole numbers forward and floats backward, which is what the article that this course grew out of hoped
#   for in its last section.
#
# It takes about three quarters of an hour and needs nothing from the lessons before.
#
# Some words. A floating-point number is ±1.*something* · 2^*exponent*; the bits of the something are its **mantissa**.
# What is too large for a format **overflows** to infinity, what is too small **underflows** to zero. The format **bf16**
# is bfloat16, **fp16** is float16 ("half"), **tf32** a format inside NVIDIA's GPUs, **fp8** either of two with eight
# bits. The **loss scale** is a factor on the loss, **master weights** are weights kept in float32 beside their copies
# with fewer bits.

# %%
import copy
import math
import platform

import torch
from IPython.display import HTML
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
from nnopt_lab.lessons.mixed_precision.playground import precision_playground
from nnopt_lab.techniques import quantization
from nnopt_lab.techniques.deployment import processor
from nnopt_lab.techniques.quantization import precision, qat
from nnopt_lab.techniques.quantization.precision import FORMATS
from nnopt_lab.workbench import data, measure, models, plots, training

lesson("11_mixed_precision")

# %%
LIVE = False  # True runs the recorded trainings on this machine: about half an hour on one core
torch.set_num_threads(1)  # what is compared below then has the same core
pictures = data.load("fashion")
net = models.trained("mynet")
COLORS = dict(
    zip(
        FORMATS,
        (
            plots.REFERENCE,
            plots.PURPLE,
            plots.BLUE,
            plots.ORANGE,
            plots.SKY,
            plots.GREEN,
        ),
        strict=True,
    )
)

# %% [markdown]
# ## 1. Six formats
#
# Every format spends one bit on the sign. The others it divides between *exponent* (how far it reaches) and *mantissa*
# (how finely it divides). Here is 0.1 in all of them.

# %%
fig, ax = plots.figure(figsize=(8, 2.6))
for row, format in enumerate(FORMATS.values()):
    left = 0
    for part, color in zip(
        precision.bits_of(0.1, format),
        (plots.REFERENCE, plots.ORANGE, plots.BLUE),
        strict=True,
    ):
        ax.barh(row, len(part) - 0.15, left=left, height=0.75, color=color, alpha=0.25)
        ax.text(
            left + len(part) / 2 - 0.07,
            row,
            part,
            ha="center",
            va="center",
            family="monospace",
            fontsize=8,
        )
        left += len(part)
    held = precision.round_to(torch.tensor(0.1), format).item()
    ax.text(33, row, f"{held:.9f}", va="center", fontsize=9)
ax.set_yticks(range(len(FORMATS)), list(FORMATS))
ax.set(
    xlim=(0, 39),
    xticks=[],
    ylim=(5.6, -0.6),
    title="0.1: sign, exponent (orange), mantissa (blue), and what is held",
)
ax.grid(False)
plots.finish(fig)

# %%
for name, format in FORMATS.items():
    print(
        f"{name:9} {format.bits:2} bits, from {format.smallest:8.2g} to {format.largest:8.3g}, next after 1: {1 + 2.0**-format.mantissa_bits:.8g}"
    )
claim(
    "bf16 reaches as far as float32: both have 8 bits of exponent",
    FORMATS["bf16"].largest > 3.3e38,
)
claim("fp16 ends at 65,504", FORMATS["fp16"].largest == 65504)
first_half, whole = (
    "".join(precision.bits_of(1.5, FORMATS["float32"]))[:16],
    precision.bits_of(1.5, FORMATS["bf16"]),
)
claim(
    "and float32's first 16 bits, cut off, are a number in bf16",
    first_half == "".join(whole),
)

# %% [markdown]
# The exponent is stored with an offset, 127 where it has 8 bits: 01111011 is 123 and stands for −4. So float32 holds the
# number as 1.6 · $2^{-4}$, and of the 1.6 the mantissa stores only what follows the point.
#
# tf32 takes 19 of float32's 32 bits: the reach of float32 and bf16, the fineness of fp16. It only exists inside a GPU's
# units that multiply; in memory it is a float32. fp8 comes in two kinds because eight bits don't suffice for reach and
# fineness both. Their names count the bits: e4m3, with 4 of exponent and 3 of mantissa, is meant for what flows
# forward, e5m2, which reaches further, for gradients.
#
# Between two powers of two the numbers of a format lie equally spaced, and at each power of two the gap doubles. That
# ends at the lower end: a number whose exponent would be below the smallest is **subnormal**. It loses its leading 1,
# and the gap no longer shrinks.
#
# **Exercise (2 points).** How far apart are a format's numbers at x?


# %% exercise="precision.spacing"
def spacing(x, mantissa_bits, smallest_exponent):
    """The gap between neighbouring numbers of a format at x, or just above |x| where that is one of them.

    x: a float, not 0. mantissa_bits: of the format. smallest_exponent: below 2^smallest_exponent it is subnormal.
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
# Divide the gap by x, and you have the picture to remember. Numbers are rounded to the nearest, so half of the gap is
# the largest error. As a share of x, how large can it get in bf16?

# %%
predict("largest error of rounding to bf16", unit="% of the number")

# %%
spacing = yours_or_ours("precision.spacing")
exponents = [e / 4 for e in range(-4 * 40, 4 * 20)]
fig, ax = plots.figure(figsize=(9, 4))
for name, format in FORMATS.items():
    sizes = [2.0**e for e in exponents if format.smallest <= 2.0**e <= format.largest]
    errors = [
        50 * spacing(size, format.mantissa_bits, format.smallest_exponent) / size
        for size in sizes
    ]
    ax.plot([math.log2(size) for size in sizes], errors, color=COLORS[name], label=name)
reach = [2.0**e for e in exponents if 2.0**e <= 1 and 2.0**e > 0.5 / 127]
ax.plot(
    [math.log2(size) for size in reach],
    [50 / 127 / size for size in reach],
    "k:",
    label="int8, grid from −1 to 1",
)
ax.set(
    yscale="log",
    xlabel="size of the number: 2 to the power of",
    ylabel="largest error, %",
    ylim=(1e-6, 200),
)
fig.legend(loc="outside right center", frameon=False)
plots.finish(fig)

# %%
worst = 50 * spacing(
    1.0, FORMATS["bf16"].mantissa_bits, FORMATS["bf16"].smallest_exponent
)
reveal(
    "largest error of rounding to bf16",
    worst,
    because="Seven mantissa bits: the gap after 1 is 1/128, half of it 1/256. That is between two and three decimal digits, and "
    "neural networks are fine with it nearly everywhere. This lesson is about where they aren't.",
)

# %% [markdown]
# A floating-point format is a flat line: the same *relative* error over its whole reach. fp16 is flat from $2^{16}$
# down to $2^{-14}$; below, the subnormal numbers run out of bits, its line rises, and at $2^{-24}$ it ends. (The saw
# teeth are the gap that doubles.) int8 has no flat part: its gap is the same everywhere, so its relative error doubles
# whenever the number halves. That is why integers need a scale that fits (lesson 05), and floats mostly don't.
#
# Play with it: try 0.1, 257, 65520, 1e-8, 448.

# %%
precision_playground()

# %% [markdown]
# ## 2. Rounding
#
# **Exercise (3 points).** Round numbers to a few mantissa bits. Leave the ends of the range aside, and where two numbers
# are equally near take the even one, as `torch.round` does.


# %% exercise="precision.round_mantissa"
def round_mantissa(x, mantissa_bits):
    """Each of x, rounded to the nearest number with so many mantissa bits. x: float32 [N], no zeros → float32 [N]."""
    ### BEGIN SOLUTION
    step = 2.0 ** (x.abs().log2().floor() - mantissa_bits)
    return (x / step).round() * step
    ### END SOLUTION


# %%
check("precision.round_mantissa", round_mantissa)

# %%
round_mantissa = yours_or_ours("precision.round_mantissa")
weights = net.classifier[0].weight.detach().flatten()
claim(
    "on all 262,144 weights of a layer yours is torch's own cast to bf16",
    torch.equal(round_mantissa(weights, 7), weights.bfloat16().float()),
)
claim(
    "the library's version, with the ends of the range, agrees too",
    torch.equal(
        precision.round_to(weights, FORMATS["bf16"]), weights.bfloat16().float()
    ),
)

# %% [markdown]
# Now the network. A unit that multiplies bf16, fp16 or fp8 numbers usually adds their products in float32 and rounds
# the sum. So any of these formats can be *emulated*: round what goes into each layer and what comes out, and let
# float32 do the rest. `precision.emulate` does that, and the format runs on any processor, as fast as float32 does.
# (Section 4 checks it against the real thing.)
#
# How many points does the trained network lose, of about 89 %, when all it computes with is fp8 e5m2: two bits of
# mantissa?

# %%
predict("accuracy lost with fp8 e5m2", unit="points")

# %%
some, outputs = pictures.test[:2_000], []
watched = [
    layer.register_forward_hook(
        lambda layer, x, y: outputs.append(
            max(x[0].abs().max().item(), y.abs().max().item())
        )
    )
    for layer in net.modules()
    if isinstance(layer, quantization.QUANTIZABLE)
]
right = {"float32": training.evaluate(net, some, pictures).correct}
largest_inside = max(outputs)
for hook in watched:
    hook.remove()
for name in ("bf16", "fp16", "fp8 e4m3", "fp8 e5m2"):
    low = precision.emulate(copy.deepcopy(net), FORMATS[name], None)
    right[name] = training.evaluate(low, some, pictures).correct
lost = {
    name: measure.proportion_difference(r, right["float32"])
    for name, r in right.items()
    if name != "float32"
}
fig, ax = plots.figure(figsize=(7, 2.2))
middle = [lost[name].estimate for name in lost]
ends = [
    [lost[n].estimate - lost[n].low for n in lost],
    [lost[n].high - lost[n].estimate for n in lost],
]
ax.errorbar(middle, range(len(lost)), xerr=ends, fmt="o", capsize=3)
ax.axvline(0, color=plots.REFERENCE, linestyle="--")
ax.set_yticks(range(len(lost)), list(lost))
ax.set(
    ylim=(3.5, -0.5),
    xlabel="points lost against float32, 2,000 test pictures (negative: gained)",
)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
worst = lost["fp8 e5m2"]
reveal(
    "accuracy lost with fp8 e5m2",
    worst.estimate,
    worst.low,
    worst.high,
    because="An error of up to an eighth in every number, and it hardly matters: errors of many numbers partly cancel in each "
    "sum, and a class changes only where two of them were nearly equal.",
)

# %%
claim(
    "bf16 and fp16 lose less than half a point, the interval included",
    max(lost[n].high for n in ("bf16", "fp16")) < 0.5,
)
claim(
    "fp8 loses less than two points, the interval included",
    max(interval.high for interval in lost.values()) < 2,
)
claim("in float32 about 89 % are right", 0.88 < right["float32"].float().mean() < 0.90)
claim(
    "no number on the way is beyond fp8 e4m3's 448",
    largest_inside < FORMATS["fp8 e4m3"].largest,
)

# %% [markdown]
# For *using* a network, then, a few bits are plenty. Training is harder: it adds small numbers to large ones, thousands
# of times, and it works with numbers of very different sizes. The first problem comes next, the second in section 5.
#
# ## 3. Sums
#
# Add 0.001 ten thousand times. In float32 that makes 10.0004. What does it make in bf16, if every partial sum is
# rounded to bf16?

# %%
predict("0.001 added ten thousand times in bf16", unit="of 10")

# %%
sums = {}
for name in ("float32", "fp16", "bf16"):
    small, total, sums[name] = (
        torch.tensor(0.001, dtype=FORMATS[name].dtype),
        torch.zeros((), dtype=FORMATS[name].dtype),
        [],
    )
    for _ in range(10_000):
        total = total + small
        sums[name].append(total.item())
fig, ax = plots.figure(figsize=(7, 3.2))
for name, values in sums.items():
    ax.plot(values, color=COLORS[name], label=name)
ax.set(xlabel="numbers added", ylabel="sum")
ax.legend()
plots.finish(fig)

# %%
reveal(
    "0.001 added ten thousand times in bf16",
    sums["bf16"][-1],
    because="From 0.5 on the gap is 1/256. Half of it is more than 0.001, so every further number is rounded away. The sum is "
    "not merely inexact; it has stopped.",
)

# %%
claim("float32 makes 10.0004 of it", f"{sums['float32'][-1]:.4f}" == "10.0004")
claim("bf16 stops at 0.5", sums["bf16"][-1] == 0.5)
claim("fp16 at 4", sums["fp16"][-1] == 4)
steps = {
    after - before
    for before, after in zip(sums["fp16"], sums["fp16"][1:], strict=False)
    if 2 <= before < 4
}
claim("and between 2 and 4 it counts each 0.001 as 1/512", steps == {1 / 512})
thousandths = torch.full((10_000,), 0.001, dtype=torch.bfloat16)
claim("torch's own sum of the same bf16 numbers is 10", thousandths.sum().item() == 10)
ones = torch.ones(1, 4096, dtype=torch.bfloat16)
claim(
    "and its product of 4,096 ones with 4,096 ones is 4,096, not the 256 at which a bf16 sum stops",
    (ones @ ones.T).item() == 4096,
)

# %% [markdown]
# Before the sums stop they run *ahead*: between 2 and 4 fp16's gap is 1/512, and 0.001, a little more than half of it,
# is rounded up to the whole gap. Then the gap doubles, and 0.001 is less than half.
#
# One calls the standstill *swamping*. Torch's kernels avoid it: they read bf16, add in float32 and round once at the
# end, and so do the processors' units for bf16 and fp16 products. Whoever writes `total = total + x` in bf16 does not.
#
# You can't leave that to the kernels everywhere, though. *Learning itself* is such a sum: a weight, plus small updates,
# one after the other. Section 6 comes back to it.
#
# ## 4. Autocast
#
# So: products in few bits, sums in float32, and weights in float32 as well. That is what `torch.autocast` arranges. The
# model and its parameters stay float32; inside the block every operator is given inputs in a format chosen for it.
#
#     with torch.autocast("cpu", torch.bfloat16):       # "cuda" on a GPU
#         loss = F.cross_entropy(model(inputs), labels)
#     loss.backward()                                   # outside of the block: the layers remember their formats
#     optimizer.step()                                  # float32 weights, float32 gradients
#
# Which format comes out of which operator? Ask.

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
for name, result in shown.items():
    print(f"{name:30} → {str(result.dtype).removeprefix('torch.')}")
claim(
    "linear layers, convolutions and products give bf16",
    all(shown[n].dtype == torch.bfloat16 for n in list(shown)[:3]),
)
claim(
    "the losses are computed in float32",
    all(shown[n].dtype == torch.float32 for n in list(shown)[-2:]),
)

# %% [markdown]
# Three groups: *what multiplies* gets bf16 whatever it is given; *what is delicate* gets float32; and what is neither
# takes its inputs as they come. What counts as delicate depends on the device. On CUDA it is also softmax, norms,
# exponentials, powers and sums; the CPU's list is shorter, and its kernels for these mostly calculate in float32 inside
# and round at the end.
#
# Why delicate? Because of what lies *between* the numbers that go in and those that come out. An activation of 300 is
# nothing special, its square is beyond fp16. Float32 in the right place helps; it does not bring back what the layer
# before has rounded away:

# %%
activations = torch.full((64,), 300.0)
half = activations.half()
by_hand = half.pow(2).mean().sqrt()
print(
    f"root of the mean square of numbers that are all 300: {by_hand.item()} step by step in fp16, {half.float().pow(2).mean().sqrt().item()} in float32"
)
claim("fp16 overflows on the way", by_hand.isinf())
scores = torch.tensor([[12.0, 12.03]])
claim(
    "scores of 12 and 12.03 are the same in bf16, so that not even a loss in float32 can tell them apart",
    scores.bfloat16().float()[0, 0] == scores.bfloat16().float()[0, 1],
)

# %% [markdown]
# And the speed? A processor gains from bf16 only if it has instructions that multiply it (x86: AVX-512-BF16, AMX; ARM:
# BF16), and from fp16 likewise. Without them a library must convert every number to float32 and back, or torch falls
# back to plain loops. Yours:

# %% tags=["nbval-ignore-output"]
machine = measure.machine()
tells = getattr(torch.cpu, "get_capabilities", dict)()
known = {name for name, there in tells.items() if there is True} | set(
    machine.instructions
)
bf16_units = sorted(known & {"avx512_bf16", "amx_bf16", "avx10_2", "bf16", "sve_bf16"})
fp16_units = sorted(known & {"avx512_fp16", "amx_fp16", "avx10_2", "fp16_arith"})
print(machine.processor)
print(
    "multiplies bf16 with:",
    ", ".join(bf16_units) or "nothing that the system tells of: no fast path",
)
print(
    "multiplies fp16 with:",
    ", ".join(fp16_units) or "nothing that the system tells of: no fast path",
)
print(
    "multiplies int8 with:",
    ", ".join(processor.int8_instructions())
    or "nothing that the system tells of: no fast path",
)

# %% [markdown]
# How many times as fast as float32 is a training step under bf16 autocast on it? (Below 1: slower.)

# %%
predict("training step under bf16 autocast against float32", unit="×")

# %%
inputs, labels = (
    pictures.to_input(pictures.train.images[:16]),
    pictures.train.labels[:16],
)


def training_step(dtype, device="cpu"):
    """A function that does one training step of a copy of the network; timed in inference mode, which it leaves."""
    worker = copy.deepcopy(net).to(device).train()
    optimizer = torch.optim.SGD(worker.parameters(), 1e-6)
    targets = labels.to(device)

    def one(x):
        with torch.inference_mode(False), torch.enable_grad():
            precision.step(
                worker, x, targets.repeat(len(x) // 16), optimizer, dtype=dtype
            )

    return one


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
of_step = measure.latency(
    {"float32": training_step(None), "bf16": training_step(torch.bfloat16)},
    inputs,
    rounds=7,
    budget_seconds=1,
)
gain = {
    f"product, {n}": measure.ratio(of_product["float32"], of_product[n])
    for n in ("bf16", "fp16", "int8")
}
gain["training step, bf16 autocast"] = measure.ratio(
    of_step["float32"], of_step["bf16"]
)

fig, ax = plots.figure(figsize=(8, 2.4))
ends = [
    [ratio.median - ratio.low for ratio in gain.values()],
    [ratio.high - ratio.median for ratio in gain.values()],
]
for row, (name, ratio) in enumerate(gain.items()):
    color = (
        plots.GREEN
        if "int8" in name
        else plots.ORANGE
        if "fp16" in name
        else plots.BLUE
    )
    ax.barh(
        row,
        ratio.median - 1,
        left=1,
        xerr=[[e[row]] for e in ends],
        color=color,
        height=0.6,
        capsize=3,
    )
    ax.text(
        1.01,
        row,
        f"{ratio.median:.2g} ×",
        va="center",
        fontsize=9,
        transform=ax.get_yaxis_transform(),
    )
ax.axvline(1, color=plots.REFERENCE, linestyle="--")
ax.set_yticks(range(len(gain)), list(gain))
ax.invert_yaxis()
ax.set(
    xscale="log",
    xlabel="times as fast as float32, one thread (left of the line: slower)",
)
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
ratio = gain["training step, bf16 autocast"]
reveal(
    "training step under bf16 autocast against float32",
    ratio.median,
    ratio.low,
    ratio.high,
    because="With units for bf16 the products get several times as fast, and everything else moves half of the bytes. Without them "
    "they only get slower, and autocast's conversions come on top.",
)

# %%
# AVX-NE-CONVERT, on some newer laptops without AVX-512, converts bf16 quickly.
modern = any(
    name.lower().startswith(("avx512", "avx10", "amx", "avx_ne_convert"))
    for name in known
)
old_x86 = platform.machine() in processor.X86 and not modern
claim(
    "bf16 is slower in the product and in the step: this x86 processor has nothing newer than AVX2",
    max(gain["product, bf16"].median, ratio.median) < 0.8,
    where=(old_x86, "this is no x86 processor, or a newer one"),
    timing=True,
)
claim(
    "with AMX, bf16 is faster in the product",
    gain["product, bf16"].median > 1.2,
    where=needs("AMX"),
    timing=True,
)

# %% [markdown]
# On the machine where this lesson was written, which has no such instructions, bf16 autocast is a mistake, and by a
# large factor. On a server's processor with AMX and on every GPU of the last years it is the first thing to switch on.
# The format is the same everywhere; what it gains is a property of the processor. So measure, before you copy
# somebody's recipe.
#
# Here is the same step on your accelerator, if there is one.

# %% tags=["nbval-ignore-output"]
device = training.best_device()
if device.type == "cpu":
    print(
        "This machine has no accelerator that torch finds; the cell would measure float32, bf16 and fp16 steps on it."
    )
else:
    many = pictures.to_input(pictures.train.images[:16]).repeat(64, 1, 1, 1).to(device)
    there = {
        n: training_step(FORMATS[n].dtype if n != "float32" else None, device)
        for n in ("float32", "bf16", "fp16")
    }
    on_device = measure.latency(there, many, rounds=20, budget_seconds=3)
    for name in ("bf16", "fp16"):
        print(
            f"{machine.accelerator}, {name} autocast, 1,024 pictures: {measure.ratio(on_device['float32'], on_device[name])}"
        )

# %% [markdown]
# Whether it is fast or slow, are the numbers those of the emulation? One batch, its gradients under real bf16 and fp16
# autocast, emulated, and in float32:


# %%
def gradients(model, dtype=None):
    model.zero_grad()
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        loss = F.cross_entropy(model(inputs), labels)
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


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
claim(
    "the emulated gradients are at least five times nearer to the real bf16 ones than float32's",
    5 * close["bf16"][0] < close["bf16"][1],
)
claim(
    "and to the real fp16 ones (processors other than x86 may add products in fp16)",
    5 * close["fp16"][0] < close["fp16"][1],
    where=needs("x86"),
)
claim(
    "bf16 rounds more coarsely than fp16: its gradients are at least three times as far from float32's",
    close["bf16"][1] > 3 * close["fp16"][1],
)

# %% [markdown]
# ## 5. Gradients that become zero
#
# fp16 rounds eight times more finely than bf16. Yet bf16 has replaced it nearly everywhere. Look at what flows
# *backward*: the gradients of the layers' outputs and of the weights, by their size. The band shows what fp16 can hold;
# left of it a number becomes zero.
#
# Of the gradients that flow from layer to layer and aren't zero, what share would fp16 make zero?

# %%
predict("flowing gradients that fp16 makes zero", unit="%")


# %%
def flowing(model, inputs, labels):
    """The gradients of each layer's outputs, a row each."""
    caught = []
    hooks = [
        layer.register_forward_hook(
            lambda layer, x, y: (
                y.register_hook(lambda g: caught.append(g.detach().flatten())) and None
            )
        )
        for layer in model.modules()
        if isinstance(layer, quantization.QUANTIZABLE)
    ]
    F.cross_entropy(model(inputs), labels).backward()
    for hook in hooks:
        hook.remove()
    return caught


inputs, labels = (
    pictures.to_input(pictures.train.images[:128]),
    pictures.train.labels[:128],
)
worker = copy.deepcopy(net)
flowing_by_layer = flowing(worker, inputs, labels)
between = torch.cat(flowing_by_layer)
of_weights = torch.cat([p.grad.flatten() for p in worker.parameters()])
between, of_weights = between[between != 0], of_weights[of_weights != 0]

fig, ax = plots.figure(figsize=(9, 3.6))
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
ax.axvspan(-14, 16, color=plots.ORANGE, alpha=0.18, label="fp16, normal")
ax.axvspan(
    -24, -14, color=plots.ORANGE, alpha=0.08, label="fp16, subnormal: few bits left"
)
ax.set(
    xlim=(-60, 20), xlabel="size of the gradient: 2 to the power of", ylabel="% of them"
)
ax.legend(fontsize=8, loc="upper left")
plots.finish(fig)


# %%
def zeroed(values, k):
    """Percent of the values that fp16 makes zero at a loss scale of 2^k."""
    return 100 * ((values * 2.0**k).half() == 0).float().mean().item()


# %% tags=["nbval-ignore-output"]
reveal(
    "flowing gradients that fp16 makes zero",
    zeroed(between, 0),
    because="The loss is a mean over 128 pictures, most of which the network knows already, so little flows back. The large numbers "
    "that fp16 could hold, the whole right half of the band, are not used at all.",
)

# %%
claim(
    "fp16 makes between a tenth and a half of the flowing gradients zero",
    10 < zeroed(between, 0) < 50,
)
subnormal = 100 * (between.abs() < 2.0**-14).float().mean().item()
claim("more than four fifths of them lie below its normal numbers", subnormal > 80)
largest = max(values.abs().max().item() for values in (between, of_weights))
claim("no gradient of either kind is larger than 0.1", largest < 0.1)
claim(
    "in bf16 nearly none becomes zero", (between.bfloat16() == 0).float().mean() < 0.001
)

# %% [markdown]
# The cure is a factor. Backpropagation is linear: multiply the loss by $2^k$, and every gradient is $2^k$ times as
# large, so the whole histogram moves k places to the right. Divide the weights' gradients by $2^k$ before the step, in
# float32, and nothing else has changed. A power of two changes exponents only, so it does not even round.
#
# How far? Until the largest gradient reaches the right end.
#
# **Exercise (3 points).** Find that k.


# %% exercise="precision.loss_shift"
def loss_shift(gradients, largest):
    """The largest whole k for which no |gradient| · 2^k exceeds `largest`, an int.

    gradients: float32 [N], not all zero. largest: the largest number of the format, 65504 for fp16.
    """
    ### BEGIN SOLUTION
    return math.floor(math.log2(largest / gradients.abs().max().item()))
    ### END SOLUTION


# %%
check("precision.loss_shift", loss_shift)

# %%
loss_shift = yours_or_ours("precision.loss_shift")
k = loss_shift(torch.cat([between, of_weights]), FORMATS["fp16"].largest)
shifts = list(range(0, 33, 2))
fig, ax = plots.figure(figsize=(8, 3))
ax.plot(
    shifts,
    [zeroed(between, s) for s in shifts],
    "o-",
    label="layers' gradients that become zero",
)
ax.plot(
    shifts,
    [100 * (of_weights * 2.0**s).half().isinf().float().mean().item() for s in shifts],
    "o-",
    color=plots.ORANGE,
    label="weights' gradients that become infinite",
)
ax.axvline(k, color=plots.REFERENCE, linestyle="--", label="your k")
ax.set(xlabel="loss scale: 2 to the power of", ylabel="% of the gradients")
ax.legend()
plots.finish(fig)

# %%
claim(
    "with your k fewer than 1 in 1,000 of the flowing gradients become zero",
    zeroed(between, k) < 0.1,
)
claim(
    "and none is infinite",
    torch.cat([between, of_weights]).mul(2.0**k).half().isfinite().all(),
)
claim(
    "with one more, at least one is",
    torch.cat([between, of_weights]).mul(2.0 ** (k + 1)).half().isinf().any(),
)

# %% [markdown]
# To look at every gradient of every step would cost time, and the next batch may have larger ones.
# `torch.amp.GradScaler` does without looking: it starts with a large scale and tries. If any gradient is infinite or
# NaN, the step is left out and the scale halved; after a number of good steps in a row, it is doubled.
#
# **Exercise (4 points).** One such step.


# %% exercise="precision.scaler_step"
def scaler_step(scale, good, overflow, interval):
    """(new scale, new count of good steps, whether this step may be applied): float, int, bool.

    scale: float. good: how many steps in a row were good before this one. overflow: whether one of this step's gradients
    isn't finite. interval: so many good steps in a row double the scale, and the count starts again.
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
# Train with it: fp16, emulated, from a scale that is much too large, with an interval of 10 in place of GradScaler's
# 2,000 so that something is to be seen. Beside it torch's own, through `precision.step`, which is the loop of section 4
# with a scaler in it:
#
#     scaler.scale(loss).backward()      # the loss times the scale
#     scaler.step(optimizer)             # divides the gradients; leaves the step out if one isn't finite
#     scaler.update()                    # halves or doubles

# %%
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


mine, optimizer = beginner()
scale, good, scales, left_out = 2.0**26, 0, [], []
for number, (x, y) in enumerate(batches):
    optimizer.zero_grad()
    (F.cross_entropy(mine(x), y) * scale).backward()
    overflow = not all(p.grad.isfinite().all() for p in mine.parameters())
    scales.append(scale)
    now, (scale, good, apply) = scale, scaler_step(scale, good, overflow, 10)
    if apply:
        for p in mine.parameters():
            p.grad /= now
        optimizer.step()
    else:
        left_out.append(number)

theirs, optimizer = beginner()
scaler, torchs = torch.amp.GradScaler("cpu", init_scale=2.0**26, growth_interval=10), []
for x, y in batches:
    torchs.append(scaler.get_scale())
    precision.step(theirs, x, y, optimizer, scaler=scaler)

fig, ax = plots.figure(figsize=(8, 3))
ax.step(
    range(len(scales)), [math.log2(s) for s in scales], where="post", color=plots.BLUE
)
ax.plot(
    left_out,
    [math.log2(scales[i]) for i in left_out],
    "x",
    color=plots.ORANGE,
    label="an overflow: step left out",
)
ax.set(xlabel="step", ylabel="loss scale: 2 to the power of")
ax.legend()
plots.finish(fig)

# %%
claim("your scales are those of torch's GradScaler, step by step", scales == torchs)
claim(
    "and the weights are the same, bit for bit",
    all(
        torch.equal(a, b)
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True)
    ),
)
claim(
    "more than one step was left out, and fewer than a third of them",
    1 < len(left_out) < len(batches) / 3,
)

# %% [markdown]
# Is it needed, though? `MyNet` is shallow, and the larger ones of its gradients, which teach most, fit fp16. In a deep
# network they are often far smaller. So here is an experiment that makes them smaller without changing anything else:
# the loss times $2^{-k}$, the rate times $2^k$. With exact numbers that is the same training, and float32 is exact
# enough. `MyNet` from new weights, 100 steps of SGD under one cycle (lesson 03), three seeds, recorded (`nnopt record
# precision_shrunk`).
#
# With gradients a million times smaller ($k = 20$), where does fp16 without a scaler end? (Guessing gets 10 %.)

# %%
predict("fp16 without a scaler, gradients a million times smaller", unit="% right")

# %%
shrunk = recorded("precision_shrunk", live=LIVE)["result"]
by = shrunk["shrunk_by"]
fig, ax = plots.figure(figsize=(8, 3.4))
for name, color in (("fp16", plots.ORANGE), ("fp16 and scaler", plots.GREEN)):
    plots.band(ax, by, list(zip(*shrunk[name], strict=True)), name, color)
plots.band(
    ax, [by[0], by[-1]], list(zip(*shrunk["bf16"], strict=True)), "bf16", plots.BLUE
)
plots.band(
    ax,
    [by[0], by[-1]],
    list(zip(*shrunk["float32"], strict=True)),
    "float32",
    plots.REFERENCE,
)
ax.set(
    xlabel="gradients made 2^k times smaller, k =",
    ylabel="test accuracy, %",
    ylim=(0, 90),
)
ax.set_xticks(by)
ax.legend(fontsize=8, loc="lower left")
plots.finish(fig)

# %%
mean = {
    name: [sum(row) / len(row) for row in shrunk[name]]
    for name in ("fp16", "fp16 and scaler", "bf16", "float32")
}
reveal(
    "fp16 without a scaler, gradients a million times smaller",
    mean["fp16"][-1],
    because="Nearly all gradients that flow back are zero, and without gradients nothing is learned. No error is raised: a loss that "
    "doesn't fall is all that one sees.",
)

# %%
claim(
    "float32 and bf16 end with the same accuracies for k = 0 and k = 20",
    all(shrunk[n][0] == shrunk[n][1] for n in ("float32", "bf16")),
)
claim(
    "so does fp16 with a scaler, within 1 point of float32 on average at each k",
    all(abs(m - mean["float32"][0]) < 1 for m in mean["fp16 and scaler"]),
)
claim(
    "without one it is within 1 point up to k = 8",
    all(abs(m - mean["float32"][0]) < 1 for m in mean["fp16"][:3]),
)
claim(
    "loses more than 40 points at k = 16",
    mean["fp16"][by.index(16)] < mean["float32"][0] - 40,
)
claim("and learns next to nothing at k = 20", mean["fp16"][-1] < 15)
claim(
    "of the batch above, made 2^20 times smaller, fp16 makes more than 99 % zero",
    zeroed(between, -20) > 99,
)
claim(
    "at k = 16 the scaler, which starts at 2^16, gives what fp16 alone gives at k = 0",
    shrunk["fp16 and scaler"][by.index(16)] == shrunk["fp16"][0],
)

# %% [markdown]
# bf16 does not notice, and neither does fp16 with a scaler, which finds a scale that fits by itself. fp16 alone loses
# nothing as long as the gradients are large, as `MyNet`'s are, then everything. So a network that trains well in fp16
# without a scaler is no proof that the next one will.

# %% question="precision.no_scaler"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("precision.no_scaler", choice)

# %% [markdown]
# ## 6. Weights that do not move
#
# With autocast the weights stay float32. They take much of a large network's memory, so why not store them in bf16,
# with `model.to(torch.bfloat16)`? Because of section 3. A weight in bf16 has a relative gap of 1/256 to 1/128. An
# update smaller than half of that is rounded away, and most are smaller.
#
# One SGD step of the trained network, at several rates: how many weights does it leave as they were? Count those with a
# gradient. At a rate of 0.01, what share doesn't move in bf16?

# %%
predict("weights that a step at rate 0.01 leaves as they were in bf16", unit="%")

# %%
with_gradient = torch.cat([p.grad.flatten() for p in worker.parameters()]) != 0
before = torch.cat([p.detach().flatten() for p in net.parameters()])[with_gradient]
slope = torch.cat([p.grad.flatten() for p in worker.parameters()])[with_gradient]
rates = [10.0**e for e in (-4, -3.5, -3, -2.5, -2, -1.5, -1, -0.5, 0)]
unmoved = {}
for name in ("float32", "fp16", "bf16"):
    stored = precision.round_to(before, FORMATS[name])
    unmoved[name] = [
        100
        * (precision.round_to(stored - rate * slope, FORMATS[name]) == stored)
        .float()
        .mean()
        .item()
        for rate in rates
    ]
fig, ax = plots.figure(figsize=(8, 3.2))
for name, shares in unmoved.items():
    ax.plot(rates, shares, "o-", color=COLORS[name], label=name)
ax.set(
    xscale="log",
    xlabel="rate of the step",
    ylabel="% of the weights that don't move",
    ylim=(0, 102),
)
ax.legend()
plots.finish(fig)

# %% tags=["nbval-ignore-output"]
at = dict(zip(rates, unmoved["bf16"], strict=True))[0.01]
reveal(
    "weights that a step at rate 0.01 leaves as they were in bf16",
    at,
    because="An update counts only if it is at least 1/512 to 1/256 of the weight. Rates that fall towards zero, as most "
    "schedules want it, make it worse.",
)

# %%
claim("at rate 0.01 more than nine tenths of the weights don't move in bf16", at > 90)
claim(
    "in fp16 it is fewer, in float32 fewer still",
    unmoved["float32"][4] < unmoved["fp16"][4] < at,
)

# %% [markdown]
# An optimizer's own numbers fare no better. Adam keeps a mean of *squared* gradients, and divides by its root plus a
# small ε of $10^{-8}$. In fp16 both are zero:

# %%
weight = nn.Parameter(torch.full((3,), 0.5, dtype=torch.float16))
optimizer = torch.optim.Adam([weight], lr=1e-3)
weight.grad = torch.tensor([1e-1, 1e-4, 1e-5], dtype=torch.float16)
optimizer.step()
print(
    "three fp16 weights of 0.5 after one step of Adam, gradients 0.1, 0.0001, 0.00001:",
    weight.tolist(),
)
claim(
    "where the squared gradient underflows, the weight is gone",
    not weight[1:].isfinite().any(),
)

# %% [markdown]
# The cure is the oldest one (Micikevicius et al. 2018): a **master copy**. The layers compute with weights of few bits;
# updates go to a float32 copy, which remembers what is too small to be seen yet. After each step the copy of few bits
# is made anew.
#
# **Exercise (4 points).** One step of it, with everything from sections 5 and 6: the fp16 gradient comes multiplied by a
# loss scale.


# %% exercise="precision.master_step"
def master_step(master, gradient, scale, rate):
    """(new master, its fp16 copy) after a step of SGD: float32 [N], float16 [N].

    master: float32 [N]. gradient: float16 [N], `scale` times as large as it should be. scale, rate: floats.
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
target = before - 50 * 0.001 * slope
errors = [
    ((w.float() - target).norm() / (before - target).norm()).item()
    for w in (with_master, alone)
]
claim(
    "after 50 small steps in the same direction, the copy of your master is nearer to where float32 arrives",
    errors[0] < errors[1],
)

# %% [markdown]
# There is a cheaper cure, which needs no second copy: *round at random*, up or down, with a probability that makes the
# mean right (stochastic rounding, lesson 06). An update of a tenth of the gap then moves the weight in one step of ten.
#
# Does it matter in a training? Only the stored weights are bf16 here, all else is float32: `MyNet` from new weights,
# 120 steps of SGD at a constant rate, three seeds (`nnopt record precision_weights`). At a rate of 0.001, how many
# points does bf16 cost?

# %%
predict("weights stored in bf16 against float32, rate 0.001", unit="points lost")

# %%
stored = recorded("precision_weights", live=LIVE)["result"]
fig, (left, right) = plots.figure(ncols=2, figsize=(10, 3.6))
palette = dict(
    zip(
        stored["accuracy"],
        (plots.REFERENCE, plots.ORANGE, plots.GREEN, plots.BLUE),
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
    ax.set(xscale="log", xlabel="rate")
    ax.set_xticks(stored["rates"], [f"{rate:g}" for rate in stored["rates"]])
    ax.minorticks_off()
left.set(ylabel="test accuracy, %", ylim=(0, 90))
right.set(ylabel="% of the stored weights\nthat a step leaves", ylim=(0, 102))
left.legend(fontsize=7)
plots.finish(fig)

# %%
T_FACTOR = {
    3: 4.303,
    5: 2.776,
}  # Student's t, 95 %, two-sided, for the mean of so many pairs


def ahead(control, other):
    """Mean difference over paired seeds and the ends of its 95 % interval."""
    gains = torch.tensor(other) - torch.tensor(control)
    reach = T_FACTOR[len(gains)] * gains.std().item() / len(gains) ** 0.5
    return gains.mean().item(), gains.mean().item() - reach, gains.mean().item() + reach


at = stored["rates"].index(0.001)
against = {
    way: ahead(stored["accuracy"]["float32"][at], rows[at])
    for way, rows in stored["accuracy"].items()
    if way != "float32"
}
for way, (mean, low, high) in against.items():
    print(f"{way:24} {mean:+6.2f} points against float32 ({low:+.2f} to {high:+.2f})")
reveal(
    "weights stored in bf16 against float32, rate 0.001",
    -against["bf16"][0],
    -against["bf16"][2],
    -against["bf16"][1],
    because="More than nine tenths of the weights stand still in a step. The gradients are there; there is nowhere to put them.",
)

# %%
at_rate = {
    way: [ahead(a, b) for a, b in zip(stored["accuracy"]["float32"], rows, strict=True)]
    for way, rows in stored["accuracy"].items()
}
claim("at 0.001 the loss of bf16 is shown", at_rate["bf16"][at][2] < 0)
claim("at 0.0003 it is 19 points on average", round(-at_rate["bf16"][0][0]) == 19)
claim(
    "but the seeds differ so much that three cannot show it", at_rate["bf16"][0][2] > 0
)
claim(
    "at 0.01 bf16 is within half a point of float32 on average",
    abs(at_rate["bf16"][-1][0]) < 0.5,
)
others = [
    mean
    for way in ("bf16, rounded at random", "bf16 copy of float32")
    for mean, _, _ in at_rate[way]
]
claim(
    "both cures are within 1 point of float32 on average at every rate",
    max(map(abs, others)) < 1,
)
claim(
    "bf16 at 0.001: more than nine tenths of the weights stand still",
    stored["unmoved"]["bf16"][at] > 0.9,
)
claim(
    "rounded at random, four fifths do, and it learns",
    stored["unmoved"]["bf16, rounded at random"][at] > 0.8,
)

# %% [markdown]
# Both cures work: on the left their lines lie on float32's. On the right they could not differ more. With random
# rounding nearly as many weights stand still in a step as without it, but those that move are the right number of them:
# the mean is right, and the mean is what learns. Of the master copy the figure counts the masters: nearly all of them
# move, out of the layers' sight.
#
# So a master copy is no matter of taste, and neither is it always needed: with large steps the rounding is noise like
# any other. It is the small ones that get lost, late in a training, or when a network is fine-tuned at a small rate.
#
# What does it save, then, if the float32 weights stay?

# %% question="precision.adam_bytes"
answer = None
### BEGIN SOLUTION
answer = 16
### END SOLUTION
question("precision.adam_bytes", answer)

# %% [markdown]
# Count what autograd keeps for the backward pass, for 64 pictures: all tensors that it saves, without the parameters.


# %%
def kept_for_backward(model, inputs, labels, dtype=None):
    """Bytes that autograd keeps between forward and backward pass, by dtype, parameters left out."""
    own, seen = {p.untyped_storage().data_ptr() for p in model.parameters()}, {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = (
                tensor,
                storage.nbytes(),
            )  # the tensor too, so that its place isn't used again
        return tensor

    watched = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
    with (
        watched,
        torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None),
    ):
        F.cross_entropy(model(inputs), labels)
    kinds = {}
    for tensor, size in seen.values():
        kinds[str(tensor.dtype).removeprefix("torch.")] = (
            kinds.get(str(tensor.dtype).removeprefix("torch."), 0) + size
        )
    return kinds


some = pictures.to_input(pictures.train.images[:64]), pictures.train.labels[:64]
kept = {
    name: kept_for_backward(net, *some, FORMATS[name].dtype if name == "bf16" else None)
    for name in ("float32", "bf16")
}
fig, ax = plots.figure(figsize=(8, 1.8))
left = torch.zeros(len(kept))
for kind, color in (
    ("float32", plots.REFERENCE),
    ("bfloat16", plots.BLUE),
    ("int64", plots.GOLD),
):
    sizes = torch.tensor([row.get(kind, 0) / 2**20 for row in kept.values()])
    ax.barh(
        ["float32", "bf16 autocast"],
        sizes,
        left=left,
        color=color,
        label=kind,
        height=0.6,
    )
    left += sizes
ax.invert_yaxis()
ax.set(xlabel="MiB kept for the backward pass, 64 pictures")
fig.legend(loc="outside right center", frameon=False)
plots.finish(fig)

# %%
floats = kept["bf16"]["bfloat16"] / kept["float32"]["float32"]
whole = sum(kept["bf16"].values()) / sum(kept["float32"].values())
claim(
    "of the floats little more than half is left (with the bf16 copies of the weights)",
    0.5 < floats < 0.6,
)
claim("of all bytes 60 to 75 %", 0.6 < whole < 0.75)
claim(
    "what does not shrink are whole numbers: where each maximum of a pooling was",
    kept["bf16"]["int64"] == kept["float32"]["int64"],
)

# %% [markdown]
# ## 7. Integers forward, floats backward
#
# fp8 has the reach of a float, so it stands the backward pass too, with a scale for each tensor (`loss_shift` again).
# int8 does not: its gap is the same everywhere, and gradients are spread over more than thirty powers of two. But
# *forward*, on activations and weights, it rounds more finely than fp8. Both in numbers; *decibels* (dB) tell how far
# the signal is above the noise of rounding: 20 dB more are an error ten times smaller.

# %%
flat = torch.flatten(
    net.features(pictures.to_input(pictures.train.images[:32])), 1
).detach()
weight = net.classifier[0].weight.detach()


def decibels(tensor, per):
    """Signal to noise of int8 and of fp8 e4m3, each with scales."""
    on_grid = quantization.fake_quantize(tensor, quantization.grid_of(tensor, per=per))
    in_fp8 = precision.Rounding(FORMATS["fp8 e4m3"], None, scaled=True)(tensor)
    return [quantization.signal_to_noise(tensor, low) for low in (on_grid, in_fp8)]


of_layers = [g[g != 0] for g in flowing_by_layer]
zeros = (
    torch.cat(
        [quantization.quantize(g, quantization.grid_of(g)) == 0 for g in of_layers]
    )
    .float()
    .mean()
    .item()
)
claim(
    "int8, a scale for each layer, would make more than two thirds of the flowing gradients zero",
    zeros > 2 / 3,
)
spread = between.abs().log2().quantile(torch.tensor([0.001, 0.999])).diff().item()
claim(
    "all but 2 in 1,000 of them are spread over more than thirty powers of two",
    spread > 30,
)
of_layer = [decibels(weight, "channel"), decibels(flat, "tensor")]
claim(
    "forward it is ahead of fp8 by more than 2 decibels, for weights and for activations",
    all(i > f + 2 for i, f in of_layer),
)

# %% [markdown]
# So mix: whole numbers forward, bf16 backward. That is what one can make of the article's "floats and integers mixed in
# training".
#
# **Exercise (4 points).** The forward pass of a linear layer in int8. Each number is divided by a scale and rounded, and
# the scale makes 127 of the largest magnitude: one scale for all of x, one for each row of the weight.


# %% exercise="precision.int8_product"
def int8_product(x, weight):
    """x @ weight.T by whole numbers from −127 to 127, summed exactly and scaled back. x: float [N, K], weight: float [M, K]
    → float [N, M]. No row of the weight is all zero, and neither is x.
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
# Now for real: a layer whose forward pass multiplies int8 with `torch._int_mm`, keeps int8 for the backward pass, and
# computes gradients in bf16. The whole numbers up to 127 are exact in bf16. The rounding itself is looked through, as
# always (straight-through gradient, lesson 06).

# %%
int8_product = yours_or_ours("precision.int8_product")


class Int8Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        grid_x, grid_w = (
            quantization.grid_of(x),
            quantization.grid_of(weight, per="channel"),
        )
        q, r = quantization.quantize(x, grid_x), quantization.quantize(weight, grid_w)
        ctx.save_for_backward(q, r, grid_x.scale, grid_w.scale)
        return torch._int_mm(q, r.T.contiguous()) * grid_x.scale * grid_w.scale.T

    @staticmethod
    def backward(ctx, gradient):
        q, r, scale, scales = ctx.saved_tensors
        of_x = (gradient * scales.T).bfloat16() @ r.bfloat16()
        of_weight = gradient.bfloat16().T @ q.bfloat16()
        return of_x.float(), of_weight.float() * scale


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
# Some x86 processors without VNNI add pairs of 8-bit products in 16 bits, and not every library avoids what overflows.
exact_sums = (
    torch.equal(torch._int_mm(q, r).double(), q.double() @ r.double()),
    "sums of 8-bit products overflow on this processor",
)
claim(
    "your product differs from what torch's integers give by less than a thousandth (60 dB)",
    quantization.signal_to_noise(by_torch, by_you) > 60,
    where=exact_sums,
)
claim(
    "output and both gradients are within 3 % of float32's (30.5 dB)",
    min(noise) > 30.5,
    where=exact_sums,
)

# %% [markdown]
# The whole network with such layers, beside all the other mixtures: `MyNet` from new weights, 200 steps of SGD under
# one cycle up to 0.05, five seeds in pairs, emulated so that no processor is at a disadvantage (`nnopt record
# precision_training`; the integers by `qat.prepare`, the bf16 by `precision.emulate`). How many
# points is the network with integers behind float32?

# %%
predict("int8 forward, bf16 backward, against float32", unit="points lost")

# %%
trained = recorded("precision_training", live=LIVE)["result"]["accuracy"]
behind = {
    name: ahead(trained["float32"], values)
    for name, values in trained.items()
    if name != "float32"
}
print(f"{'float32':28} {sum(trained['float32']) / 5:.2f} %")
for name, (mean, low, high) in behind.items():
    print(
        f"{name:28} {sum(trained[name]) / 5:.2f} %   {mean:+.2f} ({low:+.2f} to {high:+.2f})"
    )
fig, ax = plots.figure(figsize=(8, 3))
for place, (mean, low, high) in enumerate(behind.values()):
    ax.errorbar(
        mean,
        place,
        xerr=[[mean - low], [high - mean]],
        fmt="o",
        color=plots.BLUE,
        capsize=3,
    )
ax.axvline(0, color=plots.REFERENCE, linestyle="--")
ax.set_yticks(range(len(behind)), list(behind))
ax.invert_yaxis()
ax.set(xlabel="points ahead of float32, mean of five pairs, 95 % interval")
plots.finish(fig)

# %%
mean, low, high = behind["int8 forward, bf16 backward"]
reveal(
    "int8 forward, bf16 backward, against float32",
    -mean,
    -high,
    -low,
    because="Nothing is shown: the interval holds 0. A batch of 64 pictures says so much that is true of it alone that the "
    "rounding hardly counts beside it.",
)

# %%
claim(
    "no mixture's difference is shown: every interval holds 0",
    all(low <= 0 <= high for _, low, high in behind.values()),
)
claim(
    "and no interval reaches further than 0.6 points",
    all(max(-low, high) < 0.6 for _, low, high in behind.values()),
)
claim(
    "on average all are within 0.2 points of float32",
    all(abs(mean) < 0.2 for mean, _, _ in behind.values()),
)


def of_parameters(model, inputs, labels):
    """The gradients of all parameters, in the order of their names."""
    F.cross_entropy(model(inputs), labels).backward()
    named = {
        name.replace("parametrizations.", "").replace(".original", ""): p
        for name, p in model.named_parameters()
    }
    return torch.cat([named[name].grad.flatten() for name in sorted(named)])


batches = [
    (pictures.to_input(b.images), b.labels)
    for b in (pictures.train[:64], pictures.train[64:128])
]
integers = qat.prepare(copy.deepcopy(net), batches[0][0], 8, 8, method="min-max").eval()
integers = precision.emulate(integers, None, FORMATS["bf16"])
one, other = (of_parameters(copy.deepcopy(net), *batch) for batch in batches)
rounded = of_parameters(integers, *batches[0])
claim(
    "the gradients of two batches differ more than five times as much as integers and floats on the same one",
    (one - other).norm() > 5 * (one - rounded).norm(),
)

# %% [markdown]
# Two things to read here. The means differ by less than 0.2 points, and five pairs show no difference for any mixture:
# if there is one, it is smaller than about 0.6 points. And even the weights that are *stored* in bf16 do well, since
# most of this training runs at large rates; section 6 showed where they don't. Formats are chosen for speed and memory,
# once nothing underflows and nothing stands still.

# %% [markdown]
# ## Summary
#
# What this machine measured, and what the recorded trainings say:

# %% tags=["nbval-ignore-output"]
needs = {
    "bf16": ("nothing", "bf16"),
    "fp16 and scaler": ("a loss scale", "fp16"),
    "fp8 and scales": ("a scale a tensor", None),
    "int8 forward, bf16 backward": ("scales, straight-through gradients", "int8"),
    "bf16, stored too": ("a master copy, or random rounding", "bf16"),
}
cells = [
    [
        "mixture",
        "what it needs",
        "product of matrices here,\n× float32 on one thread",
        "points ahead of float32\nafter training (95 %)",
    ]
]
for name, (need, kind) in needs.items():
    speed = gain[f"product, {kind}"] if kind else None
    mean, low, high = behind[name]
    of_speed = (
        f"{speed.median:.2f} ({speed.low:.2f}–{speed.high:.2f})"
        if speed
        else "not tried"
    )
    cells.append([name, need, of_speed, f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"])
HTML(measure.tables.html_table(cells, header=True))

# %% [markdown]
# - **Exponent is reach, mantissa is fineness.** fp16 has too little of the first, bf16 of the second.
# - **Sums want float32.** Small numbers added to a large one of few bits are lost altogether, whether the sum is a product of
#   matrices or a weight that learns.
# - **Autocast** gives few bits to what multiplies, float32 to what is delicate, and leaves the weights as they are.
# - **fp16 needs a loss scale**, since its gradients underflow, silently. bf16 has float32's reach and needs none.
# - **Weights stored in few bits** need a master copy or random rounding, at small rates above all.
# - **It saves** activations and traffic, not weights; and it saves time only where the processor multiplies that format.
# - **Floats and integers do mix**: whole numbers forward, bf16 backward.
#
# **What practice uses today** (2026). bf16 autocast, without a second thought, on GPUs and on server processors with AMX;
# fp16 with a scaler only on older GPUs; tf32 for what stays float32 (`torch.set_float32_matmul_precision("high")`).
# Large language models are trained in fp8, e4m3 forward and often backward too, with a scale for each tensor or block
# of numbers (NVIDIA's Transformer Engine, `torchao.float8`), or in block formats such as MXFP8 and NVFP4. Optimizer
# states are kept in float32, or in 8 bits with scales (Dettmers et al. 2022).
#
# **Further reading.** Goldberg, *What every computer scientist should know about floating-point arithmetic* (1991) · Gupta et
# al., *Deep learning with limited numerical precision* (2015) · Micikevicius et al., *Mixed precision training* (2018)
# · Kalamkar et al., *A study of BFLOAT16 for deep learning training* (2019) · Micikevicius et al., *FP8 formats for
# deep learning* (2022) · Dettmers et al., *8-bit optimizers via block-wise quantization* (2022) · PyTorch's
# documentation of `torch.amp`.
#
# Your guesses of the whole course so far, against what your machine measured:

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
