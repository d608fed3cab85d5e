"""Playgrounds: move a control, see what changes. One module a lesson."""

from nnopt_lab.course.playgrounds.batch_sizes import batch_playground
from nnopt_lab.course.playgrounds.choosing import front_playground
from nnopt_lab.course.playgrounds.convolutions import convolution_playground
from nnopt_lab.course.playgrounds.distillation import distillation_playground
from nnopt_lab.course.playgrounds.hardware import roofline_playground
from nnopt_lab.course.playgrounds.integers_by_hand import quantization_playground
from nnopt_lab.course.playgrounds.layer import layer_playground
from nnopt_lab.course.playgrounds.learning_rates import learning_rate_playground
from nnopt_lab.course.playgrounds.mixed_precision import precision_playground
from nnopt_lab.course.playgrounds.parallelism import scaling_playground
from nnopt_lab.course.playgrounds.playground import Playground
from nnopt_lab.course.playgrounds.pruning import pruning_playground

__all__ = [
    "Playground",
    "batch_playground",
    "convolution_playground",
    "distillation_playground",
    "front_playground",
    "layer_playground",
    "learning_rate_playground",
    "precision_playground",
    "pruning_playground",
    "quantization_playground",
    "roofline_playground",
    "scaling_playground",
]
