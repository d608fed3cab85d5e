"""Compare the figures of a notebook's cell with those of another run of it, by the summaries in their outputs."""

import math
import re
from collections.abc import Callable, Iterable, Iterator

from nnopt_lab.workbench.plots.summary import KEY

# Between measurements: on a busy machine, times were 20 times as long as on the same one at rest, and batch sizes that
# are tried as long as they take little time ended at 8 instead of 2,048.
FACTOR = 300
SPANS = 3  # between the spans of results of training on two processors
CLOSE = 0.03  # of an axis' span
_COUNTS = ("lines", "bars", "images")


def figure_changes(stored: Iterable[dict], new: Iterable[dict]) -> list[str]:
    """Describe how the figures of a cell differ from the stored ones, a sentence per difference.

    Words, series and scales must be equal. In a figure whose values vary from machine to machine, numbers in words may
    differ, and the whole sentence, which may tell what was measured. The ends of the data may differ by 3 % of an axis'
    span; the ranges of a trained axis must overlap, with spans that differ at most threefold; the values of a measured
    axis may be 300 times as large or as small, because machines differ, and busy ones most. Another processor rounds
    sums otherwise, and training turns this into other results: where it is not the stored one, all axes count as
    trained.

    Args:
        stored, new: outputs of the cell, in the notebook format.
    """
    stored, new = _figures(stored), _figures(new)
    if not stored:  # nbval notices a new output, except in cells whose outputs vary
        return []
    if len(stored) != len(new):
        return [f"The number of figures: {_stored_and_new(len(stored), len(new))}."]
    if None in stored:
        return ["A figure was stored without a summary of what it shows; build the lesson again."]
    found = [f"Figure {i} has no sentence that says what there is to see." for i, f in _numbered(new) if not f["says"]]
    for number, (old, now) in _numbered(zip(stored, new, strict=True)):
        found += [f"Figure {number}, {where}: {what}." for where, what in _differences(old, now)]
    return found


def _figures(outputs: Iterable[dict]) -> list[dict | None]:
    """The summary of each figure, None for one without."""
    shown = [(o.get("metadata", {}), "".join(o.get("data", {}).get("text/plain", ""))) for o in outputs]
    return [metadata.get(KEY) for metadata, text in shown if KEY in metadata or text.startswith("Figure: ")]


def _numbered(figures: Iterable) -> Iterator[tuple]:
    return enumerate(figures, 1)


def _differences(old: dict, now: dict) -> Iterator[tuple[str, str]]:
    """Pairs (place in the figure, what differs)."""
    elsewhere = old.get("processor") != now.get("processor")
    varies = elsewhere or bool(now.get("measured") or now.get("trained") or now.get("series"))
    words = _without_numbers if varies else _same
    if not varies:
        yield from _unequal("sentence", old["says"], now["says"])
    yield from _unequal("title", old["title"], now["title"], words)
    if not now.get("series"):
        yield from _unequal("legend", old["legend"], now["legend"], words)
    if len(old["axes"]) != len(now["axes"]):
        yield "panels", _stored_and_new(len(old["axes"]), len(now["axes"]))
        return
    for number, (a, b) in _numbered(zip(old["axes"], now["axes"], strict=True)):
        panel = f"panel {number}" + (f" ({b['title']})" if b["title"] else "")
        yield from _unequal(f"{panel}, title", a["title"], b["title"], words)
        if not now.get("series"):
            for key in _COUNTS if varies else (*_COUNTS, "points"):
                yield from _unequal(f"{panel}, number of {key}", a[key], b[key])
        for axis in ("x", "y", "color"):
            pair = a.get(axis), b.get(axis)
            yield from _axis_differences(f"{panel}, {axis} axis", axis, *pair, now, elsewhere, words)


def _axis_differences(
    where: str, axis: str, old: dict | None, now: dict | None, figure: dict, elsewhere: bool, words: Callable
):
    if old is None or now is None:
        yield from _unequal(where, old is not None, now is not None)
        return
    measured, trained = (axis in figure.get(kind, "") for kind in ("measured", "trained"))
    if axis == "color":
        measured, trained = bool(figure.get("measured")), bool(figure.get("trained"))
    else:
        yield from _unequal(f"{where}, label", old["label"], now["label"], words)
        yield from _unequal(f"{where}, scale", old["scale"], now["scale"])
        if figure.get("series"):
            if old["names"] or now["names"]:
                return  # the rows depend on the machine, and with them how far they reach
        else:
            yield from _unequal(f"{where}, names", old["names"], now["names"], words)
    log = "log" in (old.get("scale"), now.get("scale"))
    ends = [(one["low"], one["high"]) for one in (old, now)]
    if any(end is None for pair in ends for end in pair):
        if ends[0] != ends[1] and not measured:
            yield where, _stored_and_new(_range(old), _range(now))
        return
    alike, rule = (
        (_same_magnitude, f"a measured axis may differ {FACTOR}-fold")
        if measured
        else (_overlap, f"ranges of training's results must overlap, and their spans differ at most {SPANS}-fold")
        if trained or elsewhere
        else (_close, f"each end may differ by {CLOSE:.0%} of the span")
    )
    if not alike(*ends, log):
        yield where, f"{_stored_and_new(_range(old), _range(now))}; {rule}"


def _close(old: tuple, now: tuple, log: bool) -> bool:
    old, now = _scaled(old, now, log)
    room = CLOSE * (old[1] - old[0]) + 1e-3 * max(map(abs, old))
    return all(abs(a - b) <= room for a, b in zip(old, now, strict=True))


def _overlap(old: tuple, now: tuple, log: bool) -> bool:
    if not any(old) or not any(now):  # nothing but zeros, such as no point lost
        return True
    old, now = _scaled(old, now, log)
    least = math.log10(2) if log and min(*old, *now) else 0.05 * max(map(abs, (*old, *now)))
    spans = [max(high - low, least) for low, high in (old, now)]
    return max(spans) <= SPANS * min(spans) and max(old[0], now[0]) <= min(old[1], now[1]) + least


def _same_magnitude(old: tuple, now: tuple, log: bool) -> bool:
    a, b = (max(map(abs, ends)) for ends in (old, now))
    return a == b or 0 in (a, b) or max(a, b) <= FACTOR * min(a, b)


def _scaled(old: tuple, now: tuple, log: bool) -> tuple[tuple, tuple]:
    """The ends as they are far apart on a logarithmic axis, if it is one."""
    if log and min(*old, *now) > 0:
        return tuple(map(math.log10, old)), tuple(map(math.log10, now))
    return old, now


def _unequal(where: str, old, now, words=lambda value: value) -> Iterator[tuple[str, str]]:
    if words(old) != words(now):
        yield where, _stored_and_new(old, now)


def _stored_and_new(old, now) -> str:
    return f"stored is {_shown(old)}, new is {_shown(now)}"


def _shown(value) -> str:
    return f"“{value}”" if isinstance(value, str) and not value.startswith("from ") else f"{value}"


def _range(axis: dict) -> str:
    return "empty" if axis["low"] is None else f"from {axis['low']:,g} to {axis['high']:,g}"


def _same(value):
    return value


def _without_numbers(value):
    if isinstance(value, list):
        return [_without_numbers(one) for one in value]
    return re.sub(r"[+\-−]?\d[\d.,]*", "#", value)
