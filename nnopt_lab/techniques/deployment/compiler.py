"""Engines by `torch.compile`, which fuses operators on the same numbers into one loop in C++."""

import importlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable
from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.deployment.torch_engines import channels_last_in, exported_program, on_channels_last
from nnopt_lab.workbench import device, smoke


def compiled(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """`channels_last`, compiled by `torch.compile`."""
    return channels_last_in("compiled float32", model, calibration, torch.float32, _compiled)


def compiled_bfloat16(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """`bfloat16`, compiled by `torch.compile`."""
    return channels_last_in("compiled bf16", model, calibration, torch.bfloat16, _compiled)


def compile_graph(
    graph: nn.Module,
    calibration: Sequence[Tensor],
    freezing: bool = True,
    layout: torch.memory_format = torch.channels_last,
    inference: bool = True,
    **options,
) -> Callable:
    """Compile a graph for any number of pictures, with constant weights (freezing).

    torch compiles one program for a single picture, one for 2 to 15 and one for more. Those that the calibration
    batches need are compiled now, the others on first use, always with freezing, which int8 kernels need.

    Args:
        graph: the network to compile.
        calibration: batches on the device to compile for.
        freezing: False for weights that are not plain tensors.
        layout: memory layout of the pictures to compile for now.
        inference: whether the program will be called in inference mode.
        options: further arguments of `torch.compile`, such as `mode`.

    Raises:
        EngineUnavailable: there is no compiler, or compilation fails.
    """
    require_compiler(device.of(calibration))
    with quiet():
        inductor = importlib.import_module("torch._inductor.config")
        errors = importlib.import_module("torch._dynamo.exc")
        program = torch.compile(graph, dynamic=True, **options)
    seen = set()

    def run(x: Tensor) -> Tensor:
        key = len(x), x.stride(), x.is_inference(), torch.get_num_threads()
        if key not in seen:
            with inductor.patch(freezing=freezing), quiet("torch"):
                program(x)
            seen.add(key)
        return program(x)

    try:
        with torch.inference_mode() if inference else torch.no_grad():
            for batch in {len(batch): batch for batch in calibration}.values():
                on_channels_last(run, batch.dtype, layout)(batch)
    except (errors.TorchDynamoException, RuntimeError) as error:
        raise EngineUnavailable(f"torch.compile fails here: {str(error).strip().splitlines()[0]}") from error
    return run


def require_compiler(here: torch.device = device.CPU) -> None:
    """Raise `EngineUnavailable` in smoke mode, or if a compiler is missing: C++, and for most GPUs Triton."""
    if smoke.on():
        raise EngineUnavailable("Smoke mode compiles nothing.")
    with quiet():
        builder = importlib.import_module("torch._inductor.cpp_builder")
    try:
        builder.get_cpp_compiler()
    except RuntimeError as error:
        raise EngineUnavailable(
            "torch.compile needs a C++ compiler (g++, clang, or on Windows Visual C++), and none was found."
        ) from error
    if here.type in ("cuda", "xpu") and not importlib.import_module("torch.utils._triton").has_triton():
        raise EngineUnavailable(f"torch.compile needs Triton on {device.describe(here)}, and it is missing or too old.")


def _compiled(model: nn.Module, calibration: Sequence[Tensor]) -> Callable:
    return compile_graph(exported_program(model, calibration).module(), calibration)
