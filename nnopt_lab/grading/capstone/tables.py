"""The leaderboard's tables: who stands where in a division, and the measurements behind it."""

from collections.abc import Sequence

from nnopt_lab.grading.capstone.entry import BATCHES, Entry
from nnopt_lab.workbench import measure
from nnopt_lab.workbench.language import _
from nnopt_lab.workbench.measure.timing import time_unit
from nnopt_lab.workbench.tables import Table

_COLUMNS = ["entry", "bytes", "accuracy (changed)\nminus baseline's", "speed-up"]


def ranked(divisions: dict[str, Sequence[tuple]], outside: Sequence[Entry], baseline: Entry) -> Table:
    """The entries of each division, each with its place and points, and what decides them; then those in no division.

    Args:
        divisions: by name, (place, points, entry), best first.
        outside: the entries that are in no division.
        baseline: to which all are compared.
    """
    rows = [
        [name, str(place), f"{points:.1f}", *_row(entry, baseline)]
        for name, places in divisions.items()
        for place, points, entry in places
    ]
    rows += [["in no division", None, None, *_row(entry, baseline)] for entry in outside]
    return Table(rows, ["division", "place", "points", *_COLUMNS])


def measurements(entries: Sequence[Entry], baseline: Entry) -> Table:
    """The time per batch of each entry, and its validation accuracy."""
    units = {size: time_unit(entry.timings[size][1] for entry in entries) for size in BATCHES}
    columns = [f"batch {size}, {unit}\ntimes as fast" for size, unit in units.items()]
    rows = [[_name(entry, baseline), *_times(entry, baseline, units), _validation(entry)] for entry in entries]
    return Table(rows, ["entry", *columns, "validation\nchanged"])


def _row(entry: Entry, baseline: Entry) -> list[str]:
    accuracy, smaller = f"{entry.accuracy:.2f} % ({entry.changed:.2f})", f"{entry.bytes:,}"
    if entry is not baseline:
        difference = measure.proportion_difference(baseline.correct, entry.correct)
        accuracy += f"\n{measure.with_interval(difference, '+.2f')}"
        smaller += f"\n{baseline.bytes / entry.bytes:.1f}× smaller"
    return [_name(entry, baseline), smaller, accuracy, f"{entry.speedup:.1f}×"]


def _name(entry: Entry, baseline: Entry) -> str:
    is_ours = entry.ours and entry is not baseline
    return _("{name} (ours)", name=entry.label) if is_ours else entry.label


def _times(entry: Entry, baseline: Entry, units: dict[int, str]) -> list[str]:
    times = {size: own.in_unit(units[size]) for size, (_base, own) in entry.timings.items()}
    if entry is baseline:
        return [times[size] for size in BATCHES]
    return [f"{times[size]}\n{measure.times_as_fast(entry.faster[size])}" for size in BATCHES]


def _validation(entry: Entry) -> str:
    return "–" if entry.validation is None else f"{entry.validation:.2f} %"
