"""Lesson 06: few bits."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(6, "Few bits", minutes=75)
