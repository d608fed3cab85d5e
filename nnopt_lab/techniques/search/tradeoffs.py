"""What a search for a small or fast network found: points, their front, and the one to take away.

A point is a network with three figures: accuracy, bytes, seconds. Where none is best in all of them, what remains after
throwing out every beaten point is the Pareto front.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import nn

from nnopt_lab.techniques.search import candidates
from nnopt_lab.workbench import measure, training
from nnopt_lab.workbench.measure.tables import html_table, text_table


@dataclass(frozen=True)
class Goal:
    """What is to become small, and what it may cost.

    Attributes:
        target: "latency" or "bytes".
        max_drop: validation accuracy that may be lost, in percentage points, at least 0.
        max_bytes: of the file; None for any.
        max_latency: seconds a batch; None for any.
        batch: pictures a batch where latency is measured.
    """

    target: str = "latency"
    max_drop: float = 1.0
    max_bytes: int | None = None
    max_latency: float | None = None
    batch: int = 1

    def __post_init__(self):
        if self.target not in ("latency", "bytes"):
            raise ValueError(f"target={self.target!r} must be 'latency' or 'bytes'.")
        if not self.max_drop >= 0 or self.batch < 1:
            raise ValueError(f"max_drop={self.max_drop} must be at least 0 and batch={self.batch} at least 1.")
        if any(limit is not None and not limit > 0 for limit in (self.max_bytes, self.max_latency)):
            raise ValueError(f"max_bytes={self.max_bytes} and max_latency={self.max_latency} must be above 0, or None.")

    @property
    def counts_bytes(self) -> bool:
        """Whether the file's size matters: then it is compressed."""
        return self.target == "bytes" or self.max_bytes is not None


