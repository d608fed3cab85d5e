"""An engine: a network that is ready to run, whatever computes it.

Engines are made by functions (model, calibration) → `Engine`, grouped by runtime: `torch_engines`, `compiler`, `pt2e`,
`ahead_of_time`, `onnx_engines`, `openvino_engines`, and for accelerators `accelerator`. On the CPU they compute with as
many threads as torch has when they are built. All leave the model as it is. On the CPU those in int8 choose their grids
on the calibration pictures (static quantization: one scale per channel for weights, one per tensor for activations).
Heavy packages are imported where they are used: a lesson that needs one engine does not wait for the others.
"""

import contextlib
import importlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.network_checks import copied, first_sentence
from nnopt_lab.workbench import device, measure, training
from nnopt_lab.workbench.device import CPU

# How far the outputs may be from the model's, as a share of their size (Euclidean norms over the example's outputs).
# Lossy engines must keep to it too: a format may round, but 2:4 sparsity must not prune weights that matter.
TOLERANCE = {"float32": 1e-4, "tf32": 0.01, "bf16": 0.03, "fp16": 0.01, "int8": 0.15, "fp8": 0.15}
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class EngineUnavailable(RuntimeError):
    """An engine cannot run here, or not this model; the message says in one sentence what is missing or what fails."""


class OutputsDiffer(EngineUnavailable):
    """An engine runs, but computes something other than the model; the message says how far off it is."""


@dataclass(frozen=True, repr=False)
class Engine:
    """A network ready to run: called with float32 [N, ...], N at least 1, it returns the model's logits, float32.

    Pictures may be on the engine's device or on the CPU, and the logits are returned on the pictures' device. If that
    isn't the engine's, the engine copies both and waits, so timings include the copies.

    Attributes:
        name: as in `registry.ENGINES`, or its target and precision.
        run: what computes, without checks.
        picture: shape of one picture, [3, 32, 32] for the course's networks.
        bytes: on disk, in the engine's own file format, everything included.
        seconds: that it took to build: conversion, calibration, compilation.
        device: where it computes.
    """

    name: str
    run: Callable[[Tensor], Tensor]
    picture: tuple[int, ...]
    bytes: int
    seconds: float = float("nan")
    device: torch.device = CPU

    def __call__(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32 or x.dim() == 0 or len(x) == 0 or tuple(x.shape[1:]) != self.picture:
            raise ValueError(f"x is {x.dtype} {list(x.shape)}; it must be float32 [N, {str(list(self.picture))[1:]}.")
        with torch.inference_mode():
            if x.device == self.device:
                return self.run(x)
            outputs = self.run(device.upload(x, self.device, wait=True))
            return outputs.to(x.device) if isinstance(outputs, Tensor) else outputs

    def __repr__(self) -> str:
        said = f"{self.name}: {measure.format_bytes(self.bytes)}, built in {self.seconds:.1f} s"
        if not device.is_accelerator(self.device):
            return said
        return f"{said}, on {device.describe(self.device)} (timings include copies if the pictures are on the CPU)"


def build(
    make: Callable[[nn.Module, Sequence[Tensor]], Engine],
    model: nn.Module,
    calibration: Sequence[Tensor],
    example: Tensor,
    wanted: Tensor,
    tolerance: float = float("inf"),
    name: str = "It",
    here: torch.device = CPU,
) -> Engine:
    """Make an engine, call it once, and compare its outputs with the model's.

    Args:
        make: (model, calibration) → engine, such as the values of `registry.ENGINES`.
        example: float32 [N, ...], left as it is.
        wanted: the model's own outputs for it, see `model_outputs`.
        tolerance: the largest allowed ‖outputs − wanted‖ / ‖wanted‖.
        name: of the engine in messages, which stand behind its name where it is "It".
        here: the device on which it computes; `make` gets copies of the model and the calibration batches there.

    Raises:
        EngineUnavailable: anything fails, while the engine is made or called.
        OutputsDiffer: the outputs have another shape, or are further from the model's than `tolerance`.
        ValueError: the model cannot be copied.
    """
    model = evaluation_copy(model)
    with failing_as_unavailable(f"{name} does not run this model"):
        model, given = model.to(here), example.detach().clone().to(here)
        calibration = [batch.detach().to(here) for batch in calibration]
        started = time.perf_counter()
        engine = make(model, calibration)
        device.synchronize(here)
        engine = replace(engine, seconds=time.perf_counter() - started, device=here)
        outputs = engine(given)
        outputs = outputs.cpu() if isinstance(outputs, Tensor) else outputs
    if not isinstance(outputs, Tensor) or outputs.shape != wanted.shape:
        got = list(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise OutputsDiffer(f"{name} gives {got} for {list(example.shape)}, the model {list(wanted.shape)}.")
    off = _distance(outputs, wanted)
    if not off <= tolerance and tolerance < float("inf"):  # NaN is not
        if not wanted.any():
            raise OutputsDiffer(f"{name} gives other outputs than the model, whose own are all zero.")
        raise OutputsDiffer(f"{name} is {off:.2g} of the outputs' size off; {tolerance:g} is allowed.")
    if not torch.equal(given.cpu(), example.cpu()):  # the model writes into its input, which is the caller's
        engine = replace(engine, run=_on_a_copy(engine.run))
    return engine


@contextlib.contextmanager
def failing_as_unavailable(what: str) -> Iterator[None]:
    """Raise `EngineUnavailable`, "`what` (…).", for any other exception."""
    try:
        yield
    except EngineUnavailable:
        raise
    except Exception as error:
        raise EngineUnavailable(f"{what} ({reason(error)}).") from error


def model_outputs(model: nn.Module, example: Tensor, name: str = "example") -> Tensor:
    """The model's own outputs for an example, in evaluation mode, without gradients and on the CPU.

    The model and the example are left as they are.

    Raises:
        ValueError: the model fails on it, or returns something other than one tensor float32; the sentence calls the
            example by `name`.
    """
    given = f"{name}, {example.dtype} {list(example.shape)}".replace("torch.", "")
    if training.device_of(model) != CPU:
        model = copied(model).cpu()
    try:
        with measure.inference(model):
            outputs = training.logits_of(model, example.detach().cpu().clone())
    except Exception as error:
        if isinstance(error, ValueError) and "it must return one tensor" in str(error):
            raise
        raise ValueError(f"model cannot be called on {given} ({reason(error)}).") from error
    if outputs.dtype != torch.float32 or outputs.dim() == 0:
        kind = f"{outputs.dtype} {list(outputs.shape)}".removeprefix("torch.")
        raise ValueError(f"model returns {kind} for {given}; it must return float32 [N, ...].")
    return outputs


def reason(error: BaseException) -> str:
    """An exception's type and the first sentence of its message, without colours for a terminal."""
    if type(error).__module__.startswith("torch.onnx") and error.__cause__:  # whose own message is about reports
        error = error.__cause__
    return _COLOURS.sub("", f"{type(error).__name__}: {first_sentence(error)}").rstrip(": ")


def _distance(outputs: Tensor, wanted: Tensor) -> float:
    """‖outputs − wanted‖ / ‖wanted‖; 0 where they are the same, those that are zero or infinite included."""
    missed = torch.where(outputs == wanted, 0.0, outputs - wanted).norm()
    size = wanted[wanted.isfinite()].norm()
    return (missed / size).item() if missed != 0 else 0.0


def _on_a_copy(run: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: run(x.clone())


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
