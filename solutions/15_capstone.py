# %% [markdown]
# # Capstone: make it fit
#
# The lessons so far took networks apart, one technique at a time. Here you put the techniques together. You hand in
# **one ONNX file** that classifies clothes, made by any means you have learnt, and as small, as fast or as accurate as
# you can make it. In this notebook you will
#
# - see the task, its three divisions, and what the course's own entries reach;
# - find out what takes up bytes in a file, and pack 4-bit weights yourself;
# - give "nothing was lost" a precise meaning, and count what an entry is worth;
# - make a first entry in seconds, walk the whole way to a small one, and get a list of what to try next.
#
# Reading and solving takes about an hour and a half; your own entry takes as long as you like. The pictures are those
# of Fashion-MNIST: ten kinds of clothes, 28×28 grey pixels.
#
# - **ONNX** is a file format for networks: a list of operators and the numbers they need.
# - An **engine** is a program that runs such a file; ours is **ONNX Runtime**.
# - The **baseline** is `MyNet`, the network from the article that this course optimises, trained and in float32.
# - A **point** of accuracy is a percentage point. (Entries earn points, too: 0 to 10 in each division.)

# %% tags=["fold", "side-by-side"]
# Imports: where the names of this lesson come from
import math
import tempfile
from pathlib import Path

import onnx
import torch
from onnx import TensorProto

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.grading import capstone
from nnopt_lab.lessons.capstone import entries, way
from nnopt_lab.lessons.capstone.contents import (
    operators_run,
    stored_tensors,
    with_floats,
)
from nnopt_lab.lessons.capstone.onnx_files import write_onnx
from nnopt_lab.techniques.convolutions import folding
from nnopt_lab.techniques.quantization import qat, quantize
from nnopt_lab.workbench import data, measure, models, plots, recipes
from nnopt_lab.workbench.paths import data_dir

# %%
lesson("15_capstone")
pictures = data.load("fashion")
folder = Path(tempfile.mkdtemp())
measure.layer_table(
    models.trained("mynet"), pictures.to_input(pictures.test.images[:1])
)

# %% [markdown]
# ## 1. The task
#
# Your file takes float32 `[N, 3, 32, 32]` for any N, the pictures as `pictures.to_input` makes them, and returns
# float32 `[N, 10]`, one score per class. It uses only ONNX's own operators and contains all of its numbers. The judge
# runs it on the 10,000 test pictures, on one thread, in a separate process, and times it in turns with the baseline.
#
# | division | condition | what counts |
# |---|---|---|
# | smallest | at least 88.4 % of the test pictures right (the *floor*) | bytes on disk |
# | fastest | at least 88.4 % of the test pictures right | the speed-up over the baseline: the geometric mean of the speed-ups for batches of 1 and of 256 (the square root of their product) |
# | most accurate | at most 10,000 bytes | the accuracy |
#
# The baseline is right on 88.87 %. In each division an entry as good as the baseline earns 0 points, one as good as our
# best earns 10, and the others lie between. You may hand in a different file for each division.
#
# Train on `pictures.train`, and choose between networks by `pictures.validation`. The test pictures belong to the
# judge: if you tried forty files on them and handed in the best, you would have picked the luckiest one.

# %% [markdown]
# A file could also memorise the test pictures: a hash of the pixels and a table of 10,000 labels fit into 8 kB and
# reach 100 %. So the judge also shows your file other pictures, drawn anew for each judging, in random order:
#
# <details><summary>Which pictures these are, and when the judge refuses a file
# </summary>
#
# - **The test pictures, changed a little:** shifted by at most a quarter of a pixel, rotated by at most 1°, scaled by
#   at most 1 %, and each pixel changed by at most one grey level. For each change the judge also shows its opposite. A
#   picture counts as right if most of its versions are. **The accuracy that counts is the lower of the two**, unchanged
#   or changed. The leaderboard shows the second in brackets; for our entries they differ by about 0.1 points. A table
#   of hashes gains nothing, since one changed pixel leads to another picture's label.
# - **The test pictures and others, moved by up to a pixel,** rotated by up to 4° and scaled by up to 4 %.
# - **Pictures from the training and validation sets,** changed a little.
#
# The judge refuses a file that
#
# - loses more than 1 point when the test pictures are changed a little;
# - loses 0.5 points more on the test pictures than on other pictures when both are moved; or
# - is 0.5 points more accurate on the test pictures than on those for training or validation.
#
# A file is refused only if such a difference exceeds its limit by more than chance explains: 3.5 standard errors (see
# section 4). Networks trained on `pictures.train` pass, even without augmentation: they lose less on the test pictures
# than on those they were trained on.
#
# </details>
#
# Four entries of ours ship with the course, in `data/capstone`. "small" is the smallest file we have found that reaches
# 88.4 %. "fastest" is the fastest, "fast" has one layer more, and "accurate" has at most 10,000 bytes. Before you
# look, guess: how many times smaller than the baseline is the small file? How many times as fast as the baseline is the
# fastest one with a batch of 256? And the small one, which does less than a seventh of the baseline's multiplications?

