"""Exercises and questions of lesson 09: soft targets, what their loss weighs, and whether it helped."""

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
        "The temperature acts on the logits, before the softmax, and a high one makes the classes more alike.",
        "Divide, then softmax over the classes: axis 1 of [N, classes].",
        "`(logits / temperature).softmax(1)`",
    ),
    wrong={
        "You multiplied by the temperature: that makes the teacher surer of itself. Divide.": (
            lambda z, t: (z * t).softmax(1)
        ),
        "The temperature is missing: these are the targets at T = 1.": lambda z, t: z.softmax(1),
        "Your *columns* add up to 1: the softmax ran over the pictures. It must run over the classes, axis 1.": (
            lambda z, t: (z / t).softmax(0)
        ),
        "You divided probabilities, which then no longer add up to 1. Divide the logits, before the softmax.": (
            lambda z, t: z.softmax(1) / t
        ),
        "These are logarithms of the probabilities (log_softmax); the probabilities are wanted.": (
            lambda z, t: (z / t).log_softmax(1)
        ),
        "Two softmaxes, one upon the other: the temperature must divide the logits, not the probabilities.": (
            lambda z, t: (z.softmax(1) / t).softmax(1)
        ),
        "These are still logits, though softened ones: the softmax is missing.": lambda z, t: z / t,
        "exp alone makes no distribution: divide each row by its sum, as softmax does.": lambda z, t: (z / t).exp(),
        "All pictures together add up to 1: you divided by the sum over everything. Each row must add up to 1.": (
            lambda z, t: (z / t).exp() / (z / t).exp().sum()
        ),
        "The temperature is missing below the fraction bar: divide the logits by it in the sum, too.": (
            lambda z, t: (z / t).exp() / z.exp().sum(1, keepdim=True)
        ),
        "You divided by T². The square belongs to the loss, in the next section; here it is T.": (
            called_with(lambda z, t: (z, t**2))
        ),
    },
)
def soft_targets(logits, temperature):
    """Soft targets.

    As T grows, the soft targets tend to 1/classes; what is left of their differences is the logits divided by T. As T
    falls to 0, they tend to the label that the teacher would give.
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
        "p are the teacher's soft targets, q the student's, both at the same temperature. KL = Σ p·(log p − log q) over "
        "the classes, then the mean over the pictures, times T².",
        "Work with logarithms: `log_softmax` of both. p is `log_p.exp()`.",
        "`temperature**2 * (log_p.exp() * (log_p - log_q)).sum(1).mean()`",
    ),
    wrong={
        "The factor T² is missing. Without it the gradients shrink as 1/T², and a hotter teacher is not heard.": (
            lambda s, t, T: soft_loss(s, t, T) / T**2
        ),
        "The factor must be T², not T: the gradient shrinks by 1/T in the student's softmax and by 1/T once more "
        "because the targets differ less.": lambda s, t, T: soft_loss(s, t, T) / T,
        "You measured from the student's point of view, KL(student ‖ teacher). The weights p must be the teacher's.": (
            called_with(lambda s, t, T: (t, s, T))
        ),
        "You took the mean over the classes too (as `F.kl_div` does with reduction='mean'). Sum over the classes, "
        "mean over the pictures: reduction='batchmean'.": lambda s, t, T: soft_loss(s, t, T) / s.shape[1],
        "You summed over the pictures; take their mean, or the step would grow with the batch.": (
            lambda s, t, T: soft_loss(s, t, T) * len(s)
        ),
        "That is the cross-entropy with soft targets. Its gradient is the same, but it is not 0 where student and "
        "teacher agree: the teacher's own entropy is missing.": (
            lambda s, t, T: T**2 * -((t / T).softmax(1) * (s / T).log_softmax(1)).sum(1).mean()
        ),
        "You softened the student only. Both must be at the same temperature, or the student can never match.": (
            lambda s, t, T: T**2 * _divergence(s / T, t)
        ),
        "You softened the teacher only. Both must be at the same temperature, or the student can never match.": (
            lambda s, t, T: T**2 * _divergence(s, t / T)
        ),
        "Your softmaxes are at T = 1, and only the factor T² knows the temperature. Divide the logits of both by T.": (
            lambda s, t, T: T**2 * _divergence(s, t)
        ),
        "The temperature appears nowhere: divide the logits of both by T, and multiply the result by T².": (
            lambda s, t, T: _divergence(s, t)
        ),
        "The sign is turned round: a divergence is never negative. It is log p − log q, teacher minus student.": (
            scaled(-1)
        ),
        "That is the cross-entropy with soft targets, without T²: the teacher's own entropy is missing, and the factor.": (
            lambda s, t, T: F.cross_entropy(s / T, (t / T).softmax(1))
        ),
        "Two things are missing: the factor T², and the sum over the classes, of which you took the mean (as `F.kl_div` "
        "does unless told reduction='batchmean').": lambda s, t, T: soft_loss(s, t, T) / T**2 / s.shape[1],
        "The student went into `F.kl_div` as probabilities; it wants their logarithms there: log_softmax.": (
            lambda s, t, T: T**2 * F.kl_div((s / T).softmax(1), (t / T).softmax(1), reduction="batchmean")
        ),
        "NaN comes from the logarithm of a negative number. Logits and log_softmax are negative: where the target of "
        "`F.kl_div` is a logarithm, say log_target=True, and never take the log of logits.": (
            lambda s, t, T: T**2 * F.kl_div((s / T).log_softmax(1), (t / T).log_softmax(1), reduction="batchmean")
        ),
        "The softmax ran over the pictures. It must run over the classes, axis 1.": (
            lambda s, t, T: T**2 * _divergence(s / T, t / T, axis=0)
        ),
    },
    tolerance=1e-4,
)
def soft_loss(student, teacher, temperature):
    """Hinton's loss.

    In torch: `F.kl_div(log_q, log_p, reduction='batchmean', log_target=True) * T**2`. The order of its arguments is
    (student, teacher): easily swapped, and nothing complains.
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
    """The reference, or with one of its three steps wrong."""

    def parts(logits, labels):
        p = softmax(logits)
        return true(p, labels), others(p, labels)

    return parts


