"""Which configuration a search tries next, and what its sampler is told about those that were tried."""

import importlib
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from nnopt_lab.techniques.search.points import Point
from nnopt_lab.techniques.search.result import Search
from nnopt_lab.techniques.search.search_space import Space
from nnopt_lab.techniques.search.study import StoredStudy

# Points below the limit at which the sampler's accuracy is clipped, so that failures don't mask small differences.
ACCURACY_CLIP = 5.0
# Configurations in a row that were tried before: after so many, a random one is next, or the search ends.
REPEATS_OF_THE_SAMPLER, MOST_REPEATS = 3, 30
FIRST_WIDTH = 0.5
ABANDONED = timedelta(hours=1)  # a trial that has run for longer may belong to a process that was killed


class Proposals:
    """The trials of a search.

    Args:
        study: stores the trials.
        space: the knobs.
        found: the results so far.

    Attributes:
        starts: the knobs with which the search begins, in this order.
        most: number of trials that are starts, at most.
    """

    def __init__(self, study: StoredStudy, space: Space, found: Search):
        self.study, self.space, self.found = study, space, found
        self.starts: Sequence[dict] = ()
        self.most = 0
        self._random = importlib.import_module("optuna").samplers.RandomSampler(study.seed)

    @property
    def limits(self) -> list:
        """The goal's limits, under which a trial was told."""
        return [self.found.goal.max_drop, self.found.goal.max_bytes, self.found.goal.max_latency]

    def next(self):
        """Begin a trial whose configuration was not tried before.

        Returns:
            The trial and its configuration; None if no new configuration was found.
        """
        for repeats in range(MOST_REPEATS):
            trial = self._ask(at_random=repeats >= REPEATS_OF_THE_SAMPLER)
            config = self.space.config(trial.params)
            self.study.note(trial, config=config)
            same = self._same(config, before=trial.number)
            if same is None:
                return trial, config
            self.study.note(trial, same_as=same.number)
            points = points_of(same) or self._likely_of(same)
            self.study.end(trial, *(self._told(points) if points else (None,)))
        return None

    def finish(self, trial, points: list[Point], /, **attributes) -> None:
        """End a trial with its points; a stopped one with the likely one and the attribute `stopped`."""
        self.study.note(trial, limits=self.limits, **attributes)
        self.study.end(trial, *self._told(points))

    def fail(self, trial, reason: str) -> None:
        """End a trial with the reason why it has no point."""
        self.study.note(trial, reason=reason)
        self.study.end(trial, None)

    def interrupt(self, trial) -> None:
        """End a trial that will be tried again."""
        self.study.note(trial, interrupted=True)
        self.study.end(trial, None)
        self.study.schedule(trial.params)

    def _told(self, points: list[Point]) -> tuple[tuple[float, float], dict[str, float]]:
        """The values of a trial for the sampler, and by how much it exceeds each limit.

        They are those of its best point: accuracy, clipped to the interesting range, and the logarithm of the cost.
        """
        found = self.found
        highest = found.original.accuracy
        lowest = highest - found.goal.max_drop - ACCURACY_CLIP
        clipped = [replace(point, accuracy=min(max(point.accuracy, lowest), highest)) for point in points]
        point = min(clipped, key=lambda p: (sum(max(e, 0) for e in found.excess(p).values()), found.cost(p)))
        return (point.accuracy, math.log(found.cost(point))), found.excess(point)

    def _same(self, config: dict, before: float = math.inf):
        """A trial with a number below `before` that makes another one of this configuration pointless, or None."""
        for trial in self.study.trials():
            known = trial.user_attrs
            if known.get("config") == config and "same_as" not in known and trial.number < before:
                ended = "points" in known or "reason" in known or self._is_stopped(trial)
                if ended or _is_running(trial):
                    return trial
        return None

    def _is_stopped(self, trial) -> bool:
        """Whether a trial was stopped under the present limits; under others, nobody knows what it would reach."""
        return "likely" in trial.user_attrs and trial.user_attrs["limits"] == self.limits

    def _likely_of(self, trial) -> list[Point]:
        known = trial.user_attrs
        return [Point(trial.number, known["config"], **known["likely"])] if self._is_stopped(trial) else []

    def _ask(self, at_random: bool):
        """A trial that was scheduled, else the next start, else one of the sampler."""
        optuna, space, trials = importlib.import_module("optuna"), self.space.distributions(), self.study.trials()
        if any(t.state == optuna.trial.TrialState.WAITING for t in trials):
            return self.study.ask(space)
        start = self._next_start(sum("same_as" not in t.user_attrs for t in trials))
        if start is not None:
            return self.study.ask(space, start)
        if at_random:
            return self.study.ask(space, optuna.create_study(sampler=self._random).ask(space).params)
        ended = [t for t in trials if "limits" in t.user_attrs]
        if all(t.user_attrs["limits"] == self.limits for t in ended):
            return self.study.ask(space)
        return self.study.ask(space, self._under_present_limits(ended, optuna).ask(space).params)

    def _next_start(self, tried: int) -> dict | None:
        """The next start that was not tried, or None.

        Where speed counts, the widths of all groups follow from the results: each halves the range that is left. Then
        come the other starts, those of a width near the best one first.
        """
        starts = list(self.starts)
        if tried < self.most and self.space.groups and not self.space.shared:
            begun = starts.index(self._uniform(FIRST_WIDTH)) + 1
            starts, others = starts[:begun], starts[begun:]
            width = self.space.next_width(FIRST_WIDTH, self._is_wide_enough)
            best = min(filter(self._is_wide_enough, self.space.widths()), default=1.0)
            starts += [self._uniform(width)] if width is not None else []
            starts += sorted(others, key=lambda start: abs(start["width"] - best))
        untried = (start for start in starts if self._same(self.space.config(start)) is None)
        return next(untried, None) if tried < self.most else None

    def _uniform(self, width: float) -> dict:
        """The knobs of the network that keeps this share of every group."""
        return self.space.neutral() | {"width": width}

    def _is_wide_enough(self, width: float) -> bool | None:
        """Whether the network of a uniform width is within the limits; None if it was not tried.

        A width that another process is trying counts as too narrow until its result is there.
        """
        same = self._same(self.space.config(self._uniform(width)))
        return None if same is None else any(map(self.found.allowed, points_of(same)))

    def _under_present_limits(self, ended: Sequence, optuna):
        """A study whose sampler sees trials that have ended under other limits as they are under the present ones."""
        study = self.study.study
        view = optuna.create_study(directions=study.directions, sampler=study.sampler)
        for old in ended:
            points = points_of(old) or self._likely_of(old)
            if not points:
                continue
            view.enqueue_trial(old.params)
            trial, (values, excess) = view.ask(old.distributions), self._told(points)
            for name, by in excess.items():
                trial.set_constraint(name, by)
            view.tell(trial, values)
        return view


def points_of(trial) -> list[Point]:
    """The points of a finished trial; empty for others."""
    attributes = trial.user_attrs
    return [
        Point(trial.number, attributes["config"] | {"engine": engine}, **figures, curve=attributes["curve"])
        for engine, figures in attributes.get("points", {}).items()
    ]


def _is_running(trial) -> bool:
    optuna = importlib.import_module("optuna")
    recent = trial.datetime_start and datetime.now() - trial.datetime_start < ABANDONED
    return bool(recent) and trial.state == optuna.trial.TrialState.RUNNING
