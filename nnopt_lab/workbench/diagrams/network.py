"""A network as blocks, each as high as its picture and as wide as its channels."""

import torch
from torch import Tensor, nn

from nnopt_lab.workbench.diagrams.drawing import Drawing
from nnopt_lab.workbench.language import _
from nnopt_lab.workbench.plots.colors import BLUE, GREEN, INK, ORANGE

_COLORS = {nn.Conv2d: BLUE, nn.Linear: GREEN, nn.MaxPool2d: ORANGE, nn.AvgPool2d: ORANGE}
_MOST = 12  # blocks that fit beside each other
_LONGEST = 16  # letters of a line that does not touch its neighbours'


def network(model: nn.Module, example: Tensor) -> Drawing:
    """Draw what a network's convolutions, poolings and linear layers pass on, with shapes and numbers of parameters.

    Args:
        model: runs these layers one after the other, at most 12 of them; left in its mode.
        example: an input, [N, C, H, W].

    Raises:
        ValueError: the network has no such layer, or more than 12.
    """
    seen: list[tuple[nn.Module, tuple[int, ...]]] = []
    layers = [module for module in model.modules() if isinstance(module, tuple(_COLORS))]
    if not 0 < len(layers) <= _MOST:
        raise ValueError(
            f"model has {len(layers)} convolutions, poolings and linear layers; 1 to {_MOST} can be drawn."
        )
    hooks = [
        layer.register_forward_hook(lambda module, inputs, y: seen.append((module, tuple(y.shape[1:]))))
        for layer in layers
    ]
    try:
        with torch.no_grad():
            model(example)
    finally:
        for hook in hooks:
            hook.remove()
    blocks = [(_("input"), "", tuple(example.shape[1:]), INK)]
    blocks += [(_name(layer), _weights(layer), shape, _color(layer)) for layer, shape in seen]
    return _drawn(blocks)


def _drawn(blocks: list[tuple[str, str, tuple[int, ...], str]]) -> Drawing:
    step, middle, last = 136, 105, 0.0
    drawing = Drawing(step * len(blocks) + 10, 262, _told(blocks))
    tallest = max(block[2][-1] for block in blocks if len(block[2]) == 3) if len(blocks[0][2]) == 3 else 1
    for i, (name, weights, shape, color) in enumerate(blocks):
        x = 10 + i * step + step / 2
        if len(shape) == 3:
            high, wide = 40 + 110 * shape[1] / tallest, 10 + 1.1 * min(shape[0], 50)
        else:
            high, wide = 30 + min(shape[-1], 128), 12
        drawing.box(x - wide / 2, middle - high / 2, wide, high, color=color)
        if i:
            drawing.arrow((x - step + last / 2 + 6, middle), (x - wide / 2 - 5, middle))
        last = wide
        if len(weights) > _LONGEST:
            weights = weights.replace(" ", "\n", 1)
        lines = f"*{_shape(shape)}\n{name}\n{weights}".rstrip("\n")
        drawing.text(x, 195 + 8.7 * lines.count("\n"), lines, size=12)
    return drawing


def _told(blocks: list[tuple[str, str, tuple[int, ...], str]]) -> str:
    layers = [_("{layer} to {shape}", layer=block[0], shape=_shape(block[2])) for block in blocks[1:]]
    told = layers[0]
    for layer in layers[1:]:
        told = _("{before}, then {layer}", before=told, layer=layer)
    return _("The network: input {shape}, {layers}.", shape=_shape(blocks[0][2]), layers=told)


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _name(layer: nn.Module) -> str:
    if isinstance(layer, nn.Linear):
        return _("linear")
    size = layer.kernel_size
    size = _shape(size if isinstance(size, tuple) else (size, size))
    if isinstance(layer, nn.Conv2d):
        return _("convolution {size}", size=size)
    is_max = isinstance(layer, nn.MaxPool2d)
    return _("max-pooling {size}", size=size) if is_max else _("pooling {size}", size=size)


def _weights(layer: nn.Module) -> str:
    count = sum(p.numel() for p in layer.parameters())
    return _("{count} parameters", count=f"{count:,}") if count else ""


def _color(layer: nn.Module) -> str:
    return next(color for of, color in _COLORS.items() if isinstance(layer, of))
