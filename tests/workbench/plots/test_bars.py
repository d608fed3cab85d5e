"""Bars and rows: what is drawn is what was given, and everything can be read."""

from itertools import pairwise
from types import SimpleNamespace

import pytest
from matplotlib.colors import to_hex

from nnopt_lab.workbench import plots
from tests.workbench.plots.drawing import outside_texts, overlapping_texts, readable

NAMES = ["eager float32", "ONNX Runtime int8", "a program with a rather long name"]
VALUES = dict(zip(NAMES, [1, (2.5, 2.1, 3.3), (0.4, 0.4, 0.5)], strict=True))


@pytest.fixture
def ax():
    fig, ax = plots.figure()
    yield ax
    if fig.axes and ax.get_legend_handles_labels()[1]:
        plots.legend(fig)
    assert readable(plots.finish(fig))
    assert [t.get_text() for t in ax.get_yticklabels()] and ax.yaxis_inverted()


def names(ax):
    return [t.get_text() for t in ax.get_yticklabels()]


class TestBars:
    def test_a_bar_each_with_its_interval_and_colour(self, ax):
        plots.bars(ax, VALUES, reference=1, labels="{:.2f}×")
        assert names(ax) == NAMES and [bar.get_width() for bar in ax.patches] == [1, 2.5, 0.4]
        assert len(ax.collections) == 2, "the number without an interval has no whisker"
        assert [text.get_text() for text in ax.texts] == ["1.00×", "2.50×", "0.40×"]
        assert ax.lines[-1].get_color() == plots.REFERENCE or ax.lines

    def test_colours_by_name_one_for_all_or_those_of_all_lessons(self):
        for colors, wanted in (
            (None, [plots.BLUE, plots.ORANGE, plots.BLUE]),
            (plots.GREEN, [plots.GREEN] * 3),
            ({NAMES[2]: plots.GOLD}, [plots.BLUE, plots.BLUE, plots.GOLD]),
        ):
            fig, ax = plots.figure()
            plots.bars(ax, VALUES, colors)
            plots.finish(fig)
            assert [to_hex(bar.get_facecolor()).upper() for bar in ax.patches] == wanted

    def test_panels_that_share_their_rows_stay_the_right_way_up_and_none_is_no_bar(self):
        fig, axes = plots.figure(3, sharey=True, figsize=(10, 3))
        for ax in axes:
            plots.bars(ax, VALUES | {NAMES[1]: None})
        assert readable(plots.finish(fig))
        assert axes[0].get_ylim() == (2.5, -0.5) and names(axes[0]) == NAMES
        assert [bar.get_y() + bar.get_height() / 2 for bar in axes[2].patches] == pytest.approx([0, 2])

    def test_numbers_are_at_the_bars_ends_and_beyond_a_line_that_would_strike_them_out(self):
        fig, ax = plots.figure()
        plots.bars(ax, {"far": 0.2, "near": 0.95, "above": (2, 1, 3), "below 0": -1}, reference=1, labels="{:.1f}")
        assert [text.xy for text in ax.texts] == [(0.2, 0), (1, 1), (3, 2), (0, 3)]
        assert readable(plots.finish(fig))

    @pytest.mark.parametrize(("panels", "place"), [(1, 0.75), (3, 1)])
    def test_a_number_needs_more_of_a_narrow_panel(self, panels, place):
        fig, axes = plots.figure(panels, squeeze=False)
        plots.bars(axes[0, 0], {"a": 0.75}, reference=1, labels="{:.1f}")
        assert axes[0, 0].texts[0].xy[0] == place
        plots.finish(fig)

    def test_negative_bars(self, ax):
        plots.bars(ax, {"lost": -1, "gained": (1, -1, 2)}, labels="{:+.1f}", reference=0)


class TestGroupedBars:
    def test_a_bar_of_each_series_beside_the_others(self, ax):
        plots.grouped_bars(ax, {"float32": VALUES, "int8": VALUES | {NAMES[0]: 9}}, reference=1)
        assert names(ax) == NAMES and len(ax.patches) == 6
        boxes = sorted((bar.get_y(), bar.get_y() + bar.get_height()) for bar in ax.patches)
        assert all(a[1] <= b[0] + 1e-9 for a, b in pairwise(boxes))
        assert ax.get_legend_handles_labels()[1] == ["float32", "int8"]

    def test_each_bar_has_its_number_beside_it(self, ax):
        plots.grouped_bars(ax, {"clean": {"a": 1, "b": -0.5}, "noisy": {"a": 9, "b": 2}}, labels="{:.1f}")
        bars = {round(bar.get_y() + bar.get_height() / 2, 6): bar.get_width() for bar in ax.patches}
        numbers = {round(text.xy[1], 6): float(text.get_text().replace("−", "-")) for text in ax.texts}
        assert numbers == bars and "−0.5" in {text.get_text() for text in ax.texts}

    @pytest.mark.parametrize("series", [{}, {"a": {"x": 1}, "b": {"y": 1}}])
    def test_refuses_series_that_do_not_match(self, series):
        fig, ax = plots.figure()
        plots.finish(fig)
        with pytest.raises(ValueError, match=r"series=.* must have at least one entry"):
            plots.grouped_bars(ax, series)


