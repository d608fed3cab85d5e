"""Quantisation: integers for weights and activations.

The article's section 3.3.1. A real number is stored as an integer q in [low, high] that represents
scale · (q − zero_point). Available here:

- `grids`: the grid for a range or a tensor;
- `rounding`: rounding to a grid and back, with a straight-through gradient, and the noise it adds;
- `powers_of_two`: weights whose products are shifts;
- `layers`: quantising the weights of a whole model.

Other modules are imported by name: `observers` and `activation_ranges` (ranges of activations), `activation_rounding`,
`activations` (recording), `post_training`, `qat` (quantization-aware training) and its `quantizers`,
`deep_compression`, `integer_network` and its parts, `integer_training`, and `precision` (floating-point formats).
"""

from nnopt_lab.techniques.quantization.grids import Grid, grid_of, grid_of_range, integer_range
from nnopt_lab.techniques.quantization.layers import QUANTIZABLE, quantize_weights
from nnopt_lab.techniques.quantization.powers_of_two import power_of_two
from nnopt_lab.techniques.quantization.rounding import dequantize, fake_quantize, quantize, signal_to_noise

__all__ = [
    "QUANTIZABLE",
    "Grid",
    "dequantize",
    "fake_quantize",
    "grid_of",
    "grid_of_range",
    "integer_range",
    "power_of_two",
    "quantize",
    "quantize_weights",
    "signal_to_noise",
]
