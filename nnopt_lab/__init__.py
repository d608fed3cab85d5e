"""NNOpt Lab: make PyTorch networks smaller and faster, and know why it worked.

Floors, from the ground up; each imports only what is below it: `workbench` (data, models, training, measuring,
plots), `techniques` (what the lessons teach), `course` (exercises, checks, notebooks), `grading`, `cli`.

Importing the package costs nothing but this file. It also makes a later `import torchvision` work where torchvision's
C++ part cannot load beside a CPU build of torch, see `nnopt_lab.workbench.torchvision_repair`.
"""

from nnopt_lab.workbench import torchvision_repair

__version__ = "0.1.0"

torchvision_repair.install()
