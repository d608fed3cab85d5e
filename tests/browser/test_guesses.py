"""A guess is changed in its own field until it is measured, and a notebook that comes back shows it."""

import nbformat
import pytest
from nbclient import NotebookClient

from nnopt_lab.course.asking import GUESSES, guesses
from nnopt_lab.course.record import FILE, read
from nnopt_lab.course.waiting_reveal import COVERS, covers
from tests.browser.lab_page import notebook_of, write_notebook

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
    page = lab(write_notebook(workspace / "guesses.ipynb", CELLS))
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
    output.get_by_text("Your guess: 4×").wait_for()
    assert field.is_hidden() and read(workspace)["predictions"][NAME]["guess"] == 4
    assert page.errors == []


def middle(part) -> float:
    box = part.bounding_box()
    return box["y"] + box["height"] / 2


def test_a_guess_needs_no_code_and_its_title_is_that_of_its_form(lab, workspace):
    (workspace / FILE).unlink(missing_ok=True)

    def asking(name: str):
        return nbformat.v4.new_code_cell(f'predict("{name}")', metadata={GUESSES: guesses([name])})

    loads = "from nnopt_lab.course.predictions import predict"
    told = nbformat.v4.new_markdown_cell("How many times as fast is it?")
    others = nbformat.v4.new_markdown_cell("And the two others?")
    cells = [loads, told, asking("alone"), others, asking("first"), asking("second")]
    page = lab(write_notebook(workspace / "asked.ipynb", cells))
    run_cell(page, 0)
    alone, first = page.page.locator(".nnopt-guessing").all()[:2]
    assert alone.locator(".cm-content").is_hidden() and alone.get_by_text("Predict: alone", exact=True).is_visible()
    assert first.get_by_text("Predict: first", exact=True).is_visible()
    alone.get_by_role("button", name="Make your guess").press("Enter")
    page.page.wait_for_function("document.activeElement?.matches('.nnopt-box input')")
    assert alone.get_by_text("Predict: alone").locator("visible=true").count() == 1
    assert alone.get_by_role("button", name="Make your guess").is_hidden()
    code, title = alone.get_by_role("button", name="Code"), alone.get_by_text("Predict: alone").locator("visible=true")
    assert middle(code) == pytest.approx(middle(title), abs=1.5), "on one line"
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


