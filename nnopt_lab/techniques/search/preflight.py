"""Say what a search would do with a network and its data, after one run on one batch and before any time is spent."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.convolutions import low_rank
from nnopt_lab.techniques.deployment import build_engines
from nnopt_lab.techniques.deployment.registry import check_names
from nnopt_lab.techniques.network_checks import copied
from nnopt_lab.techniques.search.autotune import default_engines
from nnopt_lab.techniques.search.checks import prepared
from nnopt_lab.techniques.search.datasets import describe, noun
from nnopt_lab.techniques.search.points import EAGER, Goal
from nnopt_lab.techniques.search.search_space import Space
from nnopt_lab.techniques.search.tasks import GivenPictures, Task, guessing
from nnopt_lab.workbench import device as devices
from nnopt_lab.workbench import measure, training
from nnopt_lab.workbench.language import _, counted, labelled, translated, translated_sentences

FEW = 500  # validation pictures on which the original is evaluated
TIMING = 2.0  # seconds per trial for measuring latency and saving
_SHOWN = 3  # items of a list that are named


@dataclass(frozen=True, repr=False)
class Preflight:
    """What a search would do; printing it shows a table.

    Attributes:
        task: the copy of the network and the data that the search would use.
        goal: of the search.
        trials: of the search.
        accuracy: the original's in percent, on at most 500 validation pictures.
        groups: number of channels by group that can lose channels.
        frozen: the layers of groups that can't, with the reason.
        factorisable: names of the layers that can be factorised.
        shared: names of the layers whose weights can be pruned and share values; empty if bytes do not matter.
        engines: seconds to build each engine that runs here.
        missing: for each other engine, a sentence that says why it doesn't.
        step: seconds of one training step.
        minutes: estimate for all trials; early stopping makes a search faster.
        notes: sentences on what was changed in the network and what is unusual.
    """

    task: Task
    goal: Goal
    trials: int
    accuracy: float
    groups: dict[str, int]
    frozen: dict[str, str]
    factorisable: tuple[str, ...]
    shared: tuple[str, ...]
    engines: dict[str, float]
    missing: dict[str, str]
    step: float
    minutes: float
    notes: tuple[str, ...]

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The table's rows, label and text; long lists are shortened, so that it fits on a screen."""
        rows = [(_("network"), self._network()), (_("data"), self._data()), (_("original"), self._original())]
        channels = [f"{name} ({count})" for name, count in self.groups.items()]
        groups = counted(len(channels), "{count} group: {names}", "{count} groups: {names}", names=_few(channels))
        rows += [(_("lose channels"), groups if channels else _("none"))]
        reasons = Counter(self.frozen.values())
        rows += [
            (_("keep channels"), f"{reason} ({_few([n for n, why in self.frozen.items() if why == reason])})")
            for reason in [why for why, count in reasons.most_common(_SHOWN)]
        ]
        rows += [(_("factorised"), self._layers(self.factorisable))]
        if self.goal.counts_bytes:
            rows += [(_("shared weights"), self._layers(self.shared))]
        rows += [(_("engines"), ", ".join(self.engines))]
        rows += [(_("not {engine}", engine=name), translated_sentences(why)) for name, why in self.missing.items()]
        return rows + [(_("time"), self._time())] + [(_("note"), translated_sentences(note)) for note in self.notes]

    def __repr__(self) -> str:
        width = max(len(label) for label, _ in self.rows)
        return "\n".join(f"{label:{width}}  {text}" for label, text in self.rows)

    def _network(self) -> str:
        size = measure.parameters(self.task.model).total
        about = {"name": type(self.task.model).__name__, "count": measure.format_count(size)}
        return _("{name}, {count} parameters", **about)

    def _data(self) -> str:
        train, validation = self.task.pictures.train, self.task.pictures.validation
        shape = describe(self.task.inputs(1)[0])
        about = {"train": f"{len(train):,}", "validation": f"{len(validation):,}", "shape": translated(shape)}
        about |= {"pictures": translated(noun(train.images)), "classes": len(train.labels.unique())}
        said = _(
            "{train} {pictures} to train on and {validation} to validate on, as {shape}; {classes} classes", **about
        )
        return labelled(said, _few(self.task.class_names)) if self.task.class_names else said

    def _original(self) -> str:
        some = min(FEW, len(self.task.pictures.validation))
        what = translated(noun(self.task.pictures.validation.images))
        about = {"accuracy": f"{self.accuracy:.1f}", "count": some, "pictures": what}
        return _("{accuracy} % of {count} validation {pictures}", **about)

    def _layers(self, names: Sequence[str]) -> str:
        if not names:
            return _("none")
        return counted(len(names), "{count} layer: {names}", "{count} layers: {names}", names=_few(names))

    def _time(self) -> str:
        return _(
            "about {time} for {trials} of {epochs}, from a training step of {step} ms",
            time=_minutes(self.minutes),
            trials=counted(self.trials, "{count} trial", "{count} trials"),
            epochs=counted(self.task.epochs, "{count} epoch", "{count} epochs"),
            step=f"{1e3 * self.step:.3g}",
        )


