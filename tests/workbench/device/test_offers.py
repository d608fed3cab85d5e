"""What a device lacks is said in a sentence with its own numbers."""

import types

import pytest
import torch

from nnopt_lab.workbench import device
from nnopt_lab.workbench.device import offers


@pytest.mark.parametrize(
    ("capability", "lacking"),
    [
        ((7, 5), {"tf32", "bf16", "int8", "fp8", "2:4 sparsity"}),
        ((8, 0), {"fp8"}),
        ((8, 6), {"fp8"}),
        ((8, 9), set()),
        ((9, 0), set()),
        ((12, 0), set()),
    ],
)
def test_generations(capability, lacking):
    with device.stand_in("T4", capability):
        here = device.accelerator()
        missing = {name: why for name in offers.FEATURES if (why := device.unavailable(here, name))}
    assert set(missing) == lacking
    major, minor = capability
    assert all(why.endswith(f"or higher; T4 has {major}.{minor}.") for why in missing.values())


@pytest.mark.parametrize(("kind", "there"), [("xpu", {"bf16", "fp16", "graphs"}), ("mps", {"bf16", "fp16"})])
def test_others_than_nvidia_s(kind, there, monkeypatch):
    seen = types.SimpleNamespace(name="Arc", total_memory=2**30)
    monkeypatch.setattr(torch.xpu, "get_device_properties", lambda *_: seen)
    here = torch.device(kind, 0)
    assert {name for name in offers.FEATURES if device.unavailable(here, name) is None} == there
    assert "fp8" in device.unavailable(here, "fp8") and device.describe(here).capability is None


def test_amd_s_numbers_are_not_nvidia_s(monkeypatch):
    seen = types.SimpleNamespace(name="MI300X", major=9, minor=4, total_memory=2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: seen)
    here = torch.device("cuda", 0)
    assert device.describe(here).capability == (9, 4) and device.unavailable(here, "fp8") is None
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert device.describe(here).capability is None and device.unavailable(here, "bf16") is None
    assert device.unavailable(here, "fp8") == "torch has no fp8 on MI300X (rocm)."


def test_the_cpu_is_no_accelerator_and_a_feature_is_checked():
    cpu = torch.device("cpu")
    assert "the device is the CPU" in device.unavailable(cpu, "fp8") and str(device.describe(cpu)) == "CPU"
    with pytest.raises(ValueError, match="feature='fp4' must be one of fp16"):
        device.unavailable(cpu, "fp4")
