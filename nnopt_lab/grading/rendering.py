"""Templates and scripts of the HTML pages, in `templates/`."""

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

TEMPLATES = Path(__file__).with_name("templates")


@cache
def template(name: str) -> Template:
    """A template, which escapes every value."""
    loader = FileSystemLoader(TEMPLATES)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(name)


@cache
def script(name: str) -> tuple[Markup, str]:
    """A script's source, and the hash by which a page's policy allows it and no other."""
    source = (TEMPLATES / name).read_text("utf-8")
    return Markup(source), base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
