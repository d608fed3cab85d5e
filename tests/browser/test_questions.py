"""Questions in JupyterLab: their text is there as the notebook opens, and they are answered by buttons or a number."""

import json
import time

import nbformat
import pytest

from nnopt_lab.course.asking import ASKS, asks, prose
from nnopt_lab.course.exercises import cell_id, questions
from nnopt_lab.course.record import FILE, read
from tests.browser.lab_page import write_notebook

LETTER, NUMBER = questions()["start.three_percent"], questions()["start.where_the_work_is"]


def cells_of(asked, code: str | None = None) -> list:
    """The question's two cells, as a lesson has them."""
    name = "choice" if asked.choices else "answer"
    code = f'{name} = None\nquestion("{asked.id}", {name})' if code is None else code
    metadata = {"question": asked.id, ASKS: asks(asked)}
    return [
        nbformat.v4.new_markdown_cell(prose(asked)),
        nbformat.v4.new_code_cell(code, id=cell_id("question", asked.id), metadata=metadata),
    ]


@pytest.fixture
def notebook(workspace):
    """Writes a notebook of cells; its value is a function of a name and the cells."""
    (workspace / FILE).unlink(missing_ok=True)

    def write(name: str, *cells) -> str:
        return write_notebook(workspace / name, cells)

    return write


def stored(workspace, name: str, asked) -> str:
    """The code of a question's cell in the file, which is empty for a moment while Jupyter writes it."""
    end = time.monotonic() + 10
    while not (text := (workspace / name).read_text(encoding="utf-8")).rstrip().endswith("}"):
        assert time.monotonic() < end
        time.sleep(0.1)
    cells = json.loads(text)["cells"]
    return next("".join(cell["source"]) for cell in cells if cell["metadata"].get("question") == asked.id)


def test_a_letter_is_answered_by_a_button_before_any_cell_has_run(lab, notebook, workspace):
    name = notebook("letter.ipynb", *cells_of(LETTER))
    page = lab(name)
    page.cells(LETTER.text).first.wait_for()
    strip = page.page.get_by_role("group", name="Your answer")
    option = {letter: strip.get_by_role("button", name=f"{letter}) {text}") for letter, text in LETTER.choices.items()}
    for button in option.values():
        button.wait_for()
    assert page.page.locator(".nnopt-choices:visible").count() == 0  # each option is there once
    option["a"].click()
    page.outputs("Wrong: a").get_by_text(LETTER.comments["a"]).wait_for()
    pressed = strip.locator("[aria-pressed=true]")
    assert pressed.get_attribute("value") == "a"
    option["c"].click()
    page.outputs("Right: c (1 point)").wait_for()
    assert pressed.get_attribute("value") == "c"
    page.save()
    assert stored(workspace, name, LETTER) == f'choice = "c"\nquestion("{LETTER.id}", choice)'
    assert read(workspace)["questions"][LETTER.id]["passed"]
    page.open(name)
    strip.locator("[aria-pressed=true][value=c]").wait_for()
    assert page.errors == []


def test_a_number_is_typed_and_answered_with_enter(lab, notebook, workspace):
    name = notebook("number.ipynb", *cells_of(NUMBER))
    page = lab(name)
    box = page.page.get_by_role("textbox", name="Your answer")
    for text in ("much", "", "1e", "12 x"):
        box.fill(text)
        box.press("Enter")
        page.page.get_by_role("alert").get_by_text("The answer must be a number.").wait_for()
    assert page.outputs().count() == 0
    box.fill("013,9")
    box.press("Enter")
    page.outputs("Right: 13.9 (1 point)").wait_for()
    assert page.page.get_by_role("alert").inner_text() == ""
    assert box.evaluate("box => box === document.activeElement")
    page.page.keyboard.press("Escape")
    assert page.page.evaluate("document.activeElement.matches('.jp-mod-commandMode .jp-Cell.jp-mod-active')")
    page.save()
    assert stored(workspace, name, NUMBER) == f'answer = 13.9\nquestion("{NUMBER.id}", answer)'
    page.open(name)
    page.page.wait_for_function("document.querySelector('.nnopt-strip input').value === '13.9'")


def test_a_button_is_pressed_with_the_keyboard_and_the_press_can_be_undone(lab, notebook, workspace):
    name = notebook("keys.ipynb", *cells_of(LETTER))
    page = lab(name)
    button = page.page.get_by_role("group", name="Your answer").get_by_role("button", name="b)")
    button.focus()
    page.page.keyboard.press("a")  # elsewhere in a notebook, this adds a cell
    page.page.keyboard.press("Enter")
    page.outputs("Wrong: b").wait_for()
    assert page.page.locator(".jp-CodeCell").count() == 1
    cell = page.page.locator(".jp-CodeCell").first
    code = cell.get_by_role("button", name="Code")
    assert cell.locator(".cm-content").is_hidden() and code.get_attribute("aria-expanded") == "false"
    code.press("Enter")
    assert code.get_attribute("aria-expanded") == "true"
    cell.locator(".cm-content").click()
    page.page.keyboard.press("Control+z")
    cell.get_by_text("choice = None").wait_for()


