"""`nnopt new`: what it writes builds and passes the tests of all lessons at once, and it overwrites nothing."""

import inspect
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch

import nnopt_lab.lessons
from nnopt_lab.course import builder
from nnopt_lab.course.checking import CASES
from nnopt_lab.course.course_map import CourseMap
from nnopt_lab.course.exercises import exercises, lesson_points, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.record import read
from nnopt_lab.course.runner import run_notebook
from nnopt_lab.course.skeleton import new_lesson
from nnopt_lab.workbench.paths import PACKAGE
from tests.lessons import cells, test_examples, test_exercises


@pytest.fixture
def clone(tmp_path):
    """A clone with one lesson's source, number 7."""
    for folder in ("solutions", "nnopt_lab/lessons", "tests/lessons"):
        (tmp_path / "clone" / folder).mkdir(parents=True)
    (tmp_path / "clone" / "pyproject.toml").touch()
    (tmp_path / "clone" / "solutions" / "07_seven.py").touch()
    return tmp_path / "clone"


@pytest.fixture
def demo(clone, lesson_packages, monkeypatch):
    """The skeleton of a lesson, whose package is found like those that ship: its source."""
    source, *_ = new_lesson("demo", title='Of "zeros"', minutes=30, number=99, clone=clone)
    lesson_packages(clone / "nnopt_lab" / "lessons", "demo")
    return source


def test_the_files_stand_where_those_of_a_lesson_do(clone):
    files = new_lesson("demo", clone=clone)
    assert [str(path.relative_to(clone)) for path in files] == [
        "solutions/08_demo.py",
        "nnopt_lab/lessons/demo/__init__.py",
        "nnopt_lab/lessons/demo/exercises.py",
        "tests/lessons/test_demo.py",
    ]
    for path in files:
        text = path.read_text(encoding="utf-8")
        compile(text, path, "exec")
        assert "$" not in text and max(map(len, text.splitlines())) <= 120
    configuration = f"--config={PACKAGE.parent / 'pyproject.toml'}"
    for check in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *check, configuration, *map(str, files)]
        assert subprocess.run(ruff, capture_output=True).returncode == 0


def test_a_draft_is_a_lesson_that_is_not_on_the_course_map(demo, own_workspace):
    lesson = lessons()["99_demo"]
    assert (lesson.title, lesson.minutes, lesson.draft) == ('Of "zeros"', 30, True)
    assert len(exercises("99_demo")) == len(questions("99_demo")) == 1 and lesson_points("99_demo") == 2
    assert "99_demo" not in repr(CourseMap(read(own_workspace)))


def test_its_exercise_passes_the_tests_of_all_exercises(demo, monkeypatch):
    (exercise,) = exercises("99_demo").values()
    monkeypatch.setattr(cells, "root", lambda: demo.parents[1])
    monkeypatch.setattr(cells, "lesson_imports", lambda lesson: "import torch")
    drawn = [exercise.generate(torch.Generator().manual_seed(seed)) for seed in range(24 * CASES)]
    batches = [drawn[i : i + CASES] for i in range(0, len(drawn), CASES)]
    monkeypatch.setattr(test_examples, "EXERCISES", exercises("99_demo"))
    fixtures = {"exercise": exercise, "batches": batches, "called_once": None}
    shared = [
        (test, wanted)
        for name, test in vars(test_exercises).items()
        if name.startswith("test_") and "exercise" in (wanted := inspect.signature(test).parameters)
    ]
    assert len(shared) >= 5
    for test, wanted in shared:
        test(**{name: fixtures[name] for name in wanted})
    test_examples.test_the_example_of_an_exercise_shows_what_its_answer_returns(exercise.id)


def test_its_own_test_passes(demo):
    source = (demo.parents[1] / "tests" / "lessons" / "test_demo.py").read_text(encoding="utf-8")
    names = {}
    exec(source, names)
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    test()


def test_both_notebooks_run_and_earn_what_they_must(demo):
    for solved, points in ((True, 2), (False, 0)):
        notebook = builder.to_notebook(demo, solved)
        home = str(demo.parents[1] / "nnopt_lab" / "lessons")
        found = f"import nnopt_lab.lessons\n\nnnopt_lab.lessons.__path__.append({home!r})"
        notebook.cells.insert(0, nbformat.v4.new_code_cell(found))
        result = run_notebook("99_demo", notebook)
        assert (result.failure, result.points, result.points_possible, result.ok) == ("", points, 2, True)
        assert result.claims


@pytest.mark.parametrize("name", ["", "Demo", "1st", "a-b", "a.b", "../x", "class", "dé", "a b", "_x"])
def test_a_name_that_no_package_can_have_is_refused(clone, name):
    with pytest.raises(ValueError, match="must be lower-case letters"):
        new_lesson(name, clone=clone)


def test_what_is_there_is_neither_taken_nor_overwritten(clone):
    new_lesson("demo", clone=clone)
    (clone / "nnopt_lab" / "lessons" / "shared.py").touch()
    (clone / "tests" / "lessons" / "test_exercises.py").touch()
    before = {path: path.read_bytes() for path in clone.rglob("*.py")}
    for name in ("demo", "seven", "shared", "exercises"):
        with pytest.raises(ValueError, match=f"name='{name}' is taken"):
            new_lesson(name, clone=clone)
    for number in (7, 8, -1, 100):
        with pytest.raises(ValueError, match=f"number={number} must be 0 to 99 and not taken by another lesson"):
            new_lesson("other", number=number, clone=clone)
    with pytest.raises(ValueError, match="must be one line"):
        new_lesson("other", title="two\nlines", clone=clone)
    assert {path: path.read_bytes() for path in clone.rglob("*.py")} == before


def test_an_installed_package_takes_no_lessons(tmp_path):
    with pytest.raises(FileNotFoundError, match="needs a clone"):
        new_lesson("demo", clone=tmp_path)
    assert not any(tmp_path.iterdir()) and Path(nnopt_lab.lessons.__path__[0]).is_dir()
