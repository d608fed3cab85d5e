"""Lesson 07: small files."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(7, "Small files", minutes=60)
