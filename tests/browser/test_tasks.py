"""Exercises and questions in JupyterLab: their texts stand out, and their cards and buttons fit together."""

import nbformat
import pytest

from nnopt_lab.course.exercises import exercises, questions
from tests.browser.lab_page import write_notebook
from tests.browser.test_questions import cells_of

EXERCISE, LETTER = exercises()["start.conv_parameters"], questions()["start.three_percent"]
# At a width of 780 pixels and in Debian's fonts, Chromium lets the second code overhang the line's end.
OVERHANGING = """
[Smith (2017)](https://arxiv.org/abs/1506.01186) lets the rate *rise* again, in triangles between two bounds. Then you
need not know the best rate, only a range that contains it. `triangular2` halves the height with each cycle, and
`exp_range` multiplies it by $\\gamma$ at each step. These are the article's "Cyclic Learning Rates", in PyTorch
`CyclicLR`.
"""
TEXTS = {
    "## A heading\n\nProse.\n\n**Exercise (2 points).** Score it.\n\n- a list": "Exercise (2 points). Score it. a list",
    "**Question (1 point).** Which one?\n\n## Next": "Question (1 point). Which one?",
    "**练习（2 分）。** 计算。": "练习（2 分）。 计算。",
    "**问题（1 分）。** 哪一个？": "问题（1 分）。 哪一个？",
    "**Exercises** are fun, and (2 points) not.": "",
    "Text before **Question (1 point).**": "",
}
ANSWERS = {"pending": "raise NotImplementedError", "wrong": "return 0", "passed": "return o * (i * k**2 + b)"}


@pytest.fixture
def notebook(workspace):
    """Writes a notebook of cells."""

    def write(name: str, cells: list) -> str:
        return write_notebook(workspace / name, cells)

    return write


def test_the_texts_of_exercises_and_questions_are_marked_and_no_others(lab, notebook):
    page = lab(notebook("tasks.ipynb", [nbformat.v4.new_markdown_cell(text) for text in TEXTS]))
    for n, wanted in enumerate(TEXTS.values()):
        marked = page.page.locator(".jp-MarkdownCell").nth(n).locator(".nnopt-task")
        if wanted:
            marked.wait_for()
            assert " ".join(marked.inner_text().split()) == wanted
            assert marked.evaluate("box => getComputedStyle(box).borderLeftStyle") == "solid"
        assert marked.count() == bool(wanted)
    first = page.page.locator(".jp-MarkdownCell").first
    first.dblclick()
    page.page.keyboard.press("Control+Enter")  # a cell that is drawn again is marked again
    first.locator(".nnopt-task").wait_for()
    assert page.page.locator(".nnopt-task .nnopt-task").count() == 0 and page.errors == []


def test_cards_are_equally_wide_whatever_they_say_and_a_hint_looks_like_a_button(lab, notebook):
    codes = ["from nnopt_lab.course.calls import check, question"]
    for answer in ANSWERS.values():
        codes.append(f"def conv_parameters(i, o, k, b):\n    {answer}\ncheck({EXERCISE.id!r}, conv_parameters)")
    codes.append(f'question("{LETTER.id}", "c")')
    page = lab(notebook("widths.ipynb", codes))
    page.run_all()
    frames = page.page.locator(".nnopt-help, .jp-OutputArea-output:not(:has(.nnopt-help)) [role=note]")
    assert frames.count() == len(ANSWERS) + 1
    boxes = [frame.bounding_box() for frame in frames.all()]
    assert len({(box["x"], box["width"]) for box in boxes}) == 1
    for hint in page.page.locator(".nnopt-help").get_by_role("button", name="Hint 1 of 3").all():
        assert hint.evaluate("button => getComputedStyle(button).borderTopStyle") == "solid"


def test_a_question_that_is_not_answered_leaves_no_empty_output(lab, notebook):
    page = lab(notebook("stub.ipynb", ["from nnopt_lab.course.calls import question", *cells_of(LETTER)]))
    page.run_all()
    cell = page.page.locator(".jp-CodeCell").last
    cell.locator(".nnopt-strip").wait_for()
    assert cell.locator(".jp-Cell-outputWrapper").is_hidden()
    cell.get_by_role("group", name="Your answer").get_by_role("button", name="a)").click()
    page.outputs("Wrong: a").get_by_text("Try again; it costs no points.").wait_for()


def test_blue_cards_stand_out_from_a_dark_page(lab, notebook):
    code = "from nnopt_lab.course.calls import lesson\nlesson('00_start_here')"
    page = lab(notebook("dark.ipynb", [code]))
    page.run_all()
    card = page.page.get_by_role("note").first
    page.page.evaluate("document.body.dataset.jpThemeLight = 'true'")  # an earlier test may have chosen a dark theme
    light = card.evaluate("card => getComputedStyle(card).backgroundColor")
    page.page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    dark = card.evaluate("card => getComputedStyle(card).backgroundColor")
    assert dark.endswith("/ 0.22)") and dark != light


def test_a_check_after_a_syntax_error_judges_no_older_function(lab, notebook):
    head = "def conv_parameters(i, o, k, b):\n"
    codes = ["from nnopt_lab.course.calls import check, lesson\nlesson('00_start_here')", head + "    return 0"]
    codes += [head + "    return (0", f"check({EXERCISE.id!r}, conv_parameters)"]
    cells = [nbformat.v4.new_code_cell(code, metadata={"tags": ["raises-exception"]}) for code in codes]
    page = lab(notebook("stopped.ipynb", cells))
    page.run_all()
    card = page.page.get_by_role("note", name="open").last
    assert "Your cell above stopped with an error (SyntaxError, line 2)" in card.inner_text()


def test_code_at_the_end_of_a_line_needs_no_scrollbar(lab, workspace):
    write_notebook(workspace / "overhang.ipynb", [nbformat.v4.new_markdown_cell(OVERHANGING)])
    text = lab("overhang.ipynb").page.locator(".jp-MarkdownOutput")
    text.locator("mjx-container").wait_for()
    assert text.evaluate("text => text.scrollWidth === text.clientWidth")
