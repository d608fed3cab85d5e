"""Lesson 10: hardware."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(10, "Hardware", minutes=60)
