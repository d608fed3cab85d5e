"""Folded batch norms compute the same, as torch's own folding does."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nnopt_lab.techniques import norms
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
        with pytest.warns(UserWarning, match=r"1 of the model's 1 batch norms cannot be folded, such as '\d': it "):
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
        assert folding.why_not_folded(model) == {"norm": "its convolution is called 2 times"}
        with pytest.warns(UserWarning, match="is called 2 times"):
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


class BatchNormAct2d(nn.BatchNorm2d):
    """As timm writes its class: a batch norm, then a drop layer and an activation."""

    def __init__(self, channels, act):
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), act

    def forward(self, x):
        return self.act(self.drop(super().forward(x)))


class Shifted(BatchNormAct2d):
    """A subclass that computes something else under a name that is known."""

    def forward(self, x):
        return super().forward(x) + 1


class SamePadding(nn.Conv2d):
    """As timm writes its `Conv2dSame`: the padding depends on the picture's size."""

    def forward(self, x):
        side = self.stride[0]
        missing = (-x.shape[-1]) % side
        if missing > 0:
            x = nn.functional.pad(x, [0, missing, 0, missing])
        return nn.functional.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class Standardised(nn.Conv2d):
    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, weight / weight.std(), self.bias)


class TestConvolutionsWithAForwardOfTheirOwn:
    def test_padding_by_size_is_folded_though_it_cannot_be_traced(self):
        model = normed(nn.Sequential(SamePadding(3, 4, 3, 2, bias=False), nn.BatchNorm2d(4), nn.ReLU()))
        folded = folding.fold_batch_norm(model)
        assert isinstance(folded[1], nn.Identity) and torch.allclose(folded(X), model(X), atol=1e-4)

    def test_standardised_weights_are_not(self):
        model = normed(nn.Sequential(Standardised(3, 4, 3), nn.BatchNorm2d(4)))
        assert folding.why_not_folded(model) == {"1": "the forward of its convolution is not torch's"}
        with pytest.warns(UserWarning, match="the forward of its convolution"):
            assert torch.equal(folding.fold_batch_norm(model)(X), model(X))


class TestJoinedWithAnActivation:
    @pytest.mark.parametrize("act", [nn.SiLU(), nn.ReLU(inplace=True), nn.PReLU(4), nn.Identity()])
    def test_the_activation_stays(self, act):
        model = normed(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), BatchNormAct2d(4, act), nn.Conv2d(4, 4, 3)))
        folded = folding.fold_batch_norm(model)
        assert torch.allclose(folded(X), model(X), atol=1e-4)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
        assert type(folded[1].act) is type(act) and folded[1].act is not act

    def test_what_computes_something_else_stays_and_is_named(self):
        model = normed(nn.Sequential(nn.Conv2d(3, 4, 3), Shifted(4, nn.ReLU())))
        assert folding.why_not_folded(model) == {"1": "its forward is not torch's"}
        with pytest.warns(UserWarning, match="'1': its forward is not torch's"):
            assert torch.equal(folding.fold_batch_norm(model)(X), model(X))

    def test_a_users_class_can_be_registered(self, monkeypatch):
        class Leaky(nn.BatchNorm2d):
            def __init__(self, channels):
                super().__init__(channels)
                self.leak = nn.LeakyReLU(0.3)

            def forward(self, x):
                return self.leak(super().forward(x))

        model = normed(nn.Sequential(nn.Conv2d(3, 4, 3), Leaky(4)))
        assert folding.why_not_folded(model) == {"1": "its forward is not torch's"}
        monkeypatch.setattr(norms, "_JOINED", dict(norms._JOINED))
        norms.register_batch_norm(Leaky, after=["leak"])
        assert folding.why_not_folded(model) == {"1": ""}
        assert torch.allclose(folding.fold_batch_norm(model)(X), model(X), atol=1e-4)

    def test_a_step_may_be_a_function_in_the_forward(self, monkeypatch):
        class Clipped(nn.BatchNorm2d):
            def forward(self, x):
                return nn.functional.relu6(super().forward(x)) * 1

        monkeypatch.setattr(norms, "_JOINED", dict(norms._JOINED))
        norms.register_batch_norm(Clipped, after=[nn.ReLU()])
        model = normed(nn.Sequential(nn.Conv2d(3, 4, 3), Clipped(4), nn.Conv2d(4, 4, 3), Clipped(4)))
        nn.init.constant_(model[1].bias, 9)
        nn.init.constant_(model[3].bias, 9)
        assert set(folding.why_not_folded(model).values()) == {"its forward is not torch's"}
        norms.register_batch_norm(Clipped, after=[nn.ReLU6()])
        folded = folding.fold_batch_norm(model)
        assert torch.allclose(folded(X), model(X), atol=1e-4) and folded[1][0] is not folded[3][0]

    def test_torchvisions_frozen_norm_is_folded(self):
        from torchvision.ops import FrozenBatchNorm2d

        norm = FrozenBatchNorm2d(4)
        for buffer in norm.buffers():
            nn.init.uniform_(buffer, 0.5, 2)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), norm).eval()
        folded = folding.fold_batch_norm(model)
        assert isinstance(folded[1], nn.Identity) and torch.allclose(folded(X), model(X), atol=1e-4)


