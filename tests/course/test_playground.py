"""A playground draws at once and again when a control is moved; what goes wrong is said in its text."""

import asyncio
import base64
import gc
import re
from concurrent.futures import ThreadPoolExecutor

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from nnopt_lab.course.goals import NotYet, forget_goals
from nnopt_lab.course.playground import PAUSE, Playground, choice, slider
from nnopt_lab.course.static_outputs import CURRENT
from nnopt_lab.workbench import plots
from nnopt_lab.workbench.plots.summary import KEY

STALE = "nnopt-stale"


def drawn(playground):
    """The text and the picture that a playground shows."""
    _, _, text, picture, _ = playground.children
    return text.value, base64.b64decode(re.search('base64,([^"]*)', picture.value)[1])


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
    assert text == "<b>3</b> points" and picture.startswith(b"<svg")
    slider.value = 4
    assert calls == [3, 4]
    assert drawn(playground)[0] == "<b>4</b> points" and drawn(playground)[1] != picture
    assert playground.figure.axes[0].lines[0].get_ydata().tolist() == [0, 1, 2, 3]


@pytest.fixture
def goals():
    """A playground with two goals, and its slider: the first wants more than 2, the second more than 4."""

    def draw(size: int):
        found = [f"{size} is <large>." if size > least else "" for least in (2, 4)]
        return plots.finish(plots.figure()[0]), "text", found

    control = widgets.IntSlider(value=1, max=9, description="size")
    return lambda: (Playground(draw, ["Find <large>.", "Find huge."], size=control), control)


def told(playground):
    """The tasks, and what was found."""
    return [re.findall("<div><b[^>]*>(.*?)</div>", playground.children[place].value) for place in (1, -1)]


def test_a_goal_is_ticked_when_it_is_reached_and_stays_ticked_with_what_was_found_first(goals):
    playground, control = goals()
    assert told(playground) == [["☐</b> Find &lt;large&gt;.", "☐</b> Find huge."], []]
    assert playground.children[-1].layout.display == "none"
    for control.value in (3, 4, 1):
        assert told(playground) == [
            ["✔</b> Find &lt;large&gt;.", "☐</b> Find huge."],
            ["✔</b> 3 is &lt;large&gt;."],
        ]
    control.value = 5
    assert told(playground)[1] == ["✔</b> 3 is &lt;large&gt;.", "✔</b> 5 is &lt;large&gt;."]
    assert playground.children[-1].layout.display is None


def test_what_only_seems_to_reach_a_goal_is_told_until_the_next_figure(goals):
    def draw(size: int):
        return plots.finish(plots.figure()[0]), "text", [NotYet("Noise.") if size == 2 else ""]

    control = widgets.IntSlider(value=1, max=9)
    playground = Playground(draw, ["Find more."], size=control)
    for control.value, found in ((2, ["☐</b> Noise."]), (3, [])):
        assert told(playground) == [["☐</b> Find more."], found]


def test_a_cell_that_runs_again_keeps_its_ticks_until_they_are_forgotten(goals):
    playground, control = goals()
    control.value = 3
    again, _ = goals()
    assert told(again) == told(playground) and "✔" in told(again)[0][0]
    forget_goals()
    control.value = 1
    assert not any("✔" in goal for goal in told(goals()[0])[0])


def test_a_saved_notebook_shows_the_goals_as_they_are(goals):
    playground, control = goals()
    control.value = 3
    saved = playground._repr_mimebundle_()["text/html"]
    assert "☐</b> Find huge." in saved and saved.endswith("✔</b> 3 is &lt;large&gt;.</div></div>")
    assert all(CURRENT in playground.children[place]._dom_classes for place in (1, -1))


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("<b>1,024 B</b>, 3 times · 9 % (1, 2)", ["<b>1,024 B</b>, 3 times<i> · </i>", "9 % (1, 2)"]),
        ("1,024 parameters, 3 ms", ["1,024 parameters<i>, </i>", "3 ms"]),
        ("1 个参数，3 ms", ["1 个参数<i>，</i>", "3 ms"]),
        ("Energy costs 1 €, 3 % of all.", []),
        ("<b>3</b> points", []),
    ],
)
def test_results_are_items_of_a_row_and_sentences_stay_whole(text, items):
    playground = Playground(lambda size: (plots.finish(plots.figure()[0]), text), size=slider("size", 0, 3, 1))
    shown = drawn(playground)[0].replace("\xa0", " ")
    assert re.findall("<span>(.*?)</span>", shown) == items
    assert re.sub("</?(span|i)>", "", shown) == text


