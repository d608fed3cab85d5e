"""Lesson 09: mixed precision."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(9, "Mixed precision", minutes=45)
