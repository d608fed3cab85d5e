"""Exercises and questions of lesson 11: what is worth keeping, what to cut first, and when to give up."""

from itertools import pairwise

import torch

from nnopt_lab.course.draws import randint
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.techniques.search import tradeoffs


def _networks(g: torch.Generator):
    # A staircase of four, then one that only ties with a step in each coordinate, one beaten twice, and an equal one.
    costs = sorted(torch.randperm(20, generator=g)[:4].tolist())
    losts = sorted(torch.randperm(20, generator=g)[:4].tolist(), reverse=True)
    rows = [(x / 2 - 2, float(c + 1)) for x, c in zip(losts, costs, strict=True)]
    step, other = rows[randint(g, 1, 2)], rows[randint(g, 0, 3)]
    rows += [(step[0] + 1.5, step[1]), (step[0], step[1] + 0.5), (rows[0][0] + 1, rows[3][1] + 2), other]
    order = torch.randperm(len(rows), generator=g).tolist()
    return [rows[i][0] for i in order], [rows[i][1] for i in order]


def _kept(lost, cost, key, better=lambda a, b: a < b, last=True):
    """The reference with another order, another comparison, or compared with the neighbour, not the last one kept."""
    front, before = [], None
    for i in sorted(range(len(lost)), key=key):
        if before is None or better(lost[i], lost[before]):
            front.append(i)
            before = i
        before = before if last else i
    return front


def _front(lost, cost, beaten, keep_equal=False, itself=True):
    """Positions that no other beats, where `beaten(dx, dy)` says so by the other's advantages; cheapest first."""
    n = range(len(lost))
    front = [
        i
        for i in n
        if not any(beaten(lost[i] - lost[j], cost[i] - cost[j]) for j in n if itself or i != j)
        and (keep_equal or not any((lost[j], cost[j]) == (lost[i], cost[i]) for j in range(i)))
    ]
    return sorted(front, key=lambda i: (cost[i], lost[i], i))


def _beats(dx, dy):
    return dx >= 0 and dy >= 0 and dx + dy > 0


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
        "beats another if it is nowhere worse and somewhere better.": lambda lost, cost: _front(
            lost, cost, lambda dx, dy: dx > 0 and dy > 0
        ),
        "Of two equal networks only the first is to be kept.": lambda lost, cost: _front(
            lost, cost, _beats, keep_equal=True
        ),
        "Of two that cost the same you looked at the one that comes first, not at the better one. Sort by (cost, "
        "lost): among equal costs the smallest loss comes first.": lambda lost, cost: _kept(
            lost, cost, lambda i: cost[i]
        ),
        "You keep a dearer network that loses as much as a cheaper one: keep it only if it loses *less*.": lambda lost, cost: (
            _kept(lost, cost, lambda i: (cost[i], lost[i], i), better=lambda a, b: a <= b)
        ),
        "You compared each network with its neighbour in the order of cost. Compare it with the last one that you "
        "*kept*: the neighbour may have been beaten itself.": lambda lost, cost: _kept(
            lost, cost, lambda i: (cost[i], lost[i], i), last=False
        ),
        "Of two equal networks the *first* is to be kept; you kept the last.": lambda lost, cost: _kept(
            lost, cost, lambda i: (cost[i], lost[i], -i)
        ),
        "You threw out both of two equal networks: neither is somewhere better than the other. The first is kept.": lambda lost, cost: (
            _front(lost, cost, lambda dx, dy: dx >= 0 and dy >= 0, itself=False)
        ),
        "The right networks in the wrong order: from the cheapest to the dearest.": lambda lost, cost: sorted(
            pareto_front(lost, cost)
        ),
        "The right networks in the opposite order: the cheapest comes first.": lambda lost, cost: pareto_front(
            lost, cost
        )[::-1],
        "You took more lost points for better. `lost` is what accuracy fell by: less is better.": lambda lost, cost: (
            pareto_front([-x for x in lost], cost)
        ),
        "You began with the dearest network and let the cost grow cheap as if that were worse: less cost is better.": lambda lost, cost: (
            pareto_front(lost, [-c for c in cost])
        ),
        "That is the most accurate one alone. A cheaper network that loses a little more is on the front too.": lambda lost, cost: [
            min(range(len(lost)), key=lambda i: (lost[i], cost[i]))
        ],
        "That is the cheapest one alone. A dearer network that loses less is on the front too.": lambda lost, cost: [
            min(range(len(lost)), key=lambda i: (cost[i], lost[i]))
        ],
        "You sorted all of them, and threw none away.": lambda lost, cost: sorted(
            range(len(lost)), key=lambda i: (cost[i], lost[i], i)
        ),
        "The networks' positions are wanted, not their figures.": lambda lost, cost: [
            (lost[i], cost[i]) for i in pareto_front(lost, cost)
        ],
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
    return tradeoffs.pareto_front(list(zip(cost, lost, strict=True)))


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
    rows = [(x, y) for x, y in zip(lost, cost, strict=True) if x < lost_limit and y < cost_limit]
    return [x for x, _ in rows], [y for _, y in rows]


