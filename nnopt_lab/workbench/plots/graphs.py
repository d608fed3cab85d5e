"""A network's layers as a graph: boxes from top to bottom, joined by arrows."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Patch

from nnopt_lab.workbench.plots.colors import INK, readable_on, tint


@dataclass
class Node:
    """A box of a graph.

    Attributes:
        name: what is written in it.
        sources: names of the nodes whose results it reads, all of them earlier in the graph.
        color: of the box, or None for an operator, which is only written.
        key: the node's own name, if several have the same `name`.
    """

    name: str
    sources: tuple[str, ...] = ()
    color: str | None = None
    key: str = ""


def graph(ax: Axes, nodes: list[Node]) -> None:
    """Draw nodes in rows, each below all its sources, with an arrow from every source.

    Arrows that pass other rows bend to the right of the graph.

    Raises:
        ValueError: a node reads one that is not earlier in the list.
    """
    places, boxes = _places(nodes), {}
    lowest, widest = max(y for _, y in places.values()), max(x for x, _ in places.values())
    for node in nodes:
        name = node.key or node.name
        boxes[name] = _box(ax, node, places[name])
        for source in node.sources:
            _arrow(ax, (places[source], places[name]), (boxes[source], boxes[name]))
    ax.set(xlim=(-0.7, widest + 0.7), ylim=(-lowest - 0.6, 0.6))
    ax.set_axis_off()


def _box(ax: Axes, node: Node, place: tuple[float, int]) -> Patch:
    fill = tint(node.color) if node.color else "none"
    box = {"boxstyle": "round,pad=0.35", "facecolor": fill, "edgecolor": node.color or "none", "linewidth": 1.5}
    look = {"color": readable_on(fill)} if node.color else {"color": INK, "weight": "bold"}
    text = ax.text(place[0], -place[1], node.name, ha="center", va="center", fontsize="small", bbox=box, **look)
    return text.get_bbox_patch()


def _places(nodes: list[Node]) -> dict[str, tuple[float, int]]:
    """For each node, its column and row; row r holds the nodes whose longest path from the top has r arrows."""
    rows: dict[str, int] = {}
    for node in nodes:
        missing = [source for source in node.sources if source not in rows]
        if missing:
            raise ValueError(f"nodes has {node.name!r} before its source {missing[0]!r}.")
        rows[node.key or node.name] = max((rows[source] + 1 for source in node.sources), default=0)
    columns: dict[int, int] = {}
    places = {}
    for name, row in rows.items():
        places[name] = (columns.get(row, 0), row)
        columns[row] = columns.get(row, 0) + 1
    return places


def _arrow(ax: Axes, places: tuple[tuple, tuple], boxes: tuple[Patch, Patch]) -> None:
    """Draw an arrow between the edges of two boxes; it is drawn last, when the boxes have their sizes."""
    start, end = places
    bend = 0.0
    if end[1] - start[1] > 1:  # wide enough to pass beside the boxes of other rows
        bend = -1.5 if start[0] == end[0] else -0.3
    ax.add_patch(
        FancyArrowPatch(
            (start[0], -start[1]),
            (end[0], -end[1]),
            connectionstyle=f"arc3,rad={bend}",
            arrowstyle="-|>",
            mutation_scale=9,
            patchA=boxes[0],
            patchB=boxes[1],
            shrinkA=0,
            shrinkB=1,
            color=INK,
            linewidth=1.1,
            zorder=4,
        )
    )
