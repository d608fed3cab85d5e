"""Batches: as large as the machine wants, of sizes that change, and larger than the memory allows.

The article's section 3.2.2: choose the batch size from hardware and model (`sweep`), or let it change during training
(random sizes, random crops). How large a batch is worth its pictures: `nnopt_lab.techniques.training.noise_scale`.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.utils.benchmark import Timer
from torch.utils.data import Sampler

from nnopt_lab.workbench import measure


class EpochBatches(Sampler[list[int]]):
    """Batches whose size is chosen anew for each epoch: growing (Smith et al. 2018), or by a measurement.

    Iterating gives the next epoch: its positions 0 … count − 1 in a new order, each once; the last batch may be
    smaller. A `batch_sampler` for any DataLoader, with any number of workers, and `batches` for `training.fit`.
    `len` is that of the epoch that began last and, once its last batch is taken (workers run ahead), the coming one's.

    Args:
        count: samples in an epoch, at least 1.
        size: function of the epoch, 0, 1, …: its batch size, rounded and clipped to `low` … `high`. Called once for
            each epoch, when it begins or `len` first asks for it.
        low, high: 1 ≤ low ≤ high; high is `count` where it is None.
        seed: all orders follow from it.
    """

    def __init__(self, count: int, size: Callable[[int], float], low: int = 1, high: int | None = None, seed: int = 0):
        high = count if high is None else high
        if count < 1 or not 1 <= low <= high:
            raise ValueError(f"count={count}, low={low}, high={high} must be count ≥ 1 and 1 ≤ low ≤ high.")
        self.count, self.size, self.low, self.high, self.seed = count, size, low, high, seed
        self.chosen: list[int] = []  # the size of each epoch so far
        self._begun = self._told = 0  # epochs begun so far; the epoch that `len` speaks of

    def sizes(self, epoch: int) -> list[int]:
        """The sizes of that epoch's batches, in order."""
        while len(self.chosen) <= epoch:
            self.chosen.append(round(min(max(self.size(len(self.chosen)), self.low), self.high)))
        whole, rest = divmod(self.count, self.chosen[epoch])
        return [self.chosen[epoch]] * whole + [rest] * (rest > 0)

    def __len__(self) -> int:
        return len(self.sizes(self._told))

    def __iter__(self) -> Iterator[list[int]]:
        epoch = self._told = self._begun  # at the first batch: a loader with workers makes an iterator that it drops
        self._begun += 1
        order = torch.randperm(self.count, generator=self._generator(epoch, 0))
        yield from (batch.tolist() for batch in order.split(self.sizes(epoch)))
        self._told = max(self._told, epoch + 1)

    def _generator(self, epoch: int, stream: int) -> torch.Generator:
        return torch.Generator().manual_seed((2 * (self.seed * 2**20 + epoch) + stream) % 2**63)


