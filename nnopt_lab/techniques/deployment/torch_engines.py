"""Engines of torch itself, operator by operator: as it is, with channels last, and in bfloat16."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import Engine, evaluation_copy, new_engine, two_pictures
from nnopt_lab.techniques.deployment.logs import quiet_export
from nnopt_lab.workbench import measure


def eager(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """The model as it is, float32, operator by operator: what everything else is compared with."""
    model = evaluation_copy(model)
    return new_engine("eager float32", model, calibration, measure.disk_bytes(model))


def channels_last(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """float32 with the channels of a pixel side by side in memory (NHWC): the same operators, in faster versions."""
    return channels_last_in("channels-last float32", model, calibration, torch.float32)


def bfloat16(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """bfloat16 weights and activations, channels last, operator by operator; the logits come back as float32."""
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
        build: (network, batches), both in `dtype` and channels last → what computes; None for the network itself.
        layout: another order in memory than channels last.
    """
    model = evaluation_copy(model).to(dtype).to(memory_format=layout)
    low = [on_channels_last(lambda x: x, dtype, layout)(batch) for batch in calibration]
    size = measure.disk_bytes(model)  # now: what `build` makes of the weights may not be for a file of this kind
    run = on_channels_last(build(model, low) if build else model, dtype, layout)
    return new_engine(name, lambda x: run(x).float(), calibration, size)


def on_channels_last(
    run: Callable, dtype: torch.dtype = torch.float32, layout: torch.memory_format = torch.channels_last
) -> Callable:
    """Wrap `run` so that it gets its input in `dtype`, and a picture's channels last or in another `layout`."""
    return lambda x: run(x.to(dtype, memory_format=layout if x.dim() == 4 else torch.contiguous_format))


def exported_program(model: nn.Module, calibration: Sequence[Tensor]) -> torch.export.ExportedProgram:
    """The model's graph by `torch.export`, for any number of pictures in the layout of those of `calibration`."""
    with quiet_export():
        return torch.export.export(model, (two_pictures(calibration),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
