"""Exercises and questions of lesson 14: what is worth keeping, what to cut first, and when to give up."""

import operator
from itertools import pairwise

import torch

from nnopt_lab.course.draws import randint, subset
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed, scaled, swapped
from nnopt_lab.techniques.search import fronts


def _networks(g: torch.Generator):
    # A staircase of four, then one that only ties with a step in each coordinate, one beaten twice, and an equal one.
    costs = sorted(torch.randperm(20, generator=g)[:4].tolist())
    losts = sorted(torch.randperm(20, generator=g)[:4].tolist(), reverse=True)
    rows = [(x / 2 - 2, float(c + 1)) for x, c in zip(losts, costs, strict=True)]
    step, other = rows[randint(g, 1, 2)], rows[randint(g, 0, 3)]
    rows += [(step[0] + 1.5, step[1]), (step[0], step[1] + 0.5), (rows[0][0] + 1, rows[3][1] + 2), other]
    order = torch.randperm(len(rows), generator=g).tolist()
    return [rows[i][0] for i in order], [rows[i][1] for i in order]


def _kept(key=lambda lost, cost, i: (cost, lost, i), better=operator.lt, last=True):
    """The front in one pass, or with one thing wrong: the order, the comparison, or what is compared with."""

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
    """The front by comparing all pairs, or with one thing wrong; another beats by `dx` in loss and `dy` in cost."""

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
        "Go through the networks from the cheapest to the dearest. When is a dearer one still worth having?",
        "Sort the positions by (cost, lost, position). Keep a network only if it loses *less* than the last one kept.",
        "front = []; for i in sorted(range(len(lost)), key=lambda i: (cost[i], lost[i], i)): "
        "if not front or lost[i] < lost[front[-1]]: front.append(i)",
    ),
    wrong={
        "You keep networks that are as good in one coordinate and worse in the other: those are beaten too. One "
        "beats another if it is nowhere worse and somewhere better.": _front(lambda dx, dy: dx > 0 and dy > 0),
        "Of two equal networks only the first is to be kept.": _front(keep_equal=True),
        "Of two that cost the same you looked at the one that comes first, not at the better one. Sort by (cost, "
        "lost): among equal costs the smallest loss comes first.": _kept(lambda lost, cost, i: cost),
        "You keep a dearer network that loses as much as a cheaper one: keep it only if it loses *less*.": (
            _kept(better=operator.le)
        ),
        "You compared each network with its neighbour in the order of cost. Compare it with the last one that you "
        "*kept*: the neighbour may have been beaten itself.": _kept(last=False),
        "Of two equal networks the *first* is to be kept; you kept the last.": (
            _kept(lambda lost, cost, i: (cost, lost, -i))
        ),
        "You threw out both of two equal networks: neither is somewhere better than the other. The first is kept.": (
            _front(lambda dx, dy: dx >= 0 and dy >= 0, itself=False)
        ),
        "The right networks in the wrong order: from the cheapest to the dearest.": changed(sorted),
        "The right networks in the opposite order: the cheapest comes first.": swapped(),
        "You took more lost points for better. `lost` is what accuracy fell by: less is better.": (
            called_with(lambda lost, cost: ([-x for x in lost], cost))
        ),
        "You began with the dearest network and let the cost grow cheap as if that were worse: less cost is better.": (
            called_with(lambda lost, cost: (lost, [-c for c in cost]))
        ),
        "That is the most accurate one alone. A cheaper network that loses a little more is on the front too.": (
            changed(lambda front: front[-1:])
        ),
        "That is the cheapest one alone. A dearer network that loses less is on the front too.": (
            changed(lambda front: front[:1])
        ),
        "You sorted all of them, and threw none away.": _kept(better=lambda new, kept: True),
        "The networks' positions are wanted, not their figures.": (
            lambda lost, cost: [(lost[i], cost[i]) for i in pareto_front(lost, cost)]
        ),
    },
    properties=(
        Property(
            "Along the front the cost rises and the loss falls.",
            lambda result, lost, cost: all(cost[a] < cost[b] and lost[a] > lost[b] for a, b in pairwise(result)),
        ),
    ),
)
def pareto_front(lost, cost):
    """The Pareto front.

    Sorting makes it n·log n; comparing every pair would be n². With three objectives the sort no longer does it, and
    with ten hardly any point is beaten: nearly everything is on the front.
    """
    return fronts.pareto_front(list(zip(cost, lost, strict=True)))


