"""Pareto fronts: the points that no other point beats, and the area that they dominate."""

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Find the points that no other beats, where less is better; returns their positions, ascending in the first axis.

    A point beats another if it is at least as good in both coordinates and better in one. Among equal points, the first
    is kept.
    """
    front, lowest = [], float("inf")
    for i in sorted(range(len(points)), key=lambda i: (*points[i], i)):
        if points[i][1] < lowest:
            front.append(i)
            lowest = points[i][1]
    return front


def hypervolume(points: Sequence[tuple[float, float]], reference: tuple[float, float]) -> float:
    """Compute the area between the points' front and a reference, at least 0; more is better.

    Zitzler & Thiele 1998, "Multiobjective Optimization Using Evolutionary Algorithms",
    https://doi.org/10.1007/BFb0056872. Points that are worse than the reference in a coordinate add nothing.
    """
    inside = [p for p in points if p[0] < reference[0] and p[1] < reference[1]]
    area, right = 0.0, reference[0]
    for i in reversed(pareto_front(inside)):
        x, y = inside[i]
        area += (right - x) * (reference[1] - y)
        right = x
    return area
