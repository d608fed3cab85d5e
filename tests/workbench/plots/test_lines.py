"""Lines, bands, intervals and named points."""

from types import SimpleNamespace

import pytest
import torch

from nnopt_lab.workbench import plots
from tests.workbench.plots.drawing import outside_texts, overlapping_texts, readable


class TestCurves:
    def test_a_line_for_each_series_and_one_for_the_reference(self):
        fig, ax = plots.figure()
        plots.curves(ax, [1, 2, 4], {"int8": [1, 2, 3], "a": torch.tensor([1, 1, 1]), "b": [0, 0, 0]}, ("dense", 2.5))
        plots.legend(fig)
        *lines, reference = ax.lines
        assert [line.get_label() for line in lines] == ["int8", "a", "b"]
        assert lines[0].get_color() == plots.ORANGE and len({line.get_color() for line in lines}) == 3
        assert list(lines[0].get_ydata()) == [1, 2, 3]
        assert reference.get_color() == plots.REFERENCE and list(reference.get_ydata()) == [2.5, 2.5]
        assert readable(plots.finish(fig))

    @pytest.mark.parametrize("count", [1, 6, 9])
    def test_series_have_colours_of_their_own_as_long_as_there_are_any(self, count):
        fig, ax = plots.figure()
        plots.curves(ax, [0], {f"way {i}": [i] for i in range(count)} | {"before": [0], "before too": [1]})
        plots.finish(fig)
        assert len({line.get_color() for line in ax.lines}) == min(count + 2, 1 + len(plots.PALETTE))

    def test_an_engine_has_its_colour_whichever_others_there_are(self):
        engines = ["eager float32", "channels-last float32", "ONNX Runtime float32", "ONNX Runtime int8"]
        every = plots.series_colors(dict.fromkeys(engines))
        assert len(set(every.values())) == len(engines)
        assert plots.series_colors(dict.fromkeys(engines[2:])).items() <= every.items()

    def test_a_line_that_another_hides_is_thicker_and_shows_on_both_sides_of_it(self):
        fig, ax = plots.figure()
        plots.curves(ax, [1, 2], {"a": [1, 2], "b": [1, 3], "c": [1, 2], "d": torch.tensor([1.0, 2.0])})
        plots.finish(fig, "Three lines are the same.")
        a, b, c, d = ax.lines
        assert a.get_linewidth() > c.get_linewidth() > d.get_linewidth() == b.get_linewidth()
        assert a.get_markersize() > c.get_markersize() > d.get_markersize() == b.get_markersize()

    def test_refuses_another_length(self):
        fig, ax = plots.figure()
        plots.finish(fig)
        with pytest.raises(ValueError, match="series 'a' has length 1; x has length 2"):
            plots.curves(ax, [1, 2], {"a": [1]})


class TestIntervalLine:
    def test_whiskers_reach_from_low_to_high(self):
        fig, ax = plots.figure()
        plots.interval_line(ax, [1, 2], [(2, 1, 5), 3], "way", plots.GREEN)
        plots.finish(fig)
        (line, _, (whiskers,)) = ax.containers[0]
        assert list(line.get_ydata()) == [2, 3] and line.get_color() == plots.GREEN
        assert [list(s[:, 1]) for s in whiskers.get_segments()] == [[1, 5], [3, 3]]

    def test_refuses_another_length(self):
        fig, ax = plots.figure()
        plots.finish(fig)
        with pytest.raises(ValueError, match="values has length 1"):
            plots.interval_line(ax, [1, 2], [1])


class TestScatter:
    @pytest.mark.parametrize("count", [1, 4, 9])
    @pytest.mark.parametrize("scale", ["linear", "log"])
    def test_names_stand_beside_their_points_and_not_on_each_other(self, count, scale):
        fig, ax = plots.figure()
        ax.set(xscale=scale)
        points = {f"network {i}": (1 + (i % 3), (80 + i / 2, 79.8 + i / 2, 80.2 + i / 2)) for i in range(count)}
        plots.scatter(ax, points, label="networks")
        plots.legend(fig)
        assert readable(plots.finish(fig))
        assert {text.get_text() for text in ax.texts} == set(points)

    def test_points_on_one_place_are_all_named(self):
        fig, ax = plots.figure()
        plots.scatter(ax, {f"p{i}": (1, 1) for i in range(20)})
        plots.finish(fig)
        assert len(ax.texts) == 20

    def test_without_names(self):
        fig, ax = plots.figure()
        plots.scatter(ax, {"a": (1, 2)}, plots.GREEN, names=False)
        plots.finish(fig)
        assert not ax.texts and ax.containers[0][0].get_color() == plots.GREEN


