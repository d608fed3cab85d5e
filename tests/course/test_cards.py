"""Cards: their text is shown as it is, in plain text and in HTML."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.course.cards import Card, inline

HOSTILE = '<img src=x onerror="alert(1)"></pre></div><script>alert(`1`)</script>&amp;'


class Page(HTMLParser):
    """The tags and the text of some HTML."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_a_card_is_plain_text_where_there_is_no_html():
    card = Card("Title", "good", ("one line", ("input x", "1\n2")))
    assert repr(card) == "✔ Title\n  one line\n  input x:\n    1\n    2"


@pytest.mark.parametrize(
    ("mood", "mark"), [("good", "✔"), ("bad", "✘"), ("neutral", "▸"), ("guess", "≈"), ("quiet", "○")]
)
def test_each_mood_has_its_mark_in_both_forms(mood, mark):
    card = Card("Title", mood)
    assert repr(card) == f"{mark} Title"
    assert Page(card._repr_html_()).text == f"{mark} Title"


def test_code_between_backticks_is_marked_and_an_odd_backtick_left_alone():
    assert inline("use `a < b` here") == "use <code>a &lt; b</code> here"
    assert inline("an odd ` stays") == "an odd ` stays"


@pytest.mark.parametrize("text", ["Take `x[0] < y` of each.", "取每个 `x[0] < y`，再相加。"])
@pytest.mark.parametrize("place", ["lines", "folds"])
def test_code_is_marked_in_lines_and_folds_and_keeps_its_backticks_in_plain_text(text, place):
    card = Card("t", "bad", **{place: (text if place == "lines" else ("Hint", text),)})
    assert "<code>x[0] &lt; y</code>" in card._repr_html_() and "`" not in card._repr_html_()
    assert (text in repr(card)) == (place == "lines")


def test_code_in_a_sentence_has_the_colour_of_its_text_so_that_it_is_read_in_every_theme():
    assert "style" not in inline("take `x`")


def test_what_is_emphasised_or_a_tag_in_code_is_code():
    assert inline("`a *b* c` and `<b>`") == "<code>a *b* c</code> and <code>&lt;b&gt;</code>"


def test_emphasis_stands_around_words_and_a_product_is_none():
    assert inline("it says *which one* stays") == "it says <em>which one</em> stays"
    for plain in ("2*3*4", "a * b * c", "n**2 and m**2", "`x *y* z`"):
        assert "<em>" not in inline(plain)


@pytest.mark.parametrize("place", ["title", "line", "label", "block"])
def test_hostile_text_is_text_wherever_it_stands(place):
    card = Card(
        HOSTILE if place == "title" else "t",
        "bad",
        (
            HOSTILE if place == "line" else "l",
            (HOSTILE if place == "label" else "a", HOSTILE if place == "block" else "b"),
        ),
    )
    page = Page(card._repr_html_())
    assert set(page.tags) <= {"div", "span", "strong", "code", "em", "pre"} and not page.open
    assert HOSTILE.replace("`", "") in page.text.replace("`", "")
    assert HOSTILE in repr(card)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\r")))
def test_any_text_comes_back_from_its_html(text):
    page = Page(inline(text))
    assert set(page.tags) <= {"code", "em", "strong"}
    assert page.text.replace("`", "").replace("*", "") == text.replace("`", "").replace("*", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("你打分的是*输入*通道", "你打分的是<strong>输入</strong>通道"),
        ("*输入*通道和*输出 x*。", "<strong>输入</strong>通道和<strong>输出 x</strong>。"),
        ("用 *one* 和 *two*", "用 <strong>one</strong> 和 <strong>two</strong>"),
        ("宽 * 高 * 深", "宽 * 高 * 深"),
        ("3*4*5 个，2**n 个", "3*4*5 个，2**n 个"),
        ("a*b*c", "a*b*c"),
        ("`a*b*`和*权重*", "<code>a*b*</code>和<strong>权重</strong>"),
    ],
)
def test_emphasis_needs_no_space_beside_chinese_characters(text, shown):
    assert inline(text) == shown


@pytest.mark.parametrize("count", [2, 20])
def test_a_row_of_inputs_ends_its_lines_between_them_and_never_inside_a_name(count):
    row = ", ".join(f"padding_{i} = {i}" for i in range(count))
    page = Card("t", "bad", (("inputs", row),))._repr_html_()
    assert page.count('white-space:nowrap">padding_') == count and "word-break:normal" in page
    assert row in re.sub("<[^>]*>", "", page)


def test_rows_with_tabs_are_a_table():
    card = Card("t", "bad", (("2 values differ.", "index\tyours\texpected\n[0]\t<1>\t22\n… and 1 more\t\t"),))
    page = Page(card._repr_html_())
    assert [page.tags.count(tag) for tag in ("table", "tr", "th", "td", "pre")] == [1, 3, 3, 6, 0]
    assert "<1>" in page.text and not page.open
    lines = ["  2 values differ:", "    index         yours  expected", "    [0]             <1>        22"]
    assert repr(card).splitlines()[1:] == [*lines, "    … and 1 more"]
    assert "  2 个值不同:" in repr(Card("t", "bad", (("2 个值不同。", "1"),)))


@pytest.mark.parametrize("code", ["def f(x):\n\treturn x", "\tone\ttwo", "a\tb\n\tc"])
def test_code_with_tabs_is_no_table(code):
    assert "<pre" in Card("t", "bad", (("", code),))._repr_html_()


def test_a_page_ends_no_line_between_a_number_and_its_unit_and_plain_text_keeps_its_space():
    card = Card("A 95 % interval", "neutral", ("It takes 2 ms.", "Try `5 % s`."))
    assert "<code>5 % s</code>" in card._repr_html_()
    assert "95\xa0% interval" in card._repr_html_() and "2\xa0ms." in card._repr_html_()
    assert "95 % interval" in repr(card) and "2 ms." in repr(card)
