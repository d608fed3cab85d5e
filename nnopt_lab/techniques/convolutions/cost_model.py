"""A cost model: predict a layer's time from its arithmetic and memory traffic.

Arithmetic and memory traffic overlap, so the slower one counts: the roofline model (Williams, Waterman & Patterson
2009, https://doi.org/10.1145/1498765.1498785). The overhead of a call is added.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nnopt_lab.workbench import measure
from nnopt_lab.workbench.measure import LayerCost


@dataclass(frozen=True)
class CostModel:
    """Three numbers of a machine, measured once, from which every layer's time is predicted.

    Attributes:
        gflops: peak 10⁹ floating-point operations per second; a MAC is two.
        bandwidth: 10⁹ bytes per second, read plus written.
        overhead: seconds that even the smallest layer takes per call.
    """

    gflops: float
    bandwidth: float
    overhead: float

    def seconds(self, cost: LayerCost) -> float:
        """Predict the seconds of one call of a layer."""
        moved = cost.weight_bytes + cost.input_bytes + cost.output_bytes
        return self.overhead + max(2 * cost.macs / self.gflops, moved / self.bandwidth) / 1e9

    def model_seconds(self, model: nn.Module, example: Tensor) -> float:
        """Predict the seconds of one call of a model, counting only its convolutions and linear layers."""
        return sum(self.seconds(cost) for cost in measure.layer_costs(model, example))


def calibrate() -> CostModel:
    """Measure this machine's three numbers; takes about three seconds."""
    machine = measure.machine()
    tiny = measure.latency({"tiny": nn.Conv2d(1, 1, 1)}, torch.zeros(1, 1, 1, 1), rounds=20, budget_seconds=0.3)
    # Twice, so that a single slow second of the machine has no effect.
    gflops, bandwidth = (max(peak(), peak()) for peak in (machine.peak_gflops, machine.peak_bandwidth))
    return CostModel(gflops, bandwidth, tiny["tiny"].median)
