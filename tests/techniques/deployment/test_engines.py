"""The tests of the engines, `isolated_engines.py`, in a process of their own.

Compilers and runtimes change the process that they are loaded into for good, and what starts processes later in it (the
graders' fence) was killed by a signal that could not be delivered.
"""

import subprocess
import sys
from pathlib import Path


def test_the_engines_in_a_process_of_their_own():
    tests = Path(__file__).with_name("isolated_engines.py")
    command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider", str(tests)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
