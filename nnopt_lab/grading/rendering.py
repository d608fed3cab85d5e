"""Templates and scripts of the HTML pages, in `templates/`."""

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from nnopt_lab.course.cards import inline
from nnopt_lab.course.translation.page_texts import texts_of_script
from nnopt_lab.workbench.language import _, counted, spoken_language, translated

TEMPLATES = Path(__file__).with_name("templates")


@cache
def template(name: str) -> Template:
    """A template, which escapes every value, and shows its texts in the language in use."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.globals |= {
        "_": _,
        "counted": counted,
        "language": spoken_language,
        "marked": lambda text: Markup(inline(text)),
    }
    return environment.get_template(name)


def script_texts(name: str) -> dict[str, str]:
    """The texts of a script's calls `say("…")`, with their translations, for the page that has it."""
    return {text: translated(text) for text in texts_of_script((TEMPLATES / name).read_text("utf-8"))}


@cache
def script(name: str) -> tuple[Markup, str]:
    """A script's source, and the hash by which a page's policy allows it and no other."""
    source = (TEMPLATES / name).read_text("utf-8")
    return Markup(source), base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
