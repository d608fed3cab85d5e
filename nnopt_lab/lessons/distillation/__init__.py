"""Lesson 07: distillation."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(7, "Distillation", minutes=60)
