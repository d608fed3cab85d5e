"""The count of operators: what torch dispatches, backward pass and optimizer included, without views."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from nnopt_lab.workbench.measure.launches import operator_calls


def test_each_layer_of_a_sequence_is_one_operator():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2))
    calls = operator_calls(lambda: net(torch.rand(2, 3, 8, 8)))
    assert calls.pop("rand", 1) == 1
    assert calls == {"convolution": 1, "relu": 1, "max_pool2d_with_indices": 1, "addmm": 1}


@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[0], lambda x: x.reshape(-1), lambda x: x.detach()])
def test_views_are_not_counted(view):
    x = torch.rand(3, 4)
    assert operator_calls(lambda: view(x)).total() == 0


def test_the_backward_pass_is_counted_too():
    w = torch.rand(3, 4, requires_grad=True)
    assert operator_calls(lambda: (torch.rand(2, 3) @ w).sum().backward())["mm"] == 2  # the input needs no gradient


def test_a_fused_optimizer_is_one_operator_beside_its_step_count():
    weights = [torch.rand(3, requires_grad=True) for _ in range(5)]
    for w in weights:
        w.grad = torch.ones(3)
    fused, plain = (torch.optim.AdamW(weights, **kind) for kind in ({"fused": True}, {"foreach": False}))
    for optimizer in (fused, plain):
        optimizer.step()
    assert operator_calls(fused.step)["_fused_adamw_"] == 1
    assert operator_calls(plain.step).total() > 5 * operator_calls(fused.step).total()


def test_counting_changes_no_result_and_ends_with_an_error():
    x = torch.rand(3)
    assert operator_calls(lambda: x.add_(1))["add_"] == 1 and (x >= 1).all()

    def fails():
        raise KeyError("x")

    with pytest.raises(KeyError):
        operator_calls(fails)
    assert not [
        mode
        for mode in torch.utils._python_dispatch._get_current_dispatch_mode_stack()
        if isinstance(mode, TorchDispatchMode)
    ]
