"""The grade that everyone must reach, for `nnopt grade --fail-under` in continuous integration."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from nnopt_lab.course.exercises import lesson_points
from nnopt_lab.course.lesson import lessons
from nnopt_lab.grading.grades import Grade
from nnopt_lab.workbench.language import _, counted, translated

_NUMBER = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(%?)", re.ASCII)
_SHOWN = 5
_SLACK = 1e-9  # points are sums of floats


@dataclass(frozen=True)
class Threshold:
    """The least points, or percent of a lesson's points."""

    number: float
    is_percent: bool

    def __str__(self) -> str:
        return f"{self.number:g} %" if self.is_percent else f"{self.number:g} points"

    def passes(self, grade: Grade) -> bool:
        """Whether a grade reaches it."""
        reached = grade.percent if self.is_percent else grade.points
        return reached >= self.number - _SLACK


def parse(text: str, lesson: str | None = None) -> Threshold:
    """Parse a threshold.

    Args:
        text: such as "12" or "12.5" points, or "50%".
        lesson: the lesson that is graded, if one was named; its points are the most that can be asked for.

    Raises:
        ValueError: it is neither, or nobody could reach it.
    """
    found = _NUMBER.fullmatch(text.strip())
    if found is None or not math.isfinite(float(found[1])):
        raise ValueError(f"fail_under={text!r} must be points such as 12, or percent such as 50%.")
    threshold = Threshold(float(found[1]), bool(found[2]))
    most = 100 if threshold.is_percent else max(map(lesson_points, [lesson] if lesson else lessons()))
    if threshold.number > most:
        of = f"{most} %" if threshold.is_percent else f"{most} points, the most that {lesson or 'a lesson'} has"
        raise ValueError(f"fail_under={text!r} must be at most {of}.")
    return threshold


def below(grades: Iterable[Grade], least: Threshold) -> str:
    """A sentence about the grades below a threshold; "" if there are none."""
    grades = list(grades)
    found = sorted((g for g in grades if not least.passes(g)), key=lambda g: (g.percent, g.learner, g.lesson))
    if not found:
        return ""
    names = ", ".join(map(_named, found[:_SHOWN]))
    if len(found) > _SHOWN:
        names = _("{names} and {count} more", names=names, count=len(found) - _SHOWN)
    return counted(
        len(found),
        "{count} of {total} grades is below {limit}: {names}.",
        "{count} of {total} grades are below {limit}: {names}.",
        **{"total": len(grades), "limit": translated(str(least)), "names": names},
    )


def _named(grade: Grade) -> str:
    about = {"name": grade.learner, "points": f"{grade.points:g}", "possible": grade.possible}
    if grade.lesson:
        return _("{name} in {lesson} ({points} of {possible})", **about, lesson=grade.lesson)
    return _("{name} ({points} of {possible})", **about)
