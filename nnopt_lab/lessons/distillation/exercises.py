"""Exercises and questions of lesson 09: soft targets, their loss, and whether distillation helped."""

import statistics

import torch
from torch.nn import functional as F

from nnopt_lab.course.draws import decimals, randint
from nnopt_lab.course.exercises import exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed, scaled


def _logits_and_temperature(g: torch.Generator):
    logits = (2.5 * torch.randn(randint(g, 2, 3), randint(g, 4, 5), generator=g)).round(decimals=1)
    return logits, float(randint(g, 2, 6))


@exercise(
    "distillation.soft_targets",
    points=2,
    inputs=_logits_and_temperature,
    hints=(
        "The temperature acts on the logits, before the softmax. A high one makes the probabilities more equal.",
        "Divide, then apply softmax over the classes, axis 1 of `[N, classes]`.",
        "`(logits / temperature).softmax(1)`",
    ),
    wrong={
        "You multiplied by the temperature, which makes the teacher more confident. Divide by it.": (
            lambda z, t: (z * t).softmax(1)
        ),
        "You left out the temperature: these are the targets at T = 1.": lambda z, t: z.softmax(1),
        "Your *columns* sum to 1, since your softmax runs over the pictures. It must run over the classes, axis 1.": (
            lambda z, t: (z / t).softmax(0)
        ),
        "You divided the probabilities, and they no longer sum to 1. Divide the logits, before the softmax.": (
            lambda z, t: z.softmax(1) / t
        ),
        "You returned logarithms (`log_softmax`). Return the probabilities themselves.": (
            lambda z, t: (z / t).log_softmax(1)
        ),
        "You applied softmax twice. Divide the logits by the temperature, not the probabilities.": (
            lambda z, t: (z.softmax(1) / t).softmax(1)
        ),
        "You left out the softmax: these are still logits, divided by T.": lambda z, t: z / t,
        "You left out the normalisation. Divide each row of exponentials by its sum, as softmax does.": lambda z, t: (
            z / t
        ).exp(),
        "You divided by the sum over all pictures. Each row must sum to 1 by itself.": (
            lambda z, t: (z / t).exp() / (z / t).exp().sum()
        ),
        "You left out the temperature in the denominator. Divide the logits by it in the sum, too.": (
            lambda z, t: (z / t).exp() / z.exp().sum(1, keepdim=True)
        ),
        "You divided by T². The square belongs to the loss of the next section; divide by T here.": (
            called_with(lambda z, t: (z, t**2))
        ),
    },
)
def soft_targets(logits, temperature):
    """Soft targets.

    As T grows, soft targets tend to 1/classes, and their remaining differences are proportional to those of the logits.
    As T falls to 0, they tend to a hard label: the class that the teacher predicts.
    """
    return (logits / temperature).softmax(1)


def _two_logits(g: torch.Generator):
    n, classes = randint(g, 2, 3), randint(g, 4, 5)
    student, teacher = (3 * torch.randn(2, n, classes, generator=g)).round(decimals=1)
    return student, teacher, float(randint(g, 2, 5))


def _divergence(student, teacher, axis=1):
    """KL(teacher ‖ student) of logits: the sum over the classes, the mean over the pictures."""
    log_q, log_p = student.log_softmax(axis), teacher.log_softmax(axis)
    return (log_p.exp() * (log_p - log_q)).sum(1).mean()


