"""Chinese and Latin texts that are joined have the spaces that typography wants."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.workbench.language import continued, labelled
from nnopt_lab.workbench.language.templates import with_fields
from nnopt_lab.workbench.language.typography import CLOSING, OPENING, beside, has_ideographs

MARK = f"[{OPENING}{CLOSING}]"
SPACED = re.compile(rf"{MARK} | {MARK}|[层位] +[层位]")
letters = st.sampled_from("层位a1%")
marks = st.sampled_from("。：，）（")
texts = st.lists(letters | marks, max_size=4).map("".join)
space = st.sampled_from(["", " "])
spaced = st.builds(lambda before, text, after: before + text + after, space, texts, space)


@given(spaced, spaced)
def test_parts_of_a_sentence_meet_without_needless_spaces(before, after):
    whole = beside(before, after)
    assert whole.replace(" ", "") == (before + after).replace(" ", "")
    if before.strip() and after.strip():
        assert not SPACED.search(whole.strip())


@given(texts, st.lists(spaced.filter(str.strip), min_size=2, max_size=2))
def test_a_template_s_fields_bring_no_needless_spaces(text, values):
    whole = with_fields(f"层{{0}}：{text}{{1}} {text}位", dict(zip("01", values, strict=True)))
    assert not SPACED.search(whole)


@given(texts, texts)
def test_a_further_sentence_follows_a_mark_at_once_and_a_letter_after_a_space(text, sentence):
    whole = continued(text, sentence)
    assert not re.search(f"{MARK} | {MARK}", whole)
    wants_space = bool(text and sentence) and not re.search(MARK, text[-1] + sentence[0])
    assert whole.count(" ") == wants_space


def test_wide_gaps_which_align_columns_stay():
    assert beside("层：  ", " 3") == "层：   3" and beside("层：", " 3") == "层：3" and beside("a ", "b") == "a b"


@pytest.mark.parametrize(
    ("label", "text", "whole"),
    [("层", "3", "层：3"), ("x", "层", "x：层"), ("x", "3", "x: 3"), ("层（2）", "3", "层（2）：3")],
)
def test_a_colon_is_full_width_in_chinese(label, text, whole):
    assert labelled(label, text) == whole


def test_kana_are_as_wide_as_chinese_characters():
    assert has_ideographs("バッチ") and has_ideographs("批") and not has_ideographs("batch“”…")
