"""Text from strangers."""

import pytest

from nnopt_lab.workbench.text import printable, storable


def test_what_a_terminal_would_obey_is_replaced_and_long_text_cut():
    assert printable("\x1b[2Jred\nline") == "\ufffd[2Jred\ufffdline"
    assert printable("λ – ok") == "λ – ok" and printable(3) == "3"
    assert printable("x" * 500) == "x" * 400 and printable("abc", limit=2) == "ab"


@pytest.mark.parametrize(
    ("name", "kept"), [("é", "é"), ("a\udce9", r"a\xe9"), ("\ud800", r"\xed\xa0\x80"), ("", ""), ("a\\b", "a\\b")]
)
def test_a_name_is_kept_as_utf_8(name, kept):
    assert storable(name) == kept == kept.encode().decode()
