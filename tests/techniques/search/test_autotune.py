"""The search as its users call it: bad arguments, torchvision's networks, the package's own `optimize`."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

import nnopt_lab
from nnopt_lab.techniques.search.autotune import optimize
from nnopt_lab.techniques.search.points import Goal
from tests.techniques.search.small_search import TRAIN, VALIDATION, known_machine, search


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"trials": 0}, "trials=0"),
        ({"epochs": 0}, "epochs=0"),
        ({"sampler": "grid"}, "sampler='grid'"),
        ({"goal": "size"}, "target='size'"),
        ({"engine_names": ["abacus"]}, "'abacus'"),
    ],
)
def test_arguments_out_of_their_range(trained, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        search(trained, **options)


def test_what_is_no_network_or_no_data():
    with pytest.raises(ValueError, match="model is int; it must be a classifier"):
        optimize(3, TRAIN, VALIDATION)
    with pytest.raises(ValueError, match="200 pictures and 199 labels"):
        optimize(nn.Flatten(), TRAIN, (VALIDATION[0], VALIDATION[1][:-1]))


def test_the_original_is_left_as_it_was(trained):
    before = copy.deepcopy(trained.state_dict())
    search(trained, "bytes", trials=1)
    assert all(torch.equal(before[name], value) for name, value in trained.state_dict().items())
    assert not trained.training


@pytest.mark.parametrize("name", ["resnet", "mobilenet"])
def test_for_torchvisions_networks(name):
    from torchvision.models import mobilenet_v3_small, resnet

    torch.manual_seed(0)
    if name == "resnet":
        model = resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=3)
    else:
        model = mobilenet_v3_small(num_classes=3, width_mult=0.25)
    few = tuple(x[:32] for x in TRAIN), tuple(x[:16] for x in VALIDATION)
    options = {"engine_names": (), "epochs": 1, "to_input": lambda x: nn.functional.interpolate(x, (32, 32))}
    with known_machine():
        found = optimize(model, *few, trials=1, goal=Goal(max_drop=100.0), manual_starts=False, **options)
    assert not found.failed and not found.notes and len(found.points) == 1
    assert len(found.points[0].config["channels"]) > 4
    shrunk = sum(p.numel() for p in found.network(found.points[0]).parameters())
    assert shrunk < 0.9 * sum(p.numel() for p in found.task.model.parameters())


def test_it_is_the_packages_own_and_costs_nothing_before_it_is_used():
    assert nnopt_lab.optimize is optimize
    code = "import sys, nnopt_lab; print('torch' in sys.modules, 'optuna' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]
    with pytest.raises(AttributeError, match="no attribute 'optimise'"):
        _ = nnopt_lab.optimise
