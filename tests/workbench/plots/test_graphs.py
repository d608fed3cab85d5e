"""Layers as a graph: every node below its sources, one arrow per source."""

import pytest
from matplotlib.patches import FancyArrowPatch

from nnopt_lab.workbench import plots
from nnopt_lab.workbench.plots import Node
from nnopt_lab.workbench.plots.colors import readable_on

BRANCHES = [
    Node("input"),
    Node("a", ("input",), plots.BLUE),
    Node("b", ("a",), plots.ORANGE),
    Node("c", ("a",), plots.GREEN),
    Node("+", ("b", "c", "a"), key="sum"),
    Node("+", ("sum", "input"), key="again"),
]


def drawn(nodes):
    fig, ax = plots.figure()
    plots.graph(ax, nodes)
    plots.finish(fig, "A graph.")
    return ax, {text.get_text(): text.get_position() for text in ax.texts}


def test_a_node_is_below_its_sources_and_beside_its_neighbours():
    ax, places = drawn(BRANCHES)
    assert [places[name][1] for name in ("input", "a", "b", "c")] == [0, -1, -2, -2]
    assert places["b"][0] != places["c"][0] and places["+"][1] == -4
    assert len([patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]) == 8
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert all(left < x < right and low < y < high for x, y in places.values())


def test_texts_are_readable_on_their_boxes():
    ax, _ = drawn(BRANCHES)
    for text in ax.texts[1:4]:
        assert text.get_color() == readable_on(text.get_bbox_patch().get_facecolor())


def test_a_source_that_comes_later_is_refused():
    fig, ax = plots.figure()
    with pytest.raises(ValueError, match="nodes has 'b' before its source 'a'"):
        plots.graph(ax, [Node("b", ("a",)), Node("a")])
    plots.finish(fig, "Nothing.")


def test_arrows_end_at_the_edges_of_boxes():
    ax, _ = drawn(BRANCHES)
    ax.figure.canvas.draw()
    boxes = [text.get_bbox_patch().get_window_extent() for text in ax.texts]
    for arrow in ax.patches:
        corners = arrow.get_transform().transform_path(arrow.get_path()).vertices
        tip = corners[-1] if len(corners) else None
        assert tip is not None and not any(box.padded(-1).contains(*tip) for box in boxes)
