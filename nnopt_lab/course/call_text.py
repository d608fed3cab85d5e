"""Write a call as code that can be copied into a cell and run."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_NUMBERS = 32  # of a tensor, at most
_LONGEST = 700  # characters of a call
_WIDTH = 88  # characters of a line
_DEFAULTS = (torch.float32, torch.int64, torch.bool)  # dtypes that `torch.tensor` finds itself


def call_text(name: str, arguments: Sequence[str], inputs: Sequence) -> str:
    """The call of a function with named arguments, in several lines if it is long; "" if it is too long.

    Args:
        name: of the function.
        arguments: their names.
        inputs: their values: tensors, numbers, booleans, strings, None, and lists or tuples of them.
    """
    if any(_is_long(value) for value in inputs):
        return ""
    given = [f"{argument}={_code(value)}" for argument, value in zip(arguments, inputs, strict=True)]
    row = ", ".join(given)
    if len(row) > _LONGEST:
        return ""
    if len(f"{name}({row})") <= _WIDTH or len(given) == 1:
        return f"{name}({row})"
    return "\n".join([f"{name}(", *_filled(given), ")"])


def _filled(given: list[str]) -> list[str]:
    """Lines with as many arguments as fit."""
    lines = [f"    {given[0]},"]
    for one in given[1:]:
        if len(lines[-1]) + len(one) + 2 <= _WIDTH:
            lines[-1] += f" {one},"
        else:
            lines.append(f"    {one},")
    return lines


def _is_long(value) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_is_long, value))
    return isinstance(value, Tensor) and value.numel() > _NUMBERS


def _code(value) -> str:
    if isinstance(value, Tensor):
        dtype = "" if value.dtype in _DEFAULTS and value.numel() else f", dtype={value.dtype}"
        return f"torch.tensor({_code(_numbers(value))}{dtype})"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(map(_code, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    if isinstance(value, float) and not np.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def _numbers(tensor: Tensor):
    """A tensor's numbers in lists, each with no more digits than it takes to read it back."""
    if tensor.dtype in (torch.float32, torch.float16):
        return _shortest(tensor.numpy())
    return tensor.tolist()


def _shortest(array: np.ndarray):
    return float(str(array[()])) if array.ndim == 0 else [_shortest(part) for part in array]
