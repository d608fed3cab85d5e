"""Round a model's activations to the grids that calibration chose."""

from collections.abc import Mapping

from torch import nn

from nnopt_lab.techniques.quantization.grids import Grid
from nnopt_lab.techniques.quantization.rounding import fake_quantize


def round_activations(model: nn.Module, grids: Mapping[str, Grid]) -> nn.Module:
    """Make layers round their outputs to grids; the outputs stay floats.

    Args:
        model: is changed.
        grids: by the layers' names, as `activation_ranges.calibrate` returns them; the input's is not used.

    Returns:
        The model.

    Raises:
        AttributeError: the model has no layer of a name.
    """
    for name, grid in grids.items():
        if name != "input":
            layer = model.get_submodule(name)
            layer.register_forward_hook(lambda _, inputs, output, grid=grid: fake_quantize(output, grid))
    return model
