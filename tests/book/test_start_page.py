"""The start page: every finished lesson, and the README's words."""

import re

import pytest

from nnopt_lab.book import start_page
from nnopt_lab.course.lesson import lessons


def test_every_finished_lesson_has_a_card_with_its_minutes_and_what_you_do():
    text = start_page.start_page([])
    cards = dict(re.findall(r'<a class="nnopt-lesson" href="lessons/(\w+)\.html">(.*?)</a>', text))
    assert list(cards) == [name for name, lesson in lessons().items() if not lesson.draft]
    for name, card in cards.items():
        lesson = lessons()[name]
        assert f"{lesson.number:02d}" in card and lesson.title in card and f"{lesson.minutes} minutes" in card
        assert re.search(r"<span>\w[^<]{20,}</span>", card), name


def test_it_says_what_the_course_reaches_and_how_to_start_and_ends_with_the_contents():
    text = start_page.start_page(["THE CONTENTS"])
    assert text.startswith("# NNOpt Lab\n") and "\n## What it reaches\n" in text and "nnopt_lab lab" in text
    assert text.rstrip().endswith("THE CONTENTS")
    assert "![" not in text and "<picture>" not in text and "<img" not in text  # the README's are not part of the book
    assert not re.search(r"\]\((#|[^)]*README)[^)]*\)", text)  # nor are its other languages, or links to its sections
    assert "You predict, your own machine measures" in text and "## The lessons" in text


@pytest.mark.parametrize(
    ("heading", "found"), [("One", "first\n\n### Sub\n\nmore"), ("Two", "second"), ("On", ""), ("Three", "")]
)
def test_a_section_ends_at_the_next_heading_of_its_rank(heading, found):
    text = "# T\n\nintro\n\n## One\n\nfirst\n\n### Sub\n\nmore\n\n## Two\n\nsecond\n"
    assert start_page.section(text, heading) == found


def test_a_course_without_a_readme_says_so(tmp_path, monkeypatch):
    def missing(name):
        raise start_page.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(start_page, "root", lambda: tmp_path)
    monkeypatch.setattr(start_page.metadata, "metadata", missing)
    with pytest.raises(FileNotFoundError, match=r"README\.md is missing, and the start page is made from it\."):
        start_page.readme()
