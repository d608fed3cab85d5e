"""Text from strangers."""

from nnopt_lab.workbench.text import printable


def test_what_a_terminal_would_obey_is_replaced_and_long_text_cut():
    assert printable("\x1b[2Jred\nline") == "\ufffd[2Jred\ufffdline"
    assert printable("λ – ok") == "λ – ok" and printable(3) == "3"
    assert printable("x" * 500) == "x" * 400 and printable("abc", limit=2) == "ab"
