"""Lesson 14's playground: a search's front, trial by trial, and the network that a limit on accuracy picks."""

import html
from collections.abc import Sequence

from nnopt_lab.course.playground import Playground, choice, slider
from nnopt_lab.techniques.search.fronts import hypervolume, pareto_front
from nnopt_lab.techniques.search.points import Point, describe
from nnopt_lab.workbench import measure, plots
from nnopt_lab.workbench.language import Message, _, translated

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
    every = [(original.accuracy - p.accuracy, getattr(p, target) / getattr(original, target)) for p in points]
    picked = {}  # the best, by the number of trials and then by the limit

    def draw(trials: int, drop: float):
        seen = every[:trials]
        best = _best(seen, drop)
        fig, ax = plots.figure()
        with plots.style():
            front = [seen[i] for i in pareto_front(seen)]
            ax.plot([c for _, c in seen], [-x for x, _ in seen], "o", color=plots.GREEN, label="trial")
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
        text = _text(None if best is None else points[best], original, target, area)
        if best is None:
            return fig, text, [""] * len(goals)
        same_trials = picked.setdefault(trials, {})
        same_trials[drop] = best
        found = [
            _enough(trials, best, _best(every, drop), len(points)),
            _for_nothing(same_trials, drop, points[best].number),
            _free(drop, every[best][1], target),
        ]
        return fig, text, found

    goals = [
        _("Find the number of trials after which nothing better is found within the limit."),
        _("Find two limits of which the larger one buys nothing."),
        _("Allow no loss at all and still improve on the original."),
    ]
    return Playground(
        draw,
        goals,
        trials=slider("trials", 1, len(points), len(points)),
        drop=choice("max. points lost", DROPS, 1),
    )


def _best(seen: Sequence[tuple[float, float]], drop: float) -> int | None:
    """The position of the cheapest of the points (points lost, cost) within the limit, None if there is none."""
    allowed = [i for i, (lost, _cost) in enumerate(seen) if lost <= drop]
    return min(allowed, key=lambda i: seen[i][1], default=None)


def _enough(trials: int, best: int, best_of_all: int, of: int) -> str:
    """A sentence if the last of these trials is the best, and none of the later ones is better."""
    if not best == best_of_all == trials - 1 or trials == of:
        return ""
    return _(
        "{trials} of {total} trials would have been enough for this limit, but only the other trials could show it.",
        trials=trials,
        total=of,
    )


def _for_nothing(picked: dict[float, int], drop: float, number: int) -> str:
    """A sentence if another limit picked the same point as this one."""
    limits = sorted(limit for limit, best in picked.items() if best == picked[drop])
    if len(limits) < 2:
        return ""
    return _(
        "Allowing {more} points instead of {less} buys nothing: trial {number} stays the best.",
        more=limits[-1],
        less=limits[0],
        number=number,
    )


def _free(drop: float, cost: float, target: str) -> str:
    if drop or cost >= 1:
        return ""
    if target == "latency":
        return _("No points lost, and {times} times as fast: some changes cost no accuracy.", times=f"{1 / cost:.1f}")
    return _("No points lost, and {times} times as small: some changes cost no accuracy.", times=f"{1 / cost:.1f}")


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
