"""The range test: on copies, with known curves."""

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.search.tasks import GivenPictures
from nnopt_lab.techniques.training import lr_range_test
from nnopt_lab.workbench import data, training

# torch warns where a scheduler is used wrongly.
# A folder that another test left to the garbage collector may be removed during one of these.
pytestmark = pytest.mark.filterwarnings("error", "ignore::ResourceWarning")


class TestSmooth:
    @given(st.lists(st.floats(0, 10), min_size=1, max_size=20), st.floats(0, 0.99))
    def test_is_the_weighted_mean_of_all_losses_so_far(self, losses, beta):
        for t, mean in enumerate(lr_range_test.smooth(losses, beta), 1):
            weights = [beta ** (t - 1 - i) for i in range(t)]
            expected = sum(w * x for w, x in zip(weights, losses, strict=False)) / sum(weights)
            assert mean == pytest.approx(expected, rel=1e-6, abs=1e-9)

    @given(st.floats(0.1, 10), st.floats(0, 0.99), st.integers(1, 30))
    def test_leaves_a_constant_as_it_is_from_the_first_step(self, loss, beta, count):
        assert lr_range_test.smooth([loss] * count, beta) == pytest.approx([loss] * count)


class TestSteepest:
    @given(st.integers(1, 17))
    def test_finds_the_steepest_place_of_a_logistic_curve(self, place):
        rates = [10 ** (-4 + 0.2 * i) for i in range(20)]
        losses = [1 / (1 + math.exp(2 * (i - place - 0.5))) for i in range(20)]
        assert lr_range_test.steepest(rates, losses) == rates[place]

    @given(st.floats(0.1, 10))
    def test_does_not_depend_on_the_unit_of_the_rate(self, unit):
        rates, losses = [0.001, 0.01, 0.02, 0.3], [2.0, 1.8, 1.5, 1.4]
        assert lr_range_test.steepest([unit * r for r in rates], losses) == unit * 0.01


def state_of(model, optimizer):
    """All that a range test could disturb."""
    return copy.deepcopy(
        {
            "model": model.state_dict(),
            "modes": [module.training for module in model.modules()],
            "gradients": [p.grad for p in model.parameters()],
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
        }
    )


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


