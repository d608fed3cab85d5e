"""OpenVINO's engines: what they leave behind in a process. What they compute is tested with the other engines."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.deployment import deploy

pytest.importorskip("openvino")

PROGRAM = """
import gc, os, signal
import torch
from torch import nn
from nnopt_lab.techniques.deployment import deploy

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
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


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_network_that_cannot_be_traced_is_exported(precision):
    torch.manual_seed(0)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 1)
    model = nn.Sequential(encoder, nn.Flatten(), nn.Linear(16 * 8, 5)).eval()
    x = torch.randn(64, 8, 16)
    engine = deploy(model, x, "OpenVINO", precision=precision, calibration=[x])
    for batch in (1, 5):
        with torch.no_grad():
            wanted = model(x[:batch])
        error = (engine(x[:batch]) - wanted).norm() / wanted.norm()
        assert error < (1e-4 if precision == "float32" else 0.2)
