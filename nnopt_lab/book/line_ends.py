"""A Sphinx extension that lets no line end before a unit, inside a term, or inside a short piece of code."""

from docutils import nodes
from sphinx.application import Sphinx

from nnopt_lab.book.lessons import SHORT, WHOLE
from nnopt_lab.workbench.language.typography import unbroken

_VERBATIM = (nodes.literal, nodes.FixedTextElement, nodes.math, nodes.raw, nodes.comment)


def setup(app: Sphinx) -> dict:
    """Change each page once it is complete, so that links and names are found by their plain text."""
    app.connect("doctree-resolved", lambda app, tree, page: keep_whole(tree))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def keep_whole(tree: nodes.document) -> None:
    """Change a page's paragraphs, in place."""
    for paragraph in tree.findall(nodes.paragraph):
        for text in list(paragraph.findall(nodes.Text)):
            if not isinstance(text.parent, _VERBATIM):
                text.parent.replace(text, nodes.Text(unbroken(text.astext())))
        for code in paragraph.findall(nodes.literal):
            if not isinstance(paragraph.parent, nodes.entry) and len(code.astext()) <= SHORT:
                code["classes"].append(WHOLE)
