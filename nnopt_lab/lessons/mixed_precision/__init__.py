"""Lesson 11: mixed precision."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(11, "Mixed precision", minutes=60)
