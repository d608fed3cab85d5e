"""Record a learner's points for entries in the progress file."""

from collections.abc import Iterable
from pathlib import Path

from nnopt_lab.course import record
from nnopt_lab.grading.capstone.leaderboard import DIVISIONS, Leaderboard


def note(board: Leaderboard, paths: Iterable[Path], folder: Path | None = None) -> None:
    """Record the points of the files at these paths; the highest points ever earned in each division are kept.

    Args:
        board: the files' leaderboard; refused files and the course's own earn nothing.
        paths: of the learner's files, as passed to `judge`.
        folder: the workspace; default the notebook's.
    """
    yours = {Path(path).absolute() for path in paths}
    entries = [entry for entry in board.measured if entry.path in yours and not entry.ours]
    for division in DIVISIONS:
        points = max((board.points(entry.name, division) for entry in entries), default=0.0)
        if points > 0:
            record.note_entry(division, points, folder)
