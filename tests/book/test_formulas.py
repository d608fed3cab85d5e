"""Formulas become MathML that a browser can read."""

import re
from xml.etree import ElementTree

import pytest

from nnopt_lab.course.lesson_files import lesson_names, paths, read_notebook

formulas = pytest.importorskip("nnopt_lab.book.formulas", reason="the book needs pip install '.[book]'")


@pytest.mark.parametrize(("latex", "tag"), [(r"\frac{a}{b}", "mfrac"), (r"\sqrt{x}", "msqrt"), ("x^2", "msup")])
def test_a_formula_is_one_math_element(latex, tag):
    tree = ElementTree.fromstring(formulas.mathml(latex))
    assert tree.tag.endswith("math") and tree.get("display") == "inline"
    assert [node for node in tree.iter() if node.tag.endswith(tag)]
    assert ElementTree.fromstring(formulas.mathml(latex, block=True)).get("display") == "block"


@pytest.mark.parametrize("latex", ["x^", r"\begin{matrix}", r"\nope{a}", r"\text{a\_b}"])
def test_a_formula_that_can_not_be_converted_is_named(latex):
    with pytest.raises(ValueError, match=r"^The formula .* can't be converted") as error:
        formulas.mathml(latex)
    assert repr(latex) in str(error.value)


@pytest.mark.parametrize("size", [r"\big", r"\Big", r"\biggl", r"\Biggr "])
@pytest.mark.parametrize(
    ("command", "sign"), [(r"\lVert", "‖"), (r"\|", "‖"), (r"\rvert", "|"), (r"\lfloor", "⌊"), (r"\rangle", "⟩")]
)
def test_a_sign_of_a_given_size_is_shown(size, command, sign):
    assert sign in "".join(ElementTree.fromstring(formulas.mathml(rf"{size}{command} x")).itertext())


@pytest.mark.parametrize("lesson", lesson_names())
def test_every_formula_of_a_lesson_is_converted_whole(lesson):
    """No command of LaTeX is left over as text."""
    path = paths(lesson)[True]
    cells = [cell.source for cell in read_notebook(path).cells if cell.cell_type == "markdown"]
    for text in cells:
        text = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
        for block, line in re.findall(r"\$\$(.+?)\$\$|(?<![\\$])\$([^$]+?)\$", text, re.DOTALL):
            tree = ElementTree.fromstring(formulas.mathml(block or line, bool(block)))
            assert "\\" not in "".join(tree.itertext()), block or line
