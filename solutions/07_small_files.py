# %% [markdown]
# # Small files
#
# How small can a file be if you must be able to rebuild the network from it? In this lesson you will
#
# - remove most weights of a network, and let the remaining ones share a few values;
# - code values and positions with as few bits as possible;
# - read the network back from its smallest file, and find out what that size really cost.
#
# You only need to know Python and the basics of PyTorch.

# %% tags=["fold", "side-by-side"]
# Imports: where the names of this lesson come from
import base64
import copy
import heapq
import tempfile
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from IPython.display import display
from torch import nn
from torch.nn.utils import parametrize

from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.small_files.playground import compression_playground
from nnopt_lab.techniques import pruning, quantization
from nnopt_lab.techniques.quantization import deep_compression
from nnopt_lab.techniques.quantization.deep_compression import huffman
from nnopt_lab.workbench import data, measure, models, plots, training
from nnopt_lab.workbench.tables import Table

# %%
lesson("07_small_files")
LIVE = False  # True: run the recorded experiments again on this machine

# %% [markdown]
# The network of this lesson is `MyNet`, already trained: two convolutions and two linear layers that sort pictures of
# clothes (Fashion-MNIST, 32×32 pixels) into ten classes.

# %%
pictures = data.load("fashion")
net = models.trained("mynet")
print(f"{measure.disk_bytes(net):,} bytes as a file of float32 numbers")
measure.layer_table(net, pictures.to_input(pictures.test.images[:1]))

# %% [markdown]
# *Points lost* are percentage points of accuracy compared with this network, with a 95 % confidence interval. Both
# networks see the same pictures, so the interval depends only on the pictures that exactly one of them gets right.
# Variants are compared on the *validation* pictures; final results are measured on the *test* pictures.

# %% tags=["fold"]
# Numbers: the float network's accuracy, and how points lost are counted
tested = training.evaluate(net, pictures.test, pictures)
validated = training.evaluate(net, pictures.validation, pictures)


def points_lost(model, split=pictures.test, reference=tested):
    """Accuracy lost against the float network, in points, with a 95 % interval."""
    accurate = training.evaluate(model, split, pictures).correct
    return measure.proportion_difference(accurate, reference.correct)


# %% [markdown]
# ## 1. Prune, share, code
#
# *Deep Compression* ([Han, Mao & Dally 2016](https://arxiv.org/abs/1510.00149)) combines three ideas.
#
# 1. **Prune.** Set the smallest weights to zero. A zero needs no value in the file, but the file must say *where* the
#    other weights are.
# 2. **Share.** Let each remaining weight take one of a few values, such as 8. The file contains these 8 values in a
#    *code book*, and 3 bits for each weight.
# 3. **Code.** The file is a sequence of *symbols*: which entry of the code book a weight uses, or how many zeros to
#    skip. Give short bit strings to frequent symbols and long ones to rare symbols.
#
# The authors made LeNet-5 39 times smaller, AlexNet 35 times and VGG-16 49 times, without losing accuracy. How many
# times smaller can `MyNet` become if it may lose half a point?

# %%
predict("how many times smaller MyNet's file becomes at half a point lost", unit="×")

# %% question="small_files.ratio"
answer = None
### BEGIN SOLUTION
answer = 40
### END SOLUTION
question("small_files.ratio", answer)

# %% [markdown]
# ## 2. Shared values
#
# Prune the network in one cut, so that only the tenth of its weights with the largest magnitudes remains, and look at
# its largest layer.

# %%
keep = pruning.count_weights(net)[1] // 10
cut = pruning.make_permanent(pruning.magnitude_prune(copy.deepcopy(net), keep))
left = cut.classifier[0].weight.detach()
left = left[left != 0]
print(f"{left.numel():,} weights of the first linear layer are left")

# %% [markdown]
# Which 8 values suit these weights? Evenly spaced values follow the range, not the weights. *k-means* puts the values
# where the weights are, and calls them *centroids*. Each weight belongs to its nearest centroid, and each centroid
# moves to the mean of its weights, again and again until nothing changes.
#
# **Exercise (3 points).** Implement one step of k-means. The next cell repeats it 100 times.


# %% exercise="small_files.kmeans_step"
def kmeans_step(values, centroids):
    """The centroids after one step: float [k]. A centroid without values stays.

    values: float [N]. centroids: float [k], in any order.

    >>> kmeans_step(torch.tensor([0.0, 2.0, 10.0]), torch.tensor([9.0, 0.0, 50.0]))
    tensor([10.,  1., 50.])
    """
    ### BEGIN SOLUTION
    labels = (values[:, None] - centroids).abs().argmin(1)
    moved = centroids.clone()
    for k in labels.unique():
        moved[k] = values[labels == k].mean()
    return moved
    ### END SOLUTION