@exercise(
    "distillation.soft_loss",
    points=4,
    inputs=_two_logits,
    hints=(
        "p are the teacher's soft targets, q the student's, both at the same temperature. Sum p·(log p − log q) over "
        "the classes, take the mean over the pictures, and multiply by T².",
        "Work with logarithms: take `log_softmax` of both. Then p is `log_p.exp()`.",
        "`temperature**2 * (log_p.exp() * (log_p - log_q)).sum(1).mean()`",
    ),
    wrong={
        "You left out the factor T². Without it the gradients shrink as 1/T² at higher temperatures.": (
            lambda s, t, T: soft_loss(s, t, T) / T**2
        ),
        "You multiplied by T instead of T². The gradient shrinks by 1/T in the student's softmax, and by 1/T once "
        "more because the targets differ less.": lambda s, t, T: soft_loss(s, t, T) / T,
        "You computed KL(student ‖ teacher). Weight by the teacher's p: KL(teacher ‖ student).": (
            called_with(lambda s, t, T: (t, s, T))
        ),
        "You took the mean over the classes, too, as `F.kl_div` does with `reduction='mean'`. Sum over the classes and "
        "take the mean over the pictures: `reduction='batchmean'`.": lambda s, t, T: soft_loss(s, t, T) / s.shape[1],
        "You summed over the pictures. Take the mean, or the gradient grows with the batch size.": (
            lambda s, t, T: soft_loss(s, t, T) * len(s)
        ),
        "You computed the cross-entropy with soft targets. Its gradient is the same, but it is not 0 when student and "
        "teacher agree. Subtract the teacher's entropy, Σ p·log p.": (
            lambda s, t, T: T**2 * -((t / T).softmax(1) * (s / T).log_softmax(1)).sum(1).mean()
        ),
        "You softened only the student. Divide the teacher's logits by T, too, or the two can never match.": (
            lambda s, t, T: T**2 * _divergence(s / T, t)
        ),
        "You softened only the teacher. Divide the student's logits by T, too, or the two can never match.": (
            lambda s, t, T: T**2 * _divergence(s, t / T)
        ),
        "You used the temperature only in the factor T². Divide the logits of both by T, too.": (
            lambda s, t, T: T**2 * _divergence(s, t)
        ),
        "You left out the temperature. Divide the logits of both by T, and multiply the result by T².": (
            lambda s, t, T: _divergence(s, t)
        ),
        "Your sign is wrong: a divergence is never negative. Use log p − log q, teacher minus student.": (scaled(-1)),
        "You computed the cross-entropy with soft targets. Subtract the teacher's entropy, and multiply by T².": (
            lambda s, t, T: F.cross_entropy(s / T, (t / T).softmax(1))
        ),
        "Two mistakes: the factor T² is missing, and you took the mean over the classes instead of the sum. `F.kl_div` "
        "needs `reduction='batchmean'`.": lambda s, t, T: soft_loss(s, t, T) / T**2 / s.shape[1],
        "You passed the student's probabilities to `F.kl_div`. It expects their logarithms: `log_softmax`.": (
            lambda s, t, T: T**2 * F.kl_div((s / T).softmax(1), (t / T).softmax(1), reduction="batchmean")
        ),
        "Your result is NaN: a logarithm was taken of negative numbers. If the target of `F.kl_div` is a logarithm, "
        "pass `log_target=True`, and never take the logarithm of logits.": (
            lambda s, t, T: T**2 * F.kl_div((s / T).log_softmax(1), (t / T).log_softmax(1), reduction="batchmean")
        ),
        "You took squared differences of the probabilities. The divergence sums p · (log p − log q).": (
            lambda s, t, T: T**2 * ((s / T).softmax(1) - (t / T).softmax(1)).square().sum(1).mean()
        ),
        "You took squared differences of the logits. Turn both into probabilities at temperature T, and sum "
        "p · (log p − log q).": lambda s, t, T: F.mse_loss(s, t),
        "You left out the teacher's p, the weight of each class: sum p · (log p − log q).": (
            lambda s, t, T: T**2 * ((t / T).log_softmax(1) - (s / T).log_softmax(1)).sum(1).mean()
        ),
        "Your softmax runs over the pictures. It must run over the classes, axis 1.": (
            lambda s, t, T: T**2 * _divergence(s / T, t / T, axis=0)
        ),
    },
    tolerance=1e-4,
)
def soft_loss(student, teacher, temperature):
    """Hinton's loss.

    In torch: `F.kl_div(log_q, log_p, reduction='batchmean', log_target=True) * T**2`. Its arguments are (student,
    teacher), in this order; if you swap them, you get no error.
    """
    return temperature**2 * _divergence(student / temperature, teacher / temperature)


def _logits_and_labels(g: torch.Generator):
    n, classes = randint(g, 2, 3), randint(g, 4, 5)
    return (1.5 * torch.randn(n, classes, generator=g)).round(decimals=1), torch.randint(0, classes, (n,), generator=g)


def _of_true(values, labels):
    return values.gather(1, labels[:, None]).squeeze(1)


def _without_true(p, labels):
    return p.scatter(1, labels[:, None], 0.0)


def _shares(p, labels):
    return _without_true(p, labels) / (1 - _of_true(p, labels))[:, None]


def _parts(softmax=lambda logits: logits.softmax(1), true=_of_true, others=_shares):
    """The reference, or the same with a mistake in one of its three steps."""

    def parts(logits, labels):
        p = softmax(logits)
        return true(p, labels), others(p, labels)

    return parts


