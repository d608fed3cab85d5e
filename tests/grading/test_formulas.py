"""Texts that no spreadsheet takes for formulas."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.grading.formulas import defuse, restore, without_controls

SIGNS = "=+-@＝＋－＠"


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("before", ["", " ", "\t", "\r", "\n", "\ufeff", "\u200b", '"', "\u3000", "\xa0\u202e"])
def test_a_sign_that_begins_a_formula_has_an_apostrophe_before_it(sign, before):
    assert defuse(f"{before}{sign}1+1") == f"{before}'{sign}1+1"


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("separator", [";", "\t", "|", "\n", "\r\n", "; ", ';"', ";;", "\u2028"])
def test_so_has_one_where_another_separator_would_begin_a_column(sign, separator):
    assert defuse(f"a{separator}{sign}1+1;b") == f"a{separator}'{sign}1+1;b"
    assert defuse(f"=1;{sign}2").count("'") == 2


@pytest.mark.parametrize(
    "text", ["", "-", "-2", "-0.5", "3", "alice", "O'Neil", "anne-marie", "a=b", "a, -1", "x@y.org"]
)
def test_numbers_and_plain_texts_stay_as_they_are(text):
    assert defuse(text) == restore(text) == text


@given(st.text(alphabet="=+-@＝'\";\t\n |a1 \u200b", max_size=12) | st.text(max_size=12))
def test_what_was_defused_is_restored_and_begins_no_formula_in_any_column(text):
    assert restore(defuse(text)) == text
    assert defuse(text) == text or "'" in defuse(text)
    for part in defuse(text).replace("\n", ";").replace("\t", ";").split(";"):
        assert part.strip(" \"'\u200b")[:1] not in set(SIGNS) or "'" in part or text in ("-", part)


def test_what_a_terminal_obeys_is_shown_as_a_sign():
    assert without_controls("\x1b[2Ja\x9b1\rb\nc\td") == "�[2Ja�1�b\nc\td"
