"""How a layer computes with 8-bit integers."""

from nnopt_lab.workbench.diagrams.drawing import Drawing
from nnopt_lab.workbench.plots.colors import BLUE, GREEN, ORANGE


def integer_pipeline() -> Drawing:
    """Draw how float values become integers, are multiplied and summed in int32, and become integers again."""
    drawing = Drawing(
        960,
        250,
        "Activations and weights, floats (blue), are divided by their scales and rounded to uint8 and int8 "
        "(orange). Their products are summed in int32 (green). Requantising multiplies by the scales' quotient, rounds "
        "and adds the zero point: uint8 for the next layer.",
    )
    drawing.box(10, 30, 130, 60, "*activations x\nfloat32", BLUE)
    drawing.box(10, 160, 130, 60, "*weights w\nfloat32", BLUE)
    drawing.box(280, 30, 120, 60, "*q_x\nuint8", ORANGE)
    drawing.box(280, 160, 120, 60, "*q_w\nint8", ORANGE)
    drawing.arrow((140, 60), (278, 60))
    drawing.text(208, 42, "÷ s_x, round, + z_x", size=12)
    drawing.arrow((140, 190), (278, 190))
    drawing.text(208, 172, "÷ s_w, round", size=12)
    drawing.box(500, 85, 160, 80, "*Σ (q_x − z_x) · q_w\nint32 sums", GREEN)
    drawing.arrow((400, 60), (498, 110))
    drawing.arrow((400, 190), (498, 140))
    drawing.box(810, 95, 140, 60, "*q_y\nuint8, next layer", ORANGE)
    drawing.arrow((660, 125), (808, 125))
    drawing.text(734, 92, "*requantise\n× s_x·s_w ÷ s_y,", size=12)
    drawing.text(734, 143, "round, + z_y", size=12)
    return drawing
