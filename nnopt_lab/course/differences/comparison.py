"""Describe how a result differs from the expected one, and which common mistake that looks like."""

import contextlib
import itertools
import math
import re
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from nnopt_lab.course.display import is_stored, kind, let_interrupts_through, show
from nnopt_lab.workbench.language import Message

FACTORS = (2, 3, 4, 8, 10, 100, 1000)  # for single numbers, which any factor would fit
LONGEST = 32  # most values of a sequence that are compared pairwise
INVERTED = Message("The mask is inverted: True must mark what to keep, but yours marks what to remove.")
EXACT = 2**53  # up to here, a double represents every integer


def difference(got, wanted, tolerance: float, *, named: bool = True) -> Message | None:
    """Describe how `got` differs from `wanted` in a sentence; None if they agree. Never raises an error.

    Args:
        got: any object.
        wanted: a tensor, number, boolean, string or None, or a list or tuple of these.
        tolerance: largest allowed |difference|; for floats, relative to the expected value if that is above 1.
            Integers of any size are compared exactly.
        named: whether to name a common mistake that the difference looks like; a single pair may do so by chance.
    """
    try:
        return _difference(got, wanted, tolerance, named)
    except BaseException as error:  # a dtype without arithmetic, for example, or an object whose methods raise
        let_interrupts_through(error)
        return Message(
            "Expected {wanted}, but got {got}, which can't be compared ({error}).",
            wanted=kind(wanted),
            got=kind(got),
            error=type(error).__name__,
        )


def clue(sentence: str) -> str:
    """The part of a `difference` that names a mistake, without the values."""
    if sentence.startswith("Expected shape"):
        return sentence.partition("]: ")[2]
    return re.split("; the first at|; value [0-9]|: expected", sentence)[0]


def _difference(got, wanted, tolerance: float, named: bool) -> str | None:
    if isinstance(wanted, Tensor):
        return _tensor_difference(got, wanted, tolerance, named)
    if isinstance(wanted, (tuple, list)):
        return _sequence_difference(got, wanted, tolerance, named)
    if isinstance(wanted, (str, bool)) or wanted is None:
        got = _plain(got)
        return None if type(got) is type(wanted) and got == wanted else _kind_difference(got, wanted)
    return _number_difference(got, wanted, tolerance, named)


def agree(got, wanted, tolerance: float) -> bool:
    """Whether two values agree: `difference` without the sentence."""
    try:
        return _agree(got, wanted, tolerance)
    except BaseException as error:  # a list whose own methods raise
        let_interrupts_through(error)
        return False


def _agree(got, wanted, tolerance: float) -> bool:
    if type(got) is type(wanted) and type(got) in (int, float, bool, str) and got == wanted:
        return True  # most calls compare a number with its own copy, and the other checks take twenty times as long
    if isinstance(wanted, (tuple, list)):
        return (
            isinstance(got, (tuple, list))
            and len(got) == len(wanted)
            and all(agree(g, w, tolerance) for g, w in zip(got, wanted, strict=True))
        )
    return difference(got, wanted, tolerance) is None


