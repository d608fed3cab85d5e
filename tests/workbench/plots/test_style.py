"""The look of every figure: it leaks nowhere, and its legends cover nothing."""

from contextlib import nullcontext

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from nnopt_lab.workbench import plots
from tests.workbench.plots.drawing import readable


class TestStyle:
    def test_does_not_leak(self):
        before = dict(plt.rcParams)
        fig, ax = plots.figure()
        plots.finish(fig)
        assert dict(plt.rcParams) == before
        assert not ax.spines["top"].get_visible() and fig.get_facecolor()[3] == 0

    def test_is_the_same_whatever_the_readers_settings(self):
        with plt.style.context("dark_background"):
            fig, ax = plots.figure(2, 2)
            plots.finish(fig)
        assert ax.shape == (2, 2) and fig.get_facecolor()[3] == ax[0, 0].get_facecolor()[3] == 0
        assert tuple(fig.get_size_inches()) == (8, 7.2)

    def test_finish_shows_a_figure_once(self):
        fig, ax = plots.figure()
        ax.plot([1, 2], label="a")
        ax.legend()
        assert plots.finish(fig) is fig and not plt.get_fignums()
        assert not ax.get_legend().get_frame_on()


def drawn_without_the_style():
    """A figure whose texts, ticks and legends a lesson's cell drew outside of `style()`."""
    fig, ax = plots.figure()
    ax.plot([1, 2], [1000, 2000], label="a")
    ax.text(1, 1000, "a text")
    ax.annotate("a note", (2, 2000))
    ax.set_xticks([1, 1.5, 2], ["one", "half", "two"])
    ax.set_ylabel("y")
    fig.suptitle("a title")
    fig.legend(loc="outside right upper")
    ax.legend(title="things")
    return plots.finish(fig)


def test_what_is_drawn_without_the_style_reads_on_both_backgrounds_too():
    fig = drawn_without_the_style()
    fig.draw_without_rendering()
    texts = [text for text in fig.findobj(Text) if text.get_text()]
    assert len(texts) > 8 and {to_hex(text.get_color()).upper() for text in texts} == {plots.INK}
    ax = fig.axes[0]
    assert {to_hex(line.get_color()).upper() for line in ax.get_xticklines() + ax.get_yticklines()} == {plots.INK}
    assert not fig.legends[0].get_frame_on() and not ax.get_legend().get_frame_on()


def test_a_text_whose_colour_was_chosen_keeps_it():
    fig, ax = plots.figure()
    ax.text(0, 0, "a", color=plots.GREEN)
    plots.finish(fig)
    assert ax.texts[0].get_color() == plots.GREEN


class TestLegend:
    @pytest.mark.parametrize("side", ["upper", "right"])
    @pytest.mark.parametrize("count", [1, 4, 7])
    def test_covers_nothing_and_names_each_thing_once(self, side, count):
        fig, axes = plots.figure(2)
        for ax in axes:
            for i in range(count):
                ax.plot([0, 1], [i, 1], label=f"a method, {i}")
        plots.legend(fig, side)
        assert [t.get_text() for t in fig.legends[0].get_texts()] == [f"a method, {i}" for i in range(count)]
        assert readable(plots.finish(fig))

    @pytest.mark.parametrize("nrows", [1, 2])
    def test_of_one_of_several_axes_stands_above_it(self, nrows):
        fig, axes = plots.figure(2, nrows, squeeze=False)
        for place, ax in enumerate(axes.flat):
            for i in range(3):
                ax.plot([0, 1], [i, 1], label=f"{place}, way {i}")
            plots.legend(ax, ncols=3, title="ways")
        assert [t.get_text() for t in axes[0, 1].get_legend().get_texts()] == [f"1, way {i}" for i in range(3)]
        assert readable(plots.finish(fig))

    def test_refuses_other_sides_and_figures_without_labels(self):
        fig, _ = plots.figure()
        plots.finish(fig)
        with pytest.raises(ValueError, match="side="):
            plots.legend(fig, "below")
        with pytest.raises(ValueError, match="has a label"):
            plots.legend(fig)