class RandomBatchSizes(EpochBatches):
    """Every batch has a random size of its own, low ≤ size ≤ high, the last one too; else as `EpochBatches`.

    Every epoch has the same number of batches, the nearest to count / mean size that the bounds allow, so that a
    schedule can be planned. Sizes are drawn evenly, but for the few that make the sum come out; then they are mixed.
    ValueError too where `count` is no sum of sizes between the bounds.
    """

    def __init__(self, count: int, low: int, high: int, seed: int = 0):
        super().__init__(count, lambda epoch: high, low, high, seed)
        fewest, most = -(-count // high), count // low
        if fewest > most:
            raise ValueError(f"count={count} cannot be cut into batches of low={low} to high={high}; widen the bounds.")
        self.batches = min(max(round(2 * count / (low + high)), fewest), most)

    def sizes(self, epoch: int) -> list[int]:
        """The sizes of that epoch's batches, in order."""
        generator, left, sizes = self._generator(epoch, 1), self.count, []
        for after in reversed(range(self.batches)):  # what is left must go into the batches after this one
            least, most = max(self.low, left - after * self.high), min(self.high, left - after * self.low)
            sizes.append(int(torch.randint(least, most + 1, (), generator=generator)))
            left -= sizes[-1]
        return [sizes[place] for place in torch.randperm(self.batches, generator=generator)]


class Accumulate(Optimizer):
    """Gradient accumulation: one step of `optimizer` for every `every` micro-batches, as from one large batch.

    A batch's gradient is a mean, so micro-batches of unequal size may not simply be averaged: with `weighted(loss)`
    each sample counts the same, and the step is that of the large batch but for rounding. Not so with layers that
    look across a batch (batch norm). A group that the end of an epoch cuts goes on in the next one. Schedulers work:
    state and param_groups are the optimizer's. ValueError where `every` < 1 or no loss went through `weighted`.
    """

    def __init__(self, optimizer: Optimizer, every: int):
        if every < 1:
            raise ValueError(f"every={every} must be at least 1.")
        super().__init__(optimizer.param_groups, optimizer.defaults)
        self.optimizer, self.every = optimizer, every
        self.state, self.param_groups = optimizer.state, optimizer.param_groups
        self._batches = self._samples = 0  # of the present group

    def weighted(self, loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy) -> Callable:
        """The same loss, a mean over its samples, but its gradient is that of their sum; `step` divides."""

        def counted(outputs: Tensor, targets) -> Tensor:
            value, size = loss(outputs, targets), len(outputs)
            value.register_hook(lambda gradient: gradient * size)
            self._samples += size
            return value

        return counted

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Empties the gradients where a group begins, and keeps them inside one."""
        if self._batches == 0:
            self.optimizer.zero_grad(set_to_none)

    def step(self) -> None:
        """Ends a micro-batch; steps if it is the last of its group."""
        if self._samples == 0:
            raise ValueError("optimizer: no loss went through Accumulate; give fit loss=optimizer.weighted(loss).")
        self._batches += 1
        if self._batches == self.every:
            for gradient in (p.grad for group in self.param_groups for p in group["params"] if p.grad is not None):
                gradient.div_(self._samples)
            self._batches = self._samples = 0
            self.optimizer.step()

    def load_state_dict(self, state_dict: dict) -> None:
        """As the optimizer's own."""
        self.optimizer.load_state_dict(state_dict)
        self.state, self.param_groups = self.optimizer.state, self.optimizer.param_groups


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


class SweepPoint(NamedTuple):
    batch_size: int
    per_second: float  # samples
    bytes: int  # alive at one time


def sweep(
    step: Callable, example: Tensor, *, largest: int = 16_384, limit_bytes: float | None = None, seconds: float = 0.3
) -> tuple[list[SweepPoint], str]:
    """Double the batch size until nothing is gained or the memory would not do: caught or foreseen, never a crash.

    `step` is called with `example` [N, …], repeated and cut to each size. A CPU's system may end a process that takes
    too much where it should refuse. So no size is tried that might need more than `limit_bytes`, by twice the need of
    the one before: half of `available_memory()` where it is None (on an accelerator, which refuses, no limit).
    Returns the points, and what ended it: "flat" (three sizes not 5 % above the best before), "memory" or "largest".
    """
    if limit_bytes is None:
        limit_bytes = available_memory() / 2 if example.device.type == "cpu" else float("inf")
    points, size = [], 1
    while size <= largest and not (points and 2 * points[-1].bytes > limit_bytes):
        try:
            points.append(_measured(step, example, size, seconds))
        except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError, the CPU's a plain one
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            return points, "memory"
        speeds = [point.per_second for point in points]
        if len(points) > 3 and max(speeds[-3:]) < 1.05 * max(speeds[:-3]):
            return points, "flat"
        size *= 2
    return points, "largest" if size > largest else "memory"


def available_memory() -> float:
    """Bytes that the CPU's programs may still take, or a container's limit if that is less; infinite where unknown."""
    found = [measure.machine().memory or float("inf")]
    with contextlib.suppress(OSError, AttributeError):
        found.append(1024 * int(re.search(r"MemAvailable: *(\d+)", Path("/proc/meminfo").read_text())[1]))
    with contextlib.suppress(OSError, ValueError):  # "max" is no number
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(found)


def _measured(step: Callable, example: Tensor, size: int, seconds: float) -> SweepPoint:
    batch = example.repeat(-(-size // len(example)), *[1] * (example.dim() - 1))[:size]
    needed = measure.peak_memory(step, batch) + batch.nbytes
    timer = Timer("step(batch)", globals={"step": step, "batch": batch}, num_threads=torch.get_num_threads())
    return SweepPoint(size, size / timer.blocked_autorange(min_run_time=seconds).median, needed)
