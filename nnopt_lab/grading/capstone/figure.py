"""Draw the leaderboard's figure: accuracy over size and over speed."""

import math

from matplotlib.transforms import Bbox

from nnopt_lab.grading.capstone.entry import BASELINE, BYTES, FLOOR, Entry
from nnopt_lab.workbench import plots

_CORNERS = ((True, True), (True, False), (False, True), (False, False))


def draw(baseline: Entry, entries: list[Entry]):
    """Draw the measured entries, including the baseline, as a matplotlib Figure."""
    fig, axes = plots.figure(ncols=2, figsize=(10, 4.2))
    values = lambda e: e.bytes / baseline.bytes, lambda e: e.speedup
    _panel(axes[0], entries, values[0], "file, share of the baseline's", smaller=True)
    _panel(axes[1], entries, values[1], "times as fast as the baseline (batches of 1 and 256)")
    speeds = [entry.speedup for entry in entries]
    powers = range(math.floor(math.log2(min(speeds))), math.ceil(math.log2(max(speeds))) + 1)
    axes[1].set_xticks([2.0**power for power in powers[:: 1 + len(powers) // 9]])
    axes[0].axvline(BYTES / baseline.bytes, color=plots.REFERENCE, linestyle=":")
    axes[0].set_title(f"dashed: {FLOOR} %, dotted: {BYTES:,} bytes")
    axes[0].set(ylabel="test accuracy, %")
    plots.legend(fig)
    fig.draw_without_rendering()  # fixes the axes' positions
    for ax, value in zip(axes, values, strict=True):
        _write_names(ax, {entry.label: (value(entry), entry.accuracy) for entry in entries})
    return plots.finish(fig)


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
    ax.set_ylim(bottom=max(ax.get_ylim()[0], FLOOR - 8))  # entries far below would squeeze the others
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")


def _write_names(ax, points: dict[str, tuple[float, float]]) -> None:
    """Write each name at a corner of its point, if possible one where it covers no other name or point."""
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
