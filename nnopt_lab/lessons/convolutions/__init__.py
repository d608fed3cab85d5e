"""Lesson 02: convolutions."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    2,
    "Convolutions",
    chapter="Structure",
    minutes=70,
    summary="Vary the number of kernels, their size and the number of layers, and measure five kinds of cost; "
    "find out why MACs are not time.",
)
