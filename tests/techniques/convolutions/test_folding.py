"""Folded batch norms compute the same, as torch's own folding does."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nnopt_lab.techniques.convolutions import folding
from nnopt_lab.workbench import models
from tests.techniques.convolutions.networks import X, normed


class TestFoldBatchNorm:
    def test_leaves_the_model_as_it_was_and_shares_no_tensor_with_it(self):
        model = normed(models.Teacher((8, 16, 16)))
        before, text = copy.deepcopy(model.state_dict()), repr(model)
        folded = folding.fold_batch_norm(model)
        assert repr(model) == text and all(torch.equal(before[k], v) for k, v in model.state_dict().items())
        mine = {p.data_ptr() for p in model.parameters()}
        assert not any(p.data_ptr() in mine for p in folded.parameters())
        assert not folded.training and type(folded) is type(model)

    @pytest.mark.parametrize("model", [models.Teacher(), models.Teacher((8, 16, 24), blocks=2)], ids=["one", "two"])
    def test_is_exact_and_leaves_no_batch_norm(self, model):
        model = normed(model)
        folded = folding.fold_batch_norm(model)
        with torch.inference_mode():
            want = model(X)
            assert ((folded(X) - want).abs().max() / want.abs().max()).item() < 1e-5
        assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())

    @settings(max_examples=30)
    @given(st.integers(1, 5), st.integers(1, 5), st.booleans(), st.booleans(), st.sampled_from([1, 3]))
    def test_agrees_with_torchs_own(self, inputs, outputs, bias, affine, kernel):
        model = normed(
            nn.Sequential(nn.Conv2d(inputs, outputs, kernel, bias=bias), nn.BatchNorm2d(outputs, affine=affine))
        )
        theirs, ours = fuse_conv_bn_eval(*copy.deepcopy(model)), folding.fold_batch_norm(model)[0]
        assert torch.allclose(ours.weight, theirs.weight, rtol=1e-5, atol=1e-6)
        assert torch.allclose(ours.bias, theirs.bias, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize(
        "layers",
        [
            [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)],
            [nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)],
            [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)],
        ],
        ids=["activation between", "norm first", "no statistics"],
    )
    def test_what_is_no_pair_stays(self, layers):
        model = normed(nn.Sequential(*layers))
        folded = folding.fold_batch_norm(model)
        assert repr(folded) == repr(model) and torch.equal(folded(X), model(X))

    def test_a_convolution_that_is_called_twice_is_not_folded(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

            def forward(self, x):
                return self.norm(self.conv(self.conv(x)))

        model = normed(Net())
        assert torch.equal(folding.fold_batch_norm(model)(X), model(X))

    def test_frozen_parameters_stay_frozen_and_modes_stay(self):
        for frozen in ([], ["0"], ["1"], ["0", "1"]):
            for bias in (True, False):
                model = normed(nn.Sequential(nn.Conv2d(3, 4, 3, bias=bias), nn.BatchNorm2d(4))).train()
                for name in frozen:
                    model.get_submodule(name).requires_grad_(False)
                folded = folding.fold_batch_norm(model)
                assert folded[0].weight.requires_grad == ("0" not in frozen)
                assert folded[0].bias.requires_grad == (("0" if bias else "1") not in frozen)
                assert folded.training and folded[1].training

    def test_a_pair_under_two_names_is_replaced_under_both(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
                self.stack = nn.Sequential(self.conv, self.norm)

            def forward(self, x):
                return self.stack(x)

        model = normed(Net())
        folded = folding.fold_batch_norm(model)
        assert torch.allclose(folded(X), model(X), atol=1e-4)
        assert isinstance(folded.norm, nn.Identity) and folded.stack[1] is folded.norm

    def test_masked_weights_stay_zero_and_masks_of_others_are_left_alone(self):
        model = normed(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)))
        prune.random_unstructured(model[0], "weight", 60)
        prune.random_unstructured(model[2], "weight", 60)
        folded = folding.fold_batch_norm(model)
        assert (folded[0].weight == 0).sum() == 60 and not hasattr(folded[0], "weight_mask")
        assert hasattr(folded[2], "weight_mask") and torch.allclose(folded(X), model(X), atol=1e-4)
