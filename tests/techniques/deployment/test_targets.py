"""Each target computes the model, for any number of pictures in any layout, and says in a sentence what it can't do."""

import copy
import importlib.util
import logging
import warnings

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.deployment import (
    TARGETS,
    TOLERANCE,
    Engine,
    EngineUnavailable,
    OutputsDiffer,
    compiler,
    deploy,
    deploy_all,
    torch_engines,
)

pytestmark = pytest.mark.own_process
# In bfloat16 AOTInductor writes the same program as in float32, with other numbers: it is tested in float32.
ALL = [(target, kind) for target in TARGETS for kind in TARGETS[target] if (target, kind) != ("exported", "bf16")]
SHARES = {"float32": 1, "bf16": 1 / 2, "int8": 1 / 4}  # of a float32 file's bytes
_engines = {}


@pytest.fixture(scope="module", params=ALL, ids=" ".join)
def choice(request):
    """A target and a precision. Its scope makes pytest run all tests of one engine together."""
    return request.param


@pytest.fixture
def engine(choice, net, example, calibration):
    """The engine of a choice, built once."""
    if choice not in _engines:
        _engines[choice] = _deployed(choice, net, example, calibration)
    return _engines[choice]


def _deployed(choice, net, example, calibration):
    target, precision = choice
    try:
        return deploy(net, example, target, precision=precision, calibration=calibration)
    except EngineUnavailable as reason:
        assert _may_be_missing(target, precision), reason
        pytest.skip(str(reason))


def _may_be_missing(target, precision):
    """Whether a target may be missing here: for want of a compiler, of an extra, or of bf16 instructions."""
    if target in ("compiled", "exported"):
        try:
            compiler.require_compiler()
        except EngineUnavailable:
            return True
        return precision == "int8"  # on x86 only
    return target == "OpenVINO" and (precision == "bf16" or not importlib.util.find_spec("openvino"))


def off(engine, net, x):
    """Distance of the outputs, as a share of their size."""
    with torch.inference_mode():
        wanted = net(x)
    return ((engine(x) - wanted).norm() / wanted.norm()).item()


class TestEveryTarget:
    def test_it_is_built_quietly_and_leaves_the_model_as_it_is(self, choice, net, example, calibration, capfd, caplog):
        model, given = copy.deepcopy(net).train(), [x.clone() for x in calibration]
        with warnings.catch_warnings(record=True) as heard, caplog.at_level(logging.WARNING):
            warnings.simplefilter("always")
            _engines[choice] = _deployed(choice, model, example, given)
        assert capfd.readouterr() == ("", "") and not [str(warning.message) for warning in heard]
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert model.training and all(p.is_contiguous() for p in model.parameters())
        wanted = net.state_dict()
        assert all(torch.equal(value, wanted[name]) for name, value in model.state_dict().items())
        assert all(map(torch.equal, given, calibration))

    def test_its_outputs_are_the_model_s(self, choice, engine, net, pictures):
        x = pictures.to_input(pictures.test.images[:1_000])
        got = engine(x)
        with torch.inference_mode():
            wanted = net(x)
        assert got.dtype == torch.float32 and got.shape == wanted.shape
        if choice[1] == "float32":
            assert (got - wanted).abs().max() < 1e-4
        else:
            assert (got.argmax(1) == wanted.argmax(1)).float().mean() >= 0.98
            assert (got - wanted).abs().mean() < 0.3

    def test_any_number_of_pictures_goes_through(self, choice, engine, pictures):
        x = pictures.to_input(pictures.test.images[:70])
        in_parts = torch.cat([engine(part) for part in x.split([1, 2, 30, 37])])
        # bfloat16 sums in another order for another batch size.
        assert torch.allclose(engine(x), in_parts, atol=0.3 if choice[1] == "bf16" else 1e-3)

    def test_the_layout_of_the_input_and_the_caller_s_mode_do_not_matter(self, engine, pictures):
        x = pictures.to_input(pictures.test.images[:20])
        wanted = engine(x)
        assert torch.allclose(engine(x.to(memory_format=torch.channels_last)), wanted, atol=1e-3)
        assert torch.allclose(engine(x.clone().requires_grad_()), wanted, atol=1e-3)
        with torch.inference_mode():
            assert torch.allclose(engine(x.clone()), wanted, atol=1e-3)
        every_second = torch.stack([x, x], 1).flatten(0, 1)[::2]
        assert torch.allclose(engine(every_second), wanted, atol=1e-3)

    def test_it_says_what_it_is_and_int8_files_are_a_quarter(self, choice, engine, net, calibration):
        target, precision = choice
        assert engine.name == f"{target} {precision}" and engine.name in repr(engine) and engine.seconds > 0
        if target == "exported":  # a program, the weights and a copy of its source
            assert engine.bytes > 1_000_000
        else:
            share = 1 if target == "OpenVINO" and precision == "bf16" else SHARES[precision]
            assert 0.95 * share < engine.bytes / torch_engines.eager(net, calibration).bytes < 1.12 * share


