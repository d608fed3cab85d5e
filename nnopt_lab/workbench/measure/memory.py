"""Measure the peak memory of a computation."""

import weakref
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nnopt_lab.workbench import device


def peak_memory(fn: Callable, *args) -> int:
    """The most bytes of tensors that were alive at one time during `fn(*args)`, beyond those alive before it.

    What `fn` returns counts. On the CPU every storage that a torch operation makes is followed until it is freed: this
    is exact and the same in every run, but scratch memory inside an operation (an unfolded picture in a convolution,
    say) is not seen. Where `fn` is a network on an accelerator, or a tensor among `args` is there, the accelerator's
    allocator tells, and sees that too.

    Raises:
        ValueError: the accelerator's allocator does not keep the peak.
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
