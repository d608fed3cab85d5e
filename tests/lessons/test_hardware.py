"""Lesson 12: its exercises against torch's and numpy's own, its playground, its recording."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.ao.pruning import WeightNormSparsifier
from torch.utils.flop_counter import FlopCounterMode

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.hardware import experiments
from nnopt_lab.lessons.hardware.experiments import EPOCHS, MARGIN, RUNGS, SEEDS
from nnopt_lab.lessons.hardware.playground import roofline_playground
from nnopt_lab.workbench import data, measure, models
from tests.lessons.playgrounds import goals, shown, ticks


def counted_intensity(in_channels, filters, kernel, side, pictures, bytes_each):
    """torch counts the operations, and the tensors know their sizes."""
    layer = nn.Conv2d(in_channels, filters, kernel, padding=kernel // 2, device="meta")
    x = torch.empty(pictures, in_channels, side, side, device="meta")
    with FlopCounterMode(display=False) as counter:
        y = layer(x)
    return counter.get_total_flops() / (bytes_each * sum(t.numel() for t in (x, y, *layer.parameters())))


def reads_and_writes(numbers, kernels, bytes_each):
    ends = np.cumsum([0, *kernels])
    return bytes_each * int(np.take(numbers, ends[:-1]).sum() + np.take(numbers, ends[1:]).sum())


def sparsified(weight):
    """torch's sparsifier, told to take the two smallest of each block of 1 × 4."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight = nn.Parameter(weight.clone())
    sparsifier = WeightNormSparsifier(sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=2)
    sparsifier.prepare(layer := nn.Sequential(layer), [{"tensor_fqn": "0.weight"}])
    sparsifier.step()
    sparsifier.squash_mask()
    return layer[0].weight.detach()