class TestBand:
    def test_mean_between_lowest_and_highest(self):
        fig, ax = plots.figure()
        plots.band(ax, [0, 1], [[1.0, 2.0], [3.0, 6.0]], "method")
        (line,), (area,) = ax.lines, ax.collections
        assert list(line.get_ydata()) == [2, 4] and line.get_label() == "method (2 seeds)"
        ys = area.get_paths()[0].vertices[:, 1]
        assert (ys.min(), ys.max()) == (1, 6)
        plots.finish(fig)

    @pytest.mark.parametrize("runs", [[], [[1.0]], [[1.0, 2.0], [1.0]]])
    def test_refuses_runs_of_another_length(self, runs):
        fig, ax = plots.figure()
        plots.finish(fig)
        with pytest.raises(ValueError, match="runs has lengths"):
            plots.band(ax, [0, 1], runs, "method")


class TestHistory:
    def test_draws_an_epoch_a_point(self):
        runs = {
            f"run {i}": SimpleNamespace(train_loss=[2.0, 1.0, 0.5], validation_accuracy=[70, 80, 85]) for i in range(5)
        }
        fig = plots.history(runs)
        left, right = fig.axes
        assert [list(line.get_xdata()) for line in left.lines] == [[1, 2, 3]] * 5
        assert list(right.lines[0].get_ydata()) == [70, 80, 85]
        assert not overlapping_texts(fig) and not outside_texts(fig)

    def test_of_one_epoch(self):
        plots.history({"run": SimpleNamespace(train_loss=[1.0], validation_accuracy=[50.0])})


def test_a_curve_without_neighbours_is_a_plain_line():
    fig, ax = plots.figure()
    plots.curves(ax, [1, 2], {"the article's recipe": [1, 2]})
    plots.curves(ax, [1, 2], {"the article's recipe": [1, 2], "float32": [2, 3]})
    assert [line.get_linestyle() for line in ax.lines] == ["-", "-.", "-"]
    assert [line.get_marker() for line in ax.lines] == ["o", "P", "o"]
    plots.finish(fig)


class TestNameLines:
    @pytest.mark.parametrize("scale", ["linear", "log"])
    def test_names_stand_at_the_ends_in_the_lines_colours_and_move_apart(self, scale):
        fig, ax = plots.figure(height=2.5)
        rows = {"a long name": [3, 8], "second": [5, 8.01], "third": [1, 2]}
        plots.curves(ax, [1, 2], rows, reference=("limit", 7.9))
        ax.set_yscale(scale)
        plots.name_lines(ax)
        names = {text.get_text(): text for text in ax.texts}
        assert list(names) == [*rows, "limit"] and readable(plots.finish(fig))
        assert names["limit"].xy[1] < names["a long name"].xy[1] < names["second"].xy[1]
        assert names["second"].get_color() == ax.lines[1].get_color()

    def test_a_line_that_leaves_the_axes_is_named_at_their_edge(self):
        fig, ax = plots.figure()
        ax.plot([0, 1, 2], [0, 1, 1000], label="diverges")
        ax.set(ylim=(0, 2))
        plots.name_lines(ax)
        assert ax.texts[0].xy[1] == 1 and readable(plots.finish(fig))
        assert 2 < ax.get_xlim()[1] < 2.05, "the axis ends where the line does"

    def test_refuses_lines_without_names(self):
        fig, ax = plots.figure()
        ax.plot([1, 2])
        with pytest.raises(ValueError, match="pass `label`"):
            plots.name_lines(ax)
        plots.finish(fig)
