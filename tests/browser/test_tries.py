"""A try at an exercise is one press: a button, or a shortcut, runs the answer's cell and then its check."""

from collections.abc import Iterable

import nbformat
import pytest

from nnopt_lab.course.asking import ASKS, CHECKS, asks, checks
from nnopt_lab.course.exercises import cell_id, exercises, questions
from nnopt_lab.course.record import FILE, read
from tests.browser.lab_page import write_notebook

EXERCISE, QUESTION = exercises()["start.conv_parameters"], questions()["start.three_percent"]
HEAD = "def conv_parameters(in_channels, out_channels, kernel_size, bias):\n    "
RIGHT = HEAD + "return out_channels * (in_channels * kernel_size**2 + bias)"
LONG = HEAD + "\n    ".join(f"x{n} = {n}" for n in range(60)) + "\n    return 0"
SETUP = "from nnopt_lab.course.calls import check, lesson\nlesson('00_start_here')"


@pytest.fixture
def lesson(lab, workspace, tmp_path):
    """Opens a notebook with an exercise's cell in the given state, in a kernel of its own."""
    (workspace / FILE).unlink(missing_ok=True)

    def opened(answer: str, words: dict | None = None, more: Iterable[nbformat.NotebookNode] = (), above=()):
        name, metadata = f"{tmp_path.name}.ipynb", {"exercise": EXERCISE.id, CHECKS: words or checks()}
        cells = [
            SETUP,
            *above,
            nbformat.v4.new_code_cell(answer, id=cell_id("exercise", EXERCISE.id), metadata=metadata),
            f'check("{EXERCISE.id}", conv_parameters)',
            nbformat.v4.new_markdown_cell("\n\n".join("Prose." for _ in range(60))),
            *more,
        ]
        return lab(write_notebook(workspace / name, cells))

    return opened


def run_first_cell(page) -> None:
    page.page.locator(".jp-CodeCell .cm-content").first.click()
    page.page.keyboard.press("Control+Enter")
    page.wait_until_idle()


def writes_in(page, place: int) -> bool:
    """Whether the cursor is in the code of a cell."""
    code = page.page.locator(".jp-CodeCell").nth(place).locator(".cm-content")
    return code.evaluate("code => code === document.activeElement")


def test_the_button_runs_the_answer_and_its_check_and_the_cursor_stays_in_the_answer(lesson, workspace):
    page = lesson(HEAD + "return 0")
    run_first_cell(page)
    button = page.page.get_by_role("button", name="Check", exact=True)
    assert button.evaluate("button => getComputedStyle(button).backgroundColor") == "rgb(0, 114, 178)"
    button.click()
    page.outputs("not yet (0 of 1 point)").wait_for()
    assert writes_in(page, 1)
    page.page.keyboard.press("Control+a")
    page.page.keyboard.insert_text(RIGHT)
    button.click()
    page.outputs("passed (1 point)").wait_for()
    assert writes_in(page, 1) and read(workspace)["exercises"][EXERCISE.id]["passed"]
    assert page.page.get_by_role("button", name="Check", exact=True).count() == 1 and page.errors == []


def test_the_shortcut_does_the_same_in_the_answer_and_in_its_check_and_nothing_elsewhere(lesson):
    page = lesson(HEAD + "return 0")
    run_first_cell(page)
    page.page.keyboard.press("Control+Shift+Enter")
    assert page.outputs("not yet").count() == 0
    for place in (1, 2):
        page.page.locator(".jp-CodeCell .cm-content").nth(place).click()
        count = page.page.locator(".jp-CodeCell").nth(2).locator(".jp-InputPrompt").inner_text()
        page.page.keyboard.press("Control+Shift+Enter")
        page.page.wait_for_function(
            "old => document.querySelectorAll('.jp-CodeCell')[2].querySelector('.jp-InputPrompt').innerText !== old",
            arg=count,
        )
        page.wait_until_idle()
        page.outputs("not yet").wait_for()
        assert writes_in(page, place)


