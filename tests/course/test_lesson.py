"""Lessons are found by their packages."""

import pytest

from nnopt_lab.course.lesson import lesson_of, lessons, modules

TINY = "from nnopt_lab.course.lesson import Lesson\n\nLESSON = Lesson({}, 'Tiny', minutes=1)\n"


def test_lessons_are_in_the_order_of_their_numbers_and_named_by_number_and_package():
    names = list(lessons())
    assert names[:2] == ["00_start_here", "01_pruning"] and names == sorted(names)
    assert all(int(name[:2]) == lesson.number for name, lesson in lessons().items())


def test_a_package_is_all_that_a_new_lesson_needs(lesson_package):
    lesson_package("tiny", __init__=TINY.format(98), exercises="HERE = True\n")
    assert lessons()["98_tiny"].title == "Tiny"
    assert [m.__name__ for m in modules("exercises")][-1] == "nnopt_lab.lessons.tiny.exercises"
    assert "nnopt_lab.lessons.tiny.playground" not in [m.__name__ for m in modules("playground")]


def test_a_number_that_two_lessons_have_is_refused(lesson_package):
    lesson_package("tiny", __init__=TINY.format(1))
    with pytest.raises(ValueError, match=r"Two lessons have the same number: .*01_pruning.*01_tiny"):
        lessons()


def test_a_module_that_is_missing_inside_a_lesson_is_not_taken_for_a_lesson_without_exercises(lesson_package):
    lesson_package("tiny", __init__=TINY.format(98), exercises="import no_such_module\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        list(modules("exercises"))


def test_a_module_knows_its_lesson():
    assert lesson_of("nnopt_lab.lessons.pruning.exercises") == lesson_of("nnopt_lab.lessons.pruning") == "01_pruning"
    for module in ("nnopt_lab.lessons.shipped", "nnopt_lab.course.lesson", "pruning.exercises", "pruning"):
        with pytest.raises(ValueError, match="is not in the package of a lesson"):
            lesson_of(module)