@pytest.mark.parametrize(("measured", "smoke", "warned"), [(True, "1", True), (False, "1", False), (True, "", False)])
def test_measured_numbers_of_a_short_run_come_with_a_warning(monkeypatch, measured, smoke, warned):
    monkeypatch.setenv("NNOPT_SMOKE", smoke)

    def draw(size):
        return plots.finish(plots.figure()[0]), "accuracy <b>80 %</b> (before: 78.1 %)"

    text, _ = drawn(Playground(draw, measured=measured, size=slider("size", 0, 3, 1)))
    assert text.startswith("accuracy <b>80\xa0%</b> (before:\xa078.1\xa0%)"), "no line ends inside"
    assert ("say nothing" in text) == warned


def test_a_playground_without_goals_has_no_list_of_them(counting):
    for place in (1, -1):
        assert counting[0].children[place].value == "" and counting[0].children[place].layout.display == "none"


def test_the_picture_is_as_wide_as_it_was_laid_out(counting):
    playground, slider, _ = counting
    for slider.value in (3, 5):
        width = playground.figure.get_figwidth() * playground.figure.dpi
        assert f'width="{width:.0f}"' in playground.children[3].value


def test_the_picture_is_described_by_its_text_and_its_titles(counting):
    playground, slider, _ = counting
    for slider.value in (4, 2):
        assert f'alt="{slider.value} points.' in playground.children[3].value
    assert "<b>" not in re.search('alt="([^"]*)"', playground.children[3].value)[1]


def test_readers_hear_what_there_is_to_see_and_then_the_numbers_and_only_the_first_is_compared():
    def draw(size: int):
        return plots.finish(plots.figure()[0], "A line rises."), f"<b>{size}</b> points"

    slider = widgets.IntSlider(value=3)
    playground = Playground(draw, size=slider)
    slider.value = 4
    assert 'alt="A line rises. 4 points."' in playground.children[3].value
    InteractiveShell.instance()
    with capture_output() as captured:
        playground._ipython_display_()
    (shown,) = captured.outputs
    assert shown.metadata[KEY]["says"] == "A line rises."
    assert shown.data.keys() == playground._repr_mimebundle_().keys()


def test_a_page_without_widgets_shows_the_settings_the_text_and_the_picture(counting):
    playground, slider, _ = counting
    slider.value = 5
    shown = playground._repr_mimebundle_()
    settings, text, picture = re.findall('<div class="[^"]+">(.*?)</div>', shown["text/html"], re.DOTALL)
    assert settings == "size: 5 <em>(run this cell to move the controls)</em>" and text == "<b>5</b> points"
    assert picture == plots.img(playground.figure) and 'alt="5 points.' in picture
    assert "application/vnd.jupyter.widget-view+json" in shown and shown["text/plain"] == repr(playground)


def test_a_saved_notebook_shows_the_settings_of_now_which_are_hidden_beside_the_controls():
    controls = {
        "a": slider("pruned", 0.0, 1.0, 0.9, 0.01, ".0%"),
        "b": choice("batch", [1, 8], 8),
        "c": widgets.Dropdown(options={"per <layer>": 1, "per filter": 2}, description="scales"),
        "d": widgets.Checkbox(True, description="symmetric"),
        "e": widgets.Text("0.1", description="number"),
    }
    playground = Playground(lambda **values: (plots.finish(plots.figure()[0]), "text"), **controls)
    rows, _, text, picture, _ = playground.children
    settings = rows.children[-1]
    assert settings.layout.display == "none"
    assert all(CURRENT in part._dom_classes for part in (settings, text, picture))
    told = "pruned: 90% · batch: 8 · scales: per &lt;layer&gt; · symmetric: yes · number: 0.1"
    assert settings.value.startswith(told)
    controls["a"].value, controls["d"].value = 0.25, False
    assert "pruned: 25%" in settings.value and "symmetric: no" in settings.value


