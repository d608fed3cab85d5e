"""The device that networks run on: find it, describe it, time it, and replace it by a stand-in in tests.

A call on an accelerator (CUDA, XPU, MPS) only *launches* work and returns at once. The device executes the work later,
in the order of its queue, the *stream*. `Stopwatch` times the work, `synchronize` waits for it, `upload` copies data to
the device, and `capture` records many launches as one. All of them work on the CPU too, where a call returns when its
work is done.
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
