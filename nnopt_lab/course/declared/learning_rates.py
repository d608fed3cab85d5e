"""Exercises and questions of lesson 03: schedules, and where to start."""

LESSON = "03_learning_rates"
