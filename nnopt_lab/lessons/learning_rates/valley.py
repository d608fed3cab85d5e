"""An animation that plays without a kernel: two schedules driving a point down a noisy valley."""

import math

import torch

from nnopt_lab.techniques.training import schedules
from nnopt_lab.workbench.diagrams import Drawing
from nnopt_lab.workbench.plots.colors import BLUE, FAINT, INK, ORANGE

STEPS, PEAK, NOISE = 100, 0.08, 4.0
CURVATURES = (1.0, 20.0)
START = (5.0, 3.0)
SECONDS = 12
MOVING = 0.85  # share of the time; the points rest at their ends for what is left
_COLORS = {"constant": ORANGE, "cosine": BLUE}
_PER_X, _PER_Y, _CENTER = 80, 45, (300, 175)  # pixels per unit, and the place of the minimum


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


def valley_animation() -> Drawing:
    """Animate a constant rate and a cosine with the same peak and the same noise.

    Readers who asked their system for less motion see the paths and both ends.
    """
    drawing = Drawing(
        880,
        360,
        "Two points descend into a long valley with the same noise. Both travel equally fast at first. The constant "
        "rate (orange) keeps shaking around the minimum; the cosine (blue) takes ever smaller steps and comes to rest.",
    )
    for loss in (0.25, 1, 2.5, 5, 9, 14):
        x, y = math.sqrt(2 * loss / CURVATURES[0]) * _PER_X, math.sqrt(2 * loss / CURVATURES[1]) * _PER_Y
        drawing.add(
            f'<ellipse cx="{_CENTER[0]}" cy="{_CENTER[1]}" rx="{x:.1f}" ry="{y:.1f}" fill="none" stroke="{FAINT}"/>'
        )
    drawing.text(_CENTER[0], _CENTER[1], "+", size=16)
    for row, (schedule, color) in enumerate(_COLORS.items()):
        rates, places = descent(schedule)
        pixels = [(_CENTER[0] + _PER_X * x, _CENTER[1] - _PER_Y * y) for x, y in places]
        drawing.path(pixels, color, ' stroke-opacity="0.35"')
        drawing.add(_point(schedule, pixels, color))
        drawing.style += _moves(schedule, pixels)
        _rate(drawing, schedule, rates, 770 + 60 * row, color)
    drawing.text(800, 45, "*rate")
    drawing.text(_CENTER[0], 340, "the valley ½(x² + 20 y²) from above; + is its minimum", size=13)
    drawing.style += "@media(prefers-reduced-motion:reduce){.moves{animation:none!important}}"
    return drawing


def _point(name: str, pixels: list[tuple[float, float]], color: str) -> str:
    x, y = pixels[-1]
    timing = f"animation:{name} {SECONDS}s linear infinite"
    return f'<circle class="moves" cx="{x:.1f}" cy="{y:.1f}" r="8" fill="{color}" style="{timing}"/>'


def _moves(name: str, pixels: list[tuple[float, float]]) -> str:
    """Key frames from place to place, relative to the end, where a point without an animation stands."""
    end = pixels[-1]
    frames = (
        f"{100 * MOVING * i / STEPS:.2f}%{{transform:translate({x - end[0]:.1f}px,{y - end[1]:.1f}px)}}"
        for i, (x, y) in enumerate(pixels)
    )
    return f"@keyframes {name}{{{''.join(frames)}100%{{transform:none}}}}"


def _rate(drawing: Drawing, name: str, rates: list[float], x: float, color: str) -> None:
    """A bar as high as the rate of the step."""
    high = 200
    frames = "".join(
        f"{100 * MOVING * i / STEPS:.2f}%{{transform:scaleY({rate / PEAK:.3f})}}" for i, rate in enumerate(rates)
    )
    last = f"transform:scaleY({rates[-1] / PEAK:.3f})"
    drawing.style += f"@keyframes {name}-rate{{{frames}100%{{{last}}}}}"
    timing = f"transform-origin:0 {70 + high}px;{last};animation:{name}-rate {SECONDS}s linear infinite"
    drawing.add(f'<rect class="moves" x="{x - 16}" y="70" width="32" height="{high}" fill="{color}" style="{timing}"/>')
    drawing.path([(x - 22, 70 + high), (x + 22, 70 + high)], INK)
    drawing.text(x, 90 + high, name, size=13)