@pytest.mark.parametrize(
    "code, told",
    [('question("start.where_the_work_is", 97.6)', "97.6"), ('predict("a speed-up")', "a speed-up"), ("1 + 1", "")],
)
def test_the_shortcut_answers_a_question_and_asks_for_a_guess(lab, workspace, tmp_path, code, told):
    setup = "from nnopt_lab.course.calls import lesson, question\nfrom nnopt_lab.course.predictions import predict\n"
    page = lab(write_notebook(workspace / f"{tmp_path.name}.ipynb", [f"{setup}lesson('00_start_here')", code]))
    run_first_cell(page)
    page.page.locator(".jp-CodeCell .cm-content").nth(1).click()
    page.page.keyboard.press("Control+Shift+Enter")
    page.wait_until_idle()
    shown = page.page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea-output")
    assert shown.filter(has_text=told).count() == 1 if told else shown.count() == 0
    assert writes_in(page, 1) and page.errors == []


def test_the_shortcut_is_listed(lesson):
    page = lesson(HEAD + "return 0")
    page.page.locator(".jp-CodeCell .cm-content").nth(1).click()
    page.menu("Help", "Show Keyboard Shortcuts…")
    row = page.page.locator(".jp-Dialog tr", has_text="Run this cell and its check")
    assert "".join(row.inner_text().split()).endswith("Ctrl+Shift+Enter")


def test_the_button_keeps_the_focus_of_somebody_who_uses_the_keyboard(lesson):
    page = lesson(HEAD + "return 0")
    run_first_cell(page)
    button = page.page.get_by_role("button", name="Check", exact=True)
    button.focus()
    page.page.keyboard.press("Enter")
    page.outputs("not yet").wait_for()
    assert button.evaluate("button => button === document.activeElement")


@pytest.mark.parametrize("older", [True, False])
def test_an_answer_that_stops_is_told_by_its_check(lesson, older):
    page = lesson(HEAD + "return 0" if older else HEAD + "return (0")
    run_first_cell(page)
    button = page.page.get_by_role("button", name="Check", exact=True)
    button.click()
    if older:
        page.outputs("not yet").wait_for()
        page.page.keyboard.press("Control+a")
        page.page.keyboard.insert_text(HEAD + "return (0")
        button.click()
    card = page.page.get_by_role("note", name="open").last
    card.get_by_text("Your cell above stopped with an error (SyntaxError").wait_for()
    assert "not checked" in card.inner_text()


def test_in_a_new_kernel_the_check_offers_to_run_the_cells_above(lesson):
    page = lesson(RIGHT)
    page.page.get_by_role("button", name="Check", exact=True).click()
    page.page.get_by_role("button", name="Run the cells above and this one").click()
    page.outputs("passed (1 point)").wait_for()


def test_in_a_new_kernel_a_check_runs_what_it_needs_if_that_is_known(lesson):
    page = lesson(RIGHT, above=["1 / 0  # nothing needs this"])
    page.page.get_by_role("button", name="Check", exact=True).click()
    page.outputs("passed (1 point)").wait_for()
    assert page.outputs("ZeroDivisionError").count() == 0 and writes_in(page, 2) and page.errors == []


def test_the_verdict_on_a_long_answer_comes_into_sight(lesson):
    page = lesson(LONG)
    run_first_cell(page)
    page.page.locator(".jp-CodeCell .cm-line").nth(5).click()
    page.page.keyboard.press("Control+Shift+Enter")
    card = page.page.locator(".nnopt-help")
    card.wait_for()
    page.page.wait_for_timeout(700)
    inside = """card => {
      const box = card.getBoundingClientRect(), window = card.closest('.jp-Notebook').getBoundingClientRect();
      return box.top >= window.top - 1 && box.bottom <= window.bottom + 1;
    }"""
    assert card.evaluate(inside) and writes_in(page, 1)


@pytest.fixture
def closed_check(lesson):
    """The page, and a check's cell, in a notebook with a question, which has the word for a button that shows code."""
    metadata = {"question": QUESTION.id, ASKS: asks(QUESTION)}
    page = lesson(HEAD + "return 0", more=[nbformat.v4.new_code_cell(f'question("{QUESTION.id}")', metadata=metadata)])
    page.page.get_by_role("button", name="Code").first.wait_for()
    run_first_cell(page)
    return page, page.page.locator(".jp-CodeCell").nth(2)


