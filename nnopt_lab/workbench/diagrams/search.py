"""The loop of an automatic search."""

from nnopt_lab.workbench.diagrams.drawing import Drawing
from nnopt_lab.workbench.plots.colors import BLUE, GREEN, ORANGE, PURPLE, REFERENCE


def search_loop() -> Drawing:
    """Draw the steps of one trial, and what the search does with its result."""
    drawing = Drawing(
        940,
        260,
        "A loop: the sampler proposes a configuration; the network is changed and fine-tuned accordingly; its accuracy "
        "and its cost are measured; a poor trial is stopped early; the result joins the front and tells the sampler "
        "what to try next. After the last trial, the best network within the limit is tested once, on new pictures.",
    )
    drawing.box(10, 30, 160, 70, "*propose\na Gaussian process", BLUE)
    drawing.box(240, 30, 180, 70, "*change the network\nprune, factor, distil", PURPLE)
    drawing.box(490, 30, 180, 70, "*fine-tune\na few epochs", ORANGE)
    drawing.box(740, 30, 190, 70, "*measure\naccuracy, time, bytes", GREEN)
    for start, end in ((170, 238), (420, 488), (670, 738)):
        drawing.arrow((start, 65), (end, 65))
    drawing.box(490, 165, 180, 60, "*front\nbest trade-offs so far", BLUE)
    drawing.arrow((835, 100), (835, 195), (672, 195))
    drawing.arrow((490, 195), (90, 195), (90, 102))
    drawing.text(290, 180, "what to try next", size=13)
    drawing.arrow((580, 100), (580, 132), (330, 132), color=REFERENCE, dashed=True)
    drawing.text(252, 132, "stopped early if poor", size=12)
    drawing.arrow((580, 225), (580, 246), (668, 246))
    drawing.text(800, 246, "at the end: one test, new pictures", size=12)
    return drawing
