"""The learner's folder: lessons come in and follow the originals, and nothing that the learner wrote is ever lost."""

import json
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnopt_lab.course import lesson, record
from nnopt_lab.course import workspace as module
from nnopt_lab.course.lesson import Lesson
from nnopt_lab.course.workspace import (
    MANIFEST,
    fill,
    find_workspace,
    is_workspace,
    restore,
    speak_as_copies,
    where_progress_stays,
    workspace,
    write_atomically,
)
from nnopt_lab.workbench import paths
from nnopt_lab.workbench.language import current_language, set_language

LESSONS = ("00_start_here", "01_pruning")


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two lessons, in their first version."""
    root = tmp_path / "course"
    (root / "notebooks").mkdir(parents=True)
    monkeypatch.setattr(module, "root", lambda: root)
    for name in LESSONS:
        publish(root, name, "first version")
    return root


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "work"


def publish(root: Path, lesson: str, text: str) -> None:
    (root / "notebooks" / f"{lesson}.ipynb").write_text(f"{lesson}: {text}")


def text(folder: Path, lesson: str) -> str:
    return (folder / f"{lesson}.ipynb").read_text()


def test_a_new_workspace_gets_every_lesson_and_then_there_is_no_news(course, mine):
    (course / "notebooks" / "notes.ipynb").write_text("not a lesson")
    assert fill(mine) == [(lesson, "new") for lesson in LESSONS]
    assert sorted(path.name for path in mine.iterdir()) == [MANIFEST, "00_start_here.ipynb", "01_pruning.ipynb"]
    assert fill(mine) == []


def test_a_draft_comes_only_when_it_is_asked_for(course, mine, monkeypatch):
    monkeypatch.setitem(lesson.lessons(), "02_draft", Lesson(2, "Draft", minutes=1, draft=True))
    publish(course, "02_draft", "first version")
    assert fill(mine) == [(name, "new") for name in LESSONS]
    restore("02_draft", mine)
    assert text(mine, "02_draft") == "02_draft: first version"


def test_an_untouched_lesson_follows_the_original(course, mine):
    fill(mine)
    publish(course, "01_pruning", "second version")
    assert fill(mine) == [("01_pruning", "updated")]
    assert text(mine, "01_pruning") == "01_pruning: second version"
    assert fill(mine) == []


def test_a_changed_lesson_stays_as_it_is_and_the_learner_is_told(course, mine):
    fill(mine)
    (mine / "01_pruning.ipynb").write_text("my answers")
    assert fill(mine) == []
    publish(course, "01_pruning", "second version")
    told = [("01_pruning", module.NEWER)]
    assert fill(mine) == told and fill(mine) == told
    assert text(mine, "01_pruning") == "my answers"


def test_a_lesson_that_was_deleted_comes_back(course, mine):
    fill(mine)
    (mine / "01_pruning.ipynb").unlink()
    assert fill(mine) == [("01_pruning", "new")]


def test_a_lesson_that_is_new_in_the_course_comes_too(course, mine):
    fill(mine)
    publish(course, "02_convolutions", "first version")
    assert fill(mine) == [("02_convolutions", "new")]


def test_a_reset_keeps_the_old_copy_under_a_dated_name_and_the_lesson_follows_again(course, mine):
    fill(mine)
    (mine / "01_pruning.ipynb").write_text("my answers")
    publish(course, "01_pruning", "second version")
    kept = restore("01_pruning", mine)
    assert kept.read_text() == "my answers" and kept.parent == mine
    assert kept.name.startswith("01_pruning.20") and kept.suffix == ".ipynb"
    assert text(mine, "01_pruning") == "01_pruning: second version"
    assert fill(mine) == []
    publish(course, "01_pruning", "third version")
    assert fill(mine) == [("01_pruning", "updated")]


def test_resets_within_a_second_keep_every_copy(course, mine):
    fill(mine)
    for n in range(4):
        (mine / "01_pruning.ipynb").write_text(f"try {n}")
        restore("01_pruning", mine)
    kept = {path.read_text() for path in mine.glob("01_pruning.*.ipynb")}
    assert kept == {f"try {n}" for n in range(4)}


def test_a_reset_in_an_empty_place_is_a_copy(course, mine):
    assert restore("01_pruning", mine) is None
    assert text(mine, "01_pruning") == "01_pruning: first version"


def test_a_lesson_without_a_notebook_can_not_be_reset_and_nothing_is_touched(course, mine):
    with pytest.raises(FileNotFoundError, match=r"05_nothing.ipynb has not been built"):
        restore("05_nothing", mine)
    assert not mine.exists()


@pytest.mark.parametrize("damage", [None, b"", b"\xff", b"[1]", b'{"01_pruning": 3}', b'{"01_pruning": ["a"]}'])
def test_with_a_damaged_manifest_every_changed_file_counts_as_the_learners(course, mine, damage):
    fill(mine)
    (mine / "00_start_here.ipynb").write_text("my answers")
    (mine / MANIFEST).unlink()
    if damage is not None:
        (mine / MANIFEST).write_bytes(damage)
    publish(course, "00_start_here", "second version")
    publish(course, "01_pruning", "second version")
    assert [what for _, what in fill(mine)] == [module.NEWER for lesson in LESSONS]
    assert text(mine, "00_start_here") == "my answers"
    restore("01_pruning", mine)
    assert text(mine, "01_pruning") == "01_pruning: second version"
    assert json.loads((mine / MANIFEST).read_text()).keys() >= {"01_pruning"}


def test_without_a_manifest_an_equal_copy_is_taken_for_the_originals(course, mine):
    fill(mine)
    (mine / MANIFEST).unlink()
    assert fill(mine) == []
    publish(course, "01_pruning", "second version")
    assert fill(mine) == [("01_pruning", "updated")]


def test_a_fill_that_is_interrupted_is_completed_by_the_next(course, mine, monkeypatch):
    fill(mine)
    for name in LESSONS:
        publish(course, name, "second version")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "_write_manifest", mock.Mock(side_effect=KeyboardInterrupt))
        fill(mine)
    fill(mine)
    assert [text(mine, lesson) for lesson in LESSONS] == [f"{lesson}: second version" for lesson in LESSONS]
    for name in LESSONS:
        publish(course, name, "third version")
    assert fill(mine) == [(lesson, "updated") for lesson in LESSONS]


lessons = st.sampled_from(LESSONS)
steps = st.lists(
    st.tuples(st.just("edit"), lessons)
    | st.tuples(st.just("delete"), lessons)
    | st.tuples(st.just("publish"), lessons)
    | st.tuples(st.just("reset"), lessons)
    | st.tuples(st.just("damage manifest"), st.sampled_from([b"", b"[]", b"{}", b'{"00_start_here": 1}']))
    | st.tuples(st.just("fill")),
    max_size=14,
)


@given(steps)
@settings(max_examples=120)
def test_whatever_happens_nothing_that_the_learner_wrote_is_lost(steps):
    """What the learner overwrote or deleted is gone by the learner's own hand; everything else must be there."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(module, "root", lambda: Path(folder) / "course"):
        root, mine = Path(folder) / "course", Path(folder) / "work"
        (root / "notebooks").mkdir(parents=True)
        for name in LESSONS:
            publish(root, name, "version 0")
        fill(mine)
        written = set()
        for number, (what, *which) in enumerate(steps):
            file = mine / f"{which[0]}.ipynb" if which and isinstance(which[0], str) else None
            if what in ("edit", "delete") and file.exists():
                written.discard(file.read_text())
                file.unlink()
            if what == "edit":
                file.write_text(f"mine {number}")
                written.add(f"mine {number}")
            elif what == "publish":
                publish(root, which[0], f"version {number}")
            elif what == "reset":
                restore(which[0], mine)
                assert text(mine, which[0]) == text(root / "notebooks", which[0])
            elif what == "damage manifest":
                (mine / MANIFEST).write_bytes(which[0])
            elif what == "fill":
                before = {path: path.read_text() for path in mine.glob("*.ipynb")}
                fill(mine)
                assert all(path.read_text() == held for path, held in before.items() if held.startswith("mine"))
                assert all((mine / f"{lesson}.ipynb").exists() for lesson in LESSONS)
            assert written <= {path.read_text() for path in mine.glob("*.ipynb")}
        assert {path.suffix for path in mine.iterdir()} <= {".ipynb", ".json"}


