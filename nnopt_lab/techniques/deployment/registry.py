"""All engines by name, and how to build several of them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.compiler import compiled, compiled_bfloat16
from nnopt_lab.techniques.deployment.engine import TOLERANCE, Engine, EngineUnavailable, build, model_outputs
from nnopt_lab.techniques.deployment.onnx_engines import onnx_float32, onnx_int8
from nnopt_lab.techniques.deployment.openvino_engines import openvino_bfloat16, openvino_float32, openvino_int8
from nnopt_lab.techniques.deployment.pt2e import pt2e_int8
from nnopt_lab.techniques.deployment.torch_engines import bfloat16, channels_last, eager
from nnopt_lab.workbench.progress_bar import progress_bar

ENGINES: dict[str, Callable[[nn.Module, Sequence[Tensor]], Engine]] = {
    "eager float32": eager,
    "channels-last float32": channels_last,
    "bf16": bfloat16,
    "compiled float32": compiled,
    "compiled bf16": compiled_bfloat16,
    "PT2E int8": pt2e_int8,
    "ONNX Runtime float32": onnx_float32,
    "ONNX Runtime int8": onnx_int8,
    "OpenVINO float32": openvino_float32,
    "OpenVINO bf16": openvino_bfloat16,
    "OpenVINO int8": openvino_int8,
}


def check_names(names: Sequence[str]) -> None:
    """Raise a ValueError that names the first of `names` that is not a key of `ENGINES`."""
    for name in names:
        if name not in ENGINES:
            raise ValueError(f"names holds {name!r}; choose from {', '.join(ENGINES)}.")


def build_engines(
    model: nn.Module, calibration: Sequence[Tensor], names: Sequence[str] = tuple(ENGINES)
) -> tuple[dict[str, Engine], dict[str, str]]:
    """Build engines, with a progress bar: those that run here, and for the others the sentence that says why not.

    Each is called once, on the first batch: one that fails, returns another shape than the model, or in float32 other
    outputs, does not run here.

    Args:
        model: any network on the CPU; it is not changed.
        calibration: batches float32 [N, ...] of real pictures, not of the test split; a few hundred pictures do.
        names: keys of `ENGINES`.

    Raises:
        ValueError: a name is not that of an engine, there are no calibration pictures, or the model fails on them, or
            returns something other than one tensor float32.
    """
    _check(calibration, names)
    built, missing = {}, {}
    wanted = model_outputs(model, calibration[0], "calibration")
    for name in progress_bar(names, desc="building engines", unit="engine"):
        try:
            built[name] = build(ENGINES[name], model, calibration, calibration[0], wanted, _tolerance(name))
        except EngineUnavailable as unavailable:
            missing[name] = str(unavailable)
    return built, missing


def build_engine(model: nn.Module, calibration: Sequence[Tensor], name: str) -> Engine:
    """One of `build_engines`.

    Raises:
        EngineUnavailable: it does not run here, or not this model.
        ValueError: as in `build_engines`.
    """
    _check(calibration, [name])
    wanted = model_outputs(model, calibration[0], "calibration")
    return build(ENGINES[name], model, calibration, calibration[0], wanted, _tolerance(name), name)


def _check(calibration: Sequence[Tensor], names: Sequence[str]) -> None:
    if not calibration or any(x.dtype != torch.float32 or x.dim() < 2 or len(x) == 0 for x in calibration):
        raise ValueError("calibration must be at least one batch float32 [N, ...] with N at least 1.")
    check_names(names)


def _tolerance(name: str) -> float:
    return TOLERANCE["float32"] if name.endswith("float32") else float("inf")
