"""Lesson 15: capstone."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(15, "Capstone", minutes=90)
