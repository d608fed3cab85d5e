"""Cards in a browser: their text can be read on light and dark pages, and by a screen reader."""

import pytest

from nnopt_lab.course.cards import Card, Copyable
from nnopt_lab.course.claims import NOT_JUDGED, Further, Statement
from nnopt_lab.course.notes import Note
from nnopt_lab.course.server_settings import LAB_EXTENSIONS
from nnopt_lab.course.skipped_cells import SkippedCard

THEMES = {"light": ("#ffffff", "rgba(0, 0, 0, 0.87)"), "dark": ("#111111", "#ffffff"), "grey": ("#1e1e1e", "#cccccc")}
CARDS = [
    Card("A title with `code`", mood, ("A line with `code`.", ("label", "1"), ("long", "1\n2")), (("Fold", "text"),))
    for mood in ("good", "bad", "neutral", "guess", "quiet")
]
CLAIMS = [Statement("a < b", state, "note", timing) for state in (True, False, None, NOT_JUDGED) for timing in (0, 1)]
SHOWN = [*CARDS, *CLAIMS, Further(tuple(CLAIMS)), Note("a note"), SkippedCard("a button", "quiet", ("text",))]
# The contrast of every text of a part of the page with what lies behind it, all layers blended, as WCAG 2 defines it.
CONTRASTS = """
root => {
  const parse = text => { const v = text.match(/[\\d.]+/g).map(Number); return v.length < 4 ? [...v, 1] : v; };
  const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const light = color => [0, 1, 2].map(i => color[i] / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const walker = document.createTreeWalker(document.querySelector(root ?? 'body'), NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text) continue;
    const under = behind(element), [a, b] = [light(over(parse(getComputedStyle(element).color), under)), light(under)];
    found.push([text, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found;
}
"""


@pytest.mark.parametrize("theme", THEMES)
def test_every_text_has_a_contrast_of_at_least_four_and_a_half(page, theme):
    background, color = THEMES[theme]
    cards = "".join(card._repr_html_() for card in SHOWN)
    page.set_content(f'<body style="background:{background};color:{color}">{cards}</body>')
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    found = page.evaluate(CONTRASTS)
    assert len(found) > 10 * len(CARDS)
    assert [entry for entry in found if entry[1] < 4.5] == []


def test_a_card_has_a_role_and_a_name_and_its_title_is_bold_without_styles(page):
    page.set_content("".join(card._repr_html_() for card in CARDS))
    names = {"good": "passed", "bad": "not right yet", "neutral": "note", "guess": "guess", "quiet": "open"}
    for card in CARDS:
        note = page.get_by_role("note", name=names[card.mood], exact=True)
        assert note.count() == 1
    page.evaluate("document.querySelectorAll('[style]').forEach(element => element.removeAttribute('style'))")
    bold = page.get_by_text("A title with code")
    assert all(int(text.evaluate("text => getComputedStyle(text).fontWeight")) >= 600 for text in bold.all())


def test_a_card_fits_a_narrow_page(page):
    page.set_viewport_size({"width": 400, "height": 800})
    page.set_content("<body>" + "".join(card._repr_html_() for card in CARDS))
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


@pytest.mark.parametrize("label", ["expected", "input regularization"])
def test_the_labels_of_a_card_are_one_column_as_wide_as_the_widest(page, label):
    lines = (("your result", "1"), (label, "0.5"), ("matrix", "1\n2"))
    page.set_content(f'<body style="font:15px sans-serif">{Card("Title", "bad", lines)._repr_html_()}')
    (first, one), (second, other) = (
        [page.get_by_text(text, exact=True).bounding_box() for text in line] for line in lines[:2]
    )
    assert one["x"] == other["x"] and first["height"] == second["height"], "no label has two lines"
    assert 0 < other["x"] - second["x"] - second["width"] < 60


def test_a_call_and_the_button_that_copies_it_are_one_line(page):
    call = Copyable("conv_parameters(in_channels=7, out_channels=17, kernel_size=3, bias=True)")
    card = Card("Title", "bad", (("inputs", call), ("your result", "1")))._repr_html_()
    style = "body {font: 15px sans-serif} code {font-size: 13px} button {display: inline-block !important}"
    page.set_content(f"<style>{style}</style><body>{card}")
    code, button = page.get_by_text(call).bounding_box(), page.get_by_role("button", name="Copy").bounding_box()
    assert code["height"] < 25 and code["y"] < button["y"] + button["height"] / 2 < code["y"] + code["height"]


def test_a_note_stands_below_what_its_cell_shows(page):
    style = (LAB_EXTENSIONS / "nnopt-lab" / "static" / "course.css").read_text(encoding="utf-8")
    outputs = "".join(
        f'<div class="jp-OutputArea-child">{one}</div>' for one in (Note("a note")._repr_html_(), "a plot")
    )
    page.set_content(f'<style>{style}</style><div class="jp-OutputArea">{outputs}</div>')
    note, plot = (page.get_by_text(text).bounding_box() for text in ("a note", "a plot"))
    assert note["y"] >= plot["y"] + plot["height"]
