"""Show values as text, as a learner would print them, shortened."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType, NoneType

import numpy as np
import torch
from torch import Tensor

from nnopt_lab.course.tensor_text import ROWS, printed, tensor_text
from nnopt_lab.workbench.language import Message

_DEEPEST_LINES, _DEEPEST_BRACKETS = 4, 12
_NAMES = {
    NoneType: Message("nothing (None)"),
    int: Message("an integer"),
    float: Message("a number"),
    bool: Message("a bool"),
    str: Message("a string"),
    list: Message("a list"),
    tuple: Message("a tuple"),
    dict: Message("a dict"),
    set: Message("a set"),
    complex: Message("a complex number"),
    FunctionType: Message("a function"),
    np.ndarray: Message("a NumPy array"),
}


def let_interrupts_through(error: BaseException) -> None:
    """Raise Ctrl-C again; any other error of a learner's value, even SystemExit, is ignored."""
    if isinstance(error, KeyboardInterrupt):
        raise error


@contextmanager
def ignoring_faults() -> Iterator[None]:
    """Ignore all errors of code that uses a learner's value, except Ctrl-C."""
    try:
        yield
    except BaseException as error:
        let_interrupts_through(error)


def show(value, limit: int = 600) -> str:
    """Show a value as a learner would print it, cut to `limit` characters."""
    return _shown(value, limit, 0)


def _shown(value, limit: int, depth: int) -> str:
    try:
        text = _text(value, limit, depth)
    except BaseException as error:  # a learner's value may have a broken __repr__, or be an integer too long to print
        let_interrupts_through(error)
        text = Message("{kind} that cannot be shown", kind=kind(value))
    return text if len(text) <= limit else f"{text[:limit]} …"


def kind(value) -> str:
    """Name a value's type with its article: "a tensor of float32", "an integer"."""
    try:
        if isinstance(value, Tensor):
            return Message("a tensor of {dtype}", dtype=str(value.dtype).removeprefix("torch."))
        return _NAMES.get(type(value)) or Message("an object of type {type}", type=type(value).__name__)
    except BaseException as error:  # a class may have any name, or none
        let_interrupts_through(error)
        return Message("an object")


def is_stored(tensor: Tensor) -> bool:
    """Whether all numbers of a strided tensor are in memory; reading a missing one would end the process."""
    if tensor.is_meta or not tensor.numel():
        return True
    last = tensor.storage_offset() + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    return (last + 1) * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _text(value, limit: int, depth: int) -> str:
    if isinstance(value, Tensor):
        if value.layout == torch.strided and not value.is_nested and not is_stored(value):
            return Message("a tensor whose memory is freed   shape {shape}", shape=list(value.shape))
        if value.ndim == 0 or value.is_meta or value.layout != torch.strided or value.is_nested or value.is_quantized:
            return printed(value) if value.ndim == 0 else f"{printed(value)}   shape {list(value.shape)}"
        return tensor_text(value, limit)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (tuple, list)) and any(isinstance(v, Tensor) for v in value):
        return _lines(value, limit, depth + 1)
    if type(value) in (tuple, list):
        return _bracketed(value, limit, depth)
    return _few_lines(repr(value))


def _few_lines(text: str) -> str:
    """The first lines of what may have hundreds, such as a NumPy array of several axes."""
    lines = [line for line in text.splitlines() if line.strip()]
    return text if len(lines) <= ROWS else "\n".join([*lines[:ROWS], "…"])


def _bracketed(values, limit: int, depth: int) -> str:
    """A list or tuple as Python prints it, up to the limit."""
    if depth > _DEEPEST_BRACKETS:
        return "[…]"
    opening, closing = "[]" if type(values) is list else "()"
    inner, length = [], 0
    for value in values:
        inner.append(_in_list(value) if type(value) in (float, str) else _shown(value, limit, depth + 1))
        length += len(inner[-1]) + 2
        if length > limit:
            break
    comma = "," if type(values) is tuple and len(values) == 1 else ""
    return f"{opening}{', '.join(inner)}{comma}{closing}"


def _in_list(value: float | str) -> str:
    """A string or number in a list: twice the digits of a single number, but none that only rounding made.

    So 7.137 is shown where Python would print 7.137000000000001.
    """
    return repr(float(f"{value:.12g}")) if type(value) is float else repr(value)


def _lines(values, limit: int, depth: int) -> str:
    """One value per line, up to the limit, because a list may be long or contain itself."""
    if depth > _DEEPEST_LINES:
        return "[…]"
    lines, length = [], 0
    for value in values:
        lines.append(_shown(value, limit, depth))
        length += len(lines[-1]) + 1
        if length > limit:
            break
    return "\n".join(lines)
