"""The rows of a card that show a call's inputs."""

from nnopt_lab.course.input_rows import input_rows

TABLE = "tensor([[1., 2.],\n        [3., 4.]])   shape [2, 2]"


def test_numbers_share_one_row_and_tensors_have_their_own():
    inputs = {"k": "3", "weight": TABLE, "bias": "True", "sizes": "[2, 3]"}
    assert input_rows(inputs) == [("inputs", "k = 3, bias = True, sizes = [2, 3]"), ("input weight", TABLE)]


def test_a_single_number_is_named_like_a_tensor():
    assert input_rows({"weight": TABLE, "k": "3"}) == [("input weight", TABLE), ("input k", "3")]


def test_a_long_list_has_its_own_row():
    long = str(list(range(30)))
    assert input_rows({"a": "1", "losses": long, "b": "2"}) == [("inputs", "a = 1, b = 2"), ("input losses", long)]
    assert input_rows({}) == []
