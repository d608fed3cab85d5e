"""Measure how large, how fast and how accurate a network is, and whether a difference between two of them is real.

Sizes are exact counts, times are samples. Each module measures one quantity, and `compare` combines them in a table.
"""

from nnopt_lab.workbench.measure.comparison import Comparison, compare
from nnopt_lab.workbench.measure.dtypes import Dtypes
from nnopt_lab.workbench.measure.energy import Energy, energy
from nnopt_lab.workbench.measure.hardware import Machine, machine
from nnopt_lab.workbench.measure.intervals import (
    Interval,
    Ratio,
    mean_difference,
    median_interval,
    proportion_difference,
)
from nnopt_lab.workbench.measure.layers import layer_table
from nnopt_lab.workbench.measure.memory import peak_memory
from nnopt_lab.workbench.measure.modes import inference
from nnopt_lab.workbench.measure.operators import Operator, operators
from nnopt_lab.workbench.measure.size import Parameters, disk_bytes, parameters
from nnopt_lab.workbench.measure.tables import format_bytes, format_count
from nnopt_lab.workbench.measure.throughput import COPIES, throughput
from nnopt_lab.workbench.measure.timing import SelfTimed, Timing, latency, ratio
from nnopt_lab.workbench.measure.work import COUNTED, LayerCost, layer_costs, macs
from nnopt_lab.workbench.measure.written import number, times_as_fast, with_interval

__all__ = [
    "COPIES",
    "COUNTED",
    "Comparison",
    "Dtypes",
    "Energy",
    "Interval",
    "LayerCost",
    "Machine",
    "Operator",
    "Parameters",
    "Ratio",
    "SelfTimed",
    "Timing",
    "compare",
    "disk_bytes",
    "energy",
    "format_bytes",
    "format_count",
    "inference",
    "latency",
    "layer_costs",
    "layer_table",
    "machine",
    "macs",
    "mean_difference",
    "median_interval",
    "number",
    "operators",
    "parameters",
    "peak_memory",
    "proportion_difference",
    "ratio",
    "throughput",
    "times_as_fast",
    "with_interval",
]
