"""Record the inputs and outputs of a model's layers."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.quantization.layers import QUANTIZABLE
from nnopt_lab.workbench.measure import inference


def record_activations(
    model: nn.Module, batch: Tensor, names: Iterable[str] | None = None
) -> dict[str, tuple[Tensor, Tensor]]:
    """Record the inputs and outputs of convolutions and linear layers on a batch, in the order in which they run.

    The tensors are copies, so that in-place operations of the model change neither them nor `batch`.

    Args:
        model: in any mode; it runs in evaluation mode.
        batch: inputs [N, …].
        names: of the layers, as in `model.named_modules()`; default all.

    Returns:
        (input, output) of each layer's first call, by its name.
    """
    return {name: runs[0] for name, runs in record_runs(model, batch, names).items()}


def record_runs(
    model: nn.Module, batch: Tensor, names: Iterable[str] | None = None
) -> dict[str, list[tuple[Tensor, Tensor]]]:
    """Record every call of each layer, as `record_activations` does for the first; returns lists of pairs."""
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
    """Reshape a layer's output to [C, N · positions], channels first."""
    # A linear layer's channels are the last axis, also for sequences [N, T, C]. A convolution of one picture has no N.
    axis = -1 if isinstance(layer, nn.Linear) else -3
    return output.movedim(axis, 0).flatten(1)


def _copy(x: Tensor) -> Tensor:
    # Outside inference mode, so that autograd can use it.
    with torch.inference_mode(False):
        return x.detach().clone()
