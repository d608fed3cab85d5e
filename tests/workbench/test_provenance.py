"""Where results come from."""

import json
import platform

import torch

from nnopt_lab.workbench.provenance import environment


def test_versions_and_processor_are_those_of_this_process():
    found = environment()
    assert found["versions"] == {"torch": torch.__version__, "python": platform.python_version()}
    assert found["processor"] == torch.backends.cpu.get_cpu_capability()
    json.dumps(found)
