"""Keeps freed memory in the process, so that timings show the network and not the operating system.

glibc returns a large block to the system as soon as it is freed. The next forward pass requests it again and gets it
page by page, each cleared by the system when it is first touched. At batch 256 this takes most of a small network's
time, see `tests/benchmarks/bench_memory.py`. Allocators for such programs keep freed blocks: PyTorch's own does so on
GPUs, and its performance tuning guide recommends one for the CPU (jemalloc, TCMalloc).
"""

import ctypes
import os
import sys

# malloc.h of glibc
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 2**30


def keep_freed_memory() -> bool:
    """Let glibc's malloc keep up to 1 GiB of freed memory for the next call.

    Returns:
        True if both limits were set. False, with nothing changed, if malloc is not glibc's (macOS, Windows, musl) or
        the environment already tunes it (`MALLOC_…_` variables, `GLIBC_TUNABLES`; see mallopt(3)).
    """
    tuned = "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"
    if sys.platform != "linux" or any(name in os.environ for name in tuned):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_TRIM_THRESHOLD, KEPT_BYTES) and mallopt(M_MMAP_THRESHOLD, KEPT_BYTES))
