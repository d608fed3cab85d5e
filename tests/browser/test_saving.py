"""A notebook is saved after each answer; saves that meet each other raise no question about a change on disk."""

import nbformat
import pytest

from nnopt_lab.course.exercises import questions
from tests.browser.lab_page import write_notebook

QUESTION = questions()["start.where_the_work_is"]
SETUP = "from nnopt_lab.course.calls import lesson, question\nlesson('00_start_here')"
TAB = ".lm-DockPanel-tabBar .lm-TabBar-tab.lm-mod-current"


@pytest.fixture
def notebook(workspace, tmp_path):
    """A notebook whose second cell answers a question."""
    path = workspace / f"{tmp_path.name}.ipynb"
    write_notebook(path, [SETUP, answer(1)])
    return path


def answer(value: float) -> str:
    return f'question("{QUESTION.id}", {value})'


def test_answers_and_saves_during_a_slow_save_are_saved_after_it(lab, notebook):
    page, held, is_slow = lab(notebook.name), [], [True]

    def hold(route):
        slow = is_slow[0] and route.request.method == "PUT"
        held.append((route, route.fetch())) if slow else route.continue_()

    page.page.route("**/api/contents/**", hold)
    code = page.page.locator(".jp-CodeCell .cm-content")
    code.first.click()
    page.page.keyboard.press("Control+Enter")
    for value in (2, 3, 4):
        code.nth(1).click()
        page.page.keyboard.press("Control+a")
        page.page.keyboard.insert_text(answer(value))
        page.page.keyboard.press("Control+Enter")
        page.outputs(f"Wrong: {value}").wait_for()
        page.page.wait_for_timeout(1000)  # the save after an answer has begun
        if value == 3:
            page.page.keyboard.press("Control+s")
    assert page.page.locator(".jp-Dialog").count() == 0 and len(held) == 1
    is_slow[0] = False
    route, response = held[0]
    route.fulfill(response=response)
    page.page.wait_for_timeout(2000)  # the tab shows no change for a moment in between
    page.page.locator(f"{TAB}:not(.jp-mod-dirty)").wait_for()
    assert nbformat.read(notebook, 4).cells[1].source == answer(4)
    assert page.page.locator(".jp-Dialog").count() == 0 and page.errors == []


def test_a_change_during_a_slow_save_is_not_taken_for_saved(lab, notebook):
    page, held = lab(notebook.name), []

    def hold(route):
        held.append((route, route.fetch())) if route.request.method == "PUT" and not held else route.continue_()

    page.page.route("**/api/contents/**", hold)
    page.page.locator(".jp-CodeCell .cm-content").nth(1).click()
    page.page.keyboard.press("Control+End")
    page.page.keyboard.insert_text("  # soon")
    page.page.keyboard.press("Control+s")
    page.page.wait_for_timeout(1000)
    page.page.keyboard.insert_text(", later")
    ((route, response),) = held
    route.fulfill(response=response)
    page.page.wait_for_timeout(1000)
    page.page.locator(f"{TAB}.jp-mod-dirty").wait_for()
    assert nbformat.read(notebook, 4).cells[1].source.endswith("# soon")
    page.save()
    assert nbformat.read(notebook, 4).cells[1].source.endswith("# soon, later")
