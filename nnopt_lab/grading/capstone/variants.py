"""The judge's pictures: originals, and slightly changed versions that no file can have stored.

Each judging draws new random changes: a shift, a rotation, a zoom, and one grey level more or less per pixel. Half of
the changes are the opposite of the other half, so that a network near a decision boundary is pushed equally often in
both directions, and most of its answers agree with its answer for the original.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nnopt_lab.workbench import data

PAIRS, MORE_PAIRS = 2, 16  # of opposite changes: for every picture, and for those that the first ones leave undecided
MAX_OPEN = 1_000  # undecided pictures; a file with more is too inaccurate to matter
SAMPLE = 5_000
NEAR, FAR = 0.25, 1.0  # the largest shift, in pixels
TURN, ZOOM = 4.0, 0.04  # the largest rotation (degrees) and zoom, per pixel of the largest shift


@dataclass(frozen=True)
class Shown:
    """The pictures of one judging, and what they are.

    Attributes:
        images: uint8 [N, 1, 28, 28]: the original test pictures, and `2 * PAIRS` versions moved by at most `NEAR`; a
            sample of them moved by at most `FAR`; other pictures (all for validation, some for training) moved by at
            most `NEAR`, and by at most `FAR`.
        labels: int64 [N].
        sample: indices of the test pictures in the sample.
        others, validation: the number of other pictures, and of those for validation, which come first.
    """

    images: Tensor
    labels: Tensor
    sample: Tensor
    others: int
    validation: int


@dataclass(frozen=True)
class Rightness:
    """Which pictures a file classified correctly, 1 or 0 per picture, float64.

    Attributes:
        as_is: [test pictures].
        near: [2 * PAIRS, test pictures], moved by at most `NEAR`.
        sample_near, far: [sample], moved by at most `NEAR` and `FAR`.
        others_near, others_far: [other pictures], the same.
        validation: [validation pictures], moved by at most `NEAR`.
    """

    as_is: Tensor
    near: Tensor
    sample_near: Tensor
    far: Tensor
    others_near: Tensor
    others_far: Tensor
    validation: Tensor

    @property
    def open(self) -> Tensor:
        """Indices of the test pictures of which some slightly moved versions are right and some wrong."""
        share = self.near.mean(0)
        return ((share > 0) & (share < 1)).nonzero().flatten()


def draw(pictures: data.Pictures, generator: torch.Generator) -> Shown:
    """Draw the pictures of one judging."""
    test, validation, train = pictures.test, pictures.validation, pictures.train
    places = torch.randperm(len(train), generator=generator)[: max(0, SAMPLE - len(validation))]
    others = torch.cat([validation.images, train.images[places]])
    labels = torch.cat([validation.labels, train.labels[places]])
    sample = torch.randperm(len(test), generator=generator)[:SAMPLE]
    near = versions(test.images, PAIRS, generator)
    far = opposites(test.images[sample], FAR, generator)[0]
    moved = [opposites(others, most, generator)[0] for most in (NEAR, FAR)]
    return Shown(
        torch.cat([test.images, *near, far, *moved]),
        torch.cat([test.labels.repeat(1 + 2 * PAIRS), test.labels[sample], labels.repeat(2)]),
        sample,
        len(others),
        len(validation),
    )


def versions(images: Tensor, pairs: int, generator: torch.Generator) -> list[Tensor]:
    """Move pictures by at most `NEAR`: `pairs` times at random, each time also by the opposite."""
    return [moved for _ in range(pairs) for moved in opposites(images, NEAR, generator)]


def opposites(images: Tensor, pixels: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Change pictures at random and by the opposite change.

    Args:
        images: uint8 [N, 1, H, W].
        pixels: the largest shift; the largest rotation and zoom are `TURN` and `ZOOM` times as large.
        generator: of the random changes.

    Returns:
        Two tensors like `images`.
    """
    count, side = len(images), images.shape[-1]
    across, down, turn, zoom = 2 * torch.rand(4, count, generator=generator) - 1
    grey = torch.randint(-1, 2, images.shape, generator=generator)
    changed = []
    for sign in (1, -1):
        angle, scale = sign * pixels * math.radians(TURN) * turn, 1 + sign * pixels * ZOOM * zoom
        shift = sign * pixels * 2 / (side - 1) * torch.stack([across, down], 1)
        rows = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1) * scale[:, None]
        grid = F.affine_grid(torch.cat([rows.view(-1, 2, 2), shift[:, :, None]], 2), images.shape, align_corners=True)
        # Bicubic, because bilinear interpolation blurs, which is a change without an opposite.
        moved = F.grid_sample(images.float(), grid, mode="bicubic", align_corners=True)
        changed.append((moved.round() + sign * grey).clamp(0, 255).to(torch.uint8))
    return changed[0], changed[1]


def rightness(shown: Shown, classes: Tensor) -> Rightness:
    """Find the pictures that a file classified correctly; `classes` are its answers, [N]."""
    right = (classes == shown.labels).double()
    count, sample = len(right) - len(shown.sample) - 2 * shown.others, len(shown.sample)
    tests, far, others_near, others_far = right.split([count, sample, shown.others, shown.others])
    as_is, *near = tests.view(1 + 2 * PAIRS, -1)
    near = torch.stack(near)
    validation = others_near[: shown.validation]
    return Rightness(as_is, near, near[0, shown.sample], far, others_near, others_far, validation)


def mostly(right: Tensor) -> Tensor:
    """1 for pictures of which most versions are right, 0.5 if half are, else 0; `right` is [versions, pictures]."""
    return (right.mean(0) - 0.5).sign() / 2 + 0.5
