"""A playground draws at once and again when a control is moved; what goes wrong is said in its text."""

import io

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pytest

from nnopt_lab.course.playground import Playground, choice
from nnopt_lab.workbench import plots

PNG = b"\x89PNG"


def drawn(playground):
    """The text and the picture that a playground shows."""
    _, text, picture = playground.children
    return text.value, bytes(picture.value)


@pytest.fixture
def counting():
    calls = []

    def draw(size: int):
        calls.append(size)
        if size > 5:
            raise ValueError(f"size={size} must be < 6.")
        if size < 0:
            raise TypeError("a fault of ours")
        fig, ax = plots.figure()
        ax.plot(range(size))
        return plots.finish(fig), f"<b>{size}</b> points"

    slider = widgets.IntSlider(value=3, min=-1, max=9, description="size")
    return Playground(draw, size=slider), slider, calls


def test_a_playground_draws_at_once_and_whenever_a_control_is_moved(counting):
    playground, slider, calls = counting
    assert calls == [3]
    text, picture = drawn(playground)
    assert text == "<b>3</b> points" and picture.startswith(PNG)
    slider.value = 4
    assert calls == [3, 4]
    assert drawn(playground)[0] == "<b>4</b> points" and drawn(playground)[1] != picture
    assert playground.figure.axes[0].lines[0].get_ydata().tolist() == [0, 1, 2, 3]


def test_the_picture_is_as_wide_as_it_was_drawn_with_two_pixels_for_each(counting):
    playground, slider, _ = counting
    for slider.value in (3, 5):
        picture = playground.children[-1]
        height, width, _ = plt.imread(io.BytesIO(picture.value)).shape
        assert picture.layout.width == f"{width // 2}px" and picture.layout.height == "auto"
        assert picture.layout.align_self == "flex-start"  # else the page stretches it
        once = plt.imread(io.BytesIO(plots.png(playground.figure))).shape
        assert abs(width - 2 * once[1]) <= 2 and abs(height - 2 * once[0]) <= 2


def test_a_value_that_is_refused_is_explained_and_the_picture_stays(counting):
    playground, slider, _ = counting
    before, figure = drawn(playground)[1], playground.figure
    slider.value = 7
    assert drawn(playground) == ("size=7 must be &lt; 6.", before) and playground.figure is figure
    slider.value = 2
    assert drawn(playground)[0] == "<b>2</b> points"


def test_a_fault_of_ours_is_not_swallowed(counting):
    with pytest.raises(TypeError, match="a fault of ours"):
        counting[1].value = -1


def test_a_playground_without_a_screen_says_how_to_use_it(counting):
    assert repr(counting[0]) == "A playground: run this cell in JupyterLab and move the controls."


def test_no_figure_is_left_open(counting):
    before = plt.get_fignums()
    counting[1].value = 1
    assert plt.get_fignums() == before


def test_a_choice_acts_when_it_is_let_go():
    slider = choice("batch size", [1, 8], 8)
    assert (slider.description, slider.options, slider.value) == ("batch size", (1, 8), 8)
    assert not slider.continuous_update
