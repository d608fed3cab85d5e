"""The capstone: one ONNX file for the course's clothes, judged by size, accuracy and latency against the baseline's.

Three divisions: the smallest file and the fastest one that still reach `FLOOR`, and the most accurate one of at most
`BYTES`. Files are read, checked and run in a worker behind the fence, or, if you trust them, in a process of its own
(see `sandboxed.classifier`). Labels stay here.
"""

import json
import math
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from html import escape
from itertools import count
from pathlib import Path

import torch
from matplotlib.transforms import Bbox
from torch import Tensor

from nnopt_lab.grading import pool, sandbox
from nnopt_lab.grading.sandbox import JobResult, Limits
from nnopt_lab.grading.sandboxed import codec
from nnopt_lab.grading.view import SANDBOXED
from nnopt_lab.lessons.capstone.onnx_files import write_onnx
from nnopt_lab.workbench import data, measure, models, plots
from nnopt_lab.workbench.measure.tables import html_table, text_table
from nnopt_lab.workbench.paths import data_dir
from nnopt_lab.workbench.progress_bar import progress_bar
from nnopt_lab.workbench.text import printable

FLOOR = 88.4  # per cent of the test pictures: half a point below the baseline's 88.87
BYTES = 10_000
MOST_BYTES = 4 << 20  # with it and the pictures a reply stays below the fence's 16 MiB
LIMITS = Limits(seconds=90, megabytes=1024)
ROUNDS, SECONDS = 20, 4.0
POINTS = 10
BASELINE = "baseline"
BATCHES = (1, 256)
_CORNERS = ((True, True), (True, False), (False, True), (False, False))
STARTING = 30  # seconds that a process of its own may take to import torch before its clock runs


@dataclass(frozen=True, repr=False)
class Entry:
    """One file and what the judge found.

    Attributes:
        name: the file's, without ".onnx".
        bytes: on disk.
        refused: a sentence that says why it was not measured; "" where it was. The next three are empty then.
        correct: bool [N], which test pictures it got right.
        timings: by batch size (the baseline's, its own).
        ours: whether it came with the course.
        path: the file's.
    """

    name: str
    bytes: int
    refused: str = ""
    correct: Tensor | None = None
    timings: dict[int, tuple[measure.Timing, measure.Timing]] | None = None
    ours: bool = False
    path: Path | None = None

    @property
    def accuracy(self) -> float:
        """Per cent of the test pictures."""
        return 100 * self.correct.double().mean().item()

    @property
    def faster(self) -> dict[int, measure.Ratio]:
        """By batch size, how many times as long the baseline takes."""
        return {size: measure.ratio(*pair) for size, pair in self.timings.items()}

    @property
    def speedup(self) -> float:
        """The geometric mean of `faster` for batches of 1 and of 256: what counts in the division "fastest"."""
        return math.prod(ratio.median for ratio in self.faster.values()) ** (1 / len(self.timings))


@dataclass(frozen=True)
class Division:
    """What is compared in a division.

    Attributes:
        title: with its condition.
        enters: Entry → whether it meets the condition.
        score: Entry → a number of which more is better; points are linear in it.
        shown: Entry → the number that counts, as text.
    """

    title: str
    enters: Callable[[Entry], bool]
    score: Callable[[Entry], float]
    shown: Callable[[Entry], str]


DIVISIONS = {
    "smallest": Division(
        f"smallest file, at least {FLOOR} %",
        lambda entry: entry.accuracy >= FLOOR,
        lambda entry: -math.log(entry.bytes),
        lambda entry: f"{entry.bytes:,} B",
    ),
    "fastest": Division(
        f"fastest, at least {FLOOR} %",
        lambda entry: entry.accuracy >= FLOOR,
        lambda entry: math.log(entry.speedup),
        lambda entry: f"{entry.speedup:.1f}× faster",
    ),
    "most accurate": Division(
        f"most accurate, at most {BYTES:,} bytes",
        lambda entry: entry.bytes <= BYTES,
        lambda entry: entry.accuracy,
        lambda entry: f"{entry.accuracy:.2f} %",
    ),
}