def test_in_a_new_kernel_a_guess_runs_what_it_needs(lab, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    loads, asks = map(nbformat.v4.new_code_cell, CELLS[0].split("\n"))
    asks.metadata[GUESSES] = guesses([NAME])
    page = lab(write_notebook(workspace / "new.ipynb", [loads, "1 / 0  # nothing needs this", asks]))
    page.page.get_by_role("button", name="Make your guess").click()
    page.page.wait_for_function("document.activeElement?.matches('.nnopt-box input')")
    assert page.outputs("is not defined yet").count() == 0 and page.errors == []


def test_enter_on_a_guess_that_was_skipped_leads_to_its_field_not_into_its_code(lab, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    loads, asks = map(nbformat.v4.new_code_cell, CELLS[0].split("\n"))
    asks.metadata[GUESSES] = guesses([NAME])
    page = lab(write_notebook(workspace / "skipped.ipynb", [loads, asks, nbformat.v4.new_markdown_cell("Prose.")]))
    page.run_all()
    asked, press = page.page.locator(".nnopt-guessing"), page.page.keyboard.press
    field = asked.get_by_role("textbox", name="Your guess")
    field.focus()
    press("Shift+Enter")
    page.page.wait_for_function("document.activeElement.matches('.jp-MarkdownCell')")
    page.wait_until_idle()
    asked.get_by_text("You can still guess until it is measured.").wait_for()
    press("ArrowUp")
    page.page.wait_for_function("document.activeElement.matches('.nnopt-guessing')")
    for key in ("Enter", "a", "b", "c", "Control+a", "7"):
        press(key)
    assert field.input_value() == "7" and asked.locator(".cm-content").is_hidden()
    press("Shift+Enter")  # what was typed is a guess
    asked.get_by_text("7×. Now measure.").locator("visible=true").wait_for()
    page.page.wait_for_function("document.activeElement.matches('.jp-MarkdownCell')")
    assert read(workspace)["predictions"][NAME]["guess"] == 7
    assert page.page.locator(".jp-Notebook .jp-Cell").count() == 3 and page.errors == []


def test_after_all_cells_ran_a_number_is_hidden_until_it_is_guessed_or_shown_without_a_guess(lab, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    cells = [cell.replace(NAME, name) for name in (NAME, "another", "a third") for cell in CELLS]
    page = lab(write_notebook(workspace / "late.ipynb", cells))
    page.run_all()
    asked, measured, _, other, above, third = page.page.locator(".jp-CodeCell").all()
    for cell in (measured, other, third):
        cell.get_by_text("The number is hidden until you guess it.").wait_for()
    assert page.outputs("1.9").count() == 0
    field = measured.get_by_role("textbox", name="Your guess")
    for typed in ("much", "3"):
        field.fill(typed)
        field.press("Enter")
        if typed == "much":
            measured.get_by_role("alert").get_by_text("A guess must be a number").wait_for()
    measured.get_by_text("You guessed 3×").locator("visible=true").wait_for()
    measured.get_by_role("img", name="The guess and the measured value").wait_for()
    asked.get_by_text("Your guess: 3×").wait_for()
    assert asked.locator(".jp-OutputArea-output").inner_text().count("\n") == 0, "a line is left of the form"
    skips = other.get_by_role("button", name="Show ").all()
    assert len({skip.bounding_box()["y"] for skip in skips}) == 1 and len(skips) == 2
    other.get_by_role("button", name="Show without a guess").click()
    other.get_by_text("2.0× (interval 1.9 to 2.1)").wait_for()
    page.page.locator(".jp-CodeCell").nth(2).get_by_text("Measured without a guess.").wait_for()
    page.save()
    page.open("late.ipynb")
    asked.get_by_text("Your guess: 3×").wait_for()
    measured.get_by_text("You guessed 3×").wait_for()
    third.get_by_text("Waits for your guess: run this cell again.").wait_for()
    assert page.page.locator(".nnopt-form").count() == 0
    page.restart_kernel()
    run_cell(page, 4)
    above.get_by_role("textbox", name="Your guess").fill("4")
    above.get_by_role("button", name="Commit my guess").click()
    above.get_by_text("4×. Now measure.").locator("visible=true").wait_for()
    run_cell(page, 5)
    third.get_by_text("You guessed 4×").wait_for()
    run_cell(page, 2)
    page.page.locator(".jp-CodeCell").nth(2).get_by_text("Measured without a guess.").wait_for()
    assert page.errors == []


def test_what_a_waiting_measurement_leaves_leads_to_its_guess(lab, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    cells = [cell.replace(NAME, name) for name in (NAME, "another") for cell in CELLS]
    write_notebook(workspace / "waits.ipynb", [*cells[:3], f"{cells[3]}\nprint('tells')"])
    page = lab("waits.ipynb")
    waits = page.page.locator(".nnopt-to-guesses")
    assert waits.is_hidden()
    page.run_all()
    first, other = (page.page.locator(".jp-CodeCell").nth(place).locator(".nnopt-box input") for place in (1, 3))
    waits.get_by_text("2 guesses wait").wait_for()

    def leads_to(field):
        page.page.wait_for_function("field => document.activeElement === field", arg=field.element_handle())
        page.page.keyboard.press("Escape")

    waits.click()
    leads_to(first)  # Run All has left the last cell active
    waits.press("Enter")
    leads_to(other)
    below = page.page.get_by_role("link", name="Go to the field below to make your guess.")
    below.nth(1).press("Enter")
    leads_to(other)
    below.first.click()
    leads_to(first)
    hidden = page.page.get_by_role("button", name="Hidden until you guess above.")
    hidden.click()
    leads_to(other)
    hidden.press("Enter")
    leads_to(other)
    first.fill("3")
    first.press("Enter")
    waits.get_by_text("1 guess waits").wait_for()
    page.page.get_by_role("button", name="Show without a guess").locator("visible=true").click()
    waits.wait_for(state="hidden")
    assert page.errors == []


TELLS = {"tags": ["tells"]}


def folded(label: str, code: str):
    return nbformat.v4.new_code_cell(f"# {label}\n{code}", metadata={"jupyter": {"source_hidden": True}})


def test_what_shows_a_number_that_waits_is_covered_until_it_is_guessed(lab, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    cells = [
        CELLS[0],
        folded("Answer: speed-up", f"{CELLS[1]}\nprint('own table')"),
        folded("Plot: speed-up", "print('plot')"),
        folded("Claims: speed-up", "from nnopt_lab.course.cards import Card\nCard('claimed', 'good')"),
        nbformat.v4.new_markdown_cell("What to see: it rises."),
        folded("Table: speed-up", "print('late table')"),
        "print('open cell')",
        nbformat.v4.new_code_cell("print('open table')", metadata=TELLS),
        nbformat.v4.new_markdown_cell("It fell.\n\nBy a half.", metadata=TELLS),
        folded("Numbers: broken", "1 / 0"),
        nbformat.v4.new_markdown_cell("## 2. Another"),
        folded("Table: another", "print('next section')"),
    ]
    cells[1].metadata[COVERS] = covers()
    cells[-3].metadata["tags"] = ["raises-exception"]
    page = lab(write_notebook(workspace / "covered.ipynb", cells))
    texts = [page.page.locator("p", has_text=text) for text in ("it rises", "It fell", "By a half")]
    told = page.page.locator(".nnopt-cover")
    page.page.locator(".nnopt-cover").first.wait_for()
    assert all(text.count() and text.is_hidden() for text in texts)  # before anything has run
    assert told.all_inner_texts() == ["Hidden until you guess above."] * 2
    told.last.get_by_role("button").press("Enter")
    page.page.wait_for_function(
        "document.activeElement.matches('.jp-CodeCell') && /predict/.test(document.activeElement.innerText)"
    )
    page.run_all()
    asked, measured = page.page.locator(".jp-CodeCell").all()[:2]
    measured.get_by_text("The number is hidden until you guess it.").wait_for()
    for text in ("open cell", "next section"):
        assert page.outputs(text).is_visible()
    assert page.outputs("ZeroDivisionError").first.is_visible()

    def covered() -> list[bool]:
        return [page.outputs(text).first.is_hidden() for text in shown] + [text.is_hidden() for text in texts]

    shown = ("own table", "plot", "claimed", "late table", "open table")
    assert covered() == [True] * 8
    # One for neighbours: the own table, the plot and the claims with the late table; then the open table.
    several = "4 results are hidden until you guess above."
    assert told.all_inner_texts() == [several, "Hidden until you guess above."]
    assert asked.get_by_text("Go to the field below").is_visible()
    assert page.page.get_by_role("textbox", name="Your guess").locator("visible=true").count() == 1
    page.save()
    assert "nnopt-covered" not in (workspace / "covered.ipynb").read_text(encoding="utf-8")
    measured.get_by_role("textbox", name="Your guess").fill("3")
    measured.get_by_role("button", name="Commit my guess").press("Enter")
    measured.get_by_text("You guessed 3×").locator("visible=true").wait_for()
    asked.get_by_text("Your guess: 3×").wait_for()
    assert covered() == [False] * 8 and told.all_inner_texts() == []
    assert read(workspace)["predictions"][NAME]["measured"] == 2 and page.errors == []


def test_covered_neighbours_are_one_line_in_the_place_of_their_labels(lab, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    cells = [
        *CELLS,
        folded("Numbers: none", "x = 1"),
        folded("Plot: speed-up", "print('plot')"),
        nbformat.v4.new_markdown_cell("What to see: it rises.\n\n- first\n\n- second"),
        folded("Table: speed-up", "print('table')"),
        folded("Claims: broken", "1 / 0"),
        "print('open cell')",
        folded("Plot: later", "print('later plot')"),
        nbformat.v4.new_markdown_cell("What to see: it falls.\n\nThis stays."),
        folded("Table: later", "print('later table')"),
        nbformat.v4.new_markdown_cell("Selected after all cells ran."),
    ]
    cells[6].metadata["tags"] = ["raises-exception"]
    page = lab(write_notebook(workspace / "joined.ipynb", cells))
    page.run_all()
    page.page.locator(".nnopt-cover").nth(2).wait_for()
    places = [page.page.locator(".jp-Notebook .jp-Cell").nth(place) for place in range(len(cells))]
    labels = [places[place].locator(".jp-PlaceholderText") for place in (2, 3, 5, 6, 8, 10)]

    def tellers() -> list[int]:
        return [place for place, cell in enumerate(places) if cell.locator(".nnopt-cover").count()]

    assert tellers() == [3, 8, 10]  # what can be seen parts them: open code, the rest of a text
    assert [label.is_visible() for label in labels] == [False, False, False, True, False, False]
    assert [places[place].bounding_box()["height"] for place in (2, 4, 5)] == [0, 0, 0]
    assert page.outputs("ZeroDivisionError").first.is_visible()
    assert places[9].locator("p", has_text="This stays").is_visible()
    places[3].click(position={"x": 20, "y": 10})  # whoever looks for the code finds it
    labels[1].wait_for()
    assert not labels[0].is_visible()
    places[7].click()
    labels[1].wait_for(state="hidden")
    page.restart_kernel()
    page.run_all()
    page.page.locator(".nnopt-cover").nth(2).wait_for()
    assert tellers() == [3, 8, 10]
    page.page.get_by_role("button", name="Show without a guess").click()
    for text in ("plot", "table", "later plot", "later table"):
        page.outputs(text).first.locator("visible=true").wait_for()
    assert tellers() == [] and all(label.is_visible() for label in labels) and page.errors == []


def test_a_notebook_that_comes_back_covers_what_waits_for_a_guess_until_that_is_made(lab, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    cells = [CELLS[0], f"print('own table')\n{CELLS[1]}", folded("Plot: speed-up", "print('plot')")]
    page = lab(write_notebook(workspace / "back.ipynb", cells))
    page.run_all()
    page.page.get_by_text("The number is hidden until you guess it.").wait_for()
    assert page.outputs("plot").is_hidden()
    page.save()
    page.open("back.ipynb")
    page.outputs("Waits for your guess: run this cell again.").wait_for()
    page.page.locator(".nnopt-cover").first.wait_for()
    hidden = [page.outputs(text).first for text in ("own table", "plot")]
    assert all(output.count() and output.is_hidden() for output in hidden)
    page.restart_kernel()
    run_cell(page, 1)
    page.outputs("is not defined yet").wait_for()
    assert hidden[1].is_hidden(), "an error shows no number"
    run_cell(page, 0)
    page.page.get_by_role("textbox", name="Your guess").fill("3")
    page.page.get_by_role("button", name="Commit my guess").click()
    page.outputs("3×. Now measure.").first.wait_for()
    run_cell(page, 1)
    for output in hidden:
        output.locator("visible=true").wait_for()
    page.save()
    page.open("back.ipynb")
    page.outputs("You guessed 3×").wait_for()
    assert hidden[1].is_visible() and page.page.locator(".nnopt-cover").count() == 0 and page.errors == []


def test_a_solved_notebook_covers_nothing(lab, workspace):
    (workspace / FILE).unlink(missing_ok=True)
    cells = [*map(nbformat.v4.new_code_cell, CELLS), folded("Plot: speed-up", "print('plot')")]
    cells[1].metadata[COVERS] = covers()
    made = notebook_of(cells)
    NotebookClient(made, kernel_name="python3").execute()
    nbformat.write(made, workspace / "solved.ipynb")
    page = lab("solved.ipynb")
    page.outputs("2.0× (interval 1.9 to 2.1)").wait_for()
    assert page.outputs("plot").is_visible() and page.page.locator(".nnopt-cover").count() == 0 and page.errors == []


PLAYGROUND = """from nnopt_lab.course.playground import Playground, slider
from nnopt_lab.workbench import plots
Playground(lambda share: (plots.finish(plots.figure()[0]), f"drawn at {share}"), share=slider("share", 0, 9, 4))"""
CRASH = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize("crashes", [False, True])
def test_after_a_restart_what_needs_the_old_kernel_says_so_until_its_cell_runs_again(lab, workspace, crashes):
    (workspace / FILE).unlink(missing_ok=True)
    asks = nbformat.v4.new_code_cell(CELLS[0], metadata={GUESSES: guesses([NAME])})
    cells = [asks, CELLS[1], folded("Plot: speed-up", "print('plot')"), PLAYGROUND, CRASH]
    page = lab(write_notebook(workspace / "ended.ipynb", cells))
    for place in range(4):
        page.page.locator(".jp-CodeCell").nth(place).evaluate("cell => cell.focus()")
        page.page.keyboard.press("Control+Enter")
        page.wait_until_idle()
    asked, measured, plot, playground, crash = page.page.locator(".jp-CodeCell").all()
    alive = page.page.locator(".jp-OutputArea-output .jupyter-widgets :is(button, input, .noUi-handle)").locator(
        "visible=true"
    )
    measured.get_by_role("textbox", name="Your guess").focus()
    if crashes:
        crash.evaluate("cell => cell.focus()")
        page.page.keyboard.press("Control+Enter")
        page.page.get_by_role("button", name="Ok").click()
    else:
        page.restart_kernel()
    measured.get_by_text("Waits for your guess: run this cell again.").locator("visible=true").wait_for()
    asked.get_by_text("Run this cell to guess.").locator("visible=true").wait_for()
    playground.get_by_text("run this cell to move the controls").locator("visible=true").wait_for()
    assert playground.get_by_text("drawn at 4").is_visible() and playground.get_by_role("img").is_visible()
    assert alive.count() == 0 and plot.get_by_text("plot", exact=True).is_hidden()
    page.wait_until_idle()
    asked.get_by_role("button", name="Make your guess").press("Enter")
    page.page.wait_for_function("document.activeElement?.matches('.nnopt-box input')")
    measured.evaluate("cell => cell.focus()")
    page.page.keyboard.press("Control+Enter")
    page.wait_until_idle()
    measured.get_by_role("button", name="Show without a guess").click()
    plot.get_by_text("plot", exact=True).wait_for()
    assert page.errors == []
