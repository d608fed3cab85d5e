"""Read and change the numbers in results, whatever their structure."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from nnopt_lab.course.differences import agree, count_values, size
from nnopt_lab.course.display import ignoring_faults


def as_list(value) -> list:
    """The values of a list or tuple.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, (list, tuple)):  # an iterator, for example, may be endless
        raise ValueError("no list")
    return list(value)


def is_number(value) -> bool:
    """Whether a value has no parts."""
    return not is_sequence(value)


def is_whole(value) -> bool:
    """Whether all numbers are integers."""
    if isinstance(value, (list, tuple)):
        return all(map(is_whole, value))
    return not value.is_floating_point() if isinstance(value, Tensor) else isinstance(value, int)


def is_sequence(value) -> bool:
    """Whether a value has parts."""
    return isinstance(value, (list, tuple)) or (isinstance(value, Tensor) and value.ndim > 0)


def first_pair(got, wanted, useful: Callable) -> tuple[float, float]:
    """The first useful pair of corresponding numbers, or (0, 0)."""
    with ignoring_faults():  # results of another structure have no pairs
        return next((pair for pair in _pairs(got, wanted) if useful(*pair)), (0.0, 0.0))
    return 0.0, 0.0


def _pairs(got, wanted) -> Iterator[tuple[float, float]]:
    """Yield the corresponding numbers of two values."""
    if isinstance(wanted, (list, tuple)):
        for g, w in zip(got, wanted, strict=True):
            yield from _pairs(g, w)
    elif isinstance(wanted, Tensor):
        if not wanted.is_complex() and got.shape == wanted.shape:
            yield from zip(got.double().flatten().tolist(), wanted.double().flatten().tolist(), strict=True)
    elif not isinstance(wanted, (bool, str)):
        yield float(got), float(wanted)


def each(change: Callable, value, masks: bool = False):
    """Change each number in a value, or with `masks` each boolean tensor; integers must stay integers."""
    if isinstance(value, (list, tuple)):
        return type(value)(each(change, v, masks) for v in value)
    if isinstance(value, Tensor):
        if (str(value.dtype) == "torch.bool") is not masks:
            return value
        return change(value) if masks else _whole(change(value.double()), not value.is_floating_point()).to(value.dtype)
    if masks or isinstance(value, (bool, str)) or value is None:
        return value
    changed = _whole(change(float(value)), isinstance(value, int))
    return int(changed) if isinstance(value, int) else changed


def _whole(value, must_be: bool):
    if not must_be:
        return value
    nearest = value.round() if isinstance(value, Tensor) else round(value)
    if not agree(value, nearest * 1.0, 1e-6):
        raise ValueError("no whole number")
    return nearest


def flat(value, wanted) -> tuple[Tensor, Tensor]:
    """The numbers of two values of one structure, as float64 tensors of one axis.

    Raises:
        Exception: they have different structures, or other values than numbers.
    """
    if count_values(value, size(wanted) + 1) != count_values(wanted, size(wanted) + 1):  # a view may claim any shape
        raise ValueError("other numbers")
    if isinstance(wanted, Tensor):
        if value.shape != wanted.shape or wanted.is_complex() or wanted.dtype == torch.bool:
            raise ValueError("other numbers")
        return value.detach().double().flatten(), wanted.detach().double().flatten()
    many = isinstance(wanted, (list, tuple))
    if many and len(as_list(value)) != len(wanted):
        raise ValueError("other numbers")
    # float() refuses a range, whose numbers torch would all write down.
    numbers = ([float(one) for one in (as_list(v) if many else [v])] for v in (value, wanted))
    got, its = (torch.tensor(each, dtype=torch.double) for each in numbers)
    return got, its
