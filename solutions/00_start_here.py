# %% [markdown]
# # Start here
#
# In this lesson you will
#
# - find out what your machine can do, and how much of that the course's network uses;
# - find thirteen bugs in a short program that claims to "optimise" a network, and fix eleven of them;
# - train the network that every later lesson makes smaller and faster;
# - measure it in a way you can trust, as the baseline for every later lesson.
#
# **How a lesson works**
#
# - Run a cell with Shift+Enter. Fill in the cells with `raise NotImplementedError` and press *Check* under them
#   (Shift+Enter leads there, too). *Code* only shows the call that a button or a form stands for.
# - Hints and further tries cost no points.
# - Before some measurements you make a guess. Comparing it with the result is how you learn what really makes a network
#   fast.

# %% tags=["fold", "side-by-side"]
# Imports: where the names of this lesson come from
import copy

import torch
from torch import nn

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import predict, reveal
from nnopt_lab.lessons.start_here.attempt import attempt
from nnopt_lab.lessons.start_here.bug_hunt import mark_bugs
from nnopt_lab.lessons.start_here.playground import layer_playground
from nnopt_lab.workbench import data, diagrams, measure, models, plots, training
from nnopt_lab.workbench.tables import Table
from nnopt_lab.workbench.text import wrapped

# %%
lesson("00_start_here")

# %% [markdown]
# ## 1. The network and the pictures
#
# This course grew out of *the article*, a Chinese tutorial on optimising networks in PyTorch. Its network, `MyNet`, is
# the one you will optimise: two convolutions and two linear layers. It sorts 32×32 colour pictures into ten classes.
# (Smaller grey pictures are padded and copied into all three channels.)

# %%
net = models.MyNet()
measure.layer_table(net, torch.zeros(1, 3, 32, 32), "The layers of MyNet", work=False)

# %% tags=["fold"]
# Diagram: MyNet
diagrams.network(net, torch.zeros(1, 3, 32, 32))

# %% [markdown]
# What to see: the taller a block, the larger its feature maps; the wider, the more of them. Towards the right, the maps
# become smaller and more numerous. A linear layer's block is taller the more outputs it has. Nearly all parameters are
# in the first linear layer.
#
# The pictures come from Fashion-MNIST, photographs of clothes. The course uses 20,000 of its training pictures and
# sets 2,000 of them aside for *validation*; another 10,000 are for *testing*. You choose between networks on the
# validation pictures and report accuracy on the test pictures. If you chose on the test pictures too, the reported
# accuracy would be too good.

# %%
pictures = data.load("fashion")

# %% tags=["fold"]
# Plot: sixteen training pictures
first = pictures.train[:16]
plots.pictures(first.images, [pictures.classes[label] for label in first.labels])

# %% [markdown]
# What to see: the first sixteen training pictures with their classes. At this size, a dress can look like a
# T-shirt or a pullover.
#
# `claim(…)` prints ✔ if a statement of the text holds on *your* machine, ✘ if it doesn't, and ○ if it is about another
# kind of machine.

# %%
# Claims: the size of the data
claim("There are 18,000 pictures to train on.", len(pictures.train) == 18_000)
claim("There are 2,000 pictures to choose on.", len(pictures.validation) == 2_000)
claim("There are 10,000 pictures to report on.", len(pictures.test) == 10_000)

# %% [markdown]
# ## 2. The cost of a layer
#
# Two numbers describe the cost of a layer: the **parameters** it stores, and the **multiply-accumulates** (MACs) it
# computes per picture. One multiply-accumulate is a multiplication and an addition. A convolution has one *filter* for
# each output channel, and a filter has a $k×k$ *kernel* of weights for each input channel. With $C_\text{in}$ input
# channels, $C_\text{out}$ filters and an output of $H_\text{out}×W_\text{out}$ pixels,
#
# $$\text{parameters} = C_\text{out}\,C_\text{in}\,k^2 + C_\text{out}, \qquad
# \text{MACs} = C_\text{out}\,C_\text{in}\,k^2 \cdot H_\text{out} W_\text{out}.$$
#
# The last term of the first formula is the bias, one per filter. A kernel is *stored* once but *used* at every output
# pixel, so size and work are two different things.
#
# **Exercise (1 point).** Write a function that counts the parameters of a convolution, with or without a bias. It tells
# you how much a layer adds to the network's file before you build it.