# %%
check("small_files.kmeans_step", kmeans_step)

# %%
kmeans_step = yours_or_ours("small_files.kmeans_step")
moved = torch.linspace(left.min().item(), left.max().item(), 8)
for _ in range(100):
    moved = kmeans_step(left, moved)

# %% [markdown]
# The paper compares three starts: centroids spaced evenly over the range (*linear*), as here, centroids that each have
# equally many weights (*density*), and centroids at randomly chosen weights (*random*).


# %% tags=["fold"]
# Plot: weights and eight shared values
def rms_error(values):
    return float((left - values).square().mean().sqrt())


def found_by(init, clusters):
    centroids, labels = deep_compression.kmeans(left, clusters, init=init)
    return centroids, rms_error(centroids[labels])


on_grid = quantization.fake_quantize(left, quantization.grid_of(left, bits=3))
rows = {"evenly spaced": (on_grid.unique(), rms_error(on_grid))}
for init in ("linear", "density", "random"):
    rows[f"k-means, {init}"] = found_by(init, 8)

fig, (top, ax) = plots.figure(
    nrows=2,
    height=3.6,
    sharex=True,
    gridspec_kw={"height_ratios": [3, 2]},
)
top.hist(left.tolist(), bins=120, color=plots.REFERENCE)
top.set(
    title="what is left of the first linear layer, and 8 values for it",
    ylabel="weights",
)
for place, ((name, (values, error)), color) in enumerate(
    zip(rows.items(), plots.PALETTE, strict=False)
):
    ax.plot(
        values,
        [place] * len(values),
        "|",
        color=color,
        markersize=11,
        markeredgewidth=2.5,
    )
    label = f"{name}: error {error:.4f}"
    ax.text(0.19, place, label, color=color, va="center", fontsize=9)
ax.set(xlabel="weight", xlim=(-0.19, 0.36), ylim=(3.6, -0.6), yticks=[])
plots.finish(
    fig,
    "A histogram of weights with a hole around zero; even values miss most weights, "
    "three k-means starts place theirs among them.",
    trained="xy",
)

# %% [markdown]
# What to see: pruning has left a hole around zero (top). Of the evenly spaced values (bottom, blue), one lies in the
# hole and four lie where hardly any weight is. From every start, k-means puts its values among the weights.
#
# (There are only 7 evenly spaced values, because a symmetric 3-bit grid runs from −3 to 3 steps.) The paper found the
# linear start best, because it puts centroids at the few large weights, which matter most. Here, with 8 centroids, the
# three starts end within 2 % of each other. But k-means finds only a local minimum: with 4 centroids, the error of the
# random start ends at least a tenth above that of the others.

# %% tags=["fold"]
# Claims: k-means
by_grid, *by_kmeans = (error for _, error in rows.values())
four = {init: found_by(init, 4)[1] for init in ("linear", "density", "random")}
claim(
    "The error of k-means is less than half that of evenly spaced values.",
    2 * max(by_kmeans) < by_grid,
)
claim(
    "With 8 centroids, the three starts end within 2 % of each other.",
    max(by_kmeans) < 1.02 * min(by_kmeans),
)
claim(
    "With 4 centroids, the error of the random start ends at least a tenth above the "
    "others.",
    four["random"] > 1.1 * max(four["linear"], four["density"]),
)
claim(
    "With 4 centroids, the two other starts agree to within 1 %.",
    abs(four["density"] / four["linear"] - 1) < 0.01,
)
claim("No weight of the layer lies within 0.025 of zero.", left.abs().min() > 0.025)
claim(
    "Fewer than 3 in 100 weights lie beyond 0.1, where four evenly spaced values lie.",
    (left.abs() > 0.1).float().mean() < 0.03
    and (rows["evenly spaced"][0].abs() > 0.1).sum() == 4,
)
claim(
    "The steps end at the same centroids as the library's k-means.",
    torch.allclose(moved, rows["k-means, linear"][0], atol=1e-3),
)

# %% [markdown]
# ## 3. Training what is shared
#
# k-means knows the weights, but not the loss. So you train the centroids next, together with the biases. A weight is
# now a lookup, $w_i = c_{\ell_i}$: its *label* $\ell_i$ says which centroid it uses. By the chain rule, a centroid's
# gradient is the *sum* over all weights that share it (equation 3 of the paper):
#
# $$\frac{\partial L}{\partial c_k} = \sum_{i:\,\ell_i = k} \frac{\partial L}{\partial w_i}.$$
#
# **Exercise (3 points).** Compute the gradient of each centroid. The label of a pruned weight is −1.


