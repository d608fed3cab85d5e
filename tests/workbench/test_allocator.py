import os
import platform
import subprocess
import sys

import pytest

from nnopt_lab.workbench import allocator

GLIBC = platform.libc_ver()[0] == "glibc"
FAULTS_OF_A_CALL = """
import resource
import nnopt_lab, torch

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

source, calls = torch.ones(2**24), []  # 64 MiB
for _ in range(100):  # until the heap has a hole of the right size
    before = faults()
    source + 1
    calls.append(faults() - before)
print(sorted(calls[50:])[25])
"""


def faults_of_a_call(**environment) -> float:
    command = [sys.executable, "-c", FAULTS_OF_A_CALL]
    answer = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    return float(answer.stdout)


@pytest.mark.skipif(not GLIBC, reason="only glibc's malloc can be told")
def test_a_repeated_call_gets_its_memory_back_without_the_system():
    assert faults_of_a_call() < 10


@pytest.mark.skipif(not GLIBC, reason="only glibc's malloc can be told")
def test_what_the_environment_says_stands():
    tuned = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
    assert faults_of_a_call(**tuned) > 100


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_leaves_a_tuned_environment_alone(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert not allocator.keep_freed_memory()


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_does_nothing_on_other_systems(monkeypatch, system):
    monkeypatch.setattr(sys, "platform", system)
    assert not allocator.keep_freed_memory()


def test_does_nothing_where_malloc_cannot_be_told(monkeypatch):
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert not allocator.keep_freed_memory()
