"""Exercises and questions of lesson 14: fronts, sensitivity, and when to stop a trial."""

import operator
from itertools import pairwise
from math import log2

import torch

from nnopt_lab.course.draws import randint, subset
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed, scaled, swapped
from nnopt_lab.techniques.search import fronts


def _networks(g: torch.Generator):
    # A staircase of four; then two that tie with a step in one coordinate, one that is beaten twice, and a duplicate.
    costs = sorted(torch.randperm(20, generator=g)[:4].tolist())
    losts = sorted(torch.randperm(20, generator=g)[:4].tolist(), reverse=True)
    rows = [(x / 2 - 2, float(c + 1)) for x, c in zip(losts, costs, strict=True)]
    step, other = rows[randint(g, 1, 2)], rows[randint(g, 0, 3)]
    rows += [(step[0] + 1.5, step[1]), (step[0], step[1] + 0.5), (rows[0][0] + 1, rows[3][1] + 2), other]
    order = torch.randperm(len(rows), generator=g).tolist()
    return [rows[i][0] for i in order], [rows[i][1] for i in order]


def _kept(key=lambda lost, cost, i: (cost, lost, i), better=operator.lt, last=True):
    """The front in one pass, or with a mistake in the order, the comparison, or what is compared with."""

    def front(lost, cost):
        kept, before = [], None
        for i in sorted(range(len(lost)), key=lambda i: key(lost[i], cost[i], i)):
            if before is None or better(lost[i], lost[before]):
                kept.append(i)
                before = i
            before = before if last else i
        return kept

    return front


def _front(beaten=lambda dx, dy: dx >= 0 and dy >= 0 and dx + dy > 0, keep_equal=False, itself=True):
    """The front by comparing all pairs, or with a mistake; another is better by `dx` in loss and `dy` in cost."""

    def front(lost, cost):
        n = range(len(lost))
        kept = [
            i
            for i in n
            if not any(beaten(lost[i] - lost[j], cost[i] - cost[j]) for j in n if itself or i != j)
            and (keep_equal or not any((lost[j], cost[j]) == (lost[i], cost[i]) for j in range(i)))
        ]
        return sorted(kept, key=lambda i: (cost[i], lost[i], i))

    return front


