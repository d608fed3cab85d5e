"""Gradient accumulation: the step of one large batch."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques.training.accumulation import Accumulate
from nnopt_lab.techniques.training.batch_samplers import EpochBatches
from nnopt_lab.workbench import training
from tests.techniques.training.networks import linear, net, same, tiny

counts, seeds, epochs = st.integers(1, 200), st.integers(-5, 2**40), st.integers(1, 3)


class TestAccumulate:
    @given(st.lists(st.integers(1, 9), min_size=1, max_size=4), seeds, st.sampled_from(["SGD", "AdamW"]))
    @settings(max_examples=30)
    def test_two_steps_equal_those_of_the_large_batch(self, sizes, seed, kind):
        generator = torch.Generator().manual_seed(seed % 2**32)
        x, y = torch.randn(sum(sizes), 6, generator=generator), torch.randint(0, 3, (sum(sizes),), generator=generator)
        large, small = linear(), linear()
        options = {"momentum": 0.9} if kind == "SGD" else {}
        one, inner = (getattr(torch.optim, kind)(m.parameters(), lr=0.1, **options) for m in (large, small))
        optimizer = Accumulate(inner, len(sizes))
        for _ in range(2):
            one.zero_grad()
            nn.functional.cross_entropy(large(x), y).backward()
            one.step()
            for xs, ys in zip(x.split(sizes), y.split(sizes), strict=True):
                optimizer.zero_grad()
                optimizer.weighted()(small(xs), ys).backward()
                optimizer.step()
        assert same(large, small, atol=1e-5)

    def test_in_fit_it_equals_the_large_batch_and_reports_the_same_loss(self):
        pictures, (large, small) = tiny(), (net() for _ in range(2))
        whole = list(EpochBatches(60, lambda epoch: 20, seed=1))
        cut = [part for batch in whole for part in (batch[:12], batch[12:13], batch[13:])]
        optimizer = Accumulate(torch.optim.SGD(small.parameters(), lr=0.05, momentum=0.9), 3)
        first = training.fit(
            large, pictures, epochs=2, batches=whole, optimizer=lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)
        )
        second = training.fit(
            small, pictures, epochs=2, batches=cut, optimizer=optimizer, loss=optimizer.weighted(nn.CrossEntropyLoss())
        )
        assert same(large, small, atol=1e-6)
        assert first.train_loss == pytest.approx(second.train_loss, abs=1e-5)

    def test_equal_weights_are_the_mistake_that_it_avoids(self):
        x, y = torch.randn(10, 6, generator=torch.Generator().manual_seed(0)), torch.arange(10) % 3
        large, naive = linear(), linear()
        nn.functional.cross_entropy(large(x), y).backward()
        for xs, ys in ((x[:8], y[:8]), (x[8:], y[8:])):
            (nn.functional.cross_entropy(naive(xs), ys) / 2).backward()
        assert not torch.allclose(large.weight.grad, naive.weight.grad, atol=1e-3)

    def test_batch_norm_is_where_it_differs(self):
        x, y = torch.randn(16, 6, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3
        torch.manual_seed(0)
        large = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
        small = copy.deepcopy(large)
        optimizer = Accumulate(torch.optim.SGD(small.parameters(), lr=0.1), 2)
        nn.functional.cross_entropy(large(x), y).backward()
        torch.optim.SGD(large.parameters(), lr=0.1).step()
        for xs, ys in ((x[:8], y[:8]), (x[8:], y[8:])):
            optimizer.zero_grad()
            optimizer.weighted()(small(xs), ys).backward()
            optimizer.step()
        assert not same(large, small, atol=1e-3)

    def test_schedulers_and_state_dicts_see_the_optimizer_itself(self):
        model = linear()
        inner = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        optimizer = Accumulate(inner, 2)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in range(2):
            optimizer.weighted()(model(torch.ones(1, 6)), torch.tensor([0])).backward()
            optimizer.step()
        schedule.step()
        assert inner.param_groups[0]["lr"] == 0.05
        saved = copy.deepcopy(optimizer.state_dict())
        assert saved["state"][0]["momentum_buffer"].equal(inner.state_dict()["state"][0]["momentum_buffer"])
        saved["param_groups"][0]["lr"] = 0.7
        optimizer.load_state_dict(saved)
        assert inner.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"] == 0.7

    def test_refuses_no_micro_batches_and_a_loss_that_it_did_not_see(self):
        model = linear()
        with pytest.raises(ValueError, match="every=0 must be at least 1"):
            Accumulate(torch.optim.SGD(model.parameters()), 0)
        with pytest.raises(ValueError, match=r"has seen no loss of its own: pass loss=optimizer\.weighted"):
            Accumulate(torch.optim.SGD(model.parameters()), 2).step()
