"""An exported network beside the original: answers class by class, time, memory and energy, as tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nnopt_lab.workbench import measure
from nnopt_lab.workbench.language import _, translated, translated_sentences

UNSTEADY = 2.0  # an interval whose ends differ by this factor says little about the networks
MANY, LOSS = 20, 10.0  # classes of the largest confusion table; percentage points that a class loses to be told first


@dataclass(frozen=True)
class Usage:
    """Memory and energy that the original and the exported network use for a batch.

    Attributes:
        memory: peak bytes of both; empty if unknown.
        measured: how the memory was measured, or why it is unknown.
        joules: energy of both; the first is None if unknown.
        reason: why the energy is unknown; empty otherwise.
    """

    memory: tuple[int, ...] = ()
    measured: str = ""
    joules: tuple[float | None, ...] = (None,)
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """What the original and the exported network answer for the same pictures, and what they need for it.

    Attributes:
        labels, before, after: int64 [N], the true classes, the original's answers, and the exported network's.
        names: of the classes; empty if unknown.
        times: by (pictures per batch, threads), the timings of "original" and "new", measured in turns.
        goal: the key of `times` that the search was about.
        usage: memory and energy for a batch of the goal.
    """

    labels: Tensor
    before: Tensor
    after: Tensor
    names: Sequence[str]
    times: dict[tuple[int, int], dict[str, measure.Timing]]
    goal: tuple[int, int]
    usage: Usage = Usage()

    def name(self, label: int) -> str:
        """A class's name, or its number."""
        return str(self.names[label]) if label < len(self.names) else str(label)

    @property
    def parity(self) -> float:
        """Percentage of the pictures for which both give the same class."""
        return 100 * (self.before == self.after).double().mean().item()

    @property
    def speedup(self) -> measure.Ratio:
        """The original's time over the exported network's, for a batch of the goal."""
        return measure.ratio(*self.times[self.goal].values())

    @property
    def accuracies(self) -> tuple[float, float]:
        """The original's and the exported network's, in percent."""
        before, after = (100 * (a == self.labels).double().mean().item() for a in (self.before, self.after))
        return before, after

    @property
    def difference(self) -> measure.Interval:
        """The change in accuracy, in percentage points."""
        return self._difference(torch.ones_like(self.labels, dtype=torch.bool))

    def class_rows(self) -> list[list[str]]:
        """A table of accuracy by class, largest loss first; of many classes, the 20 with the largest losses."""
        changes = sorted((self._accuracy(self.after, c) - self._accuracy(self.before, c), c) for c in self._classes())
        rows = [[_("class"), _("pictures"), _("original"), _("exported"), _("change")]]
        for change, c in changes[:MANY]:
            before, after = (f"{self._accuracy(answers, c):.1f} %" for answers in (self.before, self.after))
            rows.append(
                [self.name(c), str(int((self.labels == c).sum())), before, after, measure.number(change, "+.1f")]
            )
        return rows

    def losses(self) -> list[str]:
        """A sentence for each class that loses at least 10 percentage points, and not by chance."""
        said = []
        for c in self._classes():
            change = self._accuracy(self.after, c) - self._accuracy(self.before, c)
            interval = self._difference(self.labels == c)
            if change <= -LOSS and interval.high < 0:
                lost = {"name": self.name(c), "points": f"{-change:.1f}"}
                said.append(_("Class {name} loses {points} percentage points of accuracy.", **lost))
        return said

    def confusion_rows(self) -> list[list[str]]:
        """A table of pictures by true and answered class, "original → exported"; empty for more than 20 classes."""
        classes = sorted({*self._classes(), *self.before.tolist(), *self.after.tolist()})
        if len(classes) > MANY:
            return []
        rows = [[_("true \\ answered"), *(self.name(c) for c in classes)]]
        for true in classes:
            here = self.labels == true
            counts = [[int((a[here] == c).sum()) for a in (self.before, self.after)] for c in classes]
            rows.append([self.name(true), *(str(b) if a == b else f"{b} → {a}" for b, a in counts)])
        return rows

    def time_rows(self) -> list[list[str]]:
        """A table of time by batch and threads: medians with quartiles, and the ratio with its interval."""
        rows = [[_("batch"), _("threads"), _("original"), _("exported"), _("exported is")]]
        for (batch, threads), timings in self.times.items():
            old, new = timings["original"], timings["new"]
            rows.append([str(batch), str(threads), str(old), str(new), in_words(measure.ratio(old, new))])
        return rows

    def usage_rows(self) -> list[list[str]]:
        """A table of peak memory and energy for a batch of the goal."""
        memory = [_few_bytes(count) for count in self.usage.memory] or [_("unknown")] * 2
        joules = self.usage.joules if None not in self.usage.joules else ()
        energy = [f"{value:.3g} J" for value in joules] or [_("unknown")] * 2
        return [
            [_("per batch"), _("original"), _("exported")],
            [_("peak memory"), *memory],
            [_("energy"), *energy],
        ]

    def usage_notes(self) -> list[str]:
        """How memory and energy were measured, or why not."""
        how = translated(self.usage.measured)
        if self.usage.memory:
            notes = [_("Peak memory: {how}, to about 1 MiB.", how=how)]
        else:
            notes = [_("Peak memory is unknown: {reason}", reason=how)]
        if self.usage.reason:
            notes.append(_("Energy is unknown: {reason}", reason=translated_sentences(self.usage.reason)))
        return notes

    def _classes(self) -> list[int]:
        return self.labels.unique().tolist()

    def _accuracy(self, answers: Tensor, label: int) -> float:
        return 100 * (answers[self.labels == label] == label).double().mean().item()

    def _difference(self, chosen: Tensor) -> measure.Interval:
        before, after = ((answers == self.labels)[chosen] for answers in (self.before, self.after))
        return measure.proportion_difference(before, after)


def in_words(ratio: measure.Ratio) -> str:
    """Say which is faster, or that a busy machine hides it."""
    if unsteady(ratio):
        ends = {"low": f"{ratio.low:.2f}", "high": f"{ratio.high:.2f}"}
        return _("unsteady ({low} to {high} times as fast: the machine was busy)", **ends)
    return translated(str(ratio))


def unsteady(ratio: measure.Ratio) -> bool:
    """Whether a ratio's interval is so wide that it says little about the networks."""
    return ratio.high > UNSTEADY * ratio.low


def _few_bytes(count: int) -> str:
    return measure.format_bytes(count) if count >= 2**20 else _("below 1 MiB")
