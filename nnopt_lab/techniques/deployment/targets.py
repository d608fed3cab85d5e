"""Deployment targets: build an engine, and compare it with its model before returning it.

A *target* is a runtime (eager torch, `torch.compile`, AOTInductor, ONNX Runtime, OpenVINO, and on an accelerator CUDA
graphs and 2:4 sparse products), a *precision* the format in which it computes.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.accelerator import ACCELERATOR_TARGETS, SPARSE
from nnopt_lab.techniques.deployment.ahead_of_time import exported, exported_bfloat16
from nnopt_lab.techniques.deployment.compiler import compiled, compiled_bfloat16
from nnopt_lab.techniques.deployment.engine import (
    TOLERANCE,
    Engine,
    EngineUnavailable,
    OutputsDiffer,
    build,
    model_outputs,
)
from nnopt_lab.techniques.deployment.onnx_engines import onnx_float32, onnx_int8
from nnopt_lab.techniques.deployment.openvino_engines import openvino_bfloat16, openvino_float32, openvino_int8
from nnopt_lab.techniques.deployment.pt2e import pt2e_int8
from nnopt_lab.techniques.deployment.torch_engines import bfloat16, channels_last, eager
from nnopt_lab.workbench.device import DeviceMissing, describe, find, is_accelerator
from nnopt_lab.workbench.progress_bar import progress_bar

TARGETS: dict[str, dict[str, Callable[[nn.Module, Sequence[Tensor]], Engine]]] = {
    "eager": {"float32": eager},
    "channels-last": {"float32": channels_last, "bf16": bfloat16},
    "compiled": {"float32": compiled, "bf16": compiled_bfloat16, "int8": pt2e_int8},
    "exported": {"float32": exported, "bf16": exported_bfloat16},
    "ONNX Runtime": {"float32": onnx_float32, "int8": onnx_int8},
    "OpenVINO": {
        "float32": openvino_float32,
        "bf16": openvino_bfloat16,
        "int8": openvino_int8,
    },
}
PRUNE_FIRST = "Prune the model with `prune_two_four` and fine-tune it with that mask, or allow more with `tolerance`."


def targets_on(here: torch.device) -> dict[str, dict[str, Callable[[nn.Module, Sequence[Tensor]], Engine]]]:
    """The targets of a device, each with its precisions: `ACCELERATOR_TARGETS`, or `TARGETS` on the CPU."""
    return ACCELERATOR_TARGETS if is_accelerator(here) else TARGETS


def deploy(
    model: nn.Module,
    example: Tensor,
    target: str = "eager",
    *,
    precision: str = "float32",
    device: torch.device | str = "cpu",
    calibration: Sequence[Tensor] | None = None,
    tolerance: float | None = None,
) -> Engine:
    """Build an engine that runs `model` on a target, and compare its outputs with the model's, on the CPU in float32.

    An engine on an accelerator accepts pictures there or on the CPU; `Engine` explains which copies are timed.

    Args:
        model: any network; left unchanged.
        example: float32 [N, ...], N at least 1; real pictures, on which the outputs are compared.
        target: a key of `targets_on(device)`.
        precision: "float32", "bf16" or "int8"; on an accelerator also "tf32", "fp16" and "fp8".
        device: "cpu", "accelerator" for any accelerator, or a device of torch such as "cuda:1".
        calibration: batches float32 [N, ...] of real pictures, not from the test split; needed for int8 on the CPU.
        tolerance: largest allowed ‖outputs − model's‖ / ‖model's‖, above 0; default the precision's entry in
            `TOLERANCE`.

    Returns:
        The engine: a call with float32 [N, ...], N at least 1, returns the outputs, float32.

    Raises:
        EngineUnavailable: the device is missing, or the target can't run there, can't run this model, or doesn't
            support the precision; the message says which.
        OutputsDiffer: it runs, but its outputs differ from the model's by more than `tolerance`.
        ValueError: an argument is out of its range, or the model fails on the example or doesn't return one float32
            tensor.
    """
    _check(example, target, precision, calibration, tolerance)
    make, here = _maker(target, precision, device)
    if precision == "int8" and not calibration and not is_accelerator(here):
        raise ValueError("calibration must contain at least one batch of real pictures, which int8 needs.")
    wanted, allowed = model_outputs(model, example), tolerance or TOLERANCE[precision]
    batches, name = list(calibration or [example]), f"{target} in {precision}"
    try:
        engine = build(make, model, batches, example, wanted, allowed, name, here)
    except OutputsDiffer as differs:
        if target != SPARSE:
            raise
        raise OutputsDiffer(f"{differs} {PRUNE_FIRST}") from differs
    return replace(engine, name=f"{target} {precision}")


def deploy_all(
    model: nn.Module,
    example: Tensor,
    choices: Sequence[tuple[str, str]],
    calibration: Sequence[Tensor],
    device: torch.device | str = "cpu",
) -> tuple[dict[str, Engine], dict[str, str]]:
    """Call `deploy` for each (target, precision), with a progress bar.

    Args:
        model, example, calibration, device: as in `deploy`.
        choices: pairs (target, precision).

    Returns:
        The engines that run here by "target precision", and for each other pair a sentence that says why it doesn't.

    Raises:
        ValueError: as in `deploy`.
    """
    ready, missing = {}, {}
    for target, precision in progress_bar(choices, desc="deploying", unit="target"):
        name = f"{target} {precision}"
        try:
            ready[name] = deploy(model, example, target, precision=precision, device=device, calibration=calibration)
        except EngineUnavailable as reason:
            missing[name] = str(reason)
    return ready, missing


def _maker(target: str, precision: str, device: torch.device | str) -> tuple[Callable, torch.device]:
    try:
        here = find(device)
    except DeviceMissing as missing:
        raise EngineUnavailable(str(missing)) from missing
    targets = targets_on(here)
    if target not in targets:
        name = describe(here) if is_accelerator(here) else "the CPU"
        raise EngineUnavailable(f"{target!r} does not run on {name}, only {', '.join(targets)}.")
    if precision not in targets[target]:
        raise EngineUnavailable(f"{target!r} does not support {precision} here, only {', '.join(targets[target])}.")
    return targets[target][precision], here


def _check(example: Tensor, target: str, precision: str, calibration, tolerance: float | None) -> None:
    if target not in (known := TARGETS | ACCELERATOR_TARGETS):
        raise ValueError(f"target={target!r} must be one of {', '.join(known)}.")
    if precision not in TOLERANCE:
        raise ValueError(f"precision={precision!r} must be one of {', '.join(TOLERANCE)}.")
    for name, batch in (("example", example), *(("calibration", batch) for batch in calibration or ())):
        if not isinstance(batch, Tensor):
            raise ValueError(f"{name} contains {type(batch).__name__}; it must be float32 [N, ...], N ≥ 1.")
        if batch.dtype != torch.float32 or batch.dim() < 2 or len(batch) == 0:
            raise ValueError(f"{name} contains {batch.dtype} {list(batch.shape)}; it must be float32 [N, ...], N ≥ 1.")
        if batch.shape[1:] != example.shape[1:]:
            raise ValueError(
                f"calibration contains {list(batch.shape)}; its pictures must have the shape of those in example, "
                f"{list(example.shape)}."
            )
    if tolerance is not None and not tolerance > 0:
        raise ValueError(f"tolerance={tolerance} must be above 0.")
