"""After an exercise's check has run, its card is in sight, wherever the cell stood in the window."""

import nbformat
import pytest

from nnopt_lab.course.builder import to_notebook
from nnopt_lab.workbench.paths import root

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
    return [nbformat.v4.new_code_cell(wrong), *cells[check : check + 3]]


def prose(lines: int):
    return nbformat.v4.new_markdown_cell("\n\n".join(f"A line of prose, number {n}." for n in range(lines)))


@pytest.mark.parametrize("keys", ["Shift+Enter", "Control+Enter"])
@pytest.mark.parametrize("lesson", LESSONS)
def test_the_card_is_in_sight_after_the_check_has_run(lab, workspace, lesson, keys):
    begin = nbformat.v4.new_code_cell("from nnopt_lab.course.calls import check\nimport torch")
    cells = [begin, prose(12), *longest_exercise(lesson), prose(40)]
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    name = f"verdict_{lesson}.ipynb"
    nbformat.write(made, workspace / name)
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
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(made, workspace / "outdated.ipynb")
    page = lab("outdated.ipynb")
    page.run_all()
    note = page.page.locator(".nnopt-note")
    note.wait_for()
    check = page.page.locator(".jp-CodeCell").nth(1)
    check.locator(".cm-content").click()
    page.page.keyboard.press("Control+Enter")
    check.locator(".nnopt-good").wait_for()
    note.wait_for(state="hidden")