@exercise(
    "distillation.decoupled",
    points=3,
    inputs=_logits_and_labels,
    hints=(
        "Apply softmax first. The probability of the true class is one number per picture. The other classes share the "
        "rest: scale them so that they sum to 1 again.",
        "`p.gather(1, labels[:, None])` picks the true class; `p.scatter(1, labels[:, None], 0.0)` sets it to zero.",
        "`true = p.gather(1, labels[:, None]).squeeze(1)`, `others = p.scatter(1, labels[:, None], 0.0)`, and divide "
        "`others` by `(1 - true)[:, None]`.",
    ),
    wrong={
        "You did not normalise the others: they sum to `1 − true`. Divide by that, or they stay tiny for a confident "
        "teacher, and that is what decoupling should cure.": _parts(others=_without_true),
        "You set the true class's *logit* to zero, but a logit of zero still gets a share. Set its probability to "
        "zero, or its logit to −inf.": lambda z, y: (target_and_others(z, y)[0], _without_true(z, y).softmax(1)),
        "You took the largest probability. Take that of the label's class, even if the network predicts another.": _parts(
            true=lambda p, y: p.amax(1)
        ),
        "Your first result is 1 − the probability of the true class. Return the probability itself.": _parts(
            true=lambda p, y: 1 - _of_true(p, y)
        ),
        "You left the true class among the others. Set it to 0, then normalise the rest.": _parts(
            others=lambda p, y: p
        ),
        "You applied a second softmax to probabilities, which makes them more equal and gives the true class a share "
        "again. Divide by `1 − true` instead.": _parts(others=lambda p, y: _without_true(p, y).softmax(1)),
        "Your first result is the true class's logit. Apply softmax first and return its probability.": (
            lambda z, y: (_of_true(z, y), target_and_others(z, y)[1])
        ),
        "You used the class that the network predicts. The true class is the one that the label names.": (
            called_with(lambda z, y: (z, z.argmax(1)))
        ),
        "You left the true class among the others. The division is right, but set the true class to 0.": (
            _parts(others=lambda p, y: p / (1 - _of_true(p, y))[:, None])
        ),
        "You divided the others by the true class's probability. They share the rest: divide by `1 − true`.": (
            _parts(others=lambda p, y: _without_true(p, y) / _of_true(p, y)[:, None])
        ),
        "You dropped the true class's column. Keep all classes in their places, with 0 for the true one.": (
            _parts(others=lambda p, y: _shares(p, y)[torch.arange(p.shape[1]) != y[:, None]].reshape(len(p), -1))
        ),
        "Your softmax runs over the pictures. It must run over the classes, axis 1.": (
            _parts(softmax=lambda z: z.softmax(0))
        ),
    },
    tolerance=1e-4,
)
def target_and_others(logits, labels):
    """Decoupled targets: the true class, and the others.

    Hinton's loss weights the second part by 1 − true. That is 0.01 if the teacher, at the same temperature, is 99 %
    confident. Decoupled distillation gives this part a weight of its own (Zhao et al. 2022).
    """
    return _parts()(logits, labels)


def _squares(features):
    return features.square().sum(1).flatten(1)


@exercise(
    "distillation.attention_map",
    points=2,
    inputs=lambda g: (decimals(g, 2, randint(g, 2, 4), 2, randint(g, 2, 3)),),
    hints=(
        "`features` is `[N, channels, H, W]`. Each picture gets one map: the squares, summed over the channels.",
        "Then flatten it to `[N, H·W]`, and divide each row by its L2 norm.",
        "`flat = features.square().sum(1).flatten(1)`, `flat / flat.norm(dim=1, keepdim=True)`",
    ),
    wrong={
        "You did not normalise, so a layer with larger activations gets a larger map. Divide each row by its L2 norm.": _squares,
        "You summed the channels without squaring, so positive and negative responses cancel. Square first.": (
            lambda f: F.normalize(f.sum(1).flatten(1), dim=1)
        ),
        "Your rows sum to 1. Their L2 norm, the root of the sum of squares, should be 1.": (
            lambda f: F.normalize(_squares(f), p=1, dim=1)
        ),
        "You normalised over the pictures. Each picture's own map must have an L2 norm of 1.": (
            lambda f: F.normalize(_squares(f), dim=0)
        ),
        "You summed over the positions and kept the channels. That shows which filters respond, not where.": (
            lambda f: F.normalize(f.square().sum((2, 3)), dim=1)
        ),
        "You took the mean over the channels and did not normalise. Divide each row by its L2 norm.": (
            lambda f: f.square().mean(1).flatten(1)
        ),
        "You summed absolute values. That is an attention map, too, but use squares here: they emphasise positions "
        "with a strong response.": lambda f: F.normalize(f.abs().sum(1).flatten(1), dim=1),
        "You squared after summing, so positive and negative responses cancel. Square each channel first.": (
            lambda f: F.normalize(f.sum(1).square().flatten(1), dim=1)
        ),
        "You took the root of the sum over the channels. The map is the sum of squares itself; only its norm has a root.": (
            lambda f: F.normalize(f.norm(dim=1).flatten(1), dim=1)
        ),
        "You divided by the norm of the whole batch. Each picture's own map must have an L2 norm of 1.": (
            lambda f: _squares(f) / _squares(f).norm()
        ),
        "You normalised before flattening, so each column of a map has norm 1. Flatten first, then normalise each row.": (
            lambda f: F.normalize(f.square().sum(1), dim=1).flatten(1)
        ),
        "You took the largest square of each position. Sum the squares over the channels.": (
            lambda f: F.normalize(f.square().amax(1).flatten(1), dim=1)
        ),
        "You divided by the sum of squares. Divide by its root, so that each row has an L2 norm of 1.": (
            lambda f: _squares(f) / _squares(f).square().sum(1, keepdim=True)
        ),
    },
    tolerance=1e-4,
)
def attention_map(features):
    """Attention maps: where a layer responds.

    A map has no channels, so student and teacher can have different widths. Only height and width must agree, or the
    larger map is averaged down.
    """
    flat = _squares(features)
    return flat / flat.norm(dim=1, keepdim=True)


