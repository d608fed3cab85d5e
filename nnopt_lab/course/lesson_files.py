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


def paths(lesson: str) -> dict[bool, Path]:
    """Where a lesson's notebooks are: {True: solved, False: learner's}."""
    return {True: root() / "solutions" / f"{lesson}.ipynb", False: root() / "notebooks" / f"{lesson}.ipynb"}
