"""Notebooks without a source, and broken names."""

import pytest

from nnopt_lab.course import strays as module
from nnopt_lab.course.strays import strays


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A course of two lessons with all their notebooks."""
    monkeypatch.setattr(module, "root", lambda: tmp_path)
    for name in ("solutions/01_pruning.py", "solutions/02_convolutions.py"):
        touch(tmp_path / name)
        for place in ("solutions", "notebooks", "notebooks/zh"):
            touch((tmp_path / place / name.split("/")[1]).with_suffix(".ipynb"))
    return tmp_path


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_a_whole_course_has_none(folder):
    touch(folder / "notebooks/.ipynb_checkpoints/99_old-checkpoint.ipynb")
    touch(folder / "solutions/zh/.ipynb_checkpoints/a.ipynb")
    touch(folder / "solutions/zh/01_pruning.po")
    touch(folder / "solutions/conftest.py")
    touch(folder / "notebooks/notes.txt")
    assert strays() == []


@pytest.mark.parametrize("name", ["notebooks/Untitled.ipynb", "solutions/03_new.ipynb", "notebooks/zh/04_x.ipynb"])
def test_a_notebook_without_a_source(folder, name):
    touch(folder / name)
    stem = name.rpartition("/")[2].removesuffix(".ipynb")
    assert strays() == [f"{name} has no source, solutions/{stem}.py: delete it or move it elsewhere."]


@pytest.mark.parametrize("place", ["notebooks", "solutions"])
@pytest.mark.parametrize("name", ["01_prunning.ipynb", "01-pruning.ipynb", "1_pruning.ipynb", "01_Pruning.ipynb"])
def test_a_notebook_that_is_not_named_as_its_source(folder, place, name):
    (folder / place / "01_pruning.ipynb").rename(folder / place / name)
    assert strays() == [
        f"{place}/{name} is not named as its source, solutions/01_pruning.py: rename it to 01_pruning.ipynb."
    ]


def test_a_source_that_was_renamed_leaves_its_notebooks_behind(folder):
    (folder / "solutions/01_pruning.py").rename(folder / "solutions/01_prune.py")
    assert strays() == [
        f"{place}/01_pruning.ipynb is not named as its source, solutions/01_prune.py: rename it to 01_prune.ipynb."
        for place in ("solutions", "notebooks", "notebooks/zh")
    ]


@pytest.mark.parametrize("name", ["pruning.py", "1_pruning.py", "03-new.py"])
def test_a_source_that_is_not_named_as_a_lesson(folder, name):
    touch(folder / "solutions" / name)
    assert strays() == [f"solutions/{name} is not named as a lesson, such as 01_pruning.py: rename it."]
