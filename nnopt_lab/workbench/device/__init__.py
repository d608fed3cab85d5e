"""The device that networks run on: which one there is, what it offers, how to time it, and a stand-in for tests.

A call on an accelerator (CUDA, XPU, MPS) only *launches* work and returns at once; the device does it later, in the
order of a *stream*. `Stopwatch` times the work, `synchronize` waits for it, `upload` copies beside it, and `capture`
records many launches as one. On the CPU all of these work too, where every call is finished when it returns.
"""

from nnopt_lab.workbench.device.clocks import Stopwatch, host_clock, synchronize
from nnopt_lab.workbench.device.found import (
    CPU,
    DeviceMissing,
    accelerator,
    find,
    is_accelerator,
    of,
)
from nnopt_lab.workbench.device.graphs import Capture, capture, outside_inference_mode
from nnopt_lab.workbench.device.offers import Description, describe, unavailable, uuid
from nnopt_lab.workbench.device.stand_in import StandIn, stand_in
from nnopt_lab.workbench.device.streams import beside, current_stream, pin, side_stream, upload

__all__ = [
    "CPU",
    "Capture",
    "Description",
    "DeviceMissing",
    "StandIn",
    "Stopwatch",
    "accelerator",
    "beside",
    "capture",
    "current_stream",
    "describe",
    "find",
    "host_clock",
    "is_accelerator",
    "of",
    "outside_inference_mode",
    "pin",
    "side_stream",
    "stand_in",
    "synchronize",
    "unavailable",
    "upload",
    "uuid",
]