# %% exercise="by_hand.centroid_gradient"
def centroid_gradient(gradient, labels, clusters):
    """The gradient of each centroid: float [clusters].

    gradient: float [out, in], of the weights. labels: int64 [out, in], −1 where pruned.

    >>> gradient = torch.tensor([[1.0, 2.0], [4.0, 8.0]])
    >>> centroid_gradient(gradient, torch.tensor([[0, 1], [0, -1]]), 3)
    tensor([5., 2., 0.])
    """
    ### BEGIN SOLUTION
    kept = labels >= 0
    return torch.zeros(clusters).index_add(0, labels[kept], gradient[kept])
    ### END SOLUTION


# %%
check("by_hand.centroid_gradient", centroid_gradient)

# %% [markdown]
# PyTorch has no layer with shared weights, but a way to build one: `torch.nn.utils.parametrize` computes a weight from
# other parameters, here from the centroids. Autograd then finds the sum by itself:

# %%
centroid_gradient = yours_or_ours("by_hand.centroid_gradient")
shared = deep_compression.share_weights(copy.deepcopy(cut), bits=3)
layer = shared.classifier[0]
lookup = layer.parametrizations.weight[0]
centroids = layer.parametrizations.weight.original
with parametrize.cached():  # inside, layer.weight is computed once
    layer.weight.retain_grad()
    logits = shared(pictures.to_input(pictures.train.images[:64]))
    nn.functional.cross_entropy(logits, pictures.train.labels[:64]).backward()
    by_hand = centroid_gradient(layer.weight.grad, lookup.labels, len(centroids))
by_autograd = centroids.grad.clone()

# %% tags=["fold"]
# Table: the gradient of each centroid, computed in two ways
both = {"by hand": by_hand, "by autograd": by_autograd}
display(
    Table(
        [[name, *(f"{value:.3f}" for value in of)] for name, of in both.items()],
        ["gradient of centroid", *map(str, range(1, 9))],
    )
)

# %% [markdown]
# Eight centroids in each of four layers and 186 biases are left to train: 218 numbers instead of 268,650. A third of an
# epoch already helps.

# %%
lost = {"one cut": points_lost(cut, pictures.validation, validated)}
lost["shared"] = points_lost(shared, pictures.validation, validated)
trained_numbers = sum(parameter.numel() for parameter in shared.parameters())
optimizer = torch.optim.AdamW(shared.parameters(), lr=2e-3)
third = pictures.train[:6_000]
training.fit(shared, pictures, epochs=1, optimizer=optimizer, train=third)
lost["trained"] = points_lost(shared, pictures.validation, validated)

# %% tags=["fold", "nbval-ignore-output"]
# Table: points lost before and after training the centroids
Table(list(lost.items()), ["network", "points lost on the validation pictures"])

# %% tags=["fold"]
# Claims: training shared values
claim(
    "After the cut, sharing 8 values per layer costs less than 3 further points.",
    lost["shared"].estimate - lost["one cut"].estimate < 3,
)
claim(
    "A third of an epoch of training these 218 numbers wins back half a point.",
    lost["shared"].estimate - lost["trained"].estimate >= 0.5,
)
claim(
    "Autograd's gradient of the centroids is the sum that the function computes.",
    torch.allclose(by_hand, by_autograd, atol=1e-5),
)
claim("218 numbers are trained.", trained_numbers == 4 * 8 + 186)

# %% [markdown]
# ## 4. Huffman's code
#
# With eight values, each weight needs 3 bits if all values are equally frequent. They are not: after one cut, many
# weights are near the hole and few far out. Suppose that each symbol gets its own bit string, and that every message
# can be decoded in only one way. If symbol $k$ has the relative frequency $p_k$, no such code needs fewer bits per
# symbol on average than the *entropy*,
#
# $$H = \sum_k p_k \log_2 \frac{1}{p_k},$$
#
# and [Huffman's code](https://doi.org/10.1109/JRPROC.1952.273898) stays within one bit of it. It joins the two rarest
# symbols into a group, whose codes then differ in one bit. The group goes back among the others, with the counts of its
# members added up. Then the next two rarest are joined, until a single group is left. Each join makes the codes of all
# members one bit longer.
#
# **Exercise (4 points).** Compute how many bits the whole message takes with Huffman's code.


# %% exercise="by_hand.huffman_bits"
def huffman_bits(counts):
    """The number of bits of the whole message: an int.

    counts: list of int, how often each symbol occurs. A symbol with count 0 does not.

    >>> huffman_bits([4, 2, 1, 0, 1])
    14
    """
    ### BEGIN SOLUTION
    groups, total = [count for count in counts if count], 0
    heapq.heapify(groups)
    while len(groups) > 1:
        joined = heapq.heappop(groups) + heapq.heappop(groups)
        heapq.heappush(groups, joined)
        total += joined
    return total
    ### END SOLUTION


# %%
check("by_hand.huffman_bits", huffman_bits)

