"""A lesson is found by any of its names."""

import pytest

from nnopt_lab.course.lesson_files import find_lesson, lesson_names


def test_a_lesson_is_found_by_any_of_its_names(course):
    for name in ("00_start_here", "01_pruning", "12_hardware"):
        course(name, "# %%\n1\n")
    course("notes", "# %%\n1\n")
    assert lesson_names() == ["00_start_here", "01_pruning", "12_hardware"]
    for text in ("01_pruning", "01", "1", "pruning", "01_pruning.ipynb", "notebooks/01_pruning.ipynb"):
        assert find_lesson(text) == "01_pruning"
    assert find_lesson("0") == "00_start_here"
    for text in ("", "2", "prun", "notes", "²", "-1", "../x", "01_pruning_"):
        with pytest.raises(ValueError) as caught:
            find_lesson(text)
        first, *names = str(caught.value).splitlines()
        assert first == f"lesson={text!r} is not a lesson; there are:"
        assert [name.strip() for name in names] == ["00_start_here", "01_pruning", "12_hardware"]


def test_a_number_that_two_lessons_share_means_neither(course):
    course("01_a", "")
    course("01_b", "")
    with pytest.raises(ValueError, match="lesson='01' is not a lesson"):
        find_lesson("01")
    assert find_lesson("b") == "01_b"
