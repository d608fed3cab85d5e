"""NNOpt Lab: make PyTorch networks smaller and faster, and know why it worked.

Floors, from the ground up; each imports only what is below it: `workbench` (data, models, training, measuring,
plots), `techniques` (what the lessons teach), `course` (exercises, checks, notebooks), `grading`, `cli`.

Importing the package costs nothing but this file. It also settles three things for the whole process: how torch's
threads wait, what becomes of freed memory (`nnopt_lab.workbench.allocator`), and that a later `import torchvision`
works where its C++ part cannot load beside a CPU build of torch (`nnopt_lab.workbench.torchvision_repair`).
"""

import os

from nnopt_lab.workbench import allocator, torchvision_repair

__version__ = "0.1.0"

# torch's threads spin while they wait for each other. On a machine whose cores have other work too that costs a factor
# of ten and more; threads that sleep at once make small layers wait until they are up again. So they spin for some ten
# microseconds and then sleep, see tests/benchmarks/bench_threads.py. Read when torch is first imported; set the wait
# policy yourself to differ.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

allocator.keep_freed_memory()
torchvision_repair.install()


def __getattr__(name: str):
    """`nnopt_lab.optimize`, imported when it is first used."""
    if name == "optimize":
        from nnopt_lab.techniques.search.autotune import optimize

        return optimize
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
