"""Draw the leaderboard's figure: accuracy over size and over speed."""

import math

from nnopt_lab.grading.capstone.entry import BASELINE, BYTES, FLOOR, Entry
from nnopt_lab.workbench import plots


def draw(baseline: Entry, entries: list[Entry]):
    """Draw the measured entries, including the baseline, as a matplotlib Figure."""
    fig, axes = plots.figure(ncols=2, height=4.2)
    values = lambda e: e.bytes / baseline.bytes, lambda e: e.speedup
    _panel(axes[0], entries, values[0], "file, share of the baseline's", smaller=True)
    _panel(axes[1], entries, values[1], "times as fast as the baseline")
    speeds = [entry.speedup for entry in entries]
    powers = range(math.floor(math.log2(min(speeds))), math.ceil(math.log2(max(speeds))) + 1)
    axes[1].set_xticks([2.0**power for power in powers[:: 1 + len(powers) // 9]])
    axes[0].axvline(BYTES / baseline.bytes, color=plots.REFERENCE, linestyle=":", label=f"{BYTES:,} bytes")
    axes[0].set(ylabel="test accuracy, %")
    plots.legend(fig)
    for ax, value in zip(axes, values, strict=True):
        plots.write_names(ax, {entry.label: (value(entry), entry.accuracy) for entry in entries})
    smallest, fastest, best = (
        pick(entries, key=key).label for pick, key in ((min, values[0]), (max, values[1]), (max, lambda e: e.accuracy))
    )
    return plots.finish(
        fig,
        f"The smallest file is “{smallest}”, the fastest “{fastest}”, the most accurate “{best}”; a line joins the "
        "files that none beats.",
        measured="x",
        trained="y",
    )


def _panel(ax, entries: list[Entry], value, label: str, smaller: bool = False) -> None:
    order = sorted(entries, key=value, reverse=not smaller)  # the best first
    front = [e for n, e in enumerate(order) if all(e.accuracy > other.accuracy for other in order[:n])]
    ring = {"marker": "o", "markersize": 12, "markerfacecolor": "none"}  # one unbeaten file alone makes no line
    sizes, accuracies = [value(e) for e in front], [e.accuracy for e in front]
    ax.plot(sizes, accuracies, **ring, color=plots.GREEN, label="not beaten in both")
    for entry in entries:
        color, kind = _kind(entry)
        ax.plot(value(entry), entry.accuracy, plots.marker_of(color), color=color, label=kind)
    ax.axhline(FLOOR, color=plots.REFERENCE, linestyle="--", linewidth=1, label=f"{FLOOR} %")
    ax.set(xscale="log", xlabel=label)
    ax.margins(x=0.25, y=0.15)
    ax.set_ylim(bottom=max(ax.get_ylim()[0], FLOOR - 8))  # entries far below would squeeze the others
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")


def _kind(entry: Entry) -> tuple[str, str]:
    if entry.name == BASELINE:
        return plots.REFERENCE, "the baseline"
    return (plots.BLUE, "the course's files") if entry.ours else (plots.ORANGE, "other files")
