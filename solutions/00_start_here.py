# %% [markdown]
# # Start here
#
# In about twenty minutes, half of them at the exercises, you will
#
# - know what your machine can do, and where the network of this course stands on it;
# - find and repair thirteen faults in a short program that claims to "optimise" a network;
# - train the network that every later lesson makes smaller and faster;
# - take the measurements that every later lesson compares with, in a way you can trust.
#
# **How a lesson works.** Run the cells from top to bottom (Shift+Enter). A cell with `raise NotImplementedError` is
# yours to fill; the cell below it checks your answer, and `hint("…")` helps. You may leave any of them blank: the
# lesson then goes on with the library's version. `claim(…)` prints ✔ when a statement of the text holds on *your*
# machine. And before we measure, you guess: that is how one learns what really makes a network fast.

# %%
import copy

import torch
from torch import nn

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import predict, reveal
from nnopt_lab.lessons.start_here.playground import layer_playground
from nnopt_lab.workbench import data, measure, models, plots, training

lesson("00_start_here")

# %% [markdown]
# ## 1. The network and the pictures
#
# The course optimises one network, the one in *the article*, a Chinese tutorial on optimising networks in PyTorch that
# the course grew out of: two convolutions and two linear layers. It looks at 32×32 colour pictures (smaller grey ones
# are padded, and repeated in the three channels) and names one of ten classes.

# %%
net = models.MyNet()
net

# %% [markdown]
# The pictures are Fashion-MNIST, real photographs of clothes: 20,000 for training, of which we keep 2,000 aside for
# *validation*, and 10,000 for the *test*. We choose with the validation pictures and report with the test pictures;
# a figure chosen on the test set would flatter itself.

# %%
pictures = data.load("fashion")
first = pictures.train[:16]
plots.pictures(first.images, [pictures.classes[label] for label in first.labels])

# %%
claim("18,000 pictures to train with", len(pictures.train) == 18_000)
claim("2,000 to choose with", len(pictures.validation) == 2_000)
claim("10,000 to report with", len(pictures.test) == 10_000)

# %% [markdown]
# ## 2. What a layer costs
#
# Two numbers describe a layer: how many **parameters** it stores and how many **multiply-accumulates** (MACs) it
# computes for one picture. For a convolution with $C_\text{in}$ input channels, $C_\text{out}$ filters, a $k×k$ kernel
# and an output of $H_\text{out}×W_\text{out}$ pixels,
#
# $$\text{parameters} = C_\text{out}\,C_\text{in}\,k^2 + C_\text{out}, \qquad
# \text{MACs} = C_\text{out}\,C_\text{in}\,k^2 \cdot H_\text{out} W_\text{out}.$$
#
# The second term on the left is the bias, one for each filter. Kernels are *stored* once but *used* at every output
# pixel: that is why size and work are two different things (the formulas: Dumoulin & Visin 2016, section 2).
#
# **Exercise (1 point).** Count the parameters.


# %% exercise="start.conv_parameters"
def conv_parameters(in_channels, out_channels, kernel_size, bias):
    """How many parameters has a convolution with square kernels? All arguments are whole numbers, bias is a bool."""
    ### BEGIN SOLUTION
    return out_channels * in_channels * kernel_size**2 + (out_channels if bias else 0)
    ### END SOLUTION


# %%
check("start.conv_parameters", conv_parameters)

# %% [markdown]
# **Exercise (2 points).** Count the multiply-accumulates for one picture. The output is
# $\lfloor (H + 2p - k)/s \rfloor + 1$ pixels high for padding $p$ and stride $s$, and likewise wide.


# %% exercise="start.conv_macs"
def conv_macs(in_channels, out_channels, kernel_size, height, width, stride, padding):
    """How many multiply-accumulates does a convolution do for one picture of height × width pixels?"""
    ### BEGIN SOLUTION
    out_height = (height + 2 * padding - kernel_size) // stride + 1
    out_width = (width + 2 * padding - kernel_size) // stride + 1
    return out_channels * in_channels * kernel_size**2 * out_height * out_width
    ### END SOLUTION


# %%
check("start.conv_macs", conv_macs)

# %% [markdown]
# Now by hand for the whole network, and beside it what the library counts:

# %%
conv_parameters = yours_or_ours("start.conv_parameters")
conv_macs = yours_or_ours("start.conv_macs")

