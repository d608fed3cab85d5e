"""The result of a search: points, their front, and the network to take away."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import nn

from nnopt_lab.techniques.search import candidates, files, report
from nnopt_lab.techniques.search.fronts import hypervolume, pareto_front
from nnopt_lab.techniques.search.kept import KeptNetworks
from nnopt_lab.techniques.search.points import Goal, Point
from nnopt_lab.techniques.search.tasks import Task
from nnopt_lab.workbench import measure, training
from nnopt_lab.workbench.files import naming
from nnopt_lab.workbench.measure.tables import html_table, text_table


@dataclass(repr=False)
class Search:
    """What a search has found so far.

    A point is a network with three figures: accuracy, bytes, seconds. Where none is best in all of them, what remains
    after throwing out every beaten point is the Pareto front.

    Attributes:
        task, goal: what was searched for, and with what.
        original: the network as it was, eager.
        kept: the trained networks of the front and of the best point.
        points: finished trials.
        stopped, failed: how many trials were stopped early; why others failed.
        sensitivity: for each group of channels the points of accuracy lost where half of it goes, without training, and
            the share of the predicted cost that this saves; empty where no channel can be removed.
        notes: what could not be tried, in sentences.
        seconds: of this call.
        interrupted: whether Ctrl-C ended it.
    """

    task: Task
    goal: Goal
    original: Point
    kept: KeptNetworks
    points: list[Point] = field(default_factory=list)
    stopped: int = 0
    failed: list[str] = field(default_factory=list)
    sensitivity: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    def cost(self, point: Point) -> float:
        """What is to become small."""
        return getattr(point, self.goal.target)

    def allowed(self, point: Point) -> bool:
        """Whether a point keeps the goal's limits."""
        return all(excess <= 0 for excess in self.excess(point).values())

    def excess(self, point: Point) -> dict[str, float]:
        """By how much a point breaks each limit; 0 or below where it keeps it."""
        limits = {"bytes": self.goal.max_bytes, "latency": self.goal.max_latency}
        over = {name: getattr(point, name) / limit - 1 for name, limit in limits.items() if limit is not None}
        return {"drop": self.original.accuracy - point.accuracy - self.goal.max_drop} | over

    @property
    def front(self) -> list[Point]:
        """The points that no other beats in accuracy and cost, the most accurate first; limits do not count."""
        return [self.points[i] for i in pareto_front(self._coordinates())]

    @property
    def best(self) -> Point | None:
        """The point of least cost within the limits; None where there is none."""
        return min((p for p in self.points if self.allowed(p)), key=self.cost, default=None)

    def hypervolume(self, drop: float | None = None) -> float:
        """Share of the rectangle from nothing lost at no cost to `drop` points lost at the original's cost, 0 to 1.

        What gains accuracy counts as nothing lost. `drop` is the goal's limit where it is None.
        """
        width = (drop or self.goal.max_drop or 1.0), self.cost(self.original)
        clipped = [(max(lost, 0.0), cost) for lost, cost in self._coordinates()]
        return hypervolume(clipped, width) / (width[0] * width[1])

    def network(self, point: Point | None = None) -> nn.Module:
        """The trained network of a point (of the best), with plain float weights.

        Those of the front and the best were kept; another is trained again from its configuration, which on the same
        machine gives the same network bit for bit, and a sentence in `notes` says so.

        Raises:
            ValueError: no point is given, and there is no best.
        """
        return self._network(self._chosen(point))[0]

    def export(self, folder: Path | str, point: Point | None = None) -> list[Path]:
        """Write a point (the best) to a folder: weights, configuration, ONNX, its compressed file, and a report.

        `files.load` reads it back. Where the network cannot be written as ONNX, a sentence in `notes` says so.

        Raises:
            ValueError: as in `network`.
        """
        point, folder = self._chosen(point), Path(folder)
        model, sizes = self._network(point)
        record = {"goal": asdict(self.goal), "point": asdict(point), "original": asdict(self.original)}
        notes = []
        written = files.save(folder, self.task, point.config, model, sizes, record, notes)
        self.notes += [sentence for sentence in notes if sentence not in self.notes]
        before, after = (training.evaluate(m, self.task.pictures.validation, self.task.pictures) for m in
                         (self.task.model, model))  # fmt: skip
        difference = measure.proportion_difference(before.correct, after.correct)
        written.append(folder / "report.md")
        with naming(written[-1]):
            written[-1].write_text(report.markdown(self, point, str(difference)), encoding="utf-8")
        return written

    def plot(self):
        """Accuracy against cost: all finished trials, the front, the original and the limit. A matplotlib Figure."""
        return report.figure(self)

    def __repr__(self) -> str:
        return text_table(report.rows(self, [self.original, *self.front]))

    def _repr_html_(self) -> str:
        return html_table(report.rows(self, [self.original, *self.front]), header=True)

    def _coordinates(self) -> list[tuple[float, float]]:
        return [(self.original.accuracy - p.accuracy, self.cost(p)) for p in self.points]

    def _chosen(self, point: Point | None) -> Point:
        if point is None and self.best is None:
            raise ValueError("No point keeps the limits yet: search longer, allow more, or name a point of `front`.")
        return point or self.best

    def _network(self, point: Point) -> tuple[nn.Module, dict]:
        kept = self.kept.get(point)
        if kept is None:
            sentence = f"The network of trial {point.number} was trained again, because its weights were not kept."
            self.notes += [sentence] if sentence not in self.notes else []
            kept = candidates.make(self.task, point.config)
        return kept
