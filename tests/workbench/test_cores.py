"""Cores are counted by the control groups' quota, in both layouts, nested or seen from inside a container."""

import os
import subprocess
import sys

import pytest

from nnopt_lab.workbench import cores


@pytest.fixture
def node(tmp_path, monkeypatch):
    """A node with 64 cores; a function puts files into its control groups, and its process into one."""
    monkeypatch.setattr(cores, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cores, "MEMBERSHIP", tmp_path / "self")
    monkeypatch.setattr(cores, "_cores_without_quota", lambda: 64)

    def put(membership: str, **files: str) -> None:
        (tmp_path / "self").write_text(membership)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return put


V2 = [
    ("200000 100000\n", 2),
    ("150000 100000\n", 1),
    ("50000 100000\n", 1),
    ("1 1000000\n", 1),
    ("1000000 100000\n", 10),
    ("20000 10000\n", 2),
    ("max 100000\n", 64),
    ("6500000 100000\n", 64),
    ("", 64),
    ("nonsense here\n", 64),
    ("-1 100000\n", 64),
    ("100000 0\n", 64),
]


@pytest.mark.parametrize(("text", "count"), V2)
def test_a_quota_of_version_2(node, text, count):
    node("0::/\n", **{"cpu.max": text})
    assert cores.usable_cores() == count
    assert (cores.quota() is None) == (text in [t for t, n in V2 if n == 64 and not t.startswith("65")])


def test_the_tightest_of_nested_groups_counts(node):
    node("0::/pod/learner\n", **{"pod/cpu.max": "300000 100000", "pod/learner/cpu.max": "400000 100000"})
    assert cores.usable_cores() == 3
    node("0::/pod/learner\n", **{"pod/learner/cpu.max": "max 100000"})
    assert cores.usable_cores() == 3


@pytest.mark.parametrize("path", ["/host/path/unseen/here", "/../../other", ""])
def test_a_container_sees_its_own_group_as_the_root(node, path):
    node(f"0::{path}\n", **{"cpu.max": "200000 100000"})
    assert cores.usable_cores() == 2


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct", "cpuacct,cpu"])
@pytest.mark.parametrize(("share", "count"), [("400000", 4), ("-1", 64), ("", 64), ("99999", 1)])
def test_a_quota_of_version_1(node, mount, share, count):
    files = {f"{mount}/cpu.cfs_quota_us": share, f"{mount}/cpu.cfs_period_us": "100000"}
    node(f"4:memory:/docker/x\n3:{mount}:/docker/x\n", **files)
    assert cores.usable_cores() == count


def test_without_control_groups_the_affinity_counts(node, monkeypatch):
    assert cores.usable_cores() == 64 and cores.quota() is None
    monkeypatch.undo()
    if hasattr(os, "sched_getaffinity"):
        assert 1 <= cores.usable_cores() <= len(os.sched_getaffinity(0))


class Torch:
    """Stands in for a torch that was imported before."""

    threads = 64

    def get_num_threads(self):
        return self.threads

    def set_num_threads(self, count):
        self.threads = count


@pytest.mark.parametrize(("own", "text", "variable", "threads"), [
    (None, "200000 100000", "2", 2),
    ("7", "200000 100000", "7", 64),
    (None, "max 100000", None, 64),
])  # fmt: skip
def test_torch_gets_no_more_threads_than_the_quota(node, monkeypatch, own, text, variable, threads):
    torch = Torch()
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setenv("OMP_NUM_THREADS", own or "x")
    if own is None:
        monkeypatch.delenv("OMP_NUM_THREADS")
    node("0::/\n", **{"cpu.max": text})
    cores.limit_threads()
    assert os.environ.get("OMP_NUM_THREADS") == variable and torch.threads == threads


def test_importing_the_package_limits_the_threads(tmp_path):
    code = (
        "import importlib.util, os, sys, types; from nnopt_lab.workbench import cores\n"
        "assert cores.limit_threads and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
