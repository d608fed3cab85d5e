"""The capstone: one ONNX file that classifies clothes, judged by size, accuracy and latency relative to the baseline.

There are three divisions: the smallest and the fastest file with an accuracy of at least `FLOOR`, and the most accurate
file of at most `BYTES`. `judge` returns a `Leaderboard` of `Entry`s.
"""

from nnopt_lab.grading.capstone.earned import note
from nnopt_lab.grading.capstone.entry import BATCHES, BYTES, FLOOR, Entry
from nnopt_lab.grading.capstone.judging import LIMITS, judge
from nnopt_lab.grading.capstone.leaderboard import DIVISIONS, Division, Leaderboard

__all__ = ["BATCHES", "BYTES", "DIVISIONS", "FLOOR", "LIMITS", "Division", "Entry", "Leaderboard", "judge", "note"]
