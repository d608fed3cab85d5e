"""Losses that compare a student's logits with its teacher's.

Sources: Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network", https://arxiv.org/abs/1503.02531
(temperature); Zhao et al. 2022, "Decoupled Knowledge Distillation", https://arxiv.org/abs/2203.08679
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, tuple], Tensor]


def soft_targets(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute softmax(logits / temperature) over the classes; each row sums to 1.

    Args:
        logits: float [N, C].
        temperature: above 0.

    Returns:
        float [N, C].

    Raises:
        ValueError: `temperature` is not above 0.
    """
    return (logits / _checked(temperature)).softmax(1)


def soft_loss(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    """Compute T² · KL(teacher ‖ student) of the soft targets, averaged over pictures (Hinton et al. 2015, section 2).

    The factor T² compensates for the gradients, which shrink as 1/T².

    Args:
        student, teacher: logits, float [N, C].
        temperature: T, above 0.

    Raises:
        ValueError: the shapes differ or are not [N, C], or `temperature` is not above 0.
    """
    _check_shapes(student, teacher)
    log_student = (student / _checked(temperature)).log_softmax(1)
    log_teacher = (teacher / temperature).log_softmax(1)
    return temperature**2 * F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)


def distillation_loss(temperature: float = 4.0, soft_share: float = 0.9) -> Loss:
    """Make the loss (1 − soft_share) · cross-entropy + soft_share · `soft_loss`.

    Its targets are (labels int64 [N], teacher's logits float [N, C], …).

    Raises:
        ValueError: `temperature` is not above 0, or `soft_share` not in [0, 1].
    """
    _checked(temperature)
    if not 0 <= soft_share <= 1:
        raise ValueError(f"soft_share={soft_share} must be between 0 and 1.")

    def loss(logits: Tensor, targets: tuple) -> Tensor:
        labels, teacher, *_ = targets
        hard = F.cross_entropy(logits, labels) if soft_share < 1 else 0.0
        return (1 - soft_share) * hard + soft_share * soft_loss(logits, teacher, temperature)

    return loss


def decoupled_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 4.0, target: float = 1.0, others: float = 8.0
) -> Tensor:
    """Compute T² · (target · TCKD + others · NCKD), averaged over pictures (Zhao et al. 2022, equations 6 and 7).

    TCKD compares the probability of the true class with that of all others together; NCKD compares how the probability
    is distributed among the others. Hinton's loss has target = 1 and others = the teacher's probability of "not the
    true class". If the teacher is certain, that is almost 0, and the student learns little about the other classes.

    Args:
        student, teacher: logits, float [N, C].
        labels: int64 [N].
        temperature: T, above 0.
        target, others: weights of the two parts, α and β in the paper.

    Raises:
        ValueError: the shapes differ or are not [N, C], or `temperature` is not above 0.
    """
    _check_shapes(student, teacher)
    true = F.one_hot(labels, student.shape[1]).bool()

    def parts(logits: Tensor) -> tuple[Tensor, Tensor]:
        logs = (logits / _checked(temperature)).log_softmax(1)
        rest = logs.masked_fill(true, -torch.inf).logsumexp(1, keepdim=True)
        among = (logs - rest)[~true].reshape(len(logs), -1)
        return torch.cat([logs[true].unsqueeze(1), rest], 1), among

    (two_student, among_student), (two_teacher, among_teacher) = parts(student), parts(teacher)
    tckd = F.kl_div(two_student, two_teacher, reduction="batchmean", log_target=True)
    nckd = F.kl_div(among_student, among_teacher, reduction="batchmean", log_target=True)
    return temperature**2 * (target * tckd + others * nckd)


def decoupled(temperature: float = 4.0, target: float = 1.0, others: float = 8.0, hard: float = 1.0) -> Loss:
    """Make the loss hard · cross-entropy + `decoupled_loss`; its targets are as in `distillation_loss`.

    Raises:
        ValueError: `temperature` is not above 0.
    """
    _checked(temperature)

    def loss(logits: Tensor, targets: tuple) -> Tensor:
        labels, teacher, *_ = targets
        return hard * F.cross_entropy(logits, labels) + decoupled_loss(
            logits, teacher, labels, temperature, target, others
        )

    return loss


def _check_shapes(student: Tensor, teacher: Tensor) -> None:
    if student.shape != teacher.shape or student.dim() != 2:
        raise ValueError(
            f"student has shape {list(student.shape)} and teacher {list(teacher.shape)}; both must be [N, classes]."
        )


def _checked(temperature: float) -> float:
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} must be above 0.")
    return temperature
