"""Labels of x axes never touch, and a fixed row of names is never thinned."""

from itertools import pairwise

import pytest

from nnopt_lab.workbench import plots


def labels(ax):
    low, high = sorted(ax.get_xlim())
    shown = [t.label1 for t in ax.xaxis.get_major_ticks() if low <= t.get_loc() <= high and t.label1.get_text()]
    return sorted(shown, key=lambda label: label.get_window_extent().x0)


def apart(ax):
    ax.figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in labels(ax)]
    return len(boxes) >= 2 and all(a.x1 < b.x0 for a, b in pairwise(boxes))


@pytest.mark.parametrize(
    "limits", [(-0.21, 0.12), (0, 43_210), (-123_456, 123_456), (88.95, 89.05), (0.99995, 1.00005)]
)
@pytest.mark.parametrize("panels", [1, 2, 3])
def test_numbers_of_any_length_stay_apart_on_axes_of_any_width(limits, panels):
    fig, axes = plots.figure(panels, squeeze=False)
    for ax in axes.flat:
        ax.plot(limits, [0, 1])
    plots.finish(fig)
    assert all(apart(ax) for ax in axes.flat)


def test_of_fixed_numbers_every_second_one_keeps_its_label_and_the_last_is_among_them():
    fig, (ax, _) = plots.figure(2)
    sizes = [2**n for n in range(13)]
    plots.curves(ax, sizes, {"a": sizes})
    plots.log_axis(ax.xaxis, sizes)
    plots.finish(fig)
    texts = [label.get_text() for label in ax.get_xticklabels()]
    assert apart(ax) and texts[-1] == "4,096" and len(texts) == 13 and list(ax.get_xticks()) == sizes


def test_names_and_numbers_with_room_are_left_alone():
    fig, (left, right) = plots.figure(2)
    left.plot([0, 1, 2], [0, 1, 2])
    left.set_xticks([0, 1, 2], ["a rather long name", "another such long name", "and a third one"])
    right.plot([0, 1])
    right.set_xticks([0, 0.5, 1])
    plots.finish(fig)
    assert [t.get_text() for t in left.get_xticklabels()][1] == "another such long name"
    assert list(right.get_xticks()) == [0, 0.5, 1]


def test_thousands_have_separators_and_numbers_below_zero_a_true_minus_sign():
    fig, ax = plots.figure()
    ax.plot([-20_000, 20_000], [-3, 3])
    plots.finish(fig)
    fig.draw_without_rendering()
    texts = [label.get_text() for label in labels(ax)]
    assert "−20,000" in texts and "20,000" in texts and "0" in texts
    assert not [t for t in [*texts, *(label.get_text() for label in ax.get_yticklabels())] if "-" in t]
