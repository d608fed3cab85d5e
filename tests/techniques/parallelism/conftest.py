"""A file of pictures for the processes."""

import pytest
import torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with 40 pictures of noise, of two sizes of numbers: unequal shares then have unequal gradients."""
    folder, generator = tmp_path_factory.mktemp("processes"), torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 3, 32, 32, generator=generator) * torch.linspace(0.5, 3, 40).view(-1, 1, 1, 1)
    torch.save({"inputs": inputs, "labels": torch.arange(40) % 10}, folder / "pictures.pt")
    return folder
