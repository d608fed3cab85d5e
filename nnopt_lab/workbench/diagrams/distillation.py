"""Distillation: a student learns from a teacher's outputs and from the labels."""

from nnopt_lab.workbench.diagrams.drawing import Drawing
from nnopt_lab.workbench.plots.colors import GREEN, INK, ORANGE, SKY, VIOLET


def distillation() -> Drawing:
    """Draw the two losses of a student: against the teacher's soft targets, and against the label."""
    drawing = Drawing(
        940,
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
    drawing.box(440, 180, 140, 60, "*output\nsoftmax(z ÷ T)", SKY)
    drawing.arrow((340, 60), (438, 60))
    drawing.arrow((340, 210), (438, 210))
    drawing.text(389, 44, "logits z", size=12)
    drawing.text(389, 194, "logits z", size=12)
    drawing.box(660, 85, 150, 60, "*KL divergence\n× T² × α", ORANGE)
    drawing.box(660, 190, 150, 60, "*cross-entropy\n× (1 − α)", ORANGE)
    drawing.arrow((580, 60), (658, 105))
    drawing.arrow((580, 200), (658, 130))
    drawing.arrow((580, 220), (658, 220))
    drawing.text(620, 237, "T = 1", size=12)
    drawing.box(850, 30, 80, 40, "*label", GREEN)
    drawing.arrow((890, 70), (890, 220), (812, 220))
    drawing.arrow((735, 252), (735, 275), (265, 275), (265, 243), color=ORANGE, dashed=True)
    drawing.text(500, 261, "gradient", size=12)
    return drawing