by_hand = {
    "conv 3→16": (conv_parameters(3, 16, 3, True), conv_macs(3, 16, 3, 32, 32, 1, 1)),
    "conv 16→32": (
        conv_parameters(16, 32, 3, True),
        conv_macs(16, 32, 3, 16, 16, 1, 1),
    ),
    "linear 2048→128": (2048 * 128 + 128, 2048 * 128),
    "linear 128→10": (128 * 10 + 10, 128 * 10),
}
for name, (parameters, macs) in by_hand.items():
    print(f"{name:16} {parameters:>9,} parameters {macs:>11,} MACs")

# %%
example = torch.zeros(1, 3, 32, 32)
all_parameters = sum(parameters for parameters, _ in by_hand.values())
all_macs = sum(macs for _, macs in by_hand.values())
claim(
    "by hand and library agree on the parameters",
    measure.parameters(net).total == all_parameters,
)
claim("by hand and library agree on the MACs", measure.macs(net, example) == all_macs)
claim("MyNet has 268,650 parameters", all_parameters == 268_650)
claim("one picture costs 1,885,440 MACs", all_macs == 1_885_440)
claim(
    "97.6 % of the parameters sit in the first linear layer",
    round(100 * 262_272 / all_parameters, 1) == 97.6,
)

# %% question="start.where_the_work_is"
answer = None
### BEGIN SOLUTION
answer = 13.9
### END SOLUTION
question("start.where_the_work_is", answer)

# %% [markdown]
# ## 3. Your machine
#
# A layer is fast when two things are: the arithmetic (floating-point operations a second) and the memory that feeds
# it (bytes a second). We measure both.

# %% tags=["nbval-ignore-output"]
machine = measure.machine()
machine

# %% [markdown]
# The *roofline* (Williams, Waterman & Patterson 2009) draws the two limits in one picture. A layer that does
# $I$ operations for each byte it moves can reach at most
#
# $$\min(\text{peak},\; I \cdot \text{bandwidth}) \quad\text{operations a second.}$$
#
# Left of the ridge memory is the limit, right of it arithmetic. Each point below is one layer of the network, really
# run on a batch of 256 pictures.

# %%
batch = pictures.to_input(pictures.train.images[:256])
points, x = [], batch
with torch.inference_mode():
    for layer in [*net.features, nn.Flatten(), *net.classifier]:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            cost = measure.layer_costs(layer, x)[0]
            seconds = measure.latency({"layer": layer}, x, rounds=15)["layer"].median
            shape = f"{layer.weight.shape[1]}→{layer.weight.shape[0]}"
            points.append(
                (
                    f"{type(layer).__name__} {shape}",
                    cost.intensity,
                    2 * cost.macs / seconds / 1e9,
                )
            )
        x = layer(x)
peak = machine.peak_gflops()
plots.roofline(points, peak, machine.peak_bandwidth())

# %% [markdown]
# Even the layer that does best stays below the machine's arithmetic peak, others stay far below it. The last layer does
# so little that getting started is most of its time. The first layer computes each of its numbers from 27 products, the
# second convolution from 144; what is done once for every number (writing it, and rearranging it for the next layer)
# weighs five times as much there. (A point may lie *above* the sloping part: its data fit into the cache, and the slope
# is the speed of the memory behind it.) So fewer operations are not automatically less time, and in this course we
# never argue with operations alone: we measure.

# %%
reached = [gflops for *_, gflops in points]
peak = max(
    peak, machine.peak_gflops()
)  # twice, so that one slow second of the machine does not decide
claim("no layer reaches the machine's arithmetic peak", max(reached) < peak)
claim(
    "the last layer, the smallest, reaches less than half as much as the best one",
    reached[-1] < max(reached) / 2,
)
claim(
    "the first convolution reaches less than three quarters of what the second one does",
    reached[0] < 0.75 * reached[1],
)

last, x = net.classifier[-1], torch.randn(256, 128)
few, many = (
    measure.latency({"layer": last}, x[:n], rounds=15)["layer"].median
    for n in (16, 256)
)
claim(
    "16 times the pictures take the last layer less than 8 times as long",
    many < 8 * few,
)

# %% [markdown]
# ## 4. A bug hunt
#
# Here is a program that promises to train and quantise the network, "in parallel". It is ours, but every fault in it
# is one that a published tutorial really had. Read it first: how many do you see?
#
# ```python
#  1  class Net(nn.Module):
#  2      def __init__(self): …                         # the layers printed in section 1
#  3      def forward(self, x):
#  4          x = F.max_pool2d(F.relu(self.conv1(x)), 2)
#  5          …
#  6
#  7  def quantise model(model, num_bits):
#  8      for layer in model.modules():
#  9          if isinstance(layer, (nn.Conv2d, nn.Linear)):
# 10              w = layer.weight.data.byte()
# 11              w = 2 ** (w // 256)
# 12              layer.weight = nn.Parameter(w)
# 13
# 14  net = Net()
# 15  optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
# 16  quantise model(net, 8)
# 17  device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
# 18  net.to(device)                                    # "parallel training"
# 19  loss = nn.CrossEntropyLoss()(net(x), y)
# 20  loss.backward()
# 21  optimizer.step()
# ```
#
# One by one. This helper runs a line and prints what goes wrong, nothing more:


