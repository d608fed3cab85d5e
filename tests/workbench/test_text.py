"""Text from strangers, and long text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.workbench.text import COLUMNS, printable, storable, wrapped


def test_what_a_terminal_would_obey_is_replaced_and_long_text_cut():
    assert printable("\x1b[2Jred\nline") == "\ufffd[2Jred\ufffdline"
    assert printable("λ – ok") == "λ – ok" and printable(3) == "3"
    assert printable("x" * 500) == "x" * 400 and printable("abc", limit=2) == "ab"


@pytest.mark.parametrize(
    ("name", "kept"), [("é", "é"), ("a\udce9", r"a\xe9"), ("\ud800", r"\xed\xa0\x80"), ("", ""), ("a\\b", "a\\b")]
)
def test_a_name_is_kept_as_utf_8(name, kept):
    assert storable(name) == kept == kept.encode().decode()


@given(st.lists(st.text("abc-", min_size=1, max_size=12), max_size=60), st.integers(12, 100))
def test_wrapped_text_keeps_its_words_whole(words, columns):
    lines = wrapped(" ".join(words), columns)
    assert lines.split() == words and all(len(line) <= columns for line in lines.splitlines())


def test_a_word_that_is_longer_than_the_line_stands_alone_and_line_breaks_stay():
    assert wrapped("a " + "x" * 200) == "a\n" + "x" * 200
    assert wrapped(ValueError("one\ntwo")) == "one\ntwo" and COLUMNS <= 95
