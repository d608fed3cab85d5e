"""Values as text."""

import pytest
import torch

from nnopt_lab.course.display import kind, show

T = torch.tensor


def test_values_are_shown_as_one_would_print_them_and_cut_short():
    assert show(0.1234567891) == "0.123457"
    assert show("a") == "'a'" and show(None) == "None"
    assert show(T(2.0)) == "tensor(2.)"
    assert show(T([1.0, 0.33333])) == "float32 [2]: [1.0000, 0.3333]"
    assert show((T([1]), 2)) == "int64 [1]: [1]\n2"
    assert show("x" * 50, limit=10) == "'xxxxxxxxx …"


@pytest.mark.parametrize("value", [T(0.5), T([0.5, 0.25]), T([[0.5]]).to_sparse()])
def test_a_learners_print_options_change_no_card(value):
    shown = show(value)
    torch.set_printoptions(precision=8, sci_mode=True)
    try:
        assert show(value) == shown
    finally:
        torch.set_printoptions(profile="default")


def test_a_tensor_of_many_axes_is_a_matrix_per_index_without_axes_of_one_number():
    images = torch.arange(8).view(2, 1, 2, 2)
    assert show(images) == "int64 [2, 1, 2, 2]:\n[0]: [[0, 1], [2, 3]]\n[1]: [[4, 5], [6, 7]]"
    assert show(images.view(4, 2, 1, 1)) == "int64 [4, 2, 1, 1]:\n[[0, 1],\n [2, 3],\n [4, 5],\n [6, 7]]"
    assert show(torch.zeros(3, 0)) == "float32 [3, 0]: []"


def test_larger_matrices_stand_side_by_side():
    lines = show(torch.arange(20, 92).view(2, 6, 6), 900).splitlines()
    assert len(lines) == 8 and lines[1].split() == ["[0]:", "[1]:"]
    assert show(torch.arange(100, 140).view(5, 2, 2, 2)).count("\n") == 5
    assert lines[2] == "[[20, 21, 22, 23, 24, 25],   [[56, 57, 58, 59, 60, 61],"


def test_of_a_large_tensor_the_first_numbers_are_shown():
    text = show(torch.zeros(50, 50))
    assert text.startswith("float32 [50, 50]:\n[[0., 0.,") and ", …]," in text and text.endswith("\n…")
    assert show(torch.arange(99)).endswith(", 63, …]")


def test_an_array_or_an_objects_own_text_has_few_lines():
    text = show(torch.zeros(20, 3, 3).numpy(), 10_000)
    assert text.startswith("array([[[0., 0., 0.],") and len(text.splitlines()) == 13 and text.endswith("\n…")
    assert show(torch.zeros(2, 2).numpy()).count("\n") == 1


def test_zeros_that_end_all_numbers_are_left_out():
    assert show(T([0.5, -1.25])) == "float32 [2]: [ 0.50, -1.25]"
    assert show(T([1e-9, 1e5])) == "float32 [2]: [1e-09, 1e+05]"


def test_kinds_have_their_article():
    assert [kind(v) for v in (1, 1.0, "a", None, True, T([1]), [])] == [
        *("an integer", "a number", "a string", "nothing (None)", "a bool", "a tensor of int64", "a list")
    ]


def test_a_list_that_holds_itself_is_shown_at_once():
    value = [torch.ones(2)]
    value += [value, value, value]
    assert len(show(value)) <= 602 and "float32 [2]: [1., 1.]" in show(value)
    assert show([torch.zeros(1)] * 10**6).startswith("float32 [1]: [0.]")


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.int64])
@pytest.mark.parametrize("shape", [(2,) * 22, (2,) * 11, (7,) * 7, (3,) * 12, (1,) * 60, (2,) * 20 + (0,), (0, 10**12)])
@pytest.mark.parametrize("nest", [lambda x: x, lambda x: [x] * 50, lambda x: [[x] * 50] * 50, lambda x: ([1, (x,)],)])
def test_few_numbers_are_printed_of_a_tensor_of_any_shape(monkeypatch, dtype, shape, nest):
    monkeypatch.setattr(torch._tensor_str, "_str", counted(torch._tensor_str._str))
    text = show(nest(torch.zeros(1, dtype=dtype).expand(shape)))
    assert len(text) <= 602 and "[" in text
    assert max(printed, default=0) <= 100_000
    printed.clear()


printed: list[int] = []


def counted(whole):
    """torch's own printing, whose lengths are noted in `printed`."""

    def count(*arguments, **more):
        text = whole(*arguments, **more)
        printed.append(len(text))
        return text

    return count


@pytest.mark.parametrize(
    "value", [[], (), (1,), [1, 2.123456789, "a'b", None, True], [[1, (2, [])], ((),)], [1 << 60, -0.0, float("inf")]]
)
def test_lists_are_shown_as_python_prints_them(value):
    assert show(value) == repr(value)


def test_long_and_tangled_lists_are_cut_short():
    tangled = [1]
    for _ in range(60):
        tangled = [tangled, tangled]
    itself = [1]
    itself += [itself, (itself, itself)]
    for value in (tangled, itself, [itself] * 10**6, list(range(10**6)), ["x" * 10_000] * 10_000, [[]] * 10**6):
        assert len(show(value)) <= 602 and show(value).startswith("[")
    assert show([10**5000]) == "[an integer that cannot be shown]"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([7.137000000000001, 0.1 + 0.2], "[7.137, 0.3]"),
        ((3.0, 1e-7, -2.5), "(3.0, 1e-07, -2.5)"),
        ([float("inf"), float("nan"), 1 / 3], "[inf, nan, 0.333333333333]"),
        ([[1.1 * 3]], "[[3.3]]"),
    ],
)
def test_no_digit_that_only_rounding_made_is_shown(values, text):
    assert show(values) == text
