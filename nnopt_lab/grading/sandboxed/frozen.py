"""Write-protected inputs: the processor itself reports a write to them.

A comparison of inputs before and after a call would run in a process that the answer controls. Write protection needs
no comparison: a write ends the process, and the judge sees that from outside.
"""

import ctypes
import mmap
import sys
from functools import wraps

import torch
from torch import Tensor

_READ = 1  # PROT_READ
_ALIGNMENT = 64


class ChangedInPlace(Exception):
    """An answer changed an input list."""


class FrozenList(list):
    """A list that raises `ChangedInPlace` on any change; copies and slices of it are ordinary lists."""

    locked = False

    def __reduce_ex__(self, protocol):
        return list, (list(self),)


def _guarded(name: str):
    method = getattr(list, name)

    @wraps(method)
    def guarded(self, *arguments, **options):
        if self.locked:
            raise ChangedInPlace("your function changed an input list in place")
        return method(self, *arguments, **options)

    return guarded


for _name in (
    *("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse"),
    *("__init__", "__setitem__", "__delitem__", "__iadd__", "__imul__"),
):
    setattr(FrozenList, _name, _guarded(_name))


def frozen(value):
    """Copy a value of tensors, lists, tuples and plain values, with write-protected tensors and locked lists.

    On systems without write protection (Windows), the tensors are unchanged.
    """
    tensors: list[Tensor] = []
    _collect(value, tensors)
    copies = iter(_protected(tensors))
    return _rebuilt(value, copies)


def thawed(value):
    """Copy the value with ordinary lists, down to the depth allowed in a reply."""
    return _thawed(value, 0)


def _thawed(value, depth: int):
    if type(value) not in (list, tuple, FrozenList) or depth > 20:
        return value
    return (tuple if type(value) is tuple else list)(_thawed(part, depth + 1) for part in value)


def _collect(value, tensors: list[Tensor]) -> None:
    if isinstance(value, Tensor):
        tensors.append(value)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _collect(part, tensors)


def _rebuilt(value, copies):
    if isinstance(value, Tensor):
        return next(copies)
    if isinstance(value, tuple):
        return tuple(_rebuilt(part, copies) for part in value)
    if isinstance(value, list):
        made = FrozenList(_rebuilt(part, copies) for part in value)
        made.locked = True
        return made
    return value


def _protected(tensors: list[Tensor]) -> list[Tensor]:
    """Copies of contiguous tensors, in one block of read-only memory."""
    sizes = [-(-tensor.nbytes // _ALIGNMENT) * _ALIGNMENT for tensor in tensors]
    if not sum(sizes) or sys.platform == "win32":
        return tensors
    memory = mmap.mmap(-1, sum(sizes))
    copies, start = [], 0
    for tensor, size in zip(tensors, sizes, strict=True):
        copies.append(_copy_to(memory, start, tensor) if size else tensor)
        start += size
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if ctypes.CDLL(None).mprotect(ctypes.c_void_p(address), ctypes.c_size_t(sum(sizes)), _READ):
        raise OSError("memory can't be protected.")
    return copies


def _copy_to(memory: mmap.mmap, start: int, tensor: Tensor) -> Tensor:
    copy = torch.frombuffer(memory, dtype=tensor.dtype, count=tensor.numel(), offset=start).view(tensor.shape)
    return copy.copy_(tensor)
