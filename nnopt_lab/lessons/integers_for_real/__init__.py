"""Lesson 08: integers for real."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(8, "Integers for real", minutes=45)
