"""The sandbox of namespaces: it starts, its workers share nothing, and a lost one is started again."""

import shutil
import threading
import time
from contextlib import closing

import pytest
import torch

from nnopt_lab.grading import namespaces
from nnopt_lab.grading.namespaces import NamespaceSandbox
from nnopt_lab.grading.probe import check
from nnopt_lab.grading.sandbox import Limits, SandboxError, available
from nnopt_lab.grading.sandboxed import codec
from nnopt_lab.grading.sandboxed.__main__ import STARTS
from tests.grading.classroom import CROWD, POOLS, adopt_orphans, descendants, job, linux

TOOLS = {"bubblewrap": "bwrap", "unshare": "unshare"}


@linux
@pytest.mark.parametrize("kind", TOOLS)
def test_each_kind_starts_has_no_hole_and_works(kind):
    if not shutil.which(TOOLS[kind]):
        pytest.skip(f"{TOOLS[kind]} is not installed")
    with NamespaceSandbox(kind, Limits(5)) as sandbox:
        sandbox.wait()
        check(sandbox)
        x = torch.randn(3)
        ended = sandbox.run(job("def f(x): return [x + 1, 2, 'three', None, True]", x))
        header, values = codec.unpack(ended.reply)
        assert header["outcomes"] == [{}]
        assert torch.equal(values[0][0][0], x + 1) and values[0][0][1:] == [2, "three", None, True]


LOADER = """
from torch.utils.data import DataLoader, TensorDataset

def f(x):
    return sum(len(batch) for (batch,) in DataLoader(TensorDataset(torch.zeros(x)), 4, num_workers=2))
"""


@linux
@pytest.mark.parametrize("kind", [*TOOLS, "none"])
def test_a_crowd_of_threads_is_refused_and_pools_of_honest_answers_are_not(kind):
    if kind in TOOLS and not shutil.which(TOOLS[kind]):
        pytest.skip(f"{TOOLS[kind]} is not installed")
    with NamespaceSandbox(kind, Limits(20, 512)) as sandbox:
        sandbox.wait()
        for source, given, wanted in [(CROWD, 5_000, STARTS), (POOLS, 1, 80), (CROWD, 200, 200)]:
            ended = sandbox.run(job(source, given))
            assert codec.unpack(ended.reply)[1] == [[wanted, [given]]], ended
        if kind == "none":  # there, answers may start processes as well
            assert codec.unpack(sandbox.run(job(LOADER, 10)).reply)[1] == [[10, [10]]]


@linux
def test_where_starts_can_t_be_counted_answers_still_run(sandbox):
    watched = (
        "import linux_sandbox\ndef f(x):\n"
        "    try: return linux_sandbox.watch_starts()\n"
        "    except OSError: return 'refused'"
    )
    assert codec.unpack(sandbox.run(job(watched, 1)).reply)[1][0][0] == "refused"


@linux
def test_a_worker_inherits_nothing_from_the_one_before(sandbox):
    leave = "import builtins, tempfile\nbuiltins.left = 1\nopen(tempfile.gettempdir() + '/x', 'w').close()\nf = len"
    assert sandbox.run(job(leave, "a")).state == "replied"
    source = "import builtins, os, tempfile\ndef f(x):\n"
    source += "    return [hasattr(builtins, 'left'), os.listdir(tempfile.gettempdir())]"
    assert codec.unpack(sandbox.run(job(source, 1)).reply)[1][0][0] == [False, []]


@linux
def test_a_fork_server_that_dies_is_started_again(sandbox):
    sandbox._template.process.kill()
    sandbox._template.process.wait()
    assert sandbox.run(job("f = len", "a")).state == "crashed"
    assert sandbox.run(job("f = len", "a")).state == "replied"


def test_a_sandbox_that_does_not_start_says_why(monkeypatch, tmp_path):
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: no permission to make a namespace' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setattr(namespaces, "_ENVIRONMENT", namespaces._ENVIRONMENT | {"PATH": str(tmp_path)})
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        NamespaceSandbox("bubblewrap", Limits()) as sandbox,
        pytest.raises(SandboxError, match="no permission to make a namespace"),
    ):
        sandbox.wait()


@linux
def test_a_server_that_is_lost_takes_its_worker_along_and_no_neighbour():
    adopt_orphans()
    template = namespaces.Template(available(), Limits(20, 512))
    with (
        closing(template),
        NamespaceSandbox(available(), Limits(20, 512), template) as lost,
        NamespaceSandbox(available(), Limits(20, 512), template) as other,
    ):
        lost.wait()
        other.wait()
        before, found = descendants(), []
        neighbour = threading.Thread(
            target=lambda: found.append(other.run(job("import time\ndef f(x): time.sleep(3)", 1)))
        )
        endless = threading.Thread(target=lambda: lost.run(job("def f(x):\n    while True: pass", 1)))
        endless.start()
        while not (worker := descendants() - before):
            time.sleep(0.01)
        neighbour.start()
        lost._life.close()  # as when its server is stuck
        while worker & descendants():
            time.sleep(0.01)
        endless.join(30)
        neighbour.join(30)
        assert not endless.is_alive() and found[0].state == "replied"
        assert lost.run(job("f = len", "a")).state == "replied"
