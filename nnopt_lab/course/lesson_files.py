"""Where a lesson's source and notebooks are, and which lesson a name means."""

from pathlib import Path

from nnopt_lab.workbench.paths import root


def lesson_names() -> list[str]:
    """The lessons that have a source or, in a learner's kit, a notebook, in their order."""
    found = (*(root() / "solutions").glob("[0-9][0-9]_*.py"), *(root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    return sorted({path.stem for path in found})


def find_lesson(text: str) -> str:
    """The lesson meant by `01_pruning`, `01`, `1`, `pruning` or a file name of it.

    Raises:
        ValueError: there is no such lesson, or more than one.
    """
    wanted = Path(text).stem
    names = lesson_names()
    found = [n for n in names if wanted == n] or [
        n for n in names if wanted in (n[3:], n[:2]) or (wanted.isdecimal() and int(wanted) == int(n[:2]))
    ]
    if len(found) != 1:
        raise ValueError("\n  ".join([f"lesson={text!r} is not a lesson; there are:", *names]))
    return found[0]


def read_notebook(path: Path):
    """One of the course's own notebooks, as nbformat has it.

    Raises:
        OSError: it can't be read.
        ValueError: it is no notebook.
    """
    import nbformat  # its schemas take longer to load than torch

    try:
        return nbformat.read(path, as_version=4)
    except OSError:
        raise
    except Exception as error:  # what is no notebook raises whatever looking into it raises
        raise ValueError(f"{path} is damaged: build it again with nnopt build {path.stem}.") from error


def paths(lesson: str) -> dict[bool, Path]:
    """Where a lesson's notebooks are: {True: solved, False: learner's}."""
    return {True: root() / "solutions" / f"{lesson}.ipynb", False: root() / "notebooks" / f"{lesson}.ipynb"}
