"""Lesson 11: choosing automatically."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(11, "Choosing automatically", minutes=60)