@exercise(
    "distillation.decoupled",
    points=3,
    inputs=_logits_and_labels,
    hints=(
        "First the softmax. The probability of the true class is one number a picture. Of the others you want how they "
        "share what is left: they must add up to 1 again.",
        "`p.gather(1, labels[:, None])` picks the true class; `p.scatter(1, labels[:, None], 0.0)` sets it to zero.",
        "`true = p.gather(1, labels[:, None]).squeeze(1)`, `others = p.scatter(1, labels[:, None], 0.0)`, and divide "
        "others by `(1 - true)[:, None]`.",
    ),
    wrong={
        "The others are not normalised: they add up to 1 − true. Divide by that, or a sure teacher's knowledge about "
        "them stays next to nothing, which is the very thing that decoupling repairs.": _parts(others=_without_true),
        "You set the true class's *logit* to zero, and a logit of zero still gets a share. Set its probability to "
        "zero, or its logit to −inf.": lambda z, y: (target_and_others(z, y)[0], _without_true(z, y).softmax(1)),
        "You took the largest probability. The true class is the one that the label names, also where the network "
        "is wrong.": _parts(true=lambda p, y: p.amax(1)),
        "Your first result is the probability of *not* the true class.": _parts(true=lambda p, y: 1 - _of_true(p, y)),
        "The true class is still among the others: take it out first.": _parts(others=lambda p, y: p),
        "A second softmax, upon probabilities, flattens them and gives the true class a share again. Divide by what is "
        "left: 1 − true.": _parts(others=lambda p, y: _without_true(p, y).softmax(1)),
        "Your first result is the true class's logit. Its probability is wanted: first the softmax.": (
            lambda z, y: (_of_true(z, y), target_and_others(z, y)[1])
        ),
        "You took out the class that the network prefers. The true class is the one that the label names.": (
            called_with(lambda z, y: (z, z.argmax(1)))
        ),
        "The division is right, but the true class is still among the others: set it to 0.": (
            _parts(others=lambda p, y: p / (1 - _of_true(p, y))[:, None])
        ),
        "You divided the others by the true class's probability. They share what it leaves: 1 − true.": (
            _parts(others=lambda p, y: _without_true(p, y) / _of_true(p, y)[:, None])
        ),
        "You dropped the true class's column. Keep all classes, so that they stay in place, with 0 at the true one.": (
            _parts(others=lambda p, y: _shares(p, y)[torch.arange(p.shape[1]) != y[:, None]].reshape(len(p), -1))
        ),
        "The softmax ran over the pictures. It must run over the classes, axis 1.": (
            _parts(softmax=lambda z: z.softmax(0))
        ),
    },
    tolerance=1e-4,
)
def target_and_others(logits, labels):
    """Decoupled: the true class, and the others.

    Hinton's loss weighs the second part with 1 − true: 0.01 where the teacher, at the same temperature, is 99 % sure.
    Decoupled distillation gives it a weight of its own (Zhao et al. 2022).
    """
    return _parts()(logits, labels)


