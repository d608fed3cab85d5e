"""Lesson 01: pruning."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(1, "Pruning", minutes=60)