@exercise(
    "choosing.pareto_front",
    points=3,
    inputs=_networks,
    hints=(
        "Go through the networks from the cheapest to the most expensive. When is a more expensive one worth keeping?",
        "Sort the positions by `(cost, lost, position)`. Keep a network only if it loses *less* than the last one kept.",
        "`front = []; for i in sorted(range(len(lost)), key=lambda i: (cost[i], lost[i], i)): if not front or lost[i] "
        "< lost[front[-1]]: front.append(i)`",
    ),
    wrong={
        "You kept networks that are equal in one coordinate and worse in the other. Those are dominated, too: one "
        "network dominates another if it is worse in neither and better in at least one.": _front(
            lambda dx, dy: dx > 0 and dy > 0
        ),
        "You dropped a network only if another is better in both. It is enough to be better in one and worse in neither; "
        "and of two equal networks, only the first is kept.": _front(lambda dx, dy: dx > 0 and dy > 0, keep_equal=True),
        "You dropped a network only if another is better in both, and kept the given order. Better in one and worse in "
        "neither is enough, and the cheapest comes first.": lambda lost, cost: sorted(
            _front(lambda dx, dy: dx > 0 and dy > 0, keep_equal=True)(lost, cost)
        ),
        "You kept both of two equal networks, and the given order. Keep only the first, and return the cheapest "
        "first.": lambda lost, cost: sorted(_front(keep_equal=True)(lost, cost)),
        "You kept both of two equal networks. Keep only the first.": _front(keep_equal=True),
        "Of two networks with equal cost, you took the first instead of the better one. Sort by `(cost, lost)`, so "
        "that the smaller loss comes first.": _kept(lambda lost, cost, i: cost),
        "You kept a more expensive network that loses as much as a cheaper one. Keep it only if it loses *less*.": (
            _kept(better=operator.le)
        ),
        "You compared each network with its neighbour in the order of cost. Compare it with the last one that you "
        "*kept*, since the neighbour may be dominated itself.": _kept(last=False),
        "You kept the last of two equal networks. Keep the first.": (_kept(lambda lost, cost, i: (cost, lost, -i))),
        "You dropped both of two equal networks. Neither is better than the other: keep the first.": (
            _front(lambda dx, dy: dx >= 0 and dy >= 0, itself=False)
        ),
        "Your networks are right, but in the wrong order. Return them from the cheapest to the most expensive.": changed(
            sorted
        ),
        "Your networks are right, but in reverse order. The cheapest comes first.": swapped(),
        "You took a larger loss for better. `lost` is the drop in accuracy: less is better.": (
            called_with(lambda lost, cost: ([-x for x in lost], cost))
        ),
        "You took a higher cost for better. Less cost is better.": (
            called_with(lambda lost, cost: (lost, [-c for c in cost]))
        ),
        "You returned only the most accurate network. A cheaper one that loses a little more is on the front, too.": (
            changed(lambda front: front[-1:])
        ),
        "You returned only the cheapest network. A more expensive one that loses less is on the front, too.": (
            changed(lambda front: front[:1])
        ),
        "You sorted all networks but dropped none.": _kept(better=lambda new, kept: True),
        "You returned one truth value per network. Return the positions of those on the front.": lambda lost, cost: [
            i in pareto_front(lost, cost) for i in range(len(lost))
        ],
        "You returned the networks that are dominated. Return the others.": lambda lost, cost: [
            i for i in range(len(lost)) if i not in pareto_front(lost, cost)
        ],
        "You returned the networks' values. Return their positions.": (
            lambda lost, cost: [(lost[i], cost[i]) for i in pareto_front(lost, cost)]
        ),
    },
    properties=(
        Property(
            "Along the front, the cost rises and the loss falls.",
            lambda result, lost, cost: all(cost[a] < cost[b] and lost[a] > lost[b] for a, b in pairwise(result)),
        ),
    ),
)
def pareto_front(lost, cost):
    """The Pareto front.

    With sorting it takes n·log n steps; comparing all pairs takes n². For three objectives, one sort is not enough. With ten,
    hardly any network is dominated, so nearly all are on the front.
    """
    return fronts.pareto_front(list(zip(cost, lost, strict=True)))


def _rectangle(g: torch.Generator):
    # Three steps, of which the first may be a gain, one point that is dominated, and one beyond each limit.
    lost_limit, cost_limit = float(randint(g, 9, 12)), float(randint(g, 15, 20))
    losts = sorted((torch.randperm(9, generator=g)[:3] - randint(g, 1, 3)).tolist())  # some of them gains
    costs = sorted((torch.randperm(13, generator=g)[:3] + 1).tolist(), reverse=True)
    rows = [(float(x), float(y)) for x, y in zip(losts, costs, strict=True)]
    rows += [(rows[1][0] + 0.5, rows[1][1] + 0.5), (lost_limit + randint(g, 1, 3), 0.5), (-4.0, cost_limit + 2)]
    order = torch.randperm(len(rows), generator=g).tolist()
    return [rows[i][0] for i in order], [rows[i][1] for i in order], lost_limit, cost_limit


def _inside(lost, cost, lost_limit, cost_limit):
    """(loss, cost) of the points within both limits."""
    return [(x, y) for x, y in zip(lost, cost, strict=True) if x < lost_limit and y < cost_limit]


def _on_front(*inputs):
    """Those of them that are not dominated, by rising loss."""
    points = _inside(*inputs)
    return sorted(points[i] for i in fronts.pareto_front(points))


def _rectangles(points, combine=sum):
    """Areas from each point to the limits, combined; they overlap."""
    return lambda lost, cost, a, b: combine((a - x) * (b - y) for x, y in points(lost, cost, a, b))


