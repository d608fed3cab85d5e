"""Lesson 05: integers by hand."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    5,
    "Integers by hand",
    chapter="Quantisation",
    minutes=65,
    summary="Put weights and activations on grids; run a whole network without a float.",
)
