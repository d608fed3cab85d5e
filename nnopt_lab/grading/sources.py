"""Finds submitted files and tells whose they are, from the names that learners and other systems give them."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nnopt_lab.course.lesson import lessons

_CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_\d+_.+")
_MOODLE = re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)(?:_.*)?")


@dataclass(frozen=True)
class Source:
    """A submitted file and its learner.

    Attributes:
        path: of the file.
        name: the path relative to the given folder, as it is shown.
        learner: from the folder's or the file's name.
        system: "canvas", "moodle" or "": the system that names its downloads like this.
        number: the learner's number in that system, or "".
        late: whether the system marked it as late.
    """

    path: Path
    name: str
    learner: str
    system: str = ""
    number: str = ""
    late: bool = False


def find(paths: Iterable[Path]) -> list[Source]:
    """The submitted files in files and folders, in the order of their names; a file given twice counts once.

    Raises:
        FileNotFoundError: a path does not exist, or no notebook is in any of them.
    """
    found: dict[str, Source] = {}
    for path in map(Path, paths):
        if not os.path.lexists(path):
            raise FileNotFoundError(f"{path} does not exist.")
        if path.is_dir():
            for file in sorted(_notebooks_in(path)):
                found.setdefault(os.path.abspath(file), _source(file, file.relative_to(path), path))
        else:
            parent = Path(os.path.abspath(path)).parent
            found.setdefault(os.path.abspath(path), _source(path, Path(path.name), parent))
    if not found:
        raise FileNotFoundError(f"There is no .ipynb file in {', '.join(map(str, paths))}.")
    return list(found.values())


def lesson_in(stem: str) -> str:
    """The lesson whose name is part of a file's, or ""."""
    return next((lesson for lesson in lessons() if lesson in stem), "")


def _notebooks_in(folder: Path) -> Iterable[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        # A folder with such a name, or a link to one, is no notebook; reading it tells its learner so.
        yield from (Path(place, name) for name in (*files, *folders) if name.endswith(".ipynb") and name[0] != ".")


def _source(path: Path, below: Path, given: Path) -> Source:
    for part in below.parts:
        stem = part.removesuffix(".ipynb")
        for system, pattern in (("moodle", _MOODLE), ("canvas", _CANVAS)):
            if named := pattern.fullmatch(stem):
                late = bool(named.groupdict().get("late"))
                return Source(path, str(below), named["name"], system, named["id"], late)
    if len(below.parts) > 1:
        return Source(path, str(below), below.parts[0])
    return Source(path, str(below), _learner_in(path.stem) or Path(os.path.abspath(given)).name)


def _learner_in(stem: str) -> str:
    """A file's name without the lesson's: "alice" of "alice_01_pruning", "" of "01_pruning"."""
    lesson = lesson_in(stem)
    return stem.replace(lesson, "").strip("_- .") if lesson else stem
