"""Networks as people have them become ones that can be searched; the ones given stay as they are."""

from collections import namedtuple

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from nnopt_lab.techniques.search.networks import logits_in, searchable, without_auxiliary_heads
from tests.techniques.search.small_search import VALIDATION, build, same_weights

X = VALIDATION[0][:2]


@pytest.mark.parametrize(
    ("wrap", "names"),
    [
        (nn.DataParallel, ["nn.DataParallel"]),
        (AveragedModel, ["AveragedModel"]),
        (torch.compile, ["torch.compile"]),
        (lambda model: torch.compile(nn.DataParallel(model)), ["torch.compile", "nn.DataParallel"]),
        (lambda model: nn.Sequential(nn.DataParallel(nn.DataParallel(model))), ["nn.DataParallel"]),
        (lambda model: nn.DataParallel(nn.Sequential(torch.compile(model))), ["nn.DataParallel", "torch.compile"]),
    ],
)
def test_wrappers_are_left_out_in_any_order(wrap, names):
    given = wrap(build())
    kinds = [type(module) for module in given.modules()]
    found, notes = searchable(given)
    assert notes == [f"The network inside {name} was searched, without it." for name in names]
    assert not {type(module) for module in found.modules()} - {nn.Sequential, *map(type, build())}
    with torch.no_grad():
        assert torch.equal(found(X), build()(X))
    assert [type(module) for module in given.modules()] == kinds


def test_a_plain_network_is_copied_without_a_note():
    given = build().train()
    found, notes = searchable(given)
    assert not notes and found is not given and same_weights(found, given) and given.training and not found.training
    with torch.no_grad():
        found[0].weight.zero_()
    assert same_weights(given, build())


def test_buffers_become_float32_too():
    given = build()
    given.register_buffer("scale", torch.ones(3, dtype=torch.float64))
    given.register_buffer("places", torch.arange(3))
    found, notes = searchable(given)
    assert found.scale.dtype == torch.float32 and found.places.dtype == torch.int64 and len(notes) == 1
    assert given.scale.dtype == torch.float64


class Heads(nn.Module):
    """Like torchvision's GoogLeNet: a second head, only in training."""

    def __init__(self):
        super().__init__()
        self.first, self.aux, self.last, self.aux_logits = nn.Linear(4, 4), nn.Linear(4, 3), nn.Linear(4, 3), True

    def forward(self, x):
        y = self.first(x)
        aux = self.aux(y) if self.training and self.aux is not None else None
        kind = namedtuple("Outputs", ["logits", "aux_logits"])
        return kind(self.last(y), aux) if self.training and self.aux_logits else self.last(y)


def test_auxiliary_heads_are_removed():
    model, x = Heads(), torch.randn(2, 4)
    outputs = model(x)
    assert logits_in(outputs) is outputs.logits
    assert isinstance(logits_in((outputs.logits,)), tuple)
    assert len(without_auxiliary_heads(model, x, outputs)) == 1
    assert model.aux is None and torch.equal(model.train()(x), outputs.logits)
    assert torch.equal(model.eval()(x), outputs.logits) and not without_auxiliary_heads(model, x, model(x))
