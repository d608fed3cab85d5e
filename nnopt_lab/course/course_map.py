"""The course map: the lessons with the points earned in each."""

import html
from pathlib import Path

from nnopt_lab.course import record
from nnopt_lab.course.exercises import exercises, lesson_points, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.workspace import workspace


class CourseMap:
    """The published lessons with the points earned in each; a table in a notebook, lines of text elsewhere."""

    def __init__(self, contents: dict):
        self.rows = [
            (name, lesson.title, _earned(contents, name), lesson_points(name))
            for name, lesson in lessons().items()
            if lesson_points(name) and not lesson.draft
        ]
        if contents["entries"]:  # 10 points in each of three divisions
            earned = int(sum(contents["entries"].values()))
            self.rows.append(("15_capstone entry", "Capstone: your best entries", earned, 30))

    def __repr__(self) -> str:
        width = max(len(name) for name, *_ in self.rows)
        lines = [
            f"{name:<{width}}  {_bar(earned, points)}  {earned:>3} of {points} points"
            for name, _, earned, points in self.rows
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="text-align:left">{name[:2]}</td><td style="text-align:left">{html.escape(title)}</td>'
            '<td style="min-width:14em"><div style="background:var(--jp-layout-color3,#ddd);border-radius:4px">'
            f'<div style="width:{100 * earned // points}%;min-width:2px;height:10px;border-radius:4px;'
            f'background:#009e73"></div></div></td><td>{earned} of {points} points</td></tr>'
            for name, title, earned, points in self.rows
        )
        return f"<table>{rows}</table>"


def progress(folder: Path | None = None) -> CourseMap:
    """Show the course map with the points earned so far, from a workspace (default the learner's own)."""
    return CourseMap(record.read(folder or workspace()))


def _earned(contents: dict, lesson: str) -> int:
    items = {**exercises(lesson), **questions(lesson)}
    done = {**contents["exercises"], **contents["questions"]}
    return sum(items[id].points for id, entry in done.items() if id in items and entry.get("passed"))


def _bar(earned: int, points: int, width: int = 20) -> str:
    full = width * earned // points
    return "█" * full + "░" * (width - full)
