"""Exercises and questions of lesson 07: shared values, gaps, Huffman codes."""

import math

import torch

from nnopt_lab.course.draws import randint
from nnopt_lab.course.exercises import exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed
from nnopt_lab.techniques.quantization.deep_compression import gaps, huffman


def _moved(labels=lambda distances: distances.abs().argmin(1), move=torch.mean, empty=lambda centroid: centroid):
    """`kmeans_step`, value by value; `move` makes a centroid of its values."""

    def kmeans_step(values, centroids):
        nearest = labels(values[:, None] - centroids)
        return torch.stack(
            [
                move(values[nearest == place]) if (nearest == place).any() else empty(centroid)
                for place, centroid in enumerate(centroids)
            ]
        )

    return kmeans_step


def _values_and_centroids(g: torch.Generator):
    """One centroid is far from all values; the others have three or four each, on both sides. No value is half way."""
    centroids = torch.tensor([-2.0, 0.0, 2.0]) + torch.randint(-2, 3, (3,), generator=g) / 10
    values = [
        centroid + torch.tensor([-0.5, -0.2, 0.4, 0.7])[torch.randperm(4, generator=g)[: randint(g, 3, 4)]]
        for centroid in centroids
    ]
    values = torch.cat(values).round(decimals=1)
    centroids = torch.cat([centroids, torch.tensor([5.0 + randint(g, 0, 9) / 10])]).round(decimals=1)
    return values[torch.randperm(len(values), generator=g)], centroids[torch.randperm(4, generator=g)]


@exercise(
    "small_files.kmeans_step",
    points=3,
    inputs=_values_and_centroids,
    hints=(
        "Two steps: find the nearest centroid of each value, then the mean of the values that belong to each centroid.",
        "`(values[:, None] - centroids).abs()` holds all distances, `[N, k]`; `argmin(1)` gives each value's cluster. "
        "A cluster without values has no mean: its centroid stays where it is.",
        "`labels = (values[:, None] - centroids).abs().argmin(1)`, then for each k `values[labels == k].mean()` if "
        "`(labels == k).any()`, else `centroids[k]`; `torch.stack` makes one tensor of the list.",
    ),
    wrong={
        "You added up the values of each cluster. A centroid moves to their mean.": _moved(move=torch.sum),
        "You took the median of each cluster. k-means moves a centroid to the mean, which has the least squared "
        "error.": _moved(move=torch.median),
        "A cluster without values became NaN: 0 divided by 0. Its centroid stays where it is.": _moved(
            empty=lambda centroid: torch.full_like(centroid, math.nan)
        ),
        "The centroid of a cluster without values became 0. It stays where it is.": _moved(empty=torch.zeros_like),
        "You took the smallest signed difference, so all values belong to the largest centroid. Distances are "
        "magnitudes: `.abs()`.": _moved(labels=lambda distances: distances.argmin(1)),
        "You gave each value to the centroid that is farthest away. Take the nearest: `argmin`.": _moved(
            labels=lambda distances: distances.abs().argmax(1)
        ),
        "You returned each value's cluster. Return the k centroids, each moved to the mean of its "
        "values.": lambda values, centroids: (values[:, None] - centroids).abs().argmin(1),
        "You returned each value's centroid. Return the k centroids, each moved to the mean of its "
        "values.": lambda values, centroids: centroids[(values[:, None] - centroids).abs().argmin(1)],
        "You sorted the centroids. Keep their order: the labels of all weights refer to it.": changed(
            lambda result: result.sort().values
        ),
        "You left out the cluster without values. Its centroid stays where it is, so that there are still k of "
        "them.": lambda values, centroids: torch.stack(
            [c for c, old in zip(kmeans_step(values, centroids), centroids, strict=True) if old < 4]
        ),
    },
)
def kmeans_step(values, centroids):
    """One step of k-means.

    Each step makes the sum of squared distances smaller or leaves it, so that the steps come to an end, in *a* minimum
    (Lloyd 1957). `deep_compression.kmeans` starts with evenly spaced centroids and drops clusters that stay empty.
    """
    return _moved()(values, centroids)


