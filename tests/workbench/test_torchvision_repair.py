"""Importing torchvision works beside any torch, and importing the package costs nothing. Each case is a new process."""

import subprocess
import sys

import pytest

BROKEN = """
import sys
from nnopt_lab.workbench import torchvision_repair
sys.meta_path.pop(0)  # the hook; looking torchvision up would call it
torchvision_repair._compiled_part_loads = lambda package: False
"""


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_torchvision_can_be_imported_and_its_transforms_work():
    program = """
import nnopt_lab, torch
from torchvision.transforms import v2
print(*v2.Pad(2)(torch.zeros(1, 28, 28, dtype=torch.uint8)).shape)
"""
    assert run(program) == ["1", "32", "32"]


@pytest.mark.parametrize("heavy", ["torch", "torchvision", "matplotlib", "IPython", "ipywidgets", "numpy"])
def test_importing_the_package_imports_nothing_heavy(heavy):
    assert run(f"import nnopt_lab, sys; print({heavy!r} in sys.modules)") == ["False"]


def test_the_missing_schemas_are_defined_once():
    program = BROKEN + "print(torchvision_repair.repair(), torchvision_repair.repair())"
    assert run(program) == ["True", "False"]


@pytest.mark.parametrize("defined", ["nms", "qnms"])
def test_a_schema_that_somebody_else_defined_is_left_alone(defined):
    program = f"""
import torch
kept = torch.library.Library("torchvision", "DEF")
kept.define("{defined}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import nnopt_lab, torchvision
print(hasattr(torch.ops.torchvision, "nms"))
"""
    assert run(program) == ["True"]


def test_a_whole_torchvision_is_left_alone():
    program = BROKEN.replace("False", "True") + "print(torchvision_repair.repair())"
    assert run(program) == ["False"]


def test_where_torchvision_is_absent_nothing_happens_and_its_import_says_so():
    program = """
import importlib.util, sys
whole = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "torchvision" else whole(name, package)
import nnopt_lab
from nnopt_lab.workbench import torchvision_repair
print(torchvision_repair.repair(), "torch" in sys.modules)
"""
    assert run(program) == ["False", "False"]


def test_the_hook_is_installed_once_and_goes_after_use():
    program = """
import sys, nnopt_lab
from nnopt_lab.workbench import torchvision_repair as r
r.install()
count = lambda: sum(isinstance(f, r._RepairBeforeImport) for f in sys.meta_path)
print(count())
import torchvision
r.install()
print(count())
"""
    assert run(program) == ["1", "0"]
