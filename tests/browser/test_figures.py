"""Texts in figures and code read well on each page: in each theme, after a change of it, and in a playground."""

import base64
import re

import pytest

from tests.browser.lab_page import write_notebook
from tests.browser.test_cards import CONTRASTS as TEXT_CONTRASTS

CELLS = """
from nnopt_lab.workbench import plots
fig, ax = plots.figure()
ax.set(title="a title", xlabel="an axis")
plots.finish(fig)
---
fig, ax = plots.figure()
ax.axis("off")
ax.text(0.5, 0.5, "float32", color=plots.BLUE)
plots.finish(fig)
---
fig, ax = plots.figure()
ax.axis("off")
ax.plot([0, 1], [0, 1], color=plots.BLUE, linewidth=9)
plots.finish(fig)
---
fig, ax = plots.figure()
plots.boxes(ax, {"a": [("white on blue", 1, plots.BLUE)]})
plots.finish(fig)
---
from nnopt_lab.workbench.diagrams import search_loop
search_loop()
---
from nnopt_lab.course.playground import Playground, slider
def draw(size):
    fig, ax = plots.figure()
    ax.set(title=f"size {size}")
    return plots.finish(fig), f"It is {size}."
Playground(draw, size=slider("size", 1, 9, 3))
"""
THEMES = ("JupyterLab Dark", "JupyterLab Dark High Contrast", "JupyterLab Light")
# Of each figure, the contrast of its text with the page: the pixel that differs most from the background.
CONTRASTS = """async () => {
  const linear = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const contrast = (one, other) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  const contrasts = [];
  for (const figure of document.querySelectorAll('.jp-OutputArea-output img.nnopt-drawn')) {
    await figure.decode();
    const canvas = Object.assign(document.createElement('canvas'), { width: 1600, height: 800 });
    const drawing = canvas.getContext('2d');
    const page = getComputedStyle(document.body).getPropertyValue('--jp-layout-color0');
    drawing.fillStyle = page;
    drawing.fillRect(0, 0, 1600, 800);
    const [ground] = [drawing.getImageData(0, 0, 1, 1).data];
    drawing.drawImage(figure, 0, 0, 1600, 800);
    const { data } = drawing.getImageData(0, 0, 1600, 800), behind = luminance(ground);
    let most = 1;
    for (let i = 0; i < data.length; i += 4) {
      most = Math.max(most, contrast(luminance(data.subarray(i, i + 3)), behind));
    }
    contrasts.push(most);
  }
  return contrasts;
}"""


@pytest.fixture
def figures(lab, workspace):
    opened = lab(write_notebook(workspace / "figures.ipynb", CELLS.strip().split("\n---\n")))
    opened.run_all()
    opened.outputs("It is 3.").wait_for()
    return opened


def contrasts(page):
    found = page.evaluate(CONTRASTS)
    assert len(found) == 6 and found.pop(1) >= 5.5, "a name in a line's colour"
    assert found.pop(1) >= 4.4, "a line"
    return found


def fills(page, figure):
    """The colours of a figure's areas and texts."""
    source = page.locator(".jp-OutputArea-output img.nnopt-drawn").nth(figure).get_attribute("src")
    return set(re.findall(r"fill: (#\w{6})", base64.b64decode(source.partition(",")[2]).decode()))


def test_texts_can_be_read_in_each_theme_and_after_a_change_of_it(figures):
    page = figures.page
    assert min(contrasts(page)) >= 7
    for theme in THEMES:
        figures.menu_item("Settings", "Theme", theme)
        page.locator(f"body[data-jp-theme-name='{theme}']").wait_for(state="attached")
        assert min(contrasts(page)) >= 7, theme
        assert fills(page, 3) >= {"#0f74c0", "#ffffff"}, "a text on a bar was chosen for the bar's colour"
        size = page.get_by_role("slider", name="size", exact=True)
        size.focus()
        before = page.locator(".nnopt-figure img").get_attribute("src")
        page.keyboard.press("ArrowRight")
        page.wait_for_function("before => document.querySelector('.nnopt-figure img').src !== before", arg=before)
        assert min(contrasts(page)) >= 7, f"{theme}, drawn again"


def test_code_can_be_read_in_each_theme_also_where_its_cell_is_not_selected(lab, workspace):
    code = 'def half(x):  # a comment\n    """A docstring."""\n    return print(f"{x[0]}", {"a": len([None, 1.5 * x])})'
    opened = lab(write_notebook(workspace / "code.ipynb", ["1", code]))
    for theme in THEMES:
        opened.menu_item("Settings", "Theme", theme)
        opened.page.locator(f"body[data-jp-theme-name='{theme}']").wait_for(state="attached")
        letters = opened.page.evaluate(TEXT_CONTRASTS, ".jp-Notebook .jp-CodeCell:nth-child(2) .cm-content")
        assert len(letters) > 10 and [entry for entry in letters if entry[1] < 4.5] == [], theme
        cell = opened.page.locator(".jp-CodeCell .cm-content").last
        parts = [cell.locator("span", has_text=text).first for text in ("A docstring", "# a comment", "return")]
        colors = [part.evaluate("part => getComputedStyle(part).color") for part in parts]
        red, green, _ = map(int, re.findall(r"\d+", colors[0]))
        assert len(set(colors)) == 3 and green > red / 2, f"{theme}: a red docstring looks like an error"
