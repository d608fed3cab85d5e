"""A report on a search as text: its parts, as Markdown, as a table and as a plot. `page` shows the same as HTML."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nnopt_lab.techniques.search import standalone
from nnopt_lab.techniques.search.comparison import Comparison, in_words, unsteady
from nnopt_lab.techniques.search.points import EAGER, Point, describe, summary
from nnopt_lab.workbench import measure
from nnopt_lab.workbench.language import _, counted, translated, translated_sentences
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
        threads = counted(threads, "{count} thread", "{count} threads")
        where = {"number": self.point.number, "batch": batch, "threads": threads}
        speedup, gains = self.seen.speedup, self.gains
        if unsteady(speedup):
            words = {"speed": in_words(speedup)}
            time = _("Trial {number} has an {speed} speed at batch {batch} with {threads}", **words, **where)
        elif speedup.differs:
            words = {"faster": gains["time"][0]}
            time = _("Trial {number} is {faster} at batch {batch} with {threads}", **words, **where)
        else:
            time = _("Trial {number} shows no difference in speed at batch {batch} with {threads}", **where)
        (size, sizes), (change, interval) = gains["file"], gains["accuracy"]
        return _(
            "{time}; its file is {size} ({sizes}); its accuracy changes by {change} percentage points ({interval}).",
            **{"time": time, "size": size, "sizes": sizes, "change": change, "interval": interval},
        )

    @property
    def gains(self) -> dict[str, tuple[str, str]]:
        """Time, file and accuracy against the original's: each a short figure, and what stands behind it."""
        old, new, change = self.search.original, self.exported, self.seen.difference
        figure, interval = [*re.split(r" ?[(（]", in_words(self.seen.speedup), maxsplit=1), ""][:2]
        smaller = old.bytes / new.bytes
        if 0.995 <= smaller < 1.005:
            size = _("as large")
        elif smaller >= 1:
            size = _("{times}× smaller", times=f"{smaller:.2f}")
        else:
            size = _("{times}× larger", times=f"{1 / smaller:.2f}")
        ends = {"low": measure.number(change.low, "+.2f"), "high": measure.number(change.high, "+.2f")}
        bytes = {"new": measure.format_bytes(new.bytes), "old": measure.format_bytes(old.bytes)}
        return {
            "time": (figure, interval.rstrip(")）")),
            "file": (size, _("{new} instead of {old}", **bytes)),
            "accuracy": (measure.number(change.estimate, "+.2f"), _("95 % interval {low} to {high}", **ends)),
        }

    @property
    def techniques(self) -> list[str]:
        """What was done to the network, one line per technique."""
        return [translated(line) for line in describe(self.exported.config)]

    @property
    def measured(self) -> list[str]:
        """How the figures came about, in sentences."""
        search, seen = self.search, self.seen
        if self.kind:
            how = _(
                "All figures of the exported network were measured again at export: it ran from its own file in a new "
                "process without this package, in turns with the original in eager torch."
            )
        else:
            how = _(
                "All figures of the exported network were measured again at export: it ran in the process of the "
                "search, because load.py can't run its engine, in turns with the original in eager torch."
            )
        figures = {"accuracy": f"{self.point.accuracy:.2f}", "bytes": measure.format_bytes(self.point.bytes)}
        speed = f"{search.original.latency / self.point.latency:.2f}"
        return [
            how,
            self._file_measured,
            _(
                "During the search: {accuracy} %, {bytes}, {speed}× (an estimate, from each network's fastest round).",
                **figures,
                speed=speed,
            ),
            _(
                "Accuracy was measured on the {pictures} validation pictures. The winner of {networks} networks was "
                "chosen on these pictures, so it looks better on them than it is: evaluate it on pictures that the "
                "search has not used.",
                pictures=len(seen.labels),
                networks=len({p.number for p in search.points}),
            ),
            _("On {share} % of these pictures, both networks give the same class.", share=f"{seen.parity:.1f}"),
        ]

    @property
    def _file_measured(self) -> str:
        if "weights.nndc" in self.sizes:
            return _("The bytes are those of `weights.nndc`, the compressed file.")
        if self.kind in (None, "torch"):
            return _("The bytes are those of the weights as torch saves them; the files to run contain the graph, too.")
        name = standalone.FILES[self.kind]
        return _("The bytes are those of `{file}` and the file of its weights, if there is one.", file=name)

    @property
    def sections(self) -> list[Section]:
        """The tables that compare the exported network with the original."""
        seen = self.seen
        classes = seen.class_rows()
        by_class = _("Accuracy by class")
        if len(seen.labels.unique()) >= len(classes):
            by_class = _("Accuracy by class, the {count} with the largest losses", count=len(classes) - 1)
        confusion = _("Cells whose two numbers differ show original → exported.")
        found = [
            Section(_("Time"), seen.time_rows(), (self._timed,)),
            Section(_("Memory and energy"), seen.usage_rows(), tuple(seen.usage_notes())),
            Section(by_class, classes),
            Section(_("Pictures by true and answered class"), seen.confusion_rows(), (confusion,)),
        ]
        return [section for section in found if section.rows]

    @property
    def _timed(self) -> str:
        counts = {threads for _, threads in self.seen.times}
        if counts == {1}:
            return _("Medians with quartiles.")
        return _(
            "Medians with quartiles. With one thread, time is processor time; with more, other programs on the machine "
            "add to it."
        )

    @property
    def front(self) -> Section:
        """The table of the front."""
        rows_of_front = rows(self.search, [self.search.original, *self.search.front])
        note = _("Times and speed-ups here are the search's estimates; only the exported network was measured again.")
        return Section(_("Pareto front"), rows_of_front, (note,))

    @property
    def trials(self) -> str:
        """How many trials there were, in a sentence."""
        search = self.search
        return _(
            "{trials}, of which {stopped} were stopped early and {failed} failed; {seconds} s in the last call.",
            trials=counted(search.trials, "{count} trial", "{count} trials"),
            stopped=search.stopped,
            failed=len(search.failed),
            seconds=f"{search.seconds:.0f}",
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
            _(
                "In this folder, without this package: `python load.py batch.npy` prints the classes of a float32 "
                "array [N, ...] of network inputs. It runs `{file}`, for which it needs numpy and that file's runtime "
                "(torch, ONNX Runtime or OpenVINO).",
                file=first,
            ),
            _(
                "In a program: `import load; run = load.load()` makes a function from such an array to logits; "
                "`load.load(kind)` with {kinds} chooses another file, `load.load(threads=1)` a number of threads, and "
                "`load.weights()` returns the weights.",
                kinds=_one_of(kinds),
            ),
            _("Each of these files was read back in a new process, and gave the outputs of the network exported."),
        ]
        if "weights.nndc" in self.sizes:
            found.append(_("`weights.nndc` is read by `nnopt_lab.techniques.quantization.deep_compression.load`."))
        return found


