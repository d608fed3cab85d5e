"""Values as text: as a learner would print them, cut short."""

import threading

import torch
from torch import Tensor

_printing = threading.Lock()  # torch's print options belong to the whole process, and a grader has several threads
_DEEPEST = 4
_NAMES = {"NoneType": "nothing (None)", "int": "an integer", "float": "a number", "str": "a string"}


def show(value, limit: int = 600) -> str:
    """A value as a learner would print it, cut to `limit` characters."""
    return _shown(value, limit, 0)


def _shown(value, limit: int, depth: int) -> str:
    try:
        text = _text(value, limit, depth)
    except Exception:  # a learner's value may have a broken __repr__, or be an integer too long to print
        text = f"{kind(value)} that cannot be shown"
    return text if len(text) <= limit else f"{text[:limit]} …"


def kind(value) -> str:
    """The kind of a value with its article: "a tensor of float32", "an integer"."""
    try:
        if isinstance(value, Tensor):
            return f"a tensor of {str(value.dtype).removeprefix('torch.')}"
        name = type(value).__name__
        return _NAMES.get(name, f"{'an' if name[0] in 'aeiou' else 'a'} {name}")
    except Exception:  # a class may have any name, or none
        return "an object"


def is_stored(tensor: Tensor) -> bool:
    """Whether all numbers of a strided tensor are in memory; reading one that is not ends the process."""
    if tensor.is_meta or not tensor.numel():
        return True
    last = tensor.storage_offset() + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    return (last + 1) * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _text(value, limit: int, depth: int) -> str:
    if isinstance(value, Tensor):
        if value.layout == torch.strided and not value.is_nested and not is_stored(value):
            return f"a tensor whose memory is freed   shape {list(value.shape)}"
        with _printing, torch._tensor_str.printoptions(precision=4, linewidth=88, threshold=200):
            text = f"{value.detach()!r}"
        return text if value.ndim == 0 else f"{text}   shape {list(value.shape)}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (tuple, list)) and any(isinstance(v, Tensor) for v in value):
        return _lines(value, limit, depth + 1)
    return repr(value)


def _lines(values, limit: int, depth: int) -> str:
    """A value per line, no more of them than are shown: a list may be long, or hold itself."""
    if depth > _DEEPEST:
        return "[…]"
    lines, length = [], 0
    for value in values:
        lines.append(_shown(value, limit, depth))
        length += len(lines[-1]) + 1
        if length > limit:
            break
    return "\n".join(lines)
