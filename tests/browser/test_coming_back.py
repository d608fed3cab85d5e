"""A lesson that was saved and is opened again: what it showed is still there, and nothing has become an error."""

import nbformat

from nnopt_lab.course.static_outputs import VIEW

LESSON = "01_pruning.ipynb"
ERROR = "Error displaying widget"


def test_a_lesson_comes_back_as_it_was(lab, workspace):
    lesson = lab(LESSON)
    lesson.run_all()
    box = lesson.outputs("Predict: accuracy lost").first.get_by_role("textbox", name="Your guess")
    box.fill("7,5")
    box.press("Enter")
    lesson.outputs("7.5 points. Now measure.").wait_for()
    lesson.save()
    lesson.restart_kernel()
    for _ in range(2):
        lesson.open(LESSON)
        lesson.outputs("7.5 points. Now measure.").wait_for()
        lesson.outputs("Run this cell to guess.").first.wait_for()
        assert lesson.outputs(ERROR).count() == 0
        playground = lesson.outputs("run this cell to move the controls")
        playground.locator("img").wait_for(state="attached")
        assert playground.locator("input").count() == 0
        lesson.page.keyboard.press("Escape")
        lesson.page.keyboard.press("b")  # a change, so that there is something to save
        lesson.save()
    outputs = [o for cell in nbformat.read(workspace / LESSON, 4).cells for o in cell.get("outputs", [])]
    assert not any(VIEW in output.get("data", {}) for output in outputs)
    assert not any("<progress" in output.get("data", {}).get("text/html", "") for output in outputs)


def test_a_cell_that_runs_first_in_a_new_kernel_says_what_it_needs_and_a_button_does_it(lab, workspace):
    opened = lab("00_start_here.ipynb")
    page = opened.page
    cell = page.locator(".jp-Notebook .jp-CodeCell", has_text='check("start.conv_parameters"').first
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    output = cell.locator(".jp-OutputArea-output")
    output.get_by_text("is not defined yet").wait_for()
    assert page.locator(".jp-Notebook [data-mime-type='application/vnd.jupyter.error']").count() == 0
    output.get_by_role("button", name="Run the cells above and this one").click()
    output.get_by_text("not answered yet").wait_for()
    assert output.get_by_text("is not defined yet").count() == 0
    assert opened.errors == []
