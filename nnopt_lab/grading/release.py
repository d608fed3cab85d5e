"""Write the learner's kit: notebooks, library and data without solutions, and for an assignment points and due date."""

import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import nbformat

from nnopt_lab.course.exercises import Exercise, Question, cell_id, exercises, lesson_points, questions
from nnopt_lab.course.lesson_files import find_lesson, paths, read_notebook
from nnopt_lab.course.workspace import originals
from nnopt_lab.grading.kit_files import write_data, write_package, write_project, write_readme
from nnopt_lab.grading.lateness import policy
from nnopt_lab.workbench.files import make_folder, naming
from nnopt_lab.workbench.paths import in_kit, root

_NBGRADER = 3  # version of its cells' metadata


def write_kit(folder: Path, lessons: Iterable[str] | None = None, due: str | None = None) -> list[str]:
    """Write a kit into a new or empty folder.

    Args:
        folder: new or empty.
        lessons: of the assignment; default all lessons, and no assignment.
        due: date and time, ISO format; stored in the notebooks for the learner to see.

    Returns:
        The lessons in the kit.

    Raises:
        ValueError: a lesson is unknown, the date can't be parsed, the folder is not empty, or this is not a clone.
        OSError: the kit can't be written; nothing of it is left then.
    """
    if in_kit():
        raise ValueError("A kit needs a clone of the project; this is itself a kit.")
    if not (root() / "pyproject.toml").is_file():
        raise ValueError("A kit needs a clone of the project; this is an installed package.")
    if folder.exists() and any(make_folder(folder).iterdir()):
        raise ValueError(f"{folder} is not empty: name a new folder.")
    every = [path.stem for path in originals()]
    names = every if lessons is None else sorted({find_lesson(text) for text in lessons})
    when = policy("none", due).due
    notebooks = {name: read_notebook(paths(name)[False]) for name in names}
    for name, notebook in notebooks.items():
        _mark(name, notebook, {"due": when.isoformat() if when else None} if lessons is not None else None)
    make_folder(folder)
    try:
        with naming(folder):
            _write(folder, notebooks, when)
    except BaseException:  # otherwise the next try would find a folder that is not empty
        for path in folder.iterdir():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
        raise
    return names


def _write(folder: Path, notebooks: dict[str, nbformat.NotebookNode], due: datetime | None) -> None:
    write_package(folder, list(notebooks), due)
    write_readme(folder, list(notebooks), due)
    write_project(folder)
    write_data(folder)
    (folder / "notebooks").mkdir()
    for name, notebook in notebooks.items():
        nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")


def _mark(lesson: str, notebook, assignment: dict | None) -> None:
    """Add points and due date for the learner, and nbgrader's metadata, with which a JupyterHub collects notebooks."""
    if assignment is not None:
        notebook.metadata["nnopt"] = {"lesson": lesson, "points": lesson_points(lesson)} | assignment
    items: dict[str, Exercise | Question] = {cell_id("exercise", id): item for id, item in exercises(lesson).items()}
    items |= {cell_id("question", id): item for id, item in questions(lesson).items()}
    for cell in notebook.cells:
        answer = items.get(cell.id)
        # Manually graded for nbgrader, which otherwise gives all points for a cell that runs without an error.
        cell.metadata["nbgrader"] = {
            "schema_version": _NBGRADER,
            "grade_id": cell.id,
            "cell_type": cell.cell_type,
            "grade": answer is not None,
            "solution": answer is not None,
            "locked": answer is None,
            "task": False,
        } | ({"points": answer.points} if answer else {})
        if answer is not None:
            cell.metadata["nnopt"] = {"points": answer.points}
