"""Engines: what runs a network, and with which kernels; several of them with real integer arithmetic.

Each engine is a function (model, calibration) → `Engine`, which is called like the model. Those in int8 choose their
grids on the calibration pictures (static quantisation: weights a scale per channel, activations one per tensor) and
leave the model itself as it is. All compute on the CPU with as many threads as torch has when they are built, and all
raise `EngineUnavailable` where they can't run: a package, a C++ compiler or the right processor is missing.

Sources: PyTorch's PT2E flow as torchao has it (`torchao.quantization.pt2e`; its forerunner `torch.ao.quantization` is
deprecated), ONNX Runtime's "Quantize ONNX models", OpenVINO's and NNCF's "Basic quantization flow". Heavy packages are
imported where they are used: a lesson that needs one engine does not wait for the others.
"""

import contextlib
import copy
import importlib
import io
import logging
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import rich.live
import torch
from safetensors.torch import save
from torch import Tensor, nn

from nnopt_lab.workbench import measure, smoke
from nnopt_lab.workbench.progress_bar import progress_bar

X86 = ("x86_64", "AMD64")
INT8_INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "dotprod", "dot")


class EngineUnavailable(RuntimeError):
    """An engine cannot run here; the message is one sentence that says why."""


@dataclass(frozen=True, repr=False)
class Engine:
    """A network ready to run: called with float32 [N, ...], N at least 1, it returns the model's logits, float32.

    Attributes:
        name: as in `ENGINES`.
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


def int8_instructions() -> tuple[str, ...]:
    """Which instructions for sums of 8-bit products this processor has; empty where it has none, or does not tell.

    VNNI (x86) and the dot products of ARM multiply and add four pairs a lane at once, AMX and i8mm small matrices.
    """
    tells = getattr(torch.cpu, "get_capabilities", dict)()
    known = {name for name, there in tells.items() if there is True} | set(measure.machine().instructions)
    return tuple(name for name in INT8_INSTRUCTIONS if name in known)


def eager(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """The model as it is, float32, operator by operator: what everything else is compared with."""
    model = copy_of(model)
    return new_engine("eager float32", model, calibration, measure.disk_bytes(model))


def channels_last(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """float32 with the channels of a pixel side by side in memory (NHWC): the same operators, in faster versions."""
    return in_torch("channels-last float32", model, calibration, torch.float32)


def bfloat16(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """bfloat16 weights and activations, channels last, operator by operator; the logits come back as float32."""
    return in_torch("bf16", model, calibration, torch.bfloat16)


def compiled(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """`channels_last` by `torch.compile`: operators that read and write the same numbers become one loop."""
    return in_torch("compiled float32", model, calibration, torch.float32, _compiled)


def compiled_bfloat16(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """`bfloat16` by `torch.compile`."""
    return in_torch("compiled bf16", model, calibration, torch.bfloat16, _compiled)


def pt2e_int8(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """int8 by torchao's PT2E flow: export, observers in, calibration, observers to Q and DQ, `torch.compile`."""
    converted, size = pt2e_graph(model, calibration)
    with without_chatter("torchao", "torch.utils._pytree"):
        return new_engine("PT2E int8", nhwc(_compile(converted, calibration)), calibration, size)


def pt2e_graph(model: nn.Module, calibration: Sequence[Tensor]) -> tuple[nn.Module, int]:
    """The model's graph with Q and DQ in it, ready for a compiler, and how many bytes its tensors take in a file."""
    if platform.machine() not in X86:
        raise EngineUnavailable(f"X86InductorQuantizer is for x86 processors; this one is {platform.machine()}.")
    needs_compiler()
    with without_chatter("torchao", "torch.utils._pytree"):
        flow = _needs("torchao.quantization.pt2e.quantize_pt2e", "torchao")
        x86 = _needs("torchao.quantization.pt2e.quantizer.x86_inductor_quantizer", "torchao")
        quantizer = x86.X86InductorQuantizer().set_global(
            x86.get_default_x86_inductor_quantization_config(reduce_range=_sums_saturate())
        )
        observed = flow.prepare_pt2e(export(copy_of(model), calibration).module(), quantizer)
        with torch.no_grad():
            for batch in calibration:
                observed(batch)
        converted = flow.convert_pt2e(observed)
        used = {node.target for node in converted.graph.nodes if node.op == "get_attr"}
        state = {name: value.contiguous() for name, value in converted.state_dict().items() if name in used}
    return converted, len(save(state))


