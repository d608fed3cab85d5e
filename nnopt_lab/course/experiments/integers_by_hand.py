"""Lesson 05's experiments: bits after training and in training, and the smallest file."""
