"""Finds submitted files and tells whose they are, from the names that learners and other systems give them."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nnopt_lab.course.lesson import lessons
from nnopt_lab.workbench.text import storable

_CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_\d+_.+")
_MOODLE = re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)(?:_.*)?")


@dataclass(frozen=True)
class Source:
    """A submitted file and its learner.

    Attributes:
        path: of the file.
        name: the path relative to the given folder, as it is shown; like `learner`, text that UTF-8 can hold.
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

    A file in a folder of the given one is that folder's learner's, whatever the file is called: learners choose the
    names of files. The same holds where several folders are given (`handed-in/*`), unless all that lies in them bears
    the names of a system's download.

    Raises:
        FileNotFoundError: a path does not exist, or no notebook is in any of them.
    """
    found: dict[str, tuple[Path, Path, Path]] = {}
    # The outermost first: a file that lies in several of them is read as part of that one.
    for path in sorted(map(Path, paths), key=lambda path: len(Path(os.path.abspath(path)).parts)):
        if not os.path.lexists(path):
            raise FileNotFoundError(f"{path} does not exist.")
        if path.is_dir():
            for file in sorted(_notebooks_in(path)):
                found.setdefault(os.path.abspath(file), (file, file.relative_to(path), path))
        else:
            found.setdefault(os.path.abspath(path), (path, Path(path.name), path.parent))
    if not found:
        raise FileNotFoundError(f"There is no .ipynb file in {', '.join(map(str, paths))}.")
    own = _is_folder_per_learner(found.values())
    return [_source(file, below, Path(os.path.abspath(given)).name, own) for file, below, given in found.values()]


def lesson_in(stem: str) -> str:
    """The lesson whose name is part of a file's, or ""."""
    return next((lesson for lesson in lessons() if lesson in stem), "")


def _notebooks_in(folder: Path) -> Iterable[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        # A folder with such a name, or a link to one, is no notebook; reading it tells its learner so.
        yield from (Path(place, name) for name in (*files, *folders) if name.endswith(".ipynb") and name[0] != ".")


def _is_folder_per_learner(found: Iterable[tuple[Path, Path, Path]]) -> bool:
    """Whether the given folders are the learners' own, so that the names of files in them say nothing."""
    given = {os.path.abspath(folder) for _, _, folder in found}
    return len(given) > 1 and not all(_named_by_system(below.parts[0]) for _, below, _ in found)


def _named_by_system(name: str) -> tuple[str, str, str, bool] | None:
    """(learner, system, number, late) in a name that a learning platform gave a file or folder."""
    stem = name.removesuffix(".ipynb")
    # A Canvas name may hold what looks like a Moodle name, since it ends with the name that the learner chose.
    for system, pattern in (("canvas", _CANVAS), ("moodle", _MOODLE)):
        if named := pattern.fullmatch(stem):
            return named["name"], system, named["id"], bool(named.groupdict().get("late"))
    return None


def _source(path: Path, below: Path, given: str, folder_is_learner: bool) -> Source:
    alone = len(below.parts) == 1
    if alone and folder_is_learner:
        named = _named_by_system(given) or (given, "", "", False)
    else:
        top = below.parts[0]
        named = _named_by_system(top) or ((_learner_in(path.stem) or given) if alone else top, "", "", False)
    learner, *rest = named
    return Source(path, storable(str(below)), storable(learner), *rest)


def _learner_in(stem: str) -> str:
    """A file's name without the lesson's: "alice" of "alice_01_pruning", "" of "01_pruning"."""
    lesson = lesson_in(stem)
    return stem.replace(lesson, "").strip("_- .") if lesson else stem
