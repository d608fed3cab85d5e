"""The course map: the lessons with the points earned in each."""

import html
from pathlib import Path

from nnopt_lab.course import record
from nnopt_lab.course.exercises import exercises, lesson_points, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.session import current_lesson
from nnopt_lab.course.workspace import START_PAGE, workspace

LIGHT = "▰▱"  # marks of a bar in a table
GREEN = "#00805d"  # can be seen on light and dark pages


class CourseMap:
    """The published lessons with the points earned in each; a table in a notebook, lines of text elsewhere."""

    def __init__(self, contents: dict, folder: Path | None = None):
        self.folder = folder
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
        left = 'style="text-align:left"'
        rows = "".join(
            f"<tr><td>{'✔' if earned >= points else ''}</td>"
            f"<td {left}>{self._link(f'{name}.ipynb', f'{name[:2]} {title}')}</td>"
            f'<td {left}><span aria-hidden="true" style="color:{GREEN}">{_bar(earned, points, "▰▱")}</span></td>'
            f"<td>{earned} of {points}</td></tr>"
            for name, title, earned, points in self.rows
        )
        heads = f'<th scope="col"></th><th scope="col" {left}>lesson</th><th scope="col" colspan="2" {left}>points</th>'
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{self._links()}"

    def _links(self) -> str:
        """Links to the next lesson and to the start page, as far as the workspace has them."""
        names = [name for name, *_ in self.rows]
        here = names.index(current_lesson()) if current_lesson() in names else len(names)
        targets = {f"{name}.ipynb": f"Next: {name[:2]} {title}" for name, title, *_ in self.rows[here + 1 : here + 2]}
        targets[START_PAGE] = "The course map, and what is new"
        links = [self._link(target, text) for target, text in targets.items()]
        return "".join(f"<div>{link}</div>" for link in links if link.startswith("<a"))

    def _link(self, target: str, text: str) -> str:
        exists = self.folder is not None and (self.folder / target).is_file()
        return f'<a href="{html.escape(target)}">{html.escape(text)}</a>' if exists else html.escape(text)


def progress(folder: Path | None = None) -> CourseMap:
    """Show the course map with the points earned so far, from a workspace (default the learner's own)."""
    folder = folder or workspace()
    return CourseMap(record.read(folder), folder)


def _earned(contents: dict, lesson: str) -> int:
    items = {**exercises(lesson), **questions(lesson)}
    done = {**contents["exercises"], **contents["questions"]}
    return sum(items[id].points for id, entry in done.items() if id in items and entry.get("passed"))


def _bar(earned: int, points: int, marks: str = "█░", width: int = 20) -> str:
    full = width * earned // points
    return marks[0] * full + marks[1] * (width - full)
