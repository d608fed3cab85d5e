"""Common mistakes that numbers show: a flipped sign, a factor, a shift, another order."""

import torch
from torch import Tensor

from nnopt_lab.course.display import show
from nnopt_lab.workbench.language import Message

FACTORS = (2, 3, 4, 8, 10, 100, 1000)  # for single numbers, which any factor would fit


def number_pattern(got: float, wanted: float) -> Message | None:
    """Describe how two numbers differ, or return None."""
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


def common_pattern(got: Tensor, wanted: Tensor) -> Message | None:
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
