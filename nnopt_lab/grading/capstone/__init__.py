"""The capstone: one ONNX file for the course's clothes, judged by size, accuracy and latency against the baseline's.

Three divisions: the smallest file and the fastest one that still reach `FLOOR`, and the most accurate one of at most
`BYTES`. `judge` makes a `Leaderboard` of `Entry`s.
"""

from nnopt_lab.grading.capstone.earned import note
from nnopt_lab.grading.capstone.entry import BATCHES, BYTES, FLOOR, Entry
from nnopt_lab.grading.capstone.judging import LIMITS, judge
from nnopt_lab.grading.capstone.leaderboard import DIVISIONS, Division, Leaderboard

__all__ = ["BATCHES", "BYTES", "DIVISIONS", "FLOOR", "LIMITS", "Division", "Entry", "Leaderboard", "judge", "note"]
