"""Compile the forward and backward pass with `torch.compile`."""

import importlib

import torch
from torch import Tensor, nn

from nnopt_lab.workbench import smoke

MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
WITH_GRAPHS = ("reduce-overhead", "max-autotune")


class Compiled:
    """A model compiled for the shape of its first inputs; inputs of other shapes run without compilation.

    The smaller batch at the end of an epoch thus costs no second compilation. Smoke mode compiles nothing.

    Raises:
        ValueError: when called, if there is no compiler or it fails.
    """

    def __init__(self, model: nn.Module, mode: str):
        self.model, self.mode, self._shape = model, mode, None

    def __call__(self, inputs: Tensor) -> Tensor:
        """Compute the logits of inputs [B, ...]."""
        if self._shape is None:
            self._shape = inputs.shape
            self._program = self.model if smoke.on() else torch.compile(self.model, mode=self.mode, dynamic=False)
            return self._first(inputs)
        return (self._program if inputs.shape == self._shape else self.model)(inputs)

    def _first(self, inputs: Tensor) -> Tensor:
        try:
            return self._program(inputs)
        except ImportError as error:
            raise _failed(error) from error
        except RuntimeError as error:
            if isinstance(error, importlib.import_module("torch._dynamo.exc").TorchDynamoException):
                raise _failed(error) from error
            raise


def mode_of(compiled: bool | str) -> str | None:
    """Return the mode of `torch.compile` that the argument `compiled` of `fit` selects; None for no compilation.

    Raises:
        ValueError: there is no such mode.
    """
    if compiled in (False, None):
        return None
    mode = "default" if compiled is True else compiled
    if mode not in MODES:
        raise ValueError(f"compiled={compiled!r} must be True, False or one of {', '.join(map(repr, MODES))}.")
    return mode


def _failed(error: Exception) -> ValueError:
    cause = getattr(error, "inner_exception", None) or error
    reason = next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
    return ValueError(f"compiled: torch.compile can't compile this model here ({reason}).")
