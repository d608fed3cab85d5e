"""Lesson 15: capstone."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    15,
    "Capstone",
    chapter="Putting it together",
    minutes=80,
    summary="Hand in one ONNX file, as small, fast or accurate as you can, and find your place on the leaderboard.",
)
