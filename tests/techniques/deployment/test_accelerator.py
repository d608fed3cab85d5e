"""Targets on an accelerator: what they compute on a stand-in and on a real one, and what they refuse in a sentence."""

import copy
import sys
import types
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.deployment import (
    ACCELERATOR_ENGINES,
    ACCELERATOR_TARGETS,
    ENGINES,
    TARGETS,
    TOLERANCE,
    EngineUnavailable,
    OutputsDiffer,
    build_engines,
    deploy,
    deploy_all,
    engines_on,
    prune_two_four,
    quantized_linear,
    registry,
)
from nnopt_lab.workbench import device

pytestmark = pytest.mark.own_process
ALL = [(target, kind) for target, kinds in ACCELERATOR_TARGETS.items() for kind in kinds]
# The others need a compiler, for seconds each, or a real accelerator.
QUICK = [(target, kind) for target, kind in ALL if target in ("eager", "channels-last", "CUDA graph")]
# Other floating-point formats of these give the same programs with other numbers, at seconds each.
COMPILED = [("compiled", kind) for kind in ("float32", "bf16", "int8", "fp8")]
COMPILED += [("compiled reduce-overhead", "bf16"), ("exported", "bf16")]
ON_A_CARD = QUICK + COMPILED + [(target, kind) for target, kind in ALL if target in ("2:4 sparse", "ONNX Runtime")]
on_accelerator = partial(deploy, device="accelerator")


@pytest.fixture
def fake():
    with device.stand_in("H100", (9, 0)) as fake:
        yield fake