@pytest.mark.parametrize("name", ["residual", "vectors"])
def test_other_networks(name, layers, vectors):
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.last = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Linear(192, 4)

        def forward(self, x):
            return self.last((x + self.norm(self.conv(x)).relu()).flatten(1))

    torch.manual_seed(0)
    model, x = (layers, vectors) if name == "vectors" else (Residual(), torch.randn(16, 3, 8, 8))
    choices = [("channels-last", "float32"), ("channels-last", "bf16"), ("ONNX Runtime", "float32"),
               ("ONNX Runtime", "int8")]  # fmt: skip
    choices += [("OpenVINO", "int8")] if importlib.util.find_spec("openvino") else []
    ready, missing = deploy_all(model.train(), x, choices, [x])
    assert model.training and not missing and len(ready) == len(choices)
    model.eval()
    assert all(off(engine, model, x) < TOLERANCE[engine.name.split()[-1]] for engine in ready.values())


@pytest.mark.parametrize("how", ["wrong", "nan"])
def test_what_computes_something_else_is_not_handed_out(how, layers, vectors, monkeypatch):
    def broken(model, calibration):
        right = torch_engines.eager(model, calibration)
        return Engine("broken", lambda x: right(x) * (1.01 if how == "wrong" else float("nan")), right.picture, 1)

    monkeypatch.setitem(TARGETS["eager"], "float32", broken)
    with pytest.raises(
        OutputsDiffer, match=r"eager in float32 has a relative output error of .*; at most 0.0001 is allowed"
    ):
        deploy(layers, vectors)
    if how == "wrong":
        assert deploy(layers, vectors, tolerance=0.02)
    ready, missing = deploy_all(layers, vectors, [("eager", "float32"), ("channels-last", "float32")], [vectors])
    assert list(ready) == ["channels-last float32"] and list(missing) == ["eager float32"]


class Flattened(nn.Module):
    """A convolution, what `view` does to it, and a linear layer."""

    def __init__(self):
        super().__init__()
        self.conv, self.last, self.ones = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 2), torch.ones(4, 1, 1)

    def forward(self, x):
        return self.last(self.conv(x).view(x.size(0), -1))


class Branching(Flattened):
    def forward(self, x):
        y = self.conv(x)
        return self.last((y if x.sum() > 0 else -y).flatten(1))


class WithAConstant(Flattened):
    def forward(self, x):
        return self.last((self.conv(x) * self.ones).flatten(1))


class ByNumpy(Flattened):
    def forward(self, x):
        return self.last(torch.from_numpy(self.conv(x).numpy()).flatten(1))


@pytest.mark.parametrize(
    ("kind", "target", "precision", "sentence"),
    [
        (Flattened, "channels-last", "float32", r"channels-last in float32 does not run .*RuntimeError: view size"),
        (Flattened, "channels-last", "bf16", "RuntimeError: view size"),
        (WithAConstant, "channels-last", "bf16", "channels-last in bf16 does not run .*same dtype"),
        (ByNumpy, "channels-last", "bf16", "TypeError"),
        (Branching, "ONNX Runtime", "float32", "cannot be exported to ONNX .*data-dependent"),
        (Branching, "ONNX Runtime", "int8", "cannot be exported to ONNX .*data-dependent"),
        (Branching, "compiled", "float32", "data-dependent"),
        (Branching, "exported", "float32", "data-dependent"),
        (Flattened, "exported", "float32", "view"),
    ],
)
def test_what_a_target_cannot_run_is_one_sentence(kind, target, precision, sentence, monkeypatch, capfd):
    monkeypatch.setattr(compiler, "require_compiler", lambda *_: None)
    torch.manual_seed(0)
    model, x = kind(), torch.randn(16, 3, 8, 8)
    with pytest.raises(EngineUnavailable, match=sentence) as unavailable:
        deploy(model, x, target, precision=precision, calibration=[x])
    assert "\n" not in str(unavailable.value) and "\x1b" not in str(unavailable.value)
    assert capfd.readouterr() == ("", "")
    assert deploy(model, x)


