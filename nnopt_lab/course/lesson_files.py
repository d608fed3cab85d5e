"""Find a lesson's source and notebooks, and the lesson that a name means."""

import json
from pathlib import Path

from nnopt_lab.workbench.language import _
from nnopt_lab.workbench.paths import root


def lesson_names() -> list[str]:
    """Names of the lessons that have a source or, in a learner's kit, a notebook, in order."""
    found = (*(root() / "solutions").glob("[0-9][0-9]_*.py"), *(root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    return sorted({path.stem for path in found})


def find_lesson(text: str) -> str:
    """Find the lesson that `01_pruning`, `01`, `1`, `pruning` or its file name means.

    Raises:
        ValueError: there is no such lesson, or more than one.
    """
    wanted = Path(text).stem
    names = lesson_names()
    found = [n for n in names if wanted == n] or [
        n for n in names if wanted in (n[3:], n[:2]) or (wanted.isdecimal() and int(wanted) == int(n[:2]))
    ]
    if len(found) != 1:
        refused = _("lesson={given} is not a lesson; there are:", given=repr(text))
        raise ValueError("\n  ".join([refused, *names]))
    return found[0]


def notebook_text(notebook: dict) -> str:
    """The content of a notebook's file."""
    text = json.dumps(notebook, ensure_ascii=False, indent=1)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a character, as in a damaged paste
        text = json.dumps(notebook, indent=1)
    return text + "\n"


def read_notebook(path: Path):
    """Read one of the course's notebooks with nbformat.

    Raises:
        OSError: it can't be read.
        ValueError: it is not a notebook.
    """
    import nbformat  # on use, because its schemas take longer to load than torch

    try:
        return nbformat.read(path, as_version=4)
    except OSError:
        raise
    except Exception as error:  # nbformat raises many types of errors for files that are not notebooks
        raise ValueError(f"{path} is damaged: rebuild it with nnopt build {path.stem}.") from error


def paths(lesson: str) -> dict[bool, Path]:
    """Paths of a lesson's notebooks: {True: solved, False: learner's}."""
    return {True: root() / "solutions" / f"{lesson}.ipynb", False: root() / "notebooks" / f"{lesson}.ipynb"}
