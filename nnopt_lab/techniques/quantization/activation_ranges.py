"""Run a few batches through a model and choose a grid for each layer's activations.

Source: Krishnamoorthi 2018, "Quantizing deep convolutional networks" (calibration on a few batches).
"""

from collections.abc import Callable, Iterable

from torch import Tensor, nn

from nnopt_lab.techniques.quantization.grids import Grid
from nnopt_lab.techniques.quantization.observers import MinMax, Observer
from nnopt_lab.workbench.measure import inference
from nnopt_lab.workbench.progress_bar import progress_bar


def calibrate(
    model: nn.Module,
    batches: Iterable[Tensor],
    observer: Callable[[], Observer] = MinMax,
    layers: tuple[type[nn.Module], ...] = (nn.Module,),
) -> dict[str, Grid]:
    """Run a few batches and choose a grid for the model's input and for the output of every layer without children.

    Args:
        model: in any mode; it runs in evaluation mode.
        batches: inputs [N, …].
        observer: makes the observer of each layer: a class of this module, or `lambda: Percentile(99.9, bits=4)`.
        layers: kinds of layers to watch; all where it is not given.

    Returns:
        Grids by the layers' names in `model.named_modules()`; that of the input is called "input".

    Raises:
        ValueError: there is no batch, or a layer gives values that are not finite.
    """
    leaves = {name: layer for name, layer in model.named_modules() if not any(layer.children())}
    watched = {name: layer for name, layer in leaves.items() if isinstance(layer, layers)}
    watching = {name: observer() for name in ("input", *watched)}
    hooks = [
        layer.register_forward_hook(lambda layer, inputs, output, name=name: watching[name].update(output))
        for name, layer in watched.items()
    ]
    try:
        with inference(model):
            for batch in progress_bar(batches, desc="calibrating", unit="batch", delay=2):
                watching["input"].update(batch)
                model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if watching["input"].low is None:
        raise ValueError("batches is empty: an observer must see one batch at the least.")
    return {name: seen.grid() for name, seen in watching.items() if seen.low is not None}
