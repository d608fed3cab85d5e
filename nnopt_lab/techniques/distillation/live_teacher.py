"""Batches with a teacher's logits and features, computed for each batch."""

from collections.abc import Iterable, Iterator

from torch import Tensor, nn

from nnopt_lab.techniques.distillation.features import Watch
from nnopt_lab.workbench.measure.modes import inference
from nnopt_lab.workbench.training import logits_of


class WithTeacher:
    """Batches (inputs, (labels, teacher's logits, features of `layers` …)); the teacher runs on every batch.

    Args:
        batches: (inputs, labels), iterated once per pass.
        teacher: maps the inputs to logits [B, classes]; it runs in evaluation mode without gradients.
        layers: names of the teacher's layers whose outputs are added to the targets.

    Raises:
        ValueError: the teacher has no such layer, or doesn't return a tensor.
    """

    def __init__(self, batches: Iterable[tuple[Tensor, Tensor]], teacher: nn.Module, layers: Iterable[str] = ()):
        self.batches, self.teacher, self.layers = batches, teacher, tuple(layers)
        self.watch = Watch(teacher, self.layers)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator:
        for inputs, labels in self.batches:
            with inference(self.teacher):
                logits = logits_of(self.teacher, inputs.clone())  # the teacher may change its input in place
                said = (logits, *(self.watch[name] for name in self.layers))
            yield inputs, (labels, *(value.clone() for value in said))
