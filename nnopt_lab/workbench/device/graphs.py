"""Graphs: many launches recorded once and replayed as one (CUDA graphs, and XPU's).

Their rules: a replay reads and writes the same memory as the recording, so that inputs are copied into the tensors that
were recorded, and results are overwritten by the next replay; shapes are fixed; nothing in between may wait for the
device or decide by a tensor's value. Source: "CUDA semantics" of torch, section "CUDA Graphs".
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
        replay: launches all of them at once.
        result: what the recorded function returned; each replay writes new numbers into its tensors.
    """

    replay: Callable[[], None]
    result: object


def capture(work: Callable[[], object], device: torch.device, warm_up: int = 3) -> Capture:
    """Record the launches of `work()`.

    Args:
        work: reads and writes the same tensors in each call. In inference mode it is called without that mode, so that
            it cannot write into tensors made there.
        device: from `find`.
        warm_up: calls before the recording, at least 1: they do what happens once only (memory, choice of kernels).

    Raises:
        DeviceMissing: the device has no graphs.
        RuntimeError: torch's own, where `work` breaks a rule of graphs.
    """
    if why := unavailable(device, "graphs"):
        raise DeviceMissing(why)
    with outside_inference_mode():
        fake = stands_in(device)
        return _rehearsed(work, fake, warm_up) if fake else _recorded(work, device, warm_up)


@contextlib.contextmanager
def outside_inference_mode() -> Iterator[None]:
    """Suspend inference mode for a while, without gradients; any other mode stays.

    The first recording makes the state of the device's random generator, and made in inference mode it could not be
    used by a recording of training afterwards (pytorch/pytorch#166792).
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
    """On a stand-in: a replay computes again, writes into the recorded result, and counts as one launch."""
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