@pytest.fixture
def wide():
    """A network of vectors whose first two layers are wide enough for tensor cores."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 10)).eval()


@pytest.fixture(scope="module")
def rows():
    return torch.randn(40, 64, generator=torch.Generator().manual_seed(0))


def off(engine, model, x):
    with torch.inference_mode():
        wanted = model(x)
    return ((engine(x).cpu() - wanted).norm() / wanted.norm()).item()


class TestOnAStandIn:
    @pytest.mark.parametrize("choice", QUICK, ids=" ".join)
    def test_it_computes_the_model_for_any_number_of_pictures(self, choice, fake, net, example):
        target, precision = choice
        model = copy.deepcopy(net).train()
        engine = on_accelerator(model, example, target, precision=precision)
        assert model.training and engine.name == f"{target} {precision}" and engine.device == device.accelerator()
        assert repr(engine).endswith("on H100 (timings include copies if the pictures are on the CPU)")
        for x in (example, example[:1], example[:7]):
            assert engine(x).dtype == torch.float32 and off(engine, net, x) < TOLERANCE[precision]

    @pytest.mark.parametrize(
        ("target", "precision"),
        [("compiled", "float32"), ("compiled reduce-overhead", "bf16"), ("compiled", "int8")],
    )
    def test_compiled(self, target, precision, fake, wide, rows):
        try:
            engine = on_accelerator(wide, rows, target, precision=precision)
        except EngineUnavailable as reason:
            if "compiler" in str(reason):
                pytest.skip(str(reason))
            raise
        for x in (rows, rows[:1]):
            assert engine(x).shape == (len(x), 10) and off(engine, wide, x) < TOLERANCE[precision]
        if precision == "int8":  # the last layer stays in bfloat16
            wanted = 64 * 128 + 128 * 32 + 2 * 32 * 10
            assert wanted < engine.bytes < 1.3 * wanted

    def test_pictures_on_the_cpu_are_copied_and_the_copies_count(self, fake, layers, vectors):
        engine, started = on_accelerator(layers, vectors), fake.clock()
        engine(vectors)
        assert fake.clock() - started >= vectors.nbytes / fake.bytes_per_second

    def test_the_cpu_stays_the_default(self, fake, layers, vectors):
        engine = deploy(layers, vectors)
        assert engine.device == torch.device("cpu") and "H100" not in repr(engine)

    def test_several_at_once(self, fake, layers, vectors):
        choices = [("eager", "float32"), ("2:4 sparse", "fp16"), ("CUDA graph", "bf16")]
        ready, missing = deploy_all(layers, vectors, choices, [vectors], device="accelerator")
        assert list(ready) == ["eager float32", "CUDA graph bf16"] and list(missing) == ["2:4 sparse fp16"]
        ready, missing = build_engines(layers, [vectors], ["eager fp16", "CUDA graph tf32"], device="accelerator")
        assert {name: engine.name for name, engine in ready.items()} == {name: name for name in ready} and not missing
        assert all(engine.device == device.accelerator() for engine in ready.values())

    def test_a_wrong_network_on_the_device_is_not_handed_out(self, fake, layers, vectors, monkeypatch):
        right = ACCELERATOR_TARGETS["eager"]["fp16"]

        def broken(model, calibration):
            engine = right(model, calibration)
            return copy.copy(engine) if engine is None else registry.replace(engine, run=lambda x: 1.1 * engine.run(x))

        monkeypatch.setitem(ACCELERATOR_TARGETS["eager"], "fp16", broken)
        with pytest.raises(
            OutputsDiffer, match=r"eager in fp16 has a relative output error of 0\.1; at most 0\.01 is allowed"
        ):
            on_accelerator(layers, vectors, precision="fp16")


class TestWhatIsMissing:
    def test_no_accelerator(self, layers, vectors, monkeypatch):
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
        for name, sentence in (("accelerator", "this machine has no accelerator"), ("cuda", "this machine has cpu")):
            with pytest.raises(EngineUnavailable, match=sentence):
                deploy(layers, vectors, device=name)
            with pytest.raises(ValueError, match=sentence):
                build_engines(layers, [vectors], device=name)
        with pytest.raises(ValueError, match="device='gpu' must be"):
            deploy(layers, vectors, device="gpu")

    @pytest.mark.parametrize("choice", ALL, ids=" ".join)
    def test_an_old_gpu_says_what_it_lacks(self, choice, wide, rows):
        target, precision = choice
        if precision in ("float32", "fp16") and target != "2:4 sparse":
            return
        if target == "ONNX Runtime":
            return
        with device.stand_in("T4", (7, 5)):
            needed = {"fp8": "8.9"}.get(precision, "8.0")
            feature = "2:4 sparsity" if target == "2:4 sparse" and precision == "fp16" else precision
            with pytest.raises(EngineUnavailable) as missing:
                on_accelerator(wide, rows, target, precision=precision)
        assert str(missing.value) == f"{feature} needs compute capability {needed} or higher; T4 has 7.5."

    def test_fp8_on_ampere(self, wide, rows):
        with (
            device.stand_in("A100", (8, 0)),
            pytest.raises(EngineUnavailable, match=r"fp8 needs .* 8\.9 .* A100 has 8\.0"),
        ):
            on_accelerator(wide, rows, "compiled", precision="fp8")

    @pytest.mark.parametrize(
        ("target", "precision"), [("compiled", "int8"), ("compiled", "fp8"), ("2:4 sparse", "bf16")]
    )
    def test_a_network_without_wide_linear_layers(self, target, precision, fake, layers, vectors):
        with pytest.raises(EngineUnavailable, match=r"needs linear layers with inputs a multiple of .* has none"):
            on_accelerator(layers, vectors, target, precision=precision)

    def test_targets_of_the_other_kind(self, fake, layers, vectors):
        with pytest.raises(EngineUnavailable, match="'CUDA graph' does not run on the CPU, only eager, channels-last"):
            deploy(layers, vectors, "CUDA graph")
        with pytest.raises(EngineUnavailable, match="'OpenVINO' does not run on H100, only eager, channels-last, CUDA"):
            on_accelerator(layers, vectors, "OpenVINO")
        with pytest.raises(EngineUnavailable, match="'channels-last' does not support fp8"):
            on_accelerator(layers, vectors, "channels-last", precision="fp8")

    def test_names_belong_to_a_device(self, fake, layers, vectors):
        assert engines_on(device.CPU) is ENGINES and engines_on(device.accelerator()) is ACCELERATOR_ENGINES
        with pytest.raises(ValueError, match="names contains 'OpenVINO int8'; choose from eager float32, eager tf32"):
            build_engines(layers, [vectors], ["OpenVINO int8"], device="accelerator")
        with pytest.raises(ValueError, match="names contains 'CUDA graph bf16'"):
            build_engines(layers, [vectors], ["CUDA graph bf16"])

    def test_no_triton(self, wide, rows, monkeypatch):
        from nnopt_lab.techniques.deployment import compiler

        monkeypatch.setattr("torch._inductor.cpp_builder.get_cpp_compiler", lambda: "g++")
        monkeypatch.setattr("torch.utils._triton.has_triton", lambda: False)
        monkeypatch.setattr(compiler.device, "describe", lambda _: "H100")
        with pytest.raises(EngineUnavailable, match="needs Triton on H100, and it is missing or too old"):
            compiler.require_compiler(torch.device("cuda", 0))


class TestTwoFour:
    def test_its_weights_are_multiplied_outside_of_inference_mode(self, wide, rows, monkeypatch):
        modes, linear = [], nn.functional.linear

        def watched(*given):
            modes.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
            return linear(*given)

        engine = on_accelerator(prune_two_four(wide), rows, "2:4 sparse", precision="fp16")
        monkeypatch.setattr(nn.functional, "linear", watched)
        with torch.inference_mode():
            outputs = engine(rows.clone())
        assert set(modes) == {(False, False)} and not outputs.requires_grad

    @pytest.fixture(autouse=True)
    def kernels(self, fake, monkeypatch):
        """Instead of the GPU's format, the dense weight, if it has the pattern."""

        def dense(weight):
            assert (weight.reshape(-1, 4) != 0).sum(1).max() <= 2
            return weight

        monkeypatch.setattr(torch.sparse, "to_sparse_semi_structured", dense)

    def test_a_dense_network_is_refused_with_the_cure_unless_the_loss_is_allowed(self, wide, rows):
        with pytest.raises(OutputsDiffer, match=r"0\.01 is allowed\. Prune the model with `prune_two_four`"):
            on_accelerator(wide, rows, "2:4 sparse", precision="fp16")
        engine = on_accelerator(wide, rows, "2:4 sparse", precision="fp16", tolerance=2.0)
        assert off(engine, wide, rows) > 0.01 and off(engine, prune_two_four(wide), rows) < 0.01

    def test_a_pruned_network_is_computed_as_it_is(self, wide, rows):
        assert prune_two_four(wide) is wide
        assert (wide[0].weight.view(-1, 4) != 0).sum(1).eq(2).all() and (wide[4].weight != 0).all()
        assert off(on_accelerator(wide, rows, "2:4 sparse", precision="fp16"), wide, rows) < 0.01

    def test_so_is_one_with_masks(self, wide, rows):
        for layer in (wide[0], wide[2]):
            prune.custom_from_mask(layer, "weight", pruning.n_m_mask(layer.weight))
        engine = on_accelerator(wide, rows, "2:4 sparse", precision="bf16")
        assert off(engine, wide, rows) < 0.03 and hasattr(wide[0], "weight_mask")


