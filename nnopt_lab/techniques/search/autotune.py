"""A search for the best way to make a given classifier smaller or faster: which techniques, how much of each, where.

The article's section 5.1. A sampler (optuna's Gaussian processes) proposes configurations (`candidates`), each is
trained briefly and measured, and what is found are `tradeoffs`. The search begins with what a careful person would try
by hand, and cheap estimates spare trials that cannot end on the front.

Sources: Daulton et al. 2020, "Differentiable Expected Hypervolume Improvement"; Ozaki et al. 2022, "Multiobjective
Tree-Structured Parzen Estimator"; Akiba et al. 2019, "Optuna"; He et al. 2018, "AMC: AutoML for Model Compression and
Acceleration on Mobile Devices" (one share a layer, by search).
"""

import copy
import hashlib
import importlib
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.convolutions import cost_model
from nnopt_lab.techniques.deployment import engines
from nnopt_lab.techniques.search import candidates
from nnopt_lab.techniques.search.candidates import Inputs, Task, as_split
from nnopt_lab.techniques.search.search_space import EAGER, Space, sensitivity
from nnopt_lab.techniques.search.tradeoffs import Goal, Point, Search
from nnopt_lab.workbench import measure, training
from nnopt_lab.workbench.progress_bar import progress_bar

QUICK = (
    EAGER,
    "channels-last float32",
    "ONNX Runtime float32",
    "ONNX Runtime int8",
    "OpenVINO float32",
    "OpenVINO int8",
)
SAMPLERS = ("gp", "tpe", "random")
FEWEST = 4  # finished trials before estimates are trusted to stop others
DRAWN = 8  # trials, the first ones by hand included, before a Gaussian process proposes
# Points below the limit: the sampler takes no network for worse, so that wrecks don't hide small differences.
BELOW = 5.0


