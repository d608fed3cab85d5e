"""Exercises and questions of lesson 04: how many pictures a step, and when to change it."""

LESSON = "04_batch_sizes"
