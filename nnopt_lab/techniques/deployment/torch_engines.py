"""Engines of torch itself, operator by operator: the plain model, channels last, and bfloat16."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import (
    Engine,
    evaluation_copy,
    failing_as_unavailable,
    new_engine,
    two_pictures,
)
from nnopt_lab.techniques.deployment.logs import quiet_export
from nnopt_lab.workbench import measure

# Engines whose graph torch.export can write, with the dtype and the memory layout of pictures that it computes in.
PROGRAMS = {
    "eager float32": (torch.float32, torch.contiguous_format),
    "channels-last float32": (torch.float32, torch.channels_last),
    "bf16": (torch.bfloat16, torch.channels_last),
}


def eager(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """The plain model, float32, operator by operator: the baseline of all comparisons."""
    model = evaluation_copy(model)
    return new_engine("eager float32", model, calibration, measure.disk_bytes(model))


def channels_last(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """float32 with the channels of a pixel adjacent in memory (NHWC): the same operators, with faster kernels."""
    return channels_last_in("channels-last float32", model, calibration, torch.float32)


def bfloat16(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """bfloat16 weights and activations, channels last, operator by operator; the logits are returned as float32."""
    return channels_last_in("bf16", model, calibration, torch.bfloat16)


def channels_last_in(
    name: str,
    model: nn.Module,
    calibration: Sequence[Tensor],
    dtype: torch.dtype,
    build: Callable[[nn.Module, Sequence[Tensor]], Callable] | None = None,
    layout: torch.memory_format = torch.channels_last,
) -> Engine:
    """An engine that computes in `dtype`, channels last.

    Args:
        name: of the engine.
        model, calibration: as for every engine, see `engine`.
        dtype: of weights and activations.
        build: (network, batches), both in `dtype` and channels last → the function to run; default the network itself.
        layout: memory layout of pictures, if not channels last.
    """
    model = evaluation_copy(model).to(dtype).to(memory_format=layout)
    low = [on_channels_last(lambda x: x, dtype, layout)(batch) for batch in calibration]
    size = measure.disk_bytes(model)  # before `build`, whose result may have weights that such a file can't store
    run = on_channels_last(build(model, low) if build else model, dtype, layout)
    return new_engine(name, lambda x: run(x).float(), calibration, size)


def on_channels_last(
    run: Callable, dtype: torch.dtype = torch.float32, layout: torch.memory_format = torch.channels_last
) -> Callable:
    """Wrap `run` so that its input is converted to `dtype`, and pictures to `layout`."""
    return lambda x: run(x.to(dtype, memory_format=layout if x.dim() == 4 else torch.contiguous_format))


def exported_program(model: nn.Module, calibration: Sequence[Tensor]) -> torch.export.ExportedProgram:
    """Export the model's graph by `torch.export`, for any number of pictures in the memory layout of `calibration`."""
    with quiet_export():
        return torch.export.export(model, (two_pictures(calibration),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))


def write_program(path: Path, name: str, model: nn.Module, calibration: Sequence[Tensor]) -> None:
    """Write the network of an engine of `PROGRAMS` as a .pt2 file, which `torch.export.load` reads without the model.

    Raises:
        EngineUnavailable: torch.export does not support the model.
    """
    dtype, layout = PROGRAMS[name]
    model = evaluation_copy(model).cpu().to(dtype).to(memory_format=layout)
    # The file contains the example that it was exported with, so it must not be the user's pictures.
    nothing = torch.zeros(2, *calibration[0].shape[1:])
    batches = [on_channels_last(lambda x: x, dtype, layout)(nothing)]
    with failing_as_unavailable("It cannot be exported by torch.export"), torch.no_grad():
        program = exported_program(model, batches)
        with quiet_export():
            torch.export.save(program, path)
