"""Learning-rate schedules: a table of those that torch has, the one that it lacks (`Pegasos`), and warm-up.

Sources: Smith 2017, "Cyclical Learning Rates" (triangular schedules); Smith & Topin 2018, "Super-Convergence" (one
cycle); Loshchilov & Hutter 2017, "SGDR" (cosine, warm restarts); Goyal et al. 2017, "Accurate, Large Minibatch SGD"
(warm-up); Shalev-Shwartz, Singer & Srebro 2007, "Pegasos"; Bottou 2012, "Stochastic Gradient Descent Tricks" (the
bounded 1/t rate).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

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


class _WarmUp(LRScheduler):
    """The rise of `with_warm_up`, and after it the schedule.

    torch's SequentialLR makes all its schedules first and each reads the rate that the one before has left. Here the
    schedule is made while the optimizer still has its own rate, so it may read that, and it only ever steps forward.
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule, steps: int, start: float):
        self.optimizer, self.steps, self.start, self.last_epoch = optimizer, steps, start, -1
        self.after = schedule(optimizer)
        if isinstance(self.after, ReduceLROnPlateau):
            raise ValueError(
                "schedule makes a ReduceLROnPlateau, which steps by the loss of an epoch: no warm-up can go before it."
            )
        self.base_lrs = _peaks(optimizer)  # the schedule's first values
        self.step()

    def step(self) -> None:
        """Set the next rates."""
        self.last_epoch += 1
        if self.last_epoch > self.steps:
            self.after.step()
        else:
            for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate
        self._last_lr = _peaks(self.optimizer)

    def get_lr(self) -> list[float]:
        """The rate of each parameter group at the present step."""
        if self.last_epoch > self.steps:
            return _peaks(self.optimizer)
        share = self.last_epoch / self.steps
        return [rate * (self.start * (1 - share) + share) for rate in self.base_lrs]

    def state_dict(self) -> dict:
        """As in torch's schedulers; the state of the schedule after the rise is among it."""
        return {k: v for k, v in vars(self).items() if k != "optimizer"} | {"after": self.after.state_dict()}

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on where another one stopped."""
        self.after.load_state_dict(state_dict["after"])
        vars(self).update({k: v for k, v in state_dict.items() if k != "after"})


def with_warm_up(schedule: Schedule, steps: int, start: float = 0.01) -> Schedule:
    """Raise the rate in a straight line from `start` times its first value, for `steps` ≥ 1 steps; then `schedule`.

    The schedule runs as it would without the warm-up, any scheduler of torch or of your own, but `steps` steps later.

    Raises:
        ValueError: `steps` is not above 0, or the schedule, when it is made, is a ReduceLROnPlateau.
    """
    _check_above_0("steps", steps)
    return lambda optimizer: _WarmUp(optimizer, schedule, steps, start)


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
# all of them step once per batch, only "plateau" after each look at the losses.
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
        raise ValueError(f"losses must be {steps} numbers, one per step: a plateau schedule looks at them.")
    for step in range(steps):
        seen.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step(*([losses[step]] if looks else []))
    return seen


def _check_above_0(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name}={value} must be above 0.")


def _peaks(optimizer: Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def _has_momentum(optimizer: Optimizer) -> bool:
    # Otherwise one cycle would silently give a momentum to an SGD that has none.
    return bool(optimizer.defaults.get("momentum") or "betas" in optimizer.defaults)
