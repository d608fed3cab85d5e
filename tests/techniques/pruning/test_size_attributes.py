"""Attributes remember where they are stored while a model is traced, and are plain integers afterwards."""

import math

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.pruning.size_attributes import SizeAttribute, marked, places_in


class Sized(nn.Module):
    def __init__(self):
        super().__init__()
        self.width, self.flag, self.one, self.name = 6, True, 1, "a"
        self.layer = nn.Linear(6, 6)


def test_only_sizes_are_marked_and_all_are_restored():
    model = nn.Sequential(Sized())
    before = [dict(vars(module)) for module in model.modules()]
    with marked(model) as computed:
        assert isinstance(model[0].width, SizeAttribute) and model[0].width == 6
        assert type(model[0].flag) is bool and type(model[0].one) is int
        assert type(model[0].layer.in_features) is int
        assert torch.zeros(2, model[0].width).shape == (2, 6)
    assert computed == set() and [dict(vars(module)) for module in model.modules()] == before
    assert type(model[0].width) is int


def test_they_are_restored_after_an_error():
    model = Sized()
    with pytest.raises(KeyError), marked(model):
        raise KeyError
    assert type(model.width) is int


def test_a_product_remembers_its_factors():
    model = Sized()
    with marked(model) as computed:
        assert places_in(3 * model.width * model.width) == [("", "width", 6)] * 2 and computed == set()


@pytest.mark.parametrize(
    "compute",
    [math.sqrt, float, lambda n: n**-0.5, lambda n: 1 / n, lambda n: n // 2, lambda n: n + 1, lambda n: 1 - n],
)
def test_any_other_computation_is_noticed(compute):
    model = Sized()
    with marked(model) as computed:
        assert compute(model.width) == compute(6)
    assert computed == {("", "width")}
