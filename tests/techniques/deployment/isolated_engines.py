"""Engines agree with the model that they run, take any number of pictures, and say in a sentence what they can't do."""

import copy
import importlib.util
import logging
import sys
import warnings

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.deployment import engines
from nnopt_lab.techniques.deployment.engines import ENGINES, EngineUnavailable
from nnopt_lab.workbench import data, models

FLOATS = [name for name in ENGINES if name.endswith("float32")]
INT8 = [name for name in ENGINES if name.endswith("int8")]
LOW = [name for name in ENGINES if "bf16" in name]
WITHOUT_COMPILER = [name for name in ENGINES if "ompiled" not in name and "PT2E" not in name]


@pytest.fixture(scope="module")
def pictures():
    return data.load("fashion")


@pytest.fixture(scope="module")
def net():
    return models.trained("mynet")


@pytest.fixture(scope="module")
def calibration(pictures):
    return list(pictures.to_input(pictures.train.images[:256]).split(128))


@pytest.fixture(scope="module")
def build_all(net, calibration):
    """Every engine once, of a copy in training: (what `build` returns, that copy, the batches that it was given).

    Compilers and torchao are loaded and used for real.
    """
    model, given = copy.deepcopy(net).train(), [x.clone() for x in calibration]
    return engines.build(model, given), model, given


@pytest.fixture(scope="module")
def built(build_all):
    return build_all[0]


@pytest.fixture(scope="module")
def tiny():
    """(a network that is exported in no time, its calibration batches)."""
    return nn.Sequential(nn.Linear(12, 3)), [torch.randn(8, 12, generator=torch.Generator().manual_seed(0))]


def engine(built, name):
    ready, missing = built
    if name in missing:
        pytest.skip(missing[name])
    return ready[name]


def test_what_is_installed_here_runs_here(built):
    ready, missing = built
    assert set(ready) | set(missing) == set(ENGINES) and not set(ready) & set(missing)
    assert list(ready) == [name for name in ENGINES if name in ready]
    optional = {"OpenVINO float32", "OpenVINO int8"} if not importlib.util.find_spec("openvino") else set()
    assert set(missing) & set(WITHOUT_COMPILER) - {"OpenVINO bf16"} == optional
    assert "OpenVINO bf16" in ready or "instructions" in missing["OpenVINO bf16"] or optional


@pytest.mark.parametrize("name", FLOATS)
def test_engines_in_float_agree_with_the_model_to_1e_4(built, name, net, pictures):
    x = pictures.to_input(pictures.test.images[:300])
    with torch.inference_mode():
        assert (engine(built, name)(x) - net(x)).abs().max() < 1e-4


@pytest.mark.parametrize("name", INT8 + LOW)
def test_engines_of_less_precision_choose_the_same_class_for_98_of_100_pictures(built, name, net, pictures):
    x = pictures.to_input(pictures.test.images[:1_000])
    with torch.inference_mode():
        wanted = net(x)
    got = engine(built, name)(x)
    assert got.dtype == torch.float32 and got.shape == wanted.shape
    assert (got.argmax(1) == wanted.argmax(1)).float().mean() >= 0.98
    assert (got - wanted).abs().mean() < 0.3


@pytest.mark.parametrize("name", ENGINES)
def test_any_number_of_pictures_goes_through(built, name, pictures):
    run = engine(built, name)
    x = pictures.to_input(pictures.test.images[:70])
    together = run(x)
    in_parts = torch.cat([run(part) for part in x.split([1, 2, 30, 37])])
    # bfloat16 sums in another order for another batch size.
    assert torch.allclose(together, in_parts, atol=0.3 if name in LOW else 1e-3)


