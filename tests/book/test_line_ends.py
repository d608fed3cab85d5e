"""In the book, short pieces of code and terms stay on one line, and long ones do not."""

import pytest

docutils = pytest.importorskip("docutils.core", reason="the book needs pip install '.[book]'")
line_ends = pytest.importorskip("nnopt_lab.book.line_ends", reason="the book needs pip install '.[book]'")

PAGE = f"""
A T-shirt of 90 % with ``2 ** (e - 1)`` and ``{"long " * 9}code``.

::

    a T-shirt of 90 %
"""


def test_short_code_and_terms_stay_whole_and_programs_as_they_are():
    tree = docutils.publish_doctree(PAGE)
    line_ends.keep_whole(tree)
    paragraph, program = tree.children
    assert paragraph.astext().startswith("A T-\u2060shirt of 90\xa0% with 2 ** (e - 1) and long")
    assert program.astext() == "a T-shirt of 90 %"
    assert [code["classes"] for code in paragraph if code.tagname == "literal"] == [[line_ends.WHOLE], []]
