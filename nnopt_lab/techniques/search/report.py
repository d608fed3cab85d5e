"""A report on a search as text: its parts, as Markdown, as a table and as a plot. `page` shows the same as HTML."""

from collections.abc import Sequence
from dataclasses import dataclass

from nnopt_lab.techniques.search import standalone
from nnopt_lab.techniques.search.comparison import Comparison, in_words, unsteady
from nnopt_lab.techniques.search.points import EAGER, Point, describe, summary
from nnopt_lab.workbench import measure
from nnopt_lab.workbench.measure.tables import text_table, three_digits
from nnopt_lab.workbench.tables import Table


@dataclass(frozen=True)
class Section:
    """A table of a report with its title, and sentences about it."""

    title: str
    rows: list[list[str]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """A report on the network that an export wrote.

    Attributes:
        search: a `result.Search`.
        point: as the search measured it.
        exported: the point with the figures measured at export.
        seen: the exported network beside the original.
        kind: of the file that was measured, see `standalone.FILES`; None if the engine has none.
        sizes: bytes of the files by name.
    """

    search: object
    point: Point
    exported: Point
    seen: Comparison
    kind: str | None
    sizes: dict[str, int]

    @property
    def headline(self) -> str:
        """What the network gains and loses, in a sentence."""
        batch, threads = self.seen.goal
        where = f"batch {batch} with {_count(threads, 'thread')}"
        speedup, gains = self.seen.speedup, self.gains
        if unsteady(speedup):
            faster = f"has an {in_words(speedup)} speed"
        else:
            faster = f"is {gains['time'][0]}" if speedup.differs else "shows no difference in speed"
        return (
            f"Trial {self.point.number} {faster} at {where}; its file is {gains['file'][0]} ({gains['file'][1]}); its "
            f"accuracy changes by {gains['accuracy'][0]} percentage points ({gains['accuracy'][1]})."
        )

    @property
    def gains(self) -> dict[str, tuple[str, str]]:
        """Time, file and accuracy against the original's: each a short figure, and what stands behind it."""
        old, new, change = self.search.original, self.exported, self.seen.difference
        figure, _, interval = in_words(self.seen.speedup).partition(" (")
        smaller = old.bytes / new.bytes
        size = f"{smaller:.2f}× smaller" if smaller >= 1 else f"{1 / smaller:.2f}× larger"
        size = "as large" if 0.995 <= smaller < 1.005 else size
        interval_of_change = (
            f"95 % interval {measure.number(change.low, '+.2f')} to {measure.number(change.high, '+.2f')}"
        )
        return {
            "time": (figure, interval.rstrip(")")),
            "file": (size, f"{measure.format_bytes(new.bytes)} instead of {measure.format_bytes(old.bytes)}"),
            "accuracy": (measure.number(change.estimate, "+.2f"), interval_of_change),
        }

    @property
    def techniques(self) -> list[str]:
        """What was done to the network, one line per technique."""
        return describe(self.exported.config)

    @property
    def measured(self) -> list[str]:
        """How the figures came about, in sentences."""
        search, seen = self.search, self.seen
        where = (
            "from its own file in a new process without this package"
            if self.kind
            else "in the process of the search, because load.py can't run its engine"
        )
        return [
            f"All figures of the exported network were measured again at export: it ran {where}, in turns with the "
            "original in eager torch.",
            self._file_measured,
            f"During the search: {self.point.accuracy:.2f} %, {measure.format_bytes(self.point.bytes)}, "
            f"{search.original.latency / self.point.latency:.2f}× (an estimate, from each network's fastest round).",
            f"Accuracy was measured on the {len(seen.labels)} validation pictures. The winner of "
            f"{len({p.number for p in search.points})} networks was chosen on these pictures, so it looks better on "
            "them than it is: evaluate it on pictures that the search has not used.",
            f"On {seen.parity:.1f} % of these pictures, both networks give the same class.",
        ]

    @property
    def _file_measured(self) -> str:
        if "weights.nndc" in self.sizes:
            return "The bytes are those of `weights.nndc`, the compressed file."
        if self.kind in (None, "torch"):
            return "The bytes are those of the weights as torch saves them; the files to run contain the graph, too."
        return f"The bytes are those of `{standalone.FILES[self.kind]}` and the file of its weights, if there is one."

    @property
    def sections(self) -> list[Section]:
        """The tables that compare the exported network with the original."""
        seen = self.seen
        classes = seen.class_rows()
        few = "" if len(seen.labels.unique()) < len(classes) else f", the {len(classes) - 1} with the largest losses"
        confusion = "Cells whose two numbers differ show original → exported."
        found = [
            Section("Time", seen.time_rows(), (self._timed,)),
            Section("Memory and energy", seen.usage_rows(), tuple(seen.usage_notes())),
            Section(f"Accuracy by class{few}", classes),
            Section("Pictures by true and answered class", seen.confusion_rows(), (confusion,)),
        ]
        return [section for section in found if section.rows]

    @property
    def _timed(self) -> str:
        counts = {threads for _, threads in self.seen.times}
        clocks = "With one thread, time is processor time; with more, other programs on the machine add to it."
        return f"Medians with quartiles.{f' {clocks}' if counts != {1} else ''}"

    @property
    def front(self) -> Section:
        """The table of the front."""
        rows_of_front = rows(self.search, [self.search.original, *self.search.front])
        note = "Times and speed-ups here are the search's estimates; only the exported network was measured again."
        return Section("Pareto front", rows_of_front, (note,))

    @property
    def trials(self) -> str:
        """How many trials there were, in a sentence."""
        search = self.search
        return (
            f"{_count(search.trials, 'trial')}, of which {search.stopped} were stopped early and {len(search.failed)} "
            f"failed; {search.seconds:.0f} s in the last call."
        )

    @property
    def files(self) -> list[tuple[str, str]]:
        """Name and size of each file, ascending."""
        return [(name, measure.format_bytes(size)) for name, size in sorted(self.sizes.items())]

    @property
    def loading(self) -> list[str]:
        """How to run the files, in sentences with code in backticks; empty if none can be run without this package."""
        kinds = [kind for kind, name in standalone.FILES.items() if name in self.sizes]
        if not kinds:
            return []
        engine = self.exported.config.get("engine", "eager float32")
        first = standalone.FILES[standalone.default_kind(kinds, engine)]
        found = [
            "In this folder, without this package: `python load.py batch.npy` prints the classes of a float32 array "
            f"[N, ...] of network inputs. It runs `{first}`, for which it needs numpy and that file's runtime (torch, "
            "ONNX Runtime or OpenVINO).",
            "In a program: `import load; run = load.load()` makes a function from such an array to logits; "
            f"`load.load(kind)` with {' or '.join(repr(kind) for kind in kinds)} chooses another file, "
            "`load.load(threads=1)` a number of threads, and `load.weights()` returns the weights.",
            "Each of these files was read back in a new process, and gave the outputs of the network exported.",
        ]
        if "weights.nndc" in self.sizes:
            found.append("`weights.nndc` is read by `nnopt_lab.techniques.quantization.deep_compression.load`.")
        return found


def markdown(report: Report) -> str:
    """The report in Markdown."""
    lines = [
        f"# Report of `nnopt optimize`\n\n{report.headline}",
        *(f"\n**{loss}**" for loss in report.seen.losses()),
        "\n# Techniques\n",
        *(f"- {line}" for line in report.techniques),
        "\n# Results\n",
        _fenced(rows(report.search, [report.search.original, report.exported], estimated=False)),
        "\n" + " ".join(report.measured),
        *(line for section in report.sections for line in _section(section)),
        *_section(report.front),
        "\n" + report.trials + "\n",
        *(f"- {remark}" for remark in report.search.remarks),
        "\n# Files\n",
        *(f"- `{name}`: {size}" for name, size in report.files),
        *(f"\n{sentence}" for sentence in report.loading),
    ]
    return "\n".join(lines) + "\n"


def rows(search, points: Sequence[Point], estimated: bool = True) -> list[list[str]]:
    """A table of points, with the header as its first row; `estimated` says so of the speed-ups."""
    speedup = "speedup, estimated" if estimated else "speedup"
    table = [["trial", "accuracy", "file", f"time, batch {search.goal.batch}", speedup, "techniques"]]
    for p in points:
        name = "original" if p is search.original else f"{p.number}{' (best)' if is_best(search, p) else ''}"
        speed = f"{search.original.latency / p.latency:.2f}×"
        table.append([name, f"{p.accuracy:.2f} %", measure.format_bytes(p.bytes), f"{1e3 * p.latency:.3g} ms", speed])
        table[-1].append("none" if p is search.original else "\n".join(describe(p.config)))
    return table


def front_table(search) -> Table:
    """The original and the front in a table that fits a notebook's cell; one engine for all stands in the caption."""
    points = [search.original, *search.front]
    engines = [point.config.get("engine", EAGER) for point in points]
    one = len(set(engines)) == 1
    table = []
    for p, engine in zip(points, engines, strict=True):
        name = "original" if p is search.original else f"{p.number}{' (best)' if is_best(search, p) else ''}"
        speed, made = f"{search.original.latency / p.latency:.2f}×", summary(p.config)
        figures = [f"{p.accuracy:.2f} %", measure.format_bytes(p.bytes), three_digits(1e3 * p.latency), speed]
        table.append([name if one else f"{name}\n{engine}", *figures, made])
    columns = ["trial" if one else "trial\nengine", "accuracy", "file", "ms", "speed-up", "techniques"]
    everywhere = f", all on {engines[0]}" if one else ""
    return Table(table, columns, f"The front{everywhere}; times at batch {search.goal.batch} are estimates")


def is_best(search, point: Point) -> bool:
    """Whether a point is the best one, also if it was measured again."""
    best = search.best
    return best is not None and (best.number, best.config.get("engine")) == (point.number, point.config.get("engine"))


def shown_range(search) -> tuple[float, float]:
    """The accuracies, in percent, between which a front is drawn: networks far below the limit would squeeze it."""
    known = search.original.accuracy
    low = known - max(3 * search.goal.max_drop, 3)
    return low, max(known, *(p.accuracy for p in search.points)) + 0.1 * (known - low)


def figure(search):
    """Draw accuracy over cost for all finished trials, the front, the original and the limit; a matplotlib Figure."""
    from nnopt_lab.workbench import plots  # on use, because importing matplotlib takes longer than this module

    fig, ax = plots.figure()
    scale, label = (1e3, "time, ms per batch") if search.goal.target == "latency" else (1 / 1024, "file size, KiB")
    every, front = ([(search.cost(p) * scale, p.accuracy) for p in ps] for ps in (search.points, search.front))
    with plots.style():
        ax.plot(*zip(*every, strict=True), "o", color=plots.SKY, label="trial")
        # Most accurate first: at any cost the front offers what its next cheaper point has.
        ax.plot(*zip(*front, strict=True), "o-", color=plots.BLUE, drawstyle="steps-pre", label="front")
        known = search.cost(search.original) * scale, search.original.accuracy
        ax.plot(*known, "s", color=plots.REFERENCE, label="original")
        ax.axhline(known[1] - search.goal.max_drop, color=plots.REFERENCE, linestyle="--", label="limit")
        ax.set(xscale="log", xlabel=label, ylabel="validation accuracy, %")
        ax.set_ylim(shown_range(search))
    plots.legend(fig)
    return plots.finish(
        fig,
        f"Dots are {len(every)} trials, accuracy over cost; a staircase joins the {len(front)} that no other beats.",
        measured="x",
        trained="y",
    )


def _section(section: Section) -> list[str]:
    return [f"\n# {section.title}\n", _fenced(section.rows), *(f"\n{note}" for note in section.notes)]


def _fenced(table: list[list[str]]) -> str:
    return f"```\n{text_table(table)}\n```"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
