"""A cost model: predict how long a layer takes from what it computes and moves.

A layer is an amount of arithmetic, an amount of memory traffic, and the cost of a call. The first two run at the same
time, so the longer one counts: the roofline (Williams, Waterman & Patterson 2009). The call comes on top.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nnopt_lab.workbench import measure
from nnopt_lab.workbench.measure import LayerCost


@dataclass(frozen=True)
class CostModel:
    """Three numbers that a machine is measured for once, and every layer is predicted from.

    Attributes:
        gflops: 10⁹ floating-point operations per second, at best; a MAC is two.
        bandwidth: 10⁹ bytes per second, read plus written.
        overhead: seconds that a call takes however small the layer is.
    """

    gflops: float
    bandwidth: float
    overhead: float

    def seconds(self, cost: LayerCost) -> float:
        """Predicted seconds of one call of a layer."""
        moved = cost.weight_bytes + cost.input_bytes + cost.output_bytes
        return self.overhead + max(2 * cost.macs / self.gflops, moved / self.bandwidth) / 1e9

    def model_seconds(self, model: nn.Module, example: Tensor) -> float:
        """Predicted seconds of one call of a model: its convolutions and linear layers, and nothing else."""
        return sum(self.seconds(cost) for cost in measure.layer_costs(model, example))


def calibrate() -> CostModel:
    """Measure this machine's three numbers; takes about three seconds."""
    machine = measure.machine()
    tiny = measure.latency({"tiny": nn.Conv2d(1, 1, 1)}, torch.zeros(1, 1, 1, 1), rounds=20, budget_seconds=0.3)
    # Twice, so that one slow second of the machine does not decide.
    gflops, bandwidth = (max(peak(), peak()) for peak in (machine.peak_gflops, machine.peak_bandwidth))
    return CostModel(gflops, bandwidth, tiny["tiny"].median)
