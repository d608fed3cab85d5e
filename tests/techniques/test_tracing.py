"""A model is traced for its first input alone, and refused in one sentence."""

import pytest
import torch
from torch import fx, nn

from nnopt_lab.techniques import tracing


class Net(nn.Module):
    """A forward given as a function of the module and its arguments."""

    def __init__(self, **layers):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        for name, layer in layers.items():
            setattr(self, name, layer)


def net(forward, **layers):
    return type("Net", (Net,), {"forward": forward})(**layers)


X = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x, mask=None: s.layer(x) if mask is None else s.layer(x) * mask,
        lambda s, x, *, return_features=False: (s.layer(x), x) if return_features else s.layer(x),
        lambda s, x, scale=1.0, **options: s.layer(x) * scale if scale != 1 else s.layer(x),
        lambda s, *inputs: s.layer(inputs[0]),
        lambda s, x: s.layer(input=x),
        lambda s, x: x / 0 if s.training else s.layer(x),
    ],
    ids=["mask", "keyword only", "number", "variable", "keyword", "mode"],
)
def test_other_arguments_keep_their_defaults(forward):
    model = net(forward).train()
    traced = tracing.trace(model)
    assert torch.equal(fx.Interpreter(traced).run(X), model.eval()(X))
    assert [node.target for node in traced.graph.nodes if node.op == "call_module"] == ["layer"]
    assert traced.layer is model.layer


def test_modes_are_left_alone():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
    model[1].eval()
    tracing.trace(model)
    assert model.training and not model[1].training


@pytest.mark.parametrize(
    ("forward", "sentence"),
    [
        (lambda s, x, y: x + y, "needs 'y' in addition to its first argument"),
        (lambda s, x, *, y: x + y, "needs 'y'"),
        (lambda s: s.layer.weight, "takes no input"),
        (lambda s, x: x if x.sum() > 0 else -x, "control flow"),
        (lambda s, x: [row for row in x], "cannot be iterated"),
        (lambda s, x: torch.zeros(x.size(0), 4) + x, "TypeError"),
        (lambda s, x: s.missing(x), "AttributeError"),
    ],
)
def test_what_cannot_be_traced_is_refused_in_one_sentence(forward, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        tracing.trace(net(forward))
    assert str(caught.value).startswith("model") and "\n" not in str(caught.value)
    assert str(caught.value).endswith(".") and ". " not in str(caught.value)


def test_modules_whose_weights_a_parent_reads():
    attention = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 1, enable_nested_tensor=False)
    assert set(tracing.modules_read_by_parents(attention)) == {
        "layers.0.linear1", "layers.0.linear2", "layers.0.self_attn.out_proj"
    }  # fmt: skip
    model = net(lambda s, x: nn.functional.linear(s.layer(x), s.head.weight), head=nn.Linear(4, 4))
    assert tracing.modules_read_by_parents(model) == {"head": "Net"}
    assert tracing.modules_read_by_parents(nn.Sequential(nn.Linear(4, 4))) == {}


def test_what_the_code_names_is_found_where_the_model_cannot_be_traced():
    class Base(nn.Module):
        def scores(self, x):
            return x @ self.parts.key.weight.T + self.layer.bias

    class Reader(Base):
        def __init__(self):
            super().__init__()
            self.layer, self.called, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
            self.parts = nn.ModuleDict({"key": nn.Linear(4, 4), "free": nn.Linear(4, 4)})
            self.head.weight.data.mul_(2)

        def forward(self, x):
            x = self.called(x) if x.sum() > 0 else self.parts.free(x)
            return self.head(self.scores(x)) * self.head.in_features

    model = nn.ModuleDict({"reader": Reader()})
    assert tracing.modules_read_by_parents(model) == {"reader.parts.key": "Reader", "reader.layer": "Reader"}
