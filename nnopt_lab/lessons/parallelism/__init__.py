"""Lesson 10: parallelism."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    10,
    "Parallelism",
    chapter="Distillation and parallelism",
    minutes=80,
    summary="Use threads, workers and processes, and measure their gains and costs; "
    "kill one of two processes and go on.",
)
