"""Count a network's multiply-accumulates and the bytes it moves, layer by layer."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from nnopt_lab.workbench.measure.modes import inference

COUNTED = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class LayerCost(NamedTuple):
    """One call of one layer: its multiply-accumulates (MACs), and the minimum of bytes that it reads and writes."""

    name: str
    kind: str
    macs: int
    weight_bytes: int  # including the bias
    input_bytes: int
    output_bytes: int
    output_shape: tuple[int, ...]

    @property
    def intensity(self) -> float:
        """Floating-point operations (2 per MAC) per byte moved: the x axis of a roofline."""
        return 2 * self.macs / (self.weight_bytes + self.input_bytes + self.output_bytes)


def layer_costs(model: nn.Module, example: Tensor) -> list[LayerCost]:
    """Count the cost of every Conv1d, Conv2d, ConvTranspose2d and Linear for one batch, in the order they run.

    Biases, activations, normalisation, pooling, additions and all other layers are not counted, nor are `F.linear` and
    `nn.MultiheadAttention`, which call no such layer. Padding counts like any input, and a zero weight like any
    weight, because dense kernels multiply by both. A layer that runs twice is listed twice.

    Args:
        model: in any mode; it runs once, in evaluation mode.
        example: the model's input, [N, ...]; the costs are for all N.
    """
    costs, hooks = [], []
    # A compiled model may skip hooks; the original model inside it does the same work.
    model = getattr(model, "_orig_mod", model)
    for name, module in model.named_modules():
        if isinstance(module, COUNTED):

            def hook(module, args, kwargs, output, name=name):
                costs.append(_cost(name, module, (*args, *kwargs.values())[0], output))

            hooks.append(module.register_forward_hook(hook, with_kwargs=True))
    try:
        with inference(model):
            model(tree_map_only(Tensor, Tensor.clone, example))  # the model may change its input in place
    finally:
        for hook in hooks:
            hook.remove()
    return costs


def macs(model: nn.Module, example: Tensor) -> int:
    """Sum the multiply-accumulates of `layer_costs` over the whole batch; for one picture, pass [1, 3, 32, 32]."""
    return sum(cost.macs for cost in layer_costs(model, example))


def _cost(name: str, module: nn.Module, source: Tensor, output: Tensor) -> LayerCost:
    # Each output is a dot product with one row of the weight; in a transposed layer, each input multiplies one row.
    dots = source if isinstance(module, nn.ConvTranspose2d) else output
    work = dots.numel() * module.weight.shape[1:].numel()
    weight_bytes = module.weight.nbytes + (0 if module.bias is None else module.bias.nbytes)
    kind, shape = type(module).__name__, tuple(output.shape)
    return LayerCost(name, kind, work, weight_bytes, source.nbytes, output.nbytes, shape)
