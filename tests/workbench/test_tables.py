"""A table is HTML with headings in a notebook, and the same cells as aligned text elsewhere."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from rich.cells import cell_len

from nnopt_lab.workbench.tables import Table

RACE = Table(
    [
        ["one-cycle", "0.05", "88.47 %", "+0.85 (-0.92 to +2.61)"],
        ["constant", "0.025", "87.62 %", None],
        ["<step>", 1, "7.30 %", "-10.66 (-2.82 to +1.50)"],
    ],
    ["schedule", "peak", "test", "ahead of constant"],
    "Three seeds",
)


class Cells(HTMLParser):
    """The cells of the first table on a page: (tag, attributes, text)."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.caption = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append([tag, dict(attributes), ""])
        if tag == "br":
            self.rows[-1][-1][2] += "\n"

    def handle_data(self, data):
        if not self.rows:
            self.caption += data
        else:
            self.rows[-1][-1][2] += data


def texts(page):
    return [[cell.strip("\u2007\u2008") for _, _, cell in row] for row in Cells(page).rows]


def test_html_and_text_have_the_same_cells():
    page, lines = RACE._repr_html_(), repr(RACE).splitlines()
    assert texts(page) == [RACE.columns, *RACE.rows]
    assert lines[0] == Cells(page).caption == "Three seeds"
    assert [re.split(r" {2,}", line) for line in lines[1:]] == [RACE.columns, *RACE.rows]


def test_headings_have_a_scope_and_colours_come_from_the_theme():
    head, *rows = Cells(RACE._repr_html_()).rows
    assert all((tag, attributes["scope"]) == ("th", "col") for tag, attributes, _ in head)
    assert all([tag for tag, *_ in row] == ["th", "td", "td", "td"] and row[0][1]["scope"] == "row" for row in rows)
    assert "background-color" not in RACE._repr_html_()
    assert "color:var(--jp-ui-font-color1,inherit)" in RACE._repr_html_()


def test_points_lie_below_each_other():
    lines = repr(RACE).splitlines()[2:]
    assert len({re.search(r"\d\.\d\d %", line).end() for line in lines}) == 1
    ahead = [re.search(r"[+−]\d+(\.)\d\d \(", line) for line in lines]
    assert len({found.start(1) for found in ahead if found}) == 1
    peaks = [re.split(r" {2,}", line) for line in lines]
    assert len({line.index(cells[1]) + cells[1].find(".") for line, cells in zip(lines, peaks, strict=True)
                if "." in cells[1]}) == 1  # fmt: skip
    # In HTML, spaces as wide as a digit and a point stand for what is missing.
    cells = [row[1][2] for row in Cells(RACE._repr_html_()).rows[1:]]
    assert cells == ["0.05\u2007", "0.025", "1\u2008\u2007\u2007\u2007"]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (1234567, "1,234,567"),
        (-3, "−3"),
        (0.1 + 0.2, "0.3"),
        (7.137000000000001, "7.14"),
        (-1.5e-7, "−1.5e−07"),
        (None, "–"),
        (True, "True"),
        ("-0.3 (-1 to -0.2)", "−0.3 (−1 to −0.2)"),
        ("-0.00 (-0.004 to +0.0)", "0.00 (−0.004 to 0.0)"),
        ("resnet-18, e4m3-1", "resnet-18, e4m3-1"),
        ("e5m2 and 2-bit", "e5m2 and 2-bit"),
    ],
)
def test_cells_are_written_alike(cell, text):
    assert Table([["x", cell]], ["", "value"]).rows == [["x", text]]


def test_a_repeated_name_is_written_once_and_spans_its_rows():
    table = Table([["search", 1], ["search", 2], ["random", 3], ["search", 4]], ["", "trials"])
    heads = [cell for row in Cells(table._repr_html_()).rows[1:] for cell in row if cell[0] == "th"]
    assert [(text, a.get("scope"), a.get("rowspan")) for _, a, text in heads] == [
        ("search", "rowgroup", "2"),
        ("random", "row", None),
        ("search", "row", None),
    ]
    assert [line.split() for line in repr(table).splitlines()] == [
        ["trials"], ["search", "1"], ["2"], ["random", "3"], ["search", "4"],
    ]  # fmt: skip


def test_rows_with_a_common_name_have_a_body_of_their_own():
    """Otherwise JupyterLab's stripes, which begin anew in each body, would shade the name of some groups."""
    table = Table([["search", 1], ["random", 2], ["random", 3]], ["", "trials"])
    bodies = re.findall("<tbody>(.*?)</tbody>", table._repr_html_())
    assert [body.count("<tr>") for body in bodies] == [1, 2]
    assert Table([["a", 1], ["b", 2]], ["", "n"])._repr_html_().count("<tbody>") == 1


