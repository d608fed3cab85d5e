"""Lesson 13: the accelerator."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    13,
    "The accelerator",
    chapter="Hardware",
    minutes=70,
    summary="Find out when a GPU waits, from timings of a named card or your own; keep it busy; compare its price.",
)
