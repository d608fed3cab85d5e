"""Lesson 10: parallelism."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(10, "Parallelism", minutes=60)