# %% [markdown]
# The same code works for the positions. Positions can be stored as *gaps*: how many zeros to skip before the next
# weight. Short gaps are frequent. Long gaps are cut into pieces by a special symbol, the number `longest`, which means:
# skip that many zeros, and no weight follows yet.
#
# **Exercise (3 points).** Turn positions, which begin at 0, into gaps.


# %% exercise="small_files.gap_symbols"
def gap_symbols(positions, longest):
    """The gaps before the weights: list of int, each 0 to longest.

    positions: list of int, ascending, where the weights are. A gap of `longest` zeros
    or more is written as `longest`, once or several times, and then the rest, from 0
    to longest − 1.

    >>> gap_symbols([2, 3, 8], 4), gap_symbols([9], 4)
    ([2, 0, 4, 0], [4, 4, 1])
    """
    ### BEGIN SOLUTION
    symbols, last = [], -1
    for position in positions:
        pieces, rest = divmod(position - last - 1, longest)
        symbols += [longest] * pieces + [rest]
        last = position
    return symbols
    ### END SOLUTION


# %%
check("small_files.gap_symbols", gap_symbols)

# %% [markdown]
# The file must also say which bit string stands for which symbol, and the *lengths* of the bit strings are enough for
# that. Sort the symbols by these lengths. The first bit string is all zeros; each further one is the one before it plus
# 1, with a 0 appended for every bit by which it is longer. A program that loads the file can rebuild this *canonical*
# code from the lengths alone.

# %%
huffman_bits = yours_or_ours("by_hand.huffman_bits")
gap_symbols = yours_or_ours("small_files.gap_symbols")
places = (lookup.labels.flatten() >= 0).nonzero().flatten().tolist()
gaps = gap_symbols(places, 63)
counted = {
    "values": lookup.labels[lookup.labels >= 0].bincount(minlength=8).tolist(),
    "gaps": np.bincount(gaps, minlength=64).tolist(),
}
bits_each = {name: huffman_bits(c) / sum(c) for name, c in counted.items()}

# %% tags=["fold"]
# Table: bits per symbol, and the entropy
Table(
    [
        [name, f"{huffman.entropy(counted[name]):.3f}", f"{bits:.3f}"]
        for name, bits in bits_each.items()
    ],
    ["symbols", "entropy, bits", "Huffman, bits per symbol"],
)

# %% tags=["fold"]
# Plot: bits per symbol
fig, axes = plots.figure(ncols=2, nrows=2, height=4.6, sharex="col")
labels = {"values": "number of the centroid", "gaps": "zeros to skip"}
for column, (name, counts), fixed in zip(axes.T, counted.items(), (3, 6), strict=True):
    shares, bits = column
    every = [count / sum(counts) for count in counts]
    shares.bar(range(len(counts)), every, color=plots.REFERENCE)
    shares.set_title(f"{name}: {fixed} bits each, Huffman {bits_each[name]:.2f}")
    plots.percent_axis(shares.yaxis)
    lengths = huffman.code_lengths(counts)
    bits.plot(lengths, "o", color=plots.BLUE, markersize=4, label="Huffman code")
    bits.axhline(fixed, color=plots.ORANGE, zorder=1, label="equal lengths")
    bits.set(xlabel=labels[name], yticks=range(0, max(lengths) + 1, 2))
axes[0][0].set_ylabel("share")
axes[1][0].set_ylabel("bits")
fig.align_ylabels()
plots.legend(fig)
plots.finish(
    fig,
    "Frequent values and gaps get short codes; a line marks codes of equal length.",
    trained="xy",
)

# %% [markdown]
# What to see: for values (left) and gaps (right), the more frequent a symbol (top), the shorter its code (bottom; the
# line is a code of equal lengths). The last bar on the right is the symbol for "no weight yet".

# %% question="by_hand.why_huffman_last"
choice = None
### BEGIN SOLUTION
choice = "c"
### END SOLUTION
question("by_hand.why_huffman_last", choice)

# %% tags=["fold"]
# Claims: Huffman's code
restored = deep_compression.kept_positions(np.array(gaps), 63)
claim(
    "Per symbol, Huffman's code takes at least the entropy and at most one bit more.",
    all(
        huffman.entropy(c) <= bits_each[name] <= huffman.entropy(c) + 1
        for name, c in counted.items()
    ),
)
claim(
    "The numbers of bits are those of the library.",
    all(
        huffman_bits(c) == np.dot(c, huffman.code_lengths(c)) for c in counted.values()
    ),
)
claim("The gaps lead back to the same positions.", restored.tolist() == places)