def _steps(lost, cost, lost_limit, cost_limit):
    """The front inside the limits, by rising loss, and the right end of each step."""
    xs, ys = _inside(lost, cost, lost_limit, cost_limit)
    front = sorted((xs[i], ys[i]) for i in pareto_front(xs, ys))
    return front, [x for x, _ in front[1:]] + [lost_limit]


def _ends(lost, cost, a, b):
    """Cost at the right end of each step: the next point's, and the last one's own."""
    front, _ = _steps(lost, cost, a, b)
    return [y for _, y in front[1:]] + [front[-1][1]]


def _swept(lost, cost, a, b, key, inside):
    """The reference with another order and another test of lost_limit."""
    area, lowest = 0.0, b
    for x, y in sorted(zip(lost, cost, strict=True), key=lambda pair: key(*pair)):
        if inside(x) and y < lowest:
            area += (a - x) * (lowest - y)
            lowest = y
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
        "counts once.": lambda lost, cost, a, b: sum((a - x) * (b - y) for x, y in _steps(lost, cost, a, b)[0]),
        "You added the rectangles of all points, beaten ones too, which lie upon each other. Each part of the area "
        "counts once.": lambda lost, cost, a, b: sum(
            (a - x) * (b - y) for x, y in zip(*_inside(lost, cost, a, b), strict=True)
        ),
        "You added the rectangles of all points, and those beyond a limit got a negative side. They add nothing, and "
        "the others lie upon each other.": lambda lost, cost, a, b: sum(
            (a - x) * (b - y) for x, y in zip(lost, cost, strict=True)
        ),
        "That is the best single point's rectangle. The others beat a part of the area that it does not.": lambda lost, cost, a, b: (
            max((a - x) * (b - y) for x, y in _steps(lost, cost, a, b)[0])
        ),
        "That is the area *below* the staircase, which nobody reaches. Wanted is the part above it, up to "
        "cost_limit.": lambda lost, cost, a, b: sum(
            (r - x) * y for (x, y), r in zip(*_steps(lost, cost, a, b), strict=True)
        ),
        "The last strip is missing: it reaches from the front's largest loss to lost_limit.": lambda lost, cost, a, b: (
            sum((r - x) * (b - y) for (x, y), r in list(zip(*_steps(lost, cost, a, b), strict=True))[:-1])
        ),
        "You took a gain (a loss below 0) for nothing lost. A rectangle reaches from the loss itself, below 0 too.": lambda lost, cost, a, b: (
            hypervolume([max(x, 0.0) for x in lost], cost, a, b)
        ),
        "A point beyond lost_limit has a negative side, and took a part of the area away: it adds nothing.": lambda lost, cost, a, b: (
            _swept(lost, cost, a, b, lambda x, y: x, lambda x: True)
        ),
        "You went through the points in the order in which they came. Sort them by rising loss first.": lambda lost, cost, a, b: (
            _swept(lost, cost, a, b, lambda x, y: 0, lambda x: x < a)
        ),
        "You sorted by cost: after the cheapest point nothing lies below `lowest` any more. Sort by rising loss.": lambda lost, cost, a, b: (
            _swept(lost, cost, a, b, lambda x, y: y, lambda x: x < a)
        ),
        "You joined the points with slanting lines. Between two points nothing better than the left one is known: "
        "the front is a staircase.": lambda lost, cost, a, b: sum(
            (r - x) * (b - (y + z) / 2)
            for (x, y), r, z in zip(*_steps(lost, cost, a, b), _ends(lost, cost, a, b), strict=True)
        ),
        "You took the area away from the rectangle of the limits: it is what the points beat that is wanted.": lambda lost, cost, a, b: (
            a * b - hypervolume(lost, cost, a, b)
        ),
        "You divided by the rectangle of the limits. That is a fine figure, but the area itself is wanted here.": lambda lost, cost, a, b: (
            hypervolume(lost, cost, a, b) / (a * b)
        ),
        "You measured up to the dearest point. The reference is (lost_limit, cost_limit), whatever the points are.": lambda lost, cost, a, b: (
            hypervolume(lost, cost, a, max(cost))
        ),
        "You measured up to the largest loss among the points. The reference is (lost_limit, cost_limit).": lambda lost, cost, a, b: (
            hypervolume(*_inside(lost, cost, a, b), max(lost), b)
        ),
    },
    properties=(
        Property(
            "The area is at least the largest rectangle of one point, and at most what the limits enclose.",
            lambda result, lost, cost, a, b: (
                max((a - x) * (b - y) for x, y in zip(*_inside(lost, cost, a, b), strict=True)) - 1e-6
                <= result
                <= (a - min(lost)) * (b - min(cost)) + 1e-6
            ),
        ),
    ),
)
def hypervolume(lost, cost, lost_limit, cost_limit):
    """The area that a front beats.

    One number for a whole front, and it grows with every point that is not beaten, within the limits (Zitzler & Thiele
    1998). It depends on the corner: say which one you took.
    """
    return tradeoffs.hypervolume(list(zip(lost, cost, strict=True)), (lost_limit, cost_limit))


