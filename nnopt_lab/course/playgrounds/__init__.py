"""Playgrounds: move a control, see what changes. One module a lesson."""

from nnopt_lab.course.playgrounds.layer import layer_playground
from nnopt_lab.course.playgrounds.playground import Playground
from nnopt_lab.course.playgrounds.pruning import pruning_playground

__all__ = [
    "Playground",
    "layer_playground",
    "pruning_playground",
]
