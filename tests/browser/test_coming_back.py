"""A lesson that was saved and is opened again: what it showed is still there, and nothing has become an error."""

import nbformat

from nnopt_lab.course import record
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.static_outputs import VIEW
from tests.browser.lab_page import write_notebook

LESSON = "01_pruning.ipynb"
ERROR = "Error displaying widget"
DIRTY = ".lm-DockPanel-tabBar .lm-TabBar-tab.lm-mod-current.jp-mod-dirty"


def test_a_lesson_comes_back_as_it_was(lab, workspace):
    lesson = lab(LESSON)
    lesson.run_all()
    lesson.outputs("The number is hidden until you guess it.").first.wait_for()  # all cells ran without a guess
    lesson.save()
    lesson.restart_kernel()
    for _ in range(2):
        lesson.open(LESSON)
        lesson.outputs("Waits for your guess: run this cell again.").first.wait_for()
        assert lesson.outputs(ERROR).count() == 0
        playground = lesson.outputs("run this cell to move the controls")
        playground.locator("img").wait_for(state="attached")
        assert playground.locator("input").count() == 0
        lesson.page.keyboard.press("Escape")
        lesson.page.keyboard.press("b")  # a change, so that there is something to save
        lesson.page.locator(DIRTY).wait_for()
        lesson.save()
    outputs = [o for cell in nbformat.read(workspace / LESSON, 4).cells for o in cell.get("outputs", [])]
    assert not any(VIEW in output.get("data", {}) for output in outputs)
    assert not any("<progress" in output.get("data", {}).get("text/html", "") for output in outputs)


def test_controls_that_come_back_with_their_kernel_are_no_change(lab, workspace):
    lesson = lab(write_notebook(workspace / "slider.ipynb", ["import ipywidgets\nipywidgets.IntSlider()"]))
    lesson.run_all()
    lesson.save()
    lesson.open("slider.ipynb")
    lesson.page.locator(".widget-slider").wait_for()
    lesson.page.wait_for_timeout(1000)
    assert lesson.page.locator(DIRTY).count() == 0
    lesson.page.keyboard.press("Escape")
    lesson.page.keyboard.press("b")
    lesson.page.locator(DIRTY).wait_for()
    lesson.save()
    assert len(nbformat.read(workspace / "slider.ipynb", 4).cells) == 2 and lesson.errors == []


def test_a_cell_that_runs_first_in_a_new_kernel_says_what_it_needs_and_a_button_does_it(lab, workspace):
    opened = lab("00_start_here.ipynb")
    page = opened.page
    cell = page.locator(".jp-Notebook .jp-CodeCell", has_text='check("start.conv_parameters"').first
    page.locator(".jp-CodeCell:has(+ .nnopt-checking)").first.get_by_role("button", name="Code").click()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    output = cell.locator(".jp-OutputArea-output")
    output.get_by_text("is not defined yet").wait_for()
    assert page.locator(".jp-Notebook [data-mime-type='application/vnd.jupyter.error']").count() == 0
    output.get_by_role("button", name="Run the cells above and this one").click()
    output.get_by_text("not answered yet").first.wait_for()  # for a moment, there can be two
    assert output.get_by_text("is not defined yet").count() == 0
    assert opened.errors == []


def test_a_cell_in_a_new_kernel_can_run_only_what_it_needs(lab, workspace, tmp_path):
    sources = ("import math", "print('long training')", "radius = 2", "print(math.pi * radius)")
    write_notebook(workspace / f"{tmp_path.name}.ipynb", sources)
    opened = lab(f"{tmp_path.name}.ipynb")
    opened.page.locator(".jp-CodeCell .cm-content").last.click()
    opened.page.keyboard.press("Control+Enter")
    opened.page.get_by_role("button", name="Run only what this cell needs").click()
    opened.outputs("6.28").wait_for()
    assert opened.outputs("long training").count() == 0 and opened.errors == []


