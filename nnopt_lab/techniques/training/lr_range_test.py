"""The learning-rate range test: train with a growing rate, watch the loss, and suggest an initial rate.

Source: Smith 2017, "Cyclical Learning Rates", section 3.3, https://arxiv.org/abs/1506.01186
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nnopt_lab.techniques.network_checks import copied
from nnopt_lab.workbench import data, training
from nnopt_lab.workbench.progress_bar import progress_bar


def smooth(losses: Sequence[float], beta: float = 0.9) -> list[float]:
    """Smooth losses by a running mean: s_t = β·s_{t−1} + (1 − β)·l_t from s_0 = 0, divided by 1 − β^t, 0 ≤ β < 1.

    The division corrects for the start at 0 (Kingma & Ba 2015, "Adam", section 3, https://arxiv.org/abs/1412.6980).
    """
    state, means = 0.0, []
    for t, loss in enumerate(losses, 1):
        state = beta * state + (1 - beta) * loss
        means.append(state / (1 - beta**t))
    return means


def steepest(rates: Sequence[float], losses: Sequence[float]) -> float:
    """The rate, of at least two, after which the loss falls fastest relative to the logarithm of the rate."""
    slopes = torch.tensor(losses).double().diff() / torch.tensor(rates).double().log().diff()
    return rates[int(slopes.argmin())]


@dataclass(frozen=True)
class RangeTest:
    """Result of a range test: one entry per step, and whether the loss diverged before the highest rate."""

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    diverged: bool

    @property
    def steepest(self) -> float:
        """The rate at which the smoothed loss falls fastest before its minimum, like fastai's first suggestion."""
        # After the minimum, a loss that has jumped up may fall back faster than it fell before.
        end = max(self._lowest + 1, 2)
        return steepest(self.rates[:end], self.smoothed[:end])

    @property
    def tenth_of_minimum(self) -> float:
        """A tenth of the rate with the lowest smoothed loss, fastai's second suggestion."""
        return self.rates[self._lowest] / 10

    @property
    def _lowest(self) -> int:
        return self.smoothed.index(min(self.smoothed))


def range_test(
    model: nn.Module,
    pictures: data.Pictures,
    *,
    optimizer: Optimizer | Callable | None = None,
    low: float = 1e-5,
    high: float = 10.0,
    steps: int = 100,
    batch_size: int = 64,
    train: data.Split | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy,
    seed: int = 0,
) -> RangeTest:
    """Train with a rate that grows from `low` to `high` by the same factor per step, and watch the loss.

    The test ends early if the smoothed loss exceeds four times its lowest value or is not finite. It trains copies:
    model, optimizer and torch's random state are left unchanged, even after Ctrl-C. (Smith 2017, section 3.3, uses a
    linear sweep; the exponential one and the early end are fastai's.)

    Args:
        model, pictures, optimizer, batch_size, train, loss, seed: as in `training.fit`; the optimizer's own rate is not
            used. The loss must not depend on hidden layers: a copy is trained, and a `Watch` stays with the original.
        low, high: 0 < low < high.
        steps: at least 2.

    Raises:
        ValueError: `low`, `high` or `steps` is out of its range, one of the first two losses is not finite, all
            parameters are frozen, or the model doesn't return a tensor.
    """
    if not 0 < low < high or steps < 2:
        raise ValueError(f"low={low} must be above 0 and below high={high}, and steps={steps} at least 2.")
    # In one call, so that the copied optimizer refers to the copied parameters.
    model, optimizer = copied((model, optimizer))
    if not isinstance(optimizer, Optimizer):
        optimizer = (optimizer or _article_sgd)(model.parameters())
    training.require_trainable(optimizer)
    device, sweep = training.device_of(model), [low * (high / low) ** (i / (steps - 1)) for i in range(steps)]
    losses, smoothed, diverged = [], [], False
    model.train()
    with training.reproducible(seed), progress_bar(total=steps, desc="range test", unit="step") as bar:
        loader = data.loader(train or pictures.train, pictures, batch_size, shuffle=True, seed=seed)
        for rate, (inputs, labels) in zip(sweep, chain.from_iterable(repeat(loader)), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            value = loss(training.logits_of(model, inputs.to(device)), labels.to(device))
            if math.isfinite(value.item()):
                losses.append(value.item())
                smoothed = smooth(losses)
            diverged = not math.isfinite(value.item()) or smoothed[-1] > 4 * min(smoothed)
            if diverged:
                break
            value.backward()
            optimizer.step()
            bar.update()
    if len(losses) < 2:
        raise ValueError(f"low={low} is too high already: the loss was not finite at step {len(losses) + 1}.")
    return RangeTest(sweep[: len(losses)], losses, smoothed, diverged)


def _article_sgd(parameters) -> Optimizer:
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9)