def test_a_learners_own_code_stays(lab, notebook, workspace):
    code = f'share = 262_144 / 1_885_440\nanswer = 100 * share\nquestion("{NUMBER.id}", answer)'
    name = notebook("own.ipynb", *cells_of(NUMBER, code))
    page = lab(name)
    box = page.page.get_by_role("textbox", name="Your answer")
    assert page.page.locator(".jp-CodeCell .cm-content").is_visible()
    box.fill("97.6")
    box.press("Enter")
    page.outputs("Wrong: 97.6").wait_for()
    page.save()
    assert stored(workspace, name, NUMBER) == code.replace("\nquestion", "\nanswer = 97.6\nquestion")


def test_a_blank_question_that_is_run_shows_no_second_buttons(lab, notebook):
    first = "from nnopt_lab.course.calls import question"
    page = lab(notebook("blank.ipynb", first, *cells_of(LETTER), *cells_of(NUMBER)))
    page.run_all()
    assert page.page.locator(".nnopt-box:visible").count() == 0
    assert page.page.get_by_role("group", name="Your answer").count() == 2


def test_a_blank_question_that_was_run_and_saved_comes_back_once(lab, notebook):
    first = "from nnopt_lab.course.calls import question"
    name = notebook("twice.ipynb", first, *cells_of(LETTER), *cells_of(NUMBER))
    page = lab(name)
    page.run_all()
    page.save()
    page.open(name)
    page.outputs("Question, not answered yet").nth(1).wait_for(state="attached")
    for words in ("A five times, then B five times", "The first linear layer"):
        assert page.page.locator(".jp-Notebook").get_by_text(words).locator("visible=true").count() == 1
    assert page.outputs("Question, not answered yet").locator("visible=true").count() == 0
    assert page.page.get_by_role("group", name="Your answer").count() == 2 and page.errors == []


def test_without_the_extensions_marks_the_kernels_own_buttons_answer(lab, notebook, workspace):
    asking = [f'question("{asked.id}")' for asked in (LETTER, NUMBER)]
    page = lab(notebook("plain.ipynb", "from nnopt_lab.course.calls import question", *asking))
    page.run_all()
    first, second = page.cells(LETTER.text).last, page.cells(NUMBER.text).last
    first.get_by_role("button", name="b", exact=True).click()
    first.get_by_text("Wrong: b").wait_for()
    first.get_by_role("button", name="c", exact=True).click()
    page.outputs("Right: c").get_by_text(f'question("{LETTER.id}", "c")').wait_for()
    box = second.get_by_role("textbox", name="Your answer")
    box.fill("13,9")
    box.press("Enter")
    page.outputs("Right: 13.9").get_by_text(f'question("{NUMBER.id}", 13.9)').wait_for()
    assert read(workspace)["questions"][NUMBER.id]["passed"]


@pytest.mark.parametrize(("asked", "field"), [(LETTER, "button[value=a]"), (NUMBER, "input")])
def test_enter_and_tab_on_a_question_lead_to_its_answer(lab, notebook, asked, field):
    page = lab(notebook("enter.ipynb", *cells_of(asked)))
    page.page.get_by_role("group", name="Your answer").locator(field).focus()
    for key in ("Enter", "Tab"):
        page.page.keyboard.press("Escape")
        page.page.wait_for_function("document.activeElement.matches('.jp-CodeCell')")
        page.page.keyboard.press(key)
        page.page.wait_for_function(f"document.activeElement.matches('.nnopt-strip {field}')")
    assert page.page.locator(".jp-CodeCell .cm-content").is_hidden()


def test_the_keys_leave_an_answer_for_the_cell_that_the_contents_lead_to(lab):
    page = lab("00_start_here.ipynb")
    box = page.page.locator(".nnopt-strip input").first
    box.fill("13.9")
    box.press("Enter")
    page.wait_until_idle()
    page.page.locator(".jp-TableOfContents-tree .jp-tocItem-content", has_text="A bug hunt").click()
    page.page.locator(".jp-Notebook .jp-Cell.jp-mod-active:focus", has_text="A bug hunt").wait_for()
    page.page.locator(".jp-TableOfContents-tree jp-tree-item", has_text="5. The baseline").last.press("Enter")
    page.page.locator(".jp-Notebook .jp-Cell.jp-mod-active:focus", has_text="The baseline").wait_for()
