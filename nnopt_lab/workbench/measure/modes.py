"""The mode in which networks are measured."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


@contextlib.contextmanager
def inference(*models) -> Iterator[None]:
    """Evaluation mode without autograd; afterwards each submodule is back in the mode it had."""
    models = [model for model in models if isinstance(model, nn.Module)]
    modes = {module: module.training for model in models for module in model.modules()}
    try:
        for model in models:
            model.eval()
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes.items():
            module.training = training