# %%
predict("our small file against the baseline's", unit="×")

# %%
predict("our fastest file against the baseline, batch 256", unit="×")

# %%
predict("our small file against the baseline, batch 256", unit="×")

# %%
# Few rounds of timing; "own files" means: files of your own, which need no sandbox.
QUICK = {"isolation": "own files", "rounds": 7, "seconds": 0.3}
board = capstone.judge(**QUICK)
small, accurate, fast, fastest = (
    board[name] for name in ("small", "accurate", "fast", "fastest")
)

# %%
# Answer: our files against the baseline's
of_fastest, of_small = fastest.faster[256], small.faster[256]
reveal(
    "our small file against the baseline's",
    board.baseline.bytes / small.bytes,
    because="Three factors multiply: fewer weights (another architecture, trained by a "
    "large teacher network), an eighth of the bits for most of them, and little "
    "overhead around them.",
)
reveal(
    "our fastest file against the baseline, batch 256",
    of_fastest.median,
    of_fastest.low,
    of_fastest.high,
    because="It reads one channel instead of three copies of it, and its first "
    "convolution already divides the picture's sides by three, so that hardly any "
    "large tensor is left to write and read.",
)
reveal(
    "our small file against the baseline, batch 256",
    of_small.median,
    of_small.low,
    of_small.high,
    because="Fewer multiplications do not mean less time (lesson 02). Section 6 finds "
    "out where this network's time goes.",
)

# %% tags=["nbval-ignore-output", "tells"]
board

# %% tags=["tells"]
board.plot()

# %% [markdown]
# What to see: the left plot shows size, the right one speed, each against accuracy. The green line joins the files that
# no other file beats both in accuracy and in the plot's other quantity. The small file lies far to the left in the
# first plot, and yet gains little or no speed in the second.

# %%
# Claims: our files
claim(
    "Our small file is more than 100 times smaller than the baseline's.",
    board.baseline.bytes > 100 * small.bytes,
)
claim(
    "With 256 pictures, our fastest file is at least 6 times as fast as the baseline, "
    "and with one picture at least 3 times.",
    of_fastest.median > 6 and fastest.faster[1].median > 3,
    timing=True,
)
claim(
    "Our accurate file has at most 10,000 bytes and is right more often than the "
    "baseline.",
    accurate.bytes <= capstone.BYTES and accurate.accuracy > board.baseline.accuracy,
)
claim(
    "The baseline is right on 88.87 %, give or take 0.05.",
    abs(board.baseline.accuracy - 88.87) < 0.05,
)
claim(
    "With 256 pictures, our fast file is at least 2.5 times as fast as the baseline, "
    "and with one picture 1.5 times.",
    fast.faster[256].median > 2.5 and fast.faster[1].median > 1.5,
    timing=True,
)

# %% [markdown]
# ## 2. What a file is made of
#
# A budget of 10,000 bytes is soon spent. How much of it do the numbers alone take?
#
# **Exercise (3 points).** `shapes` lists the shapes of a network's tensors, `bits` the number of bits per number in
# each. How many bytes do they take if the numbers of a tensor follow each other without a gap, and every tensor starts
# on a new byte?


