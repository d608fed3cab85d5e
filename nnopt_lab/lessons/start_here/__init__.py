"""Lesson 00: start here."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    0,
    "Start here",
    chapter="Start",
    minutes=40,
    summary="Measure your machine, find thirteen bugs in a typical published program, train the baseline.",
)