@pytest.mark.parametrize("name", ENGINES)
def test_the_layout_of_the_input_and_the_caller_s_mode_do_not_matter(built, name, pictures):
    run = engine(built, name)
    x = pictures.to_input(pictures.test.images[:20])
    wanted = run(x)
    assert torch.allclose(run(x.to(memory_format=torch.channels_last)), wanted, atol=1e-3)
    assert torch.allclose(run(x.clone().requires_grad_()), wanted, atol=1e-3)
    with torch.inference_mode():
        assert torch.allclose(run(x.clone()), wanted, atol=1e-3)
    every_second = torch.stack([x, x], 1).flatten(0, 1)[::2]
    assert torch.allclose(run(every_second), wanted, atol=1e-3)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    "x",
    [torch.zeros(3, 32, 32), torch.zeros(0, 3, 32, 32), torch.zeros(1, 1, 32, 32), torch.zeros(1, 3, 32, 32).double()],
    ids=["no batch", "empty", "one channel", "float64"],
)
def test_a_wrong_input_is_refused_in_a_sentence(built, name, x):
    with pytest.raises(ValueError, match=r"must be float32 \[N, 3, 32, 32\]"):
        engine(built, name)(x)


def test_int8_files_are_about_a_quarter_and_bf16_half(built):
    ready, _ = built
    whole = ready["eager float32"].bytes
    for name, one in ready.items():
        share = 1 if name in FLOATS or name == "OpenVINO bf16" else 1 / 2 if name in LOW else 1 / 4
        assert 0.95 * share < one.bytes / whole < 1.12 * share, name
        assert one.seconds > 0 and one.name == name and name in repr(one)


def test_the_model_and_the_calibration_pictures_stay_as_they_are(build_all, net, calibration):
    _, model, given = build_all
    assert model.training and all(p.is_contiguous() for p in model.parameters())
    wanted = net.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in model.state_dict().items())
    assert all(map(torch.equal, given, calibration))


def test_another_network_with_sums_and_batch_norms(pictures, calibration):
    teacher = models.trained("teacher")
    ready, _ = engines.build(teacher, calibration[:1], ["channels-last float32", "ONNX Runtime int8", "OpenVINO int8"])
    x = pictures.to_input(pictures.test.images[:300])
    with torch.inference_mode():
        wanted = teacher(x).argmax(1)
    for name, run in ready.items():
        assert (run(x).argmax(1) == wanted).float().mean() >= 0.97, name


def test_a_network_of_vectors(calibration):
    layers = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))
    vectors = torch.randn(64, 12, generator=torch.Generator().manual_seed(0))
    ready, _ = engines.build(layers, [vectors], ["channels-last float32", "bf16", "ONNX Runtime int8"])
    with torch.inference_mode():
        wanted = layers(vectors)
    for name, run in ready.items():
        assert (run(vectors) - wanted).abs().max() < 0.1, name


def test_libraries_keep_their_chatter_to_themselves(net, calibration, capfd, caplog):
    with warnings.catch_warnings(record=True) as heard, caplog.at_level(logging.WARNING):
        warnings.simplefilter("always")
        engines.build(net, calibration, ["PT2E int8", "ONNX Runtime int8", "OpenVINO int8"])
    assert capfd.readouterr() == ("", "")
    assert not heard and not caplog.records


@pytest.mark.parametrize(
    ("name", "module", "sentence"),
    [
        ("PT2E int8", "torchao.quantization.pt2e.quantize_pt2e", "torchao is missing.*pip install torchao"),
        ("ONNX Runtime float32", "onnxscript", "onnxscript is missing.*pip install onnxscript"),
        ("ONNX Runtime float32", "onnxruntime", "onnxruntime is missing.*pip install onnxruntime"),
        ("ONNX Runtime int8", "onnxruntime.quantization", "onnxruntime is missing"),
        ("OpenVINO float32", "openvino", r"openvino is missing.*pip install 'nnopt-lab\[openvino\]'"),
        ("OpenVINO int8", "openvino", "openvino is missing"),
    ],
)
def test_a_missing_package_is_said_in_a_sentence(name, module, sentence, tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EngineUnavailable, match=sentence):
        ENGINES[name](*tiny)
    ready, missing = engines.build(*tiny, ["eager float32", name])
    assert list(ready) == ["eager float32"] and list(missing) == [name]


