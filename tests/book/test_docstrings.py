"""Docstrings in Markdown are read as reStructuredText means them."""

import pytest

from nnopt_lab.book.docstrings import as_rst

docutils = pytest.importorskip("docutils.core", reason="the book needs pip install '.[book]'")


def shown(text: str) -> str:
    """The text of a docstring as docutils understands it; fails at the first warning."""
    settings = {"halt_level": 2, "report_level": 5, "default_role": "literal"}
    return docutils.publish_doctree(as_rst(text), settings_overrides=settings).astext()


@pytest.mark.parametrize(
    "text",
    [
        "Compute Σ|w| and √Σw².",
        "Pass *args and **options on, 2**n of them.",
        "A trailing underscore_ is no link, and sum_ neither.",
        "|a| · |b|",
        "one * two * three",
    ],
)
def test_characters_that_mean_nothing_in_the_docstring_are_shown_as_they_are(text):
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("the `p`th value", "the pth value"),
        ("two `a`s and x`b`", "two as and xb"),
        ("see `x[0] ** 2` here", "see x[0] ** 2 here"),
        ("see `f(a,\n    b)` here", "see f(a, b) here"),
        ("`|a|` and ``x_``", "|a| and x_"),
    ],
)
def test_code_is_shown_without_its_marks(text, read):
    assert shown(text) == read


def test_emphasis_stays():
    paragraph = docutils.publish_doctree(as_rst("A *word or two* of it."))[0]
    assert [(node.tagname, node.astext()) for node in paragraph if node.tagname != "#text"] == [
        ("emphasis", "word or two")
    ]


def test_an_indented_block_is_code_as_it_stands():
    tree = docutils.publish_doctree(
        as_rst("Do this.\n\n    with a as b:\n        x_ = |b| * *c\n\n    d\n\nThen that.")
    )
    assert [node.tagname for node in tree.children] == ["paragraph", "literal_block", "paragraph"]
    assert tree.children[1].astext() == "with a as b:\n    x_ = |b| * *c\n\nd"


def test_sections_of_arguments_are_left_to_napoleon():
    text = "Do.\n\nArgs:\n    a: one.\n        More of it.\n    b: two."
    assert as_rst(text) == text
