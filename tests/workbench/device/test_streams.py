"""Copies on a stream of their own run beside the work."""

import pytest
import torch

from nnopt_lab.workbench import device

CPU = torch.device("cpu")


def test_work_of_two_streams_overlaps_unless_one_waits_for_the_other():
    for waits, expected in ((False, 1.0), (True, 2.0)):
        with device.stand_in(launch_seconds=0, bytes_per_second=4000) as fake:
            here = device.accelerator()
            side = device.side_stream(here)
            with device.beside(side):
                copied = device.upload(torch.ones(1000), here)  # 4,000 bytes, one second
            if waits:
                device.current_stream(here).wait_stream(side)
            fake.launch(1.0)
            device.synchronize(here)
            assert copied.sum() == 1000 and fake.clock() == expected


def test_on_the_cpu_there_is_one_stream():
    assert device.side_stream(CPU) is None and device.current_stream(CPU) is None
    with device.beside(None):
        x = torch.ones(3)
    assert device.upload(x, CPU) is x and device.pin(x, CPU) is x


@pytest.mark.accelerator
def test_on_an_accelerator_a_pinned_tensor_arrives():
    here, x = device.accelerator(), torch.rand(1000)
    side = device.side_stream(here)
    with device.beside(side):
        there = device.upload(device.pin(x, here), here)
    device.synchronize(here)
    assert there.device == here and torch.equal(there.cpu(), x)
