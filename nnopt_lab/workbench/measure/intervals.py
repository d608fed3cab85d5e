"""Confidence intervals for medians and for differences between accuracies."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

import torch
from torch import Tensor

from nnopt_lab.workbench.measure.written import decimals, number

# The same code can be a few percent slower just because of where the linker or malloc placed it (Mytkowicz et al.,
# "Producing Wrong Data Without Doing Anything Obviously Wrong!", ASPLOS 2009, https://doi.org/10.1145/1508244.1508275):
# one process can't distinguish networks that close.
INDISTINGUISHABLE = 0.01


@dataclass(frozen=True)
class Interval:
    """An estimate and the range that covers the true value with probability `confidence` (0 to 1)."""

    estimate: float
    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        form = f".{self._decimals()}f"
        middle, low, high = (number(value, form) for value in (self.estimate, self.low, self.high))
        return f"{middle} ({100 * self.confidence:g} % interval {low} to {high})"

    def _decimals(self) -> int:
        return decimals(self.estimate, self.low, self.high)


class PointsDifference(Interval):
    """Difference of two accuracies in points; written with at most two decimals: 10,000 pictures can't show more."""

    def _decimals(self) -> int:
        return min(2, super()._decimals())


class Ratio(Interval):
    """Ratio of two networks' times; `str` says which is faster, or that no difference was measured."""

    @property
    def median(self) -> float:
        return self.estimate

    @property
    def differs(self) -> bool:
        """Whether the interval lies outside 1 ± 0.01; one process can't distinguish networks closer than that."""
        return self.low > 1 + INDISTINGUISHABLE or self.high < 1 - INDISTINGUISHABLE

    def __str__(self) -> str:
        # Each a whole text, as whose template it is found again when it is shown in another language.
        percent, values = f"{100 * self.confidence:g}", (self.estimate, self.low, self.high)
        if self.differs and self.estimate < 1:
            middle, high, low = (number(1 / value) for value in values)
            return f"{middle}× slower ({percent} % interval {low} to {high})"
        middle, low, high = map(number, values)
        if self.differs:
            return f"{middle}× faster ({percent} % interval {low} to {high})"
        return f"no difference measured (ratio {middle}, {percent} % interval {low} to {high})"


def median_interval(values, confidence: float = 0.95) -> Interval:
    """Compute the median of independent samples with an interval that is valid for any distribution.

    The k-th smallest and the k-th largest of n values fail to enclose the median only if fewer than k values fall on
    one side of it, and that number is binomial(n, ½). The interval uses the largest k that keeps the confidence
    (Conover, Practical Nonparametric Statistics, 3rd ed. 1999, section 3.2).

    Args:
        values: numbers, at least 6 of them for a confidence of 0.95.
        confidence: above 0, below 1.

    Raises:
        ValueError: `confidence` is out of its range, or there are too few values for it.
    """
    _check_confidence(confidence)
    values = sorted(values)
    n, k, tail = len(values), 0, 0.5 ** len(values)
    while tail <= (1 - confidence) / 2:  # tail: the probability that at most k of n fall below the median
        k += 1
        tail += math.comb(n, k) / 2**n
    if n == 0 or k == 0:
        fewest = math.ceil(math.log2(2 / (1 - confidence)))
        raise ValueError(f"values: {n} given, but a {100 * confidence:g} % interval needs at least {fewest}.")
    return Interval((values[(n - 1) // 2] + values[n // 2]) / 2, values[k - 1], values[n - k], confidence)


def proportion_difference(correct_a: Tensor, correct_b: Tensor, confidence: float = 0.95) -> PointsDifference:
    """Compute the accuracy of b minus the accuracy of a on the same pictures, in percentage points.

    Only the pictures on which the two disagree carry information about the difference. The interval is Wald's for
    matched pairs after half a picture is added to each of the four cases (Agresti & Min, Statistics in Medicine 24,
    2005, https://doi.org/10.1002/sim.1781), which keeps its confidence even with few disagreements.

    Args:
        correct_a, correct_b: bool [N], which pictures each network classified correctly, in the same order.
        confidence: above 0, below 1.

    Raises:
        ValueError: the tensors are not bool, one-dimensional, equally long and non-empty, or `confidence` is out of
            its range.
    """
    _check_confidence(confidence)
    for name, value in (("correct_a", correct_a), ("correct_b", correct_b)):
        if value.dtype != torch.bool or value.dim() != 1 or len(value) == 0:
            raise ValueError(f"{name} is {value.dtype} {list(value.shape)}; it must be bool [N] with N at least 1.")
    if len(correct_a) != len(correct_b):
        raise ValueError(f"correct_a has {len(correct_a)} pictures and correct_b {len(correct_b)}; they must match.")
    n, gained, lost = len(correct_a), int((correct_b & ~correct_a).sum()), int((correct_a & ~correct_b).sum())
    centre = (gained - lost) / (n + 2)
    error = math.sqrt(gained + lost + 1 - (gained - lost) ** 2 / (n + 2)) / (n + 2)
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * error
    low, high = max(centre - reach, -1), min(centre + reach, 1)
    return PointsDifference(100 * (gained - lost) / n, 100 * low, 100 * high, confidence)


def mean_difference(values_a: Sequence[float], values_b: Sequence[float], confidence: float = 0.95) -> Interval:
    """Compute the mean of b minus a over matched pairs, such as two ways of training with the same seeds.

    The interval is Student's for the differences, which assumes that they are roughly normal (Student, "The Probable
    Error of a Mean", Biometrika 6, 1908, https://doi.org/10.2307/2331554).

    Args:
        values_a, values_b: numbers [K], one per seed in the same order; K at least 2.
        confidence: above 0, below 1.

    Raises:
        ValueError: there are fewer than two pairs, the lengths differ, or `confidence` is out of its range.
    """
    from scipy import special  # takes a fifth of a second to import

    _check_confidence(confidence)
    if len(values_a) != len(values_b) or len(values_a) < 2:
        raise ValueError(
            f"values_a has {len(values_a)} numbers and values_b {len(values_b)}; they must match and be at least 2."
        )
    differences = [b - a for a, b in zip(values_a, values_b, strict=True)]
    count, centre = len(differences), fmean(differences)
    reach = special.stdtrit(count - 1, (1 + confidence) / 2) * stdev(differences) / math.sqrt(count)
    return Interval(centre, centre - reach, centre + reach, confidence)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} must lie between 0 and 1, such as 0.95.")
