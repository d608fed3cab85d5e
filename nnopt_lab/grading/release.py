"""Write the learner's kit: notebooks, library and data without solutions, and for an assignment points and due date."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import nbformat

from nnopt_lab.course.exercises import Exercise, Question, cell_id, exercises, lesson_points, questions
from nnopt_lab.course.lesson_files import find_lesson, paths, read_notebook
from nnopt_lab.course.workspace import originals
from nnopt_lab.grading.kit_files import write_data, write_package, write_project, write_readme
from nnopt_lab.grading.lateness import policy
from nnopt_lab.workbench.files import make_folder, naming
from nnopt_lab.workbench.language import ENGLISH, known_language, languages
from nnopt_lab.workbench.paths import in_kit, root

_NBGRADER = 3  # version of its cells' metadata


def write_kit(
    folder: Path, lessons: Iterable[str] | None = None, due: str | None = None, language: str = ENGLISH
) -> list[str]:
    """Write a kit into a new or empty folder.

    Args:
        folder: new or empty.
        lessons: of the assignment; default all lessons, and no assignment.
        due: date and time, ISO format; stored in the notebooks for the learner to see.
        language: in which the kit speaks, and its README is written. The notebooks are there in every language.

    Returns:
        The lessons in the kit.

    Raises:
        ValueError: a lesson or the language is unknown, the date can't be parsed, the folder is not empty, or this is
            not a clone.
        OSError: the kit can't be written; nothing of it is left then.
    """
    if in_kit():
        raise ValueError("A kit needs a clone of the project; this is itself a kit.")
    if not (root() / "pyproject.toml").is_file():
        raise ValueError("A kit needs a clone of the project; this is an installed package.")
    if folder.exists() and any(make_folder(folder).iterdir()):
        raise ValueError(f"{folder} is not empty: name a new folder.")
    language = known_language(language)
    every = [path.stem for path in originals()]
    names = every if lessons is None else sorted({find_lesson(text) for text in lessons})
    when = policy("none", due).due
    notebooks = {f"{name}.ipynb": read_notebook(paths(name)[False]) for name in names}
    for path in (root() / "notebooks").glob("*/*.ipynb"):
        if path.stem in names and path.parent.name in languages():
            notebooks[f"{path.parent.name}/{path.name}"] = read_notebook(path)
    for file, notebook in notebooks.items():
        _mark(Path(file).stem, notebook, {"due": when.isoformat() if when else None} if lessons is not None else None)
    make_folder(folder)
    try:
        with naming(folder):
            write_package(folder, names, when, language)
            write_readme(folder, names, when, language)
            write_project(folder)
            write_data(folder)
            _write_notebooks(folder / "notebooks", notebooks)
    except BaseException:  # otherwise the next try would find a folder that is not empty
        for path in folder.iterdir():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
        raise
    return names


def _write_notebooks(folder: Path, notebooks: dict[str, nbformat.NotebookNode]) -> None:
    for name, notebook in notebooks.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, folder / name)


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
