"""What the commands show on a terminal."""

import io
import re

import pytest
from rich.console import Console

from nnopt_lab.cli import screen
from nnopt_lab.course.course_map import CourseMap
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.record import read


def shown(monkeypatch, show, width=80, color=None) -> str:
    """What `show` prints to the commands' console."""
    console = Console(file=io.StringIO(), width=width, force_terminal=color is not None, color_system=color)
    monkeypatch.setattr(screen, "console", console)
    show()
    return console.file.getvalue()


@pytest.fixture
def course_map(tmp_path):
    made = CourseMap(read(tmp_path))
    made.rows = [("01_x", "Cut [b]", 4, 4), ("02_y", "A long title " * 3, 1, 4), ("03_z", "Last", 0, 2)]
    return made


def test_the_map_has_a_line_per_lesson_and_one_for_all(monkeypatch, course_map):
    heads, first, second, third, total = shown(monkeypatch, lambda: screen.print_map(course_map)).splitlines()
    assert heads.split() == ["lesson", "points", "minutes"]
    assert re.match(r"01  Cut \[b\] +█{20} +4 of 4 ✔", first)
    assert re.match(r"02  A long .* █{5}░{15} +1 of 4", second) and "✔" not in second
    assert re.match(r"03  Last +░{20} +0 of 2", third)
    assert re.match(r" +all lessons +█{10}░{10} +5 of 10", total)


def test_the_map_has_the_minutes_of_lessons_and_the_next_step_below(monkeypatch, tmp_path):
    whole = CourseMap(read(tmp_path))
    lines = shown(monkeypatch, lambda: screen.print_map(whole, "Next: [here]")).splitlines()
    known = [lesson.minutes for lesson in lessons().values() if not lesson.draft]
    assert [int(line.split()[-1]) for line in lines[1 : len(known) + 1]] == known
    assert int(lines[len(known) + 1].split()[-1]) == sum(known) and lines[-2:] == ["", "Next: [here]"]
    ends = {len(line) for line in lines[: len(known) + 2]}
    assert len(ends) == 1  # the columns are aligned


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_of_the_map_is_broken(monkeypatch, course_map, width):
    lines = shown(monkeypatch, lambda: screen.print_map(course_map), width).splitlines()
    assert len(lines) == 5 and all(len(line) <= width and " of " in line for line in lines[1:])


def test_the_map_is_coloured_only_on_a_terminal(monkeypatch, course_map):
    assert "\x1b[32m█" in shown(monkeypatch, lambda: screen.print_map(course_map), color="standard")
    assert "\x1b" not in shown(monkeypatch, lambda: screen.print_map(course_map))


def test_a_course_without_points_has_an_empty_map(monkeypatch, course_map):
    course_map.rows = []
    assert "all lessons" in shown(monkeypatch, lambda: screen.print_map(course_map))


def test_a_run_shows_the_section_beside_its_bar_in_one_line(monkeypatch):
    def run():
        with screen.lessons_progress() as show:
            on_cell = show("01_pruning")
            on_cell(3, 9, "2. [bold]Importance " + "and more " * 20)

    lines = [line for line in shown(monkeypatch, run, color="standard").splitlines() if "01_pruning" in line]
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", lines[-1])
    assert re.search(r"01_pruning .*cell 3 of 9 .*2\. \[bold\]Imp", plain) and len(plain.strip("\r")) <= 80


def test_the_book_s_bar_reads_and_then_writes(monkeypatch):
    def build():
        with screen.book_progress() as show:
            show(1, 4)
            show(4, 4)

    assert "writing the pages" in shown(monkeypatch, build, color="standard")