def has_focus(page, button: str) -> None:
    page.page.wait_for_function("name => document.activeElement?.textContent === name", arg=button)


def test_shift_enter_leads_from_an_answer_to_the_button_of_its_check_and_then_on(closed_check):
    page, check = closed_check
    code, height = check.locator(".cm-content"), "cell => cell.getBoundingClientRect().height"
    assert check.evaluate(height) == 0
    page.page.locator(".jp-CodeCell .cm-content").nth(1).click()
    page.page.keyboard.press("Shift+Enter")
    has_focus(page, "Check")
    assert check.evaluate(height) == 0, "without a card, there is nothing to see"
    assert page.outputs("not yet").count() == 0
    page.page.keyboard.press("Enter")
    page.outputs("not yet").wait_for()
    page.wait_until_idle()
    has_focus(page, "Check")
    page.page.keyboard.press("Shift+Enter")
    page.page.wait_for_function("document.activeElement.matches('.jp-MarkdownCell')")
    assert code.is_hidden() and page.errors == []


def test_a_selected_check_is_marked_beside_its_card_and_its_code_is_shown_on_request(closed_check):
    page, check = closed_check
    code, button = check.locator(".cm-content"), page.page.get_by_role("button", name="Code").first
    page.page.get_by_role("button", name="Check", exact=True).click()
    page.outputs("not yet").wait_for()
    page.wait_until_idle()
    for shown in (True, False):
        button.press("Enter")
        code.wait_for(state="visible" if shown else "hidden")
        assert button.get_attribute("aria-expanded") == str(shown).lower()
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("ArrowDown")
    marker = check.locator(".jp-Cell-outputCollapser")
    assert code.is_hidden() and marker.evaluate("bar => getComputedStyle(bar).backgroundColor") != "rgba(0, 0, 0, 0)"


def test_an_arrow_key_selects_a_closed_check_and_opens_no_code(closed_check):
    page, check = closed_check
    page.page.locator(".jp-CodeCell .cm-content").nth(1).click()
    page.page.keyboard.press("Control+End")
    page.page.keyboard.press("ArrowDown")  # leads into the next cell
    page.page.wait_for_selector(".nnopt-checking.jp-mod-active", state="attached")
    page.page.wait_for_selector(".jp-Notebook.jp-mod-commandMode")
    assert check.locator(".cm-content").is_hidden() and page.page.locator(".nnopt-held").count() == 1
    page.page.keyboard.press("Enter")
    has_focus(page, "Check")
    page.page.keyboard.press("Escape")
    page.page.get_by_role("button", name="Code").first.click()
    check.locator(".cm-content").click()
    page.page.keyboard.insert_text("print(1);")
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("ArrowUp")
    assert check.locator(".cm-content").is_visible() and page.page.locator(".nnopt-held").count() == 0


def test_words_are_those_of_the_notebook(lesson):
    page = lesson(RIGHT, words={"button": "检查", "tip": "运行"})
    page.page.get_by_role("button", name="检查", exact=True).wait_for()


def test_a_try_is_saved(lesson, workspace, tmp_path):
    page = lesson(RIGHT)
    run_first_cell(page)
    page.page.get_by_role("button", name="Check", exact=True).click()
    page.outputs("passed (1 point)").wait_for()
    page.page.wait_for_selector(".lm-DockPanel-tabBar .lm-TabBar-tab.lm-mod-current:not(.jp-mod-dirty)")
    assert "passed (1 point)" in (workspace / f"{tmp_path.name}.ipynb").read_text(encoding="utf-8")
    assert page.page.locator(".jp-Dialog").count() == 0 and page.errors == []


def test_a_file_that_another_program_has_changed_is_not_overwritten(lesson, workspace, tmp_path):
    page, file = lesson(RIGHT), workspace / f"{tmp_path.name}.ipynb"
    run_first_cell(page)
    changed = file.read_text(encoding="utf-8").replace("Prose.", "Changed.")
    file.write_text(changed, encoding="utf-8")
    page.page.get_by_role("button", name="Check", exact=True).click()
    page.outputs("passed (1 point)").wait_for()
    page.page.wait_for_timeout(1500)
    assert page.page.locator(".jp-Dialog").count() == 0 and file.read_text(encoding="utf-8") == changed