def _layers(g: torch.Generator):
    # Whole numbers of tenths, all quotients different; one layer in the middle of the order is too fragile to fit.
    ratios = torch.randperm(6, generator=g)[:5].sort().values.tolist()
    saved = (torch.randperm(4, generator=g) + 2).tolist()
    saved.insert(2, 12)
    lost = [s * (r + 1) for s, r in zip(saved, ratios, strict=True)]
    allowed = lost[0] + lost[1] + min(lost[3] + randint(g, 0, 1) * lost[4], lost[2] - 1)
    order = torch.randperm(5, generator=g).tolist()
    return [float(lost[i]) for i in order], [float(saved[i]) for i in order], float(allowed)


def _greedy(lost, key, allowed, stop=False, fits=lambda total, more, allowed: total + more <= allowed):
    chosen, total = [], 0.0
    for i in sorted(range(len(lost)), key=key):
        if fits(total, lost[i], allowed):
            chosen.append(i)
            total += lost[i]
        elif stop:
            break
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
        "lost/saved.": lambda lost, saved, allowed: _greedy(lost, lambda i: lost[i], allowed),
        "You took what saves most first, whatever it loses. Order by lost/saved.": lambda lost, saved, allowed: _greedy(
            lost, lambda i: -saved[i], allowed
        ),
        "You began with the worst bargains: the smallest lost/saved comes first.": lambda lost, saved, allowed: _greedy(
            lost, lambda i: saved[i] / lost[i], allowed
        ),
        "You stopped at the first layer that did not fit. A later one may still fit: go on.": lambda lost, saved, allowed: (
            _greedy(lost, lambda i: lost[i] / saved[i], allowed, stop=True)
        ),
        "The right order, but you took all of them: together they lose more than is allowed.": lambda lost, saved, allowed: (
            sorted(range(len(lost)), key=lambda i: lost[i] / saved[i])
        ),
        "The right layers, but not in the order in which they are taken: the best bargain first.": lambda lost, saved, allowed: (
            sorted(cut_by_sensitivity(lost, saved, allowed))
        ),
        "Each of these fits alone, but their losses add up: keep count of what is spent already.": lambda lost, saved, allowed: [
            i for i in sorted(range(len(lost)), key=lambda i: lost[i] / saved[i]) if lost[i] <= allowed
        ],
        "You looked whether something is left *before* you took a layer. Its own loss has to fit in, too.": lambda lost, saved, allowed: (
            _greedy(lost, lambda i: lost[i] / saved[i], allowed, fits=lambda total, more, allowed: total < allowed)
        ),
        "You ordered by the difference of loss and saving, which are in different units. Order by lost/saved.": lambda lost, saved, allowed: (
            _greedy(lost, lambda i: lost[i] - saved[i], allowed)
        ),
        "You ordered by the product: what saves much comes last then. Order by lost/saved.": lambda lost, saved, allowed: (
            _greedy(lost, lambda i: lost[i] * saved[i], allowed)
        ),
        "What is allowed may be used up exactly: compare with ≤.": lambda lost, saved, allowed: _greedy(
            lost,
            lambda i: lost[i] / saved[i],
            allowed,
            fits=lambda total, more, allowed: total + more < allowed,
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
    chosen, total = [], 0.0
    for i in sorted(range(len(lost)), key=lambda i: lost[i] / saved[i]):
        if total + lost[i] <= allowed:
            chosen.append(i)
            total += lost[i]
    return chosen


def _curves(g: torch.Generator):
    # Three finished trials: the dearer, the better; the second was better yet before its end. The fourth hopes for more
    # than it must, and from its second, third or fourth epoch on for nothing more: by the floor alone, or by the second
    # trial, which costs as much.
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
    if by_floor:  # a hope that just reaches the floor is one
        curve[min(late, epochs - 1) - 1] = target - most[min(late, epochs - 1) - 1]
    gap = 1.0 if by_floor else float(randint(g, 0, 1))  # as much as another has is not enough
    for k in range(late, epochs):  # and an epoch later not even for as much as the first, which costs less
        curve[k] = target - gap - 4.0 * (k > late) - most[k]
    return curve, cost, others, costs, floor


def _judge(  # the reference, with one thing or another done wrongly
    *,
    gain=lambda other, k: other[-1] - other[k],
    choose=max,
    low=lambda hope, floor: hope < floor,
    beaten=lambda c, other, cost, hope, k: c <= cost and other[-1] >= hope,
    added=1,
):
    def epochs_trained(curve, cost, curves, costs, floor):
        found = []
        for k in range(len(curve) - 1):
            hope = curve[k] + choose([gain(other, k) for other in curves])
            by_others = any(beaten(c, other, cost, hope, k) for other, c in zip(curves, costs, strict=True))
            if by_others or low(hope, floor):
                found.append(k + added)
        return found[0] if found else len(curve)

    return epochs_trained


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
        "You let it hope for the *smallest* gain that another made: that gives up on slow starters. The largest.": _judge(
            choose=min
        ),
        "You compared what it has now. It still has epochs to come: add the largest gain that another made in all of "
        "them.": _judge(choose=lambda gains: 0.0),
        "You took the highest value of a curve for its end. A curve may fall again: its end is its last value.": _judge(
            gain=lambda other, k: max(other) - other[k]
        ),
        "You compared the hope with the highest value of a finished trial. What counts is how it ended.": _judge(
            beaten=lambda c, other, cost, hope, k: c <= cost and max(other) >= hope
        ),
        "You forgot the floor: a network below it is not wanted, however cheap it is.": _judge(
            low=lambda hope, floor: False
        ),
        "A hope that just reaches the floor is still a hope: compare with <.": _judge(
            low=lambda hope, floor: hope <= floor
        ),
        "You looked at the floor only. A trial is hopeless too if a finished one, any of them, is as cheap and as good.": _judge(
            beaten=lambda c, other, cost, hope, k: False
        ),
        "You forgot the cost: a finished trial that is better but costs more does not beat this one.": _judge(
            beaten=lambda c, other, cost, hope, k: other[-1] >= hope
        ),
        "A finished trial that costs *as much* and is as good beats this one too: compare with ≤.": _judge(
            beaten=lambda c, other, cost, hope, k: c < cost and other[-1] >= hope
        ),
        "A finished trial that reached *just as much* as this one hopes for beats it too: compare with ≥.": _judge(
            beaten=lambda c, other, cost, hope, k: c <= cost and other[-1] > hope
        ),
        "You compared the hope with what the others had after as many epochs. What counts is how they ended.": _judge(
            beaten=lambda c, other, cost, hope, k: c <= cost and other[k] >= hope
        ),
        "You never gave up. Only the gain in the epochs that are still to come is hoped for, and either of the two "
        "conditions is enough.": lambda curve, cost, curves, costs, floor: len(curve),
        "One too many: the trial is given up right after the epoch in which it became hopeless.": _judge(added=2),
        "One too few: the number of epochs that *were* trained is wanted, not the position of the last one.": _judge(
            added=0
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
    for k in range(len(curve) - 1):
        hope = curve[k] + max(other[-1] - other[k] for other in curves)
        if hope < floor or any(c <= cost and other[-1] >= hope for other, c in zip(curves, costs, strict=True)):
            return k + 1
    return len(curve)


def _halved(configurations, *, keep=lambda n: -(-n // 2), factor=2, last=True, first=True, total=False, longer=None):
    longer = longer or (lambda epochs: factor * epochs)
    sums, epochs, had = 0, 1, 0
    while configurations > 1:
        configurations = configurations if first else keep(configurations)
        sums += configurations * (epochs - had)
        had = epochs if total else 0
        configurations, epochs = keep(configurations) if first else configurations, longer(epochs)
    return sums + (epochs - had) * last


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
        "You rounded down: of 5 the better *three* go on.": lambda n: _halved(n, keep=lambda n: n // 2),
        "You let every round last one epoch. Each round is twice as long as the one before.": lambda n: _halved(
            n, factor=1
        ),
        "The last one is missing: when one is left, it is trained for a round too.": lambda n: _halved(n, last=False),
        "The first round is *one* epoch.": lambda n: 2 * _halved(n),
        "Each round is twice as long as the one before, not three times.": lambda n: _halved(n, factor=3),
        "You made each round one epoch longer. It is twice as long as the one before.": lambda n: _halved(
            n, longer=lambda epochs: epochs + 1
        ),
        "You took a round's length for the epochs that a configuration has had in all. A round of four epochs is "
        "four *more*.": lambda n: _halved(n, longer=lambda epochs: 2 * epochs if epochs > 1 else 2, total=True),
        "You halved before you counted: the first round is trained by all.": lambda n: _halved(n, first=False),
        "You threw one out in each round; the worse half goes.": lambda n: _halved(n, keep=lambda n: n - 1),
        "That is what it costs to train all of them to the end. Only the better half of each round goes on.": lambda n: (
            n * (2 ** (n - 1).bit_length() * 2 - 1)
        ),
        "These are the epochs of the winner alone. The others were trained too, until they were thrown out.": lambda n: (
            2 ** (n - 1).bit_length() * 2 - 1
        ),
        "That is the length of the last round. Wanted is the sum over all rounds and configurations.": lambda n: (
            2 ** (n - 1).bit_length()
        ),
    },
    properties=(Property("Each configuration is trained for at least an epoch.", lambda result, n: result >= n),),
)
def halving_epochs(configurations):
    """The price of successive halving.

    Each round costs about the same, so the whole costs about n·log₂n epochs and not n². The bet is that whoever is
    ahead early is ahead late. Hyperband (Li et al. 2017) hedges it with several starting lengths.
    """
    total, epochs = 0, 1
    while configurations > 1:
        total += configurations * epochs
        configurations, epochs = -(-configurations // 2), 2 * epochs
    return total + epochs


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