@pytest.mark.parametrize(
    ("conv", "norm", "size"),
    [(nn.Conv1d, nn.BatchNorm1d, (9,)), (nn.Conv3d, nn.BatchNorm3d, (5, 6, 7)), (nn.Conv2d, nn.SyncBatchNorm, (6, 6))],
)
def test_convolutions_over_other_axes_are_folded(conv, norm, size):
    model = nn.Sequential(conv(4, 6, 3, groups=2), norm(6)).eval()
    with torch.no_grad():
        for name, tensor in model[1].state_dict().items():
            if "num" not in name:
                tensor.uniform_(0.5, 2)
    x = torch.randn(2, 4, *size)
    folded = folding.fold_batch_norm(model)
    assert isinstance(folded[1], nn.Identity) and torch.allclose(folded(x), model(x), atol=1e-4)


def test_dropout_and_identities_between_the_two_are_no_hindrance():
    between = [nn.Dropout2d(0.5), nn.Identity()]
    model = normed(nn.Sequential(nn.Conv2d(3, 4, 3), *between, nn.BatchNorm2d(4), nn.ReLU()))
    folded = folding.fold_batch_norm(model)
    assert isinstance(folded[3], nn.Identity) and torch.allclose(folded(X), model(X), atol=1e-4)
    between[1].register_forward_hook(lambda layer, inputs, output: output + 1)
    assert folding.why_not_folded(model) == {"3": "it follows Identity, not a convolution"}


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([nn.Linear(4, 4), nn.BatchNorm1d(4)], "it follows Linear, not a convolution"),
        ([nn.BatchNorm2d(4)], "it follows the input, not a convolution"),
        ([nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)], "it has no running statistics"),
        ([nn.Conv2d(3, 4, 3), nn.LazyBatchNorm2d()], "it has no weights yet"),
        ([nn.LazyConv2d(4, 3), nn.BatchNorm2d(4)], "its convolution has no weights yet"),
    ],
)
def test_each_norm_that_stays_has_its_reason(layers, reason):
    assert list(folding.why_not_folded(nn.Sequential(*layers)).values()) == [reason]


def test_a_norm_after_a_concatenation_and_one_whose_convolution_is_read_elsewhere_are_named():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.first, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.BatchNorm2d(7)

        def forward(self, x):
            y = self.conv(x)
            return self.last(torch.cat([x, self.first(y) + y], 1))

    assert folding.why_not_folded(Net()) == {
        "first": "its convolution's output is also used elsewhere",
        "last": "it follows cat, not a convolution",
    }


TIMM = [
    "resnet18", "efficientnet_b0", "tf_efficientnet_b0", "mobilenetv3_small_050", "regnety_002", "convnext_atto",
    "vit_tiny_patch16_224",
]  # fmt: skip


@pytest.mark.parametrize("name", TIMM)
def test_networks_of_timm_are_folded_whole(name):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=10).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.running_mean, 0, 0.1)
    assert not any(folding.why_not_folded(model).values())
    folded = folding.fold_batch_norm(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    x = torch.randn(1, 3, *(224, 224) if "vit" in name else (64, 64))
    with torch.inference_mode():
        wanted = model(x)
        assert ((folded(x) - wanted).abs().max() / wanted.abs().max()) < 1e-4
