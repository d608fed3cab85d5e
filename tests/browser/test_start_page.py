"""JupyterLab as `nnopt lab` opens it: the start page, the contents of a lesson, and the way from lesson to lesson."""

import json
import time

import nbformat
import pytest

from nnopt_lab.course import last_work
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.start_page import write
from nnopt_lab.course.workspace import START_PAGE
from tests.browser.lab_page import write_notebook

EXERCISE = exercises()["start.conv_parameters"]
CELLS = """
from nnopt_lab.course.calls import check, lesson
from nnopt_lab.course.course_map import progress
lesson("01_pruning")
---
def conv_parameters(in_channels, out_channels, kernel_size, bias):
    return out_channels * (in_channels * kernel_size**2 + bias)
check("start.conv_parameters", conv_parameters)
---
progress()
"""


def test_nnopt_lab_opens_the_start_page_which_leads_to_a_lesson_with_its_contents_beside_it(lab):
    opened = lab()
    page = opened.page
    page.locator(".jp-RenderedMarkdown h1", has_text="NNOpt Lab").wait_for()
    links = page.locator(".jp-RenderedMarkdown td a")
    assert links.count() == sum(not lesson.draft for lesson in lessons().values())
    links.filter(has_text="02 Convolutions").click()
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    assert page.locator(".jp-Notebook h1").first.inner_text().startswith("Convolutions")
    headings = page.locator(".jp-TableOfContents-tree .jp-tocItem-content")
    headings.get_by_text("1. Three knobs").wait_for()
    headings.get_by_text("10. Playground").click()
    page.locator(".jp-Notebook h2", has_text="10. Playground").wait_for()
    assert page.locator(".jp-Dialog, .Toastify__toast").count() == 0
    assert opened.errors == []