def _gradient_and_labels(g: torch.Generator):
    """The last cluster has no weights, the others have at least two; some weights are pruned; tenths, none of them 0."""
    clusters = randint(g, 3, 5)
    used = clusters - 1
    labels = torch.cat([torch.arange(used).repeat(2), torch.randint(-1, used, (10 - 2 * used,), generator=g)])
    labels = torch.cat([labels, torch.full((2,), -1)])[torch.randperm(12, generator=g)]
    tenths = torch.randint(1, 30, (3, 4), generator=g) / 10
    return torch.where(torch.rand(3, 4, generator=g) < 0.5, -tenths, tenths), labels.reshape(3, 4), clusters


def _last_one_wins(gradient, labels, clusters):
    sums, kept = torch.zeros(clusters), labels >= 0
    for label, value in zip(labels[kept].tolist(), gradient[kept], strict=True):
        sums[label] = value
    return sums


@exercise(
    "by_hand.centroid_gradient",
    points=3,
    inputs=_gradient_and_labels,
    hints=(
        "If a centroid moves by δ, every weight that shares it moves by δ, and the loss changes by δ times the sum of all "
        "their gradients.",
        "First drop the pruned weights: `kept = labels >= 0`. Then add up by label, with `index_add` or with a loop over "
        "the clusters.",
        "`torch.zeros(clusters).index_add(0, labels[kept], gradient[kept])`",
    ),
    wrong={
        "Each centroid got the gradient of its *last* weight only. `sums[labels] += gradient` does not add up where a "
        "label occurs twice: use `index_add`.": _last_one_wins,
        "Each centroid got the gradient of its *last* weight only, and the pruned weights went into the last cluster. Drop "
        "them, and use `index_add` instead of `sums[labels] += gradient`.": lambda g, labels, k: _last_one_wins(
            g, labels % k, k
        ),
        "You took the mean. A centroid moves all its weights at once, so their gradients add up. (k-means moves centroids "
        "by the mean, but it knows no loss.)": lambda g, labels, k: (
            centroid_gradient(g, labels, k) / labels[labels >= 0].bincount(minlength=k)
        ),
        "You took the mean. A centroid moves all its weights at once, so their gradients add "
        "up.": lambda g, labels, k: (
            centroid_gradient(g, labels, k) / labels[labels >= 0].bincount(minlength=k).clamp(1)
        ),
        "The pruned weights went into the last cluster, because index −1 is the last place in Python. They have no "
        "centroid: drop them.": called_with(lambda g, labels, k: (g, labels % k, k)),
        "The pruned weights went into cluster 0. They have no centroid: drop them.": called_with(
            lambda g, labels, k: (g, labels.clamp(min=0), k)
        ),
        "You added magnitudes. The weights of a cluster can pull in opposite directions, and then the centroid stays. "
        "Keep the signs.": called_with(lambda g, labels, k: (g.abs(), labels, k)),
        "You gave every weight the sum of its cluster. Return one number per centroid, `[clusters]`.": lambda g, labels, k: (
            torch.where(labels >= 0, centroid_gradient(g, labels, k)[labels], 0.0)
        ),
        "You counted the weights of each cluster. Add up their gradients.": lambda g, labels, k: (
            labels[labels >= 0].bincount(minlength=k).float()
        ),
        "A cluster without weights is missing: `unique`, or `bincount` without `minlength`, only knows labels that occur. "
        "Its gradient is 0: start with `torch.zeros(clusters)`.": (
            lambda g, labels, k: torch.stack([g[labels == i].sum() for i in labels.unique() if i >= 0])
        ),
    },
)
def centroid_gradient(gradient, labels, clusters):
    """The gradient of a shared value.

    This is equation 3 of Han et al. 2016. Autograd finds it by itself: the weight is `centroids[labels]`, and the
    backward pass of a lookup adds up the gradients of all places that looked up the same centroid.
    """
    kept = labels >= 0
    return torch.zeros(clusters).index_add(0, labels[kept], gradient[kept])


