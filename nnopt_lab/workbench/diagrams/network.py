"""A network as blocks, each as high as its picture and as wide as its channels."""

import torch
from torch import Tensor, nn

from nnopt_lab.workbench.diagrams.drawing import Drawing
from nnopt_lab.workbench.plots.colors import BLUE, GREEN, INK, ORANGE

_COLORS = {nn.Conv2d: BLUE, nn.Linear: GREEN, nn.MaxPool2d: ORANGE, nn.AvgPool2d: ORANGE}
_NAMES = {nn.Conv2d: "convolution", nn.Linear: "linear", nn.MaxPool2d: "max-pooling", nn.AvgPool2d: "pooling"}
_MOST = 12  # blocks that fit beside each other


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
        layer.register_forward_hook(lambda module, _, y: seen.append((module, tuple(y.shape[1:])))) for layer in layers
    ]
    try:
        with torch.no_grad():
            model(example)
    finally:
        for hook in hooks:
            hook.remove()
    blocks = [("input", "", tuple(example.shape[1:]), INK)]
    blocks += [(_name(layer), _weights(layer), shape, _color(layer)) for layer, shape in seen]
    return _drawn(blocks)


def _drawn(blocks: list[tuple[str, str, tuple[int, ...], str]]) -> Drawing:
    step, middle, last = 130, 105, 0.0
    told = ", then ".join(f"{name} to {_shape(shape)}" for name, _, shape, _ in blocks[1:])
    drawing = Drawing(step * len(blocks) + 10, 250, f"The network: input {_shape(blocks[0][2])}, {told}.")
    tallest = max(shape[-1] for _, _, shape, _ in blocks if len(shape) == 3) if len(blocks[0][2]) == 3 else 1
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
        drawing.text(x, 212, f"*{_shape(shape)}\n{name}\n{weights}", size=12)
    return drawing


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _name(layer: nn.Module) -> str:
    kind = next(name for of, name in _NAMES.items() if isinstance(layer, of))
    size = getattr(layer, "kernel_size", None)
    height, width = size if isinstance(size, tuple) else (size, size)
    return kind if size is None else f"{kind} {height}×{width}"


def _weights(layer: nn.Module) -> str:
    count = sum(p.numel() for p in layer.parameters())
    return f"{count:,} parameters" if count else ""


def _color(layer: nn.Module) -> str:
    return next(color for of, color in _COLORS.items() if isinstance(layer, of))