@pytest.mark.parametrize("name", ["PT2E int8", "compiled float32", "compiled bf16"])
def test_a_missing_compiler_is_said_in_a_sentence(name, net, calibration, monkeypatch):
    from torch._inductor import cpp_builder, exc

    def none_found():
        raise exc.InvalidCxxCompiler()

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none_found)
    monkeypatch.setattr(engines.platform, "machine", lambda: "x86_64")
    with pytest.raises(EngineUnavailable, match=r"C\+\+ compiler"):
        ENGINES[name](net, calibration)


def test_pt2e_with_the_x86_quantizer_says_so_on_another_processor(net, calibration, monkeypatch):
    monkeypatch.setattr(engines.platform, "machine", lambda: "arm64")
    with pytest.raises(EngineUnavailable, match="for x86 processors; this one is arm64"):
        engines.pt2e_int8(net, calibration)


def test_a_fault_of_the_engine_itself_is_not_hidden(net, calibration, monkeypatch):
    def broken(*arguments):
        raise TypeError("a bug")

    monkeypatch.setitem(ENGINES, "bf16", broken)
    with pytest.raises(TypeError, match="a bug"):
        engines.build(net, calibration, ["bf16"])


@pytest.mark.parametrize(
    ("calibration", "names", "sentence"),
    [
        ([], ["bf16"], "calibration must be"),
        ([torch.zeros(0, 3, 32, 32)], ["bf16"], "calibration must be"),
        ([torch.zeros(1, 3, 32, 32, dtype=torch.uint8)], ["bf16"], "calibration must be"),
        ([torch.zeros(1, 3, 32, 32)], ["TensorRT"], "'TensorRT'; choose from eager float32"),
    ],
)
def test_bad_input_of_build_is_named(net, calibration, names, sentence):
    with pytest.raises(ValueError, match=sentence):
        engines.build(net, calibration, names)


def test_instructions_are_those_that_the_processor_tells_of(monkeypatch):
    assert set(engines.int8_instructions()) <= set(engines.INT8_INSTRUCTIONS)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx_vnni": True, "amx_int8": False}, raising=False)
    assert "avx_vnni" in engines.int8_instructions()
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert isinstance(engines.int8_instructions(), tuple)


def test_without_vnni_one_bit_is_left_out_and_the_classes_stay(net, calibration, pictures, monkeypatch, tmp_path):
    onnx = pytest.importorskip("onnx")
    monkeypatch.setattr(engines, "int8_instructions", lambda: ())
    monkeypatch.setattr(engines.platform, "machine", lambda: "x86_64")
    path = engines.quantize_onnx(engines.export_onnx(net, calibration, tmp_path / "net.onnx"), calibration)
    run = engines._onnx_engine("int8", path, calibration)
    weights = [i for i in onnx.load(path).graph.initializer if i.name.endswith("weight_quantized")]
    assert all(abs(onnx.numpy_helper.to_array(w).astype(int)).max() <= 64 for w in weights)
    x = pictures.to_input(pictures.test.images[:1_000])
    with torch.inference_mode():
        wanted = net(x).argmax(1)
    assert (run(x).argmax(1) == wanted).float().mean() >= 0.98


def test_the_qdq_file_has_integer_weights_and_no_relu_of_its_own(net, calibration, tmp_path):
    onnx = pytest.importorskip("onnx")
    path = engines.quantize_onnx(engines.export_onnx(net, calibration, tmp_path / "net.onnx"), calibration)
    graph = onnx.load(path).graph
    operators = [node.op_type for node in graph.node]
    assert operators.count("QuantizeLinear") == 8 and operators.count("DequantizeLinear") == 16
    assert "Relu" not in operators
    integers = [i for i in graph.initializer if i.data_type == onnx.TensorProto.INT8 and i.name.endswith("_quantized")]
    assert sum(torch.Size(i.dims).numel() for i in integers) == 268_464
