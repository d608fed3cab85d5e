"""Lesson 14: choosing automatically."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(14, "Choosing automatically", minutes=60)
