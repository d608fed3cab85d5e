"""The mode in which networks are measured."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.parameter import is_lazy


@contextlib.contextmanager
def inference(*models) -> Iterator[None]:
    """Put models in evaluation mode without autograd; afterwards, each submodule returns to its previous mode.

    Weights that a lazy layer initialises inside the block stay trainable.
    """
    models = [model for model in models if isinstance(model, nn.Module)]
    modes = {module: module.training for model in models for module in model.modules()}
    try:
        for model in models:
            model.eval()
        # A lazy layer makes its weights in its first call, and weights made in inference mode can never be trained.
        lazy = any(is_lazy(parameter) for model in models for parameter in model.parameters())
        with torch.no_grad() if lazy else torch.inference_mode():
            yield
    finally:
        for module, training in modes.items():
            module.training = training