def _joined(groups, choose):
    """The sum of all joins, where `choose` says which two places of the sorted list are joined."""
    groups, total = sorted(groups), 0
    while len(groups) > 1:
        first, second = choose(groups)
        joined = groups[first] + groups[second]
        total += joined
        groups = sorted([g for place, g in enumerate(groups) if place not in (first, second)] + [joined])
    return total


def _one_behind_the_other(counts):
    counts = sorted(n for n in counts if n)
    return sum(sum(counts[: place + 1]) for place in range(1, len(counts)))


def _in_a_queue(counts):
    groups, total = sorted(n for n in counts if n), 0
    while len(groups) > 1:
        total += groups[0] + groups[1]
        groups = [*groups[2:], groups[0] + groups[1]]
    return total


def _entropy(counts) -> float:
    """The entropy of the whole message, in bits."""
    return sum(n * math.log2(sum(counts) / n) for n in counts if n)


def _counts(g: torch.Generator):
    """Five or six symbols that occur and one or two that do not; where a joined group goes makes a difference."""
    while True:
        occur = [randint(g, 1, 12) for _ in range(randint(g, 5, 6))]
        if huffman_bits(occur) not in (_one_behind_the_other(occur), _in_a_queue(occur), round(_entropy(occur))):
            break
    counts = occur + [0] * randint(g, 1, 2)
    return ([counts[place] for place in torch.randperm(len(counts), generator=g).tolist()],)


@exercise(
    "by_hand.huffman_bits",
    points=4,
    inputs=_counts,
    hints=(
        "Join the two rarest groups, again and again, until one is left. A symbol that does not occur takes no part.",
        "Each join puts one more bit before the codes of all symbols in it, once per occurrence. So the number of bits is "
        "the sum of the sizes of all joined groups.",
        "`groups = [n for n in counts if n]`, `heapq.heapify(groups)`, then `while len(groups) > 1: joined = "
        "heapq.heappop(groups) + heapq.heappop(groups); total += joined; heapq.heappush(groups, joined)`.",
    ),
    wrong={
        "You used a code of equal lengths. Give frequent symbols shorter codes: join the two rarest groups again and "
        "again.": lambda counts: sum(counts) * math.ceil(math.log2(len([n for n in counts if n]))),
        "You returned the entropy, rounded up. It is a lower bound, which codes of whole bits rarely reach. Build the "
        "code.": lambda counts: math.ceil(_entropy(counts)),
        "You returned the entropy, rounded. It is a lower bound, which codes of whole bits rarely reach. Build the "
        "code.": lambda counts: round(_entropy(counts)),
        "You returned the entropy, rounded down. It is a lower bound, which codes of whole bits rarely reach. Build the "
        "code.": lambda counts: math.floor(_entropy(counts)),
        "You returned the entropy. It is a lower bound, which codes of whole bits rarely reach. Build the "
        "code.": _entropy,
        "You returned the entropy per symbol. Return the bits of the whole message, and build the code: the entropy is "
        "only a lower bound.": lambda counts: _entropy(counts) / sum(counts),
        "You rounded each symbol's −log₂ p up to whole bits. That gives a prefix code (Shannon's), but not the shortest: "
        "join groups.": lambda counts: sum(n * math.ceil(math.log2(sum(counts) / n)) for n in counts if n),
        "You rounded each symbol's −log₂ p to whole bits. In general there is no code of those lengths: join "
        "groups.": lambda counts: sum(n * round(math.log2(sum(counts) / n)) for n in counts if n),
        "You gave codes to symbols that do not occur, which makes the other codes longer. Leave them "
        "out.": lambda counts: _joined(counts, lambda groups: (0, 1)),
        "You always joined the group you had just made with the next symbol. It goes back among the others: join the two "
        "*rarest*, whichever they are.": _one_behind_the_other,
        "You joined the two most frequent groups. Each join makes codes longer, so join the two rarest.": lambda counts: (
            _joined([n for n in counts if n], lambda groups: (-2 % len(groups), len(groups) - 1))
        ),
        "The last join is missing: the two groups left at the end differ in their first bit, which every symbol "
        "has.": lambda counts: huffman_bits(counts) - sum(counts),
        "You returned the mean, in bits per symbol. Return the number of bits of the whole message.": lambda counts: (
            huffman_bits(counts) / sum(counts)
        ),
        "You put each joined group at the end of the list, as in a queue. Its place depends on its size: sort again, or "
        "use a heap, before you take the two rarest.": _in_a_queue,
        "You counted the last group, which holds all symbols, once more. Only joins add bits, and that group is not "
        "joined.": lambda counts: huffman_bits(counts) + sum(counts),
        "You returned the lengths of the codes. Return the number of bits of the whole message: each length, times how "
        "often its symbol occurs.": lambda counts: huffman.code_lengths(counts).tolist(),
        "You added up the lengths of the codes. Multiply each by how often its symbol occurs.": lambda counts: int(
            huffman.code_lengths(counts).sum()
        ),
    },
)
def huffman_bits(counts):
    """Bits of a Huffman code.

    `huffman.code_lengths` joins in the same way and adds one bit for each member. No code with whole bits per symbol is
    shorter (Huffman 1952). Arithmetic coding comes closer to the entropy, because it codes symbols together.
    """
    return int(sum(n * bits for n, bits in zip(counts, huffman.code_lengths(counts).tolist(), strict=True)))


