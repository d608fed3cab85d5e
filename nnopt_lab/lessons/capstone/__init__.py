"""Lesson 12: capstone."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(12, "Capstone", minutes=90)
