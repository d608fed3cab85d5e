"""The fence: it stands, it is tried before use, and without it nothing is graded."""

import shutil
import sys

import pytest
import torch

from nnopt_lab.grading import sandbox
from nnopt_lab.grading.probe import check
from nnopt_lab.grading.sandbox import Limits, NamespaceSandbox, SandboxError, available
from nnopt_lab.grading.sandboxed import codec
from tests.grading.classroom import hand_in, honest

pytestmark = pytest.mark.serial

TOOLS = {"bubblewrap": "bwrap", "unshare": "unshare"}
linux = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")


def job(source: str, *cases, **more) -> bytes:
    header = {"preamble": "import torch", "before": [], "source": source, "name": "f", "arguments": ["x"], "seed": 1}
    return codec.pack(header | more, [(case,) for case in cases])


@linux
@pytest.mark.parametrize("kind", TOOLS)
def test_each_kind_of_fence_stands_and_works(kind):
    if not shutil.which(TOOLS[kind]):
        pytest.skip(f"{TOOLS[kind]} is not installed")
    with NamespaceSandbox(kind, Limits(5)) as warm:
        warm.wait()
        check(warm)
        x = torch.randn(3)
        ended = warm.run(job("def f(x): return [x + 1, 2, 'three', None, True]", x))
        header, values = codec.unpack(ended.reply)
        assert header["outcomes"] == [{}]
        assert torch.equal(values[0][0][0], x + 1) and values[0][0][1:] == [2, "three", None, True]


@linux
def test_a_worker_inherits_nothing_from_the_one_before():
    with NamespaceSandbox(available(), Limits(5)) as warm:
        warm.wait()
        leave = "import builtins, tempfile\nbuiltins.left = 1\nopen(tempfile.gettempdir() + '/x', 'w').close()\nf = len"
        assert warm.run(job(leave, "a")).state == "replied"
        source = "import builtins, os, tempfile\ndef f(x):\n"
        source += "    return [hasattr(builtins, 'left'), os.listdir(tempfile.gettempdir())]"
        assert codec.unpack(warm.run(job(source, 1)).reply)[1][0][0] == [False, []]


@linux
def test_a_hole_is_found_before_anything_is_graded(monkeypatch):
    whole = sandbox._command

    def with_a_hole(kind, control, limits):
        command, scratch = whole("none", control, limits)
        return command, scratch

    monkeypatch.setattr(sandbox, "_command", with_a_hole)
    with NamespaceSandbox("bubblewrap", Limits(20)) as warm:
        warm.wait()
        with pytest.raises(SandboxError, match="does not stand: a worker can open a socket, start a process"):
            check(warm)


@linux
def test_one_folder_too_many_is_a_hole(monkeypatch, tmp_path):
    if not shutil.which("bwrap"):
        pytest.skip("bwrap is not installed")
    whole = sandbox._bubblewrap
    from nnopt_lab.workbench.paths import PACKAGE

    monkeypatch.setattr(
        sandbox,
        "_bubblewrap",
        lambda seen: [*whole(seen)[:-4], "--ro-bind", str(PACKAGE), str(PACKAGE), *whole(seen)[-4:]],
    )
    with NamespaceSandbox("bubblewrap", Limits(20)) as warm:
        warm.wait()
        with pytest.raises(SandboxError, match=f"a worker can see {PACKAGE}"):
            check(warm)


def test_a_fence_that_does_not_start_says_why(monkeypatch, tmp_path):
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: no permission to make a namespace' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setattr(sandbox, "_ENVIRONMENT", sandbox._ENVIRONMENT | {"PATH": str(tmp_path)})
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        NamespaceSandbox("bubblewrap", Limits()) as warm,
        pytest.raises(SandboxError, match="no permission to make a namespace"),
    ):
        warm.wait()


def test_without_a_tool_there_is_no_fence_and_a_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SandboxError, match="--isolation container"):
        available()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxError, match=r"needs Linux.*--isolation container"):
        available()
    assert available("none") == "none"
    with pytest.raises(ValueError, match="isolation='wall' must be auto, bubblewrap"):
        available("wall")


@linux
def test_the_command_refuses_to_grade_without_a_fence(monkeypatch, tmp_path, capsys):
    from nnopt_lab import cli

    hand_in(tmp_path / "in", "alice", honest())
    command = ["nnopt", "grade", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2 and "can't be found" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(sys, "argv", [*command, "--isolation", "none"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert "learners' code runs with your rights" in " ".join(capsys.readouterr().out.split())
    assert "alice,01_pruning,4,24" in (tmp_path / "out" / "grades.csv").read_text()


@linux
def test_a_warm_process_that_dies_is_started_again():
    with NamespaceSandbox(available(), Limits(5)) as warm:
        warm.wait()
        warm._process.kill()
        warm._process.wait()
        assert warm.run(job("f = len", "a")).state == "crashed"
        assert warm.run(job("f = len", "a")).state == "replied"
