"""Diagrams of the things that the course is about, drawn by code."""

from nnopt_lab.workbench.diagrams.all_reduce import ring_all_reduce
from nnopt_lab.workbench.diagrams.animation import Animation
from nnopt_lab.workbench.diagrams.convolution import convolution_as_product
from nnopt_lab.workbench.diagrams.distillation import distillation
from nnopt_lab.workbench.diagrams.drawing import Drawing
from nnopt_lab.workbench.diagrams.integers import integer_pipeline
from nnopt_lab.workbench.diagrams.network import network
from nnopt_lab.workbench.diagrams.search import search_loop

__all__ = [
    "Animation",
    "Drawing",
    "convolution_as_product",
    "distillation",
    "integer_pipeline",
    "network",
    "ring_all_reduce",
    "search_loop",
]
