"""Exercises and questions of lesson 03: schedules, and how to find a first rate."""

from math import cos, inf, log, pi, sin, sqrt

import torch

from nnopt_lab.course.draws import choice, decimals, randint
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with
from nnopt_lab.techniques.training import lr_range_test


def _cosine_inputs(g: torch.Generator):
    steps = randint(g, 6, 12)
    return randint(g, 1, steps // 2 - 1), steps, choice(g, (0.1, 0.4, 0.8, 2.0))


def _along(curve):
    """`peak` times a curve over the share of the way."""
    return lambda step, steps, peak: peak * curve(step / steps)


@exercise(
    "rates.cosine_rate",
    points=2,
    inputs=_cosine_inputs,
    hints=(
        "At step 0 the rate is `peak`, and at the last step it is 0. The cosine goes from 1 to −1 over half a turn.",
        "Half a turn is π. Add 1 to the cosine and halve the sum, so that it goes from 1 to 0.",
        "`return peak / 2 * (1 + math.cos(math.pi * step / steps))`",
    ),
    wrong={
        "You used a whole turn, so the rate is back at its peak when the training ends. Use half a turn, π.": _along(
            lambda t: (1 + cos(2 * pi * t)) / 2
        ),
        "You put degrees into the cosine. Python and torch take radians: half a turn is π, not 180.": _along(
            lambda t: (1 + cos(180 * t)) / 2
        ),
        "You subtracted the cosine, so the rate rises from 0 to the peak. It must fall: add the cosine to 1.": _along(
            lambda t: (1 - cos(pi * t)) / 2
        ),
        "You used the cosine as it is. It falls to −1, and a negative rate goes uphill. Add 1 and halve the sum.": (
            _along(lambda t: cos(pi * t))
        ),
        "You used a quarter of a turn. It also goes from `peak` to 0, but it falls most steeply at the end. Use half a "
        "turn, add 1, and halve the sum.": _along(lambda t: cos(pi * t / 2)),
        "You returned a straight line (`PolynomialLR`). A cosine stays high longer and flattens out at the end.": (
            _along(lambda t: 1 - t)
        ),
        "You didn't halve 1 + cos, so the rate starts at twice the peak.": _along(lambda t: 1 + cos(pi * t)),
        "You left out `peak`: your rate starts at 1. Multiply by `peak`.": (
            lambda step, steps, peak: (1 + cos(pi * step / steps)) / 2
        ),
        "You divided by `steps − 1`, so the rate reaches 0 a step too early. Step 0 is the start and step `steps` the "
        "end: divide by `steps`.": called_with(lambda step, steps, peak: (step, steps - 1, peak)),
        "You return `peak` at every step. If you divided with `//`, use `/`: `//` drops the fraction.": _along(
            lambda t: 1
        ),
        "You left out the parentheses: `peak / 2` must multiply the whole sum (1 + cos).": (
            lambda step, steps, peak: peak / 2 + cos(pi * step / steps)
        ),
        "You used the sine. It starts at 0, so the rate would start at half of its peak: use the cosine.": _along(
            lambda t: (1 + sin(pi * t)) / 2
        ),
        "You counted one step too many. Step 0 has the rate `peak`: use `step`, not `step + 1`.": called_with(
            lambda step, steps, peak: (step + 1, steps, peak)
        ),
    },
    properties=(Property("A rate lies between 0 and `peak`.", lambda r, step, steps, peak: 0 <= r <= peak),),
)
def cosine_rate(step, steps, peak):
    """Cosine annealing.

    `CosineAnnealingLR(optimizer, T_max=steps)` does this (Loshchilov & Hutter 2017, equation 5). Its `T_max` is half a
    period. If you set it to a number of epochs but step it once per batch, you get a wave instead of a decay.
    """
    return peak / 2 * (1 + cos(pi * step / steps))


def _triangular_inputs(g: torch.Generator):
    half = randint(g, 5, 9)
    low = choice(g, (0.1, 0.2, 0.3))
    within = choice(g, (1, 2)) + half * randint(g, 0, 1)  # on the way up or down, not in the middle of it
    return within + 2 * half * randint(g, 0, 2), half, low, round(low + choice(g, (0.4, 0.8, 1.6)), 2)


def _triangle_with(share=lambda within, half: min(within, 2 * half - within) / half, height=lambda cycle: 1.0):
    """`triangular_rate` with one thing wrong."""

    def rate(step, half, low, high):
        cycle, within = divmod(step, 2 * half)
        return low + (high - low) * height(cycle) * share(within, half)

    return rate


@exercise(
    "rates.triangular_rate",
    points=3,
    inputs=_triangular_inputs,
    hints=(
        "A cycle takes `2·half_cycle` steps: in a straight line from `low` up to `high`, and down again. Where in its "
        "cycle is this step?",
        "`within = step % (2 * half_cycle)`. On the way up, the share of the rise is `within / half_cycle`; on the way "
        "down, it is `(2·half_cycle − within) / half_cycle`.",
        "`within = step % (2 * half_cycle); return low + (high - low) * min(within, 2 * half_cycle - within) / "
        "half_cycle`",
    ),
    wrong={
        "You jump from `high` back to `low`, like the teeth of a saw. After the way up comes a way down of the same "
        "length.": lambda step, half, low, high: low + (high - low) * (step % half) / half,
        "You made the cycles twice as fast. `half_cycle` is only the way up; a whole cycle takes `2·half_cycle` steps.": called_with(
            lambda step, half, low, high: (step, half / 2, low, high)
        ),
        "You made the cycles twice as long. `half_cycle` is the way up alone; a whole cycle takes `2·half_cycle` steps.": called_with(
            lambda step, half, low, high: (step, 2 * half, low, high)
        ),
        "You turned the triangle upside down: yours starts at `high`. Start at `low`.": called_with(
            lambda step, half, low, high: (step, half, high, low)
        ),
        "You start each cycle at 0. Start it at `low`.": called_with(
            lambda step, half, low, high: (step, half, 0, high)
        ),
        "You raise the rate *by* `high`. It must rise *to* `high`, which is by `high − low`.": called_with(
            lambda step, half, low, high: (step, half, low, low + high)
        ),
        "You have the right shape, but it starts at 0. Add `low`.": called_with(
            lambda step, half, low, high: (step, half, 0, high - low)
        ),
        "You are right in the first cycle, but then the rate falls for ever. Use the place *within* the cycle: `step` "
        "modulo `2·half_cycle`.": lambda step, half, low, high: low + (high - low) * min(step, 2 * half - step) / half,
        "Your rate rises for ever. After `half_cycle` steps it must fall, and then rise again: use the place *within* the "
        "cycle, `step` modulo `2·half_cycle`.": lambda step, half, low, high: low + (high - low) * step / half,
        "You left out the way down: yours stays at `high` for the second half of each cycle.": _triangle_with(
            lambda within, half: min(within / half, 1)
        ),
        "You return `low` on the way up and on the way down. If you divided with `//`, use `/`: `//` drops the "
        "fraction.": _triangle_with(lambda within, half: 0),
        "You halved the height with each cycle, as `triangular2` does. All triangles have the same height here.": (
            _triangle_with(height=lambda cycle: 0.5**cycle)
        ),
        "You counted one step too many. Step 0 has the rate `low`: use `step`, not `step + 1`.": called_with(
            lambda step, half, low, high: (step + 1, half, low, high)
        ),
    },
    properties=(
        Property("A rate lies between `low` and `high`.", lambda r, s, h, low, high: low - 1e-9 <= r <= high + 1e-9),
    ),
)
def triangular_rate(step, half_cycle, low, high):
    """The triangular cycle.

    `CyclicLR(mode='triangular')` does this (Smith 2017, section 3.1). `triangular2` halves the height with each cycle,
    and `exp_range` multiplies it by γ at each step.
    """
    return _triangle_with()(step, half_cycle, low, high)


def _plateau_with(
    previous=False,
    ties=False,
    first=lambda losses: inf,
    allowed=lambda patience: patience,
    total=False,
    cut=lambda rate, factor, start: rate * factor,
    keep=False,
    forget=False,
):
    """`plateau_rates` with one thing wrong."""

    def rates(losses, rate, patience, factor):
        best, bad, start, found = first(losses), 0, rate, []
        for loss in losses:
            better = loss <= best if ties else loss < best
            bad = (bad if total else 0) if better else bad + 1
            best = loss if previous or better else best
            if bad > allowed(patience):
                rate, bad = cut(rate, factor, start), (bad if keep else 0)
                best = inf if forget else best
            found.append(rate)
        return found

    return rates


def _plateau_inputs(g: torch.Generator):
    patience, level, losses = randint(g, 1, 2), 2.0, []
    # Falls, then swings above a plateau, down to its level, for three patiences and more; falls again; another plateau.
    for falls, flat in ((randint(g, 1, 2), 3 * patience + 4), (1, patience + 2)):
        for _ in range(falls):
            level = round(level - choice(g, (0.1, 0.2, 0.3)), 2)
            losses.append(level)
        losses += [round(level + (0.2, 0.1, 0.0)[i % 3], 2) for i in range(flat)]
    return losses, choice(g, (0.1, 0.4, 0.8)), patience, choice(g, (0.1, 0.3, 0.5))


@exercise(
    "rates.plateau_rates",
    points=4,
    inputs=_plateau_inputs,
    hints=(
        "Keep three things: the best loss so far, the number of epochs in a row that were not better, and the rate.",
        "A loss is better only if it is below the *best* so far. When the count exceeds `patience`, multiply the rate "
        "by `factor` and set the count to 0; keep the best loss.",
        "`for loss in losses: bad = 0 if loss < best else bad + 1; best = min(best, loss); if bad > patience: rate, "
        "bad = rate * factor, 0; rates.append(rate)`",
    ),
    wrong={
        "You lower the rate one epoch too early. `patience` epochs without progress are tolerated; the next one lowers "
        "the rate.": _plateau_with(allowed=lambda patience: patience - 1),
        "You lower the rate one epoch too late. `patience` epochs without progress are tolerated; the next one lowers "
        "the rate: count > `patience`.": _plateau_with(allowed=lambda patience: patience + 1),
        "You never lower the rate. If you compare each loss with the previous one, swings hide the plateau: compare it "
        "with the best so far.": _plateau_with(previous=True),
        "You ignored `patience`, so every epoch without progress lowers the rate. Count them, and cut when the count "
        "exceeds `patience`.": _plateau_with(allowed=lambda patience: 0),
        "You started with the first loss as the best, and then counted it as an epoch without progress. Start with "
        "`math.inf`.": _plateau_with(first=lambda losses: losses[0]),
        "You started with a best loss of 0, so no loss is ever better. Start with `math.inf`.": _plateau_with(
            first=lambda losses: 0
        ),
        "You went on counting after the first cut, so every further epoch cuts again. Set the count to 0 after a "
        "cut.": _plateau_with(keep=True),
        "You forgot the best loss at each cut, so the next epoch counts as progress whatever its loss. Keep the best "
        "loss.": _plateau_with(forget=True),
        "You subtracted `factor`, so the rate becomes negative. Multiply by it.": _plateau_with(
            cut=lambda rate, factor, start: rate - factor
        ),
        "You multiplied by `1 − factor`. Multiply by `factor` itself: it is what remains, not what is taken off.": (
            _plateau_with(cut=lambda rate, factor, start: rate * (1 - factor))
        ),
        "You divided by `factor`, which is below 1, so the rate grows. Multiply by it.": _plateau_with(
            cut=lambda rate, factor, start: rate / factor
        ),
        "You multiplied the *first* rate by `factor` at every cut, so only the first cut has an effect. Multiply the "
        "present rate.": _plateau_with(cut=lambda rate, factor, start: start * factor),
        "You took a loss that equals the best one for progress. It must be *below* the best.": _plateau_with(ties=True),
        "You counted all epochs without progress, even those before the last new best. Only epochs *in a row* count: "
        "set the count to 0 at each new best.": _plateau_with(total=True),
        "You wrote down the rate *before* looking at the loss, so yours is one epoch late. Return the rate after each "
        "epoch.": lambda losses, rate, *rest: [rate, *plateau_rates(losses, rate, *rest)[:-1]],
    },
)
def plateau_rates(losses, rate, patience, factor):
    """Reduce on plateau.

    `ReduceLROnPlateau` does this, and also has a threshold for what counts as better. It is the only schedule here that
    looks at the training instead of the clock, so it needs no budget in advance. In return it reacts late.
    """
    return _plateau_with()(losses, rate, patience, factor)


def _smooth_inputs(g: torch.Generator):
    losses = [round(2.5 - 0.25 * i + 0.4 * float(torch.rand((), generator=g)), 2) for i in range(randint(g, 4, 6))]
    return losses, choice(g, (0.8, 0.9, 0.95))


def _smoothed_with(
    corrected=lambda state, beta, t: state / (1 - beta**t),
    weight=lambda beta: 1 - beta,
    from_first=False,
    fed_back=False,
):
    """`smoothed` with one thing wrong."""

    def means(losses, beta):
        state, found = losses[0] if from_first else 0.0, []
        for t, loss in enumerate(losses, 1):
            state = beta * state + weight(beta) * loss
            found.append(corrected(state, beta, t))
            state = found[-1] if fed_back else state
        return found

    return means


@exercise(
    "rates.smoothed",
    points=3,
    inputs=_smooth_inputs,
    hints=(
        "Keep a state that starts at 0: `s = beta·s + (1 − beta)·loss`. It is far too small at first. Why?",
        "After t losses, the weights in s add up to `1 − beta^t`. Divide by that, with t = 1 (not 0) for the first "
        "loss.",
        "`for t, loss in enumerate(losses, 1): state = beta * state + (1 - beta) * loss; means.append(state / (1 - "
        "beta**t))`",
    ),
    wrong={
        "You left out the correction, so your mean starts near 0 and seems to *rise* for the first `1/(1 − beta)` "
        "steps. Divide by `1 − beta^t`.": _smoothed_with(lambda state, beta, t: state),
        "You started from the first loss. It keeps the weight `beta^t`, so one unlucky batch tilts the whole curve. "
        "Start at 0 and divide by `1 − beta^t`.": _smoothed_with(lambda state, beta, t: state, from_first=True),
        "You swapped the weights, so yours hardly smooths. `beta` belongs to the past, `1 − beta` to the new loss.": (
            called_with(lambda losses, beta: (losses, 1 - beta))
        ),
        "You started t at 2. After the *first* loss the weights add up to `1 − beta`, so t is 1 there.": _smoothed_with(
            lambda state, beta, t: state / (1 - beta ** (t + 1))
        ),
        "You multiplied by `1 − beta^t`. The state is too small at first, so divide by it.": _smoothed_with(
            lambda state, beta, t: state * (1 - beta**t)
        ),
        "You divided by `1 − beta·t`. The weights in the state add up to `1 − beta^t`: use a power (`**`).": _smoothed_with(
            lambda state, beta, t: state / (1 - beta * t)
        ),
        "You divided by `beta^t`. The weights in the state add up to `1 − beta^t`.": _smoothed_with(
            lambda state, beta, t: state / beta**t
        ),
        "You put the corrected value back into the state, so the correction is applied again and again. Keep the two "
        "apart.": _smoothed_with(fed_back=True),
        "You added each loss with weight 1. The new loss has the weight `1 − beta`, so that all weights add up to `1 − "
        "beta^t`.": _smoothed_with(weight=lambda beta: 1),
        "You added each loss with weight 1, or divided by `1 − beta` at every step. Give the new loss the weight `1 − "
        "beta`, and divide by `1 − beta^t`.": _smoothed_with(lambda state, beta, t: state, weight=lambda beta: 1),
        "You averaged all losses so far with equal weights. Older losses must count less: each step multiplies their "
        "weight by `beta`.": lambda losses, beta: [sum(losses[:t]) / t for t in range(1, len(losses) + 1)],
    },
    properties=(
        Property(
            "A mean of losses lies between the smallest and the largest of them.",
            lambda means, losses, beta: all(min(losses) - 1e-9 <= mean <= max(losses) + 1e-9 for mean in means),
        ),
    ),
)
def smoothed(losses, beta):
    """Smooth a loss curve without a false start.

    Adam corrects its two running means in the same way (Kingma & Ba 2015, section 3), and so does TensorBoard's
    smoothing slider.
    """
    return lr_range_test.smooth(losses, beta)


def _sweep(g: torch.Generator):
    """A coarse range test on which each of the wrong answers picks a rate of its own."""
    steep = randint(g, 2, 4)
    middling = choice(g, [i for i in range(2, 6) if i not in (steep, steep + 1)])
    large = choice(g, [i for i in range(1, 6) if i not in (steep, steep + 1, middling)])
    factors = [4.0] * 8
    drops = [0.3, *(0.05 + 0.05 * torch.rand(5, generator=g)).tolist(), -0.1, -2.5]  # the rise is steeper than any fall
    factors[steep], factors[middling] = 1.05, 2.0
    drops[steep], drops[middling], drops[large] = 0.06, 0.35, 0.5
    rates, losses = [choice(g, (0.001, 0.002, 0.005))], [2.3]
    for factor, drop in zip(factors, drops, strict=True):
        rates.append(rates[-1] * factor)
        losses.append(losses[-1] - drop)
    return [float(f"{rate:.4g}") for rate in rates], [round(loss, 3) for loss in losses]


def _steepest_with(distance=lambda a, b: log(b / a), best=min, picked=lambda rates, slopes, i: rates[i]):
    """`steepest_rate` with one thing wrong."""

    def rate(rates, losses):
        slopes = [(losses[i + 1] - losses[i]) / distance(*rates[i : i + 2]) for i in range(len(rates) - 1)]
        return picked(rates, slopes, slopes.index(best(slopes)))

    return rate


@exercise(
    "rates.steepest_rate",
    points=3,
    inputs=_sweep,
    hints=(
        "Between neighbours i and i + 1, the slope is the change of the loss divided by the change of the *logarithm* of "
        "the rate.",
        "The steepest fall is the smallest (most negative) slope; return the rate at its lower end.",
        "`slopes = [(losses[i + 1] - losses[i]) / math.log(rates[i + 1] / rates[i]) for i in range(len(rates) - 1)]; "
        "return rates[slopes.index(min(slopes))]`",
    ),
    wrong={
        "You divided by the difference of the rates themselves. On a logarithmic axis, 0.001 is as far from 0.002 as 1 "
        "from 2. Divide by the difference of their logarithms.": _steepest_with(lambda a, b: b - a),
        "You returned the rate of the lowest loss. That is the edge, where the training is about to diverge. The "
        "steepest fall comes before it.": lambda rates, losses: rates[losses.index(min(losses))],
        "You divided by the ratio of the rates. Divide by its logarithm, which is the distance on a logarithmic axis.": (
            _steepest_with(lambda a, b: b / a)
        ),
        "You returned a tenth of the rate of the lowest loss, which is the other suggestion. Look for the steepest "
        "fall.": lambda rates, losses: rates[losses.index(min(losses))] / 10,
        "You took the largest fall between neighbours, but they are not equally far apart. Divide by the distance, "
        "the difference of the logarithms.": _steepest_with(lambda a, b: 1),
        "You returned the steepest *rise*, where the training diverges. A fall has a negative slope: take the smallest "
        "slope, not the largest, and no absolute value.": _steepest_with(best=max),
        "You returned the upper end of the steepest stretch. Return its lower end.": _steepest_with(
            picked=lambda rates, slopes, i: rates[i + 1]
        ),
        "You returned the middle of the steepest stretch. Return the rate at its lower end.": _steepest_with(
            picked=lambda rates, slopes, i: (rates[i] + rates[i + 1]) / 2
        ),
        "You returned the slope. Return the rate at which the steepest stretch begins.": _steepest_with(
            picked=lambda rates, slopes, i: slopes[i]
        ),
        "You returned the position of the rate. Return the rate itself.": _steepest_with(
            picked=lambda rates, slopes, i: i
        ),
    },
)
def steepest_rate(rates, losses):
    """Where the loss falls fastest.

    fastai's `lr_find` calls this suggestion `steep`, and a tenth of the rate with the lowest loss `minimum`. In a real
    sweep the rates are evenly spaced on the logarithmic axis, so the division makes no difference to the result. But
    smooth the losses first.
    """
    return lr_range_test.steepest(rates, losses)


def _svm_inputs(g: torch.Generator):
    """Examples of all three kinds: on the wrong side, inside the margin, and beyond it; none on a border."""
    while True:
        weight, x = decimals(g, 3), decimals(g, 5, 3)
        y = torch.where(torch.rand(5, generator=g) < 0.5, -1.0, 1.0)
        margins = y * (x @ weight)
        kinds = {0 if m < 0 else 1 if m < 1 else 2 for m in margins.tolist()}
        border = min((margins - 1).abs().min(), margins.abs().min())
        pushes = {kind: ((margins < limit) * y) @ x for kind, limit in (("perceptron", 0.0), ("hinge", 1.0))}
        sums = [*pushes.values(), y @ x, weight]
        apart = min((a - b).abs().max() for i, a in enumerate(sums) for b in sums[:i])
        if len(kinds) == 3 and border > 0.05 and apart > 0.2 and sums[1].abs().max() > 0.2:
            return weight, x, y, choice(g, (0.1, 0.2, 0.5)), randint(g, 2, 6)


def _pegasos_with(
    counts=lambda scores, y: y * scores < 1,
    size=len,
    signs=lambda y: y,
    kept=lambda rate, regularization: 1 - rate * regularization,
    rate=lambda regularization, t: 1 / (regularization * t),
    late=False,
):
    """`pegasos_step` with one thing wrong."""

    def step(weight, x, y, regularization, t):
        eta = rate(regularization, t)
        shrunk = kept(eta, regularization) * weight
        counted = counts(x @ (shrunk if late else weight), y).float()
        return shrunk + eta * ((counted * signs(y)) @ x) / size(counted)

    return step


@exercise(
    "rates.pegasos_step",
    points=4,
    inputs=_svm_inputs,
    hints=(
        "The rate is 1/(λt). An example counts only if its margin y·w·x is below 1; the others have no gradient.",
        "The step has two parts. The penalty multiplies w by 1 − rate·λ. The examples add rate times the mean over the "
        "*batch* of y·x (zero for those that don't count).",
        "`rate = 1 / (regularization * t); wrong = (y * (x @ weight) < 1).float(); return (1 - rate * regularization) "
        "* weight + rate * ((wrong * y) @ x) / len(y)`",
    ),
    wrong={
        "You used t + 1 for t, so your first step would have the rate 1/(2λ). Here t counts from 1: the rate is "
        "1/(λt).": called_with(lambda *given: (*given[:-1], given[-1] + 1)),
        "You used t − 1 for t, as if it counted from 0; the first step would divide by zero. Here t counts from 1: the "
        "rate is 1/(λt).": called_with(lambda *given: (*given[:-1], given[-1] - 1)),
        "You left out the penalty. Multiply the old weight by 1 − rate·λ, which is 1 − 1/t.": _pegasos_with(
            kept=lambda rate, regularization: 1
        ),
        "You added the gradient of the penalty. A step goes against it: multiply the old weight by 1 − rate·λ.": (
            _pegasos_with(kept=lambda rate, regularization: 1 + rate * regularization)
        ),
        "You multiplied the old weight by 1 − rate. The gradient of the penalty is λw, so the factor is 1 − rate·λ.": (
            _pegasos_with(kept=lambda rate, regularization: 1 - rate)
        ),
        "You took λw/2 as the gradient of the penalty. The penalty is λ/2·‖w‖², so its gradient is λw.": _pegasos_with(
            kept=lambda rate, regularization: 1 - rate * regularization / 2
        ),
        "You used the rate 1/t. Divide by λ, too: 1/(λt).": _pegasos_with(rate=lambda regularization, t: 1 / t),
        "You multiplied by t instead of dividing: `1 / λ * t` is t/λ. Write `1 / (λ * t)`.": _pegasos_with(
            rate=lambda regularization, t: t / regularization
        ),
        "You forgot the reciprocal: your rate is λt, which grows. It is 1/(λt).": _pegasos_with(
            rate=lambda regularization, t: regularization * t
        ),
        "You used the square root of t. The rate falls like 1/t: 1/(λt).": _pegasos_with(
            rate=lambda regularization, t: 1 / (regularization * sqrt(t))
        ),
        "You computed the margins after the penalty had shrunk the weights. Use the weights from before the step.": (
            _pegasos_with(late=True)
        ),
        "You left out the examples: yours only shrinks the weights. Add rate times the mean of y·x.": _pegasos_with(
            signs=torch.zeros_like
        ),
        "You returned the change of the weights. Return the weights after the step.": (
            lambda weight, *rest: pegasos_step(weight, *rest) - weight
        ),
        "You counted the examples beyond the margin. Count those with a margin *below* 1.": _pegasos_with(
            lambda scores, y: y * scores > 1
        ),
        "You left t out of the rate. It falls with the steps: 1/(λt).": _pegasos_with(
            rate=lambda regularization, t: 1 / regularization
        ),
        "You counted only the examples on the wrong side (margin below 0), as a perceptron does. The hinge loss also "
        "counts those with a margin between 0 and 1.": _pegasos_with(lambda scores, y: y * scores < 0),
        "You counted every example. Where the margin is 1 or more, the hinge loss is flat, so its gradient is 0.": (
            _pegasos_with(lambda scores, y: torch.ones_like(y))
        ),
        "You pushed the weights the wrong way. A step goes against the gradient, and the gradient of the hinge loss is "
        "−y·x.": _pegasos_with(signs=lambda y: -y),
        "You left y out of the push. An example of class −1 pushes by −x: add the mean of y·x.": _pegasos_with(
            signs=torch.ones_like
        ),
        "You summed over the batch. The objective is a mean: divide by the number of examples in the batch.": (
            _pegasos_with(size=lambda counted: 1)
        ),
        "You took the mean over the examples that count. Take it over the whole batch: examples beyond the margin add 0, "
        "but they are in the denominator.": _pegasos_with(size=torch.sum),
        "You compared w·x with 1 and left out y. The margin is y·w·x, which is positive on the right side for both "
        "classes.": _pegasos_with(lambda scores, y: scores < 1),
    },
)
def pegasos_step(weight, x, y, regularization, t):
    """One step of Pegasos.

    This is exactly an SGD step with `weight_decay=λ` and the rate of `schedules.Pegasos`, which is how `pegasos_svm`
    does it (Shalev-Shwartz et al. 2007, figure 1).
    """
    return _pegasos_with()(weight, x, y, regularization, t)


question(
    "rates.gamma",
    points=1,
    text="`ExponentialLR` multiplies the rate by γ after every step. Which γ takes the rate to 1 % of its start in 100 "
    "steps? (three decimals)",
    answer=0.955,
    tolerance=0.0006,
    comments={
        0.99: "You took off 1 % per step. After 100 steps that leaves 37 % (0.99¹⁰⁰), not 1 %.",
        0.977: "You computed γ for a fall to 10 %. The rate must fall to 1 %.",
        0.01: "You gave the factor of all 100 steps together. γ is the factor of one step.",
        0.631: "You took 10 steps instead of 100.",
        1.047: "You computed a rise. The rate falls, so γ is below 1.",
    },
    explanation="γ¹⁰⁰ = 0.01, so γ is the hundredth root of 0.01, or 0.955. Always check what a schedule calls a step: a harmless γ = 0.9 "
    "per epoch, applied per batch, is down to 1 % after 44 batches.",
)
question(
    "rates.how_to_choose",
    points=1,
    text="How do you choose a learning rate? Which answer does this lesson's evidence support?",
    choices={
        "a": "By a formula from the number of parameters and the number of pictures.",
        "b": "Take the largest rate that does not diverge, and keep it constant to the end.",
        "c": "Use a range test for the order of magnitude, then a short search by factors of 2 on validation data, and a "
        "schedule that ends near 0.",
        "d": "Take a small one, to be safe; longer training makes up for it.",
    },
    answer="c",
    comments={
        "a": "Over widths and depths the best rate changed by a factor of two at most, and the number of pictures "
        "mattered only through the number of steps.",
        "b": "A high rate that is kept to the end leaves the weights shaking around the minimum. In section 1, a cosine "
        "with the same peak ended with less than a fifth of the loss, and section 9 shows it for a network.",
        "d": "Too low a rate wastes the budget: at a quarter of the best rate, short trainings ended with a loss that was "
        "18 % higher.",
    },
    explanation="The best rate depends on the network, the data, the batch size, the optimizer, the schedule and the "
    "budget. A few minutes of training tell you about all of them at once, so you need no formula.",
)
question(
    "rates.raw_pegasos",
    points=1,
    text="With λ = 0.0005, what is the first learning rate of 1/(λt)?",
    answer=2000,
    tolerance=0.5,
    comments={
        1000: "You put in t = 2. The first step is t = 1.",
        0.0005: "You gave λ itself. The rate is 1/(λt).",
    },
    explanation="1/(0.0005 · 1) = 2000. A linear SVM survives that: however large its weights are, no example pushes by "
    "more than its own length, so the mean of all pushes stays bounded. In a network, the gradient of a layer grows with "
    "the weights of the others. So a huge first step makes the next gradients huge, and the penalty cannot keep up.",
)
