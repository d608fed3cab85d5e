"""The random state and the settings of torch are as before."""

import pytest
import torch

from nnopt_lab.workbench import training


def test_reproducible_restores_what_it_changed_also_after_an_error():
    torch.use_deterministic_algorithms(True, warn_only=False)
    state = torch.get_rng_state()
    try:
        with pytest.raises(RuntimeError), training.reproducible(1):
            first = torch.rand(2)
            raise RuntimeError
        assert torch.equal(torch.get_rng_state(), state) and torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    with training.reproducible(1):
        assert torch.equal(torch.rand(2), first)
