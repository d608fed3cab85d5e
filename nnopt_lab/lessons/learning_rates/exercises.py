"""Exercises and questions of lesson 03: schedules, and where to start."""

from math import cos, inf, log, pi

import torch

from nnopt_lab.course.draws import choice, decimals, randint
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with
from nnopt_lab.techniques.training import lr_range_test


def _cosine_inputs(g: torch.Generator):
    steps = randint(g, 6, 12)
    return randint(g, 1, steps // 2 - 1), steps, choice(g, (0.1, 0.4, 1.0, 2.0))


def _along(curve):
    return lambda step, steps, peak: peak * curve(step / steps)


@exercise(
    "rates.cosine_rate",
    points=2,
    inputs=_cosine_inputs,
    hints=(
        "At step 0 the rate is `peak`, at the last step it is 0: the cosine runs over half a turn, from 1 to −1.",
        "Half a turn is π. Lift the cosine by 1 and halve it, so that it runs from 1 to 0.",
        "`return peak / 2 * (1 + math.cos(math.pi * step / steps))`",
    ),
    wrong={
        "That is a whole turn: the rate is back at its peak when the training ends. Half a turn, π, leads to "
        "0.": _along(lambda t: (1 + cos(2 * pi * t)) / 2),
        "The cosine of Python and torch takes radians: half a turn is π, not 180.": _along(
            lambda t: (1 + cos(180 * t)) / 2
        ),
        "That rises from 0 to the peak. The rate must fall: 1 + cos.": _along(lambda t: (1 - cos(pi * t)) / 2),
        "Over half a turn the cosine falls to −1, and a negative rate climbs uphill. Lift it by 1 and halve "
        "it.": _along(lambda t: cos(pi * t)),
        "A quarter of a turn also leads from `peak` to 0, but it falls steepest at the end. Half a turn, lifted by 1 "
        "and halved, lands softly.": _along(lambda t: cos(pi * t / 2)),
        "That is the straight line (`PolynomialLR`). The cosine stays high longer and lands softly.": _along(
            lambda t: 1 - t
        ),
    },
    properties=(Property("A rate lies between 0 and `peak`.", lambda r, step, steps, peak: 0 <= r <= peak),),
)
def cosine_rate(step, steps, peak):
    """Cosine annealing.

    `CosineAnnealingLR(optimizer, T_max=steps)` is this (Loshchilov & Hutter 2017, equation 5). Its `T_max` is half a
    period: whoever gives it epochs but steps it once a batch gets a wave, not a decay.
    """
    return peak / 2 * (1 + cos(pi * step / steps))


def _triangular_inputs(g: torch.Generator):
    half = randint(g, 5, 9)
    low = choice(g, (0.1, 0.2, 0.3))
    within = choice(g, (1, 2)) + half * randint(g, 0, 1)  # on the way up or down, not in the middle of it
    return within + 2 * half * randint(g, 0, 2), half, low, round(low + choice(g, (0.4, 0.8, 1.6)), 2)


@exercise(
    "rates.triangular_rate",
    points=3,
    inputs=_triangular_inputs,
    hints=(
        "A cycle takes 2·half_cycle steps: up in a straight line from `low` to `high`, then down again. Where in its "
        "cycle is this step?",
        "`within = step % (2 * half_cycle)`. On the way up the share of the rise is within / half_cycle; on the way "
        "down it is (2·half_cycle − within) / half_cycle.",
        "within = step % (2 * half_cycle); "
        "return low + (high - low) * min(within, 2 * half_cycle - within) / half_cycle",
    ),
    wrong={
        "Yours jumps from `high` back to `low`: a saw's teeth. After the way up comes a way down, as "
        "long.": lambda step, half, low, high: low + (high - low) * (step % half) / half,
        "Your cycles are twice as fast: `half_cycle` is the way up alone, a whole cycle takes twice as many "
        "steps.": called_with(lambda step, half, low, high: (step, half / 2, low, high)),
        "Yours is upside down: it starts at `high`. A cycle starts at `low`.": called_with(
            lambda step, half, low, high: (step, half, high, low)
        ),
        "Yours starts each cycle at 0; its lower bound is `low`.": called_with(
            lambda step, half, low, high: (step, half, 0, high)
        ),
        "Yours rises *by* `high`; it must rise *to* `high`, that is by `high − low`.": called_with(
            lambda step, half, low, high: (step, half, low, low + high)
        ),
        "The shape is right, but it stands on 0: the rise is added to `low`.": called_with(
            lambda step, half, low, high: (step, half, 0, high - low)
        ),
        "Yours is right in the first cycle and then falls for ever: look at the place *within* the cycle, step modulo "
        "2·half_cycle.": lambda step, half, low, high: low + (high - low) * min(step, 2 * half - step) / half,
    },
    properties=(
        Property("A rate lies between `low` and `high`.", lambda r, s, h, low, high: low - 1e-9 <= r <= high + 1e-9),
    ),
)
def triangular_rate(step, half_cycle, low, high):
    """The triangular cycle.

    `CyclicLR(mode='triangular')` is this (Smith 2017, section 3.1). `triangular2` halves the rise with each cycle,
    `exp_range` shrinks it by γ with each step.
    """
    within = step % (2 * half_cycle)
    return low + (high - low) * min(within, 2 * half_cycle - within) / half_cycle


def _plateau_with(previous=False, ties=False, total=False, early=0, down=False, keep=False, forget=False):
    """`plateau_rates` with one thing wrong."""

    def rates(losses, rate, patience, factor):
        best, bad, found = inf, 0, []
        for loss in losses:
            better = loss <= best if ties else loss < best
            bad = (bad if total else 0) if better else bad + 1
            best = loss if previous or better else best
            if bad > patience - early:
                rate, bad = (rate - factor if down else rate * factor), (bad if keep else 0)
                best = inf if forget else best
            found.append(rate)
        return found

    return rates


def _plateau_inputs(g: torch.Generator):
    patience, level, losses = randint(g, 1, 2), 2.0, []
    # Falls, then swings above a plateau, down to its level, for three patiences and more; falls again; another plateau.
    for falls, flat in ((2, 3 * patience + 4), (1, patience + 2)):
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
        "Keep three things: the best loss so far, how many epochs in a row were not better than it, and the rate.",
        "A loss is better only if it is below the *best* so far. When the count passes `patience`, multiply the rate "
        "by `factor` and count from 0 again; the best stays.",
        "for loss in losses: bad = 0 if loss < best else bad + 1; best = min(best, loss); "
        "if bad > patience: rate, bad = rate * factor, 0; rates.append(rate)",
    ),
    wrong={
        "One epoch too early: `patience` epochs without progress are tolerated; the one after them lowers the "
        "rate.": _plateau_with(early=1),
        "You compare with the loss before. It swings: half of a plateau is 'better' than the epoch before. Compare "
        "with the best so far.": _plateau_with(previous=True),
        "After the first cut your count goes on, so every further epoch cuts again. Begin to count "
        "anew.": _plateau_with(keep=True),
        "You forget the best loss with each cut, so that the next epoch counts as progress whatever it is. Keep "
        "it.": _plateau_with(forget=True),
        "You subtract `factor`; the rate would soon be negative. It is multiplied by it.": _plateau_with(down=True),
        "A loss that only equals the best one counts as progress with you. It has to be *below* the "
        "best.": _plateau_with(ties=True),
        "You count all epochs without progress, also those before the last new best. Only epochs *in a row* count: a "
        "new best sets the count to 0.": _plateau_with(total=True),
        "Yours comes one epoch late: you note the rate *before* you have looked at the loss. Wanted is the rate after "
        "each epoch.": lambda losses, rate, *rest: [rate, *plateau_rates(losses, rate, *rest)[:-1]],
    },
)
def plateau_rates(losses, rate, patience, factor):
    """Reduce on plateau.

    `ReduceLROnPlateau` does this, with a threshold for what counts as better. It is the one schedule that looks at the
    training instead of the clock, and the one that needs no budget; the price is that it reacts late.
    """
    return _plateau_with()(losses, rate, patience, factor)


