"""Learning-rate schedules: a table of torch's own, `Pegasos`, which torch lacks, and warm-up.

Sources: Smith 2017, "Cyclical Learning Rates", https://arxiv.org/abs/1506.01186 (triangular schedules); Smith & Topin
2019, "Super-Convergence", https://arxiv.org/abs/1708.07120 (one cycle); Loshchilov & Hutter 2017, "SGDR",
https://arxiv.org/abs/1608.03983 (cosine, warm restarts); Goyal et al. 2017, "Accurate, Large Minibatch SGD",
https://arxiv.org/abs/1706.02677 (warm-up); Shalev-Shwartz, Singer & Srebro 2007, "Pegasos",
https://doi.org/10.1145/1273496.1273598; Bottou 2012, "Stochastic Gradient Descent Tricks",
https://doi.org/10.1007/978-3-642-35289-8_25 (the bounded 1/t rate).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

Schedule = Callable[[Optimizer], LRScheduler]  # the type of `training.fit`'s scheduler


class Pegasos(LRScheduler):
    """The rate 1/(λt) at step t = 1, 2, … (Shalev-Shwartz et al. 2007, figure 1), or its bounded form for networks.

    1/(λt) is intended for λ-strongly convex objectives, such as a linear SVM with the penalty λ/2·‖w‖². It starts at
    1/λ, whatever the optimizer's rate. The bounded form starts each parameter group at its own rate η0, as
    η0/(1 + λ·η0·(t − 1)), and approaches 1/(λt) in the end (Bottou 2012).

    Args:
        optimizer: its rates are set.
        regularization: λ, above 0.
        bounded: whether to use the bounded form.
        last_epoch: as in torch's schedulers.

    Raises:
        ValueError: `regularization` is not above 0.
    """

    def __init__(self, optimizer: Optimizer, regularization: float, *, bounded: bool = False, last_epoch: int = -1):
        _check_above_0("regularization", regularization)
        self.regularization, self.bounded = regularization, bounded
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rate of each parameter group at the current step."""
        if self.bounded:
            return [base / (1 + self.regularization * base * self.last_epoch) for base in self.base_lrs]
        return [1 / (self.regularization * (self.last_epoch + 1)) for _ in self.base_lrs]


class _WarmUp(LRScheduler):
    """The rise of `with_warm_up`, followed by the schedule.

    torch's SequentialLR makes all its schedules first, and each reads the rate that the previous one left. Here the
    schedule is made while the optimizer still has its own rate, so it reads that, and it only ever steps forward.
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule, steps: int, start: float):
        self.optimizer, self.steps, self.start, self.last_epoch = optimizer, steps, start, -1
        self.after = schedule(optimizer)
        if isinstance(self.after, ReduceLROnPlateau):
            raise ValueError(
                "schedule makes a ReduceLROnPlateau, which steps by an epoch's loss and can't follow a warm-up."
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
        """The rate of each parameter group at the current step."""
        if self.last_epoch > self.steps:
            return _peaks(self.optimizer)
        share = self.last_epoch / self.steps
        return [rate * (self.start * (1 - share) + share) for rate in self.base_lrs]

    def state_dict(self) -> dict:
        """The state, including that of the schedule after the rise."""
        return {k: v for k, v in vars(self).items() if k != "optimizer"} | {"after": self.after.state_dict()}

    def load_state_dict(self, state_dict: dict) -> None:
        """Continue from the state of another one."""
        self.after.load_state_dict(state_dict["after"])
        vars(self).update({k: v for k, v in state_dict.items() if k != "after"})


def with_warm_up(schedule: Schedule, steps: int, start: float = 0.01) -> Schedule:
    """Make a schedule that raises the rate linearly to the first rate of `schedule`, and then continues with it.

    `schedule` runs as it would without the warm-up, but `steps` steps later.

    Args:
        schedule: any scheduler of torch or a custom one, as a function of the optimizer.
        steps: of the warm-up, above 0.
        start: the first rate as a share of the schedule's first rate.

    Raises:
        ValueError: `steps` is not above 0; from the returned function: the schedule is a ReduceLROnPlateau.
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


# Name → function steps → schedule. The optimizer's rate is the highest rate of a schedule for `steps` steps. All of
# them step once per batch, except "plateau", which steps once per loss.
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
    """Compute the rates of `steps` steps of an optimizer with the rate `peak`, without training.

    Args:
        schedule: a function optimizer → scheduler.
        steps: number of steps.
        peak: the optimizer's rate.
        losses: `steps` numbers, needed only by ReduceLROnPlateau.

    Raises:
        ValueError: the schedule is a ReduceLROnPlateau, and `losses` does not have `steps` entries.
    """
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=peak, momentum=0.9)
    scheduler, seen = schedule(optimizer), []
    looks = isinstance(scheduler, ReduceLROnPlateau)
    if looks and (losses is None or len(losses) != steps):
        raise ValueError(f"losses must be {steps} numbers, one per step, which a plateau schedule needs.")
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
    # Otherwise the one-cycle schedule would silently add momentum to an SGD without it.
    return bool(optimizer.defaults.get("momentum") or "betas" in optimizer.defaults)
