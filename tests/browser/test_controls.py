"""Every control of a lesson has a name that a screen reader says, and can be used with the keyboard alone."""

import nbformat
import pytest

from nnopt_lab.course.record import read

CELLS = """
from nnopt_lab.course.predictions import predict
predict("speed-up from pruning", unit="×")
---
import ipywidgets as widgets
from nnopt_lab.course.playground import Playground, choice, slider
from nnopt_lab.workbench import plots
Playground(
    lambda **values: (plots.finish(plots.figure()[0]), str(values)),
    share=slider("pruned", 0.0, 1.0, 0.9, 0.05, ".0%"),
    batch=choice("batch size", [1, 8, 64], 8),
    method=widgets.Dropdown(options=["random", "smallest"], description="method"),
    symmetric=widgets.Checkbox(True, description="symmetric"),
    number=widgets.Text("0.1", description="number"),
)
"""


@pytest.fixture
def lesson(lab, workspace):
    made = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, CELLS.strip().split("\n---\n"))))
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(made, workspace / "controls.ipynb")
    opened = lab("controls.ipynb")
    opened.run_all()
    return opened


def test_a_guess_is_typed_and_committed_with_the_keyboard(lesson, workspace):
    box = lesson.page.get_by_role("textbox", name="Your guess")
    box.press_sequentially("2.5")
    box.press("Enter")
    lesson.outputs("2.5×. Now measure.").wait_for()
    assert read(workspace)["predictions"]["speed-up from pruning"]["guess"] == 2.5
    assert box.evaluate("box => box === document.activeElement"), "it can be changed at once"
    box.fill("3,5")
    box.press("Enter")
    lesson.outputs("3.5×. Now measure.").wait_for()
    lesson.page.keyboard.press("Tab")
    assert lesson.page.evaluate("document.activeElement.textContent") == "Change my guess"
    lesson.page.keyboard.press("Shift+Enter")
    lesson.page.wait_for_function("!document.querySelector('.jp-Notebook .jp-CodeCell').matches('.jp-mod-active')")


def test_every_control_of_a_playground_has_a_name_and_a_slider_says_the_value_shown(lesson):
    playground = lesson.outputs("pruned").last
    for role, name in (("combobox", "method"), ("checkbox", "symmetric"), ("textbox", "number")):
        assert playground.get_by_role(role, name=name, exact=True).count() == 1
    radios = playground.get_by_role("radiogroup", name="batch size", exact=True)
    assert [radios.get_by_role("radio", name=size, exact=True).count() for size in ("1", "8", "64")] == [1, 1, 1]
    slider = playground.get_by_role("slider", name="pruned", exact=True)
    assert slider.get_attribute("aria-valuetext") == "90%"
    slider.focus()
    lesson.page.keyboard.press("ArrowRight")
    playground.get_by_text("'share': 0.95").wait_for()
    assert slider.get_attribute("aria-valuetext") == "95%"
    snapshot = playground.aria_snapshot()
    assert not [line for line in snapshot.splitlines() if line.strip(" -:") in ("slider", "radiogroup", "combobox")]


@pytest.mark.parametrize("width", [1600, 1280, 700])
def test_a_slider_follows_the_mouse_on_its_rail(lesson, width):
    page = lesson.page
    page.set_viewport_size({"width": width, "height": 900})
    slider = lesson.outputs("pruned").last.get_by_role("slider", name="pruned", exact=True)
    slider.scroll_into_view_if_needed()
    rail = lesson.outputs("pruned").last.locator(".noUi-base").bounding_box()
    at = [(rail["x"] + share * rail["width"], rail["y"] + rail["height"] / 2) for share in (0.2, 0.4, 0.6)]
    page.mouse.click(*at[0])
    page.wait_for_function("slider => slider.getAttribute('aria-valuetext') === '20%'", arg=slider.element_handle())
    page.mouse.move(*at[0])
    page.mouse.down()
    for place in at[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()
    page.wait_for_function("slider => slider.getAttribute('aria-valuetext') === '60%'", arg=slider.element_handle())


def test_keys_in_a_control_are_no_shortcuts_of_the_notebook(lesson):
    page, playground = lesson.page, lesson.outputs("pruned").last
    cells = page.locator(".jp-Notebook .jp-Cell")
    count = cells.count()
    controls = {
        "radio": playground.get_by_role("radio", name="8", exact=True),
        "select": playground.get_by_role("combobox", name="method", exact=True),
        "checkbox": playground.get_by_role("checkbox", name="symmetric", exact=True),
        "button": page.locator(".nnopt-box button").first,
    }
    for name, control in controls.items():
        control.click() if name == "radio" else control.focus()
        for key in ("ArrowDown", "ArrowRight", "ArrowLeft", "ArrowUp", "x", "d", "d", "b", "j", "k"):
            page.keyboard.press(key)
            assert playground.is_visible(), (name, key)
        assert page.evaluate("!!document.activeElement.closest('.jupyter-widgets')"), name
        assert cells.count() == count, name
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.matches('.jp-mod-commandMode .jp-Cell.jp-mod-active')"), name
    controls["select"].focus()
    page.keyboard.press("ArrowDown")
    playground.get_by_text("'method': 'smallest'").wait_for()
    controls["radio"].click()
    page.keyboard.press("ArrowDown")
    playground.get_by_text("'batch': 64").wait_for()
    lesson.page.keyboard.press("Control+s")
    page.wait_for_selector(".lm-DockPanel-tabBar .lm-TabBar-tab.lm-mod-current:not(.jp-mod-dirty)")
