"""Lesson 03: its exercises compared with torch and numpy, its playground, its linear SVM, its recordings."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, CyclicLR, ReduceLROnPlateau

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.goals import forget_goals
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.learning_rates import experiments, svm
from nnopt_lab.lessons.learning_rates.playground import learning_rate_playground, noisy_descent
from nnopt_lab.techniques.training import linear_svm, schedules
from nnopt_lab.workbench import data
from tests.lessons.playgrounds import goals, line, shown, ticks


def optimizer(rate):
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=rate)


def rate_after(step, scheduler):
    for _ in range(step):
        scheduler.optimizer.step()
        scheduler.step()
    return scheduler.get_last_lr()[0]


def plateau_by_torch(losses, rate, patience, factor):
    scheduler = ReduceLROnPlateau(optimizer(rate), factor=factor, patience=patience, threshold=0, eps=0)
    rates = []
    for loss in losses:
        scheduler.step(loss)
        rates.append(scheduler.get_last_lr()[0])
    return rates


def step_by_torch(weight, x, y, regularization, t):
    parameter = nn.Parameter(weight.clone())
    nn.functional.relu(1 - y * (x @ parameter)).mean().backward()
    torch.optim.SGD([parameter], lr=1 / (regularization * t), weight_decay=regularization).step()
    return parameter.detach()


COUNTERPARTS = {
    "rates.cosine_rate": lambda step, steps, peak: rate_after(step, CosineAnnealingLR(optimizer(peak), T_max=steps)),
    "rates.triangular_rate": lambda step, half_cycle, low, high: rate_after(
        step, CyclicLR(optimizer(low), low, high, step_size_up=half_cycle, cycle_momentum=False)
    ),
    "rates.plateau_rates": plateau_by_torch,
    "rates.smoothed": lambda losses, beta: [
        float(np.average(losses[:t], weights=beta ** np.arange(t)[::-1])) for t in range(1, len(losses) + 1)
    ],
    "rates.steepest_rate": lambda rates, losses: rates[int(np.argmin(np.diff(losses) / np.diff(np.log(rates))))],
    "rates.pegasos_step": step_by_torch,
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_the_reference_agrees_with_another_library(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(100))
    assert verdict.passed, verdict


@pytest.fixture(scope="module")
def playground():
    return learning_rate_playground()


@pytest.mark.parametrize("schedule", schedules.SCHEDULES)
def test_the_playground_shows_the_rates_and_the_losses_of_every_schedule(playground, schedule):
    text, (above, below) = shown(playground, schedule=schedule, peak_rate=0.04, momentum=0.0)
    rates, losses = noisy_descent(schedule, 0.04, 300)
    assert above.lines[0].get_ydata().tolist() == rates
    assert line(above, "beyond this a constant rate diverges").get_ydata() == [0.1, 0.1]  # 2 / 20
    assert below.lines[-1].get_label() == schedule and below.lines[-1].get_ydata().tolist() == losses.tolist()
    constant = line(below, "constant rate, same peak").get_ydata()
    assert constant.tolist() == noisy_descent("constant", 0.04, 300)[1].tolist()
    ends = (f"{values[-15:].mean():.3g}" for values in (losses, constant))
    assert text == "loss at the end: <b>{}</b> (constant rate at the same peak: {})".format(*ends)


def test_the_playground_says_what_diverges(playground):
    text, _ = shown(playground, schedule="constant", peak_rate=0.12)
    assert text == "loss at the end: <b>diverged</b> (constant rate at the same peak: diverged)"
    text, (above, _) = shown(playground, momentum=0.9)  # which moves the border from 2 / 20 to 2 (1 + 0.9) / 20
    assert "diverged" not in text and above.lines[1].get_ydata() == pytest.approx([0.19, 0.19])


def test_goals_of_the_playground(playground):
    shown(playground, schedule="cosine", peak_rate=0.04, momentum=0.0, steps=300)
    forget_goals()
    playground.redraw()
    assert ticks(playground) == [False, False, False]
    shown(playground, peak_rate=0.12)
    assert ticks(playground) == [True, False, False]
    shown(playground, peak_rate=0.04, steps=30)
    assert ticks(playground) == [True, True, False]
    shown(playground, momentum=0.5, peak_rate=0.1, steps=300)
    assert not ticks(playground)[2], "0.1 is not above the limit"
    shown(playground, peak_rate=0.12)
    assert ticks(playground) == [True, True, True]
    assert "from 0.1 to 0.15" in goals(playground)[2][1]


@pytest.mark.parametrize("steps", [30, 1000])
def test_without_momentum_no_constant_rate_above_the_limit_reaches_the_goal(playground, steps):
    shown(playground, schedule="constant", momentum=0.0, peak_rate=0.105, steps=steps)
    forget_goals()
    playground.redraw()
    assert not ticks(playground)[2]


def test_a_descent_without_noise_is_the_formula():
    rates, losses = noisy_descent("constant", 0.04, 30, noise=0.0)
    assert rates == [0.04] * 30
    for step, loss in enumerate(losses.tolist()):
        exact = (25 * (1 - 0.04) ** (2 * step) + 20 * 25 * (1 - 0.04 * 20) ** (2 * step)) / 2
        assert loss == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("regularization", [0.1, 0.01])
def test_the_optimum_is_the_one_that_a_general_solver_finds(regularization):
    generator = torch.Generator().manual_seed(0)
    y = torch.where(torch.rand(40, generator=generator) < 0.5, -1.0, 1.0)
    x = torch.randn(40, 4, generator=generator) + 0.7 * y[:, None]
    signed = (y[:, None] * x).double().numpy() / (regularization * len(x))

    def dual(alpha):
        weight = alpha @ signed
        return regularization / 2 * weight @ weight - alpha.mean(), regularization * signed @ weight - 1 / len(x)

    bound = -minimize(dual, np.zeros(len(x)), jac=True, method="L-BFGS-B", bounds=[(0, 1)] * len(x)).fun
    weight, optimum, lower = svm.optimum(x, y, regularization)
    assert lower - 1e-6 <= bound <= optimum + 1e-6 and optimum - lower < 1e-4
    assert float(linear_svm.svm_objective(weight, x, y, regularization)) == pytest.approx(optimum, abs=1e-5)


def test_two_classes_are_unit_pictures_and_a_constant():
    images = torch.arange(12, dtype=torch.uint8).reshape(3, 1, 2, 2)
    x, y = svm.two_classes(data.Split(images, torch.tensor([4, 1, 2])), 2, 4, 9)
    assert y.tolist() == [-1, 1] and x.shape == (2, 5) and x[:, -1].tolist() == pytest.approx([0.1, 0.1])
    assert x[:, :-1].norm(dim=1).tolist() == pytest.approx([1, 1])


def test_parts_of_an_epoch_hold_every_picture_once_and_each_epoch_is_in_another_order():
    batches = experiments.Parts(100, 8, parts=3, seed=0)
    epochs = []
    for _ in range(2):
        parts = [list(batches) for _ in range(3)]
        assert [len(part) for part in parts[:2]] == [len(batches)] * 2
        epochs.append([i for part in parts for batch in part for i in batch])
    assert all(sorted(order) == list(range(100)) for order in epochs) and epochs[0] != epochs[1]


def test_the_shipped_first_rates_have_the_shape_that_they_promise():
    result = recorded("first_rates")["result"]
    assert result["rates"] == list(experiments.FIRST_RATES)
    assert all(len(setting["loss"]) == len(result["rates"]) for setting in result["settings"])
    assert all(0 < loss <= experiments.GUESSING for setting in result["settings"] for loss in setting["loss"])


def test_the_peaks_are_those_that_the_shipped_search_found():
    tried = recorded("learning_rate_peaks")["result"]
    best = {schedule: float(min(losses, key=losses.get)) for schedule, losses in tried.items()}
    assert best == experiments.PEAKS


def test_the_shipped_race_has_the_shape_that_it_promises():
    result = recorded("learning_rate_race")["result"]
    assert list(result["schedules"]) == list(experiments.PEAKS)
    for run in (*result["schedules"].values(), result["best"]):
        assert [len(accuracies) for accuracies in run["validation"]] == [len(result["epochs"])] * len(result["seeds"])
        assert len(run["test"]) == len(result["baseline"]) == len(result["seeds"])
