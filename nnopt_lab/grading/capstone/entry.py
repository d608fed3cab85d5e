"""An entry of the capstone, and the two numbers that decide which divisions it enters."""

import math
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from nnopt_lab.workbench import measure

FLOOR = 88.4  # per cent of the test pictures: half a point below the baseline's 88.87
BYTES = 10_000
BATCHES = (1, 256)
BASELINE = "baseline"


@dataclass(frozen=True, repr=False)
class Entry:
    """One file and the judge's findings.

    Attributes:
        name: the file's, without ".onnx".
        bytes: on disk.
        refused: a sentence that says why it was not measured; "" where it was. The next two are None then.
        correct: bool [N], which test pictures it got right.
        timings: by batch size (the baseline's, its own).
        ours: whether it came with the course.
        path: the file's.
        changed: per cent of the test pictures of which it gets most versions right that are changed a little, see
            `variants`.
        validation: per cent of the validation pictures that it gets right when they are changed a little; None where
            the judge did not measure it.
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
        """Per cent of the test pictures."""
        return 100 * self.correct.double().mean().item()

    @property
    def counted(self) -> float:
        """The accuracy that counts, in per cent: on the test pictures as they are or changed, the lower one."""
        return min(self.accuracy, self.changed)

    @property
    def label(self) -> str:
        """The name as it is shown. A handed-in one has no brackets: else "small (ours)" could pose as the course's."""
        if self.ours:
            return self.name
        return "".join("-" if unicodedata.category(c) in ("Ps", "Pe") else c for c in self.name)

    @property
    def faster(self) -> dict[int, measure.Ratio]:
        """By batch size, how many times as long the baseline takes."""
        return {size: measure.ratio(*pair) for size, pair in self.timings.items()}

    @property
    def speedup(self) -> float:
        """The geometric mean of `faster` for batches of 1 and of 256: the score in the division "fastest"."""
        return math.prod(ratio.median for ratio in self.faster.values()) ** (1 / len(self.timings))
