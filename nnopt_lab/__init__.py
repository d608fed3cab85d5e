"""NNOpt Lab: make PyTorch networks smaller and faster, and know why it worked.

The package has six floors, and each imports only from those below it: `workbench` (data, models, training, measuring,
plots), `techniques` (the methods that the lessons teach), `course` (the machinery of lessons), `lessons` (one package
per lesson, with its exercises), `grading` and `cli`.

Importing the package runs only this file. It sets four things for the whole process: how torch's threads wait, how many
there are at most in a container with a quota (`nnopt_lab.workbench.cores`), what happens to freed memory
(`nnopt_lab.workbench.allocator`), and that a later `import torchvision` works even if its C++ part can't load beside a
CPU build of torch (`nnopt_lab.workbench.torchvision_repair`).
"""

import os

from nnopt_lab.workbench import allocator, cores, torchvision_repair

__version__ = "0.1.0"

# torch's threads spin while they wait for each other, which makes them more than ten times slower on a machine whose
# cores have other work. If they sleep at once, small layers wait for them to wake up. So they spin for about ten
# microseconds and then sleep, see tests/benchmarks/bench_threads.py. The variable is read when torch is first imported;
# set it yourself to override this.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

cores.limit_threads()
allocator.keep_freed_memory()
torchvision_repair.install()


def __getattr__(name: str):
    """Import `nnopt_lab.optimize` and `nnopt_lab.preflight` on first use."""
    if name == "optimize":
        from nnopt_lab.techniques.search.autotune import optimize

        return optimize
    if name == "preflight":
        from nnopt_lab.techniques.search.preflight import preflight

        return preflight
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
