"""What a network contains beside its layers' weights is found, carried over, or refused by name."""

import copy
import threading

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, vector_to_parameters, weight_norm

from nnopt_lab.techniques import network_checks, pruning

X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.Linear(6, 3)).eval()


def masked(layer, name="weight"):
    prune.l1_unstructured(layer, name, 3)
    return layer


COMPUTED = {
    "mask": (masked, "weight", "a pruning mask on its weight: call pruning.make_permanent"),
    "mask on the bias": (
        lambda layer: masked(layer, "bias"),
        "bias",
        r"mask on its bias: call .*prune.remove\(l",
    ),
    "two masks": (lambda layer: masked(masked(layer)), "weight", "a pruning mask"),
    "weight norm": (weight_norm, "weight", "weight_norm on its weight: call torch.nn.utils.remove_weight_norm"),
    "spectral norm": (spectral_norm, "weight", "spectral_norm on its weight: .*remove_spectral_norm"),
    "weight norm's parametrisation": (parametrizations.weight_norm, "weight", "remove_parametrizations"),
    "spectral norm's parametrisation": (parametrizations.spectral_norm, "weight", "parametrisation SpectralNorm"),
    "orthogonal": (parametrizations.orthogonal, "weight", "parametrisation Orthogonal"),
}


class TestComputedParameters:
    @pytest.mark.parametrize("name", COMPUTED)
    def test_are_found_and_refused_with_the_cure_that_helps(self, name):
        compute, parameter, sentence = COMPUTED[name]
        model = net()
        compute(model[2])
        assert list(network_checks.computed_parameters(model[2])) == [parameter]
        assert not network_checks.computed_parameters(model[0])
        with pytest.raises(ValueError, match=f"layer '2' has .*{sentence}"):
            network_checks.require_plain(model)
        network_checks.require_plain(model, ["0", "3"])

    @pytest.mark.parametrize("name", COMPUTED)
    @pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
    def test_current_value_is_what_forward_uses(self, name, training):
        model = net()
        COMPUTED[name][0](model[2])
        loaded = {key: value + 1 if value.is_floating_point() else value for key, value in model.state_dict().items()}
        if "orthogonal" not in name:
            model.load_state_dict(loaded)  # what the attribute `weight` holds is stale now
        model.train(training)
        before = copy.deepcopy(model.state_dict())
        weight, bias = (network_checks.current_value(model[2], part) for part in ("weight", "bias"))
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
        assert model.training == training and not weight.requires_grad
        torch.testing.assert_close(nn.functional.linear(X, weight, bias), model.eval()[2](X))

    @pytest.mark.parametrize("name", COMPUTED)
    @pytest.mark.parametrize("freeze", [True, False], ids=["frozen", "trainable"])
    def test_made_plain_the_layer_computes_the_same_and_stays_frozen(self, name, freeze):
        model = net()
        COMPUTED[name][0](model[2])
        model[2].requires_grad_(not freeze)
        wanted = model(X)
        network_checks.make_plain(model[2])
        torch.testing.assert_close(model(X), wanted)
        assert set(model.state_dict()) == set(net().state_dict())
        assert [p.requires_grad for p in model[2].parameters()] == [not freeze] * 2
        network_checks.require_plain(model)
        network_checks.copied(model).load_state_dict(net().state_dict())

    @pytest.mark.parametrize("name", COMPUTED)
    def test_making_a_copy_plain_leaves_the_original_alone(self, name):
        model = net()
        COMPUTED[name][0](model[2])
        wanted, copied = model(X).detach(), network_checks.copied(model)
        network_checks.make_plain(copied[2])
        torch.testing.assert_close(model(X), wanted)
        torch.testing.assert_close(copied(X), wanted)

    def test_a_layer_without_weights_yet_is_refused(self):
        with pytest.raises(ValueError, match="layer '1' has no weights yet"):
            network_checks.require_plain(nn.Sequential(nn.ReLU(), nn.LazyLinear(3)))


