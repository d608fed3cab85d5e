"""All engines by name, on the CPU and on an accelerator, and functions that build them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.accelerator import ACCELERATOR_TARGETS
from nnopt_lab.techniques.deployment.compiler import compiled, compiled_bfloat16
from nnopt_lab.techniques.deployment.engine import TOLERANCE, Engine, EngineUnavailable, build, model_outputs
from nnopt_lab.techniques.deployment.graphs import Graphs
from nnopt_lab.techniques.deployment.onnx_engines import onnx_float32, onnx_int8
from nnopt_lab.techniques.deployment.openvino_engines import openvino_bfloat16, openvino_float32, openvino_int8
from nnopt_lab.techniques.deployment.pt2e import pt2e_int8
from nnopt_lab.techniques.deployment.torch_engines import bfloat16, channels_last, eager
from nnopt_lab.workbench.device import CPU, find, is_accelerator
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

ACCELERATOR_ENGINES: dict[str, Callable[[nn.Module, Sequence[Tensor]], Engine]] = {
    f"{target} {precision}": make for target, kinds in ACCELERATOR_TARGETS.items() for precision, make in kinds.items()
}


def engines_on(here: torch.device) -> dict[str, Callable[[nn.Module, Sequence[Tensor]], Engine]]:
    """The engines of a device by name: `ACCELERATOR_ENGINES`, or `ENGINES` on the CPU."""
    return ACCELERATOR_ENGINES if is_accelerator(here) else ENGINES


def check_names(names: Sequence[str], here: torch.device = CPU) -> None:
    """Raise a ValueError for the first of `names` that is not an engine of the device."""
    for name in names:
        if name not in engines_on(here):
            raise ValueError(f"names contains {name!r}; choose from {', '.join(engines_on(here))}.")


def build_engines(
    model: nn.Module,
    calibration: Sequence[Tensor],
    names: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
    templates: dict | None = None,
) -> tuple[dict[str, Engine], dict[str, str]]:
    """Build engines with a progress bar.

    Engines of one runtime share the network's graph, which is exported once; the `seconds` of each include it. Each
    engine is called once, on the first batch. It counts as not running here if it fails, returns another shape
    than the model, or returns other outputs in float32.

    Args:
        model: any network; left unchanged.
        calibration: batches float32 [N, ...] of real pictures, not from the test split; a few hundred pictures are
            enough.
        names: of engines of the device, see `engines_on`; default all of them.
        device: "cpu", "accelerator", or a device of torch such as "cuda:0".
        templates: one dict, empty at first, for several calls with networks that differ in weights and widths: a later
            call refits an earlier one's exported graphs, which saves seconds.

    Returns:
        The engines that run here by name, and for each other name a sentence that says why it doesn't.

    Raises:
        ValueError: a name is not an engine, the device is missing, there are no calibration pictures, or the model
            fails on them or doesn't return one float32 tensor.
    """
    here = find(device)
    engines = engines_on(here)
    names = tuple(engines) if names is None else names
    _check(calibration, names, here)
    built, missing, graphs = {}, {}, Graphs(templates)
    wanted = model_outputs(model, calibration[0], "calibration")
    for name in progress_bar(names, desc="building engines", unit="engine"):
        try:
            built[name] = _built(name, model, calibration, wanted, here, graphs)
        except EngineUnavailable as unavailable:
            missing[name] = str(unavailable)
    return built, missing


def build_engine(
    model: nn.Module, calibration: Sequence[Tensor], name: str, device: torch.device | str = "cpu"
) -> Engine:
    """Build one engine, as `build_engines` does.

    Raises:
        EngineUnavailable: it can't run here, or can't run this model.
        ValueError: as in `build_engines`.
    """
    here = find(device)
    _check(calibration, [name], here)
    wanted = model_outputs(model, calibration[0], "calibration")
    return _built(name, model, calibration, wanted, here, Graphs(), name)


def _built(
    name: str,
    model: nn.Module,
    calibration: Sequence[Tensor],
    wanted: Tensor,
    here: torch.device,
    graphs: Graphs,
    called: str = "It",
) -> Engine:
    make = engines_on(here)[name]
    saved = graphs.saved_seconds(make)
    engine = build(graphs.shared(make), model, calibration, calibration[0], wanted, _tolerance(name), called, here)
    return replace(engine, name=name, seconds=engine.seconds + saved)


def _check(calibration: Sequence[Tensor], names: Sequence[str], here: torch.device) -> None:
    if not calibration or any(x.dtype != torch.float32 or x.dim() < 2 or len(x) == 0 for x in calibration):
        raise ValueError("calibration must be at least one batch float32 [N, ...] with N at least 1.")
    check_names(names, here)


def _tolerance(name: str) -> float:
    return TOLERANCE["float32"] if name.endswith("float32") else float("inf")
