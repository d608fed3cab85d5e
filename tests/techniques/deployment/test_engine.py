"""An engine refuses what is no batch of its pictures, and a missing package is named with its cure."""

import sys

import pytest
import torch

from nnopt_lab.techniques.deployment.engine import (
    Engine,
    EngineUnavailable,
    evaluation_copy,
    new_engine,
    require,
    two_pictures,
)


@pytest.mark.parametrize(
    "x",
    [torch.zeros(3, 32, 32), torch.zeros(0, 3, 32, 32), torch.zeros(1, 1, 32, 32), torch.zeros(1, 3, 32, 32).double()],
    ids=["no batch", "empty", "one channel", "float64"],
)
def test_a_wrong_input_is_refused_in_a_sentence(x):
    engine = new_engine("any", lambda x: x, [torch.zeros(2, 3, 32, 32)], 1)
    with pytest.raises(ValueError, match=r"must be float32 \[N, 3, 32, 32\]"):
        engine(x)


def test_it_computes_without_gradients_and_says_what_it_is():
    engine = Engine("any", lambda x: 2 * x, (3,), 2048, 1.25)
    doubled = engine(torch.ones(2, 3, requires_grad=True))
    assert doubled.tolist() == [[2.0] * 3] * 2 and not doubled.requires_grad
    assert repr(engine) == "any: 2.00 KiB, built in 1.2 s"


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (None, "torchfoo is missing or does not load .*: `pip install torchfoo`"),
        ("openvino", r"torchfoo is missing .*: `pip install 'nnopt-lab\[openvino\]'`"),
    ],
)
def test_a_missing_package_is_named_with_its_cure(extra, sentence, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchfoo.part", None)
    with pytest.raises(EngineUnavailable, match=sentence):
        require("torchfoo.part", "torchfoo", extra)
    assert require("json", "json") is sys.modules["json"]


def test_a_copy_is_in_evaluation_mode_and_the_model_is_not(layers):
    assert not evaluation_copy(layers.train()).training and layers.training


def test_two_pictures_are_there_where_one_is_given():
    one, three = torch.ones(1, 4), torch.arange(12.0).view(3, 4)
    assert torch.equal(two_pictures([one]), torch.ones(2, 4)) and torch.equal(two_pictures([three]), three[:2])