@dataclass(frozen=True, repr=False)
class Leaderboard:
    """All entries, the baseline first; shown as a table, and by `plot` as a figure."""

    entries: tuple[Entry, ...]

    @property
    def baseline(self) -> Entry:
        """The article's network in float32, to which all are compared."""
        return self.entries[0]

    def __getitem__(self, name: str) -> Entry:
        return next(entry for entry in self.entries if entry.name == name)

    def ranking(self, division: str) -> list[Entry]:
        """Who takes part in a division, the best first.

        Raises:
            ValueError: there is no such division.
        """
        rules = _division(division)
        taking_part = [entry for entry in self.entries if not entry.refused and rules.enters(entry)]
        return sorted(taking_part, key=rules.score, reverse=True)

    def points(self, name: str, division: str) -> float:
        """0 to 10 points of an entry: 0 at the baseline or outside the division, 10 at the course's best or beyond.

        Between the two they grow with the accuracy, with the logarithm of the file's size, or with that of the speed.
        """
        ranking, rules, entry = self.ranking(division), _division(division), self[name]
        ours = [rules.score(other) for other in ranking if other.ours]
        if entry not in ranking or not ours:
            return 0.0
        naive = rules.score(self.baseline)
        share = (rules.score(entry) - naive) / max(max(ours) - naive, 1e-9)
        return POINTS * min(max(share, 0.0), 1.0)

    def against_baseline(self, name: str) -> measure.Interval:
        """The entry's accuracy minus the baseline's in points, on the same pictures, with its 95 % interval."""
        return measure.proportion_difference(self.baseline.correct, self[name].correct)

    def _cells(self) -> list[list[str]]:
        head = ["entry", "bytes", "accuracy\nminus the baseline's", *(f"latency, batch {size}" for size in BATCHES)]
        cells = [[*head, *(f"{name}\npoints" for name in DIVISIONS)]]
        measured = [entry for entry in self.entries if not entry.refused]
        return cells + [self._row(entry) for entry in sorted(measured, key=lambda entry: -entry.bytes)]

    def _refusals(self) -> list[str]:
        return [f"{entry.name} ({entry.bytes:,} bytes): {entry.refused}" for entry in self.entries if entry.refused]

    def _row(self, entry: Entry) -> list[str]:
        name = entry.name + (" (ours)" if entry.ours and entry is not self.baseline else "")
        lost = self.against_baseline(entry.name)
        accuracy = f"{entry.accuracy:.2f} %\n{lost.estimate:+.2f} ({lost.low:+.2f} to {lost.high:+.2f})"
        smaller = f"{entry.bytes:,}\n{self.baseline.bytes / entry.bytes:.1f}× smaller"
        if entry is self.baseline:
            accuracy, smaller = f"{entry.accuracy:.2f} %", f"{entry.bytes:,}"
        times = [
            f"{own}" + ("" if entry is self.baseline else f"\n{_in_short(measure.ratio(base, own))}")
            for base, own in (entry.timings[size] for size in BATCHES)
        ]
        points = [f"{self.points(entry.name, d):.1f}" if entry in self.ranking(d) else "–" for d in DIVISIONS]
        return [name, smaller, accuracy, *times, *points]

    def __repr__(self) -> str:
        return "\n".join([text_table(self._cells()), *self._refusals()])

    def _repr_html_(self) -> str:
        return html_table(self._cells(), header=True) + "".join(f"<p>{escape(line)}</p>" for line in self._refusals())

    def plot(self):
        """A matplotlib Figure: accuracy over size and over speed, with those that no other entry beats in both."""
        fig, axes = plots.figure(ncols=2, figsize=(10, 4.2))
        good = [entry for entry in self.entries if not entry.refused]
        values = lambda e: e.bytes / self.baseline.bytes, lambda e: e.speedup
        _panel(axes[0], good, values[0], "file, share of the baseline's", smaller=True)
        _panel(axes[1], good, values[1], "times as fast as the baseline (batches of 1 and 256)")
        speeds = [entry.speedup for entry in good]
        powers = range(math.floor(math.log2(min(speeds))), math.ceil(math.log2(max(speeds))) + 1)
        axes[1].set_xticks([2.0**power for power in powers[:: 1 + len(powers) // 9]])
        axes[0].axvline(BYTES / self.baseline.bytes, color=plots.REFERENCE, linestyle=":")
        axes[0].set_title(f"dashed: {FLOOR} %, dotted: {BYTES:,} bytes")
        axes[0].set(ylabel="test accuracy, %")
        fig.draw_without_rendering()  # now the axes have their places
        for ax, value in zip(axes, values, strict=True):
            _write_names(ax, {entry.name: (value(entry), entry.accuracy) for entry in good})
        return plots.finish(fig)


def judge(
    paths: Iterable[Path] = (),
    *,
    board: Leaderboard | None = None,
    ours: bool = True,
    isolation: str = "auto",
    limits: Limits = LIMITS,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
) -> Leaderboard:
    """Judge files on the test pictures of "fashion", with the baseline and the course's own entries on the board.

    Args:
        paths: of ONNX files; what is no classifier as asked for gets a sentence in the table.
        board: an earlier one, to which these files are added, or judged anew if they are on it; the baseline and
            ours are not judged again then.
        ours: whether the course's own entries are judged too.
        isolation: as in `fence.available`, or "own files": a fence where this machine has one, else none.
        limits: of one file, everything included.
        rounds, seconds: of timing, for each of the two batch sizes; at least 6 rounds.

    Raises:
        SandboxError: the fence can't be put up or does not stand.
        ValueError: a path is no file.
    """
    paths = [Path(path).absolute() for path in paths]
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path} is not a file: name ONNX files.")
    if rounds < 6:
        raise ValueError(f"rounds={rounds} must be at least 6.")
    pictures, timing = data.load("fashion"), (rounds, seconds)
    entries = [entry for entry in board.entries if entry.ours or entry.path not in paths] if board else []
    with tempfile.TemporaryDirectory() as folder:
        baseline = write_onnx(models.trained("mynet"), Path(folder, f"{BASELINE}.onnx"))
        shipped = sorted((data_dir() / "capstone").glob("*.onnx")) if ours else []
        files = [] if board else [(path.stem, path, True) for path in (baseline, *shipped)]
        files += [(name, path, False) for name, path in _named(paths, {name for name, *_ in files} | _taken(entries))]
        raw = baseline.read_bytes()
        with worker(isolation, limits) as place, progress_bar(total=len(files), desc="judging", unit="file") as done:
            for name, path, known in files:
                entries.append(replace(_judged(name, path, raw, pictures, place, timing), ours=known, path=path))
                done.update()
    if entries[0].refused:
        raise RuntimeError(f"The baseline itself could not be measured: {entries[0].refused}")
    return Leaderboard(tuple(entries))


@contextmanager
def worker(isolation: str, limits: Limits) -> Iterator:
    """What runs jobs: a warm process behind a fence, or `Apart`, without one."""
    kind = "none"
    if isolation != "none":
        try:
            kind = sandbox.available("auto" if isolation == "own files" else isolation)
            started = pool.ready(pool.start(pool.Settings(kind, limits)))
        except sandbox.SandboxError:
            if isolation != "own files":
                raise
            kind = "none"
    if kind == "none":
        yield Apart(limits)
    else:
        with started:
            yield started


@dataclass(frozen=True)
class Apart:
    """Runs each job in a new process with your rights; on Linux with limits of memory and processor time."""

    limits: Limits

    def run(self, job: bytes) -> JobResult:
        """The job's reply, or how it ended."""
        settings = json.dumps({"memory": self.limits.megabytes << 20, "seconds": self.limits.seconds})
        command = [sys.executable, "-I", str(SANDBOXED / "unsandboxed.py"), settings]
        late = JobResult("timed out", reason=f"it did not end within {self.limits.seconds} s")
        try:
            ended = subprocess.run(command, input=job, capture_output=True, timeout=self.limits.seconds + STARTING)
        except subprocess.TimeoutExpired:
            return late
        if ended.returncode == 0:
            return JobResult("replied", ended.stdout)
        if ended.returncode in (-24, -9):  # SIGXCPU, or SIGKILL a second later
            return late
        return JobResult(
            "crashed", reason=f"its process ended by itself ({ended.returncode}) before there was a result"
        )


def _judged(name: str, path: Path, baseline: bytes, pictures: data.Pictures, place, timing) -> Entry:
    with path.open("rb") as file:
        raw = file.read(MOST_BYTES + 1)
    size = path.stat().st_size
    if len(raw) > MOST_BYTES:
        return Entry(name, size, f"It is larger than {MOST_BYTES:,} bytes, four times the baseline.")
    job = {"preamble": "", "before": [], "source": "from classifier import measure", "name": "measure", "seed": 0}
    job["arguments"] = ["model", "baseline", "images", "mean", "std", "rounds", "seconds"]
    # In an order that no file can know: one that knew the pictures whose time is taken could be fast for them alone.
    order = torch.randperm(len(pictures.test), generator=torch.Generator().manual_seed(secrets.randbits(60)))
    shown = pictures.test.images[order]
    case = (_as_tensor(raw), _as_tensor(baseline), shown, pictures.mean[0], pictures.std[0], *timing)
    ended = place.run(codec.pack(job, [case]))
    try:
        refused, logits, samples = _read(ended, len(pictures.test))
    except (ValueError, TypeError, IndexError):  # a worker that was broken open may reply anything
        refused = "Its worker's reply makes no sense."
    if refused:
        return Entry(name, size, refused)
    timings = {
        batch: tuple(measure.Timing(tuple(row[place] for row in rows), batch) for place in (0, 1))
        for batch, rows in zip(BATCHES, samples, strict=True)
    }
    right = torch.empty(len(order), dtype=torch.bool)
    right[order] = logits.argmax(1) == pictures.test.labels[order]
    return Entry(name, size, "", right, timings)


def _read(ended: JobResult, pictures: int) -> tuple[str, Tensor | None, tuple]:
    """Why a file was refused, or "" and its logits [pictures, 10] and timings, from what its worker said."""
    if ended.state != "replied":
        return f"It can't be judged: {ended.reason}.", None, ()
    header, values = codec.unpack(ended.reply)
    if error := next((o["error"] for o in header.get("outcomes", [{}]) if o), header.get("error")):
        short = "it asks for more memory than it may have" if error.get("memory") else str(error.get("message"))
        return printable(f"It can't be judged: {short}."), None, ()
    result = values[0][0]
    if result[0] == "refused":
        return printable(result[1]) or "It was refused.", None, ()
    logits, *samples = result[1:]
    if type(logits) is not Tensor or logits.dtype != torch.float32 or list(logits.shape) != [pictures, 10]:
        raise ValueError("no logits")
    for rows in samples:
        if len(rows) < 6 or not all(len(row) == 2 and all(0 < float(second) < 1e6 for second in row) for row in rows):
            raise ValueError("no timings")
    if len(samples) != len(BATCHES):
        raise ValueError("no timings")
    return "", logits, tuple(samples)


def _as_tensor(raw: bytes) -> Tensor:
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8) if raw else torch.zeros(0, dtype=torch.uint8)


def _taken(entries: Iterable[Entry]) -> set[str]:
    return {entry.name for entry in entries}


def _named(paths: Iterable[Path], taken: set[str]) -> Iterator[tuple[str, Path]]:
    """A name for each file: its own, with its folder's before it or a number behind it where that is taken."""
    for path in paths:
        name = next(n for n in _choices(path) if n not in taken)
        taken = taken | {name}
        yield name, path


def _choices(path: Path) -> Iterator[str]:
    stem, folder = printable(path.stem), printable(path.absolute().parent.name)
    yield from (stem, f"{folder}/{stem}")
    yield from (f"{folder}/{stem} {number}" for number in count(2))


def _division(name: str) -> Division:
    if name not in DIVISIONS:
        raise ValueError(f"division={name!r} is none of {', '.join(DIVISIONS)}.")
    return DIVISIONS[name]


def _in_short(ratio: measure.Ratio) -> str:
    return f"{ratio.median:.2f}× ({ratio.low:.2f} to {ratio.high:.2f})"


def _panel(ax, entries: list[Entry], value, label: str, smaller: bool = False) -> None:
    order = sorted(entries, key=value, reverse=not smaller)  # the best first
    front = [e for n, e in enumerate(order) if all(e.accuracy > other.accuracy for other in order[:n])]
    ax.plot([value(e) for e in front], [e.accuracy for e in front], color=plots.GREEN, label="not beaten in both")
    for entry in entries:
        color = plots.REFERENCE if entry.name == BASELINE else plots.BLUE if entry.ours else plots.ORANGE
        ax.plot(value(entry), entry.accuracy, "o", color=color)
    ax.axhline(FLOOR, color=plots.REFERENCE, linestyle="--", linewidth=1)
    ax.set(xscale="log", xlabel=label)
    ax.margins(0.15)
    ax.set_ylim(bottom=max(ax.get_ylim()[0], FLOOR - 8))  # what is far below would press all others together
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")
    ax.legend(fontsize=8, loc="lower left" if smaller else "lower right")


def _write_names(ax, points: dict[str, tuple[float, float]]) -> None:
    """Each name at that corner of its point where it covers no other name and no point, if there is one."""
    dots = ax.transData.transform(list(points.values()))
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in dots]
    for name, point in points.items():
        for right, up in _CORNERS:
            sides = {"ha": "left" if right else "right", "va": "bottom" if up else "top"}
            away = 4 if right else -4, 3 if up else -3
            text = ax.annotate(name, point, away, textcoords="offset points", fontsize=8, **sides)
            box = text.get_window_extent()
            if not any(box.overlaps(other) for other in taken) or (right, up) == _CORNERS[-1]:
                break
            text.remove()
        taken.append(box)
