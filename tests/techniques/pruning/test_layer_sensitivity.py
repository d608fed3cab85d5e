"""Sensitivity: each layer is pruned alone."""

import pytest
import torch

from nnopt_lab.techniques import pruning
from tests.techniques.pruning.networks import net, weights


def test_sensitivity_prunes_each_layer_alone_and_leaves_the_model_as_it_was():
    model, seen = net(), []
    before = weights(model)

    def evaluate(pruned):
        zeros = {name: int((w == 0).sum()) for name, w in weights(pruned).items()}
        seen.append({name: n for name, n in zeros.items() if n})
        return sum(zeros.values())

    result = pruning.sensitivity(model, evaluate, (0.5, 1.0))
    assert result == {"0": [108, 216], "3": [96, 192], "4": [12, 24]}
    assert all(len(layers) == 1 for layers in seen)
    assert all(torch.equal(w, before[name]) for name, w in weights(model).items())


def test_the_weights_are_back_where_the_evaluation_fails():
    model = net()
    before = weights(model)
    with pytest.raises(ZeroDivisionError):
        pruning.sensitivity(model, lambda _: 1 / 0)
    assert all(torch.equal(w, before[name]) for name, w in weights(model).items())


def test_masked_layers_are_refused():
    with pytest.raises(ValueError, match=r"layer '0' has a pruning mask on its weight: call pruning.make_permanent"):
        pruning.sensitivity(pruning.magnitude_prune(net(), 50), lambda _: 0.0)
