"""NNOpt Lab: make PyTorch networks smaller and faster, and know why it worked.

Floors, from the ground up; each imports only what is below it: `workbench` (data, models, training, measuring,
plots), `techniques` (what the lessons teach), `course` (exercises, checks, notebooks), `grading`, `cli`.

Importing the package costs nothing but this file. It also makes a later `import torchvision` work where torchvision's
C++ part cannot load beside a CPU build of torch, see `nnopt_lab.workbench.torchvision_repair`.
"""

import os

from nnopt_lab.workbench import torchvision_repair

__version__ = "0.1.0"

# torch's threads spin while they wait for each other. On a machine whose cores have other work too that costs a factor
# of five and more, see tests/benchmarks/bench_threads.py. Read when torch is first imported; set it yourself to differ.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

torchvision_repair.install()
