"""Lesson 03: what a schedule and its peak rate do to a small noisy problem."""

from functools import cache

import ipywidgets as widgets
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from nnopt_lab.course.playground import Playground, choice, slider
from nnopt_lab.techniques.training import schedules
from nnopt_lab.workbench import plots
from nnopt_lab.workbench.language import Message, _, translated

CURVATURES = (1.0, 20.0)
RUNS = 200
DIVERGED = 1e4
LIMIT = 2 / max(CURVATURES)  # of a constant rate without momentum
LOW = 0.1  # loss of a descent that has arrived
CLEARLY = 2.0  # times the loss
CONVERGED = 5.0  # more than any noise leaves at a constant rate that does not diverge


def learning_rate_playground() -> Playground:
    """Show the rates of a schedule, and the mean loss of 200 descents into a narrow, noisy valley."""

    descent = cache(noisy_descent)

    def draw(schedule: str, peak: float, steps: int, momentum: float):
        rates, losses = descent(schedule, peak, steps, momentum)
        constant = descent("constant", peak, steps, momentum)[1]
        limit = (1 + momentum) * LIMIT
        fig, (above, below) = plots.figure(nrows=2, sharex=True, figsize=(8, 3.7))
        with plots.style():
            above.plot(rates, color=plots.BLUE)
            above.axhline(limit, color=plots.REFERENCE, linestyle="--", label="beyond this a constant rate diverges")
            above.set(ylabel="rate", ylim=(0, 1.15 * max(limit, peak)))
            below.plot(constant, color=plots.REFERENCE, linewidth=1, label="constant rate, same peak")
            below.plot(losses, color=plots.BLUE, label=schedule)
            below.set(xlabel="optimizer step", ylabel="mean loss", yscale="log", ylim=(1e-3, DIVERGED))
            below.minorticks_off()  # laying them out takes as long as everything else
            plots.legend(above)
            plots.legend(below)
        text = Message(
            "loss at the end: <b>{end}</b> (constant rate at the same peak: {constant})",
            end=_end(losses),
            constant=_end(constant),
        )
        plots.finish(
            fig,
            "The rate over the steps above, and below the loss, beside that of a constant rate.",
            trained="y",
        )
        found = [
            _beyond(schedule, peak, losses, constant),
            _too_early(schedule, steps, losses, constant),
            _by_momentum(peak, momentum, limit, constant),
        ]
        return fig, text, found

    goals = [
        _("Find a peak at which the constant rate diverges and a schedule ends below a loss of {low}.", low=LOW),
        _("Find a setting in which the constant rate ends at half of the schedule's loss, or less."),
        _("Make a constant rate above {limit} converge.", limit=f"{LIMIT:g}"),
    ]
    return Playground(
        draw,
        goals,
        schedule=widgets.Dropdown(options=list(schedules.SCHEDULES), value="cosine", description="schedule"),
        peak=slider("peak rate", 0.005, 0.2, 0.04, 0.005, ".3f"),
        steps=choice("steps", [30, 100, 300, 1000], 300),
        momentum=slider("momentum", 0.0, 0.95, 0.0, 0.05),
    )


def _last(losses: Tensor) -> float:
    """The mean loss of the last twentieth of the steps."""
    return float(losses[-max(len(losses) // 20, 1) :].mean())


def _end(losses: Tensor) -> str:
    end = _last(losses)
    return Message("diverged") if end >= DIVERGED / 2 else f"{end:.3g}"


def _beyond(schedule: str, peak: float, losses: Tensor, constant: Tensor) -> str:
    if _last(constant) < DIVERGED / 2 or _last(losses) >= LOW:
        return ""
    return _(
        "At a peak of {peak} the constant rate diverges, but {schedule} ends at {end}. A rate may be too high for a "
        "while.",
        peak=f"{peak:.3f}",
        schedule=translated(schedule),
        end=_end(losses),
    )


def _too_early(schedule: str, steps: int, losses: Tensor, constant: Tensor) -> str:
    if schedule == "constant" or _last(losses) >= DIVERGED / 2 or _last(losses) < CLEARLY * _last(constant):
        return ""
    return _(
        "A rate that falls must have time: after {steps} steps, {schedule} ends at {end}, the constant rate at "
        "{constant}.",
        steps=steps,
        schedule=translated(schedule),
        end=_end(losses),
        constant=_end(constant),
    )


def _by_momentum(peak: float, momentum: float, limit: float, constant: Tensor) -> str:
    if peak < LIMIT + 1e-6 or _last(constant) >= CONVERGED:
        return ""
    return _(
        "Momentum {momentum} moves the border from {before} to {limit}, and a constant rate of {peak} ends at {end}.",
        momentum=f"{momentum:.2f}",
        before=f"{LIMIT:g}",
        limit=f"{limit:.3g}",
        peak=f"{peak:.3f}",
        end=_end(constant),
    )


def noisy_descent(
    schedule: str, peak: float, steps: int, momentum: float = 0.0, noise: float = 1.0, seed: int = 0
) -> tuple[list[float], Tensor]:
    """Descend 200 times into the valley ½(x² + 20·y²) from (5, 5), with noise on every gradient.

    Args:
        schedule: a name in `schedules.SCHEDULES`; a plateau schedule looks at the loss twenty times.
        peak: the optimizer's rate, above 0.
        steps: at least 1.
        momentum: 0 to below 1.
        noise: standard deviation of the error in each component of the gradient.
        seed: for the noise.

    Returns:
        (the rates [steps], the mean loss before each step, float [steps], at most 1e4).
    """
    generator, curvatures = torch.Generator().manual_seed(seed), torch.tensor(CURVATURES)
    place = nn.Parameter(torch.full((RUNS, 2), 5.0))
    optimizer = torch.optim.SGD([place], lr=peak, momentum=momentum)
    scheduler = schedules.SCHEDULES[schedule](steps)(optimizer)
    on_plateau = isinstance(scheduler, ReduceLROnPlateau)
    rates, losses = [], torch.empty(steps)
    with torch.no_grad():
        for step in range(steps):
            losses[step] = ((curvatures * place.square()).sum(1) / 2).mean().nan_to_num(DIVERGED, DIVERGED)
            rates.append(float(optimizer.param_groups[0]["lr"]))
            place.grad = curvatures * place + noise * torch.randn(RUNS, 2, generator=generator)
            optimizer.step()
            if not on_plateau:
                scheduler.step()
            elif (step + 1) % max(steps // 20, 1) == 0:
                scheduler.step(float(losses[max(step - steps // 20, 0) : step + 1].mean()))
    return rates, losses.clamp(max=DIVERGED)
