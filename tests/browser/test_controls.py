"""Every control of a lesson has a name that a screen reader says, and can be used with the keyboard alone."""

from itertools import pairwise

import pytest

from nnopt_lab.course.record import read
from tests.browser.lab_page import write_notebook

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
---
def draw(channels, picture):
    found = ["It is found. " * 20 if channels > 8 else "", "It is found too. " * 20 if picture > 16 else ""]
    text = ", ".join([f"channels={channels}, picture={picture}"] + 7 * ["a further number"] * (channels > 8))
    return plots.finish(plots.figure()[0]), text, found
rows = Playground(draw, ["Find a layer.", "Find a picture."], channels=choice("channels", [4, 8, 16], 4),
    picture=choice("picture", [8, 16, 32], 16))
rows
---
rows
"""


@pytest.fixture
def lesson(lab, workspace):
    opened = lab(write_notebook(workspace / "controls.ipynb", CELLS.strip().split("\n---\n")))
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


def test_a_row_of_radio_buttons_is_one_stop_and_arrows_stay_in_it(lesson):
    page, (first, second) = lesson.page, lesson.outputs("channels=").all()
    rows = [view.get_by_role("radiogroup").nth(place) for view in (first, second) for place in (0, 1)]
    rows[0].get_by_role("radio", name="8", exact=True).click()
    first.get_by_text("channels=8").wait_for()
    for key, focused in {"Tab": "16", "Shift+Tab": "8", "ArrowRight": "16", "ArrowDown": "4", "ArrowUp": "16"}.items():
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.closest('label').textContent") == focused, key
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    for view in (first, second):
        view.get_by_text("channels=16").wait_for()
        view.get_by_text("picture=8").wait_for()
    checked = [
        row.get_by_role("radio", checked=True).evaluate("radio => radio.parentElement.textContent") for row in rows
    ]
    assert checked == ["16", "8"] * 2, "a view of the same widget is a group of its own"


def test_controls_and_figure_stay_where_they_are_when_texts_grow(lesson):
    playground = lesson.outputs("channels=").first
    parts = [playground.locator(part) for part in (".widget-radio-box >> nth=0", ".widget-radio-box >> nth=1", "img")]
    tasks, found = playground.locator(".nnopt-tasks"), playground.locator(".nnopt-found")
    before = [_place(playground, part) for part in parts]
    for goal, (name, option) in enumerate((("channels", "16"), ("picture", "32"))):
        playground.get_by_role("radiogroup", name=name).get_by_role("radio", name=option, exact=True).click()
        tasks.get_by_text("✔").nth(goal).wait_for()
        found.get_by_text("✔").nth(goal).wait_for()
        assert [_place(playground, part) for part in parts] == before
    assert playground.get_by_text("a further number").last.bounding_box()["y"] > _top(
        playground.get_by_text("channels=")
    )
    # A screen reader reads in the order of the page's elements, which is that on the screen.
    *controls, figure = parts
    order = [*controls, tasks, playground.locator(".nnopt-text"), figure, found]
    for first, second in pairwise(order):
        is_before = "(one, other) => one.compareDocumentPosition(other) === Node.DOCUMENT_POSITION_FOLLOWING"
        assert first.evaluate(is_before, second.element_handle()) and _top(first) < _top(second)


def _top(part) -> float:
    return part.bounding_box()["y"]


def _place(playground, part) -> float:
    return _top(part) - _top(playground)
