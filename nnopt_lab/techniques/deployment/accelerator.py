"""Targets on an accelerator, which remove launches, use tensor cores, or both.

Makers get the model and the calibration batches on the device.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment import tf32
from nnopt_lab.techniques.deployment.accelerator_compiled import compiled_in, compiled_with_graphs_in, quantized_in
from nnopt_lab.techniques.deployment.accelerator_precisions import (
    DTYPES,
    Maker,
    layout_of,
    outside_inference_mode,
    require_feature,
)
from nnopt_lab.techniques.deployment.ahead_of_time import exported_in
from nnopt_lab.techniques.deployment.cuda_graphs import GraphedNetwork
from nnopt_lab.techniques.deployment.engine import Engine
from nnopt_lab.techniques.deployment.onnx_engines import onnx_cuda
from nnopt_lab.techniques.deployment.quantized_linear import stored_bytes
from nnopt_lab.techniques.deployment.torch_engines import channels_last_in
from nnopt_lab.techniques.deployment.two_four import two_four_sparse
from nnopt_lab.workbench import device

SPARSE = "2:4 sparse"


def _floating(precision: str, layout: torch.memory_format | None = None, build: Callable | None = None) -> Maker:
    """Make engines that compute in a floating-point format, operator by operator or by `build`."""

    def make(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
        require_feature(device.of(calibration), precision)
        engine = channels_last_in(
            precision, model, calibration, DTYPES[precision], build, layout or layout_of(precision)
        )
        return replace(engine, run=tf32.computing(engine.run, precision))

    return make


def _graphed(precision: str) -> Maker:
    """Make engines that replay all operators, including conversions, as one CUDA graph."""

    def make(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
        here = device.of(calibration)
        require_feature(here, "graphs")
        engine = _floating(precision)(model, calibration)
        return replace(engine, run=GraphedNetwork(engine.run, here))

    return make


def _exported(precision: str) -> Maker:
    def make(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
        require_feature(device.of(calibration), precision)
        with tf32.float32_products(precision == "tf32"):
            engine = exported_in(precision, model, calibration, DTYPES[precision], layout_of(precision))
        return replace(engine, run=tf32.computing(engine.run, precision))

    return make


def _sparse(precision: str) -> Maker:
    def make(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
        size = 0

        def build(network: nn.Module, batches: Sequence[Tensor]) -> nn.Module:
            nonlocal size
            two_four_sparse(network, batches)
            size = stored_bytes(network)
            return network

        engine = _floating(precision, build=build)(model, calibration)
        return replace(engine, run=outside_inference_mode(engine.run), bytes=size)

    return make


def _each(kind: Callable[[str], Maker]) -> dict[str, Maker]:
    return {precision: kind(precision) for precision in DTYPES}


ACCELERATOR_TARGETS: dict[str, dict[str, Maker]] = {
    "eager": _each(partial(_floating, layout=torch.contiguous_format)),
    "channels-last": _each(partial(_floating, layout=torch.channels_last)),
    "CUDA graph": _each(_graphed),
    "compiled": _each(compiled_in) | {precision: quantized_in(precision) for precision in ("int8", "fp8")},
    "compiled reduce-overhead": _each(compiled_with_graphs_in),
    "exported": _each(_exported),
    SPARSE: {precision: _sparse(precision) for precision in ("bf16", "fp16")},
    "ONNX Runtime": {"float32": onnx_cuda, "tf32": partial(onnx_cuda, tf32=True)},
}