def _smooth_inputs(g: torch.Generator):
    losses = [round(2.5 - 0.25 * i + 0.4 * float(torch.rand((), generator=g)), 2) for i in range(randint(g, 4, 6))]
    return losses, choice(g, (0.8, 0.9, 0.95))


def _smoothed_with(corrected=lambda state, beta, t: state / (1 - beta**t), from_first=False, fed_back=False):
    """`smoothed` with one thing wrong."""

    def means(losses, beta):
        state, found = losses[0] if from_first else 0.0, []
        for t, loss in enumerate(losses, 1):
            state = beta * state + (1 - beta) * loss
            found.append(corrected(state, beta, t))
            state = found[-1] if fed_back else state
        return found

    return means


@exercise(
    "rates.smoothed",
    points=3,
    inputs=_smooth_inputs,
    hints=(
        "Keep a state that starts at 0: s = beta·s + (1 − beta)·loss. It is far too small at first. Why?",
        "After t losses the weights in s add up to 1 − beta^t. Divide by that, with t = 1 for the first loss.",
        "for t, loss in enumerate(losses, 1): state = beta * state + (1 - beta) * loss; "
        "means.append(state / (1 - beta**t))",
    ),
    wrong={
        "Without the correction: your mean starts near 0 and seems to *rise* for the first 1/(1 − beta) steps. "
        "Divide by 1 − beta^t.": _smoothed_with(lambda state, beta, t: state),
        "You start from the first loss: it keeps the weight beta^t, and one unlucky batch tilts the whole curve. "
        "Start at 0 and divide by 1 − beta^t.": _smoothed_with(lambda state, beta, t: state, from_first=True),
        "The weights are swapped: `beta` belongs to the past, 1 − beta to the new loss. Yours hardly "
        "smooths.": called_with(lambda losses, beta: (losses, 1 - beta)),
        "Your t starts a step too late: after the *first* loss the weights add up to 1 − beta.": _smoothed_with(
            lambda state, beta, t: state / (1 - beta ** (t + 1))
        ),
        "You put the corrected value back into the state; the correction then piles up. Keep the two "
        "apart.": _smoothed_with(fed_back=True),
    },
    properties=(
        Property(
            "A mean of losses lies between the smallest and the largest of them.",
            lambda means, losses, beta: all(min(losses) - 1e-9 <= mean <= max(losses) + 1e-9 for mean in means),
        ),
    ),
)
def smoothed(losses, beta):
    """A smooth loss without a false start.

    Adam corrects its two running means in the same way (Kingma & Ba 2015, section 3). TensorBoard's smoothing slider
    does it too.
    """
    return lr_range_test.smooth(losses, beta)


