"""Train on random crops, or on smaller pictures."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F


def crop(images: Tensor, top: Tensor, left: Tensor, size: int) -> Tensor:
    """From each picture [B, C, H, W] the square at row `top` and column `left`, int64 [B]; ValueError if outside it."""
    height, width = images.shape[2:]
    if size < 1 or min(top.min(), left.min()) < 0 or top.max() + size > height or left.max() + size > width:
        raise ValueError(f"size={size}: a square from top and left does not lie inside {height}×{width} pixels.")
    rows, columns = (start[:, None] + torch.arange(size) for start in (top, left))
    every, channels = torch.arange(len(images))[:, None, None, None], torch.arange(images.shape[1])[:, None, None]
    return images[every, channels, rows[:, None, :, None], columns[:, None, None, :]]


class RandomCrops:
    """Pictures [B, C, H, W] → crops of one size, drawn for the batch between `low` and `high`, each from its own place.

    With `pad` zeros are put around them, so that any network takes them: an augmentation for `training.fit`.
    """

    def __init__(self, low: int, high: int, *, pad: bool = True, seed: int = 0):
        self.low, self.high, self.pad, self._generator = low, high, pad, torch.Generator().manual_seed(seed)

    def __call__(self, images: Tensor) -> Tensor:
        """Any dtype; [B, C, size, size], with `pad` [B, C, H, W]. ValueError where a size does not fit the pictures."""
        size = int(torch.randint(self.low, self.high + 1, (), generator=self._generator))
        down, across = (max(total - size, 0) for total in images.shape[2:])
        top, left = (torch.randint(gap + 1, (len(images),), generator=self._generator) for gap in (down, across))
        cropped, frame = crop(images, top, left, size), (across // 2, -(-across // 2), down // 2, -(-down // 2))
        return F.pad(cropped, frame) if self.pad else cropped


class SmallerPictures:
    """A `loader` for `training.fit` whose pictures go through `shrink(epoch)`: smaller ones cost less.

    The network must take any size. `shrink` gives for epoch 0, 1, … a function of pictures [B, C, H, W]: `RandomCrops`
    without `pad`, or for progressive resizing (Tan & Le 2021) a torchvision `Resize` to that epoch's size.
    """

    def __init__(self, loader: Iterable, shrink: Callable[[int], Callable[[Tensor], Tensor]]):
        self.loader, self.shrink, self.epoch = loader, shrink, 0

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        shrink, self.epoch = self.shrink(self.epoch), self.epoch + 1
        return ((shrink(pictures), targets) for pictures, targets in self.loader)
