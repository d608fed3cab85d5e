"""Chinese and Latin texts that are joined have the spaces that typography wants."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.workbench.language import continued, labelled
from nnopt_lab.workbench.language.templates import with_fields
from nnopt_lab.workbench.language.typography import CLOSING, OPENING, beside, has_ideographs, unbroken, with_whole_units

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


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("a 95 % interval, 2.5 ms and 3 min.", "a 95_% interval, 2.5_ms and 3_min."),
        ("1,024 B at 40 GB/s (7 %)", "1,024_B at 40_GB/s (7_%)"),
        ("8 bits, 3 second steps, 3 minus 2, 100 pictures, batch 256 by hand, x %", None),
        ("占 40% 的时间", None),
    ],
)
def test_no_line_ends_between_a_number_and_its_unit(text, whole):
    assert with_whole_units(text).replace("\xa0", "_") == (whole or text)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("A T-shirt at 8-bit, k-means: 5 ms", "A T-|shirt at 8-|bit, k-|means: 5_ms"),
        ("ResNet-18, batch-norm, x-y-z, 3-4, a - b", "ResNet-18, batch-norm, x-|y-z, 3-4, a - b"),
    ],
)
def test_no_line_ends_inside_a_short_term(text, whole):
    assert unbroken(text).replace("\xa0", "_").replace("\u2060", "|") == whole
