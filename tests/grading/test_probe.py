"""The probe: a hole in a sandbox is found before anything is graded."""

import shutil

import pytest

from nnopt_lab.grading import namespaces
from nnopt_lab.grading.namespaces import NamespaceSandbox
from nnopt_lab.grading.probe import check
from nnopt_lab.grading.sandbox import Limits, SandboxError
from nnopt_lab.workbench.paths import PACKAGE
from tests.grading.classroom import linux


@linux
def test_no_sandbox_at_all_is_a_hole(monkeypatch):
    whole = namespaces._command

    def without(kind, *others):
        return whole("none", *others)

    monkeypatch.setattr(namespaces, "_command", without)
    with NamespaceSandbox("bubblewrap", Limits(20)) as sandbox:
        sandbox.wait()
        with pytest.raises(SandboxError, match="has a hole: a worker can open a socket, start a process"):
            check(sandbox)


@linux
def test_one_folder_too_many_is_a_hole(monkeypatch):
    if not shutil.which("bwrap"):
        pytest.skip("bwrap is not installed")
    if str(PACKAGE).startswith("/tmp/"):
        pytest.skip("what is bound below a worker's own /tmp is hidden by it")
    whole = namespaces._bubblewrap
    monkeypatch.setattr(
        namespaces,
        "_bubblewrap",
        lambda seen: [*whole(seen)[:-4], "--ro-bind", str(PACKAGE), str(PACKAGE), *whole(seen)[-4:]],
    )
    with NamespaceSandbox("bubblewrap", Limits(20)) as sandbox:
        sandbox.wait()
        with pytest.raises(SandboxError, match=f"a worker can see {PACKAGE}"):
            check(sandbox)