# %%
def attempt(code, **names):
    try:
        exec(code, {"torch": torch, "nn": nn, **names})
        print("runs")
    except Exception as error:
        print(f"{type(error).__name__}: {error}")


# %% [markdown]
# **Faults 1 and 2, lines 7 and 4: it does not even start.** A function name has a space in it, and `F` was never
# imported. Cure: `def quantise_model`, and `from torch.nn import functional as F`. Lesson: nobody had run it.

# %%
attempt("def quantise model(model, num_bits): ...")

# %%
attempt("F.relu(torch.ones(2))")

# %% [markdown]
# **Fault 3, line 10: a cast is not a quantisation.** `.byte()` cuts the fraction off and wraps negative numbers round.
# Trained weights mostly lie between −0.5 and 0.5, so nearly all become 0, and the rest become nonsense:

# %%
weights = torch.tensor([-2.2, -0.7, 0.3, 0.9, 1.8])
weights.byte()

# %% [markdown]
# **Fault 4, line 11: arithmetic that leaves its type.** 256 does not fit into a byte; it wraps to 0, and the program
# divides by zero. (Had 256 been kept, `w // 256` would be 0 for every byte and every weight would become $2^0 = 1$.)

# %%
attempt("2 ** (weights.byte() // 256)", weights=weights)

