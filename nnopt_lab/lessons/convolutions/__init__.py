"""Lesson 02: convolutions."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(2, "Convolutions", minutes=60)
