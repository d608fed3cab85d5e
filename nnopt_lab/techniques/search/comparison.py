"""Compare an exported engine with the original on the validation pictures, class by class, and in time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nnopt_lab.techniques.search.tasks import Task
from nnopt_lab.workbench import data, measure, smoke

MANY, LOSS = 20, 10.0  # classes of the largest confusion table; percentage points that a class loses to be told first


@dataclass(frozen=True)
class Comparison:
    """What the original and the exported engine answer for the same pictures, and how long they take.

    Attributes:
        labels, before, after: int64 [N], the true classes, the original's answers, and the exported engine's.
        names: of the classes; empty if unknown.
        times: by pictures per batch, the timings of "original" and "new", measured in turns.
    """

    labels: Tensor
    before: Tensor
    after: Tensor
    names: Sequence[str]
    times: dict[int, dict[str, measure.Timing]]

    def name(self, label: int) -> str:
        """A class's name, or its number."""
        return str(self.names[label]) if label < len(self.names) else str(label)

    @property
    def parity(self) -> float:
        """Percentage of the pictures for which both give the same class."""
        return 100 * (self.before == self.after).double().mean().item()

    @property
    def difference(self) -> measure.Interval:
        """The change in accuracy, in percentage points."""
        return self._difference(torch.ones_like(self.labels, dtype=torch.bool))

    def class_rows(self) -> list[list[str]]:
        """A table of accuracy by class, largest loss first; of many classes, the 20 with the largest losses."""
        changes = sorted((self._accuracy(self.after, c) - self._accuracy(self.before, c), c) for c in self._classes())
        rows = [["class", "pictures", "original", "exported", "change"]]
        for change, c in changes[:MANY]:
            before, after = (f"{self._accuracy(answers, c):.1f} %" for answers in (self.before, self.after))
            rows.append([self.name(c), str(int((self.labels == c).sum())), before, after, f"{change:+.1f}"])
        return rows

    def losses(self) -> list[str]:
        """A sentence for each class that loses at least 10 percentage points, and not by chance."""
        said = []
        for c in self._classes():
            change = self._accuracy(self.after, c) - self._accuracy(self.before, c)
            interval = self._difference(self.labels == c)
            if change <= -LOSS and interval.high < 0:
                said.append(f"Class {self.name(c)} loses {-change:.1f} percentage points of accuracy.")
        return said

    def confusion_rows(self) -> list[list[str]]:
        """A table of pictures by true and answered class, "original → exported"; empty for more than 20 classes."""
        classes = sorted({*self._classes(), *self.before.tolist(), *self.after.tolist()})
        if len(classes) > MANY:
            return []
        rows = [["true \\ answered", *(self.name(c) for c in classes)]]
        for true in classes:
            here = self.labels == true
            counts = [[int((a[here] == c).sum()) for a in (self.before, self.after)] for c in classes]
            rows.append([self.name(true), *(str(b) if a == b else f"{b} → {a}" for b, a in counts)])
        return rows

    def time_rows(self) -> list[list[str]]:
        """A table of time by pictures per batch: medians with quartiles, and the ratio with its interval."""
        rows = [["batch", "original", "exported", "exported is"]]
        for batch, timings in self.times.items():
            old, new = timings["original"], timings["new"]
            rows.append([str(batch), str(old), str(new), str(measure.ratio(old, new))])
        return rows

    def _classes(self) -> list[int]:
        return self.labels.unique().tolist()

    def _accuracy(self, answers: Tensor, label: int) -> float:
        return 100 * (answers[self.labels == label] == label).double().mean().item()

    def _difference(self, chosen: Tensor) -> measure.Interval:
        before, after = ((answers == self.labels)[chosen] for answers in (self.before, self.after))
        return measure.proportion_difference(before, after)


def compare(task: Task, before: Callable, after: Callable, time: Callable, batches: Sequence[int]) -> Comparison:
    """Run both on the validation pictures, and time them in turns.

    Args:
        task: the task of the search.
        before, after: engines of the original and of the exported network.
        time: (functions by name, batch) → timings by name.
        batches: pictures per batch to time.
    """
    split = smoke.few(task.pictures.validation)
    answers = ([], [])
    for inputs, _ in data.loader(split, task.pictures, 256):
        for engine, found in zip((before, after), answers, strict=True):
            found.append(engine(inputs).argmax(1).cpu())
    engines = {"original": before, "new": after}
    times = {count: time(engines, task.inputs(count).to(task.device)) for count in batches}
    names = task.class_names or ()
    return Comparison(split.labels, *(torch.cat(found) for found in answers), names, times)