def _strips(height=lambda y, after, b: b - y, last=True):
    """The area as one strip per step, or with a mistake; `after` is the next step's cost."""

    def area(lost, cost, a, b):
        front = _on_front(lost, cost, a, b)
        ends = [*front[1:], (a, front[-1][1])]
        strips = [(end - x) * height(y, after, b) for (x, y), (end, after) in zip(front, ends, strict=True)]
        return sum(strips if last else strips[:-1])

    return area


def _strips_of_all(lost, cost, a, b):
    points = sorted(zip(lost, cost, strict=True))
    ends = [*(x for x, _y in points[1:]), a]
    return sum((end - x) * (b - y) for (x, y), end in zip(points, ends, strict=True))


def _swept(key=lambda x, y: x, beyond=False):
    """The area in one pass, or with a mistake: another order, or counting points beyond `lost_limit`."""

    def area(lost, cost, a, b):
        total, lowest = 0.0, b
        for x, y in sorted(zip(lost, cost, strict=True), key=lambda point: key(*point)):
            if (beyond or x < a) and y < lowest:
                total += (a - x) * (lowest - y)
                lowest = y
        return total

    return area


@exercise(
    "choosing.hypervolume",
    points=4,
    inputs=_rectangle,
    hints=(
        "Drop the networks that are beyond a limit or dominated. The rest form a staircase: divide its area into vertical "
        "strips, one per step.",
        "Sort the front by rising loss. The strip of a network extends from its loss to that of the next one (for the "
        "last, to `lost_limit`), and from its cost up to `cost_limit`.",
        "Go through the networks by rising loss, starting with `lowest = cost_limit`. For each one inside the limits "
        "with a cost below `lowest`, add `(lost_limit − loss) · (lowest − cost)` and set `lowest` to its cost.",
    ),
    wrong={
        "You added the whole rectangles of the front's networks, and these overlap. Count each part of the area once.": _rectangles(
            _on_front
        ),
        "You added the rectangles of all networks, including dominated ones, and these overlap. Count each part of the "
        "area once.": _rectangles(_inside),
        "You added the rectangles of all networks. Those beyond a limit got a negative side but should add nothing, and "
        "the others overlap.": _rectangles(lambda lost, cost, a, b: zip(lost, cost, strict=True)),
        "You returned the largest rectangle of one network. The others add parts that it does not cover.": (
            _rectangles(_on_front, max)
        ),
        "You measured the area *below* the staircase, which no network reaches. Measure the part above it, up to "
        "`cost_limit`.": _strips(lambda y, after, b: y),
        "You added a strip for every network, dominated ones and those beyond a limit included. Only the front makes the "
        "staircase: drop the others first.": _strips_of_all,
        "You left out the last strip, from the front's largest loss to `lost_limit`.": _strips(last=False),
        "You replaced gains (losses below 0) by 0. A rectangle starts at the loss itself, even below 0.": (
            called_with(lambda lost, cost, a, b: ([max(x, 0.0) for x in lost], cost, a, b))
        ),
        "You counted a network beyond `lost_limit`, whose negative side reduced the area. It adds nothing.": (
            _swept(beyond=True)
        ),
        "You went through the networks in the given order. Sort them by rising loss first.": (_swept(lambda x, y: 0)),
        "You sorted by cost, so after the cheapest point none is below `lowest`. Sort by rising loss.": (
            _swept(lambda x, y: y)
        ),
        "You joined the networks with straight lines. Between two of them, only the one with less loss counts: the front "
        "is a staircase.": _strips(lambda y, after, b: b - (y + after) / 2),
        "You subtracted the area from the rectangle of the limits. Return the area itself.": (
            lambda lost, cost, a, b: a * b - hypervolume(lost, cost, a, b)
        ),
        "You divided by the rectangle of the limits. Return the area itself.": (
            lambda lost, cost, a, b: hypervolume(lost, cost, a, b) / (a * b)
        ),
        "You returned the rectangle from the smallest loss and the lowest cost of all, but no network has both. Count what "
        "the networks dominate.": lambda lost, cost, a, b: (a - min(lost)) * (b - min(cost)),
        "You measured up to the most expensive network. Measure up to the corner `(lost_limit, cost_limit)`.": (
            called_with(lambda lost, cost, a, b: (lost, cost, a, max(cost)))
        ),
        "You measured up to the largest loss given. Measure up to the corner `(lost_limit, cost_limit)`.": (
            called_with(lambda lost, cost, a, b: (*zip(*_inside(lost, cost, a, b), strict=True), max(lost), b))
        ),
    },
    properties=(
        Property(
            "The area is at least the largest rectangle of one network, and at most the area within the limits.",
            lambda result, lost, cost, a, b: (
                _rectangles(_inside, max)(lost, cost, a, b) - 1e-6 <= result <= (a - min(lost)) * (b - min(cost)) + 1e-6
            ),
        ),
    ),
)
def hypervolume(lost, cost, lost_limit, cost_limit):
    """Hypervolume.

    It is one number for a whole front, and it grows with each new network within the limits that is not dominated (Zitzler &
    Thiele 1998). It depends on the corner, so always report which one you used.
    """
    return fronts.hypervolume(list(zip(lost, cost, strict=True)), (lost_limit, cost_limit))


