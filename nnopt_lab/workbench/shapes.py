"""A data set without a download: ten coloured shapes over clutter, drawn from a seed.

A shape is an implicit field: a function of the coordinates (u, v) that is negative inside. Drawing evaluates that
field once per class, vectorised. One number, the difficulty, scales everything that makes the task hard: clutter,
distractors, an occluder and noise.
"""

import math

import torch
from torch import Tensor

from nnopt_lab.workbench import smoke
from nnopt_lab.workbench.class_names import SHAPES

SIZE = 32
_CHUNK = 2_000


def draw_shapes(count: int, *, seed: int = 0, difficulty: float = 1.0) -> tuple[Tensor, Tensor]:
    """Draw pictures of the ten shapes; the classes are balanced to within one picture.

    Args:
        count: number of pictures, at least 1.
        seed: determines every picture: the same seed gives the same pictures on every machine with the same torch.
        difficulty: at least 0; scales clutter and noise, and how often distractors and occluders appear.

    Returns:
        Pictures uint8 [count, 3, 32, 32], and labels int64 [count] from 0 to 9, which index `SHAPES`.

    Raises:
        ValueError: `count` is below 1 or `difficulty` below 0.
    """
    if count < 1:
        raise ValueError(f"count={count} must be at least 1.")
    if not difficulty >= 0:
        raise ValueError(f"difficulty={difficulty} must be at least 0.")
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count)[torch.randperm(count, generator=generator)] % len(SHAPES)
    drawn = smoke.few(labels, 200)
    chunks = [_draw(part, difficulty, generator) for part in drawn.split(_CHUNK)]
    return smoke.repeat_rows(torch.cat(chunks), count), smoke.repeat_rows(drawn, count)


def _draw(labels: Tensor, difficulty: float, generator: torch.Generator) -> Tensor:
    n = len(labels)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *(shape or (1, 1)), generator=generator)

    def often(probability: float) -> Tensor:
        return (torch.rand(n, 1, 1, generator=generator) < min(probability * difficulty, 1.0)).float()

    background = uniform(0.1, 0.9, 3)
    picture = background[:, :, None, None] + 0.12 * difficulty * _smooth_noise(n, generator)
    for _ in range(2):
        picture = _paint(picture, _capsule(uniform) * often(0.7), uniform(0.0, 1.0, 3))
    foreground = _far_from(background, uniform)
    stripes = 1 + 0.25 * often(0.4) * torch.sign(torch.sin(_grid()[0] * uniform(0.7, 1.3) + uniform(0, 6.28)))
    inside = _shape_mask(labels, uniform)
    picture = picture * (1 - inside[:, None]) + inside[:, None] * foreground[:, :, None, None] * stripes[:, None]
    picture = _paint(picture, _capsule(uniform) * often(0.3), uniform(0.0, 1.0, 3))
    picture = picture * uniform(0.75, 1.2, 3, 1, 1) + uniform(-0.08, 0.08, 3, 1, 1)
    noise = torch.randn(picture.shape, generator=generator)
    picture = picture + difficulty * uniform(0.02, 0.08, 1, 1, 1) * noise
    return (picture.clamp(0, 1) * 255).round().to(torch.uint8)


def _grid() -> tuple[Tensor, Tensor]:
    line = torch.arange(SIZE) - (SIZE - 1) / 2
    y, x = torch.meshgrid(line, line, indexing="ij")
    return x, y


def _coverage(field: Tensor) -> Tensor:
    """Fraction of each pixel that lies inside, from a field in pixels: a soft edge one pixel wide."""
    return (0.5 - field).clamp(0, 1)


def _paint(picture: Tensor, coverage: Tensor, colour: Tensor) -> Tensor:
    return picture + coverage[:, None] * (colour[:, :, None, None] - picture)


def _smooth_noise(n: int, generator: torch.Generator) -> Tensor:
    coarse = torch.randn(n, 3, 5, 5, generator=generator)
    return torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bilinear", align_corners=True)


def _far_from(background: Tensor, uniform) -> Tensor:
    """A colour that differs from the background by at least 0.26 on average over channels, or the best of eight."""
    candidates = torch.stack([uniform(0.0, 1.0, 3) for _ in range(8)])
    distance = (candidates - background).abs().mean(2)
    first_far_enough = (distance >= 0.26).float().argmax(0)
    choice = torch.where(distance.amax(0) >= 0.26, first_far_enough, distance.argmax(0))
    return candidates[choice, torch.arange(len(background))]


def _capsule(uniform) -> Tensor:
    """A thick line segment somewhere in the picture."""
    x, y = _grid()
    angle, length, width = uniform(0, math.pi), uniform(3, 9), uniform(1, 2.2)
    dx, dy = x - uniform(-14, 14), y - uniform(-14, 14)
    along = dx * angle.cos() + dy * angle.sin()
    across = -dx * angle.sin() + dy * angle.cos()
    beyond = (along.abs() - length).clamp(min=0)
    return _coverage(torch.hypot(beyond, across) - width)


def _shape_mask(labels: Tensor, uniform) -> Tensor:
    x, y = _grid()
    radius, angle, stretch = uniform(8, 12), uniform(-0.5, 0.5), uniform(-0.12, 0.12).exp()
    dx, dy = x - uniform(-3, 3), y - uniform(-3, 3)
    u = (dx * angle.cos() + dy * angle.sin()) * stretch / radius
    v = (-dx * angle.sin() + dy * angle.cos()) / stretch / radius
    fields = torch.empty_like(u)
    for label, field in enumerate(_FIELDS):
        here = labels == label
        fields[here] = field(u[here], v[here])
    return _coverage(fields * radius)


def _box(u: Tensor, v: Tensor, half_width: float, half_height: float) -> Tensor:
    return torch.maximum(u.abs() - half_width, v.abs() - half_height)


def _star(u: Tensor, v: Tensor) -> Tensor:
    fifths = torch.atan2(u, -v) * 5 / (2 * math.pi)
    to_the_nearest_tip = (fifths - fifths.round()).abs() * 2
    return torch.hypot(u, v) - (0.42 + 0.58 * (1 - to_the_nearest_tip).pow(1.3))


def _heart(u: Tensor, v: Tensor) -> Tensor:
    w = -v * 1.15 + 0.1
    bulge = (u.square() * 1.3 + w.square() - 0.6).clamp(-2, 2)
    return (
        (bulge**3 - 1.3 * u.square() * w**3).sign() * (bulge.abs() ** 3 + (u.square() * w.abs() ** 3)).pow(1 / 3) * 0.5
    )


_FIELDS = (
    lambda u, v: torch.hypot(u, v) - 0.9,
    lambda u, v: (torch.hypot(u, v) - 0.7).abs() - 0.22,
    lambda u, v: _box(u, v, 0.78, 0.78),
    lambda u, v: torch.maximum(v - 0.65, 0.866 * u.abs() - 0.5 * v - 0.5),
    _star,
    lambda u, v: torch.minimum(_box(u, v, 0.95, 0.28), _box(u, v, 0.28, 0.95)),
    lambda u, v: torch.maximum(torch.hypot(u, v) - 0.95, 0.72 - torch.hypot(u - 0.45, v)),
    _heart,
    lambda u, v: torch.minimum(_box(u, v + 0.62, 0.85, 0.26), _box(u, v, 0.26, 0.88)),
    lambda u, v: torch.maximum(v.abs() - 0.85, u.abs() - v.abs() * 0.85 - 0.08),
)
