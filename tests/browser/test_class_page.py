"""The class's page in a browser: search, a fit on a phone in both themes, and no script but its own."""

from datetime import datetime

import pytest

from nnopt_lab.grading import pages
from nnopt_lab.grading.grades import final, missing
from nnopt_lab.grading.lateness import policy
from nnopt_lab.grading.roster import Roster
from tests.grading.classroom import DUE, LATE, entry

NAMES = ["Émile Ó Briain", "Wolfeschlegelsteinhausenbergerdorff_" * 3, "<script>document.title = 'evil'</script>"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    grades = final([entry(name, submitted_at=LATE) for name in NAMES], {}, policy("10%", DUE))
    grades += missing(grades, Roster("name\nZoë Li\n").people)
    folder = tmp_path_factory.mktemp("grades")
    pages.write(grades, folder, 1, datetime.fromisoformat(DUE))
    return folder


@pytest.fixture
def opened(page, folder):
    """The page; whatever it logs fails the test, such as a script that its policy refuses."""
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((folder / "class.html").as_uri())
    yield page
    assert not said and page.title() == "The class"


@pytest.mark.parametrize(
    ("words", "count"), [("emile", 1), ("ÉMILE late", 1), ("late", 3), ("missing", 1), ("zoe li", 1), ("nobody", 0)]
)
def test_the_search_finds_learners_without_accents_and_capitals(opened, words, count):
    opened.fill("#search", words)
    assert opened.locator("#learners tbody tr:visible").count() == count
    assert opened.inner_text("#found") == f"{count} of 4"
    opened.fill("#search", "")
    assert opened.locator("#learners tbody tr:visible").count() == 4


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_fits_a_phone(opened, folder, theme):
    opened.emulate_media(color_scheme=theme)
    opened.set_viewport_size({"width": 390, "height": 800})
    for path in (*sorted(folder.glob("feedback/*.html")), folder / "class.html"):
        opened.goto(path.as_uri())
        assert opened.evaluate("document.documentElement.scrollWidth") <= 390
