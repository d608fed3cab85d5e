"""What a layer reads, in models that can be traced and in one that cannot."""

import pytest
from torch import nn

from nnopt_lab.techniques.convolutions.graph import source_of


def net(forward):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu, self.pool = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)

        def forward(self, x, mask=None):
            return forward(self, x) if mask is None else forward(self, x) * mask

    return Net()


def is_relu(model, node):
    return node.target == "relu"


def test_the_layer_before_is_found_through_what_may_stand_between():
    model = net(lambda n, x: n.pool(n.relu(n.conv(x))))
    assert source_of(model, "relu") == "conv" and source_of(model, "pool") == "relu"
    assert source_of(model, "pool", through=is_relu) == "conv"


@pytest.mark.parametrize(
    "forward",
    [
        lambda n, x: n.pool(y := n.conv(x)).sum() + y.sum(),  # read by another, too
        lambda n, x: n.pool(n.conv(x)) + n.conv(x + 1).sum(),  # runs twice
        lambda n, x: n.pool(n.conv(n.pool(x))),  # the reader runs twice
    ],
    ids=["two readers", "called twice", "reader called twice"],
)
def test_a_layer_that_others_read_or_that_runs_twice_is_not_given(forward):
    assert source_of(net(forward), "pool") is None


def test_a_model_that_cannot_be_traced_is_refused_in_words():
    model = net(lambda n, x: n.pool(n.conv(x)) if x.sum() > 0 else x)
    with pytest.raises(ValueError, match=r"model cannot be traced by torch\.fx"):
        source_of(model, "pool")


def test_a_layer_called_by_keyword_and_an_argument_left_at_its_default():
    model = net(lambda n, x: n.pool(input=n.conv(input=x)))
    assert source_of(model, "pool") == "conv"
