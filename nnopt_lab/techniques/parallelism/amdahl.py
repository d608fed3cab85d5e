"""Predict the speedup of several workers: Amdahl's law."""


def speedup(workers: float, serial: float, overhead: float = 0.0) -> float:
    """Predict the speedup of several workers over one by Amdahl's law, with a cost per additional worker.

    Amdahl 1967, "Validity of the Single Processor Approach", https://doi.org/10.1145/1465482.1465560

    Args:
        workers: at least 1.
        serial: share of one worker's time that can't be divided, 0 to 1.
        overhead: cost of each additional worker, as a share of one worker's time, at least 0.

    Raises:
        ValueError: a number is out of its range.
    """
    if workers < 1 or not 0 <= serial <= 1 or overhead < 0:
        raise ValueError(
            f"workers={workers} must be at least 1, serial={serial} between 0 and 1, overhead={overhead} at least 0."
        )
    return 1 / (serial + (1 - serial) / workers + overhead * (workers - 1))