# %% exercise="start.conv_parameters"
def conv_parameters(in_channels, out_channels, kernel_size, bias):
    """Number of parameters of a convolution with square kernels.

    bias is a bool, all other arguments are integers.

    >>> conv_parameters(2, 3, kernel_size=3, bias=True)
    57
    >>> conv_parameters(2, 3, kernel_size=3, bias=False)
    54
    """
    ### BEGIN SOLUTION
    return out_channels * in_channels * kernel_size**2 + (out_channels if bias else 0)
    ### END SOLUTION


# %%
check("start.conv_parameters", conv_parameters)

# %% [markdown]
# **Exercise (2 points).** Count the multiply-accumulates per picture. For a picture of height $H$, padding $p$ and
# stride $s$, the output is $\lfloor (H + 2p - k)/s \rfloor + 1$ pixels high; the width follows in the same way
# ([Dumoulin & Visin 2016](https://arxiv.org/abs/1603.07285), section 2).


# %% exercise="start.conv_macs"
def conv_macs(in_channels, out_channels, kernel_size, height, width, stride, padding):
    """Multiply-accumulates of a convolution per picture of height × width pixels.

    All arguments are integers, and padding is added on each side. A bias is no MAC.

    >>> conv_macs(2, 3, kernel_size=1, height=4, width=4, stride=1, padding=0)
    96
    >>> conv_macs(1, 1, kernel_size=2, height=5, width=4, stride=2, padding=0)
    16
    """
    ### BEGIN SOLUTION
    out_height = (height + 2 * padding - kernel_size) // stride + 1
    out_width = (width + 2 * padding - kernel_size) // stride + 1
    return out_channels * in_channels * kernel_size**2 * out_height * out_width
    ### END SOLUTION


# %%
check("start.conv_macs", conv_macs)

# %% [markdown]
# Now count the whole network with your functions. The claims below compare your totals with the library's.

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

# %% tags=["fold"]
# Table: parameters and multiply-accumulates by layer
Table(
    [[name, *counts] for name, counts in by_hand.items()],
    ["layer", "parameters", "MACs per picture"],
)

