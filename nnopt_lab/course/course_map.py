"""The course map: the lessons with the points earned in each."""

from pathlib import Path

from nnopt_lab.course import record
from nnopt_lab.course.exercises import earned_points, lesson_points
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.lesson_progress import LessonProgress, capstone_row
from nnopt_lab.course.session import current_lesson
from nnopt_lab.course.workspace import workspace
from nnopt_lab.workbench.language import _


class CourseMap:
    """The published lessons with the points earned in each, as lines of text.

    Attributes:
        rows: (name, title, points earned, points possible) per lesson.
    """

    def __init__(self, contents: dict):
        self.rows = [
            (name, lesson.title, earned_points(contents, name), lesson_points(name))
            for name, lesson in lessons().items()
            if lesson_points(name) and not lesson.draft
        ]
        self.rows += capstone_row(contents)

    def __repr__(self) -> str:
        width = max(len(name) for name, *_ in self.rows)
        lines = []
        for name, _title, earned, points in self.rows:
            told = _("{earned} of {points} points", earned=f"{earned:>3}", points=points)
            lines.append(f"{name:<{width}}  {_bar(earned, points)}  {told}")
        return "\n".join(lines)


def course_map(folder: Path) -> CourseMap:
    """The course map with the points earned in a workspace."""
    return CourseMap(record.read(folder))


def progress() -> LessonProgress:
    """Show the points of this lesson, what is still open in it, and the way on."""
    return LessonProgress(current_lesson(), workspace())


def _bar(earned: int, points: int, width: int = 20) -> str:
    full = width * earned // points
    return "█" * full + "░" * (width - full)