def _layers(g: torch.Generator):
    # All quotients differ, and a layer in the middle of the order is too fragile to fit.
    ratios = subset(g, 6, 5).tolist()
    saved = (torch.randperm(4, generator=g) + 2).tolist()
    saved.insert(2, 12)
    lost = [s * (r + 1) for s, r in zip(saved, ratios, strict=True)]
    allowed = lost[0] + lost[1] + min(lost[3] + randint(g, 0, 1) * lost[4], lost[2] - 1)
    order = torch.randperm(5, generator=g).tolist()
    return [float(lost[i]) for i in order], [float(saved[i]) for i in order], float(allowed)


def _greedy(
    key=lambda lost, saved: lost / saved, fits=lambda total, more, allowed: total + more <= allowed, stop=False
):
    """The reference, or with a mistake: another order, another test whether a layer fits, or a stop at the first misfit."""

    def chosen(lost, saved, allowed):
        found, total = [], 0.0
        for i in sorted(range(len(lost)), key=lambda i: key(lost[i], saved[i])):
            if fits(total, lost[i], allowed):
                found.append(i)
                total += lost[i]
            elif stop:
                break
        return found

    return chosen


@exercise(
    "choosing.cut_by_sensitivity",
    points=3,
    inputs=_layers,
    hints=(
        "Cutting a layer that loses 1 point and saves 10 % pays more than cutting one that loses 0.5 points and saves 1 %.",
        "Go through the layers by rising `lost/saved`. Take each layer whose loss still fits into the rest of "
        "`allowed`.",
        "`for i in sorted(range(len(lost)), key=lambda i: lost[i] / saved[i])`: if `total + lost[i] <= allowed`: "
        "append i, `total += lost[i]`",
    ),
    wrong={
        "You took the layers with the smallest loss first, whatever they save. Order by `lost/saved`, the loss per "
        "saving.": _greedy(lambda lost, saved: lost),
        "You took the layers with the largest saving first, whatever they lose. Order by `lost/saved`.": _greedy(
            lambda lost, saved: -saved
        ),
        "You started with the largest `lost/saved`. Start with the smallest.": (
            _greedy(lambda lost, saved: saved / lost)
        ),
        "You stopped at the first layer that does not fit. A later one may still fit: go on.": _greedy(stop=True),
        "Your order is right, but you took all layers. Together they lose more than `allowed`.": (
            _greedy(fits=lambda total, more, allowed: True)
        ),
        "Your layers are right, but in the wrong order. Return them in the order in which they are taken.": changed(
            sorted
        ),
        "You tested each loss by itself. The losses add up: compare their sum with `allowed`.": (
            _greedy(fits=lambda total, more, allowed: more <= allowed)
        ),
        "You only checked whether something was left *before* taking a layer. Its own loss must fit, too.": (
            _greedy(fits=lambda total, more, allowed: total < allowed)
        ),
        "You ordered by the difference of loss and saving, which have different units. Order by `lost/saved`.": (
            _greedy(lambda lost, saved: lost - saved)
        ),
        "You ordered by the product, which puts large savings last. Order by `lost/saved`.": (
            _greedy(lambda lost, saved: lost * saved)
        ),
        "You returned the layers' losses. Return their positions.": lambda lost, saved, allowed: [
            lost[i] for i in cut_by_sensitivity(lost, saved, allowed)
        ],
        "You returned one truth value per layer. Return the positions of the layers to cut.": lambda lost, saved, allowed: [
            i in cut_by_sensitivity(lost, saved, allowed) for i in range(len(lost))
        ],
        "You left out a layer that uses up `allowed` exactly. Compare with ≤.": (
            _greedy(fits=lambda total, more, allowed: total + more < allowed)
        ),
    },
    properties=(
        Property(
            "Together, the chosen layers lose at most `allowed`.",
            lambda result, lost, saved, allowed: sum(lost[i] for i in result) <= allowed,
        ),
    ),
)
def cut_by_sensitivity(lost, saved, allowed):
    """Cutting by sensitivity.

    This choice is greedy and rough: it assumes that losses add up, and the lesson measures that they don't. But it is an
    excellent *start* for a search.
    """
    return _greedy()(lost, saved, allowed)


