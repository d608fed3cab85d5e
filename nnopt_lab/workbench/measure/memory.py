"""Measure the peak memory of a computation."""

import weakref
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nnopt_lab.workbench import device


def peak_memory(fn: Callable, *args) -> int:
    """Measure the peak of tensor memory during `fn(*args)`, in bytes beyond the tensors that existed before.

    The return value of `fn` counts. On the CPU, every storage that a torch operation creates is tracked until it is
    freed. This is exact and the same in every run, but misses scratch memory inside an operation, such as the unfolded
    picture in a convolution. If `fn` is a network on an accelerator, or a tensor among `args` is there, the number
    comes from the accelerator's allocator, which includes scratch memory.

    Raises:
        ValueError: the accelerator's allocator does not record its peak.
    """
    here = device.of(fn, args)
    if here.type == "cpu":
        with _StorageTracker() as tracker:
            fn(*args)
        return tracker.peak
    device.synchronize(here)
    try:
        torch.accelerator.reset_peak_memory_stats(here)
        before = torch.accelerator.memory_allocated(here)
    except (RuntimeError, NotImplementedError) as error:
        raise ValueError(f"torch does not keep the peak memory of {device.describe(here)} ({here.type}).") from error
    fn(*args)
    device.synchronize(here)
    return torch.accelerator.max_memory_allocated(here) - before


class _StorageTracker(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.alive: dict[int, int] = {}  # address of a storage → its bytes
        self.now = self.peak = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        given = {storage._cdata for storage in _storages((args, kwargs))}
        for storage in _storages(result):
            key = storage._cdata
            if key not in given and key not in self.alive:  # else it is a view, or was written in place
                self.alive[key] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self._freed, key)
        self.peak = max(self.peak, self.now)
        return result

    def _freed(self, key: int) -> None:
        self.now -= self.alive.pop(key)


def _storages(tree) -> list:
    return [t.untyped_storage() for t in tree_leaves(tree) if isinstance(t, Tensor) and t.layout == torch.strided]
