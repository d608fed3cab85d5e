"""The current lesson of this kernel: claims and predictions are recorded under its name."""

from nnopt_lab.workbench.language import enter_lesson

_lesson = "00_start_here"


def current_lesson() -> str:
    """The name of the lesson opened last, such as "01_pruning"."""
    return _lesson


def enter(lesson: str) -> None:
    """Make a lesson the current one."""
    global _lesson
    _lesson = lesson
    enter_lesson(lesson)