def _curves(g: torch.Generator):
    # Of three finished trials, more expensive ones end better; the second was even better before its end. The fourth has
    # hope at first, and none from its second, third or fourth epoch on: because of the floor only, or because of the
    # second trial, which costs as much.
    epochs, by_floor, late = 5, randint(g, 0, 4) < 2, randint(g, 1, 3)
    late = late if randint(g, 0, 3) else epochs  # never
    gains = sorted((torch.randperm(6, generator=g)[:4] + 1).tolist(), reverse=True)
    others = []
    for end in (80.0, 83.0, 85.0 + 10 * randint(g, 0, 1)):
        rest = [end + randint(g, 0, 1)]
        for gain in reversed(gains):
            rest.insert(0, rest[0] - gain - (randint(g, 0, 3) if end == 83 else 0))
        others.append(rest)
    others[1][3] = others[1][4] + randint(g, 3, 6)
    costs = [float(randint(g, 10, 14)), float(randint(g, 20, 24)), float(randint(g, 30, 34))]
    floor = 72.0 + randint(g, 0, 2)
    cost, target = (float(randint(g, 5, 9)), floor) if by_floor else (costs[1], others[1][-1])
    most = [max(other[-1] - other[k] for other in others) for k in range(epochs)]
    curve = [target + randint(g, 3, 10) - gain for gain in most]
    if by_floor:  # a hope that just reaches the floor is still one
        curve[min(late, epochs - 1) - 1] = target - most[min(late, epochs - 1) - 1]
    gap = 1.0 if by_floor else float(randint(g, 0, 1))  # reaching as much as another is not enough
    for k in range(late, epochs):  # one epoch later, not even the first trial, which costs less, can be reached
        curve[k] = target - gap - 4.0 * (k > late) - most[k]
    return curve, cost, others, costs, floor


def _stopped(
    gain=lambda other, k: other[-1] - other[k],
    largest=max,
    end=lambda other, k: other[-1],
    as_cheap=operator.le,
    as_good=operator.ge,
    below=operator.lt,
    added=1,
):
    """The reference, or with a mistake in the hope, in what it is compared with, or in which epoch is returned."""

    def epochs(curve, cost, curves, costs, floor):
        for k in range(len(curve) - 1):
            hope = curve[k] + largest([gain(other, k) for other in curves])
            pairs = zip(curves, costs, strict=True)
            if below(hope, floor) or any(as_cheap(c, cost) and as_good(end(other, k), hope) for other, c in pairs):
                return k + added
        return len(curve)

    return epochs


