"""Measure candidates: accuracy on their own engines, bytes of a real file, time in turns with the original."""

import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment import Engine, EngineUnavailable, build_engines
from nnopt_lab.techniques.deployment.engine import failing_as_unavailable
from nnopt_lab.techniques.search.files import file_bytes
from nnopt_lab.techniques.search.points import EAGER, Goal, Point
from nnopt_lab.techniques.search.tasks import Task
from nnopt_lab.workbench import device, measure, training

HOPELESS = 3.0  # an engine that takes so many times as long as another, for the original, wins for no candidate


def measured_point(
    task: Task, number: int, config: dict, model: nn.Module, baseline: Engine, latency: float, batch: Tensor
) -> Point:
    """Measure a trained candidate on the engine of its configuration; arguments as in `measured_points`.

    Raises:
        EngineUnavailable: the candidate does not run on its engine.
    """
    name = config.get("engine", EAGER)
    ready, missing = running_engines(task, model, [name], batch)
    if missing:
        raise EngineUnavailable(f"{name} does not run this model: {missing[name]}")
    return _points(task, number, config, model, ready, baseline, latency, batch, Goal())[0]


def measured_points(
    task: Task,
    number: int,
    config: dict,
    model: nn.Module,
    baseline: Engine,
    latency: float,
    batch: Tensor,
    names: Sequence[str],
    goal: Goal,
    templates: dict | None = None,
) -> tuple[list[Point], dict[str, str]]:
    """Measure a trained candidate on every engine, and keep the engines that no other beats.

    Accuracy is measured for engines that can win: once for those in float32, and for an int8 engine only if it is
    faster, or smaller if bytes count.

    Args:
        task: the task of the search.
        number: of the candidate's trial.
        config, model: of the candidate.
        baseline: the original in eager torch, timed in turns with the candidate's engines.
        latency: seconds of `baseline` for `batch`, measured once for all candidates.
        batch: the input to time, float32 [N, ...], on the task's device.
        names: of the engines; eager torch is the last resort, if the candidate runs on none of them.
        goal: of the search, whose costs decide which engines beat others.
        templates: as in `build_engines`.

    Returns:
        A point per engine that no other beats in accuracy and in the goal's costs, with the engine in its configuration
        and an empty curve; and for each engine that does not run this candidate, a sentence that says why.

    Raises:
        EngineUnavailable: the candidate runs on no engine.
    """
    ready, missing = running_engines(task, model, names, batch, templates)
    if not ready and EAGER not in names:
        ready, more = running_engines(task, model, [EAGER], batch)
        missing |= more
    if not ready:
        name, why = next(iter(missing.items()))
        raise EngineUnavailable(f"{name} does not run this model: {why}")
    return _points(task, number, config, model, ready, baseline, latency, batch, goal), missing


def running_engines(
    task: Task, model: nn.Module, names: Sequence[str], batch: Tensor, templates: dict | None = None
) -> tuple[dict[str, Engine], dict[str, str]]:
    """Build engines that run a model with `batch` too; returns them, and for each other name why it doesn't."""
    ready, missing = build_engines(model, task.calibration, names, task.device, templates)
    for name, engine in list(ready.items()):
        try:
            with failing_as_unavailable(f"It does not run this model with {len(batch)} pictures"):
                engine(batch)
        except EngineUnavailable as unavailable:
            missing[name] = str(unavailable)
            del ready[name]
    return ready, missing


def contenders(original: dict[str, float], with_bytes: bool) -> list[str]:
    """Engines that can win for a candidate, by the original's seconds per batch on each, fastest first.

    An engine can't if another in float32, which loses no accuracy, is 3 times as fast for the original. If bytes count,
    every int8 engine stays, since its file is the smallest.
    """
    limit = HOPELESS * min((s for name, s in original.items() if is_exact(name)), default=float("inf"))
    can = [name for name, s in original.items() if s <= limit or (with_bytes and name.endswith("int8"))]
    return sorted(can, key=original.get)


def is_exact(name: str) -> bool:
    """Whether an engine computes what the network does in torch, up to rounding in float32."""
    return name.endswith("float32")


def costs(point: Point, goal: Goal) -> tuple[float, ...]:
    """The point's costs that matter for a goal: the one to minimise, and the other one if it is limited."""
    limits = {"bytes": goal.max_bytes, "latency": goal.max_latency}
    return tuple(getattr(point, name) for name, limit in limits.items() if name == goal.target or limit is not None)


def _points(task: Task, number: int, config, model, ready, baseline, latency, batch, goal: Goal) -> list[Point]:
    """The points of the engines `ready` that no other beats, fastest first; arguments as in `measured_points`."""
    seconds = fastest_seconds({"original": baseline} | ready, batch)
    compressed = file_bytes(model, config)
    kept, exact = [], None
    for name, engine in sorted(ready.items(), key=lambda item: seconds[item[0]]):
        figures = {"bytes": compressed or engine.bytes, "latency": latency * seconds[name] / seconds["original"]}
        # At best, int8 is as accurate as float32. What is beaten even then isn't measured.
        point = Point(number, config | {"engine": name}, float("inf") if exact is None else exact, **figures)
        if _is_beaten(point, kept, goal):
            continue
        if exact is None or not is_exact(name):
            seen = training.evaluate(engine, task.pictures.validation, task.pictures, device="cpu")
            point = replace(point, accuracy=seen.accuracy)
            exact = seen.accuracy if is_exact(name) else exact
        if not _is_beaten(point, kept, goal):
            kept.append(point)
    return [p for p in kept if not _is_beaten(p, [other for other in kept if other is not p], goal)]


def _is_beaten(point: Point, others: Sequence[Point], goal: Goal) -> bool:
    mine = (-point.accuracy, *costs(point, goal))
    return any(all(a <= b for a, b in zip((-o.accuracy, *costs(o, goal)), mine, strict=True)) for o in others)


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
