"""The report as a page: well-formed, without external addresses, and with every point's figures."""

from html.parser import HTMLParser

import pytest

from nnopt_lab.techniques.search.kept import KeptNetworks
from nnopt_lab.techniques.search.page import page
from nnopt_lab.techniques.search.points import Goal, Point
from nnopt_lab.techniques.search.result import Search


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects attributes, tooltips and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.titles, self.text = [], [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in ("src", "href", "data", "action")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag == "path"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] == "title" and "svg" in self.open:
            self.titles.append(data)


@pytest.mark.parametrize("target", ["bytes", "latency"])
def test_it_is_well_formed_and_shows_each_point(task, target):
    points = [Point(i, {"engine": "bf16"}, 80.0 + i, 100 + 50 * i, 0.001 * (i + 1)) for i in range(3)]
    found = Search(task, Goal(target), Point(-1, {}, 82.5, 900, 0.1), KeptNetworks(task, ""), points)
    text = page(found, [("<b>", [["a & b", "c"], ["1", "2"]])], ["Class <x> loses."], "# Text <y>")
    seen = Page(text)
    assert not seen.addresses and "http" not in text and "url(" not in text and "prefers-color-scheme: dark" in text
    assert len(seen.titles) == 4 and all("%" in title for title in seen.titles)
    assert {title.split(":")[0] for title in seen.titles} == {"original", "trial 0", "trial 1", "trial 2"}
    assert all(part in seen.text for part in ("<b>", "a & b", "Class <x> loses.", "# Text <y>"))


def test_all_points_at_one_cost_are_drawn(task):
    found = Search(task, Goal(), Point(-1, {}, 0.0, 9, 0.1), KeptNetworks(task, ""), [Point(0, {}, 0.0, 9, 0.1)])
    text = page(found, [], [], "")
    assert len(Page(text).titles) == 2 and "nan" not in text
