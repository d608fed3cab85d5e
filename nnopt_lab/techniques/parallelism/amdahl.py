"""Predict what several workers gain: Amdahl's law."""


def speedup(workers: float, serial: float, overhead: float = 0.0) -> float:
    """Speedup of several workers over one: Amdahl (1967), with a cost for every further worker.

    Args:
        workers: at least 1.
        serial: share of one worker's time that cannot be divided, 0 to 1.
        overhead: what each further worker adds, as a share of one worker's time, at least 0.

    Raises:
        ValueError: a number is out of its range.
    """
    if workers < 1 or not 0 <= serial <= 1 or overhead < 0:
        raise ValueError(
            f"workers={workers}, serial={serial}, overhead={overhead} must be at least 1, 0 to 1, and at least 0."
        )
    return 1 / (serial + (1 - serial) / workers + overhead * (workers - 1))
