"""Pareto fronts: what remains of a set of points once every beaten one is thrown out, and the area that it beats."""

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the points that no other beats, where less is better in both coordinates, ascending in the first.

    One point beats another that is nowhere better and somewhere worse; of equal points the first is kept.
    """
    front, lowest = [], float("inf")
    for i in sorted(range(len(points)), key=lambda i: (*points[i], i)):
        if points[i][1] < lowest:
            front.append(i)
            lowest = points[i][1]
    return front


def hypervolume(points: Sequence[tuple[float, float]], reference: tuple[float, float]) -> float:
    """Area between the points' front and a reference that is worse than they are: more is better, 0 at the least.

    Zitzler & Thiele 1998, "Multiobjective Optimization Using Evolutionary Algorithms". Points that are beyond the
    reference in a coordinate add nothing.
    """
    inside = [p for p in points if p[0] < reference[0] and p[1] < reference[1]]
    area, right = 0.0, reference[0]
    for i in reversed(pareto_front(inside)):
        x, y = inside[i]
        area += (right - x) * (reference[1] - y)
        right = x
    return area
