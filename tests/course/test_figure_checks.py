"""Figures of two runs: what may differ between machines does not count, everything else is reported."""

import copy

import pytest

from nnopt_lab.course.figure_checks import figure_changes
from nnopt_lab.workbench import plots
from nnopt_lab.workbench.plots.summary import KEY


def output(figure):
    return {"output_type": "display_data", "data": {}, "metadata": {KEY: plots.summary(figure)}}


def curve(
    *series, x=(1, 2, 3), labels=("a", "b"), title="loss by epoch", ylabel="loss", log=False, says="It falls.", **varies
):
    fig, ax = plots.figure()
    for values, label in zip(series, labels, strict=False):
        ax.plot(x, values, label=label)
    if log:
        ax.set_yscale("log")
    ax.set(title=title, xlabel="epoch", ylabel=ylabel)
    return output(plots.finish(fig, says, **varies))


def rows(values, says="int8 is fastest.", **varies):
    fig, ax = plots.figure()
    plots.bars(ax, values)
    ax.set_xlabel("milliseconds")
    return output(plots.finish(fig, says, **varies))


FALLING, OTHER = [3.0, 2.0, 1.0], [4.0, 2.0, 1.0]


def test_a_second_run_of_the_same_figure_passes():
    assert figure_changes([curve(FALLING)], [curve(FALLING)]) == []
    assert figure_changes([curve(FALLING)], [curve([3.0001, 2, 1.0001])]) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (dict(title="Accuracy by epoch"), "panel 1 (Accuracy by epoch), title"),
        (dict(ylabel="error"), "y axis, label"),
        (dict(log=True), "y axis, scale"),
        (dict(labels=("c",)), "legend"),
        (dict(x=(1, 2, 30)), "x axis"),
        (dict(says="It rises."), "sentence"),
    ],
)
def test_words_scales_and_exact_ranges_must_be_equal(change, named):
    (found,) = [s for s in figure_changes([curve(FALLING)], [curve(FALLING, **change)]) if named in s]
    assert found.startswith("Figure 1, ") and "stored is" in found and "new is" in found and found.endswith(".")


def test_on_another_processor_training_ends_otherwise_but_words_and_magnitudes_stay():
    stored = curve(FALLING, says="It falls to 1.")
    stored["metadata"][KEY]["processor"] = "another"
    assert figure_changes([stored], [curve([3.2, 2.0, 0.5], says="It falls to 0.5.")]) == []
    assert len(figure_changes([stored], [curve(FALLING, title="Accuracy by epoch")])) == 1
    (found,) = figure_changes([stored], [curve([30.0, 20.0, 10.0])])
    assert "y axis" in found and "overlap" in found


def test_a_changed_range_is_told_with_both_ranges_and_the_rule():
    (found,) = figure_changes([curve(FALLING)], [curve([3.0, 2.0, 0.5])])
    assert found == (
        "Figure 1, panel 1 (Loss by epoch), y axis: stored is from 1 to 3, new is from 0.5 to 3; each end may differ "
        "by 3% of the span."
    )


def test_a_series_a_point_or_a_figure_more_is_reported():
    assert "number of lines" in " ".join(figure_changes([curve(FALLING)], [curve(FALLING, OTHER, labels=("a",) * 2)]))
    finer = curve([3.0, 2.5, 2.0, 1.0], x=(1, 1.5, 2, 3))
    assert "number of points" in " ".join(figure_changes([curve(FALLING)], [finer]))
    assert figure_changes([curve(FALLING)], []) == ["The number of figures: stored is 1, new is 0."]
    assert figure_changes([curve(FALLING)], [curve(FALLING)] * 2)


def test_a_figure_of_a_device_that_the_stored_run_had_not_is_no_change():
    assert figure_changes([{"output_type": "stream"}], [curve(FALLING)]) == []


def test_a_figure_that_was_stored_without_a_summary_is_reported():
    old = {"output_type": "display_data", "metadata": {}, "data": {"text/plain": "Figure: It falls."}}
    assert "without a summary" in figure_changes([old], [curve(FALLING)])[0]


def test_a_figure_without_a_sentence_is_reported():
    assert "no sentence" in figure_changes([curve(FALLING, says="")], [curve(FALLING, says="")])[0]


