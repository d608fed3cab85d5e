"""Small networks as small ONNX files: `torch.onnx.export` writes any network, this module a few layers in few bytes.

Names have one or two letters, there are no descriptions, and weights on a grid of at most 16 or 256 values are stored
as int4 or int8 followed by a DequantizeLinear, which every engine understands (opset 21).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nnopt_lab.techniques.quantization import Grid, quantize
from nnopt_lab.workbench import models

OPSET, IR_VERSION = 21, 10  # the first with int4; ONNX Runtime reads them since 1.20


class Grey(nn.Module):
    """float [N, 3, H, W] → [N, 1, H, W]: the first channel; in Fashion-MNIST's pictures the others are its copies."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1]


def write_onnx(model: nn.Module, path: Path) -> Path:
    """Write a network as an ONNX file: input "x" float32 [N, 3, 32, 32], output "y" float32 [N, classes].

    A layer's weight is stored as integers where it has a `weight_grid` (see
    `qat.make_permanent`) with one scale, and its bias where it has a `bias_grid`; else as float32.

    Args:
        model: an nn.Sequential (or `MyNet`) of `Grey`, Conv2d, ReLU, MaxPool2d, AdaptiveAvgPool2d(1), Flatten, Linear
            and Identity, with zeros for padding.

    Raises:
        ValueError: it holds another layer; batch norms, for instance, are folded first.
    """
    from onnx import helper

    graph = _Graph()
    last = "x"
    for layer in _layers(model):
        last = graph.add(layer, last)
    graph.nodes[-1].output[0] = "y"
    ends = [
        helper.make_tensor_value_info(name, 1, shape)
        for name, shape in (("x", ["N", 3, 32, 32]), ("y", ["N", _classes(model)]))
    ]
    built = helper.make_graph(graph.nodes, "g", ends[:1], ends[1:], graph.tensors)
    file = helper.make_model(built, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    Path(path).write_bytes(file.SerializeToString())
    return Path(path)


class _Graph:
    """Nodes and tensors so far; names count in letters."""

    def __init__(self):
        self.nodes, self.tensors, self._names = [], [], _short_names()

    def add(self, layer: nn.Module, x: str) -> str:
        match layer:
            case Grey():
                zero, one = self._tensor(7, [1], ints=[0]), self._tensor(7, [1], ints=[1])
                return self._node("Slice", [x, zero, one, one])
            case nn.Conv2d(padding_mode="zeros", dilation=(1, 1)):
                return self._node("Conv", [x, *self._parameters(layer)], **_convolution(layer))
            case nn.Linear():
                return self._node("Gemm", [x, *self._parameters(layer)], transB=1)
            case nn.ReLU():
                return self._node("Relu", [x])
            case nn.MaxPool2d(padding=0, dilation=1):
                size, stride = ([n, n] if isinstance(n, int) else list(n) for n in (layer.kernel_size, layer.stride))
                return self._node("MaxPool", [x], kernel_shape=size, strides=stride)
            case nn.AdaptiveAvgPool2d(output_size=1):
                return self._node("GlobalAveragePool", [x])
            case nn.Flatten(start_dim=1, end_dim=-1):
                return self._node("Flatten", [x])
            case nn.Identity():
                return x
        raise ValueError(f"model has a layer {layer} that `write_onnx` does not write.")

    def _parameters(self, layer: nn.Module) -> Iterator[str]:
        yield self._values(layer.weight, getattr(layer, "weight_grid", None))
        if layer.bias is not None:
            yield self._values(layer.bias, getattr(layer, "bias_grid", None))

    def _values(self, values: Tensor, grid: Grid | None) -> str:
        shape, values = list(values.shape), values.detach().cpu().contiguous()
        if grid is None:
            return self._tensor(1, shape, values.numpy().astype("<f4"))
        integers = quantize(values, grid).to(torch.int8).flatten().numpy()
        small = grid.low >= -8 and grid.high <= 7
        stored = self._tensor(22, shape, _packed(integers)) if small else self._tensor(3, shape, integers)
        return self._node("DequantizeLinear", [stored, self._tensor(1, [], grid.scale.numpy().astype("<f4"))])

    def _tensor(self, kind: int, shape: list[int], raw: np.ndarray | None = None, ints: list[int] | None = None) -> str:
        from onnx import helper

        name = next(self._names)
        vals = raw.tobytes() if ints is None else ints
        self.tensors.append(helper.make_tensor(name, kind, shape, vals, raw=ints is None))
        return name

    def _node(self, kind: str, inputs: list[str], **attributes) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [next(self._names)], **attributes))
        return self.nodes[-1].output[0]


def _layers(model: nn.Module) -> list[nn.Module]:
    if isinstance(model, models.MyNet):
        return [*model.features, nn.Flatten(), *model.classifier]
    return list(model) if isinstance(model, nn.Sequential) else [model]


def _classes(model: nn.Module) -> int:
    return [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1].out_features


def _convolution(layer: nn.Conv2d) -> dict:
    """The attributes that differ from ONNX's defaults."""
    (top, left), stride = layer.padding, list(layer.stride)
    attributes = {"pads": [top, left, top, left], "strides": stride, "group": layer.groups}
    defaults = {"pads": [0] * 4, "strides": [1, 1], "group": 1}
    return {name: value for name, value in attributes.items() if value != defaults[name]}


def _packed(values: np.ndarray) -> np.ndarray:
    """int8 [n], each −8 to 7 → uint8 [⌈n/2⌉], the first of two in the lower four bits."""
    low, high = np.append(values, [0] * (len(values) % 2)).astype(np.uint8).reshape(-1, 2).T & 15
    return low | high << 4


def _short_names() -> Iterator[str]:
    letters = [chr(code) for code in range(ord("a"), ord("x"))] + [chr(code) for code in range(ord("A"), ord("Z") + 1)]
    yield from letters
    yield from (first + second for first in letters for second in letters)
