"""Record the inputs and outputs of a model's layers."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.quantization.layers import QUANTIZABLE
from nnopt_lab.workbench.measure import inference


def record_activations(
    model: nn.Module, batch: Tensor, names: Iterable[str] | None = None
) -> dict[str, tuple[Tensor, Tensor]]:
    """Record what convolutions and linear layers read and write while `batch` runs through the model, in running order.

    The tensors are copies: what the model does in place later, or does to its own input, changes neither them nor
    `batch`.

    Args:
        model: in any mode; it runs in evaluation mode.
        batch: inputs [N, …].
        names: of the layers, as in `model.named_modules()`; all of them where it is None.

    Returns:
        (input, output) of each layer's first run, by its name.
    """
    return {name: runs[0] for name, runs in record_runs(model, batch, names).items()}


def record_runs(
    model: nn.Module, batch: Tensor, names: Iterable[str] | None = None
) -> dict[str, list[tuple[Tensor, Tensor]]]:
    """Record every run of each layer, as `record_activations` its first: a layer that runs twice has two pairs."""
    runs, hooks = {}, []
    names = None if names is None else set(names)
    for name, layer in model.named_modules():
        if isinstance(layer, QUANTIZABLE) and (names is None or name in names):

            def record(layer, args, kwargs, output, name=name):
                runs.setdefault(name, []).append((_copy((*args, *kwargs.values())[0]), _copy(output)))

            hooks.append(layer.register_forward_hook(record, with_kwargs=True))
    try:
        with inference(model):
            model(batch.clone())
    finally:
        for hook in hooks:
            hook.remove()
    return runs


def channels_first(layer: nn.Module, output: Tensor) -> Tensor:
    """A layer's output with its channels in axis 0, the rest flat: [C, N · positions]."""
    # A linear layer's channels are the last axis, also over sequences [N, T, C]. A convolution of one picture has no N.
    axis = -1 if isinstance(layer, nn.Linear) else -3
    return output.movedim(axis, 0).flatten(1)


def _copy(x: Tensor) -> Tensor:
    # Made outside inference mode, so that autograd may meet it.
    with torch.inference_mode(False):
        return x.detach().clone()