@pytest.mark.parametrize("factor", [0.02, 0.15, 1, 3, 250])
def test_times_may_differ_by_a_large_factor(factor):
    stored = rows({"float32": 8, "int8": 2}, measured="x")
    assert figure_changes([stored], [rows({"float32": 8 * factor, "int8": 1 * factor}, measured="x")]) == []


@pytest.mark.parametrize("factor", [1e-6, 0.001, 1000])
def test_times_in_another_unit_are_reported(factor):
    stored = rows({"float32": 8, "int8": 2}, measured="x")
    (found,) = figure_changes([stored], [rows({"float32": 8 * factor, "int8": 2 * factor}, measured="x")])
    assert "x axis" in found and "300-fold" in found


def test_a_row_that_is_missing_is_reported_unless_the_machine_decides_the_rows():
    two, three = {"float32": 8, "int8": 2}, {"float32": 8, "int8": 2, "amx": 1}
    assert figure_changes([rows(two, measured="x")], [rows(three, measured="x")])
    assert figure_changes([rows(two, measured="x", series=True)], [rows(three, measured="x", series=True)]) == []


@pytest.mark.parametrize(
    "values", [[84.2, 86, 88.1], [83, 86, 88.5], [84, 84.5, 86], [84, 86, 91]], ids=lambda values: str(values)
)
def test_results_of_training_may_differ_a_little(values):
    assert figure_changes([curve([84, 86, 88], trained="y")], [curve(values, trained="y")]) == []


@pytest.mark.parametrize("values", [[0.84, 0.86, 0.88], [10, 10, 10], [50, 60, 88], [94, 95, 99]])
def test_results_of_training_that_are_far_away_are_reported(values):
    (found,) = figure_changes([curve([84, 86, 88], trained="y")], [curve(values, trained="y")])
    assert "overlap" in found


def test_losses_on_a_logarithmic_axis_are_compared_by_decades():
    stored = curve([1, 0.1, 0.001], trained="y", log=True)
    assert figure_changes([stored], [curve([1, 0.1, 0.0004], trained="y", log=True)]) == []
    assert figure_changes([stored], [curve([1, 0.1, 1e-12], trained="y", log=True)])
    exact = curve([1, 0.1, 0.001], log=True)
    assert figure_changes([exact], [curve([1, 0.1, 0.0001], log=True)])


@pytest.mark.parametrize("values", [[0, 0, 0], [0, 0.1, 0], [-0.1, 0, 0]])
def test_no_points_lost_here_and_a_tenth_there_is_alike(values):
    assert figure_changes([curve([0, 0, 0], trained="y")], [curve(values, trained="y")]) == []


def test_numbers_in_words_may_differ_only_where_values_do():
    said = dict(says="int8 takes 2.1 ms.", title="limit: 1,200 GFLOP/s")
    other = dict(says="bf16 takes 13 ms.", title="limit: 800.5 GFLOP/s")
    assert figure_changes([curve(FALLING, measured="y", **said)], [curve(FALLING, measured="y", **other)]) == []
    assert len(figure_changes([curve(FALLING, **said)], [curve(FALLING, **other)])) == 2


def test_panels_colours_and_emptiness_count():
    def images(*arrays):
        fig, axes = plots.figure(len(arrays), squeeze=False)
        for ax, array in zip(axes[0], arrays, strict=True):
            if array:
                plots.matrix(ax, array)
        return output(plots.finish(fig, "Grey squares."))

    one = images([[0, 1], [2, 3]])
    assert figure_changes([one], [images([[0, 1], [2, 3]])]) == []
    assert "color axis" in figure_changes([one], [images([[0, 1], [2, 9]])])[0]
    assert figure_changes([one], [images([[0, 1], [2, 3]], [[1, 2]])]) == ["Figure 1, panels: stored is 1, new is 2."]
    assert figure_changes([one], [images(None)])


def test_nothing_is_changed_by_comparing():
    stored, new = [curve(FALLING)], [curve(OTHER)]
    before = copy.deepcopy((stored, new))
    figure_changes(stored, new)
    assert (stored, new) == before
