"""What makes lessons run: exercises and their checks, cards, predictions, progress, and the notebooks' builder."""
