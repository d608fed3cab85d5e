"""Lesson 13: the accelerator."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(13, "The accelerator", minutes=60)
