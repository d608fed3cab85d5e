"""Exercises and questions of lesson 06: engines with integer kernels, and what they gain."""

LESSON = "06_integers_for_real"
