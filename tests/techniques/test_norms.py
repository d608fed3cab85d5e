"""Batch norms are recognised by class and by what they compute."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nnopt_lab.techniques import norms


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(3), nn.BatchNorm2d(3), nn.BatchNorm3d(3), nn.SyncBatchNorm(3)])
def test_torchs_own_have_no_further_steps(norm):
    assert norms.is_batch_norm(norm) and norms.steps_after(norm) == {}


@pytest.mark.parametrize("layer", [nn.LayerNorm(3), nn.GroupNorm(1, 3), nn.Conv2d(3, 3, 1), nn.InstanceNorm2d(3)])
def test_other_layers_are_none(layer):
    assert not norms.is_batch_norm(layer)


@pytest.mark.parametrize("affine", [True, False])
def test_scale_and_shift_are_what_the_norm_computes(affine):
    norm = nn.BatchNorm2d(5, affine=affine).eval()
    nn.init.uniform_(norm.running_var, 0.1, 3)
    nn.init.normal_(norm.running_mean)
    if affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    x = torch.randn(2, 5, 4, 4)
    scale, shift = norms.scale_and_shift(norm)
    assert torch.allclose(norm(x), x * scale[:, None, None] + shift[:, None, None], atol=1e-5)


def test_an_unregistered_subclass_with_a_forward_of_its_own_is_not_understood():
    class Swish(nn.BatchNorm2d):
        def forward(self, x):
            return F.silu(super().forward(x))

    assert norms.is_batch_norm(Swish(3)) and norms.steps_after(Swish(3)) is None


@pytest.mark.parametrize("kind", ["BatchNormAct2d", int, nn.ReLU()])
def test_only_classes_of_modules_are_registered(kind):
    with pytest.raises(ValueError, match=r"kind=.* must be a subclass of nn.Module"):
        norms.register_batch_norm(kind)


@pytest.mark.parametrize("step", [3, nn.Linear(2, 2), F.relu])
def test_steps_are_names_or_modules_without_state(step):
    with pytest.raises(
        ValueError, match=r"after contains .*; it must contain names of child modules, or modules without"
    ):
        norms.register_batch_norm(nn.BatchNorm2d, after=[step])
