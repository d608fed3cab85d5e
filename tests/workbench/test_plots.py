from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure

from nnopt_lab.workbench import plots


@pytest.fixture(autouse=True)
def no_figure_left_open():
    plt.close("all")
    yield
    assert not plt.get_fignums()


def drawn_texts(fig: Figure) -> list:
    """(text, box in pixels) of what is really drawn: a figure also holds tick labels beyond its limits, say."""
    drawn = {}
    with pytest.MonkeyPatch.context() as patch:
        draw = plt.Text.draw
        patch.setattr(plt.Text, "draw", lambda self, renderer: (drawn.setdefault(self), draw(self, renderer))[1])
        fig.canvas.draw()
    return [(t.get_text(), t.get_window_extent()) for t in drawn if t.get_visible() and t.get_text().strip()]


def overlapping_texts(fig: Figure) -> list[tuple[str, str]]:
    boxes = drawn_texts(fig)
    return [(a, b) for i, (a, x) in enumerate(boxes) for b, y in boxes[i + 1 :] if x.padded(-1).overlaps(y.padded(-1))]


def outside_texts(fig: Figure) -> list[str]:
    whole = fig.bbox.padded(1)
    return [t for t, b in drawn_texts(fig) if b.x0 < whole.x0 or b.x1 > whole.x1 or b.y0 < whole.y0 or b.y1 > whole.y1]


class TestStyle:
    def test_does_not_leak(self):
        before = dict(plt.rcParams)
        fig, ax = plots.figure()
        plots.finish(fig)
        assert dict(plt.rcParams) == before
        assert not ax.spines["top"].get_visible() and fig.get_facecolor() == (1, 1, 1, 1)

    def test_is_the_same_whatever_the_readers_settings(self):
        with plt.style.context("dark_background"):
            fig, ax = plots.figure(2, 2)
            plots.finish(fig)
        assert ax.shape == (2, 2) and fig.get_facecolor() == ax[0, 0].get_facecolor() == (1, 1, 1, 1)
        assert tuple(fig.get_size_inches()) == (8, 7.2)

    def test_finish_shows_a_figure_once(self):
        fig, ax = plots.figure()
        ax.plot([1, 2], label="a")
        ax.legend()
        assert plots.finish(fig) is fig and not plt.get_fignums()
        assert not ax.get_legend().get_frame_on()


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


class TestRoofline:
    def test_the_roof_breaks_where_both_limits_meet(self):
        fig = plots.roofline([("a", 1, 5)], peak_gflops=100, bandwidth=10)
        x, y = fig.axes[0].lines[0].get_data()
        assert x[1] == 10 and list(y) == [x[0] * 10, 100, 100]

    @pytest.mark.parametrize("count", [1, 12, 40])
    def test_names_can_be_read(self, count):
        fig = plots.roofline([(f"stages.{i}.conv1", 5, 10) for i in range(count)], 100, 10)
        assert not overlapping_texts(fig) and not outside_texts(fig)

    @pytest.mark.parametrize("bad", [{"points": [("a", 0, 1)]}, {"peak_gflops": 0}, {"bandwidth": -1}])
    def test_refuses_what_a_logarithm_cannot_take(self, bad):
        with pytest.raises(ValueError, match="above 0"):
            plots.roofline(**({"points": [("a", 1, 1)], "peak_gflops": 1, "bandwidth": 1} | bad))


class TestPictures:
    @pytest.mark.parametrize(("n", "channels"), [(1, 1), (3, 3), (8, 3), (11, 1)])
    def test_shows_every_picture(self, n, channels):
        images = torch.randint(256, (n, channels, 6, 6), dtype=torch.uint8)
        fig = plots.pictures(images, [f"number {i}" for i in range(n)])
        shown = [ax.images[0].get_array() for ax in fig.axes if ax.images]
        assert len(shown) == n and shown[0].reshape(6, 6, channels)[2, 3, 0] == images[0, 0, 2, 3]
        assert not overlapping_texts(fig)

    def test_refuses(self):
        good = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
        for bad in (good.float(), good[0], good[:, :2], good[:0]):
            with pytest.raises(ValueError, match="images is"):
                plots.pictures(bad)
        with pytest.raises(ValueError, match="titles has 1"):
            plots.pictures(good, ["one"])


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
