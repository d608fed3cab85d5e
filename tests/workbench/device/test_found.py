"""Names of devices mean the devices that are there, and what is not there is said in a sentence."""

import pytest
import torch
from torch import nn

from nnopt_lab.workbench import device


@pytest.fixture
def no_accelerator(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda *_, **__: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "current_device_index", lambda: 1)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)


def test_without_an_accelerator_there_is_the_cpu(no_accelerator):
    assert device.accelerator() is None and device.find("cpu") == device.find(torch.device("cpu", 0)) == torch.device(
        "cpu"
    )
    for name in ("accelerator", "cuda", "cuda:0", "mps", torch.device("xpu")):
        with pytest.raises(device.DeviceMissing, match=r"no accelerator|is not there; this machine has cpu\."):
            device.find(name)


def test_an_index_left_out_is_the_current_one(two_gpus):
    assert device.accelerator() == device.find("accelerator") == device.find("cuda") == torch.device("cuda", 1)
    assert device.find("cuda:0") == torch.device("cuda", 0) and device.is_accelerator(device.find("cuda:0"))
    with pytest.raises(device.DeviceMissing, match="'cuda:2' is not there; this machine has cpu, cuda:0, cuda:1"):
        device.find("cuda:2")
    with pytest.raises(device.DeviceMissing, match="'mps' is not there"):
        device.find("mps")


@pytest.mark.parametrize("bad", ["gpu", "", "meta", None, 3.5, "cuda:x"])
def test_what_is_no_device_is_named(bad, no_accelerator):
    with pytest.raises(ValueError, match="device=") as refused:
        device.find(bad)
    assert not isinstance(refused.value, device.DeviceMissing)


def test_the_device_of_tensors_and_networks():
    net, meta = nn.Linear(2, 3), torch.zeros(2, device="meta")
    assert device.of() == device.of(net) == device.of(net, {"x": [torch.zeros(2), meta]}) == torch.device("cpu")


class TestStandIn:
    def test_it_is_the_accelerator_inside_the_block_only(self):
        before = device.accelerator()
        with device.stand_in():
            here = device.find("accelerator")
            assert here == device.accelerator() and device.is_accelerator(here) and here != torch.device("cpu")
            assert device.find("cpu") == torch.device("cpu") and not device.is_accelerator(torch.device("cpu"))
            assert torch.zeros(2, device=here).device.type == "cpu"  # computed by the CPU
            assert device.of(torch.zeros(2)) == here
        assert device.accelerator() == before and not device.is_accelerator(here)

    def test_blocks_may_be_nested_and_may_fail(self):
        with device.stand_in("outer"):
            with pytest.raises(KeyError), device.stand_in("inner"):
                assert device.describe(device.accelerator()).name == "inner"
                raise KeyError
            assert device.describe(device.accelerator()).name == "outer"
