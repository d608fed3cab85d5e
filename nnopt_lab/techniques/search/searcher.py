"""One process's part in a search: get a configuration from the sampler, train it, measure it, report the result."""

import importlib
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from nnopt_lab.techniques.deployment import EngineUnavailable, build_engines
from nnopt_lab.techniques.deployment.engine import failing_as_unavailable
from nnopt_lab.techniques.search import candidates, evaluation
from nnopt_lab.techniques.search.estimates import CostEstimates, corrected, should_stop
from nnopt_lab.techniques.search.interrupts import noticed
from nnopt_lab.techniques.search.kept import KeptNetworks
from nnopt_lab.techniques.search.points import EAGER, Goal, Point
from nnopt_lab.techniques.search.result import Search
from nnopt_lab.techniques.search.search_space import Space, sensitivity
from nnopt_lab.techniques.search.study import fingerprint, networks_folder, open_study
from nnopt_lab.techniques.search.tasks import Task, guessing, sentence
from nnopt_lab.workbench import device, training
from nnopt_lab.workbench.progress_bar import progress_bar

MIN_FINISHED = 4  # finished trials before estimates may stop others
# Points below the limit at which the sampler's accuracy is clipped, so that failures don't mask small differences.
ACCURACY_CLIP = 5.0


class Searcher:
    """One process's part in a search.

    Args:
        task, goal: of the search.
        names: of the engines to choose from if latency is the target.
        storage, sampler: as in `study.open_study`.
        stop_early: whether to stop trials that cannot win.

    Attributes:
        found: the results so far, of all processes.
        space: the knobs.

    Raises:
        ValueError: the storage contains another search.
    """

    def __init__(
        self,
        task: Task,
        goal: Goal,
        names: Sequence[str],
        storage: Path | str | None,
        sampler: str,
        stop_early: bool = True,
    ):
        self.task, self.goal, self.stop_early = task, goal, stop_early
        self.study = open_study(storage, sampler, task.seed)
        mine = fingerprint(task, goal, names)
        if self._agree("task", mine) != mine:
            raise ValueError(
                f"storage={str(storage)!r} contains a search for another network, other data, "
                "another training, goal or other engines; give another file."
            )
        self.batch = task.inputs(goal.batch).to(task.device)
        baseline_latency, missing = self._time_engines(names if goal.target == "latency" else [])
        self.space = Space(task, goal, baseline_latency)
        self.estimates = CostEstimates(task.model, goal, self.batch, baseline_latency, task.device)
        seen = training.evaluate(task.model, task.pictures.validation, task.pictures)
        original = Point(-1, {}, seen.accuracy, self.baseline.bytes, baseline_latency[EAGER])
        kept = KeptNetworks(task, mine, networks_folder(storage))
        self.found = Search(
            task,
            goal,
            original,
            kept,
            notes=[*task.notes, *missing, *self.space.notes, *_about(task.device), *guessing(task, original.accuracy)],
        )

    def begin_with_starts(self, most: int) -> None:
        """Schedule at most `most` of the space's starts as the first trials, once over all calls."""
        if "sensitivity" not in self.study.user_attrs:
            lost_and_saved = sensitivity(self.task, self.space.groups, self.estimates.size)
            self.study.set_user_attr("sensitivity", lost_and_saved)
            for params in self.space.starts(lost_and_saved)[:most]:
                self.study.enqueue_trial(params)
        self.found.sensitivity = {name: tuple(pair) for name, pair in self.study.user_attrs["sensitivity"].items()}

    def run(self, trials: int, seconds: float | None) -> Search:
        """Try configurations until all processes together have tried `trials`, or `seconds` have passed.

        Raises:
            ValueError: no trial succeeded.
        """
        started, found = time.perf_counter(), self.found
        limit = float("inf") if seconds is None else seconds
        with progress_bar(total=trials, desc="searching", unit="trial") as progress:
            try:
                while self._collect() < trials and time.perf_counter() - started < limit:
                    self._try(self._ask())
                    progress.n = self._collect()
                    best = "nothing within the limits yet" if found.best is None else self._praise(found.best)
                    progress.set_postfix_str(f"{len(found.front)} on the front, best: {best}")
            except KeyboardInterrupt:
                found.interrupted = True
        self._collect()
        found.seconds = time.perf_counter() - started
        if found.failed and not found.points and not found.interrupted:
            raise ValueError(f"No trial succeeded; the last one failed: {found.failed[-1]}")
        return found

    def _try(self, trial) -> None:
        optuna, config = importlib.import_module("optuna"), self.space.config(trial.params)
        trial.set_user_attr("config", config)
        point = None
        try:
            with noticed():
                point = self._point(trial, config)
        except _Stopped as stopped:
            trial.set_user_attr("stopped", True)
            trial.set_user_attr("limits", self._limits)
            likely = {name: getattr(stopped.point, name) for name in ("accuracy", "bytes", "latency")}
            trial.set_user_attr("likely", likely)
            self._tell(trial, stopped.point)
        except KeyboardInterrupt:
            if point:
                self._tell(trial, point)
            else:
                self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
                self.study.enqueue_trial(trial.params)
            raise
        except Exception as error:  # no candidate's failure ends a search
            trial.set_user_attr("reason", sentence(error))
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._tell(trial, point)

    def _ask(self):
        """A trial of the sampler, which sees earlier trials as they are under the present limits."""
        space, limits = self.space.distributions(), self._limits
        ended = [t for t in self.study.get_trials(deepcopy=False) if "limits" in t.user_attrs]
        if all(t.user_attrs["limits"] == limits for t in ended):
            return self.study.ask(space)
        optuna = importlib.import_module("optuna")
        view = optuna.create_study(directions=self.study.directions, sampler=self.study.sampler)
        for old in ended:
            if "figures" in old.user_attrs:
                point = Point(old.number, old.user_attrs["config"], **old.user_attrs["figures"])
            elif "likely" in old.user_attrs and old.user_attrs["limits"] == limits:
                point = Point(old.number, old.user_attrs["config"], **old.user_attrs["likely"])
            else:
                continue  # nobody knows what a stopped trial would have reached
            view.enqueue_trial(old.params)
            self._tell(view.ask(old.distributions), point, view)
        if not any(t.state == optuna.trial.TrialState.WAITING for t in self.study.get_trials(deepcopy=False)):
            self.study.enqueue_trial(view.ask(space).params)
        return self.study.ask(space)

    @property
    def _limits(self) -> list:
        return [self.goal.max_drop, self.goal.max_bytes, self.goal.max_latency]

    def _tell(self, trial, point: Point, study=None) -> None:
        """Report to the sampler: accuracy, clipped to the interesting range, and the logarithm of the cost."""
        highest = self.found.original.accuracy
        lowest = highest - self.goal.max_drop - ACCURACY_CLIP
        point = replace(point, accuracy=min(max(point.accuracy, lowest), highest))
        for name, excess in self.found.excess(point).items():
            trial.set_constraint(name, excess)
        (study or self.study).tell(trial, (point.accuracy, math.log(self.found.cost(point))))

    def _point(self, trial, config: dict) -> Point:
        predicted, curve = {}, []

        def watch(model: nn.Module, accuracies: list[float], left: int) -> None:
            if not accuracies:
                predicted.update(self.estimates.predict(model, config))
            curve[:] = accuracies
            if self.stop_early and self._should_stop(accuracies, left, predicted):
                likely = {"latency": self.found.original.latency}
                likely |= corrected(predicted, self._finished(), statistics.median)
                raise _Stopped(Point(trial.number, config, max(accuracies, default=0.0), **likely, curve=curve))

        model, sizes = candidates.make(self.task, config, watch)
        point = evaluation.measured_point(
            self.task, trial.number, config, model, self.baseline, self.found.original.latency, self.batch
        )
        self._keep(replace(point, curve=curve), model, sizes)
        figures = {"accuracy": point.accuracy, "bytes": point.bytes, "latency": point.latency}
        before = {"curve": curve, "predicted": predicted, "limits": self._limits}
        for name, value in (before | {"figures": figures}).items():
            trial.set_user_attr(name, value)  # the figures last, because readers of them expect the others
        return point

    def _keep(self, point: Point, model: nn.Module, sizes: dict) -> None:
        """Keep a network if its point is on the front or the best, before other processes see the point."""
        with_it = replace(self.found, points=[*self.found.points, point])
        if point in with_it.front or point == with_it.best:
            self.found.kept.add(point, model, sizes)

    def _should_stop(self, accuracies: list[float], left: int, predicted: dict[str, float]) -> bool:
        finished = self._finished()
        if len(finished) < MIN_FINISHED:
            return False
        least = corrected(predicted, finished, min)
        limits = {"bytes": self.goal.max_bytes, "latency": self.goal.max_latency}
        if any(limit is not None and least.get(name, 0) > limit for name, limit in limits.items()):
            return True
        curves = [a for a in finished if len(a["curve"]) > left]
        if not accuracies or left == 0 or len(curves) < MIN_FINISHED:
            return False
        gains = [a["figures"]["accuracy"] - a["curve"][-1 - left] for a in curves]
        allowed = [(p.accuracy, self.found.cost(p)) for p in self.found.points if self.found.allowed(p)]
        floor = self.found.original.accuracy - self.goal.max_drop
        return should_stop(accuracies[-1], least[self.goal.target], gains, allowed, floor)

    def _finished(self) -> list[dict]:
        return [t.user_attrs for t in self.study.get_trials(deepcopy=False) if "figures" in t.user_attrs]

    def _collect(self) -> int:
        """Read the results of all processes; returns the number of trials that have ended."""
        trials, found = self.study.get_trials(deepcopy=False), self.found
        known = [(t.number, t.user_attrs) for t in trials if "figures" in t.user_attrs]
        found.points = [Point(n, a["config"], **a["figures"], curve=a["curve"]) for n, a in known]
        found.stopped = sum("stopped" in t.user_attrs for t in trials)
        found.failed = [t.user_attrs["reason"] for t in trials if "reason" in t.user_attrs]
        found.kept.keep_only([*found.front, *([found.best] if found.best else [])], found.points)
        return len(known) + found.stopped + len(found.failed)

    def _time_engines(self, names: Sequence[str]) -> tuple[dict[str, float], list[str]]:
        """The original's seconds per batch on each engine, eager first, and reasons why others cannot be tried.

        A continued search uses the times with which it began.
        """
        stored = self.study.user_attrs.get("engines")  # then no engine has to be built but the baseline
        names = [EAGER] if stored else list(dict.fromkeys([EAGER, *names]))
        ready, missing = build_engines(self.task.model, self.task.calibration, names, self.task.device)
        for name, engine in list(ready.items()):
            try:
                with failing_as_unavailable(f"It does not run this model with {self.goal.batch} pictures"):
                    engine(self.batch)
            except EngineUnavailable as unavailable:
                missing[name] = str(unavailable)
                del ready[name]
        if EAGER in missing:
            raise ValueError(f"model does not run on {EAGER}: {missing[EAGER]}")
        self.baseline = ready[EAGER]
        notes = self._agree("missing", [f"{name} was not tried: {why}" for name, why in missing.items()])
        return stored or self._agree("engines", evaluation.fastest_seconds(ready, self.batch, 3.0)), notes

    def _agree(self, name: str, value):
        """The value that the first process stored under a name; this process's own, if it is the first."""
        if name not in self.study.user_attrs:
            self.study.set_user_attr(name, value)
        return self.study.user_attrs[name]

    def _praise(self, point: Point) -> str:
        times = self.found.cost(self.found.original) / self.found.cost(point)
        what = "as fast" if self.goal.target == "latency" else "as small"
        return f"{times:.2f} times {what}, {point.accuracy:.1f} %"


def _about(here: torch.device) -> list[str]:
    """Note what times on an accelerator include; empty for the CPU."""
    if not device.is_accelerator(here):
        return []
    return [f"Times were measured on {device.describe(here)} with the pictures there; they don't include copies."]


class _Stopped(Exception):
    """A trial is not worth continuing; `point` is its likely result."""

    def __init__(self, point: Point):
        super().__init__()
        self.point = point
