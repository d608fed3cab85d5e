"""Values that a learner's function returns: whether they can be read, their kinds, and conversions."""

import contextlib
import itertools

import numpy as np
import torch
from torch import Tensor

from nnopt_lab.course.differences.exact import wrong_integers
from nnopt_lab.course.display import is_stored
from nnopt_lab.workbench.language import Message


def comparable(got, wanted) -> bool:
    """Whether `got` has the type, shape and dtype family of `wanted`, so that their numbers can be compared."""
    if isinstance(wanted, (tuple, list)):
        return isinstance(got, (tuple, list))
    if not isinstance(wanted, Tensor):
        return type(got) is type(wanted)
    return (
        isinstance(got, Tensor)
        and not special_kind(got)
        and got.shape == wanted.shape
        and family(got) == family(wanted)
    )


def as_wanted(got, wanted):
    """Convert `got` to the types of `wanted` if it is the same kind of value, so that code for these types can use it.

    A float64 tensor becomes float32, a NumPy number or a tensor of one element a plain number, 2.0 an integer, and so
    on. A value of another kind, or one that can't be converted without a change, is returned unchanged.
    """
    if isinstance(wanted, (tuple, list)):
        if not isinstance(got, (tuple, list)):
            return got
        # Surplus values stay, and the comparison will report missing ones.
        fitting = [as_wanted(g, w) for g, w in zip(got, wanted, strict=False)]
        return type(wanted)([*fitting, *got[len(fitting) :]])
    if isinstance(wanted, Tensor):
        return _as_tensor(got, wanted)
    got = unwrapped(got)
    if isinstance(got, bool) or type(wanted) not in (int, float) or not isinstance(got, (int, float)):
        return got
    with contextlib.suppress(OverflowError, ValueError):  # an integer beyond every float; the integer of an infinity
        return type(wanted)(got) if type(wanted)(got) == got else got
    return got


def _as_tensor(got, wanted: Tensor):
    if not isinstance(got, Tensor) or special_kind(got) or family(got) != family(wanted):
        return got
    own = got.detach().as_subclass(Tensor).cpu()
    converted = own.to(wanted.dtype)
    exact = family(wanted) == "int"  # an integer too large for the wanted dtype would change
    return got if exact and wrong_integers(own, converted, 0.0).any() else converted


def unwrapped(value):
    """Convert a tensor or numpy array of one element to a Python number; return anything else unchanged."""
    single = isinstance(value, Tensor) and not special_kind(value) and value.numel() == 1
    if single or (isinstance(value, np.generic | np.ndarray) and value.ndim == 0):
        return value.item()
    for own in (int, float):
        if isinstance(value, own) and type(value) not in (own, bool):
            return own.__add__(value, own(0))  # a subclass's own methods may do anything
    return value


def is_plain(value) -> bool:
    """Whether the numbers of all tensors in a value can be read."""
    if isinstance(value, (tuple, list)):
        return all(is_plain(v) for v in value)
    return not isinstance(value, Tensor) or not special_kind(value)


def count_values(value, most: int) -> int:
    """Count the values in a result, stopping above `most`, because a view may claim any shape.

    Raises:
        ValueError: a tensor in it can't be read.
    """
    count, waiting = 0, [value]
    while waiting and count <= most:
        one = waiting.pop()
        count += one.numel() if isinstance(one, Tensor) else 1
        if isinstance(one, (list, tuple)):
            waiting += list(itertools.islice(one, most))
        elif not is_plain(one):
            raise ValueError("The value contains a tensor that can't be read.")
    return count


def size(value) -> int:
    """The number of values in a value, in all its parts."""
    if isinstance(value, (list, tuple)):
        return sum(map(size, value))
    return value.numel() if isinstance(value, Tensor) else 1


def special_kind(tensor: Tensor) -> str:
    """The kind of a tensor whose numbers can't be read one by one, or ""."""
    if tensor.is_meta:
        return Message("a meta one")
    if tensor.is_quantized or tensor.is_nested:
        return Message("a quantized one") if tensor.is_quantized else Message("a nested one")
    if tensor.layout != torch.strided:
        return Message("an MKL-DNN one") if tensor.is_mkldnn else Message("a sparse one")
    return "" if is_stored(tensor) else Message("a freed one")


def family(tensor: Tensor) -> str:
    """The family of a tensor's dtype: "float", "int", "complex" or "bool"."""
    if tensor.dtype == torch.bool or tensor.dtype.is_complex:
        return "bool" if tensor.dtype == torch.bool else "complex"
    return "float" if tensor.dtype.is_floating_point else "int"


def has_parts(values) -> bool:
    """Whether a function's result is several results, which get names: "result 1", "result 2"."""
    return isinstance(values, tuple) and any(isinstance(value, Tensor) for value in values)
