"""Exercises and questions of lesson 01: scores, levels, masks, and the removal of whole filters."""

import torch

from nnopt_lab.course.draws import choice, decimals, randint, subset, uniform
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed, off_by
from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.pruning import channel_pruning


def _with_ties(g: torch.Generator, *shape: int) -> torch.Tensor:
    """Only five different magnitudes, none of them zero, so that there are ties."""
    magnitude = torch.randint(1, 6, shape, generator=g) / 10
    return torch.where(torch.rand(shape, generator=g) < 0.5, -magnitude, magnitude)


@exercise(
    "pruning.l1_importance",
    points=2,
    inputs=lambda g: (decimals(g, randint(g, 3, 5), randint(g, 2, 3), 2, 2, places=2),),
    hints=(
        "The weight has shape `[out, in, kh, kw]`, and filter number o is `weight[o]`. Return one number per filter.",
        "Take magnitudes first, then sum over all axes except axis 0.",
        "`weight.abs().sum(dim=(1, 2, 3))`",
    ),
    wrong={
        "You summed the signed weights: large positive and large negative ones cancel, and an important filter looks "
        "unimportant. Take magnitudes first.": lambda w: w.sum((1, 2, 3)),
        "You took the magnitude of the sum, where positive and negative weights have already cancelled. Take the "
        "magnitudes first, then sum.": lambda w: w.sum((1, 2, 3)).abs(),
        "You summed over axis 0, the filters themselves, so you scored the *input* channels. Keep axis 0 and sum the "
        "others.": lambda w: w.abs().sum((0, 2, 3)),
        "You took the L2 norm: squares, then a root. The L1 norm is the plain sum of magnitudes.": lambda w: (
            pruning.importance(w, norm=2, per="filter")
        ),
        "You summed squares. The L1 norm is the sum of magnitudes.": lambda w: w.square().sum((1, 2, 3)),
        "You took the mean. Within a layer it gives the same order, but not between layers whose filters have different "
        "sizes. The L1 norm is the sum.": lambda w: w.abs().mean((1, 2, 3)),
        "You took the largest magnitude of each filter. The L1 norm is the sum of all of them.": (
            lambda w: w.abs().amax((1, 2, 3))
        ),
        "You summed over the input channels only. Sum over the kernel, too, so that one number per filter is left.": (
            lambda w: w.abs().sum(1)
        ),
        "You summed over the kernel only. Sum over the input channels, too, so that one number per filter is left.": (
            lambda w: w.abs().sum((2, 3))
        ),
        "You have the right scores, but `abs_()` changed the weights themselves: the network has lost all its signs. Use "
        "`abs()`.": lambda w: w.abs_().sum((1, 2, 3)),
        "You summed the whole layer to one number. Return one per filter: keep axis 0.": changed(torch.sum),
    },
)
def l1_importance(weight):
    """L1 importance of filters.

    Li et al. (2017) chose the filters to remove by exactly this score. PyTorch computes it by
    `torch.linalg.vector_norm(weight.flatten(1), 1, dim=1)`, and `prune.ln_structured(…, n=1, dim=0)` masks by it.
    """
    return pruning.importance(weight, norm=1, per="filter")


def _scores_and_count(g: torch.Generator):
    count = randint(g, 2, 4)
    scores = torch.randn(count * randint(g, 2, 3) + 1, generator=g).exp().mul(10).round() / 10
    scores[randint(g, 1, len(scores) - 1)] = scores[0]
    return scores, count


def _equal_width(scores, count):
    span = (scores.max() - scores.min()).clamp(min=1e-9)
    return ((scores - scores.min()) / span * count).long().clamp(max=count - 1)


def _in_order(result, scores, count):
    ascending = result[scores.argsort(stable=True)]
    return bool((ascending.diff() >= 0).all()) and ascending.unique().tolist() == list(range(count))


