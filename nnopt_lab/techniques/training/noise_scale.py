"""The gradient noise scale: the batch size above which more pictures hardly improve the gradient.

Source: McCandlish et al. 2018, "An Empirical Model of Large-Batch Training" (B_simple = tr Σ / |G|² in section 2.2, its
measurement from two batch sizes in appendix A.1).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnopt_lab.workbench import data, smoke, training

FEW_PARAMETERS = 1_000  # gradients of so few cost nothing, so smoke mode leaves them all


class NoiseScale(NamedTuple):
    """|G|² of the true gradient and tr Σ of single samples' gradients; unbiased estimates, which may be below 0."""

    signal: float
    noise: float

    @property
    def simple(self) -> float:
        """B_simple = tr Σ / |G|², in samples; infinite if no gradient was found above the noise."""
        return max(self.noise, 0.0) / self.signal if self.signal > 0 else float("inf")


def from_norms(small: int, big: int, small_norm2: float, big_norm2: float) -> NoiseScale:
    """Appendix A.1: a batch of B has E|G_B|² = |G|² + tr Σ / B, and two sizes, 1 ≤ small < big, make two equations.

    The norms are means of *squared* norms of the gradients of such batches. ValueError for sizes in another order.
    """
    if not 1 <= small < big:
        raise ValueError(f"small={small} and big={big} must be 1 ≤ small < big.")
    signal = (big * big_norm2 - small * small_norm2) / (big - small)
    return NoiseScale(signal, (small_norm2 - big_norm2) / (1 / small - 1 / big))


def measured(
    gradient: Callable[[Tensor], Tensor], count: int, *, small: int = 32, parts: int = 16, draws: int = 8, seed: int = 0
) -> NoiseScale:
    """Estimate from `draws` large batches, each the mean of `parts` ≥ 2 small ones; norms are averaged first.

    Args:
        gradient: function of positions, int64 [small] → their mean gradient [P].
        count: positions are drawn from 0 to count − 1, with replacement.
    """
    if smoke.on() and gradient(torch.arange(small) % count).numel() > FEW_PARAMETERS:
        small, parts, draws = smoke.cap(small, 8), smoke.cap(parts, 2), smoke.cap(draws, 1)
    generator, small_norm2, big_norm2 = torch.Generator().manual_seed(seed), 0.0, 0.0
    for _ in range(draws):
        gradients = [gradient(torch.randint(count, (small,), generator=generator)) for _ in range(parts)]
        small_norm2 += sum(g.square().sum().item() for g in gradients) / parts / draws
        big_norm2 += (sum(gradients) / parts).square().sum().item() / draws
    return from_norms(small, small * parts, small_norm2, big_norm2)


def gradient_of(
    model: nn.Module, pictures: data.Pictures, loss: Callable = F.cross_entropy
) -> Callable[[Tensor], Tensor]:
    """For `measured`: a function positions in the training split → gradient of the loss there, flat; `.grad` stays.

    Raises:
        ValueError: all parameters are frozen; and by the function, the model returns something else than a tensor.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("model has no parameter that is not frozen: there is no gradient.")

    def gradient(positions: Tensor) -> Tensor:
        part, device = pictures.train[positions], parameters[0].device
        logits = training.logits_of(model, pictures.to_input(part.images).to(device))
        value = loss(logits, part.labels.to(device))
        gradients = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
        return torch.cat([g.flatten() for g in gradients])

    return gradient
