"""Make runs repeatable."""

from contextlib import contextmanager

import torch


@contextmanager
def reproducible(seed: int):
    """Seed torch and use deterministic algorithms inside the block; restore both settings after it."""
    before, warn_only, fill = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )
    accelerators = range(torch.accelerator.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices=accelerators):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Otherwise torch first fills every new tensor with NaN, which costs an extra launch per tensor on a GPU.
        torch.utils.deterministic.fill_uninitialized_memory = False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=warn_only)
            torch.utils.deterministic.fill_uninitialized_memory = fill