# %% [markdown]
# ## 5. The file
#
# Now combine all steps, with more training. Prune to 90 %, 95 %, 98 % and 99 % zeros, with three epochs of training
# after each cut. Share 16 or 8 values per layer (4 or 3 bits), train the centroids for one epoch, and code the result.
# Each training uses a *one-cycle* schedule: its learning rate rises to a peak and then falls to nearly zero. All of
# this takes about ten minutes on one core, so it is recorded. (With `LIVE = True` at the top it runs here; `nnopt
# record deep_compression` records it again.)
#
# Some of these networks lose at most half a point *on the validation pictures*, interval included. The recording
# contains the smallest file among them. Read it back:

# %%
sweep = recorded("deep_compression", live=LIVE)["result"]
smallest = sweep["smallest"]
original_file = base64.b64decode(smallest["file"])
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "mynet.bin")
    file.write_bytes(original_file)
    tiny = deep_compression.load(file, models.MyNet())
lost_tiny = points_lost(tiny)

# %% tags=["fold"]
# Answer: how many times smaller MyNet's file becomes at half a point lost
with tempfile.TemporaryDirectory() as folder:
    again = Path(folder, "again.bin")
    parts = deep_compression.save(tiny, again)
    same_file = again.read_bytes() == original_file
coded_bytes, float_bytes = len(original_file), measure.disk_bytes(net)

reveal(
    "how many times smaller MyNet's file becomes at half a point lost",
    float_bytes / coded_bytes,
    because="The factors multiply: a fiftieth of the weights, and for each of them, "
    "instead of 32 bits, fewer than 3 for its value and 5 to 6 for its position. So "
    "much can go because nearly all weights of MyNet are in one layer, which is far "
    "too large for this task.",
)

# %% tags=["fold", "nbval-ignore-output"]
# Numbers: bytes of both files, and points lost
print(f"float32 {float_bytes:,} bytes, coded {coded_bytes:,} bytes")
print(f"points lost on the test pictures: {lost_tiny}")

# %% [markdown]
# Which part of the file takes the bytes? Compare the same network at three stages: *pruned*, with four bytes for each
# remaining weight and one byte for each gap; *shared*, with 3 or 4 bits for each weight; and *Huffman coded*, both
# values and gaps.

# %% tags=["fold"]
# Plot: what the file is made of
weights = {
    name: module.weight.detach().flatten()
    for name, module in pruning.prunable(tiny).items()
}
kept = sum(int((weight != 0).sum()) for weight in weights.values())
gap_bytes = sum(
    len(deep_compression.gap_symbols(w.nonzero().flatten().numpy(), 255))
    for w in weights.values()
)
rest = parts["header"] + parts["biases"]
stages = {
    "pruned": (4 * kept, gap_bytes, 0, rest),
    "shared": (smallest["bits"] * kept / 8, gap_bytes, parts["code books"], rest),
    "Huffman coded": (
        parts["values"],
        parts["positions"],
        parts["code books"] + parts["Huffman tables"],
        rest,
    ),
}
gzipped = measure.disk_bytes(tiny, compressed=True)

fig, ax = plots.figure(height=3)
kinds = ("values", "positions", "code books and tables", "biases and shapes")
rows = {name: dict(zip(kinds, sizes, strict=True)) for name, sizes in stages.items()}
rows |= {"gzip of the float32 file": {"gzip": gzipped}}
plots.stages(ax, rows, {"gzip": plots.REFERENCE})
for place, row in enumerate(rows.values()):
    size = sum(row.values())
    text = f"  {size:,.0f} bytes, {float_bytes / size:.0f}×"
    ax.text(size, place, text, va="center", fontsize="small")
ax.set(
    xlabel=f"bytes (float32: {float_bytes:,})", xlim=(0, 1.3 * sum(stages["pruned"]))
)
plots.legend(fig, ncols=5)
sizes = {name: sum(parts) for name, parts in stages.items()}
plots.finish(
    fig,
    f"The file shrinks from {sizes['pruned']:,.0f} bytes pruned to "
    f"{sizes['shared']:,.0f} shared and {sizes['Huffman coded']:,.0f} Huffman coded; "
    f"gzip of the float32 file takes {gzipped:,.0f}.",
    trained="x",
)

# %% [markdown] tags=["tells"]
# What to see: once the values are shared, the positions (orange) take more bytes than the values (blue), with and
# without Huffman's code.
#
# To say *which* fiftieth of the weights is left takes about 7 bits per remaining weight, if the choice is random: that
# is the entropy of "kept or removed" per weight, divided by the share that is kept. To say which of eight values a
# weight has takes fewer than 3 bits. So you pay more for where the weights are than for their values.
#
# Huffman's code saves more than a quarter of the bytes for positions, but few of those for values: trained centroids
# are used almost equally often. gzip knows nothing about networks. It finds the repeated zeros and values by itself,
# and needs about twice the bytes.
#
# Why do the positions take fewer bits than a random choice would? Because the remaining weights are not spread evenly.
# More than a third of the inputs of the first linear layer have lost all their weights, and at random it would be less
# than three in ten. A channel that this layer reads has 8×8 places. Its edge is 28 of these 64, but has less than a
# third of the weights. Huffman's code for the gaps benefits from such empty stretches.

