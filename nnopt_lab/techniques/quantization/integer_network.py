"""Convert a network to one without floats: every tensor from input to output is an integer."""

import torch
from torch import Tensor, fx, nn
from torch.nn.functional import dropout, relu

from nnopt_lab.techniques.network_checks import hooked, overrides_forward
from nnopt_lab.techniques.quantization.chains import data_inputs, flattens, is_size
from nnopt_lab.techniques.quantization.grids import Grid
from nnopt_lab.techniques.quantization.integer_layers import Flatten, IntegerLayer
from nnopt_lab.techniques.quantization.rounding import dequantize, quantize
from nnopt_lab.techniques.tracing import trace

_RELUS = (torch.relu, torch.relu_, relu, "relu", "relu_")
_LEFT_OUT = (nn.Dropout, nn.Dropout2d, nn.Identity)


class IntegerNetwork(nn.Module):
    """A chain of integer layers between two grids; made by `convert`. Its file has only what the layers need.

    Args:
        layers: `IntegerLayer` and `Flatten` modules, in order.
        source, target: grids of the input and of the output.
    """

    def __init__(self, layers: list[nn.Module], source: Grid, target: Grid):
        super().__init__()
        self.layers, self.source, self.target = nn.Sequential(*layers), source, target
        self.register_buffer("scales", torch.stack([source.scale, target.scale]))

    def integers(self, q: Tensor) -> Tensor:
        """Run the network itself: uint8 [N, …] on the grid `source` → uint8 [N, classes] on the grid `target`."""
        return self.layers(q.transpose(0, 1)).transpose(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Quantise, run `integers`, dequantise, to compare with float networks: float [N, …] → float [N, classes]."""
        return dequantize(self.integers(quantize(x, self.source)), self.target)


def convert(model: nn.Module, grids: dict[str, Grid]) -> IntegerNetwork:
    """Convert a model to an integer network that computes the same function as closely as its grids allow.

    Args:
        model: a chain of Conv2d, Linear, ReLU, MaxPool2d and Flatten (Dropout and Identity are dropped), such as
            `MyNet`; traced with `torch.fx`, left unchanged.
        grids: by name, of at most 8 bits, from `activation_ranges.calibrate(model, …)`; needed are "input" and the
            last layer before each next Conv2d or Linear.

    Raises:
        ValueError: `model` can't be traced, has other layers or is not a chain; a layer has forward hooks or a custom
            forward; or a grid is missing.
    """
    groups = _groups(model)
    missing = {"input", *(group["name"] for group in groups)} - grids.keys()
    if missing:
        raise ValueError(f"grids has no entry for {', '.join(sorted(missing))}: make them with calibrate(model, …).")
    layers, source = [], grids["input"]
    for group in groups:
        target = grids[group["name"]]
        layers += [Flatten()] * group["flatten"]
        layers.append(IntegerLayer(group["layer"], source, target, group["relu"], group["pools"]))
        source = target
    return IntegerNetwork(layers, grids["input"], source)


def _groups(model: nn.Module) -> list[dict]:
    """Each Conv2d or Linear with the layers that follow it up to the next one."""
    traced, groups, before, flat, picture = trace(model), [], None, False, True
    for node in traced.graph.nodes:
        if is_size(node):
            continue
        layer = traced.get_submodule(node.target) if node.op == "call_module" else None
        chained = (node.op == "placeholder" and before is None) or data_inputs(node) == [before]
        if isinstance(layer, nn.Conv2d | nn.Linear) and chained:
            if isinstance(layer, nn.Conv2d) and (flat or not picture):
                raise ValueError(
                    f"model can't be converted at {node.target!r}: a convolution needs pictures, not flat inputs."
                )
            if isinstance(layer, nn.Linear) and groups and picture and not flat:
                raise ValueError(f"model can't be converted at {node.target!r}: flatten the pictures before it.")
            groups.append({"layer": layer, "relu": False, "pools": [], "flatten": flat})
            flat, picture = False, isinstance(layer, nn.Conv2d)
        elif isinstance(layer, nn.MaxPool2d) and chained and groups and not flat:
            groups[-1]["pools"].append(layer)
        elif (isinstance(layer, nn.ReLU) or node.target in _RELUS) and chained and groups:
            groups[-1]["relu"] = True
        elif flattens(node, layer) and chained:
            flat = True
        elif not chained or not (node.op in ("placeholder", "output") or _does_nothing(node, layer)):
            what = type(layer).__name__ if layer else getattr(node.target, "__name__", node.target)
            raise ValueError(
                f"model can't be converted at {node.name} ({what}): it must be a chain of Conv2d, "
                "Linear, ReLU, MaxPool2d and Flatten that begins with one of the first two."
            )
        if layer is not None and (hooked(layer) or _overridden(layer)):
            raise ValueError(f"model can't be converted at {node.target!r}: it has forward hooks or a custom forward.")
        if groups and layer is not None:
            groups[-1]["name"] = node.target
        before = node
    if not groups:
        raise ValueError("model has no Conv2d or Linear: there is nothing to convert.")
    return groups


def _does_nothing(node: fx.Node, layer: nn.Module | None) -> bool:
    """Whether a node is the identity in evaluation mode."""
    if node.target is dropout:
        return node.kwargs.get("training") is False
    return isinstance(layer, _LEFT_OUT) or node.target in ("contiguous", "clone")


def _overridden(layer: nn.Module) -> bool:
    kinds = (nn.Conv2d, nn.Linear, nn.ReLU, nn.MaxPool2d, nn.Flatten, *_LEFT_OUT)
    return any(isinstance(layer, kind) and overrides_forward(layer, kind) for kind in kinds)