class TestBarsStartAtZero:
    @pytest.mark.parametrize("draw", ["bar", "barh"])
    @pytest.mark.parametrize("limits", [(80, 90), (-3, -1), (0.1, 2)])
    def test_a_cut_axis_is_refused_and_dots_are_named_instead(self, draw, limits):
        fig, ax = plots.figure()
        getattr(ax, draw)([0, 1], [88, 89])
        (ax.set_ylim if draw == "bar" else ax.set_xlim)(limits)
        with pytest.raises(ValueError, match=r"must contain 0.* draw dots: plots\.intervals"):
            plots.finish(fig)
        plt.close(fig)

    def test_other_axes_may_be_cut(self):
        fig, (left, right, last) = plots.figure(3)
        plots.intervals(left, {"a": 88, "b": 89})
        left.set_xlim(85, 90)
        plots.bars(right, {"a": 3, "b": 30})
        plots.log_axis(right.xaxis, [1, 10, 100])
        last.bar([0, 1], [-2, 3])
        assert plots.finish(fig)


class TestLogAxis:
    def test_doubling_is_the_same_distance_everywhere(self):
        fig, ax = plots.figure()
        ax.plot([1, 1024], [1, 2])
        plots.log_axis(ax.xaxis, [1, 2, 4, 512, 1024])
        plots.log_axis(ax.yaxis, [0.5, 1, 2], ["half", "one", "two"])
        fig = plots.finish(fig)
        assert readable(fig)
        assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "2", "4", "512", "1,024"]
        assert [t.get_text() for t in ax.get_yticklabels()] == ["half", "one", "two"]
        at = [ax.transData.transform((x, 1))[0] for x in (1, 2, 4)]
        assert at[1] - at[0] == pytest.approx(at[2] - at[1])
        assert not len(ax.xaxis.get_minorticklocs())

    @pytest.mark.parametrize(("low", "high"), [(1, 4), (0.02, 0.9), (0.013, 700), (1e-5, 1e6)])
    def test_finds_round_ticks_by_itself(self, low, high):
        fig, ax = plots.figure()
        ax.plot([low, high], [low, high])
        plots.log_axis(ax.xaxis)
        assert readable(plots.finish(fig))
        ticks, (left, right) = ax.get_xticks(), ax.get_xlim()
        assert 2 <= len(ticks) <= 12 and all(left <= tick <= right for tick in ticks)
        assert left == pytest.approx(low, rel=0.6) or left <= low

    @pytest.mark.parametrize("values", [[], [0, 1], [-1]])
    def test_refuses_what_has_no_logarithm(self, values):
        fig, ax = plots.figure()
        plots.finish(fig)
        with pytest.raises(ValueError, match="values="):
            plots.log_axis(ax.xaxis, values)

    def test_refuses_other_numbers_of_labels(self):
        fig, ax = plots.figure()
        plots.finish(fig)
        with pytest.raises(ValueError, match="labels has length 1"):
            plots.log_axis(ax.xaxis, [1, 2], ["one"])


def test_an_axis_of_shares_has_ticks_in_percent():
    fig, ax = plots.figure()
    ax.plot([0.5, 0.975], [0, 1])
    ax.set_xticks([0.5, 0.975])
    plots.percent_axis(ax.xaxis)
    plots.percent_axis(ax.yaxis)
    plots.finish(fig)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["50 %", "97.5 %"]
    assert "100 %" in [label.get_text() for label in ax.get_yticklabels()]


def test_a_reference_line_stands_or_lies_and_is_grey():
    fig, ax = plots.figure()
    plots.reference_line(ax, 2, "before")
    plots.reference_line(ax, 3, across=True)
    plots.finish(fig)
    standing, lying = ax.lines
    assert list(standing.get_xdata()) == [2, 2] and list(lying.get_ydata()) == [3, 3]
    assert standing.get_color() == lying.get_color() == plots.REFERENCE


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (4, 4), (5, 3), (6, 3), (7, 4), (9, 3)])
def test_a_legend_has_rows_of_about_equal_length(count, columns):
    fig, ax = plots.figure()
    for i in range(count):
        ax.plot([i], label=f"way {i}")
    plots.legend(fig)
    plots.finish(fig)
    assert fig.legends[0]._ncols == columns


