"""Everything on a lesson's page begins at one left edge; frames and code are equally wide, and read in every theme."""

import nbformat
import pytest

from nnopt_lab.course.asking import ASKS, CHECKS, GUESSES, asks, checks, guesses, prose
from nnopt_lab.course.exercises import cell_id, exercises, questions
from tests.browser.test_cards import CONTRASTS

ASKED, EXERCISE = questions()["start.three_percent"], exercises()["start.conv_parameters"]
PROSE = "# A heading\n\nProse of 90 % and `90 %`.\n\n| a | b |\n|---|---|\n| 1 | 2 |"
LOADS = """
from nnopt_lab.course.calls import *
from nnopt_lab.course.playground import Playground, slider
from nnopt_lab.course.predictions import predict
from nnopt_lab.workbench import plots
from nnopt_lab.workbench.tables import Table
lesson("00_start_here")
"""
PLAYGROUND = """
Playground(lambda share: (plots.finish(plots.figure()[0]), str(share), [""]), goals=["A goal."],
    share=slider("pruned", 0.0, 1.0, 0.9, 0.05, ".0%"))
"""
THEMES = {"JupyterLab Light": 4.5, "JupyterLab Dark High Contrast": 7}
FRAMES = ".nnopt-task, .nnopt-help, .nnopt-form, .nnopt-asking > .nnopt-strip, .nnopt-goals, .jp-InputArea-editor, "
FRAMES += ".jp-OutputArea-output > [role=note]"
INNER = ".jp-RenderedMarkdown > :is(h1, p, table), .jp-OutputArea-output table, .nnopt-controls > *, .nnopt-text, img"
EDGES = f"""
() => {{
  const edges = selector => [...document.querySelectorAll(selector)].map(element => element.getBoundingClientRect())
    .filter(box => box.width).map(box => [Math.round(box.left), Math.round(box.right)]);
  return [edges({FRAMES!r}), edges({INNER!r})];
}}
"""


def code(source: str, **keywords):
    return nbformat.v4.new_code_cell(source.strip(), **keywords)


@pytest.fixture
def page(lab, workspace):
    asking = {"question": ASKED.id, ASKS: asks(ASKED)}
    cells = [
        code(LOADS),
        nbformat.v4.new_markdown_cell(PROSE),
        code('predict("speed-up at the edges")', metadata={GUESSES: guesses(["speed-up at the edges"])}),
        nbformat.v4.new_markdown_cell(prose(ASKED)),
        code(f'choice = None\nquestion("{ASKED.id}", choice)', id=cell_id("question", ASKED.id), metadata=asking),
        code("def conv_parameters(): pass", metadata={"exercise": EXERCISE.id, CHECKS: checks()}),
        code(f'check("{EXERCISE.id}", conv_parameters)'),
        code(PLAYGROUND),
        code('Table([["a", 1]], ["name", "value"])'),
        code('claim("One is less than two.", 1 < 2)'),
    ]
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(made, workspace / "edges.ipynb")
    opened = lab("edges.ipynb")
    opened.run_all()
    return opened


def test_edges_and_widths_are_the_same_in_every_window(page):
    for width in (1280, 1440, 900):
        page.page.set_viewport_size({"width": width, "height": 900})
        page.page.wait_for_timeout(1000)
        frames, inner = page.page.evaluate(EDGES)
        assert len(frames) >= 8 and all(edges == frames[0] for edges in frames), (width, frames)
        left, right = frames[0]
        assert [edges for edges in inner if edges[0] != left or edges[1] > right] == [], width


def test_texts_can_be_read_in_every_theme(page):
    for theme, least in THEMES.items():
        page.menu_item("Settings", "Theme", theme)
        page.page.wait_for_timeout(1500)
        found = page.page.evaluate(CONTRASTS.replace("document.body, ", "document.querySelector('.jp-Notebook'), "))
        shown = [entry for entry in found if entry[0] in ("Your answer", "Code", "Check", "Commit my guess", "A goal.")]
        assert len(shown) >= 5 and [entry for entry in shown if entry[1] < least] == [], theme


def test_no_line_breaks_between_a_number_and_its_unit(page):
    assert page.page.locator(".jp-RenderedMarkdown > p").first.text_content() == "Prose of 90\u00a0% and 90 %."
