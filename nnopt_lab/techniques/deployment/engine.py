"""An engine: a network that is ready to run, on any runtime.

Functions (model, calibration) → `Engine` make engines, grouped by runtime: `torch_engines`, `compiler`, `pt2e`,
`ahead_of_time`, `onnx_engines`, `openvino_engines`, and `accelerator` for accelerators. On the CPU, they compute with
the number of threads that torch has when they are built, and int8 engines choose their grids on the calibration
pictures (static quantization: one scale per channel for weights, one per tensor for activations). All leave the model
unchanged. Large packages are imported on first use, so a lesson that needs one engine does not wait for the others.
"""

import contextlib
import importlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.network_checks import copied, first_sentence
from nnopt_lab.workbench import device, measure, training
from nnopt_lab.workbench.device import CPU

# Largest relative error of the outputs: ‖outputs − model's‖ / ‖model's‖, Euclidean norms over the example's outputs.
# Lossy methods have the same limits: formats may only round, and 2:4 sparsity must not prune important weights.
TOLERANCE = {"float32": 1e-4, "tf32": 0.01, "bf16": 0.03, "fp16": 0.01, "int8": 0.15, "fp8": 0.15}
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class EngineUnavailable(RuntimeError):
    """An engine can't run here, or can't run this model; the message says why in one sentence."""


class OutputsDiffer(EngineUnavailable):
    """An engine runs, but its outputs differ from the model's; the message says by how much."""


@dataclass(frozen=True, repr=False)
class Engine:
    """A network that is ready to run: a call with float32 [N, ...], N at least 1, returns the model's logits, float32.

    Pictures may be on the engine's device or on the CPU; the logits are returned on the pictures' device. If that is
    not the engine's device, both are copied, the host waits for the copies, and a timing includes them.

    Attributes:
        name: as in `registry.ENGINES`, or its target and precision.
        run: the computation without checks.
        picture: shape of one picture, [3, 32, 32] for the course's networks.
        bytes: size on disk in the engine's own file format, everything included.
        seconds: time to build it: conversion, calibration, compilation.
        device: the device that computes.
        artefact: the files that it runs, contents by ending, such as {"xml": …, "bin": …}; empty for torch's engines.
    """

    name: str
    run: Callable[[Tensor], Tensor]
    picture: tuple[int, ...]
    bytes: int
    seconds: float = float("nan")
    device: torch.device = CPU
    artefact: dict[str, bytes] = field(default_factory=dict)

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
    """Build an engine, call it once, and compare its outputs with the model's.

    Args:
        make: (model, calibration) → engine, such as the values of `registry.ENGINES`.
        model: left unchanged.
        calibration: batches float32 [N, ...] of real pictures.
        example: float32 [N, ...], left unchanged.
        wanted: the model's own outputs for the example, see `model_outputs`.
        tolerance: largest allowed ‖outputs − wanted‖ / ‖wanted‖.
        name: the engine's name in messages; keep "It" if the messages are shown after its name.
        here: the engine's device; `make` gets copies of the model and the calibration there.

    Raises:
        EngineUnavailable: building or calling the engine fails.
        OutputsDiffer: the outputs have another shape, or differ from the model's by more than `tolerance`.
        ValueError: the model can't be copied.
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
        raise OutputsDiffer(f"{name} returns {got} for {list(example.shape)}, the model {list(wanted.shape)}.")
    off = _distance(outputs, wanted)
    if not off <= tolerance and tolerance < float("inf"):  # NaN is not
        if not wanted.any():
            raise OutputsDiffer(f"{name} returns other outputs than the model, whose own are all zero.")
        raise OutputsDiffer(f"{name} has a relative output error of {off:.2g}; at most {tolerance:g} is allowed.")
    if not torch.equal(given.cpu(), example.cpu()):  # the model writes into its input, which belongs to the caller
        engine = replace(engine, run=_on_a_copy(engine.run))
    return engine


@contextlib.contextmanager
def failing_as_unavailable(what: str) -> Iterator[None]:
    """Turn any other exception into `EngineUnavailable`, with the message "`what` (…)."."""
    try:
        yield
    except EngineUnavailable:
        raise
    except Exception as error:
        raise EngineUnavailable(f"{what} ({reason(error)}).") from error


def model_outputs(model: nn.Module, example: Tensor, name: str = "example") -> Tensor:
    """Compute the model's own outputs for an example, in evaluation mode, without gradients and on the CPU.

    Args:
        model: any network; left unchanged.
        example: float32 [N, ...]; left unchanged.
        name: of the argument that the example comes from, for messages.

    Returns:
        float32 [N, ...].

    Raises:
        ValueError: the model fails on the example, or doesn't return one float32 tensor.
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
    """An exception's type and the first sentence of its message, without terminal colours."""
    if type(error).__module__.startswith("torch.onnx") and error.__cause__:  # its own message is about report files
        error = error.__cause__
    return _COLOURS.sub("", f"{type(error).__name__}: {first_sentence(error)}").rstrip(": ")


def _distance(outputs: Tensor, wanted: Tensor) -> float:
    """‖outputs − wanted‖ / ‖wanted‖; 0 if they are equal, even if all are zero or some are infinite."""
    missed = torch.where(outputs == wanted, 0.0, outputs - wanted).norm()
    size = wanted[wanted.isfinite()].norm()
    return (missed / size).item() if missed != 0 else 0.0


def _on_a_copy(run: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: run(x.clone())


def new_engine(name: str, run: Callable, calibration: Sequence[Tensor], size: int) -> Engine:
    """An engine of `size` bytes for pictures of the shape in `calibration`."""
    return Engine(name, run, tuple(calibration[0].shape[1:]), size)


def evaluation_copy(model: nn.Module) -> nn.Module:
    """A copy of the model in evaluation mode."""
    return copied(model).eval()


def two_pictures(calibration: Sequence[Tensor]) -> Tensor:
    """Two pictures to export a graph with; torch would specialise a graph exported with one."""
    return torch.cat([calibration[0], calibration[0]])[:2]


def require(module: str, package: str, extra: str | None = None):
    """Import a module quietly.

    Raises:
        EngineUnavailable: it can't be imported; the message gives the command that installs `package`, or this
            package's `extra`.
    """
    try:
        with quiet(package):
            return importlib.import_module(module)
    except ImportError as error:
        cure = f"pip install 'nnopt-lab[{extra}]'" if extra else f"pip install {package}"
        raise EngineUnavailable(f"{package} is missing or does not load ({error}): `{cure}`.") from error
