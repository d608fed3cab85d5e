"""The report of `nnopt optimize` in a browser: points are selected by mouse and keys, and it fits a phone."""

import pytest

from nnopt_lab.techniques.search.datasets import as_split
from nnopt_lab.techniques.search.page import page as report_page
from nnopt_lab.techniques.search.points import Point
from nnopt_lab.techniques.search.tasks import GivenPictures, Task
from tests.techniques.search.known_report import known_report
from tests.techniques.search.small_search import TRAIN, VALIDATION, build

POINTS = [Point(i, {"channels": {"0": 0.5 + i / 10}}, 80.0 + i, 100 + 50 * i, 0.002 * (i + 1)) for i in range(4)]


TASK = Task(build(), GivenPictures(as_split(TRAIN), as_split(VALIDATION), lambda images: images))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report_page(known_report(TASK, points=POINTS)), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def report(page, address):
    """The report; whatever it logs, or fetches, fails the test."""
    said, fetched = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(address)
    yield page
    assert said == [] and fetched == [address]


def shown(report):
    return report.locator(".details > div:visible").inner_text()


def test_a_click_selects_and_the_mouse_only_looks(report):
    assert shown(report).startswith("Trial 1:") and "measured again at export" in shown(report)
    trial = report.get_by_role("button", name="Trial 3:")
    trial.hover()
    assert shown(report).startswith("Trial 3:") and "channels kept: 0 80 %" in shown(report)
    report.get_by_role("heading", name="Files").hover()
    assert shown(report).startswith("Trial 1:")
    trial.click()
    report.get_by_role("heading", name="Files").hover()
    assert shown(report).startswith("Trial 3:") and trial.get_attribute("aria-pressed") == "true"
    assert report.locator("[aria-pressed=true]").count() == 1


def test_keys_go_from_point_to_point(report):
    names = report.locator(".point").evaluate_all(
        "all => all.sort((a, b) => a.dataset.place - b.dataset.place).map(p => p.getAttribute('aria-label'))"
    )
    report.locator("[aria-pressed=true]").focus()
    for _ in names:
        report.keyboard.press("ArrowLeft")
    for name in names:
        assert shown(report).startswith(name)
        report.keyboard.press("ArrowRight")
    assert shown(report).startswith(names[-1])


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_but_tables_is_wider_than_the_window(report, width):
    report.set_viewport_size({"width": width, "height": 800})
    assert report.evaluate("document.documentElement.scrollWidth") <= width


def test_both_themes_can_be_read(report):
    seen = {}
    for scheme in ("light", "dark"):
        report.emulate_media(color_scheme=scheme)
        colors = report.evaluate("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
        light = [sum(map(int, color[4:-1].split(", "))) for color in colors]
        assert abs(light[0] - light[1]) > 380
        seen[scheme] = light[1]
    assert seen["dark"] < 150 < 600 < seen["light"]


def test_of_points_that_overlap_the_nearest_is_meant(page):
    points = [Point(i, {}, 80.0 + i / 10, 100, 0.002 + i / 1e5) for i in range(4)]
    page.set_content(report_page(known_report(TASK, points=points)))
    page.locator(".front-picture").scroll_into_view_if_needed()
    for place in range(4):
        box = page.locator(f"[data-place='{place}'] .mark").bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert page.locator("[aria-pressed=true]").get_attribute("data-place") == str(place)
