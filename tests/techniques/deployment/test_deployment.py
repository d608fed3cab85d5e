"""The tests of deployment, `isolated_deployment.py`, in a process of their own: see test_engines.py."""

import subprocess
import sys
from pathlib import Path


def test_deployment_in_a_process_of_its_own():
    tests = Path(__file__).with_name("isolated_deployment.py")
    command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider", str(tests)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
