"""Jobs without a sandbox; time and memory limits are tested with the capstone's judge."""

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
