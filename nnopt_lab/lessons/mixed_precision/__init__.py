"""Lesson 11: mixed precision."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    11,
    "Mixed precision",
    chapter="Hardware",
    minutes=80,
    summary="Take floats apart into bits; watch gradients vanish and weights stall in 16 bits, and fix both.",
)
