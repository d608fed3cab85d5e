"""Schedules against torch and closed forms."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler

from nnopt_lab.techniques.training import schedules
from nnopt_lab.workbench import training

STEPS = 70
floats = st.floats(1e-3, 10)
# torch warns where a scheduler is used wrongly.
# A folder that another test left to the garbage collector may be removed during one of these.
pytestmark = pytest.mark.filterwarnings("error", "ignore::ResourceWarning")


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

    @pytest.mark.parametrize("name", [n for n in schedules.SCHEDULES if n != "plateau"])
    @given(st.integers(1, 20), floats)
    @settings(max_examples=10)
    def test_leaves_every_schedule_of_the_table_as_it_is_and_only_delays_it(self, name, rise, peak):
        alone = schedules.rates(schedules.SCHEDULES[name](50), 50, peak)
        delayed = schedules.rates(schedules.with_warm_up(schedules.SCHEDULES[name](50), rise), rise + 50, peak)
        assert delayed[rise:] == alone
        assert delayed[:rise] == pytest.approx([alone[0] * (0.01 + 0.99 * t / rise) for t in range(rise)])

    def test_reaches_the_peak_of_a_schedule_that_reads_the_optimizers_rate(self):
        assert max(schedules.rates(schedules.with_warm_up(schedules.SCHEDULES["one-cycle"](100), 10), 110)) == 1.0

    def test_delays_your_own_schedule_that_reads_the_rate_when_it_is_made_or_counts_for_itself(self):
        class Counted(lr_scheduler.LRScheduler):
            def __init__(self, optimizer):
                self.top, self.calls = optimizer.param_groups[0]["lr"], 0
                super().__init__(optimizer)

            def get_lr(self):
                self.calls += 1
                return [self.top / self.calls]

        def sawtooth(optimizer):
            top = optimizer.param_groups[0]["lr"]
            return lr_scheduler.LambdaLR(optimizer, lambda t: (1 + t % 5) / 5 / top)

        for own in (Counted, sawtooth):
            assert schedules.rates(schedules.with_warm_up(own, 4), 24, 0.3)[4:] == schedules.rates(own, 20, 0.3)

    def test_may_stand_behind_a_warm_up_and_inside_torchs_own_sequence(self):
        cosine = schedules.SCHEDULES["cosine"](20)
        twice = schedules.with_warm_up(schedules.with_warm_up(cosine, 5), 5)
        assert schedules.rates(twice, 30)[10:] == schedules.rates(cosine, 20)
        warm = schedules.with_warm_up(lambda o: lr_scheduler.StepLR(o, 4), 5)
        sequence = lambda o: lr_scheduler.SequentialLR(o, [warm(o), lr_scheduler.ConstantLR(o, 0.5)], [12])  # noqa: E731
        assert schedules.rates(sequence, 12) == schedules.rates(warm, 12)

    def test_raises_each_groups_own_rate_numbers_and_tensors(self):
        schedule, optimizer = schedules.with_warm_up(schedules.SCHEDULES["one-cycle"](20), 4), optimizer_with(0.3, 0.7)
        seen = run(optimizer, schedule(optimizer), 24)
        assert [max(rates) for rates in zip(*seen, strict=True)] == pytest.approx([0.3, 0.7])
        adam = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=torch.tensor(0.5))
        scheduler = schedules.with_warm_up(lambda o: lr_scheduler.ConstantLR(o, 1.0), 2)(adam)
        assert [round(float(rates[0]), 4) for rates in run(adam, scheduler, 4)][2:] == [0.5, 0.5]

    @given(st.integers(0, 12), st.sampled_from(["one-cycle", "cosine", "Pegasos"]))
    @settings(max_examples=20)
    def test_goes_on_exactly_where_it_stopped(self, before, name):
        schedule, whole = schedules.with_warm_up(schedules.SCHEDULES[name](20), 6), optimizer_with(0.3, 0.7)
        expected = run(whole, schedule(whole), 24)[before:]
        stopped, resumed = optimizer_with(0.3, 0.7), optimizer_with(0.3, 0.7)
        scheduler = schedule(stopped)
        run(stopped, scheduler, before)
        saved = copy.deepcopy((stopped.state_dict(), scheduler.state_dict()))
        scheduler = schedule(resumed)
        resumed.load_state_dict(saved[0])
        scheduler.load_state_dict(saved[1])
        assert run(resumed, scheduler, 24 - before) == expected

    def test_refuses_a_schedule_that_waits_for_losses(self):
        with pytest.raises(ValueError, match="schedule makes a ReduceLROnPlateau"):
            schedules.with_warm_up(schedules.SCHEDULES["plateau"](10), 3)(optimizer_with(0.1))

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
