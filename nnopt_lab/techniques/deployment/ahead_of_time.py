"""Engines compiled ahead of time: `torch.export`, then AOTInductor, whose library needs no Python to run."""

import importlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment import compiler
from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable
from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.deployment.torch_engines import channels_last_in, exported_program
from nnopt_lab.workbench import device


def exported(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """A compiled library for this processor, in float32."""
    return exported_in("exported float32", model, calibration, torch.float32)


def exported_bfloat16(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """`exported` with weights and activations in bfloat16."""
    return exported_in("exported bf16", model, calibration, torch.bfloat16)


def exported_in(
    name: str,
    model: nn.Module,
    calibration: Sequence[Tensor],
    dtype: torch.dtype,
    layout: torch.memory_format = torch.channels_last,
) -> Engine:
    """`exported` in another format and layout, for the device of the calibration."""
    size, here = 0, device.of(calibration)

    def build(graph: nn.Module, low: Sequence[Tensor]) -> Callable:
        nonlocal size
        compiler.require_compiler(here)
        inductor = importlib.import_module("torch._inductor")
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, quiet("torch"):
            path = Path(folder, "model.pt2")
            try:
                with torch.no_grad():
                    inductor.aoti_compile_and_package(exported_program(graph, low), package_path=str(path))
                where = {"device_index": here.index} if here.type != "cpu" else {}
                run = inductor.aoti_load_package(str(path), **where)
            except (RuntimeError, OSError) as error:
                first = str(error).strip().splitlines()[0]
                cure = " (it needs the CUDA toolkit; CUDA_HOME says where it is)" if here.type == "cuda" else ""
                raise EngineUnavailable(f"AOTInductor fails here: {first}{cure}") from error
            size = path.stat().st_size
        return run

    return replace(channels_last_in(name, model, calibration, dtype, build, layout), bytes=size)
