"""The report as a page: well-formed, without external addresses, and with every point's figures."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from nnopt_lab.course.translation.library import library_messages
from nnopt_lab.techniques.search.page import page
from nnopt_lab.techniques.search.points import Point
from tests.techniques.search.known_report import known_report


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects attributes, points and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.ids, self.points, self.headers, self.text = [], [], [], [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.addresses += [found[name] for name in ("src", "href", "data", "action") if name in found]
        self.ids += [found["id"]] if "id" in found else []
        self.points += [found] if found.get("role") == "button" else []
        self.headers += [found.get("scope")] if tag == "th" else []
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in ("path", "circle", "rect")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("target", ["bytes", "latency"])
def test_it_is_well_formed_and_shows_each_point_in_words(task, target):
    text = page(known_report(task, target))
    seen = Page(text)
    assert not seen.addresses and "http" not in re.sub('http-equiv="Content', "", text) and "url(" not in text
    assert "default-src 'none'" in text and "prefers-color-scheme: dark" in text
    names = [point["aria-label"].split(":")[0] for point in seen.points]
    assert sorted(names) == ["Original", "Trial 0", "Trial 1", "Trial 2"]
    assert {f"details-{point['data-place']}" for point in seen.points} == set(seen.ids)
    assert [p["aria-label"].split(":")[0] for p in seen.points if p["aria-pressed"] == "true"] == ["Trial 1"]
    assert "channels kept: 0 50 %" in seen.text and "4.00 times as fast as the original" in seen.text
    assert seen.headers and all(scope in ("col", "row") for scope in seen.headers)


def test_points_stand_from_left_to_right_by_cost(task):
    points = [Point(i, {}, 80.0, 100, seconds) for i, seconds in enumerate((0.05, 0.001, 0.5))]
    seen = Page(page(known_report(task, points=points))).points
    places = {int(p["data-place"]): float(re.search(r"\(([\d.]+) ", p["transform"])[1]) for p in seen}
    assert [places[i] for i in range(4)] == sorted(places.values())


def test_what_users_name_is_shown_and_never_run(task):
    report = known_report(task, names=("<script>alert(1)</script>", "a & b"))
    report.search.notes.append("<img src=x> `code`")
    text = page(report)
    seen = Page(text)
    assert not seen.addresses and "<script>alert" not in text and "<code>code</code>" in text
    assert "Class a & b loses" in seen.text and "<img src=x>" in seen.text


def test_the_best_loss_is_told_first(task):
    text = page(known_report(task))
    assert text.index("Class dog loses 15.0") < text.index("<h2>")


def test_all_points_at_one_cost_are_drawn(task):
    point = Point(0, {}, 0.0, 900, 0.1)
    report = known_report(task, points=[point], speedup=1.0)
    text = page(replace(report, exported=point))
    assert len(Page(text).points) == 2 and "nan" not in text and "inf" not in text.replace("info", "")


def test_networks_far_below_the_limit_are_drawn_at_the_edge(task):
    points = [Point(0, {}, 1.0, 100, 0.001), Point(1, {}, 82.0, 100, 0.002)]
    text = page(known_report(task, points=points))
    assert 'class="point front below"' in text and "far less accurate, drawn at the edge" in text
    assert "drawn at the edge" not in page(known_report(task))


def test_a_report_is_written_in_the_language_in_use(task, chinese):
    english = page(known_report(task))
    chinese({text: f"【{text}】" for text in library_messages()})
    found = page(known_report(task))
    assert '<html lang="zh">' in found
    shown = re.sub(r"<(style|script|pre|title)>.*?</\1>|<[^>]*>", " ", found, flags=re.DOTALL)
    for _depth in range(6):  # they may stand in each other
        shown = re.sub("【[^【】]*】", "", shown)
    assert not re.findall(r"\b[a-z]{3,}\b [a-z]{2,}\b", shown)
    assert figures(re.sub("[【】]", "", found)) == figures(english)


def figures(shown):
    return re.findall(r"\d[\d.,]*", re.sub(r"<pre>.*?</pre>", "", shown, flags=re.DOTALL))
