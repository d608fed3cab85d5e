"""What does it cost to give freed memory back? Inference with glibc's own settings over that with freed memory kept.

    python tests/benchmarks/bench_memory.py [ROUNDS]

Both settings take turns in one process (mallopt may be called at any time); prints the ratio with its interval. It is
the worst case: an untouched glibc raises its thresholds, up to 32 MiB, after it has seen large blocks freed.
"""

import ctypes
import sys

from nnopt_lab.workbench import allocator, data, measure, models

BATCHES = (1, 32, 256)
STOCK_BYTES = 128 * 1024  # glibc's DEFAULT_TRIM_THRESHOLD and DEFAULT_MMAP_THRESHOLD


def with_threshold(model, threshold: int):
    mallopt = ctypes.CDLL(None).mallopt

    def call(batch):
        mallopt(allocator.M_TRIM_THRESHOLD, threshold)
        mallopt(allocator.M_MMAP_THRESHOLD, threshold)
        return model(batch)

    return call


def main(rounds: int) -> None:
    pictures = data.load()
    for name in ("mynet", "teacher"):
        model = models.trained(name)
        settings = {
            "given back": with_threshold(model, STOCK_BYTES),
            "kept": with_threshold(model, allocator.KEPT_BYTES),
        }
        for size in BATCHES:
            batch = pictures.to_input(pictures.test.images[:size])
            timings = measure.latency(settings, batch, rounds)
            print(f"{name}, batch {size}: kept is {measure.ratio(timings['given back'], timings['kept'])}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
