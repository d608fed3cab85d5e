import copy
import gzip
import itertools
import math
import random
import re
import sys
import types

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import nn
from torch.nn.utils import prune
from torch.utils.flop_counter import FlopCounterMode

from nnopt_lab.techniques import pruning
from nnopt_lab.workbench import device, measure, provenance
from nnopt_lab.workbench.measure import Interval, Ratio, Timing, hardware, memory, timing
from nnopt_lab.workbench.measure.timing import time_unit


class Tied(nn.Module):
    """One linear layer used twice, and its weight also under another name."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = self.first
        self.weight_again = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))


def small():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 5)
    )


EXAMPLE = torch.rand(1, 3, 4, 4)


class TestParameters:
    def test_counts_parameters_but_not_buffers(self):
        assert measure.parameters(small()).total == (3 * 9 * 8 + 8) + (8 + 8) + (128 * 5 + 5)

    def test_counts_a_shared_parameter_once(self):
        assert measure.parameters(Tied()) == (20, 20)

    def test_counts_zeros(self):
        layer = nn.Linear(4, 2)
        with torch.no_grad():
            layer.weight[0] = 0
        assert measure.parameters(layer) == (10, 6)

    def test_counts_the_effective_weight_of_a_pruned_model(self):
        model = small()
        before = measure.parameters(model)
        prune.l1_unstructured(model[4], "weight", amount=100)
        assert measure.parameters(model) == (before.total, before.nonzero - 100)
        prune.remove(model[4], "weight")
        assert measure.parameters(model) == (before.total, before.nonzero - 100)

    def test_counts_a_shared_pruned_layer_once(self):
        model = Tied()
        del model.weight_again
        prune.random_unstructured(model.first, "weight", amount=10)
        assert measure.parameters(model) == (20, 10)

    def test_counts_a_weight_under_equal_masks_of_several_layers_once(self):
        model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
        model[1].weight = model[0].weight
        pruning.magnitude_prune(model, 5)
        assert measure.parameters(model) == (16, 5)
        assert measure.disk_bytes(model) == measure.disk_bytes(model[:1])

    def test_does_not_take_any_name_that_ends_in_orig_for_pruned(self):
        model = nn.Module()
        model.weight_orig = nn.Parameter(torch.ones(3))
        assert measure.parameters(model) == (3, 3)


class TestMacs:
    @settings(max_examples=150)
    @given(st.data())
    def test_agrees_with_torch_flop_counter(self, data):
        def pick(low, high):
            return data.draw(st.integers(low, high))

        kind = data.draw(st.sampled_from(measure.COUNTED))
        batch, groups = pick(1, 3), pick(1, 3)
        if kind is nn.Linear:
            layer, example = nn.Linear(pick(1, 9), pick(1, 9), bias=pick(0, 1) == 1), None
            example = torch.rand(batch, *[pick(1, 3) for _ in range(pick(0, 2))], layer.in_features)
        else:
            layer = kind(
                in_channels=groups * pick(1, 3),
                out_channels=groups * pick(1, 3),
                kernel_size=pick(1, 3),
                stride=pick(1, 3),
                padding=pick(0, 2),
                dilation=pick(1, 2),
                groups=groups,
                bias=pick(0, 1) == 1,
            )
            example = torch.rand(batch, layer.in_channels, *[pick(5, 9) for _ in layer.kernel_size])
        with FlopCounterMode(display=False) as counter:
            layer(example)
        assert 2 * measure.macs(layer, example) == counter.get_total_flops()

    def test_whole_network_and_batch(self):
        model = small()
        assert measure.macs(model, EXAMPLE) == 16 * 8 * 27 + 128 * 5
        assert measure.macs(model, EXAMPLE.repeat(7, 1, 1, 1)) == 7 * measure.macs(model, EXAMPLE)

    def test_rows_say_what_a_layer_reads_and_writes(self):
        conv, linear = measure.layer_costs(small(), EXAMPLE)
        assert conv == ("0", "Conv2d", 16 * 8 * 27, 4 * (216 + 8), 4 * 48, 4 * 128, (1, 8, 4, 4))
        assert linear == ("4", "Linear", 640, 4 * 645, 4 * 128, 4 * 5, (1, 5))
        assert linear.intensity == 2 * 640 / (4 * (645 + 128 + 5))

    def test_a_layer_that_runs_twice_is_listed_twice(self):
        assert [cost.name for cost in measure.layer_costs(Tied(), torch.rand(1, 4))] == ["first", "first"]

    def test_sees_arguments_given_by_name(self):
        class ByName(nn.Linear):
            def forward(self, input):
                return super().forward(input)

        outer = nn.Module()
        outer.inner = ByName(2, 3)
        outer.forward = lambda x: outer.inner(input=x)
        assert measure.macs(outer, torch.rand(1, 2)) == 6

    def test_leaves_no_trace(self):
        model = small().train()
        model[1].eval()
        before = copy.deepcopy(model.state_dict())
        measure.macs(model, EXAMPLE)
        assert [m.training for m in model] == [True, False, True, True, True] and model.training
        assert not any(m._forward_hooks for m in model.modules())
        assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())

    def test_leaves_no_trace_of_a_failure(self):
        model = small().train()
        with pytest.raises(RuntimeError):
            measure.macs(model, torch.rand(1, 2, 4, 4))
        assert model.training and not any(m._forward_hooks for m in model.modules())


class TestDiskBytes:
    def test_is_the_size_of_the_safetensors_file(self):
        model = small()
        file = save(model.state_dict())
        assert measure.disk_bytes(model) == len(file)
        assert measure.disk_bytes(model, compressed=True) == len(gzip.compress(file, 9, mtime=0))
        for level in (1, 6):
            assert measure.disk_bytes(model, compressed=True, level=level) == len(gzip.compress(file, level, mtime=0))
        for level in (0, 10, -1, 1.5, True, None, "6"):
            with pytest.raises(ValueError, match=f"level={level!r} must be an integer from 1 to 9"):
                measure.disk_bytes(model, compressed=True, level=level)

    def test_writes_shared_tensors_once(self):
        alone = measure.disk_bytes(nn.Linear(100, 100))

        class Shared(nn.Module):
            def __init__(self):
                super().__init__()
                self.a = self.b = nn.Linear(100, 100)

        assert abs(measure.disk_bytes(Shared()) - alone) < 100

    def test_writes_a_pruned_weight_without_its_mask(self):
        model = nn.Linear(200, 200)
        dense, packed = measure.disk_bytes(model), measure.disk_bytes(model, compressed=True)
        prune.l1_unstructured(model, "weight", amount=0.9)
        assert measure.disk_bytes(model) == dense
        assert measure.disk_bytes(model, compressed=True) < packed / 4

    def test_counts_the_bytes_of_the_dtype(self):
        model = nn.Linear(256, 256, bias=False)
        assert measure.disk_bytes(model) - measure.disk_bytes(model.half()) == pytest.approx(2 * 256**2, abs=8)

    def test_takes_views_and_transposed_weights(self):
        model = nn.Linear(8, 4)
        model.weight = nn.Parameter(torch.rand(8, 9)[:, :4].t())
        assert measure.disk_bytes(model) > 4 * (32 + 4)

    def test_refuses_what_is_not_a_tensor(self):
        class WithExtra(nn.Linear):
            def get_extra_state(self):
                return {"scale": 2}

        with pytest.raises(ValueError, match="_extra_state, a dict"):
            measure.disk_bytes(WithExtra(2, 2))
        assert measure.parameters(WithExtra(2, 2)).total == 6


class TestMeanDifference:
    def test_is_students_interval_of_the_pairs(self):
        found = measure.mean_difference([88.9, 88.5, 89.0], [88.1, 88.1, 88.8])
        differences = torch.tensor([-0.8, -0.4, -0.2], dtype=torch.float64)
        reach = 4.302653 * differences.std().item() / 3**0.5  # from a table: 95 %, 2 degrees of freedom
        assert found.estimate == pytest.approx(differences.mean().item())
        assert (found.low, found.high) == pytest.approx((found.estimate - reach, found.estimate + reach), rel=1e-5)

    @given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=2, max_size=9))
    def test_swapping_turns_it_round_and_more_confidence_widens_it(self, pairs):
        a, b = zip(*pairs, strict=True)
        there, back, wide = (
            measure.mean_difference(a, b),
            measure.mean_difference(b, a),
            measure.mean_difference(a, b, 0.99),
        )
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-9)
        assert wide.low <= there.low <= there.estimate <= there.high <= wide.high

    @pytest.mark.parametrize(("a", "b"), [([1.0], [2.0]), ([1.0, 2.0], [1.0]), ([], [])])
    def test_refuses_what_has_no_pairs(self, a, b):
        with pytest.raises(ValueError, match=f"values_a has {len(a)} numbers and values_b {len(b)}; they must match"):
            measure.mean_difference(a, b)

    def test_refuses_a_confidence_that_is_none(self):
        with pytest.raises(ValueError, match="confidence=1 must lie between 0 and 1"):
            measure.mean_difference([1, 2], [2, 3], 1)


class TestMedianInterval:
    # n, confidence and the ranks of the interval, from tables of the binomial distribution with p = 1/2.
    @pytest.mark.parametrize(
        ("n", "confidence", "low", "high"),
        [(6, 0.95, 1, 6), (8, 0.95, 1, 8), (9, 0.95, 2, 8), (20, 0.95, 6, 15), (100, 0.95, 40, 61), (8, 0.99, 1, 8)],
    )
    def test_ranks(self, n, confidence, low, high):
        values = list(range(1, n + 1))
        random.Random(0).shuffle(values)
        interval = measure.median_interval(values, confidence)
        assert (interval.estimate, interval.low, interval.high) == ((n + 1) / 2, low, high)

    @given(st.integers(6, 300), st.sampled_from([0.5, 0.9, 0.95]))
    def test_is_the_narrowest_that_keeps_the_confidence(self, n, confidence):
        k = measure.median_interval(range(1, n + 1), confidence).low

        def covers(k):  # exactly: the median lies between the k-th and the (n + 1 - k)-th value
            return 1 - 2 * sum(math.comb(n, i) for i in range(k)) / 2**n

        assert covers(k) >= confidence - 1e-12 and (covers(k + 1) < confidence or k == n // 2)

    @pytest.mark.parametrize("draw", [random.Random.random, lambda r: r.expovariate(1), lambda r: r.gauss(0, 1) ** 3])
    def test_covers_the_median_of_any_distribution(self, draw):
        source = random.Random(1)
        true = sorted(draw(random.Random(i)) for i in range(20_001))[10_000]
        hits = 0
        for _ in range(2_000):
            interval = measure.median_interval([draw(source) for _ in range(30)])
            hits += interval.low <= true <= interval.high
        assert hits / 2_000 > 0.94  # the exact coverage with 30 samples is 0.957

    @pytest.mark.parametrize(("n", "confidence", "fewest"), [(5, 0.95, 6), (0, 0.95, 6), (7, 0.99, 8)])
    def test_says_how_many_samples_it_needs(self, n, confidence, fewest):
        with pytest.raises(ValueError, match=f"{n} given.*at least {fewest}"):
            measure.median_interval([1.0] * n, confidence)
        measure.median_interval([1.0] * fewest, confidence)

    @pytest.mark.parametrize("confidence", [0, 1, 95, -0.1])
    def test_refuses_a_confidence_out_of_range(self, confidence):
        with pytest.raises(ValueError, match="confidence"):
            measure.median_interval(range(10), confidence)


class TestRatio:
    def test_pairs_rounds(self):
        # Every round is a different weather, which the pairs do not feel: each ratio is 2.
        slow, fast = Timing(tuple(2.0 * w for w in range(1, 21)), 4), Timing(tuple(1.0 * w for w in range(1, 21)), 4)
        result = measure.ratio(slow, fast)
        assert (result.median, result.low, result.high, result.confidence) == (2, 2, 2, 0.95)

    @pytest.mark.parametrize(
        ("result", "text"),
        [
            (Ratio(2.312, 2.251, 2.384, 0.95), "2.31× faster (95 % interval 2.25 to 2.38)"),
            (Ratio(1.011, 0.98, 1.04, 0.95), "no difference measured (ratio 1.01, 95 % interval 0.98 to 1.04)"),
            (Ratio(0.5, 0.4, 0.625, 0.9), "2.00× slower (90 % interval 1.60 to 2.50)"),
            (Ratio(1.02, 1.005, 1.03, 0.95), "no difference measured (ratio 1.02, 95 % interval 1.00 to 1.03)"),
            (Ratio(1.005, 1.004, 1.006, 0.999), "no difference measured (ratio 1.00, 99.9 % interval 1.00 to 1.01)"),
        ],
    )
    def test_says_what_it_means(self, result, text):
        assert str(result) == text

    def test_refuses_timings_that_are_no_pairs(self):
        with pytest.raises(ValueError, match="slow has 6 rounds of batch 1, fast 7"):
            measure.ratio(Timing((1.0,) * 6, 1), Timing((1.0,) * 7, 1))
        with pytest.raises(ValueError, match="batch 1, fast 6 of batch 2"):
            measure.ratio(Timing((1.0,) * 6, 1), Timing((1.0,) * 6, 2))


class TestProportionDifference:
    def test_only_disagreements_count(self):
        a = torch.tensor([True] * 80 + [False] * 20)
        b = torch.tensor([True] * 70 + [False] * 10 + [True] * 15 + [False] * 5)
        result = measure.proportion_difference(a, b)
        assert result.estimate == pytest.approx(5.0)
        # Agresti & Min with 15.5 gained, 10.5 lost, 102 pictures
        centre, error = 5 / 102, math.sqrt(26 - 25 / 102) / 102
        assert result.low == pytest.approx(100 * (centre - 1.959964 * error), abs=1e-4)
        assert result.high == pytest.approx(100 * (centre + 1.959964 * error), abs=1e-4)

    def test_is_antisymmetric(self):
        a, b = torch.rand(200) < 0.9, torch.rand(200) < 0.8
        there, back = measure.proportion_difference(a, b), measure.proportion_difference(b, a)
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low))

    def test_no_disagreement_is_not_certainty(self):
        same = torch.ones(1000, dtype=torch.bool)
        result = measure.proportion_difference(same, same)
        assert result.estimate == 0 and result.low < 0 < result.high

    @pytest.mark.parametrize(("gain", "loss"), [(0.02, 0.01), (0.1, 0.1), (0.3, 0.1)])
    def test_covers_the_true_difference(self, gain, loss):
        generator, hits = torch.Generator().manual_seed(0), 0
        for _ in range(1_000):
            u = torch.rand(400, generator=generator)
            a, b = (u < loss) | (u > 0.5), (u > 0.5) | ((u >= loss) & (u < loss + gain))
            result = measure.proportion_difference(a, b)
            hits += result.low <= 100 * (gain - loss) <= result.high
        assert hits / 1_000 > 0.935

    def test_refuses_anything_but_pairs_of_bool(self):
        right = torch.ones(3, dtype=torch.bool)
        with pytest.raises(ValueError, match=r"correct_b is torch\.float32"):
            measure.proportion_difference(right, torch.rand(3))
        with pytest.raises(ValueError, match=r"correct_a is torch.bool \[1, 3\]"):
            measure.proportion_difference(right[None], right)
        with pytest.raises(ValueError, match="must match"):
            measure.proportion_difference(right, right[:2])

    def test_prints(self):
        assert str(Interval(0.5, -0.25, 1.25, 0.95)) == "0.50 (95 % interval −0.25 to 1.25)"


class TestLatency:
    def test_one_sample_a_round_for_every_model(self):
        timings = measure.latency({"a": small(), "b": torch.sin}, EXAMPLE.repeat(3, 1, 1, 1), rounds=7)
        assert {name: len(t.samples) for name, t in timings.items()} == {"a": 7, "b": 7}
        assert all(min(t.samples) > 0 and t.batch_size == 3 for t in timings.values())

    def test_takes_turns_and_the_first_changes(self, monkeypatch):
        monkeypatch.setattr(timing, "_warm_up", lambda *_: 1)
        calls = []
        models = {name: (lambda x, name=name: calls.append(name)) for name in "abc"}
        measure.latency(models, EXAMPLE, rounds=6)
        calls = calls[3:]  # the first call of each shows where it computes
        timed = calls[1::2]  # each sample comes after one call that is not timed
        assert calls[::2] == timed
        rounds = [timed[i : i + 3] for i in range(0, 18, 3)]
        assert all(sorted(r) == ["a", "b", "c"] for r in rounds)
        assert sorted(r[0] for r in rounds) == ["a", "a", "b", "b", "c", "c"]

    def test_divides_by_the_calls_of_a_sample(self, monkeypatch):
        clock = itertools.count()  # every look at the clock finds it one second later
        monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(clock)))
        monkeypatch.setattr(timing, "_warm_up", lambda *_: 4)
        assert measure.latency({"a": torch.sin}, EXAMPLE, rounds=2)["a"].samples == (0.25, 0.25)

    def test_another_clock_may_be_given(self):
        clock = itertools.count()
        found = measure.latency({"a": torch.sin}, EXAMPLE, rounds=2, clock=lambda: float(next(clock)))
        assert found["a"].samples == (1.0, 1.0)

    def test_stops_when_the_budget_is_spent_but_not_before_six_rounds(self):
        assert len(measure.latency({"a": torch.sin}, EXAMPLE, rounds=50, budget_seconds=1e-9)["a"].samples) == 6
        assert len(measure.latency({"a": torch.sin}, EXAMPLE, rounds=2, budget_seconds=1e-9)["a"].samples) == 2

    def test_runs_in_evaluation_mode_without_autograd_and_restores(self):
        seen = []

        class Spy(nn.Dropout):
            def forward(self, x):
                seen.append((self.training, torch.is_inference_mode_enabled()))
                return x

        model = nn.Sequential(Spy(), nn.Identity()).train()
        model[1].eval()
        measure.latency({"spy": model}, EXAMPLE, rounds=1)
        assert set(seen) == {(False, True)}
        assert [m.training for m in model.modules()] == [True, True, False]

    def test_summary(self):
        timing = Timing((0.4e-3, 0.42e-3, 0.44e-3), 10)
        assert timing.median == pytest.approx(0.42e-3) and timing.throughput == pytest.approx(10 / 0.42e-3)
        assert timing.quartiles == pytest.approx((0.41e-3, 0.43e-3))
        assert str(timing) == "0.420 ms (0.410–0.430)"
        assert str(Timing((2e-5, 2e-5), 1)) == "20.0 µs (20.0–20.0)" and str(Timing((1.5,), 1)) == "1.50 s (1.50–1.50)"
        assert timing.in_unit("µs") == "420 (410–430)"
        assert time_unit([timing, Timing((1.5,), 1)]) == "ms" and time_unit([timing, Timing((2e-5,), 1)]) == "µs"

    @pytest.mark.parametrize(
        "bad",
        [{"models": {}}, {"rounds": 0}, {"budget_seconds": 0}, {"example": torch.tensor(1.0)}],
        ids=lambda b: next(iter(b)),
    )
    def test_refuses(self, bad):
        with pytest.raises(ValueError, match=next(iter(bad))):
            measure.latency(**({"models": {"a": torch.sin}, "example": EXAMPLE} | bad))


class TestLatencyOnADevice:
    """On a stand-in, whose launches return at once and whose work only counts for who waits for it."""

    def test_asynchronous_launches_are_not_taken_for_work(self):
        with device.stand_in(launch_seconds=1e-6) as fake:
            models = {"long": lambda x: (fake.launch(0.004), x)[1], "short": lambda x: (fake.launch(0.001), x)[1]}
            found = measure.latency(models, EXAMPLE, rounds=6)
            by_clock = measure.latency(models, EXAMPLE, rounds=6, clock=fake.clock)
            started = fake.clock()
            models["long"](EXAMPLE)
            assert fake.clock() - started == pytest.approx(1e-6)  # what a clock sees that does not wait
        for timings in (found, by_clock):
            assert timings["long"].samples == pytest.approx([0.004] * 6, rel=0.01)
            assert timings["short"].samples == pytest.approx([0.001] * 6, rel=0.01)
        assert measure.ratio(found["long"], found["short"]).median == pytest.approx(4, rel=0.01)

    def test_where_launches_take_longer_than_their_work_they_are_the_time(self):
        with device.stand_in(launch_seconds=1e-4) as fake:
            found = measure.latency({"ten": lambda x: [fake.launch(1e-6) for _ in range(10)] and x}, EXAMPLE, rounds=6)
        assert found["ten"].median == pytest.approx(1e-3, rel=0.01)

    def test_the_output_shows_where_the_work_is_done(self, monkeypatch):
        places = []
        monkeypatch.setattr(device, "of", lambda *things: places.append(things) or torch.device("cpu"))
        measure.latency({"elsewhere": lambda x: x + 1}, EXAMPLE, rounds=1)
        assert any(torch.equal(thing, EXAMPLE + 1) for thing in places[0] if isinstance(thing, torch.Tensor))

    def test_it_is_warm_when_its_time_no_longer_changes(self):
        with device.stand_in(launch_seconds=0) as fake:
            calls = itertools.count()
            clocks_up = lambda x: (fake.launch(max(1, 10 - next(calls) / 10) * 1e-3), x)[1]  # noqa: E731
            found = measure.latency({"waking": clocks_up}, EXAMPLE, rounds=6)
        assert found["waking"].samples[1:] == pytest.approx([1e-3] * 5)

    def test_one_that_never_settles_is_measured_all_the_same(self, monkeypatch):
        monkeypatch.setattr(timing, "SETTLE_SECONDS", 0.01)
        with device.stand_in(launch_seconds=0) as fake:
            noise = random.Random(0)
            found = measure.latency({"noisy": lambda x: fake.launch(noise.uniform(1e-3, 1e-2))}, EXAMPLE, rounds=6)
        assert len(found["noisy"].samples) == 6

    @pytest.mark.accelerator
    def test_on_an_accelerator_a_product_takes_its_time(self):
        here = device.accelerator()
        a = torch.rand(2048, 2048, device=here)
        found = measure.latency({"small": lambda x: x[:64] @ x[:, :64], "large": lambda x: x @ x @ x}, a, rounds=6)
        assert found["large"].median > 2 * 2 * 2048**3 / 4e15  # no accelerator computes as much in float32
        assert measure.ratio(found["large"], found["small"]).low > 1


class TestPeakMemory:
    x = torch.ones(1000)  # 4,000 bytes

    @pytest.mark.parametrize(
        ("fn", "peak"),
        [
            (lambda x: x + 1, 4_000),
            (lambda x: (x + 1) * 2, 8_000),  # x + 1 lives until the product is made
            (lambda x: (x + 1).mul_(2), 4_000),
            (lambda x: ((x + 1) * 2 - 3) / 4, 8_000),  # of a chain only two are ever alive
            (lambda x: x.view(10, 100)[3:], 0),
            (lambda x: torch.cat([x + 1, x.double()]), 4_000 + 8_000 + 16_000),
            (lambda x: [x + i for i in range(5)], 20_000),
            (lambda x: None, 0),
        ],
    )
    def test_of_cases_worked_out_by_hand(self, fn, peak):
        assert measure.peak_memory(fn, self.x) == peak

    def test_training_keeps_what_inference_frees(self):
        model = nn.Sequential(*[nn.Sigmoid() for _ in range(6)])
        x = torch.rand(1000, requires_grad=True)
        assert measure.peak_memory(torch.inference_mode()(model), x) == 8_000
        assert measure.peak_memory(model, x) == 24_000

    def test_counts_gradients_that_backward_leaves(self):
        layer = nn.Linear(100, 100, bias=False)
        assert measure.peak_memory(lambda x: layer(x).sum().backward(), torch.rand(1, 100)) >= 4 * 100**2

    def test_the_same_in_every_run(self):
        model, x = small(), torch.rand(4, 3, 4, 4)
        assert len({measure.peak_memory(model, x) for _ in range(5)}) == 1

    def test_an_accelerator_s_allocator_is_asked_for_networks_and_tensors_there(self, monkeypatch):
        here, now, resets = torch.device("cuda", 1), [500], []
        monkeypatch.setattr(memory.device, "of", lambda *_: here)
        monkeypatch.setattr(torch.accelerator, "synchronize", lambda *_: None)
        monkeypatch.setattr(torch.accelerator, "reset_peak_memory_stats", resets.append)
        monkeypatch.setattr(torch.accelerator, "memory_allocated", lambda where: now[0])
        monkeypatch.setattr(torch.accelerator, "max_memory_allocated", lambda where: now[0] + 300)
        assert measure.peak_memory(lambda x: now.__setitem__(0, 700), self.x) == 500 and resets == [here]

        def refuses(*_):
            raise RuntimeError("Allocator for mps is not a DeviceAllocator.")

        monkeypatch.setattr(torch.accelerator, "reset_peak_memory_stats", refuses)
        here = torch.device("mps", 0)
        with pytest.raises(ValueError, match="torch does not keep the peak memory of Apple GPU"):
            measure.peak_memory(torch.sin, self.x)

    @pytest.mark.accelerator
    def test_on_an_accelerator(self):
        x = torch.ones(1 << 20, device=device.accelerator())
        assert measure.peak_memory(lambda x: (x + 1) * 2, x) >= 2 * x.nbytes


class TestThroughput:
    pictures = torch.rand(10, 3, 4, 4)  # 192 bytes each

    def passes(self, copies, work=0.5, batch_size=2, bytes_per_second=192 * 4):
        """Seconds of a pass over five batches: a copy takes half a second, the work `work`."""
        with device.stand_in(launch_seconds=0, bytes_per_second=bytes_per_second) as fake:
            seen = []
            found = measure.throughput(
                lambda x: (fake.launch(work), seen.append(x.clone()), x)[2],
                self.pictures,
                batch_size,
                copies=copies,
                rounds=2,
            )
        assert torch.equal(torch.cat(seen[: len(seen) // 3]), self.pictures)
        return found

    def test_copies_beside_the_work_hide_behind_it(self, monkeypatch):
        monkeypatch.setattr(device, "of", lambda *_: device.accelerator())
        assert self.passes("none").samples == pytest.approx([2.5] * 2)
        assert self.passes("plain").samples == self.passes("pinned").samples == pytest.approx([5.0] * 2)
        overlapped = self.passes("overlapped")
        assert overlapped.samples == pytest.approx([0.5 + 2.5] * 2)  # only the first copy is waited for
        assert overlapped.batch_size == 10 and overlapped.throughput == pytest.approx(10 / 3)
        assert self.passes("overlapped", work=0.1).median == pytest.approx(5 * 0.5 + 0.1)  # bound by the copies
        assert self.passes("overlapped", batch_size=4).median == pytest.approx(1.0 + 1.0 + 0.5 + 0.5)
        assert self.passes("overlapped", batch_size=99).median == pytest.approx(2.5 + 0.5)

    @pytest.mark.parametrize("copies", measure.COPIES)
    def test_on_the_cpu_they_are_all_the_same(self, copies):
        model = small().train()
        found = measure.throughput(model, self.pictures, 3, copies=copies, rounds=2)
        assert len(found.samples) == 2 and min(found.samples) > 0 and found.batch_size == 10 and model.training

    def test_a_device_with_one_stream_says_so(self, monkeypatch):
        monkeypatch.setattr(device, "of", lambda *_: device.accelerator())
        monkeypatch.setattr(device, "side_stream", lambda _: None)
        with device.stand_in(), pytest.raises(ValueError, match="copies='overlapped' needs a second stream"):
            measure.throughput(small(), self.pictures)

    @pytest.mark.parametrize(
        "bad",
        [{"copies": "fast"}, {"pictures": torch.tensor(1.0)}, {"pictures": torch.zeros(0, 3)}, {"batch_size": 0},
         {"rounds": 0}, {"budget_seconds": 0.0}],
        ids=str,
    )  # fmt: skip
    def test_refuses(self, bad):
        with pytest.raises(ValueError, match=next(iter(bad))):
            measure.throughput(**({"model": small(), "pictures": self.pictures} | bad))

    @pytest.mark.accelerator
    @pytest.mark.parametrize("copies", measure.COPIES)
    def test_on_an_accelerator(self, copies):
        here = device.accelerator()
        if copies == "overlapped" and device.side_stream(here) is None:
            pytest.skip("one stream only")
        model, seen = small().to(here), []
        model.register_forward_hook(lambda net, given, out: seen.append(given[0].clone()))
        measure.throughput(model, self.pictures, 3, copies=copies, rounds=1)
        device.synchronize(here)
        assert torch.equal(torch.cat(seen[:4]).cpu(), self.pictures)


class TestEnergy:
    @pytest.fixture
    def nvml(self, monkeypatch):
        """A driver for a GPU of 200 watts; the test sets `fake`, whose clock it counts by."""
        nvml = types.ModuleType("pynvml")
        nvml.NVMLError = type("NVMLError", (Exception,), {})
        nvml.open, nvml.fake = 0, None
        nvml.nvmlInit = lambda: setattr(nvml, "open", nvml.open + 1)
        nvml.nvmlShutdown = lambda: setattr(nvml, "open", nvml.open - 1)
        nvml.nvmlDeviceGetHandleByUUID = lambda uuid: uuid
        nvml.nvmlDeviceGetTotalEnergyConsumption = lambda handle: 1e3 * 200 * nvml.fake.clock()
        monkeypatch.setitem(sys.modules, "pynvml", nvml)
        return nvml

    def test_is_what_the_counter_says_per_call(self, nvml):
        with device.stand_in(launch_seconds=0) as nvml.fake:
            found = measure.energy(lambda x: (nvml.fake.launch(0.01), x)[1], EXAMPLE, seconds=2)
        assert found.joules == pytest.approx(2.0) and found.watts == pytest.approx(200) and found.reason == ""
        assert found.calls in (200, 201) and found.seconds == pytest.approx(0.01) and nvml.open == 0
        assert str(found) == "2 J per call (200 W)"

    def test_what_the_driver_refuses_is_said(self, nvml):
        def refuses(handle):
            raise nvml.NVMLError("Not Supported")

        nvml.nvmlDeviceGetTotalEnergyConsumption = refuses
        with device.stand_in("T4", (7, 5)) as nvml.fake:
            found = measure.energy(lambda x: (nvml.fake.launch(0.01), x)[1], EXAMPLE)
        assert found.joules is None and found.watts is None and nvml.open == 0
        assert found.reason == "NVML can't read it on T4 (Not Supported)."
        assert str(found).startswith("energy unknown: NVML") and found.seconds == pytest.approx(0.01, rel=0.1)

    def test_a_missing_package_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pynvml", None)
        with device.stand_in():
            assert "pip install nvidia-ml-py" in measure.energy(torch.sin, EXAMPLE).reason

    def test_the_cpu_has_no_counter(self):
        found = measure.energy(small(), EXAMPLE, seconds=0.01)
        assert (
            found.joules is None
            and found.reason == "only NVIDIA's GPUs have a counter that can be read, and this is CPU."
        )
        with pytest.raises(ValueError, match="seconds=0 must be above 0"):
            measure.energy(small(), EXAMPLE, seconds=0)

    @pytest.mark.accelerator
    def test_on_an_accelerator(self):
        found = measure.energy(lambda x: x @ x, torch.rand(2048, 2048, device=device.accelerator()), seconds=1)
        assert found.reason or 10 < found.watts < 2000


class TestMachine:
    def test_the_accelerator_is_named(self):
        with device.stand_in("NVIDIA H100"):
            assert measure.machine().accelerator == "NVIDIA H100"

    def test_shows_itself(self):
        machine = measure.machine()
        assert machine.cores >= 1 and machine.threads == torch.get_num_threads() and machine.torch == torch.__version__
        assert machine.processor in str(machine) and machine.processor in machine._repr_html_()

    def test_leaves_out_what_the_system_does_not_tell(self, monkeypatch):
        monkeypatch.setattr(hardware, "_memory", lambda: None)
        monkeypatch.setattr(hardware, "_caches", dict)
        monkeypatch.setattr(hardware, "first_processor", dict)
        monkeypatch.setattr(provenance, "first_processor", dict)
        text = str(measure.machine())
        assert "memory" not in text and "caches" not in text and "processor" in text

    def test_its_entries_are_named_in_the_language_in_use(self, chinese):
        entries = ["processor", "cores", "threads", "caches", "memory", "instructions", "accelerator", "system", "here"]
        chinese({entry: f"名{i}" for i, entry in enumerate(entries)})
        text = str(measure.Machine("p", 1, 1, {"L2": 2**20}, 2**30, ("i",), "a", "s", "t"))
        assert not set(entries) & set(text.split()) and all(f"名{i}" in text for i in range(len(entries)))

    def test_peaks_are_work_over_the_best_time(self, monkeypatch):
        times = iter([0.5, 9.0, 9.0, 0.5, 0.5])
        monkeypatch.setattr(hardware, "_best_seconds", lambda call: call() is not None and next(times))
        machine = measure.Machine("p", 1, 1, {"L2": 2**20}, 2**30, (), None, "s", "t")
        assert machine.peak_gflops() == 2 * 1024**3 / 0.5 / 1e9  # the product of matrices was the faster one
        assert machine.peak_gflops() == 2 * 16 * 128**2 * 9 * 32**2 / 0.5 / 1e9  # the convolution was
        assert machine.peak_bandwidth() == 2 * 2**26 / 0.5 / 1e9

    def test_best_of_several(self, monkeypatch):
        monkeypatch.setattr(hardware.time, "perf_counter", iter([0.0, 0.0, 0.3, 0.3, 0.4, 9.0]).__next__)
        assert hardware._best_seconds(lambda: None) == pytest.approx(0.1)


@pytest.fixture(scope="module")
def comparison():
    model = small()
    pruned = copy.deepcopy(model)
    prune.l1_unstructured(pruned[4], "weight", amount=0.5)
    models = {"original": model, "pruned <half>": pruned, "again": model}
    return measure.compare(models, EXAMPLE, {"original": 91.234}, batch_sizes=(1, 3), rounds=6)


class TestCompare:
    def test_rows(self, comparison):
        first, second, third = comparison.rows
        assert [row["model"] for row in comparison.rows] == ["original", "pruned <half>", "again"]
        assert first["total"] == second["total"] and second["nonzero"] == first["nonzero"] - 320
        assert first["macs"] == measure.macs(small(), EXAMPLE) and first["bytes"] == measure.disk_bytes(small())
        assert second["compressed_bytes"] < first["compressed_bytes"] == third["compressed_bytes"]
        assert (first["accuracy"], second["accuracy"]) == (91.234, None)
        assert list(first["latency"]) == [1, 3] and first["latency"][3].batch_size == 3
        assert first["ratio"] == {1: None, 3: None} and isinstance(second["ratio"][3], Ratio)

    def test_tables(self, comparison):
        text, page = repr(comparison), comparison._repr_html_()
        assert "original" in text and "91.23 %" in text
        assert max(map(len, text.splitlines())) < 130
        assert "pruned &lt;half&gt;" in page and "<half>" not in page and "var(--jp-ui-font-color1" in page
        assert "557 nonzero" in page
        assert page.count('scope="col"') == 7 and page.count('scope="row"') == 3
        assert all(cell.count("<br>") < 2 for cell in re.split("<t[dh]", page))
        assert page.count("95\u00a0% interval") == text.count("95 % interval") == 1

    def test_plot(self, comparison):
        assert [ax.get_title() for ax in comparison.plot().axes] == [
            "File", "Gzipped file", "MACs", "Time, batch 1", "Time, batch 3", "Accuracy",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            ({"models": {}}, "models={} must"),
            ({"models": {"f": torch.sin}}, "nn.Module"),
            ({"example": torch.rand(0, 3, 4, 4)}, r"example has shape \[0, 3, 4, 4\]"),
            ({"accuracy": {"b": 50}}, "accuracy.*'b'"),
            ({"accuracy": {"a": 101}}, "101 must be 0 to 100 percent"),
            ({"batch_sizes": ()}, "batch_sizes"),
            ({"batch_sizes": (0,)}, "batch_sizes"),
            ({"rounds": 5}, "rounds=5 must be at least 6"),
        ],
    )
    def test_refuses(self, bad, message):
        with pytest.raises(ValueError, match=message):
            measure.compare(**({"models": {"a": small()}, "example": EXAMPLE} | bad))


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (512, "512 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (1_101_005, "1.05 MiB"),
     (480 * 2**20, "480 MiB"), (24.5 * 2**30, "24.5 GiB"), (2**40, "1.00 TiB"), (2**52, "4,096 TiB")],
)  # fmt: skip
def test_format_bytes(count, text):
    assert measure.format_bytes(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (268_650, "268,650"), (999_999, "999,999"), (1_000_000, "1.00 M"), (1_884_000, "1.88 M"),
     (40_600_000, "40.6 M"), (4.12e9, "4.12 G"), (3.1e12, "3.10 T")],
)  # fmt: skip
def test_format_count(count, text):
    assert measure.format_count(count) == text


def test_what_a_lazy_network_makes_while_it_is_measured_can_be_trained():
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    with measure.inference(model):
        assert not model(torch.randn(2, 4)).requires_grad
    model(torch.randn(2, 4)).sum().backward()
    assert model[1].weight.grad is not None


def test_a_model_of_another_process_is_timed_by_itself():
    class There(measure.SelfTimed):
        def seconds(self, example, calls):
            return 3.0 * calls * len(example)

    timings = measure.latency({"here": lambda x: x, "there": There()}, torch.ones(2, 1), rounds=7)
    assert timings["there"].samples == (6.0,) * 7 and timings["there"].batch_size == 2
    assert all(0 < s < 1 for s in timings["here"].samples)
