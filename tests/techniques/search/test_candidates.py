"""A candidate is what its configuration says, and the same one again."""

import copy

import pytest
import torch
from torch import nn

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.search import candidates
from tests.techniques.search.small_search import CONFIG, same_weights


@pytest.fixture(scope="module")
def made(task):
    """(what was watched, the network, its sizes)"""
    seen = []
    model, sizes = candidates.make(task, CONFIG, lambda model, accuracies, left: seen.append((len(accuracies), left)))
    return seen, model, sizes


def test_the_same_configuration_is_the_same_network_and_the_original_stays(task, made):
    before = copy.deepcopy(task.model.state_dict())
    again, sizes = candidates.make(task, CONFIG)
    assert sizes == made[2]
    assert same_weights(again, made[1])
    assert all(torch.equal(before[name], value) for name, value in task.model.state_dict().items())


def test_it_is_what_the_configuration_says(made):
    _, model, sizes = made
    assert model[0].out_channels == 4 and model[4].out_channels == 8
    assert isinstance(model[7], nn.Sequential) and model[7][1].out_features == 16
    assert sizes["channels"] == {"0": 4, "7": 16} and sizes["ranks"]["7"] == model[7][0].out_features
    values = {n: w.unique() for n, w in model.named_parameters() if n.endswith("weight") and w.dim() > 1}
    most = {"0.weight": 17, "4.weight": 9, "7.0.weight": 5, "7.1.weight": 5}
    assert all(len(values[name]) <= count for name, count in most.items())
    weights = torch.cat([w.flatten() for n, w in model.named_parameters() if w.dim() > 1])
    assert 0.49 < (weights == 0).float().mean() < 0.52


def test_what_is_watched(task, made):
    assert made[0] == [(0, 2), (1, 1), (2, 0)]
    seen = []
    candidates.make(task, {"engine": "eager float32"}, lambda *watched: seen.append(watched[1:]))
    assert seen == [([], 0)]


def test_its_sizes_shape_it_again(task, made):
    _, model, sizes = made
    again = candidates.reshape(task.model, task.inputs(1), sizes)
    again.load_state_dict(model.state_dict())
    assert same_weights(again, model)


def test_unknown_keys(task):
    with pytest.raises(ValueError, match="config has the keys bit; allowed are channels, energy"):
        candidates.shape(task.model, task.inputs(1), {"bit": 3})


def test_attention_that_loses_heads_has_the_bits_of_its_layers_before():
    torch.manual_seed(0)
    model = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Flatten(), nn.Linear(32, 3)).eval()
    bits = {"0.self_attn.out_proj": 2, "0.linear1": 3, "0.linear2": 4, "2": 5}
    config = {"channels": {"0.self_attn heads": 0.5}, "bits": bits, "sparsity": 0.5}
    shaped, _ = candidates.shape(model, torch.randn(2, 4, 8), config)
    small = candidates.compress(shaped, config)
    named = {name: len(layer.weight.unique()) for name, layer in pruning.prunable(small).items()}
    assert {name.rpartition(".")[2] for name in named} == {"query", "key", "value", "out", "linear1", "linear2", "2"}
    for name, values in named.items():
        assert values <= 2 ** bits.get(name, 2) + 1, "and 0"
    with pytest.raises(ValueError, match="for each of the layers"):
        candidates.compress(model, {"bits": {"0.linear1": 3}})
