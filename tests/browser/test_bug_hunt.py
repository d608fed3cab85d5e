"""The bug hunt of lesson 00 in JupyterLab: the lines of the program are buttons, and the card stays."""

from tests.browser.lab_page import write_notebook

CODE = "from nnopt_lab.lessons.start_here.bug_hunt import mark_bugs\nmark_bugs()"


def test_lines_are_marked_by_buttons_and_the_card_stays_when_the_kernel_has_ended(lab, workspace):
    opened = lab(write_notebook(workspace / "hunt.ipynb", [CODE]))
    opened.run_all()
    box = opened.outputs("In which lines do you see a bug?")
    box.get_by_role("button", name="F.max_pool2d").click()
    box.get_by_role("button", name="F.max_pool2d", pressed=True).wait_for()
    assert box.get_by_role("button", pressed=True).count() == 1
    box.get_by_role("button", name="Compare").press("Enter")
    card = opened.outputs("1 of your 1 line has a bug")
    card.get_by_text("Bug 2: F is never imported.").locator("visible=true").wait_for()
    opened.page.wait_for_function("document.activeElement.textContent === 'Mark again'")
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_function("document.activeElement.title === 'line 1'")
    opened.restart_kernel()
    card.get_by_text("Bug 2: F is never imported.").locator("visible=true").wait_for()
    opened.run_all()
    box.get_by_role("button", name="Mark again").click()
    box.get_by_role("button", name="F.max_pool2d", pressed=True).wait_for()
    assert opened.errors == []
