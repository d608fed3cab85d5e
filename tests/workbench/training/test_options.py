"""Options of `fit`: the CPU runs with all of them, says what has no effect there, and bad ones get a sentence."""

import copy
import warnings

import pytest
import torch
from torch import nn

from nnopt_lab.workbench import device as devices
from tests.workbench.training.common import fit, net, weights


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=0.01)


def test_without_options_nothing_is_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(net(), resident=True, accumulate=2, bf16=True, fused=True, optimizer=adamw)


def test_a_graph_has_no_effect_on_the_cpu_and_says_so_at_the_call():
    plain, asked = net(), net()
    fit(plain)
    with pytest.warns(UserWarning) as said:
        fit(asked, cuda_graph=True)
    assert [str(one.message) for one in said] == ["cuda_graph=True has no effect on a CPU."]
    assert said[0].filename.endswith("common.py")  # where `fit` is called
    assert torch.equal(weights(plain), weights(asked))


class TestBf16:
    def test_parameters_gradients_and_state_stay_float32_and_layers_compute_in_bf16(self):
        model, seen = net(), []
        model[1].register_forward_hook(lambda layer, inputs, output: seen.append((layer.training, output.dtype)))
        optimizer = adamw(model.parameters())
        history = fit(
            model,
            optimizer=optimizer,
            bf16=True,
            epochs=6,
            loss=lambda logits, labels: (
                nn.functional.cross_entropy(logits, labels) if logits.dtype == torch.float32 else 1 / 0
            ),
        )
        assert set(seen) == {(True, torch.bfloat16), (False, torch.float32)}
        assert {p.dtype for p in model.parameters()} == {p.grad.dtype for p in model.parameters()} == {torch.float32}
        assert {v.dtype for state in optimizer.state.values() for v in state.values()} == {torch.float32}
        assert history.train_loss[-1] < history.train_loss[0]

    def test_losses_are_near_those_in_float32(self):
        exact, rounded = fit(net()), fit(net(), bf16=True)
        assert rounded.train_loss == pytest.approx(exact.train_loss, rel=0.02)
        assert rounded.train_loss != exact.train_loss

    def test_is_refused_where_the_accelerator_has_none(self):
        with devices.stand_in("old card", capability=(7, 5)), pytest.raises(ValueError) as refused:
            fit(net(), device="accelerator", bf16=True)
        assert str(refused.value) == "bf16=True: bf16 needs compute capability 8.0 or higher; old card has 7.5."


class TestFused:
    @pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
    def test_gives_the_same_weights_but_for_rounding(self, kind):
        plain, fused = net(), net()
        for model, chosen in ((plain, False), (fused, True)):
            fit(model, optimizer=lambda parameters: kind(parameters, lr=0.01), fused=chosen)
        assert torch.allclose(weights(plain), weights(fused), atol=1e-5)

    def test_an_optimizer_that_has_stepped_goes_on(self):
        ways = []
        for later in (False, True):
            model = net()
            optimizer = adamw(model.parameters())
            fit(model, optimizer=optimizer, epochs=1)
            fit(model, optimizer=optimizer, epochs=1, fused=later, seed=1)
            ways.append(weights(model))
        assert torch.allclose(*ways, atol=1e-5)

    def test_an_optimizer_without_such_a_form_is_refused(self):
        with pytest.raises(ValueError, match="fused=True: RMSprop has no fused version; use SGD, Adam or AdamW"):
            fit(net(), fused=True, optimizer=lambda parameters: torch.optim.RMSprop(parameters, lr=0.01))


class TestCompiled:
    @pytest.fixture(autouse=True)
    def eager(self, monkeypatch):
        """`torch.compile` with a backend that needs no C++ compiler, and takes no minute."""
        self.calls, compiler = [], torch.compile

        def without_inductor(model, **options):
            self.calls.append(options)
            return compiler(model, backend="aot_eager", dynamic=options["dynamic"])

        torch._dynamo.reset()
        monkeypatch.setattr(torch, "compile", without_inductor)

    def test_gives_the_same_losses_and_compiles_only_the_first_size(self):
        plain, compiled = fit(net(), epochs=3), fit(net(), epochs=3, compiled=True)
        assert compiled.train_loss == pytest.approx(plain.train_loss, rel=1e-4)
        assert compiled.validation_loss == pytest.approx(plain.validation_loss, rel=1e-4)
        assert self.calls == [{"mode": "default", "dynamic": False}]

    def test_a_mode_for_accelerators_says_so_on_the_cpu(self):
        with pytest.warns(UserWarning, match=r"^compiled='reduce-overhead' has the same effect as compiled=True on"):
            fit(net(), compiled="reduce-overhead", epochs=1)
        assert self.calls[0]["mode"] == "reduce-overhead"

    def test_what_the_model_returns_is_still_looked_at(self):
        class Two(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = net()

            def forward(self, x):
                return self.net(x), x

        with pytest.raises(ValueError, match=r"^Two returns a tuple; it must return one tensor, the logits"):
            fit(Two(), compiled=True)

    def test_goes_with_all_other_options(self):
        model = net()
        options = {"resident": True, "accumulate": 3, "bf16": True, "fused": True, "optimizer": adamw}
        history = fit(model, compiled=True, epochs=8, **options)
        assert history.train_loss[-1] < history.train_loss[0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"compiled": "fast"}, "compiled='fast' must be True, False or one of 'default', 'reduce-overhead'"),
        ({"compiled": 3}, "compiled=3 must be True, False or one of"),
        ({"compiled": "reduce-overhead", "cuda_graph": True}, "records its own graphs: use it or cuda_graph=True"),
        ({"device": "gpu"}, "device='gpu' must be 'cpu', 'accelerator' or"),
        ({"device": "accelerator"}, "device='accelerator': this machine has no accelerator"),
    ],
)
def test_refuses(options, sentence, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    model = net()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=sentence):
        fit(model, **options)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