@exercise(
    "choosing.epochs_trained",
    points=4,
    inputs=_curves,
    hints=(
        "After each epoch but the last, what is the highest final accuracy that this trial can hope for?",
        "hope = current accuracy + the largest gain of a finished trial from this epoch to its end. Stop if hope is below "
        "the floor, or if a finished trial that costs no more ended at least as high.",
        "`for k in range(len(curve) - 1): hope = curve[k] + max(o[-1] - o[k] for o in curves); if hope < floor or "
        "any(c <= cost and o[-1] >= hope for o, c in zip(curves, costs)): return k + 1`; at the end `return len(curve)`",
    ),
    wrong={
        "You used the *smallest* gain of another trial, which stops slow starters. Use the largest.": (
            _stopped(largest=min)
        ),
        "You used the *average* gain of the other trials, which stops slow starters. Use the largest.": (
            _stopped(largest=lambda gains: sum(gains) / len(gains))
        ),
        "You stop every trial after its first epoch, as if you compared the *current* accuracy. The trial still has epochs "
        "left: add the largest gain of another trial in those epochs, and stop only if a finished trial is both as cheap "
        "and as good.": _stopped(largest=lambda gains: 0.0),
        "You used the highest value of a curve as its end. A curve can fall again: use its last value.": (
            _stopped(gain=lambda other, k: max(other) - other[k])
        ),
        "You compared the hope with the highest value of a finished trial. Use its last value.": (
            _stopped(end=lambda other, k: max(other))
        ),
        "You left out the floor. A trial that cannot reach it is hopeless, however cheap.": (
            _stopped(below=lambda hope, floor: False)
        ),
        "You stopped a trial whose hope just reaches the floor. Compare with <.": _stopped(below=operator.le),
        "You only used the floor. A trial is also hopeless if any finished one is as cheap and as good.": (
            _stopped(as_good=lambda end, hope: False)
        ),
        "You let a finished trial that costs more make this one hopeless. Only those with a cost of at most `cost` count.": (
            _stopped(as_cheap=lambda theirs, cost: True)
        ),
        "You ignored finished trials of *equal* cost. Compare costs with ≤.": (_stopped(as_cheap=operator.lt)),
        "You counted the gain from the next epoch on. It starts at the accuracy after this epoch: `other[-1] − "
        "other[k]`.": _stopped(gain=lambda other, k: other[-1] - other[k + 1]),
        "You ignored finished trials that reached *exactly* this hope. Compare accuracies with ≥.": (
            _stopped(as_good=operator.gt)
        ),
        "You compared the hope with the others after the same epoch. Use their last values.": (
            _stopped(end=lambda other, k: other[k])
        ),
        "You never stopped a trial. Only the gain in the remaining epochs counts as hope, and either of the two "
        "conditions is enough.": lambda curve, *others: len(curve),
        "Your result is one too large. The trial is stopped right after the epoch that makes it hopeless.": _stopped(
            added=2
        ),
        "Your result is one too small. Return the number of epochs trained, not the position of the last one.": (
            _stopped(added=0)
        ),
    },
    properties=(
        Property(
            "At least one epoch is trained, and at most all of them.",
            lambda result, curve, cost, curves, costs, floor: 1 <= result <= len(curve),
        ),
    ),
)
def epochs_trained(curve, cost, curves, costs, floor):
    """When to stop a trial.

    This rule is cautious: it only stops a trial that would have to improve more than any trial before. The *median rule*
    (Golovin et al. 2017) is bolder and stops every trial below the median of the others at the same epoch. With two
    objectives, the median of accuracy alone would stop every cheap network.
    """
    return _stopped()(curve, cost, curves, costs, floor)