def _squares(features):
    return features.square().sum(1).flatten(1)


@exercise(
    "distillation.attention_map",
    points=2,
    inputs=lambda g: (decimals(g, 2, randint(g, 2, 4), 2, randint(g, 2, 3)),),
    hints=(
        "features is [N, channels, H, W]. One map a picture: the squares, summed over the channels.",
        "Then flatten to [N, H·W], and divide each row by its length (the L2 norm).",
        "`flat = features.square().sum(1).flatten(1)`, `flat / flat.norm(dim=1, keepdim=True)`",
    ),
    wrong={
        "Not normalised: a layer with larger numbers would seem to look harder. Divide each row by its norm.": _squares,
        "You summed the channels without squaring: large positive and negative responses cancel.": (
            lambda f: F.normalize(f.sum(1).flatten(1), dim=1)
        ),
        "Your rows add up to 1; they should have length 1: the root of the sum of squares (L2 norm).": (
            lambda f: F.normalize(_squares(f), p=1, dim=1)
        ),
        "You normalised over the pictures. Each picture's own map must have length 1.": (
            lambda f: F.normalize(_squares(f), dim=0)
        ),
        "You summed over the places and kept the channels: that says which filters respond, not where.": (
            lambda f: F.normalize(f.square().sum((2, 3)), dim=1)
        ),
        "Not normalised: a mean over the channels evens out their number, not their size. Divide each row by its norm.": (
            lambda f: f.square().mean(1).flatten(1)
        ),
        "You summed absolute values. That is an attention map too, but the squares are wanted: they favour the places "
        "where a filter responds strongly.": lambda f: F.normalize(f.abs().sum(1).flatten(1), dim=1),
        "You summed first and squared then, so positive and negative responses cancel. Square each channel first.": (
            lambda f: F.normalize(f.sum(1).square().flatten(1), dim=1)
        ),
        "You took the root of the sum over the channels. The sum of squares itself is the map; only its length takes a root.": (
            lambda f: F.normalize(f.norm(dim=1).flatten(1), dim=1)
        ),
        "You divided by one norm of the whole batch. Each picture's own map must have length 1.": (
            lambda f: _squares(f) / _squares(f).norm()
        ),
        "You normalised before flattening, so each column of the picture has length 1. Flatten first, then each row.": (
            lambda f: F.normalize(f.square().sum(1), dim=1).flatten(1)
        ),
        "You divided by the sum of squares; its root is missing. Each row must have length 1.": (
            lambda f: _squares(f) / _squares(f).square().sum(1, keepdim=True)
        ),
    },
    tolerance=1e-4,
)
def attention_map(features):
    """Where a layer looks.

    A map has no channels, so student and teacher may have different widths; only the picture's size must agree, or be
    averaged down.
    """
    flat = _squares(features)
    return flat / flat.norm(dim=1, keepdim=True)


def _interval(times_error=4.303, deviation=statistics.stdev, root=3**0.5):
    """The reference, or with one thing wrong: the verdicts by the mean difference ± times_error · deviation / root."""

    def judge(alone, methods):
        verdicts = []
        for method in methods:
            gains = [b - a for a, b in zip(alone, method, strict=True)]
            mean, half = statistics.mean(gains), times_error * deviation(gains) / root
            verdicts.append("gain" if mean - half > 0 else "loss" if mean + half < 0 else "not shown")
        return verdicts

    return judge