def test_a_playground_that_could_never_be_drawn_has_no_picture():
    def draw(size):
        raise ValueError("no data")

    playground = Playground(draw, size=slider("size", 0, 3, 1))
    assert playground.figure is None and "text/html" not in playground._repr_mimebundle_()
    assert playground.children[2].value == "no data"


def in_a_notebook(moves):
    """Run `moves()`, a coroutine function, in an event loop as a kernel does."""
    return asyncio.run(moves())


def test_of_many_moves_in_a_notebook_only_the_last_is_drawn_and_the_figure_is_greyed_until_then(counting):
    playground, slider, calls = counting

    async def moves():
        for slider.value in (0, 1, 2, 4):
            await asyncio.sleep(PAUSE / 10)
            assert calls == [3] and "nnopt-drawing" in playground._dom_classes
        await asyncio.sleep(PAUSE * 4)
        assert calls == [3, 4] and drawn(playground)[0] == "<b>4</b> points"
        assert "nnopt-drawing" not in playground._dom_classes

    in_a_notebook(moves)
    style = playground.children[3].value
    assert ".nnopt-drawing .nnopt-figure img{opacity" in style and "drawing …" in style


def test_a_fault_of_ours_in_a_notebook_is_said_and_goes_to_the_kernels_log(counting):
    playground, slider, calls = counting
    log = []

    async def moves():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: log.append(context["exception"]))
        slider.value = -1
        await asyncio.sleep(PAUSE * 4)

    in_a_notebook(moves)
    assert isinstance(log[0], TypeError) and calls == [3, -1, -1]
    assert drawn(playground)[0] == "The figure could not be drawn; move a control again."
    assert STALE in playground._dom_classes and "nnopt-drawing" not in playground._dom_classes
    assert f".{STALE} .nnopt-figure img" in playground.children[3].value
    slider.value = 2
    assert STALE not in playground._dom_classes


def test_a_figure_that_fails_once_in_a_notebook_is_drawn_again_in_silence():
    calls = []

    def draw(size: int):
        calls.append(size)
        if len(calls) == 2:
            raise RuntimeError("another thread drew")
        return plots.finish(plots.figure()[0]), f"<b>{size}</b> points"

    control = slider("size", 0, 9, 3)
    playground = Playground(draw, size=control)

    async def moves():
        control.value = 4
        await asyncio.sleep(PAUSE * 4)

    in_a_notebook(moves)
    assert calls == [3, 4, 4] and drawn(playground)[0] == "<b>4</b> points" and STALE not in playground._dom_classes


def test_playgrounds_and_figures_of_cells_draw_correctly_in_threads_that_draw_at_once():
    def draw(size: int):
        fig, ax = plots.figure()
        with plots.style():
            ax.semilogy(range(1, size), [10.0**-n for n in range(1, size)])
            ax.set_title(f"$10^{{{size}}}$ of $\\alpha_{{{size}}}$")
        return plots.finish(fig), f"{size} points"

    def cell(number: int) -> bool:
        return plots.svg(draw(number)[0]).startswith("<svg")

    def moved(number: int) -> bool:
        playground = Playground(draw, size=slider("size", 3, 40, 3))
        for size in (number, number + 1):
            playground._controls["size"].value = size
        return drawn(playground)[0] == f"{number + 1} points"

    before = dict(plt.rcParams)
    with ThreadPoolExecutor(4) as threads:
        work = [threads.submit(kind, number) for number in range(4, 7) for kind in (cell, moved)]
        assert all(job.result() for job in work)
    assert dict(plt.rcParams) == before


@pytest.mark.parametrize("on", [True, False])
def test_garbage_collection_is_off_while_drawing_and_afterwards_as_before(on):
    def draw(size):
        assert not gc.isenabled()
        return plots.finish(plots.figure()[0]), ""

    try:
        gc.enable() if on else gc.disable()
        Playground(draw, size=slider("size", 0, 3, 1))
        assert gc.isenabled() == on
    finally:
        gc.enable()


def test_a_value_that_is_refused_is_explained_and_the_picture_stays(counting):
    playground, slider, _ = counting
    before, figure = drawn(playground)[1], playground.figure
    slider.value = 7
    assert drawn(playground) == ("size=7 must be &lt; 6.", before) and playground.figure is figure
    assert STALE in playground._dom_classes
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