def _sweep(g: torch.Generator):
    """A coarse range test on which each of the wrong answers picks a rate of its own."""
    steep = randint(g, 2, 4)
    large = choice(g, [i for i in range(1, 6) if i not in (steep, steep + 1)])
    factors = [4.0] * 8
    drops = [0.3, *(0.05 + 0.05 * torch.rand(5, generator=g)).tolist(), -0.1, -2.5]  # the rise is steeper than any fall
    factors[steep], drops[steep], drops[large] = 1.25, 0.25, 0.5
    rates, losses = [choice(g, (0.001, 0.002, 0.005))], [2.3]
    for factor, drop in zip(factors, drops, strict=True):
        rates.append(rates[-1] * factor)
        losses.append(losses[-1] - drop)
    return [float(f"{rate:.4g}") for rate in rates], [round(loss, 3) for loss in losses]


def _steepest_with(distance=lambda a, b: log(b / a), best=min, upper=0):
    """`steepest_rate` with one thing wrong."""

    def rate(rates, losses):
        slopes = [(losses[i + 1] - losses[i]) / distance(*rates[i : i + 2]) for i in range(len(rates) - 1)]
        return rates[slopes.index(best(slopes)) + upper]

    return rate


@exercise(
    "rates.steepest_rate",
    points=3,
    inputs=_sweep,
    hints=(
        "Between neighbours i and i + 1 the slope is the change of the loss divided by the change of the *logarithm* of "
        "the rate.",
        "The steepest fall is the smallest (most negative) slope; return the rate at its lower end.",
        "slopes = [(losses[i + 1] - losses[i]) / math.log(rates[i + 1] / rates[i]) for i in range(len(rates) - 1)]; "
        "return rates[slopes.index(min(slopes))]",
    ),
    wrong={
        "You divided by the difference of the rates themselves. The axis of a range test is logarithmic: from 0.001 "
        "to 0.002 is as far as from 1 to 2. Divide by the difference of their "
        "logarithms.": _steepest_with(lambda a, b: b - a),
        "That is the rate of the lowest loss: the edge, where the training is about to break. The steepest fall "
        "comes before it.": lambda rates, losses: rates[losses.index(min(losses))],
        "You took the largest fall between neighbours, but they are not equally far apart. Divide by the distance, "
        "the difference of the logarithms.": _steepest_with(lambda a, b: 1),
        "That is the steepest *rise*: there the training breaks. A fall has a negative slope, so look for the "
        "smallest.": _steepest_with(best=max),
        "That is the upper end of the steepest stretch; return the rate at its lower end.": _steepest_with(upper=1),
    },
)
def steepest_rate(rates, losses):
    """Where the loss falls fastest.

    fastai's `lr_find` suggests this rate, and a tenth of the rate with the lowest loss. In a real sweep the rates are
    evenly spaced on the logarithmic axis, so the division changes nothing; the losses must be smoothed first.
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


def _pegasos_with(counts=lambda scores, y: y * scores < 1, size=len, push=1, kept=lambda t: 1 - 1 / t):
    """`pegasos_step` with one thing wrong."""

    def step(weight, x, y, regularization, t):
        counted = counts(x @ weight, y).float()
        return kept(t) * weight + push * ((counted * y) @ x) / (regularization * t * size(counted))

    return step


@exercise(
    "rates.pegasos_step",
    points=4,
    inputs=_svm_inputs,
    hints=(
        "The rate is 1/(λt). An example counts only where its margin y·w·x is below 1; those beyond it pull at nothing.",
        "Two parts: the penalty shrinks w by the factor 1 − rate·λ, and the examples that count add rate times the mean "
        "over the *batch* of y·x (zero for those that don't count).",
        "rate = 1 / (regularization * t); wrong = (y * (x @ weight) < 1).float(); "
        "return (1 - rate * regularization) * weight + rate * ((wrong * y) @ x) / len(y)",
    ),
    wrong={
        "Off by one: your first step would have the rate 1/(2λ). Here t counts from 1, and the rate is "
        "1/(λt).": called_with(lambda *given: (*given[:-1], given[-1] + 1)),
        "The old weight weighs too much: the penalty shrinks it by 1 − rate·λ, which is 1 − 1/t.": _pegasos_with(
            kept=lambda t: 1
        ),
        "You counted only the examples on the wrong side (margin below 0): that is a perceptron. The hinge loss also "
        "counts those inside the margin, below 1.": _pegasos_with(lambda scores, y: y * scores < 0),
        "You counted every example. Where the margin is 1 or more the hinge loss is 0 and flat: no "
        "pull.": _pegasos_with(lambda scores, y: torch.ones_like(y)),
        "The examples push the wrong way: a step goes against the gradient, and the gradient of the hinge is "
        "−y·x.": _pegasos_with(push=-1),
        "You summed over the batch; the objective is a mean, so divide by the number of examples in the "
        "batch.": _pegasos_with(size=lambda counted: 1),
        "You took the mean over the examples that count. It is over the whole batch: those beyond the margin push with "
        "0, but they are in the denominator.": _pegasos_with(size=torch.sum),
        "You compared w·x with 1 and left y out: the margin is y·w·x, so that it is positive on the right side for "
        "both classes.": _pegasos_with(lambda scores, y: scores < 1),
    },
)
def pegasos_step(weight, x, y, regularization, t):
    """One step of Pegasos.

    This is line for line an SGD step with `weight_decay=λ` and the rate of `schedules.Pegasos`: that is how
    `pegasos_svm` does it (Shalev-Shwartz et al. 2007, figure 1).
    """
    return _pegasos_with()(weight, x, y, regularization, t)


question(
    "rates.gamma",
    points=1,
    text="`ExponentialLR` multiplies the rate by γ after every step. It shall fall to 1 % of its start in 100 steps. "
    "What is γ? (three decimals)",
    answer=0.955,
    tolerance=0.0006,
    explanation="γ¹⁰⁰ = 0.01, so γ = 0.01^(1/100) = 0.955. Stepped once a batch instead of once an epoch, an innocent "
    "γ = 0.9 is down to 1 % after 44 batches: ask of every schedule what it calls a step.",
)
question(
    "rates.how_to_choose",
    points=1,
    text="The article asks at its end: how does one choose a learning rate? Which answer does this lesson's evidence "
    "support?",
    choices={
        "a": "By a formula from the number of parameters and the number of pictures.",
        "b": "The largest rate that does not diverge, kept constant to the end.",
        "c": "A range test for the order of magnitude, a short search by factors of 2 on validation data, and a "
        "schedule that ends near 0.",
        "d": "A small one, to be safe; training longer makes up for it.",
    },
    answer="c",
    comments={
        "a": "Over widths and depths the best rate moved by a factor of two at most, and the number of pictures "
        "mattered only through the number of steps.",
        "b": "Kept to the end, a high rate leaves the weights shaking about the minimum: in section 1 the same rate, lowered "
        "along a cosine, left less than a fifth of the loss. The race of section 8 shows it on the network.",
        "d": "Too low a rate wastes the budget: at a quarter of the best rate the short trainings ended with a loss that "
        "was 18 % higher.",
    },
    explanation="The best rate depends on network, data, batch size, optimizer, schedule and budget, and all of that "
    "can be asked in a minute of training. What is asked cheaply need not be derived.",
)
question(
    "rates.raw_pegasos",
    points=1,
    text="With λ = 0.0005, what is the first learning rate of 1/(λt)?",
    answer=2000,
    tolerance=0.5,
    explanation="1/(0.0005 · 1) = 2000. A linear SVM survives that: however large its weights are, no example pushes harder "
    "than its own length, and the mean of all pushes stays in bounds. In a network the gradient of a layer grows with the "
    "weights of the others: a huge first step makes the next gradients huge, and no penalty catches up with that.",
)
