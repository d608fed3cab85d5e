"""The whole step in one graph: the same training, one launch per step, and clear words where it can't be recorded."""

import warnings

import pytest
import torch
from torch import nn

from nnopt_lab.workbench import data, training
from nnopt_lab.workbench import device as devices
from nnopt_lab.workbench.training.graphs import GraphStep
from tests.workbench.training.common import PICTURES, fit, net, weights

KINDS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9),
    # Behind a batch norm some gradients are rounding only, which a small eps would make large.
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, eps=1e-3),
}


def cosine(optimizer):
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 8)


@pytest.fixture
def fake():
    with devices.stand_in() as fake:
        yield fake


def with_batch_norm():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))


def trained(make=net, **options):
    model = make()
    history = fit(model, **({"device": "accelerator", "epochs": 3, "scheduler": cosine} | options))
    return model.state_dict(), history


def both_ways(close=1e-5, **options):
    graph, seen = trained(cuda_graph=True, **options)
    plain, expected = trained(**options)
    for name in plain:
        assert torch.allclose(graph[name], plain[name], atol=close), name
    assert seen.train_loss == pytest.approx(expected.train_loss, rel=1e-4)
    assert seen.train_accuracy == pytest.approx(expected.train_accuracy, abs=2)
    assert seen.learning_rate == pytest.approx(expected.learning_rate, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("make", "close"), [(net, 1e-5), (with_batch_norm, 1e-3)])
class TestTheSameTraining:
    def test_as_launch_by_launch_with_a_smaller_last_batch_and_a_schedule(self, fake, kind, make, close):
        both_ways(close, make=make, optimizer=KINDS[kind])

    def test_with_the_other_options(self, fake, kind, make, close):
        options = {"resident": True, "accumulate": 2, "batch_size": 8, "fused": True}
        both_ways(close, make=make, optimizer=KINDS[kind], **options)

    def test_where_only_the_smaller_batch_comes_twice(self, fake, kind, make, close):
        both_ways(close, make=make, optimizer=KINDS[kind], batches=[[0, 1, 2, 3, 4], [5, 6, 7]], epochs=2)


def test_with_bf16(fake):
    both_ways(bf16=True, close=1e-3)


def test_the_second_batch_of_a_size_records_and_all_later_ones_replay(fake, monkeypatch):
    replays, capture = [], devices.capture

    def counting(work, device, *options):
        recorded = capture(work, device, *options)
        return devices.Capture(lambda: replays.append(1) or recorded.replay(), recorded.result)

    monkeypatch.setattr(devices, "capture", counting)
    trained(cuda_graph=True)  # 60 pictures, batches of 16, 16, 16 and 12, three times
    assert len(replays) == 3 * 3 - 1


@pytest.mark.parametrize("kind", KINDS)
def test_afterwards_the_optimizer_has_numbers_as_rates_and_can_go_on(fake, kind):
    model = net()
    optimizer = KINDS[kind](model.parameters())
    for seed in (0, 1):
        fit(model, device="accelerator", cuda_graph=True, optimizer=optimizer, scheduler=cosine, seed=seed)
        assert isinstance(optimizer.param_groups[0]["lr"], float)


def test_a_schedule_of_a_recorded_constant_is_refused(fake):
    def one_cycle(cycle_momentum):
        return lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 0.01, total_steps=12, cycle_momentum=cycle_momentum
        )

    both_ways(scheduler=one_cycle(False), optimizer=KINDS["AdamW"])
    for kind, name in (("AdamW", "betas"), ("SGD", "momentum")):
        with pytest.raises(ValueError, match=rf"the optimizer's {name} changed between.*cycle_momentum=False\)\)\.$"):
            trained(scheduler=one_cycle(True), optimizer=KINDS[kind], cuda_graph=True)


def test_an_optimizer_that_no_graph_can_record_is_refused(fake):
    model = net()
    before = weights(model)
    with pytest.raises(ValueError, match="a graph can't record the steps of Adagrad"):
        fit(model, device="accelerator", cuda_graph=True, optimizer=torch.optim.Adagrad(model.parameters(), lr=0.1))
    assert torch.equal(weights(model), before)


def test_a_step_that_waits_for_the_device_is_refused_in_one_sentence_and_its_weights_are_put_back(fake, monkeypatch):
    def refusing(work, device):
        work()
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nSearch for it\n")

    monkeypatch.setattr(devices, "capture", refusing)
    model, once = net(), net()
    with pytest.raises(
        ValueError, match=r"^cuda_graph=True: this step can't be recorded.*is capturing\)\.$"
    ) as refused:
        fit(model, device="accelerator", cuda_graph=True, epochs=1, train=PICTURES.train[:40])
    assert "\n" not in str(refused.value)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0)).tolist()
    fit(once, epochs=1, batches=[order[:16]])
    assert torch.equal(weights(model), weights(once))


def test_where_there_are_no_graphs_a_sentence_says_so(fake, monkeypatch):
    monkeypatch.setattr(devices, "unavailable", lambda device, feature: "torch offers no graphs on Apple GPU (mps).")
    with pytest.warns(
        UserWarning, match=r"^cuda_graph=True has no effect: torch offers no graphs on Apple GPU \(mps\)"
    ):
        trained(cuda_graph=True)


def test_the_results_of_a_step_outlive_the_next_replay(fake):
    model, seen = net(), []
    call = GraphStep.__call__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GraphStep, "__call__", lambda self, batches: seen.append(call(self, batches)) or seen[-1])
        fit(model, device="accelerator", cuda_graph=True, epochs=2, train=PICTURES.train[:48])
    losses = [losses.item() for losses, _ in seen]
    assert len(set(losses)) == len(losses) == 6


@pytest.mark.accelerator
class TestOnAnAccelerator:
    def test_all_options_together_train_as_without_them(self):
        here = devices.find("accelerator")
        if why := devices.unavailable(here, "graphs"):
            pytest.skip(why)
        pictures = data.load("fashion")
        few = data.Pictures(**vars(pictures) | {"train": pictures.train[:2_000]})

        def run(**options):
            torch.manual_seed(0)
            model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 15**2, 10))
            return training.fit(model, few, epochs=3, batch_size=128, optimizer=KINDS["AdamW"], device=here, **options)

        plain = run()
        with warnings.catch_warnings(record=True) as said:  # torch may warn of its own, about cuBLAS for example
            graph = run(cuda_graph=True, resident=True, fused=True)
        assert not any("cuda_graph" in str(one.message) for one in said)
        assert graph.train_loss == pytest.approx(plain.train_loss, rel=0.02)
        rounded = run(cuda_graph=True, resident=True, fused=True, bf16=True, accumulate=2)
        assert rounded.train_loss[-1] < rounded.train_loss[0]

    def test_a_loss_that_waits_is_refused(self):
        here = devices.find("accelerator")
        if why := devices.unavailable(here, "graphs"):
            pytest.skip(why)

        def loss(logits, labels):
            value = nn.functional.cross_entropy(logits, labels)
            return value if value.item() > 0 else -value

        with pytest.raises(ValueError, match="cuda_graph=True: this step can't be recorded"):
            fit(net(), device=here, cuda_graph=True, loss=loss)
