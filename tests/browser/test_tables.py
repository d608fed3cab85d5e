"""Tables in a browser: they fit a notebook's cell beside the contents, and say so where they must be scrolled."""

import json
from pathlib import Path

import pytest

from nnopt_lab.course.ledger import Ledger, Prediction
from nnopt_lab.workbench.language import set_language
from nnopt_lab.workbench.tables import Table

CELL = 780  # pixels, on a screen of 1,280 with the contents panel open
BOOK = 400
COLUMNS = 95  # of printed text in such a cell; longer lines break inside words
SOLVED = sorted((Path(__file__).parents[2] / "solutions").glob("*.ipynb"))
# What JupyterLab's own style sheet says about tables.
STYLE = """
  body { margin: 0; font-family: system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; font-size: 14px; }
  table { border-collapse: collapse; border: none; font-size: 13px; table-layout: fixed; margin: 0 auto 1em; }
  td, th, tr { vertical-align: middle; padding: 0.5em; line-height: normal; white-space: normal; border: none; }
"""
# Per table: the width of its frame and of what is in it, and its cell with the most lines.
MEASURE = """
() => [...document.querySelectorAll('table')].map(table => {
  const lines = cell => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return new Set([...range.getClientRects()].filter(r => r.width).map(r => Math.round(r.bottom / 8))).size;
  };
  const cells = [...table.querySelectorAll('td, th')].map(cell => [lines(cell), cell.innerText]);
  const frame = table.closest('[style*=overflow-x]') ?? document.documentElement;
  return [frame.clientWidth, frame.scrollWidth, cells.reduce((a, b) => b[0] > a[0] ? b : a, [0, ''])];
})
"""
SIGN = "document.querySelector('[style*=sticky][style*=svg]').getBoundingClientRect().height"
MANY = Table([[f"row {i}", *["1.84 (1.71–1.97)"] * 9] for i in range(3)], ["name", *map(str, range(9))], "Wide " * 30)
WORDY = Table(
    [["a rather long name of an engine, half", "1.84", "word " * 14], ["b", "12", "word " * 3]], ["", "n", "what"]
)


def outputs(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [output for cell in cells for output in cell.get("outputs", [])]


def pages(path):
    found = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs(path)]
    return [page for page in found if "<table" in page]


def show(page, width, body):
    page.set_viewport_size({"width": width, "height": 800})
    page.set_content(f"<style>{STYLE}</style><body>{body}")
    return page.evaluate(MEASURE)


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_every_table_of_a_lesson_fits_a_cell_with_two_lines_per_cell_or_three_of_sentences(page, path):
    for body in pages(path):
        for inner, outer, (lines, text) in show(page, CELL, body):
            assert outer <= inner, f"{outer} px: {body[-3000:]}"
            assert lines <= (3 if text.endswith(".") else 2), text


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_no_table_widens_a_narrow_page(page, path):
    for body in pages(path):
        show(page, BOOK, body)
        assert page.evaluate("document.documentElement.scrollWidth") <= BOOK, body[-3000:]


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_no_printed_line_is_wider_than_a_cell(path):
    texts = ["".join(output.get("text", "")) for output in outputs(path)]
    assert [line for text in texts for line in text.splitlines() if len(line) > COLUMNS] == []


@pytest.mark.parametrize(("table", "width", "wide"), [(MANY, CELL, True), (WORDY, CELL, False), (MANY, BOOK, True)])
def test_only_a_table_that_is_too_wide_has_a_sign_and_is_scrolled_in_its_frame(page, table, width, wide):
    ((inner, outer, _),) = show(page, width, table._repr_html_())
    assert (outer > inner) == wide == (page.evaluate(SIGN) > 10)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_names_and_sentences_break_once_and_numbers_never(page):
    ((_, _, (lines, _)),) = show(page, CELL - 200, WORDY._repr_html_())
    assert lines == 2
    ((_, _, (lines, text)),) = show(page, BOOK, MANY._repr_html_())
    assert lines == 1, text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_ledger_fits_a_cell_with_its_headings_on_one_line(page, language, chinese_of_today):
    set_language(language)
    names = ("speed-up", "accuracy after a quarter of an epoch at 2 bits, weights and inputs, learned steps")
    units = ("×", "points", "% of the float32 file", "× as long")
    numbers = {"guess": 1234.5, "measured": 100.7, "low": 98.0, "high": 104.1}
    made = [(f"{name} {i}", Prediction("08_x", unit, **numbers)) for i, unit in enumerate(units) for name in names]
    table = Ledger(dict(made))._repr_html_()
    set_language(None)
    ((inner, outer, _most),) = show(page, CELL, table)
    assert outer <= inner
    heights = page.evaluate("[...document.querySelectorAll('th')].map(head => head.clientHeight)")
    assert len(heights) == 5 and max(heights) < 30
