"""The rows of a card that show a call's inputs."""

from nnopt_lab.course.input_rows import input_rows

TABLE = "tensor([[1., 2.],\n        [3., 4.]])   shape [2, 2]"


def test_a_number_is_named_like_a_tensor():
    assert input_rows({"weight": TABLE, "k": "3"}) == [("input weight", TABLE), ("input k", "3")]
    assert input_rows({}) == []
