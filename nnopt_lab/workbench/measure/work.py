"""Count what a network computes and moves: multiply-accumulates and bytes, layer by layer."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from nnopt_lab.workbench.measure.modes import inference

COUNTED = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class LayerCost(NamedTuple):
    """One call of one layer: its multiply-accumulates (MACs), and the bytes it must read and write at the least."""

    name: str
    kind: str
    macs: int
    weight_bytes: int  # with the bias
    input_bytes: int
    output_bytes: int
    output_shape: tuple[int, ...]

    @property
    def intensity(self) -> float:
        """Floating-point operations (2 a MAC) per byte moved: the x axis of a roofline."""
        return 2 * self.macs / (self.weight_bytes + self.input_bytes + self.output_bytes)


def layer_costs(model: nn.Module, example: Tensor) -> list[LayerCost]:
    """The cost of every Conv1d, Conv2d, ConvTranspose2d and Linear for one batch, in the order in which they run.

    Not counted: biases, activations, normalisation, pooling, additions, functions such as `F.linear` and
    `nn.MultiheadAttention`, which call no such layer, and layers of any other type. Padding counts as any input, and
    a zero weight as any weight: dense kernels multiply by both. A layer that runs twice is listed twice.

    Args:
        model: in any mode; it runs once, in evaluation mode.
        example: what the model takes, [N, ...]; the costs are those of all N.
    """
    costs, hooks = [], []
    # A compiled model runs code in which no hook was called for; the original one beside it does the same work.
    model = getattr(model, "_orig_mod", model)
    for name, module in model.named_modules():
        if isinstance(module, COUNTED):

            def hook(module, args, kwargs, output, name=name):
                costs.append(_cost(name, module, (*args, *kwargs.values())[0], output))

            hooks.append(module.register_forward_hook(hook, with_kwargs=True))
    try:
        with inference(model):
            model(tree_map_only(Tensor, Tensor.clone, example))  # it may change its input in place
    finally:
        for hook in hooks:
            hook.remove()
    return costs


def macs(model: nn.Module, example: Tensor) -> int:
    """Multiply-accumulates of `layer_costs` for the whole batch given: for one picture give [1, 3, 32, 32]."""
    return sum(cost.macs for cost in layer_costs(model, example))


def _cost(name: str, module: nn.Module, source: Tensor, output: Tensor) -> LayerCost:
    # Each output is a dot product with one row of the weight; transposed, each input is spread with one row.
    dots = source if isinstance(module, nn.ConvTranspose2d) else output
    work = dots.numel() * module.weight.shape[1:].numel()
    weight_bytes = module.weight.nbytes + (0 if module.bias is None else module.bias.nbytes)
    kind, shape = type(module).__name__, tuple(output.shape)
    return LayerCost(name, kind, work, weight_bytes, source.nbytes, output.nbytes, shape)
