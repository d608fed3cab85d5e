"""Describe how a tensor differs from the expected one: in its shape, its dtype or its values."""

import torch
from torch import Tensor

from nnopt_lab.course.differences.exact import fit_doubles, wrong_integers
from nnopt_lab.course.differences.kinds import different_kinds, kind_difference
from nnopt_lab.course.differences.patterns import common_pattern
from nnopt_lab.course.differences.single import number_sentence
from nnopt_lab.course.differences.values import family, special_kind
from nnopt_lab.course.display import show
from nnopt_lab.workbench.language import Message, counted_message

INVERTED = Message("The mask is inverted: True must mark what to keep, but yours marks what to remove.")


def tensor_difference(got, wanted: Tensor, tolerance: float, named: bool) -> str | None:
    """As `difference`, for an expected tensor."""
    if not isinstance(got, Tensor):
        return kind_difference(got, wanted)
    if special_kind(got):
        return Message("Expected a plain tensor, but got {kind}.", kind=special_kind(got))
    if got.shape != wanted.shape:
        return _shape_difference(got, wanted, named)
    if family(got) != family(wanted):
        return different_kinds(got, wanted)
    got, wanted = got.detach().cpu(), wanted.detach()
    if got.dtype == wanted.dtype and torch.equal(got, wanted):
        return None
    if wanted.dtype == torch.bool:
        return _mask_difference(got, wanted, named)
    if wanted.dtype.is_complex:  # a last axis of two: the real and the imaginary parts
        got, wanted = _parts(got), _parts(wanted)
    if wanted.dtype.is_floating_point:
        got, wanted = got.double(), wanted.double()
        if (got.isnan() & ~wanted.isnan()).any():
            return Message(
                "The result contains NaN, such as from 0/0, ∞ − ∞, or the logarithm or root of a negative number."
            )
    wrong = wrong_values(got, wanted, tolerance)
    if not wrong.any():
        return None
    if wanted.ndim == 0:
        return number_sentence(got.item(), wanted.item(), named)
    return _describe_wrong(got, wanted, wrong, named)


def wrong_values(got: Tensor, wanted: Tensor, tolerance: float) -> Tensor:
    """Mask of the values, of two tensors of one shape and one family of dtypes, that differ beyond the tolerance."""
    if wanted.dtype == torch.bool:
        return got != wanted
    if wanted.dtype.is_complex:
        return wrong_values(_parts(got), _parts(wanted), tolerance).any(-1)
    if wanted.dtype.is_floating_point:
        return ~torch.isclose(got.double(), wanted.double(), rtol=tolerance, atol=tolerance, equal_nan=True)
    return wrong_integers(got, wanted, tolerance)


def _parts(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor.to(torch.complex128).resolve_conj().resolve_neg())


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
    if named and wanted.numel() > 1 and fit_doubles(got, wanted):
        what = common_pattern(got.double(), wanted.double())
    what = what or counted_message(
        int(wrong.sum()), "{count} of {all} values differs", "{count} of {all} values differ", all=wanted.numel()
    )
    return Message(
        "{what}; the first at {place}: expected {wanted}, got {got}.", what=what, place=at, wanted=expected, got=given
    )
