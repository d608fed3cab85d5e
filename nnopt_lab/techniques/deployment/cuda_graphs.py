"""CUDA graphs for inference: all launches of a call are recorded once per batch size, and replayed as one.

Small batches on an accelerator take as long as their launches, and a graph removes nearly all of these. Source: Ng et
al. 2021, "Accelerating PyTorch with CUDA Graphs".
"""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

from nnopt_lab.workbench import device

MAX_GRAPHS = 8  # each keeps the memory of its activations


class GraphedNetwork:
    """A network that replays a graph: called with [N, …] on the device, it returns outputs in new memory.

    Each call copies the pictures into the recorded memory and replays the graph. The first call with a new shape takes
    as long as several calls, since it records a graph. The `MAX_GRAPHS` most recently used graphs are kept.

    Args:
        network: a function called without gradients; it must not wait for the device or branch on a tensor's value.
        here: the device, from `device.find`.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], here: torch.device):
        self.network, self.here = network, here
        self._graphs: OrderedDict[tuple, tuple[Tensor, device.Capture]] = OrderedDict()

    def __call__(self, x: Tensor) -> Tensor:
        key = tuple(x.shape), x.stride()
        if key not in self._graphs:
            self._graphs[key] = self._recorded(x)
            while len(self._graphs) > MAX_GRAPHS:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(key)
        given, graph = self._graphs[key]
        given.copy_(x)
        graph.replay()
        return graph.result.clone()  # the next replay overwrites the result

    def _recorded(self, x: Tensor) -> tuple[Tensor, device.Capture]:
        with device.outside_inference_mode():
            given = x.clone()
            return given, device.capture(lambda: self.network(given), self.here)
