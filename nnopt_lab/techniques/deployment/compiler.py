"""Engines by `torch.compile`: operators that read and write the same numbers become one loop, in C++."""

import importlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable
from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.deployment.torch_engines import channels_last_in, exported_program, on_channels_last
from nnopt_lab.workbench import smoke


def compiled(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """`channels_last` by `torch.compile`."""
    return channels_last_in("compiled float32", model, calibration, torch.float32, _compiled)


def compiled_bfloat16(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """`bfloat16` by `torch.compile`."""
    return channels_last_in("compiled bf16", model, calibration, torch.bfloat16, _compiled)


def compile_graph(graph: nn.Module, calibration: Sequence[Tensor]) -> Callable:
    """Compile a graph for any number of pictures, with the weights folded in (freezing).

    torch makes one program for a single picture, one for 2 to 15 and one for more. What the calibration batches need is
    made now, and the others when they are needed, always with freezing: else int8 kernels would not be found.

    Raises:
        EngineUnavailable: there is no compiler, or it fails.
    """
    require_compiler()
    with quiet():
        inductor = importlib.import_module("torch._inductor.config")
        errors = importlib.import_module("torch._dynamo.exc")
        program = torch.compile(graph, dynamic=True)
    seen = set()

    def run(x: Tensor) -> Tensor:
        key = len(x), x.stride(), x.is_inference(), torch.get_num_threads()
        if key not in seen:
            with inductor.patch(freezing=True), quiet("torch"):
                program(x)
            seen.add(key)
        return program(x)

    try:
        with torch.inference_mode():
            for batch in {len(batch): batch for batch in calibration}.values():
                on_channels_last(run, batch.dtype)(batch)
    except (errors.TorchDynamoException, RuntimeError) as error:
        raise EngineUnavailable(f"torch.compile fails here: {str(error).strip().splitlines()[0]}") from error
    return run


def require_compiler() -> None:
    """Raise `EngineUnavailable` where no C++ compiler is found, and in smoke mode."""
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


def _compiled(model: nn.Module, calibration: Sequence[Tensor]) -> Callable:
    return compile_graph(exported_program(model, calibration).module(), calibration)