def test_the_workspace_is_the_named_folder_else_the_current_one_but_never_the_originals(course, mine, monkeypatch):
    (course / "solutions").mkdir()
    mine.mkdir()
    monkeypatch.setenv("NNOPT_WORKSPACE", str(mine))
    monkeypatch.chdir(course / "notebooks")
    assert workspace() == mine
    for value in ("", None):
        if value is None:
            monkeypatch.delenv("NNOPT_WORKSPACE")
        else:
            monkeypatch.setenv("NNOPT_WORKSPACE", value)
        for folder in ("notebooks", "solutions"):
            monkeypatch.chdir(course / folder)
            assert workspace() == course / "work"
        monkeypatch.chdir(mine)
        assert workspace() == mine


def test_a_reset_of_a_copy_that_the_learner_has_not_changed_keeps_none(course, mine):
    for _ in range(3):
        assert restore("01_pruning", mine) is None
    publish(course, "01_pruning", "second version")  # the copy is an old one, but nobody's work
    assert restore("01_pruning", mine) is None and text(mine, "01_pruning") == "01_pruning: second version"
    (mine / "01_pruning.ipynb").write_text("my answers")
    (mine / MANIFEST).unlink()
    assert restore("01_pruning", mine).read_text() == "my answers"
    for _ in range(3):
        assert restore("01_pruning", mine) is None
    assert len(list(mine.glob("01_pruning*"))) == 2