def _interval(times_error=4.303, deviation=statistics.stdev, root=3**0.5, middle=statistics.mean):
    """The reference, or the same with one mistake: verdicts from mean difference ± times_error · deviation / root."""

    def judge(alone, methods):
        verdicts = []
        for method in methods:
            gains = [b - a for a, b in zip(alone, method, strict=True)]
            mean, half = middle(gains), times_error * deviation(gains) / root
            verdicts.append("gain" if mean - half > 0 else "loss" if mean + half < 0 else "not shown")
        return verdicts

    return judge


# Three differences each, in tenths of a point, and how many standard errors their mean is from 0: 4.303 are wanted. What
# lies between distinguishes a wrong factor, root or deviation from the right one.
_GAINS = (
    (165, 168, 166),  # above the spread of the seeds, so that it needs no pairs
    (10, 11, 12),  # 19
    (20, 12, 14),  # 6.4: no longer shown without the root
    (30, 17, 16),  # 4.7: no longer shown by the median
    (10, 6, 4),  # 3.8: shown where n divides, and not n − 1
    (30, 15, 9),  # 2.9: shown where 3 divides, and not its root
    (12, 4, 3),  # 2.2: shown with 1.96
    (30, -1, 25),  # 1.9: shown with one deviation
    (3, 30, 4),  # 1.4: shown with one standard error, or by signs
    (22, -6, 4),  # 0.8: shown by nothing but the mean
)


def _three_seeds(g: torch.Generator):
    """Accuracies of three seeds, which differ by more than a method does, so that only pairs show it; all in tenths."""
    alone = [740 + randint(g, 0, 10), 780 + randint(g, 0, 10), 820 + randint(g, 0, 10)]
    alone = [alone[i] / 10 for i in torch.randperm(3, generator=g).tolist()]
    methods = []
    for i in torch.randperm(len(_GAINS), generator=g)[:5].tolist():
        sign = 1 if i == 0 else 2 * randint(g, 0, 1) - 1
        gains = [sign * _GAINS[i][j] for j in torch.randperm(3, generator=g).tolist()]
        methods.append([round(a + d / 10, 1) for a, d in zip(alone, gains, strict=True)])
    return alone, methods


def _of_means(alone, methods):
    return ["gain" if sum(method) > sum(alone) else "loss" for method in methods]


def _by_signs(alone, methods):
    signs = [{b > a for a, b in zip(alone, method, strict=True)} for method in methods]
    return ["gain" if s == {True} else "loss" if s == {False} else "not shown" for s in signs]


def _unpaired(alone, methods):
    return ["gain" if min(m) > max(alone) else "loss" if max(m) < min(alone) else "not shown" for m in methods]


