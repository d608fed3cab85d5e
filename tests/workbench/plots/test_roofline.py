"""The roofline plot."""

import pytest
from matplotlib.text import Text

from nnopt_lab.workbench import plots
from tests.workbench.plots.drawing import distance, outside_texts, overlapping_texts


class TestRoofline:
    def test_the_roof_breaks_where_both_limits_meet(self):
        fig = plots.roofline([("a", 1, 5)], peak_gflops=100, bandwidth=10)
        x, y = fig.axes[0].lines[0].get_data()
        assert x[1] == 10 and list(y) == [x[0] * 10, 100, 100]

    @pytest.mark.parametrize("count", [1, 12, 40])
    def test_names_can_be_read(self, count):
        fig = plots.roofline([(f"stages.{i}.conv1", 5, 10) for i in range(count)], 100, 10)
        assert not overlapping_texts(fig) and not outside_texts(fig)

    def test_kinds_of_layers_have_their_colours_and_each_point_its_name(self):
        names = ["0 Conv2d", "1 ReLU", "2 MaxPool2d", "3 Conv2d", "4 Linear", "NCHW"]
        fig = plots.roofline([(name, 3.0**i, 2.0 * 4**i) for i, name in enumerate(names)], 1000, 10)
        (ax,), dots = fig.axes, [line for line in fig.axes[0].lines if line.get_marker() != "None"]
        colors = [dot.get_color() for dot in dots]
        assert colors[0] == colors[3] and len(set(colors)) == 5
        assert set(names) <= {text.get_text() for text in ax.texts} and not fig.legends

    @pytest.mark.parametrize("bad", [{"points": [("a", 0, 1)]}, {"peak_gflops": 0}, {"bandwidth": -1}])
    def test_refuses_what_a_logarithm_cannot_take(self, bad):
        with pytest.raises(ValueError, match="above 0"):
            plots.roofline(**({"points": [("a", 1, 1)], "peak_gflops": 1, "bandwidth": 1} | bad))


def test_the_level_is_at_the_fastest_layer_if_that_is_above_the_measured_peak():
    points = [("0 Conv2d", 50, 130), ("1 ReLU", 0.1, 5)]  # the ReLU found its data in the cache
    (ax,) = plots.roofline(points, 100, 10).axes
    assert max(ax.lines[0].get_ydata()) == 130
    assert "arithmetic limits: 130 GFLOP/s" in [text.get_text() for text in ax.texts]


def test_numbered_layers_of_one_kind_at_one_place_are_named_once():
    points = [("2 MaxPool2d", 0.15, 0.08), ("5 MaxPool2d", 0.15, 0.07), ("4 ReLU", 0.15, 0.08), ("1 ReLU", 9, 9)]
    (ax,) = plots.roofline(points, 100, 10).axes
    written = {text.get_text() for text in ax.texts}
    assert {"2, 5 MaxPool2d", "4 ReLU", "1 ReLU"} <= written and len(written) == 5


@pytest.mark.parametrize("speed", [75, 95, 130])
def test_the_name_of_the_level_covers_no_layer(speed):
    fig = plots.roofline([("6 Linear", 30, speed), ("0 Conv2d", 1, 5)], peak_gflops=100, bandwidth=10)
    (ax,) = fig.axes
    fig.draw_without_rendering()
    name = next(text for text in ax.texts if text.get_text().startswith("arithmetic"))
    assert not name.get_window_extent().padded(-1).contains(*ax.transData.transform((30, 1.12 * speed)))
    assert not overlapping_texts(fig) and not outside_texts(fig)


def test_a_name_stands_clearly_beside_its_own_layer_or_is_tied_to_it():
    points = [("0 Conv2d", 11.3, 95), ("3 Conv2d", 48, 213), ("6 Linear", 41, 113), ("2 MaxPool2d", 0.15, 0.33)]
    points += [("1 ReLU", 0.125, 8), ("4 ReLU", 0.125, 15), ("7 ReLU", 0.125, 11.5)]
    fig = plots.roofline(points, 255, 51)
    (ax,) = fig.axes
    fig.draw_without_rendering()
    boxes = {text.get_text(): Text.get_window_extent(text) for text in ax.texts if not text.arrow_patch}
    dots = {name: ax.transData.transform(place) for name, *place in points}
    for name in boxes.keys() & dots.keys():
        own = distance(boxes[name], dots[name])
        assert all(distance(boxes[name], dot) > 1.8 * own for other, dot in dots.items() if other != name)
