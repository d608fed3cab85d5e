"""A graphed network computes what the network does, with one launch per call."""

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.deployment import EngineUnavailable, cuda_graphs, deploy
from nnopt_lab.techniques.deployment.cuda_graphs import GraphedNetwork
from nnopt_lab.workbench import device, measure


class Launching(nn.Linear):
    """A layer that launches ten kernels of a microsecond on a stand-in."""

    def __init__(self, fake):
        super().__init__(12, 3)
        object.__setattr__(self, "fake", fake)

    def forward(self, x):
        for _ in range(10):
            self.fake.launch(1e-6)
        return super().forward(x)


@pytest.fixture
def fake():
    with device.stand_in(launch_seconds=1e-5) as fake:
        yield fake


def test_ten_launches_become_one(fake, vectors):
    layer = Launching(fake)
    run = GraphedNetwork(layer, device.accelerator())
    with torch.inference_mode():
        run(vectors)
        before = fake.launches
        run(vectors)
    assert fake.launches == before + 1
    found = measure.latency({"eager": layer, "graph": run}, vectors, rounds=6)
    assert found["eager"].median == pytest.approx(1e-4, rel=0.02)
    assert found["graph"].median == pytest.approx(1e-5, rel=0.02)


def test_new_numbers_and_new_batch_sizes_give_new_outputs(fake, layers, vectors):
    run = GraphedNetwork(layers, device.accelerator())
    with torch.inference_mode():
        first = run(vectors)
        kept = first.clone()
        for x in (2 * vectors, vectors[:1], vectors[:5], vectors.flip(0), vectors):
            assert torch.allclose(run(x), layers(x), atol=1e-6)
        assert torch.equal(first, kept)  # a later replay does not overwrite what was handed out


def test_only_the_graphs_used_last_are_kept(fake, layers, vectors, monkeypatch):
    monkeypatch.setattr(cuda_graphs, "MAX_GRAPHS", 2)
    run = GraphedNetwork(layers, device.accelerator())
    with torch.inference_mode():
        for size in (1, 2, 1, 3):
            assert torch.allclose(run(vectors[:size]), layers(vectors[:size]), atol=1e-6)
    assert [key[0][0] for key in run._graphs] == [1, 3]


def test_a_network_that_writes_into_its_input(fake, vectors):
    class Centred(nn.Linear):
        def forward(self, x):
            x -= x.mean()
            return super().forward(x)

    model, given = Centred(12, 3), vectors.clone()
    engine = deploy(model, vectors, "CUDA graph", device="accelerator")
    assert torch.equal(vectors, given) and torch.equal(engine(vectors), engine(vectors))
    assert torch.allclose(engine(vectors), model(vectors.clone()), atol=1e-5)


def test_a_device_without_graphs_says_so(fake, layers, vectors, monkeypatch):
    def none_here(here, feature):
        return "torch has no graphs on Apple GPU (mps)." if feature == "graphs" else None

    monkeypatch.setattr(device, "unavailable", none_here)
    for target in ("CUDA graph", "compiled reduce-overhead"):
        with pytest.raises(EngineUnavailable, match=r"^torch has no graphs on Apple GPU \(mps\)\.$"):
            deploy(layers, vectors, target, device="accelerator")


@pytest.mark.accelerator
def test_on_an_accelerator_it_is_faster_at_a_small_batch(net, example):
    here = device.accelerator()
    if why := device.unavailable(here, "graphs"):
        pytest.skip(why)
    x = example[:1].to(here)
    eager, graph = (deploy(net, example, target, device=here) for target in ("eager", "CUDA graph"))
    timings = measure.latency({"eager": eager, "graph": graph}, x, rounds=15)
    assert measure.ratio(timings["eager"], timings["graph"]).low > 1