question(
    "by_hand.why_huffman_last",
    points=1,
    text="Huffman's code for the float32 weights themselves, before pruning and sharing, would save next to nothing. Why?",
    choices={
        "a": "Floats have a sign and an exponent beside their digits, while the symbols of a Huffman code must be whole "
        "numbers.",
        "b": "It would take too long: the code of 268,464 weights cannot be computed, only that of a few hundred.",
        "c": "Nearly every weight is a different number: no symbol is frequent, and the table of codes would be as large "
        "as the weights.",
    },
    answer="c",
    comments={
        "a": "A symbol is only a name, and any 32 bits can be one. What is missing is repetition.",
        "b": "Sorting and joining a quarter of a million counts takes about a second.",
    },
    explanation="A Huffman code gains from symbols that occur unequally often. Sharing turns many numbers into a few "
    "symbols, and pruning makes one of them, zero, very frequent. Only then is there something to code.",
)


def _gaps(before=-1, cut=lambda gap, longest: divmod(gap, longest)):
    """`gap_symbols`; `before` is the position ahead of the first one, `cut` splits a gap into (pieces, rest)."""

    def symbols(positions, longest):
        found = []
        for previous, position in zip([before, *positions], positions, strict=False):
            pieces, rest = cut(position - previous - 1, longest)
            found += [longest] * pieces + [rest]
        return found

    return symbols


def _positions(g: torch.Generator):
    """A gap of one, two or three pieces, one of exactly the longest gap, one of 0, and two short ones, in any order."""
    longest = randint(g, 3, 7)
    skips = [longest * randint(g, 1, 3) + randint(g, 1, longest - 1), longest, 0, randint(g, 1, longest - 1)]
    skips = [skips[place] for place in torch.randperm(4, generator=g).tolist()]
    skips = [randint(g, 1, longest - 1), *skips]
    positions, last = [], -1
    for skip in skips:
        last += skip + 1
        positions.append(last)
    return positions, longest