def _halved(keep=lambda n: -(-n // 2), longer=lambda epochs: 2 * epochs, last=True, first=True, total=False):
    """The reference, or with a mistake: how many go on, how long a round is, or which rounds count."""

    def epochs(configurations):
        trained, length, had = 0, 1, 0
        while configurations > 1:
            configurations = configurations if first else keep(configurations)
            trained += configurations * (length - had)
            had = length if total else 0
            configurations, length = keep(configurations) if first else configurations, longer(length)
        return trained + (length - had) * last

    return epochs


@exercise(
    "choosing.halving_epochs",
    points=2,
    inputs=lambda g: (randint(g, 5, 60),),
    hints=(
        "Write down the rounds for 5 configurations: 5 train for 1 epoch, 3 for 2 more, 2 for 4 more, and 1 for 8 more.",
        "In a loop, add configurations · epochs, halve the configurations (rounded up) and double the epochs. The last "
        "configuration trains for a round, too.",
        "`while configurations > 1: total += configurations * epochs; configurations, epochs = -(-configurations // "
        "2), 2 * epochs`; then `return total + epochs`",
    ),
    wrong={
        "You rounded down. Of 5 configurations, the better *three* go on.": _halved(lambda n: n // 2),
        "You rounded with `round`, which rounds 2.5 to 2. Round up: of 5 configurations, the better *three* go on.": (
            _halved(lambda n: round(n / 2))
        ),
        "You divided by 2 without rounding. Of 5 configurations, the better *three* go on.": (_halved(lambda n: n / 2)),
        "You made every round one epoch long. Each round is twice as long as the one before.": (
            _halved(longer=lambda epochs: epochs)
        ),
        "You left out the last round: the last configuration trains for a round, too.": _halved(last=False),
        "You made the first round two epochs long. It is *one* epoch.": scaled(2),
        "You tripled the length of each round. Double it.": _halved(longer=lambda epochs: 3 * epochs),
        "You made each round one epoch longer. It is twice as long as the one before.": (
            _halved(longer=lambda epochs: epochs + 1)
        ),
        "You took a round's length for all epochs of a configuration so far. A round of four epochs means four "
        "*more*.": _halved(longer=lambda epochs: 2 * epochs if epochs > 1 else 2, total=True),
        "You halved before counting. All configurations train in the first round.": _halved(first=False),
        "You dropped one configuration per round. Drop the worse half.": _halved(lambda n: n - 1),
        "You trained all configurations to the end. Only the better half goes on after each round.": (
            lambda n: n * (2 ** (n - 1).bit_length() * 2 - 1)
        ),
        "You used the estimate n·log₂n. Add up the rounds: their numbers of configurations are rounded up.": (
            lambda n: round(n * log2(n))
        ),
        "You counted only the winner's epochs. The others also train, until they are dropped.": (
            lambda n: 2 ** (n - 1).bit_length() * 2 - 1
        ),
        "You returned the length of the last round. Sum over all rounds and configurations.": (
            lambda n: 2 ** (n - 1).bit_length()
        ),
    },
    properties=(Property("Each configuration trains for at least one epoch.", lambda result, n: result >= n),),
)
def halving_epochs(configurations):
    """The cost of successive halving.

    Each round costs about the same, so the total is about n·log₂n epochs instead of n². The method bets that whatever is
    ahead early stays ahead. Hyperband (Li et al. 2017) hedges this bet with several initial lengths.
    """
    return _halved()(configurations)


question(
    "choosing.random_trials",
    points=1,
    text="You draw configurations at random. With a probability of at least 95 %, at least one should be among the best 5 % "
    "of the whole space. How many must you draw?",
    answer=59,
    tolerance=0.5,
    explanation="All n miss the best 5 % with probability 0.95ⁿ. That is below 0.05 from n = ln 0.05 / ln 0.95 = 58.4 on, so "
    "59, whatever the number of parameters (Bergstra & Bengio 2012). That is a good reason to try random search, but not "
    "to stop there: a configuration among the best 5 % need not be close to the best.",
)
question(
    "choosing.winner",
    points=1,
    text="A search trains 100 networks and picks the one with the highest accuracy on 2,000 validation pictures. There it "
    "loses nothing, but on the test pictures it loses half a point. What is the most likely reason?",
    choices={
        "a": "It was trained for too long.",
        "b": "The test pictures are harder: the original loses half a point on them, too.",
        "c": "Of 100 networks with about the same true accuracy, the search picked the luckiest on these pictures.",
    },
    answer="c",
    comments={
        "a": "All hundred were trained in the same way, and none was trained on the validation pictures, where no loss "
        "shows.",
        "b": "The loss is measured against the original on the same pictures, so their difficulty cancels.",
    },
    explanation="On 2,000 pictures, an accuracy near 90 % has a standard error of 0.7 points, and the largest of many such "
    "errors is well above 0. Choose on one set of pictures, and report on another.",
)
