"""The start page of the book: what the course is and reaches, its map, and how to start, from the project's README."""

import html
import re
from importlib import metadata

from nnopt_lab.course.lesson import lessons
from nnopt_lab.workbench.paths import root

ROW = re.compile(r"^\| (\d\d) [^|]*\|[^|]*\| ([^|]*?) *\|", re.MULTILINE)  # number and what you do there
PICTURE = re.compile(r"^\[?!\[.*\n|^<picture>[\s\S]*?</picture>\n", re.MULTILINE)  # the badge, too
# To the README in other languages, and to its sections: the book has neither.
LINKS = re.compile(r"^\[[^\]]*\]\((?:[^)]*README[\w.]*|#[^)]*)\)(?: · .*)?\n", re.MULTILINE)


def readme() -> str:
    """The README in a clone; in an installed wheel its copy in the package's metadata.

    Raises:
        FileNotFoundError: there is neither.
    """
    file = root() / "README.md"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    try:
        return str(metadata.metadata("nnopt-lab").get_payload())
    except metadata.PackageNotFoundError:
        raise FileNotFoundError(f"{file} is missing, and the start page is made from it.") from None


def start_page(contents: list[str]) -> str:
    """Write the start page in MyST Markdown.

    Args:
        contents: tables of contents for the navigation, as Markdown; they are not shown on the page.
    """
    text = readme()
    title, introduction = text.partition("\n")[::2]
    introduction = LINKS.sub("", PICTURE.sub("", introduction.partition("\n## ")[0])).strip()
    parts = [title, introduction, _lessons(section(text, "The lessons"))]
    parts += [f"## {name}\n\n{body}" for name in ("What it reaches", "Start") if (body := section(text, name))]
    return "\n\n".join([*parts, *contents, ""])


def section(text: str, heading: str) -> str:
    """The text under a `## heading` of a Markdown document, up to the next one; "" if there is none."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def _lessons(table: str) -> str:
    """The course map: a card per lesson, with what you do there from the README's table."""
    doing = {int(number): what for number, what in ROW.findall(table)}
    cards = [
        f'<a class="nnopt-lesson" href="lessons/{name}.html"><span class="nnopt-number">{lesson.number:02d}</span>'
        f"<strong>{html.escape(lesson.title)}</strong><span>{html.escape(doing.get(lesson.number, ''))}</span>"
        f"<small>{lesson.minutes} minutes</small></a>"
        for name, lesson in lessons().items()
        if not lesson.draft
    ]
    return "\n".join(["## The lessons", "", '<nav class="nnopt-map" aria-label="Lessons">', *cards, "</nav>"])
