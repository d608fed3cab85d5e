"""Instructions are those that the processor tells of, and decide whether sums of 8-bit products saturate."""

import platform

import pytest
import torch

from nnopt_lab.techniques.deployment import processor
from nnopt_lab.techniques.deployment.processor import INT8_INSTRUCTIONS, int8_instructions, sums_saturate


def test_instructions_are_those_that_the_processor_tells_of(monkeypatch):
    here = set(int8_instructions())
    assert here <= set(INT8_INSTRUCTIONS)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx_vnni": True, "amx_int8": False}, raising=False)
    assert "avx_vnni" in int8_instructions()
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert set(int8_instructions()) <= here | {"avx_vnni"}


@pytest.mark.parametrize(
    ("machine", "instructions", "saturate"),
    [("x86_64", (), True), ("AMD64", (), True), ("x86_64", ("avx_vnni",), False), ("arm64", (), False)],
)
def test_sums_saturate_on_x86_without_vnni(machine, instructions, saturate, monkeypatch):
    monkeypatch.setattr(processor, "int8_instructions", lambda: instructions)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert sums_saturate() is saturate
