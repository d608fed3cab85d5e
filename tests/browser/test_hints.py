"""Help below an exercise: hints at the press of a button, then a solution, and all of it is still there later."""

import pytest

from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.record import FILE, read
from tests.browser.lab_page import write_notebook

EXERCISE = exercises()["start.conv_parameters"]
WRONG, RIGHT = "0", "out_channels * (in_channels * kernel_size**2 + bias)"
CELLS = """
from nnopt_lab.course.calls import check
---
def conv_parameters(in_channels, out_channels, kernel_size, bias):
    return {answer}
---
for _ in range({tries}): card = check("start.conv_parameters", conv_parameters)
---
check("start.conv_parameters", conv_parameters)
"""


@pytest.fixture
def notebook(workspace):
    """Writes a notebook that checks an answer; the value is a function of the answer and of the number of tries."""

    def write(name: str, answer: str, tries: int = 0) -> str:
        codes = CELLS.format(answer=answer, tries=tries).strip().split("\n---\n")
        write_notebook(workspace / name, codes)
        return name

    return write


def test_hints_open_one_by_one_and_then_a_solution_and_stay_when_the_notebook_comes_back(lab, notebook, workspace):
    name = notebook("wrong.ipynb", WRONG, tries=5)
    page = lab(name)
    page.run_all()
    cell = page.page.locator(".jp-CodeCell").last
    for n, text in enumerate(EXERCISE.hints, 1):
        cell.get_by_role("button", name=f"Hint {n} of 3").click()
        opened = cell.locator("details[open]:visible", has_text=f"Hint {n} of 3")
        opened.wait_for()
        assert text.partition("`")[0] in opened.inner_text()
        assert read(workspace)["hints"][EXERCISE.id] == n
        assert cell.get_by_text("Check again for a hint.").is_hidden()
    cell.get_by_role("button", name="Hint").wait_for(state="hidden")
    solution = cell.locator("details:visible", has_text="A solution")
    assert "return" not in solution.inner_text()
    solution.locator("summary").click()
    assert "return" in solution.inner_text()
    page.save()
    page.restart_kernel()
    page.open(name)
    assert cell.locator("details summary", has_text="Hint").count() == 3
    assert page.outputs("Error displaying widget").count() == 0


def test_an_opened_hint_stays_open_whatever_the_next_check_says(lab, notebook, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    page = lab(notebook("kept.ipynb", WRONG))
    page.run_all()
    cell, answer = page.page.locator(".jp-CodeCell").last, page.page.locator(".jp-CodeCell .cm-content").nth(1)
    opened = cell.locator("details[open]:visible", has_text="Hint 1 of 3")
    cell.get_by_role("button", name="Hint 1 of 3").click()
    opened.wait_for()

    def checks(code: str, told: str) -> None:
        answer.click()
        page.page.keyboard.press("Control+a")
        page.page.keyboard.insert_text(code)
        page.page.keyboard.press("Control+Enter")
        cell.locator(".jp-InputArea-prompt").click()
        page.page.keyboard.press("Control+Enter")
        cell.get_by_text(told).locator("visible=true").first.wait_for()
        page.wait_until_idle()

    checks("def conv_parameters(:", "The last check said")
    opened.wait_for()
    opened.locator("summary").click()
    checks("def conv_parameters(*given): return 7", "your result")
    assert opened.count() == 0, "what the learner has folded stays folded"
    assert page.errors == []


def test_the_keyboard_reads_a_hint_and_goes_back_to_the_notebook(lab, notebook, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    page = lab(notebook("keys.ipynb", WRONG))
    page.run_all()
    cell = page.page.locator(".jp-CodeCell").last
    is_read = "document.activeElement.closest('details[open]')?.innerText.includes({!r})"
    for n, text in enumerate(EXERCISE.hints, 1):
        cell.get_by_role("button", name=f"Hint {n} of 3").press("Enter")
        page.page.wait_for_function(is_read.format(text.partition("`")[0]))
        page.page.keyboard.press("Enter")
        assert read(workspace)["hints"][EXERCISE.id] == n
        page.page.keyboard.press("Escape")
        assert cell.evaluate("cell => cell === document.activeElement && cell.matches('.jp-mod-active')")
    page.page.keyboard.press("k")
    page.page.wait_for_function("document.querySelectorAll('.jp-CodeCell')[2].matches('.jp-mod-active')")
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector(".jp-Notebook.jp-mod-editMode")
    assert page.errors == []


def test_after_a_hint_the_button_of_the_next_one_is_in_sight_at_the_lower_edge_of_a_window(lab, notebook, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    page = lab(notebook("edge.ipynb", WRONG))
    page.run_all()
    page.page.set_viewport_size({"width": 1000, "height": 420})
    cell = page.page.locator(".jp-CodeCell").last
    scrolled = page.page.locator(".jp-WindowedPanel-outer:visible")
    for n in (1, 2):
        button = cell.get_by_role("button", name=f"Hint {n} of 3")
        button.evaluate("button => button.scrollIntoView({ block: 'end' })")
        button.click()
        cell.locator("details[open]:visible", has_text=f"Hint {n} of 3").wait_for()
        page.page.wait_for_timeout(500)
        lower = scrolled.evaluate("panel => panel.getBoundingClientRect().bottom")
        upper = scrolled.evaluate("panel => panel.getBoundingClientRect().top")
        for part in (cell.locator("details[open]:visible").last, cell.get_by_role("button", name=f"Hint {n + 1} of 3")):
            box = part.bounding_box()
            assert upper - 1 <= box["y"] and box["y"] + box["height"] <= lower + 1
    assert page.errors == []


def test_a_notebook_that_comes_back_before_the_last_hint_says_how_to_get_the_next(lab, notebook, workspace):
    (workspace / FILE).unlink(missing_ok=True)  # the hints of the test before
    name = notebook("one_hint.ipynb", "in_channels + 1", tries=1)
    page = lab(name)
    page.run_all()
    cell = page.page.locator(".jp-CodeCell").last
    cell.get_by_role("button", name="Hint").click()
    cell.locator("details[open]:visible").wait_for()
    page.save()
    page.open(name)
    cell.get_by_text("Check again for a hint.").wait_for()
    assert cell.get_by_role("button", name="Hint").count() == 0 and cell.locator("details").count() >= 1


def test_a_pass_shows_the_points_and_the_courses_own_code_in_a_fold(lab, notebook):
    page = lab(notebook("right.ipynb", RIGHT))
    page.run_all()
    card = page.page.get_by_role("note", name="passed").last
    assert "passed (1 point)" in card.inner_text() and page.page.get_by_role("button", name="Hint").count() == 0
    card.get_by_text("The course's solution").click()
    assert "def conv_parameters" in card.inner_text()
    assert page.errors == []


def test_a_card_beside_buttons_does_not_say_what_to_do_without_them(lab, notebook):
    page = lab(notebook("blank.ipynb", "(_ for _ in ()).throw(NotImplementedError)"))
    page.run_all()
    card = page.page.locator(".jp-CodeCell").last
    card.get_by_text("above and press Check.").locator("visible=true").wait_for()
    assert not any(line.is_visible() for line in card.get_by_text("Without buttons").all())
