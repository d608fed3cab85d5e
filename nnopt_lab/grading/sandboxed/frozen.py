"""Inputs that can't be changed in place: the processor itself reports a write to them.

Comparing an input before and after a call happens in a process that the answer controls. Write protection needs no
comparison there: a write ends the process, and the judge sees that from outside.
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
    """An answer changed a list that it was given."""


class FrozenList(list):
    """A list that raises `ChangedInPlace` when it is changed; what is made from it are ordinary lists."""

    locked = False

    def __reduce_ex__(self, protocol):
        return list, (list(self),)


def _guarded(name: str):
    method = getattr(list, name)

    @wraps(method)
    def guarded(self, *arguments, **options):
        if self.locked:
            raise ChangedInPlace("your function changed a list that it was given")
        return method(self, *arguments, **options)

    return guarded


for _name in (
    *("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse"),
    *("__init__", "__setitem__", "__delitem__", "__iadd__", "__imul__"),
):
    setattr(FrozenList, _name, _guarded(_name))


def frozen(value):
    """A value of tensors, lists, tuples and plain values, the tensors in write-protected memory and the lists locked.

    Where the system has no such memory (Windows), the tensors stay as they are.
    """
    tensors: list[Tensor] = []
    _collect(value, tensors)
    copies = iter(_protected(tensors))
    return _rebuilt(value, copies)


def thawed(value):
    """The value with ordinary lists, to the depth that a reply may have."""
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
    """Copies of contiguous tensors, in one piece of memory that can only be read."""
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
