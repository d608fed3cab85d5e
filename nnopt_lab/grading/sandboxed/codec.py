"""Serialise values without pickle: a tree of plain values, and raw tensor buffers with dtype and shape.

Judge and worker both use this module, so it imports nothing of the package. Bytes from a worker are untrusted: `unpack`
accepts exactly what `pack` can produce and raises a ValueError for anything else.
"""

import json
import math
import struct
from dataclasses import dataclass

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

MAX_LEAVES = 20_000
MAX_DEPTH = 12
MAX_DIMENSIONS = 8
MAX_TEXT = 20_000
MAX_DIGITS = 400
MAX_ALL_TEXT = 100_000  # characters of all texts of a reply
MAX_TREE = 2 << 20  # bytes of a reply without its tensors, and of their names and shapes
_DTYPES = {
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.uint16, torch.uint32, torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64),
}


_DAMAGED = (
    *(struct.error, RecursionError, TypeError, KeyError, IndexError, SafetensorError, MemoryError),
    *(OverflowError, RuntimeError),  # from torch, for impossible shapes
)


@dataclass(frozen=True)
class Foreign:
    """Replaces a value of a type that is not allowed; `kind` names it."""

    kind: str


def pack(header: dict, value) -> bytes:
    """Serialise a JSON header and a value: tensors, numbers, booleans, texts, None, lists and tuples of them.

    Values of other types become `Foreign` with the name of the type.
    """
    tensors: dict[str, Tensor] = {}
    tree = json.dumps([header, _tree(value, tensors, 0)]).encode()
    return struct.pack(">I", len(tree)) + tree + (save(tensors) if tensors else b"")


def unpack(data: bytes, trusted: bool = False) -> tuple[dict, object]:
    """Deserialise the header and the value.

    Args:
        data: the bytes.
        trusted: whether they come from the judge, whose jobs contain a learner's cells and may be longer.

    Raises:
        ValueError: the bytes are not from `pack`, or contain more, deeper or longer values than allowed.
    """
    try:
        (length,) = struct.unpack_from(">I", data)
        if not trusted and max(length, _length_of_names(data[4 + length :])) > MAX_TREE:
            raise ValueError("too many values, or texts that are too long.")
        header, tree = json.loads(data[4 : 4 + length], parse_int=_whole)
        tensors = load(data[4 + length :]) if len(data) > 4 + length else {}
        if not isinstance(header, dict):
            raise ValueError("the header is not an object.")
        left = _Left(tensors)
        if not trusted:
            left.take_header(header, 0)
        value = left.value(tree, 0)
        if tensors:
            raise ValueError("tensors without a value.")
        return header, value
    except _DAMAGED as error:
        raise ValueError(f"the bytes are not a packed value ({type(error).__name__}).") from error


def _length_of_names(data: bytes) -> int:
    """The length of safetensors' header, which describes the tensors."""
    return struct.unpack_from("<Q", data)[0] if data else 0


def _tree(value, tensors: dict[str, Tensor], depth: int) -> list:
    try:
        return _known_tree(value, tensors, depth)
    except BaseException:  # an object whose methods raise, a tensor of a finished transform, a huge view
        return ["?", "a tensor that can't be read" if issubclass(type(value), Tensor) else "an object"]


def _known_tree(value, tensors: dict[str, Tensor], depth: int) -> list:
    kind = type(value)
    if kind in (list, tuple) and depth < MAX_DEPTH:
        return ["l" if kind is list else "t", [_tree(v, tensors, depth + 1) for v in value]]
    if issubclass(kind, np.generic) or (kind is np.ndarray and value.ndim == 0):
        value = value.item()
        kind = type(value)
    if kind in (bool, type(None)) or (kind is str and len(value) <= MAX_TEXT):
        return ["v", value]
    if kind is int and abs(value) < 10**MAX_DIGITS:
        return ["v", value]
    if kind is float:
        return ["v", value] if math.isfinite(value) else ["f", repr(value)]
    if kind in (Tensor, torch.nn.Parameter) and not (special := _special(value)):
        name = str(len(tensors))
        tensors[name] = value.detach().resolve_conj().resolve_neg().cpu().clone(memory_format=torch.contiguous_format)
        return ["x", name]
    return ["?", f"a {special} tensor" if kind in (Tensor, torch.nn.Parameter) else _article(kind.__name__)]


# The worker can't import the similar function of `course.differences`; this one also refuses dtypes it can't store.
def _special(tensor: Tensor) -> str:
    if tensor.is_meta or tensor.is_quantized or tensor.is_nested:
        return "meta" if tensor.is_meta else "quantized" if tensor.is_quantized else "nested"
    if tensor.layout != torch.strided:
        return "sparse"
    if tensor.ndim > MAX_DIMENSIONS:
        return "high-dimensional"
    if tensor.dtype not in _DTYPES:
        return str(tensor.dtype).removeprefix("torch.")
    return "" if _is_stored(tensor) else "freed"


def _is_stored(tensor: Tensor) -> bool:
    """Whether all numbers of a tensor are in memory; reading a missing one would end the process."""
    if not tensor.numel():
        return True
    last = tensor.storage_offset() + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    return (last + 1) * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name[:60]}"


@dataclass
class _Left:
    """The rest of a reply's limits while its values are read: tensors, each for one value, values, and text."""

    tensors: dict[str, Tensor]
    values: int = MAX_LEAVES
    text: int = MAX_ALL_TEXT

    def value(self, tree, depth: int):
        """Read the value of a tree."""
        self._take(depth)
        tag, content = tree
        if tag in ("l", "t") and type(content) is list:
            values = [self.value(v, depth + 1) for v in content]
            return values if tag == "l" else tuple(values)
        if tag == "v" and (content is None or type(content) in (bool, int, float)):
            return content
        if tag == "v" and type(content) is str:
            return self._take_text(content)
        if tag == "f" and content in ("inf", "-inf", "nan"):
            return float(content)
        if tag == "x" and type(content) is str:
            return _usable(self.tensors.pop(content))
        if tag == "?" and type(content) is str:
            return Foreign(content[:80])
        raise ValueError("an unknown kind of value.")

    def take_header(self, part, depth: int) -> None:
        """Count the contents of a JSON header."""
        self._take(depth)
        if isinstance(part, str):
            self._take_text(part)
        if isinstance(part, dict):
            self.take_header([*part.keys(), *part.values()], depth + 1)
        if isinstance(part, list):
            for inner in part:
                self.take_header(inner, depth + 1)

    def _take(self, depth: int) -> None:
        self.values -= 1
        if self.values < 0 or depth > MAX_DEPTH:
            raise ValueError("too many or too deeply nested values.")

    def _take_text(self, text: str) -> str:
        self.text -= len(text)
        if self.text < 0 or len(text) > MAX_TEXT:
            raise ValueError("texts that are too long.")
        return text


def _usable(tensor: Tensor) -> Tensor:
    if tensor.ndim > MAX_DIMENSIONS or tensor.dtype not in _DTYPES:
        raise ValueError("a tensor with too many dimensions or an unknown dtype.")
    # A boolean's byte may be forged, and torch's functions disagree on the meaning of 2.
    return tensor.view(torch.uint8) != 0 if tensor.dtype == torch.bool else tensor


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS + 1:
        raise ValueError("an integer with too many digits.")
    return int(digits)
