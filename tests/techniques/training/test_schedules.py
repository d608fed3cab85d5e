"""Schedules against torch and closed forms, the range test on copies, and Pegasos against a solver of another kind."""

import copy
import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler

from nnopt_lab.lessons.learning_rates.experiments import svm_optimum, two_classes
from nnopt_lab.techniques.training import linear_svm, lr_range_test, schedules
from nnopt_lab.workbench import data, training

STEPS = 70
floats = st.floats(1e-3, 10)


@pytest.fixture(autouse=True)
def no_warnings():
    """torch warns where a scheduler is used wrongly."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def optimizer_with(*rates, **options):
    groups = [{"params": [nn.Parameter(torch.zeros(2))], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups, lr=1.0, momentum=0.9, **options)


def run(optimizer, scheduler, steps):
    """The rates of all groups at each of so many steps."""
    seen = []
    for _ in range(steps):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return seen


class TestPegasos:
    @given(floats, st.integers(1, 30))
    def test_is_one_over_lambda_t_counted_from_1(self, regularization, steps):
        seen = run(o := optimizer_with(0.3, 7.0), schedules.Pegasos(o, regularization), steps)
        for t, rates in enumerate(seen, 1):
            assert rates == pytest.approx([1 / (regularization * t)] * 2)

    @given(floats, floats, floats, st.integers(1, 30))
    def test_bounded_starts_at_each_groups_own_rate(self, regularization, first, second, steps):
        optimizer = optimizer_with(first, second)
        seen = run(optimizer, schedules.Pegasos(optimizer, regularization, bounded=True), steps)
        for t, rates in enumerate(seen):
            assert rates == pytest.approx([r / (1 + regularization * r * t) for r in (first, second)])

    def test_bounded_comes_to_the_raw_rate_in_the_end(self):
        raw, bounded = (
            schedules.rates(lambda o, b=b: schedules.Pegasos(o, 0.5, bounded=b), 2000, peak=1.0) for b in (False, True)
        )
        assert bounded[-1] == pytest.approx(raw[-1], rel=0.01) and bounded[0] < raw[0]

    @pytest.mark.parametrize("bounded", [False, True])
    def test_agrees_with_torchs_lambda_lr(self, bounded):
        def factor(t):
            return 1 / (1 + 0.2 * 0.5 * t) if bounded else 1 / (0.2 * (t + 1)) / 0.5

        ours = schedules.rates(lambda o: schedules.Pegasos(o, 0.2, bounded=bounded), 50, peak=0.5)
        assert ours == pytest.approx(schedules.rates(lambda o: lr_scheduler.LambdaLR(o, factor), 50, peak=0.5))

    @pytest.mark.parametrize("bounded", [False, True])
    @given(st.integers(0, 12), st.integers(1, 12))
    def test_goes_on_exactly_where_it_stopped(self, bounded, before, after):
        whole = optimizer_with(0.3, 0.7)
        expected = run(whole, schedules.Pegasos(whole, 0.5, bounded=bounded), before + after)[before:]

        stopped = optimizer_with(0.3, 0.7)
        scheduler = schedules.Pegasos(stopped, 0.5, bounded=bounded)
        run(stopped, scheduler, before)
        saved = copy.deepcopy((stopped.state_dict(), scheduler.state_dict()))

        resumed = optimizer_with(9.0, 9.0)
        scheduler = schedules.Pegasos(resumed, 99.0)  # loading brings λ and the form too
        resumed.load_state_dict(saved[0])
        scheduler.load_state_dict(saved[1])
        assert run(resumed, scheduler, after) == expected

    def test_last_epoch_resumes_as_in_torchs_schedulers(self):
        optimizer = optimizer_with(0.3)
        expected = run(optimizer, schedules.Pegasos(optimizer, 0.5, bounded=True), 9)[5:]
        again = optimizer_with(0.3)
        again.param_groups[0]["initial_lr"] = 0.3
        assert run(again, schedules.Pegasos(again, 0.5, bounded=True, last_epoch=4), 4) == expected
        with pytest.raises(KeyError, match="initial_lr"):
            schedules.Pegasos(optimizer_with(0.3), 0.5, last_epoch=4)

    def test_says_its_last_rate_and_its_state_is_plain(self):
        optimizer = optimizer_with(0.3)
        scheduler = schedules.Pegasos(optimizer, 0.5)
        run(optimizer, scheduler, 3)
        assert scheduler.get_last_lr() == [optimizer.param_groups[0]["lr"]] == [pytest.approx(0.5)]
        assert "optimizer" not in scheduler.state_dict()

    @pytest.mark.parametrize("regularization", [0, -1.0, math.nan])
    def test_refuses_what_is_not_strongly_convex(self, regularization):
        with pytest.raises(ValueError, match=f"regularization={regularization} must be above 0"):
            schedules.Pegasos(optimizer_with(0.1), regularization)


class TestWarmUp:
    @given(st.integers(1, 20), st.integers(1, 20))
    def test_rises_in_a_straight_line_and_then_follows_the_schedule_from_its_start(self, rise, rest):
        decay = lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=rest)  # noqa: E731
        seen = schedules.rates(schedules.with_warm_up(decay, rise), rise + rest, peak=0.2)
        for t in range(rise):
            assert seen[t] == pytest.approx(0.2 * (0.01 + 0.99 * t / rise))
        assert seen[rise:] == pytest.approx(schedules.rates(decay, rest, peak=0.2))

    def test_works_before_pegasos(self):
        schedule = schedules.with_warm_up(lambda o: schedules.Pegasos(o, 0.5, bounded=True), 5)
        expected = schedules.rates(lambda o: schedules.Pegasos(o, 0.5, bounded=True), 10, peak=0.4)
        assert schedules.rates(schedule, 15, peak=0.4)[5:] == pytest.approx(expected)

    def test_refuses_no_steps(self):
        with pytest.raises(ValueError, match="steps=0 must be above 0"):
            schedules.with_warm_up(lambda o: lr_scheduler.ConstantLR(o), 0)


def closed_forms(t, n):
    """Of the schedules that have one, by name, for step t of n = 70; peak 1."""
    cycle = [0.25 + 0.75 * (1 - abs(t / 17 - 2 * (t // 34) - 1))] * 3
    return {
        "constant": 1,
        "exponential": 0.01 ** (t / n),
        "step": 0.1 ** (t // 24),
        "polynomial": 1 - t / n,
        "cosine": (1 + math.cos(math.pi * t / n)) / 2,
        "triangular": cycle[0],
        "triangular2": 0.25 + (cycle[0] - 0.25) / 2 ** (t // 34),
        "exp_range": 0.25 + (cycle[0] - 0.25) * 0.01 ** (t / n),
        "Pegasos": 1 / (1 + 9 * t / n),
    }


class TestSchedules:
    @pytest.mark.parametrize("name", closed_forms(0, STEPS))
    def test_are_their_closed_forms(self, name):
        seen = schedules.rates(schedules.SCHEDULES[name](STEPS), STEPS)
        assert seen == pytest.approx([closed_forms(t, STEPS)[name] for t in range(STEPS)], abs=1e-6)

    @pytest.mark.parametrize("name", [n for n in schedules.SCHEDULES if n != "plateau"])
    @given(st.integers(1, 60), floats)
    @settings(max_examples=20)
    def test_never_pass_the_peak_and_grow_with_it(self, name, steps, peak):
        seen = schedules.rates(schedules.SCHEDULES[name](steps), steps, peak)
        assert len(seen) == steps and all(0 <= rate <= peak * (1 + 1e-6) for rate in seen)
        assert seen == pytest.approx([peak * r for r in schedules.rates(schedules.SCHEDULES[name](steps), steps)])

    @pytest.mark.parametrize("name", [n for n in schedules.SCHEDULES if n != "plateau"])
    def test_go_on_where_they_stopped(self, name):
        whole = optimizer_with(0.3, 0.7)
        expected = run(whole, schedules.SCHEDULES[name](STEPS)(whole), STEPS)[25:]
        stopped = optimizer_with(0.3, 0.7)
        scheduler = schedules.SCHEDULES[name](STEPS)(stopped)
        run(stopped, scheduler, 25)
        saved = copy.deepcopy((stopped.state_dict(), scheduler.state_dict()))
        resumed = optimizer_with(0.3, 0.7)
        scheduler = schedules.SCHEDULES[name](STEPS)(resumed)
        resumed.load_state_dict(saved[0])
        scheduler.load_state_dict(saved[1])
        assert run(resumed, scheduler, STEPS - 25) == expected

    def test_one_cycle_turns_the_momentum_round_but_gives_none_to_an_optimizer_that_has_none(self):
        with_momentum = optimizer_with(0.1)
        run(with_momentum, schedules.SCHEDULES["one-cycle"](10)(with_momentum), 3)
        assert with_momentum.param_groups[0]["momentum"] == pytest.approx(0.85, abs=0.02)
        without = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        run(without, schedules.SCHEDULES["one-cycle"](10)(without), 3)
        assert without.param_groups[0]["momentum"] == 0
        adam = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=0.1)
        run(adam, schedules.SCHEDULES["one-cycle"](10)(adam), 10)

    def test_the_plateau_waits_for_no_progress(self):
        losses = [3.0, 2.0, 2.0, 1.0, 1.5, 1.6]
        seen = schedules.rates(schedules.SCHEDULES["plateau"](6), 6, losses=losses)
        assert seen == pytest.approx([1, 1, 1, 0.3, 0.3, 0.09])
        with pytest.raises(ValueError, match="losses must be 6 numbers"):
            schedules.rates(schedules.SCHEDULES["plateau"](6), 6)

    @pytest.mark.parametrize("name", schedules.SCHEDULES)
    def test_work_in_the_training_loop(self, name, tiny):
        pictures, model = tiny
        steps = 2 * -(-len(pictures.train) // 16)
        history = training.fit(
            model(),
            pictures,
            epochs=2,
            batch_size=16,
            optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9),
            scheduler=schedules.SCHEDULES[name](steps),
        )
        assert len(history.train_loss) == 2


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


@pytest.fixture(scope="module")
def tiny():
    """A hundred small pictures, and a function that makes a network with batch norm and dropout."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 10
    images = (20 * labels.view(-1, 1, 1, 1) + torch.randint(0, 40, (120, 1, 8, 8), generator=generator)).to(torch.uint8)
    whole = data.Split(images, labels)
    pictures = data.Pictures("tiny", whole[:100], whole[100:110], whole[110:], tuple("0123456789"), (0.4,), (0.3,))

    def model():
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=4),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Flatten(),
            nn.Linear(256, 10),
        )

    return pictures, model


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
        twin, theirs = copy.deepcopy((model, optimizer))
        twin.train()
        with training.reproducible(0):
            batches = data.loader(pictures.train, pictures, 50, shuffle=True, seed=0)
            for rate, (x, y), loss in zip((1e-3, 1e-2), batches, seen.losses, strict=True):
                theirs.param_groups[0]["lr"] = rate
                theirs.zero_grad()
                value = nn.functional.cross_entropy(twin(x), y)
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

    def test_says_that_the_lowest_rate_is_too_high(self, trained):
        pictures, model, _ = trained
        with pytest.raises(ValueError, match=r"low=1e\+30 is too high already"):
            lr_range_test.range_test(model, pictures, low=1e30, high=1e31)


