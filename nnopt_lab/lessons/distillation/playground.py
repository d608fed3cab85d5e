"""Lesson 09's playground: a teacher's output for one picture, softened by a temperature and mixed with the label."""

import numpy as np
import torch
from torch import nn

from nnopt_lab.course.playground import Playground, choice, slider
from nnopt_lab.techniques import distillation
from nnopt_lab.workbench import data, measure, plots


def distillation_playground(teacher: nn.Module, student: nn.Module, pictures: data.Pictures) -> Playground:
    """Plot the target that a student gets for a validation picture, and the student's own output.

    The target is (1 − share) · label + share · soft targets at temperature T.
    """
    some = pictures.validation[:200]
    inputs = pictures.to_input(some.images)
    with measure.inference(teacher, student):
        teacher_logits, student_logits = teacher(inputs), student(inputs)

    def draw(picture: int, temperature: float, share: float):
        label = int(some.labels[picture])
        soft = distillation.soft_targets(teacher_logits[picture : picture + 1], temperature)[0]
        answer = distillation.soft_targets(student_logits[picture : picture + 1], temperature)[0]
        target = share * soft + (1 - share) * torch.nn.functional.one_hot(some.labels[picture], len(soft))
        fig, (left, right) = plots.figure(ncols=2, width_ratios=(1, 3), figsize=(plots.SIZE[0], 3.2))
        with plots.style():
            image = some.images[picture].permute(1, 2, 0)
            left.imshow(image.squeeze(-1), cmap="gray")
            left.set(title=pictures.classes[label], xticks=[], yticks=[])
            left.grid(False)
            _bars(right, target, answer, pictures.classes)
        plots.legend(fig)
        entropy = abs((target * target.clamp_min(1e-12).log2()).sum().item())
        text = (
            f"The target has <b>{entropy:.2f} bits</b> of entropy (label: 0; equal classes: 3.32). The label's class "
            f"gets <b>{100 * target[label]:.1f} %</b> in the target and {100 * answer[label]:.1f} % in the output."
        )
        plots.finish(
            fig,
            "A picture, and for each class a bar of the target beside a bar of the student's output.",
            trained="y",
        )
        return fig, text

    return Playground(
        draw,
        picture=slider("picture", 0, len(some) - 1, 0),
        temperature=choice("temperature T", [0.5, 1, 2, 4, 8, 16, 32], 4),
        share=slider("share α", 0.0, 1.0, 1.0, 0.05),
    )


def _bars(ax, target, answer, classes) -> None:
    places = np.arange(len(classes))
    ax.bar(places - 0.2, target.numpy(), 0.4, color=plots.ORANGE, label="target")
    ax.bar(places + 0.2, answer.numpy(), 0.4, color=plots.BLUE, label="the student's output at T")
    ax.set_xticks(places.tolist(), classes, rotation=40, ha="right", fontsize=8)
    ax.set(title="probability of each class", ylim=(0, 1))
