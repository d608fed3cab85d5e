"""Watch a network during a pass: its largest values, the gradients between layers, and what autograd keeps."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnopt_lab.techniques.quantization import QUANTIZABLE


@contextmanager
def largest_values(net: nn.Module) -> Iterator[list[float]]:
    """Note the largest magnitude among inputs and outputs, per call of a convolution or linear layer."""
    found = []

    def note(layer, inputs, output):
        found.append(max(inputs[0].abs().max().item(), output.abs().max().item()))

    with _hooked(net, note):
        yield found


@contextmanager
def output_gradients(net: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the gradients of the outputs of convolutions and linear layers, a vector per layer, from the last on."""
    caught = []

    def watch(layer, inputs, output):
        output.register_hook(lambda gradient: caught.append(gradient.detach().flatten()))

    with _hooked(net, watch):
        yield caught


def kept_for_backward(
    net: nn.Module, inputs: Tensor, labels: Tensor, dtype: torch.dtype | None = None
) -> dict[str, int]:
    """Bytes that autograd keeps for the backward pass of the cross-entropy, by dtype, without parameters.

    Args:
        inputs: float [N, …]. labels: int64 [N].
        dtype: of autocast on the CPU; None for float32.
    """
    own, seen = {p.untyped_storage().data_ptr() for p in net.parameters()}, {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = tensor, storage.nbytes()  # holds the tensor, so that its memory is not reused
        return tensor

    watched = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
    with watched, torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        F.cross_entropy(net(inputs), labels)
    kinds = {}
    for tensor, size in seen.values():
        kind = str(tensor.dtype).removeprefix("torch.")
        kinds[kind] = kinds.get(kind, 0) + size
    return kinds


@contextmanager
def _hooked(net: nn.Module, hook) -> Iterator[None]:
    handles = [layer.register_forward_hook(hook) for layer in net.modules() if isinstance(layer, QUANTIZABLE)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
