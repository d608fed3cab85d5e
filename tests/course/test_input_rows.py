"""The rows of a card that show a call's inputs."""

from nnopt_lab.course.input_rows import input_rows

MATRIX = "float32 [2, 2]:\n[[1., 2.],\n [3., 4.]]"


def test_a_number_is_named_like_a_tensor():
    assert input_rows({"weight": MATRIX, "k": "3"}) == ([("input weight", MATRIX), ("input k", "3")], ())
    assert input_rows({}) == input_rows({}, "f()") == ([], ())


def test_a_call_that_is_read_at_a_glance_says_all_and_one_with_a_matrix_is_folded():
    assert input_rows({"x": "1", "y": "[2]"}, "f(x=1, y=[2])") == ([("inputs", "f(x=1, y=[2])")], ())
    shown, folds = input_rows({"x": MATRIX}, "f(x=…)")
    assert shown == [("input x", MATRIX)] and folds == (("The inputs as code", ("", "f(x=…)")),)
