"""Exercises and questions of lesson 01: scores, levels, masks, and taking filters out for real."""

import torch

from nnopt_lab.course.draws import decimals, randint, subset, uniform
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed, off_by
from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.pruning import channel_pruning


def _with_ties(g: torch.Generator, *shape: int) -> torch.Tensor:
    """Few different magnitudes, so that ties are certain, and no zeros."""
    magnitude = torch.randint(1, 6, shape, generator=g) / 10
    return torch.where(torch.rand(shape, generator=g) < 0.5, -magnitude, magnitude)


@exercise(
    "pruning.l1_importance",
    points=2,
    inputs=lambda g: (decimals(g, randint(g, 3, 5), randint(g, 2, 3), 2, 2, places=2),),
    hints=(
        "The weight has shape [out, in, kh, kw]; filter number o is weight[o]. You want one number for each.",
        "Take magnitudes first, then sum over everything except axis 0.",
        "`weight.abs().sum(dim=(1, 2, 3))`",
    ),
    wrong={
        "You summed the signed weights: large positive and large negative ones cancel, and a strong filter looks "
        "weak. Take magnitudes first.": lambda w: w.sum((1, 2, 3)),
        "You summed over axis 0, the filters themselves: that scores each *input* channel. Keep axis 0, sum the "
        "others.": lambda w: w.abs().sum((0, 2, 3)),
        "That is the L2 norm: squares, then a root. The L1 norm is the plain sum of magnitudes.": lambda w: (
            pruning.importance(w, norm=2, per="filter")
        ),
        "That is the mean. It sorts the filters of one layer alike, but between layers with different kernel sizes "
        "it does not; the L1 norm is the sum.": lambda w: w.abs().mean((1, 2, 3)),
        "The scores are right, but `abs_()` changed the weights themselves: the network has just lost all its "
        "signs. Use `abs()`.": lambda w: w.abs_().sum((1, 2, 3)),
        "That is one number for the whole layer; you want one for each filter.": changed(torch.sum),
    },
)
def l1_importance(weight):
    """L1 importance of filters.

    Li et al. 2017 removed filters by exactly this score. In torch: `torch.linalg.vector_norm(weight.flatten(1), 1,
    dim=1)`, and `prune.ln_structured(…, n=1, dim=0)` masks by it.
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
        "A level holds equally many scores, however far apart they are: what counts is each score's rank.",
        "`argsort` tells which score comes first, second, …; you need the reverse: which place score i has. "
        "That is the argsort of the argsort (both with stable=True).",
        "ranks = scores.argsort(stable=True).argsort(stable=True), and the level is ranks * count // len(scores).",
    ),
    wrong={
        "`argsort` lists *which* score stands at each place; you need the place of each score. Apply argsort "
        "once more to the result.": lambda s, c: s.argsort(stable=True) * c // len(s),
        "You cut the *values* into equal ranges: one outlier then leaves levels empty. Levels hold equal "
        "numbers of scores, so work with ranks.": _equal_width,
        "Turned round: level 0 is the least important, the one that goes first.": lambda s, c: c - 1 - levels(s, c),
        "Levels are counted from 0 to count − 1; yours start at 1.": off_by(1),
        "When the scores can't be shared out evenly, your last scores land in a level that does not exist: "
        "multiply by count before you divide by how many there are.": lambda s, c: pruning.ranks(s) // (len(s) // c),
    },
    properties=(
        Property(
            "The sizes of the levels must differ by at most one.",
            lambda result, scores, count: int(result.bincount().max() - result.bincount().min()) <= 1,
        ),
        Property("A higher score is never in a lower level, and no level is empty.", _in_order, credit=1 / 3),
    ),
)
def levels(scores, count):
    """Sort scores into levels.

    `argsort().argsort()` is the usual idiom for ranks. Dropping level 0 and starting over is the article's procedure;
    torch's `prune.l1_unstructured` is the special case of a single cut.
    """
    return pruning.levels(scores, count)


def _weight_and_keep(g: torch.Generator):
    weight = _with_ties(g, randint(g, 2, 4), 5)
    return weight, randint(g, 2, weight.numel() // 2 - 1)


def _in_order_of_magnitude(mask, weight, keep):
    return bool(mask.any() and not mask.all() and weight.abs()[mask].min() >= weight.abs()[~mask].max())


def _keeps_the_largest(mask, wanted, weight, keep):
    if int(mask.sum()) != keep:
        return f"The mask keeps {int(mask.sum())} weights, {keep} are wanted."
    if not weight.abs()[mask].min() >= weight.abs()[~mask].max():
        return "The mask drops a weight that is larger than one it keeps."
    return None


@exercise(
    "pruning.magnitude_mask",
    points=3,
    inputs=_weight_and_keep,
    hints=(
        "Exactly `keep` entries of the mask are True, also where several weights are equally large.",
        "`torch.topk` on the flattened magnitudes gives the *positions* of the largest; a threshold would stumble "
        "over ties.",
        "mask = torch.zeros(weight.numel(), dtype=torch.bool); "
        "mask[weight.abs().flatten().topk(keep).indices] = True; return mask.reshape(weight.shape)",
    ),
    wrong={
        "The mask is turned round: True marks a weight that stays.": changed(torch.logical_not),
        "You sorted the signed weights, so the large negative ones went first. Importance is the "
        "magnitude.": lambda w, k: pruning.magnitude_mask(w, k),
        "Off at ties: a threshold keeps *every* weight that equals it, so more than `keep` may stay. Choose "
        "positions, not a value.": lambda w, k: w.abs() >= w.abs().flatten().sort(descending=True).values[k - 1],
        "Off at ties: a strict threshold drops every weight that equals it, so fewer than `keep` may stay. "
        "Choose positions, not a value.": lambda w, k: w.abs() > w.abs().flatten().sort(descending=True).values[k],
        "You removed `keep` weights; `keep` is the number that stays.": called_with(lambda w, k: (w, w.numel() - k)),
    },
    compare=_keeps_the_largest,
    properties=(Property("No weight goes that is larger than one that stays.", _in_order_of_magnitude, credit=1 / 3),),
)
def magnitude_mask(weight, keep):
    """Mask of the largest weights.

    `prune.l1_unstructured(layer, 'weight', amount)` does this and stores the mask as a buffer beside `weight_orig`. Its
    `amount` is what goes, not what stays: a frequent slip.
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
        "At step 0 nothing is pruned, at the last step the share `final` is.",
        "What is still to be done shrinks with the cube of the time that is left: (1 − step/steps)³.",
        "`final * (1 - (1 - step / steps) ** 3)`",
    ),
    wrong={
        "That is the straight line. The cube prunes fast at first, where there is much to "
        "spare.": lambda step, steps, final: final * step / steps,
        "That curve starts slowly and ends fast: the wrong way round. Cube the time that is *left*, "
        "1 − step/steps.": lambda step, steps, final: final * (step / steps) ** 3,
        "That is the share of weights that stay; the sparsity is the share that is gone.": changed(lambda s: 1 - s),
        "That is what is still *to be* pruned: it falls to 0 at the end. Subtract it from "
        "`final`.": lambda step, steps, final: final * (1 - step / steps) ** 3,
    },
    properties=(
        Property("A sparsity lies between 0 and `final`.", lambda s, step, steps, final: 0 <= s <= final + 1e-9),
    ),
)
def cubic_sparsity(step, steps, final):
    """The cubic pruning schedule.

    Zhu & Gupta 2017, equation 1, with an initial sparsity of 0. torch has no schedule for masks;
    `pruning.cubic_sparsity` is the library's version.
    """
    return pruning.cubic_sparsity(step, steps, final)


