"""Lesson 04: batch sizes."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    4,
    "Batch sizes",
    chapter="Training",
    minutes=60,
    summary="Find the fastest batch size and the one that trains best; change it during training.",
)
