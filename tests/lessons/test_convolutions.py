"""Lesson 02: its exercises compared with torch and numpy, its playground, its recordings."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils.flop_counter import FlopCounterMode

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.convolutions import experiments
from nnopt_lab.lessons.convolutions.playground import REPLACEMENTS, _goal, convolution_playground
from nnopt_lab.techniques.convolutions.cost_model import CostModel
from nnopt_lab.workbench import measure
from tests.lessons.playgrounds import shown


def field_by_gradient(layers):
    """From the first to the last input place that one output place depends on, found by autograd."""
    x = torch.ones(1, 1, 400, requires_grad=True)
    y = x
    for kernel_size, stride in layers:
        y = F.conv1d(y, torch.ones(1, 1, kernel_size), stride=stride)
    y[0, 0, y.shape[2] // 2].backward()
    places = x.grad[0, 0].nonzero()
    return int(places.max() - places.min()) + 1


def separable_by_torch(in_channels, out_channels, kernel_size, height, width):
    model = nn.Sequential(
        nn.Conv2d(in_channels, in_channels, kernel_size, padding="same", groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
    )
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, in_channels, height, width))
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2


def dense_by_unit_inputs(weight, groups):
    """A 1×1 convolution's response to each channel alone is that channel's column."""
    channels = groups * weight.shape[1]
    return F.conv2d(torch.eye(channels)[:, :, None, None], weight, groups=groups).transpose(0, 1)


def folded_by_torch(weight, bias, gamma, beta, mean, var, eps):
    return tuple(p.detach() for p in fuse_conv_bn_weights(weight, bias, mean, var, eps, gamma, beta))


def factors_by_numpy(weight, rank):
    u, s, vh = np.linalg.svd(weight.numpy(), full_matrices=False)
    root = np.sqrt(s[:rank])
    return torch.from_numpy(root[:, None] * vh[:rank]), torch.from_numpy(u[:, :rank] * root)


COUNTERPARTS = {
    "convolutions.receptive_field": field_by_gradient,
    "convolutions.separable_cost": separable_by_torch,
    "convolutions.grouped_as_dense": dense_by_unit_inputs,
    "convolutions.fold_batch_norm": folded_by_torch,
    "convolutions.rank_for_energy": lambda values, energy: (
        1 + int(np.searchsorted(np.cumsum(values.numpy() ** 2) / np.sum(values.numpy() ** 2), energy))
    ),
    "convolutions.thin_factors": factors_by_numpy,
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_the_reference_agrees_with_another_library(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(50))
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("macs", "time", "is_told"), [(0.12, 1.3, True), (1 / 3, 1.01, True), (0.12, 0.9, False), (0.5, 1.5, False)]
)
def test_the_playground_says_when_a_third_of_the_macs_is_slower(macs, time, is_told):
    told = f"4 groups does {round(100 * macs)} % of the MACs but is slower than the original."
    assert _goal(macs, time, "4 groups") == (told if is_told else "")


@pytest.fixture(scope="module")
def playground():
    return convolution_playground(CostModel(100.0, 10.0, 1e-5))


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_the_playground_shows_the_share_of_parameters_macs_and_time(playground, replacement):
    text, (ax,) = shown(playground, channels=8, picture=4, replacement=replacement)
    full = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1))
    other, x, machine = REPLACEMENTS[replacement](full), torch.zeros(16, 8, 4, 4), CostModel(100.0, 10.0, 1e-5)
    widths = [bar.get_width() for bars in ax.containers for bar in bars]
    parameters, macs, predicted, measured = widths
    assert parameters == sum(p.numel() for p in other.parameters()) / (8 * 8 * 9 + 8)
    assert macs == measure.macs(other, x) / (16 * 8 * 8 * 9 * 16)
    assert predicted == machine.model_seconds(other, x) / machine.model_seconds(full, x)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["parameters", "MACs", "time, predicted", "time, measured"]
    assert [label.get_text() for label in ax.texts] == [f"{width:.2f}×" for width in widths]
    assert ax.lines[0].get_xdata() == [1, 1] and ax.get_xlabel() == "times the 3×3 convolution's"
    assert text.startswith("3×3: 9,216 MACs per picture, ") and f"per batch of 16 · <b>{replacement}</b>: " in text
    assert measured > 0


def test_the_shipped_experiments_have_the_shape_that_they_promise():
    knobs, blocks = (recorded(f"convolution_{name}")["result"] for name in ("knobs", "blocks"))
    assert {knob: list(found) for knob, found in knobs["accuracy"].items()} == {
        knob: list(settings) for knob, settings in experiments.KNOBS.items()
    }
    assert list(blocks["accuracy"]) == list(experiments.BLOCKS)
    for accuracies in (
        *(a for found in knobs["accuracy"].values() for a in found.values()),
        *blocks["accuracy"].values(),
    ):
        assert len(accuracies) == len(experiments.SEEDS) and all(10 < accuracy < 100 for accuracy in accuracies)


def folded(weight, bias, gamma, beta, mean, var, eps, *, root=None, shape=(-1, 1, 1, 1), shift=None):
    scale = gamma / (root(var, eps) if root else torch.sqrt(var + eps))
    return weight * scale.reshape(shape), (bias - mean if shift is None else shift(bias, mean)) * scale + beta


def factors(weight, rank, *, kept=None, vh_as_v=False, share=0.5):
    """The thin factors with s to the power of `share` on the first one, and the rest of it on the second."""
    u, s, vh = torch.linalg.svd(weight)
    kept = slice(rank) if kept is None else kept
    rows = (vh.T if vh_as_v else vh)[: len(s)][kept]
    return s[kept, None] ** share * rows, u[:, kept] * s[kept] ** (1 - share)


def seconds(macs, moved, gflops, bandwidth, overhead, giga=1e9):
    return overhead + max(2 * macs / (gflops * giga), moved / (bandwidth * giga))


def parameters_and_macs(i, o, k, h, w, biases=0):
    return i * k * k + i * o + biases * (i + o), (i * k * k + i * o) * h * w


FOLD, THIN = "convolutions.fold_batch_norm", "convolutions.thin_factors"
MISTAKES = [
    (FOLD, lambda *a: folded(*a, root=lambda var, eps: var.sqrt() + eps), "outside the root"),
    (FOLD, lambda *a: folded(*a, shift=lambda bias, mean: bias + mean), "added the mean"),
    (FOLD, lambda *a: folded(*a, shape=(1, -1, 1, 1)), "You scaled axis 1"),
    (FOLD, lambda *a: folded(*a, shape=(-1, 1, 1)), "You scaled axis 1"),
    ("convolutions.grouped_as_dense", lambda weight, groups: dense_by_unit_inputs(weight, groups).double(), "dtype"),
    *((THIN, lambda w, r, s=s: factors(w, r, vh_as_v=True, share=s), "as if it were `V`") for s in (0, 0.5, 1)),
    *((THIN, lambda w, r, s=s: factors(w, r, kept=slice(-r, None), share=s), "*smallest*") for s in (0, 0.5, 1)),
    *((THIN, lambda w, r, s=s: factors(w, r, share=s)[::-1], "wrong order") for s in (0, 0.5, 1)),
    (THIN, lambda w, r: factors(w, r + 1), "instead of `rank"),
    ("convolutions.predicted_seconds", lambda m, b, g, w, o: seconds(m, b, g, w, 1e-6 * o), "overhead by 10⁻⁶"),
    ("convolutions.predicted_seconds", lambda m, b, g, w, o: seconds(m, b, g, w, o / 1e9), "too small to count"),
    ("convolutions.predicted_seconds", lambda m, b, g, w, o: seconds(m, b, g, w, o * 1e6), "overhead by 10⁶"),
    ("convolutions.predicted_seconds", lambda m, b, g, w, o: seconds(m, b, g, w, 0), "left out the overhead"),
    ("convolutions.predicted_seconds", lambda *a: seconds(*a, giga=1), "left out 10⁹"),
    ("convolutions.separable_cost", lambda *a: parameters_and_macs(*a, biases=1), "biases as parameters"),
    ("convolutions.receptive_field", lambda layers: field_by_gradient(layers[::-1]), "from the last layer"),
]


@pytest.mark.parametrize(("id", "answer", "said"), MISTAKES)
def test_a_likely_mistake_is_named(id, answer, said):
    for start in range(0, 160, 16):
        verdict = examine(exercises()[id], answer, seeds=range(start, start + 16))
        assert not verdict.passed and said in verdict.mistake, verdict.mistake


@pytest.mark.parametrize("share", [0, 0.3, 0.5, 1])
def test_the_singular_values_may_be_on_either_side(share):
    assert examine(exercises()[THIN], lambda w, r: factors(w, r, share=share), seeds=range(50)).passed
