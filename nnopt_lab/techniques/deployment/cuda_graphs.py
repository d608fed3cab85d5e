"""Engines by CUDA graphs: all launches of a call are recorded once per batch size, and replayed as one.

Small batches on an accelerator take as long as their launches; a graph removes nearly all of them. Source: Ng et al.
2021, "Accelerating PyTorch with CUDA Graphs".
"""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

from nnopt_lab.workbench import device

MOST_GRAPHS = 8  # each keeps the memory of its activations


class GraphedNetwork:
    """A network whose calls are replays: called with [N, …] on the device, it returns its outputs in new memory.

    Pictures are copied into the memory that was recorded, then the graph is replayed. The first call with another shape
    records another graph, which takes as long as some calls; of the graphs, the `MOST_GRAPHS` used last are kept.

    Args:
        network: called without gradients; it must not wait for the device, nor decide by a tensor's value.
        here: the device.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], here: torch.device):
        self.network, self.here = network, here
        self._graphs: OrderedDict[tuple, tuple[Tensor, device.Capture]] = OrderedDict()

    def __call__(self, x: Tensor) -> Tensor:
        key = tuple(x.shape), x.stride()
        if key not in self._graphs:
            self._graphs[key] = self._recorded(x)
            while len(self._graphs) > MOST_GRAPHS:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(key)
        given, graph = self._graphs[key]
        given.copy_(x)
        graph.replay()
        return graph.result.clone()  # which the next replay overwrites

    def _recorded(self, x: Tensor) -> tuple[Tensor, device.Capture]:
        with device.outside_inference_mode():
            given = x.clone()
            return given, device.capture(lambda: self.network(given), self.here)