@pytest.mark.parametrize("target", ["eager", "channels-last", "ONNX Runtime"])
def test_outputs_that_are_all_zero_or_infinite(target, vectors, layers):
    zero = copy.deepcopy(layers)
    nn.init.zeros_(zero[3].weight)
    nn.init.zeros_(zero[3].bias)
    precision = "int8" if target == "ONNX Runtime" else "float32"
    assert not deploy(zero, vectors, target, precision=precision, calibration=[vectors])(vectors).any()
    with torch.no_grad():
        layers[3].bias[0] = float("-inf")
    assert deploy(layers, vectors, target)(vectors)[:, 0].isneginf().all()


def test_zeros_are_compared_too(layers, vectors, monkeypatch):
    nn.init.zeros_(layers[3].weight)
    nn.init.zeros_(layers[3].bias)
    monkeypatch.setitem(TARGETS["eager"], "float32", lambda *_: Engine("ones", lambda x: torch.ones(16, 3), (12,), 1))
    with pytest.raises(
        OutputsDiffer, match="eager in float32 returns other outputs than the model, whose own are all zero"
    ):
        deploy(layers, vectors)


@pytest.mark.parametrize("target", ["eager", "channels-last"])
def test_a_model_that_writes_into_its_input_gets_a_copy(target, vectors):
    class Centred(nn.Linear):
        def forward(self, x):
            x -= x.mean()
            return super().forward(x)

    before = vectors.clone()
    engine = deploy(Centred(12, 3), vectors, target)
    assert torch.equal(engine(vectors), engine(vectors)) and torch.equal(vectors, before)


@pytest.mark.parametrize(("target", "precision"), [("eager", "float32"), ("ONNX Runtime", "int8")])
def test_pictures_may_have_gradients(target, precision, layers, vectors):
    x = vectors.clone().requires_grad_()
    engine = deploy(layers, x, target, precision=precision, calibration=[x * 1.0])
    assert not engine(x).requires_grad and x.grad is None


@pytest.mark.parametrize("returns", [dict, tuple, list])
def test_a_network_that_returns_more_than_a_tensor(returns, vectors):
    class Many(nn.Linear):
        def forward(self, x):
            return returns({"logits": super().forward(x)}.items())

    for target in ("eager", "ONNX Runtime"):
        with pytest.raises(ValueError, match=f"Many returns a {returns.__name__}; it must return one tensor"):
            deploy(Many(12, 3), vectors, target)


def test_a_target_without_a_precision_says_which_it_has(layers, vectors):
    with pytest.raises(EngineUnavailable, match="'ONNX Runtime' does not support bf16 here, only float32, int8"):
        deploy(layers, vectors, "ONNX Runtime", precision="bf16")


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"target": "TensorRT"}, "target='TensorRT' must be one of eager, channels-last"),
        ({"precision": "fp4"}, "precision='fp4' must be one of float32, tf32, bf16, fp16, int8, fp8"),
        ({"precision": "int8", "target": "ONNX Runtime"}, "calibration must contain at least one batch"),
        ({"calibration": [torch.zeros(1, 12, dtype=torch.uint8)]}, "calibration contains torch.uint8"),
        ({"example": torch.zeros(0, 12)}, r"example contains torch.float32 \[0, 12\]"),
        ({"example": [[0.0] * 12]}, "example contains list"),
        (
            {"calibration": [torch.zeros(4, 3)]},
            r"calibration contains \[4, 3\]; .* the shape of those in example, \[16, 12\]",
        ),
        ({"example": torch.zeros(4, 3)}, r"model cannot be called on example, float32 \[4, 3\] \(RuntimeError: mat1"),
        ({"tolerance": 0.0}, "tolerance=0.0 must be above 0"),
        ({"tolerance": float("nan")}, "tolerance=nan must be above 0"),
    ],
)
def test_bad_input_is_named(bad, sentence, layers, vectors):
    with pytest.raises(ValueError, match=sentence):
        deploy(layers, **({"example": vectors} | bad))


def test_every_target_begins_with_float32():
    assert all(next(iter(kinds)) == "float32" and set(kinds) <= set(TOLERANCE) for kinds in TARGETS.values())
