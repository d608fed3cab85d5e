"""What promises an equivalent model keeps the function on every network, or refuses in one sentence."""

import inspect

import pytest
import torch
from torch import nn

from nnopt_lab.techniques import network_checks, pruning
from nnopt_lab.techniques.convolutions import blocks, folding, low_rank
from nnopt_lab.techniques.pruning import channel_pruning, dependency_graph
from tests.techniques.habits import HABITS, X, build, in_evaluation

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*cannot be folded", "ignore:.*weight_norm", "ignore:.*Lazy", "ignore:Initializing zero-element"
)


def full_rank(model):
    layers = low_rank.factorisable(model)
    return low_rank.low_rank(model, {name: min(low_rank._matrix(layer).shape) for name, layer in layers.items()})


def energy_of_one(model):
    return low_rank.low_rank(model, low_rank.choose_ranks(model, energy=1.0))


def all_channels(model):
    groups = [group for group in dependency_graph.channel_groups(model, X[:1]) if group.removable]
    return channel_pruning.remove_channels(model, X[:1], {g.name: torch.arange(g.size) for g in groups})


def permanent(model):
    return pruning.make_permanent(network_checks.copied(model))


def plain_layers(model):
    model = network_checks.copied(model)
    for layer in list(model.modules()):
        network_checks.make_plain(layer)
    return model


SAME = {
    "copied": network_checks.copied,
    "fold_batch_norm": folding.fold_batch_norm,
    "low_rank, full": full_rank,
    "low_rank, all energy": energy_of_one,
    "remove_channels, none": all_channels,
    "make_permanent": permanent,
    "make_plain": plain_layers,
}


def check_same(got, wanted):
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        if isinstance(b, torch.Tensor):
            assert a.shape == b.shape
            assert (a - b).abs().max() <= 1e-4 * max(1, b.abs().max())
        else:
            assert a == b


def refused(call):
    """The result, or None where it was refused by one sentence."""
    try:
        return call()
    except ValueError as error:
        text = str(error)
        assert text and "\n" not in text and "tlparse" not in text and text.endswith("."), text
        return None


def state_of(model):
    modes = {name: module.training for name, module in model.named_modules()}
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return modes, frozen, {name: value.clone() for name, value in model.state_dict().items() if value.numel()}


def is_lazy(model):
    return any(nn.parameter.is_lazy(parameter) for parameter in model.parameters())


@pytest.mark.parametrize("function", SAME)
@pytest.mark.parametrize("name", HABITS)
def test_the_function_stays_or_one_sentence_refuses(name, function):
    model = build(name)
    if is_lazy(model):
        refused(lambda: SAME[function](model))
        return
    wanted = in_evaluation(model)
    modes, frozen, before = state_of(model)
    changed = refused(lambda: SAME[function](model))
    assert state_of(model)[:2] == (modes, frozen)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    if changed is None:
        return
    check_same(in_evaluation(changed), wanted)
    check_same(in_evaluation(model), wanted)
    after = dict(changed.named_modules())
    kept = [module for module in modes if module in after and not list(after[module].children())]
    assert all(after[module].training == modes[module] for module in kept)
    mine = {parameter.data_ptr() for parameter in model.parameters()}
    assert not any(parameter.data_ptr() in mine for parameter in changed.parameters())
    if name in ("frozen", "masked_and_frozen"):
        assert not any(parameter.requires_grad for parameter in changed.parameters())
    elif not frozen:
        assert all(parameter.requires_grad for parameter in changed.parameters())


@pytest.mark.parametrize("name", HABITS)
def test_smaller_networks_compute_what_the_zeroed_ones_do(name):
    model = build(name)
    keep = refused(lambda: channel_pruning.keep_most_important(model, X[:1], 0.5))
    if keep is None:
        return
    zeroed = refused(lambda: channel_pruning.zero_channels(model, X[:1], keep))
    small = refused(lambda: channel_pruning.remove_channels(model, X[:1], keep))
    if small is not None:
        check_same(in_evaluation(small), in_evaluation(zeroed))
        # An attention may be replaced by layers with other names.
        before, after = dict(model.named_parameters()), dict(small.named_parameters())
        assert all(p.requires_grad == before[name].requires_grad for name, p in after.items() if name in before)
        modes, new_modes = state_of(model)[0], state_of(small)[0]
        assert all(training == modes[name] for name, training in new_modes.items() if name in modes)


@pytest.mark.parametrize("name", ["views", "in_place", "optional_mask", "optional_keywords", "other_in_training",
                                  "layers_called_by_keyword", "gives_features_too", "gives_a_buffer", "frozen_in_part",
                                  "mixed_modes", "under_two_names", "kept_activations"])  # fmt: skip
def test_ordinary_habits_are_not_refused(name):
    model = build(name)
    keep = channel_pruning.keep_most_important(model, X[:1], 0.5)
    assert channel_pruning.remove_channels(model, X[:1], keep).a.out_channels <= 6 and keep


@pytest.mark.parametrize("method", [pruning.magnitude_prune, pruning.random_prune])
@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("name", HABITS)
def test_masks_made_permanent_keep_the_function(name, method, scope):
    model = refused(lambda: network_checks.copied(build(name)))
    if model is None:
        return
    left = None if is_lazy(model) else pruning.count_weights(model)[0]
    if refused(lambda: method(model, (left or 0) // 2, scope=scope)) is None:
        return
    assert pruning.count_weights(model)[0] == left // 2
    wanted = in_evaluation(model)
    assert pruning.make_permanent(model) is model
    check_same(in_evaluation(model), wanted)
    weights = {layer.weight.data_ptr(): layer.weight for layer in pruning.prunable(model).values()}
    assert sum(int((weight != 0).sum()) for weight in weights.values()) <= left // 2


REPLACED = {
    "separable": blocks.separable,
    "grouped": lambda model: blocks.grouped(model, 3),
    "bottleneck": blocks.bottleneck,
    "asymmetric": blocks.asymmetric,
    "strided": blocks.strided,
    "strided with an example": lambda model: blocks.strided(model, X),
    "low_rank": lambda model: low_rank.low_rank(model, low_rank.choose_ranks(model, energy=0.6)),
}


@pytest.mark.parametrize("function", REPLACED)
@pytest.mark.parametrize("name", HABITS)
def test_networks_with_other_layers_run(name, function):
    model = build(name)
    changed = refused(lambda: REPLACED[function](model))
    if changed is not None and not is_lazy(model):
        shapes = [getattr(leaf, "shape", None) for leaf in in_evaluation(model)]
        got = [getattr(leaf, "shape", None) for leaf in in_evaluation(changed)]
        assert got[0] == shapes[0]


def test_the_habits_are_what_they_say():
    assert len(HABITS) > 50 and inspect.isfunction(HABITS["plain"])
    for name in HABITS:
        model = build(name)
        if not is_lazy(model):
            assert all(torch.isfinite(leaf).all() for leaf in in_evaluation(model) if isinstance(leaf, torch.Tensor))
