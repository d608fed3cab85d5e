"""Lesson 14: choosing automatically."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    14,
    "Choosing automatically",
    chapter="Putting it together",
    minutes=65,
    summary="Let a search choose techniques, layers and engine; compare it with random search and manual tuning.",
)
