"""Record the inputs and outputs of a model's layers."""

from collections.abc import Iterable

from torch import Tensor, nn

from nnopt_lab.techniques.quantization.layers import QUANTIZABLE
from nnopt_lab.workbench.measure import inference


def record_activations(
    model: nn.Module, batch: Tensor, names: Iterable[str] | None = None
) -> dict[str, tuple[Tensor, Tensor]]:
    """Record what convolutions and linear layers read and write while `batch` runs through the model, in running order.

    Args:
        model: in any mode; it runs in evaluation mode.
        batch: inputs [N, …].
        names: of the layers, as in `model.named_modules()`; all of them where it is None.

    Returns:
        (input, output) of each layer's first run, by its name.
    """
    seen, hooks = {}, []
    for name, layer in model.named_modules():
        if isinstance(layer, QUANTIZABLE) and (names is None or name in names):

            def record(layer, inputs, output, name=name):
                seen.setdefault(name, (inputs[0], output))

            hooks.append(layer.register_forward_hook(record))
    try:
        with inference(model):
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    # Made again outside inference mode, so that autograd may meet them.
    return {name: (read.clone(), written.clone()) for name, (read, written) in seen.items()}
