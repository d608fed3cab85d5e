"""Optimizers: their fast forms give the same steps, and rates become tensors and numbers again."""

import copy

import pytest
import torch
from torch import nn

from nnopt_lab.workbench.training import optimizers

CPU = torch.device("cpu")


def stepped(optimizer, model, steps=3):
    for k in range(steps):
        optimizer.zero_grad()
        (model(torch.full((2, 3), k + 1.0)) ** 2).sum().backward()
        optimizer.step()
    return model.weight.detach().clone()


def linear():
    torch.manual_seed(0)
    return nn.Linear(3, 2)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("change", [optimizers.use_fused, optimizers.use_capturable])
def test_a_change_of_form_between_two_steps_changes_no_number_but_by_rounding(kind, change):
    plain, changed = linear(), linear()
    first, second = kind(plain.parameters(), lr=0.01), kind(changed.parameters(), lr=0.01)
    stepped(first, plain)
    stepped(second, changed)
    if change is optimizers.use_capturable and "capturable" in second.defaults:
        change(second)
        assert all(group["capturable"] and group["fused"] for group in second.param_groups)
    else:
        change(second)
        assert all(group["fused"] for group in second.param_groups)
    assert torch.allclose(stepped(first, plain), stepped(second, changed), atol=1e-6)


@pytest.mark.parametrize("kind", [torch.optim.Adagrad, torch.optim.LBFGS])
def test_one_that_no_graph_can_record_is_refused(kind):
    with pytest.raises(ValueError, match=f"cuda_graph=True: a graph can't record the steps of {kind.__name__}, which"):
        optimizers.use_capturable(kind(linear().parameters(), lr=0.1))


def test_one_whose_steps_are_written_in_python_is_refused_and_a_subclass_with_torchs_step_is_not():
    class Own(torch.optim.SGD):
        def step(self, closure=None):
            return super().step(closure)

    with pytest.raises(ValueError, match="a graph can't record Own, which is not one of torch's own optimizers"):
        optimizers.use_capturable(Own(linear().parameters(), lr=0.1))

    class Named(torch.optim.SGD):
        pass

    optimizers.use_capturable(Named(linear().parameters(), lr=0.1))


def test_capturable_without_fused_is_enough():
    optimizer = torch.optim.RMSprop(linear().parameters(), lr=0.1)
    optimizers.use_capturable(optimizer)
    assert optimizer.param_groups[0]["capturable"]


def test_rates_become_tensors_that_schedulers_write_into_and_numbers_again():
    a, b = linear(), linear()
    optimizer = torch.optim.SGD([{"params": a.parameters()}, {"params": b.parameters(), "lr": 0.5}], lr=0.1)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.5, total_iters=2)
    with pytest.raises(KeyError), optimizers.rates_on(optimizer, CPU):
        rates = [group["lr"] for group in optimizer.param_groups]
        optimizer.step()
        schedule.step()
        assert all(group["lr"] is rate for group, rate in zip(optimizer.param_groups, rates, strict=True))
        raise KeyError
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.075, 0.375])
    assert all(isinstance(group["lr"], float) for group in optimizer.param_groups)


def test_the_tensors_of_an_optimizer_are_all_that_a_step_changes():
    model = linear()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    stepped(optimizer, model, 1)
    tensors = optimizers.tensors_of(optimizer)
    saved = [t.detach().clone() for t in tensors]
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    stepped(optimizer, model)
    with torch.no_grad():
        for tensor, value in zip(tensors, saved, strict=True):
            tensor.copy_(value)
    assert all(torch.equal(before[0][name], value) for name, value in model.state_dict().items())
    for then, now in zip(before[1]["state"].values(), optimizer.state_dict()["state"].values(), strict=True):
        assert all(torch.equal(then[key], now[key]) for key in then)


def test_constants_leave_out_tensors_and_parameters():
    optimizer = torch.optim.AdamW(linear().parameters(), lr=torch.tensor(0.1))
    (constants,) = optimizers.constants_of(optimizer)
    assert "betas" in constants and not {"lr", "params"} & set(constants)