def onnx_float32(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """float32 by ONNX Runtime: no Python and no torch between the first operator and the last."""
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(model, calibration, Path(folder, "float32.onnx"))
        return _onnx_engine("ONNX Runtime float32", path, calibration)


def onnx_int8(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """int8 by ONNX Runtime: a QDQ graph, whose QuantizeLinear and DequantizeLinear it fuses into integer kernels."""
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(model, calibration, Path(folder, "float32.onnx"))
        return _onnx_engine("ONNX Runtime int8", quantize_onnx(path, calibration), calibration)


def openvino_float32(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """float32 by OpenVINO, an extra of this package: `pip install 'nnopt-lab[openvino]'`."""
    return _openvino_engine("OpenVINO float32", _openvino_model(model, calibration), calibration)


def openvino_bfloat16(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """bfloat16 arithmetic by OpenVINO, on a processor that has it; the file stays float32."""
    return _openvino_engine("OpenVINO bf16", _openvino_model(model, calibration), calibration, "bf16")


def openvino_int8(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """int8 by OpenVINO, on grids that NNCF chooses; it also corrects the biases for what rounding shifts."""
    floating = _openvino_model(model, calibration)
    without_bars = mock.patch.object(rich.live.Live, "start")  # NNCF draws progress bars of its own
    with without_chatter("nncf"), without_bars, contextlib.redirect_stdout(io.StringIO()):
        nncf = _needs("nncf", "nncf", extra="openvino")
        batches = nncf.Dataset([batch.numpy() for batch in calibration])
        quantized = nncf.quantize(floating, batches, subset_size=len(calibration))
    return _openvino_engine("OpenVINO int8", quantized, calibration)


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


def check_names(names: Sequence[str]) -> None:
    """Raise a ValueError that names the first of `names` that is not a key of `ENGINES`."""
    for name in names:
        if name not in ENGINES:
            raise ValueError(f"names holds {name!r}; choose from {', '.join(ENGINES)}.")


def build(
    model: nn.Module, calibration: Sequence[Tensor], names: Sequence[str] = tuple(ENGINES)
) -> tuple[dict[str, Engine], dict[str, str]]:
    """Build engines, with a progress bar: those that run here, and for the others the sentence that says why not.

    Args:
        model: any network on the CPU; it is not changed.
        calibration: batches float32 [N, ...] of real pictures, not of the test split; a few hundred pictures do.
        names: keys of `ENGINES`.

    Raises:
        ValueError: a name is not that of an engine, or there are no calibration pictures.
    """
    if not calibration or any(x.dtype != torch.float32 or x.dim() < 2 or len(x) == 0 for x in calibration):
        raise ValueError("calibration must be at least one batch float32 [N, ...] with N at least 1.")
    check_names(names)
    built, missing = {}, {}
    for name in progress_bar(names, desc="building engines", unit="engine"):
        started = time.perf_counter()
        try:
            engine = ENGINES[name](model, calibration)
        except EngineUnavailable as reason:
            missing[name] = str(reason)
        else:
            built[name] = replace(engine, seconds=time.perf_counter() - started)
    return built, missing


def export_onnx(model: nn.Module, calibration: Sequence[Tensor], path: Path) -> Path:
    """Write the model as an ONNX file with any batch size, input "x", output "logits"; returns `path`."""
    for package in ("onnx", "onnxscript"):
        _needs(package, package)
    with without_chatter("torch.onnx", "onnxscript"):
        torch.onnx.export(
            copy_of(model),
            (_two(calibration),),
            path,
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            input_names=["x"],
            output_names=["logits"],
            external_data=False,
            verbose=False,
        )
    return path


def quantize_onnx(path: Path, calibration: Sequence[Tensor]) -> Path:
    """Write beside an ONNX file its int8 form: QDQ, weights per channel; returns the new path, "….int8.onnx"."""
    quantization = _needs("onnxruntime.quantization", "onnxruntime")
    shapes = _needs("onnxruntime.quantization.shape_inference", "onnxruntime")

    class Reader(quantization.CalibrationDataReader):
        batches = iter(calibration)

        def get_next(self):
            batch = next(self.batches, None)
            return None if batch is None else {"x": batch.numpy()}

    prepared, target = path.with_suffix(".prepared.onnx"), path.with_suffix(".int8.onnx")
    with without_chatter("root"):
        shapes.quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            target,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=_sums_saturate(),
        )
    return target


def _onnx_engine(name: str, path: Path, calibration: Sequence[Tensor]) -> Engine:
    runtime = _needs("onnxruntime", "onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that spin while they wait for work take the cores from whatever is measured next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = runtime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"x": x.contiguous().numpy()})[0])

    return new_engine(name, run, calibration, path.stat().st_size)


def _openvino_model(model: nn.Module, calibration: Sequence[Tensor]):
    sys.modules.setdefault("openvino_telemetry", None)  # what a learner runs is reported to nobody
    openvino = _needs("openvino", "openvino", extra="openvino")
    with without_chatter("root"):
        return openvino.convert_model(
            copy_of(model), example_input=_two(calibration), input=[-1, *calibration[0].shape[1:]]
        )


def _openvino_engine(name: str, network, calibration: Sequence[Tensor], precision: str = "f32") -> Engine:
    import openvino

    core = openvino.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise EngineUnavailable("OpenVINO computes in bf16 only where the processor has instructions for it.")
    with tempfile.TemporaryDirectory() as folder:
        openvino.save_model(network, Path(folder, "model.xml"), compress_to_fp16=False)
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    settings = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,  # left open, float32 would be bf16 where the processor has it
    }
    request = core.compile_model(network, "CPU", settings).create_infer_request()

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(request.infer({0: x.contiguous().numpy()}, share_inputs=True)[0].copy())

    return new_engine(name, run, calibration, size)


def in_torch(
    name: str,
    model: nn.Module,
    calibration: Sequence[Tensor],
    dtype: torch.dtype,
    build: Callable[[nn.Module, Sequence[Tensor]], Callable] | None = None,
) -> Engine:
    """The model with its numbers in `dtype`, channels last; `build` makes of it and of such batches what computes."""
    model = copy_of(model).to(dtype).to(memory_format=torch.channels_last)
    low = [nhwc(lambda x: x, dtype)(batch) for batch in calibration]
    run = nhwc(build(model, low) if build else model, dtype)
    return new_engine(name, lambda x: run(x).float(), calibration, measure.disk_bytes(model))


def _sums_saturate() -> bool:
    """An x86 processor without VNNI adds two 8-bit products in 16 bits, which hold them for 7-bit numbers only."""
    return platform.machine() in X86 and not int8_instructions()


def new_engine(name: str, run: Callable, calibration: Sequence[Tensor], size: int) -> Engine:
    """An engine for pictures like those of `calibration`."""
    return Engine(name, run, tuple(calibration[0].shape[1:]), size)


def copy_of(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode."""
    return copy.deepcopy(model).eval()


def _two(calibration: Sequence[Tensor]) -> Tensor:
    """Two pictures: exported from one, a graph would be for one only."""
    return torch.cat([calibration[0], calibration[0]])[:2]


def export(model: nn.Module, calibration: Sequence[Tensor]) -> torch.export.ExportedProgram:
    """The model's graph by `torch.export`, for any number of pictures in the layout of those of `calibration`."""
    return torch.export.export(model, (_two(calibration),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))


def nhwc(run: Callable, dtype: torch.dtype = torch.float32) -> Callable:
    """`run` on its input in `dtype`, a picture's channels last."""
    return lambda x: run(x.to(dtype, memory_format=torch.channels_last if x.dim() == 4 else torch.contiguous_format))


def _compiled(model: nn.Module, calibration: Sequence[Tensor]) -> Callable:
    return _compile(export(model, calibration).module(), calibration)


def _compile(graph: nn.Module, calibration: Sequence[Tensor]) -> Callable:
    """Compiled by `torch.compile` for any number of pictures, with the weights folded in (freezing).

    torch makes one program for a single picture, one for 2 to 15 and one for more. What the calibration batches need is
    made now, and the others when they are needed, always with freezing: else int8 kernels would not be found.
    """
    needs_compiler()
    inductor, errors = importlib.import_module("torch._inductor.config"), importlib.import_module("torch._dynamo.exc")
    program, seen = torch.compile(graph, dynamic=True), set()

    def run(x: Tensor) -> Tensor:
        key = len(x), x.stride(), x.is_inference(), torch.get_num_threads()
        if key not in seen:
            with inductor.patch(freezing=True), without_chatter("torch"):
                program(x)
            seen.add(key)
        return program(x)

    try:
        with torch.inference_mode():
            for batch in {len(batch): batch for batch in calibration}.values():
                nhwc(run, batch.dtype)(batch)
    except (errors.TorchDynamoException, RuntimeError) as error:
        raise EngineUnavailable(f"torch.compile fails here: {str(error).strip().splitlines()[0]}") from error
    return run


def _needs(module: str, package: str, extra: str | None = None):
    """Import a module, quietly."""
    try:
        with without_chatter(package):
            return importlib.import_module(module)
    except ImportError as error:
        cure = f"pip install 'nnopt-lab[{extra}]'" if extra else f"pip install {package}"
        raise EngineUnavailable(f"{package} is missing or does not load ({error}): `{cure}`.") from error


def needs_compiler() -> None:
    """Raises `EngineUnavailable` where no C++ compiler is found, and in smoke mode."""
    if smoke.on():
        raise EngineUnavailable("Smoke mode compiles nothing.")
    builder = importlib.import_module("torch._inductor.cpp_builder")
    try:
        builder.get_cpp_compiler()
    except RuntimeError as error:
        raise EngineUnavailable(
            "torch.compile needs a C++ compiler (g++, clang, or on Windows Visual C++), and none was found."
        ) from error


@contextlib.contextmanager
def without_chatter(*loggers: str):
    """Keeps back what libraries warn of about themselves; their errors come through."""
    known = [logging.getLogger(None if name == "root" else name) for name in loggers]
    levels = [logger.level for logger in known]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for logger in known:
                logger.setLevel(logging.ERROR)
            yield
    finally:
        for logger, level in zip(known, levels, strict=True):
            logger.setLevel(level)
