"""A search's report as an HTML page: self-contained, light or dark as the reader's system."""

import html
import math

from nnopt_lab.techniques.search.points import Point, describe
from nnopt_lab.techniques.search.report import shown_range
from nnopt_lab.workbench import measure
from nnopt_lab.workbench.measure.tables import html_table

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 360, 60, 40
STYLE = """
:root { color-scheme: light dark; --text: #222; --page: #fff; --line: #bbb; --front: #0072b2; --trial: #56b4e9 }
@media (prefers-color-scheme: dark) { :root { --text: #ddd; --page: #1b1b1b; --line: #555; --front: #56b4e9;
 --trial: #9ad1f0 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); max-width: 60em;
 margin: 2em auto; padding: 0 1em; --jp-border-color2: var(--line) }
div.wide { overflow-x: auto }
svg { max-width: 100%; height: auto } svg text { fill: var(--text); font-size: 12px }
svg .axis, svg .limit { stroke: var(--line); fill: none } svg .limit { stroke-dasharray: 5 4 }
svg .front { stroke: var(--front); fill: none; stroke-width: 1.5 }
circle { fill: var(--trial) } circle.front { fill: var(--front) } rect { fill: var(--text) }
"""


def page(search, tables: list[tuple[str, list[list[str]]]], sentences: list[str], text: str) -> str:
    """The page.

    Args:
        search: a `result.Search`.
        tables: a title and the rows of each, the first row being the header.
        sentences: shown first.
        text: the report in Markdown, shown last as it is.
    """
    shown = "".join(
        f'<h2>{html.escape(title)}</h2><div class="wide">{html_table(rows, header=True)}</div>'
        for title, rows in tables
    )
    first = "".join(f"<p><strong>{html.escape(sentence)}</strong></p>" for sentence in sentences)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Report of a search</title>'
        f"<style>{STYLE}</style></head><body><h1>Report of a search</h1>{first}<h2>Pareto front</h2>"
        f"{front_svg(search)}{shown}<details><summary>The same report as text</summary>"
        f"<pre>{html.escape(text)}</pre></details></body></html>\n"
    )


def front_svg(search) -> str:
    """Accuracy over cost (on a log scale) as an SVG; each point shows its figures and techniques as a tooltip."""
    points = [search.original, *search.points]
    costs, limit = [math.log10(search.cost(p)) for p in points], search.original.accuracy - search.goal.max_drop
    low, high = shown_range(search)
    span = max(costs) - min(costs) or 1.0

    def x(point: Point) -> float:
        return LEFT + 20 + (WIDTH - LEFT - 40) * (math.log10(search.cost(point)) - min(costs)) / span

    def y(accuracy: float) -> float:
        return (HEIGHT - BOTTOM) * (1 - (max(accuracy, low) - low) / (high - low))

    # Cheapest first: up to the next point's cost, the front offers what this one has.
    front = sorted(search.front, key=search.cost)
    path = "".join(f"{'H' if i else 'M'}{x(p):.1f}{'V' if i else ' '}{y(p.accuracy):.1f}" for i, p in enumerate(front))
    marks = "".join(
        f'<circle cx="{x(p):.1f}" cy="{y(p.accuracy):.1f}" r="5"{kind}><title>{_said(search, p)}</title></circle>'
        for p in search.points
        for kind in [' class="front"' if p in front else ""]
    )
    original = search.original
    axis, unit = ("time per batch", "latency") if search.goal.target == "latency" else ("file size", "bytes")
    ends = ((min(points, key=search.cost), "start"), (max(points, key=search.cost), "end"))
    ticks = "".join(
        f'<text x="{x(p):.1f}" y="{HEIGHT - 22}" text-anchor="{side}">{_cost(p, unit)}</text>' for p, side in ends
    )
    levels = "".join(
        f'<text x="{LEFT - 6}" y="{y(a) + 4:.1f}" text-anchor="end">{a:.1f} %</text>'
        for a in (original.accuracy, limit, low)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Accuracy over {axis}">'
        f'<path class="axis" d="M{LEFT} 0V{HEIGHT - BOTTOM}H{WIDTH}"/>'
        f'<path class="limit" d="M{LEFT} {y(limit):.1f}H{WIDTH}"/><path class="front" d="{path}"/>{marks}'
        f'<rect x="{x(original) - 5:.1f}" y="{y(original.accuracy) - 5:.1f}" width="10" height="10">'
        f"<title>{_said(search, original)}</title></rect>{ticks}{levels}"
        f'<text x="{WIDTH / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{axis}, log scale; dashed: limit; '
        "square: original</text></svg>"
    )


def _cost(point: Point, unit: str) -> str:
    return measure.format_bytes(point.bytes) if unit == "bytes" else f"{1e3 * point.latency:.3g} ms"


def _said(search, point: Point) -> str:
    name = "original" if point is search.original else f"trial {point.number}"
    figures = f"{point.accuracy:.2f} %, {_cost(point, 'bytes')}, {_cost(point, 'latency')}"
    techniques = [] if point is search.original else describe(point.config)
    return html.escape("\n".join([f"{name}: {figures}", *techniques]))
