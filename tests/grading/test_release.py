"""The learner's kit: everything needed to learn and nothing that gives the answers away."""

import json
import subprocess
import sys

import pytest

from nnopt_lab.course.exercises import exercises, lesson_points, questions
from nnopt_lab.grading.release import write_kit
from nnopt_lab.workbench.paths import root
from tests.grading.classroom import LESSON


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit") / "kit"
    assert write_kit(folder, ["pruning"], "2026-12-01T18:00+00:00") == [LESSON]
    return folder


@pytest.fixture
def notebook(kit):
    return json.loads((kit / "notebooks" / f"{LESSON}.ipynb").read_text(encoding="utf-8"))


def test_it_holds_no_solution(kit):
    assert {path.name for path in kit.iterdir()} == {"pyproject.toml", "README.md", "notebooks", "nnopt_lab", "data"}
    assert [path.name for path in (kit / "notebooks").iterdir()] == [f"{LESSON}.ipynb"]
    assert '"solutions" =' not in (kit / "pyproject.toml").read_text()
    readme = (kit / "README.md").read_text()
    assert "## The lessons" in readme and "Teach" not in readme and "![" not in readme
    assert not list(kit.rglob("__pycache__"))


def test_points_and_the_due_date_are_in_the_notebook(notebook):
    noted = notebook["metadata"]["nnopt"]
    assert noted == {"lesson": LESSON, "points": lesson_points(LESSON), "due": "2026-12-01T18:00:00+00:00"}
    points = [cell["metadata"]["nnopt"]["points"] for cell in notebook["cells"] if "nnopt" in cell["metadata"]]
    assert sum(points) == lesson_points(LESSON)


def test_nbgrader_s_metadata_is_as_its_schema_wants_it(notebook):
    """Its schema, version 3, in our words; where nbgrader is installed, in its own."""
    marks = [cell["metadata"]["nbgrader"] for cell in notebook["cells"]]
    assert len({mark["grade_id"] for mark in marks}) == len(marks)
    answers = [mark for mark in marks if mark["solution"]]
    assert len(answers) == len(exercises(LESSON)) + len(questions(LESSON))
    for mark in marks:
        assert {"schema_version", "grade_id", "cell_type", "grade", "solution", "locked", "task"} <= set(mark)
        assert mark["grade"] == mark["solution"] == (not mark["locked"]) == ("points" in mark)
    nbgrader = pytest.importorskip("nbgrader.nbgraderformat")
    import nbformat

    nbgrader.MetadataValidator().validate_nb(nbformat.from_dict(notebook))


def test_the_kit_works_as_a_clone_does(kit):
    """Its own notebooks are found, its lesson can be opened, and what needs the solutions says so."""
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from nnopt_lab.course.workspace import fill\nfrom pathlib import Path\n"
        "assert fill(Path('work')) == [('01_pruning', 'new')]\n"
        "from nnopt_lab.course.calls import check\n"
        "print(check('pruning.l1_importance', lambda weight: weight.abs().sum(dim=(1, 2, 3))).title)\n"
        "from nnopt_lab.course.lesson_files import lesson_names\nassert lesson_names() == ['01_pruning']\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=kit, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "passed" in done.stdout


def test_without_an_assignment_it_holds_every_lesson(tmp_path):
    names = write_kit(tmp_path / "kit")
    assert len(names) == len(list((root() / "notebooks").glob("*.ipynb")))
    content = json.loads((tmp_path / "kit" / "notebooks" / f"{LESSON}.ipynb").read_text(encoding="utf-8"))
    assert "nnopt" not in content["metadata"]


def test_a_folder_that_holds_something_stays_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ValueError, match="is not empty"):
        write_kit(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_lesson_or_a_date_that_is_none_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="is not a lesson"):
        write_kit(tmp_path / "kit", ["cooking"])
    with pytest.raises(ValueError, match="must be a date"):
        write_kit(tmp_path / "kit", ["pruning"], "soon")
    assert not (tmp_path / "kit").exists()
