"""Lesson 09: distillation."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    9,
    "Distillation",
    chapter="Distillation and parallelism",
    minutes=60,
    summary="Train a small network on a large one's outputs, without any label; distinguish a gain from luck.",
)
