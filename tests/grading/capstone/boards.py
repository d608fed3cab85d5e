"""A leaderboard that nothing was judged for."""

import torch

from nnopt_lab.grading.capstone import BATCHES, Entry, Leaderboard
from nnopt_lab.workbench import measure


def entry(name, size, right, speed=1.0, ours=False):
    """An entry of `size` bytes with `right` of 1,000 pictures right, `speed` times as fast as the baseline."""
    timings = {batch: (measure.Timing((speed,) * 6, batch), measure.Timing((1.0,) * 6, batch)) for batch in BATCHES}
    return Entry(name, size, "", torch.arange(1000) < right, timings, ours)


BOARD = Leaderboard(
    (
        entry("baseline", 1_000_000, 889, ours=True),
        entry("our small one", 10_001, 890, 0.5, ours=True),
        entry("our fast one", 100_000, 889, 16.0, ours=True),
        entry("our exact one", 9_999, 909, 0.5, ours=True),
        entry("halfway", 100_000, 899, 4.0),
        entry("smaller", 1_000, 885, 0.1),
        entry("wrong", 500, 600, 100.0),
    )
)