COUNTERPARTS = {
    "hardware.conv_intensity": counted_intensity,
    "hardware.moved_bytes": reads_and_writes,
    "hardware.strides": lambda shape, order: list(torch.empty_permuted(shape, order).stride()),
    "hardware.two_of_four": sparsified,
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_an_answer_by_other_libraries_passes(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(100))
    assert verdict.passed, verdict


def layouts(ax):
    """The points of a roofline, each with its name: (layout, operations per byte, GFLOP/s)."""
    points = [line.get_xydata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
    named = {text.get_text() for text in ax.texts}
    assert {"NCHW", "NHWC"} <= named
    return [(layout, *point) for layout, point in zip(("NCHW", "NHWC"), points, strict=True)]


def test_the_playground_draws_both_layouts_below_the_limit_that_it_names():
    text, (ax,) = shown(roofline_playground(10_000.0, 1_000.0))
    operations, numbers = 2 * 16 * 64 * 9 * 256 * 16, 16 * 16 * 256 + 64 * (16 * 9 + 1) + 16 * 64 * 256
    limit = ax.lines[0]
    assert limit.get_xydata()[1:].tolist() == [[10, 10_000], [limit.get_xdata()[-1], 10_000]]
    assert "arithmetic is the limit, 10000 GFLOP/s" in text
    for layout, intensity, reached in layouts(ax):
        assert intensity == pytest.approx(operations / (4 * numbers))
        assert f"{layout} <b>{reached:.0f}</b> ({reached / 100:.0f} %)" in text


def test_the_playground_says_where_memory_is_the_limit():
    text, (ax,) = shown(roofline_playground(100.0, 10.0), filters=1, kernel=1)
    # 2·16 operations for 17 numbers of 4 bytes, and the weights: 0.47 per byte.
    assert text.startswith("<b>0.5</b> operations per byte: memory is the limit, 5 GFLOP/s")
    for _, intensity, _ in layouts(ax):
        assert intensity == pytest.approx(2 * 16 / (4 * 17), rel=0.01)


@pytest.fixture
def timed(monkeypatch):
    """A list whose last number is what each convolution takes, in seconds, instead of a measurement."""
    seconds = [100.0]
    monkeypatch.setattr(
        measure, "latency", lambda ways, x, **_: dict.fromkeys(ways, measure.Timing((seconds[-1],), len(x)))
    )
    return seconds


def test_the_playground_raises_a_peak_that_is_too_low_and_names_the_cache_above_the_slope(timed):
    timed.append(1e-3)
    text, (ax,) = shown(roofline_playground(1.0, 10.0))
    speed = ax.lines[0].get_ydata()[-1]
    assert speed > 1 and f"arithmetic is the limit, {speed:.0f} GFLOP/s" in text and text.count("(100 %)") == 2
    text, _ = shown(roofline_playground(1000.0, 0.01))
    assert text.count("above the roof: the data were in the cache") == 2


def test_the_playgrounds_goals_are_a_starved_layer_one_fed_by_the_batch_and_work_that_costs_no_time(timed):
    playground = roofline_playground(100.0, 10.0)
    shown(playground, batch=4)  # a quarter of the operations
    assert ticks(playground) == [False, False, False]
    shown(playground, input_channels=64, batch=1)
    timed.append(1.0)
    shown(playground, picture=2)  # from here on, the weights are most of the bytes
    assert ticks(playground)[:2] == [True, False]
    assert goals(playground)[0][1].startswith("64→64, 3×3, 2 px, batch 1: 2.0 operations per byte are too few")
    timed.append(2.0)
    shown(playground, batch=16)
    assert ticks(playground)[1:] == [True, False]
    assert "from batch 1 to 16, the operations per byte rise from 2.0 to 26.1" in goals(playground)[1][1]
    timed.append(1.9)
    shown(playground, batch=16, kernel=1)
    shown(playground, kernel=3)
    assert ticks(playground)[2]
    assert "does 16 times the operations of 64→64, 3×3, 2 px, batch 1, in 1.9 times" in goals(playground)[2][1]


def test_the_shipped_training_ladder_has_the_shape_that_it_promises():
    result = recorded("training_ladder")["result"]
    first, *tried = result["rungs"]
    assert [rung["name"] for rung in tried] == list(RUNGS) and first["epochs"] == EPOCHS
    assert first["kept"] and first["batch_size"] == 32 and result["machine"] and result["cores"] >= 1
    for rung in result["rungs"]:
        trained = len(rung["seconds"])
        assert trained == len(rung["validation"]) == len(rung["test"]) and trained in (0, len(SEEDS))
        assert rung["images_per_second"] and (trained or not rung["kept"])
        assert rung["epochs"] <= EPOCHS
        assert all(10 < accuracy <= 100 for accuracy in (*rung["validation"], *rung["test"]))


def test_pooling_before_relu_keeps_the_function_and_its_gradients():
    torch.manual_seed(0)
    net = models.MyNet()
    exchanged = experiments.pooled_first(net.features)
    assert [type(layer) for layer in exchanged] == [nn.Conv2d, nn.MaxPool2d, nn.ReLU] * 2
    x = torch.randn(4, 3, 32, 32)
    gradients = []
    for features in (net.features, exchanged):
        out = features(x)
        gradients.append(torch.autograd.grad(out.square().sum(), list(net.features.parameters())))
        torch.testing.assert_close(out, net.features(x), rtol=0, atol=0)
    torch.testing.assert_close(*gradients)


class TestClimb:
    """The rule by which rungs are kept, on made-up trainings: (seconds per epoch, validation accuracy by epochs)."""

    def climb(self, monkeypatch, of):
        def train(way, epochs, pictures, seed):
            seconds, accuracy = of(way, epochs)
            trained = {"validation": accuracy, "test": 80.0, "images_per_second": 100 / seconds}
            return trained | {"seconds": seconds * epochs}

        monkeypatch.setattr(experiments, "_train", train)
        return list(experiments.climb(data.Pictures("none", [], [], [], (), (), ())))

    def test_a_schedule_gets_the_fewest_epochs_that_reach_the_loop_and_the_margin(self, monkeypatch):
        rungs = self.climb(
            monkeypatch, lambda way, epochs: (1.0, 88.0 if not way.peak else 86.5 + epochs if way.peak < 0.1 else 80.0)
        )
        loop, schedule, *others = rungs
        assert loop["epochs"] == EPOCHS and [rung["name"] for rung in (schedule, *others)] == list(RUNGS)
        assert schedule["kept"] and schedule["epochs"] == 3 and 86.5 + 3 >= 88 + MARGIN > 86.5 + 2
        batch = next(rung for rung in others if rung["name"] == "batch 128")
        assert not batch["reached"] and not batch["kept"] and batch["epochs"] == EPOCHS

    def test_a_change_of_speed_keeps_the_epochs_and_is_trained_only_if_it_is_faster(self, monkeypatch):
        def of(way, epochs):
            seconds = 1.0 - 0.5 * way.channels_last + 0.5 * way.bf16 - 0.2 * way.fused
            return seconds, 80.0 if way.resident else 90.0 if way.peak else 88.0

        rungs = {rung["name"]: rung for rung in self.climb(monkeypatch, of)}
        assert rungs["channels last"]["kept"] and rungs["channels last"]["epochs"] == 1
        assert rungs["bf16 autocast"]["seconds"] == [] and not rungs["bf16 autocast"]["kept"]
        assert not rungs["pictures prepared once"]["kept"]
        assert rungs["fused optimizer"]["kept"] and rungs["fused optimizer"]["channels_last"]
        assert not rungs["fused optimizer"]["bf16"] and not rungs["fused optimizer"]["resident"]
