"""Train a linear SVM by stochastic subgradient steps, as Pegasos does.

Source: Shalev-Shwartz, Singer & Srebro 2007, "Pegasos", https://doi.org/10.1145/1273496.1273598
"""

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.training.schedules import Pegasos, Schedule
from nnopt_lab.workbench import smoke


def svm_objective(weight: Tensor, x: Tensor, y: Tensor, regularization: float) -> Tensor:
    """Compute a linear SVM's objective, λ/2·‖w‖² + mean of max(0, 1 − y·w·x).

    Args:
        weight: w, float […, D].
        x: float [N, D].
        y: float [N], −1 or 1.
        regularization: λ.

    Returns:
        float […].
    """
    return regularization / 2 * weight.square().sum(-1) + (1 - y * (weight @ x.T)).clamp(min=0).mean(-1)


def pegasos_svm(
    x: Tensor,
    y: Tensor,
    regularization: float,
    steps: int,
    *,
    schedule: Schedule | None = None,
    rate: float = 1.0,
    batch_size: int = 1,
    project: bool = False,
    seed: int = 0,
) -> Tensor:
    """Train a linear SVM by stochastic subgradient steps from w = 0 (Shalev-Shwartz et al. 2007, figure 1).

    Args:
        x: float [N, D]; add a column of ones for a constant term.
        y: float [N], −1 or 1.
        regularization: λ, above 0.
        steps: number of steps, at least 1.
        schedule: of the learning rate; default `Pegasos` with this λ.
        rate: the optimizer's learning rate, which another schedule than `Pegasos` uses.
        batch_size: examples per step, drawn with replacement.
        project: whether to shrink w after each step into the ball of radius 1/√λ, which contains the optimum.
        seed: of the examples' order.

    Returns:
        float [steps, D], the weights after each step.
    """
    weight, kept = nn.Parameter(torch.zeros(x.shape[1])), []
    optimizer = torch.optim.SGD([weight], lr=rate, weight_decay=regularization)  # the decay is the penalty's gradient
    scheduler = schedule(optimizer) if schedule else Pegasos(optimizer, regularization)
    drawn = torch.randint(len(x), (steps, batch_size), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for chosen in smoke.few(drawn, 50):
            signs, some = y[chosen], x[chosen]
            weight.grad = -((signs * (signs * (some @ weight) < 1)) @ some) / batch_size
            optimizer.step()
            scheduler.step()
            if project:
                weight.mul_(min(1.0, regularization**-0.5 / max(float(weight.norm()), 1e-12)))
            kept.append(weight.clone())
    return smoke.repeat_rows(torch.stack(kept), steps)
