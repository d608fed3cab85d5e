"""Keeps freed memory in the process, so that the clock sees a network and not the operating system.

glibc gives a large block back to the system as soon as it is freed. The next call of a network asks for it anew and
gets it page by page, each cleared by the system when it is first touched: at batch 256 that is most of the time of a
small network, see `tests/benchmarks/bench_memory.py`. Allocators made for such programs keep freed blocks, as PyTorch's
own for GPUs does and as its performance tuning guide advises for the CPU (jemalloc, TCMalloc).
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
        False, and nothing is changed, where malloc is not glibc's (macOS, Windows, musl) and where the environment
        tunes it already (`MALLOC_…_` variables, `GLIBC_TUNABLES`; see mallopt(3)).
    """
    tuned = "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"
    if sys.platform != "linux" or any(name in os.environ for name in tuned):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_TRIM_THRESHOLD, KEPT_BYTES) and mallopt(M_MMAP_THRESHOLD, KEPT_BYTES))
