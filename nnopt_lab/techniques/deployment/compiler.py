"""Engines by `torch.compile`: operators that read and write the same numbers become one loop, in C++."""

import importlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable
from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.deployment.torch_engines import channels_last_in, exported_program, on_channels_last
from nnopt_lab.workbench import device, smoke


def compiled(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """`channels_last` by `torch.compile`."""
    return channels_last_in("compiled float32", model, calibration, torch.float32, _compiled)


def compiled_bfloat16(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """`bfloat16` by `torch.compile`."""
    return channels_last_in("compiled bf16", model, calibration, torch.bfloat16, _compiled)


def compile_graph(
    graph: nn.Module,
    calibration: Sequence[Tensor],
    freezing: bool = True,
    layout: torch.memory_format = torch.channels_last,
    inference: bool = True,
    **options,
) -> Callable:
    """Compile a graph for any number of pictures, with the weights folded in (freezing).

    torch makes one program for a single picture, one for 2 to 15 and one for more. What the calibration batches need is
    made now, and the others when they are needed, always with freezing: else int8 kernels would not be found.

    Args:
        calibration: batches on the device for which it is compiled.
        freezing: False for weights that are no plain tensors.
        layout: of the pictures that it is compiled for now.
        inference: whether it will be called in inference mode.
        options: further ones of `torch.compile`, such as its `mode`.

    Raises:
        EngineUnavailable: there is no compiler, or it fails.
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
    """Raise `EngineUnavailable` in smoke mode, and where a compiler is missing: C++, and for most GPUs Triton."""
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
