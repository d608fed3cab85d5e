"""After an exercise's check has run, its card is in sight, wherever the cell stood in the window."""

import nbformat
import pytest

from nnopt_lab.course.builder import to_notebook
from nnopt_lab.course.record import FILE
from nnopt_lab.workbench.paths import root
from tests.browser.lab_page import write_notebook

LESSONS = ("12_hardware", "10_parallelism", "02_convolutions")
INSIDE = """
card => {
  const box = card.getBoundingClientRect(), window = card.closest('.jp-Notebook').getBoundingClientRect();
  return box.top >= window.top - 1 && (box.bottom <= window.bottom + 1 || box.top < window.top + 40);
}
"""


def longest_exercise(lesson: str) -> list:
    """The lesson's longest exercise cell, the check below it, and the two cells that follow, as far as the text."""
    cells = to_notebook(root() / "solutions" / f"{lesson}.py", solved=False).cells
    place = max((n for n, c in enumerate(cells) if "exercise" in c.metadata), key=lambda n: len(cells[n].source))
    check = next(n for n in range(place, len(cells)) if cells[n].source.startswith("check("))
    wrong = cells[place].source.replace("raise NotImplementedError", "return 0")
    return [wrong, *cells[check : check + 3]]


def prose(lines: int):
    return nbformat.v4.new_markdown_cell("\n\n".join(f"A line of prose, number {n}." for n in range(lines)))


@pytest.mark.parametrize("keys", ["Shift+Enter", "Control+Enter"])
@pytest.mark.parametrize("lesson", LESSONS)
def test_the_card_is_in_sight_after_the_check_has_run(lab, workspace, lesson, keys):
    begin = "from nnopt_lab.course.calls import check\nimport torch"
    cells = [begin, prose(12), *longest_exercise(lesson), prose(40)]
    name = f"verdict_{lesson}.ipynb"
    write_notebook(workspace / name, cells)
    page = lab(name)
    editors = page.page.locator(".jp-CodeCell .cm-content")
    for place in range(2):
        editors.nth(place).click()
        page.page.keyboard.press("Control+Enter")
        page.wait_until_idle()
    check = page.page.locator(".jp-CodeCell").nth(2)
    check.locator(".cm-content").click()
    check.evaluate("cell => cell.scrollIntoView({ block: 'end' })")  # the last thing in the window
    page.page.keyboard.press(keys)
    card = check.get_by_role("note").first
    card.wait_for()
    page.page.wait_for_timeout(700)
    assert card.evaluate(INSIDE)


def test_a_note_about_the_librarys_function_goes_once_the_answer_has_passed(lab, workspace):
    sources = [
        "from nnopt_lab.course.calls import check, yours_or_ours\n"
        "def ranked(scores, count):\n"
        "    return scores.argsort(stable=True).argsort() * count // len(scores)\n"
        "answers = iter([lambda scores, count: scores, ranked])",
        'check("pruning.levels", next(answers))',
        'levels = yours_or_ours("pruning.levels")',
    ]
    page = lab(write_notebook(workspace / "outdated.ipynb", sources))
    page.run_all()
    note = page.page.locator(".nnopt-note")
    note.wait_for()
    check = page.page.locator(".jp-CodeCell").nth(1)
    check.locator(".cm-content").click()
    page.page.keyboard.press("Control+Enter")
    check.locator(".nnopt-good").wait_for()
    note.wait_for(state="hidden")


def test_a_late_pass_offers_to_run_the_cells_below_that_used_the_librarys_function(lab, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    sources = [
        "from nnopt_lab.course.calls import check, yours_or_ours\n"
        "from nnopt_lab.course.predictions import predict, reveal",
        "def levels(scores, count):\n    raise NotImplementedError",
        'check("pruning.levels", levels)',
        'levels = yours_or_ours("pruning.levels")',
        'predict("guessed", 1)',
        'print("in", levels.__module__)',
        'print("table")\nlevels and reveal("guessed", 2)',
        'reveal("waits", 3)',
        'check("pruning.l1_importance", lambda weight: weight)',
        'print("never", levels.__module__)',
    ]
    cells = [*sources[:2], prose(9), *sources[2:6], prose(40), *sources[6:]]
    page = lab(write_notebook(workspace / "late_pass.ipynb", cells))
    code = page.page.locator(".jp-CodeCell")

    def run(place: int) -> None:
        code.nth(place).evaluate("cell => cell.focus()")
        page.page.keyboard.press("Control+Enter")
        page.wait_until_idle()

    for place in range(9):
        run(place)
    tries = code.nth(8).locator(".jp-InputPrompt").text_content()
    right = "def levels(scores, count):\n    return scores.argsort(stable=True).argsort() * count // len(scores)"
    code.nth(1).locator(".cm-content").click()
    page.page.keyboard.press("Control+a")
    page.page.keyboard.insert_text(right)
    run(1)
    run(2)
    offer = code.nth(2).get_by_role("button", name="Run the cells below")
    offer.wait_for()
    code.nth(2).get_by_text("Results below come from the library's function").wait_for()
    place = code.nth(2).bounding_box()["y"]
    offer.click()
    page.outputs("in __main__").wait_for()
    page.wait_until_idle()
    offer.wait_for(state="hidden")
    assert abs(code.nth(2).bounding_box()["y"] - place) < 3
    assert code.nth(2).evaluate("cell => cell === document.activeElement")
    assert code.nth(7).get_by_text("The number is hidden until you guess it.").is_visible()
    assert code.nth(8).locator(".jp-InputPrompt").text_content() == tries, "an answer that is checked again counts"
    assert page.outputs("never").count() == 0, "what the learner has not run yet"
    assert page.errors == []


def test_a_first_run_from_top_to_bottom_offers_to_run_nothing_again(lab, workspace):
    sources = [
        "from nnopt_lab.course.calls import check, yours_or_ours\n"
        "levels = lambda scores, count: scores.argsort(stable=True).argsort() * count // len(scores)",
        'check("pruning.levels", levels)',
        'levels = yours_or_ours("pruning.levels")',
        'print("in", levels.__module__)',
    ]
    page = lab(write_notebook(workspace / "first_run.ipynb", sources))
    page.run_all()
    check = page.page.locator(".jp-CodeCell").nth(1)
    check.locator(".nnopt-good").wait_for()
    assert check.locator(".nnopt-renews").count() == 0
