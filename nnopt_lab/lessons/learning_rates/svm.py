"""Lesson 03: pictures of two classes for a linear SVM, and its optimum, to compare Pegasos with."""

import math

import torch

from nnopt_lab.techniques.training import linear_svm
from nnopt_lab.workbench import data


def two_classes(split: data.Split, first: int, second: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Prepare the first `count` pictures of two classes for a linear SVM.

    Returns:
        (float [N, H·W + 1], pixels of length 1 and a constant 0.1, and float [N] of 1 for `first`, −1 for `second`).
    """
    chosen = ((split.labels == first) | (split.labels == second)).nonzero().flatten()[:count]
    pixels = torch.nn.functional.normalize(split.images[chosen].flatten(1).float(), dim=1)
    signs = torch.where(split.labels[chosen] == first, 1.0, -1.0)
    return torch.cat([pixels, torch.full((len(pixels), 1), 0.1)], 1), signs


def optimum(
    x: torch.Tensor, y: torch.Tensor, regularization: float, steps: int = 1500
) -> tuple[torch.Tensor, float, float]:
    """Solve a linear SVM through its dual, by accelerated projected ascent (Beck & Teboulle 2009, with restarts).

    The dual, mean(α) − λ/2·‖w‖² with w = Σ α·y·x/(λN) and 0 ≤ α ≤ 1, is nowhere above the objective. Where the two meet
    is the optimum, no matter how it was found.

    Returns:
        (weights float [D], the objective there, the dual's value: a lower bound of the optimum).
    """
    signed, count = (y[:, None] * x).double(), len(x)
    matrix = signed @ signed.T / (regularization * count**2)
    largest = torch.ones(count).double()
    for _ in range(30):
        largest = torch.nn.functional.normalize(matrix @ largest, dim=0)
    step = 0.99 / (largest @ matrix @ largest)
    alpha = ahead = torch.zeros(count).double()
    momentum = 1.0
    for _ in range(steps):
        new = (ahead + step * (1 / count - matrix @ ahead)).clamp(0, 1)
        if (ahead - new) @ (new - alpha) > 0:  # it overshot
            momentum = 1.0
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / following * (new - alpha)
        alpha, momentum = new, following
    weight = signed.T @ alpha / (regularization * count)
    dual = float(alpha.mean() - regularization / 2 * weight @ weight)
    return weight.float(), float(linear_svm.svm_objective(weight, x.double(), y.double(), regularization)), dual
