"""Deployment: whatever is handed out computes the model, and what can't be is told in one sentence."""

import copy
import importlib.util

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.deployment import TARGETS, TOLERANCE, OutputsDiffer, deploy, deploy_all, engines
from nnopt_lab.techniques.deployment.engines import Engine, EngineUnavailable
from nnopt_lab.workbench import data, models

# The compiled targets are those of the engines, and tested with them; what AOTInductor writes is tested once, below.
QUICK = [(target, kind) for target in TARGETS for kind in TARGETS[target] if target not in ("compiled", "exported")]


@pytest.fixture(scope="module")
def net():
    return models.trained("mynet")


@pytest.fixture(scope="module")
def example():
    pictures = data.load("fashion")
    return pictures.to_input(pictures.test.images[:64])


@pytest.fixture(scope="module")
def calibration():
    pictures = data.load("fashion")
    return list(pictures.to_input(pictures.train.images[:256]).split(128))


def off(engine, net, x):
    with torch.inference_mode():
        wanted = net(x)
    return ((engine(x) - wanted).norm() / wanted.norm()).item()


@pytest.mark.parametrize(("target", "precision"), QUICK)
def test_a_target_computes_the_model_for_any_number_of_pictures(target, precision, net, example, calibration):
    try:
        engine = deploy(net, example, target, precision=precision, calibration=calibration)
    except EngineUnavailable as reason:
        assert target == "OpenVINO" and (precision == "bf16" or not importlib.util.find_spec("openvino")), reason
        pytest.skip(str(reason))
    assert engine.name == f"{target} {precision}" and engine.seconds > 0 and engine.bytes > 0
    for count in (1, 3, 64):
        got = engine(example[:count])
        assert got.dtype == torch.float32 and got.shape == (count, 10)
        assert off(engine, net, example[:count]) < 2 * TOLERANCE[precision]


def test_aotinductor_s_program_is_the_model(net, example):
    before = copy.deepcopy(net.state_dict())
    engine = deploy(net, example, "exported")
    for count in (1, 2, 64):
        assert off(engine, net, example[:count]) < 1e-4
    assert torch.allclose(engine(example.to(memory_format=torch.channels_last)), engine(example), atol=1e-5)
    assert engine.bytes > 1_000_000  # the weights are in it
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_without_a_compiler_the_exported_target_says_so(net, example, monkeypatch):
    from torch._inductor import cpp_builder, exc

    def none_found():
        raise exc.InvalidCxxCompiler()

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none_found)
    with pytest.raises(EngineUnavailable, match=r"C\+\+ compiler"):
        deploy(net, example, "exported")


def test_what_aotinductor_can_t_do_is_told_in_one_line(net, example, monkeypatch):
    import torch._inductor as inductor

    def fails(*arguments, **options):
        raise RuntimeError("no linker\nand a long trace")

    monkeypatch.setattr(inductor, "aoti_compile_and_package", fails)
    with pytest.raises(EngineUnavailable, match=r"^AOTInductor fails here: no linker$"):
        deploy(net, example, "exported")


@pytest.mark.parametrize("how", ["wrong", "nan"])
def test_what_computes_something_else_is_not_handed_out(how, net, example, monkeypatch):
    def broken(model, calibration):
        engine = engines.eager(model, calibration)
        return Engine("broken", lambda x: engine(x) * (1.01 if how == "wrong" else float("nan")), engine.picture, 1)

    monkeypatch.setitem(TARGETS["eager"], "float32", broken)
    with pytest.raises(OutputsDiffer, match=r"eager in float32 is .* of the outputs' size off; 0.0001 is allowed"):
        deploy(net, example)
    if how == "wrong":
        assert deploy(net, example, tolerance=0.02)
    ready, missing = deploy_all(net, example, [("eager", "float32"), ("channels-last", "float32")], [example])
    assert list(ready) == ["channels-last float32"] and list(missing) == ["eager float32"]


def test_a_target_without_a_precision_says_which_it_has(net, example):
    with pytest.raises(EngineUnavailable, match="'ONNX Runtime' has no bf16 convolutions here, only float32, int8"):
        deploy(net, example, "ONNX Runtime", precision="bf16")


def test_the_model_keeps_its_mode_and_a_network_of_vectors_will_do():
    layers = nn.Sequential(nn.Linear(12, 8), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    vectors = torch.randn(16, 12, generator=torch.Generator().manual_seed(0))
    ready, missing = deploy_all(layers, vectors, [("channels-last", "float32"), ("ONNX Runtime", "float32")], [vectors])
    assert layers.training and not missing
    layers.eval()
    assert all(off(engine, layers, vectors) < 1e-4 for engine in ready.values())


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"target": "TensorRT"}, "target='TensorRT' is none of eager, channels-last"),
        ({"precision": "fp8"}, "precision='fp8' must be one of float32, bf16, int8"),
        ({"precision": "int8", "target": "ONNX Runtime"}, "calibration must hold at least one batch"),
        ({"calibration": [torch.zeros(1, 3, 32, 32, dtype=torch.uint8)]}, "calibration holds torch.uint8"),
        ({"example": torch.zeros(0, 3, 32, 32)}, r"example holds torch.float32 \[0, 3, 32, 32\]"),
        ({"tolerance": 0.0}, "tolerance=0.0 must be above 0"),
        ({"tolerance": float("nan")}, "tolerance=nan must be above 0"),
    ],
)
def test_bad_input_is_named(bad, sentence, net, example):
    with pytest.raises(ValueError, match=sentence):
        deploy(net, **({"example": example} | bad))


def test_every_target_begins_with_float32():
    assert all(next(iter(kinds)) == "float32" and set(kinds) <= set(TOLERANCE) for kinds in TARGETS.values())