@exercise(
    "distillation.verdicts",
    points=3,
    inputs=_three_seeds,
    hints=(
        "Both numbers of a pair have the same seed. So compute the three *differences* `method − alone` for each "
        "method.",
        "The interval of their mean is mean ± 4.303 · s/√3. Here s is their standard deviation (`statistics.stdev`), and "
        "4.303 is Student's t for 95 %, two-sided, and three values.",
        "Return `'gain'` if the whole interval is above 0, `'loss'` if it is below 0, else `'not shown'`: one verdict "
        "per method, in order.",
    ),
    wrong={
        "You compared only means, and with three seeds these can differ by chance. Check whether the interval contains 0.": (
            _of_means
        ),
        "Your answer is always `'not shown'`. Some of these methods gain about the same with every seed.": (
            changed(lambda found: ["not shown"] * len(found))
        ),
        "You compared the two groups without pairing them. Seeds differ by more than the method gains, and pairs with "
        "the same seed cancel that.": _unpaired,
        "Your sign is wrong: a gain is `method − alone`.": (
            lambda alone, methods: [verdicts(method, [alone])[0] for method in methods]
        ),
        "You counted signs, but three equal signs occur by chance in one case out of four. Use the interval.": (
            _by_signs
        ),
        "Your interval is too narrow. Either your standard deviation divides by 3, as `statistics.pstdev` and `np.std` "
        "do (divide by 2: `statistics.stdev`, `torch.std`, or `np.std` with `ddof=1`), or your factor is not 4.303 "
        "(3.182 is for four seeds, 2.92 for a one-sided interval).": _interval(deviation=statistics.pstdev),
        "You left out √3: s is the deviation of one difference, and that of the mean of three is s/√3.": (
            _interval(root=1)
        ),
        "You divided by 3. The standard error of a mean of three is s/√3.": _interval(root=3),
        "Your factor is about 2 (1.96), which is right for many seeds. With three, s itself is uncertain, and Student's "
        "t is 4.303.": _interval(1.96),
        "You left out the factor 4.303: mean ± s/√3 contains the true value far less often than in 95 % of cases.": (
            _interval(1)
        ),
        "You used mean ± s. The interval of a mean is ± 4.303 · s/√3.": _interval(1, root=1),
        "You took the median of the differences. The interval lies around their mean.": _interval(
            middle=statistics.median
        ),
        "You used the variance. s is its root, the standard deviation.": _interval(deviation=statistics.variance),
        "You never answer `'not shown'`. An interval with its lower end below 0 is a loss only if its upper end is "
        "below 0, too.": changed(lambda found: [v if v == "gain" else "loss" for v in found]),
        "You never answer `'loss'`. If the whole interval is below 0, the method does harm, and that is shown.": (
            changed(lambda found: [v if v == "gain" else "not shown" for v in found])
        ),
    },
)
def verdicts(alone, methods):
    """Verdicts from three seeds.

    Three seeds are few: t is 4.3, while for many seeds it is about 2. If such an interval shows a gain, you can trust
    it; if it does not, there may still be one.
    """
    return _interval()(alone, methods)


question(
    "distillation.why_soft",
    points=1,
    text="What does a soft target tell the student that a label does not?",
    choices={
        "a": "A higher probability of the true class.",
        "b": "How similar this picture is to the other classes: a heart that could be a disc, but not a ring.",
        "c": "The weights of the teacher.",
    },
    answer="b",
    comments={
        "a": "It is lower: a label gives the true class a probability of 1.",
        "c": "The weights stay with the teacher. Only its outputs are passed on.",
    },
    explanation="A label names one of ten classes, at most log₂ 10 ≈ 3.3 bits. A soft target also says which mistakes "
    "would be small ones for this very picture, so the student need not find that out by itself.",
)
question(
    "distillation.too_strong",
    points=1,
    text="Leave out the factor T². About how large is the gradient of the soft loss at T = 10, as a multiple of that at "
    "T = 1? (Both networks are unsure, with small logits.)",
    answer=0.01,
    tolerance=0.002,
    comments={
        0.1: "You counted one factor of 1/T. The gradient also shrinks because targets and outputs differ less.",
        1: "That is the ratio *with* the factor T². Without it, the gradient shrinks.",
        0.001: "You counted a factor of 1/T too many.",
    },
    explanation="1/T² = 0.01. One factor of 1/T comes from the student's softmax. The other one is there because targets "
    "and outputs differ by only 1/T of the difference of the logits. The factor T² restores the size at every temperature.",
)
question(
    "distillation.try_first",
    points=1,
    text="A colleague has 9,000 labelled pictures and a teacher with 99 % accuracy. She distils on augmented views of "
    "these pictures, and her student is hardly better than with labels on the same views. What should she try first?",
    choices={
        "a": "Use an even larger teacher.",
        "b": "Search for the best temperature.",
        "c": "Run the teacher on more pictures of the same kind, labelled or not.",
        "d": "Drop the labels.",
    },
    answer="c",
    comments={
        "a": "Her student is far from the teacher that she already has.",
        "b": "It changes the result only a little.",
        "d": "On the same pictures, this removes information and adds none.",
    },
    explanation="A teacher is a function. From a few pictures, the student memorises the teacher's outputs; from many, it "
    "has to learn the function.",
)
