"""Summaries: a figure's words, series and data ranges, small and the same in every run."""

import json

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from nnopt_lab.workbench import plots
from nnopt_lab.workbench.plots.summary import KEY
from nnopt_lab.workbench.provenance import processor


def drawn():
    fig, (left, right) = plots.figure(2)
    plots.bars(left, {"float32": 1, "int8": (2, 1.5, 2.5)}, reference=1)
    left.set(title="speed", xlabel="times as fast")
    plots.curves(right, [1, 10, 100], {"MyNet": [3, 4, 5], "bf16": [4, 5, 60]})
    plots.log_axis(right.xaxis, [1, 10, 100])
    right.set(ylabel="loss")
    plots.legend(fig)
    fig.suptitle("two panels")
    return plots.finish(fig, "int8 is twice as fast.", measured="x", trained="y")


def test_says_which_words_series_and_ranges_a_figure_has():
    found = plots.summary(drawn())
    left, right = found.pop("axes")
    assert found == {
        "processor": processor(),
        "says": "int8 is twice as fast.",
        "title": "two panels",
        "legend": ["MyNet", "bf16"],
        "measured": "x",
        "trained": "y",
    }
    assert (left["title"], left["bars"], left["x"]["label"]) == ("Speed", 2, "times as fast")
    assert left["y"]["names"] == ["float32", "int8"] and (left["x"]["low"], left["x"]["high"]) == (0, 2.5)
    assert (right["lines"], right["points"], right["x"]["scale"]) == (2, 6, "log")
    assert right["y"] == {"label": "loss", "scale": "linear", "names": [], "low": 3, "high": 60}
    assert right["x"]["names"] == [] and (right["x"]["low"], right["x"]["high"]) == (1, 100)


def test_it_is_the_same_in_every_run_and_small_enough_to_store():
    assert json.dumps(plots.summary(drawn())) == json.dumps(plots.summary(drawn()))
    assert len(json.dumps(plots.summary(drawn()))) < 1000


def test_whiskers_do_not_count_as_lines_since_some_runs_have_none():
    counts = []
    for value in (2, (2, 1, 3)):
        fig, ax = plots.figure()
        plots.bars(ax, {"a": value})
        plots.seeds(ax, {"a": [1.0]})
        counts.append(plots.summary(plots.finish(fig))["axes"][0]["lines"])
    assert counts[0] == counts[1]


@pytest.mark.parametrize("values", [[], [float("nan")]])
def test_empty_axes_have_no_range(values):
    fig, ax = plots.figure()
    ax.plot(values, values)
    x = plots.summary(plots.finish(fig))["axes"][0]["x"]
    assert (x["low"], x["high"]) == (None, None)


def test_pictures_masks_histograms_and_scattered_points_are_counted():
    fig, axes = plots.figure(3)
    plots.matrix(axes[0], torch.tensor([[0.0, 1.0], [2.0, 7.0]]))
    plots.histogram(axes[1], torch.tensor([0.0, 1.0]), torch.tensor([-1.0, 0.5, 2.0]), plots.BLUE)
    axes[2].scatter(np.arange(4), np.arange(4))
    matrix, bell, dots = plots.summary(plots.finish(fig))["axes"]
    assert matrix["images"] == 1 and (matrix["color"]["low"], matrix["color"]["high"]) == (0, 7)
    assert (bell["x"]["low"], bell["x"]["high"], bell["y"]["high"]) == (-1, 2, 1)
    assert dots["points"] == 4


def test_the_title_of_a_panels_own_legend_is_a_title_of_the_panel():
    fig, axes = plots.figure(2)
    for ax in axes:
        ax.plot([0, 1], label="one")
        plots.legend(ax, title="width")
    assert [ax["title"] for ax in plots.summary(plots.finish(fig))["axes"]] == ["Width", "Width"]
    assert "Width" in plots.alt_text(fig)


def test_only_what_the_axes_show_counts():
    fig, (left, right) = plots.figure(2)
    left.plot([1, 2, 3], [2.3, 1.1, 9e9])
    left.set(ylim=(0, 4))
    right.plot([1, 2], [1, 2])
    right.invert_xaxis()
    left, right = plots.summary(plots.finish(fig))["axes"]
    assert (left["y"]["low"], left["y"]["high"]) == (1.1, 4)
    assert (right["x"]["low"], right["x"]["high"]) == (1, 2)


@pytest.mark.parametrize("declared", [{"measured": "z"}, {"trained": "x, y"}])
def test_only_x_and_y_can_vary(declared):
    fig, _ = plots.figure()
    with pytest.raises(ValueError, match="must be 'x', 'y', 'xy' or ''"):
        plots.finish(fig, "Nothing.", **declared)
    plots.finish(fig)


def test_it_travels_in_the_metadata_of_the_output_that_shows_the_figure():
    InteractiveShell.instance()
    with capture_output() as captured:
        drawn()._ipython_display_()
    (shown,) = captured.outputs
    assert shown.metadata[KEY] == plots.summary(drawn())
