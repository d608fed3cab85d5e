"""Lesson 08: integers for real."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    8,
    "Integers for real",
    chapter="Quantisation",
    minutes=55,
    summary="Run int8 in three engines on one core; find how much of their speed-up is due to the integers.",
)
