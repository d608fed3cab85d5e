"""Values as text."""

import torch

from nnopt_lab.course.display import kind, show

T = torch.tensor


def test_values_are_shown_as_one_would_print_them_and_cut_short():
    assert show(0.1234567891) == "0.123457"
    assert show("a") == "'a'" and show(None) == "None"
    assert show(T(2.0)) == "tensor(2.)"
    assert show(T([1.0, 0.33333])) == "tensor([1.0000, 0.3333])   shape [2]"
    assert show((T([1]), 2)) == "tensor([1])   shape [1]\n2"
    assert show("x" * 50, limit=10) == "'xxxxxxxxx …"


def test_kinds_have_their_article():
    assert [kind(v) for v in (1, 1.0, "a", None, True, T([1]), [])] == [
        *("an integer", "a number", "a string", "nothing (None)", "a bool", "a tensor of int64", "a list")
    ]


def test_a_list_that_holds_itself_is_shown_at_once():
    value = [torch.ones(2)]
    value += [value, value, value]
    assert len(show(value)) <= 602 and "tensor" in show(value)
    assert show([torch.zeros(1)] * 10**6).startswith("tensor([0.])")
