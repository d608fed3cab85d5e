"""A guess is changed in its own field until it is measured, and a notebook that comes back shows it."""

import nbformat

from nnopt_lab.course.asking import GUESSES, guesses
from nnopt_lab.course.record import FILE, read
from tests.browser.lab_page import write_notebook

NAME = "speed-up from a test"
CELLS = (
    'from nnopt_lab.course.predictions import predict, reveal\npredict("speed-up from a test", unit="×")',
    'reveal("speed-up from a test", 2, 1.9, 2.1)',
)


def run_cell(page, place: int) -> None:
    page.page.locator(".jp-CodeCell .cm-content").nth(place).click()
    page.page.keyboard.press("Control+Enter")
    page.wait_until_idle()


def test_a_guess_is_changed_until_it_is_measured_and_comes_back_with_the_notebook(lab, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    write_notebook(workspace / "guesses.ipynb", CELLS)
    page = lab("guesses.ipynb")
    run_cell(page, 0)
    field = page.page.get_by_role("textbox", name="Your guess")
    for text in ("much", ""):
        field.fill(text)
        field.press("Enter")
        page.page.get_by_role("alert").get_by_text("A guess must be a number").wait_for()
    for typed, shown in (("7,5", "7.5×"), ("3", "3×")):
        field.fill(typed)
        field.press("Enter")
        page.outputs(f"{shown}. Now measure.").wait_for()
    page.save()
    page.open("guesses.ipynb")
    output = page.page.locator(".jp-CodeCell").first.locator(".jp-OutputArea-output")
    output.get_by_text("3×. Now measure.").wait_for()
    output.get_by_text("Run this cell to change your guess.").wait_for()
    run_cell(page, 0)
    assert field.input_value() == "3"
    field.fill("4")
    page.page.get_by_role("button", name="Change my guess").click()
    output.get_by_text("4×. Now measure.").first.wait_for()
    run_cell(page, 1)
    output.get_by_text("can't be changed any more; your guess was 4.").first.wait_for()
    assert field.is_hidden() and read(workspace)["predictions"][NAME]["guess"] == 4
    assert page.errors == []


def test_a_guess_needs_no_code_and_its_form_says_only_what_the_prose_does_not(lab, workspace):
    (workspace / FILE).unlink(missing_ok=True)

    def asking(name: str):
        return nbformat.v4.new_code_cell(f'predict("{name}")', metadata={GUESSES: guesses([name])})

    loads = nbformat.v4.new_code_cell("from nnopt_lab.course.predictions import predict")
    told = nbformat.v4.new_markdown_cell("How many times as fast is it?")
    others = nbformat.v4.new_markdown_cell("And the two others?")
    made = nbformat.v4.new_notebook(cells=[loads, told, asking("alone"), others, asking("first"), asking("second")])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(made, workspace / "asked.ipynb")
    page = lab("asked.ipynb")
    run_cell(page, 0)
    alone, first = page.page.locator(".nnopt-guessing").all()[:2]
    assert alone.locator(".cm-content").is_hidden() and alone.get_by_text("alone", exact=True).is_visible()
    assert first.get_by_text("first", exact=True).is_visible()
    alone.get_by_role("button", name="Make your guess").press("Enter")
    page.page.wait_for_function("document.activeElement?.matches('.nnopt-box input')")
    assert alone.get_by_text("Predict:").locator("visible=true").count() == 0
    assert alone.get_by_role("button", name="Make your guess").is_hidden()
    page.page.keyboard.type("2")
    page.page.keyboard.press("Enter")
    alone.get_by_text("2×. Now measure.").first.wait_for()
    alone.get_by_role("button", name="Code").press("Enter")
    assert alone.locator(".cm-content").is_visible()
    assert read(workspace)["predictions"]["alone"]["guess"] == 2
    page.save()
    page.open("asked.ipynb")
    alone.get_by_text("Run this cell to change your guess.").wait_for()
    assert alone.get_by_role("button", name="Make your guess").is_visible() and page.errors == []


def test_a_measurement_without_a_guess_closes_the_form_also_for_a_new_kernel(lab, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    write_notebook(workspace / "late.ipynb", CELLS)
    page = lab("late.ipynb")
    page.run_all()
    cell, field = page.page.locator(".jp-CodeCell").first, page.page.get_by_role("textbox", name="Your guess")
    cell.get_by_text("measured without a guess").locator("visible=true").wait_for()
    cell.get_by_text(f"Already measured: {NAME}").locator("visible=true").wait_for()
    assert field.is_hidden() and page.page.get_by_role("button", name="Commit my guess").is_hidden()
    page.restart_kernel()
    run_cell(page, 0)
    cell.get_by_text("Already measured").locator("visible=true").wait_for()
    assert field.is_hidden() and page.errors == []
