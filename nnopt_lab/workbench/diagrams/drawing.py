"""Draw boxes, arrows and grids as an SVG picture that reads on light and dark pages."""

import html
import re
from dataclasses import dataclass, field

from nnopt_lab.workbench.language import _, translated
from nnopt_lab.workbench.plots.colors import BLUE, FAINT, INK
from nnopt_lab.workbench.plots.illustration import embedded

FONT = "system-ui,'DejaVu Sans',sans-serif"
LINE = 18  # height of a line of text
_PAGE, _SMALLEST, _WIDE = 780, 11, 960  # a page's width beside JupyterLab's side bar, its smallest letters, a drawing
_SYMBOL = re.compile(r"\b([a-zA-Z])_([a-z])\b")  # q_x: a letter and its subscript
_SUBSCRIPT = (
    r'<tspan font-style="italic">\1</tspan><tspan font-style="italic" font-size="75%" dy="0.3em">\2</tspan>'
    '<tspan dy="-0.225em">\N{ZERO WIDTH SPACE}</tspan>'
)


@dataclass
class Drawing:
    """An SVG picture; x goes right and y down, in pixels. A notebook shows it as an image with `alt`.

    Attributes:
        width, height: in pixels.
        alt: what there is to see, in words.
        style: CSS for the picture's elements, such as an animation.
    """

    width: int
    height: int
    alt: str
    style: str = ""
    _parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, *, color: str = INK, size: int = 14, anchor: str = "middle") -> None:
        """Write lines of text, centred vertically at `y`; a line that begins with `*` is bold, and `q_x` has an index.

        A page shrinks a wide picture; its letters are larger than `size` where they would be hard to read.
        """
        size = max(size, round(_SMALLEST * min(self.width, _WIDE) / _PAGE, 1))
        lines = translated(text.rstrip("\n")).split("\n")
        for i, line in enumerate(lines):
            middle = y + (i - (len(lines) - 1) / 2) * LINE * size / 14
            weight = ' font-weight="600"' if line.startswith("*") else ""
            self._parts.append(
                f'<text x="{x:g}" y="{middle:g}" fill="{color}" font-size="{size}" text-anchor="{anchor}" '
                f'dominant-baseline="central"{weight}>{_written(line.removeprefix("*"))}</text>'
            )

    def box(self, x: float, y: float, width: float, height: float, text: str = "", color: str = BLUE) -> None:
        """A box with rounded corners and text in its middle; (x, y) is its upper left corner."""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="{color}" '
            f'fill-opacity="0.14" stroke="{color}" stroke-width="1.6"/>'
        )
        if text:
            self.text(x + width / 2, y + height / 2, text)

    def cell(self, x: float, y: float, size: float, color: str | None = None, text: str = "") -> None:
        """A square of a grid, filled if it has a colour."""
        fill = f'fill="{color}" fill-opacity="0.9"' if color else 'fill="none"'
        self._parts.append(f'<rect x="{x:g}" y="{y:g}" width="{size:g}" height="{size:g}" {fill} stroke="{INK}"/>')
        if text:
            self.text(x + size / 2, y + size / 2, text, size=12)

    def grid(self, x: float, y: float, colors: list[list[str | None]], size: float = 20) -> None:
        """Cells [rows][columns], each with its colour or None."""
        for i, row in enumerate(colors):
            for j, color in enumerate(row):
                self.cell(x + j * size, y + i * size, size, color)

    def arrow(self, *points: tuple[float, float], color: str = INK, dashed: bool = False) -> None:
        """An arrow through these points, at least two, with its head at the last."""
        (x0, y0), (x1, y1) = points[-2:]
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        head = [(x1, y1), *((x1 - 9 * dx - s * 4.5 * dy, y1 - 9 * dy + s * 4.5 * dx) for s in (1, -1))]
        line = [*points[:-1], (x1 - 8 * dx, y1 - 8 * dy)]
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.path(line, color, dash)
        self._parts.append(f'<polygon points="{_points(head)}" fill="{color}"/>')

    def path(self, points: list[tuple[float, float]], color: str = FAINT, attributes: str = "") -> None:
        """A line through these points."""
        self._parts.append(
            f'<polyline points="{_points(points)}" fill="none" stroke="{color}" stroke-width="1.6"{attributes}/>'
        )

    def add(self, element: str) -> None:
        """Any other SVG element."""
        self._parts.append(element)

    @property
    def svg(self) -> str:
        """The content of an SVG file."""
        style = f"<style>{self.style}</style>" if self.style else ""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" font-family="{FONT}" role="img"><title>{html.escape(translated(self.alt))}</title>'
            f"{style}{''.join(self._parts)}</svg>"
        )

    def __repr__(self) -> str:
        return _("A diagram: {description}", description=translated(self.alt))

    def _repr_html_(self) -> str:
        return embedded(self.svg, self.width, translated(self.alt))


def _written(line: str) -> str:
    return _SYMBOL.sub(_SUBSCRIPT, html.escape(line))


def _points(points) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
