"""Apply a rule for stopping trials to a search that was recorded without one."""

from collections.abc import Callable

from nnopt_lab.techniques.search.points import Point

FIRST = 4  # the rule starts when this many trials are finished


def stopped_trials(run: dict, max_drop: float, rule: Callable[..., int]) -> tuple[list[Point], int, int]:
    """Judge a run's trials one by one, each by those before it that were finished.

    Args:
        run: a recorded search, with its "points" and its "original".
        max_drop: points of accuracy that may be lost.
        rule: `epochs_trained(curve, cost, curves, costs, floor)` of lesson 14. A trial's curve is its accuracy after
            the first epoch and at its end, as its engine computes it; its cost is its time.

    Returns:
        The trials that were stopped, the epochs trained, and the epochs without stopping.
    """
    floor = run["original"]["accuracy"] - max_drop
    finished, stopped, trained, whole = [], [], 0, 0
    for point in (Point(**p) for p in run["points"]):
        epochs = len(point.curve)  # 0 if nothing had to be trained
        whole += epochs
        if epochs and len(finished) >= FIRST:
            curves, costs = [_curve(p) for p in finished], [p.latency for p in finished]
            epochs = rule(_curve(point), point.latency, curves, costs, floor)
        trained += epochs
        if epochs < len(point.curve):
            stopped.append(point)
        elif epochs:
            finished.append(point)
    return stopped, trained, whole


def _curve(point: Point) -> list[float]:
    return [point.curve[0], point.accuracy]
