"""What a learner has done, in one small file of the workspace: `progress.json`.

The file is written whole, beside its place, and then renamed into it, so that it is never half a file. One that can't
be read is set aside under a dated name and a new one begun: nothing is lost, nothing crashes.
"""

import html
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from nnopt_lab.course.exercises import LESSONS, exercises, lesson_points, questions
from nnopt_lab.course.workspace import workspace, write_atomically

FILE = "progress.json"
_EMPTY = {"exercises": {}, "questions": {}, "hints": {}, "predictions": {}, "claims": {}}


def read(folder: Path) -> dict:
    """The contents of a workspace's progress file; empty sections where there is none.

    Returns:
        {"exercises": {id: {"passed", "points", "attempts"}}, "questions": likewise, "hints": {id: number shown},
        "predictions": {name: …}, "claims": {lesson: {text: bool}}}.
    """
    path = Path(folder) / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = {}
    except (ValueError, OSError):
        found = _set_aside(path)
    if not isinstance(found, dict) or not all(isinstance(found.get(key, {}), dict) for key in _EMPTY):
        found = _set_aside(path)
    return {key: found.get(key, {}) for key in _EMPTY}


@contextmanager
def change(folder: Path | None = None) -> Iterator[dict]:
    """The contents, to be changed in place; written when the block ends. Two notebooks may do this at once."""
    folder = Path(folder or workspace())
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{FILE}.lock"):
        contents = read(folder)
        yield contents
        write_atomically(folder / FILE, json.dumps(contents, ensure_ascii=False, indent=1))


def note_attempt(section: str, id: str, passed: bool, points: int, answered: bool = True) -> None:
    """Note one try at an exercise or question; a pass, once earned, is kept."""
    with change() as contents:
        entry = contents[section].setdefault(id, {"passed": False, "points": 0, "attempts": 0})
        entry["attempts"] += answered
        if passed:
            entry |= {"passed": True, "points": points}


class CourseMap:
    """The lessons with the points earned in each; shows itself in a notebook."""

    def __init__(self, contents: dict):
        self.rows = [
            (name, title, _earned(contents, name), lesson_points(name))
            for name, (title, _) in LESSONS.items()
            if lesson_points(name)
        ]

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
    """The course map with the points earned so far."""
    return CourseMap(read(folder or workspace()))


def _earned(contents: dict, lesson: str) -> int:
    items = {**exercises(lesson), **questions(lesson)}
    done = {**contents["exercises"], **contents["questions"]}
    return sum(items[id].points for id, entry in done.items() if id in items and entry.get("passed"))


def _bar(earned: int, points: int, width: int = 20) -> str:
    full = width * earned // points
    return "█" * full + "░" * (width - full)


def _set_aside(path: Path) -> dict:
    kept = path.with_name(f"progress.damaged-{datetime.now():%Y-%m-%d-%H%M%S-%f}.json")
    try:
        os.replace(path, kept)
        print(f"{FILE} could not be read; it was set aside as {kept.name} and a new one begun.")
    except OSError:
        print(f"{FILE} could not be read; your progress of this session is kept in memory only.")
    return {}
