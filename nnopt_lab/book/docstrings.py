"""A Sphinx extension that reads docstrings, which are Markdown in Google's layout, as reStructuredText."""

import builtins
import inspect
import re

BEFORE_NAPOLEON = 400  # napoleon, which finds Args and Raises, has Sphinx's default priority, 500
BLOCK = re.compile(r"(?:^|(?<=\n))(?P<before>\S.*\n\n)(?P<code>(?: {4}.*(?:\n|$)|\n(?= {4}))+)")
CODE = re.compile(r"(`+(?:[^`\n]|\n(?! *\n))+`+)")  # it may continue on the next line, but not after an empty one
PLAIN_CODE = re.compile(r"`([^`]+)`")
NAME = re.compile(r"[\w.]+")


def setup(app) -> dict:
    """Connect to the events of `sphinx.ext.autodoc`; `app` is Sphinx's application."""
    app.connect("autodoc-process-docstring", _process, priority=BEFORE_NAPOLEON)
    app.connect("autodoc-skip-member", _skip)
    app.connect("doctree-read", _unlink_builtins)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def as_rst(text: str) -> str:
    """Convert a docstring, which begins in the first column.

    An indented block after an empty line is code. In the rest, `code` that is not a name becomes literal, and what only
    reStructuredText would obey is escaped.
    """
    parts, at = [], 0
    for block in BLOCK.finditer(text):
        before = text[at : block.start()] + block["before"]
        parts += [_prose(before), "::\n\n", block["code"], "\n"]
        at = block.end()
    return "".join([*parts, _prose(text[at:])])


def _prose(text: str) -> str:
    parts = CODE.split(text)
    plain = [_plain(part) for part in parts]
    for i in range(1, len(parts), 2):
        # Between code and a letter beside it, reStructuredText wants an escaped space, which is not shown.
        before = r"\ " if parts[i - 1][-1:].isalnum() else ""
        after = r"\ " if parts[i + 1][:1].isalnum() else ""
        plain[i] = f"{before}{_code(parts[i])}{after}"
    return "".join(plain)


def _code(part: str) -> str:
    single = PLAIN_CODE.fullmatch(part)
    # A name in single marks becomes a link where it has a page.
    return part if single is None or NAME.fullmatch(single[1]) else re.sub(r"\n *", " ", f"``{single[1]}``")


def _plain(part: str) -> str:
    # *emphasis* stays, but not the stars of *args, **options and 2**n.
    part = re.sub(
        r"\*\*(?=\w)|(?<![\w*])\*(?=\w)(?!\w(?:[\w ]*\w)?\*)", lambda stars: stars[0].replace("*", r"\*"), part
    )
    return re.sub(r"\|", r"\\|", re.sub(r"(?<=\w)_(?!\w)", r"\\_", part))


def _process(app, what, name, obj, options, lines: list[str]) -> None:
    lines[:] = as_rst("\n".join(lines)).split("\n")


def _skip(app, what, name, obj, skip, options) -> bool | None:
    """Leave out methods that another library adds, and fields of a NamedTuple without a docstring of their own."""
    foreign = inspect.isroutine(obj) and not (getattr(obj, "__module__", None) or "nnopt_lab").startswith("nnopt_lab")
    return True if foreign or str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def _unlink_builtins(app, document) -> None:
    """Remove the links of Python's own types, for which Sphinx would take any attribute of that name."""
    from sphinx.addnodes import pending_xref

    for link in list(document.findall(pending_xref)):
        if link.get("refdomain") == "py" and hasattr(builtins, link["reftarget"]):
            link.replace_self(link.children)
