"""One process's part in a search: get a configuration, train it, measure it on every engine, report the result."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from nnopt_lab.techniques.search import candidates, evaluation
from nnopt_lab.techniques.search.estimates import CostEstimates, corrected, should_stop
from nnopt_lab.techniques.search.interrupts import noticed
from nnopt_lab.techniques.search.kept import KeptNetworks
from nnopt_lab.techniques.search.points import EAGER, Goal, Point
from nnopt_lab.techniques.search.proposals import Proposals, points_of
from nnopt_lab.techniques.search.result import Search
from nnopt_lab.techniques.search.search_space import Space, sensitivity
from nnopt_lab.techniques.search.study import StoredStudy, fingerprint, networks_folder
from nnopt_lab.techniques.search.tasks import Task, guessing, sentence
from nnopt_lab.workbench import device, training
from nnopt_lab.workbench.language import _
from nnopt_lab.workbench.progress_bar import progress_bar

MIN_FINISHED = 4  # finished trials before estimates may stop others
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"  # without tqdm's own time left


class Searcher:
    """One process's part in a search.

    Args:
        task, goal: of the search.
        names: of the engines on which candidates are measured, if latency matters or files are the engines' own.
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
        self.study = StoredStudy(storage, sampler, task.seed)
        mine = fingerprint(task, goal, names)
        if self.study.agree("task", mine) != mine:
            raise ValueError(
                f"storage={str(storage)!r} contains a search for another network, other data, another training, goal "
                "or other engines, or one of an earlier version of this package; give another file."
            )
        self._graphs: dict = {}  # exported for one network, they are refitted for the next
        self.batch = task.inputs(goal.batch).to(task.device)
        self.space = Space(task, goal)
        # A compressed file is the same for every engine.
        by_engine = goal.target == "latency" or goal.max_latency or not self.space.shared
        self.baseline, baseline_latency, missing = self._time_engines(names if by_engine else [])
        self.engines = evaluation.contenders(baseline_latency, goal.counts_bytes)
        self.estimates = CostEstimates(
            task.model, goal, self.batch, {name: baseline_latency[name] for name in self.engines}, task.device
        )
        seen = training.evaluate(task.model, task.pictures.validation, task.pictures)
        original = Point(-1, {}, seen.accuracy, self.baseline.bytes, baseline_latency[EAGER])
        kept = KeptNetworks(task, mine, networks_folder(storage))
        about = [*_about(task.device), *guessing(task, original.accuracy)]
        self.found = Search(task, goal, original, kept, notes=[*task.notes, *missing, *self.space.notes, *about])
        self.proposals = Proposals(self.study, self.space, self.found)
        self._durations: list[float] = []

    def begin_with_starts(self, most: int) -> None:
        """Begin with at most `most` of the space's starts, over all calls and processes."""
        lost_and_saved = self.study.agreed("sensitivity")
        if lost_and_saved is None:
            found = sensitivity(self.task, self.space.groups, self.estimates.size)
            lost_and_saved = self.study.agree("sensitivity", found)
        self.found.sensitivity = {name: tuple(pair) for name, pair in lost_and_saved.items()}
        plain = self.engines != [EAGER]  # there, the plain network is the original
        self.proposals.starts = self.space.starts(self.found.sensitivity, plain)
        self.proposals.most = most

    def run(self, trials: int, seconds: float | None) -> Search:
        """Try configurations until all processes together have tried `trials`, or `seconds` have passed.

        Raises:
            ValueError: no trial succeeded.
        """
        started, found = time.perf_counter(), self.found
        limit = float("inf") if seconds is None else seconds
        with progress_bar(total=trials, desc="searching", unit="trial", bar_format=BAR) as progress:
            try:
                while (tried := self._collect()) < trials and (passed := time.perf_counter() - started) < limit:
                    progress.n = tried
                    progress.set_postfix_str(self._progress(trials - tried, limit - passed))
                    proposed = self.proposals.next()
                    if proposed is None:
                        found.notes += [
                            f"The search ended after {tried} trials, because it found no new configuration."
                        ]
                        break
                    self._try(*proposed)
                    self._durations.append(time.perf_counter() - started - passed)
            except KeyboardInterrupt:
                found.interrupted = True
        self._collect()
        found.seconds = time.perf_counter() - started
        if found.failed and not found.points and not found.interrupted:
            raise ValueError(f"No trial succeeded; the last one failed: {found.failed[-1]}")
        return found

    def _try(self, trial, config: dict) -> None:
        result = None
        try:
            with noticed():
                result = self._measured(trial.number, config)
        except _Stopped as stopped:
            likely = {name: getattr(stopped.point, name) for name in ("accuracy", "bytes", "latency")}
            self.proposals.finish(trial, [stopped.point], stopped=True, likely=likely)
        except KeyboardInterrupt:
            if result:
                self._finish(trial, *result)
            else:
                self.proposals.interrupt(trial)
            raise
        except Exception as error:  # no candidate's failure ends a search
            self.proposals.fail(trial, sentence(error))
        else:
            self._finish(trial, *result)

    def _measured(self, number: int, config: dict) -> tuple[list[Point], dict, dict]:
        """Train a candidate and measure it: (points, predicted figures, engines that do not run it)."""
        predicted, curve = {}, []

        def watch(model: nn.Module, accuracies: list[float], left: int) -> None:
            if not accuracies:
                predicted.update(self.estimates.predict(model, config))
            curve[:] = accuracies
            if self.stop_early and self._should_stop(accuracies, left, predicted):
                likely = {"latency": self.found.original.latency}
                likely |= corrected(predicted, self._finished(), statistics.median)
                raise _Stopped(Point(number, config, max(accuracies, default=0.0), **likely, curve=curve))

        model, sizes = candidates.make(self.task, config, watch)
        points, missing = evaluation.measured_points(
            self.task,
            number,
            config,
            model,
            self.baseline,
            self.found.original.latency,
            self.batch,
            self.engines,
            self.goal,
            self._graphs,
        )
        points = [replace(point, curve=curve) for point in points]
        self._keep(points, model, sizes)
        return points, predicted, missing

    def _finish(self, trial, points: list[Point], predicted: dict, missing: dict) -> None:
        by_engine = {
            point.config["engine"]: {"accuracy": point.accuracy, "bytes": point.bytes, "latency": point.latency}
            for point in points
        }
        known = {"curve": points[0].curve, "predicted": predicted, "missing": missing}
        self.proposals.finish(trial, points, **known, points=by_engine)  # these last, as readers expect the others

    def _keep(self, points: list[Point], model: nn.Module, sizes: dict) -> None:
        """Keep a network if one of its points is on the front or the best, before other processes see them."""
        with_them = replace(self.found, points=[*self.found.points, *points])
        if any(point in with_them.front or point == with_them.best for point in points):
            self.found.kept.add(points[0], model, sizes)

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
        """Of each finished trial, the attributes, and the best figures of its engines."""
        known = [t.user_attrs for t in self.study.trials() if "points" in t.user_attrs]
        best = {"accuracy": max, "bytes": min, "latency": min}
        return [
            {**a, "figures": {n: choose(f[n] for f in a["points"].values()) for n, choose in best.items()}}
            for a in known
        ]

    def _collect(self) -> int:
        """Read the results of all processes; returns the number of trials that have ended."""
        trials, found = self.study.trials(), self.found
        found.points = [point for trial in trials for point in points_of(trial)]
        found.stopped = sum("stopped" in t.user_attrs for t in trials)
        found.failed = [t.user_attrs["reason"] for t in trials if "reason" in t.user_attrs]
        found.missing = {name: why for t in reversed(trials) for name, why in t.user_attrs.get("missing", {}).items()}
        found.kept.keep_only([*found.front, *([found.best] if found.best else [])], found.points)
        return found.trials

    def _time_engines(self, names: Sequence[str]):
        """Time the original on each engine.

        A continued search uses the times with which it began.

        Returns:
            The engine of eager torch, the original's seconds per batch on each engine, and reasons why others cannot be
            tried.
        """
        key = "engines" if names else "baseline"
        stored = self.study.agreed(key)  # then no engine has to be built but the baseline
        names = [EAGER] if stored else list(dict.fromkeys([EAGER, *names]))
        ready, missing = evaluation.running_engines(self.task, self.task.model, names, self.batch, self._graphs)
        if EAGER in missing:
            raise ValueError(f"model does not run on {EAGER}: {missing[EAGER]}")
        notes = self.study.agree("missing", [f"{name} was not tried: {why}" for name, why in missing.items()])
        seconds = stored or self.study.agree(key, evaluation.fastest_seconds(ready, self.batch, 3.0))
        return ready[EAGER], seconds, notes

    def _progress(self, trials: int, seconds: float) -> str:
        """The results so far, and the time left: that of the remaining trials, at most `seconds`."""
        found, said = self.found, []
        if self._durations:
            left = min(trials * statistics.median(self._durations), seconds)
            said.append(_("about {time} left", time=_rounded(left)))
        said.append(_("{count} on the front", count=len(found.front)))
        if found.best is None:
            said.append(_("best: nothing within the limits yet"))
        else:
            said.append(_("best: {figures}", figures=self._praise(found.best)))
        return ", ".join(said)

    def _praise(self, point: Point) -> str:
        times = self.found.cost(self.found.original) / self.found.cost(point)
        figures = {"times": f"{times:.2f}", "accuracy": f"{point.accuracy:.1f}"}
        if self.goal.target == "latency":
            return _("{times} times as fast, {accuracy} %", **figures)
        return _("{times} times as small, {accuracy} %", **figures)


def _rounded(seconds: float) -> str:
    """A duration in its largest unit, such as "3 min"."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}" if unit == "h" else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


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
