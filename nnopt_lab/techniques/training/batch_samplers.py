"""Batch samplers with varying batch sizes: from epoch to epoch, or at random within an epoch."""

from collections.abc import Callable, Iterator

import torch
from torch.utils.data import Sampler


class EpochBatches(Sampler[list[int]]):
    """Batches with a size per epoch: growing, or chosen by a measurement.

    Each iteration is the next epoch, with the positions 0 … count − 1 in a new order, each once; its last batch may be
    smaller. Use it as `batch_sampler` of any DataLoader, with any number of workers, or as `batches` of `training.fit`.
    `len` is the number of batches of the current epoch or, once its last batch is taken (workers run ahead), of the
    next.

    Smith et al. 2018, "Don't Decay the Learning Rate, Increase the Batch Size", https://arxiv.org/abs/1711.00489

    Args:
        count: samples per epoch, at least 1.
        size: a function epoch (0, 1, …) → batch size, rounded and clipped to `low` … `high`. Called once per epoch,
            when it begins or `len` first needs it.
        low, high: 1 ≤ low ≤ high; default of `high` is `count`.
        seed: determines all orders.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, count: int, size: Callable[[int], float], low: int = 1, high: int | None = None, seed: int = 0):
        high = count if high is None else high
        if count < 1 or not 1 <= low <= high:
            raise ValueError(f"count={count}, low={low}, high={high} must be count ≥ 1 and 1 ≤ low ≤ high.")
        self.count, self.size, self.low, self.high, self.seed = count, size, low, high, seed
        self.chosen: list[int] = []  # the size of each epoch so far
        self._begun = self._told = 0  # epochs begun so far; the epoch that `len` refers to

    def sizes(self, epoch: int) -> list[int]:
        """Sizes of an epoch's batches, in order."""
        while len(self.chosen) <= epoch:
            self.chosen.append(round(min(max(self.size(len(self.chosen)), self.low), self.high)))
        whole, rest = divmod(self.count, self.chosen[epoch])
        return [self.chosen[epoch]] * whole + [rest] * (rest > 0)

    def __len__(self) -> int:
        return len(self.sizes(self._told))

    def __iter__(self) -> Iterator[list[int]]:
        epoch = self._told = self._begun  # runs at the first batch: a loader with workers discards an unused iterator
        self._begun += 1
        order = torch.randperm(self.count, generator=self._generator(epoch, 0))
        yield from (batch.tolist() for batch in order.split(self.sizes(epoch)))
        self._told = max(self._told, epoch + 1)

    def _generator(self, epoch: int, stream: int) -> torch.Generator:
        return torch.Generator().manual_seed((2 * (self.seed * 2**20 + epoch) + stream) % 2**63)


class RandomBatchSizes(EpochBatches):
    """Batches of random sizes, low ≤ size ≤ high, including the last one; otherwise like `EpochBatches`.

    Every epoch has the same number of batches, the nearest to count / mean size within the bounds, so that a schedule
    can be planned. Sizes are uniform, except for a few that make their sum equal `count`, and then shuffled.

    Raises:
        ValueError: an argument is out of its range, or `count` is not a sum of sizes within the bounds.
    """

    def __init__(self, count: int, low: int, high: int, seed: int = 0):
        super().__init__(count, lambda epoch: high, low, high, seed)
        fewest, most = -(-count // high), count // low
        if fewest > most:
            raise ValueError(f"count={count} cannot be cut into batches of low={low} to high={high}: widen the bounds.")
        self.batches = min(max(round(2 * count / (low + high)), fewest), most)

    def sizes(self, epoch: int) -> list[int]:
        """Sizes of an epoch's batches, in order."""
        generator, left, sizes = self._generator(epoch, 1), self.count, []
        for after in reversed(range(self.batches)):  # the rest must fit in the batches after this one
            least, most = max(self.low, left - after * self.high), min(self.high, left - after * self.low)
            sizes.append(int(torch.randint(least, most + 1, (), generator=generator)))
            left -= sizes[-1]
        return [sizes[place] for place in torch.randperm(self.batches, generator=generator)]