# %%
claim(
    "with 256 kept, every weight becomes 1",
    bool((2 ** (weights.byte().int() // 256) == 1).all()),
)

# %% [markdown]
# **Fault 5, line 12: integers have no gradient.** A parameter is something that an optimizer moves by small steps;
# whole numbers have none.

# %%
attempt("nn.Parameter(torch.tensor([254, 0, 1], dtype=torch.uint8))")

# %% [markdown]
# **Faults 6 and 7: `num_bits` is never used, and there is no way back.** The program is called with 8 bits but would do
# the same with 2. And because no *scale* is stored, nobody can tell which float an integer stood for.
#
# **Exercise (3 points).** Repair lines 10 and 11. Symmetric quantisation stores $q = \operatorname{round}(w/s)$ with
# the scale $s = \max|w|/127$, so that the largest magnitude becomes ±127 and $s\,q \approx w$ leads back.


# %% exercise="start.to_int8"
def to_int8(weights):
    """Quantise a float tensor (not all zero): return (integers of dtype torch.int8, the scale as a Python float)."""
    ### BEGIN SOLUTION
    scale = weights.abs().max().item() / 127
    return (weights / scale).round().to(torch.int8), scale
    ### END SOLUTION


# %%
check("start.to_int8", to_int8)

# %%
to_int8 = yours_or_ours("start.to_int8")
q, scale = to_int8(weights)
print("weights  ", weights)
print("integers ", q)
print("way back ", q * scale)
claim(
    "the way back is off by at most half a step",
    (q * scale - weights).abs().max() <= scale / 2 + 1e-7,
)

# %% [markdown]
# **Fault 8: activations and biases are forgotten.** Lines 9 to 12 touch weights alone. What flows between the layers stays
# float, so every product is still a float product: smaller on disk at best, not faster. Lesson 05 builds the whole
# integer network.
#
# **Fault 9, line 15: the optimizer is made too early.** It holds the *old* parameters. Line 12 replaces them; from then
# on `step()` moves tensors that nobody reads:

# %%
layer = nn.Linear(2, 1)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
layer.weight = nn.Parameter(torch.ones(1, 2))  # replaced after the optimizer was made
layer(torch.ones(1, 2)).sum().backward()
optimizer.step()
layer.weight, layer.weight.grad

# %% [markdown]
# The weight has a gradient and did not move. No error, no warning: such bugs cost days. `fit`, the course's training
# loop, refuses an optimizer that holds other tensors in place of the model's parameters.

# %%
try:
    training.fit(layer, pictures, optimizer=optimizer)
except ValueError as error:
    print(error)

# %% [markdown]
# **Faults 10 to 13: what is missing or only pretended.** There are no data, no training loop and no evaluation, so
# nothing was ever measured (10). The input `x` is never moved to the device, so the program fails on the first GPU (11).
# "Parallel" is a device move: one GPU computes, every other one sleeps, and the CPU's cores are not mentioned (12;
# lesson 10). And `cuda:0` is written into the program, so Apple, Intel or AMD accelerators, and the second GPU, are
# never used (13); `torch.accelerator` finds whichever there is.
#
# Here is the program again, in plain torch, short enough to read in one go. It leaves two things to later lessons: its
# products are still float products (05), and one device computes (08).

# %%
device = training.best_device()
torch.manual_seed(0)
repaired = models.MyNet().to(device)
optimizer = torch.optim.SGD(repaired.parameters(), lr=0.01, momentum=0.9)
losses = []
for inputs, labels in data.loader(
    pictures.train[:6_000], pictures, batch_size=64, shuffle=True
):
    loss = nn.functional.cross_entropy(repaired(inputs.to(device)), labels.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
with (
    torch.no_grad()
):  # and now, after training, the weights of every layer go to int8 and back
    for layer in repaired.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            q, scale = to_int8(layer.weight)
            layer.weight.copy_(q * scale)

# %%
claim(
    "the loss starts near log 10 = 2.30, which is guessing among ten classes",
    abs(losses[0] - 2.30) < 0.1,
)
claim(
    "one pass over a third of the pictures brings it below 1",
    sum(losses[-10:]) / 10 < 1,
)

# %% [markdown]
# It trains. Is it any good? That takes a number.
#
# **Exercise (1 point).** Accuracy in percent.


# %% exercise="start.accuracy"
def accuracy(logits, labels):
    """Share of right pictures in percent, a float. logits: float [N, C], labels: int64 [N]."""
    ### BEGIN SOLUTION
    return 100 * (logits.argmax(dim=1) == labels).float().mean().item()
    ### END SOLUTION


# %%
check("start.accuracy", accuracy)

# %%
accuracy = yours_or_ours("start.accuracy")
with torch.inference_mode():
    inputs = pictures.to_input(pictures.test.images).to(device)
    after_a_third = accuracy(
        torch.cat([repaired(part) for part in inputs.split(1000)]).cpu(),
        pictures.test.labels,
    )
claim(
    "more than 70 % right, with 8-bit weights, where guessing gives 10 %",
    after_a_third > 70,
)

# %% [markdown]
# ## 5. The baseline
#
# Every later lesson compares with this: the article's recipe (SGD with learning rate 0.01 and momentum 0.9), eight
# passes over the pictures in batches of 64. It takes up to half a minute on two cores. Guess first.

# %%
predict("test accuracy of the baseline after 8 epochs", unit="%")

# %%
torch.manual_seed(0)
baseline = models.MyNet()
history = training.fit(baseline, pictures, **models.ARTICLE_RECIPE, seed=0)

# %%
plots.history({"MyNet, the article's recipe": history})

# %% tags=["nbval-ignore-output"]
result = training.evaluate(baseline, pictures.test, pictures)
standard_error = (result.accuracy * (100 - result.accuracy) / 10_000) ** 0.5
reveal(
    "test accuracy of the baseline after 8 epochs",
    result.accuracy,
    result.accuracy - 1.96 * standard_error,
    result.accuracy + 1.96 * standard_error,
    because="Shirts, pullovers, coats and T-shirts look alike at 28×28 pixels; two thirds of the mistakes are on these "
    "four. The training accuracy is higher: the network has begun to learn its pictures by heart.",
)

# %%
shipped = models.record("mynet")["test_accuracy"]
alike = torch.isin(pictures.test.labels, torch.tensor([0, 2, 4, 6]))
claim(
    "the baseline is right on 87 to 91 % of the test pictures",
    87 < result.accuracy < 91,
)
claim(
    "it agrees with the weights that ship with the course to 1.5 points",
    abs(result.accuracy - shipped) < 1.5,
)
claim(
    "two thirds of its mistakes are on tops: T-shirt, pullover, coat, shirt",
    (~result.correct)[alike].sum() > 2 / 3 * (~result.correct).sum(),
)
claim(
    "it knows its training pictures better",
    history.train_accuracy[-1] > history.validation_accuracy[-1],
)

# %% [markdown]
# The same seed gives the same weights, bit for bit, on the same machine; another processor rounds differently and ends
# a few tenths of a point away. That is why claims in this course have margins.
#
# ## 6. Measuring so that you can believe it
#
# The stronger network of the course, the *teacher* of lesson 09, is residual with batch norm. It has only 15 % more
# parameters than `MyNet`. How much longer does it take?

# %%
predict("latency of the teacher at batch 256, against MyNet", unit="× as long")

# %% tags=["nbval-ignore-output"]
baseline_shipped, teacher = models.trained("mynet"), models.trained("teacher")
comparison = measure.compare(
    {"MyNet": baseline_shipped, "teacher": teacher},
    batch,
    accuracy={"MyNet": shipped, "teacher": models.record("teacher")["test_accuracy"]},
    rounds=15,
    budget_seconds=4,
)
comparison

# %% tags=["nbval-ignore-output"]
timings = measure.latency(
    {"teacher": teacher, "MyNet": baseline_shipped}, batch, rounds=12, budget_seconds=4
)
ratio = measure.ratio(timings["teacher"], timings["MyNet"])
reveal(
    "latency of the teacher at batch 256, against MyNet",
    ratio.median,
    ratio.low,
    ratio.high,
    because="Parameters say little about time. The teacher's weights are small kernels that are used at every pixel: "
    "6.9 times as many multiply-accumulates, and more intermediate pictures to write and read.",
)

# %%
mynet_size, teacher_size = (
    measure.parameters(baseline_shipped).total,
    measure.parameters(teacher).total,
)
claim(
    "the teacher has 15 % more parameters",
    round(100 * (teacher_size / mynet_size - 1)) == 15,
)
macs_ratio = measure.macs(teacher, example) / measure.macs(baseline_shipped, example)
claim("but 6.9 times as many multiply-accumulates", round(macs_ratio, 1) == 6.9)
claim("and takes more than 1.5 times as long", ratio.low > 1.5)

# %% [markdown]
# How can such a ratio be trusted on a machine that does other things too? Not by timing the one and then the other:
# clocks, caches and neighbours drift. The two run *in turns*, A/B/A/B, and each pair gives one ratio; what slows the
# machine for a while slows both halves of a pair. The median of the ratios is the result, and their order statistics
# give an interval that holds whatever the distribution (Conover 1999, section 3.2). It covers what varies from round to
# round; another run of the program, with its data elsewhere in memory, can differ by some per cent more. So a ratio
# nearer to 1 than 0.01 counts as "no difference measured" here, however narrow its interval.
#
# Two habits of the system remain that would drown the network's own time, and `import nnopt_lab` ends both: threads that
# spin while they wait for each other, and, on Linux, memory that is given back after every layer and comes again page
# by page (`nnopt_lab/workbench/allocator.py`; a server that runs networks does the same with another allocator).
#
# **Exercise (2 points).** The ratio from interleaved timings.


# %% exercise="start.speedup"
def speedup(before, after):
    """How many times faster is `after`? Two lists of seconds; before[i] and after[i] ran one right after the other."""
    ### BEGIN SOLUTION
    from statistics import median

    return median(b / a for b, a in zip(before, after, strict=True))
    ### END SOLUTION


# %%
check("start.speedup", speedup)

# %% tags=["nbval-ignore-output"]
speedup = yours_or_ours("start.speedup")
twin = copy.deepcopy(baseline_shipped)
same = measure.latency(
    {"A": baseline_shipped, "the same again": twin}, batch, rounds=15, budget_seconds=2
)
print("two copies of one network:", measure.ratio(same["A"], same["the same again"]))
print(
    "your median of the ratios:",
    round(speedup(same["A"].samples, same["the same again"].samples), 3),
)

# %% question="start.three_percent"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("start.three_percent", choice)

# %% [markdown]
# ## 7. Playground
#
# Turn the knobs of one convolution and watch its price. Find a layer with fewer MACs than another that takes *longer*.

# %%
layer_playground()

# %% [markdown]
# ## Summary
#
# | | |
# |---|---|
# | parameters | what a layer stores: its size on disk |
# | MACs | what it computes for a picture; 2 operations each |
# | roofline | min(peak, intensity · bandwidth): which limit a layer meets |
# | accuracy | chosen on validation pictures, reported on test pictures, with an interval |
# | speed | the median of paired ratios from interleaved runs; "no difference measured" is a result |
#
# **What practice uses today.** `torch.utils.benchmark` for timings inside one process, `torch.utils.flop_counter` for
# operations, `torch.profiler` to see where time goes, and safetensors files for weights. This course's `measure` is a
# thin layer over the same ideas; read it, it is short.
#
# **Further reading.** Dumoulin & Visin, *A guide to convolution arithmetic for deep learning* (2016) · Williams,
# Waterman & Patterson, *Roofline* (CACM 2009) · Xiao, Rasul & Vollgraf, *Fashion-MNIST* (2017) · Mytkowicz et al.,
# *Producing wrong data without doing anything obviously wrong!* (ASPLOS 2009).
#
# **Next:** `01_pruning.ipynb`. Take nine tenths of the weights away, and lose nothing.

# %% tags=["nbval-ignore-output"]
progress()