def test_a_choice_shows_all_its_values():
    buttons = choice("batch size", [1, 8, 64], 8)
    assert (buttons.description, buttons.options, buttons.value) == ("batch size", (1, 8, 64), 8)
    # A slider over a list tells a screen reader the position, 2, and not the value, 64.
    assert isinstance(buttons, widgets.RadioButtons) and buttons.orientation == "horizontal"
    playground = Playground(lambda size: (plots.finish(plots.figure()[0]), ""), size=buttons)
    (name,) = buttons._dom_classes  # ipywidgets puts the description above the buttons, and this style beside them
    assert f".{name}.{name}{{display:flex!important;flex-direction:row" in playground.children[3].value


@pytest.mark.parametrize(
    ("ends", "kind", "format"),
    [
        ((0, 9, 4), widgets.IntSlider, "d"),
        ((0.0, 1.0, 0.5, 0.05), widgets.FloatSlider, ".2f"),
        ((0.0, 1.0, 0.5, 0.1, ".0%"), widgets.FloatSlider, ".0%"),
    ],
)
def test_a_slider_follows_the_hand_and_shows_its_value(ends, kind, format):
    made = slider("bits", *ends)
    assert isinstance(made, kind) and made.continuous_update
    assert (made.min, made.max, made.value, made.readout_format) == (*ends[:3], format)


def test_descriptions_and_options_have_room():
    long = "a description of forty characters or so"
    controls = {
        "a": widgets.Dropdown(
            options=["an option that is longer than a dropdown list's usual width"], description=long
        ),
        "b": slider("short", 0, 3, 1),
        "c": choice("other", [1, 2], 1),
    }
    Playground(lambda **values: (plots.finish(plots.figure()[0]), ""), **controls)
    assert {control.style.description_width for control in controls.values()} == {f"{len(long) + 1}ch"}
    assert controls["a"].layout.width == "max-content"


ARRAY = [1, 2]  # an option whose value is not a plain one


@pytest.mark.parametrize(
    "kind", [widgets.Dropdown, widgets.RadioButtons, widgets.Select, widgets.ToggleButtons, widgets.SelectionSlider]
)
@pytest.mark.parametrize(
    ("options", "value", "values"),
    [
        (["per layer", "per channel"], "per channel", ["per layer", "per channel"]),
        ((2, "per layer"), 2, [2, "per layer"]),
        ({"per layer": "a", "per channel": "b"}, "b", ["a", "b"]),
        ({"per layer": 1, "per channel": ARRAY}, ARRAY, [1, ARRAY]),
        ([("per layer", 0), ("per channel", 2)], 2, [0, 2]),
        ([("per layer", 1), ["per channel", 2]], 1, [1, 2]),
    ],
)
def test_selections_of_every_kind_show_their_options_in_chinese_and_keep_their_values(
    chinese, kind, options, value, values
):
    chinese({"per layer": "每层", "per channel": "每通道", "scales": "缩放"})
    seen = []

    def draw(per):
        seen.append(per)
        return plots.finish(plots.figure()[0]), ""

    control = kind(options=options, value=value, description="scales")
    Playground(draw, per=control)
    assert control.description == "缩放" and seen == [value]
    labels = []
    for place, of in enumerate(values):
        control.index = place
        assert control.value == of and seen[-1] == of
        labels.append(control.label)
    assert not {"per layer", "per channel"} & set(labels) and {"每层", "每通道"} & set(labels)


def test_a_selection_of_several_keeps_what_is_selected_in_chinese(chinese):
    chinese({"per layer": "每层"})
    control = widgets.SelectMultiple(options={"per layer": 1, "other": 2}, value=(1,))
    Playground(lambda per: (plots.finish(plots.figure()[0]), ""), per=control)
    assert control.value == (1,) and control.label == ("每层",)


def test_a_list_without_a_selection_stays_without_one_in_chinese(chinese):
    chinese({"per layer": "每层"})
    control = widgets.Dropdown(options=["per layer"], value=None)
    Playground(lambda per: (plots.finish(plots.figure()[0]), ""), per=control)
    assert control.value is None
