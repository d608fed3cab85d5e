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


def test_where_there_are_no_graphs_a_sentence_says_so():
    with pytest.raises(device.DeviceMissing, match="the device is the CPU"):
        device.capture(lambda: None, CPU)
    with pytest.raises(device.DeviceMissing, match="torch offers no graphs on Apple GPU"):
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