def test_a_copy_that_jupyterlab_saved_in_another_layout_is_unchanged_and_one_with_any_work_in_it_is_not(course, mine):
    cells = [{"cell_type": "code", "source": ["a = 1\n", "a"], "outputs": [], "execution_count": None, "metadata": {}}]
    (course / "notebooks" / "01_pruning.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}}))
    fill(mine)
    (mine / MANIFEST).unlink()
    same = [cells[0] | {"source": "a = 1\na", "metadata": {"scrolled": True}}]
    (mine / "01_pruning.ipynb").write_text(json.dumps({"cells": same, "metadata": {"kernelspec": {}}}, indent=1))
    assert restore("01_pruning", mine) is None
    for work in (
        [cells[0] | {"source": "a = 2"}],
        [cells[0] | {"outputs": [{"output_type": "stream", "text": "1"}]}],
        [*cells, *cells],
        [],
    ):
        (mine / "01_pruning.ipynb").write_text(json.dumps({"cells": work}))
        assert restore("01_pruning", mine) is not None


def test_a_command_finds_the_workspace_that_it_is_called_in(course, mine, tmp_path, monkeypatch):
    monkeypatch.delenv("NNOPT_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert find_workspace() == mine
    assert find_workspace(Path("other")) == tmp_path / "other" and not is_workspace(mine)
    mine.mkdir()
    monkeypatch.chdir(mine)
    assert find_workspace() == mine and not is_workspace(mine)
    for number, marks in enumerate((MANIFEST, "progress.json", "01_pruning.ipynb")):
        folder = tmp_path / f"mine {number}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        assert find_workspace() == folder / "work"
        (folder / marks).write_text("{}")
        assert find_workspace() == folder and is_workspace(folder)
    fill(mine)
    (mine / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(mine / "deep" / "er")
    assert find_workspace() == mine
    for folder in ("notebooks", "solutions"):
        (course / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(course / folder)
        assert find_workspace() == course / "work"
    monkeypatch.setenv("NNOPT_WORKSPACE", str(tmp_path / "named"))
    monkeypatch.chdir(mine)
    assert find_workspace() == tmp_path / "named" and find_workspace(mine) == mine


@pytest.mark.parametrize("moment", ["fsync", "chmod", "replace"])
def test_an_atomic_write_leaves_the_old_file_or_the_new_one_and_nothing_else(tmp_path, monkeypatch, moment):
    path = tmp_path / "file.json"
    write_atomically(path, "old")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, moment, mock.Mock(side_effect=KeyboardInterrupt))
        write_atomically(path, "new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("file.json", "old")]
    write_atomically(path, "nëw")
    assert path.read_text(encoding="utf-8") == "nëw"


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """A notebook in Colab, which stands in a folder without anything, and the place where it mounts the drive."""
    drive = tmp_path / "drive" / "MyDrive"
    monkeypatch.setattr(paths, "COLAB_DRIVE", drive)
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    monkeypatch.delenv("NNOPT_WORKSPACE", raising=False)
    (tmp_path / "content").mkdir()
    monkeypatch.chdir(tmp_path / "content")
    return drive


def test_in_colab_the_workspace_is_on_the_drive_where_it_is_mounted(colab):
    assert workspace() == Path.cwd() and "ends with this Colab session" in where_progress_stays()
    colab.mkdir(parents=True)
    assert workspace() == find_workspace() == colab / "nnopt-lab"
    assert where_progress_stays() == "Your progress is kept in the folder nnopt-lab of your Google Drive."
    assert not workspace().exists(), "a question makes no folder"


@pytest.mark.parametrize(("inside", "kept"), [("", "nnopt-lab"), ("studies", "studies"), ("a/b", "a/b")])
def test_a_folder_of_the_drive_that_the_learner_chose_is_the_workspace(colab, monkeypatch, inside, kept):
    (colab / inside).mkdir(parents=True)
    monkeypatch.chdir(colab / inside)
    assert workspace() == colab / kept and f"folder {kept} of" in where_progress_stays()


def test_in_colab_too_the_named_folder_comes_first(colab, mine, monkeypatch):
    colab.mkdir(parents=True)
    monkeypatch.setenv("NNOPT_WORKSPACE", str(mine))
    assert workspace() == mine and where_progress_stays() == ""


def test_a_command_that_colab_s_notebook_starts_finds_the_drive(colab, monkeypatch):
    colab.mkdir(parents=True)
    monkeypatch.delitem(sys.modules, "google.colab")
    assert workspace() == Path.cwd() and where_progress_stays() == ""
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    assert workspace() == colab / "nnopt-lab"


def test_progress_in_colab_is_written_to_the_drive(colab):
    colab.mkdir(parents=True)
    record.note_attempt("exercises", "pruning.levels", True, 2)
    assert (colab / "nnopt-lab" / module.PROGRESS).is_file()
    assert record.read(workspace())["exercises"]["pruning.levels"]["passed"]


@pytest.fixture
def two_languages(course, chinese):
    """The course with one of its two lessons in Chinese; Chinese is spoken."""
    (course / "notebooks" / "zh").mkdir()
    (course / "notebooks" / "zh" / "01_pruning.ipynb").write_text("01_pruning: 第一版")
    chinese({})
    return course


def test_copies_in_another_language_lie_beside_those_in_english(two_languages, mine):
    set_language("en")
    fill(mine)
    (mine / "01_pruning.ipynb").write_text("my answers")
    set_language("zh")
    assert fill(mine) == [(name, "new") for name in LESSONS] and fill(mine) == []
    assert text(mine / "zh", "01_pruning") == "01_pruning: 第一版"
    assert text(mine / "zh", "00_start_here") == "00_start_here: first version"  # it has no translation yet
    assert text(mine, "01_pruning") == "my answers"
    (mine / "zh" / "01_pruning.ipynb").write_text("我的答案")
    kept = restore("01_pruning", mine)
    assert kept.parent == mine / "zh" and kept.read_text() == "我的答案"
    assert text(mine / "zh", "01_pruning") == "01_pruning: 第一版" and text(mine, "01_pruning") == "my answers"
    set_language("en")
    assert fill(mine) == [] and text(mine, "01_pruning") == "my answers"


def test_a_lesson_gets_its_translation_as_soon_as_there_is_one(two_languages, mine):
    fill(mine)
    (two_languages / "notebooks" / "zh" / "00_start_here.ipynb").write_text("翻译")
    assert fill(mine) == [("00_start_here", "updated")] and text(mine / "zh", "00_start_here") == "翻译"


@pytest.mark.parametrize("place", ["", "zh", "zh/mine", "mine"])
def test_the_workspace_is_found_from_a_folder_of_copies_too(two_languages, mine, monkeypatch, place):
    monkeypatch.delenv("NNOPT_WORKSPACE")
    fill(mine)
    (mine / place).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(mine / place)
    assert find_workspace() == mine.resolve() and is_workspace(mine)
    assert find_workspace(mine / "zh") == mine.resolve()
    if place in ("", "zh"):
        assert workspace() == mine.resolve()


def test_a_workspace_may_have_the_name_of_a_language(two_languages, tmp_path, monkeypatch):
    monkeypatch.delenv("NNOPT_WORKSPACE")
    set_language("en")
    fill(tmp_path / "zh")
    monkeypatch.chdir(tmp_path / "zh")
    assert find_workspace() == (tmp_path / "zh").resolve() == workspace()


@pytest.mark.parametrize(("variable", "said"), [(None, "zh"), ("en", "en")])
def test_a_notebook_among_copies_in_a_language_speaks_it(two_languages, mine, monkeypatch, variable, said):
    fill(mine)
    set_language(None)
    monkeypatch.delenv("NNOPT_LANGUAGE")
    if variable:
        monkeypatch.setenv("NNOPT_LANGUAGE", variable)
    monkeypatch.setenv("LANG", "C")
    speak_as_copies(mine)
    assert current_language() == "en"
    speak_as_copies(mine / "zh")
    assert current_language() == said
