"""A graph replays what was recorded, on new numbers in the same memory, as one launch."""

import pytest
import torch

from nnopt_lab.workbench import device

CPU = torch.device("cpu")


def doubled(here, launch=lambda seconds: None):
    x = torch.zeros(3, device=here)

    def work():
        for _ in range(5):
            launch(0.001)
        return 2 * x

    return x, device.capture(work, here)


def test_a_replay_reads_and_writes_the_recorded_memory():
    with device.stand_in() as fake:
        here = device.accelerator()
        x, graph = doubled(here, fake.launch)
        result, launches = graph.result, fake.launches
        x.copy_(torch.tensor([1.0, 2.0, 3.0]))
        assert result.tolist() == [0, 0, 0]  # nothing is computed before a replay
        with device.Stopwatch(here) as watch:
            graph.replay()
        assert graph.result is result and result.tolist() == [2, 4, 6]
        assert fake.launches == launches + 1 and watch.seconds == pytest.approx(0.005)


def test_a_recording_in_inference_mode_leaves_inference_mode_for_a_while():
    modes = []

    def work():
        modes.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        return torch.ones(2)

    with device.stand_in():
        with torch.inference_mode():
            device.capture(work, device.accelerator())
            assert torch.is_inference_mode_enabled()
        assert set(modes) == {(False, False)}
        modes.clear()
        device.capture(work, device.accelerator())  # of a step of training
        assert set(modes) == {(False, True)}


def test_where_there_are_no_graphs_a_sentence_says_so():
    with pytest.raises(device.DeviceMissing, match="the device is the CPU"):
        device.capture(lambda: None, CPU)
    with pytest.raises(device.DeviceMissing, match="torch has no graphs on Apple GPU"):
        device.capture(lambda: None, torch.device("mps", 0))


@pytest.mark.accelerator
def test_on_an_accelerator():
    here = device.accelerator()
    if why := device.unavailable(here, "graphs"):
        pytest.skip(why)
    x, graph = doubled(here)
    x.copy_(torch.tensor([1.0, 2.0, 3.0]))
    graph.replay()
    assert graph.result.tolist() == [2, 4, 6]


@pytest.mark.accelerator
def test_on_an_accelerator_training_is_recorded_after_inference():
    here = device.accelerator()
    if why := device.unavailable(here, "graphs"):
        pytest.skip(why)
    layer, x = torch.nn.Linear(4, 2).to(here), torch.ones(3, 4, device=here)
    with torch.inference_mode():
        device.capture(lambda: layer(x), here).replay()

    def step():
        layer.zero_grad(set_to_none=False)
        torch.nn.functional.dropout(layer(x)).sum().backward()

    device.capture(step, here).replay()
    device.synchronize(here)
    assert layer.weight.grad.isfinite().all()
