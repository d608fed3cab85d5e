"""Lesson 06: integers for real."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(6, "Integers for real", minutes=45)
