"""Everything on a lesson's page begins at one left edge; frames and code are equally wide, and read in every theme."""

import nbformat
import pytest

from nnopt_lab.course.asking import ASKS, CHECKS, GUESSES, asks, checks, guesses, prose
from nnopt_lab.course.exercises import cell_id, exercises, questions
from tests.browser.lab_page import write_notebook
from tests.browser.test_cards import CONTRASTS

ASKED, EXERCISE = questions()["start.three_percent"], exercises()["start.conv_parameters"]
LONG = " + ".join(["narrow"] * 20)
PROSE = f"# A heading\n\nProse of 90 % and `90 %`, a T-shirt and `{LONG}`.\n\n| a | b |\n|---|---|\n| 1 | 2 |"
LOADS = """
from nnopt_lab.course.calls import *
from nnopt_lab.course.playground import Playground, slider
from nnopt_lab.course.predictions import predict
from nnopt_lab.workbench import plots
from nnopt_lab.workbench.tables import Table
lesson("00_start_here")
"""
PLAYGROUND = """
Playground(lambda share: (plots.finish(plots.figure()[0]), str(share), [""]), goals=["A goal."],
    share=slider("pruned", 0.0, 1.0, 0.9, 0.05, ".0%"))
"""
CARDS = """
from nnopt_lab.course.cards import Card
from nnopt_lab.course.help import HelpCard
LINES = ("`code`", ("label", "`1`"), ("short", "1\\n2"), ("long", "1\\n" * 40))
for card in (*(Card("A `name`", mood, LINES) for mood in ("good", "bad", "neutral", "guess", "quiet")),
             HelpCard("A `name`", "bad", (*LINES, ""), exercise="start.conv_parameters")):
    card._ipython_display_()
"""
READ = ("Your answer", "Code", "Check", "Commit my guess", "A goal.", "Numbers: one")
THEMES = {"JupyterLab Light": 4.5, "JupyterLab Dark High Contrast": 7}
FRAMES = ".nnopt-task, .nnopt-help, .nnopt-form, .nnopt-asking > .nnopt-strip, .nnopt-goals, .jp-InputArea-editor, "
FRAMES += ".jp-OutputArea-output > [role=note]"
INNER = ".jp-RenderedMarkdown > :is(h1, p, table), .jp-OutputArea-output table, .nnopt-controls > *, .nnopt-text, img"
EDGES = f"""
() => {{
  const edges = selector => [...document.querySelectorAll(selector)].map(element => element.getBoundingClientRect())
    .filter(box => box.width).map(box => [Math.round(box.left), Math.round(box.right)]);
  return [edges({FRAMES!r}), edges({INNER!r})];
}}
"""


VISIBLE = "filter(element => element.getBoundingClientRect().width)"
# The different looks of code in cards, by their kind.
CODE_LOOKS = f"""
() => Object.fromEntries(['code', 'pre'].map(tag => {{
  const looks = [...document.querySelectorAll(`.jp-Notebook [role=note] ${{tag}}`)].{VISIBLE}.map(getComputedStyle)
    .map(s => [s.backgroundColor, s.fontSize, s.fontFamily, s.lineHeight, s.padding, s.whiteSpace].join(' '));
  return [tag, [...new Set(looks)]];
}}))
"""
# The sizes of the text of what has a frame, but for code, tables and figures.
SIZES = f"""
() => [...document.querySelectorAll('.jp-Notebook :is(.nnopt-card, .nnopt-form, .nnopt-strip, .nnopt-controls) *')]
  .{VISIBLE}.filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
  .filter(element => !element.closest('code, pre, table, svg, .nnopt-copies')).map(e => getComputedStyle(e).fontSize)
"""
# The opacities of the tints of what has one.
TINTED = ".nnopt-help, .nnopt-form, .nnopt-asking > .nnopt-strip, .nnopt-goals, .jp-Notebook [role=note]"
TINTS = f"""
() => [...document.querySelectorAll({TINTED!r})].{VISIBLE}
  .map(element => getComputedStyle(element).backgroundColor.match(/[\\d.]+(?=\\)$)/)[0]).filter(Number)
"""
# How the cells of two tables look: of the text, and of a result.
TABLE_LOOKS = """
() => ['.jp-RenderedMarkdown table', '.jp-RenderedHTMLCommon:not(.jp-RenderedMarkdown) table'].map(selector =>
  [...document.querySelector(selector).querySelectorAll('tr > :first-child')].map(getComputedStyle)
    .map(s => [s.textAlign, s.padding, s.borderBottom, s.fontSize].join(' ')))
"""


def code(source: str, **keywords):
    return nbformat.v4.new_code_cell(source.strip(), **keywords)


@pytest.fixture
def page(lab, workspace):
    asking = {"question": ASKED.id, ASKS: asks(ASKED)}
    cells = [
        code(LOADS),
        nbformat.v4.new_markdown_cell(PROSE),
        code('predict("speed-up at the edges")', metadata={GUESSES: guesses(["speed-up at the edges"])}),
        nbformat.v4.new_markdown_cell(prose(ASKED)),
        code(f'choice = None\nquestion("{ASKED.id}", choice)', id=cell_id("question", ASKED.id), metadata=asking),
        code("def conv_parameters(): pass", metadata={"exercise": EXERCISE.id, CHECKS: checks()}),
        code(f'check("{EXERCISE.id}", conv_parameters)'),
        code(PLAYGROUND),
        code('Table([["a", 1]], ["name", "value"])'),
        code(CARDS),
        code('claim("One is less than two.", 1 < 2)'),
        code("# Numbers: one\nx = 1", metadata={"jupyter": {"source_hidden": True}}),
    ]
    opened = lab(write_notebook(workspace / "edges.ipynb", cells))
    opened.run_all()
    return opened


