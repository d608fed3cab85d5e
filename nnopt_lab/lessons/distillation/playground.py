"""Lesson 09's playground: a teacher's output for one picture, softened by a temperature and mixed with the label."""

import numpy as np
import torch
from torch import nn

from nnopt_lab.course.playground import Playground, choice, slider
from nnopt_lab.techniques import distillation
from nnopt_lab.workbench import data, measure, plots
from nnopt_lab.workbench.language import Message, _, translated

FEW_BITS = 0.05  # of entropy: the target is almost the label
MOST_OF_IT = 0.9  # of the weight is the teacher's


def distillation_playground(teacher: nn.Module, student: nn.Module, pictures: data.Pictures) -> Playground:
    """Plot the target that a student gets for a validation picture, and the student's own output.

    The target is (1 − share) · label + share · soft targets at temperature T. The pictures are sorted by the teacher's
    doubt, the entropy of its output, the most doubtful first.
    """
    some, teacher_logits, student_logits = _by_doubt(teacher, student, pictures)

    def draw(picture: int, temperature: float, share: float):
        label = int(some.labels[picture])
        soft = distillation.soft_targets(teacher_logits[picture : picture + 1], temperature)[0]
        answer = distillation.soft_targets(student_logits[picture : picture + 1], temperature)[0]
        target = share * soft + (1 - share) * torch.nn.functional.one_hot(some.labels[picture], len(soft))
        fig, (left, right) = plots.figure(ncols=2, width_ratios=(1, 3), figsize=(plots.SIZE[0], 3.2))
        with plots.style():
            image = some.images[picture].permute(1, 2, 0)
            left.imshow(image.squeeze(-1).numpy(), cmap="gray")
            left.set(title=pictures.classes[label], xticks=[], yticks=[])
            left.grid(False)
            _bars(right, target, answer, pictures.classes)
        plots.legend(fig)
        entropy = abs((target * target.clamp_min(1e-12).log2()).sum().item())
        text = Message(
            "The target has <b>{bits} bits</b> of entropy (label: 0; equal classes: 3.32). The label's class gets "
            "<b>{target} %</b> in the target and {output} % in the output.",
            bits=f"{entropy:.2f}",
            target=f"{100 * target[label]:.1f}",
            output=f"{100 * answer[label]:.1f}",
        )
        plots.finish(
            fig,
            "A picture, and for each class a bar of the target beside a bar of the student's output.",
            trained="y",
        )
        found = [
            _as_good_as_the_label(picture, temperature, share, entropy),
            _better_than_the_teacher(label, soft, answer, pictures.classes),
            _outvoted(label, temperature, share, soft, target),
        ]
        return fig, text, found

    goals = [
        _(
            "Find a picture for which the teacher alone (α = 1) at T = 1 says hardly more than the label: less than "
            "{bits} bits.",
            bits=FEW_BITS,
        ),
        _("Find a picture that the student gets right and the teacher gets wrong."),
        _(
            "Where the teacher is wrong, leave it at least {percent} % of the weight and still let the label's class "
            "get the highest target.",
            percent=round(100 * MOST_OF_IT),
        ),
    ]
    return Playground(
        draw,
        goals,
        picture=slider("picture", 0, len(some) - 1, 0),
        temperature=choice("temperature T", [0.5, 1, 2, 4, 8, 16, 32], 4),
        share=slider("share α", 0.0, 1.0, 1.0, 0.05),
    )


def _by_doubt(teacher: nn.Module, student: nn.Module, pictures: data.Pictures):
    """Some validation pictures, the teacher's most doubtful first, with both networks' logits."""
    some = pictures.validation[:200]
    inputs = pictures.to_input(some.images)
    with measure.inference(teacher, student):
        logits = teacher(inputs), student(inputs)
    order = torch.distributions.Categorical(logits=logits[0]).entropy().argsort(descending=True, stable=True)
    return some[order], *(of[order] for of in logits)


def _as_good_as_the_label(picture: int, temperature: float, share: float, entropy: float) -> str:
    if temperature != 1 or share < 1 or entropy >= FEW_BITS:
        return ""
    return _(
        "Picture {number}: the teacher is so certain that its target is almost the label. Only a higher T shows what "
        "else it knows.",
        number=picture,
    )


def _better_than_the_teacher(label: int, soft: torch.Tensor, answer: torch.Tensor, classes) -> str:
    if int(answer.argmax()) != label or int(soft.argmax()) == label:
        return ""
    return _(
        "The student says “{right}” and is right, its teacher says “{wrong}”: a student doesn't repeat all of its "
        "teacher's mistakes.",
        right=translated(classes[label]),
        wrong=translated(classes[int(soft.argmax())]),
    )


def _outvoted(label: int, temperature: float, share: float, soft: torch.Tensor, target: torch.Tensor) -> str:
    outvoted = int(soft.argmax()) != label and int(target.argmax()) == label
    if not outvoted or share < MOST_OF_IT - 1e-9:
        return ""
    return _(
        "At T = {temperature}, {percent} % of the weight is enough for the label to outvote the teacher: the softer a "
        "target, the less its mistakes weigh.",
        temperature=temperature,
        percent=round(100 * (1 - share)),
    )


def _bars(ax, target, answer, classes) -> None:
    places = np.arange(len(classes))
    ax.bar(places - 0.2, target.numpy(), 0.4, color=plots.ORANGE, label="target")
    ax.bar(places + 0.2, answer.numpy(), 0.4, color=plots.BLUE, label="the student's output at T")
    ax.set_xticks(places.tolist(), classes, rotation=40, ha="right", fontsize="small")
    ax.set(title="probability of each class", ylim=(0, 1))
