"""The doctor tells what is there and what to do, within a screen, and survives what it looks for."""

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest
import torch

from nnopt_lab import __version__
from nnopt_lab.cli import doctor
from nnopt_lab.grading import sandbox
from nnopt_lab.workbench import cores


def rows(tmp_path):
    return {row.label: row for row in doctor.findings(tmp_path)}


def test_the_table_fits_a_screen_and_names_everything(nnopt, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, err = nnopt("doctor")
    assert status == 0 and err == "" and len(out.splitlines()) <= 24
    for label in ("Python", "torch", "cores", "instructions", "engines", "sandbox", "browser", "workspace", "disk"):
        assert label in out


def test_the_versions_are_one_line(nnopt):
    status, out, err = nnopt("--version")
    assert status == 0 and err == "" and out.count("\n") == 1
    assert __version__ in out and sys.version.split()[0] in out and torch.__version__ in out


def test_a_look_that_fails_is_a_row(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: 1 / 0)
    assert rows(tmp_path)["disk"].found == "unknown: ZeroDivisionError"


@pytest.mark.parametrize("module", ["onnxruntime", "openvino", "torchao"])
def test_a_missing_engine_has_its_cure(tmp_path, monkeypatch, module):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find(name))
    (row,) = [row for row in doctor._engines() if row.advice.startswith("pip install") and module in row.advice]
    assert row.label.startswith("no ") and row.label[3:] not in next(doctor._engines()).found


def test_without_a_compiler_torch_compile_is_missing(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    found = {row.label: row.advice for row in doctor._engines()}
    assert "g++" in found["no torch.compile"]


def test_the_quota_is_what_counts(monkeypatch):
    monkeypatch.setattr(cores, "usable_cores", lambda: 1)
    monkeypatch.setattr(cores, "quota", lambda: 1.5)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0, 0), raising=False)
    (row,) = doctor._cores()
    assert row.found.startswith("1 usable of ") and "quota is 1.5" in row.found and "two cores" in row.advice


@pytest.mark.parametrize(
    ("flags", "found", "has_advice"),
    [
        ({"avx2"}, "AVX2", True),
        ({"avx512f", "avx512_vnni", "amx_tile"}, "AVX-512, VNNI, AMX", False),
        (set(), "", False),
    ],
)
def test_the_vector_instructions(monkeypatch, flags, found, has_advice):
    monkeypatch.setattr(doctor, "_processor_flags", lambda: flags)
    (row,) = doctor._instructions()
    assert row.found == (found or "unknown") and bool(row.advice) == has_advice


def test_a_sandbox_that_is_missing_or_cannot_start_is_told(monkeypatch):
    def missing():
        raise sandbox.SandboxError("install bubblewrap")

    monkeypatch.setattr(sandbox, "available", missing)
    (row,) = doctor._sandbox()
    assert row.found.startswith("none") and row.advice == "install bubblewrap"
    monkeypatch.setattr(sandbox, "available", lambda: "unshare")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 1))
    (row,) = doctor._sandbox()
    assert "cannot start" in row.found and "--isolation container" in row.advice


def test_an_nvidia_card_beside_torchs_cpu_build_is_told(monkeypatch):
    monkeypatch.setattr(doctor, "has_nvidia", lambda: True)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    (row,) = [row for row in doctor._torch() if row.label == "accelerator"]
    assert "NVIDIA" in row.found and row.advice


def test_packages_of_another_version_are_named(monkeypatch):
    monkeypatch.setattr(doctor.requirements, "unsatisfied", lambda lines: ["torch>=99", "numpy>=99"])
    (row,) = doctor._packages()
    assert "torch, numpy" in row.advice


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name, size in (("x", 1_000_000), ("a/y", 500_000), ("a/b/z", 100_000)):
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert doctor.size_of(tmp_path) == "1.6 MB"
    assert doctor.size_of(tmp_path, seconds=0) == "more than 0.0 MB"
    assert doctor.size_of(tmp_path / "none") == "0.0 MB"
