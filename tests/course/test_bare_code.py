"""Cells compared by their code: docstrings, comments and empty lines don't count."""

import pytest

from nnopt_lab.course.bare_code import bare, is_blank

STUB = '''def f(x):
    """The sum.

    x: float [N].
    """
    # Your answer here.
    raise NotImplementedError'''
CHINESE = '''def f(x):
    """求和。

    x：float [N]。"""
    # 在这里写答案。
    raise NotImplementedError
'''


@pytest.mark.parametrize(
    "same", [CHINESE, STUB + "  # 没写", "# 先\n\n" + CHINESE, "def f(x):\n    raise NotImplementedError"]
)
def test_docstrings_comments_and_empty_lines_are_no_code(same):
    assert bare(same) == bare(STUB) == "def f(x):\n    raise NotImplementedError"


@pytest.mark.parametrize(
    "other",
    [
        "def g(x):\n    raise NotImplementedError",
        STUB + "\nf(2)",
        STUB.replace("raise NotImplementedError", 'return "# a"'),
    ],
)
def test_other_code_differs(other):
    assert bare(other) != bare(STUB)


def test_a_number_sign_in_a_string_stays():
    assert bare('x = "# a"  # b') == 'x = "# a"' and bare('x = (\n    """a"""\n)') == 'x = (\n    """a"""\n)'


@pytest.mark.parametrize(
    "text", ["def f(:\n  # a", '"""', "'" * 30_001, "x = '", "(" * 300, "def f():\n\tx\n  y", "\0"]
)
def test_what_is_no_python_stays_as_it_is(text):
    assert bare(text) == text.strip()


def test_a_cell_is_blank_in_each_of_its_languages_unless_something_was_written():
    assert is_blank(STUB, [STUB]) and is_blank(CHINESE, [STUB, CHINESE])
    assert not is_blank(CHINESE, [STUB])  # these docstrings may be the learner's
    assert not is_blank(STUB.replace("    raise", "    # my idea\n    raise"), [STUB, CHINESE])
    assert not is_blank(STUB.replace("raise NotImplementedError", "return x.sum()"), [STUB, CHINESE])
    shown = STUB.replace("[N].\n", "[N].\n\n    >>> f(ones)\n    2\n")
    assert is_blank(STUB, [shown]) and not is_blank(shown, [STUB])
    assert not is_blank("", []) and not is_blank(STUB, [])
