"""The device that is used where none is named."""

import torch

from nnopt_lab.workbench import training


def test_the_best_device_is_the_accelerator_if_there_is_one(monkeypatch):
    assert training.best_device().type == (
        torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"
    )
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert training.best_device() == torch.device("cpu")
