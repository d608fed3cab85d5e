"""Lesson 01: pruning."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    1,
    "Pruning",
    chapter="Structure",
    minutes=65,
    summary="Remove nine tenths of the weights in levels, then whole filters; measure the accuracy and speed of each.",
)