def test_the_card_of_a_lesson_with_points_leads_to_the_open_section(lab, workspace):
    name = "06_few_bits"
    first = next(iter(exercises(name).values()))
    with record.change(workspace) as contents:
        contents["exercises"][first.id] = {"passed": True, "points": first.points, "attempts": 1}
    opened = lab(f"{name}.ipynb")
    for _ in range(3):
        opened.page.keyboard.press("Shift+Enter")
    link = opened.outputs(f"You have {first.points} of ").get_by_role("link").first
    heading = link.inner_text()
    link.click()
    opened.page.locator(".jp-Notebook .jp-Cell.jp-mod-active h2", has_text=heading).wait_for()
    assert opened.errors == []


def test_a_lesson_offers_to_stop_the_kernels_of_others_which_start_again_on_return(lab):
    opened = lab("04_batch_sizes.ipynb")
    page, status = opened.page, opened.page.locator("#jp-main-statusbar")
    page.keyboard.press("Control+Shift+f")
    page.locator(".jp-DirListing-itemText", has_text="03_learning").dblclick()
    page.locator(".jp-Notebook:visible h1", has_text="Learning rates").wait_for()
    status.get_by_text("| Idle").wait_for()
    for _ in range(3):
        page.keyboard.press("Shift+Enter")
    offer = opened.outputs("Lesson 03").locator(".nnopt-others")
    offer.get_by_text("04_batch_sizes").wait_for()
    opened.wait_until_idle()
    offer.get_by_role("button", name="Stop the idle ones").click()
    offer.wait_for(state="hidden")
    assert [session["path"] for session in opened.sessions()] == ["03_learning_rates.ipynb"]
    page.locator(".lm-TabBar-tab", has_text="04_batch_sizes.ipynb").click()
    status.get_by_text("| Idle").wait_for()
    assert len(opened.sessions()) == 2 and page.locator(".jp-Dialog").count() == 0
    assert opened.errors == []


CELLS = ("known = 1", "# Explained", "known", "# Failed", "1 / 0")


def test_the_contents_mark_a_cell_with_an_error_but_none_with_a_card_that_explains(lab, workspace):
    cells = [nbformat.v4.new_markdown_cell(text) if text.startswith("#") else text for text in CELLS]
    opened = lab(write_notebook(workspace / "errors.ipynb", cells))
    for place in (1, 2):
        opened.page.locator(".jp-Notebook .jp-CodeCell .cm-content").nth(place).click()
        opened.page.keyboard.press("Control+Enter")
        opened.wait_until_idle()
    opened.outputs("is not defined yet").wait_for()
    marked = opened.page.locator(".jp-tocItem-content[data-running='-0.5']")
    marked.wait_for()
    assert marked.all_inner_texts() == ["Failed"]


PROSE = "\n\n".join("Prose." for _ in range(40))


def test_a_notebook_is_opened_again_at_its_end_which_is_at_the_bottom_of_the_page(lab, workspace):
    page = lab(write_notebook(workspace / "ends.ipynb", [nbformat.v4.new_markdown_cell(PROSE), "1 + 1"]))
    page.page.locator(".jp-CodeCell .cm-content").click()
    page.page.keyboard.press("Shift+Enter")  # adds a cell, which is not saved
    page.page.locator(".jp-CodeCell").nth(1).wait_for()
    page.page.on("dialog", lambda dialog: dialog.accept())
    page.open("ends.ipynb")
    end = page.page.locator(".jp-CodeCell.jp-mod-active")
    end.wait_for()
    page.page.wait_for_timeout(1500)
    space = "cell => cell.closest('.jp-Notebook').getBoundingClientRect().bottom - cell.getBoundingClientRect().bottom"
    assert -1 <= end.evaluate(space) < 60
    assert page.page.locator("#jp-main-statusbar").get_by_text("Mode: Command").is_visible() and page.errors == []
