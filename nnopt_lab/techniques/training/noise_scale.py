"""The gradient noise scale: the batch size above which more pictures hardly improve the gradient.

Source: McCandlish et al. 2018, "An Empirical Model of Large-Batch Training", https://arxiv.org/abs/1812.06162
(B_simple = tr Σ / |G|² in section 2.2, its measurement from two batch sizes in appendix A.1).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnopt_lab.workbench import data, smoke, training

FEW_PARAMETERS = 1_000  # gradients of networks up to this size cost nothing, so smoke mode doesn't shorten them


class NoiseScale(NamedTuple):
    """Unbiased estimates, possibly negative, of |G|² of the true gradient and tr Σ of single samples' gradients."""

    signal: float
    noise: float

    @property
    def simple(self) -> float:
        """B_simple = tr Σ / |G|², in samples; infinite if the gradient does not exceed the noise."""
        return max(self.noise, 0.0) / self.signal if self.signal > 0 else float("inf")


def from_norms(small: int, big: int, small_norm2: float, big_norm2: float) -> NoiseScale:
    """Compute the noise scale from two batch sizes (appendix A.1).

    For a batch of B, E|G_B|² = |G|² + tr Σ / B, so two sizes give two equations.

    Args:
        small, big: batch sizes, 1 ≤ small < big.
        small_norm2, big_norm2: means of the *squared* gradient norms of batches of these sizes.

    Raises:
        ValueError: the sizes are out of their range.
    """
    if not 1 <= small < big:
        raise ValueError(f"small={small} and big={big} must be 1 ≤ small < big.")
    signal = (big * big_norm2 - small * small_norm2) / (big - small)
    return NoiseScale(signal, (small_norm2 - big_norm2) / (1 / small - 1 / big))


def measured(
    gradient: Callable[[Tensor], Tensor], count: int, *, small: int = 32, parts: int = 16, draws: int = 8, seed: int = 0
) -> NoiseScale:
    """Estimate the noise scale from large batches, each the mean of several small ones; norms are averaged first.

    Args:
        gradient: a function positions, int64 [small] → mean gradient, float [P].
        count: number of samples; positions are drawn from 0 to count − 1 with replacement.
        small: samples per small batch, at least 1.
        parts: small batches per large one, at least 2.
        draws: number of large batches, at least 1.
        seed: of the positions.
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
    """Make the function for `measured`: positions in the training split → flat gradient of the loss; `.grad` is kept.

    Raises:
        ValueError: all parameters are frozen; from the function: the model doesn't return a tensor.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("model has only frozen parameters, so there is no gradient.")

    def gradient(positions: Tensor) -> Tensor:
        part, device = pictures.train[positions], parameters[0].device
        logits = training.logits_of(model, pictures.to_input(part.images).to(device))
        value = loss(logits, part.labels.to(device))
        gradients = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
        return torch.cat([g.flatten() for g in gradients])

    return gradient
