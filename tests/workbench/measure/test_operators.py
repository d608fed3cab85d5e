"""A network's operators: all that move something, in their order, with work and bytes as counted by hand."""

import importlib

import pytest
import torch
from torch import nn

from nnopt_lab.workbench import models
from nnopt_lab.workbench.measure import layer_costs, operators


def test_mynets_operators_are_its_nine_layers_without_the_flattening():
    model, x = models.MyNet().train(), torch.zeros(2, 3, 32, 32)
    found = operators(model, x)
    kinds = [name.split()[1] for name, *_ in found]
    assert kinds == ["Conv2d", "ReLU", "MaxPool2d"] * 2 + ["Linear", "ReLU", "Linear"]
    assert [name.split()[0] for name, *_ in found] == list("012345678")
    assert model.training and not any(layer._forward_hooks for layer in model.modules())
    of_layers = [op for op in found if "Conv" in op.name or "Linear" in op.name]
    for op, cost in zip(of_layers, layer_costs(model, x), strict=True):
        assert op.operations / op.moved == pytest.approx(cost.intensity)


def test_relu_and_pooling_read_and_write_every_value_and_compare():
    relu, pool = operators(nn.Sequential(nn.ReLU(inplace=True), nn.MaxPool2d(2)), -torch.ones(1, 1, 4, 4))
    assert relu[1:] == (16, 2 * 16 * 4, None)
    assert pool[1:] == (3 * 4, (16 + 4) * 4, None)


def test_it_counts_on_the_device_meta_and_times_on_this_one():
    meta = operators(models.MyNet().to("meta"), torch.empty(4, 3, 32, 32, device="meta"))
    timed = operators(models.MyNet(), torch.zeros(4, 3, 32, 32), timed=True)
    assert [op[:3] for op in meta] == [op[:3] for op in timed]
    assert all(op.seconds > 0 for op in timed)


def test_layers_are_timed_in_the_layout_of_their_input(monkeypatch):
    layouts = []
    monkeypatch.setattr(
        importlib.import_module("nnopt_lab.workbench.measure.operators"),
        "latency",
        lambda models, x, **_: layouts.append(x.is_contiguous(memory_format=torch.channels_last)) or {"": timing},
    )
    timing = type("Timing", (), {"median": 1.0})
    x = torch.zeros(2, 3, 8, 8).to(memory_format=torch.channels_last)
    assert [op.seconds for op in operators(nn.Sequential(nn.ReLU(), nn.ReLU()), x, timed=True)] == [1.0, 1.0]
    assert layouts == [True, True]
