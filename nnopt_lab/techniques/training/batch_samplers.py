"""Batch samplers whose batch sizes change: from epoch to epoch, or at random within one."""

from collections.abc import Callable, Iterator

import torch
from torch.utils.data import Sampler


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
