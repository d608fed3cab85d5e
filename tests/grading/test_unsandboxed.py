"""Jobs without a sandbox; time and memory limits are tested with the capstone's judge."""

import tempfile
from pathlib import Path

import pytest

from nnopt_lab.grading.namespaces import NamespaceSandbox
from nnopt_lab.grading.sandbox import Limits
from nnopt_lab.grading.sandboxed import codec
from nnopt_lab.grading.unsandboxed import UnsandboxedProcess
from tests.grading.classroom import job


def test_a_job_is_answered_and_one_that_ends_its_process_is_told():
    process = UnsandboxedProcess(Limits(20))
    replied = process.run(job("def f(x): return 2 * x", 3))
    assert replied.state == "replied" and codec.unpack(replied.reply)[1][0][0] == 6
    ended = process.run(job("import os\nos._exit(3)", 1))
    assert (ended.state, ended.reply) == ("crashed", b"") and "(3) before there was a result" in ended.reason


@pytest.mark.parametrize("kind", ["process", "fork server"])
def test_a_job_speaks_english_whatever_the_teacher_s_locale(monkeypatch, kind):
    monkeypatch.setenv("NNOPT_LANGUAGE", "zh")
    asking = job("import os\ndef f(x): return os.environ['NNOPT_LANGUAGE']", 1)
    if kind == "process":
        ended = UnsandboxedProcess(Limits(20)).run(asking)
    else:
        with NamespaceSandbox("none", Limits(20)) as sandbox:
            sandbox.wait()
            ended = sandbox.run(asking)
    assert codec.unpack(ended.reply)[1][0][0] == "en"


LEAVING = """
import os, tempfile

def f(x):
    path = os.path.join(tempfile.gettempdir(), "torchinductor_root", "kernels")
    os.makedirs(path)
    open(os.path.join(path, "a.so"), "w").close()
    return tempfile.gettempdir()
"""


@pytest.mark.parametrize("kind", ["process", "fork server"])
def test_what_a_job_leaves_in_the_temporary_folder_goes_with_it(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if kind == "process":
        ended = UnsandboxedProcess(Limits(20)).run(job(LEAVING, 1))
    else:
        with NamespaceSandbox("none", Limits(20)) as sandbox:
            sandbox.wait()
            ended = sandbox.run(job(LEAVING, 1))
    folder = codec.unpack(ended.reply)[1][0][0]
    assert Path(folder).parent == tmp_path and not list(tmp_path.iterdir())
