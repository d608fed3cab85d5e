"""What a lesson ends with: its points, what is open, and the way on."""

import html
import re

import pytest

from nnopt_lab.course import session
from nnopt_lab.course.course_map import progress
from nnopt_lab.course.exercises import exercises, lesson_points, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.lesson_files import read_notebook
from nnopt_lab.course.record import change, note_attempt
from nnopt_lab.course.workspace import START_PAGE, fill, shipped

SHIPPED = [name for name, lesson in lessons().items() if not lesson.draft]


@pytest.fixture
def here(own_workspace, monkeypatch):
    """Makes a lesson the current one; the value is the workspace."""
    monkeypatch.setattr(session, "_lesson", "01_pruning")
    return own_workspace


def items(lesson: str) -> list[tuple]:
    return [
        *(("exercises", id, item) for id, item in exercises(lesson).items()),
        *(("questions", id, item) for id, item in questions(lesson).items()),
    ]


def order(lesson: str) -> list[str]:
    """The titles of a lesson's exercises in the order of its notebook."""
    cells = read_notebook(shipped(lesson)).cells
    return [exercises()[cell.metadata["exercise"]].title for cell in cells if "exercise" in cell.metadata]


def test_what_is_open_has_links_to_its_cells_where_the_workspace_has_the_lesson(here):
    assert "<a " not in progress()._repr_html_()
    fill(here)
    targets = re.findall(r'<a href="01_pruning\.ipynb#cell-id=([^"]*)">([^<]*|.*?)</a>', progress()._repr_html_())
    ids = [cell.id for cell in read_notebook(here / "01_pruning.ipynb").cells]
    assert len(targets) == 5 and all(id in ids for id, _ in targets)
    assert [ids.index(id) for id, _ in targets[:4]] == sorted(ids.index(id) for id, _ in targets[:4])
    assert "more exercise" in targets[3][1] and "question" in targets[4][1]
    plain = re.sub("<[^>]*>", "", progress()._repr_html_())
    assert html.escape(progress().card.lines[0]).replace("`", "") in plain


def test_it_is_about_the_current_lesson_alone(here):
    note_attempt("exercises", next(iter(exercises("02_convolutions"))), True, 1)
    assert (progress().earned, progress().points) == (0, lesson_points("01_pruning"))
    assert repr(progress()).startswith(f"▸ 01 Pruning: 0 of {lesson_points('01_pruning')} points")
    assert not any(lessons()[name].title in repr(progress()) for name in SHIPPED if name != "01_pruning")
    assert len(repr(progress()).splitlines()) == 2


@pytest.mark.parametrize("lesson", SHIPPED)
def test_every_open_item_is_named_or_counted_until_the_last_is_passed(here, monkeypatch, lesson):
    monkeypatch.setattr(session, "_lesson", lesson)
    todo = items(lesson)
    while todo:
        line = progress().card.lines[0]
        titles = sorted((item.title for part, _, item in todo if part == "exercises"), key=order(lesson).index)
        asked = sum(part == "questions" for part, *_ in todo)
        named = [title for title in titles if title in line]
        assert named[:3] == titles[:3]
        more = re.search(r"(\d+) more exercises?\b", line)
        assert len(titles) == min(len(titles), 3) + int(more[1] if more else 0)
        counted = re.search(r"(\d+) questions?\b", line)
        assert asked == int(counted[1] if counted else 0)
        part, id, item = todo.pop(0)
        note_attempt(part, id, True, item.points)
    points = lesson_points(lesson)
    assert (progress().card.mood, progress().card.lines) == ("good", ())
    assert progress().card.title.endswith(f": complete, {points} of {points} points")


def test_it_links_to_the_next_lesson_and_the_start_page_as_far_as_they_exist(here, monkeypatch):
    assert "<a " not in progress()._repr_html_()
    (here / "02_convolutions.ipynb").write_text("{}")
    (here / START_PAGE).write_text("")
    shown = progress()._repr_html_()
    assert '<a href="02_convolutions.ipynb">Next: 02 Convolutions</a>' in shown
    assert '<a href="course.md">Course map</a>' in shown and shown.count("<a ") == 2
    monkeypatch.setattr(session, "_lesson", "15_capstone")
    assert "Next:" not in repr(progress()) and "Course map" in repr(progress())


def test_the_capstone_tells_the_points_of_entries_and_other_lessons_do_not(here, monkeypatch):
    with change() as contents:
        contents["entries"] = {"bytes": 10.0, "latency": 7.5}
    assert "entries" not in repr(progress())
    monkeypatch.setattr(session, "_lesson", "15_capstone")
    assert "Your best entries: 17 of 30 points." in repr(progress())


def test_a_lesson_that_is_not_published_has_its_name_and_no_next(here, monkeypatch):
    monkeypatch.setattr(session, "_lesson", "98_draft")
    assert repr(progress()) == "✔ 98_draft: complete, 0 of 0 points"