def optimize(
    model: nn.Module,
    train,
    validation,
    *,
    goal: Goal | str = "latency",
    to_input: Callable[[Tensor], Tensor] | None = None,
    trials: int = 40,
    seconds: float | None = None,
    storage: Path | str | None = None,
    engine_names: Sequence[str] = QUICK,
    epochs: int = 2,
    rate: float = 1e-3,
    batch_size: int = 128,
    sampler: str = "gp",
    by_hand: bool = True,
    stop_early: bool = True,
    seed: int = 0,
) -> Search:
    """Search for smaller or faster versions of a classifier. Ctrl-C ends the search and keeps what it has found.

    Times are those of as many threads as torch has. With one (`torch.set_num_threads(1)`), other programs on the
    machine do not falsify them.

    Args:
        model: any trained classifier [N, ...] → logits [N, classes]; left as it was.
        train, validation: what candidates learn from, and what they are judged by: a `data.Split`, (pictures, labels),
            or a data set of (picture, label). All is held in memory. Keep pictures back for the final judgement.
        goal: a `Goal`, or its target: "latency" or "bytes".
        to_input: pictures → float32 [N, ...], such as `pictures.to_input`; None where they are that already.
        trials: in all, those of earlier calls with the same storage included.
        seconds: after so many no further trial starts.
        storage: a file (SQLite), or a database's URL, in which the search goes on, and which several processes and
            machines may share; None for memory.
        engine_names: keys of `engines.ENGINES` to choose from, where latency is the target; each adds its building
            time to a trial.
        epochs, rate, batch_size: of each candidate's training, as in `candidates.Task`; from two epochs on, hopeless
            trials can be stopped between them.
        sampler: "gp" (Gaussian processes) or "tpe" (tree-structured Parzen estimator), or "random" as a control.
        by_hand: begin with what a careful person would try, see `search_space.Space.starts`.
        stop_early: stop trials that are `hopeless`, or will break a limit by the estimates.
        seed: of the training; in memory also of the sampler. (With a storage, every call draws anew.)

    Raises:
        ValueError: an argument is not as said here, or the storage holds another search.
    """
    goal = Goal(goal) if isinstance(goal, str) else goal
    if not isinstance(model, nn.Module):
        raise ValueError(f"model is {type(model).__name__}; it must be a classifier, a torch.nn.Module.")
    engines.check_names(engine_names)
    if trials < 1 or epochs < 1 or sampler not in SAMPLERS:
        raise ValueError(f"trials={trials} and epochs={epochs} must be at least 1, sampler={sampler!r} of {SAMPLERS}.")
    transform = to_input or (lambda images: images)
    pictures = Inputs("given", as_split(train), as_split(validation), None, (), (), (), transform)
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    task = Task(copy.deepcopy(model).cpu().eval(), pictures, epochs, rate, batch_size, seed, folder)
    importlib.import_module("optuna")  # it sets the level of its own log when it is imported
    with engines.without_chatter("optuna"):
        searcher = _Searcher(task, goal, engine_names, storage, sampler, stop_early)
        if by_hand:
            searcher.begin_by_hand(max(trials // 2, 1))
        return searcher.run(trials, seconds)


def hopeless(
    accuracy: float, cost: float, gains: Sequence[float], finished: Sequence[tuple[float, float]], floor: float
) -> bool:
    """Whether a trial that has got so far cannot end on the front: then training it to the end is a waste.

    The most that it can hope for is the largest gain that any finished trial made from this point on.

    Args:
        accuracy: of the trial now, percent.
        cost: the least that it will have.
        gains: of finished trials: accuracy at their end minus accuracy after as many epochs; empty → False.
        finished: (accuracy, cost) of the trials that ended within the limits.
        floor: the lowest accuracy allowed.
    """
    hope = accuracy + max(gains, default=float("inf"))
    return hope < floor or any(c <= cost and a >= hope for a, c in finished)


def least_seconds(models: dict, batch: Tensor, budget_seconds: float = 1.5) -> dict[str, float]:
    """Seconds a call of each model in its fastest round: other work only ever adds to it.

    On one thread it is the processor's time, which is that of the clock but for other programs: a search takes hours,
    in which there will be some.
    """
    clock = time.process_time if torch.get_num_threads() == 1 else None
    timings = measure.latency(models, batch, rounds=15, budget_seconds=budget_seconds, clock=clock)
    return {name: min(timing.samples) for name, timing in timings.items()}


class _Stopped(Exception):
    """A trial is not worth going on with; `point` is what it would likely have been."""

    def __init__(self, point: Point):
        super().__init__()
        self.point = point


class _Searcher:
    """One process's part in a search."""

    def __init__(self, task: Task, goal: Goal, names: Sequence[str], storage, sampler: str, stop_early: bool = True):
        self.task, self.goal, self.stop_early, self.notes = task, goal, stop_early, []
        self.study = _study(storage, sampler, task.seed)
        known = self._agree("task", _fingerprint(task, goal))
        if known != _fingerprint(task, goal):
            raise ValueError(
                f"storage={str(storage)!r} holds a search for another network, other data or another goal."
            )
        some = task.inputs(goal.batch)
        self.batch = some.repeat(-(-goal.batch // len(some)), *[1] * (some.dim() - 1))[: goal.batch]
        self.alone = self._time_engines(names if goal.target == "latency" else [EAGER])
        seen = training.evaluate(task.model, task.pictures.validation, task.pictures)
        original = Point(-1, {}, seen.accuracy, self.eager.bytes, self.alone[EAGER])
        self.found = Search(task, goal, original, notes=self.notes)
        self.space = Space(task, goal, self.alone)
        self.notes += self.space.notes

    def begin_by_hand(self, most: int) -> None:
        """Have at most so many of the space's starts tried first, once in all calls."""
        size = self._seconds if self.goal.target == "latency" else (lambda model: measure.parameters(model).total)
        if "sensitivity" not in self.study.user_attrs:
            self.study.set_user_attr("sensitivity", sensitivity(self.task, self.space.groups, size))
            for params in self.space.starts(self.study.user_attrs["sensitivity"])[:most]:
                self.study.enqueue_trial(params)
        self.found.sensitivity = {name: tuple(pair) for name, pair in self.study.user_attrs["sensitivity"].items()}

    def run(self, trials: int, seconds: float | None) -> Search:
        """Try configurations until enough have been tried, by all processes together."""
        started, found = time.perf_counter(), self.found
        with progress_bar(total=trials, desc="searching", unit="trial") as progress:
            try:
                while self._collect() < trials and time.perf_counter() - started < (seconds or float("inf")):
                    self._try(self.study.ask(self.space.distributions()))
                    progress.n = self._collect()
                    best = "nothing within the limits yet" if found.best is None else self._praise(found.best)
                    progress.set_postfix_str(f"{len(found.front)} on the front, best: {best}")
            except KeyboardInterrupt:
                found.interrupted = True
        self._collect()
        found.seconds = time.perf_counter() - started
        if found.failed and not found.points and not found.interrupted:
            raise ValueError(f"No trial succeeded; the last one said: {found.failed[-1]}")
        return found

    def _try(self, trial) -> None:
        optuna, config = importlib.import_module("optuna"), self.space.config(trial.params)
        trial.set_user_attr("config", config)
        try:
            point = self._point(trial, config)
        except _Stopped as stopped:
            trial.set_user_attr("stopped", True)
            self._tell(trial, stopped.point)
        except KeyboardInterrupt:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            self.study.enqueue_trial(trial.params)
            raise
        except (ValueError, RuntimeError) as error:
            trial.set_user_attr("reason", str(error).strip().splitlines()[0])
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._tell(trial, point)

    def _tell(self, trial, point: Point) -> None:
        """Tell the sampler what counts: accuracy from far too little up to the original's, and ratios of cost."""
        highest = self.found.original.accuracy
        point = replace(point, accuracy=min(max(point.accuracy, highest - self.goal.max_drop - BELOW), highest))
        for name, excess in self.found.excess(point).items():
            trial.set_constraint(name, excess)
        self.study.tell(trial, (point.accuracy, math.log(self.found.cost(point))))

    def _point(self, trial, config: dict) -> Point:
        predicted, curve = {}, []

        def watch(model: nn.Module, accuracies: list[float], left: int) -> None:
            if not accuracies:
                predicted.update(self._predict(model, config))
            curve[:] = accuracies
            if self._is_hopeless(accuracies, left, predicted):
                likely = {"latency": self.found.original.latency}
                likely |= _scaled(predicted, self._finished(), statistics.median)
                raise _Stopped(Point(trial.number, config, max(accuracies, default=0.0), **likely, curve=curve))

        model = candidates.make(self.task, config, watch)
        point = self._measure(trial.number, config, model)
        figures = {"accuracy": point.accuracy, "bytes": point.bytes, "latency": point.latency}
        for name, value in (("curve", curve), ("predicted", predicted), ("figures", figures)):
            trial.set_user_attr(name, value)  # the figures last: who reads them reads the others too
        return point

    def _measure(self, number: int, config: dict, model: nn.Module) -> Point:
        engine = engines.ENGINES[config["engine"]](model, self.task.calibration)
        seen = training.evaluate(engine, self.task.pictures.validation, self.task.pictures, device="cpu")
        seconds = least_seconds({"original": self.eager, "new": engine}, self.batch)
        size = candidates.file_bytes(model, config) or engine.bytes
        return Point(
            number, config, seen.accuracy, size, self.found.original.latency * seconds["new"] / seconds["original"]
        )

    def _predict(self, model: nn.Module, config: dict) -> dict[str, float]:
        """First estimates: the cost model's share of the original's time on this engine, and the weights' bits."""
        predicted = {"bytes": candidates.predicted_bytes(model, config)}
        if self.goal.target == "latency" or self.goal.max_latency:
            share = self._seconds(model) / self._seconds(self.task.model)
            predicted["latency"] = share * self.alone[config["engine"]]
        return predicted

    def _is_hopeless(self, accuracies: list[float], left: int, predicted: dict[str, float]) -> bool:
        attrs = self._finished()
        if len(attrs) < FEWEST or not self.stop_early:
            return False
        least = _scaled(predicted, attrs, min)  # the luckiest trial's factor
        limits = {"bytes": self.goal.max_bytes, "latency": self.goal.max_latency}
        if any(limit is not None and least[name] > limit for name, limit in limits.items()):
            return True
        curves = [a for a in attrs if len(a["curve"]) > left]
        if not accuracies or left == 0 or len(curves) < FEWEST:
            return False
        gains = [a["figures"]["accuracy"] - a["curve"][-1 - left] for a in curves]
        allowed = [(p.accuracy, self.found.cost(p)) for p in self.found.points if self.found.allowed(p)]
        floor = self.found.original.accuracy - self.goal.max_drop
        return hopeless(accuracies[-1], least[self.goal.target], gains, allowed, floor)

    def _finished(self) -> list[dict]:
        return [t.user_attrs for t in self.study.get_trials(deepcopy=False) if "figures" in t.user_attrs]

    def _collect(self) -> int:
        """Read what all processes have found; returns how many trials are over."""
        trials = self.study.get_trials(deepcopy=False)
        known = [(t.number, t.user_attrs) for t in trials if "figures" in t.user_attrs]
        self.found.points = [Point(n, a["config"], **a["figures"], curve=a["curve"]) for n, a in known]
        self.found.stopped = sum("stopped" in t.user_attrs for t in trials)
        self.found.failed = [t.user_attrs["reason"] for t in trials if "reason" in t.user_attrs]
        return len(known) + self.found.stopped + len(self.found.failed)

    def _time_engines(self, names: Sequence[str]) -> dict[str, float]:
        """Seconds a batch of the original by each engine; those that the search was begun with, if it goes on."""
        names = list(dict.fromkeys([EAGER, *names]))
        ready, missing = engines.build(self.task.model, self.task.calibration, names)
        self.notes += [f"{name} was not tried: {reason}" for name, reason in missing.items()]
        self.eager = ready[EAGER]
        return self._agree("engines", least_seconds(ready, self.batch, 3.0))

    def _agree(self, name: str, value):
        """What the first process said about something, and if this is the first: what it says."""
        if name not in self.study.user_attrs:
            self.study.set_user_attr(name, value)
        return self.study.user_attrs[name]

    def _seconds(self, model: nn.Module) -> float:
        self.machine = getattr(self, "machine", None) or cost_model.calibrate()
        return self.machine.model_seconds(model, self.batch)

    def _praise(self, point: Point) -> str:
        times = self.found.cost(self.found.original) / self.found.cost(point)
        what = "as fast" if self.goal.target == "latency" else "as small"
        return f"{times:.2f} times {what}, {point.accuracy:.1f} %"


def _scaled(predicted: dict[str, float], finished: list[dict], choose: Callable) -> dict[str, float]:
    """Estimates are off by a factor that is nearly the same for all: finished trials set them right."""
    return {
        name: value * choose(a["figures"][name] / a["predicted"][name] for a in finished if name in a["predicted"])
        for name, value in predicted.items()
    }


def _study(storage: Path | str | None, sampler: str, seed: int):
    optuna = importlib.import_module("optuna")
    url = storage if storage is None or "://" in str(storage) else f"sqlite:///{Path(storage)}"
    # A call that goes on, or a second process, must not draw what the first one drew.
    seed = seed if storage is None else None
    samplers = {
        "gp": partial(optuna.samplers.GPSampler, n_startup_trials=DRAWN),
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
    }
    directions = ["maximize", "minimize"]
    return optuna.create_study(
        storage=url,
        sampler=samplers[sampler](seed=seed),
        study_name="nnopt",
        directions=directions,
        load_if_exists=True,
    )


def _fingerprint(task: Task, goal: Goal) -> str:
    seen = hashlib.sha256(repr((str(task.model), goal, task.epochs, task.rate, task.batch_size, task.seed)).encode())
    for tensor in (*task.model.state_dict().values(), task.pictures.train.labels, task.pictures.validation.labels):
        seen.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return seen.hexdigest()[:16]
