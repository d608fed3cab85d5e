"""Post-training quantisation to few bits: three methods that recover accuracy lost by rounding to nearest.

They use no labels and few pictures: cross-layer equalisation needs none, bias correction needs channel means on a
batch, and AdaRound each layer's output on a batch. The grids are those of `quantization`. One module each:
`equalization`, `bias_correction`, `adaptive_rounding`.
"""

from nnopt_lab.techniques.quantization.post_training.adaptive_rounding import ada_round, rectified_sigmoid
from nnopt_lab.techniques.quantization.post_training.bias_correction import correct_biases, output_shift
from nnopt_lab.techniques.quantization.post_training.equalization import equalize, equalizing_factors

__all__ = ["ada_round", "correct_biases", "equalize", "equalizing_factors", "output_shift", "rectified_sigmoid"]
