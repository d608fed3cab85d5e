"""Detect files that have memorised the test pictures instead of classifying clothes."""

import math

from torch import Tensor

from nnopt_lab.grading.capstone.variants import Rightness, mostly

CHANGED, FAR, BETTER = 1.0, 0.5, 0.5  # percent of the pictures by which an honest file may differ, besides chance
CHANCE = 3.5  # standard errors
BY_HEART = "it has memorised the test pictures instead of learning to classify clothes."


def reason(right: Rightness) -> str:
    """A sentence with the evidence that a file has memorised the test pictures, or "".

    An honest file loses little accuracy if pictures change slightly, no more on test pictures than on others, and is
    not better on test pictures than on those it was trained on.
    """
    loss = right.as_is - mostly(right.near)
    if _exceeds(loss.mean(), _error(loss), CHANGED):
        return f"If the test pictures change slightly, it loses {_points(loss)}: {BY_HEART}"
    far, others_far = right.sample_near - right.far, right.others_near - right.others_far
    if _exceeds(far.mean() - others_far.mean(), _error(far, others_far), FAR):
        return (
            f"If pictures are moved by up to a pixel, it loses {_points(far)} on the test pictures and "
            f"{_points(others_far)} on others: {BY_HEART}"
        )
    near = right.near[0]
    for others, what in ((right.others_near, "other"), (right.validation, "validation")):
        if _exceeds(near.mean() - others.mean(), _error(near, others), BETTER):
            return (
                f"It is right on {100 * near.mean():.1f} % of the test pictures and on "
                f"{100 * others.mean():.1f} % of the {what} pictures: {BY_HEART}"
            )
    return ""


def _exceeds(difference: Tensor, error: float, most: float) -> bool:
    return difference.item() > most / 100 + CHANCE * error


def _error(*samples: Tensor) -> float:
    """The standard error of a mean, or of the difference of two."""
    return math.sqrt(sum(sample.var(correction=0).item() / len(sample) for sample in samples))


def _points(loss: Tensor) -> str:
    return f"{100 * loss.mean():.1f} points"