@exercise(
    "pruning.levels",
    points=3,
    inputs=_scores_and_count,
    hints=(
        "All levels hold the same number of scores, however far apart these are. Only the rank of each score counts.",
        "`argsort` tells which score comes first, second, …. You need the reverse: the place of each score. That is "
        "the `argsort` of the `argsort` (both with `stable=True`).",
        "`ranks = scores.argsort(stable=True).argsort(stable=True)`, and the levels are `ranks * count // len(scores)`.",
    ),
    wrong={
        "You used `argsort` once. It lists *which* score is at each place, and you need the place of each score: apply it "
        "again to the result.": lambda s, c: s.argsort(stable=True) * c // len(s),
        "You divided the *values* into equal ranges, so a single outlier leaves levels empty. Levels hold equal "
        "numbers of scores, so use ranks.": _equal_width,
        "You reversed the levels. Level 0 must hold the smallest scores, which go first.": (
            lambda s, c: c - 1 - levels(s, c)
        ),
        "You sorted in descending order, so level 0 holds the most important scores. It must hold the smallest.": (
            lambda s, c: s.argsort(stable=True, descending=True).argsort() * c // len(s)
        ),
        "You counted levels from 1. Count them from 0 to `count − 1`.": off_by(1),
        "You put the highest score into level `count`, which does not exist. Count ranks from 0, and multiply by `count` "
        "before you divide by the number of scores.": lambda s, c: pruning.ranks(s) // (len(s) // c),
        "You returned ranks. Scale them to levels: multiply by `count`, then divide by the number of scores.": (
            lambda s, c: pruning.ranks(s)
        ),
        "You gave equal scores the same rank, so your levels differ in size. Order equal scores by position: "
        "`argsort(stable=True)`.": lambda s, c: torch.searchsorted(s.sort().values, s) * c // len(s),
    },
    properties=(
        Property(
            "The sizes of the levels must differ by at most one.",
            lambda result, scores, count: int(result.bincount().max() - result.bincount().min()) <= 1,
        ),
        Property("A higher score must never be in a lower level, and no level may be empty.", _in_order, credit=1 / 3),
    ),
)
def levels(scores, count):
    """Sort scores into levels.

    `argsort().argsort()` is the usual idiom for ranks, but only `stable=True` promises to keep equal scores in their
    order. The article drops level 0 and starts again; PyTorch's
    `prune.l1_unstructured` is the special case of a single cut.
    """
    return pruning.levels(scores, count)


