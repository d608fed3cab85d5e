"""A stopwatch times work; a clock that does not wait times launches."""

import time

import pytest
import torch

from nnopt_lab.workbench import device

CPU = torch.device("cpu")


def test_launches_are_not_taken_for_work():
    with device.stand_in(launch_seconds=1e-6) as fake:
        here = device.accelerator()
        with device.Stopwatch(here) as watch:
            for _ in range(10):
                fake.launch(0.01)
        assert watch.launch_seconds == pytest.approx(1e-5)  # what the wrong way times
        assert watch.seconds == pytest.approx(0.1, rel=1e-3)
        assert fake.waits == 1 and watch.seconds == watch.seconds and fake.waits == 1


def test_where_launches_are_slower_than_the_work_they_are_the_time():
    with device.stand_in(launch_seconds=0.01) as fake, device.Stopwatch(device.accelerator()) as watch:
        for _ in range(10):
            fake.launch(0.001)
        assert fake.launches == 10
    assert watch.launch_seconds == pytest.approx(0.1)
    with device.stand_in(launch_seconds=0.01) as fake:
        with device.Stopwatch(device.accelerator()) as watch:
            for _ in range(10):
                fake.launch(0.001)
        assert watch.seconds == pytest.approx(0.101)


def test_what_was_in_the_queue_before_does_not_count():
    with device.stand_in() as fake:
        fake.launch(5.0)
        with device.Stopwatch(device.accelerator()) as watch:
            fake.launch(0.25)
        assert watch.seconds == pytest.approx(0.25)


def test_synchronize_waits_for_all_streams():
    with device.stand_in(launch_seconds=0) as fake:
        here, side = device.accelerator(), None
        side = device.side_stream(here)
        with device.beside(side):
            fake.launch(2.0)
        fake.launch(1.0)
        assert device.host_clock(here) == 0
        device.synchronize(here)
        assert device.host_clock(here) == 2.0


def test_on_the_cpu_a_call_is_finished_when_it_returns():
    with device.Stopwatch(CPU) as watch:
        time.sleep(0.02)
    assert watch.seconds >= 0.019 and watch.seconds == pytest.approx(watch.launch_seconds, rel=0.5)
    device.synchronize(CPU)


def test_a_device_without_events_is_waited_for(monkeypatch):
    from nnopt_lab.workbench.device import clocks

    monkeypatch.setattr(clocks, "_event", lambda _: None)
    with device.stand_in(launch_seconds=0) as fake:
        fake.launch(5.0)
        with device.Stopwatch(device.accelerator()) as watch:
            fake.launch(0.5)
        assert watch.seconds == pytest.approx(0.5)


def test_on_mps_the_host_s_clock_waits_because_its_events_may_hang(monkeypatch):
    def hangs(*_, **__):
        raise AssertionError("an event of MPS was made")

    waits = []
    monkeypatch.setattr(torch, "Event", hangs)
    monkeypatch.setattr(torch.accelerator, "synchronize", waits.append)
    mps = torch.device("mps", 0)
    with device.Stopwatch(mps) as watch:
        pass
    assert waits == [mps, mps] and watch.seconds >= watch.launch_seconds >= 0


def test_a_running_stopwatch_is_not_read():
    with pytest.raises(ValueError, match="has not been stopped"), device.Stopwatch(CPU) as watch:
        watch.seconds  # noqa: B018


@pytest.mark.accelerator
def test_on_an_accelerator_the_work_takes_longer_than_its_launch():
    here = device.accelerator()
    a = torch.rand(4096, 4096, device=here)
    a @ a
    device.synchronize(here)
    with device.Stopwatch(here) as watch:
        for _ in range(50):
            a @ a
    assert watch.seconds > watch.launch_seconds > 0
