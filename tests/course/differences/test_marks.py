"""A result beside the expected one: the values that differ are marked in both."""

import pytest
import torch

from nnopt_lab.course.cards import Card
from nnopt_lab.course.differences import first_difference
from nnopt_lab.course.differences import side_by_side as shown_side_by_side

T = torch.tensor


def side_by_side(got, wanted, tolerance: float) -> tuple[str, str]:
    """Both texts of two values that are shown whole."""
    shown = shown_side_by_side(got, wanted, tolerance)
    assert not shown.summary
    return shown.got, shown.wanted


@pytest.mark.parametrize(
    ("got", "wanted", "expected"),
    [
        ([1, 2, 3], [1, 5, 3], ("[1, ✗2, 3]", "[1, ✓5, 3]")),
        ([0.1, (2, "a b")], [0.1, (3, "a b")], ("[0.1, (✗2, 'a b')]", "[0.1, (✓3, 'a b')]")),
        ((None,), (2,), ("(✗None,)", "(   ✓2,)")),
        (
            T([[True, False], [True, True]]),
            T([[True, True], [True, True]]),
            (
                "bool [2, 2]:\n[[  True, ✗False],\n [  True,   True]]",
                "bool [2, 2]:\n[[  True,  ✓True],\n [  True,   True]]",
            ),
        ),
        (T([1 + 2j, 3]), T([1 + 2j, 4]), None),
        (T([1.0, 2.0, float("nan")]), T([1.0, 2.0, 3.0]), None),
        (T([1, 2], dtype=torch.int32), T([1, 3]), None),
        ((T([1, 2]), T([1.5])), (T([1, 3]), T([1.5])), None),
    ],
)
def test_only_the_values_that_differ_are_marked(got, wanted, expected):
    shown = side_by_side(got, wanted, 1e-4)
    assert (shown[0].count("✗"), shown[1].count("✓")) == (1, 1)
    assert expected is None or shown == expected


@pytest.mark.parametrize(
    ("got", "wanted"),
    [(3, 4), ("a", "b"), ([1], [1, 2]), (None, [1]), (T(1.0), T(2.0)), (T([1.0]), T([1])), ([1, T([2])], [1, T([2])])],
)
def test_single_values_and_those_of_another_kind_or_size_have_no_marks(got, wanted):
    assert not set("✗✓") & set("".join(side_by_side(got, wanted, 1e-4)))


def test_values_within_the_tolerance_are_not_marked():
    shown = side_by_side(T([1.0, 2.0]), T([1.00001, 3.0]), 1e-4)
    assert shown[0].count("✗") == 1 and "✗2" in shown[0]


@pytest.mark.parametrize("make", [T, list])
def test_a_long_result_is_a_table_of_the_places_that_differ(make):
    wanted = list(range(500))
    shown = shown_side_by_side(make([*wanted[:250], -1, *wanted[251:]]), make(wanted), 0.0)
    assert shown.got == "index\tyours\texpected\n[250]\t-1\t250" and shown.wanted == ""
    assert shown.summary.endswith("1 of 500 values differs. The largest difference is 251.")
    shown = shown_side_by_side(make([-1] * 500), make(wanted), 0.0)
    assert len(shown.got.splitlines()) == 10 and shown.got.endswith("[7]\t-1\t7\n… and 492 more\t\t")


@pytest.mark.parametrize("odd", [10**400, float("nan"), float("inf")])
def test_the_largest_difference_is_among_those_that_a_float_can_hold(odd):
    shown = shown_side_by_side([odd, 5, *range(500)], [0, 2, *range(500)], 0.0)
    assert shown.summary == "2 of 502 values differ. The largest difference is 3."


def test_a_tensor_of_many_axes_is_a_table_with_its_shape_above():
    wanted = torch.zeros(2, 3, 2, 2)
    got = wanted.clone()
    got[1, 2, 0, 1] = float("nan")
    shown = shown_side_by_side(got, wanted, 0.0)
    assert shown.summary == "`float32 [2, 3, 2, 2]`: 1 of 24 values differs."
    assert shown.got.splitlines()[1:] == ["[1, 2, 0, 1]\tnan\t0"]


def test_the_parts_of_a_long_result_share_one_table_in_which_another_shape_is_one_place():
    got, wanted = (T([1]), torch.zeros(40), torch.ones(3)), (T([2]), torch.ones(40), torch.ones(2))
    shown = shown_side_by_side(got, wanted, 0.0)
    assert "42 of 43 values differ." in shown.summary
    assert shown.got.splitlines()[1:3] == ["[0][0]\t1\t2", "[1][0]\t0\t1"]
    shown = shown_side_by_side((got[2], T([1.0] * 40)), (wanted[2], T([2.0] * 40)), 0.0)
    assert shown.got.splitlines()[1] == "[0]\tfloat32 [3]\tfloat32 [2]"


