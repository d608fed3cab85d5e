"""An animation that plays without a kernel: two schedules driving a point down a noisy valley."""

import math
from itertools import accumulate, pairwise, starmap

import torch

from nnopt_lab.techniques.training import schedules
from nnopt_lab.workbench.diagrams import Animation
from nnopt_lab.workbench.plots.colors import BLUE, FAINT, INK, ORANGE

STEPS, PEAK, NOISE = 100, 0.08, 4.0
CURVATURES = (1.0, 20.0)
START = (5.0, 3.0)
SECONDS = 14
MOVING = 0.75  # share of the time; the points rest at their ends for what is left
# A ring around a disc: both are seen as long as the points are at the same place.
_LOOKS = {
    "cosine": (BLUE, f'r="6" fill="{BLUE}"'),
    "constant": (ORANGE, f'r="10" fill="none" stroke="{ORANGE}" stroke-width="3.5"'),
}
_PER_X, _PER_Y, _CENTER = 62, 45, (340, 160)  # pixels per unit, and the place of the minimum


def descent(schedule: str, seed: int = 0) -> tuple[list[float], list[tuple[float, float]]]:
    """Descend into the valley ½(x² + 20·y²) with noise on every gradient.

    Args:
        schedule: "constant", or another name in `schedules.SCHEDULES` that needs no loss.
        seed: of the noise.

    Returns:
        (the rate of each step [100], the places [101] before, between and after the steps).
    """
    generator = torch.Generator().manual_seed(seed)
    place = torch.nn.Parameter(torch.tensor(START))
    optimizer = torch.optim.SGD([place], lr=PEAK)
    scheduler = schedules.SCHEDULES[schedule](STEPS)(optimizer)
    rates, places = [], [START]
    for _ in range(STEPS):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        place.grad = torch.tensor(CURVATURES) * place.detach() + NOISE * torch.randn(2, generator=generator)
        optimizer.step()
        scheduler.step()
        places.append(tuple(place.tolist()))
    return rates, places


def valley_animation() -> Animation:
    """Animate a constant rate and a cosine with the same peak and the same noise.

    Readers who asked their system for less motion see the paths and both ends.
    """
    drawing = Animation(
        880,
        310,
        "Two points descend into a long valley with the same noise. Both travel equally fast at first. The constant "
        "rate (orange) keeps shaking around the minimum; the cosine (blue) takes ever smaller steps and comes to rest.",
    )
    for loss in (0.25, 1, 2.5, 5, 9, 14):
        x, y = math.sqrt(2 * loss / CURVATURES[0]) * _PER_X, math.sqrt(2 * loss / CURVATURES[1]) * _PER_Y
        drawing.add(
            f'<ellipse cx="{_CENTER[0]}" cy="{_CENTER[1]}" rx="{x:.1f}" ry="{y:.1f}" fill="none" stroke="{FAINT}"/>'
        )
    drawing.text(*_CENTER, "+", size=16)
    descents = {schedule: descent(schedule) for schedule in _LOOKS}
    pixels = {
        schedule: [(_CENTER[0] + _PER_X * x, _CENTER[1] - _PER_Y * y) for x, y in places]
        for schedule, (_rates, places) in descents.items()
    }
    for row, (schedule, (color, _look)) in enumerate(_LOOKS.items()):
        _path(drawing, schedule, pixels[schedule], color)
        _rate(drawing, schedule, descents[schedule][0], 770 + 60 * row, color)
    for schedule, (_color, look) in _LOOKS.items():  # on both paths
        _point(drawing, schedule, pixels[schedule], look)
    drawing.text(800, 45, "*rate")
    drawing.text(_CENTER[0], 290, "the valley ½(x² + 20 y²) from above; + is its minimum", size=13)
    return drawing


def _path(drawing: Animation, name: str, pixels: list[tuple[float, float]], color: str) -> None:
    """The way behind a point: a dash as long as the path, with a gap as long before it, moves in from the start."""
    lengths = [0.0, *accumulate(starmap(math.dist, pairwise(pixels)))]
    drawing.move(f"{name}-path", [f"stroke-dashoffset:{lengths[-1] - length:.1f}" for length in lengths], MOVING)
    played = drawing.played(f"{name}-path", SECONDS, f"stroke-dasharray:{lengths[-1]:.1f}")
    drawing.path(pixels, color, f' stroke-opacity="0.6" {played}')


def _point(drawing: Animation, name: str, pixels: list[tuple[float, float]], look: str) -> None:
    """A point that moves relative to its end, where it stands without an animation."""
    x, y = pixels[-1]
    drawing.move(name, [f"transform:translate({px - x:.1f}px,{py - y:.1f}px)" for px, py in pixels], MOVING)
    drawing.add(f'<circle cx="{x:.1f}" cy="{y:.1f}" {look} {drawing.played(name, SECONDS)}/>')


def _rate(drawing: Animation, name: str, rates: list[float], x: float, color: str) -> None:
    """A bar as high as the rate of the step."""
    high = 200
    states = [f"transform:scaleY({rate / PEAK:.3f})" for rate in rates]
    drawing.move(f"{name}-rate", states, MOVING)
    played = drawing.played(f"{name}-rate", SECONDS, f"transform-origin:0 {60 + high}px;{states[-1]}")
    drawing.add(f'<rect x="{x - 16}" y="60" width="32" height="{high}" fill="{color}" {played}/>')
    drawing.path([(x - 22, 60 + high), (x + 22, 60 + high)], INK)
    drawing.text(x, 80 + high, name, size=13)
