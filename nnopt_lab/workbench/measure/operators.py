"""List a network's operators: what each computes and moves, and how long it takes."""

from typing import NamedTuple

from torch import Tensor, nn

from nnopt_lab.workbench.measure.modes import inference
from nnopt_lab.workbench.measure.timing import latency
from nnopt_lab.workbench.measure.work import COUNTED, layer_costs

_MOVE_NOTHING = (nn.Flatten, nn.Dropout, nn.Identity)


class Operator(NamedTuple):
    """One call of one layer: its operations (2 per multiply-accumulate), the bytes it moves, and its seconds."""

    name: str  # its place among the operators and its type, such as "3 Conv2d"
    operations: int
    moved: int  # bytes of its input, its weights and its output, each once
    seconds: float | None  # None if it was not timed


def operators(model: nn.Module, example: Tensor, timed: bool = False) -> list[Operator]:
    """List the layers of a network as operators, in the order they run, for one batch.

    Convolutions and linear layers count as in `layer_costs`, max-pooling as k² - 1 operations per output, and every
    other layer as one. `nn.Flatten`, `nn.Dropout` and `nn.Identity` move nothing and are left out, as is whatever the
    network computes without a module.

    Args:
        model: in any mode; it runs once, in evaluation mode. Without `timed`, it may be on the device "meta".
        example: the model's input, [N, ...], on its device and in the memory layout to be timed.
        timed: whether each layer is timed by itself, a tenth of a second long, on the input that it gets here.
    """
    found = []
    for layer, x, y in _calls(model, example):
        seconds = latency({"": layer}, x, rounds=4, budget_seconds=0.1)[""].median if timed else None
        operations, moved = _per_output(layer) * y.numel(), x.nbytes + y.nbytes
        if isinstance(layer, COUNTED):
            cost = layer_costs(layer, x)[0]
            operations, moved = 2 * cost.macs, moved + cost.weight_bytes
        found.append(Operator(f"{len(found)} {type(layer).__name__}", operations, moved, seconds))
    return found


def _per_output(layer: nn.Module) -> int:
    if not isinstance(layer, nn.MaxPool2d):
        return 1
    size = layer.kernel_size
    return (size * size if isinstance(size, int) else size[0] * size[1]) - 1


def _calls(model: nn.Module, example: Tensor) -> list[tuple[nn.Module, Tensor, Tensor]]:
    """Layer, input and output of every call of a layer that moves something."""
    calls, hooks = [], []
    for layer in model.modules():
        if not any(layer.children()) and not isinstance(layer, _MOVE_NOTHING):
            # The input is copied, since the next layer may change it in place.
            hooks.append(layer.register_forward_pre_hook(lambda layer, x: calls.append([layer, x[0].clone()])))
            hooks.append(layer.register_forward_hook(lambda layer, x, y: calls[-1].append(y)))
    try:
        with inference(model):
            model(example.clone())
    finally:
        for hook in hooks:
            hook.remove()
    return [tuple(call) for call in calls]