def test_an_endless_try_is_stopped_with_its_button(lesson):
    page = lesson(HEAD + "while True: pass")
    run_first_cell(page)
    page.page.get_by_role("button", name="Check", exact=True).click()
    button = page.page.get_by_role("button", name="Running…", exact=True)
    assert button.get_attribute("aria-disabled") == "true"
    page.page.get_by_role("button", name="Still running – stop", exact=True).click()
    page.outputs("Your function was still running when you stopped it.").wait_for()
    page.page.get_by_role("button", name="Check", exact=True).wait_for()


def test_the_failing_call_is_copied_by_a_quiet_button(lesson):
    page = lesson(HEAD + "return 0")
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    run_first_cell(page)
    page.page.get_by_role("button", name="Check", exact=True).click()
    card = page.outputs("not yet (0 of 1 point)")
    card.get_by_role("button", name="Copy").click()
    card.get_by_role("button", name="✓ Copy").wait_for()
    copied = page.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("conv_parameters(in_channels=") and copied in card.inner_text()
    assert eval(copied, {"conv_parameters": EXERCISE.reference}) > 0


def test_a_verdict_is_grey_while_other_code_has_run_than_was_checked(lesson):
    page = lesson(HEAD + "return 0")
    run_first_cell(page)
    page.page.get_by_role("button", name="Check", exact=True).click()
    page.outputs("not yet (0 of 1 point)").wait_for()
    page.wait_until_idle()
    grey, code = page.page.locator(".nnopt-earlier"), page.page.locator(".jp-CodeCell .cm-content")
    code.nth(1).click()
    page.page.keyboard.press("Control+Enter")
    page.wait_until_idle()
    assert grey.count() == 0, "the same code"
    code.nth(1).click()
    page.page.keyboard.press("Control+a")
    page.page.keyboard.insert_text(RIGHT)
    page.page.keyboard.press("Shift+Enter")
    grey.locator(".nnopt-help.nnopt-bad").wait_for()
    page.page.keyboard.press("Shift+Enter")
    page.page.locator(".nnopt-good").first.wait_for()
    grey.wait_for(state="detached")
    assert page.errors == []


def test_the_page_scrolls_only_as_far_as_the_card_needs(lesson):
    page = lesson(HEAD + "\n    ".join(f"x{n} = {n}" for n in range(20)) + "\n    return 0")
    run_first_cell(page)
    button = page.page.get_by_role("button", name="Check", exact=True)
    button.evaluate("button => button.scrollIntoView({ block: 'end' })")
    button.click()
    card = page.page.locator(".jp-CodeCell .nnopt-bad").first
    card.wait_for()
    page.page.wait_for_timeout(1000)
    space = "card => card.closest('.jp-Notebook').getBoundingClientRect().bottom - card.getBoundingClientRect().bottom"
    assert -1 <= card.evaluate(space) < 60


def test_after_a_shorter_card_the_page_goes_back_as_far_as_that_card_allows(lesson):
    taller = "presses = globals().get('presses', 0) + 1\n" + HEAD + "return 0 if presses == 2 else [][0]"
    page = lesson(taller)
    page.page.set_viewport_size({"width": 1280, "height": 600})
    run_first_cell(page)
    exercise, check = page.page.locator(".jp-CodeCell").nth(1), page.page.locator(".jp-CodeCell").nth(2)
    tops, heights = [], []
    for _ in range(3):
        exercise.get_by_role("button", name="Check", exact=True).press("Enter")
        page.wait_until_idle()
        page.page.wait_for_timeout(1000)
        tops.append(exercise.bounding_box()["y"])
        heights.append(check.locator(".nnopt-bad").first.bounding_box()["height"])
    assert heights[0] == heights[2] != heights[1]
    assert tops[2] == pytest.approx(tops[0], abs=1)