class TestStages:
    def test_stages_stand_one_behind_the_other_and_keep_their_colour(self, ax):
        plots.stages(ax, {"A": {"read": 1, "compute": 2}, "B": {"compute": 3, "write": 1}}, {"write": plots.GOLD})
        spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
        assert spans == [(0, 1), (1, 3), (0, 3), (3, 4)]
        assert ax.patches[1].get_facecolor() == ax.patches[2].get_facecolor() != ax.patches[0].get_facecolor()
        assert ax.get_legend_handles_labels()[1] == ["read", "compute", "write"]

    def test_sums_are_at_the_ends(self, ax):
        plots.stages(ax, {"A": {"read": 1, "compute": 2}, "B": {"compute": 4}}, labels="{:.0f} ms")
        assert [(text.xy[0], text.get_text()) for text in ax.texts] == [(3, "3 ms"), (4, "4 ms")]

    def test_refuses_a_negative_length(self):
        fig, ax = plots.figure()
        plots.finish(fig)
        with pytest.raises(ValueError, match=r"rows\['A'\]\['read'\]=-1"):
            plots.stages(ax, {"A": {"read": -1}})


def test_before_and_after_are_joined(ax):
    plots.before_after(ax, {"accuracy": (88, 89), "other": ((80, 79, 81), 85)})
    joined = [line for line in ax.lines if len(line.get_xdata()) == 2]
    assert [list(line.get_xdata()) for line in joined] == [[88, 89], [80, 85]]
    assert ax.get_legend_handles_labels()[1] == ["before", "after"]


def test_intervals_may_share_rows(ax):
    plots.intervals(ax, VALUES, plots.SKY, label="batch 1", shift=-0.15)
    plots.intervals(ax, VALUES, plots.BLUE, label="batch 256", shift=0.15, reference=1)
    assert names(ax) == NAMES and ax.get_legend_handles_labels()[1] == ["batch 1", "batch 256"]
    assert [c[0].get_ydata()[0] for c in ax.containers] == pytest.approx([-0.15, 0.85, 1.85, 0.15, 1.15, 2.15])


def test_seeds_are_dots_with_their_mean(ax):
    plots.seeds(ax, {"labels": [1, 2, 6], "taught": [4.0], "none": []}, reference=3)
    mean, dots, *_ = ax.lines
    assert list(dots.get_xdata()) == [1, 2, 6] and list(mean.get_xdata()) == [3] and names(ax)[2] == "none"


def test_boxes_stand_in_their_rows_with_gaps(ax):
    plots.boxes(
        ax, {"stage 0": [("0", 1, plots.SKY), ("1", 2, plots.SKY)], "stage 1": [("", 1, None), ("0", 1, "0.8")]}
    )
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [(0, 1), (1, 2), (1, 1)]
    assert [text.get_text() for text in ax.texts] == ["0", "1", "0"]


@pytest.mark.parametrize(
    "draw", [plots.bars, plots.stages, plots.before_after, plots.intervals, plots.seeds, plots.boxes]
)
def test_nothing_to_draw_is_refused(draw):
    fig, ax = plots.figure()
    plots.finish(fig)
    with pytest.raises(ValueError, match="at least one name"):
        draw(ax, {})


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("accuracy", [None, 91.2])
def test_comparison_is_relative_to_the_first(count, accuracy):
    rows = [
        {
            "model": f"a network with a name {i}",
            "bytes": 1000 / (i + 1),
            "compressed_bytes": 800,
            "macs": 10,
            "accuracy": accuracy if i else None,
            "latency": {size: SimpleNamespace(median=size * (i + 1)) for size in (1, 256)},
        }
        for i in range(count)
    ]
    fig = plots.comparison(rows)
    assert [bar.get_width() for bar in fig.axes[0].patches] == pytest.approx([1 / (i + 1) for i in range(count)])
    assert [bar.get_width() for bar in fig.axes[4].patches] == pytest.approx([i + 1 for i in range(count)])
    assert len(fig.axes) == 5 + (accuracy is not None and count > 1)
    assert not overlapping_texts(fig) and not outside_texts(fig)


def test_large_numbers_have_no_decimals(ax):
    plots.bars(ax, {"a": 6589.2, "b": 20.25}, labels="{:,.1f}")
    assert [text.get_text() for text in ax.texts] == ["6,589", "20.2"]


def test_bars_of_zeros_stand_on_an_axis_that_begins_at_0(ax):
    plots.bars(ax, {"a": 0.0, "b": 0.0})
    assert ax.get_xlim()[0] == 0 and ax.get_xlim()[1] >= 1
