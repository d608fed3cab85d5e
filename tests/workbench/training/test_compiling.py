"""A compiled model computes what the model does, and a missing compiler is said in one sentence."""

import importlib

import pytest
import torch
from torch import nn

from nnopt_lab.workbench.training.compiling import MODES, Compiled, mode_of
from tests.workbench.training.common import fit


@pytest.fixture
def backend(monkeypatch):
    """`torch.compile` with another backend than the one that needs a C++ compiler."""

    def use(name):
        compiler = torch.compile
        torch._dynamo.reset()
        monkeypatch.setattr(torch, "compile", lambda model, **options: compiler(model, backend=name, dynamic=False))

    return use


def test_only_the_first_shape_is_compiled(backend):
    shapes = []

    def counting(graph, inputs):
        shapes.append([tuple(x.shape) for x in inputs if x.ndim == 2 and x.shape[1] == 4 and x.shape[0] > 3])
        return graph.forward

    backend(counting)
    model = nn.Linear(4, 3)
    compiled = Compiled(model, "default")
    for size in (8, 5, 8, 6, 8):
        x = torch.randn(size, 4)
        assert torch.allclose(compiled(x), model(x), atol=1e-6)
    assert shapes == [[(8, 4)]]


def test_smoke_mode_compiles_nothing(backend, monkeypatch):
    backend(lambda graph, inputs: 1 / 0)
    monkeypatch.setenv("NNOPT_SMOKE", "1")
    model = nn.Linear(4, 3)
    assert torch.equal(Compiled(model, "default")(torch.ones(2, 4)), model(torch.ones(2, 4)))


def test_a_compiler_that_fails_is_said_in_one_sentence(backend):
    def failing(graph, inputs):
        raise RuntimeError("no compiler was found\nsearched here\nand there")

    backend(failing)
    with pytest.raises(ValueError, match=r"torch\.compile can't compile this model here") as failed:
        Compiled(nn.Linear(4, 3), "default")(torch.ones(2, 4))
    assert "\n" not in str(failed.value) and "no compiler was found" in str(failed.value)


def test_an_error_of_the_model_itself_stays_what_it_is(backend):
    backend("eager")

    class Wrong(nn.Module):
        def forward(self, x):
            raise NotImplementedError("not written yet")

    with pytest.raises(NotImplementedError, match="not written yet"):
        Compiled(Wrong(), "default")(torch.ones(2, 4))


def test_modes():
    assert mode_of(False) is None and mode_of(None) is None and mode_of(True) == "default"
    assert {mode_of(mode) for mode in MODES} == set(MODES)
    with pytest.raises(ValueError, match="compiled='quick' must be True, False or one of 'default'"):
        mode_of("quick")


def test_the_modes_are_torchs_own():
    assert {*MODES} <= {*importlib.import_module("torch._inductor").list_mode_options()}


def test_the_losses_of_torchs_own_compiler_are_those_without_it():
    try:
        importlib.import_module("torch._inductor.cpp_builder").get_cpp_compiler()
    except RuntimeError:
        pytest.skip("needs a C++ compiler")
    torch._dynamo.reset()

    def small():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(3072, 4), nn.ReLU(), nn.Linear(4, 10))

    plain, compiled = fit(small()), fit(small(), compiled=True)
    assert compiled.train_loss == pytest.approx(plain.train_loss, rel=1e-4)
    assert compiled.train_accuracy == pytest.approx(plain.train_accuracy, abs=2)
