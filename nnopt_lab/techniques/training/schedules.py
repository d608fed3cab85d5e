"""Learning rates: schedules, warm-up, the range test for a first rate, and Pegasos. The article's section 3.2.1.

torch has nearly every schedule; here are what it lacks (`Pegasos`) and one table of them all (`SCHEDULES`).

Sources: Smith 2017, "Cyclical Learning Rates" (range test, triangular schedules); Smith & Topin 2018,
"Super-Convergence" (one cycle); Loshchilov & Hutter 2017, "SGDR" (cosine, warm restarts); Goyal et al. 2017, "Accurate,
Large Minibatch SGD" (warm-up); Shalev-Shwartz, Singer & Srebro 2007, "Pegasos"; Bottou 2012, "Stochastic Gradient
Descent Tricks" (the bounded 1/t rate).
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import torch
from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from nnopt_lab.workbench import data, training
from nnopt_lab.workbench.progress_bar import progress_bar

Schedule = Callable[[Optimizer], LRScheduler]  # what `training.fit` takes as its scheduler


class Pegasos(LRScheduler):
    """The rate 1/(λt) at step t = 1, 2, … (Shalev-Shwartz et al. 2007, figure 1), or its bounded form for networks.

    1/(λt) is made for λ-strongly convex objectives, such as a linear SVM with the penalty λ/2·‖w‖²: it starts at 1/λ,
    whatever the optimizer says. Bounded, each parameter group starts at its own rate η0: η0/(1 + λ·η0·(t − 1)), which
    comes near 1/(λt) in the end (Bottou 2012). `last_epoch` is as in torch's schedulers.

    Raises:
        ValueError: `regularization`, λ, is not above 0.
    """

    def __init__(self, optimizer: Optimizer, regularization: float, *, bounded: bool = False, last_epoch: int = -1):
        _check_above_0("regularization", regularization)
        self.regularization, self.bounded = regularization, bounded
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rate of each parameter group at the present step."""
        if self.bounded:
            return [base / (1 + self.regularization * base * self.last_epoch) for base in self.base_lrs]
        return [1 / (self.regularization * (self.last_epoch + 1)) for _ in self.base_lrs]


def with_warm_up(schedule: Schedule, steps: int, start: float = 0.01) -> Schedule:
    """Raise the rate in a straight line from `start` times its first value, for `steps` ≥ 1 steps; then `schedule`."""
    _check_above_0("steps", steps)

    def make(optimizer: Optimizer) -> LRScheduler:
        rise = lr_scheduler.LinearLR(optimizer, start_factor=start, total_iters=steps)
        return lr_scheduler.SequentialLR(optimizer, [rise, schedule(optimizer)], milestones=[steps])

    return make


