"""Lesson 04: batch sizes."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(4, "Batch sizes", minutes=60)
