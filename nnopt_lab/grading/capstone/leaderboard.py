"""The capstone's leaderboard: divisions, ranking, points, and the table."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from nnopt_lab.grading.capstone import figure
from nnopt_lab.grading.capstone.entry import BATCHES, BYTES, FLOOR, Entry
from nnopt_lab.workbench import measure
from nnopt_lab.workbench.measure.tables import html_table, text_table

POINTS = 10


@dataclass(frozen=True)
class Division:
    """The rules of a division.

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
        lambda entry: entry.counted >= FLOOR,
        lambda entry: -math.log(entry.bytes),
        lambda entry: f"{entry.bytes:,} B",
    ),
    "fastest": Division(
        f"fastest, at least {FLOOR} %",
        lambda entry: entry.counted >= FLOOR,
        lambda entry: math.log(entry.speedup),
        lambda entry: f"{entry.speedup:.1f}× faster",
    ),
    "most accurate": Division(
        f"most accurate, at most {BYTES:,} bytes",
        lambda entry: entry.bytes <= BYTES,
        lambda entry: entry.counted,
        lambda entry: f"{entry.counted:.2f} %",
    ),
}


@dataclass(frozen=True, repr=False)
class Leaderboard:
    """All entries, the baseline first; shown as a table, and by `plot` as a figure."""

    entries: tuple[Entry, ...]

    @property
    def baseline(self) -> Entry:
        """The article's network in float32, with which all are compared."""
        return self.entries[0]

    def __getitem__(self, name: str) -> Entry:
        return next(entry for entry in self.entries if entry.name == name)

    def ranking(self, division: str) -> list[Entry]:
        """The entries of a division, the best first.

        Raises:
            ValueError: there is no such division.
        """
        rules = _division(division)
        taking_part = [entry for entry in self.measured if rules.enters(entry)]
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

    @property
    def measured(self) -> list[Entry]:
        """The entries that were not refused."""
        return [entry for entry in self.entries if not entry.refused]

    def _cells(self) -> list[list[str]]:
        accuracy = "accuracy (changed a little)\nminus the baseline's"
        head = ["entry", "bytes", accuracy, *(f"latency, batch {size}" for size in BATCHES)]
        cells = [[*head, *(f"{name}\npoints" for name in DIVISIONS)]]
        return cells + [self._row(entry) for entry in sorted(self.measured, key=lambda entry: -entry.bytes)]

    def _refusals(self) -> list[str]:
        return [f"{entry.label} ({entry.bytes:,} bytes): {entry.refused}" for entry in self.entries if entry.refused]

    def _row(self, entry: Entry) -> list[str]:
        name = entry.label + (" (ours)" if entry.ours and entry is not self.baseline else "")
        lost = self.against_baseline(entry.name)
        accuracy = f"{entry.accuracy:.2f} % ({entry.changed:.2f})"
        smaller = f"{entry.bytes:,}"
        if entry is not self.baseline:
            accuracy += f"\n{lost.estimate:+.2f} ({lost.low:+.2f} to {lost.high:+.2f})"
            smaller += f"\n{self.baseline.bytes / entry.bytes:.1f}× smaller"
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
        return figure.draw(self.baseline, self.measured)


def _division(name: str) -> Division:
    if name not in DIVISIONS:
        raise ValueError(f"division={name!r} is none of {', '.join(DIVISIONS)}.")
    return DIVISIONS[name]


def _in_short(ratio: measure.Ratio) -> str:
    return f"{ratio.median:.2f}× ({ratio.low:.2f} to {ratio.high:.2f})"