def _rectangle(g: torch.Generator):
    # Three steps, of which the first may be a gain, one point that is beaten, one beyond each limit.
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
    """Those of them that are not beaten, by rising loss."""
    points = _inside(*inputs)
    return sorted(points[i] for i in fronts.pareto_front(points))


def _rectangles(points, combine=sum):
    """The areas from each point to the limits, combined: they overlap."""
    return lambda lost, cost, a, b: combine((a - x) * (b - y) for x, y in points(lost, cost, a, b))


def _strips(height=lambda y, after, b: b - y, last=True):
    """The area as one strip per step, or with one thing wrong; `after` is the next step's cost."""

    def area(lost, cost, a, b):
        front = _on_front(lost, cost, a, b)
        ends = [*front[1:], (a, front[-1][1])]
        strips = [(end - x) * height(y, after, b) for (x, y), (end, after) in zip(front, ends, strict=True)]
        return sum(strips if last else strips[:-1])

    return area


def _swept(key=lambda x, y: x, beyond=False):
    """The area in one pass, or with one thing wrong: the order, or points beyond `lost_limit` count."""

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
        "Throw out what is beyond a limit and what is beaten. What is left is a staircase: cut its area into upright "
        "strips, one for each step.",
        "Sort the front by rising loss. The strip of point i reaches from its loss to that of the next point (the last "
        "one's to lost_limit), and from its cost up to cost_limit.",
        "Go through the points by rising loss with `lowest = cost_limit`; for each one inside the limits whose cost is "
        "below `lowest`, add (lost_limit − loss) · (lowest − cost), and set lowest to its cost.",
    ),
    wrong={
        "You added the whole rectangles of the front's points, which lie upon each other. Each part of the area "
        "counts once.": _rectangles(_on_front),
        "You added the rectangles of all points, beaten ones too, which lie upon each other. Each part of the area "
        "counts once.": _rectangles(_inside),
        "You added the rectangles of all points, and those beyond a limit got a negative side. They add nothing, and "
        "the others lie upon each other.": _rectangles(lambda lost, cost, a, b: zip(lost, cost, strict=True)),
        "That is the best single point's rectangle. The others beat a part of the area that it does not.": (
            _rectangles(_on_front, max)
        ),
        "That is the area *below* the staircase, which nobody reaches. Wanted is the part above it, up to "
        "cost_limit.": _strips(lambda y, after, b: y),
        "The last strip is missing: it reaches from the front's largest loss to lost_limit.": _strips(last=False),
        "You took a gain (a loss below 0) for nothing lost. A rectangle reaches from the loss itself, below 0 too.": (
            called_with(lambda lost, cost, a, b: ([max(x, 0.0) for x in lost], cost, a, b))
        ),
        "A point beyond lost_limit has a negative side, and took a part of the area away: it adds nothing.": (
            _swept(beyond=True)
        ),
        "You went through the points in the order in which they came. Sort them by rising loss first.": (
            _swept(lambda x, y: 0)
        ),
        "You sorted by cost: after the cheapest point nothing lies below `lowest` any more. Sort by rising loss.": (
            _swept(lambda x, y: y)
        ),
        "You joined the points with slanting lines. Between two points nothing better than the left one is known: "
        "the front is a staircase.": _strips(lambda y, after, b: b - (y + after) / 2),
        "You took the area away from the rectangle of the limits: it is what the points beat that is wanted.": (
            lambda lost, cost, a, b: a * b - hypervolume(lost, cost, a, b)
        ),
        "You divided by the rectangle of the limits. That is a fine figure, but the area itself is wanted here.": (
            lambda lost, cost, a, b: hypervolume(lost, cost, a, b) / (a * b)
        ),
        "You measured up to the dearest point. The reference is (lost_limit, cost_limit), whatever the points are.": (
            called_with(lambda lost, cost, a, b: (lost, cost, a, max(cost)))
        ),
        "You measured up to the largest loss among the points. The reference is (lost_limit, cost_limit).": (
            called_with(lambda lost, cost, a, b: (*zip(*_inside(lost, cost, a, b), strict=True), max(lost), b))
        ),
    },
    properties=(
        Property(
            "The area is at least the largest rectangle of one point, and at most what the limits enclose.",
            lambda result, lost, cost, a, b: (
                _rectangles(_inside, max)(lost, cost, a, b) - 1e-6 <= result <= (a - min(lost)) * (b - min(cost)) + 1e-6
            ),
        ),
    ),
)
def hypervolume(lost, cost, lost_limit, cost_limit):
    """The area that a front beats.

    One number for a whole front, and it grows with every point that is not beaten, within the limits (Zitzler & Thiele
    1998). It depends on the corner: say which one you took.
    """
    return fronts.hypervolume(list(zip(lost, cost, strict=True)), (lost_limit, cost_limit))


