"""Targets on an accelerator: what removes launches, what uses tensor cores, and both.

The makers get the model and the calibration on the device. An accelerator's tensor cores want channels last in all
formats but float32, in which channels last gain nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment import tf32
from nnopt_lab.techniques.deployment.ahead_of_time import exported_in
from nnopt_lab.techniques.deployment.compiler import compile_graph
from nnopt_lab.techniques.deployment.cuda_graphs import graphed
from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable
from nnopt_lab.techniques.deployment.onnx_engines import onnx_cuda
from nnopt_lab.techniques.deployment.quantized_linear import quantize_linear, stored_bytes, with_enough_rows
from nnopt_lab.techniques.deployment.torch_engines import channels_last_in, exported_program
from nnopt_lab.techniques.deployment.two_four import two_four_sparse
from nnopt_lab.workbench import device

DTYPES = {"float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SPARSE = "2:4 sparse"
Build = Callable[[nn.Module, Sequence[Tensor]], Callable]
Maker = Callable[[nn.Module, Sequence[Tensor]], Engine]


def require_precision(here: torch.device, precision: str) -> None:
    """Raise `EngineUnavailable` where an accelerator does not compute in a precision."""
    why = None if precision == "float32" else device.unavailable(here, precision)
    if why:
        raise EngineUnavailable(why)


def _layout(precision: str) -> torch.memory_format:
    return torch.contiguous_format if precision == "float32" else torch.channels_last


def _floating(precision: str, build: Build | None = None, layout: torch.memory_format | None = None) -> Maker:
    """A maker of engines that compute in a floating-point format: by `build`, or operator by operator."""

    def make(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
        require_precision(device.of(calibration), precision)
        with tf32.float32_products(precision == "tf32"):
            engine = channels_last_in(
                precision, model, calibration, DTYPES[precision], build, layout or _layout(precision)
            )
        return replace(engine, run=tf32.computing(engine.run, precision == "tf32"))

    return make


def _exported(precision: str) -> Maker:
    def make(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
        require_precision(device.of(calibration), precision)
        with tf32.float32_products(precision == "tf32"):
            engine = exported_in(precision, model, calibration, DTYPES[precision], _layout(precision))
        return replace(engine, run=tf32.computing(engine.run, precision == "tf32"))

    return make


def _compiled(model: nn.Module, batches: Sequence[Tensor]) -> Callable:
    return compile_graph(exported_program(model, batches).module(), batches)


def _compiled_with_graphs(model: nn.Module, batches: Sequence[Tensor]) -> Callable:
    """`torch.compile(mode="reduce-overhead")`: its program, replayed as CUDA graphs."""
    here = device.of(batches)
    if why := device.unavailable(here, "graphs"):
        raise EngineUnavailable(why)
    program = compile_graph(exported_program(model, batches).module(), batches, mode="reduce-overhead")

    def run(x: Tensor) -> Tensor:
        with device.outside_inference_mode():
            torch.compiler.cudagraph_mark_step_begin()
            # The clone of the output is because the next replay overwrites it.
            return program(x.clone() if x.is_inference() else x).clone()

    return run


def _quantized(precision: str, **options) -> Maker:
    """A maker of engines whose linear layers are int8 or fp8, compiled: quantizing activations is many small steps."""

    def make(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
        require_precision(device.of(calibration), precision)
        size = 0

        def build(network: nn.Module, batches: Sequence[Tensor]) -> Callable:
            nonlocal size
            quantize_linear(network, precision)
            size = stored_bytes(network)
            return with_enough_rows(compile_graph(network, batches, freezing=False, fullgraph=True, **options))

        engine = channels_last_in(precision, model, calibration, torch.bfloat16, build)
        return replace(engine, bytes=size)

    return make


def _sparse(precision: str) -> Maker:
    def make(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
        size = 0

        def build(network: nn.Module, batches: Sequence[Tensor]) -> Callable:
            nonlocal size
            two_four_sparse(network, batches)
            size = stored_bytes(network)
            return network

        return replace(_floating(precision, build)(model, calibration), bytes=size)

    return make


def _each(build: Build | None = None, layout: torch.memory_format | None = None) -> dict[str, Maker]:
    return {precision: _floating(precision, build, layout) for precision in DTYPES}


ACCELERATOR_TARGETS: dict[str, dict[str, Maker]] = {
    "eager": _each(layout=torch.contiguous_format),
    "channels-last": _each(layout=torch.channels_last),
    "CUDA graph": _each(graphed),
    "compiled": _each(_compiled) | {"int8": _quantized("int8"), "fp8": _quantized("fp8")},
    "compiled reduce-overhead": _each(_compiled_with_graphs),
    "exported": {precision: _exported(precision) for precision in DTYPES},
    SPARSE: {"bf16": _sparse("bf16"), "fp16": _sparse("fp16")},
    "ONNX Runtime": {"float32": onnx_cuda, "tf32": partial(onnx_cuda, tf32=True)},
}
