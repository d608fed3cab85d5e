"""Mixed precision: number formats, and a training step that uses several of them.

The article's section 5 gives an outlook on mixing number formats in training. Available here:

- `formats`: the formats, and rounding to them;
- `emulation`: layers that compute as if they used another format;
- `training_step`: autocast and loss scaling.
"""

from nnopt_lab.techniques.quantization.precision.emulation import Rounding, emulate
from nnopt_lab.techniques.quantization.precision.formats import (
    FORMATS,
    Format,
    bits_of,
    largest_shift,
    round_to,
    spacing,
)
from nnopt_lab.techniques.quantization.precision.training_step import step

__all__ = ["FORMATS", "Format", "Rounding", "bits_of", "emulate", "largest_shift", "round_to", "spacing", "step"]
