"""Run jobs without a sandbox, for your own files and for machines without sandboxes."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from nnopt_lab.grading.sandbox import SPOKEN, JobResult, Limits
from nnopt_lab.grading.view import SANDBOXED

START_SECONDS = 30  # for importing torch, in addition to a job's own time


@dataclass(frozen=True)
class UnsandboxedProcess:
    """Runs each job in a new process with your rights, on Linux with limits of memory and processor time."""

    limits: Limits

    def run(self, job: bytes) -> JobResult:
        """Run a job in a new process."""
        settings = json.dumps({"memory": self.limits.megabytes << 20, "seconds": self.limits.seconds})
        command = [sys.executable, "-I", str(SANDBOXED / "unsandboxed.py"), settings]
        late = JobResult("timed out", reason=f"it did not end within {self.limits.seconds} s")
        try:
            with tempfile.TemporaryDirectory(prefix="nnopt-", ignore_cleanup_errors=True) as scratch:
                environment = os.environ | SPOKEN | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), scratch)
                seconds = self.limits.seconds + START_SECONDS
                ended = subprocess.run(command, input=job, capture_output=True, timeout=seconds, env=environment)
        except subprocess.TimeoutExpired:
            return late
        if ended.returncode == 0:
            return JobResult("replied", ended.stdout)
        if ended.returncode in (-24, -9):  # SIGXCPU, or SIGKILL a second later
            return late
        return JobResult(
            "crashed", reason=f"its process ended by itself ({ended.returncode}) before there was a result"
        )
