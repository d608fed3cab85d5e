"""Lesson 14's playground: a search's front, trial by trial, and the network that a limit on accuracy picks."""

import html
from collections.abc import Sequence

from nnopt_lab.course.playground import Playground, choice, slider
from nnopt_lab.techniques.search.fronts import hypervolume, pareto_front
from nnopt_lab.techniques.search.points import Point, describe
from nnopt_lab.workbench import measure, plots
from nnopt_lab.workbench.language import Message, translated

DROPS = [0, 0.25, 0.5, 1, 2, 3, 5]


def front_playground(points: Sequence[Point], original: Point, target: str = "latency") -> Playground:
    """Plot what the first trials of a search found, and describe the cheapest network within a limit.

    Args:
        points: of a search, such as `search.points`, at least one.
        original: the network before the search.
        target: "latency" or "bytes", the cost to plot.

    Raises:
        ValueError: there is no point, or no such target.
    """
    if not points or target not in ("latency", "bytes"):
        raise ValueError(f"points has {len(points)} entries, target={target!r}: one point is needed, latency or bytes.")
    points = sorted(points, key=lambda point: point.number)

    def draw(trials: int, drop: float):
        tried = points[:trials]
        seen = [(original.accuracy - p.accuracy, getattr(p, target) / getattr(original, target)) for p in tried]
        allowed = [i for i, (lost, _) in enumerate(seen) if lost <= drop]
        best = min(allowed, key=lambda i: seen[i][1], default=None)
        fig, ax = plots.figure()
        with plots.style():
            front = [seen[i] for i in pareto_front(seen)]
            ax.plot([c for _, c in seen], [-x for x, _ in seen], "o", color=plots.SKY, label="trial")
            ax.step([c for _, c in front], [-x for x, _ in front], color=plots.BLUE, where="pre", label="front")
            ax.plot([1], [0], "s", color=plots.REFERENCE, label="original")
            ax.axhline(-drop, color=plots.REFERENCE, linestyle="--", label="limit")
            if best is not None:
                ax.plot(
                    [seen[best][1]],
                    [-seen[best][0]],
                    "o",
                    color=plots.ORANGE,
                    markersize=10,
                    label="best within the limit",
                )
            plots.log_axis(ax.xaxis)
            ax.set(xlabel=f"{target} ÷ the original's", ylabel="points gained or lost")
            ax.set_ylim(-2 * max(drop, 2), 2)
            plots.legend(fig)
        area = hypervolume([(max(x, 0.0), c) for x, c in seen], (drop, 1.0)) / drop if drop else 0.0
        plots.finish(
            fig,
            "Dots are trials, with points gained or lost over cost; a staircase joins those that no other beats.",
            measured="x",
            trained="y",
        )
        return fig, _text(None if best is None else tried[best], original, target, area)

    return Playground(
        draw,
        trials=slider("trials", 1, len(points), len(points)),
        drop=choice("max. points lost", DROPS, 1),
    )


def _text(point: Point | None, original: Point, target: str, area: float) -> str:
    if point is None:
        return Message("No network is within the limit yet.")
    times = getattr(original, target) / getattr(point, target)
    told = {
        "number": point.number,
        "times": f"{times:.2f}",
        "points": measure.number(point.accuracy - original.accuracy, "+.2f"),
        "size": measure.format_bytes(point.bytes),
        "area": f"{area:.2f}",
        "changes": html.escape("; ".join(map(translated, describe(point.config)))),
    }
    if target == "latency":
        return Message(
            "Trial {number}: <b>{times}×</b> as fast, {points} points, {size} · hypervolume {area} · {changes}", **told
        )
    return Message(
        "Trial {number}: <b>{times}×</b> as small, {points} points, {size} · hypervolume {area} · {changes}", **told
    )
