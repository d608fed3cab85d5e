"""Lessons: every package in `nnopt_lab.lessons` is one; there is no separate list, except that of a learner's kit."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from nnopt_lab.course.kit import kit

HOME = "nnopt_lab.lessons"


@dataclass(frozen=True)
class Lesson:
    """The description of a lesson, `LESSON` in its package.

    Attributes:
        number: its position in the course, 0 to 99.
        title: shown on the course map.
        minutes: for reading and solving.
        summary: what you do in it, in one sentence.
        chapter: the title of the group in which the course map shows it, "" for none; its lessons follow each other.
        draft: whether it is only built and tested, and left out of the course map, `nnopt lab` and kits.
    """

    number: int
    title: str
    minutes: int
    summary: str = ""
    chapter: str = ""
    draft: bool = False


def lessons() -> dict[str, Lesson]:
    """All lessons in order, by name: "01_pruning" is number 1, in the package `nnopt_lab.lessons.pruning`.

    In a learner's kit, these are the kit's lessons.

    Raises:
        ValueError: two lessons have the same number.
    """
    found, own = packages(), kit()
    return found if own is None else {name: lesson for name, lesson in found.items() if name in own.lessons}


@cache
def packages() -> dict[str, Lesson]:
    """The lessons of all packages; one that is not in a kit is still needed for the experiments that others use."""
    found = {}
    for package in pkgutil.iter_modules(importlib.import_module(HOME).__path__):
        if package.ispkg:
            lesson = importlib.import_module(f"{HOME}.{package.name}").LESSON
            found[f"{lesson.number:02d}_{package.name}"] = lesson
    numbers = [lesson.number for lesson in found.values()]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"Two lessons have the same number: {', '.join(sorted(found))}.")
    return dict(sorted(found.items(), key=lambda item: item[1].number))


def modules(name: str) -> Iterator[ModuleType]:
    """The modules `name` ("exercises", "experiments", …) of all lessons' packages that have one, in order."""
    for lesson in packages():
        try:
            yield importlib.import_module(f"{HOME}.{lesson[3:]}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{HOME}.{lesson[3:]}.{name}":
                raise


def lesson_of(module: str) -> str:
    """Find the lesson whose package contains a module, given by its dotted name.

    Raises:
        ValueError: the module is in no lesson's package.
    """
    package = module.removeprefix(f"{HOME}.").split(".")[0]
    name = next((lesson for lesson in packages() if lesson[3:] == package), None)
    if name is None or not module.startswith(f"{HOME}."):
        raise ValueError(f"module={module!r} is not in the package of a lesson.")
    return name
