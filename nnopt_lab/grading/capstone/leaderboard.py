"""The capstone's leaderboard: divisions, ranking, points, and the table."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from nnopt_lab.grading.capstone import figure, tables
from nnopt_lab.grading.capstone.entry import BYTES, FLOOR, Entry
from nnopt_lab.workbench.language import _, translated, translated_sentences
from nnopt_lab.workbench.tables import Table

POINTS = 10


@dataclass(frozen=True)
class Division:
    """The rules of a division.

    Attributes:
        condition: in words.
        enters: Entry → whether it meets the condition.
        score: Entry → a number, higher for better; points are linear in it.
        shown: Entry → the number that counts, as text.
    """

    condition: str
    enters: Callable[[Entry], bool]
    score: Callable[[Entry], float]
    shown: Callable[[Entry], str]


DIVISIONS = {
    "smallest": Division(
        f"at least {FLOOR} %",
        lambda entry: entry.counted >= FLOOR,
        lambda entry: -math.log(entry.bytes),
        lambda entry: f"{entry.bytes:,} B",
    ),
    "fastest": Division(
        f"at least {FLOOR} %",
        lambda entry: entry.counted >= FLOOR,
        lambda entry: math.log(entry.speedup),
        lambda entry: f"{entry.speedup:.1f}× faster",
    ),
    "most accurate": Division(
        f"at most {BYTES:,} bytes",
        lambda entry: entry.bytes <= BYTES,
        lambda entry: entry.counted,
        lambda entry: f"{entry.counted:.2f} %",
    ),
}


@dataclass(frozen=True, repr=False)
class Leaderboard:
    """All entries, the baseline first; shown as a table, or as a figure by `plot`."""

    entries: tuple[Entry, ...]

    @property
    def baseline(self) -> Entry:
        """The article's network in float32, to which all are compared."""
        return self.entries[0]

    def __getitem__(self, name: str) -> Entry:
        return next(entry for entry in self.entries if entry.name == name)

    def ranking(self, division: str) -> list[Entry]:
        """The entries of a division, best first.

        Raises:
            ValueError: there is no such division.
        """
        rules = _division(division)
        taking_part = [entry for entry in self.measured if rules.enters(entry)]
        return sorted(taking_part, key=rules.score, reverse=True)

    def points(self, name: str, division: str) -> float:
        """Points of an entry: 0 at the baseline or outside the division, 10 at the course's best entry or better.

        In between, they are linear in the accuracy, or in the logarithm of the file's size or of the speedup.

        Raises:
            ValueError: there is no such division.
        """
        ranking, rules, entry = self.ranking(division), _division(division), self[name]
        ours = [rules.score(other) for other in ranking if other.ours]
        if entry not in ranking or not ours:
            return 0.0
        naive = rules.score(self.baseline)
        share = (rules.score(entry) - naive) / max(max(ours) - naive, 1e-9)
        return POINTS * min(max(share, 0.0), 1.0)

    def place(self, name: str, division: str) -> tuple[int, int] | None:
        """An entry's place in a division and the number of entries, such as (2, 8); None if it is not in it.

        Entries that are equally good share a place.

        Raises:
            ValueError: there is no such division.
        """
        ranking, rules, entry = self.ranking(division), _division(division), self[name]
        if entry not in ranking:
            return None
        return 1 + sum(rules.score(other) > rules.score(entry) for other in ranking), len(ranking)

    @property
    def measured(self) -> list[Entry]:
        """The entries that were not refused."""
        return [entry for entry in self.entries if not entry.refused]

    def _table(self) -> Table:
        """The entries of each division, best first, and those that are in none."""
        divisions = {}
        for name, rules in DIVISIONS.items():
            divisions[f"{translated(name)}\n{translated(rules.condition)}"] = [
                (self.place(entry.name, name)[0], self.points(entry.name, name), entry) for entry in self.ranking(name)
            ]
        outside = [entry for entry in self.measured if not self._divisions(entry)]
        return tables.ranked(divisions, outside, self.baseline)

    def _divisions(self, entry: Entry) -> list[str]:
        return [name for name in DIVISIONS if entry in self.ranking(name)]

    def _places(self) -> list[str]:
        """A sentence for the entries that are not the course's and have the same place in each division."""
        names: dict[str, list[str]] = {}
        for entry in self.measured:
            if not entry.ours:
                places = {name: self.place(entry.name, name) for name in self._divisions(entry)}
                texts = [
                    _("place {place} of {count} in {division}", place=place, count=count, division=translated(name))
                    for name, (place, count) in places.items()
                ]
                names.setdefault(", ".join(texts) or _("in no division"), []).append(entry.label)
        return [_("{name}: {places}.", name=", ".join(those), places=where) for where, those in names.items()]

    def _refusals(self) -> list[str]:
        return [
            _("{name} ({bytes} bytes): {reason}", name=e.label, bytes=f"{e.bytes:,}", reason=_reason(e))
            for e in self.entries
            if e.refused
        ]

    def _sentences(self) -> list[str]:
        return [*self._places(), *self._refusals()]

    def __repr__(self) -> str:
        times = repr(tables.measurements(self.measured, self.baseline))
        return "\n\n".join([repr(self._table()), times, "\n".join(self._sentences())])

    def _repr_html_(self) -> str:
        ranks = self._table()._repr_html_()
        lines = "".join(f"<p>{escape(line)}</p>" for line in self._sentences())
        times = tables.measurements(self.measured, self.baseline)._repr_html_()
        summary = escape(_("Time per batch and validation accuracy"))
        return f'{ranks}{lines}<details><summary style="cursor:pointer">{summary}</summary>{times}</details>'

    def plot(self):
        """Draw accuracy over size and over speed, with a line through the entries that no other beats in both."""
        return figure.draw(self.baseline, self.measured)


def _reason(entry: Entry) -> str:
    return translated_sentences(entry.refused)


def _division(name: str) -> Division:
    if name not in DIVISIONS:
        raise ValueError(f"division={name!r} must be one of {', '.join(DIVISIONS)}.")
    return DIVISIONS[name]