# %% tags=["fold"]
# Claims: parameters and multiply-accumulates
example = torch.zeros(1, 3, 32, 32)
all_parameters = sum(parameters for parameters, _ in by_hand.values())
all_macs = sum(macs for _, macs in by_hand.values())
claim(
    "MyNet has 268,650 parameters, counted by the functions and by the library.",
    measure.parameters(net).total == all_parameters == 268_650,
)
claim(
    "One picture costs 1,885,440 MACs, counted by the functions and by the library.",
    measure.macs(net, example) == all_macs == 1_885_440,
)
claim(
    "The first linear layer holds 97.6 % of the parameters.",
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
# The speed of a layer has two limits: how fast the processor can compute (its *peak*, in floating-point operations,
# FLOPs, per second), and how fast memory delivers the data (its *bandwidth*, in bytes per second). Measure both:

# %%
machine = measure.machine()
peak, bandwidth = machine.peak_gflops(), machine.peak_bandwidth()

# %% tags=["fold", "nbval-ignore-output"]
# Table: this machine and its two limits
limits = [["peak", f"{peak:.0f} GFLOP/s"], ["bandwidth", f"{bandwidth:.0f} GB/s"]]
Table(limits + machine.table.rows, machine.table.columns)

# %% [markdown]
# The *roofline* ([Williams, Waterman & Patterson 2009](https://doi.org/10.1145/1498765.1498785)) shows both limits in
# one plot. A layer's *intensity* $I$ is the number of operations that it does per byte it moves. The layer can reach at
# most
#
# $$\min(\text{peak},\; I \cdot \text{bandwidth}) \quad\text{operations per second.}$$
#
# Memory is the limit on the sloping part, arithmetic on the flat part. Where does a layer stand? Take the first
# convolution and a batch of 256 pictures: count its operations per byte, and divide its operations by the measured
# time. (A GFLOP is a billion operations.)

# %% tags=["nbval-ignore-output"]
batch = pictures.to_input(pictures.train.images[:256])
conv = net.features[0]
cost = measure.layer_costs(conv, batch)[0]
seconds = measure.latency({"conv 3→16": conv}, batch, rounds=15)["conv 3→16"].median
print(f"{cost.intensity:.1f} FLOPs per byte")
print(f"{2 * cost.macs / seconds / 1e9:.0f} GFLOP/s")

# %% [markdown]
# Each point in the plot is one layer of the network, measured in the same way on the input that it gets.

# %% tags=["fold"]
# Plot: the layers under the roofline
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
# Measured twice, so that one slow second of the machine does not decide.
peak = max(peak, machine.peak_gflops())
plots.roofline(points, peak, bandwidth)

# %% [markdown]
# What to see: no layer gets above the flat line, the arithmetic peak, and most stay far below it. (If one lies on the
# line, the machine was busy while the peak was measured: run this section again.)
#
# The last layer does so little work that starting it takes a noticeable part of its time. The first convolution
# computes each output from 27 products, the second from 144. Compared with the products, the work done once per output
# (writing it, and rearranging it for the next layer) therefore weighs about five times as much in the first. A point
# may lie *above* the slope if its data fit into the cache, since the slope is the speed of main memory.
#
# Fewer operations do not automatically mean less time. So this course never argues from operation counts alone: it
# measures.

# %% tags=["fold"]
# Claims: the layers under the roofline
reached = [gflops for *_, gflops in points]
claim(
    "No layer reaches the machine's arithmetic peak.", max(reached) < peak, timing=True
)
claim(
    "The last layer, the smallest, reaches less than half the speed of the fastest.",
    reached[-1] < max(reached) / 2,
    timing=True,
)
claim(
    "The first convolution reaches less than three quarters of the second's speed.",
    reached[0] < 0.75 * reached[1],
    timing=True,
)

last, x = net.classifier[-1], torch.randn(256, 128)
few, many = (
    measure.latency({"layer": last}, x[:n], rounds=15)["layer"].median
    for n in (16, 256)
)
claim(
    "The last layer takes less than 8 times as long for 16 times the pictures.",
    many < 8 * few,
    timing=True,
)

# %% [markdown]
# ## 4. A bug hunt
#
# Here is a program that promises to train the network "in parallel" and to *quantise* it, that is, to store its weights
# as small integers. We wrote it, but every bug in it comes from the article. Run the cell, read the program, and click
# the lines in which you see a bug.
#
# <details><summary>No program below?
# </summary>
#
# ```python
#  1  class Net(nn.Module):
#  2      def __init__(self): …          # the layers printed in section 1
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
# 18  net.to(device)                     # "parallel training"
# 19  loss = nn.CrossEntropyLoss()(net(x), y)
# 20  loss.backward()
# 21  optimizer.step()
# ```
#
# </details>

# %%
mark_bugs()

# %% [markdown]
# Take the bugs one by one: answer each question below before you open its answer. `attempt` runs a line of the program,
# and shows what it gives: behind a triangle, until you have compared your lines.
#
# <details><summary>Bugs 1 and 2: why does the program not even start?
# </summary>
#
# In line 7, a function name contains a space, and `F` in line 4 is never imported. Fix: `def quantise_model` and
# `from torch.nn import functional as F`. The article's code can never have been run.
#
# </details>

# %%
attempt("def quantise model(model, num_bits): ...")

# %%
attempt("F.relu(torch.ones(2))")

# %% [markdown]
# <details><summary>Bug 3: what does the cast do to the weights?
# </summary>
#
# In line 10, `.byte()` drops the fraction, and its result for a negative number is undefined: a cast is not
# quantisation. Most trained weights lie between −0.5 and 0.5, so they become 0. Here are five larger ones:
#
# </details>

# %%
weights = torch.tensor([-2.2, -0.7, 0.3, 0.9, 1.8])
attempt("weights.byte()", weights=weights)

# %% [markdown]
# <details><summary>Bug 4: what happens to the constant?
# </summary>
#
# The 256 in line 11 does not fit into a byte. It wraps to 0, and the program divides by zero. (In a wider type,
# `w // 256` would be 0 for every byte, and every weight would become $2^0 = 1$.)
#
# </details>

# %%
attempt("2 ** (weights.byte() // 256)", weights=weights)

# %% [markdown]
# <details><summary>Bug 5: why can't an optimizer work with the result?
# </summary>
#
# Line 12 makes integers into parameters, and integers have no gradient. An optimizer moves a parameter by small steps,
# and there are no small steps between integers. So PyTorch refuses:
#
# </details>

# %%
attempt("nn.Parameter(torch.tensor([254, 0, 1], dtype=torch.uint8))")

# %% [markdown]
# <details><summary>Bugs 6 and 7: what does the program forget?
# </summary>
#
# The argument `num_bits` of line 7 is never used: the program asks for 8 bits but would do the same for 2. And since it
# stores no *scale*, nobody can tell which float an integer stands for.
#
# </details>
#
# **Exercise (3 points).** Fix lines 10 and 11. Symmetric quantisation stores $q = \operatorname{round}(w/s)$ with the
# scale $s = \max|w|/127$. The largest magnitude becomes ±127, and $s\,q \approx w$ recovers the float.


# %% exercise="start.to_int8"
def to_int8(weights):
    """Symmetric 8-bit quantisation: (integers of dtype torch.int8, scale as a float).

    weights: a float tensor, not all zero.

    >>> to_int8(torch.tensor([-254.0, 100.0, 3.0]))
    (tensor([-127,   50,    2], dtype=torch.int8), 2.0)
    """
    ### BEGIN SOLUTION
    scale = weights.abs().max().item() / 127
    return (weights / scale).round().to(torch.int8), scale
    ### END SOLUTION


# %%
check("start.to_int8", to_int8)

# %%
to_int8 = yours_or_ours("start.to_int8")
q, scale = to_int8(weights)
weights, q, q * scale

# %% [markdown]
# <details><summary>Bug 8: what is not quantised?
# </summary>
#
# Lines 9 to 12 only change weights. Biases and the activations between the layers stay floats, so every product is
# still a float product. At best the network becomes smaller on disk, but not faster.
#
# </details>
#
# <details><summary>Bug 9: what does the optimizer hold?
# </summary>
#
# Line 15 creates the optimizer too early. It holds the *old* parameters. After line 16 has replaced them, `step()`
# updates tensors that the network no longer uses:
#
# </details>

# %%
layer = nn.Linear(2, 1)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
layer.weight = nn.Parameter(torch.ones(1, 2))  # replaced after the optimizer was made
layer(torch.ones(1, 2)).sum().backward()
optimizer.step()
layer.weight, layer.weight.grad

# %% [markdown]
# The weight has a gradient but did not move. There was no error and no warning, and such bugs cost days. `fit`, the
# course's training loop, refuses an optimizer that does not hold the model's own parameters:

# %%
try:
    training.fit(layer, pictures, optimizer=optimizer)
except ValueError as error:
    print(wrapped(error))

# %% [markdown]
# <details><summary>Bugs 10 to 13: what is missing, and what only looks right?
# </summary>
#
# - Bug 10: there is no data, no training loop and no evaluation, so nothing is ever measured.
# - Bug 11, line 19: the input `x` is never moved to the device, so the program fails on any machine with a GPU.
# - Bug 12, line 18: "parallel" only means a move to one device. Other GPUs stay idle, and CPU cores are not considered.
# - Bug 13, line 17: `cuda:0` is hard-coded, so Apple and Intel accelerators and a second GPU are never used.
#   `torch.accelerator` finds whichever accelerator there is.
#
# </details>
#
# Here is the fixed program in plain torch. It leaves two bugs for later lessons: its products are still float products
# (lesson 05), and only one device computes (lesson 10).

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

# %%
with torch.no_grad():  # after training: every layer's weights to int8 and back
    for layer in repaired.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            q, scale = to_int8(layer.weight)
            layer.weight.copy_(q * scale)

# %% [markdown]
# The network trains. To see how good it is, you need a number.
#
# **Exercise (1 point).** For each picture the network computes ten scores, its *logits*, one per class. Compute the
# accuracy: the percentage of pictures whose class the network predicts. Every later comparison needs this number.


# %% exercise="start.accuracy"
def accuracy(logits, labels):
    """Share of correctly classified pictures in percent, a float.

    logits: float [N, C], labels: int64 [N].

    >>> logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.5], [-1.0, -2.0]])
    >>> accuracy(logits, torch.tensor([0, 1, 1, 0]))
    75.0
    """
    ### BEGIN SOLUTION
    return 100 * (logits.argmax(dim=1) == labels).float().mean().item()
    ### END SOLUTION


# %%
check("start.accuracy", accuracy)

# %% tags=["nbval-ignore-output"]
accuracy = yours_or_ours("start.accuracy")
with torch.inference_mode():
    inputs = pictures.to_input(pictures.test.images).to(device)
    logits = torch.cat([repaired(part) for part in inputs.split(1000)]).cpu()
after_a_third = accuracy(logits, pictures.test.labels)
print(f"Trained on a third of the pictures, with 8-bit weights: {after_a_third:.1f} %")

# %% tags=["fold"]
# Claims: the repaired program
integers, scale = to_int8(weights)
claim(
    "With 8-bit weights, accuracy is above 70 %; guessing would give 10 %.",
    after_a_third > 70,
)
claim(
    "The loss starts near log 10 = 2.30, that of guessing among ten classes.",
    abs(losses[0] - 2.30) < 0.1,
)
claim(
    "One pass over a third of the pictures brings it below 1.",
    sum(losses[-10:]) / 10 < 1,
)
claim(
    "In bug 4, with a wider type, every weight would become 1.",
    bool((2 ** (weights.byte().int() // 256) == 1).all()),
)
claim(
    "The weights that `to_int8` recovered are off by at most half a step.",
    (integers * scale - weights).abs().max() <= scale / 2 + 1e-7,
)

# %% [markdown]
# ## 5. The baseline
#
# Every later lesson compares with this baseline. It is trained with the article's optimizer, SGD with a learning rate
# of 0.01 and a momentum of 0.9. The article does not give the batch size or the length of the training; the course uses
# eight *epochs* (passes over the training pictures) in batches of 64. Training takes up to half a minute on two cores.
# Make a guess first.

# %%
predict("test accuracy of the baseline after 8 epochs", unit="%")

# %%
torch.manual_seed(0)
baseline = models.MyNet()
history = training.fit(baseline, pictures, **models.ARTICLE_RECIPE, seed=0)

# %% tags=["nbval-ignore-output"]
# Answer: test accuracy of the baseline after 8 epochs
result = training.evaluate(baseline, pictures.test, pictures)
standard_error = (result.accuracy * (100 - result.accuracy) / 10_000) ** 0.5
reveal(
    "test accuracy of the baseline after 8 epochs",
    result.accuracy,
    result.accuracy - 1.96 * standard_error,
    result.accuracy + 1.96 * standard_error,
    because="Shirts, pullovers, coats and T-shirts look alike at 28×28 pixels: two "
    "thirds of the mistakes are on these four classes. Training accuracy is higher, "
    "since the network has begun to memorise its training pictures.",
)

# %% tags=["fold"]
# Plot: training loss and validation accuracy by epoch
plots.history({"MyNet, the article's recipe": history})

# %% [markdown]
# What to see: on the left, the training loss keeps falling. On the right, validation accuracy rises fast at first
# and slowly later.

# %% tags=["fold"]
# Claims: the baseline's accuracy and mistakes
shipped = models.record("mynet")["test_accuracy"]
alike = torch.isin(pictures.test.labels, torch.tensor([0, 2, 4, 6]))
claim(
    "The baseline classifies 87 to 91 % of the test pictures correctly.",
    87 < result.accuracy < 91,
)
claim(
    "Its accuracy is within 1.5 points of the weights that ship with the course.",
    abs(result.accuracy - shipped) < 1.5,
)
claim(
    "Two thirds of its mistakes are on T-shirts, pullovers, coats and shirts.",
    (~result.correct)[alike].sum() > 2 / 3 * (~result.correct).sum(),
)
claim(
    "Its accuracy is higher on its training pictures.",
    history.train_accuracy[-1] > history.validation_accuracy[-1],
)

# %% [markdown]
# On one machine, the same seed gives the same weights bit for bit. Another processor rounds differently, and its result
# differs by a few tenths of a percentage point (from here on: a *point*). That is why the claims in this course have
# margins.
#
# ## 6. Measurements you can trust
#
# The course also ships a stronger network, the *teacher*. It is a residual network: its blocks add their input to their
# output. It has only 15 % more parameters than `MyNet`. How many times as long does it take per batch?

# %%
predict("latency of the teacher at batch 256, compared with MyNet", unit="× as long")

# %%
baseline_shipped, teacher = models.trained("mynet"), models.trained("teacher")
timings = measure.latency(
    {"teacher": teacher, "MyNet": baseline_shipped}, batch, rounds=12, budget_seconds=4
)
ratio = measure.ratio(timings["teacher"], timings["MyNet"])

# %% tags=["nbval-ignore-output"]
# Answer: latency of the teacher at batch 256, compared with MyNet
reveal(
    "latency of the teacher at batch 256, compared with MyNet",
    ratio.median,
    ratio.low,
    ratio.high,
    because="Parameters say little about time. The teacher's weights are small kernels "
    "that are used at every pixel: it computes 6.9 times as many MACs, and it writes "
    "and reads more activations.",
)

# %% tags=["fold", "nbval-ignore-output"]
# Table: MyNet and the teacher
measure.compare(
    {"teacher": teacher, "MyNet": baseline_shipped},
    batch,
    accuracy={"teacher": models.record("teacher")["test_accuracy"], "MyNet": shipped},
    rounds=15,
    budget_seconds=4,
)

# %% [markdown]
# What to see: each network has one row. Compressing a file with gzip hardly makes it smaller. The last two columns give
# the time of one forward pass with 1 and with 256 pictures: the median and, in brackets, the *quartiles*, between which
# the middle half of all runs lies. Below MyNet's times is its speed-up over the teacher, with an interval.

# %% tags=["fold"]
# Claims: the teacher's size and time
mynet_size, teacher_size = (
    measure.parameters(baseline_shipped).total,
    measure.parameters(teacher).total,
)
claim(
    "The teacher has 15 % more parameters.",
    round(100 * (teacher_size / mynet_size - 1)) == 15,
)
macs_ratio = measure.macs(teacher, example) / measure.macs(baseline_shipped, example)
claim("It computes 6.9 times as many MACs.", round(macs_ratio, 1) == 6.9)
claim("It takes more than 1.5 times as long.", ratio.low > 1.5, timing=True)

# %% [markdown]
# How can you trust such a ratio on a machine that also does other things? Not by timing one network and then the other:
# clock speed, caches and other programs drift. Instead, the two networks run in turns, A/B/A/B, or *interleaved*, and
# each pair of runs gives one ratio. Whatever slows the machine for a while slows both halves of a pair. The result is
# the median of the ratios. Sort the ratios, and two of them are the ends of a confidence interval that assumes nothing
# about their distribution (Conover 1999, *Practical Nonparametric Statistics*, section 3.2).
#
# The interval covers the variation from round to round. Another run of the program, with its data elsewhere in memory,
# can differ by a few per cent more. So a ratio within 0.01 of 1 counts as "no difference measured" here, however
# narrow its interval.
#
# Two things would still drown out the network's own time: threads that keep a core busy while they wait for each other
# and, on Linux, memory that is returned after every layer and fetched again page by page. `import nnopt_lab` switches
# both off (see `nnopt_lab/workbench/allocator.py`; inference servers use another allocator to the same effect).
#
# **Exercise (2 points).** Compute the speed-up from interleaved timings: one number from all pairs, as described above.
# Every speed-up in this course is measured like this.


# %% exercise="start.speedup"
def speedup(before, after):
    """How many times as fast is `after`? A float above 1 if it is faster.

    before, after: lists of seconds; before[i] and after[i] ran in immediate succession.

    >>> speedup([3.0, 4.0, 9.0], [1.0, 2.0, 3.0])
    3.0
    """
    ### BEGIN SOLUTION
    from statistics import median

    return median(b / a for b, a in zip(before, after, strict=True))
    ### END SOLUTION


# %%
check("start.speedup", speedup)

# %% [markdown]
# Try it on two copies of one network. How near is their ratio to 1?

# %%
speedup = yours_or_ours("start.speedup")
copied = copy.deepcopy(baseline_shipped)
same = measure.latency(
    {"A": baseline_shipped, "A again": copied}, batch, rounds=15, budget_seconds=2
)
median_ratio = speedup(same["A"].samples, same["A again"].samples)

# %% tags=["fold", "nbval-ignore-output"]
# Numbers: the ratio of two copies
print("two copies of one network:", measure.ratio(same["A"], same["A again"]))
print("speedup(…), the median of the ratios:", round(median_ratio, 3))

# %% question="start.three_percent"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("start.three_percent", choice)

# %% [markdown]
# ## 7. Playground
#
# Change one convolution and watch its cost. Can you find a layer that does fewer MACs than another but takes *longer*?
# Each point is a layer you have tried; the orange one is the last.

# %%
layer_playground()

# %% [markdown]
# ## Summary
#
# | topic | in short |
# |---|---|
# | parameters | what a layer stores: its size on disk |
# | MACs | the work per picture; 1 MAC is 2 operations |
# | roofline | min(peak, intensity · bandwidth): the limit a layer runs into |
# | accuracy | choose on validation pictures, report on test pictures, with an interval |
# | speed | median of paired ratios from interleaved runs; "no difference measured" is a result too |
#
# You can now count what a layer costs, tell whether arithmetic or memory limits it, and compare the speed of two
# networks with an interval.
#
# **In practice.** Use `torch.utils.benchmark` for timings within one process, `torch.utils.flop_counter` to count
# operations, `torch.profiler` to see where time goes, and safetensors files for weights. The course's own `measure`
# package builds on the same ideas and is short enough to read.
#
# **Further reading.**
# [Dumoulin & Visin, *A guide to convolution arithmetic for deep learning* (2016)](https://arxiv.org/abs/1603.07285) ·
# [Williams, Waterman & Patterson, *Roofline* (CACM 2009)](https://doi.org/10.1145/1498765.1498785) ·
# [Xiao, Rasul & Vollgraf, *Fashion-MNIST* (2017)](https://arxiv.org/abs/1708.07747) ·
# [Mytkowicz et al., *Producing wrong data without doing anything obviously wrong!* (ASPLOS 2009)](https://doi.org/10.1145/1508244.1508275).
#
# **Next:** [01 Pruning](01_pruning.ipynb) removes nine tenths of the weights and loses hardly any accuracy.

# %% tags=["nbval-ignore-output"]
progress()