class TestRangeTest:
    @pytest.fixture
    def trained(self, tiny):
        """A network in the middle of its training: momentum, gradients, batch-norm statistics, mixed modes."""
        pictures, make = tiny
        model = make()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
        training.fit(model, pictures, epochs=1, batch_size=25, optimizer=optimizer)
        model.train()
        model[1].eval()
        model(pictures.to_input(pictures.train.images[:4])).sum().backward()
        return pictures, model, optimizer

    def test_sweeps_by_a_constant_factor_and_smooths(self, trained):
        pictures, model, optimizer = trained
        seen = lr_range_test.range_test(
            model, pictures, optimizer=optimizer, low=1e-4, high=1e-2, steps=21, batch_size=20
        )
        assert len(seen.rates) == len(seen.losses) == len(seen.smoothed) == 21 and not seen.diverged
        assert seen.rates == pytest.approx([1e-4 * 10 ** (i / 10) for i in range(21)])
        assert seen.smoothed == lr_range_test.smooth(seen.losses)
        assert seen.steepest in seen.rates
        assert 10 * seen.tenth_of_minimum == pytest.approx(seen.rates[seen.smoothed.index(min(seen.smoothed))])

    def test_leaves_everything_as_it_was(self, trained):
        pictures, model, optimizer = trained
        before = state_of(model, optimizer)
        assert lr_range_test.range_test(
            model, pictures, optimizer=optimizer, steps=60, high=100, batch_size=20
        ).diverged
        assert same(before, state_of(model, optimizer))

    @pytest.mark.parametrize("trouble", [KeyboardInterrupt, RuntimeError])
    def test_leaves_everything_as_it_was_when_it_is_stopped(self, trained, trouble):
        pictures, model, optimizer = trained
        before, calls = state_of(model, optimizer), []

        def loss(logits, labels):
            calls.append(1)
            if len(calls) == 5:
                raise trouble
            return nn.functional.cross_entropy(logits, labels)

        with pytest.raises(trouble):
            lr_range_test.range_test(model, pictures, optimizer=optimizer, loss=loss)
        assert len(calls) == 5 and same(before, state_of(model, optimizer))

    def test_stops_at_a_loss_that_is_no_number_and_keeps_what_came_before(self, trained):
        pictures, model, optimizer = trained
        before, calls = state_of(model, optimizer), []

        def loss(logits, labels):
            calls.append(1)
            return nn.functional.cross_entropy(logits, labels) * (math.nan if len(calls) == 8 else 1)

        seen = lr_range_test.range_test(model, pictures, optimizer=optimizer, loss=loss, high=1e-2)
        assert seen.diverged and len(seen.losses) == 7 and all(map(math.isfinite, seen.losses))
        assert same(before, state_of(model, optimizer))

    def test_stops_where_the_loss_is_four_times_its_best(self, trained):
        pictures, model, _ = trained
        seen = lr_range_test.range_test(model, pictures, high=1e4, steps=80, batch_size=20)
        assert seen.diverged and seen.rates[-1] < 1e4
        assert max(seen.smoothed[:-1]) <= 4 * min(seen.smoothed)

    def test_is_the_training_that_the_optimizer_would_do(self, trained):
        pictures, model, optimizer = trained
        seen = lr_range_test.range_test(
            model, pictures, optimizer=optimizer, low=1e-3, high=1e-2, steps=2, batch_size=50
        )
        copied, theirs = copy.deepcopy((model, optimizer))
        copied.train()
        with training.reproducible(0):
            batches = data.loader(pictures.train, pictures, 50, shuffle=True, seed=0)
            for rate, (x, y), loss in zip((1e-3, 1e-2), batches, seen.losses, strict=True):
                theirs.param_groups[0]["lr"] = rate
                theirs.zero_grad()
                value = nn.functional.cross_entropy(copied(x), y)
                value.backward()
                theirs.step()
                assert value.item() == loss

    def test_looks_for_the_steepest_place_before_the_minimum_only(self):
        seen = lr_range_test.RangeTest([1.0, 2.0, 4.0, 8.0, 16.0], [], [2.0, 1.5, 1.4, 5.0, 2.5], True)
        assert seen.steepest == 1.0 and seen.tenth_of_minimum == 0.4
        assert lr_range_test.RangeTest([1.0, 2.0, 4.0], [], [2.0, 3.0, 2.9], True).steepest == 1.0

    def test_is_the_same_again_with_the_same_seed(self, trained):
        pictures, model, _ = trained
        first, second, other = (lr_range_test.range_test(model, pictures, steps=10, seed=s) for s in (3, 3, 4))
        assert first == second != other

    @pytest.mark.parametrize("arguments", [{"low": 0}, {"low": 1, "high": 1}, {"steps": 1}])
    def test_refuses_an_empty_sweep(self, trained, arguments):
        pictures, model, _ = trained
        with pytest.raises(ValueError, match="must be above 0 and below high"):
            lr_range_test.range_test(model, pictures, **arguments)

    def test_takes_a_masked_model_whose_last_forward_had_gradients(self, tiny):
        pictures, model = tiny
        model = pruning.magnitude_prune(model(), 1000)
        model(pictures.to_input(pictures.train.images))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        before = state_of(model, optimizer)
        assert lr_range_test.range_test(model, pictures, optimizer=optimizer, steps=5).losses
        assert same(state_of(model, optimizer), before)

    def test_says_that_the_lowest_rate_is_too_high(self, trained):
        pictures, model, _ = trained
        with pytest.raises(ValueError, match=r"low=1e\+30 is too high already"):
            lr_range_test.range_test(model, pictures, low=1e30, high=1e31)


def test_a_frozen_network_and_one_that_returns_a_dict_are_one_sentence():
    class Many(nn.Linear):
        def forward(self, x):
            return {"logits": super().forward(x.flatten(1))}

    split = data.Split(torch.zeros(8, 1, 2, 2), torch.arange(8) % 2)
    pictures = GivenPictures(split, split, lambda images: images)
    with pytest.raises(ValueError, match="Many returns a dict; it must return one tensor"):
        lr_range_test.range_test(Many(4, 2), pictures)
    frozen = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).requires_grad_(False)
    with pytest.raises(ValueError, match="All of the optimizer's parameters are frozen: call"):
        lr_range_test.range_test(frozen, pictures)
    with pytest.raises(ValueError, match="are frozen"):
        training.fit(frozen, pictures, epochs=1)
    assert training.fit(frozen, pictures, epochs=0).train_loss == []
    frozen[1].bias.requires_grad_(True)
    assert len(training.fit(frozen, pictures, epochs=1).train_loss) == 1
