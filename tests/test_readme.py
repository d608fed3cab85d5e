"""The README names every command, every finished lesson, and only files that are there."""

import re

from nnopt_lab.cli import COMMANDS
from nnopt_lab.course.lesson import lessons
from nnopt_lab.workbench.paths import PACKAGE

CLONE = PACKAGE.parent
TEXT = (CLONE / "README.md").read_text(encoding="utf-8")


def test_every_command_is_in_the_table():
    for name in (name for panel in COMMANDS.values() for name in panel):
        assert re.search(rf"^\| .*`nnopt {name}\b", TEXT, re.MULTILINE), name


def test_every_finished_lesson_is_in_the_table_with_its_minutes():
    for name, lesson in lessons().items():
        row = f"| {name[:2]} {name[3:].replace('_', ' ')} | {lesson.minutes} |"
        assert (row in TEXT) == (not lesson.draft), row


def test_the_files_that_it_names_are_there():
    named = set(re.findall(r"`((?:nnopt_lab|tests|solutions|notebooks|data)/[a-z0-9_/.]*)`", TEXT))
    assert len(named) >= 8
    assert not {path for path in named if not (CLONE / path).exists()}
