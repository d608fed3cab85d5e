"""An entry of the capstone, and the two numbers that decide which divisions it enters."""

import math
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from nnopt_lab.workbench import measure

FLOOR = 88.4  # percent of the test pictures: half a point below the baseline's 88.87
BYTES = 10_000
BATCHES = (1, 256)
BASELINE = "baseline"


@dataclass(frozen=True, repr=False)
class Entry:
    """One file and the judge's findings.

    Attributes:
        name: of the file, without ".onnx".
        bytes: size on disk.
        refused: a sentence that says why it was not measured, "" if it was. If refused, the next two are None.
        correct: bool [N], which test pictures it classified correctly.
        timings: batch size → (the baseline's timing, its own).
        ours: whether it came with the course.
        path: of the file.
        changed: percent of the test pictures of which it classifies most slightly changed versions correctly, see
            `variants`.
        validation: percent of the validation pictures that it classifies correctly when slightly changed; None if not
            measured.
    """

    name: str
    bytes: int
    refused: str = ""
    correct: Tensor | None = None
    timings: dict[int, tuple[measure.Timing, measure.Timing]] | None = None
    ours: bool = False
    path: Path | None = None
    changed: float = 100.0
    validation: float | None = None

    @property
    def accuracy(self) -> float:
        """Percent of the test pictures."""
        return 100 * self.correct.double().mean().item()

    @property
    def counted(self) -> float:
        """The accuracy that counts, in percent: the lower one of those on original and changed test pictures."""
        return min(self.accuracy, self.changed)

    @property
    def label(self) -> str:
        """The name to show. A learner's has no brackets, or else "small (ours)" could pose as the course's."""
        if self.ours:
            return self.name
        return "".join("-" if unicodedata.category(c) in ("Ps", "Pe") else c for c in self.name)

    @property
    def faster(self) -> dict[int, measure.Ratio]:
        """Batch size → ratio of the baseline's time to its own."""
        return {size: measure.ratio(*pair) for size, pair in self.timings.items()}

    @property
    def speedup(self) -> float:
        """The geometric mean of `faster` for batches of 1 and of 256: the score in the division "fastest"."""
        return math.prod(ratio.median for ratio in self.faster.values()) ** (1 / len(self.timings))
