"""A convolution as one matrix product (im2col)."""

from nnopt_lab.workbench.diagrams.drawing import Drawing
from nnopt_lab.workbench.plots.colors import BLUE, GREEN, ORANGE

_CELL = 20


def convolution_as_product() -> Drawing:
    """Draw how a 3×3 convolution of a 4×4 picture with two filters becomes one matrix product."""
    drawing = Drawing(
        880,
        270,
        "Each 3×3 window of a picture becomes one column of a matrix. Two filters, written as rows of nine weights, "
        "times this matrix give both output pictures at once; the orange window gives the orange column of the result.",
    )
    picture = [[ORANGE if i < 3 and j >= 1 else None for j in range(4)] for i in range(4)]
    drawing.grid(30, 95, picture, 26)
    drawing.text(82, 60, "*picture, 4×4\none 3×3 window")
    drawing.arrow((82, 203), (82, 228), (556, 228))
    drawing.text(320, 216, "unroll each window into a column", size=13)
    _matrix(drawing, 560, 57, 9, 4, {(None, 1): ORANGE})
    drawing.text(600, 252, "9 × 4: a column per window", size=13)
    _matrix(drawing, 260, 127, 2, 9, {(0, None): BLUE, (1, None): GREEN})
    drawing.text(350, 105, "*filters, one per row")
    drawing.text(350, 187, "2 × 9: nine weights each", size=13)
    drawing.text(500, 147, "×", size=24)
    drawing.text(600, 35, "*windows")
    drawing.text(690, 147, "=", size=24)
    _matrix(drawing, 745, 127, 2, 4, {(0, 1): ORANGE, (1, 1): ORANGE})
    drawing.text(785, 105, "*output")
    drawing.text(785, 187, "2 × 4: two 2×2 pictures", size=13)
    return drawing


def _matrix(drawing: Drawing, x: float, y: float, rows: int, columns: int, marked: dict) -> None:
    colors = [
        [marked.get((i, j)) or marked.get((i, None)) or marked.get((None, j)) for j in range(columns)]
        for i in range(rows)
    ]
    drawing.grid(x, y, colors, _CELL)
