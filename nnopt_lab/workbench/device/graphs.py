"""Graphs: record many launches once and replay them as one (CUDA graphs, and XPU's).

Rules: a replay reads and writes the same memory as the recording. So new inputs are copied into the recorded tensors,
and each replay overwrites the previous results. Shapes are fixed, and the recorded code must not wait for the device or
branch on a tensor's value. Source: torch's "CUDA semantics", section "CUDA Graphs".
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from nnopt_lab.workbench.device.found import DeviceMissing
from nnopt_lab.workbench.device.offers import unavailable
from nnopt_lab.workbench.device.stand_in import stands_in

_CLASSES = {"cuda": "CUDAGraph", "xpu": "XPUGraph"}


@dataclass(frozen=True)
class Capture:
    """Recorded launches.

    Attributes:
        replay: function that launches all of them as one.
        result: return value of the recorded function; each replay overwrites its tensors.
    """

    replay: Callable[[], None]
    result: object


def capture(work: Callable[[], object], device: torch.device, warm_up: int = 3) -> Capture:
    """Record the launches of `work()`.

    Args:
        work: a function that reads and writes the same tensors in each call. Inference mode is suspended during its
            calls, so it can't write into tensors made in inference mode.
        device: from `find`.
        warm_up: calls before the recording, at least 1; they allocate memory and choose kernels.

    Raises:
        DeviceMissing: the device has no graphs.
        RuntimeError: from torch, if `work` breaks a rule of graphs.
    """
    if why := unavailable(device, "graphs"):
        raise DeviceMissing(why)
    with outside_inference_mode():
        fake = stands_in(device)
        return _rehearsed(work, fake, warm_up) if fake else _recorded(work, device, warm_up)


@contextlib.contextmanager
def outside_inference_mode() -> Iterator[None]:
    """Suspend inference mode inside the block, with gradients disabled; outside inference mode, change nothing.

    The first recording creates the state of the device's random generator. Created in inference mode, that state breaks
    later recordings of training (pytorch/pytorch#166792).
    """
    if not torch.is_inference_mode_enabled():
        yield
        return
    with torch.inference_mode(False), torch.no_grad():
        yield


def _recorded(work: Callable, device: torch.device, warm_up: int) -> Capture:
    module = getattr(torch, device.type)
    graph_class = getattr(module, _CLASSES[device.type], None)
    if graph_class is None:
        raise DeviceMissing(f"This version of torch has no graphs on {device.type}.")
    with module.device(device):
        side = module.Stream()
        side.wait_stream(module.current_stream())
        with module.stream(side):
            for _ in range(max(warm_up, 1)):
                work()
        module.current_stream().wait_stream(side)
        graph = graph_class()
        with module.graph(graph):
            result = work()
    return Capture(graph.replay, result)


def _rehearsed(work: Callable, fake, warm_up: int) -> Capture:
    """Capture on a stand-in: a replay computes again, overwrites the recorded result, and counts as one launch."""
    for _ in range(max(warm_up, 1)):
        work()
    result = work()
    recorded = _tensors(result)

    def replay() -> None:
        with fake.as_one_launch():
            again = _tensors(work())
        with torch.no_grad():
            for old, new in zip(recorded, again, strict=True):
                if old is not new:
                    old.copy_(new)

    return Capture(replay, result)


def _tensors(tree) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
