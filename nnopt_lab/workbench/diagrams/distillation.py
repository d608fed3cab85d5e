"""Distillation: a student learns from a teacher's outputs and from the labels."""

from nnopt_lab.workbench.diagrams.drawing import Drawing
from nnopt_lab.workbench.plots.colors import GREEN, INK, ORANGE, SKY, VIOLET


def distillation() -> Drawing:
    """Draw the two losses of a student: against the teacher's soft targets, and against the label."""
    drawing = Drawing(
        870,
        290,
        "A picture goes to the teacher, which is frozen, and to the student. Both outputs are divided by a temperature "
        "and become probabilities; the distillation loss compares them. A second loss compares the student's output "
        "with the label. Only the student learns from their sum: the dashed arrow is the gradient.",
    )
    drawing.box(10, 110, 90, 50, "*picture", INK)
    drawing.box(190, 30, 150, 60, "*teacher\nlarge, frozen", VIOLET)
    drawing.box(190, 180, 150, 60, "*student\nsmall, learns", SKY)
    drawing.arrow((100, 125), (188, 70))
    drawing.arrow((100, 145), (188, 200))
    drawing.box(440, 30, 140, 60, "*soft targets\nsoftmax(z ÷ T)", VIOLET)
    drawing.box(440, 165, 140, 40, "softmax(z ÷ T)", SKY)
    drawing.box(440, 215, 140, 40, "softmax(z)", SKY)
    drawing.arrow((340, 60), (438, 60))
    drawing.arrow((340, 200), (438, 188))
    drawing.arrow((340, 220), (438, 232))
    drawing.text(389, 44, "logits z", size=12)
    drawing.text(389, 178, "logits z", size=12)
    drawing.box(660, 30, 150, 60, "*KL divergence\n× T² × α", ORANGE)
    drawing.box(660, 190, 150, 60, "*cross-entropy\n× (1 − α)", ORANGE)
    drawing.arrow((580, 60), (658, 60))
    drawing.arrow((580, 185), (658, 80))
    drawing.arrow((580, 235), (658, 225))
    drawing.box(695, 122, 80, 36, "*label", GREEN)
    drawing.arrow((735, 158), (735, 188))
    drawing.arrow((810, 60), (850, 60), (850, 275), (265, 275), (265, 243), color=ORANGE, dashed=True)
    drawing.arrow((810, 220), (848, 220), color=ORANGE, dashed=True)
    drawing.text(355, 266, "gradient", size=12)
    return drawing
