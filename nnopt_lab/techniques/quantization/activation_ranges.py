"""Run a few batches through a model and choose a grid for each layer's activations.

Source: Krishnamoorthi 2018, "Quantizing deep convolutional networks", https://arxiv.org/abs/1806.08342 (calibration on
a few batches).
"""

from collections.abc import Callable, Iterable

from torch import Tensor, nn
from torch.nn.utils import parametrize

from nnopt_lab.techniques.quantization.grids import Grid
from nnopt_lab.techniques.quantization.layers import QUANTIZABLE
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
        batches: inputs float [N, …].
        observer: makes the observer of each layer: a class of `observers`, or `lambda: Percentile(99.9, bits=4)`.
        layers: types of layers to watch; default all.

    Returns:
        Grids by the layers' names in `model.named_modules()`; the input's grid is named "input".

    Raises:
        ValueError: there is no batch; the input or a layer's output, which is named, is not a tensor of finite floats;
            or a layer is named "input".
    """
    watched = {name: layer for name, layer in _leaves(model).items() if isinstance(layer, layers)}
    if "input" in watched:
        raise ValueError("model has a layer named 'input', which is the name of the input's grid: rename the layer.")
    watching = {name: observer() for name in ("input", *watched)}

    def see(name: str, x: object) -> None:
        if not isinstance(x, Tensor):
            raise ValueError(f"{_described(name, watched)} is a {type(x).__name__}; an observer needs tensors.")
        try:
            watching[name].update(x)
        except ValueError as error:
            raise ValueError(f"{_described(name, watched)} has no range: {error}") from error

    hooks = [
        layer.register_forward_hook(lambda layer, inputs, output, name=name: see(name, output))
        for name, layer in watched.items()
    ]
    try:
        with inference(model):
            for batch in progress_bar(batches, desc="calibrating", unit="batch", delay=2):
                see("input", batch)
                model(batch.clone())  # the model may change its input in place
    finally:
        for hook in hooks:
            hook.remove()
    if watching["input"].low is None:
        raise ValueError("batches is empty; at least one batch is needed.")
    return {name: seen.grid() for name, seen in watching.items() if seen.low is not None}


def _leaves(model: nn.Module) -> dict[str, nn.Module]:
    """Layers without children, by name; quantisers and parametrisations inside a layer don't count as children."""
    found: dict[str, nn.Module] = {}
    for name, layer in model.named_modules():
        parents = {name[:at] for at, letter in enumerate(name) if letter == "."} | ({""} if name else set())
        whole = isinstance(layer, QUANTIZABLE) or parametrize.is_parametrized(layer) or not any(layer.children())
        if whole and not parents & found.keys():
            found[name] = layer
    return found


def _described(name: str, watched: dict[str, nn.Module]) -> str:
    return "The input" if name == "input" else f"The output of {name or 'the model'!r} ({type(watched[name]).__name__})"
