"""A small course of its own for the tests, and lessons' packages that only exist while a test runs."""

import sys
from textwrap import dedent

import pytest

import nnopt_lab.lessons
from nnopt_lab.course import builder, exercises, lesson_files
from nnopt_lab.course.lesson import lessons


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
def lesson_package(tmp_path, monkeypatch):
    """Writes a lesson's package, found like those that ship; the fixture's value returns the folder it is in."""
    home, written = tmp_path / "packages", []
    exercises.exercises()  # those that ship are declared before the copies are made
    for declared in ("_exercises", "_questions"):
        monkeypatch.setattr(exercises, declared, dict(getattr(exercises, declared)))
    monkeypatch.setattr(nnopt_lab.lessons, "__path__", [*nnopt_lab.lessons.__path__, str(home)])

    def write(name: str, **files: str):
        written.append(f"nnopt_lab.lessons.{name}")
        (home / name).mkdir(parents=True)
        for stem, text in files.items():
            (home / name / f"{stem}.py").write_text(dedent(text).lstrip())
        lessons.cache_clear()
        return home

    yield write
    lessons.cache_clear()
    for module in [m for m in sys.modules if m.startswith(tuple(written))] if written else []:
        del sys.modules[module]
