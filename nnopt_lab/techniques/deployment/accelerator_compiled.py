"""Engines compiled by `torch.compile` for an accelerator; the program includes the conversions of input and output."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment import tf32
from nnopt_lab.techniques.deployment.accelerator_precisions import (
    DTYPES,
    Maker,
    layout_of,
    outside_inference_mode,
    require_feature,
)
from nnopt_lab.techniques.deployment.compiler import compile_graph
from nnopt_lab.techniques.deployment.engine import Engine, evaluation_copy, new_engine
from nnopt_lab.techniques.deployment.quantized_linear import quantize_linear, stored_bytes, with_enough_rows
from nnopt_lab.techniques.deployment.torch_engines import exported_program
from nnopt_lab.workbench import device, measure


class Converted(nn.Module):
    """A network in `dtype` with float32 input and output."""

    def __init__(self, network: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.network, self.dtype = network, dtype

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, ...] → float32."""
        return self.network(x.to(self.dtype)).float()


def compiled_in(precision: str) -> Maker:
    """Make engines compiled by `torch.compile` in a floating-point format."""
    return _maker(precision, lambda program: program)


def compiled_with_graphs_in(precision: str) -> Maker:
    """Make engines compiled by `torch.compile(mode="reduce-overhead")`, which replays its program as CUDA graphs."""
    return _maker(precision, _replayed, mode="reduce-overhead")


def _maker(precision: str, wrap: Callable[[Callable], Callable], **options) -> Maker:
    def make(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
        require_feature(device.of(calibration), precision)
        if options:
            require_feature(device.of(calibration), "graphs")
        network = _converted(model, precision)
        batches = [batch.contiguous() for batch in calibration]
        size = measure.disk_bytes(network)
        with tf32.float32_products(precision == "tf32"):
            graph = exported_program(network, batches).module()
            run = wrap(compile_graph(graph, batches, layout=torch.contiguous_format, inference=not options, **options))
        return new_engine(precision, tf32.computing(_contiguous(run), precision), calibration, size)

    return make


def quantized_in(precision: str) -> Maker:
    """Make engines with int8 or fp8 linear layers and everything else in bfloat16.

    They are compiled, since computing the scales of activations and rounding them takes many small operators.
    """

    def make(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
        require_feature(device.of(calibration), precision)
        network = _converted(model, "bf16")
        quantize_linear(network, precision)
        batches = [batch.contiguous() for batch in calibration]
        # Freezing would fold integers and scales back into floating-point weights.
        options = {"freezing": False, "inference": False, "fullgraph": True}
        run = outside_inference_mode(compile_graph(network, batches, layout=torch.contiguous_format, **options))
        return new_engine(precision, with_enough_rows(_contiguous(run)), calibration, stored_bytes(network))

    return make


def _converted(model: nn.Module, precision: str) -> Converted:
    model = evaluation_copy(model).to(DTYPES[precision]).to(memory_format=layout_of(precision))
    return Converted(model, DTYPES[precision]).eval()


def _contiguous(run: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: run(x.contiguous())


def _replayed(program: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def run(x: Tensor) -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()
        return program(x).clone()  # the next replay overwrites the outputs

    return outside_inference_mode(run)
