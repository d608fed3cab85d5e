"""Lesson 03: learning rates."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    3,
    "Learning rates",
    chapter="Training",
    minutes=70,
    summary="Race thirteen schedules; match the article's recipe in a third of the epochs.",
)