# %% tags=["fold"]
# Claims: the file
total = pruning.count_weights(net)[1]
choice_bits = huffman.entropy([kept, total - kept]) / (kept / total)
by_input = (weights["classifier.0"] != 0).reshape(128, 32, 8, 8).sum(0)
at_edge = 1 - by_input[:, 1:-1, 1:-1].sum() / by_input.sum()
claim(
    "The file is about 170 times smaller than the float32 file.",
    round(float_bytes / coded_bytes, -1) == 170,
)
claim(
    "On the test pictures, the network loses at most half a point, interval included.",
    lost_tiny.high <= 0.5,
)
claim(
    "More bytes go to positions than to values.", parts["positions"] > parts["values"]
)
claim("Saved again, the network gives the same file, byte for byte.", same_file)
claim("All parts together are the file.", sum(parts.values()) == coded_bytes)
claim(
    "The positions take fewer bits per weight than a random choice would.",
    8 * parts["positions"] / kept < choice_bits,
)
claim(
    "Coding saves more than a quarter of the bytes for positions.",
    parts["positions"] < 0.75 * gap_bytes,
)
claim(
    "Coding saves less than a sixth of the bytes for values.",
    parts["values"] > 5 / 6 * stages["shared"][0],
)
claim("gzip needs about twice as many bytes.", 1.8 < gzipped / coded_bytes < 2.5)
claim(
    "Each remaining weight takes fewer than 3 bits for its value and 5 to 6 for its "
    "position.",
    8 * parts["values"] / kept < 3 and 5 < 8 * parts["positions"] / kept < 6,
)
claim(
    "A random choice of the positions would take about 7 bits per remaining weight.",
    round(choice_bits) == 7,
)
claim(
    "More than a third of the large layer's 2,048 inputs have no weight left.",
    (by_input == 0).float().mean() > 1 / 3,
)
claim(
    "If the weights were spread at random, less than three in ten inputs would have "
    "none.",
    (1 - 1 / 2048) ** int(by_input.sum()) < 0.3,
)
claim(
    "The 28 of 64 places at the edge have less than a third of the weights.",
    at_edge < 1 / 3,
)

# %% [markdown]
# ## 6. What it cost
#
# How accurate are these networks? Compare all files of the recording (left), and what each stage costs at 3 bits
# (right). Dots are means of three seeds, and bars reach from the worst to the best. The grey band is the dense network
# after the same training, without pruning or sharing. The dashed line is the network you started from.

# %% tags=["fold"]
# Plot: accuracy over bytes and over zeros
results = ("dense", "cut", "pruned", "shared", "trained", "bytes")
runs = {stage: np.array(sweep[stage]) for stage in results}  # [seed][sparsity][bits]
means = {stage: values.mean(0) for stage, values in runs.items()}
three_bits = sweep["bits"].index(3)

sparsities = [f"{100 * sparsity:.0f} %" for sparsity in sweep["sparsities"]]


def spans(runs):
    """Mean, lowest and highest over the seeds, one triple per column."""
    low, high = runs.min(0), runs.max(0)
    return list(zip(runs.mean(0).clip(low, high), low, high, strict=True))


fig, (left_ax, right_ax) = plots.figure(ncols=2, sharey=True, height=3.8)
for place, bits in enumerate(sweep["bits"]):
    sizes, values = means["bytes"][:, place], spans(runs["trained"][:, :, place])
    color = plots.PALETTE[place]
    plots.interval_line(left_ax, sizes, values, f"{bits} bits", color)
for name, size in zip(sparsities, means["bytes"][:, 0], strict=True):
    left_ax.annotate(name, (size, 91.1), ha="center", fontsize="small")
left_ax.annotate(
    "zeros:", (0.015, 91.1), xycoords=("axes fraction", "data"), fontsize="small"
)
plots.log_axis(left_ax.xaxis, [5_000, 10_000, 20_000])
left_ax.set(xlabel="bytes of the file", xlim=(2_400, 29_000))
left_ax.set(ylabel="test accuracy, %", ylim=(84, 91.5))
stages_shown = {
    "cut": runs["cut"],
    "trained": runs["pruned"],
    "shared": runs["shared"][:, :, three_bits],
    "trained again": runs["trained"][:, :, three_bits],
}
places = np.arange(len(sparsities))
for number, (name, values) in enumerate(stages_shown.items()):
    color = (plots.GOLD, plots.SKY, plots.PURPLE, plots.GREEN)[number]
    plots.interval_line(right_ax, places + 0.1 * number, spans(values), name, color)
