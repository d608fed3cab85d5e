"""The quick accuracy of a network is the one that `training.evaluate` measures, and it leaves the network alone."""

import pytest
from torch import nn

from nnopt_lab.course.quick_accuracy import accuracy_on
from nnopt_lab.workbench import data, models, smoke, training


def test_it_is_the_accuracy_on_the_first_validation_pictures_up_to_rounding():
    pictures, net = data.load("fashion"), models.trained("mynet").train()
    expected = training.evaluate(net, pictures.validation[:100], pictures).accuracy
    assert accuracy_on(pictures, 100)(net) == pytest.approx(expected, abs=1.01)
    assert net.training and all(parameter.grad is None for parameter in net.parameters())


def test_in_smoke_mode_it_looks_at_few_pictures(monkeypatch):
    monkeypatch.setenv("NNOPT_SMOKE", "1")
    seen = []

    class Counting(nn.Module):
        def forward(self, x):
            seen.append(len(x))
            return x.flatten(1)

    accuracy_on(data.load("fashion"))(Counting())
    assert seen == [smoke.FEW]