def test_edges_and_widths_are_the_same_in_every_window(page):
    for width in (1280, 1440, 900):
        page.page.set_viewport_size({"width": width, "height": 900})
        page.page.wait_for_timeout(1000)
        frames, inner = page.page.evaluate(EDGES)
        assert len(frames) >= 8 and all(edges == frames[0] for edges in frames), (width, frames)
        left, right = frames[0]
        assert [edges for edges in inner if edges[0] != left or edges[1] > right] == [], width


def test_text_is_larger_than_a_menu_and_a_user_can_make_it_larger_still(page):
    size = "() => parseFloat(getComputedStyle(document.querySelector('.jp-RenderedMarkdown > p')).fontSize)"
    body = page.page.locator("body")
    assert body.evaluate(size) == 15
    page.menu_item("Settings", "Theme", "Increase Content Font Size")
    page.page.wait_for_timeout(1000)
    larger = body.evaluate(size)
    page.menu_item("Settings", "Theme", "Decrease Content Font Size")  # for the tests below, which share its settings
    page.page.wait_for_timeout(1000)
    assert (larger, body.evaluate(size)) == (16, 15)


def test_an_output_repeats_no_number_of_its_cell(page):
    assert page.page.locator(".jp-OutputPrompt:visible", has_text="[").count() == 0


def test_texts_can_be_read_in_every_theme(page):
    for theme, least in THEMES.items():
        page.menu_item("Settings", "Theme", theme)
        page.page.wait_for_timeout(1500)
        found = page.page.evaluate(CONTRASTS.replace("document.body, ", "document.querySelector('.jp-Notebook'), "))
        shown = [entry for entry in found if entry[0] in READ]
        assert len(shown) >= 6 and [entry for entry in shown if entry[1] < least] == [], theme


def test_no_line_breaks_between_a_number_and_its_unit(page):
    prose = page.page.locator(".jp-RenderedMarkdown > p").first
    assert prose.text_content() == f"Prose of 90\u00a0% and 90 %, a T-\u2060shirt and {LONG}."
    lines = "element => new Set([...element.getClientRects()].map(box => Math.round(box.top))).size"
    short, long = prose.locator("code").all()
    # Only code that is longer than a line may break.
    for width in ("20px", "60px", "90px"):
        short.evaluate("(element, width) => element.parentElement.style.width = width", width)
        assert short.evaluate(lines) == 1 < long.evaluate(lines)
    prose.evaluate("element => element.removeAttribute('style')")


def test_code_in_cards_looks_the_same_in_all_of_them_and_after_a_reload(page):
    before = page.page.evaluate(CODE_LOOKS)
    assert [len(looks) for looks in before.values()] == [1, 1]
    page.save()
    page.open("edges.ipynb")
    page.outputs("A name").last.wait_for()
    assert page.page.locator(".nnopt-help").count() == 0 and page.page.evaluate(CODE_LOOKS) == before


def test_text_in_frames_is_as_large_as_the_page_s(page):
    text = page.page.locator(".jp-RenderedMarkdown > p").first.evaluate("text => getComputedStyle(text).fontSize")
    sizes = page.page.evaluate(SIZES)
    assert len(sizes) > 20 and set(sizes) == {text}


def test_a_question_is_selected_as_one_and_a_bar_is_beside_all_that_is_selected(page):
    asking = page.page.locator(".nnopt-asking")
    told = asking.locator("xpath=preceding-sibling::*[1]")
    bar = "strip => getComputedStyle(strip, '::before').backgroundColor"
    line = "cell => getComputedStyle(cell).boxShadow.split('rgb').length - 1"
    asking.locator(".jp-OutputPrompt, .nnopt-strip > span").first.click()
    page.page.keyboard.press("Escape")
    for _ in range(2):
        assert [cell.evaluate(line) for cell in (told, asking)] == [3, 3], "three edges of each, and none between them"
        beside = told.locator(".jp-Collapser").first.evaluate("bar => getComputedStyle(bar).backgroundColor")
        assert beside == asking.locator(".nnopt-strip").evaluate(bar) != "rgba(0, 0, 0, 0)"
        page.page.keyboard.press("ArrowUp")
    assert asking.locator(".nnopt-strip").evaluate(bar) == "rgba(0, 0, 0, 0)"
    assert [cell.evaluate(line) for cell in (told, asking)] == [0, 0]


def test_long_code_in_a_card_stands_whole_and_the_page_scrolls_over_it(page):
    code = page.page.locator("[role=note] pre").nth(1)
    assert code.evaluate("pre => pre.offsetHeight") > 700
    assert code.evaluate("pre => pre.scrollHeight <= pre.clientHeight")
    code.evaluate("pre => pre.scrollIntoView()")
    page.page.wait_for_timeout(500)
    above = code.bounding_box()
    page.page.mouse.move(above["x"] + 50, above["y"] + 50)
    page.page.mouse.wheel(0, -200)
    page.page.wait_for_timeout(500)
    assert code.bounding_box()["y"] > above["y"]


def test_frames_are_tinted_equally_on_a_dark_page_and_tables_look_alike(page):
    page.menu_item("Settings", "Theme", "JupyterLab Dark")
    page.page.wait_for_timeout(1500)
    tints = page.page.evaluate(TINTS)
    assert len(tints) >= 8 and set(tints) == {"0.22"}
    text, result = page.page.evaluate(TABLE_LOOKS)
    assert (text[0], text[-1]) == (result[0], result[-1]) and text[0].startswith("left")