def _layers(g: torch.Generator):
    # Whole numbers of tenths, all quotients different; one layer in the middle of the order is too fragile to fit.
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
    """The reference, or with one thing wrong: the order, when a layer fits, or a stop at the first that does not."""

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
        "A layer that loses 1 point and saves 10 % is a better bargain than one that loses 0.5 and saves 1 %.",
        "Go through the layers by rising lost/saved, and take each whose loss still fits into what is left of `allowed`.",
        "for i in sorted(range(len(lost)), key=lambda i: lost[i] / saved[i]): if total + lost[i] <= allowed: append i, "
        "total += lost[i]",
    ),
    wrong={
        "You took the least fragile layers first, whatever they save. What a point of accuracy buys is what counts: "
        "lost/saved.": _greedy(lambda lost, saved: lost),
        "You took what saves most first, whatever it loses. Order by lost/saved.": _greedy(lambda lost, saved: -saved),
        "You began with the worst bargains: the smallest lost/saved comes first.": (
            _greedy(lambda lost, saved: saved / lost)
        ),
        "You stopped at the first layer that did not fit. A later one may still fit: go on.": _greedy(stop=True),
        "The right order, but you took all of them: together they lose more than is allowed.": (
            _greedy(fits=lambda total, more, allowed: True)
        ),
        "The right layers, but not in the order in which they are taken: the best bargain first.": changed(sorted),
        "Each of these fits alone, but their losses add up: keep count of what is spent already.": (
            _greedy(fits=lambda total, more, allowed: more <= allowed)
        ),
        "You looked whether something is left *before* you took a layer. Its own loss has to fit in, too.": (
            _greedy(fits=lambda total, more, allowed: total < allowed)
        ),
        "You ordered by the difference of loss and saving, which are in different units. Order by lost/saved.": (
            _greedy(lambda lost, saved: lost - saved)
        ),
        "You ordered by the product: what saves much comes last then. Order by lost/saved.": (
            _greedy(lambda lost, saved: lost * saved)
        ),
        "What is allowed may be used up exactly: compare with ≤.": (
            _greedy(fits=lambda total, more, allowed: total + more < allowed)
        ),
    },
    properties=(
        Property(
            "Together the chosen layers lose at most what is allowed.",
            lambda result, lost, saved, allowed: sum(lost[i] for i in result) <= allowed,
        ),
    ),
)
def cut_by_sensitivity(lost, saved, allowed):
    """What to cut first.

    A greedy choice, and a rough one: it takes losses for things that add up, and the lesson measures that they don't.
    As a *start* for a search it is hard to beat.
    """
    return _greedy()(lost, saved, allowed)


