"""An entry of the capstone, and the two numbers that decide which divisions it enters."""

import math
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
    """

    name: str
    bytes: int
    refused: str = ""
    correct: Tensor | None = None
    timings: dict[int, tuple[measure.Timing, measure.Timing]] | None = None
    ours: bool = False
    path: Path | None = None

    @property
    def accuracy(self) -> float:
        """Per cent of the test pictures."""
        return 100 * self.correct.double().mean().item()

    @property
    def faster(self) -> dict[int, measure.Ratio]:
        """By batch size, how many times as long the baseline takes."""
        return {size: measure.ratio(*pair) for size, pair in self.timings.items()}

    @property
    def speedup(self) -> float:
        """The geometric mean of `faster` for batches of 1 and of 256: the score in the division "fastest"."""
        return math.prod(ratio.median for ratio in self.faster.values()) ** (1 / len(self.timings))