@dataclass(frozen=True)
class Point:
    """A trained and measured candidate.

    Attributes:
        number: of its trial.
        config: see `candidates`.
        accuracy: on the validation pictures, percent, computed by its engine.
        bytes: of its file: compressed where weights share values, else the engine's own.
        latency: seconds a batch: its share of the original's time in rounds by turns, times the original's.
        curve: validation accuracy after each epoch of its training, in float32.
    """

    number: int
    config: dict
    accuracy: float
    bytes: int
    latency: float
    curve: list[float] = field(default_factory=list)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the points that no other beats, where less is better in both coordinates, ascending in the first.

    One point beats another that is nowhere better and somewhere worse; of equal points the first is kept.
    """
    front, lowest = [], float("inf")
    for i in sorted(range(len(points)), key=lambda i: (*points[i], i)):
        if points[i][1] < lowest:
            front.append(i)
            lowest = points[i][1]
    return front


def hypervolume(points: Sequence[tuple[float, float]], reference: tuple[float, float]) -> float:
    """Area between the points' front and a reference that is worse than they are: more is better, 0 at the least.

    Zitzler & Thiele 1998, "Multiobjective Optimization Using Evolutionary Algorithms". Points that are beyond the
    reference in a coordinate add nothing.
    """
    inside = [p for p in points if p[0] < reference[0] and p[1] < reference[1]]
    area, right = 0.0, reference[0]
    for i in reversed(pareto_front(inside)):
        x, y = inside[i]
        area += (right - x) * (reference[1] - y)
        right = x
    return area


@dataclass(repr=False)
class Search:
    """What a search has found so far.

    Attributes:
        task, goal: what was searched for, and with what.
        original: the network as it was, eager.
        points: finished trials.
        stopped, failed: how many trials were stopped early; why others failed.
        sensitivity: for each group of channels the points of accuracy lost where half of it goes, without training, and
            the share of the predicted cost that this saves; empty where no channel can be removed.
        notes: what could not be tried, in sentences.
        seconds: of this call.
        interrupted: whether Ctrl-C ended it.
    """

    task: candidates.Task
    goal: Goal
    original: Point
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

    def rebuild(self, point: Point | None = None) -> nn.Module:
        """The network of a point (of the best), made again from its configuration; plain float weights.

        Raises:
            ValueError: no point is given, and there is no best.
        """
        return candidates.make(self.task, self._chosen(point).config)

    def export(self, folder: Path | str, point: Point | None = None) -> list[Path]:
        """Write a point (the best) to a folder: weights, configuration, ONNX, its compressed file, and a report.

        `candidates.load` reads it back.

        Raises:
            ValueError: as in `rebuild`.
        """
        point, folder = self._chosen(point), Path(folder)
        model = candidates.make(self.task, point.config)
        record = {"goal": asdict(self.goal), "point": asdict(point), "original": asdict(self.original)}
        files = candidates.save(folder, self.task, point.config, model, record)
        before, after = (training.evaluate(m, self.task.pictures.validation, self.task.pictures) for m in
                         (self.task.model, model))  # fmt: skip
        report = self.report(point, str(measure.proportion_difference(before.correct, after.correct)))
        files.append(folder / "report.md")
        files[-1].write_text(report, encoding="utf-8")
        return files

    def report(self, point: Point, difference: str) -> str:
        """What was done and what it cost, in Markdown."""
        count = len(self.points) + self.stopped + len(self.failed)
        lines = [
            "# What was done",
            *(f"- {line}" for line in describe(point.config)),
            "\n# What it cost and gained",
            f"\n```\n{text_table(self._rows([self.original, point]))}\n```\n",
            f"Accuracy minus the original's on the {len(self.task.pictures.validation)} validation pictures, both in "
            f"float32: {difference} percentage points. These pictures chose among {len(self.points)} networks, so that "
            "the winner looks better on them than it is: measure it on pictures that had no part in this.",
            f"\n{count} trials, of which {self.stopped} were stopped early and {len(self.failed)} failed; "
            f"{self.seconds:.0f} s in the last call.",
            *self.notes,
            "\n# The front",
            f"\n```\n{self!r}\n```",
        ]
        return "\n".join(lines) + "\n"

    def plot(self):
        """Accuracy against cost: all finished trials, the front, the original and the limit. A matplotlib Figure."""
        from nnopt_lab.workbench import plots  # matplotlib takes longer to import than all of this

        fig, ax = plots.figure()
        scale, unit = (1e3, "ms a batch") if self.goal.target == "latency" else (1 / 1024, "KiB")
        every, front = ([(self.cost(p) * scale, p.accuracy) for p in ps] for ps in (self.points, self.front))
        with plots.style():
            for group, look, label in ((every, {"color": plots.SKY}, "trial"), (front, {"color": plots.BLUE}, "front")):
                ax.plot(*zip(*group, strict=True), "o" if label == "trial" else "o-", **look, label=label)
            known = self.cost(self.original) * scale, self.original.accuracy
            ax.plot(*known, "s", color=plots.REFERENCE, label="original")
            ax.axhline(known[1] - self.goal.max_drop, color=plots.REFERENCE, linestyle="--", label="limit")
            low = known[1] - max(3 * self.goal.max_drop, 3)
            ax.set(xscale="log", xlabel=f"{self.goal.target}, {unit}", ylabel="validation accuracy, %")
            ax.set_ylim(low, max(a for _, a in [*every, known]) + 0.1 * (known[1] - low))
            ax.legend()
        return plots.finish(fig)

    def __repr__(self) -> str:
        return text_table(self._rows([self.original, *self.front]))

    def _repr_html_(self) -> str:
        return html_table(self._rows([self.original, *self.front]), header=True)

    def _rows(self, points: list[Point]) -> list[list[str]]:
        header = ["trial", "accuracy", "file", f"time, batch {self.goal.batch}", "times as fast", "what was done"]
        rows = [header]
        for p in points:
            name = "original" if p is self.original else f"{p.number}{' (best)' if p == self.best else ''}"
            speed = f"{self.original.latency / p.latency:.2f}×"
            rows.append(
                [name, f"{p.accuracy:.2f} %", measure.format_bytes(p.bytes), f"{1e3 * p.latency:.3g} ms", speed]
            )
            rows[-1].append("nothing" if p is self.original else "\n".join(describe(p.config)))
        return rows

    def _coordinates(self) -> list[tuple[float, float]]:
        return [(self.original.accuracy - p.accuracy, self.cost(p)) for p in self.points]

    def _chosen(self, point: Point | None) -> Point:
        if point is None and self.best is None:
            raise ValueError("No point keeps the limits yet: search longer, allow more, or name a point of `front`.")
        return point or self.best


def describe(config: dict) -> list[str]:
    """A configuration in words, a line for each technique."""
    lines = [f"computed by {config.get('engine', 'eager float32')}"]
    if config.get("channels"):
        lines.append("channels kept: " + ", ".join(f"{name} {100 * s:.0f} %" for name, s in config["channels"].items()))
    lines += [f"{kind} layers: rank for {100 * e:.0f} % of the energy" for kind, e in config.get("energy", {}).items()]
    if config.get("sparsity"):
        lines.append(f"{100 * config['sparsity']:.0f} % of the weights pruned")
    if config.get("bits"):
        lines.append("bits a weight: " + ", ".join(f"{name} {bits}" for name, bits in config["bits"].items()))
    return lines + ([f"taught by the original, share {config['teacher']}"] if config.get("teacher") else [])
