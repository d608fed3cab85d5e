"""Lesson 09: distillation."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(9, "Distillation", minutes=60)