right_ax.set_xticks(places, sparsities)
right_ax.set(xlabel="share of weights removed")
lowest, highest = runs["dense"].min(), runs["dense"].max()
for ax, (longer, start) in (
    (left_ax, ("dense, trained as long", "original")),
    (right_ax, (None, None)),
):
    ax.axhspan(lowest, highest, color=plots.FAINT, zorder=0, label=longer)
    plots.reference_line(ax, sweep["before"], start, across=True)
    plots.legend(ax, ncols=4)
plots.finish(
    fig,
    "Even files with 98 % zeros stay near the original's accuracy; each cut costs "
    "accuracy, and training brings most of it back.",
)

# %% [markdown]
# What to see: on the left, even files with 98 % zeros (labels at the top) stay near the dashed line, but no file
# reaches the grey band. On the right, each cut costs accuracy (gold, soon below the plot), and the training after the
# cut brings most of it back (light blue). Sharing costs a little more (purple), and training the centroids brings most
# of that back (green).
#
# So there are two answers:
#
# - *Compared with the network you started from*, 98 % zeros at 3 bits lose nothing on average: the training gave back
#   what pruning and sharing cost.
# - *Compared with the dense network after the same training*, which gains about a point and a half, 95 % zeros at 3 bits
#   (80 times smaller) cost about half a point, 98 % (170 times smaller) more than one, and 99 % nearly three.
#
# Always ask what a compressed network is compared with.
#
# Sharing is nearly free: from the pruned network to 8 values per layer, trained, the loss is less than a third of a
# point.
#
# The paper's factors of 35 to 49 belong to other networks and other tasks. `MyNet`, with nearly all its
# weights in one oversized layer, was easy prey. Such a factor means nothing without the network that it was measured
# on.

# %% tags=["fold"]
# Claims: what it cost
trained_on = means["dense"].mean()
at = {sparsity: place for place, sparsity in enumerate(sweep["sparsities"])}
eight = means["trained"][:, three_bits]
claim(
    "The same training makes the dense network 1 to 2 points better.",
    1 < trained_on - sweep["before"] < 2,
)
claim(
    "Compared with that, 95 % zeros at 3 bits cost 0.3 to 0.8 points and are 80 times "
    "smaller.",
    0.3 < trained_on - eight[at[0.95]] < 0.8
    and round(float_bytes / means["bytes"][at[0.95], three_bits], -1) == 80,
)
claim(
    "Compared with that, 98 % zeros cost 1 to 2 points and 99 % cost 2.5 to 3.",
    1 < trained_on - eight[at[0.98]] < 2 and 2.5 < trained_on - eight[at[0.99]] < 3,
)
claim(
    "98 % zeros at 3 bits are on average no worse than the network you started from.",
    eight[at[0.98]] >= sweep["before"],
)
claim(
    "Sharing 8 values costs less than a third of a point, once they are trained.",
    (means["pruned"] - eight).max() < 1 / 3,
)
claim(
    "One layer has more than 97 % of the weights.",
    net.classifier[0].weight.numel() / total > 0.97,
)

# %% [markdown]
# ## 7. Compared with few bits
#
# Instead of pruning, you can store every weight with fewer bits. Four ways of doing so are recorded for the same
# network (lesson 06 teaches them):
#
# - *rounded to nearest*: each weight goes to the nearest of $2^b - 1$ evenly spaced values, without training;
# - *AdaRound*: the same values, but which way to round is learned from unlabelled pictures;
# - *LSQ*: the network is trained while its weights are rounded, and the spacing of the values is learned, too;
# - *binary*: the network is trained while each weight is rounded to $\pm\alpha$, where $\alpha$ is the mean magnitude.
#
# With LSQ and binary, the first and the last layer keep 8 bits.
#
# What did each way cost, and what did it save? Bytes are counted as a file would need them: the weights at their bits,
# plus 4 bytes for each bias and for each of two *scales* per layer. (A scale is the width of the steps between evenly
# spaced values.) Compare each network with the float network that was trained for just as long: the original for
# rounding to nearest and AdaRound, the network after one epoch more for LSQ and binary, and the dense network of
# section 6 for Deep Compression.

# %%
layers = [m for m in net.modules() if isinstance(m, quantization.QUANTIZABLE)]
sizes = [layer.weight.numel() for layer in layers]
others = 4 * (sum(layer.bias.numel() for layer in layers) + 2 * len(layers))


def bytes_at(bits, end_bits=None):
    """Bytes with all weights at `bits`, the first and the last layer at `end_bits`."""
    ends = sizes[0] + sizes[-1]
    return (sum(sizes[1:-1]) * bits + ends * (end_bits or bits)) / 8 + others


