"""Train on random crops, or on smaller pictures."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F


def crop(images: Tensor, top: Tensor, left: Tensor, size: int) -> Tensor:
    """Cut a square out of each picture.

    Args:
        images: any dtype [B, C, H, W].
        top, left: int64 [B], the row and column of each square's first pixel.
        size: of the squares in pixels, at least 1.

    Returns:
        [B, C, size, size].

    Raises:
        ValueError: a square is not inside its picture.
    """
    height, width = images.shape[2:]
    if size < 1 or min(top.min(), left.min()) < 0 or top.max() + size > height or left.max() + size > width:
        raise ValueError(f"size={size}: a square at top and left does not lie inside {height}×{width} pixels.")
    rows, columns = (start[:, None] + torch.arange(size) for start in (top, left))
    every, channels = torch.arange(len(images))[:, None, None, None], torch.arange(images.shape[1])[:, None, None]
    return images[every, channels, rows[:, None, :, None], columns[:, None, None, :]]


class RandomCrops:
    """An augmentation that crops each picture of a batch at a random position, to one random size per batch.

    Args:
        low, high: 1 ≤ low ≤ high, the bounds of the size in pixels.
        pad: whether to pad crops with zeros to the original size, so that any network accepts them.
        seed: determines sizes and positions.
    """

    def __init__(self, low: int, high: int, *, pad: bool = True, seed: int = 0):
        self.low, self.high, self.pad, self._generator = low, high, pad, torch.Generator().manual_seed(seed)

    def __call__(self, images: Tensor) -> Tensor:
        """Crop a batch of any dtype: [B, C, H, W] → [B, C, size, size], or with `pad` [B, C, H, W].

        Raises:
            ValueError: a size is below 1 or larger than the pictures.
        """
        size = int(torch.randint(self.low, self.high + 1, (), generator=self._generator))
        down, across = (max(total - size, 0) for total in images.shape[2:])
        top, left = (torch.randint(gap + 1, (len(images),), generator=self._generator) for gap in (down, across))
        cropped, frame = crop(images, top, left, size), (across // 2, -(-across // 2), down // 2, -(-down // 2))
        return F.pad(cropped, frame) if self.pad else cropped


class SmallerPictures:
    """A `loader` for `training.fit` that shrinks its pictures, because smaller ones cost less.

    Args:
        loader: yields (pictures [B, C, H, W], targets); the network must accept any H and W.
        shrink: a function epoch (0, 1, …) → function of pictures, such as `RandomCrops` without `pad`, or a torchvision
            `Resize` to that epoch's size for progressive resizing (Tan & Le 2021, "EfficientNetV2",
            https://arxiv.org/abs/2104.00298).
    """

    def __init__(self, loader: Iterable, shrink: Callable[[int], Callable[[Tensor], Tensor]]):
        self.loader, self.shrink, self.epoch = loader, shrink, 0

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        shrink, self.epoch = self.shrink(self.epoch), self.epoch + 1
        return ((shrink(pictures), targets) for pictures, targets in self.loader)