@pytest.mark.parametrize("length", [5, 30, 200])
def test_a_legend_of_long_names_has_fewer_columns_so_that_it_is_no_wider_than_the_figure(length):
    fig, ax = plots.figure()
    for i in range(4):
        ax.plot([i], label=f"{i}" * length)
    plots.legend(fig)
    plots.finish(fig)
    assert fig.legends[0]._ncols == {5: 4, 30: 2, 200: 1}[length]


def test_figures_of_any_height_are_equally_wide():
    made = [plots.figure(**kw)[0] for kw in ({}, {"height": 2}, {"ncols": 3, "nrows": 2})]
    sizes = [tuple(plots.finish(fig).get_size_inches()) for fig in made]
    assert sizes == [(8, 3.6), (8, 2), (8, 7.2)]


def test_a_legend_above_one_panel_leaves_the_panel_its_width():
    fig, axes = plots.figure(ncols=3)
    for ax in axes:
        for i in range(4):
            ax.plot([0, 1], label=f"a rather long name {i}")
        plots.legend(ax)
    plots.finish(fig)
    assert readable(fig) and all(ax.bbox.width > fig.bbox.width / 4 for ax in axes)


def test_a_title_begins_at_the_left_as_a_legend_does_but_a_pictures_stays_in_its_middle():
    fig, (left, right) = plots.figure(2)
    left.plot([1, 2])
    right.imshow([[1, 2]])
    for ax in (left, right):
        ax.set_title("title")
    plots.finish(fig)
    assert [ax.title.get_horizontalalignment() for ax in (left, right)] == ["left", "center"]
    assert left.get_title() == right.get_title() == "Title"


@pytest.mark.parametrize(
    ("written", "shown"),
    [("batch 1", "Batch 1"), ("warm-up + cosine", "Warm-up + cosine"), ("time, batch 1", "Time, batch 1")]
    + [
        (name, name)
        for name in ("exp_range", "ms per batch", "bf16: neighbours", "torch.compile", "λ too large", "MyNet", "")
    ],
)
def test_titles_begin_with_a_capital_but_names_in_programs_stay(written, shown):
    fig, ax = plots.figure()
    ax.plot([1, 2], label="a")
    ax.set_title(written)
    assert plots.finish(fig).axes[0].get_title() == shown


def ticks(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


def test_a_logarithmic_axis_shows_plain_numbers_where_they_are_short():
    for ends, wanted in (((1, 1e5), ["1", "10", "100", "1,000", "10,000", "100,000"]), ((1e-9, 1e-3), None)):
        fig, ax = plots.figure()
        ax.plot(ends, [1, 2])
        ax.set_xscale("log")
        plots.finish(fig)
        assert ticks(ax) == wanted if wanted else any("10^{-" in text for text in ticks(ax))


def test_a_legend_shows_a_marker_without_its_whiskers():
    fig, ax = plots.figure()
    plots.intervals(ax, {"a": (2, 1, 3)}, label="clean")
    plots.legend(fig)
    (handle,) = fig.legends[0].legend_handles
    assert handle.get_marker() == "o" and readable(plots.finish(fig))


def test_a_colour_without_neighbours_needs_no_dashes():
    fig, ax = plots.figure()
    ax.plot([1, 2], color=plots.GOLD)
    plots.finish(fig)
    assert ax.lines[0].get_linestyle() == "-"


@pytest.mark.parametrize("inside", [nullcontext, plots.style])
def test_a_legend_instead_of_a_title_has_the_size_of_its_neighbours_title(inside):
    fig, (left, right) = plots.figure(ncols=2)
    with inside():
        left.set_title("left")
        right.plot([1, 2], label="a line")
        plots.legend(right, title="right")
    plots.finish(fig)
    assert right.get_legend().get_title().get_fontsize() == left.title.get_fontsize()
