"""The lesson of a kernel."""

from nnopt_lab.course import session


def test_a_kernel_is_in_the_lesson_that_was_opened_last():
    assert session.current_lesson() == "00_start_here"
    session.enter("01_pruning")
    assert session.current_lesson() == "01_pruning"
