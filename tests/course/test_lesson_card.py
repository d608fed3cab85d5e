"""The card of a lesson that is opened: what awaits the learner or, on coming back, where to go on."""

import re

from nnopt_lab.course import last_work
from nnopt_lab.course.calls import lesson
from nnopt_lab.course.exercises import cell_id, exercises, lesson_points, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.record import note_attempt
from nnopt_lab.course.workspace import fill

NAME = "00_start_here"
POINTS = lesson_points(NAME)


def pass_(id: str) -> None:
    section = "exercises" if id in exercises() else "questions"
    item = (exercises() | questions())[id]
    note_attempt(section, id, True, item.points)


def test_with_points_it_says_how_many_and_links_to_the_open_section(own_workspace):
    fill(own_workspace)
    assert repr(lesson(NAME)).startswith(f"▸ Lesson 00: Start here\n  About {lessons()[NAME].minutes} minutes")
    pass_("start.conv_parameters")
    card = lesson(NAME)
    assert card.lines[0] == f"You have 1 of {POINTS} points. Go on at section 2. The cost of a layer"
    (link,) = re.findall(r'<a href="([^"]*)">(.*)</a>', card._repr_html_())
    assert re.fullmatch(rf"{NAME}\.ipynb#cell-id={NAME}-\d+", link[0]) and link[1] == "2. The cost of a layer"
    for id in ("start.conv_macs", "start.where_the_work_is"):
        pass_(id)
    assert "Go on at section 4. A bug hunt" in repr(lesson(NAME))


def test_it_leads_to_the_cell_worked_in_last_and_tells_the_first_open_section_besides(own_workspace, monkeypatch):
    fill(own_workspace)
    pass_("start.conv_parameters")
    place = cell_id("exercise", list(exercises(NAME))[-1])
    monkeypatch.setattr(last_work, "running_cell", lambda: place)
    last_work.note(own_workspace, NAME)
    card = lesson(NAME)
    assert re.match(rf"You have 1 of {POINTS} points\. Go on at section [^2]\. ", card.lines[0])
    assert card.lines[1] == "First unfinished: section 2. The cost of a layer"
    last, first = re.findall(r'<a href="([^"]*)">(.*?)</a>', card._repr_html_())
    assert last[0] == f"{NAME}.ipynb#cell-id={place}" and first[1] == "2. The cost of a layer"


def test_without_a_copy_or_with_all_points_it_has_no_link(own_workspace):
    pass_("start.conv_parameters")
    assert lesson(NAME).lines[0] == f"You have 1 of {POINTS} points." and "<a " not in lesson(NAME)._repr_html_()
    fill(own_workspace)
    for id in (*exercises(NAME), *questions(NAME)):
        pass_(id)
    assert lesson(NAME).lines[0] == f"You have {POINTS} of {POINTS} points." and "<a " not in lesson(NAME)._repr_html_()
