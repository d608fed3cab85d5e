"""Exercises and questions of lesson 05: grids, integer arithmetic, training with integers, small files."""

LESSON = "05_integers_by_hand"
