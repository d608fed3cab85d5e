"""A small course of its own for the tests, and lessons' packages that only exist while a test runs."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

import nnopt_lab.lessons
from nnopt_lab.course import builder, exercises, lesson_files
from nnopt_lab.course.lesson import packages


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course without lessons; the fixture's value writes a source into it."""
    (tmp_path / "solutions").mkdir()
    for module in (builder, lesson_files):
        monkeypatch.setattr(module, "root", lambda: tmp_path)

    def write(name: str, source: str):
        path = tmp_path / "solutions" / f"{name}.py"
        path.write_text(dedent(source).lstrip())
        return path

    return write


@pytest.fixture
def lesson_packages(monkeypatch):
    """Makes the lesson `name` in the folder `home` one that is found like those that ship, until the test ends."""
    added = []
    exercises.exercises()  # those that ship are declared before the copies are made
    for declared in ("_exercises", "_questions"):
        monkeypatch.setattr(exercises, declared, dict(getattr(exercises, declared)))

    def add(home: Path, name: str) -> None:
        added.append(f"nnopt_lab.lessons.{name}")
        monkeypatch.setattr(nnopt_lab.lessons, "__path__", [*nnopt_lab.lessons.__path__, str(home)])
        forget()

    def forget() -> None:
        packages.cache_clear()
        exercises._load_declared.cache_clear()

    yield add
    forget()
    for module in [module for module in sys.modules if added and module.startswith(tuple(added))]:
        del sys.modules[module]


@pytest.fixture
def lesson_package(tmp_path, lesson_packages):
    """Writes a lesson's package, found like those that ship; the fixture's value returns the folder it is in."""

    def write(name: str, **files: str) -> Path:
        home = tmp_path / "packages"
        (home / name).mkdir(parents=True)
        for stem, text in files.items():
            (home / name / f"{stem}.py").write_text(dedent(text).lstrip())
        lesson_packages(home, name)
        return home

    return write