def _two_of_four(mask, wanted, weight):
    kept = mask.reshape(-1, 4).sum(1)
    if (kept != 2).any():
        group = int((kept != 2).nonzero()[0])
        return f"Group {group} of four keeps {int(kept[group])} weights; every group keeps 2."
    groups, kept = weight.abs().reshape(-1, 4), mask.reshape(-1, 4)
    weakest_kept = groups.masked_fill(~kept, torch.inf).amin(1)
    strongest_gone = groups.masked_fill(kept, -torch.inf).amax(1)
    wrong = (~(weakest_kept >= strongest_gone)).nonzero()
    return f"Group {int(wrong[0])} drops a weight that is larger than one it keeps." if len(wrong) else None


def _signed_two(weight):
    groups = weight.reshape(-1, 4)
    return torch.zeros_like(groups, dtype=torch.bool).scatter(1, groups.topk(2).indices, True).reshape(weight.shape)


@exercise(
    "pruning.n_m_mask",
    points=3,
    inputs=lambda g: (_with_ties(g, 4 * randint(g, 1, 2), 4 * randint(g, 1, 2)),),
    hints=(
        "Reshape so that each group of four stands in a row of its own.",
        "`weight.abs().reshape(-1, 4).topk(2, dim=1).indices` are the two to keep in each group; `scatter_` writes "
        "True there.",
        "groups = weight.abs().reshape(-1, 4); mask = torch.zeros_like(groups, dtype=torch.bool); "
        "mask.scatter_(1, groups.topk(2, dim=1).indices, True); return mask.reshape(weight.shape)",
    ),
    wrong={
        "Half of all weights are kept, but not two in *every* group of four: the hardware relies on the "
        "groups.": lambda w: pruning.magnitude_mask(w.abs(), w.numel() // 2),
        "Your groups run down the columns. They run along a row: four consecutive inputs of one output.": lambda w: (
            n_m_mask(w.T).T
        ),
        "The mask is turned round: True marks the two weights that stay.": changed(torch.logical_not),
        "You kept the two largest signed values; −0.5 matters more than 0.1. Compare magnitudes.": _signed_two,
    },
    compare=_two_of_four,
)
def n_m_mask(weight):
    """The 2:4 mask.

    NVIDIA's sparse tensor cores run exactly this pattern up to twice as fast (`torch.sparse.to_sparse_semi_structured`,
    CUDA only). On a CPU it saves storage, not time.
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
        "Flatten lays the channels one after the other: first all pixels of channel 0, then all of channel 1, …",
        "Channel c becomes the positions c·height·width to (c + 1)·height·width − 1.",
        "`(kept[:, None] * height * width + torch.arange(height * width)).flatten()`",
    ),
    wrong={
        "One input for each channel: but behind the flatten every channel has become height·width "
        "inputs.": lambda kept, h, w: kept,
        "You interleaved the channels (pixel by pixel). Flattening [C, H, W] lays whole channels one after the "
        "other.": lambda kept, h, w: (torch.arange(h * w)[:, None] * len(kept) + kept).flatten(),
        "Only the first column of pixels of each channel; all height·width of them belong to it.": lambda kept, h, w: (
            kept[:, None] * h * w + torch.arange(h)
        ).flatten(),
        "You took the first len(kept) channels; `kept` says *which* ones stay.": called_with(
            lambda kept, h, w: (torch.arange(len(kept)), h, w)
        ),
    },
)
def flatten_columns(kept, height, width):
    """Which inputs of the linear layer stay.

    Getting this wrong is the classic bug of hand-made filter pruning: shapes fit, nothing raises, and the accuracy
    collapses. `channel_pruning` reads the factor height·width from the model's graph.
    """
    return channel_pruning.expand_to_inputs(kept, height * width)


def _two_convolutions(g: torch.Generator):
    filters = randint(g, 3, 5)
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
        "weight1 is [out1, in1, k, k], weight2 is [out2, out1, k, k]: out1 appears twice.",
        "Filters are rows (axis 0) of weight1 and entries of bias1; the second layer reads them along axis 1.",
        "`return weight1[kept], bias1[kept], weight2[:, kept]`",
    ),
    wrong={
        "You removed *filters* of the second layer. It still has all of its own; what it loses are inputs: axis "
        "1.": lambda w1, b1, w2, kept: (w1[kept], b1[kept], w2[kept]),
        "The bias still has an entry for every old filter; a removed filter takes its bias "
        "along.": lambda w1, b1, w2, kept: (w1[kept], b1, w2[:, kept]),
        "You set the filters to zero: that is a mask. The tensors are as large and as slow as before; take the "
        "filters out.": lambda w1, b1, w2, kept: (_zeroed(w1, kept), _zeroed(b1, kept), w2),
        "You removed what should stay: `kept` names the filters that remain.": called_with(
            lambda w1, b1, w2, kept: (w1, b1, w2, _others(kept, len(w1)))
        ),
        "The second layer still expects every old channel; it must lose the inputs that no longer "
        "exist.": lambda w1, b1, w2, kept: (w1[kept], b1[kept], w2),
    },
    properties=(
        Property("The first layer's weight holds the filters that stay.", _part_is_right(0), credit=0.25),
        Property("Its bias holds their entries.", _part_is_right(1), credit=0.25),
        Property("The second layer's weight holds the inputs that are left.", _part_is_right(2), credit=0.25),
    ),
)
def remove_filters(weight1, bias1, weight2, kept):
    """Remove filters from two convolutions.

    `channel_pruning.remove_channels` does this along the whole graph: through batch norms, residual sums and flattens,
    where more than two tensors must shrink together.
    """
    return weight1[kept], bias1[kept], weight2[:, kept]


question(
    "pruning.masks_and_time",
    points=1,
    text="90 % of a convolution's weights are masked to zero. How long does the same dense kernel take?",
    choices={
        "a": "About a tenth of the time.",
        "b": "About as long as before.",
        "c": "Somewhere in between: it skips some of the zeros.",
    },
    answer="b",
    comments={
        "a": "A dense kernel multiplies zeros as patiently as any other number.",
        "c": "Vector units work on 8 or 16 numbers at once, and no dense kernel looks whether one of them is zero.",
    },
    explanation="A dense kernel does the same multiplications whatever the numbers are. Zeros pay off in storage "
    "(compressed), or in a kernel made for them (sparse formats at high sparsity, 2:4 on some GPUs), or when whole "
    "filters go and the tensors really shrink.",
)
question(
    "pruning.bits_of_2_4",
    points=2,
    text="A 2:4 sparse layer keeps 2 of 4 weights in 16 bits each, and for each kept weight a 2-bit position in its "
    "group. How large is it, in percent of the dense 16-bit layer?",
    answer=56.25,
    tolerance=0.1,
    explanation="A group of four takes 2·16 + 2·2 = 36 bits in place of 64: 56.25 %. The positions cost an eighth "
    "of what the kept weights cost; with 4-bit weights they would cost half as much again.",
)
question(
    "pruning.l1_or_l2",
    points=1,
    text="Single weights are pruned by magnitude. You change the norm from L1 to L2. What changes?",
    choices={
        "a": "L2 prunes more of the small weights.",
        "b": "Nothing: the same weights go.",
        "c": "L2 protects layers with many weights.",
    },
    answer="b",
    comments={
        "a": "For a single weight the L1 norm is |w| and the L2 norm is √w² = |w|: the same number.",
        "c": "That would need a norm over the layer; here every weight is scored alone.",
    },
    explanation="For one number both norms are |w|, so the order is the same. Over a filter they differ: L2 favours "
    "a filter with a few large weights over one with many middling ones of the same L1 norm.",
)