def _cyclical(mode: str) -> Callable[[int], Schedule]:
    # Two cycles, between a quarter of the peak and the peak (Smith 2017, section 3.3: a third or a quarter).
    def of(steps: int) -> Schedule:
        return lambda o: lr_scheduler.CyclicLR(
            o,
            [peak / 4 for peak in _peaks(o)],
            _peaks(o),
            step_size_up=max(steps // 4, 1),
            mode=mode,
            gamma=0.01 ** (1 / steps) if mode == "exp_range" else 1.0,
            cycle_momentum=False,
        )

    return of


def _warm_cosine(steps: int) -> Schedule:
    rise = -(-steps // 10)
    return with_warm_up(SCHEDULES["cosine"](max(steps - rise, 1)), rise)


def _one_cycle(steps: int) -> Schedule:
    return lambda o: lr_scheduler.OneCycleLR(o, _peaks(o), total_steps=steps, cycle_momentum=_has_momentum(o))


# Name → function steps → schedule. The optimizer's rate is the highest of a schedule that is made for `steps` steps;
# all of them step once a batch, only "plateau" after each look at the losses.
SCHEDULES: dict[str, Callable[[int], Schedule]] = {
    "constant": lambda steps: lambda o: lr_scheduler.ConstantLR(o, factor=1, total_iters=0),
    "exponential": lambda steps: lambda o: lr_scheduler.ExponentialLR(o, gamma=0.01 ** (1 / steps)),
    "step": lambda steps: lambda o: lr_scheduler.StepLR(o, step_size=-(-steps // 3), gamma=0.1),
    "polynomial": lambda steps: lambda o: lr_scheduler.PolynomialLR(o, total_iters=steps, power=1),
    "cosine": lambda steps: lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=steps),
    "warm restarts": lambda steps: lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=-(-steps // 7), T_mult=2),
    "warm-up + cosine": _warm_cosine,
    "plateau": lambda steps: lambda o: ReduceLROnPlateau(o, factor=0.3, patience=0),
    "triangular": _cyclical("triangular"),
    "triangular2": _cyclical("triangular2"),
    "exp_range": _cyclical("exp_range"),
    "one-cycle": _one_cycle,
    "Pegasos": lambda steps: lambda o: Pegasos(o, 9 / (steps * max(_peaks(o))), bounded=True),  # ends at a tenth
}


def rates(schedule: Schedule, steps: int, peak: float = 1.0, losses: Sequence[float] | None = None) -> list[float]:
    """The rates of `steps` steps of an optimizer with the rate `peak`, without training.

    Raises:
        ValueError: the schedule is a ReduceLROnPlateau and `losses`, which it looks at, has not `steps` entries.
    """
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=peak, momentum=0.9)
    scheduler, seen = schedule(optimizer), []
    looks = isinstance(scheduler, ReduceLROnPlateau)
    if looks and (losses is None or len(losses) != steps):
        raise ValueError(f"losses must be {steps} numbers, one a step: a plateau schedule looks at them.")
    for step in range(steps):
        seen.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step(*([losses[step]] if looks else []))
    return seen


def smooth(losses: Sequence[float], beta: float = 0.9) -> list[float]:
    """Running mean of noisy losses: s_t = β·s_{t−1} + (1 − β)·l_t from s_0 = 0, divided by 1 − β^t, 0 ≤ β < 1.

    The division corrects the start at 0 (Kingma & Ba 2015, "Adam", section 3).
    """
    state, means = 0.0, []
    for t, loss in enumerate(losses, 1):
        state = beta * state + (1 - beta) * loss
        means.append(state / (1 - beta**t))
    return means


def steepest(rates: Sequence[float], losses: Sequence[float]) -> float:
    """The rate, of at least two, from which to the next the loss falls most for each factor in the rate."""
    slopes = torch.tensor(losses).double().diff() / torch.tensor(rates).double().log().diff()
    return rates[int(slopes.argmin())]


@dataclass(frozen=True)
class RangeTest:
    """What a range test saw, one entry a step, and whether the loss left before the highest rate was reached."""

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    diverged: bool

    @property
    def steepest(self) -> float:
        """Where the smoothed loss falls fastest on its way to its minimum; like fastai's first suggestion."""
        # Behind the minimum a loss that has leapt up may fall back faster than it ever fell before.
        end = max(self._lowest + 1, 2)
        return steepest(self.rates[:end], self.smoothed[:end])

    @property
    def tenth_of_minimum(self) -> float:
        """A tenth of the rate with the lowest smoothed loss; fastai's second suggestion."""
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
    """Train with a rate that grows from `low` to `high` by the same factor each step, and watch the loss.

    Ends early where the smoothed loss passes four times its lowest value or is no number. It trains copies: model,
    optimizer and torch's random numbers stay as they are, also after Ctrl-C (Smith 2017, section 3.3, has a linear
    sweep; the exponential one and the stop are fastai's).

    Args:
        model, optimizer, batch_size, train, loss, seed: as in `training.fit`; the optimizer's own rate is not used.
        low, high: 0 < low < high.
        steps: at least 2.

    Raises:
        ValueError: `low`, `high` or `steps` is out of its range, or the first losses are no numbers.
    """
    if not 0 < low < high or steps < 2:
        raise ValueError(f"low={low} must be above 0 and below high={high}, and steps={steps} at least 2.")
    # In one call, so that the copied optimizer holds the copied parameters.
    model, optimizer = copy.deepcopy((model, optimizer))
    if not isinstance(optimizer, Optimizer):
        optimizer = (optimizer or _article_sgd)(model.parameters())
    device, sweep = next(model.parameters()).device, [low * (high / low) ** (i / (steps - 1)) for i in range(steps)]
    losses, smoothed, diverged = [], [], False
    model.train()
    with training.reproducible(seed), progress_bar(total=steps, desc="range test", unit="step") as bar:
        loader = data.loader(train or pictures.train, pictures, batch_size, shuffle=True, seed=seed)
        for rate, (inputs, labels) in zip(sweep, chain.from_iterable(repeat(loader)), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            value = loss(model(inputs.to(device)), labels.to(device))
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
        raise ValueError(f"low={low} is too high already: the loss was no number at step {len(losses) + 1}.")
    return RangeTest(sweep[: len(losses)], losses, smoothed, diverged)


def svm_objective(weight: Tensor, x: Tensor, y: Tensor, regularization: float) -> Tensor:
    """λ/2·‖w‖² + mean of max(0, 1 − y·w·x), a linear SVM's: w float […, D], x float [N, D], y float [N] of ±1 → […]."""
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
        x: float [N, D]; for a constant term give it a column of ones.
        y: float [N], −1 or 1.
        regularization: λ, above 0.
        schedule: in place of `Pegasos` with this λ, an optimizer's schedule; `rate` is that optimizer's rate.
        batch_size: examples a step, drawn with replacement.
        project: after each step shrink w into the ball of radius 1/√λ, in which the optimum lies.

    Returns:
        float [steps, D], the weights after each step.
    """
    weight, kept = nn.Parameter(torch.zeros(x.shape[1])), []
    optimizer = torch.optim.SGD([weight], lr=rate, weight_decay=regularization)  # the decay is the penalty's gradient
    scheduler = schedule(optimizer) if schedule else Pegasos(optimizer, regularization)
    drawn = torch.randint(len(x), (steps, batch_size), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for chosen in drawn:
            signs, some = y[chosen], x[chosen]
            weight.grad = -((signs * (signs * (some @ weight) < 1)) @ some) / batch_size
            optimizer.step()
            scheduler.step()
            if project:
                weight.mul_(min(1.0, regularization**-0.5 / max(float(weight.norm()), 1e-12)))
            kept.append(weight.clone())
    return torch.stack(kept)


def _article_sgd(parameters) -> Optimizer:
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9)


def _check_above_0(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name}={value} must be above 0.")


def _peaks(optimizer: Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def _has_momentum(optimizer: Optimizer) -> bool:
    # Otherwise one cycle would silently give a momentum to an SGD that has none.
    return bool(optimizer.defaults.get("momentum") or "betas" in optimizer.defaults)
