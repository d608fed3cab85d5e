"""Lesson 01: pruning."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    1,
    "Pruning",
    chapter="Structure",
    minutes=60,
    summary="Remove nine tenths of the weights in levels without losing accuracy; remove filters and double the speed.",
)