def _weight_and_keep(g: torch.Generator):
    weight = _with_ties(g, randint(g, 2, 4), 5)
    return weight, randint(g, 2, weight.numel() // 2 - 1)


def _by_topk(weight, keep, largest=True):
    """As most learners write it: of equal magnitudes, others may stay than in the reference's mask."""
    positions = weight.abs().flatten().topk(keep, largest=largest).indices
    return torch.zeros(weight.numel(), dtype=torch.bool).index_fill(0, positions, True).reshape(weight.shape)


def _in_order_of_magnitude(mask, weight, keep):
    return bool(mask.any() and not mask.all() and weight.abs()[mask].min() >= weight.abs()[~mask].max())


def _keeps_the_largest(mask, wanted, weight, keep):
    if int(mask.sum()) != keep:
        return f"The mask keeps {int(mask.sum())} weights, but it must keep {keep}."
    if not weight.abs()[mask].min() >= weight.abs()[~mask].max():
        return "The mask drops a weight that is larger than one it keeps."
    return None


@exercise(
    "pruning.magnitude_mask",
    points=3,
    inputs=_weight_and_keep,
    hints=(
        "Exactly `keep` entries of the mask are `True`, even if several weights are equally large.",
        "`torch.topk` of the flattened magnitudes gives the *positions* of the largest. A threshold fails if there are "
        "ties.",
        "`mask = torch.zeros(weight.numel(), dtype=torch.bool); mask[weight.abs().flatten().topk(keep).indices] = "
        "True; return mask.reshape(weight.shape)`",
    ),
    wrong={
        "You inverted the mask. Set `True` where a weight stays.": changed(torch.logical_not),
        "You kept the `keep` smallest weights. Keep the largest.": lambda w, k: _by_topk(w, k, largest=False),
        "You sorted the signed weights, so large negative ones went first. Importance is the magnitude.": (
            lambda w, k: pruning.magnitude_mask(w, k)
        ),
        "You keep too many weights if there are ties: a threshold keeps *every* weight that equals it. Choose "
        "positions instead of a value.": lambda w, k: w.abs() >= w.abs().flatten().sort(descending=True).values[k - 1],
        "You keep too few weights if there are ties: a strict threshold drops every weight that equals it. Choose "
        "positions instead of a value.": lambda w, k: w.abs() > w.abs().flatten().sort(descending=True).values[k],
        "You removed `keep` weights, but `keep` is the number that stays.": called_with(
            lambda w, k: (w, w.numel() - k)
        ),
        "You returned the right mask, but flat. Give it the shape of `weight`.": lambda w, k: _by_topk(w, k).flatten(),
        "You returned the pruned weights. Return the mask: `True` where a weight stays.": (
            lambda w, k: w * _by_topk(w, k)
        ),
    },
    compare=_keeps_the_largest,
    properties=(
        Property("No weight that goes may be larger than one that stays.", _in_order_of_magnitude, credit=1 / 3),
    ),
)
def magnitude_mask(weight, keep):
    """Mask of the largest weights.

    `prune.l1_unstructured(layer, 'weight', amount)` does this and stores the mask as a buffer next to `weight_orig`. Its
    `amount` is the number of weights that go, not of those that stay.
    """
    return pruning.magnitude_mask(weight.abs(), keep)


def _step(g: torch.Generator):
    steps = randint(g, 4, 9)
    return randint(g, 1, steps - 1), steps, round(uniform(g, 0.5, 0.95), 2)


@exercise(
    "pruning.cubic_sparsity",
    points=2,
    inputs=_step,
    hints=(
        "At step 0 nothing is pruned; at the last step the share `final` is.",
        "The part that is still to be pruned shrinks with the cube of the time that is left: `(1 − step/steps)³`.",
        "`final * (1 - (1 - step / steps) ** 3)`",
    ),
    wrong={
        "You drew a straight line. The cubic schedule prunes fast at first, when many weights are superfluous: cube "
        "the time that is left, `1 − step/steps`.": lambda step, steps, final: final * step / steps,
        "You cubed the time that has passed, so your schedule starts slowly and ends fast. Cube the time that is "
        "*left*, `1 − step/steps`.": lambda step, steps, final: final * (step / steps) ** 3,
        "You returned the share of weights that stay. Return the share that is gone.": changed(lambda s: 1 - s),
        "You returned the share that is still *to be* pruned: it falls to 0 at the end. Subtract it from `final`.": (
            lambda step, steps, final: final * (1 - step / steps) ** 3
        ),
        "You used a square. The exponent is 3.": lambda step, steps, final: final * (1 - (1 - step / steps) ** 2),
        "You left out `final`. Multiply by it.": lambda step, steps, final: 1 - (1 - step / steps) ** 3,
        "You are one step ahead: `step` counts the steps that are done, so step 0 is before the first cut.": (
            called_with(lambda step, steps, final: (step + 1, steps, final))
        ),
        "You are one step behind: `step` counts the steps that are done, so the schedule ends at `step = steps`.": (
            called_with(lambda step, steps, final: (step - 1, steps, final))
        ),
        "You return 0 at every step. If you wrote `step // steps`, use `/`, since `//` drops the fraction.": (
            called_with(lambda step, steps, final: (step // steps, 1, final))
        ),
    },
    properties=(
        Property("A sparsity is between 0 and `final`.", lambda s, step, steps, final: 0 <= s <= final + 1e-9),
    ),
)
def cubic_sparsity(step, steps, final):
    """The cubic pruning schedule.

    This is equation 1 of Zhu & Gupta (2017) with an initial sparsity of 0. `torch.nn.utils.prune` has no schedules;
    `pruning.cubic_sparsity` is the library's version.
    """
    return pruning.cubic_sparsity(step, steps, final)


def _two_of_four(mask, wanted, weight):
    kept = mask.reshape(-1, 4).sum(1)
    if (kept != 2).any():
        group = int((kept != 2).nonzero()[0])
        return f"Group {group} of four keeps {int(kept[group])} weights, but every group must keep 2."
    groups, kept = weight.abs().reshape(-1, 4), mask.reshape(-1, 4)
    weakest_kept = groups.masked_fill(~kept, torch.inf).amin(1)
    strongest_gone = groups.masked_fill(kept, -torch.inf).amax(1)
    wrong = (~(weakest_kept >= strongest_gone)).nonzero()
    return f"Group {int(wrong[0])} drops a weight that is larger than one it keeps." if len(wrong) else None


def _best_of_four(scores, count, largest=True, size=4):
    groups = scores.reshape(-1, size)
    mask = torch.zeros_like(groups, dtype=torch.bool).scatter(1, groups.topk(count, largest=largest).indices, True)
    return mask.reshape(scores.shape)


def _by_threshold(weight):
    groups = weight.abs().reshape(-1, 4)
    return (groups >= groups.topk(2).values[:, 1:]).reshape(weight.shape)


@exercise(
    "pruning.n_m_mask",
    points=3,
    inputs=lambda g: (_with_ties(g, *choice(g, ((4, 4), (4, 8), (8, 4)))),),
    hints=(
        "Reshape the weights so that each group of four is a row.",
        "`weight.abs().reshape(-1, 4).topk(2, dim=1).indices` are the two to keep in each group. `scatter_` writes "
        "`True` there.",
        "`groups = weight.abs().reshape(-1, 4); mask = torch.zeros_like(groups, dtype=torch.bool); mask.scatter_(1, "
        "groups.topk(2, dim=1).indices, True); return mask.reshape(weight.shape)`",
    ),
    wrong={
        "You kept half of all weights, but not two in *every* group of four. The hardware relies on the groups.": (
            lambda w: pruning.magnitude_mask(w.abs(), w.numel() // 2)
        ),
        "You grouped down the columns. Group along a row: four consecutive inputs of one output.": lambda w: (
            n_m_mask(w.T).T
        ),
        "You inverted the mask. Set `True` for the two weights of each group that stay.": changed(torch.logical_not),
        "You kept the two smallest weights of each group. Keep the two largest.": (
            lambda w: _best_of_four(w.abs(), 2, largest=False)
        ),
        "You kept the two largest signed values, but −0.5 is more important than 0.1. Compare magnitudes.": (
            lambda w: _best_of_four(w, 2)
        ),
        "You kept one weight of each group of four. Keep two.": lambda w: _best_of_four(w.abs(), 1),
        "You kept two of every eight weights. The groups have four.": lambda w: _best_of_four(w.abs(), 2, size=8),
        "You keep too many weights if there are ties: a threshold keeps every weight that equals it. Choose positions "
        "instead of a value.": _by_threshold,
        "You returned the right mask, but still in groups of four. Give it the shape of `weight`.": (
            lambda w: _best_of_four(w.abs(), 2).reshape(-1, 4)
        ),
    },
    compare=_two_of_four,
)
def n_m_mask(weight):
    """The 2:4 mask.

    NVIDIA's sparse tensor cores compute this pattern up to twice as fast (`torch.sparse.to_sparse_semi_structured`, CUDA
    only). On a CPU it saves storage, not time.
    """
    return pruning.n_m_mask(weight)


def _kept_channels(g: torch.Generator):
    channels = randint(g, 4, 6)
    kept = torch.randperm(channels, generator=g)[: randint(g, 2, 3)].sort().values
    return kept, randint(g, 2, 3), randint(g, 2, 3)


@exercise(
    "pruning.flatten_columns",
    points=3,
    inputs=_kept_channels,
    hints=(
        "Flatten puts the channels one after the other: first all pixels of channel 0, then all of channel 1, …",
        "Channel c becomes the positions `c·height·width` to `(c + 1)·height·width − 1`.",
        "`(kept[:, None] * height * width + torch.arange(height * width)).flatten()`",
    ),
    wrong={
        "You return one input per channel, but after the flatten each channel has become `height·width` inputs.": (
            lambda kept, h, w: kept
        ),
        "You return only the first pixel of each channel. All `height·width` of them belong to it.": (
            lambda kept, h, w: kept * h * w
        ),
        "You interleaved the channels (pixel by pixel). Flattening `[C, H, W]` puts whole channels one after the other.": lambda kept, h, w: (
            (torch.arange(h * w)[:, None] * len(kept) + kept).flatten()
        ),
        "You return the right inputs, but pixel by pixel. Return them channel by channel: `kept` runs along axis 0.": (
            lambda kept, h, w: (torch.arange(h * w)[:, None] + kept * h * w).flatten()
        ),
        "You return only `height` pixels per channel. All `height·width` of them belong to it.": lambda kept, h, w: (
            kept[:, None] * h * w + torch.arange(h)
        ).flatten(),
        "You return only `width` pixels per channel. All `height·width` of them belong to it.": lambda kept, h, w: (
            kept[:, None] * h * w + torch.arange(w)
        ).flatten(),
        "Channel c begins at input `c·height·width`. You multiplied by the height only.": lambda kept, h, w: (
            kept[:, None] * h + torch.arange(h * w)
        ).flatten(),
        "Channel c begins at input `c·height·width`. You multiplied by the width only.": lambda kept, h, w: (
            kept[:, None] * w + torch.arange(h * w)
        ).flatten(),
        "You kept the first `len(kept)` channels. `kept` says *which* ones stay.": called_with(
            lambda kept, h, w: (torch.arange(len(kept)), h, w)
        ),
        "You return the right indices, but still in a matrix `[channels, pixels]`. Flatten it.": lambda kept, h, w: (
            kept[:, None] * h * w + torch.arange(h * w)
        ),
        "You counted positions from 1. The first input has index 0.": off_by(1),
    },
)
def flatten_columns(kept, height, width):
    """Which inputs of the linear layer stay.

    Wrong columns are the classic bug of manual filter pruning: the shapes fit, nothing raises, and the accuracy
    collapses. `channel_pruning` reads the factor height·width from the model's graph.
    """
    return channel_pruning.expand_to_inputs(kept, height * width)


def _two_convolutions(g: torch.Generator):
    filters = randint(g, 3, 4)
    weight1, weight2 = decimals(g, filters, 2, 1, 1), decimals(g, filters, filters, 1, 1)
    kept = subset(g, filters, 2)
    return weight1, decimals(g, filters), weight2, kept


def _zeroed(tensor, kept):
    return torch.zeros_like(tensor).index_copy(0, kept, tensor[kept])


def _others(kept, count):
    return torch.tensor([i for i in range(count) if i not in kept.tolist()])


def _part_is_right(place):
    return lambda result, *inputs: len(result) == 3 and torch.equal(result[place], remove_filters(*inputs)[place])


@exercise(
    "pruning.remove_filters",
    points=4,
    inputs=_two_convolutions,
    hints=(
        "`weight1` is `[out1, in1, k, k]` and `weight2` is `[out2, out1, k, k]`: `out1` occurs in both.",
        "A filter is a row (axis 0) of `weight1` and an entry of `bias1`. The second layer reads its channel along "
        "axis 1.",
        "`return weight1[kept], bias1[kept], weight2[:, kept]`",
    ),
    wrong={
        "You removed *filters* of the second layer, but it keeps all of them. Remove its inputs instead: axis 1.": (
            lambda w1, b1, w2, kept: (w1[kept], b1[kept], w2[kept])
        ),
        "You removed filters of the second layer as well as its inputs. It keeps all filters; index only axis 1.": (
            lambda w1, b1, w2, kept: (w1[kept], b1[kept], w2[kept][:, kept])
        ),
        "You kept the whole bias, with an entry for every old filter. Remove the entries of the filters that are gone.": (
            lambda w1, b1, w2, kept: (w1[kept], b1, w2[:, kept])
        ),
        "You set the filters to zero, which is a mask: the tensors are as large and as slow as before. Index them with "
        "`kept` instead.": lambda w1, b1, w2, kept: (_zeroed(w1, kept), _zeroed(b1, kept), w2),
        "You removed the filters that should stay: `kept` names those.": called_with(
            lambda w1, b1, w2, kept: (w1, b1, w2, _others(kept, len(w1)))
        ),
        "You left the second layer as it was: it still expects every old channel. Remove the inputs that no longer exist: "
        "axis 1.": (lambda w1, b1, w2, kept: (w1[kept], b1[kept], w2)),
        "You kept the first `len(kept)` filters. `kept` says *which* ones stay.": called_with(
            lambda w1, b1, w2, kept: (w1, b1, w2, torch.arange(len(kept)))
        ),
    },
    properties=(
        Property("The first layer's weight must hold the filters that stay.", _part_is_right(0), credit=0.25),
        Property("Its bias must hold their entries.", _part_is_right(1), credit=0.25),
        Property("The second layer's weight must hold the inputs that are left.", _part_is_right(2), credit=0.25),
    ),
)
def remove_filters(weight1, bias1, weight2, kept):
    """Remove filters from two convolutions.

    `channel_pruning.remove_channels` does this along the whole graph, through batch norms, residual sums and flattens,
    where more than two tensors must shrink together.
    """
    return weight1[kept], bias1[kept], weight2[:, kept]


question(
    "pruning.masks_and_time",
    points=1,
    text="What does the mask make smaller, if you change nothing else?",
    choices={
        "a": "The file in which the network is saved.",
        "b": "That file, once it is compressed.",
        "c": "The memory that the network takes while it computes.",
    },
    answer="b",
    comments={
        "a": "A zero takes four bytes in the file, like any other float32.",
        "c": "Every tensor keeps its shape, and a zero takes four bytes in memory, too.",
    },
    explanation="A mask changes no shape, so the file and the memory keep their size. Compression finds the many equal "
    "bytes. Zeros also save something if a kernel is made for them (sparse formats at high sparsity, 2:4 on some GPUs), or "
    "if whole filters go, so that the tensors really shrink.",
)
question(
    "pruning.bits_of_2_4",
    points=2,
    text="A 2:4 sparse layer stores 2 of 4 weights in 16 bits each, and for each of them a 2-bit position in its group. "
    "How large is it, in percent of the dense 16-bit layer?",
    answer=56.25,
    tolerance=0.1,
    comments={
        50.0: "You counted the weights only. Each of them also needs a position.",
        53.125: "You counted one position per group. Each of the two weights needs its own.",
        62.5: "You counted positions for all four weights. Only those that stay need one.",
    },
    explanation="A group of four takes 2·16 + 2·2 = 36 bits instead of 64: 56.25 %. The positions cost an eighth of what "
    "the weights cost; with 4-bit weights, they would cost half as much as the weights.",
)
question(
    "pruning.l1_or_l2",
    points=1,
    text="You prune single weights by their norm and change it from L1 to L2. What changes?",
    choices={
        "a": "L2 prunes more of the small weights.",
        "b": "Nothing: the same weights go.",
        "c": "L2 protects layers with many weights.",
    },
    answer="b",
    comments={
        "a": "Compute both norms of a single weight, a large and a small one. Which of them does L2 change?",
        "c": "That would need a norm of the whole layer. Here every weight is scored by itself.",
    },
    explanation="For a single number both norms are |w|, so the order is the same. For filters they differ: of two filters "
    "with the same L1 norm, L2 prefers the one with a few large weights to the one with many moderate ones.",
)
