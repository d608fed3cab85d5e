"""Lesson 07: small files."""

from nnopt_lab.course.lesson import Lesson

LESSON = Lesson(
    7,
    "Small files",
    chapter="Quantisation",
    minutes=45,
    summary="Prune, share and code the network into its smallest file; find out what that size really costs.",
)
