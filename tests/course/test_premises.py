"""What a machine must have for a claim to be about it."""

import importlib.util
import platform

import pytest
import torch

from nnopt_lab.course import premises
from nnopt_lab.course.premises import instructions, needs


@pytest.fixture
def with_instructions(monkeypatch):
    def pretend(*names):
        monkeypatch.setattr(premises, "instructions", lambda: frozenset(names))

    return pretend


@pytest.mark.parametrize(
    ("premise", "there", "lacking"),
    [
        ("AMX", ("avx512_f", "amx_bf16"), "no AMX"),
        ("VNNI", ("avx512_vnni",), "no VNNI"),
        ("VNNI", ("avx_vnni",), "no VNNI"),
        ("AVX-512", ("AVX512",), "no AVX-512"),
        ("bf16 instructions", ("avx512_bf16",), "no instructions for bf16"),
        ("bf16 instructions", ("bf16",), "no instructions for bf16"),
    ],
)
def test_a_premise_holds_with_the_instructions_and_names_what_is_lacking_without(
    premise, there, lacking, with_instructions
):
    with_instructions(*there)
    assert needs(premise) == (True, "")
    with_instructions("avx2", "fma3")
    assert needs(premise) == (False, lacking)


def test_of_several_premises_the_first_that_is_lacking_is_named(with_instructions):
    with_instructions("avx512_vnni")
    assert needs("VNNI", "AMX") == needs("AMX", "VNNI") == (False, "no AMX")
    assert needs() == (True, "")


def test_two_free_cores_are_measured_anew_each_time(monkeypatch):
    monkeypatch.setattr("nnopt_lab.course.premises.usable_cores", lambda: 8)
    got = iter([1.97, 1.02])
    monkeypatch.setattr(premises, "free_cores", lambda: next(got))
    assert needs("two free cores") == (True, "")
    assert needs("two free cores") == (False, "fewer than two free cores")
    monkeypatch.setattr("nnopt_lab.course.premises.usable_cores", lambda: 1)
    assert needs("two free cores") == (False, "fewer than two free cores")


def test_a_premise_that_there_is_not_is_refused_with_the_list():
    with pytest.raises(ValueError, match="names contains 'AMY'; choose from x86, AVX-512, VNNI, AMX"):
        needs("AMY")


def test_premises_agree_with_what_the_system_says():
    assert needs("OpenVINO")[0] == (importlib.util.find_spec("openvino") is not None)
    assert needs("accelerator")[0] == torch.accelerator.is_available()
    assert needs("x86")[0] == (platform.machine().lower() in ("x86_64", "amd64"))
    assert all(isinstance(name, str) for name in instructions())