def preflight(
    model: nn.Module,
    train,
    validation,
    *,
    goal: Goal | str = "latency",
    to_input: Callable[[Tensor], Tensor] | None = None,
    trials: int = 40,
    engine_names: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
    epochs: int = 2,
    batch_size: int = 128,
    class_names: Sequence[str] | None = None,
) -> Preflight:
    """Check a network and its data as `optimize` does, and find out what it would search and for how long.

    The network is run on one batch, trained for two steps, and exported once to each engine. Nothing is stored.

    Args:
        model, train, validation, goal, to_input, trials, engine_names, device, epochs, batch_size, class_names: as in
            `autotune.optimize`.

    Raises:
        ValueError: as `optimize` would, in one sentence.
    """
    goal = Goal(goal) if isinstance(goal, str) else goal
    here = devices.find(device)
    names = default_engines(here) if engine_names is None else engine_names
    check_names(names, here)
    if min(trials, epochs, batch_size) < 1:
        raise ValueError(f"trials={trials}, epochs={epochs} and batch_size={batch_size} must be at least 1.")
    options = {"epochs": epochs, "batch_size": batch_size, "device": here}
    task = prepared(model, train, validation, to_input, goal.batch, class_names, **options)
    tried = dict.fromkeys([EAGER, *names] if goal.target == "latency" else [EAGER])
    engines, missing = build_engines(task.model, task.calibration, list(tried), here)
    space = Space(task, goal)
    built = {name: engine.seconds for name, engine in engines.items()}
    accuracy, seconds = _evaluated(task)
    step = _step_seconds(task)
    return Preflight(
        task,
        goal,
        trials,
        accuracy,
        dict(space.groups),
        _frozen(task),
        tuple(low_rank.factorisable(task.model)),
        tuple(space.shared),
        built,
        missing,
        step,
        _estimate(task, goal, trials, step, seconds, built),
        (*task.notes, *space.notes, *guessing(_with_few(task), accuracy)),
    )


def _with_few(task: Task) -> Task:
    pictures = task.pictures
    return replace(task, pictures=GivenPictures(pictures.train, pictures.validation[:FEW], pictures.to_input))


def _evaluated(task: Task) -> tuple[float, float]:
    """The original's accuracy on few validation pictures, and the seconds for all of them."""
    few, started = _with_few(task).pictures.validation, time.perf_counter()
    accuracy = training.evaluate(task.model, few, task.pictures).accuracy
    return accuracy, (time.perf_counter() - started) * len(task.pictures.validation) / len(few)


def _step_seconds(task: Task) -> float:
    """Seconds of one training step on the device that trains, the second of two."""
    here, split = training.best_device(), task.pictures.train
    count = min(task.batch_size, len(split))
    model = copied(task.model).train().to(here)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.0)
    for _step in range(2):
        devices.synchronize(here)
        started = time.perf_counter()
        inputs = task.pictures.to_input(split.images[:count]).clone().to(here)
        loss = nn.functional.cross_entropy(training.logits_of(model, inputs), split.labels[:count].to(here))
        loss.backward()
        optimizer.step()
        devices.synchronize(here)
    return time.perf_counter() - started


def _frozen(task: Task) -> dict[str, str]:
    """Reasons by layer of the groups of channels that can't lose any."""
    with suppress(Exception):  # the space's notes say why the network can't be followed
        return {group.name: group.reason for group in task.groups if not group.removable and group.reason}
    return {}


def _estimate(task: Task, goal: Goal, trials: int, step: float, evaluation: float, built: dict[str, float]) -> float:
    steps = -(-len(task.pictures.train) // task.batch_size)
    stages = 2 if goal.counts_bytes else 1  # after shaping the network, and after compressing it
    epoch = steps * step + evaluation
    every = sum(built.values())  # each candidate is measured on all of them
    return (trials * (stages * task.epochs * epoch + evaluation + every + TIMING) + every) / 60


def _minutes(minutes: float) -> str:
    if minutes < 1:
        return _("a minute")
    if minutes < 120:
        return counted(round(minutes), "{count} minute", "{count} minutes")
    return _("{count} hours", count=f"{minutes / 60:.1f}")


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(map(str, names[:_SHOWN]))
    return _("{names} and {count} more", names=shown, count=len(names) - _SHOWN) if len(names) > _SHOWN else shown
