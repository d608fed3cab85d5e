"""Describe how a result differs from the expected one, and which common mistake that looks like."""

from nnopt_lab.course.differences.comparison import agree, clue, difference, in_part
from nnopt_lab.course.differences.exact import gap
from nnopt_lab.course.differences.marks import RIGHT, WRONG, first_difference, side_by_side
from nnopt_lab.course.differences.tensors import INVERTED
from nnopt_lab.course.differences.values import as_wanted, comparable, count_values, size

__all__ = [
    "INVERTED",
    "RIGHT",
    "WRONG",
    "agree",
    "as_wanted",
    "clue",
    "comparable",
    "count_values",
    "difference",
    "first_difference",
    "gap",
    "in_part",
    "side_by_side",
    "size",
]
