"""Measure candidates: accuracy on their own engine, bytes of a real file, time in turns with the original."""

import time

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment import Engine
from nnopt_lab.techniques.deployment.registry import build_engine
from nnopt_lab.techniques.search.files import file_bytes
from nnopt_lab.techniques.search.points import EAGER, Point
from nnopt_lab.techniques.search.tasks import Task
from nnopt_lab.workbench import device, measure, training


def measured_point(
    task: Task, number: int, config: dict, model: nn.Module, baseline: Engine, latency: float, batch: Tensor
) -> Point:
    """Measure a trained candidate; the point's curve is empty.

    Args:
        task: the task of the search.
        number: of the candidate's trial.
        config, model: of the candidate.
        baseline: the original in eager torch, timed in turns with the candidate.
        latency: seconds of `baseline` for `batch`, measured once for all candidates.
        batch: the input to time, float32 [N, ...], on the task's device.

    Raises:
        EngineUnavailable: the candidate does not run on its engine.
    """
    engine = build_engine(model, task.calibration, config.get("engine", EAGER), task.device)
    seen = training.evaluate(engine, task.pictures.validation, task.pictures, device="cpu")
    seconds = fastest_seconds({"original": baseline, "new": engine}, batch)
    size = file_bytes(model, config) or engine.bytes
    return Point(number, config, seen.accuracy, size, latency * seconds["new"] / seconds["original"])


def fastest_seconds(models: dict, batch: Tensor, budget_seconds: float = 1.5) -> dict[str, float]:
    """Measure each model's seconds per call in its fastest round, because other programs only ever add time.

    With one thread on the CPU, this is processor time, which other programs don't affect: during a search of hours,
    there will be some.
    """
    return {name: min(timing.samples) for name, timing in timings(models, batch, budget_seconds).items()}


def timings(models: dict, batch: Tensor, budget_seconds: float = 1.5) -> dict[str, measure.Timing]:
    """Time models in turns, with the clock of `fastest_seconds`."""
    on_cpu = not device.is_accelerator(device.of(batch, *models.values()))
    clock = time.process_time if on_cpu and torch.get_num_threads() == 1 else None
    return measure.latency(models, batch, rounds=15, budget_seconds=budget_seconds, clock=clock)
