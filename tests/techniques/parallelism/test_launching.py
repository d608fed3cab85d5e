"""How workers and processes are started, shown and stopped."""

import subprocess
import sys

import pytest

from nnopt_lab.techniques.parallelism import launching


def test_what_processes_say_is_shown_their_results_come_back_and_their_first_error_is_told(monkeypatch):
    started, said = subprocess.Popen, []

    def instead(script):
        monkeypatch.setattr(
            launching.subprocess, "Popen", lambda command, **options: started([sys.executable, "-c", script], **options)
        )

    instead('print(\'attempt 0: well\\nsome chatter\\n{"a": {"b": 1}}\\n{"c": {}}\')')
    assert launching.launch("pictures.pt", "equal", show=said.append) == {"a": {"b": 1}, "c": {}}
    assert said == ["attempt 0: well"]
    instead("print('KeyError: first\\nChildFailedError: then'); raise SystemExit(3)")
    with pytest.raises(RuntimeError, match=r"^torchrun ended with status 3: KeyError: first$"):
        launching.launch("pictures.pt", "equal")


def test_a_launch_that_takes_too_long_is_stopped(folder):
    with pytest.raises(RuntimeError, match="torchrun ended with status"):
        launching.launch(folder / "pictures.pt", "equal", processes=1, seconds=0.2)
