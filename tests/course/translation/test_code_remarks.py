"""Docstrings and comments in code: found, translated, wrapped, and no code changed."""

import ast

import pytest

from nnopt_lab.course.builder import without_answers
from nnopt_lab.course.translation.code_remarks import (
    COMMENT,
    DOCSTRING,
    FOLD_LABEL,
    columns,
    remarks,
    with_translations,
)

CELL = '''# Numbers: sums and means
# Summed twice, so that one
# slow second does not decide.
import torch  # noqa: F401


def mean(x, axis):
    """The mean of x over an axis, in a line that is so long that a second one goes on
    with it.

    x: float [N, C], any values at all, such as the ones of a picture.
    axis: int, 0 or 1.
    """
    ### BEGIN SOLUTION
    # The axis is checked by torch.
    return x.mean(axis)  # the mean
    ### END SOLUTION


class Sum:
    """The sum."""

    def __call__(self, x):
        text = """no docstring"""
        # 1 + 1
        return x.sum()'''
TEXTS = [
    (FOLD_LABEL, "Numbers: sums and means"),
    (COMMENT, "Summed twice, so that one\nslow second does not decide."),
    (
        DOCSTRING,
        "The mean of x over an axis, in a line that is so long that a second one goes on with it.\n\n"
        "x: float [N, C], any values at all, such as the ones of a picture.\naxis: int, 0 or 1.",
    ),
    (COMMENT, "The axis is checked by torch."),
    (COMMENT, "the mean"),
    (DOCSTRING, "The sum."),
]
CHINESE = {
    TEXTS[0][1]: "数字：和与均值",
    TEXTS[1][1]: "求和两次，免得机器偶然慢了一秒就左右结果。",
    TEXTS[2][1]: f"x 沿一个轴的均值，{'这一行很长' * 10}（共两行）。\n\nx：float [N, C]。\naxis：int，取 0 或 1。",
    TEXTS[3][1]: "轴由 torch 检查。",
    TEXTS[4][1]: "均值",
    TEXTS[5][1]: "和。",
}


def test_docstrings_and_comments_are_found_in_order_with_their_kinds():
    assert [(found.kind, found.text) for found in remarks(CELL)] == TEXTS


def test_the_stub_s_comment_stands_apart_from_one_above_it():
    blank = without_answers("def f():\n    # First this.\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION")
    assert [found.text for found in remarks(blank)] == ["First this.", "Your answer here."]


@pytest.mark.parametrize(
    "source", ["!ls  # a word", "%%time\n# a word", "x = 1", "#x", "### BEGIN SOLUTION", "# 1 + 1"]
)
def test_other_cells_have_none(source):
    assert remarks(source) == [] and with_translations(source, lambda text: "译文") == source


def test_translations_take_their_places():
    made = with_translations(CELL, CHINESE.get)
    assert made.startswith(
        "# 数字：和与均值\n# 求和两次，免得机器偶然慢了一秒就左右结果。\nimport torch  # noqa: F401\n"
    )
    assert (
        '    """x 沿一个轴的均值，' in made and '\n    x：float [N, C]。\n    axis：int，取 0 或 1。\n    """\n' in made
    )
    assert (
        "    # 轴由 torch 检查。\n    return x.mean(axis)  # 均值\n    ### END" in made and '    """和。"""\n' in made
    )
    assert max(map(columns, made.split("\n"))) <= 88


def test_lines_don_t_begin_with_closing_marks_and_keep_words_whole():
    for n in range(40, 48):
        said = "字" * n + "，（mean(x) 是）均值"
        lines = with_translations("def f():\n    # word\n    pass", {"word": said}.get).split("\n")
        assert all(line.strip("# ")[0] not in "，）" and line[-1] not in "（" for line in lines[1:-1])
        assert "mean(x)" in "".join(lines) and max(map(columns, lines)) <= 88


def test_an_example_is_no_text_and_stays_in_every_language():
    example = "    >>> double(torch.tensor([1.0, -2.0]))\n    tensor([ 2., -4.])\n    >>> double(0)\n    0\n"
    cell = f'def double(x):\n    """Twice x.\n\n{example}    """\n    return 2 * x'
    assert [found.text for found in remarks(cell)] == ["Twice x."]
    assert with_translations(cell, lambda text: "两倍。") == cell.replace("Twice x.", "两倍。")


def test_without_a_translation_a_text_stays():
    assert with_translations(CELL, lambda text: None) == CELL


@pytest.mark.parametrize("said", ['a """ b', "a\\", "a\nreturn 0"])
def test_a_translation_that_would_change_the_code_is_refused(said):
    with pytest.raises(ValueError, match="would change the code that begins"):
        with_translations('def f():\n    """One."""\n    return 1  # two', lambda text: said)


def test_a_translation_may_end_with_a_quotation_mark():
    made = with_translations('def f():\n    """A word."""', lambda text: '叫"字"')
    assert ast.get_docstring(ast.parse(made).body[0]).strip() == '叫"字"'


@pytest.mark.parametrize("docstring", ["'''A word.'''", '"A word."', '"""A \\n word."""', 'r"""A word."""'])
def test_other_docstrings_are_refused(docstring):
    with pytest.raises(ValueError, match="The docstring of f must stand in lines of its own"):
        remarks(f"def f():\n    {docstring}\n    return 1")
