"""OpenVINO's engines: what they leave behind in a process. What they compute is tested with the other engines."""

import subprocess
import sys

import pytest

pytest.importorskip("openvino")

PROGRAM = """
import gc, os, signal
import torch
from torch import nn
from nnopt_lab.techniques.deployment import deploy

torch.manual_seed(0)
net, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).eval(), torch.rand(4, 3, 8, 8)
engines = [deploy(net, x, "OpenVINO") for _ in range(2)]
del engines[0]
gc.collect()
engines.clear()
gc.collect()
try:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_arrives_after_two_engines_were_built_and_freed():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=False)
    assert (ran.returncode, ran.stdout.splitlines()[-1:]) == (0, ["interrupted"]), ran.stderr[-2000:]
