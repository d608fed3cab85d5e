"""An engine: a network that is ready to run, whatever computes it.

Engines are made by functions (model, calibration) → `Engine`, grouped by runtime: `torch_engines`, `compiler`, `pt2e`,
`ahead_of_time`, `onnx_engines`, `openvino_engines`. All compute on the CPU, with as many threads as torch has when they
are built, and leave the model as it is. Those in int8 choose their grids on the calibration pictures (static
quantization: one scale per channel for weights, one per tensor for activations). Heavy packages are imported where they
are used: a lesson that needs one engine does not wait for the others.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.network_checks import copied
from nnopt_lab.workbench import measure


class EngineUnavailable(RuntimeError):
    """An engine cannot run here; the message says in one sentence which package, compiler or processor is missing."""


@dataclass(frozen=True, repr=False)
class Engine:
    """A network ready to run: called with float32 [N, ...], N at least 1, it returns the model's logits, float32.

    Attributes:
        name: as in `registry.ENGINES`.
        run: what computes, without checks.
        picture: shape of one picture, [3, 32, 32] for the course's networks.
        bytes: on disk, in the engine's own file format, everything included.
        seconds: that it took to build: conversion, calibration, compilation.
    """

    name: str
    run: Callable[[Tensor], Tensor]
    picture: tuple[int, ...]
    bytes: int
    seconds: float = float("nan")

    def __call__(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32 or x.dim() == 0 or len(x) == 0 or tuple(x.shape[1:]) != self.picture:
            raise ValueError(f"x is {x.dtype} {list(x.shape)}; it must be float32 [N, {str(list(self.picture))[1:]}.")
        with torch.inference_mode():
            return self.run(x)

    def __repr__(self) -> str:
        return f"{self.name}: {measure.format_bytes(self.bytes)}, built in {self.seconds:.1f} s"


def new_engine(name: str, run: Callable, calibration: Sequence[Tensor], size: int) -> Engine:
    """An engine of `size` bytes for pictures like those of `calibration`."""
    return Engine(name, run, tuple(calibration[0].shape[1:]), size)


def evaluation_copy(model: nn.Module) -> nn.Module:
    """A copy of the model in evaluation mode."""
    return copied(model).eval()


def two_pictures(calibration: Sequence[Tensor]) -> Tensor:
    """Two pictures to export a graph with: exported from one, it would be for one only."""
    return torch.cat([calibration[0], calibration[0]])[:2]


def require(module: str, package: str, extra: str | None = None):
    """Import a module quietly.

    Raises:
        EngineUnavailable: it does not load; the message names the command that installs its package, or this package's
            `extra`.
    """
    try:
        with quiet(package):
            return importlib.import_module(module)
    except ImportError as error:
        cure = f"pip install 'nnopt-lab[{extra}]'" if extra else f"pip install {package}"
        raise EngineUnavailable(f"{package} is missing or does not load ({error}): `{cure}`.") from error