def comparable(got, wanted) -> bool:
    """Whether `got` has the type, shape and dtype family of `wanted`, so that their numbers can be compared."""
    if isinstance(wanted, (tuple, list)):
        return isinstance(got, (tuple, list))
    if not isinstance(wanted, Tensor):
        return type(got) is type(wanted)
    return (
        isinstance(got, Tensor) and not _special(got) and got.shape == wanted.shape and _family(got) == _family(wanted)
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
    got = _plain(got)
    if isinstance(got, bool) or type(wanted) not in (int, float) or not isinstance(got, (int, float)):
        return got
    with contextlib.suppress(OverflowError, ValueError):  # an integer beyond every float; the integer of an infinity
        return type(wanted)(got) if type(wanted)(got) == got else got
    return got


def _as_tensor(got, wanted: Tensor):
    if not isinstance(got, Tensor) or _special(got) or _family(got) != _family(wanted):
        return got
    own = got.detach().as_subclass(Tensor).cpu()
    plain = own.to(wanted.dtype)
    exact = _family(wanted) == "int"  # an integer too large for the wanted dtype would change
    return got if exact and _wrong_integers(own, plain, 0.0).any() else plain


def _pair(got, wanted) -> str:
    return Message("Expected {wanted}, got {got}.", wanted=show(wanted), got=show(got))


def _kind_difference(got, wanted) -> str:
    if got is None:
        return Message("Your function returned nothing: is the `return` missing?")
    if type(got) is type(wanted):
        return _pair(got, wanted)
    return _kinds(got, wanted)


def _kinds(got, wanted) -> Message:
    return Message("Expected {wanted}, but got {got}.", wanted=kind(wanted), got=kind(got))


# Numbers


def _number_difference(got, wanted, tolerance: float, named: bool) -> str | None:
    got = _plain(got)
    if isinstance(got, bool) or not isinstance(got, (int, float)):
        return _kind_difference(got, wanted)
    if got != got and wanted == wanted:
        return Message("The result is NaN, such as from 0/0, ∞ − ∞, or the logarithm or root of a negative number.")
    with contextlib.suppress(OverflowError):  # an integer beyond every float
        return None if _close(got, wanted, tolerance) else _number_sentence(got, wanted, named)
    return _pair(got, wanted)


def _close(got: float, wanted: float, tolerance: float) -> bool:
    if got == wanted or (got != got and wanted != wanted):
        return True
    # A count is either right or wrong, so for integers the tolerance does not grow with their size.
    size = 1.0 if isinstance(wanted, int) else max(1.0, abs(wanted))
    return math.isfinite(wanted) and gap(got, wanted) <= tolerance * size


def gap(a: float, b: float) -> float:
    """|a − b|; if one of the two is an integer, without the rounding of a conversion to float."""
    if isinstance(a, int) != isinstance(b, int) and math.isfinite(a) and math.isfinite(b):
        return abs(Fraction(a) - Fraction(b))
    return abs(a - b)


def _plain(value):
    """Convert a tensor or numpy array of one element to a Python number; return anything else unchanged."""
    single = isinstance(value, Tensor) and not _special(value) and value.numel() == 1
    if single or (isinstance(value, np.generic | np.ndarray) and value.ndim == 0):
        return value.item()
    for own in (int, float):
        if isinstance(value, own) and type(value) not in (own, bool):
            return own.__add__(value, own(0))  # a subclass's own methods may do anything
    return value


def _number_sentence(got: float, wanted: float, named: bool) -> str:
    pattern = _number_pattern(got, wanted) if named else None
    if pattern is None:
        return _pair(got, wanted)
    return Message("{pattern}: expected {wanted}, got {got}.", pattern=pattern, wanted=show(wanted), got=show(got))


def _number_pattern(got: float, wanted: float) -> Message | None:
    if isinstance(got, int) and isinstance(wanted, int) and abs(got - wanted) == 1:
        return Message("The result is one too large") if got > wanted else Message("The result is one too small")
    if wanted and got == -wanted:
        return Message("The sign is flipped")
    if wanted and got and abs(factor := got / wanted) > 1e-9:
        for whole in FACTORS:
            if abs(factor - whole) < 1e-6 * whole:
                return Message("The result is {times} times too large", times=whole)
            if abs(factor * whole - 1) < 1e-6:
                return Message("The result is {times} times too small", times=whole)
    return None


# Sequences


def _sequence_difference(got, wanted, tolerance: float, named: bool) -> str | None:
    if not isinstance(got, (tuple, list)):
        return _kind_difference(got, wanted)
    if len(got) != len(wanted):
        return Message("Expected {wanted} values, but got {got}.", wanted=len(wanted), got=len(got))
    if agree(got, wanted, tolerance):
        return None
    if named and (found := _order_difference(got, wanted, tolerance) or _list_pattern(got, wanted)):
        return found
    at = next(i for i, (g, w) in enumerate(zip(got, wanted, strict=True)) if not agree(g, w, tolerance))
    inner = difference(got[at], wanted[at], tolerance, named=named)
    return Message("In value {place}: {sentence}", place=at, sentence=inner)


def _order_difference(got, wanted, tolerance: float) -> str | None:
    """A sentence if the right values are in another order, else None."""
    if not 2 <= len(wanted) <= LONGEST:
        return None
    free, places = list(range(len(wanted))), []
    for g in got:
        # Its own place first, so that equal values, such as several zeros, count as being in place.
        candidates = sorted(free, key=lambda j: j != len(places))
        place = next((j for j in candidates if agree(g, wanted[j], tolerance)), None)
        if place is None:
            return None
        free.remove(place)
        places.append(place)
    at = next((i for i, place in enumerate(places) if i != place), None)
    if at is None:
        return None
    return Message(
        "The results are right, but in another order: value {value} is at position {position}.",
        value=places[at],
        position=at,
    )


def _list_pattern(got, wanted) -> str | None:
    """A sentence if all numbers of a list are wrong in the same way, else None."""
    if len(wanted) < 2 or not all(type(v) in (int, float) for v in (*map(_plain, got), *wanted)):
        return None
    if any(abs(_plain(v)) > EXACT for v in (*got, *wanted) if isinstance(_plain(v), int)):
        return None  # as doubles, different integers could become equal
    with contextlib.suppress(OverflowError):
        got, wanted = (torch.tensor([float(_plain(v)) for v in values], dtype=torch.double) for values in (got, wanted))
        pattern = _pattern(got, wanted)
        expected, given = show(wanted[0].item()), show(got[0].item())
        return pattern and Message(
            "{pattern}; value 0: expected {wanted}, got {got}.", pattern=pattern, wanted=expected, got=given
        )
    return None


# Tensors


def _tensor_difference(got, wanted: Tensor, tolerance: float, named: bool) -> str | None:
    if not isinstance(got, Tensor):
        return _kind_difference(got, wanted)
    if _special(got):
        return Message("Expected a plain tensor, but got {kind}.", kind=_special(got))
    if got.shape != wanted.shape:
        return _shape_difference(got, wanted, named)
    if _family(got) != _family(wanted):
        return _kinds(got, wanted)
    got, wanted = got.detach().cpu(), wanted.detach()
    if got.dtype == wanted.dtype and torch.equal(got, wanted):
        return None
    if wanted.dtype == torch.bool:
        return _mask_difference(got, wanted, named)
    if wanted.dtype.is_complex:  # a last axis of two: the real and the imaginary parts
        got, wanted = (torch.view_as_real(t.to(torch.complex128).resolve_conj().resolve_neg()) for t in (got, wanted))
    if wanted.dtype.is_floating_point:
        got, wanted = got.double(), wanted.double()
        if (got.isnan() & ~wanted.isnan()).any():
            return Message(
                "The result contains NaN, such as from 0/0, ∞ − ∞, or the logarithm or root of a negative number."
            )
        wrong = ~torch.isclose(got, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)
    else:
        wrong = _wrong_integers(got, wanted, tolerance)
    if not wrong.any():
        return None
    if wanted.ndim == 0:
        return _number_sentence(got.item(), wanted.item(), named)
    return _describe_wrong(got, wanted, wrong, named)


def _wrong_integers(got: Tensor, wanted: Tensor, tolerance: float) -> Tensor:
    """Mask of the integers, of one shape and any dtypes, that differ by more than the tolerance.

    A double would round them beyond 2^53, and the upper half of uint64 wraps to negative numbers in int64, so a flag
    distinguishes these.
    """
    upper = torch.uint64
    (a, a_wraps), (b, b_wraps) = ((t.long(), (t.long() < 0) & (t.dtype == upper)) for t in (got, wanted))
    apart = a - b
    overflows = ((a < 0) != (b < 0)) & ((apart < 0) != (a < 0))
    most = int(min(tolerance, EXACT))
    return (a_wraps != b_wraps) | overflows | (apart > most) | (apart < -most)


def is_plain(value) -> bool:
    """Whether the numbers of all tensors in a value can be read."""
    if isinstance(value, (tuple, list)):
        return all(is_plain(v) for v in value)
    return not isinstance(value, Tensor) or not _special(value)


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


def _special(tensor: Tensor) -> str:
    """The kind of a tensor whose numbers can't be read one by one, or ""."""
    if tensor.is_meta:
        return Message("a meta one")
    if tensor.is_quantized or tensor.is_nested:
        return Message("a quantized one") if tensor.is_quantized else Message("a nested one")
    if tensor.layout != torch.strided:
        return Message("an MKL-DNN one") if tensor.is_mkldnn else Message("a sparse one")
    return "" if is_stored(tensor) else Message("a freed one")


def _family(tensor: Tensor) -> str:
    if tensor.dtype == torch.bool or tensor.dtype.is_complex:
        return "bool" if tensor.dtype == torch.bool else "complex"
    return "float" if tensor.dtype.is_floating_point else "int"


def _shape_difference(got: Tensor, wanted: Tensor, named: bool) -> str:
    shapes = {"wanted": list(wanted.shape), "got": list(got.shape)}
    if not named:
        return Message("Expected shape {wanted}, got {got}.", **shapes)
    if shapes["got"] == shapes["wanted"][::-1]:
        return Message("Expected shape {wanted}, got {got}: the axes are reversed.", **shapes)
    if got.numel() == wanted.numel():
        return Message("Expected shape {wanted}, got {got}: the numbers are there, but arranged differently.", **shapes)
    if got.ndim < wanted.ndim:
        return Message("Expected shape {wanted}, got {got}: a sum or norm ran over too many axes.", **shapes)
    if got.ndim > wanted.ndim:
        return Message("Expected shape {wanted}, got {got}: a sum or norm ran over too few axes.", **shapes)
    return Message("Expected shape {wanted}, got {got}: check which axis you worked along.", **shapes)


def _mask_difference(got: Tensor, wanted: Tensor, named: bool) -> str:
    if named and torch.equal(got, ~wanted):
        return INVERTED
    kept, should = int(got.sum()), int(wanted.sum())
    if kept != should:
        return Message(
            "The mask keeps {kept} of {all} instead of {wanted}.", kept=kept, all=wanted.numel(), wanted=should
        )
    return Message(
        "The mask keeps the right number ({kept}), but the wrong ones: check the order, and ties.", kept=kept
    )


def _describe_wrong(got: Tensor, wanted: Tensor, wrong: Tensor, named: bool) -> Message:
    at = wrong.nonzero()[0].tolist()
    expected, given = show(wanted[tuple(at)].item()), show(got[tuple(at)].item())
    what = None
    if named and wanted.numel() > 1 and _fit_doubles(got, wanted):
        what = _pattern(got.double(), wanted.double())
    what = what or Message("{count} of {all} values differ", count=int(wrong.sum()), all=wanted.numel())
    return Message(
        "{what}; the first at {place}: expected {wanted}, got {got}.", what=what, place=at, wanted=expected, got=given
    )


def _fit_doubles(*tensors: Tensor) -> bool:
    """Whether doubles represent all numbers exactly."""
    return all(t.is_floating_point() or not _wrong_integers(t, t.double().long(), 0.0).any() for t in tensors)


def _pattern(got: Tensor, wanted: Tensor) -> Message | None:
    """Describe how all values of two float64 tensors of one shape differ, or return None."""
    if torch.equal(got.flatten().sort().values, wanted.flatten().sort().values):
        return Message("The right numbers in the wrong order")
    if torch.allclose(got, -wanted, rtol=1e-5, atol=1e-8):
        return Message("All signs are flipped")
    shift = got - wanted
    if torch.allclose(shift, shift.flatten()[0].expand_as(shift), rtol=1e-5, atol=1e-7):
        amount = shift.flatten()[0].item()
        if abs(amount) == 1:
            return Message("Every value is one too large") if amount > 0 else Message("Every value is one too small")
        return Message("Every value is off by {amount}", amount=show(amount))
    factor = (got[wanted != 0] / wanted[wanted != 0]).flatten()
    one_factor = len(factor) > 1 and torch.allclose(factor, factor[:1].expand_as(factor), rtol=1e-5)
    if one_factor and abs(factor[0] - 1) > 1e-4 and not got[wanted == 0].any():
        return Message("Every value is {times} times the expected one", times=show(factor[0].item()))
    return None
