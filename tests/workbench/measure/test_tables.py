"""Wide tables: on a narrow page, headings and sentences wrap, and numbers stay whole."""

import re

import pytest

from nnopt_lab.workbench.measure.tables import html_table

CELLS = [
    ["engine", "batch 1\ncompared with the first"],
    ["eager", "1.03 ms (1.02–1.04)\n2.1× (2 to 3)"],
    ["a < b", "Not compiled on this machine."],
]


@pytest.mark.parametrize("header", [True, False])
def test_only_short_cells_below_the_headings_never_wrap(header):
    cells = re.findall(r'<(th|td)[^>]*?style="([^"]*)"[^>]*>', html_table(CELLS, header))
    whole = ["nowrap" in style for _, style in cells]
    assert whole == [not header, not header, True, True, True, False]


def test_a_cells_first_line_is_the_larger_and_text_is_escaped():
    page = html_table(CELLS, header=True)
    assert "a &lt; b" in page and re.search(r"1\.04\)<br><span style=\"[^\"]*font-size:92%\">2\.1×", page)