# %% exercise="capstone.file_bytes"
def file_bytes(shapes, bits):
    """Bytes of tensors: list of shapes (lists of int), list of bits (int) → int.

    >>> file_bytes([[3], [2, 2]], [4, 8])
    6
    """
    ### BEGIN SOLUTION
    return sum(
        -(-math.prod(shape) * width // 8)
        for shape, width in zip(shapes, bits, strict=True)
    )
    ### END SOLUTION


# %%
check("capstone.file_bytes", file_bytes)

# %% [markdown]
# With this function you can look into any file. What is left after subtracting the numbers is operators, names and
# shapes.

# %%
file_bytes = yours_or_ours("capstone.file_bytes")


def taken_apart(path):
    """A file's bytes: float32 and int64, int8 and int4, everything else."""
    wide = file_bytes(*stored_tensors(path, bits=(32, 64)))
    narrow = file_bytes(*stored_tensors(path, bits=(4, 8)))
    return wide, narrow, Path(path).stat().st_size - wide - narrow


# %%
baseline_file = write_onnx(models.trained("mynet"), folder / "baseline.onnx")
files = {"baseline": baseline_file} | {
    name: data_dir() / "capstone" / f"{name}.onnx"
    for name in ("fastest", "fast", "accurate", "small")
}
parts = {name: taken_apart(path) for name, path in files.items()}

# %% tags=["fold"]
# Plot: what the files are made of
KINDS = ("float32 and int64", "int8 and int4", "operators, names, shapes")
fig, axes = plots.figure(ncols=2, sharey=True)
for ax, of_file in zip(axes, (False, True), strict=True):
    rows = {}
    for name, part in parts.items():
        whole = sum(part) / 100 if of_file else 1000
        rows[name] = {
            kind: size / whole for kind, size in zip(KINDS, part, strict=True)
        }
    plots.stages(ax, rows, labels=None if of_file else "{:,.0f}")
axes[0].set(xlabel="kB")
axes[1].set(xlabel="% of the file")
plots.legend(fig)
plots.finish(
    fig,
    "What the files consist of, in kB and in percent: floats fill the baseline, small "
    "integers the smallest files.",
)

# %% [markdown]
# What to see: on the left, in kB, the baseline dwarfs all of our files. On the right, as a share of each file, the
# baseline is float32 numbers (blue) and hardly anything else, while in the two smallest files most bytes are integers
# of few bits (orange), and operators and names (green) begin to count.

# %% tags=["fold"]
# Claims: what is not numbers
rest = {name: part[2] / sum(part) for name, part in parts.items()}
claim(
    "Less than 0.2 % of the baseline's file is not numbers.", rest["baseline"] < 0.002
)
claim("More than a tenth of our small file is not numbers.", rest["small"] > 0.1)

# %% question="capstone.zeros"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("capstone.zeros", choice)

# %% [markdown]
# ## 3. Four bits, and a first entry
#
# Today's processors do not address half a byte, so int4 values are stored in pairs. The first of two neighbours goes
# into the lower four bits of a byte, the second into the upper four, both in two's complement (q for q ≥ 0, q + 16 for
# q < 0). If the number of values is odd, the last upper half is zero.
#
# **Exercise (3 points).** Pack whole numbers from −8 to 7 in this way. A file then needs half a byte per weight.


# %% exercise="capstone.in_pairs"
def in_pairs(values):
    """int4 as ONNX stores it: int64 [n] from −8 to 7 → int64 [⌈n/2⌉], 0 to 255.

    >>> in_pairs(torch.tensor([1, -2, 7]))
    tensor([225,   7])
    """
    ### BEGIN SOLUTION
    values = torch.cat([values, values.new_zeros(len(values) % 2)])
    low, high = (values % 16).reshape(-1, 2).T
    return low + 16 * high
    ### END SOLUTION


# %%
check("capstone.in_pairs", in_pairs)

# %% [markdown]
# This is the quickest entry of all: take the baseline, round each layer's weights to a grid of 16 values, and train
# nothing. `write_onnx` stores such weights as int4, followed by a DequantizeLinear operator, which turns them back into
# floats in the engine. How much accuracy does it cost to throw away seven eighths of all bits?

# %%
predict("accuracy lost with 4-bit weights, no training", unit="points")

# %%
# Only weights are rounded, to the range from the smallest to the largest ("min-max"),
# in all layers (`ends=None`: no other bits for the first and the last).
four_bits = models.trained("mynet")
batch = pictures.to_input(pictures.train.images[:256])
qat.prepare(four_bits, batch, weights=4, activations=None, method="min-max", ends=None)
qat.make_permanent(four_bits.eval())
first = write_onnx(four_bits, folder / "four bits.onnx")

# %%
board = capstone.judge([first], board=board, **QUICK)
lost_by_rounding = board.baseline.accuracy - board["four bits"].accuracy

# %%
# Answer: accuracy lost with 4-bit weights, no training
reveal(
    "accuracy lost with 4-bit weights, no training",
    round(lost_by_rounding, 1),
    because="Nearly all weights are in one wide linear layer, where thousands of "
    "rounding errors average out. A network with few weights has no such reserve: our "
    "small one was trained with its grid (lesson 06).",
)

# %% [markdown]
# Are the bytes in the file those of your function? The next cell packs the first layer's weights.

# %%
in_pairs = yours_or_ours("capstone.in_pairs")
layer = four_bits.features[0]
packed = in_pairs(quantize(layer.weight.detach(), layer.weight_grid).long().flatten())

# %% tags=["fold"]
# Claims: bytes of the first layer
stored = next(
    t for t in onnx.load(first).graph.initializer if t.data_type == TensorProto.INT4
)
claim(
    "The file stores the first layer's weights in the bytes that `in_pairs` returns.",
    bytes(packed.tolist()) == stored.raw_data,
)

# %%
# Claims: four bits
claim(
    "The 4-bit file is more than 7 times smaller than the baseline.",
    board.baseline.bytes > 7 * board["four bits"].bytes,
)
claim("Rounding to 4 bits loses less than a point.", -0.3 < lost_by_rounding < 1)

# %% [markdown]
# ## 4. Nothing lost, within half a point
#
# "No accuracy was lost" cannot be shown; "a loss of more than half a point is excluded" can. On some pictures the new
# network is right and the baseline wrong (*gained*, g), on some it is the other way round (*lost*, l). On all others
# they agree. The change in accuracy is $(g - l)/n$ for $n$ pictures.
#
# Each picture contributes +1, −1 or 0, so the sum has the variance $g + l - (g - l)^2/n$. Its square root, divided by
# $n$, is the standard error of the change. The 95 % confidence interval reaches 1.96 standard errors to each side of
# the measured change.
#
# **Exercise (4 points).** Compute the lower end of that interval in points (per cent of all pictures). If it is above
# −0.5, a loss of half a point is excluded.


# %% exercise="capstone.least_change"
def least_change(gained, lost, count):
    """The lower end of the change's 95 % interval: three ints → float, in points.

    >>> round(least_change(50, 50, 10_000), 6)
    -0.196
    """
    ### BEGIN SOLUTION
    error = math.sqrt(gained + lost - (gained - lost) ** 2 / count)
    return 100 * (gained - lost - 1.96 * error) / count
    ### END SOLUTION


# %%
check("capstone.least_change", least_change)

# %%
least_change = yours_or_ours("capstone.least_change")
names = ["four bits", "fastest", "fast", "accurate", "small"]
change, least = {}, {}
for name in names:
    before, after = board.baseline.correct, board[name].correct
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    least[name] = least_change(gained, lost, len(after))
    most = -least_change(lost, gained, len(after))
    change[name] = (100 * (gained - lost) / len(after), least[name], most)

# %% tags=["fold"]
# Plot: change in accuracy
fig, ax = plots.figure()
plots.intervals(ax, change, reference=-0.5)
ax.set(xlabel="change in accuracy against the baseline, points (95 % interval)")
safe = sum(low > -0.5 for _, low, _ in change.values())
plots.finish(
    fig,
    f"Of {len(change)} files, {safe} have an interval that lies to the right of the "
    "dashed line, half a point lost.",
    trained="x",
)

# %% [markdown]
# What to see: the dashed line marks half a point lost. If the whole interval lies to its right, a larger loss is
# excluded.

# %%
# Claims: losses within half a point
claim(
    "A loss of half a point is excluded for fastest, fast and accurate.",
    all(least[name] > -0.5 for name in ("fastest", "fast", "accurate")),
)
claim("A loss of half a point is not excluded for small.", least["small"] < -0.5)

# %% [markdown]
# ## 5. What an entry is worth
#
# Halving 1 MB takes one line of code (float16). Halving 8 kB takes another architecture, or a better code for its
# numbers. So points follow a logarithmic scale: each halving of the size and each doubling of the speed counts the
# same.
#
# **Exercise (3 points).** For each value, give 0 points at `naive`, 10 at `best`, and points along the logarithm
# between them, never below 0 or above 10. All numbers are positive; `best` may be larger than `naive` (speeds) or
# smaller (sizes).


# %% exercise="capstone.points"
def points(values, naive, best):
    """Points of entries: list of float, float, float → list of float, 0 to 10.

    >>> points([2000, 500, 100], 1000, 250)
    [0.0, 5.0, 10.0]
    """
    ### BEGIN SOLUTION
    shares = [math.log(value / naive) / math.log(best / naive) for value in values]
    return [10 * min(max(share, 0.0), 1.0) for share in shares]
    ### END SOLUTION


# %%
check("capstone.points", points)

# %%
points = yours_or_ours("capstone.points")
best, naive = board.ranking("smallest")[0].bytes, board.baseline.bytes
entered = ["baseline", *names]
sizes = [board[name].bytes for name in entered]
earned = dict(zip(entered, points(sizes, naive, best), strict=True))

# %% tags=["fold"]
# Plot: points over bytes
fig, ax = plots.figure()
line = torch.logspace(math.log10(best) - 0.3, math.log10(naive) + 0.3, 100).tolist()
ax.plot(line, points(line, naive, best), color=plots.REFERENCE)
ax.set(xscale="log", xlabel="bytes", ylabel="points for the size")
plots.scatter(ax, {name: (board[name].bytes, got) for name, got in earned.items()})
plots.finish(
    fig,
    "Points over bytes: a straight line on a logarithmic axis, level at both ends, "
    "with the files on it.",
)

# %% [markdown]
# What to see: on the logarithmic axis, the points for the size lie on a straight line from the baseline to our smallest
# file, and the line is flat beyond.

# %% tags=["fold"]
# Claims: points for the size
taking_part = [entry.name for entry in board.ranking("smallest")]
same = [
    abs(board.points(name, "smallest") - earned[name]) < 1e-3 for name in taking_part
]
claim(
    "The judge gives the same points to entries above the floor.",
    all(same),
    timing=False,
)
claim("The 4-bit entry earns 4 points for its size.", round(earned["four bits"]) == 4)

# %% [markdown]
# ## 6. Small is not fast
#
# The small network does less than a seventh of the baseline's multiplications, and yet it gains little or no speed. Is
# that due to the architecture, or to the file? Write the same network with its weights in float32 (`with_floats`). How
# many times as fast is it?

# %%
predict("our small network in float32 against the same in int4, batch 256", unit="×")

# %%
small_in_float = with_floats(files["small"], folder / "small, float32.onnx")
board = capstone.judge([small_in_float], board=board, **QUICK)
in_float = board["small, float32"]
gain = in_float.faster[256].median / small.faster[256].median

# %% tags=["nbval-ignore-output"]
# Answer: our small network in float32 against the same in int4, batch 256
reveal(
    "our small network in float32 against the same in int4, batch 256",
    gain,
    in_float.faster[256].low / small.faster[256].high,
    in_float.faster[256].high / small.faster[256].low,
    because="A small file promises less memory, not less time. The next cells show "
    "what the engine makes of each file when it loads it.",
)

# %% [markdown]
# An engine rewrites a network's graph of operators when it loads it, and ONNX Runtime can save the result. The plot
# counts the operators that it really runs. On x86 processors, those whose names begin with `com.microsoft.nchwc` are
# its fastest convolutions: they need channels in blocks, for which the weights are rearranged once, at loading. On
# other processors the engine may have none of them.

# %%
run = {
    "int4": operators_run(files["small"]),
    "float32": operators_run(small_in_float),
}

# %% tags=["fold", "nbval-ignore-output"]
# Plot: operators in the rewritten graphs
kinds = sorted({kind for found in run.values() for kind in found})
fig, ax = plots.figure(height=0.4 * len(kinds) + 1.2)
plots.grouped_bars(
    ax,
    {name: {kind: found.count(kind) for kind in kinds} for name, found in run.items()},
    labels="{:.0f}",
)
ax.set(xlabel="nodes in the rewritten graph of the small network")
plots.legend(fig)
plots.finish(
    fig,
    f"The int4 file runs DequantizeLinear {run['int4'].count('DequantizeLinear')} "
    f"times, the float32 file {run['float32'].count('DequantizeLinear')} times.",
    measured="x",
    series=True,
)

# %% [markdown]
# What to see: only the int4 file runs DequantizeLinear. If the engine has blocked convolutions (`nchwc`), only the
# float32 file gets them.

# %% question="capstone.slow_int4"
choice = None
### BEGIN SOLUTION
choice = "a"
### END SOLUTION
question("capstone.slow_int4", choice)

# %% tags=["fold"]
# Claims: small and fast
picture = pictures.to_input(pictures.test.images[:1])
fresh = entries.separable_network((14, 28, 36, 56, 64), (2, 1, 2, 1))  # as in "small"
fewer = measure.macs(models.trained("mynet"), picture) / measure.macs(fresh, picture)
blocked = any("nchwc" in kind for kind in run["float32"])

claim(
    "The float32 file is at least 1.3 times as fast as the int4 file.",
    gain > 1.3,
    where=(blocked, "this engine has no blocked convolutions"),
    timing=True,
)
claim(
    "The int4 file converts its weights to float32 every time it runs.",
    run["int4"].count("DequantizeLinear") >= 10,
)
claim(
    "The float32 file is at least twice as large as the int4 file.",
    in_float.bytes > 2 * small.bytes,
)
claim(
    "The small network does less than a seventh of the baseline's multiplications.",
    fewer > 7,
)
claim(
    "Both files give nearly every picture the same verdict.",
    (in_float.correct == small.correct).float().mean() > 0.998,
)

# %% [markdown]
# ## 7. A network of your own
#
# Here is a narrower network of the kind of our entry "fast", freshly initialised and trained for two epochs on the
# labels alone, which takes some seconds. Then its batch norms are *folded*, that is, merged into the weights of the
# convolutions before them (lesson 02), and the file is written. What accuracy does it reach? (The floor is 88.4 %.)

# %%
predict("accuracy of a network trained for seconds", unit="%")

# %%
torch.manual_seed(0)
mine = entries.strided_network((8, 16, 32))
recipes.one_cycle(mine, pictures, epochs=2, peak=1e-2)
mine = write_onnx(folding.fold_batch_norm(mine), folder / "mine.onnx")
board = capstone.judge([mine], board=board, **QUICK)

# %% tags=["nbval-ignore-output"]
# Answer: accuracy of a network trained for seconds
reveal(
    "accuracy of a network trained for seconds",
    board["mine"].accuracy,
    because="The architecture decides size and speed, training decides accuracy. Our "
    "fastest entry has only two convolutions, but it saw each picture 180 times, "
    "flipped and shifted, with the outputs of a large teacher network.",
)

# %% [markdown]
# Size takes more steps. The whole way to a small file is: train, fold, put quantisers on the weights (they round each
# weight to a grid of 16 values whenever the network computes), train again with them, make the rounded weights
# permanent, and write the file. Training starts over here, so that the cell shows all of it. The second training is
# shorter and has a lower learning rate, since the network only has to adapt to its grids. *LSQ* learns the step of each
# grid along with the weights (lesson 06).
#
# Fill in the three blanks. You have met all three in lessons 02 and 06. If you leave a blank, our own step is used.

# %%
fold = None  # the function that merges batch norms into convolutions
method = None  # the method of `prepare` that learns the grids' steps, a string
settle = None  # the function that leaves plain weights on their grids
### BEGIN SOLUTION
fold, method, settle = folding.fold_batch_norm, "lsq", qat.make_permanent
### END SOLUTION
fold, method, settle = way.filled(fold, method, settle)

torch.manual_seed(0)
network = entries.strided_network((8, 16, 32))
recipes.one_cycle(network, pictures, epochs=2, peak=1e-2)
network = fold(network)
qat.prepare(network, batch, weights=4, activations=None, method=method)
recipes.one_cycle(network, pictures, epochs=1, peak=1e-3)
network = settle(network.eval())
mine_small = write_onnx(network, folder / "mine, small.onnx")

# %% tags=["fold"]
# Claims: a network of your own
board = capstone.judge([mine_small], board=board, **QUICK)
in_bits = board["mine, small"]
more = measure.proportion_difference(board["mine"].correct, fastest.correct)
claim(
    "The file with 4-bit weights has at most 10,000 bytes, and enters the division "
    '"most accurate".',
    in_bits.bytes <= capstone.BYTES and in_bits in board.ranking("most accurate"),
    timing=False,
)
claim(
    "The file with 4-bit weights is more than 4 times smaller than the same network in "
    "float32, and loses less than 1.5 points against it.",
    board["mine"].bytes > 4 * in_bits.bytes
    and board["mine"].accuracy - in_bits.accuracy < 1.5,
)
claim(
    "Trained for seconds, the network in float32 is right on 83 to 88.3 %.",
    83 < board["mine"].accuracy < 88.3,
)
claim(
    "Our fastest entry is right more often, by more than luck explains.",
    more.low > 0,
)
claim(
    "The network in float32 enters none of the divisions.",
    not any(board["mine"] in board.ranking(name) for name in capstone.DIVISIONS),
    timing=False,
)

# %% [markdown]
# ## 8. What to try
#
# The strongest tool is **training by the large teacher**: all four of our entries were trained on its outputs.
# `entries.distill(model, pictures, epochs, peak, seed, folder)` does it, and takes minutes instead of seconds.
# In this table, numbers in brackets are lessons.
#
# | you want | look at |
# |---|---|
# | accuracy back | the teacher's outputs for flipped and shifted pictures: `entries.distill` (09); a long one-cycle schedule (03) |
# | fewer parameters | depthwise-separable convolutions (02); whole channels removed (01) |
# | fewer bits per parameter | training with the grid, LSQ (06): `qat.prepare`, then `make_permanent` |
# | fewer bytes around them | short names, one scale per tensor, batch norms folded: `lessons/capstone/onnx_files.py` |
# | less time | early strides, one channel of three, few large tensors (02); int8 activations, too (08) |
# | to know where time goes | cost models (02), fusion and the engines (08, 12) |
# | a machine that searches for you | lesson 14 |
#
# Ours were made by `nnopt train capstone_small`, `capstone_accurate`, `capstone_fast` and `capstone_fastest`; the
# recipes are in `lessons/capstone/entries.py`. They can be beaten. Some things we have not tried: 2 bits, grouped 1×1
# convolutions, one scale per channel, several teachers, or Huffman's code, decoded by the file's own operators.
#
# `write_onnx` knows only a few layers; `export_onnx` (lesson 08) writes any network. Either way, the command
#
# ```bash
# nnopt capstone my_entry.onnx
# ```
#
# shows the whole board with your file on it and its place in each division, and `nnopt progress` shows the points it
# earned. The command runs files in a sandbox that only Linux has. Your own files need none: on a Mac or on Windows add
# `--isolation none`. Here in the notebook, write the name of your file and run the cell whenever you have a new
# version:

# %%
my_entry = Path("my_entry.onnx")
if my_entry.is_file():
    board = capstone.judge([my_entry], board=board, isolation="own files")
    capstone.note(board, [my_entry])  # progress() shows its points

# %% [markdown]
# ## Summary
#
# Here is the board once more, now with the files of this notebook (orange). They show where the next points are: up, by
# better training, or further to the left or to the right.

# %%
board.plot()

# %% tags=["nbval-ignore-output"]
board

# %% [markdown]
# - **Three goals, three networks.** The smallest, the fastest and the most accurate network differ, and what makes one
#   of them good may not help the others.
# - **A file is numbers and their description.** Below 10,000 bytes the description counts.
# - **Stored in four bits is not computed in four bits.** Saving bytes and saving time are two different things.
# - **"Nothing lost" is an interval.** With 10,000 pictures, half a point is about the smallest loss you can exclude.
# - **The baseline was easy to beat in size:** most of its parameters are in one linear layer that a good architecture
#   does not need.
#
# You can now take a network from training to a file, judge it honestly, and say what it gained and lost. This was the
# last lesson. To let a machine search for your next entry, go back to [14 Choosing automatically](14_choosing.ipynb).
#
# **In practice.** Networks for phones and microcontrollers are made like this: an architecture whose operators the
# engine runs fast, a teacher, quantisation during training, and measurements on the device itself. MLPerf Tiny is such
# a contest, with microcontroller boards instead of files.
#
# **Further reading.** [Banbury et al. 2021, MLPerf Tiny benchmark](https://arxiv.org/abs/2106.07597) ·
# [Lin et al. 2020, MCUNet](https://arxiv.org/abs/2007.10319) ·
# [Howard et al. 2017, MobileNets](https://arxiv.org/abs/1704.04861) ·
# [Beyer et al. 2022, Knowledge distillation: a good teacher is patient and consistent](https://arxiv.org/abs/2106.05237) ·
# the ONNX specification: [operators](https://onnx.ai/onnx/operators/) and
# [format](https://github.com/onnx/onnx/blob/main/docs/IR.md).

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