def _curves(g: torch.Generator):
    # Of three finished trials the more expensive ends better; the second was better still before its end. The fourth has
    # hope at first and from its second, third or fourth epoch on none: only because of the floor, or because of the
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
    if by_floor:  # a hope that just reaches the floor counts
        curve[min(late, epochs - 1) - 1] = target - most[min(late, epochs - 1) - 1]
    gap = 1.0 if by_floor else float(randint(g, 0, 1))  # as much as another has is not enough
    for k in range(late, epochs):  # and an epoch later not even for as much as the first, which costs less
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
    """The reference, or with one thing wrong: the hope, what it is compared with, or which epoch is the answer."""

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
        "After each epoch but the last: what is the most that this trial can hope to end with?",
        "hope = accuracy now + the largest gain that a finished trial made from this epoch to its end. Give up if hope is "
        "below the floor, or if a finished trial that costs no more ended at least as high.",
        "for k in range(len(curve) - 1): hope = curve[k] + max(o[-1] - o[k] for o in curves); if hope < floor or "
        "any(c <= cost and o[-1] >= hope for o, c in zip(curves, costs)): return k + 1; at the end return len(curve)",
    ),
    wrong={
        "You let it hope for the *smallest* gain that another made: that gives up on slow starters. The largest.": (
            _stopped(largest=min)
        ),
        "You compared what it has now. It still has epochs to come: add the largest gain that another made in all of "
        "them.": _stopped(largest=lambda gains: 0.0),
        "You took the highest value of a curve for its end. A curve may fall again: its end is its last value.": (
            _stopped(gain=lambda other, k: max(other) - other[k])
        ),
        "You compared the hope with the highest value of a finished trial. What counts is how it ended.": (
            _stopped(end=lambda other, k: max(other))
        ),
        "You forgot the floor: a network below it is not wanted, however cheap it is.": (
            _stopped(below=lambda hope, floor: False)
        ),
        "A hope that just reaches the floor is still a hope: compare with <.": _stopped(below=operator.le),
        "You looked at the floor only. A trial is hopeless too if a finished one, any of them, is as cheap and as good.": (
            _stopped(as_good=lambda end, hope: False)
        ),
        "You forgot the cost: a finished trial that is better but costs more does not beat this one.": (
            _stopped(as_cheap=lambda theirs, cost: True)
        ),
        "A finished trial that costs *as much* and is as good beats this one too: compare with ≤.": (
            _stopped(as_cheap=operator.lt)
        ),
        "A finished trial that reached *just as much* as this one hopes for beats it too: compare with ≥.": (
            _stopped(as_good=operator.gt)
        ),
        "You compared the hope with what the others had after as many epochs. What counts is how they ended.": (
            _stopped(end=lambda other, k: other[k])
        ),
        "You never gave up. Only the gain in the epochs that are still to come is hoped for, and either of the two "
        "conditions is enough.": lambda curve, *others: len(curve),
        "One too many: the trial is given up right after the epoch in which it became hopeless.": _stopped(added=2),
        "One too few: the number of epochs that *were* trained is wanted, not the position of the last one.": (
            _stopped(added=0)
        ),
    },
    properties=(
        Property(
            "At least one epoch is trained, and at most all.",
            lambda result, curve, cost, curves, costs, floor: 1 <= result <= len(curve),
        ),
    ),
)
def epochs_trained(curve, cost, curves, costs, floor):
    """When to give up.

    A cautious rule: it gives up only on what would have to improve more than any trial before it. The *median rule*
    (Golovin et al. 2017) is bolder: stop what is below the median of the others at the same epoch. With two objectives
    the median of accuracy alone would throw away every cheap network.
    """
    return _stopped()(curve, cost, curves, costs, floor)


