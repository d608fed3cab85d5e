"""Lesson 12: hardware."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(12, "Hardware", minutes=60)
