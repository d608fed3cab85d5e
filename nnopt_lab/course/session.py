"""The lesson that this kernel is in: claims and predictions are noted under its name."""

_lesson = "00_start_here"


def current_lesson() -> str:
    """The name of the lesson that was opened last, such as "01_pruning"."""
    return _lesson


def enter(lesson: str) -> None:
    """Make a lesson the current one."""
    global _lesson
    _lesson = lesson