def _halved(keep=lambda n: -(-n // 2), longer=lambda epochs: 2 * epochs, last=True, first=True, total=False):
    """The reference, or with one thing wrong: how many go on, how long a round is, or which rounds count."""

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
        "Write the rounds for 5 configurations on paper: 5 train 1 epoch, 3 train 2 more, 2 train 4 more, 1 trains 8 more.",
        "A loop: add configurations · epochs, halve the one (rounded up), double the other; the last one trains too.",
        "while configurations > 1: total += configurations * epochs; configurations, epochs = -(-configurations // 2), "
        "2 * epochs; then return total + epochs",
    ),
    wrong={
        "You rounded down: of 5 the better *three* go on.": _halved(lambda n: n // 2),
        "You let every round last one epoch. Each round is twice as long as the one before.": (
            _halved(longer=lambda epochs: epochs)
        ),
        "The last one is missing: when one is left, it is trained for a round too.": _halved(last=False),
        "The first round is *one* epoch.": scaled(2),
        "Each round is twice as long as the one before, not three times.": _halved(longer=lambda epochs: 3 * epochs),
        "You made each round one epoch longer. It is twice as long as the one before.": (
            _halved(longer=lambda epochs: epochs + 1)
        ),
        "You took a round's length for the epochs that a configuration has had in all. A round of four epochs is "
        "four *more*.": _halved(longer=lambda epochs: 2 * epochs if epochs > 1 else 2, total=True),
        "You halved before you counted: the first round is trained by all.": _halved(first=False),
        "You threw one out in each round; the worse half goes.": _halved(lambda n: n - 1),
        "That is what it costs to train all of them to the end. Only the better half of each round goes on.": (
            lambda n: n * (2 ** (n - 1).bit_length() * 2 - 1)
        ),
        "These are the epochs of the winner alone. The others were trained too, until they were thrown out.": (
            lambda n: 2 ** (n - 1).bit_length() * 2 - 1
        ),
        "That is the length of the last round. Wanted is the sum over all rounds and configurations.": (
            lambda n: 2 ** (n - 1).bit_length()
        ),
    },
    properties=(Property("Each configuration is trained for at least an epoch.", lambda result, n: result >= n),),
)
def halving_epochs(configurations):
    """The price of successive halving.

    Each round costs about the same, so the whole costs about n·log₂n epochs and not n². The bet is that whoever is
    ahead early is ahead late. Hyperband (Li et al. 2017) hedges it with several starting lengths.
    """
    return _halved()(configurations)


question(
    "choosing.random_trials",
    points=1,
    text="You draw configurations by lot and want, with a probability of at least 95 %, at least one that is among the best "
    "5 % of the whole space. How many must you draw?",
    answer=59,
    tolerance=0.5,
    explanation="All n miss the best 5 % with probability 0.95ⁿ. That is below 0.05 from n = ln 0.05 / ln 0.95 = 58.4 on, so "
    "59, whatever the number of knobs (Bergstra & Bengio 2012). It is a good reason to draw by lot, and none to stop "
    "there: among the best 5 % is not the best.",
)
question(
    "choosing.winner",
    points=1,
    text="A search trains 100 networks and takes the one with the highest accuracy on 2,000 validation pictures: it lost "
    "nothing. On the test pictures it has lost half a point. What is the likeliest reason?",
    choices={
        "a": "It was trained too long.",
        "b": "The test pictures are harder: the original loses half a point on them too.",
        "c": "Of 100 networks with about the same true accuracy, the luckiest on these pictures was taken.",
    },
    answer="c",
    comments={
        "a": "All hundred were trained in the same way, and the loss was not seen on the validation pictures either, from "
        "which nothing was learned. What singles this one out is that it was chosen.",
        "b": "What it lost is measured against the original on the same pictures, so that their difficulty cancels.",
    },
    explanation="On 2,000 pictures an accuracy near 90 % has a standard error of 0.7 points, and the largest of many such "
    "errors is well above 0. Choose with one set of pictures, and say what you got with another.",
)
