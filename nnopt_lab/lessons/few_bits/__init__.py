"""Lesson 06: few bits."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    6,
    "Few bits",
    chapter="Quantisation",
    minutes=45,
    summary="Recover the accuracy lost at 4, 3 and 2 bits, after and during training; train with integers only.",
)
