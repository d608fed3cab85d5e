"""Values as text: as a learner would print them, cut short."""

import threading

import torch
from torch import Tensor

_printing = threading.Lock()  # torch's print options belong to the whole process, and a grader has several threads
_NAMES = {"NoneType": "nothing (None)", "int": "an integer", "float": "a number", "str": "a string"}


def show(value, limit: int = 600) -> str:
    """A value as a learner would print it, cut to `limit` characters."""
    try:
        text = _text(value, limit)
    except Exception:  # a learner's value may have a broken __repr__, or be an integer too long to print
        text = f"{kind(value)} that cannot be shown"
    return text if len(text) <= limit else f"{text[:limit]} …"


def kind(value) -> str:
    """The kind of a value with its article: "a tensor of float32", "an integer"."""
    if isinstance(value, Tensor):
        return f"a tensor of {str(value.dtype).removeprefix('torch.')}"
    name = type(value).__name__
    return _NAMES.get(name, f"{'an' if name[0] in 'aeiou' else 'a'} {name}")


def _text(value, limit: int) -> str:
    if isinstance(value, Tensor):
        with _printing, torch._tensor_str.printoptions(precision=4, linewidth=88, threshold=200):
            text = f"{value.detach()!r}"
        return text if value.ndim == 0 else f"{text}   shape {list(value.shape)}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (tuple, list)) and any(isinstance(v, Tensor) for v in value):
        return "\n".join(show(v, limit) for v in value)
    return repr(value)
