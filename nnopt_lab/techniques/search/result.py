"""The result of a search: points, their Pareto front, and the networks."""

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from torch import nn

from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable
from nnopt_lab.techniques.deployment.registry import build_engine
from nnopt_lab.techniques.search import candidates, files, page, report
from nnopt_lab.techniques.search.comparison import Comparison
from nnopt_lab.techniques.search.confirmation import ExportedNetwork, confirm
from nnopt_lab.techniques.search.fronts import hypervolume, pareto_front
from nnopt_lab.techniques.search.kept import KeptNetworks
from nnopt_lab.techniques.search.points import EAGER, Goal, Point
from nnopt_lab.techniques.search.tasks import Task
from nnopt_lab.workbench.device import is_accelerator


@dataclass(repr=False)
class Search:
    """The results of a search so far.

    A point is a network on an engine, with its accuracy, bytes and latency. A trial has one for each engine that no
    other beats for its network. The Pareto front is the set of points that no other point beats.

    Attributes:
        task, goal: of the search.
        original: the unchanged network in eager torch.
        kept: the trained networks of the front and of the best point.
        points: of finished trials.
        stopped, failed: the number of trials that were stopped early, and the reasons why others failed.
        missing: engines that did not run every candidate, with the reason of the first one.
        sensitivity: for each group of channels, the loss of accuracy in percentage points if half of it is removed
            without training, and the share of the predicted cost that this saves; empty if no channel can be removed.
        notes: a sentence for everything that could not be tried.
        seconds: duration of this call.
        interrupted: whether Ctrl-C ended it.
    """

    task: Task
    goal: Goal
    original: Point
    kept: KeptNetworks
    points: list[Point] = field(default_factory=list)
    stopped: int = 0
    failed: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    sensitivity: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def remarks(self) -> list[str]:
        """The notes, and a sentence for each engine that failed and for each reason why trials failed."""
        counts = Counter(self.failed)
        missing = [f"{name} did not run every candidate: {why}" for name, why in self.missing.items()]
        return self.notes + missing + [f"Trials that failed ({count}): {reason}" for reason, count in counts.items()]

    def cost(self, point: Point) -> float:
        """The point's value of the quantity to minimise."""
        return getattr(point, self.goal.target)

    def allowed(self, point: Point) -> bool:
        """Whether a point is within the goal's limits."""
        return all(excess <= 0 for excess in self.excess(point).values())

    def excess(self, point: Point) -> dict[str, float]:
        """How far a point exceeds each limit; at most 0 if it is within it."""
        limits = {"bytes": self.goal.max_bytes, "latency": self.goal.max_latency}
        over = {name: getattr(point, name) / limit - 1 for name, limit in limits.items() if limit is not None}
        return {"drop": self.original.accuracy - point.accuracy - self.goal.max_drop} | over

    @property
    def trials(self) -> int:
        """The number of trials that have ended."""
        return len({point.number for point in self.points}) + self.stopped + len(self.failed)

    @property
    def front(self) -> list[Point]:
        """The points that no other beats in accuracy and cost, most accurate first, regardless of limits."""
        return [self.points[i] for i in pareto_front(self._coordinates())]

    @property
    def best(self) -> Point | None:
        """The point with the lowest cost within the limits; None if there is none."""
        return min((p for p in self.points if self.allowed(p)), key=self.cost, default=None)

    def hypervolume(self, drop: float | None = None) -> float:
        """The front's share, 0 to 1, of the rectangle from no loss at no cost to a loss of `drop` at the original cost.

        `drop` is in percentage points; default the goal's limit. A gain in accuracy counts as no loss.
        """
        width = (drop or self.goal.max_drop or 1.0), self.cost(self.original)
        clipped = [(max(lost, 0.0), cost) for lost, cost in self._coordinates()]
        return hypervolume(clipped, width) / (width[0] * width[1])

    def network(self, point: Point | None = None) -> nn.Module:
        """Return the trained network of a point (default the best), with plain float weights.

        Networks of the front and the best one were kept. Any other is trained again from its configuration, which gives
        the same network bit for bit on the same machine, and a sentence in `notes` says so.

        Raises:
            ValueError: no point is given, and there is no best one.
        """
        return self._network(self._chosen(point))[0]

    def export(self, folder: Path | str, point: Point | None = None) -> list[Path]:
        """Write a point (default the best) to a folder: weights, configuration, files to run, and a report.

        The files that load.py can run are read back in a new process, and the engine's own is measured there: accuracy,
        bytes and time in the report and in config.json are its own. If a file cannot be written, a sentence in `notes`
        says so. `files.load` reads the weights back.

        Returns:
            The files' paths.

        Raises:
            ValueError: as in `network`.
            OSError: a file can't be written.
        """
        point, folder = self._chosen(point), Path(folder)
        model, sizes = self._network(point)
        notes, task = [], self.task
        baseline = build_engine(task.model, task.calibration, EAGER, task.device)
        engine = self._engine(point, model, notes)
        trained = any(sizes.values()) or "sparsity" in point.config or "bits" in point.config

        def documents(staged: Path, kind: str | None) -> tuple[dict, dict[str, str]]:
            kind = None if is_accelerator(task.device) else kind  # load.py computes on the CPU
            network = ExportedNetwork(engine, staged, kind)
            seen = confirm(task, self.goal.batch, self.original.latency, baseline, network)
            self.notes += [sentence for sentence in notes if sentence not in self.notes]
            files_bytes = {f.name: f.stat().st_size for f in staged.iterdir() if f.name != "config.json"}
            exported = self._exported(point, engine, seen, files_bytes, trained)
            about = report.Report(self, point, exported, seen, kind, files_bytes)
            figures = {"exported": asdict(exported)}
            return figures, {"report.md": report.markdown(about), "report.html": page.page(about)}

        record = {"goal": asdict(self.goal), "point": asdict(point), "original": asdict(self.original)}
        return files.save(folder, task, point.config, model, sizes, record, notes, engine, documents)

    def plot(self):
        """Draw accuracy over cost for finished trials, the front, the original and the limit; a matplotlib Figure."""
        return report.figure(self)

    def __repr__(self) -> str:
        return repr(report.front_table(self))

    def _repr_html_(self) -> str:
        return report.front_table(self)._repr_html_()

    def _coordinates(self) -> list[tuple[float, float]]:
        return [(self.original.accuracy - p.accuracy, self.cost(p)) for p in self.points]

    def _chosen(self, point: Point | None) -> Point:
        if point is None and self.best is None:
            raise ValueError(
                "No point is within the limits yet: search longer, relax them, or pass a point of `front`."
            )
        return point or self.best

    def _engine(self, point: Point, model: nn.Module, notes: list[str]) -> Engine:
        task = self.task
        try:
            return build_engine(model, task.calibration, point.config.get("engine", EAGER), task.device)
        except EngineUnavailable as unavailable:
            notes.append(f"The report shows figures of eager torch, because the engine wasn't built: {unavailable}")
            return build_engine(model, task.calibration, EAGER, task.device)

    def _exported(self, point: Point, engine: Engine, seen: Comparison, sizes: dict[str, int], trained: bool) -> Point:
        """A point with the figures that its files have."""
        config = point.config if trained else {name: value for name, value in point.config.items() if name != "teacher"}
        return replace(
            point,
            config=config,
            accuracy=seen.accuracies[1],
            bytes=sizes.get("weights.nndc") or engine.bytes,
            latency=self.original.latency / seen.speedup.estimate,
        )

    def _network(self, point: Point) -> tuple[nn.Module, dict]:
        kept = self.kept.get(point)
        if kept is None:
            sentence = f"The network of trial {point.number} was trained again, because its weights were not kept."
            self.notes += [sentence] if sentence not in self.notes else []
            kept = candidates.make(self.task, point.config)
        return kept
