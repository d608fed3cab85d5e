"""The ring all-reduce: how processes add their gradients without a centre."""

import math

from nnopt_lab.workbench.diagrams.drawing import Drawing
from nnopt_lab.workbench.language import translated
from nnopt_lab.workbench.plots.colors import BLUE, GREEN, ORANGE, PURPLE

_COLORS = (BLUE, ORANGE, GREEN, PURPLE)
_CELL = 20
_PANEL, _RADII, _MIDDLE = 280, (86, 100), 175
# Of the way from each process to the next, where its arrow begins and ends, clear of the processes' names.
_ARROWS = ((0.2, 0.57), (0.21, 0.8), (0.2, 0.79), (0.43, 0.8))


def ring_all_reduce() -> Drawing:
    """Draw four processes in a ring before the all-reduce, after its first half, and at its end."""
    drawing = Drawing(
        3 * _PANEL,
        325,
        "Four processes in a ring, each with a gradient in four pieces. In the first half, three steps pass pieces on "
        "and add them, until each process owns the full sum of one piece (filled). In the second half, three steps "
        "pass the full sums on, until every process has all four.",
    )
    titles = ("start: own gradients", "after 3 steps: one full sum each", "after 6 steps: all sums")
    for panel, title in enumerate(titles):
        center = _PANEL // 2 + _PANEL * panel
        drawing.text(center, 18, f"*{translated(title)}")
        for rank in range(4):
            _process(drawing, center, rank, panel)
        if panel < 2:
            _ring(drawing, center)
    drawing.text(_PANEL // 2, _MIDDLE, "add and\npass on")
    drawing.text(_PANEL // 2 + _PANEL, _MIDDLE, "pass on")
    return drawing


def _place(center: float, rank: int) -> tuple[float, float]:
    angle = math.pi / 2 * rank - math.pi / 2
    return center + _RADII[0] * math.cos(angle), _MIDDLE + _RADII[1] * math.sin(angle)


def _process(drawing: Drawing, center: float, rank: int, panel: int) -> None:
    x, y = _place(center, rank)
    for piece in range(4):
        full = panel == 2 or (panel == 1 and piece == rank)
        drawing.cell(x - 2 * _CELL + piece * _CELL, y - _CELL / 2, _CELL, _COLORS[piece] if full else None)
        if not full:  # a part of the sum
            drawing.add(
                f'<circle cx="{x + (piece - 1.5) * _CELL:g}" cy="{y:g}" r="4" fill="{_COLORS[piece]}" stroke="none"/>'
            )
    drawing.text(x, y - 23 if rank != 2 else y + 23, f"process {rank}")


def _ring(drawing: Drawing, center: float) -> None:
    for rank in range(4):
        (x0, y0), (x1, y1) = _place(center, rank), _place(center, (rank + 1) % 4)
        start, end = _ARROWS[rank]
        drawing.arrow((x0 + start * (x1 - x0), y0 + start * (y1 - y0)), (x0 + end * (x1 - x0), y0 + end * (y1 - y0)))