def markdown(report: Report) -> str:
    """The report in Markdown."""
    lines = [
        f"# {_('Report of `nnopt optimize`')}\n\n{report.headline}",
        *(f"\n**{loss}**" for loss in report.seen.losses()),
        f"\n# {_('Techniques')}\n",
        *(f"- {line}" for line in report.techniques),
        f"\n# {_('Results')}\n",
        _fenced(rows(report.search, [report.search.original, report.exported], estimated=False)),
        "\n" + " ".join(report.measured),
        *(line for section in report.sections for line in _section(section)),
        *_section(report.front),
        "\n" + report.trials + "\n",
        *(f"- {translated_sentences(remark)}" for remark in report.search.remarks),
        f"\n# {_('Files')}\n",
        *(f"- `{name}`: {size}" for name, size in report.files),
        *(f"\n{sentence}" for sentence in report.loading),
    ]
    return "\n".join(lines) + "\n"


def rows(search, points: Sequence[Point], estimated: bool = True) -> list[list[str]]:
    """A table of points, with the header as its first row; `estimated` says so of the speed-ups."""
    speedup = _("speedup, estimated") if estimated else _("speedup")
    time = _("time, batch {size}", size=search.goal.batch)
    table = [[_("trial"), _("accuracy"), _("file"), time, speedup, _("techniques")]]
    for p in points:
        name = _name(search, p)
        speed = f"{search.original.latency / p.latency:.2f}×"
        table.append([name, f"{p.accuracy:.2f} %", measure.format_bytes(p.bytes), f"{1e3 * p.latency:.3g} ms", speed])
        lines = [_("none")] if p is search.original else map(translated, describe(p.config))
        table[-1].append("\n".join(lines))
    return table


def front_table(search) -> Table:
    """The original and the front in a table that fits a notebook's cell; one engine for all stands in the caption."""
    points = [search.original, *search.front]
    engines = [point.config.get("engine", EAGER) for point in points]
    one = len(set(engines)) == 1
    table = []
    for p, engine in zip(points, engines, strict=True):
        name = _name(search, p)
        speed, made = f"{search.original.latency / p.latency:.2f}×", _shortly(p.config)
        figures = [f"{p.accuracy:.2f} %", measure.format_bytes(p.bytes), three_digits(1e3 * p.latency), speed]
        table.append([name if one else f"{name}\n{engine}", *figures, made])
    trial = _("trial") if one else f"{_('trial')}\n{_('engine')}"
    columns = [trial, _("accuracy"), _("file"), "ms", _("speed-up"), _("techniques")]
    batch = search.goal.batch
    if one:
        caption = _("The front, all on {engine}; times at batch {size} are estimates", engine=engines[0], size=batch)
    else:
        caption = _("The front; times at batch {size} are estimates", size=batch)
    return Table(table, columns, caption)


def _shortly(config: dict) -> str:
    return "; ".join(map(translated, summary(config).split("; ")))


def _one_of(kinds: Sequence[str]) -> str:
    *others, last = map(repr, kinds)
    return _("{others} or {last}", others=", ".join(others), last=last) if others else last


def _name(search, point: Point) -> str:
    if point is search.original:
        return _("original")
    return _("{number} (best)", number=point.number) if is_best(search, point) else str(point.number)


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
        ax.plot(*zip(*every, strict=True), "o", color=plots.GREEN, label="trial")
        # Most accurate first: at any cost the front offers what its next cheaper point has.
        ax.plot(*zip(*front, strict=True), "o-", color=plots.BLUE, drawstyle="steps-pre", label="front")
        known = search.cost(search.original) * scale, search.original.accuracy
        ax.plot(*known, "s", color=plots.REFERENCE, label="original")
        ax.axhline(known[1] - search.goal.max_drop, color=plots.REFERENCE, linestyle="--", label="limit")
        ax.set(xscale="log", xlabel=label, ylabel="validation accuracy, %")
        ax.set_ylim(shown_range(search))
    plots.legend(fig)
    alt = _(
        "Dots are {count} trials, accuracy over cost; a staircase joins the {front} that no other beats.",
        count=len(every),
        front=len(front),
    )
    return plots.finish(fig, alt, measured="x", trained="y")


def _section(section: Section) -> list[str]:
    return [f"\n# {section.title}\n", _fenced(section.rows), *(f"\n{note}" for note in section.notes)]


def _fenced(table: list[list[str]]) -> str:
    return f"```\n{text_table(table)}\n```"