# Three differences each, in tenths of a point, and how many standard errors their mean is from 0: 4.303 are wanted. What
# lies between distinguishes a wrong factor, root or deviation from the right one.
_GAINS = (
    (165, 168, 166),  # above the spread of the seeds, so that it needs no pairs
    (10, 11, 12),  # 19
    (20, 12, 14),  # 6.4: no longer shown without the root
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
        "The same seed made both numbers of a pair. So for each method look at its three *differences*, method − alone.",
        "The interval of their mean: mean ± 4.303 · s/√3, where s is their standard deviation (`statistics.stdev`) and "
        "4.303 Student's t for 95 %, two-sided, and three values.",
        "Where the whole interval is above 0: 'gain'. Below: 'loss'. Else 'not shown'. One verdict a method, in order.",
    ),
    wrong={
        "You compared means only. With three seeds a mean may differ by chance: ask whether the interval holds 0.": (
            _of_means
        ),
        "Your answer does not look at the numbers. Some of the methods gain the same with every seed.": (
            changed(lambda found: ["not shown"] * len(found))
        ),
        "You compared the two groups without pairing them. The seeds differ by more than the method does; the same "
        "seed on both sides cancels that.": _unpaired,
        "The sign is turned round: a gain is method − alone.": (
            lambda alone, methods: [verdicts(method, [alone])[0] for method in methods]
        ),
        "You counted signs: three equal signs come by chance once in four times. The interval asks for more.": (
            _by_signs
        ),
        "Your standard deviation divides by 3, as `statistics.pstdev` and `np.std` do. With three differences divide by "
        "2: `statistics.stdev`, `torch.std`, or `np.std` with ddof=1.": _interval(deviation=statistics.pstdev),
        "The √3 is missing: you used the deviation of one difference. That of the mean of three is s/√3.": (
            _interval(root=1)
        ),
        "You divided by 3; the standard error of a mean of three is s/√3.": _interval(root=3),
        "Your factor is about 2 (1.96), which would do for many seeds. With three, s itself is uncertain: Student's t "
        "is 4.303.": _interval(1.96),
        "The factor 4.303 is missing: mean ± one standard error, s/√3, holds the truth much less often than in 95 %.": (
            _interval(1)
        ),
        "You took the mean ± s. The interval of a mean is ± 4.303 · s/√3.": _interval(1, root=1),
        "You used the variance; s is its root, the standard deviation.": _interval(deviation=statistics.variance),
        "'not shown' is never your answer. An interval whose lower end is below 0 is a loss only where its upper end "
        "is below 0, too.": changed(lambda found: [v if v == "gain" else "loss" for v in found]),
        "'loss' is never your answer: where the whole interval lies below 0, the method did harm, and that is shown.": (
            changed(lambda found: [v if v == "gain" else "not shown" for v in found])
        ),
    },
)
def verdicts(alone, methods):
    """Did it help?

    Three seeds are few: t is 4.3 where many seeds would need 2. What such an interval does show, it shows; what it does
    not show may still be there.
    """
    return _interval()(alone, methods)


question(
    "distillation.why_soft",
    points=1,
    text="What does a soft target hold that a label does not?",
    choices={
        "a": "A higher probability for the right class.",
        "b": "How alike the other classes are to this picture: a heart that could be a T, but no ring.",
        "c": "The weights of the teacher.",
    },
    answer="b",
    comments={
        "a": "It is lower: a label gives the right class all of it.",
        "c": "They stay with the teacher; only its answers are passed on.",
    },
    explanation="A label says one of ten things, at most log₂ 10 ≈ 3.3 bits. A soft target says for this very picture "
    "which mistakes are small ones, and the student need not find that out by itself.",
)
question(
    "distillation.too_strong",
    points=1,
    text="The gradient of a soft loss at temperature T is about how many times that at T = 1 if the factor T² is left out "
    "and T = 10? (Both networks unsure, logits small.)",
    answer=0.01,
    tolerance=0.002,
    explanation="1/T² = 0.01: once 1/T from the student's softmax, once because targets and outputs differ by 1/T of what "
    "the logits differ by. Multiplied by T² it has its size again, whatever the temperature.",
)
question(
    "distillation.try_first",
    points=1,
    text="A colleague has 9,000 labelled pictures and a teacher of 99 %. Taught on augmented views of them, her student is "
    "hardly better than with labels on the same views. What should she try first?",
    choices={
        "a": "A still larger teacher.",
        "b": "A search for the temperature.",
        "c": "To ask the teacher about more pictures of the same kind, labelled or not.",
        "d": "To throw the labels away.",
    },
    answer="c",
    comments={
        "a": "The student did not reach the teacher that she has.",
        "b": "Worth a try, but it moves the result by less than other pictures do: section 8 will show it.",
        "d": "On the same pictures that takes something away and adds nothing.",
    },
    explanation="A teacher is a function. On few pictures the student learns its few answers by heart; on many it must "
    "learn the function.",
)
