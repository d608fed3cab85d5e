"""Losses and hits are counted the same whether they are read at once or at the epoch's end."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.workbench import device as devices
from nnopt_lab.workbench.training.history import Tally
from tests.workbench.training.common import fit, net

batches = st.lists(st.tuples(st.floats(0, 100, width=32), st.integers(0, 9), st.integers(1, 9)), min_size=1)


def tally(rows, gather):
    counted = Tally(0.5, gather)
    for loss, right, size in rows:
        counted.add(torch.tensor([loss]), torch.tensor([right]), [size])
    counted.read()
    return counted


@given(batches)
def test_gathered_losses_equal_those_read_after_each_step_and_a_plain_sum(rows):
    gathered, at_once = tally(rows, True), tally(rows, False)
    assert (gathered.loss, gathered.accuracy, gathered.count) == (at_once.loss, at_once.accuracy, at_once.count)
    count = sum(size for *_, size in rows)
    assert gathered.loss == pytest.approx(sum(loss * size for loss, _, size in rows) / count)
    assert gathered.accuracy == pytest.approx(100 * sum(right for _, right, _ in rows) / count)


def test_until_it_is_read_nothing_is_counted():
    counted = Tally(0.5, gather=True)
    counted.add(torch.ones(3), torch.ones(3, dtype=torch.int64), [2, 2, 1])
    assert counted.count == 0
    counted.read()
    assert (counted.count, counted.loss, counted.accuracy) == (5, 1.0, 60.0)


@pytest.mark.parametrize("gather", [True, False])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_the_first_loss_that_is_no_number_is_said(gather, bad):
    with pytest.raises(ValueError, match=f"The loss became {bad} at learning rate 0.5: lower the rate"):
        tally([(1.0, 0, 1), (bad, 0, 1), (math.nan, 0, 1)], gather)


def test_on_an_accelerator_the_history_is_the_same_and_losses_wait_for_the_epochs_end(monkeypatch):
    reads, read = [], Tally.read
    monkeypatch.setattr(Tally, "read", lambda self: reads.append(len(self._waiting)) or read(self))
    on_cpu = fit(net())
    assert reads == [1, 1, 1, 1, 0] * 2
    reads.clear()
    with devices.stand_in():
        there = fit(net(), device="accelerator")
    assert reads == [4, 4]
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate"):
        assert getattr(there, name) == getattr(on_cpu, name)