class TestCopied:
    @pytest.mark.parametrize("name", COMPUTED)
    @pytest.mark.parametrize("mode", ["gradients", "no_grad", "inference"])
    def test_copies_a_model_whose_last_forward_computed_its_weights(self, name, mode):
        model = net()
        COMPUTED[name][0](model[2])
        with {"gradients": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}[mode]():
            wanted = model(X).clone()
        copied = network_checks.copied(model)
        torch.testing.assert_close(copied(X), wanted)
        copied(X).sum().backward()
        assert all(parameter.grad is not None for parameter in copied.parameters())
        assert all(parameter.grad is None for parameter in model.parameters())

    def test_copies_what_a_user_keeps_of_the_last_forward(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer, self.seen = nn.Linear(6, 2), {"last": []}

            def forward(self, x):
                self.seen["last"].append(self.layer(x))
                return self.seen["last"][-1]

        model = Net()
        wanted = model(X)
        copied = network_checks.copied(model)
        assert torch.equal(copied.seen["last"][0], wanted) and copied.seen is not model.seen

    def test_ties_within_a_tuple_stay(self):
        model = pruning.magnitude_prune(net(), 20)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        model(X).sum().backward()
        copied, other = network_checks.copied((model, optimizer))
        assert {id(p) for p in copied.parameters()} == {id(p) for p in other.param_groups[0]["params"]}

    def test_what_cannot_be_copied_is_refused(self):
        model = net()
        model.lock = threading.Lock()
        sentence = (
            r"model cannot be copied because of the attribute 'lock': remove that first \(TypeError: cannot pickle"
        )
        with pytest.raises(ValueError, match=sentence):
            network_checks.copied(model)

    def test_a_layer_without_a_shape_yet_is_named(self):
        with pytest.raises(ValueError, match="layer '1' has no weights yet: call the model on an input first"):
            network_checks.copied(nn.Sequential(nn.Conv2d(3, 4, 3), nn.LazyBatchNorm2d()))

    @pytest.mark.parametrize("thing", [threading.Lock(), (n for n in [1]), {"here": [threading.Lock()]}])
    def test_what_a_layer_holds_that_cannot_be_copied_is_named(self, thing):
        model = net()
        model[2].kept = thing
        with pytest.raises(ValueError, match=r"because of the attribute 'kept' of its layer '2': remove that first \("):
            network_checks.copied(model)


class TestTies:
    def test_of_a_parameter_and_of_memory(self):
        model = net()
        model[2].weight = model[0].weight
        assert network_checks.tied_parameters(model) == {"0.weight": ["2.weight"], "2.weight": ["0.weight"]}
        model = net()
        model[2].weight.data = model[0].weight.data
        assert network_checks.ties_of(model, "0") == ["2.weight"]
        with pytest.raises(ValueError, match=r"layer '2' is tied with '0\.weight': untie them first"):
            network_checks.require_untied(model, ["3", "2"])

    def test_through_a_parent_or_another_kind_of_module(self):
        model = nn.ModuleDict({"embedding": nn.Embedding(5, 4), "head": nn.Linear(4, 5)})
        model["head"].weight = model["embedding"].weight
        assert network_checks.ties_of(model, "head") == ["embedding.weight"]
        model = net()
        model.kept = model[2].bias
        assert network_checks.ties_of(model, "2") == ["kept"]

    def test_one_module_in_two_places_and_one_vector_for_all_are_no_ties(self):
        layer, model = nn.Linear(6, 6), net()
        assert not network_checks.tied_parameters(nn.Sequential(layer, layer))
        vector_to_parameters(torch.randn(sum(p.numel() for p in model.parameters())), model.parameters())
        assert not network_checks.tied_parameters(model)


class TestModulesInSeveralPlaces:
    def test_all_names_are_known_and_replaced_together(self):
        layer = nn.Linear(6, 6)
        model = nn.Sequential(layer, nn.ReLU(), nn.Sequential(layer), nn.Linear(6, 6))
        assert network_checks.module_names(model)[layer] == ["0", "2.0"]
        network_checks.replace_module(model, "2.0", nn.Identity())
        assert model[0] is model[2][0] and isinstance(model[0], nn.Identity)


def test_hooks_of_masks_and_norms_are_no_hooks_of_the_users():
    model = net()
    weight_norm(masked(model[0], "bias"))
    assert not network_checks.hooked(model[0])
    model[0].register_forward_hook(lambda layer, inputs, output: output * 2)
    assert network_checks.hooked(model[0])


def test_a_layer_that_overrides_forward_is_told_from_one_that_does_not():
    class Mine(nn.Conv2d):
        def forward(self, x):
            return super().forward(x) * 2

    class Named(nn.Conv2d):
        pass

    assert network_checks.overrides_forward(Mine(3, 4, 1), nn.Conv2d)
    assert not network_checks.overrides_forward(Named(3, 4, 1), nn.Conv2d)
    assert not network_checks.overrides_forward(parametrizations.weight_norm(nn.Conv2d(3, 4, 1)), nn.Conv2d)