@exercise(
    "small_files.gap_symbols",
    points=3,
    inputs=_positions,
    hints=(
        "Between two neighbouring positions nothing is skipped, so the gap from p to q is q − p − 1. Before the first "
        "position p, p zeros are skipped.",
        "While a gap is at least `longest`, write the symbol `longest` and take that much off; then write what is "
        "left, from 0 to `longest − 1`, and go on to the next position.",
        "`symbols, last = [], -1; for p in positions: gap = p - last - 1; symbols += [longest] * (gap // longest) + "
        "[gap % longest]; last = p; return symbols`",
    ),
    wrong={
        "Your gaps are one too large: you took the difference of two positions, but the weight itself is not skipped. "
        "Subtract 1.": lambda positions, longest: [
            symbol
            for previous, position in zip([-1, *positions], positions, strict=False)
            for symbol in [longest] * ((position - previous) // longest) + [(position - previous) % longest]
        ],
        "Your first gap is one too small: before position p there are p others, as positions begin at 0. Start with "
        "−1 as the last position.": _gaps(before=0),
        "You returned the differences of the positions. The weights themselves are not skipped, so subtract 1; and cut "
        "long gaps in pieces.": lambda positions, longest: [
            position - previous for previous, position in zip([0, *positions], positions, strict=False)
        ],
        "You did not cut long gaps in pieces: a gap above `longest` has no symbol.": _gaps(
            cut=lambda gap, longest: (0, gap)
        ),
        "You cut long gaps off at `longest`, so all positions after them move. Write the rest as further symbols.": lambda positions, longest: [
            min(position - previous - 1, longest)
            for previous, position in zip([-1, *positions], positions, strict=False)
        ],
        "A gap of exactly `longest` came out as that symbol alone. It means that no weight follows yet, so a 0 must come "
        "after it.": _gaps(cut=lambda gap, longest: ((gap - 1) // longest, (gap - 1) % longest + 1) if gap else (0, 0)),
        "After the pieces of a long gap, what is left of it is missing: the symbol `longest` says that no weight follows "
        "yet.": lambda positions, longest: [
            symbol
            for previous, position in zip([-1, *positions], positions, strict=False)
            for gap in [position - previous - 1]
            for symbol in ([longest] * (gap // longest) or [gap])
        ],
        "You let the symbol `longest` skip `longest + 1` places, as if a weight of zero followed it. It skips "
        "`longest` zeros and nothing else.": _gaps(cut=lambda gap, longest: divmod(gap, longest + 1)),
        "You cut each long gap only once. The rest may still be `longest` or more: go on until it is below.": _gaps(
            cut=lambda gap, longest: (1, gap - longest) if gap >= longest else (0, gap)
        ),
        "You wrote the rest before the pieces of its gap. A weight follows the rest, so the pieces come "
        "first.": lambda positions, longest: [
            symbol
            for previous, position in zip([-1, *positions], positions, strict=False)
            for gap in [position - previous - 1]
            for symbol in [gap % longest] + [longest] * (gap // longest)
        ],
        "You returned the positions. Return the gaps between them, in pieces.": lambda positions, longest: positions,
    },
)
def gap_symbols(positions, longest):
    """Positions as gaps.

    Most gaps are short, so their symbols are few and unequally frequent, which suits Huffman's code. The paper gives a
    weight of zero to the symbol for a long gap; this form saves coding that zero (Han et al. 2016, section 2).
    """
    return gaps.gap_symbols(positions, longest).tolist()


question(
    "small_files.ratio",
    points=1,
    text="A layer keeps one weight in ten. Each weight that is left costs 3 bits for its value and 5 bits for its gap; "
    "before, every weight had 32 bits. How many times smaller does the layer become, without its code book?",
    answer=40,
    tolerance=1.0,
    comments={
        4: "That is the saving in bits for each weight that is left. How many weights are left?",
        10: "That is the saving from pruning. The weights that are left also take fewer bits.",
        14: "You added the two savings. They multiply: fewer weights, and fewer bits for each.",
        107: "You left out the gaps: a weight that is left costs 5 bits more, for its position.",
        64: "You left out the values: a weight that is left costs 3 bits more, for its value.",
    },
    explanation="A tenth of the weights, and 8 bits instead of 32 for each: 10 · 32/8 = 40. The factors multiply, and the "
    "positions cost more than the values.",
)
