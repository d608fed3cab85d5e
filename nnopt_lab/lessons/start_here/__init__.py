"""Lesson 00: start here."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(0, "Start here", minutes=20)
