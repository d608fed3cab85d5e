"""Names beside points."""

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from nnopt_lab.workbench import plots
from tests.workbench.plots.drawing import distance, outside_texts, overlapping_texts

PLACE = st.tuples(st.floats(0, 1), st.floats(0, 1))


def drawn(points: dict):
    fig, ax = plots.figure(2)
    for one in ax:
        one.plot(*zip(*points.values(), strict=True), "o")
        one.set(xlim=(-0.3, 1.3), ylim=(-0.3, 1.3))
        plots.write_names(one, points)
    plots.finish(fig)
    return fig, ax[0]


@settings(max_examples=15, deadline=None, phases=[Phase.generate])
@given(places=st.lists(PLACE, min_size=1, max_size=8), cluster=st.booleans())
def test_a_name_is_nearest_to_its_own_point_or_tied_to_it_and_covers_nothing(places, cluster):
    points = {f"network {i}": (x / 8, y / 8) if cluster else (x, y) for i, (x, y) in enumerate(places)}
    fig, ax = drawn(points)
    dots = {name: ax.transData.transform(point) for name, point in points.items()}
    assert {text.get_text() for text in ax.texts} == set(points)
    assert not overlapping_texts(fig) and not outside_texts(fig)
    for text in ax.texts:
        box, own = Text.get_window_extent(text), dots[text.get_text()]
        distances = [distance(box, dot) for dot in dots.values()]
        assert text.arrow_patch or distance(box, own) <= min(distances) + 1
        assert min(distances) > 3


def test_a_lone_name_needs_no_line():
    _fig, ax = drawn({"alone": (0.5, 0.5)})
    (text,) = ax.texts
    assert text.arrow_patch is None


def test_points_on_one_place_have_lines_to_their_names():
    _fig, ax = drawn({f"network {i}": (0.5, 0.5) for i in range(12)})
    assert sum(text.arrow_patch is not None for text in ax.texts) >= 4