@pytest.mark.parametrize("theme", ["Light", "Dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_the_start_page_fits_wide_and_narrow_windows_and_both_themes(lab, theme, width):
    opened = lab()
    page = opened.page
    row = page.locator(".nnopt-start .jp-RenderedMarkdown tbody tr").first
    row.wait_for()
    opened.menu_item("Settings", "Theme", f"JupyterLab {theme}")
    page.locator(f"body[data-jp-theme-name='JupyterLab {theme}']").wait_for(state="attached")
    if width == 400:
        page.keyboard.press("Control+b")  # the side bar would fill the window
    page.set_viewport_size({"width": width, "height": 900})
    assert lessons()["00_start_here"].summary in row.inner_text()
    box = row.locator("progress").bounding_box()
    assert box["width"] > 50 and box["height"] > 5
    shown = page.locator(".nnopt-start .jp-RenderedMarkdown")
    assert shown.evaluate("page => page.scrollWidth <= page.clientWidth")
    table, whole = (shown.locator(name).first.bounding_box() for name in ("table", "xpath=.."))
    before, after = table["x"] - whole["x"], whole["x"] + whole["width"] - table["x"] - table["width"]
    assert abs(before - after) < 20, "the page is in the middle, but for a scroll bar"
    assert opened.errors == []


def test_no_lessons_name_is_cut_off_in_the_list_of_files(lab):
    page = lab().page
    page.locator(".jp-SideBar [title^='File Browser']").first.click()
    names = page.locator(".jp-DirListing-itemText span")
    names.get_by_text("15_capstone.ipynb").wait_for()
    assert names.count() > 16
    assert all(name.evaluate("name => name.scrollWidth <= name.parentElement.clientWidth") for name in names.all())
    page.locator(".jp-SideBar [title^='Table of Contents']").first.click()


def test_a_pass_is_on_the_start_page_and_a_lesson_ends_with_the_way_on(lab, workspace):
    codes = CELLS.strip().split("\n---\n")
    lesson = lab(write_notebook(workspace / "end.ipynb", codes))
    lesson.run_all()
    page = lesson.page
    output = lesson.outputs("Next: 02 Convolutions")
    assert "01 Pruning: " in output.inner_text()
    output.get_by_role("link", name="Course map").click()
    page.locator(".jp-RenderedMarkdown td", has_text=f"{EXERCISE.points} of 11").wait_for()
    page.locator(".lm-TabBar-tab", has_text="end.ipynb").click()
    output.get_by_role("link", name="Next").click()
    page.locator(".jp-Notebook h1:visible", has_text="Convolutions").wait_for()
    assert lesson.errors == []


def test_going_on_leads_to_the_open_section_of_a_lesson_that_is_not_open(lab, workspace):
    path = workspace / "01_pruning.ipynb"
    path.write_text(path.read_text() + " ")
    write(workspace)
    page = lab().page
    page.locator(".jp-RenderedMarkdown a", has_text="01 Pruning, section 2. Importance").click()
    page.locator(".jp-Notebook h2", has_text="2. Importance").wait_for()
    page.wait_for_function(
        "document.querySelector('.jp-Notebook:not(.lm-mod-hidden) .jp-WindowedPanel-outer').scrollTop > 100"
    )


def test_going_on_in_a_lesson_that_is_open_makes_the_place_the_active_cell(lab, workspace):
    path = workspace / "01_pruning.ipynb"
    path.write_text(path.read_text() + " ")
    write(workspace)
    page = lab().page
    link = page.locator(".jp-RenderedMarkdown a", has_text="01 Pruning, section 2. Importance")
    active = page.locator(".jp-Notebook:visible .jp-Cell.jp-mod-active")
    link.click()
    active.filter(has_text="2. Importance").wait_for()
    page.keyboard.press("Home")
    page.locator(".jp-Notebook:visible h1").first.click()
    active.filter(has_text="Pruning").first.wait_for()
    page.locator(".lm-TabBar-tab", has_text="NNOpt Lab").click()
    link.click()
    active.filter(has_text="2. Importance").wait_for()
    page.keyboard.press("Shift+Enter")
    active.filter(has_not_text="2. Importance").wait_for()


def test_going_on_after_a_failed_check_shows_the_text_of_the_exercise_above_its_answer(lab, workspace):
    name = "02_convolutions"
    cells = nbformat.read(workspace / f"{name}.ipynb", 4).cells
    check = next(cell.id for cell in cells if cell.source.startswith('check("convolutions.separable_cost"'))
    noted = json.dumps({name: (time.time() + 1000, check)})
    (workspace / last_work.FILE).write_text(noted)
    path = workspace / f"{name}.ipynb"
    path.write_text(path.read_text() + " ")
    write(workspace)
    page = lab().page
    page.locator(".jp-RenderedMarkdown a", has_text="02 Convolutions, section 4.").click()
    page.locator(".jp-Notebook:visible .jp-Cell.jp-mod-active", has_text="def separable_cost").wait_for()
    page.wait_for_function("""() => {
        const active = document.querySelector('.jp-Notebook:not(.lm-mod-hidden) .jp-Cell.jp-mod-active');
        const text = active.previousElementSibling.querySelector('.nnopt-task');
        const panel = active.closest('.jp-WindowedPanel-outer');
        return text && Math.abs(text.getBoundingClientRect().top - panel.getBoundingClientRect().top) < 20;
    }""")
    page.wait_for_timeout(1000)
    text = page.locator(".nnopt-task", has_text="Exercise").locator("visible=true")
    panel = page.locator(".jp-WindowedPanel-outer:visible")
    tops = [box["y"] for box in (part.bounding_box() for part in text.all())]
    assert min(abs(top - panel.bounding_box()["y"]) for top in tops) < 20


def test_the_open_start_page_follows_the_progress(lab, workspace):
    page = lab().page
    page.locator(".jp-RenderedMarkdown h1", has_text="NNOpt Lab").wait_for()
    write(workspace, [("02_convolutions", "updated")])
    page.locator(".jp-RenderedMarkdown h2", has_text="What is new").wait_for()
    write(workspace, [])
    page.locator(".jp-RenderedMarkdown h2", has_text="What is new").wait_for(state="detached")


def test_the_start_page_follows_each_cell_that_runs_and_no_run_of_all(lab, workspace):
    path = workspace / "12_hardware.ipynb"
    kept = path.read_text()
    sections = ['lesson("12_hardware")', *(f"{number} * 2" for number in range(1, 8))]
    cells = ["from nnopt_lab.course.calls import lesson", nbformat.v4.new_markdown_cell("#")]
    for number, code in enumerate(sections):
        cells += [nbformat.v4.new_markdown_cell(f"## {number}. Part"), nbformat.v4.new_code_cell(code)]
    cells[-1].metadata["exercise"] = next(iter(exercises("12_hardware")))
    write_notebook(path, cells)
    page_of = lambda: (workspace / START_PAGE).read_text()  # noqa: E731

    def wait_for(text: str) -> None:
        end = time.time() + 20
        while text not in page_of() and time.time() < end:
            time.sleep(0.1)
        assert text in page_of()

    lesson = lab("12_hardware.ipynb")
    lesson.page.locator(".jp-Notebook .jp-Cell").first.click()
    for _ in range(10):
        lesson.page.keyboard.press("Shift+Enter")
        lesson.page.wait_for_timeout(400)
    wait_for("section 3. Part](12_hardware.ipynb#cell-id=")
    lesson.run_all()
    wait_for("section 7. Part](12_hardware.ipynb#cell-id=")
    assert "It is the first section with something unfinished." in page_of()
    path.write_text(kept)