# %% tags=["fold"]
# Plot: accuracy over bytes for both methods
post = recorded("post_training_bits", live=LIVE)["result"]
trained = recorded("integer_training", live=LIVE)["result"]
accuracy = {
    way: dict(zip(of["bits"], map(mean, of[way]), strict=True))
    for of, way in ((post, "nearest"), (post, "AdaRound"), (trained, "lsq"))
}
ways = {
    "rounded to nearest": [(bytes_at(b), a) for b, a in accuracy["nearest"].items()],
    "AdaRound": [(bytes_at(b), a) for b, a in accuracy["AdaRound"].items()],
    "trained, LSQ": [(bytes_at(b, 8), a) for b, a in accuracy["lsq"].items()],
    "binary": [(bytes_at(1, 8), mean(trained["binary"]))],
    "Deep Compression, 3 bits": [
        *zip(means["bytes"][:, three_bits], eight, strict=True)
    ],
}

fig, ax = plots.figure()
# The first four as in lesson 06.
colors = (plots.BLUE, plots.ORANGE, plots.VIOLET, plots.BROWN, plots.GREEN)
for (name, points), color in zip(ways.items(), colors, strict=True):
    ax.plot(*zip(*points, strict=True), "o-", markersize=4, color=color, label=name)
floats = {
    "float, original": (tested.accuracy, "s"),
    "float, one epoch more": (mean(trained["float"]), "^"),
    "float, trained as Deep Compression": (trained_on, "D"),
}
for name, (height, marker) in floats.items():
    ax.plot(float_bytes, height, marker, color=plots.REFERENCE, label=name)
plots.log_axis(ax.xaxis, [10_000, 100_000, 1_000_000], base=10)
ax.set(xlabel="bytes", ylabel="test accuracy, %", ylim=(80, 91))
plots.legend(fig)
plots.finish(
    fig,
    "At the same accuracy, Deep Compression needs the fewest bytes; binary and LSQ "
    "come next, and float networks are far to the right.",
)

# %% [markdown]
# What to see: at the same accuracy, Deep Compression (green) needs the fewest bytes, but it was also trained
# longest. Binary (brown) and LSQ (violet) come next. At 2 bits, rounding to nearest (blue) is far below the plot. The
# grey markers are the float networks to compare with.

# %% tags=["fold"]
# Claims: Deep Compression compared with few bits
float_trained = mean(trained["float"])
claim(
    "At 8 and 4 bits, LSQ is within half a point of float, trained as long.",
    all(abs(accuracy["lsq"][bits] - float_trained) < 0.5 for bits in (8, 4)),
)
claim(
    "At 2 bits, LSQ loses less than 1.5 points.",
    float_trained - accuracy["lsq"][2] < 1.5,
)
claim(
    "Deep Compression with 95 % zeros is as accurate as LSQ at any number of bits, to "
    "within 0.1 points, with less than a quarter of the bytes of 2 bits.",
    eight[at[0.95]] > max(accuracy["lsq"].values()) - 0.1
    and means["bytes"][at[0.95], three_bits] < bytes_at(2, 8) / 4,
)
claim(
    "Deep Compression with 98 % zeros is at least as accurate as binary, with less "
    "than a quarter of the bytes.",
    eight[at[0.98]] >= mean(trained["binary"])
    and means["bytes"][at[0.98], three_bits] < bytes_at(1, 8) / 4,
)
claim(
    "One bit per weight, trained, loses less than 2 points.",
    float_trained - mean(trained["binary"]) < 2,
)
claim(
    "Rounded to nearest at 2 bits, the network is right on less than a third of the "
    "pictures.",
    accuracy["nearest"][2] < 33,
)
claim(
    "With eight bits, the file is 3.9 to 4 times smaller than with float32.",
    3.9 < float_bytes / bytes_at(8) < 4,
)

# %% [markdown]
# ## 8. Playground
#
# Choose how much to prune and how many values to share, without any training. How small does the file become before
# the accuracy breaks down?

# %%
compression_playground(net, pictures)

# %% [markdown]
# ## Summary
#
# You can write a network as a small file, and say which part of it takes the bytes:
#
# | topic | in short |
# |---|---|
# | prune | few weights are needed, but the file must say where they are |
# | share | 8 values per layer are enough, once they are trained |
# | code | frequent symbols get short codes; the factors of all three steps multiply |
# | compare | with a network that was trained for just as long |
#
# A small file is not a fast network: once it is loaded, it computes as before.
#
# **Further reading.** [Han, Mao & Dally 2016](https://arxiv.org/abs/1510.00149), Deep Compression.
#
# **Next:** [08 Integers for real](08_integers_for_real.ipynb) is about speed: engines that compute with integers, and
# what they really gain.

# %%
ledger()

# %% tags=["nbval-ignore-output"]
progress()
