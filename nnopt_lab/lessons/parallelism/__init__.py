"""Lesson 08: parallelism."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(8, "Parallelism", minutes=60)
