"""One step: what torch written out gives, from one batch or several."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.workbench.training.steps import Step

CPU = torch.device("cpu")


def step_of(model, loss=nn.functional.cross_entropy, rate=0.1, **options):
    return Step(model, model, loss, torch.optim.SGD(model.parameters(), lr=rate), CPU, **options)


def linear():
    torch.manual_seed(0)
    return nn.Linear(5, 3).double()


def batch(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (size,), generator=generator)
    return torch.randn(size, 5, generator=generator, dtype=torch.float64), labels


@given(st.lists(st.integers(1, 7), min_size=1, max_size=5))
@settings(max_examples=20)
def test_any_cut_of_a_batch_gives_the_step_and_the_losses_of_its_parts(sizes):
    cut, whole, (inputs, labels) = linear(), linear(), batch(sum(sizes))
    parts = list(zip(inputs.split(sizes), labels.split(sizes), strict=True))
    with torch.no_grad():
        expected = torch.stack([nn.functional.cross_entropy(whole(x), y) for x, y in parts])
        hits = [(whole(x).argmax(1) == y).sum().item() for x, y in parts]
    losses, right = step_of(cut)(parts)
    step_of(whole)([(inputs, labels)])
    assert torch.allclose(cut.weight, whole.weight, rtol=0, atol=1e-12)
    assert torch.allclose(losses, expected) and right.tolist() == hits
    assert not losses.requires_grad and right.dtype == torch.int64


def test_gradients_of_the_step_before_do_not_count():
    model = linear()
    step = step_of(model, rate=0.0)
    step([batch(4, 1)])
    step([batch(4, 2)])
    other = linear()
    nn.functional.cross_entropy(other(batch(4, 2)[0]), batch(4, 2)[1]).backward()
    assert torch.equal(model.weight.grad, other.weight.grad)


def test_the_first_of_several_targets_is_the_labels():
    inputs, labels = batch(6)
    loss = lambda logits, targets: nn.functional.cross_entropy(logits, targets[1])  # noqa: E731
    model = linear()
    hits = (model(inputs).argmax(1) == labels).sum()
    assert step_of(model, loss)([(inputs, (labels, labels.flip(0)))])[1] == hits


@pytest.mark.parametrize("cast_to", [None, torch.bfloat16])
def test_the_loss_gets_float32_logits_and_gradients_are_float32(cast_to):
    model, seen = linear().float(), []

    def loss(logits, labels):
        seen.append(logits.dtype)
        return nn.functional.cross_entropy(logits, labels)

    inputs, labels = batch(6)
    step_of(model, loss, cast_to=cast_to)([(inputs.float(), labels)])
    assert seen == [torch.float32] and model.weight.grad.dtype == torch.float32
