"""The machinery of lessons: exercises and their checks, cards, predictions, progress, and the notebooks' builder."""
