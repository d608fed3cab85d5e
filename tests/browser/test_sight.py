"""What a learner needs next is in sight: a form's field, a playground's controls, the text of a linked exercise."""

import nbformat

from nnopt_lab.course.record import FILE, read
from tests.browser.lab_page import write_notebook

PROSE = "\n\n".join("Prose." for _ in range(40))
GUESS = 'from nnopt_lab.course.predictions import predict\npredict("speed-up in sight", unit="×")'
PLAYGROUND = """
from nnopt_lab.course.playground import Playground, choice, slider
from nnopt_lab.workbench import plots
Playground(lambda **values: (plots.finish(plots.figure()[0]), str(values)), **{
    f"share{n}": slider(f"pruned {n}", 0.0, 1.0, 0.9, 0.05, ".0%") for n in range(4)})
"""
IN_SIGHT = """
element => {
  const box = element.getBoundingClientRect(), window = element.closest('.jp-Notebook').getBoundingClientRect();
  return box.top >= window.top - 1 && box.bottom <= window.bottom + 1;
}
"""


def opened(lab, workspace, name: str, cells: list):
    return lab(write_notebook(workspace / name, cells))


def code(source: str, **keywords):
    return nbformat.v4.new_code_cell(source.strip(), **keywords)


def prose(text: str = PROSE):
    return nbformat.v4.new_markdown_cell(text)


def test_a_guess_is_typed_right_after_its_cell_has_run_but_nobody_is_held_there(lab, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    page = opened(lab, workspace, "sight_guess.ipynb", [code(GUESS), code("1 + 1"), prose()])
    page.page.locator(".jp-CodeCell .cm-content").first.click()
    page.page.keyboard.press("Shift+Enter")
    page.page.wait_for_function("document.activeElement?.matches('.nnopt-box input')")
    page.page.keyboard.press("Shift+Enter")
    page.wait_until_idle()
    page.page.wait_for_function("document.querySelectorAll('.jp-CodeCell')[1].matches('.jp-mod-active')")
    page.page.locator(".nnopt-box input").click()
    page.page.keyboard.type("2.5")
    page.page.keyboard.press("Enter")
    page.outputs("2.5×. Now measure.").wait_for()
    assert read(workspace)["predictions"]["speed-up in sight"]["guess"] == 2.5 and page.errors == []


def test_the_controls_of_a_playground_are_in_sight_after_it_has_run(lab, workspace):
    page = opened(lab, workspace, "sight_play.ipynb", [prose(), code(PLAYGROUND), prose()])
    cell = page.page.locator(".jp-CodeCell")
    cell.locator(".cm-content").click()
    cell.evaluate("cell => cell.scrollIntoView({ block: 'end' })")
    page.page.keyboard.press("Shift+Enter")
    slider = page.page.get_by_role("slider", name="pruned 0", exact=True)
    slider.wait_for()
    page.wait_until_idle()
    page.page.wait_for_timeout(700)
    assert slider.evaluate(IN_SIGHT)


def test_a_link_to_an_answer_shows_the_text_above_it(lab, workspace):
    name = "sight_link.ipynb"
    link = prose(f"[open]({name}#cell-id=answer)")
    answer = code("pass", id="answer", metadata={"exercise": "start.conv_parameters"})
    cells = [link, prose(), prose(), prose("**Exercise (1 point).** Count."), answer, prose(), prose()]
    page = opened(lab, workspace, name, cells)
    page.page.get_by_role("link", name="open").click()
    page.page.locator(".jp-CodeCell.jp-mod-active").wait_for()
    page.page.wait_for_timeout(700)
    assert page.page.locator(".nnopt-task").evaluate(IN_SIGHT)
    assert page.page.locator(".jp-CodeCell").evaluate(IN_SIGHT) and page.errors == []


def test_a_formula_at_the_end_of_a_line_makes_no_scrollbar(lab, workspace):
    text = "\n\n".join(" ".join(["a" * length, *["$V$"] * 200]) for length in range(1, 30))
    page = opened(lab, workspace, "sight_formula.ipynb", [prose(text)])
    page.page.locator(".jp-RenderedMarkdown mjx-container").first.wait_for()
    page.page.wait_for_timeout(500)
    wider = "part => part.scrollWidth - part.clientWidth"
    assert page.page.locator(".jp-RenderedMarkdown").first.evaluate(wider) == 0
