"""Quantization-aware training: grids that are used while training, and afterwards."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from nnopt_lab.techniques import quantization
from nnopt_lab.techniques.quantization import qat
from nnopt_lab.workbench import data, training
from tests.techniques.quantization import zoo

X = torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4), nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(16, 5),
    )  # fmt: skip


WAYS = [
    {"weights": 4, "activations": 4, "method": "lsq"},
    {"weights": 2, "activations": 2, "method": "min-max", "ends": None},
    {"weights": "binary", "activations": 8},
    {"weights": "ternary", "activations": None, "ends": None},
    {"weights": None, "activations": 4},
]


class TestPrepare:
    @pytest.mark.parametrize("way", WAYS)
    def test_weights_and_inputs_lie_on_few_values_and_so_do_permanent_ones(self, way):
        model = qat.prepare(net(), X, **way).eval()
        wanted = model(X)
        permanent = qat.make_permanent(copy.deepcopy(model))
        assert torch.equal(permanent(X), wanted)
        assert not any(parametrize.is_parametrized(layer) for layer in permanent.modules())
        middle = permanent[3]
        if way["weights"] is not None:
            allowed = {"binary": 2, "ternary": 3}.get(way["weights"]) or 2 ** way["weights"]
            assert len(middle.weight.unique()) <= allowed
            q = quantization.quantize(middle.weight, middle.weight_grid)
            torch.testing.assert_close(quantization.dequantize(q, middle.weight_grid), middle.weight.detach())
        if way["activations"] is not None:
            assert len(middle.input_quantizer(torch.rand(10_000)).unique()) <= 2 ** way["activations"]

    def test_the_ends_keep_their_bits(self):
        model = qat.make_permanent(qat.prepare(net(), X, 2, 2, ends=8))
        assert [model[i].weight_grid.high for i in (0, 3, 6)] == [127, 1, 127]
        assert [model[i].input_quantizer.high for i in (0, 3, 6)] == [127, 3, 255]  # behind a ReLU there is no sign
        model = qat.make_permanent(qat.prepare(net(), X, 2, 2, ends=None))
        assert [model[i].weight_grid.high for i in (0, 3, 6)] == [1, 1, 1]

    def test_16_bits_change_hardly_anything(self):
        model = net()
        for method in qat.METHODS:
            prepared = qat.prepare(copy.deepcopy(model), X, 16, 16, method=method, ends=None).eval()
            torch.testing.assert_close(prepared(X), model(X), rtol=0, atol=0.02 if method == "lsq" else 0.001)

    def test_a_copy_is_independent(self):
        model = qat.prepare(net(), X)
        copied = copy.deepcopy(model)
        before = model(X).detach().clone()
        with torch.no_grad():
            for parameter in copied.parameters():
                parameter.mul_(3)
        assert torch.equal(model(X), before)
        assert not torch.equal(copied(X), before)

    @pytest.mark.parametrize("method", qat.METHODS)
    def test_training_fit_trains_it(self, method):
        pictures = data.load("shapes")
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3, 4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 10))
        qat.prepare(model, pictures.to_input(pictures.train.images[:50]), 4, 4, method=method, ends=None)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        history = training.fit(model, pictures, epochs=2, train=pictures.train[:400], seed=0)
        assert history.train_loss[1] < history.train_loss[0]
        assert not any(torch.equal(before[name], p) for name, p in model.named_parameters())
        if method == "lsq":
            assert sum(name.endswith("step") for name in before) == 4
        frozen = sum(p.numel() for p in qat.make_permanent(model).parameters() if p.requires_grad)
        assert frozen == 3 * 4 * 9 + 4 + 2560 + 10

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"method": "dorefa"}, "method='dorefa' must be one of min-max, lsq"),
            ({"weights": 1}, "weights=1 must be 2 to 16, binary, ternary or None"),
            ({"weights": "quaternary"}, "weights='quaternary' must be"),
            ({"activations": 17}, "activations=17 must be 2 to 16 or None"),
            ({"activations": "binary"}, "activations='binary' must be 2 to 16 or None"),
            ({"ends": True}, "ends=True must be"),
        ],
    )
    def test_refuses(self, options, sentence):
        with pytest.raises(ValueError, match=sentence):
            qat.prepare(net(), X, **options)

    def test_refuses_what_it_has_prepared_and_what_it_cannot(self):
        with pytest.raises(ValueError, match="is already prepared"):
            qat.prepare(qat.prepare(net(), X), X)
        with pytest.raises(ValueError, match="no convolution or linear layer"):
            qat.prepare(nn.ReLU(), X)


REFUSED = ("tied", "weight norm", "spectral norm", "parametrised", "prepared", "prepared activations")
MASKED = ("masked", "masked after a step", "masked and loaded")


class TestNetworksAsUsersWriteThem:
    @pytest.mark.parametrize("name", [name for name in zoo.ALL if name not in (*REFUSED, *MASKED)])
    @pytest.mark.parametrize("method", qat.METHODS)
    def test_16_bits_change_hardly_anything_and_permanent_is_the_same(self, name, method):
        model = zoo.make(zoo.ALL[name])
        wanted, frozen = zoo.answers(model), {n for n, p in model.named_parameters() if not p.requires_grad}
        qat.prepare(model, zoo.inputs_of(model), 16, 16, method=method, ends=None)
        torch.testing.assert_close(zoo.answers(model), wanted, rtol=0.01, atol=0.02)
        wanted, copied = zoo.answers(model), copy.deepcopy(model)
        permanent = qat.make_permanent(model)
        assert torch.equal(zoo.answers(permanent), wanted)
        assert torch.equal(zoo.answers(copied), wanted)  # a copy of a layer shares the class that torch made for it
        assert {n for n, p in permanent.named_parameters() if not p.requires_grad and "quantizer" not in n} == frozen

    @pytest.mark.parametrize("name", [*REFUSED, *MASKED])
    def test_ties_masks_and_computed_weights_are_refused_and_stay(self, name):
        model = zoo.make(zoo.ALL[name])
        wanted = zoo.answers(model)
        with pytest.raises(ValueError, match=r"layer '[ab]' (is tied|has) .* first\.|is already prepared\."):
            qat.prepare(model, zoo.ROWS)
        assert torch.equal(zoo.answers(model), wanted)

    @pytest.mark.parametrize("method", qat.METHODS)
    def test_ranges_are_those_that_the_layers_read_whatever_happens_in_place_later(self, method):
        class Net(nn.Module):
            def __init__(self, in_place):
                super().__init__()
                torch.manual_seed(0)
                self.a, self.b, self.relu, self.in_place = nn.Linear(8, 8), nn.Linear(8, 8), nn.ReLU(in_place), in_place

            def forward(self, x):
                y = self.relu(self.a(x))
                z = self.b(y)
                if self.in_place:
                    y -= 5
                    return z + y
                return z + (y - 5)

        x = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
        one, other = (qat.prepare(Net(in_place), x.clone(), method=method) for in_place in (True, False))
        assert one.state_dict().keys() == other.state_dict().keys()
        assert all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())
        grid = one.b.input_quantizer.grid()
        assert grid.low == 0 and (method == "lsq" or float(one.b.input_quantizer.range[0]) == 0)

    def test_a_layer_that_runs_twice_has_a_grid_for_all_that_it_reads(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(4, 4)

            def forward(self, x):
                return self.layer(-10 * self.layer(x).square())

        x = torch.rand(20, 4)
        model = qat.prepare(Net(), x, None, 8, method="min-max", ends=None)
        assert model.layer.input_quantizer.range[0] < 0
        assert qat.prepare(Net(), x, None, 8, ends=None).layer.input_quantizer.low < 0

    def test_what_was_not_prepared_is_left_alone(self):
        model = nn.Sequential(nn.Linear(5, 5), parametrizations.weight_norm(nn.Conv1d(1, 1, 1)))
        qat.prepare(model[0], zoo.ROWS)
        qat.make_permanent(model)
        assert parametrize.is_parametrized(model[1]) and not parametrize.is_parametrized(model[0])