def two_clouds(count=60, dimensions=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    x = torch.randn(count, dimensions, generator=generator) + 0.7 * y[:, None]
    return x / x.norm(dim=1).max(), y


def dual_optimum(x, y, regularization, passes=3000):
    """(lower bound, weights) by dual coordinate ascent (Hsieh et al. 2008): no rate, no subgradient, and a certificate.

    The dual is mean(α) − λ/2·‖w‖² with w = Σ α·y·x/(λn), 0 ≤ α ≤ 1.
    """
    x, y = x.double(), y.double()
    n, alpha, weight = len(x), torch.zeros(len(x)).double(), torch.zeros(x.shape[1]).double()
    for _ in range(passes // 10):
        for i in range(n):
            gain = regularization * n * (1 - y[i] * (x[i] @ weight)) / (x[i] @ x[i])
            new = (alpha[i] + gain).clamp(0, 1)
            weight += (new - alpha[i]) * y[i] * x[i] / (regularization * n)
            alpha[i] = new
    return float(alpha.mean() - regularization / 2 * weight @ weight), weight


class TestSvm:
    @pytest.mark.parametrize("regularization", [0.1, 0.02])
    @pytest.mark.parametrize("project", [False, True])
    def test_comes_to_the_optimum_that_a_dual_solver_finds(self, regularization, project):
        x, y = two_clouds()
        bound, weight = dual_optimum(x, y, regularization)
        optimum = float(linear_svm.svm_objective(weight, x.double(), y.double(), regularization))
        assert optimum == pytest.approx(bound, abs=1e-6)  # no duality gap: this is the optimum
        way = linear_svm.pegasos_svm(x, y, regularization, 4000, batch_size=8, project=project)
        reached = linear_svm.svm_objective(way, x, y, regularization)
        assert reached.min() >= optimum - 1e-5
        assert reached[-1000:].mean() < optimum + 0.01

    @pytest.mark.parametrize("regularization", [0.1, 0.01])
    def test_the_lessons_solver_finds_the_same_optimum(self, regularization):
        x, y = two_clouds()
        bound, _ = dual_optimum(x, y, regularization)
        weight, optimum, lower = svm_optimum(x, y, regularization)
        assert lower - 1e-6 <= bound <= optimum + 1e-6 and optimum - lower < 1e-4
        assert float(linear_svm.svm_objective(weight, x, y, regularization)) == pytest.approx(optimum, abs=1e-5)

    def test_two_classes_are_unit_pictures_and_a_constant(self):
        images = torch.arange(12, dtype=torch.uint8).reshape(3, 1, 2, 2)
        x, y = two_classes(data.Split(images, torch.tensor([4, 1, 2])), 2, 4, 9)
        assert y.tolist() == [-1, 1] and x.shape == (2, 5) and x[:, -1].tolist() == pytest.approx([0.1, 0.1])
        assert x[:, :-1].norm(dim=1).tolist() == pytest.approx([1, 1])

    def test_keeps_the_bound_of_the_paper(self):
        # Theorem 1: with projection, ‖x‖ ≤ R and full batches the *average* objective on the way exceeds the optimum by
        # at most (√λ + R)²(1 + ln T)/(2λT).
        x, y = two_clouds()
        regularization, radius = 0.05, float(x.norm(dim=1).max())
        bound, _ = dual_optimum(x, y, regularization)
        weight, values = torch.zeros(4), []
        for t in range(1, 301):
            values.append(float(linear_svm.svm_objective(weight, x, y, regularization)))
            wrong = y * (x @ weight) < 1
            weight = (1 - 1 / t) * weight + ((y * wrong) @ x) / len(y) / (regularization * t)
            weight = weight * min(1.0, regularization**-0.5 / max(float(weight.norm()), 1e-9))
            limit = (regularization**0.5 + radius) ** 2 * (1 + math.log(t)) / (2 * regularization * t)
            assert sum(values) / t - bound <= limit

    def test_a_step_is_the_papers(self):
        x, y = two_clouds()
        way = linear_svm.pegasos_svm(x, y, 0.3, 6, batch_size=3, seed=5)
        weight = torch.zeros(4)
        drawn = torch.randint(len(x), (6, 3), generator=torch.Generator().manual_seed(5))
        for t, chosen in enumerate(drawn, 1):
            push = sum((y[i] * x[i] for i in chosen if y[i] * (x[i] @ weight) < 1), torch.zeros(4))
            weight = (1 - 1 / t) * weight + push / (0.3 * t * 3)
            torch.testing.assert_close(way[t - 1], weight)

    def test_projection_keeps_the_weights_in_the_ball(self):
        x, y = two_clouds()
        free, kept = (linear_svm.pegasos_svm(10 * x, y, 0.01, 50, project=project) for project in (False, True))
        assert free.norm(dim=1).max() > 10.001 >= kept.norm(dim=1).max()

    def test_takes_any_schedule(self):
        x, y = two_clouds()
        constant = linear_svm.pegasos_svm(x, y, 0.1, 5, schedule=schedules.SCHEDULES["constant"](5), rate=0.5)
        torch.testing.assert_close(
            constant[0],
            0.5 * (y[:, None] * x)[torch.randint(60, (5, 1), generator=torch.Generator().manual_seed(0))[0]][0],
        )

    @given(st.integers(0, 1000), floats)
    def test_the_objective_is_the_formula(self, seed, regularization):
        x, y = two_clouds(seed=seed)
        weights = torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))
        for weight, value in zip(weights, linear_svm.svm_objective(weights, x, y, regularization), strict=True):
            hinge = sum(max(0.0, 1 - float(b * (a @ weight))) for a, b in zip(x, y, strict=True)) / len(y)
            assert float(value) == pytest.approx(regularization / 2 * float(weight @ weight) + hinge, rel=1e-4)

    def test_refuses_no_penalty(self):
        with pytest.raises(ValueError, match="regularization=0 must be above 0"):
            linear_svm.pegasos_svm(*two_clouds(), 0, 5)
