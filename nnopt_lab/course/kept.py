"""What the learner keeps when a later try is wrong, or can't be judged."""

from nnopt_lab.course import record
from nnopt_lab.course.workspace import workspace
from nnopt_lab.workbench.language import counted


def points_of(kind: str, id: str) -> int:
    """The points that an exercise or question has earned so far; the arguments are those of `kept_lines`."""
    return record.read(workspace())[kind].get(id, {}).get("points", 0)


def kept_lines(kind: str, id: str) -> tuple[str, ...]:
    """The line of a card that says which points an earlier try has earned; none without points.

    Args:
        kind: "exercises" or "questions".
        id: of the exercise or question.
    """
    earned = points_of(kind, id)
    return (counted(earned, "You keep your point.", "You keep your {count} points."),) if earned else ()