def test_numbers_are_flush_right_and_words_flush_left():
    table = Table([["a", 5, "OpenVINO int8"], ["b", 1234, "none"]], ["", "n", "engine"])
    sides = [
        [re.search("text-align:(\\w+)", a["style"])[1] for _, a, _ in row] for row in Cells(table._repr_html_()).rows
    ]
    assert sides == [["left", "right", "left"]] * 3


@pytest.mark.parametrize("rows", [[], [["a", 1]]])
def test_a_table_without_rows_or_caption(rows):
    table = Table(rows, ["name", "n"])
    assert "<caption" not in table._repr_html_() and len(repr(table).splitlines()) == 1 + len(rows)


@pytest.mark.parametrize(
    ("rows", "columns", "sentence"),
    [
        ([["a"]], ["x", "y"], r"columns=\['x', 'y'\]: the row \['a'\] has 1 cells"),
        ([["a", 1, 2]], ["x", "y"], "has 3 cells"),
        ([], [], "no column"),
    ],
)
def test_rows_of_another_width_are_refused(rows, columns, sentence):
    with pytest.raises(ValueError, match=sentence):
        Table(rows, columns)


TWO_LINES = Table(
    [["eager", "0.468 (0.464–0.472)", "1.03 MiB"], ["own", "54.8 (54.4–55.2)\n2.1× (2.0 to 2.2)", "796 KiB\n80 KiB"]],
    ["engine", "batch 1, ms", "file\ngzipped"],
)


def test_a_cell_s_second_line_is_smaller_and_stands_below_the_first_also_in_text():
    page = TWO_LINES._repr_html_()
    assert texts(page) == [TWO_LINES.columns, *TWO_LINES.rows]
    assert page.count("font-size:92%") == page.count("<br>") == 3
    lines = [line.split("  ") for line in repr(TWO_LINES).splitlines()]
    assert [[cell.strip() for cell in line if cell.strip()] for line in lines] == [
        ["engine", "batch 1, ms", "file"],
        ["gzipped"],
        ["eager", "0.468 (0.464–0.472)", "1.03 MiB"],
        ["own", "54.8 (54.4–55.2)", "796 KiB"],
        ["2.1× (2.0 to 2.2)", "80 KiB"],
    ]


@pytest.mark.parametrize(
    "cells", [("1.5 KiB", "12 KiB"), ("1.5 KiB", "12 B"), ("468 (464–472)", "54.8 (54.4–55.2)"), ("3.4e+38", "448")]
)
def test_numbers_get_no_gap_before_their_unit_or_interval(cells):
    table = Table([["a", cells[0]], ["b", cells[1]]], ["", "value"])
    assert texts(table._repr_html_())[1:] == [["a", cells[0]], ["b", cells[1]]]
    assert not set("\u2007\u2008") & set(table._repr_html_() + TWO_LINES._repr_html_())


def test_a_number_before_words_is_no_column_of_numbers():
    page = Table([["256", 1], ["256, without OpenVINO", 2]], ["batch", "n"])._repr_html_()
    assert [a["style"].count("text-align:left") for _, a, _ in Cells(page).rows[1]] == [1, 0]
    assert "256\u2008" not in page and "256\u2007" not in page


def test_styles_carry_no_word_that_a_page_without_styles_would_show():
    assert texts(RACE._repr_html_())[-1][-1] == RACE.rows[-1][-1]


def test_a_long_cell_may_wrap_and_short_ones_do_not():
    sentence = "computed by ONNX Runtime int8; channels kept: features.3 38 %"
    ((_, *cells),) = Cells(Table([["a", sentence, 5]], ["", "how", "n"])._repr_html_()).rows[1:]
    assert ["nowrap" in a["style"] for _, a, _ in cells] == [False, True]


def test_words_are_shown_in_the_language_in_use_and_kept_in_english(chinese):
    chinese({"layer": "层", "what it does": "作用", "{0} weights": "{0} 个权重", "small": "小", "Layers": "各层"})
    table = Table(
        [["small", "3 weights", -1.5], ["x", "12 weights\nsmall", 20.25]], ["layer", "what it does", "y"], "Layers"
    )
    caption, *lines = repr(table).splitlines()
    assert caption == "各层" and "小   3 个权重" in lines[1]
    assert len({cell_len(line) for line in lines[:3]}) == 1  # flush, though Chinese characters are twice as wide
    shown = Cells(table._repr_html_())
    assert shown.caption == "各层"
    assert [[cell[2] for cell in row][:2] for row in shown.rows] == [
        ["层", "作用"],
        ["小", "3 个权重"],
        ["x", "12 个权重\n小"],
    ]
    assert table.columns[0] == "layer" and table.rows[0][1] == "3 weights" and table.caption == "Layers"


def test_the_sign_of_more_columns_is_told_in_the_language_in_use(chinese):
    assert "more columns →" in unquote(RACE._repr_html_())
    chinese({"more columns →": "右边还有列 →"})
    page = unquote(RACE._repr_html_())
    assert "右边还有列 →" in page and "more columns" not in page
