"""Mixed precision: what each number format can hold, and a training step that uses several of them.

The article's section 5 names it as an outlook: floats and integers mixed in training. Available here:

- `formats`: the formats, and rounding to them;
- `emulation`: layers that compute as if in another format;
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
