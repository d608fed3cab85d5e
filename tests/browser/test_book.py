"""The book in a browser: no broken link, no error, nothing from elsewhere, and readable on a phone in both themes."""

import base64
import re
import threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urldefrag, urljoin

import pytest

from nnopt_lab.book import site
from nnopt_lab.workbench import plots

PAGES = ("index.html", "lessons/01_pruning.html", "lessons/06_few_bits.html", "lessons/10_parallelism.html")
PAGES += ("library/nnopt_lab.techniques.pruning.html", "library/nnopt_lab.techniques.search.autotune.html")
PHONE, DESK = {"width": 400, "height": 800}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def book(browser, tmp_path_factory):
    """The book of the whole course, and what Sphinx said against it."""
    for name in site.NEEDED:
        pytest.importorskip(name, reason="building the book needs pip install '.[book]'")
    folder = tmp_path_factory.mktemp("book") / "site"
    return folder, site.build(folder)


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and tells nobody."""

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address(book):
    """Where the book is served on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(book[0]))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def opened(browser, address):
    """Opens pages of the book at a size and in a theme, and checks each: yields a function of a page's name."""
    contexts = []

    def open_page(name, size=DESK, theme="light"):
        context = browser.new_context(viewport=size, color_scheme=theme)
        contexts.append(context)
        page, faults, known = context.new_page(), [], (address, "data:")
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(known) else faults.append(request.url))
        page.on("requestfailed", lambda request: faults.append(request.url))
        page.goto(f"{address}{name}")
        page.wait_for_load_state("networkidle")
        assert not faults
        return page

    yield open_page
    for context in contexts:
        context.close()


class Links(HTMLParser):
    """The addresses and the anchors of a page."""

    def __init__(self):
        super().__init__()
        self.hrefs, self.loaded, self.ids = [], [], set()

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and given.get("href"):
            self.hrefs.append(given["href"])
        elif tag in ("script", "img", "iframe", "source", "link", "video", "audio"):
            found = given.get("src") or (given.get("href") if tag == "link" else None)
            self.loaded += [found] if found and given.get("rel") not in ("search", "next", "prev", "index") else []


def test_sphinx_has_nothing_against_it(book):
    assert book[1] == []


def test_no_link_is_broken_and_nothing_comes_from_another_host(book):
    folder = book[0]
    pages = {path.relative_to(folder).as_posix(): Links() for path in folder.rglob("*.html")}
    for name, links in pages.items():
        links.feed((folder / name).read_text(encoding="utf-8"))
    broken = []
    for name, links in pages.items():
        for href in [*links.hrefs, *links.loaded]:
            if re.match(r"(https?:|mailto:|data:|//|#?$)", href):
                continue
            target, anchor = urldefrag(urljoin(name, href.partition("?")[0] if href in links.loaded else href))
            target, anchor = unquote(target), unquote(anchor)
            known = pages.get(target)
            if not (folder / target).is_file() or (anchor and known and anchor not in known.ids):
                broken.append((name, href))
        assert not [href for href in links.loaded if re.match(r"(https?:)?//", href)], name
    assert not broken and len(pages) > 100
    for css in folder.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import ['\"]?http", css.read_text(encoding="utf-8")), css.name


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_reads_on_a_phone_in_both_themes(opened, name, theme):
    page = opened(name, PHONE, theme)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    ink = page.evaluate("getComputedStyle(document.querySelector('article p')).color")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert contrast(ink, paper) >= 7
    panels = page.evaluate(
        """[...document.querySelectorAll('.cell_output .text_html')].map(
            output => [getComputedStyle(output).backgroundColor, getComputedStyle(output).color])"""
    )
    for back, front in set(map(tuple, panels)):
        assert back == "rgba(0, 0, 0, 0)" and contrast(front, paper) >= 7, "a card or figure stands on the page itself"


def test_no_lesson_is_wider_than_a_phone(opened, book):
    page, wide = opened("index.html", PHONE), {}
    for path in sorted((book[0] / "lessons").glob("*.html")):
        page.goto(page.url.rpartition("/")[0].removesuffix("/lessons") + f"/lessons/{path.name}")
        width = page.evaluate("document.documentElement.scrollWidth")
        wide |= {path.name: width} if width > PHONE["width"] else {}
    assert not wide


def test_a_figure_on_a_phone_keeps_a_readable_size_and_scrolls_in_its_frame(opened):
    sizes = """figures => figures.map(figure => {
        const frame = figure.parentElement, sign = getComputedStyle(frame, '::after').content;
        return [figure.clientWidth, frame.clientWidth, frame.scrollWidth, sign];
    })"""
    for size, is_phone in ((PHONE, True), (DESK, False)):
        figures = opened("lessons/09_distillation.html", size).locator(".cell_output img.nnopt-drawn")
        for width, frame, scrolled, sign in figures.evaluate_all(sizes):
            assert (width > frame, "more to the right" in sign) == (is_phone, is_phone)
            assert width >= 500 and scrolled == max(width, frame)


def test_a_solution_is_folded_until_it_is_wanted(opened):
    page = opened("lessons/01_pruning.html")
    fold = page.locator("details", has_text="Show the solution").first
    code = fold.get_by_text("weight.abs().sum", exact=False).first
    assert not code.is_visible()
    place = fold.locator("summary p:visible").bounding_box()["x"]
    fold.locator("summary").click()
    assert code.is_visible()
    assert fold.locator("summary p:visible").bounding_box()["x"] == place, "its label does not jump"


def test_the_start_page_leads_to_every_lesson_and_the_code_to_the_library(opened):
    page = opened("index.html")
    assert page.locator("a.nnopt-lesson").count() >= 16
    page.locator("a.nnopt-lesson", has_text="Pruning").first.click()
    assert page.locator("article h1").first.inner_text().startswith("Pruning")
    page.locator("a.sphinx-codeautolink-a", has_text="importance").first.click()
    assert page.url.endswith("#nnopt_lab.techniques.pruning.scores.importance")
    page.locator("dt[id$='scores.importance'] a", has_text="[source]").click()
    assert page.locator("text=def importance").count() or "def importance" in page.locator("pre").inner_text()


def test_the_search_finds_a_lesson(opened):
    page = opened("search.html?q=distillation")
    page.locator("#search-results li a").first.wait_for()
    found = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
    assert any("lessons/09_distillation" in address for address in found)
    quoted = page.locator("#search-results li", has_text="one’s outputs").locator(".context").first
    assert "Distillation" in quoted.inner_text() and "System Settings" not in quoted.inner_text()


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2 between two colours as a browser reports them."""

    def luminance(color):
        parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_in_figures_have_the_colour_of_the_pages_text(opened, theme):
    page = opened("lessons/10_parallelism.html", theme=theme)
    figure = page.locator("img.nnopt-drawn[src^='data:image/svg']").first
    color = page.evaluate("getComputedStyle(document.body).getPropertyValue('--pst-color-text-base').trim()")
    drawn = base64.b64decode(figure.get_attribute("src").split(",")[1]).decode()
    assert color and color in drawn and plots.INK not in drawn