def test_axes_of_one_number_are_left_out_but_named():
    one, other = side_by_side(torch.zeros(2, 1, 2, 1), torch.eye(2).view(2, 1, 2, 1), 0.0)
    assert one == "float32 [2, 1, 2, 1]:\n[[✗0.,  0.],\n [ 0., ✗0.]]" and other.count("✓1.") == 2


def test_values_that_differ_have_digits_enough_to_see_it():
    one, other = side_by_side(T([0.33333, 0.5]), T([0.333333, 0.5]), 1e-7)
    assert one != other.replace("✓", "✗")


def test_a_list_that_contains_itself_is_shown():
    endless = [1]
    endless.append(endless)
    assert all(side_by_side(endless, [1, [1, 2]], 0.0))


def test_a_page_marks_them_by_more_than_colour_and_escapes_them():
    got, _ = side_by_side(["<b>", 2, "x y"], ["<i>", 2, "x z"], 0.0)
    page = Card("t", "bad", (("your result", got),))._repr_html_()
    for value in ("&#x27;&lt;b&gt;&#x27;", "&#x27;x y&#x27;"):
        (mark,) = [part for part in page.split("<mark ")[1:] if f">✗</span>{value}</mark>" in part]
        assert 'role="img" aria-label="differs:"' in mark and "color:inherit" in mark
    assert page.count("<mark ") == 2


@pytest.mark.parametrize("make", [list, T, tuple])
@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        ([1, -74, 3], [1, 5, 3000]),
        ([0.25, 8e-5, 8e-11], [0.25, 0.5, 0.125]),
        (list(range(36)), [-7 * n for n in range(36)]),
    ],
)
def test_values_stand_below_each_other_and_the_sign_stands_before_a_minus(make, got, wanted):
    one, other = (text.splitlines() for text in side_by_side(make(got), make(wanted), 0.0))
    assert len(one) == len(other) and max(map(len, one)) <= 100
    for line, below in zip(one, other, strict=True):
        assert [i for i, c in enumerate(line) if c == ","] == [i for i, c in enumerate(below) if c == ","]
    assert "-✗" not in "".join(one) and "-✓" not in "".join(other)


def test_a_long_list_in_a_list_keeps_its_columns():
    one, other = side_by_side([[7] * 40, [1]], [[-7] * 40, [2]], 0.0)
    assert one.splitlines()[-1] == " [✗1]]" and other.splitlines()[-1] == " [✓2]]"
    assert {line.index("✗") for line in one.splitlines()[:-1]} == {3} and len(one.splitlines()) == 4


@pytest.mark.parametrize(
    ("got", "wanted", "place"),
    [
        ([1, 2, 3, 5], [1, 2, 4, 4], "[2]"),
        ([1, (2, 3)], [1, (2, 4)], "[1][1]"),
        (T([[1, 2], [3, 5]]), T([[1, 2], [3, 4]]), "[1, 1]"),
        ((T([1, 2]), T([1, 3])), (T([1, 2]), T([1, 2])), "[1] of result 2"),
        ((T([1, 2]), 3), (T([1, 2]), 4), "result 2"),
        ([1], [1], ""),
        ([1], [1, 2], ""),
        (3, 4, ""),
    ],
)
def test_the_first_difference_has_a_place(got, wanted, place):
    assert first_difference(got, wanted, 0.0) == place


def test_the_parts_of_a_result_are_named():
    one, other = side_by_side((T([1, 2]), 3), (T([1, 5]), 4), 0.0)
    assert one == "result 1:\nint64 [2]: [1, ✗2]\nresult 2:\n✗3"
    assert other == "result 1:\nint64 [2]: [1, ✓5]\nresult 2:\n✓4"


def test_a_line_never_ends_inside_a_number():
    page = Card("t", "bad", (("your result", "[✗8e-05, 7e-11]"),))._repr_html_()
    assert "8e-05</mark>" in page and '<span style="white-space:nowrap">7e-11]</span>' in page
    (mark,) = page.split("<mark ")[1:]
    assert "white-space:nowrap" in mark.partition(">")[0]


def test_of_a_long_result_in_parts_only_those_that_differ_are_shown_or_the_first_of_them():
    matrix, row = torch.arange(9.0).reshape(3, 3), torch.ones(2)
    wrong = matrix + torch.eye(3)
    got, wanted = side_by_side((matrix, wrong, row), (matrix, matrix, row), 1e-5)
    assert got.startswith("result 1: right\nresult 2:\nfloat32 [3, 3]:") and got.endswith("result 3: right")
    assert wanted.startswith("result 2:\n") and "result 1" not in wanted and "result 3" not in wanted
    got, wanted = side_by_side((wrong, wrong, row), (matrix, matrix, row), 1e-5)
    assert got.endswith("]]\nresult 2: differs, too\nresult 3: right") and "result 2" not in wanted
    got, wanted = side_by_side((row, row + 1), (row, row), 1e-5)
    assert got.count("\n") == wanted.count("\n") == 3, "short ones are shown whole"