def test_a_mask_is_kept_by_int8_too(wide):
    prune.custom_from_mask(wide[0], "weight", pruning.n_m_mask(wide[0].weight))
    masked = wide[0].weight.detach().clone()
    quantized_linear.make_linear_plain(wide)
    assert torch.equal(wide[0].weight, masked) and not hasattr(wide[0], "weight_mask")


@pytest.mark.parametrize("count", [1, 5, 32, 33])
def test_small_batches_are_filled_up_for_int8(count):
    seen = []
    run = quantized_linear.with_enough_rows(lambda x: (seen.append(len(x)), 2 * x)[1])
    x = torch.randn(count, 3)
    assert torch.equal(run(x), 2 * x) and seen == [max(count, 32)]


class TestOnnxCuda:
    @pytest.fixture
    def runtime(self, fake, monkeypatch):
        """ONNX Runtime on the CPU, which passes for its CUDA provider."""
        import onnxruntime

        class Session(onnxruntime.InferenceSession):
            def __init__(self, file, providers):
                asked.extend(providers)
                super().__init__(file, providers=["CPUExecutionProvider"])

            def get_providers(self):
                return ["CUDAExecutionProvider"]

        asked = []
        module = types.ModuleType("onnxruntime")
        module.__spec__ = onnxruntime.__spec__  # torch.export looks for it
        module.InferenceSession, module.asked = Session, asked
        module.get_available_providers = lambda: ["CUDAExecutionProvider"]
        monkeypatch.setitem(sys.modules, "onnxruntime", module)
        return module

    @pytest.mark.parametrize("precision", ["float32", "tf32"])
    def test_it_reads_and_writes_torch_s_memory(self, precision, runtime, net, example):
        engine = on_accelerator(net, example, "ONNX Runtime", precision=precision)
        for x in (example, example[:1], example[:9].to(memory_format=torch.channels_last)):
            assert off(engine, net, x) < 1e-4
        assert runtime.asked == [("CUDAExecutionProvider", {"device_id": 0, "use_tf32": int(precision == "tf32")})]
        assert next(net.parameters()).device.type == "cpu"

    def test_a_package_without_the_provider_names_the_one_with_it(self, fake, layers, vectors):
        import onnxruntime

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            pytest.skip("it has it")
        with pytest.raises(EngineUnavailable, match="has no CUDA provider: `pip install onnxruntime-gpu`"):
            on_accelerator(layers, vectors, "ONNX Runtime")


def test_every_target_has_tolerances_and_a_name():
    assert all(set(kinds) <= set(TOLERANCE) for kinds in (*ACCELERATOR_TARGETS.values(), *TARGETS.values()))
    assert set(ACCELERATOR_ENGINES) == {f"{target} {kind}" for target, kind in ALL}


@pytest.mark.accelerator
class TestOnAnAccelerator:
    @pytest.mark.parametrize("choice", ON_A_CARD, ids=" ".join)
    def test_it_computes_the_model(self, choice, net, example):
        target, precision = choice
        here, model = device.accelerator(), copy.deepcopy(net)
        if target == "2:4 sparse":
            prune_two_four(model)
        try:
            engine = deploy(model, example, target, precision=precision, device=here)
        except OutputsDiffer:
            raise
        except EngineUnavailable as reason:
            if here.type == "cuda" and target in ("eager", "channels-last", "CUDA graph") and precision == "float32":
                raise
            pytest.skip(str(reason))
        for x in (example, example[:1]) if choice in COMPILED else (example, example[:1], example[:7], example[:50]):
            assert engine(x.to(here)).device == here and engine(x).device.type == "cpu"
            assert off(engine, model, x) < 1.5 * TOLERANCE[precision]
