"""Lesson 12: hardware."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    12,
    "Hardware",
    chapter="Hardware",
    minutes=70,
    summary="Find your processor's roofline; go from plain torch to its fastest program, step by step.",
)
