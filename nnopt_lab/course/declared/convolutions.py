"""Exercises and questions of lesson 02: the price of a kernel, and cheaper ways to the same picture."""

LESSON = "02_convolutions"
